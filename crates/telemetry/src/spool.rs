//! The spool file: what is not yet on the server outlives the process that wrote it.

use protocol::telemetry::{Event, LogLine};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
};

/// `/run` is memory: the file is started again once it is acknowledged and larger than this.
const COMPACT_ABOVE: u64 = 256 << 10;
/// Nothing more is written beyond this; memory still has the newest.
const MAX_BYTES: u64 = 8 << 20;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Entry {
    Event(Event),
    Line(LogLine),
    /// All before is acknowledged; these numbers come next.
    Next {
        event: u64,
        line: u64,
    },
}

pub struct Spool {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl Spool {
    /// Opens the spool of `folder` and reads what an earlier process left. A torn last line is dropped.
    pub fn open(folder: &Path) -> io::Result<(Self, Vec<Entry>)> {
        fs::create_dir_all(folder)?;
        let path = folder.join("telemetry.jsonl");
        let entries = match File::open(&path) {
            Ok(file) => BufReader::new(file)
                .lines()
                .map_while(Result::ok)
                .filter_map(|line| serde_json::from_str(&line).ok())
                .collect(),
            Err(_) => Vec::new(),
        };
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        let bytes = file.metadata()?.len();
        Ok((Self { path, file, bytes }, entries))
    }

    /// Appends an entry. A full `/run` costs the spool, not the run.
    pub fn append(&mut self, entry: &Entry) {
        let Ok(mut line) = serde_json::to_vec(entry) else { return };
        line.push(b'\n');
        let length = line.len() as u64;
        if self.bytes + length <= MAX_BYTES && self.file.write_all(&line).is_ok() {
            self.bytes += length;
        }
    }

    pub fn is_worth_compacting(&self) -> bool {
        self.bytes > COMPACT_ABOVE
    }

    /// Starts the file again with `next` alone.
    pub fn restart(&mut self, next: &Entry) {
        let fresh = OpenOptions::new().create(true).write(true).truncate(true).open(&self.path);
        if fresh.is_ok() {
            self.bytes = 0;
            self.append(next);
        }
    }
}

//! Leases on disk, so that a restart gives no address away that is in use.
//!
//! One JSON line per change, written before the answer goes out; the file is made anew, atomically,
//! at each start and when it has grown. A line that was cut short by a crash is skipped.

use super::{
    lease::{Lease, Leases},
    request::Client,
};
use protocol::{
    Code,
    failure::{OrFail, Result},
    names::Mac,
};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

/// More than a /16 of leases; what is beyond is not ours.
const MAX_BYTES: u64 = 32 << 20;

#[derive(Serialize, Deserialize)]
struct Line {
    address: Ipv4Addr,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mac: Option<Mac>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    expires: u64,
}

/// The file of leases.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    file: File,
    lines: usize,
}

impl Store {
    /// Reads the leases and makes the file anew.
    ///
    /// # Errors
    /// Where the file cannot be read or written.
    pub fn open(path: &Path) -> Result<(Self, Leases)> {
        let leases = read(path).or_fail(Code::System, || format!("reading {}", path.display()))?;
        let (file, lines) = rewrite(path, &leases).or_fail(Code::System, || format!("writing {}", path.display()))?;
        Ok((Self { path: path.to_owned(), file, lines }, leases))
    }

    /// Notes what the table now says of the address.
    ///
    /// # Errors
    /// Where the file cannot be written: the change must not be answered for.
    pub fn note(&mut self, leases: &Leases, address: Ipv4Addr) -> Result<()> {
        let written = self.write(leases, address);
        written.or_fail(Code::System, || format!("writing {}", self.path.display()))
    }

    fn write(&mut self, leases: &Leases, address: Ipv4Addr) -> io::Result<()> {
        if self.lines > 1000 + 4 * leases.iter().count() {
            (self.file, self.lines) = rewrite(&self.path, leases)?;
            return Ok(());
        }
        if let Some(lease) = leases.get(address) {
            self.file.write_all(&line(address, lease))?;
            self.lines += 1;
        }
        Ok(())
    }
}

fn read(path: &Path) -> io::Result<Leases> {
    let mut text = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(MAX_BYTES).read_to_end(&mut text)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    let mut leases = Leases::default();
    for line in text.split(|byte| *byte == b'\n') {
        let Ok(line) = serde_json::from_slice::<Line>(line) else { continue };
        let id = line.id.and_then(|id| data_encoding::HEXLOWER.decode(id.as_bytes()).ok());
        if let Some(client) = line.mac.map(Client::Card).or(id.map(Client::Id)) {
            leases.set(line.address, &client, line.expires);
        }
    }
    Ok(leases)
}

fn rewrite(path: &Path, leases: &Leases) -> io::Result<(File, usize)> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    let text: Vec<u8> = leases.iter().flat_map(|(address, lease)| line(address, lease)).collect();
    file.write_all(&text)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok((OpenOptions::new().append(true).open(path)?, leases.iter().count()))
}

/// Starts with a line end, so that what a crash cut short does not spoil it.
fn line(address: Ipv4Addr, lease: &Lease) -> Vec<u8> {
    let (mac, id) = match &lease.client {
        Some(Client::Card(mac)) => (Some(mac.clone()), None),
        Some(Client::Id(id)) => (None, Some(data_encoding::HEXLOWER.encode(id))),
        None => (None, None),
    };
    let line = Line { address, mac, id, expires: lease.expires };
    let mut bytes = b"\n".to_vec();
    bytes.extend(serde_json::to_vec(&line).unwrap_or_default());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(number: u8) -> Client {
        Client::Card(format!("52:54:00:00:00:{number:02x}").parse().unwrap())
    }

    #[test]
    fn leases_survive_a_crash_in_the_middle_of_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("leases");
        let addresses: Vec<Ipv4Addr> = (1..=3).map(|n| Ipv4Addr::new(10, 0, 0, n)).collect();
        let (mut store, mut leases) = Store::open(&path).unwrap();
        for (number, address) in addresses.iter().take(2).enumerate() {
            leases.set(*address, &card(number as u8), 77);
            store.note(&leases, *address).unwrap();
        }
        store.file.write_all(b"\n{\"address\":\"10.0").unwrap();
        leases.set(addresses[2], &Client::Id(vec![0, 255]), 78);
        store.note(&leases, addresses[2]).unwrap();

        let (_, again) = Store::open(&path).unwrap();
        assert_eq!(
            again.iter().map(|(a, l)| (a, l.clone())).collect::<Vec<_>>(),
            leases.iter().map(|(a, l)| (a, l.clone())).collect::<Vec<_>>()
        );
    }

    #[test]
    fn the_file_stays_small_however_often_leases_are_renewed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("leases");
        let (mut store, mut leases) = Store::open(&path).unwrap();
        let address = Ipv4Addr::new(10, 0, 0, 1);
        for expires in 0..5000 {
            leases.set(address, &card(1), expires);
            store.note(&leases, address).unwrap();
        }
        assert!(fs::metadata(&path).unwrap().len() < 100_000);
        assert_eq!(Store::open(&path).unwrap().1.get(address).unwrap().expires, 4999);
    }
}

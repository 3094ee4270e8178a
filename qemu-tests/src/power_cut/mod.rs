//! Disks that lose what was not flushed when the power fails.
//!
//! Killing QEMU alone loses nothing: what a machine has written is in the page cache of this host. Such a disk is served
//! to QEMU over NBD by this process, which holds every write back until it is flushed. A cut lets a part of what is held
//! reach the image, chosen by a seed, as the electronics of a disk would: see [`Cache::left_by_a_cut`].

mod cache;
mod nbd;
mod random;

pub use cache::{Cache, Sector};
pub use random::Random;

use crate::command::{command, run};
use anyhow::{Context, Result, anyhow};
use cache::Write;
use nbd::Request;
use nix::sys::socket::{Shutdown, shutdown};
use serde_json::{Value, json};
use std::{
    fs::{File, OpenOptions},
    io::{self, ErrorKind},
    os::{
        fd::AsRawFd,
        unix::{
            fs::FileExt,
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// What the disk does when it is told to flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flush {
    /// What it was told.
    Obeyed,
    /// Nothing, and says that it is done: as if the machine had never flushed.
    Forgotten,
}

/// A disk whose cache dies with its power. It is there until it is dropped.
#[derive(Debug)]
pub struct VolatileDisk {
    image: PathBuf,
    socket: PathBuf,
    listener: UnixListener,
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    image: File,
    size: u64,
    sector: Sector,
    flush: Flush,
    state: Mutex<State>,
    let_go: Condvar,
}

#[derive(Debug, Default)]
struct State {
    cache: Cache,
    connected: bool,
    writes: u64,
}

impl VolatileDisk {
    /// Serves an image.
    ///
    /// # Errors
    /// The image cannot be opened, or the socket not be made.
    pub fn serve(image: &Path, socket: &Path, sector: Sector, flush: Flush) -> Result<Self> {
        let opened = || format!("opening {}", image.display());
        let file = OpenOptions::new().read(true).write(true).open(image).with_context(opened)?;
        let size = file.metadata().with_context(opened)?.len();
        let _ = std::fs::remove_file(socket);
        let listener = UnixListener::bind(socket).with_context(|| format!("listening on {}", socket.display()))?;
        let (state, let_go) = (Mutex::default(), Condvar::new());
        let inner = Arc::new(Inner { image: file, size, sector, flush, state, let_go });
        let (accepting, shared) = (listener.try_clone().context("sharing a socket")?, Arc::clone(&inner));
        std::thread::spawn(move || shared.accept(&accepting));
        Ok(VolatileDisk { image: image.to_owned(), socket: socket.to_owned(), listener, inner })
    }

    /// Where QEMU finds it, as what is below a raw block device.
    pub fn file(&self) -> Value {
        json!({ "driver": "nbd", "server": { "type": "unix", "path": self.socket } })
    }

    /// The raw block device for QEMU, with a node of this name.
    pub fn blockdev(&self, name: &str) -> Value {
        json!({ "driver": "raw", "node-name": name, "file": self.file() })
    }

    /// How often it was written to since it is served.
    pub fn writes(&self) -> u64 {
        self.inner.lock().writes
    }

    /// The power fails: what was not flushed is lost, or some of it. QEMU must have been killed before.
    ///
    /// # Errors
    /// The image cannot be written, or somebody still uses the disk.
    pub fn lose_power(&self, random: &mut Random) -> Result<()> {
        let state = self.inner.lock();
        let patience = Duration::from_secs(10);
        let waited = self.inner.let_go.wait_timeout_while(state, patience, |state| state.connected);
        let (mut state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            return Err(anyhow!("{} is still in use", self.image.display()));
        }
        let left = state.cache.left_by_a_cut(self.inner.sector, random);
        state.cache = Cache::default();
        put(&self.inner.image, &left).with_context(|| format!("writing {}", self.image.display()))
    }

    /// A copy of the disk as it would be if the power failed now; the machine goes on.
    ///
    /// # Errors
    /// The copy cannot be written.
    pub fn copy_as_if_cut(&self, random: &mut Random, copy: &Path) -> Result<()> {
        let state = self.inner.lock();
        run(command("cp", ["--sparse=always"]).arg(&self.image).arg(copy))?;
        let opened = OpenOptions::new().write(true).open(copy);
        let written = opened.and_then(|file| put(&file, &state.cache.left_by_a_cut(self.inner.sector, random)));
        written.with_context(|| format!("writing {}", copy.display()))
    }
}

impl Drop for VolatileDisk {
    fn drop(&mut self) {
        // Wakes the thread that waits for a connection, and ends it.
        let _ = shutdown(self.listener.as_raw_fd(), Shutdown::Both);
        let _ = std::fs::remove_file(&self.socket);
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One machine after the other, as long as the disk is there.
    fn accept(&self, listener: &UnixListener) {
        while let Ok((stream, _)) = listener.accept() {
            self.lock().connected = true;
            if let Err(error) = self.serve(stream) {
                eprintln!("a disk that loses what was not flushed: {error:#}");
            }
            self.lock().connected = false;
            self.let_go.notify_all();
        }
    }

    fn serve(&self, mut stream: UnixStream) -> Result<()> {
        nbd::greet(&mut stream, self.size)?;
        while let Some((handle, request)) = nbd::receive(&mut stream)? {
            let outcome = self.carry_out(request);
            // QEMU was killed while it waited.
            if nbd::answer(&mut stream, handle, &outcome).is_err() {
                break;
            }
        }
        Ok(())
    }

    fn carry_out(&self, request: Request) -> io::Result<Vec<u8>> {
        let mut state = self.lock();
        match request {
            Request::Read(offset, length) => {
                self.must_be_inside(offset, length)?;
                let mut read = vec![0; length];
                self.image.read_exact_at(&mut read, offset)?;
                state.cache.read_over(offset, &mut read);
                return Ok(read);
            }
            Request::Write(offset, data) => {
                self.must_be_inside(offset, data.len())?;
                state.writes += 1;
                put(&self.image, &state.cache.write(offset, data))?;
            }
            Request::Flush if self.flush == Flush::Obeyed => put(&self.image, &state.cache.flush())?,
            Request::Flush => {}
            Request::Unknown => return Err(ErrorKind::InvalidInput.into()),
        }
        Ok(Vec::new())
    }

    fn must_be_inside(&self, offset: u64, length: usize) -> io::Result<()> {
        let end = offset.checked_add(length as u64);
        if end.is_some_and(|end| end <= self.size) { Ok(()) } else { Err(ErrorKind::InvalidInput.into()) }
    }
}

fn put(image: &File, writes: &[Write]) -> io::Result<()> {
    writes.iter().try_for_each(|write| image.write_all_at(&write.data, write.offset))
}

#[cfg(test)]
mod tests;

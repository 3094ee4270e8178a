//! Nix archives (NAR), streaming and as strict as Nix is: there is one archive of a tree, and what is not it is
//! refused. The reader hands a tree to a [`Sink`]; [`Writer`] is the sink that makes the archive again.
//!
//! Both work on whatever implements `BufRead` and `Write`, and open nothing themselves.

mod read;
#[cfg(test)]
mod tests;
mod write;

pub use read::{Error, unpack};
pub use write::Writer;

use std::io;

/// Longest file name on Linux.
pub const MAX_NAME: usize = 255;
/// Longest target of a symlink on Linux.
pub const MAX_TARGET: usize = 4095;
/// Deepest nesting of directories. Nix stops at 64 now and had no bound before; each level costs a
/// file descriptor.
pub const MAX_DEPTH: usize = 128;

/// Takes the objects of an archive in its order. The root's name is empty.
pub trait Sink {
    /// A directory; its entries follow, in ascending order of their names' bytes, then [`Sink::leave`].
    ///
    /// # Errors
    /// Those of the file system, here and below.
    fn enter(&mut self, name: &[u8]) -> io::Result<()>;
    /// The directory entered last is complete.
    #[allow(clippy::missing_errors_doc)]
    fn leave(&mut self) -> io::Result<()>;
    /// A symbolic link.
    #[allow(clippy::missing_errors_doc)]
    fn symlink(&mut self, name: &[u8], target: &[u8]) -> io::Result<()>;
    /// A file of `size` bytes, which follow, then [`Sink::close`].
    #[allow(clippy::missing_errors_doc)]
    fn open(&mut self, name: &[u8], executable: bool, size: u64) -> io::Result<()>;
    /// A piece of the contents.
    #[allow(clippy::missing_errors_doc)]
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// The file opened last is complete.
    #[allow(clippy::missing_errors_doc)]
    fn close(&mut self) -> io::Result<()>;
}

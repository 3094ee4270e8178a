//! How commands reach a TPM.

use crate::MOST_BYTES;
use std::io::{self, Read, Write};

/// Bytes before the parameters: tag, length, code.
pub const HEADER: usize = 10;

/// Something that answers a TPM's commands.
pub trait Transport {
    /// Sends a command and reads the whole answer.
    ///
    /// # Errors
    /// Those of the stream, and an answer that is longer than one can be.
    fn exchange(&mut self, command: &[u8]) -> io::Result<Vec<u8>>;
}

/// The kernel's device gives an answer in one piece, the socket of an emulator in any.
impl<S: Read + Write> Transport for S {
    fn exchange(&mut self, command: &[u8]) -> io::Result<Vec<u8>> {
        self.write_all(command)?;
        let mut answer = [0; MOST_BYTES];
        let mut have = 0;
        loop {
            have += match self.read(&mut answer[have..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => read,
            };
            let Some(length) = answer[..have].get(2..6) else { continue };
            let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]);
            match usize::try_from(length) {
                Ok(length) if (HEADER..=MOST_BYTES).contains(&length) => {
                    if have >= length {
                        return Ok(answer[..length].to_vec());
                    }
                }
                _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "an answer of an impossible length")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its bytes one by one.
    struct Slow(Vec<u8>);

    impl Read for Slow {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() || into.is_empty() {
                return Ok(0);
            }
            into[0] = self.0.remove(0);
            Ok(1)
        }
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn answer(length: u32, bytes: usize) -> Slow {
        let mut answer = vec![0x80, 0x01];
        answer.extend(length.to_be_bytes());
        answer.resize(bytes, 0);
        Slow(answer)
    }

    #[test]
    fn an_answer_is_put_together_and_one_that_lies_about_its_length_is_an_error() {
        assert_eq!(answer(12, 12).exchange(b"c").unwrap().len(), 12);
        for (length, bytes) in [(13, 12), (9, 12), (4097, 12), (u32::MAX, 5000), (0, 0)] {
            assert!(answer(length, bytes).exchange(b"c").is_err(), "{length}");
        }
    }
}

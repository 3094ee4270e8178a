//! A file on its way that goes on where it broke off: whoever reads it does not notice.

use super::{
    source::Source,
    stream::{From, Opened, Stream},
};
use crate::{
    fault::Fault,
    retry::{Budget, Patience},
};
use bytes::{Buf, Bytes};

/// The bytes of one file, whatever happens to the connections they come over.
pub struct Transfer<'a> {
    /// Where it comes from, for faults.
    pub url: String,
    source: &'a Source,
    name: &'a str,
    patience: &'a Patience,
    budget: &'a mut Budget,
    stream: Stream,
    /// Where the reader is, and where the next parts come from.
    from: From,
    /// Bytes of the stream that the reader has had before.
    skip: u64,
    size: Option<u64>,
    /// The source may be asked for the rest alone.
    ranges: bool,
    resumed: bool,
}

impl<'a> Transfer<'a> {
    /// Begins to get a file that is announced with this size. Breaks, and answers that may be better the next time, are paid
    /// from `budget`.
    ///
    /// # Errors
    /// `E-CLOSURE-CORRUPT` where the source has another size; else what kept it from being opened. Another try is no use.
    pub async fn open(
        source: &'a Source,
        name: &'a str,
        announced: Option<u64>,
        patience: &'a Patience,
        budget: &'a mut Budget,
    ) -> Result<Self, Fault> {
        let opened = loop {
            match source.open(name, None, patience).await {
                Ok(opened) => break opened,
                Err(fault) => budget.spend(fault).await?,
            }
        };
        let url = source.place(name);
        let size = checked_size(&opened, announced, &url)?;
        let from = From { position: 0, etag: opened.etag };
        let stream = opened.stream;
        Ok(Self { url, source, name, patience, budget, stream, from, skip: 0, size, ranges: true, resumed: false })
    }

    /// The bytes before and after a break may be of different files, which only a fresh start can tell from
    /// a damaged one.
    pub fn was_resumed(&self) -> bool {
        self.resumed
    }

    /// The next bytes; none at the end.
    ///
    /// # Errors
    /// A fault that is final for this source.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        loop {
            let fault = match self.stream.next().await {
                Ok(Some(piece)) => match self.unseen(piece) {
                    Some(piece) => return Ok(Some(piece)),
                    None => continue,
                },
                Ok(None) if self.is_whole() => return Ok(None),
                Ok(None) => self.broken_off(),
                Err(_) if self.size == Some(self.from.position) => return Ok(None),
                Err(fault) => fault,
            };
            self.go_on(fault).await?;
        }
    }

    fn is_whole(&self) -> bool {
        self.skip == 0 && self.size.is_none_or(|size| self.from.position >= size)
    }

    fn broken_off(&self) -> Fault {
        let (position, size) = (self.from.position, self.size.unwrap_or(0));
        Fault::unreachable(format!("GET {}: the file ended after {position} of {size} bytes", self.url))
    }

    fn unseen(&mut self, mut piece: Bytes) -> Option<Bytes> {
        let seen = self.skip.min(piece.len() as u64);
        self.skip -= seen;
        piece.advance(usize::try_from(seen).unwrap_or(usize::MAX));
        self.from.position += piece.len() as u64;
        self.budget.progress(piece.len());
        Some(piece).filter(|piece| !piece.is_empty())
    }

    async fn go_on(&mut self, mut fault: Fault) -> Result<(), Fault> {
        if self.stream.too_slow {
            self.budget.forget_progress();
        }
        loop {
            self.budget.spend(fault).await?;
            match self.reopen().await {
                Ok(()) => return Ok(()),
                Err(next) if next.again => fault = next,
                Err(next) => return Err(next),
            }
        }
    }

    /// Asks for the rest; where that cannot be had, for the whole file, of which the beginning is skipped.
    /// Whether it is the same file is in the end for the hashes to say.
    async fn reopen(&mut self) -> Result<(), Fault> {
        let from = Some(&self.from).filter(|from| self.ranges && from.position > 0);
        let opened = self.source.open(self.name, from, self.patience).await.inspect_err(|_| self.ranges = false)?;
        let position = self.from.position;
        let fits = opened.size.is_none_or(|size| self.size.is_none_or(|known| known == size));
        let skip = match opened.begins {
            Some(begins) if begins == position && fits => 0,
            Some(0) => position,
            _ => {
                self.ranges = false;
                return Err(Fault::unreachable(format!("GET {}: the answer is another range", self.url)));
            }
        };
        self.size = checked_size(&opened, self.size, &self.url)?;
        (self.stream, self.from.etag, self.skip, self.resumed) = (opened.stream, opened.etag, skip, true);
        Ok(())
    }
}

/// The size of the file, where it is known. An encoded file is not the one that was announced.
fn checked_size(opened: &Opened, announced: Option<u64>, url: &str) -> Result<Option<u64>, Fault> {
    if let Some(encoding) = &opened.encoding {
        let remedy = "switch off compression by the web server for the cache's files: NARs are compressed already";
        let fault = Fault::corrupt(format!("GET {url}: it comes with Content-Encoding {encoding:?}"));
        return Err(fault.with_remedy(remedy));
    }
    match (opened.size, announced) {
        (Some(size), Some(announced)) if size != announced => {
            Err(Fault::corrupt(format!("GET {url}: the file has {size} bytes, not {announced} as announced")))
        }
        (size, announced) => Ok(size.or(announced)),
    }
}

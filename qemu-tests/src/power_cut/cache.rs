//! What a disk has answered and not yet made durable, as a pure value.

use super::random::Random;
use std::collections::VecDeque;

/// What a disk writes whole or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sector {
    /// 512 bytes: what a table of partitions has to live with.
    Logical,
    /// 4096 bytes, as Advanced Format writes them. ext4 counts on it: its superblock fills two logical sectors, and of one
    /// that is torn it reads neither the rest nor the journal that has it whole.
    Physical,
}

impl Sector {
    fn bytes(self) -> usize {
        match self {
            Sector::Logical => 512,
            Sector::Physical => 4096,
        }
    }
}

/// As much as a disk holds back; what is oldest makes room.
const ROOM: usize = 64 << 20;

/// Bytes for a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Where they begin.
    pub offset: u64,
    /// The bytes.
    pub data: Vec<u8>,
}

/// Writes in the order in which they came.
#[derive(Debug, Default)]
pub struct Cache {
    held: VecDeque<Write>,
    bytes: usize,
}

impl Cache {
    /// Holds a write back; returns what has to go to the medium instead.
    pub fn write(&mut self, offset: u64, data: Vec<u8>) -> Vec<Write> {
        self.bytes += data.len();
        self.held.push_back(Write { offset, data });
        let mut displaced = Vec::new();
        while self.bytes > ROOM {
            let Some(oldest) = self.held.pop_front() else { break };
            self.bytes -= oldest.data.len();
            displaced.push(oldest);
        }
        displaced
    }

    /// Puts what is held over what was read from the medium at this place.
    pub fn read_over(&self, offset: u64, read: &mut [u8]) {
        for write in &self.held {
            let begin = offset.max(write.offset);
            let end = (offset + read.len() as u64).min(write.offset + write.data.len() as u64);
            if begin < end {
                let length = (end - begin) as usize;
                let (to, from) = ((begin - offset) as usize, (begin - write.offset) as usize);
                read[to..to + length].copy_from_slice(&write.data[from..from + length]);
            }
        }
    }

    /// Everything, for the medium.
    pub fn flush(&mut self) -> Vec<Write> {
        self.bytes = 0;
        self.held.drain(..).collect()
    }

    /// What reaches the medium if the power fails now: nothing, the older part, or any of the writes, each of them whole
    /// or some of its sectors.
    pub fn left_by_a_cut(&self, sector: Sector, random: &mut Random) -> Vec<Write> {
        match random.below(4) {
            0 => Vec::new(),
            1 => {
                let count = random.below(self.held.len() as u64 + 1) as usize;
                let mut older: Vec<Write> = self.held.iter().take(count).cloned().collect();
                if let Some(torn) = older.pop() {
                    older.extend(sectors(&torn, sector, random));
                }
                older
            }
            _ => self
                .held
                .iter()
                .flat_map(|write| match random.below(4) {
                    0 | 1 => Vec::new(),
                    2 => vec![write.clone()],
                    _ => sectors(write, sector, random),
                })
                .collect(),
        }
    }
}

/// Some of the sectors of a write, which may begin and end within one.
fn sectors(write: &Write, sector: Sector, random: &mut Random) -> Vec<Write> {
    let (mut kept, mut offset, mut rest) = (Vec::new(), write.offset, &write.data[..]);
    while !rest.is_empty() {
        let to_the_next = sector.bytes() - (offset % sector.bytes() as u64) as usize;
        let (data, behind) = rest.split_at(to_the_next.min(rest.len()));
        if random.below(2) == 0 {
            kept.push(Write { offset, data: data.to_vec() });
        }
        (offset, rest) = (offset + data.len() as u64, behind);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Sectors of the disk that is tried.
    const SECTORS: u64 = 16;
    const SECTOR: usize = 512;

    #[derive(Debug, Clone)]
    enum Step {
        Write(u64, usize, u8),
        Flush,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let write =
            (0..SECTORS - 3, 1..=3usize, any::<u8>()).prop_map(|(at, count, byte)| Step::Write(at, count, byte));
        proptest::collection::vec(prop_oneof![4 => write, 1 => Just(Step::Flush)], 0..40)
    }

    fn put(disk: &mut [u8], writes: &[Write]) {
        for write in writes {
            disk[write.offset as usize..][..write.data.len()].copy_from_slice(&write.data);
        }
    }

    proptest! {
        #[test]
        fn a_cut_leaves_in_each_sector_what_was_flushed_or_something_written_since(steps in steps(), seed: u64) {
            let empty = vec![0; SECTORS as usize * SECTOR];
            let (mut cache, mut medium, mut seen) = (Cache::default(), empty.clone(), empty);
            let mut possible: Vec<Vec<u8>> = vec![vec![0]; SECTORS as usize];
            for step in steps {
                match step {
                    Step::Write(at, count, byte) => {
                        let data = vec![byte; count * SECTOR];
                        seen[at as usize * SECTOR..][..data.len()].fill(byte);
                        possible[at as usize..][..count].iter_mut().for_each(|bytes| bytes.push(byte));
                        put(&mut medium, &cache.write(at * SECTOR as u64, data));
                    }
                    Step::Flush => {
                        put(&mut medium, &cache.flush());
                        prop_assert_eq!(&medium, &seen);
                        possible.iter_mut().for_each(|bytes| { bytes.drain(..bytes.len() - 1); });
                    }
                }
            }
            let mut read = medium.clone();
            cache.read_over(0, &mut read);
            prop_assert_eq!(read, seen, "the machine reads what it wrote");
            put(&mut medium, &cache.left_by_a_cut(Sector::Logical, &mut Random::new(seed)));
            for (sector, possible) in medium.chunks(SECTOR).zip(possible) {
                prop_assert!(sector.iter().all(|byte| *byte == sector[0]), "a sector is torn");
                prop_assert!(possible.contains(&sector[0]), "{} was never there since the flush", sector[0]);
            }
        }

        #[test]
        fn a_part_is_read_as_the_whole(steps in steps(), from in 0..SECTORS as usize * SECTOR, length in 0..2000usize) {
            let mut cache = Cache::default();
            for step in steps {
                if let Step::Write(at, count, byte) = step {
                    cache.write(at * SECTOR as u64, vec![byte; count * SECTOR]);
                }
            }
            let mut whole = vec![0; SECTORS as usize * SECTOR];
            let mut part = vec![0; length.min(whole.len() - from)];
            cache.read_over(0, &mut whole);
            cache.read_over(from as u64, &mut part);
            prop_assert_eq!(&part[..], &whole[from..from + part.len()]);
        }
    }

    proptest! {
        #[test]
        fn a_physical_sector_is_written_whole_or_not_at_all(at in 0..8u64, count in 1..=40usize, seed: u64) {
            let (mut cache, mut medium) = (Cache::default(), vec![0; 48 * SECTOR]);
            cache.write(at * SECTOR as u64, vec![1; count * SECTOR]);
            let (mut all, none) = (medium.clone(), medium.clone());
            cache.read_over(0, &mut all);
            put(&mut medium, &cache.left_by_a_cut(Sector::Physical, &mut Random::new(seed)));
            for ((left, all), none) in medium.chunks(4096).zip(all.chunks(4096)).zip(none.chunks(4096)) {
                prop_assert!(left == all || left == none);
            }
        }
    }

    /// Writes the content, flushes or not, writes the mark that says that the content is there, and loses its power.
    fn marked_without_content(flushes: bool, seed: u64) -> bool {
        let (mut cache, mut medium) = (Cache::default(), vec![0; 2 * SECTOR]);
        cache.write(SECTOR as u64, vec![b'c'; SECTOR]);
        if flushes {
            put(&mut medium, &cache.flush());
        }
        cache.write(0, vec![b'm'; SECTOR]);
        put(&mut medium, &cache.left_by_a_cut(Sector::Logical, &mut Random::new(seed)));
        medium[0] == b'm' && medium[SECTOR] != b'c'
    }

    #[test]
    fn a_flush_that_is_missing_between_content_and_mark_comes_to_light() {
        assert!((0..100).all(|seed| !marked_without_content(true, seed)));
        assert!((0..100).any(|seed| marked_without_content(false, seed)));
    }

    #[test]
    fn what_is_too_much_makes_room_from_the_oldest_on() {
        let mut cache = Cache::default();
        assert!(cache.write(0, vec![1; ROOM]).is_empty());
        let displaced = cache.write(ROOM as u64, vec![2; SECTOR]);
        assert_eq!(displaced.iter().map(|write| write.offset).collect::<Vec<_>>(), [0]);
        assert_eq!(cache.flush().len(), 1);
    }
}

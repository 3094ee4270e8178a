//! QEMU's own client against the disk: `abort` ends qemu-io as a power cut ends QEMU.

use super::*;
use crate::command::output;

const SIZE: u64 = 1 << 20;

struct Bench {
    disk: VolatileDisk,
    _dir: tempfile::TempDir,
}

impl Bench {
    fn new(flush: Flush) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let image = dir.path().join("image");
        File::create(&image).and_then(|file| file.set_len(SIZE)).expect("an image");
        let disk = VolatileDisk::serve(&image, &dir.path().join("socket"), Sector::Logical, flush).expect("a disk");
        Bench { disk, _dir: dir }
    }

    /// Runs commands of qemu-io.
    fn qemu_io(&self, commands: &[&str]) -> Result<String> {
        let mut qemu_io = command("qemu-io", ["-f", "raw", "-t", "writeback"]);
        commands.iter().for_each(|line| {
            qemu_io.args(["-c", line]);
        });
        output(qemu_io.arg(format!("nbd+unix:///?socket={}", self.disk.socket.display())))
    }

    /// Runs commands of qemu-io and then cuts the power, for one seed.
    fn cut_after(&self, commands: &[&str], seed: u64) {
        let aborted = self.qemu_io(&[commands, &["abort"]].concat());
        aborted.expect_err("qemu-io aborts");
        self.disk.lose_power(&mut Random::new(seed)).expect("a power cut");
    }

    fn byte_at(&self, offset: u64) -> u8 {
        let mut byte = [0];
        self.disk.inner.image.read_exact_at(&mut byte, offset).expect("a byte");
        byte[0]
    }
}

#[test]
fn what_was_flushed_is_kept_and_what_was_not_is_lost() {
    let bench = Bench::new(Flush::Obeyed);
    let seeds = 0..8;
    let mut lost = 0;
    for seed in seeds.clone() {
        bench.cut_after(&["write -P 1 0 4k", "flush", "write -P 2 4k 4k"], seed);
        assert_eq!((bench.byte_at(0), bench.byte_at(4095)), (1, 1), "seed {seed}");
        lost += u32::from(bench.byte_at(4096) != 2);
        bench.cut_after(&["write -P 0 0 8k", "flush"], seed);
    }
    assert!(lost > 0, "no cut of {seeds:?} lost what was not flushed");
}

#[test]
fn a_disk_that_forgets_to_flush_loses_what_was_flushed() {
    let bench = Bench::new(Flush::Forgotten);
    let lost = (0..8).any(|seed| {
        bench.cut_after(&["write -P 1 0 4k", "flush"], seed);
        let lost = bench.byte_at(0) != 1;
        bench.cut_after(&["write -P 0 0 4k"], seed);
        lost
    });
    assert!(lost);
}

#[test]
fn the_machine_reads_what_it_wrote_and_nothing_lies_beyond_the_end() {
    let bench = Bench::new(Flush::Obeyed);
    let said = bench.qemu_io(&["write -P 7 512 1k", "read -P 7 512 1k", "read -P 0 2k 1k"]).expect("reading");
    assert!(!said.contains("verification failed"), "{said}");
    let beyond = bench.disk.inner.carry_out(Request::Write(SIZE - 1, vec![0; 2]));
    assert_eq!(beyond.map_err(|error| error.kind()), Err(ErrorKind::InvalidInput));
}

#[test]
fn a_copy_is_as_the_disk_would_be_and_the_machine_goes_on() {
    let bench = Bench::new(Flush::Obeyed);
    bench.qemu_io(&["write -P 5 0 4k", "flush"]).expect("writing");
    let copy = bench.disk.image.with_extension("copy");
    bench.disk.copy_as_if_cut(&mut Random::new(1), &copy).expect("a copy");
    assert_eq!(std::fs::read(&copy).expect("the copy")[..4096], [5; 4096]);
    bench.qemu_io(&["read -P 5 0 4k"]).expect("reading on");
}

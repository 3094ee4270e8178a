//! Makes closures: the stream that `nix-store --import` reads, from trees made here or drawn by a seed.

use std::io::{self, Read, Write};

/// An object of a store path.
pub enum Node {
    /// A file.
    File {
        /// Whether it may be run.
        executable: bool,
        /// What is in it.
        contents: Contents,
    },
    /// A symbolic link and its target.
    Symlink(Vec<u8>),
    /// A directory; its entries are sorted when it is written.
    Directory(Vec<(Vec<u8>, Node)>),
}

/// What is in a file.
pub enum Contents {
    /// These bytes.
    Bytes(Vec<u8>),
    /// So many zeros.
    Zeros(u64),
    /// So many bytes drawn by a seed, about as compressible as programs are.
    Drawn {
        /// How many.
        size: u64,
        /// Where the numbers begin.
        seed: u64,
    },
}

/// A store path to be.
pub struct Made {
    /// `HASH-name`.
    pub base: String,
    /// Base names, itself among them if so.
    pub references: Vec<String>,
    /// What it holds.
    pub root: Node,
}

/// A file of these bytes.
pub fn file(bytes: &[u8]) -> Node {
    Node::File { executable: false, contents: Contents::Bytes(bytes.to_vec()) }
}

/// Random numbers that are the same every time (splitmix64).
pub struct Draw(pub u64);

impl Draw {
    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The next number, less than this.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound.max(1)
    }

    /// About normally distributed.
    fn normal(&mut self) -> f64 {
        let sum: f64 = (0..12).map(|_| self.draw() as f64 / u64::MAX as f64).sum();
        sum - 6.0
    }

    /// A base name for a store path.
    pub fn base(&mut self, name: &str) -> String {
        let alphabet = b"0123456789abcdfghijklmnpqrsvwxyz";
        let hash: String = (0..32).map(|_| char::from(alphabet[self.below(32) as usize])).collect();
        format!("{hash}-{name}")
    }
}

/// A closure shaped like a NixOS system: most paths are tiny, a few hold most of the bytes. The last
/// path is the toplevel.
pub fn system(paths: usize, bytes: u64, seed: u64) -> Vec<Made> {
    let mut draw = Draw(seed);
    let sizes = path_sizes(paths, bytes, &mut draw);
    let mut closure: Vec<Made> = Vec::new();
    let mut referred = vec![false; paths];
    for (index, size) in sizes.into_iter().enumerate() {
        let last = index + 1 == paths;
        let base = draw.base(&if last { "nixos-system".to_owned() } else { format!("package-{index}") });
        let mut references: Vec<usize> = (0..draw.below(7)).map(|_| draw.below(index as u64) as usize).collect();
        references.retain(|other| *other < index);
        if last {
            references.extend((0..index).filter(|other| !referred[*other]));
        }
        references.sort_unstable();
        references.dedup();
        references.iter().for_each(|other| referred[*other] = true);
        let mut references: Vec<String> = references.into_iter().map(|other| closure[other].base.clone()).collect();
        if draw.below(2) == 0 {
            references.push(base.clone());
        }
        let root = if size < 4096 && draw.below(3) == 0 { drawn_file(size, &mut draw) } else { tree(size, &mut draw) };
        closure.push(Made { base, references, root });
    }
    closure
}

/// Log-normal with the median of nixos-minimal (46 KB), whose largest path has 12 % of all bytes.
fn path_sizes(paths: usize, bytes: u64, draw: &mut Draw) -> Vec<u64> {
    let mut sizes: Vec<f64> = (0..paths).map(|_| 46_000.0 * (3.6 * draw.normal()).exp()).collect();
    let largest = bytes as f64 * 0.12;
    if let Some(first) = sizes.first_mut() {
        *first = 0.0;
    }
    let (mut low, mut high) = (1.0, largest);
    for _ in 0..60 {
        let cap = (low + high) / 2.0;
        let sum: f64 = sizes.iter().map(|size| size.min(cap)).sum();
        if sum > bytes as f64 - largest { high = cap } else { low = cap }
    }
    let mut sizes: Vec<u64> = sizes.into_iter().map(|size| size.min(low) as u64).collect();
    // Somewhere in the middle of the references.
    sizes.swap(0, paths / 2);
    sizes[paths / 2] = largest as u64;
    sizes
}

fn drawn_file(size: u64, draw: &mut Draw) -> Node {
    let contents = Contents::Drawn { size, seed: draw.draw() };
    Node::File { executable: draw.below(4) == 0, contents }
}

/// Bytes. With it, 1.1 GiB is about 60,000 files and 28,000 directories, as in nixos-minimal.
const FILE_MEDIAN: f64 = 1800.0;

/// A directory tree of about `size` bytes: two files to a directory on average, as in nixos-minimal.
fn tree(size: u64, draw: &mut Draw) -> Node {
    let mut rest = size;
    let mut levels: Vec<Vec<(Vec<u8>, Node)>> = vec![Vec::new()];
    let mut number = 0;
    while rest > 0 {
        number += 1;
        let name = format!("f{:x}-{number}", draw.below(1 << 20)).into_bytes();
        match draw.below(16) {
            0 => levels.last_mut().expect("root").push((name, Node::Symlink(b"../elsewhere".to_vec()))),
            1..=4 if levels.len() < 8 => levels.push(Vec::new()),
            5..=8 if levels.len() > 1 => {
                let entries = levels.pop().expect("checked");
                levels.last_mut().expect("root").push((name, Node::Directory(entries)));
            }
            _ => {
                // One path in some is mostly one large file.
                let large = rest > (4 << 20) && draw.below(200) == 0;
                let drawn = if large { rest / 2 } else { (FILE_MEDIAN * (1.8 * draw.normal()).exp()) as u64 };
                let length = drawn.min(rest);
                rest -= length;
                levels.last_mut().expect("root").push((name, drawn_file(length, draw)));
            }
        }
    }
    while levels.len() > 1 {
        let entries = levels.pop().expect("checked");
        levels.last_mut().expect("root").push((b"rest".to_vec(), Node::Directory(entries)));
    }
    Node::Directory(levels.pop().expect("root"))
}

/// Writes the closure as `nix-store --export` does; references must come before what refers to them.
pub fn export(closure: &[Made], out: &mut impl Write) -> io::Result<()> {
    for made in closure {
        number(out, 1)?;
        string(out, b"nix-archive-1")?;
        node(out, &made.root)?;
        number(out, 0x4558_494e)?;
        string(out, format!("/nix/store/{}", made.base).as_bytes())?;
        number(out, made.references.len() as u64)?;
        for base in &made.references {
            string(out, format!("/nix/store/{base}").as_bytes())?;
        }
        string(out, b"")?;
        number(out, 0)?;
    }
    number(out, 0)
}

/// Writes an object as an archive holds it, after the magic word.
pub fn node(out: &mut impl Write, object: &Node) -> io::Result<()> {
    words(out, &["(", "type"])?;
    match object {
        Node::File { executable, contents } => {
            words(out, &["regular"])?;
            if *executable {
                words(out, &["executable", ""])?;
            }
            words(out, &["contents"])?;
            write_contents(out, contents)?;
        }
        Node::Symlink(target) => {
            words(out, &["symlink", "target"])?;
            string(out, target)?;
        }
        Node::Directory(entries) => {
            words(out, &["directory"])?;
            let mut sorted: Vec<&(Vec<u8>, Node)> = entries.iter().collect();
            sorted.sort_by_key(|(name, _)| name);
            for (name, object) in sorted {
                words(out, &["entry", "(", "name"])?;
                string(out, name)?;
                words(out, &["node"])?;
                node(out, object)?;
                words(out, &[")"])?;
            }
        }
    }
    words(out, &[")"])
}

fn write_contents(out: &mut impl Write, contents: &Contents) -> io::Result<()> {
    let (size, seed) = match contents {
        Contents::Bytes(bytes) => return string(out, bytes),
        Contents::Zeros(size) => {
            number(out, *size)?;
            io::copy(&mut io::repeat(0).take(*size), out)?;
            return pad(out, *size);
        }
        Contents::Drawn { size, seed } => (*size, *seed),
    };
    number(out, size)?;
    let mut draw = Draw(seed);
    let mut common = [0u8; 4096];
    common.chunks_mut(8).enumerate().for_each(|(at, word)| word.copy_from_slice(&Draw(at as u64).draw().to_le_bytes()));
    let mut rest = size as usize;
    while rest > 0 {
        let chance = draw.draw();
        let mut chunk = [0u8; 64];
        let at = (chance >> 8) as usize % (common.len() - 64);
        match chance % 10 {
            0..=2 => chunk.chunks_mut(8).for_each(|word| word.copy_from_slice(&draw.draw().to_le_bytes())),
            _ => chunk.copy_from_slice(&common[at..at + 64]),
        }
        let length = rest.min(64);
        out.write_all(&chunk[..length])?;
        rest -= length;
    }
    pad(out, size)
}

fn words(out: &mut impl Write, words: &[&str]) -> io::Result<()> {
    words.iter().try_for_each(|word| string(out, word.as_bytes()))
}

/// Writes a string of an archive: its length, its bytes, zeros up to eight.
pub fn string(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    number(out, bytes.len() as u64)?;
    out.write_all(bytes)?;
    pad(out, bytes.len() as u64)
}

/// Writes a number of an archive.
pub fn number(out: &mut impl Write, number: u64) -> io::Result<()> {
    out.write_all(&number.to_le_bytes())
}

fn pad(out: &mut impl Write, length: u64) -> io::Result<()> {
    out.write_all(&[0; 8][..(8 - length % 8) as usize % 8])
}

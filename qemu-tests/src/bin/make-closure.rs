//! `make-closure PATHS MIB`: a closure shaped like a NixOS system for `nix-store --import`, on standard
//! output; the toplevel's path on standard error. For `make bench`.

use qemu_tests::drawn_closure;
use std::io::{BufWriter, Write};

fn main() -> std::io::Result<()> {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|text| text.parse().ok()).collect();
    let [paths, mib] = numbers[..] else {
        eprintln!("usage: make-closure PATHS MIB");
        std::process::exit(2);
    };
    let closure = drawn_closure::system(paths as usize, mib << 20, 5);
    let mut out = BufWriter::with_capacity(1 << 20, std::io::stdout().lock());
    drawn_closure::export(&closure, &mut out)?;
    out.flush()?;
    if let Some(toplevel) = closure.last() {
        eprintln!("/nix/store/{}", toplevel.base);
    }
    Ok(())
}

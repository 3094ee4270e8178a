//! Links libblkid.a: the agent is one static file, docs/adr/0001.

fn main() {
    // The linker looks for it where the C compiler does; rustc would look in its own folders alone, to put a copy into the rlib.
    println!("cargo:rustc-link-lib=static:-bundle=blkid");
    println!("cargo:rerun-if-changed=build.rs");
}

# The binaries. Each is one static file, linked with glibc: docs/adr/0002.
{ pkgs }:
let
  inherit (pkgs) lib;
  manifest = lib.importTOML ../Cargo.toml;

  # nixpkgs removes static libraries; libblkid.a is what the agent links.
  utilLinux = pkgs.util-linuxMinimal.overrideAttrs (old: {
    dontDisableStatic = true;
    configureFlags = (old.configureFlags or [ ]) ++ [ "--enable-static" ];
  });

  crate =
    name:
    pkgs.rustPlatform.buildRustPackage {
      pname = name;
      inherit (manifest.workspace.package) version;
      src = lib.fileset.toSource {
        root = ../.;
        fileset = lib.fileset.unions [
          ../.cargo
          ../Cargo.toml
          ../Cargo.lock
          ../crates
          ../initrd-agent
          ../boot-server
          ../image-builder
          ../qemu-tests
        ];
      };
      cargoLock.lockFile = ../Cargo.lock;
      buildAndTestSubdir = name;
      nativeBuildInputs = [ pkgs.pkg-config ];
      buildInputs = [
        pkgs.glibc.static # .cargo/config.toml asks for crt-static
        utilLinux
      ];
      # The tests want root, QEMU and Debian's tools: make test.
      doCheck = false;
      meta = {
        mainProgram = name;
        license = lib.licenses.mit;
        platforms = [ "x86_64-linux" ];
      };
    };
in
lib.genAttrs [ "initrd-agent" "boot-server" "image-builder" ] crate

# A NixOS-shaped system made of Debian packages: one store path per package, linked by their Depends, and on top
# of them what a NixOS toplevel has. Everything is built by a static busybox, so that Nix needs nothing else.
#
#   inputs   a folder made by the caller: busybox/bin/*, debs/*.deb, packages.json, linux/{bzImage,lib/modules}, agent
{ inputs, agent }:
let
  busybox = builtins.path { path = inputs + "/busybox"; name = "busybox"; };

  run = name: script: variables:
    derivation ({
      inherit name;
      system = builtins.currentSystem;
      builder = "${busybox}/bin/sh";
      args = [ "-eu" script ];
      PATH = "${busybox}/bin";
    } // variables);

  packages = builtins.fromJSON (builtins.readFile (inputs + "/packages.json"));

  # The list has no cycles: the caller has taken out what closes one (libc6 and libgcc-s1).
  package = builtins.listToAttrs (map
    (p: {
      inherit (p) name;
      value = run "${p.name}-${p.version}" ./builders/package.sh {
        deb = builtins.path { path = inputs + "/debs/${p.file}"; name = "${p.name}.deb"; };
        depends = map (name: package.${name}) p.depends;
      };
    })
    packages);

  linux = run "linux" ./builders/linux.sh { linux = inputs + "/linux"; };

  initrdAgent = run "initrd-agent" ./builders/agent.sh { inherit agent; };

  etc = run "etc" ./builders/etc.sh { etc = ./etc; };

  systemPath = run "system-path" ./builders/system-path.sh {
    parts = builtins.attrValues package ++ [ linux initrdAgent ];
  };

  initrd = run "initrd" ./builders/initrd.sh { inherit busybox linux; stage1 = ./boot/stage-1.sh; };
in
run "nixos-system-demo-23.11.centra" ./builders/toplevel.sh {
  inherit busybox linux initrd etc;
  sw = systemPath;
  grub = package.grub2-common;
  systemdBoot = package.systemd-boot-efi;
  init = ./boot/init.sh;
  activate = ./boot/activate.sh;
  switch = ./boot/switch-to-configuration.sh;
  kernelParams = "console=tty0 console=ttyS0,115200n8 loglevel=4 systemd.show_status=true";
  preferLocalBuild = true;
  allowSubstitutes = false;
}

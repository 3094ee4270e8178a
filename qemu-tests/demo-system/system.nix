# A NixOS-shaped system made of Debian packages: one store path per package, linked by their Depends, and on top
# of them what a NixOS toplevel has. Everything is built by a static busybox, so that Nix needs nothing else.
#
#   inputs   a folder made by the caller: busybox/bin/*, debs/*.deb, packages.json, linux/{bzImage,lib/modules}
#   agent    the agent's binary
#   peer     the program that plays Chainfire, FlareDB and IAM; the node is then one of these, and not of etcd
#   stacked  whether stage 1 can open RAID, LUKS, LVM and btrfs; its kernel is then linux-stacked of the inputs
#   sealed   whether that stage 1 has no key and asks the TPM, with systemd's own tools
#   mounts   what stage 1 mounts, as it is written in boot/stage-1.sh
#   efiGrub  whether UEFI machines start GRUB, as NixOS installs it by default, and not systemd-boot
{ inputs, agent, peer ? "", stacked ? false, sealed ? false, mounts ? [ ], efiGrub ? false }:
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

  inherit (builtins.fromJSON (builtins.readFile (inputs + "/packages.json"))) packages system stage1;

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

  withDepends = names: map (item: item.key) (builtins.genericClosure {
    startSet = map (name: { key = name; }) names;
    operator = item: map (name: { key = name; }) (builtins.head (builtins.filter (p: p.name == item.key) packages)).depends;
  });

  linux = run "linux" ./builders/linux.sh { linux = inputs + (if stacked then "/linux-stacked" else "/linux"); };

  initrdAgent = run "initrd-agent" ./builders/agent.sh { inherit agent peer; };

  etc = run "etc" ./builders/etc.sh { inherit peer; etc = ./etc; };

  systemPath = run "system-path" ./builders/system-path.sh {
    parts = map (name: package.${name}) (withDepends system) ++ [ linux initrdAgent ];
  };

  # The tools are in the initrd alone, as NixOS has them.
  tools = run "stage-1-tools" ./builders/system-path.sh { parts = map (name: package.${name}) (withDepends stage1); };

  initrd = run "initrd" ./builders/initrd.sh {
    inherit busybox linux;
    stage1 = ./boot/stage-1.sh;
    tools = if stacked then tools else "";
    sealed = if sealed then "yes" else "";
  };
in
run "nixos-system-demo-23.11.centra" ./builders/toplevel.sh {
  inherit busybox linux initrd etc;
  sw = systemPath;
  grub = package.grub2-common;
  efiGrub = if efiGrub then package.grub-efi-amd64-bin else "";
  systemdBoot = package.systemd-boot-efi;
  init = ./boot/init.sh;
  activate = ./boot/activate.sh;
  switch = ./boot/switch-to-configuration.sh;
  kernelParams = toString ([ "console=tty0" "console=ttyS0,115200n8" "loglevel=4" "systemd.show_status=true" ]
    ++ map (mount: "stage1.mount=${mount}") mounts);
  preferLocalBuild = true;
  allowSubstitutes = false;
}

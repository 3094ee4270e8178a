# A boot image as a derivation: blobs and index, what image-builder deploy and the boot-server read.
{ pkgs, packages }:
{
  # trust.json of the boot-server; nothing in it is secret.
  trust,
  profile ? "vm",
  kernel ? pkgs.linuxPackages.kernel,
  extraModules ? [ ],
  extraTools ? [ ],
  # Their programs go into tool overlays; add bcachefs-tools or zfs where the kernel has the module.
  overlayPackages ? with pkgs; [
    btrfs-progs
    cryptsetup
    f2fs-tools
    lvm2
    mdadm
    thin-provisioning-tools
    xfsprogs
  ],
  # Names of tool sets that are put into the image itself, or [ "all" ].
  toolsInside ? [ ],
}:
let
  inherit (pkgs) lib;
  repeat = flag: values: lib.concatMapStrings (value: " ${flag} ${lib.escapeShellArg value}") values;
in
pkgs.runCommand "centra-image-${profile}"
  {
    nativeBuildInputs = [
      packages.image-builder
      pkgs.e2fsprogs
      pkgs.dosfstools
    ]
    ++ map lib.getBin overlayPackages;
  }
  ''
    image-builder build --profile ${lib.escapeShellArg profile} --out $out \
      --trust ${trust} --agent ${lib.getExe packages.initrd-agent} \
      --kernel ${kernel}/bzImage --modules ${kernel.modules or kernel}/lib/modules/${kernel.modDirVersion} \
      ${repeat "--extra-module" extraModules} ${repeat "--extra-tool" extraTools} \
      ${lib.optionalString (toolsInside != [ ]) "--with ${lib.escapeShellArg (lib.concatStringsSep "," toolsInside)}"}
  ''

# A boot image as a derivation: blobs and index, what image-builder deploy and the boot-server read.
{ pkgs, packages }:
{
  # trust.json of the boot-server; nothing in it is secret.
  trust,
  profile ? "vm",
  kernel ? pkgs.linuxPackages.kernel,
  extraModules ? [ ],
  extraTools ? [ ],
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
    ];
  }
  ''
    image-builder build --profile ${lib.escapeShellArg profile} --out $out \
      --trust ${trust} --agent ${lib.getExe packages.initrd-agent} \
      --kernel ${kernel}/bzImage --modules ${kernel.modules or kernel}/lib/modules/${kernel.modDirVersion} \
      ${repeat "--extra-module" extraModules} ${repeat "--extra-tool" extraTools}
  ''

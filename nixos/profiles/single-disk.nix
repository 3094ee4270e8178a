# One disk with an ESP and a root, and systemd-boot: disko's module must be there. The spec's selector says which disk.
{ lib, ... }:
{
  boot.loader.systemd-boot.enable = lib.mkDefault true;
  # Which network card and disk the machine has is known to the installer's initrd; this one is the system's own.
  boot.initrd.availableKernelModules = [
    "ahci"
    "nvme"
    "sd_mod"
    "virtio_blk"
    "virtio_pci"
  ];

  disko.devices.disk.main = {
    type = "disk";
    device = lib.mkDefault "/dev/disk/by-id/chosen-by-the-spec";
    content = {
      type = "gpt";
      partitions = {
        ESP = {
          size = "1G";
          type = "EF00";
          content = {
            type = "filesystem";
            format = "vfat";
            mountpoint = "/boot";
            mountOptions = [ "umask=0077" ];
          };
        };
        root = {
          size = "100%";
          content = {
            type = "filesystem";
            format = "ext4";
            mountpoint = "/";
          };
        };
      };
    };
  };
}

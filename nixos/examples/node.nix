# A node: an ESP and a root on one disk, systemd-boot, a member of etcd.
{ inputs, ... }:
{
  imports = [
    inputs.disko.nixosModules.disko
    inputs.centra.nixosModules.control-plane
  ];

  networking.hostName = "node-01";
  boot.loader.systemd-boot.enable = true;
  # Which network card and disk the machine has is known to the installer's initrd; this one is the system's own.
  boot.initrd.availableKernelModules = [
    "ahci"
    "nvme"
    "virtio_pci"
    "virtio_blk"
    "sd_mod"
  ];

  disko.devices.disk.main = {
    type = "disk";
    device = "/dev/disk/by-id/chosen-by-the-spec";
    content = {
      type = "gpt";
      partitions = {
        ESP = {
          size = "512M";
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

  system.stateVersion = "25.11";
}

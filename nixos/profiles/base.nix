# What every node has: a console on the serial port, and the joiner.
{ lib, ... }:
{
  imports = [ ../modules/first-boot-automation.nix ];

  services.first-boot-automation = {
    enable = lib.mkDefault true;
    openFirewall = lib.mkDefault true;
  };
  boot.kernelParams = [
    "console=tty0"
    "console=ttyS0,115200n8"
  ];
  # A node that hangs in a panic helps nobody.
  boot.kernel.sysctl."kernel.panic" = lib.mkDefault 30;
  services.openssh.enable = lib.mkDefault false;
}

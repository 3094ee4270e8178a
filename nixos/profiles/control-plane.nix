# A node that carries the cluster's state.
{ lib, ... }:
{
  imports = [ ./base.nix ];

  services.first-boot-automation.enableEtcd = lib.mkDefault true;
  networking.firewall.allowedTCPPorts = [
    2379
    2380
  ];
}

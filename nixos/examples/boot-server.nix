# A boot-server on 10.0.100.10 that gives addresses and waits for an admin to approve machines.
{ inputs, ... }:
{
  imports = [ inputs.centra.nixosModules.pxe-server ];

  services.centra-pxe-server = {
    enable = true;
    interface = "eth0";
    serverAddress = "10.0.100.10";
    dhcp = {
      subnet = "10.0.100.0";
      netmask = "255.255.255.0";
      broadcast = "10.0.100.255";
      range = {
        start = "10.0.100.100";
        end = "10.0.100.200";
      };
      router = "10.0.100.1";
      domainNameServers = [ "10.0.100.1" ];
    };
    nodes."52:54:00:12:34:56" = {
      hostname = "node-01";
      spec = inputs.self.nodes.node-01;
    };
  };
}

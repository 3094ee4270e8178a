# services.centra-pxe-server, evaluated with nixpkgs' lib. Every value must be true.
{ lib }:
let
  inherit (import ./stand-ins.nix { inherit lib; }) eval failed;

  server =
    extra:
    eval [
      ../modules/pxe-server.nix
      {
        services.centra-pxe-server = {
          enable = true;
          interface = "eth0";
          serverAddress = "10.0.100.10";
          dhcp = {
            subnet = "10.0.100.0";
            range.start = "10.0.100.100";
            range.end = "10.0.100.200";
          };
        };
      }
      { services.centra-pxe-server = extra; }
    ];
  settingsOf =
    config:
    builtins.fromJSON (
      builtins.head (builtins.match ".*boot-server.toml:([{].*[}]) config.toml.*" (
        lib.replaceStrings [ "\n" ] [ " " ] config.systemd.services.centra-pxe-server.preStart
      ))
    );
in
{
  "the server's configuration has the keys that it knows" =
    settingsOf (server { }) == {
      address = "10.0.100.10";
      dhcp = {
        mode = "full";
        interface = "eth0";
        subnet = "10.0.100.0/24";
        range_start = "10.0.100.100";
        range_end = "10.0.100.200";
        dns = [ ];
        ntp = [ ];
        lease_seconds = 43200;
        router_advertisements = false;
      };
      tftp.enabled = true;
      http.listen = "10.0.100.10:8080";
      https.listen = "10.0.100.10:8443";
      enrol.admission = [
        "token"
        "approval"
      ];
      images.default_profile = "vm";
      ipxe.dir = "/pkgs/ipxe";
    };
  "the CA of a new server is limited to what is permitted" =
    lib.hasInfix "--permit cluster.example --permit 10.0.0.0/8\n" (
      (server {
        caPermits = [
          "cluster.example"
          "10.0.0.0/8"
        ];
      }).systemd.services.centra-pxe-server.preStart
    );
  "a proxy needs no range" = failed (server { dhcp = { mode = "proxy"; subnet = lib.mkForce null; }; }) == [ ];
  "a full server without a subnet is refused" = failed (server { dhcp.subnet = lib.mkForce null; }) != [ ];
  "a broadcast address that does not fit is refused" =
    failed (server { dhcp.broadcast = "10.0.100.254"; }) != [ ]
    && failed (server { dhcp.broadcast = "10.0.100.255"; }) == [ ];
  "the firewall opens on the boot interface alone" =
    let
      inherit ((server { }).networking) firewall;
    in
    lib.attrNames firewall.interfaces == [ "eth0" ] && lib.elem 69 firewall.interfaces.eth0.allowedUDPPorts;
  "nodes are applied with their name and card" =
    let
      config = server { nodes."52:54:00:12:34:56" = { hostname = "n1"; spec.system = { }; }; };
      command = builtins.head config.systemd.services.centra-pxe-server-nodes.serviceConfig.ExecStart;
    in
    lib.hasInfix ''"macs":["52:54:00:12:34:56"]'' command && lib.hasInfix ''"name":"n1"'' command;
  "an address that nobody would reserve is refused" =
    failed (server { nodes."52:54:00:12:34:56" = { hostname = "n1"; ipAddress = "10.0.100.50"; }; }) != [ ];
}

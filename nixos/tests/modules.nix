# The modules evaluated with nixpkgs' lib and stand-ins for what they use of NixOS. Every value must be true.
{ lib }:
let
  # A path in place of a built file shows what would have been written.
  pkgs = {
    formats.toml = _: {
      type = lib.types.attrsOf lib.types.anything;
      generate = name: value: "${name}:${builtins.toJSON value}";
    };
    writeText = name: text: "${name}:${text}";
    ipxe = package "ipxe";
    etcd = package "etcd";
  };
  package = name: {
    type = "derivation";
    inherit name;
    outPath = "/pkgs/${name}";
    meta.mainProgram = name;
  };
  anything = lib.mkOption {
    type = lib.types.attrsOf lib.types.anything;
    default = { };
  };
  nixos = {
    options = {
      assertions = lib.mkOption { type = lib.types.listOf lib.types.unspecified; };
      systemd.services = lib.mkOption { type = lib.types.attrsOf (lib.types.attrsOf lib.types.anything); };
      systemd.package = lib.mkOption { default = "/pkgs/systemd"; };
      environment.systemPackages = lib.mkOption { type = lib.types.listOf lib.types.unspecified; };
      networking.firewall = anything;
      boot = anything;
      services.openssh = anything;
    };
    config._module.args = {
      inherit pkgs;
      centraPackages = lib.genAttrs [ "boot-server" "initrd-agent" ] package;
    };
  };
  eval =
    modules:
    (lib.evalModules {
      modules = [ nixos ] ++ modules;
    }).config;
  failed = config: map (check: check.message) (lib.filter (check: !check.assertion) config.assertions);

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
  node = extra: eval [
    ../profiles/control-plane.nix
    extra
  ];
  joined = (node { }).systemd.services;
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
      enrol.admission = "approval";
      images.default_profile = "vm";
      ipxe.dir = "/pkgs/ipxe";
    };
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
  "a control plane joins etcd before its health is checked" =
    lib.elem "etcd-cluster-join.service" joined.cluster-health-check.after
    && joined.etcd-cluster-join.serviceConfig.SuccessExitStatus == 2
    && joined.etcd.unitConfig.ConditionPathExists == "/var/lib/first-boot-automation/etcd.env"
    && failed (node { }) == [ ];
  "chainfire is joined behind etcd, on a port of its own" =
    let
      config = node { services.first-boot-automation = { enableChainfire = true; chainfirePort = 2381; }; };
      unit = config.systemd.services.chainfire-cluster-join;
    in
    failed config == [ ]
    && lib.elem "etcd-cluster-join.service" unit.after
    && lib.hasInfix "join chainfire" unit.serviceConfig.ExecStart
    && failed (node { services.first-boot-automation.enableChainfire = true; }) != [ ];
  "what the agent cannot join is refused" = failed (node { services.first-boot-automation.enableIAM = true; }) != [ ];
  "a worker joins nothing" =
    (eval [ ../profiles/worker.nix ]).systemd.services == { };
}

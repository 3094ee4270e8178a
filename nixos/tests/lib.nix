# Needs no nixpkgs: nix-instantiate --eval --strict nixos/tests/lib.nix. Every value must be true.
let
  inherit (import ../lib) mkNode layout ipv4;
  refused = value: !(builtins.tryEval (builtins.deepSeq value value)).success;
  hash = "0123456789abcdfghijklmnpqrsvwxyz";
  small = {
    name = "n1";
    match.macs = [ "52:54:00:00:00:01" ];
    toplevel = "/nix/store/${hash}-nixos";
    substituters = [ ];
    trustedPublicKeys = [ ];
    devices.disk.main = {
      type = "disk";
      device = "/dev/vda";
      _create = { }: "sgdisk";
      preCreateHook = null;
      content.partitions.root = {
        _index = 1;
        size = "100%";
      };
    };
  };
in
{
  "a mask has a prefix length" = map ipv4.prefixLength [
    "255.255.255.0"
    "255.255.240.0"
    "0.0.0.0"
    "255.255.255.255"
  ] == [
    24
    20
    0
    32
  ];
  "a mask with a hole is refused" = refused (ipv4.prefixLength "255.0.255.0") && refused (ipv4.prefixLength "255.3.0.0");
  "what is no address is refused" = refused (ipv4.prefixLength "255.255.255") && refused (ipv4.prefixLength "256.0.0.0");
  "a network has a broadcast address" = ipv4.broadcast "10.0.16.0" "255.255.240.0" == "10.0.31.255";
  "a spec has what was given and nothing else" =
    mkNode small == {
      name = "n1";
      match.macs = [ "52:54:00:00:00:01" ];
      system = {
        toplevel = "/nix/store/${hash}-nixos";
        substituters = [ ];
        trusted_public_keys = [ ];
      };
      disks.devices.disk.main = {
        type = "disk";
        device = "/dev/vda";
        content.partitions.root.size = "100%";
      };
    };
  "what the server has a default for may be given" =
    let
      spec = mkNode (
        small
        // {
          bootOrder = "disk-first";
          wipe.main = "wipe";
          hold = true;
          keep = [ "/home" ];
          health = "warn";
          allowHooks = true;
        }
      );
    in
    spec.boot.order == "disk-first" && spec.disks.wipe.main == "wipe"
    && spec.disks.hold
    && spec.disks.keep == [ "/home" ]
    && spec.disks.health == "warn"
    && spec.disks.allow_hooks
    && !(spec.disks ? discard);
  "a layout and toplevel are taken from a configuration" =
    let
      nixosConfiguration.config = {
        system.build.toplevel = {
          type = "derivation";
          outPath = "/nix/store/${hash}-system";
        };
        disko.devices.disk = { };
      };
      spec = mkNode (builtins.removeAttrs small [ "toplevel" "devices" ] // { inherit nixosConfiguration; });
    in
    spec.system.toplevel == "/nix/store/${hash}-system" && spec.disks.devices == { disk = { }; };
  "a layout loses disko's workings and nothing of the operator's" =
    layout {
      _config = { }: { };
      _packages = [ ];
      disk.main = {
        _parent.type = "root";
        content = {
          _create = "sgdisk";
          extraArgs = [
            "-f"
            (_: "x")
          ];
          settings = {
            keyFile = /tmp/k;
            fallback = null;
          };
          subvolumes._active.mountpoint = "/";
        };
      };
      zpool.z.datasets.__root._name = "z";
      lvm_vg.pool.lvs._data.size = "1G";
    } == {
      disk.main.content = {
        extraArgs = [ "-f" ];
        settings.keyFile = "/tmp/k";
        subvolumes._active.mountpoint = "/";
      };
      zpool.z.datasets = { };
      lvm_vg.pool.lvs._data.size = "1G";
    };
  "a profile and a cluster are taken from a configuration, and what is not set stays out" =
    let
      nixosConfiguration.config.services.first-boot-automation = {
        role = "worker";
        clusterConfig = {
          node_id = "n1";
          bootstrap = false;
          rack = null;
          initial_peers = [ ];
        };
      };
      spec = mkNode (small // { inherit nixosConfiguration; });
    in
    spec.profile == "worker"
    && spec.cluster == {
      node_id = "n1";
      bootstrap = false;
    };
  "a cluster that is given wins" =
    (mkNode (small // { cluster.node_id = "n2"; })).cluster.node_id == "n2";
  "the examples' cluster configurations have what is required" = builtins.all (
    file:
    let
      config = builtins.fromJSON (builtins.readFile file);
    in
    builtins.all (key: config ? ${key}) (
      [
        "node_id"
        "node_role"
        "bootstrap"
        "cluster_name"
        "leader_url"
        "raft_addr"
      ]
      ++ (if config.bootstrap then [ "initial_peers" "flaredb_peers" ] else [ ])
    )
  ) [
    ../examples/bootstrap-cluster/cluster-config-bootstrap.json
    ../examples/joining-node/cluster-config-join.json
    ../examples/all-in-one/cluster-config-all-in-one.json
  ];
  "a spec is JSON" = builtins.isString (builtins.toJSON (mkNode small));
}

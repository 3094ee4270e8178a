# The examples' flakes, evaluated with stand-ins for their inputs. Every value must be true.
{
  lib,
  stand-ins ? import ./stand-ins.nix { inherit lib; },
}:
let
  inherit (stand-ins) failed inputs;
  outputsOf =
    flake:
    let
      self = (import flake).outputs (inputs // { inherit self; });
    in
    self;
  example = folder: outputsOf (../examples + "/${folder}/flake.nix");
  configOf = folder: kind: lib.importJSON (../examples + "/${folder}/cluster-config-${kind}.json");

  sound =
    folder:
    let
      flake = example folder;
    in
    lib.all (
      name:
      failed flake.nixosConfigurations.${name}.config == [ ]
      && builtins.isString (builtins.toJSON flake.nodes.${name})
      && flake.nodes.${name}.name == name
      && flake.nodes.${name}.cluster.node_id == name
    ) (lib.attrNames flake.nixosConfigurations);

  founders = (example "bootstrap-cluster").nodes;
in
{
  "the examples evaluate to nodes" = lib.all sound [
    "bootstrap-cluster"
    "joining-node"
    "all-in-one"
  ];
  "three founders have the same founders" =
    lib.length (lib.attrNames founders) == 3
    && lib.all (
      node: node.cluster.bootstrap && node.cluster.initial_peers == founders.node01.cluster.initial_peers
    ) (lib.attrValues founders);
  "the founders' layout is disko's" =
    founders.node01.disks.devices.disk.main.content.partitions.root.content.mountpoint == "/";
  "the configurations beside the flakes are what these make" =
    configOf "bootstrap-cluster" "bootstrap" == founders.node01.cluster
    && configOf "joining-node" "join" == (example "joining-node").nodes.node04.cluster
    && configOf "all-in-one" "all-in-one" == (example "all-in-one").nodes.aio01.cluster;
  "a boot-server is told of its node" =
    let
      inherit ((outputsOf ../examples/flake.nix).nixosConfigurations) boot-server node-01;
    in
    failed boot-server.config == [ ]
    && failed node-01.config == [ ]
    &&
      lib.hasInfix ''"node_id":"node-01"''
        (builtins.head boot-server.config.systemd.services.centra-pxe-server-nodes.serviceConfig.ExecStart);
}

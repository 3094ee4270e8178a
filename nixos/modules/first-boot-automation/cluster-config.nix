# cluster-config.json (crates/protocol/src/cluster.rs) as an option. NixOS does not write it, or it would be in the Nix store:
# lib.mkNode puts it into the node's spec, and the installer writes it.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.services.first-boot-automation;
  services = import ./services.nix { inherit lib config; };
  name = types.strMatching "[A-Za-z0-9._-]{1,253}";
  port = ":[0-9]{1,5}";
  peer = types.strMatching "([A-Za-z0-9._-]+|\\[[0-9a-fA-F:.]+])${port}";

  optional =
    type: description:
    mkOption {
      type = types.nullOr type;
      default = null;
      inherit description;
    };
  peers =
    description:
    mkOption {
      type = types.listOf peer;
      default = [ ];
      inherit description;
    };

  keys = {
    node_id = mkOption {
      type = name;
      default = config.networking.hostName;
      defaultText = lib.literalExpression "config.networking.hostName";
      description = "Unique in the cluster.";
    };
    node_role = mkOption {
      type = types.enum roles;
      description = "What the node is for; its role where a profile gives one.";
    };
    bootstrap = mkOption {
      type = types.bool;
      default = false;
      description = "One of the founders.";
    };
    cluster_name = mkOption {
      type = name;
      description = "Name of the cluster.";
    };
    leader_url = mkOption {
      type = types.strMatching "https://[^/?#@]+/?";
      example = "https://node01.example.com:2379";
      description = "A member that takes joins; on a founder itself.";
    };
    raft_addr = mkOption {
      type = types.strMatching "([0-9.]+|\\[[0-9a-fA-F:.]+])${port}";
      example = "10.0.200.10:2380";
      description = "Where the other members reach this node.";
    };
    initial_peers = peers "HOST:PORT of every founder. A founder must have them.";
    flaredb_peers = peers "The same for FlareDB. A founder that has FlareDB must have them.";
    node_ip = optional types.str "Its address, where that is not raft_addr's.";
    node_fqdn = optional types.str "Its full name.";
    datacenter = optional types.str "Where it stands.";
    rack = optional types.str "Where it stands.";
    services = mkOption {
      type = types.attrsOf types.anything;
      default = { };
      description = "For each service.";
    };
    tls = optional (types.attrsOf types.str) "ca_cert_path, node_cert_path and node_key_path, where they are elsewhere.";
    network = mkOption {
      type = types.attrsOf types.str;
      default = { };
      example.cluster = "10.0.200.0/24";
      description = "CIDRs by name. The firewall lets them in.";
    };
  };
  roles = [
    "control-plane"
    "worker"
    "all-in-one"
  ];
  given = cfg.clusterConfig;
in
{
  options.services.first-boot-automation = {
    role = optional (types.enum roles) "What the node is for; the profiles set it.";

    clusterConfig = mkOption {
      type = types.nullOr (
        types.submodule {
          options = keys;
          config.node_role = lib.mkIf (cfg.role != null) (lib.mkDefault cfg.role);
          # What the agent and the boot-server are not told they take as usual.
          config.services = lib.listToAttrs (
            map (service: lib.nameValuePair service.name { port = lib.mkDefault service.port; }) (
              lib.filter (service: service.port != service.usualPort) services
            )
          );
        }
      );
      default = null;
      description = "What lib.mkNode makes the node's cluster-config.json of. In the system only the firewall depends on it.";
    };
  };

  config = lib.mkIf (cfg.enable && given != null) {
    assertions = [
      {
        assertion = given.bootstrap -> given.initial_peers != [ ];
        message = "services.first-boot-automation.clusterConfig.initial_peers: a founder needs all founders";
      }
      {
        assertion = given.bootstrap && cfg.enableFlareDB -> given.flaredb_peers != [ ];
        message = "services.first-boot-automation.clusterConfig.flaredb_peers: a founder needs all founders";
      }
    ];
  };
}

# The services that a node can enter, in the order of entering: each waits for those before it.
{ lib, config }:
let
  cfg = config.services.first-boot-automation;
  portOf = service: option: default: config.services.${service}.${option} or default;
  # etcd's and Chainfire's.
  raftPort =
    if cfg.clusterConfig == null then
      2380
    else
      lib.toInt (lib.last (lib.splitString ":" cfg.clusterConfig.raft_addr));
in
lib.filter (service: service.enable) [
  {
    name = "etcd";
    unit = "etcd-cluster-join";
    description = "Join the etcd cluster on first boot";
    enable = cfg.enableEtcd;
    port = cfg.etcdPort;
    usualPort = 2379; # what the agent takes where it is told nothing
    # For the other members.
    clusterPorts = [ raftPort ];
    requires = [ ];
  }
  {
    name = "chainfire";
    unit = "chainfire-cluster-join";
    description = "Join the Chainfire cluster on first boot";
    enable = cfg.enableChainfire;
    port = cfg.chainfirePort;
    usualPort = 2379;
    clusterPorts = [
      raftPort
      (portOf "chainfire" "gossipPort" 2381)
    ];
    requires = [ ];
  }
  {
    name = "flaredb";
    unit = "flaredb-cluster-join";
    description = "Join the FlareDB cluster on first boot";
    enable = cfg.enableFlareDB;
    port = cfg.flaredbPort;
    usualPort = 2479;
    clusterPorts = [ (portOf "flaredb" "raftPort" (cfg.flaredbPort + 1)) ];
    requires = lib.optional cfg.enableChainfire "chainfire-cluster-join.service";
  }
  {
    name = "iam";
    unit = "iam-initial-setup";
    description = "Set up IAM on first boot";
    enable = cfg.enableIAM;
    port = cfg.iamPort;
    usualPort = 8080;
    clusterPorts = [ ];
    requires = [ ];
  }
]

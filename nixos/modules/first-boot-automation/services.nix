# The services that a node can enter, in the order of entering: each waits for those before it.
{ lib, config }:
let
  cfg = config.services.first-boot-automation;
  portOf = service: option: default: config.services.${service}.${option} or default;
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
    clusterPorts = [ 2380 ];
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
      (portOf "chainfire" "raftPort" 2380)
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
    clusterPorts = [ (portOf "flaredb" "raftPort" 2480) ];
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

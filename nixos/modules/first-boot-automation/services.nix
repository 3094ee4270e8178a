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
    clusterPorts = [ (portOf "flaredb" "raftPort" 2480) ];
    requires = lib.optional cfg.enableChainfire "chainfire-cluster-join.service";
  }
  {
    name = "iam";
    unit = "iam-initial-setup";
    description = "Set up IAM on first boot";
    enable = cfg.enableIAM;
    port = cfg.iamPort;
    clusterPorts = [ ];
    requires = [ ];
  }
]

# etcd as a member of the cluster: configured and started by its joiner.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.first-boot-automation;
  sandbox = import ./sandbox.nix;
  # All that etcd needs to know, written by the joiner.
  stateDir = "/var/lib/first-boot-automation";
  environmentFile = "${stateDir}/etcd.env";
in
{
  options.services.first-boot-automation = {
    enableEtcd = mkOption {
      type = types.bool;
      default = false;
      description = "Run etcd as a member of the cluster.";
    };

    etcdPackage = lib.mkPackageOption pkgs "etcd" { };

    etcdRevocationList = mkOption {
      type = types.bool;
      default = true;
      description = ''
        Have etcd refuse certificates whose keys were revoked: by ca.crl beside ca.crt, which the renewal's timer keeps fresh.
        A node that an earlier release installed has no such list in its etcd.env.
      '';
    };

    etcdPort = mkOption {
      type = types.port;
      default = 2379;
      description = "etcd's client port.";
    };
  };

  config = lib.mkIf (cfg.enable && cfg.enableEtcd) {
    assertions = [
      {
        assertion = !(config.services.etcd.enable or false);
        message = "services.first-boot-automation.enableEtcd runs etcd itself; leave services.etcd off";
      }
    ];

    systemd.services.etcd = {
      description = "etcd, member of the cluster";
      wantedBy = [ "multi-user.target" ];
      wants = [ "network-online.target" ];
      after = [ "network-online.target" ];
      # Before it is written there is no cluster that etcd could belong to.
      unitConfig.ConditionPathExists = environmentFile;
      # A marker counts only with the data that it was made with: on an emptied folder etcd would found the cluster anew.
      unitConfig.ConditionPathExistsGlob = [
        "|/var/lib/etcd/member/wal/*.wal"
        "|!${stateDir}/.etcd-*"
      ];
      environment = {
        ETCD_LOGGER = "zap";
        ETCD_LOG_LEVEL = "warn";
      };
      serviceConfig = sandbox // {
        Type = "notify";
        EnvironmentFile = environmentFile;
        ExecStart = lib.getExe' cfg.etcdPackage "etcd";
        StateDirectory = "etcd";
        Restart = "on-failure";
        RestartSec = 2;
        # A founder is ready when a majority of the founders is there.
        TimeoutStartSec = "infinity";
        LimitNOFILE = 65536;
      }
      // lib.optionalAttrs (!cfg.etcdRevocationList) {
        UnsetEnvironment = [
          "ETCD_CLIENT_CRL_FILE"
          "ETCD_PEER_CRL_FILE"
        ];
      };
    };

    environment.systemPackages = [ cfg.etcdPackage ]; # etcdctl
  };
}

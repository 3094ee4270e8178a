# services.first-boot-automation: joins this node to its cluster on its first boot.
{
  config,
  lib,
  pkgs,
  centraPackages ? null,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.first-boot-automation;
  agent = lib.getExe cfg.package;
  secretsDir = dirOf cfg.configFile;

  # Services that this release of the agent can join.
  drivers = [
    "etcd"
    "chainfire"
  ];

  # In the order of joining: what is later waits for what is earlier, where both are there.
  services = [
    {
      name = "etcd";
      unit = "etcd-cluster-join";
      enable = cfg.enableEtcd;
      port = cfg.etcdPort;
      requires = false;
    }
    {
      name = "chainfire";
      unit = "chainfire-cluster-join";
      enable = cfg.enableChainfire;
      port = cfg.chainfirePort;
      requires = false;
    }
    {
      name = "flaredb";
      unit = "flaredb-cluster-join";
      enable = cfg.enableFlareDB;
      port = cfg.flaredbPort;
      requires = cfg.enableChainfire; # chainfire-cluster-join
    }
    {
      name = "iam";
      unit = "iam-initial-setup";
      enable = cfg.enableIAM;
      port = cfg.iamPort;
      requires = cfg.enableFlareDB; # flaredb-cluster-join
    }
  ];
  enabled = lib.filter (service: service.enable) services;
  unitOf = service: "${service.unit}.service";

  common = [
    "--config"
    cfg.configFile
    "--secrets-dir"
    secretsDir
  ];

  joinUnit =
    index: service:
    let
      # The unit right before in the order, if it is there.
      before = lib.take index enabled;
      previous = lib.optional (before != [ ]) (unitOf (lib.last before));
    in
    lib.nameValuePair service.unit {
      description = "Join the ${service.name} cluster on first boot";
      wantedBy = [ "multi-user.target" ];
      wants = [ "network-online.target" ];
      after = [
        "network-online.target"
        "${service.name}.service"
      ]
      ++ previous;
      requires = lib.optionals service.requires previous;
      before = lib.optional cfg.enableHealthCheck "cluster-health-check.service";
      path = [ config.systemd.package ]; # the joiner starts etcd
      unitConfig = {
        ConditionPathExists = cfg.configFile;
        StartLimitIntervalSec = 0;
      };
      serviceConfig = {
        Type = "oneshot";
        RemainAfterExit = true;
        ExecStart = lib.escapeShellArgs (
          [
            agent
            "join"
            service.name
          ]
          ++ common
          ++ [
            "--port"
            (toString service.port)
            "--attempts"
            (toString cfg.attempts)
            "--health-timeout"
            (toString cfg.healthTimeout)
          ]
        );
        SuccessExitStatus = 2; # already a member
        Restart = "on-failure";
        RestartPreventExitStatus = 3; # the configuration will not get better by itself
        RestartSec = cfg.restartSeconds;
        StateDirectory = "first-boot-automation";
      };
    };
in
{
  options.services.first-boot-automation = {
    enable = lib.mkEnableOption "joining the cluster on first boot";

    package = mkOption {
      type = types.package;
      default = centraPackages.initrd-agent;
      defaultText = lib.literalExpression "initrd-agent of the flake";
      description = "The agent.";
    };

    configFile = mkOption {
      type = types.path;
      default = "/etc/nixos/secrets/cluster-config.json";
      description = "Written by the installer; ca.crt, node.crt and node.key lie beside it.";
    };

    enableEtcd = mkOption {
      type = types.bool;
      default = false;
      description = "Run etcd as a member of the cluster.";
    };

    enableChainfire = mkOption {
      type = types.bool;
      default = config.services.chainfire.enable or false;
      defaultText = lib.literalExpression "config.services.chainfire.enable or false";
      description = "Join Chainfire.";
    };

    enableFlareDB = mkOption {
      type = types.bool;
      default = config.services.flaredb.enable or false;
      defaultText = lib.literalExpression "config.services.flaredb.enable or false";
      description = "Join FlareDB.";
    };

    enableIAM = mkOption {
      type = types.bool;
      default = config.services.iam.enable or false;
      defaultText = lib.literalExpression "config.services.iam.enable or false";
      description = "Set up IAM.";
    };

    enableHealthCheck = mkOption {
      type = types.bool;
      default = true;
      description = "Check the services that were joined.";
    };

    etcdPort = mkOption {
      type = types.port;
      default = 2379;
      description = "etcd's client port.";
    };

    chainfirePort = mkOption {
      type = types.port;
      default = 2379;
      description = "Chainfire's client port.";
    };

    flaredbPort = mkOption {
      type = types.port;
      default = 2479;
      description = "FlareDB's client port.";
    };

    iamPort = mkOption {
      type = types.port;
      default = 8080;
      description = "IAM's port.";
    };

    attempts = mkOption {
      type = types.ints.between 1 1000;
      default = 5;
      description = "How often the cluster is asked before the unit fails and is started again.";
    };

    healthTimeout = mkOption {
      type = types.ints.positive;
      default = 120;
      description = "Seconds that a service on this node may take to become healthy.";
    };

    restartSeconds = mkOption {
      type = types.ints.positive;
      default = 10;
      description = "Seconds until a join that failed is tried again.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = lib.all (service: lib.elem service.name drivers) enabled;
        message = "services.first-boot-automation: this release joins ${lib.concatStringsSep " and " drivers} only";
      }
      {
        assertion = cfg.enableEtcd && cfg.enableChainfire -> cfg.etcdPort != cfg.chainfirePort;
        message = "services.first-boot-automation: etcdPort and chainfirePort are the same";
      }
      {
        assertion = cfg.enableEtcd -> !(config.services.etcd.enable or false);
        message = "services.first-boot-automation.enableEtcd runs etcd itself; leave services.etcd off";
      }
    ];

    systemd.services = lib.mkMerge [
      (lib.listToAttrs (lib.imap0 joinUnit enabled))

      (lib.mkIf cfg.enableEtcd {
        etcd = {
          description = "etcd, member of the cluster";
          wantedBy = [ "multi-user.target" ];
          wants = [ "network-online.target" ];
          after = [ "network-online.target" ];
          # Written by the joiner with all that etcd needs: before it there is no cluster that etcd could belong to.
          unitConfig.ConditionPathExists = "/var/lib/first-boot-automation/etcd.env";
          environment = {
            ETCD_LOGGER = "zap";
            ETCD_LOG_LEVEL = "warn";
          };
          serviceConfig = {
            Type = "notify";
            EnvironmentFile = "/var/lib/first-boot-automation/etcd.env";
            ExecStart = lib.getExe' pkgs.etcd "etcd";
            # As root: the node's key is readable for nobody else.
            NoNewPrivileges = true;
            ProtectHome = true;
            ProtectSystem = "full";
            StateDirectory = "etcd";
            StateDirectoryMode = "0700";
            Restart = "on-failure";
            RestartSec = 2;
            TimeoutStartSec = "infinity";
            LimitNOFILE = 65536;
          };
        };
      })

      (lib.mkIf (cfg.enableHealthCheck && enabled != [ ]) {
        cluster-health-check = {
          description = "Check the cluster's services on this node";
          wantedBy = [ "multi-user.target" ];
          after = map unitOf enabled;
          unitConfig.ConditionPathExists = cfg.configFile;
          serviceConfig = {
            Type = "oneshot";
            ExecStart = lib.escapeShellArgs (
              [
                agent
                "health-check"
              ]
              ++ map (service: service.name) enabled
              ++ common
            );
            StateDirectory = "first-boot-automation";
          };
        };
      })
    ];

    environment.systemPackages = [ cfg.package ];
  };
}

# services.first-boot-automation: makes this node a member of its cluster on its first boot.
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
  sandbox = import ./first-boot-automation/sandbox.nix;
  services = import ./first-boot-automation/services.nix { inherit lib config; };
  unitOf = service: "${service.unit}.service";

  command =
    arguments:
    lib.escapeShellArgs (
      [ agent ]
      ++ map toString arguments
      ++ [
        "--config"
        cfg.configFile
        "--secrets-dir"
        secretsDir
        "--call-timeout"
        (toString cfg.callTimeout)
      ]
    );

  joinUnit =
    index: service:
    let
      previous = lib.optional (index > 0) (unitOf (lib.elemAt services (index - 1)));
      later = lib.drop (index + 1) services;
      next =
        if later != [ ] then
          [ (unitOf (lib.head later)) ]
        else
          lib.optional cfg.enableHealthCheck "cluster-health-check.service";
    in
    lib.nameValuePair service.unit {
      inherit (service) description requires;
      wantedBy = [ "multi-user.target" ];
      wants = [ "network-online.target" ];
      after = [
        "network-online.target"
        "${service.name}.service"
      ]
      ++ previous;
      before = next;
      path = [
        config.systemd.package # the joiner starts etcd, and reads what a service said last
      ]
      ++ lib.optional (service.name == "etcd") cfg.etcdPackage; # its release, and a snapshot where its cluster was lost
      unitConfig.StartLimitIntervalSec = 0;
      serviceConfig =
        sandbox
        // {
          Type = "oneshot";
          RemainAfterExit = true;
          ExecStart = command (
            [
              "join"
              service.name
            ]
            ++ lib.concatMap (other: [
              "--then"
              other.name
            ]) later
            ++ [
              "--port"
              service.port
              "--attempts"
              cfg.attempts
              "--retry-base"
              cfg.retryBase
              "--health-timeout"
              cfg.healthTimeout
            ]
          );
          SuccessExitStatus = 2; # already a member
          Restart = "on-failure";
          # What requires this waits for the next try. Otherwise it would fail with the first one, and stay so.
          RestartMode = "direct";
          RestartPreventExitStatus = 3; # the configuration will not get better by itself
          RestartSec = cfg.restartSeconds;
          # A node may wait for its turn as long as it takes.
          TimeoutStartSec = "infinity";
          StateDirectory = [ "first-boot-automation" ] ++ lib.optional (service.name == "etcd") "etcd";
          # Who listens on the service's port is read from the descriptors of other processes.
          CapabilityBoundingSet = sandbox.CapabilityBoundingSet ++ [ "CAP_SYS_PTRACE" ];
          # Whether the clock is synchronised is asked with calls that could set it, had the unit CAP_SYS_TIME.
          SystemCallFilter = sandbox.SystemCallFilter ++ [ "adjtimex clock_adjtime" ];
        }
        # systemd before 254 knows neither these nor RestartMode, and says so.
        // lib.optionalAttrs (cfg.restartMaxSeconds > cfg.restartSeconds) {
          RestartSteps = 5;
          RestartMaxDelaySec = cfg.restartMaxSeconds;
        }
        // lib.optionalAttrs (service.name == "iam") {
          ReadWritePaths = "-${secretsDir}"; # the initial token
        };
    };
in
{
  imports = [
    ./first-boot-automation/cluster-config.nix
    ./first-boot-automation/etcd.nix
    ./first-boot-automation/firewall.nix
    ./first-boot-automation/renewal.nix
    ./first-boot-automation/unseal.nix
  ];

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
      description = "Check the services that were joined, and report to the boot-server: the node's heartbeat.";
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

    healthCheckInterval = mkOption {
      type = types.ints.positive;
      default = 60;
      description = "Seconds between two health checks.";
    };

    attempts = mkOption {
      type = types.ints.between 1 1000;
      default = 5;
      description = "How often the cluster is asked before the unit fails and is started again.";
    };

    retryBase = mkOption {
      type = types.ints.positive;
      default = 1000;
      description = "Milliseconds of the first pause between these attempts; it doubles, up to 16 times as much.";
    };

    healthTimeout = mkOption {
      type = types.ints.positive;
      default = 120;
      description = "Seconds that a service on this node may take to become healthy.";
    };

    callTimeout = mkOption {
      type = types.ints.positive;
      default = 10000;
      description = "Milliseconds that one call may take.";
    };

    restartSeconds = mkOption {
      type = types.ints.positive;
      default = 5;
      description = "Seconds until a join that failed is started again.";
    };

    restartMaxSeconds = mkOption {
      type = types.ints.positive;
      default = 120;
      description = "Up to so many seconds this pause grows (systemd 254 and later).";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = lib.allUnique (map (service: service.port) services);
        message = "services.first-boot-automation: ${
          lib.concatMapStringsSep ", " (service: "${service.name} on port ${toString service.port}") services
        }: each needs a port of its own";
      }
      {
        assertion =
          cfg.enableHealthCheck && lib.length services > 1 && cfg.clusterConfig == null
          -> lib.all (service: service.port == service.usualPort) services;
        message = "services.first-boot-automation.enableHealthCheck: where it looks at several services, unusual ports are those of clusterConfig";
      }
    ];

    systemd.services = lib.mkMerge [
      (lib.listToAttrs (lib.imap0 joinUnit services))

      (lib.mkIf (cfg.enableHealthCheck && services != [ ]) {
        cluster-health-check = {
          description = "Check the cluster's services on this node";
          wantedBy = [ "multi-user.target" ];
          after = map unitOf services;
          unitConfig.ConditionPathExists = cfg.configFile;
          path = [ config.systemd.package ]; # what a service said last
          serviceConfig = sandbox // {
            Type = "oneshot";
            ExecStart = command (
              [ "health-check" ]
              ++ map (service: service.name) services
              ++ lib.optionals (lib.length services == 1) [
                "--port"
                (lib.head services).port
              ]
            );
            # A check that hangs must not end the heartbeat.
            TimeoutStartSec = 300;
            StateDirectory = "first-boot-automation";
          };
        };
      })
    ];

    systemd.timers = lib.mkIf (cfg.enableHealthCheck && services != [ ]) {
      cluster-health-check = {
        description = "Check the cluster's services again and again";
        wantedBy = [ "timers.target" ];
        timerConfig = {
          OnActiveSec = cfg.healthCheckInterval;
          # From start to start, whatever the check finds; a check that still runs is not started twice.
          OnUnitActiveSec = cfg.healthCheckInterval;
          AccuracySec = 5;
        };
      };
    };

    environment.systemPackages = [ cfg.package ];
  };
}

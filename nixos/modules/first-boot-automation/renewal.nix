# The node's certificate: renewed before it ends, and taken over by the services that have it.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.first-boot-automation;
  renewal = cfg.renewal;
  agent = lib.getExe cfg.package;
  sandbox = import ./sandbox.nix;
  services = import ./services.nix { inherit lib config; };
  # etcd reads its files at every handshake.
  restarted = lib.filter (service: lib.elem service.name renewal.restartServices) services;
  # The roots it reads when it starts, as the others do.
  restartedForRoots = lib.filter (
    service: service.name == "etcd" || lib.elem service.name renewal.restartServices
  ) services;
  systemctl = lib.getExe' config.systemd.package "systemctl";

  restart = service: ''
    ${service.name})
      ${systemctl} try-restart ${service.name}.service
      exec ${agent} health-check ${service.name} --config ${cfg.configFile} --secrets-dir ${dirOf cfg.configFile} \
        --timeout ${toString cfg.healthTimeout} --port ${toString service.port}
      ;;
  '';

  hook = pkgs.writeShellScript "renewed" ''
    set -eu
    case "$1 ''${2-}" in
      "reload ")
        ${lib.concatMapStringsSep "\n    " (
          unit: "${systemctl} try-reload-or-restart ${lib.escapeShellArg unit}"
        ) renewal.reloadUnits}
        exit 0
        ;;
    esac
    case "$2" in
    ${lib.concatMapStrings restart restartedForRoots}
    esac
  '';
in
{
  options.services.first-boot-automation.renewal = {
    enable = mkOption {
      type = types.bool;
      default = true;
      description = "Renew the node's certificate when two thirds of its life are over.";
    };

    interval = mkOption {
      type = types.ints.positive;
      default = 3600;
      description = "Seconds between two looks at the certificate.";
    };

    newKey = mkOption {
      type = types.bool;
      default = false;
      description = "Make a new key at every renewal; the one before it is revoked.";
    };

    reloadUnits = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "nginx.service" ];
      description = "Units that read certificates and roots again when they are reloaded. etcd needs none for its certificate.";
    };

    restartServices = mkOption {
      type = types.listOf (
        types.enum [
          "chainfire"
          "flaredb"
          "iam"
        ]
      );
      default = map (service: service.name) (
        lib.filter (service: service.name == "chainfire" || service.name == "flaredb") services
      );
      defaultText = lib.literalMD "Chainfire and FlareDB, where the node has them";
      description = "Services that read the certificate when they start, and not again: restarted one member after another.";
    };
  };

  config = lib.mkIf (cfg.enable && renewal.enable) {
    systemd.services.initrd-agent-renew = {
      description = "Renew the node's certificate";
      wants = [ "network-online.target" ];
      after = [ "network-online.target" ];
      # What the installer leaves: without it there is no boot-server to ask.
      unitConfig.ConditionPathExists = "/var/lib/centra/install.json";
      serviceConfig = sandbox // {
        Type = "oneshot";
        ExecStart = lib.escapeShellArgs (
          [
            agent
            "renew"
            "--config"
            cfg.configFile
            "--secrets-dir"
            (dirOf cfg.configFile)
            "--hook"
            "${hook}"
          ]
          ++ lib.optional renewal.newKey "--new-key"
          ++ lib.concatMap (service: [
            "--restart"
            service.name
          ]) restarted
          ++ lib.concatMap (service: [
            "--restart-for-roots"
            service.name
          ]) restartedForRoots
        );
        # An admin may have to type a code, and other members have their turns.
        TimeoutStartSec = "infinity";
        StateDirectory = "first-boot-automation"; # what a health check has seen
        # The TPM, where there is one: the boot-server hears what was measured when this system started.
        PrivateDevices = false;
        DevicePolicy = "closed";
        DeviceAllow = "/dev/tpmrm0 rw";
        ReadWritePaths = [
          (dirOf cfg.configFile)
          "/var/lib/centra"
          "-/run/initrd-agent" # a key that the TPM has closed is opened there
        ];
        # A copy of the pair keeps its owner.
        CapabilityBoundingSet = sandbox.CapabilityBoundingSet ++ [
          "CAP_CHOWN"
          "CAP_DAC_OVERRIDE"
          "CAP_FOWNER"
        ];
        SystemCallFilter = sandbox.SystemCallFilter ++ [ "@chown" ];
      };
    };

    systemd.timers.initrd-agent-renew = {
      description = "Look at the node's certificate again and again";
      wantedBy = [ "timers.target" ];
      timerConfig = {
        OnBootSec = 60;
        OnUnitInactiveSec = renewal.interval;
        # A rack that was powered on together does not come together.
        RandomizedDelaySec = renewal.interval / 10;
      };
    };
  };
}

# The node's key, where the TPM has closed it: opened into memory before whatever uses it.
{
  config,
  lib,
  ...
}:
let
  cfg = config.services.first-boot-automation;
  sandbox = import ./sandbox.nix;
  services = import ./services.nix { inherit lib config; };
  secretsDir = dirOf cfg.configFile;
in
{
  config = lib.mkIf cfg.enable {
    systemd.services.initrd-agent-unseal = {
      description = "Open the node's key by the TPM";
      wantedBy = [ "multi-user.target" ];
      before = [
        "initrd-agent-renew.service"
        "cluster-health-check.service"
      ]
      ++ lib.optional cfg.enableEtcd "etcd.service"
      ++ lib.optionals cfg.renewal.enable cfg.renewal.reloadUnits
      ++ lib.concatMap (service: [
        "${service.name}.service"
        "${service.unit}.service"
      ]) services;
      # It would read the closed key while a renewal changes it.
      restartIfChanged = false;
      unitConfig.ConditionPathExistsGlob = "${secretsDir}/*.key.tpm";
      serviceConfig = sandbox // {
        Type = "oneshot";
        RemainAfterExit = true;
        ExecStart = lib.escapeShellArgs [
          (lib.getExe cfg.package)
          "unseal"
          "--secrets-dir"
          secretsDir
        ];
        # In memory, for root alone; it outlives a restart of the unit.
        RuntimeDirectory = "initrd-agent";
        RuntimeDirectoryMode = "0700";
        RuntimeDirectoryPreserve = true;
        # A list of devices would leave out a chip whose driver comes after this unit has begun.
        PrivateDevices = false;
        Restart = "on-failure";
        RestartSec = 5;
        PrivateNetwork = true;
      };
    };
  };
}

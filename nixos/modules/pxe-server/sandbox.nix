# What the boot-server may do on its host. systemd-analyze security reads it in nixos/check.sh.
{
  AmbientCapabilities = [
    "CAP_NET_BIND_SERVICE" # 67, 69
    "CAP_NET_RAW" # router advertisements, sockets bound to one interface
  ];
  CapabilityBoundingSet = [
    "CAP_NET_BIND_SERVICE"
    "CAP_NET_RAW"
  ];
  DynamicUser = true;
  NoNewPrivileges = true;
  LockPersonality = true;
  MemoryDenyWriteExecute = true;
  PrivateDevices = true;
  PrivateTmp = true;
  ProtectClock = true;
  ProtectControlGroups = true;
  ProtectHome = true;
  ProtectHostname = true;
  ProtectKernelLogs = true;
  ProtectKernelModules = true;
  ProtectKernelTunables = true;
  ProtectProc = "invisible";
  ProtectSystem = "strict";
  RemoveIPC = true;
  RestrictAddressFamilies = [
    "AF_INET"
    "AF_INET6"
    "AF_NETLINK"
    "AF_UNIX"
  ];
  RestrictNamespaces = true;
  RestrictRealtime = true;
  RestrictSUIDSGID = true;
  SystemCallArchitectures = "native";
  SystemCallFilter = [
    "@system-service"
    "~@privileged"
    "capset" # it gives up what it no longer needs
  ];
  UMask = "0027";
}

# services.first-boot-automation and the profiles, evaluated with nixpkgs' lib. Every value must be true.
{ lib }:
let
  inherit (import ./stand-ins.nix { inherit lib; }) eval failed services;
  inherit (import ../lib) mkNode;
  refused = value: !(builtins.tryEval (builtins.deepSeq value value)).success;

  # Profiles without and with the modules of Chainfire, FlareDB and IAM.
  node =
    profile: extra:
    eval [
      (../profiles + "/${profile}.nix")
      { services.first-boot-automation = extra; }
    ];
  centra =
    profile: extra:
    eval [
      (../profiles + "/${profile}.nix")
      services
      { services.first-boot-automation = extra; }
    ];
  unitsOf = config: lib.attrNames config.systemd.services;
  execOf = config: unit: config.systemd.services.${unit}.serviceConfig.ExecStart;

  etcd = node "control-plane" { };
  full = centra "control-plane" { };
  units = full.systemd.services;
  joins = lib.removeAttrs units [
    "cluster-health-check"
    "initrd-agent-renew"
    "initrd-agent-unseal"
  ];
  renewal = config: execOf config "initrd-agent-renew";

  founder = {
    bootstrap = true;
    cluster_name = "prod";
    leader_url = "https://node01.example.com:2379";
    raft_addr = "10.0.200.10:2380";
    initial_peers = [ "node01:2380" ];
    flaredb_peers = [ "node01:2480" ];
  };
  open = extra: (centra "control-plane" extra).networking.firewall;
in
{
  "a control plane joins etcd where Chainfire's module is not there" =
    unitsOf etcd == [
      "cluster-health-check"
      "etcd"
      "etcd-cluster-join"
      "initrd-agent-renew"
      "initrd-agent-unseal"
    ]
    && etcd.systemd.services.etcd.unitConfig.ConditionPathExists == "/var/lib/first-boot-automation/etcd.env"
    # As a member it is started on its data alone.
    && etcd.systemd.services.etcd.unitConfig.ConditionPathExistsGlob == [
      "|/var/lib/etcd/member/wal/*.wal"
      "|!/var/lib/first-boot-automation/.etcd-*"
    ]
    && map toString etcd.systemd.services.etcd-cluster-join.path == [
      "/pkgs/systemd"
      "/pkgs/etcd"
    ]
    && etcd.systemd.services.etcd-cluster-join.serviceConfig.StateDirectory == [
      "first-boot-automation"
      "etcd"
    ]
    && failed etcd == [ ];

  "a control plane joins Chainfire, FlareDB and IAM where their modules are there" =
    unitsOf full == [
      "chainfire-cluster-join"
      "cluster-health-check"
      "flaredb-cluster-join"
      "iam-initial-setup"
      "initrd-agent-renew"
      "initrd-agent-unseal"
    ]
    && failed full == [ ];

  "a certificate is renewed, and what cannot read it again is restarted in turns" =
    lib.hasInfix "reload " (renewal full)
    && lib.hasSuffix "--restart chainfire --restart flaredb --restart-for-roots chainfire --restart-for-roots flaredb" (
      renewal full
    )
    && !lib.hasInfix "--restart " (renewal etcd)
    && lib.hasSuffix "--restart-for-roots etcd" (renewal etcd)
    && lib.hasInfix "systemctl try-restart chainfire.service" (renewal full)
    && lib.hasInfix "--new-key" (renewal (node "control-plane" { renewal.newKey = true; }))
    && full.systemd.timers.initrd-agent-renew.timerConfig.OnUnitInactiveSec == 3600
    && !(node "control-plane" { renewal.enable = false; }).systemd.services ? initrd-agent-renew;

  "a key that the TPM has closed is opened before whatever uses it" =
    lib.all (unit: lib.elem unit units.initrd-agent-unseal.before) [
      "chainfire.service"
      "chainfire-cluster-join.service"
      "iam-initial-setup.service"
      "cluster-health-check.service"
      "initrd-agent-renew.service"
    ]
    && lib.elem "etcd.service" etcd.systemd.services.initrd-agent-unseal.before
    && units.initrd-agent-unseal.unitConfig.ConditionPathExistsGlob == "/etc/nixos/secrets/*.key.tpm";

  "etcd refuses revoked certificates unless that is switched off" =
    !(etcd.systemd.services.etcd.serviceConfig ? UnsetEnvironment)
    &&
      (node "control-plane" {
        enableEtcd = true;
        etcdRevocationList = false;
      }).systemd.services.etcd.serviceConfig.UnsetEnvironment == [
        "ETCD_CLIENT_CRL_FILE"
        "ETCD_PEER_CRL_FILE"
      ];

  "the units are ordered as the contract has it" =
    lib.mapAttrs (_: unit: { inherit (unit) after requires before; }) (
      lib.removeAttrs units [
        "initrd-agent-renew"
        "initrd-agent-unseal"
      ]
    ) == {
      chainfire-cluster-join = {
        after = [
          "network-online.target"
          "chainfire.service"
        ];
        requires = [ ];
        before = [ "flaredb-cluster-join.service" ];
      };
      flaredb-cluster-join = {
        after = [
          "network-online.target"
          "flaredb.service"
          "chainfire-cluster-join.service"
        ];
        requires = [ "chainfire-cluster-join.service" ];
        before = [ "iam-initial-setup.service" ];
      };
      iam-initial-setup = {
        after = [
          "network-online.target"
          "iam.service"
          "flaredb-cluster-join.service"
        ];
        requires = [ ];
        before = [ "cluster-health-check.service" ];
      };
      cluster-health-check = {
        after = [
          "chainfire-cluster-join.service"
          "flaredb-cluster-join.service"
          "iam-initial-setup.service"
        ];
        requires = [ ];
        before = [ ];
      };
    };

  "joins stay done, and are tried again when they failed" = lib.all (
    { serviceConfig, ... }:
    serviceConfig.Type == "oneshot"
    && serviceConfig.RemainAfterExit
    && serviceConfig.Restart == "on-failure"
    && serviceConfig.RestartMode == "direct"
    && serviceConfig.SuccessExitStatus == 2
    && serviceConfig.RestartPreventExitStatus == 3
    && serviceConfig.TimeoutStartSec == "infinity"
    && serviceConfig.RestartSec == 5
    && serviceConfig.RestartMaxDelaySec == 120
    && serviceConfig.RestartSteps == 5
  ) (lib.attrValues joins);

  "a pause that does not grow has no steps" =
    !(
      (node "control-plane" { restartMaxSeconds = 5; }).systemd.services.etcd-cluster-join.serviceConfig
        ? RestartSteps
    );

  "FlareDB requires Chainfire only where that is joined" =
    (centra "worker" {
      enableChainfire = false;
      enableFlareDB = true;
    }).systemd.services.flaredb-cluster-join.requires == [ ];

  "each join names the services that come after it" =
    lib.hasInfix " join chainfire --then flaredb --then iam --port 2379 " (execOf full "chainfire-cluster-join")
    && lib.hasInfix " join flaredb --then iam --port 2479 " (execOf full "flaredb-cluster-join")
    && lib.hasInfix " join iam --port 8080 " (execOf full "iam-initial-setup");

  "the retries of a join can be set" =
    let
      exec = execOf (node "control-plane" {
        attempts = 10;
        retryBase = 500;
        healthTimeout = 300;
        callTimeout = 4000;
      }) "etcd-cluster-join";
    in
    lib.hasInfix "--attempts 10 --retry-base 500 --health-timeout 300 " exec
    && lib.hasInfix "--secrets-dir /etc/nixos/secrets --call-timeout 4000" exec;

  "two services on one port are refused" =
    failed (node "control-plane" { enableChainfire = true; }) != [ ]
    && failed (
      node "control-plane" {
        enableChainfire = true;
        chainfirePort = 2389;
        enableHealthCheck = false;
      }
    ) == [ ];

  "a health check that would look at the wrong port is refused" =
    failed (centra "control-plane" { iamPort = 8081; }) != [ ]
    && failed (node "control-plane" { etcdPort = 12379; }) == [ ]
    && failed (
      centra "control-plane" {
        iamPort = 8081;
        clusterConfig = founder;
      }
    ) == [ ]
    && lib.hasInfix " health-check etcd --port 12379 " (
      execOf (node "control-plane" { etcdPort = 12379; }) "cluster-health-check"
    );

  "the configuration names the ports that are not the usual ones" =
    (centra "control-plane" {
      iamPort = 8081;
      clusterConfig = founder // {
        services.iam.realm = "prod";
      };
    }).services.first-boot-automation.clusterConfig.services == {
      iam = {
        port = 8081;
        realm = "prod";
      };
    };

  "services.etcd beside the member is refused" =
    failed (eval [
      ../profiles/control-plane.nix
      { options.services.etcd.enable = lib.mkOption { default = true; }; }
    ]) != [ ];

  "the health check runs once after the joins, and then by its timer" =
    let
      check = units.cluster-health-check;
      timer = full.systemd.timers.cluster-health-check;
    in
    check.serviceConfig.Type == "oneshot"
    && !(check.serviceConfig ? RemainAfterExit)
    && lib.hasInfix " health-check chainfire flaredb iam " check.serviceConfig.ExecStart
    && timer.wantedBy == [ "timers.target" ]
    && timer.timerConfig.OnUnitActiveSec == 60
    && timer.timerConfig.OnActiveSec == 60;

  "without a health check there is no timer, and nothing is ordered before it" =
    let
      config = centra "control-plane" { enableHealthCheck = false; };
    in
    lib.attrNames config.systemd.timers == [ "initrd-agent-renew" ]
    && config.systemd.services.iam-initial-setup.before == [ ]
    && !(config.systemd.services ? cluster-health-check);

  "every unit is confined, and only IAM's and the renewal may write into the secrets" =
    lib.all (
      { serviceConfig, ... }: serviceConfig.ProtectSystem == "strict" && serviceConfig.NoNewPrivileges
    ) (lib.attrValues (units // etcd.systemd.services))
    && lib.attrNames (lib.filterAttrs (_: unit: unit.serviceConfig ? ReadWritePaths) units) == [
      "iam-initial-setup"
      "initrd-agent-renew"
    ];

  "a worker joins Chainfire where its module is there, and nothing elsewhere" =
    unitsOf (node "worker" { }) == [
      "initrd-agent-renew"
      "initrd-agent-unseal"
    ]
    && unitsOf (centra "worker" { }) == [
      "chainfire-cluster-join"
      "cluster-health-check"
      "initrd-agent-renew"
      "initrd-agent-unseal"
    ];

  "an all-in-one node has what a control plane has" =
    unitsOf (centra "all-in-one" { }) == unitsOf full
    && (centra "all-in-one" { }).services.first-boot-automation.role == "all-in-one";

  "the ports of the enabled services are open" =
    (open { }).allowedTCPPorts == [
      2379
      2380
      2381
      2479
      2480
      8080
    ]
    && etcd.networking.firewall.allowedTCPPorts == [
      2379
      2380
    ]
    && (open { openFirewall = false; }).allowedTCPPorts == [ ];

  "the Raft ports are those that the other members are told" =
    (node "control-plane" {
      clusterConfig = founder // {
        raft_addr = "[fd00::10]:12380";
      };
    }).networking.firewall.allowedTCPPorts == [
      2379
      12380
    ]
    &&
      (centra "worker" {
        enableChainfire = false;
        enableFlareDB = true;
        flaredbPort = 3479;
      }).networking.firewall.allowedTCPPorts == [
        3479
        3480
      ];

  "the ports are open for the cluster's networks alone where it names some" =
    let
      firewall = open {
        clusterConfig = founder // {
          network = {
            cluster = "10.0.200.0/24";
            six = "fd00::/64";
          };
        };
      };
    in
    firewall.allowedTCPPorts == [ ]
    && firewall.extraCommands == ''
      iptables -w -A nixos-fw -p tcp -s 10.0.200.0/24 -m multiport --dports 2379,2380,2381,2479,2480,8080 -j nixos-fw-accept
      ip6tables -w -A nixos-fw -p tcp -s fd00::/64 -m multiport --dports 2379,2380,2381,2479,2480,8080 -j nixos-fw-accept
    '';

  "nftables has its own rules" =
    let
      firewall =
        (eval [
          ../profiles/control-plane.nix
          {
            networking.nftables.enable = true;
            services.first-boot-automation.allowedNetworks = [ "10.0.200.0/24" ];
          }
        ]).networking.firewall;
    in
    firewall.extraCommands == ""
    && firewall.extraInputRules == "ip saddr { 10.0.200.0/24 } tcp dport { 2379,2380 } accept\n";

  "what is no network is refused" = refused (open { allowedNetworks = [ "10.0.0.0/8; reboot" ]; }).extraCommands;

  "a founder without founders is refused" =
    failed (
      centra "control-plane" {
        clusterConfig = founder // {
          initial_peers = [ ];
        };
      }
    ) != [ ]
    &&
      failed (
        centra "control-plane" {
          clusterConfig = founder // {
            flaredb_peers = [ ];
          };
        }
      ) != [ ]
    && failed (centra "control-plane" { clusterConfig = founder; }) == [ ];

  "a cluster configuration with a key that is unknown, absent or wrong is refused" =
    let
      with' = change: (node "worker" { clusterConfig = change founder; }).services.first-boot-automation.clusterConfig;
    in
    !refused (with' (config: config))
    && refused (with' (config: config // { leader = "x"; }))
    && refused (with' (config: removeAttrs config [ "cluster_name" ]))
    && refused (with' (config: config // { raft_addr = "node01:2380"; }))
    && refused (with' (config: config // { leader_url = "http://node01:2379"; }))
    && refused (with' (config: config // { initial_peers = [ "node01" ]; }));

  "a spec has its profile and cluster from the configuration" =
    let
      spec = mkNode {
        name = "node01";
        match.serial = "S1";
        nixosConfiguration.config = node "control-plane" { clusterConfig = founder; };
        devices.disk = { };
        substituters = [ ];
        trustedPublicKeys = [ ];
      };
    in
    spec.profile == "control-plane"
    &&
      spec.cluster == founder
      // {
        node_id = "nixos";
        node_role = "control-plane";
      };
}

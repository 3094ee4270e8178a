# services.centra-pxe-server: a boot-server as a service of NixOS.
{
  config,
  lib,
  pkgs,
  centraPackages ? null,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.centra-pxe-server;
  inherit (import ../lib) ipv4;
  full = cfg.dhcp.mode == "full";
  stateDir = "/var/lib/${cfg.stateDirectory}";

  # Keys that are null stay out: the server has its own defaults and refuses what it does not know.
  given = lib.filterAttrsRecursive (_: value: value != null);
  settings = lib.recursiveUpdate (given {
    address = cfg.serverAddress;
    dhcp = {
      inherit (cfg.dhcp) mode domain;
      inherit (cfg) interface;
      subnet = if full then ipv4.cidr cfg.dhcp.subnet cfg.dhcp.netmask else null;
      range_start = if full then cfg.dhcp.range.start else null;
      range_end = if full then cfg.dhcp.range.end else null;
      inherit (cfg.dhcp) router;
      dns = cfg.dhcp.domainNameServers;
      ntp = cfg.dhcp.ntpServers;
      lease_seconds = cfg.dhcp.leaseSeconds;
      router_advertisements = cfg.dhcp.routerAdvertisements;
    };
    tftp.enabled = cfg.dhcp.mode != "off";
    http.listen = "${cfg.serverAddress}:${toString cfg.httpPort}";
    https.listen = "${cfg.serverAddress}:${toString cfg.httpsPort}";
    enrol.admission = cfg.admission;
    images.default_profile = cfg.defaultProfile;
    ipxe.dir = "${cfg.ipxePackage}";
  }) cfg.settings;
  configFile = (pkgs.formats.toml { }).generate "boot-server.toml" settings;

  # The spec of a node: what the operator wrote for the card, with the name and profile in their places.
  nodeSpec =
    mac: node:
    {
      name = node.hostname;
      match.macs = [ mac ];
    }
    // lib.optionalAttrs (node.profile != null) { inherit (node) profile; }
    // node.spec;
  nodesWithSpec = lib.filterAttrs (_: node: node.spec != null) cfg.nodes;
  specFile =
    mac: node:
    pkgs.writeText "${node.hostname}.json" (
      # The path of the system is a name for the server, nothing it has to hold itself.
      builtins.unsafeDiscardStringContext (builtins.toJSON (nodeSpec mac node))
    );
in
{
  options.services.centra-pxe-server = {
    enable = lib.mkEnableOption "the boot-server: DHCP, TFTP, HTTP, enrolment and installation of bare machines";

    package = mkOption {
      type = types.package;
      default = centraPackages.boot-server;
      defaultText = lib.literalExpression "boot-server of the flake";
      description = "The boot-server.";
    };

    ipxePackage = mkOption {
      type = types.package;
      default = pkgs.ipxe;
      defaultText = lib.literalExpression "pkgs.ipxe";
      description = "Has undionly.kpxe, ipxe.efi and snponly.efi.";
    };

    interface = mkOption {
      type = types.str;
      example = "eth0";
      description = "Interface of the boot network; nothing is served elsewhere.";
    };

    serverAddress = mkOption {
      type = types.str;
      example = "10.0.100.10";
      description = "Address of this server on the boot network.";
    };

    caPermits = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [
        "cluster.example"
        "10.0.0.0/8"
      ];
      description = ''
        Names (with all below them) and networks that the CA of a new server may issue for; nothing is limited by default.
        A server that is there already: boot-server ca renew --permit.
      '';
    };

    stateDirectory = mkOption {
      type = types.strMatching "[a-z0-9-]+";
      default = "centra-pxe-server";
      description = "Folder below /var/lib: CA, keys, state, images, cache. Made on the first start.";
    };

    httpPort = mkOption {
      type = types.port;
      default = 8080;
      description = "Boot scripts, images and the Nix binary cache.";
    };

    httpsPort = mkOption {
      type = types.port;
      default = 8443;
      description = "Enrolment, administration and the page.";
    };

    openFirewall = mkOption {
      type = types.bool;
      default = true;
      description = "Open the ports on the boot interface.";
    };

    admission = mkOption {
      type =
        let
          way = types.enum [
            "token"
            "tpm"
            "approval"
            "open-lab"
          ];
        in
        types.either way (types.nonEmptyListOf way);
      default = [
        "token"
        "approval"
      ];
      description = ''
        How a machine may become a node, in the order in which the ways are tried: it shows a one-time token, its TPM is known, an admin types
        its code, or (where nobody lies) by itself.
      '';
    };

    defaultProfile = mkOption {
      type = types.str;
      default = "vm";
      description = "Image for a machine that no spec knows.";
    };

    dhcp = {
      mode = mkOption {
        type = types.enum [
          "full"
          "proxy"
          "off"
        ];
        default = "full";
        description = "Give addresses; give boot files beside another DHCP server; or neither.";
      };
      subnet = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "10.0.100.0";
        description = "Address of the boot network. Full mode.";
      };
      netmask = mkOption {
        type = types.str;
        default = "255.255.255.0";
        description = "Its mask. Full mode.";
      };
      broadcast = mkOption {
        type = types.nullOr types.str;
        default = null;
        description = "Its broadcast address; it follows from the other two, and is only compared.";
      };
      range = {
        start = mkOption {
          type = types.nullOr types.str;
          default = null;
          example = "10.0.100.100";
          description = "First address to give. Full mode.";
        };
        end = mkOption {
          type = types.nullOr types.str;
          default = null;
          example = "10.0.100.200";
          description = "Last address to give. Full mode.";
        };
      };
      router = mkOption {
        type = types.nullOr types.str;
        default = null;
        description = "Default gateway.";
      };
      domainNameServers = mkOption {
        type = types.listOf types.str;
        default = [ ];
        description = "Name servers.";
      };
      domain = mkOption {
        type = types.nullOr types.str;
        default = null;
        description = "Domain of the nodes.";
      };
      ntpServers = mkOption {
        type = types.listOf types.str;
        default = [ ];
        description = "Time servers.";
      };
      leaseSeconds = mkOption {
        type = types.ints.positive;
        default = 43200;
        description = "How long a lease lasts.";
      };
      routerAdvertisements = mkOption {
        type = types.bool;
        default = false;
        description = "Spare iPXE a wait of 13 s where no router advertises itself. Off beside one that does.";
      };
    };

    nodes = mkOption {
      default = { };
      description = "Known machines, by the address of one of their network cards.";
      type = types.attrsOf (
        types.submodule {
          options = {
            hostname = mkOption {
              type = types.strMatching "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?";
              description = "The node's name.";
            };
            profile = mkOption {
              type = types.nullOr types.str;
              default = null;
              description = "Its boot image.";
            };
            ipAddress = mkOption {
              type = types.nullOr types.str;
              default = null;
              description = "A fixed address.";
            };
            spec = mkOption {
              type = types.nullOr types.attrs;
              default = null;
              description = "What lib.mkNode makes; it is applied whenever the service starts.";
            };
          };
        }
      );
    };

    settings = mkOption {
      type = (pkgs.formats.toml { }).type;
      default = { };
      description = "Further keys of the server's config.toml; they win over the options.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = full -> cfg.dhcp.subnet != null && cfg.dhcp.range.start != null && cfg.dhcp.range.end != null;
        message = "services.centra-pxe-server.dhcp: mode full needs subnet, range.start and range.end";
      }
      {
        assertion =
          full && cfg.dhcp.broadcast != null && cfg.dhcp.subnet != null
          -> cfg.dhcp.broadcast == ipv4.broadcast cfg.dhcp.subnet cfg.dhcp.netmask;
        message = "services.centra-pxe-server.dhcp.broadcast does not belong to subnet and netmask";
      }
      {
        assertion = lib.all (node: node.ipAddress == null) (lib.attrValues cfg.nodes);
        message = "services.centra-pxe-server.nodes: this release reserves no addresses; leave ipAddress out";
      }
      {
        assertion = lib.all (node: node.profile == null || node.spec != null) (lib.attrValues cfg.nodes);
        message = "services.centra-pxe-server.nodes: a node with a profile needs a spec (lib.mkNode)";
      }
    ];

    systemd.services.centra-pxe-server = {
      description = "Boot-server of bare machines";
      wantedBy = [ "multi-user.target" ];
      wants = [ "network-online.target" ];
      after = [ "network-online.target" ];
      # Relative paths of the configuration start where it lies, so it is linked into the state folder.
      preStart = ''
        if [ ! -e ca.crt ]; then
          rm -f config.toml
          ${lib.getExe cfg.package} init "$PWD" --first-token file --address ${lib.escapeShellArg cfg.serverAddress} ${
            lib.concatMapStringsSep " " (permit: "--permit ${lib.escapeShellArg permit}") cfg.caPermits
          }
        fi
        ln -sfn ${configFile} config.toml
      '';
      serviceConfig = import ./pxe-server/sandbox.nix // {
        ExecStart = "${lib.getExe cfg.package} serve --config ${stateDir}/config.toml";
        StateDirectory = cfg.stateDirectory;
        StateDirectoryMode = "0750";
        WorkingDirectory = stateDir;
        Restart = "on-failure";
        RestartSec = 2;
        LimitNOFILE = 65536;
        LimitCORE = 0; # its memory has the CA's key
      };
    };

    systemd.services.centra-pxe-server-nodes = lib.mkIf (nodesWithSpec != { }) {
      description = "Tell the boot-server of its nodes";
      wantedBy = [ "multi-user.target" ];
      requires = [ "centra-pxe-server.service" ];
      after = [ "centra-pxe-server.service" ];
      serviceConfig = {
        Type = "oneshot";
        RemainAfterExit = true;
        # The server may still be starting.
        Restart = "on-failure";
        RestartSec = 2;
        ExecStart = lib.mapAttrsToList (
          mac: node: "${lib.getExe cfg.package} apply --dir ${stateDir} -f ${specFile mac node}"
        ) nodesWithSpec;
      };
    };

    # The admin's verbs, with --dir ${stateDir} as root.
    environment.systemPackages = [ cfg.package ];

    networking.firewall.interfaces.${cfg.interface} = lib.mkIf cfg.openFirewall {
      allowedTCPPorts = [
        cfg.httpPort
        cfg.httpsPort
      ];
      allowedUDPPorts = lib.optionals (cfg.dhcp.mode != "off") [
        67
        68
        69
        4011
      ];
    };
  };
}

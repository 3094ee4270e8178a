# nixpkgs' lib and stand-ins for what the modules use of NixOS: enough to evaluate them.
{
  lib,
  # The type of disko.devices; disko's own where it is at hand.
  devices ? lib.types.attrsOf lib.types.anything,
  # Folder of the packages.
  root ? "/pkgs",
}:
let
  inherit (lib) mkOption types;
  anything = mkOption {
    type = types.attrsOf types.anything;
    default = { };
  };
  list = mkOption {
    type = types.listOf types.unspecified;
    default = [ ];
  };
  text = mkOption {
    type = types.lines;
    default = "";
  };
  flag =
    default:
    mkOption {
      type = types.bool;
      inherit default;
    };

  package = name: {
    type = "derivation";
    inherit name;
    outPath = "${root}/${name}";
    meta.mainProgram = name;
  };
  # A path in place of a built file shows what would have been written.
  pkgs = {
    formats.toml = _: {
      type = types.attrsOf types.anything;
      generate = name: value: "${name}:${builtins.toJSON value}";
    };
    writeText = name: text: "${name}:${text}";
    # In a unit it is a path.
    writeShellScript = name: text: if root == "/pkgs" then "${name}:${text}" else "${root}/${name}";
    ipxe = package "ipxe";
    etcd = package "etcd";
  };

  unit = more: mkOption {
    default = { };
    type = types.attrsOf (
      types.submodule {
        options = {
          description = text;
          wantedBy = list;
          wants = list;
          requires = list;
          after = list;
          before = list;
          unitConfig = anything;
        }
        // more;
      }
    );
  };

  nixos =
    { config, ... }:
    {
      options = {
        assertions = list;
        systemd.services = unit {
          path = list;
          environment = anything;
          preStart = text;
          restartIfChanged = flag true;
          serviceConfig = anything;
        };
        systemd.timers = unit { timerConfig = anything; };
        systemd.package = mkOption { default = package "systemd"; };
        environment.systemPackages = list;
        networking = {
          hostName = mkOption { default = "nixos"; };
          enableIPv6 = flag true;
          nftables.enable = flag false;
          firewall = {
            allowedTCPPorts = list;
            interfaces = anything;
            extraCommands = text;
            extraInputRules = text;
          };
        };
        boot = anything;
        services.openssh = anything;
        system.stateVersion = text;
        system.build.toplevel = mkOption {
          default = "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos-system-${config.networking.hostName}";
        };
      };
      config._module.args = {
        inherit pkgs;
        centraPackages = lib.genAttrs [ "boot-server" "initrd-agent" ] package;
      };
    };
in
rec {
  nixosSystem =
    {
      modules,
      specialArgs ? { },
      ...
    }:
    lib.evalModules {
      inherit specialArgs;
      modules = [ nixos ] ++ modules;
    };

  eval = modules: (nixosSystem { inherit modules; }).config;

  # What the configuration is refused for.
  failed = config: map (check: check.message) (lib.filter (check: !check.assertion) config.assertions);

  # The modules of services that are not in this repository.
  services = {
    options.services = lib.genAttrs [ "chainfire" "flaredb" "iam" ] (_: {
      enable = flag false;
    });
  };

  # The inputs of an example's flake.
  inputs = {
    nixpkgs.lib = lib // {
      inherit nixosSystem;
    };
    disko.nixosModules.disko.options.disko.devices = mkOption { type = devices; };
    centra = {
      lib = import ../lib;
      nixosModules = {
        pxe-server = ../modules/pxe-server.nix;
        first-boot-automation = ../modules/first-boot-automation.nix;
        control-plane = ../profiles/control-plane.nix;
        worker = ../profiles/worker.nix;
        all-in-one = ../profiles/all-in-one.nix;
        single-disk = ../profiles/single-disk.nix;
      };
    };
  };
}

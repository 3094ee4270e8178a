# The units of first boot as files, as NixOS would write them: { NAME = text; }. For systemd-analyze verify.
{ lib, root }:
let
  inherit (import ./stand-ins.nix { inherit lib root; }) eval services;
  # etcd and Chainfire take the same ports, so they are not members of one node.
  systemdOf = modules: (eval ([ ../profiles/control-plane.nix ] ++ modules)).systemd;
  etcd = systemdOf [ ];
  centra = systemdOf [ services ];

  text = value: if builtins.isBool value then lib.boolToString value else toString value;
  section =
    name: attributes:
    "[${name}]\n"
    + lib.concatStrings (
      lib.mapAttrsToList (
        key: values: lib.concatMapStrings (value: "${key}=${text value}\n") (lib.toList values)
      ) attributes
    );
  listed = attributes: lib.mapAttrs (_: toString) (lib.filterAttrs (_: names: names != [ ]) attributes);
  unitSection =
    unit:
    section "Unit" (
      {
        Description = unit.description;
      }
      // listed {
        Wants = unit.wants;
        Requires = unit.requires;
        After = unit.after;
        Before = unit.before;
      }
      // unit.unitConfig
    );
  installSection = unit: section "Install" (listed { WantedBy = unit.wantedBy; });
  environment =
    service:
    lib.mapAttrsToList (key: value: "${key}=${value}") (
      service.environment // lib.optionalAttrs (service.path != [ ]) { PATH = lib.makeBinPath service.path; }
    );
  file =
    unit: middle:
    lib.concatStringsSep "\n" [
      (unitSection unit)
      middle
      (installSection unit)
    ];
in
lib.mapAttrs' (
  name: service:
  lib.nameValuePair "${name}.service" (
    file service (section "Service" ({ Environment = environment service; } // service.serviceConfig))
  )
) (etcd.services // centra.services)
// lib.mapAttrs' (
  name: timer: lib.nameValuePair "${name}.timer" (file timer (section "Timer" timer.timerConfig))
) centra.timers

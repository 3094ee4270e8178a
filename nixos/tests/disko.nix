# disko's own examples, evaluated by disko, as layouts for the agent. Every value must be true.
{ lib, disko }:
let
  inherit (import ../lib) layout;
  diskoLib = import (disko + "/lib") {
    inherit lib;
    makeTest = null;
    eval-config = null;
    qemu-common = null;
  };
  devicesOf =
    example:
    (lib.evalModules {
      specialArgs.pkgs = { };
      modules = [
        {
          options.disko.devices = lib.mkOption { type = diskoLib.toplevel; };
          # What else an example sets is not looked at.
          config._module.check = false;
          config._module.args.disks = [ "/dev/vdb" ];
        }
        example
      ];
    }).config.disko.devices;
  internal =
    value:
    if builtins.isAttrs value then
      lib.any (lib.hasPrefix "_") (lib.attrNames value) || lib.any internal (lib.attrValues value)
    else
      builtins.isList value && lib.any internal value;
  examples = lib.filter (lib.hasSuffix ".nix") (lib.attrNames (builtins.readDir (disko + "/example")));
in
# Our own examples, their layouts of disko's type.
import ./examples.nix {
  inherit lib;
  stand-ins = import ./stand-ins.nix {
    inherit lib;
    devices = diskoLib.toplevel;
  };
}
// lib.genAttrs examples (
  example:
  let
    devices = layout (devicesOf (disko + "/example/${example}"));
  in
  builtins.stringLength (builtins.toJSON devices) > 100 && devices.disk != { } && !internal devices
)

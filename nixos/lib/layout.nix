# What disko's evaluated `config.disko.devices` says of disks, without disko's own workings, so that it is JSON:
#
#   nix eval --json .#nixosConfigurations.node-01.config.disko.devices --apply "$(cat nixos/lib/layout.nix)"
let
  # By name, for an operator's own partition or volume may begin with an underscore, too.
  internal = [
    "__root"
    "_config"
    "_create"
    "_createFilesystem"
    "_destroy"
    "_destroyFormatMount"
    "_disko"
    "_formatMount"
    "_index"
    "_legacyDestroy"
    "_meta"
    "_module"
    "_mount"
    "_name"
    "_packages"
    "_parent"
    "_pkgs"
    "_scripts"
    "_unmount"
  ];
  dropped = key: value: builtins.elem key internal || value == null || builtins.isFunction value;
  plain =
    value:
    if builtins.isAttrs value then
      if value ? outPath then
        toString value
      else
        builtins.mapAttrs (_: plain) (
          builtins.removeAttrs value (builtins.filter (key: dropped key value.${key}) (builtins.attrNames value))
        )
    else if builtins.isList value then
      map plain (builtins.filter (item: !builtins.isFunction item) value)
    else if builtins.isPath value then
      toString value
    else
      value;
in
plain

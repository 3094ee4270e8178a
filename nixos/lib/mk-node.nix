# A NodeSpec (crates/protocol/src/spec.rs) of a NixOS configuration that has disko's layout:
#
#   nix eval --json .#nodes.node-01 > node-01.json
#   boot-server apply -f node-01.json
#
# Only the toplevel's path goes into the spec; the closure gets to the cache by
#   nix copy --to URL "$(nix build --print-out-paths .#nixosConfigurations.node-01.config.system.build.toplevel)"
{
  # The node's name, a DNS label.
  name,
  # Which machine it is: macs, serial, uuid. Every claim that is given must hold.
  match,
  nixosConfiguration ? null,
  toplevel ? nixosConfiguration.config.system.build.toplevel,
  # disko.devices, evaluated.
  devices ? nixosConfiguration.config.disko.devices,
  # Nix binary caches that have the closure, and the keys that sign it.
  substituters,
  trustedPublicKeys,
  # The role, which is also the boot image; the server has a default for a role without an image of its own.
  profile ? nixosConfiguration.config.services.first-boot-automation.role or null,
  hostname ? null,
  # By the layout's disk name: which disk it is (serial, wwn, model, size, ...), and what may be destroyed
  # (install, wipe, keep, ignore).
  select ? { },
  wipe ? { },
  # Hold the plan until an admin has agreed to it.
  hold ? null,
  # Mount points of file systems that a reinstallation keeps.
  keep ? [ ],
  # refuse or warn: what happens with a disk that says of itself that it fails.
  health ? null,
  # The layout's hooks may run.
  allowHooks ? null,
  # Discard the disks before they are partitioned.
  discard ? null,
  # [{ path; mode; content; }]
  files ? [ ],
  # The same, given to this node alone. Mind that what a Nix expression holds may end up in a store.
  secrets ? [ ],
  # cluster-config.json
  cluster ? nixosConfiguration.config.services.first-boot-automation.clusterConfig or null,
  # network-first or disk-first
  bootOrder ? null,
  # approval or open-lab
  admission ? null,
  # nothing, secure-boot or measured: what has to be verified of the machine's boot before it gets its secrets
  secretsAtLeast ? null,
  # file, tpm or tpm-pcr7: how the installed system keeps the node's key
  nodeKey ? null,
}:
let
  # What is left out takes the server's default.
  given =
    attributes:
    builtins.removeAttrs attributes (
      builtins.filter (
        key:
        builtins.elem attributes.${key} [
          null
          { }
          [ ]
        ]
      ) (builtins.attrNames attributes)
    );
in
{
  inherit name match;
  system = {
    toplevel = builtins.unsafeDiscardStringContext (toString toplevel);
    inherit substituters;
    trusted_public_keys = trustedPublicKeys;
  };
  disks = {
    devices = import ./layout.nix devices;
  }
  // given {
    inherit
      select
      wipe
      hold
      keep
      health
      discard
      ;
    allow_hooks = allowHooks;
  };
}
// given {
  inherit
    profile
    hostname
    files
    secrets
    admission
    ;
  secrets_at_least = secretsAtLeast;
  node_key = nodeKey;
  cluster = if cluster == null then null else given cluster;
  boot = given { order = bootOrder; };
}

#!/usr/bin/env bash
# Parses every Nix file and evaluates what needs no nixpkgs. With NIXPKGS (a copy of nixpkgs) or NIXPKGS_LIB (its lib
# folder alone) the modules and the examples are evaluated as well, and the units shown to systemd where it is installed;
# with DISKO (a copy of disko) too, the layouts go through disko. What was left out is named and counted at the end.
set -euo pipefail
cd "$(dirname "$0")/.."
# Nothing is built: neither builders nor a store of root's are needed.
state=$(mktemp -d)
trap 'rm -rf "$state"' EXIT
export NIX_STATE_DIR="$state" NIX_CONFIG="build-users-group ="
git ls-files -z '*.nix' | xargs -0 nix-instantiate --parse >/dev/null

# Prints what does not hold.
holds() {
  nix-instantiate --eval --strict --json "$@" | jq -e 'if all then "\(length) hold" else error(to_entries | map(select(.value | not).key) | tostring) end'
}

# The units as files, their programs replaced by empty ones, read by systemd itself.
verify_units() {
  local units=$state/units unit
  mkdir -p "$units" "$state"/root/{initrd-agent,etcd}/bin
  install -m 755 /dev/null "$state/root/initrd-agent/bin/initrd-agent"
  install -m 755 /dev/null "$state/root/etcd/bin/etcd"
  nix-instantiate --eval --strict --json nixos/tests/units.nix --arg lib "import $NIXPKGS_LIB" --argstr root "$state/root" >"$state/units.json"
  jq -r 'keys[]' "$state/units.json" | while read -r unit; do
    jq -r --arg unit "$unit" '.[$unit]' "$state/units.json" >"$units/$unit"
  done
  if [ "$(systemd-analyze --version | awk 'NR == 1 { print $2 }')" -lt 254 ]; then
    sed -i -E '/^Restart(Mode|Steps|MaxDelaySec)=/d' "$units"/*.service
  fi
  SYSTEMD_UNIT_PATH="$units:" systemd-analyze verify --recursive-errors=no --man=no "$units"/*
  echo "\"$(find "$units" -type f | wc -l) units\""
}

# What systemd says of a sandbox, in tenths: the threat model names it.
exposed_at_most() { # LIMIT FILE
  local unit=$state/sandbox.service
  {
    printf '[Service]\nExecStart=/bin/true\n'
    nix-instantiate --eval --strict --json "$2" |
      jq -r 'to_entries[] | .key as $key | .value | if type == "array" then .[] else . end | "\($key)=\(.)"'
  } >"$unit"
  systemd-analyze security --offline=true --threshold="$1" "$unit" >"$state/security" ||
    { cat "$state/security" >&2 && return 1; }
  tail -1 "$state/security" | sed "s|.*sandbox.service|$2|"
}

skipped=0
skip() { # WHAT WHY
  skipped=$((skipped + 1))
  .ci/skipped note "$1" "$2"
}

NIXPKGS_LIB=${NIXPKGS_LIB:-${NIXPKGS:+$NIXPKGS/lib}}
evaluated=(pxe-server first-boot examples)

holds nixos/tests/lib.nix
if command -v systemd-analyze >/dev/null; then
  exposed_at_most 19 nixos/modules/pxe-server/sandbox.nix
  exposed_at_most 24 nixos/modules/first-boot-automation/sandbox.nix
else
  skip "the sandboxes" "systemd-analyze is not installed"
fi
if [ -n "$NIXPKGS_LIB" ]; then
  for test in "${evaluated[@]}"; do
    holds "nixos/tests/$test.nix" --arg lib "import $NIXPKGS_LIB"
  done
else
  for test in "${evaluated[@]}"; do skip "nixos/tests/$test.nix" "neither NIXPKGS nor NIXPKGS_LIB is set"; done
fi
if [ -z "$NIXPKGS_LIB" ]; then
  skip "the units" "neither NIXPKGS nor NIXPKGS_LIB is set"
elif ! command -v systemd-analyze >/dev/null; then
  skip "the units" "systemd-analyze is not installed"
else
  verify_units
fi
if [ -z "$NIXPKGS_LIB" ] || [ -z "${DISKO:-}" ]; then
  skip nixos/tests/disko.nix "it takes DISKO and NIXPKGS or NIXPKGS_LIB"
else
  holds nixos/tests/disko.nix --arg lib "import $NIXPKGS_LIB" --arg disko "$DISKO"
fi
echo "nixos: $skipped of 7 checks skipped"

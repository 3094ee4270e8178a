#!/usr/bin/env bash
# Parses every Nix file and evaluates what needs no nixpkgs. With NIXPKGS_LIB (nixpkgs' lib folder) the modules
# are evaluated as well, and with DISKO (a copy of disko) its examples.
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
holds nixos/tests/lib.nix
if [ -n "${NIXPKGS_LIB:-}" ]; then
  holds nixos/tests/modules.nix --arg lib "import $NIXPKGS_LIB"
  if [ -n "${DISKO:-}" ]; then
    holds nixos/tests/disko.nix --arg lib "import $NIXPKGS_LIB" --arg disko "$DISKO"
  fi
fi

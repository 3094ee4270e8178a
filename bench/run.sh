#!/usr/bin/env bash
# `make bench`: image sizes, kernel start to inventory (in a machine), the closure engine beside Nix, and the server
# beside nginx.
#
#   bench/run.sh [options of bench/closure.sh]
set -euo pipefail
cd "$(dirname "$0")/.."

command -v nginx >/dev/null || apt-get -qq install -y --no-install-recommends nginx-light

log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "== A machine, from power-on to ready (make demo)"
cargo run --locked --release -q -p qemu-tests --bin demo >"$log" || { tail -n 40 "$log" >&2; exit 1; }
sed -n '/^== The way/,/^== How to look/{/^== How to look/!p}' "$log"

echo
echo "== Closure install"
bench/closure.sh "$@"

echo
echo "== Enrolling"
cargo bench --locked -q -p boot-server --bench enrolments

echo
echo "== Serving the cache and a boot image"
bench/serve.sh

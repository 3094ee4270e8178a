#!/usr/bin/env bash
# Closure install: ours beside `nix-store --realise` with max-jobs 16, from the same cache behind nginx on
# loopback, each time into a fresh file system, in alternating order. Wall time includes the sync.
# Needs root, nix-bin, nginx-light, e2fsprogs. Prints a table, then one line of JSON.
#
#   bench/closure.sh [--paths 500] [--mib 300] [--runs 3] [--compression zstd|xz|none] [--target ext4|tmpfs]
#   AGENT, MAKER and MEASURE may name programs that are built already.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=bench/lib.sh
. bench/lib.sh

paths=500 mib=300 runs=3 compression=zstd target=ext4
while [ $# -gt 0 ]; do
  case $1 in
    --paths) paths=$2 ;; --mib) mib=$2 ;; --runs) runs=$2 ;; --compression) compression=$2 ;; --target) target=$2 ;;
    *) sed -n '2,8s/^# \?//p' "$0" >&2; exit 2 ;;
  esac
  shift 2
done

agent=${AGENT:-$(build --release --bin initrd-agent)}
maker=${MAKER:-$(build --example make-closure)}
measure=${MEASURE:-$(build --example measure)}

dir=$(mktemp -d "${BENCH_DIR:-/dev/shm}/centra-bench.XXXXXX")
nginx_pid=
clean() {
  [ -z "$nginx_pid" ] || kill "$nginx_pid" 2>/dev/null || true
  umount "$dir/target" 2>/dev/null || true
  chmod -R u+w "$dir" 2>/dev/null || true
  rm -rf "$dir"
}
trap clean EXIT

mkdir "$dir/conf"
printf 'build-users-group =\nexperimental-features = nix-command\n' >"$dir/conf/nix.conf"
export NIX_CONF_DIR=$dir/conf HOME=$dir/home
make_cache "$paths" "$mib" "$compression"
serve_cache

run_ours() {
  "$measure" sh -c "'$agent' closure install --from $url --trusted-key $key --root $dir/target $top && sync -f $dir/target"
}
run_nix() {
  "$measure" sh -c "nix-store --store $dir/target --realise $top --max-jobs 16 --option substituters $url \
    --option trusted-public-keys $key --option require-sigs true && sync -f $dir/target"
}

for run in $(seq "$runs"); do
  order="ours nix"
  [ $((run % 2)) = 1 ] || order="nix ours"
  for who in $order; do
    rm -rf "$dir/home"
    fresh_target
    "run_$who" 2>"$dir/log" >>"$dir/$who" || { cat "$dir/log" >&2; exit 1; }
    umount "$dir/target"
    rm -f "$dir/image"
  done
done

printf '%s paths, %s MiB of NAR, %s, %s, %s runs, medians\n' "$paths" "$mib" "$compression" "$target" "$runs"
printf '%-34s %8s %8s %9s\n' "" "wall s" "CPU s" "RSS MiB"
printf '%-34s %8s %8s %9s\n' "initrd-agent closure install" $(row ours) "nix-store --realise -j16" $(row nix)
printf '{"bench":"closure","paths":%s,"mib":%s,"compression":"%s","target":"%s","runs":%s,"ours":%s,"nix":%s}\n' \
  "$paths" "$mib" "$compression" "$target" "$runs" "$(json ours)" "$(json nix)"

#!/usr/bin/env bash
# Closure install: ours beside `nix-store --realise` with max-jobs 16, from the same cache behind nginx on loopback, each
# time into a fresh file system, in alternating order. Wall time includes the sync. Prints a table with the floors of
# this machine, then one line of JSON. Needs root, nix-bin, nginx-light, e2fsprogs, and 8 GiB of memory.
#
#   bench/closure.sh [--paths 500] [--mib 1123] [--runs 5] [--scenarios "tmpfs ext4 delay xz"]
#
#   tmpfs  zstd, into tmpfs            delay  the same with 20 ms of round trip
#   ext4   zstd, into an ext4 image    xz     a quarter of the bytes, into tmpfs
#   AGENT, MAKER, MEASURE and DELAY may name programs that are built already.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=bench/lib.sh
. bench/lib.sh

paths=500 mib=1123 runs=5 scenarios="tmpfs ext4 delay xz"
while [ $# -gt 0 ]; do
  case $1 in
    --paths) paths=$2 ;; --mib) mib=$2 ;; --runs) runs=$2 ;; --scenarios) scenarios=$2 ;;
    *) sed -n '2,10s/^# \?//p' "$0" >&2; exit 2 ;;
  esac
  shift 2
done

agent=${AGENT:-$(build --release --bin initrd-agent)}
maker=${MAKER:-$(build_of qemu-tests --release --bin make-closure)}
measure=${MEASURE:-$(build --example measure)}
delay=${DELAY:-$(build --release --example delay)}

dir=$(mktemp -d "${BENCH_DIR:-/dev/shm}/centra-bench.XXXXXX")
nginx_pid='' delay_pid=''
clean() {
  for pid in $nginx_pid $delay_pid; do kill "$pid" 2>/dev/null || true; done
  umount "$dir/target" 2>/dev/null || true
  chmod -R u+w "$dir" 2>/dev/null || true
  rm -rf "$dir"
}
trap clean EXIT

isolate_nix

run_ours() {
  "$measure" sh -c "'$agent' closure install --from $from --trusted-key $key --root $dir/target $top && sync -f $dir/target"
}
run_nix() {
  "$measure" sh -c "nix-store --store $dir/target --realise $top --max-jobs 16 --option substituters $from \
    --option trusted-public-keys $key --option require-sigs true && sync -f $dir/target"
}

# Each contender as often as asked for, the order alternating, into files of this scenario.
compare() {
  for run in $(seq "$runs"); do
    order="ours nix"
    [ $((run % 2)) = 1 ] || order="nix ours"
    for who in $order; do
      rm -rf "$dir/home"
      fresh_target
      "run_$who" 2>"$dir/log" >>"$dir/$scenario-$who" || { cat "$dir/log" >&2; exit 1; }
      remove_target
    done
  done
  printf '%s\n' "$scenario"
  print_row "  initrd-agent closure install" "$scenario-ours"
  print_row "  nix-store --realise -j16" "$scenario-nix"
  ratios "$scenario"
}

# How fast each part alone could be on this machine, once, into the files of this scenario.
floor() {
  fresh_target
  "$measure" sh -c "$2" >"$dir/floor" 2>"$dir/log" || { cat "$dir/log" >&2; exit 1; }
  remove_target
  print_row "  $1" floor
}

warm_memory $((mib * 4))
printf '%s paths, %s MiB of NAR, %s runs, medians\n' "$paths" "$mib" "$runs"
printf '%-38s %8s %8s %9s\n' "" "wall s" "CPU s" "RSS MiB"
make_cache "$paths" "$mib" zstd keep
serve_cache
for scenario in $scenarios; do
  target=tmpfs from=$url
  case $scenario in
    ext4) target=ext4 ;;
    delay)
      port=$((40000 + RANDOM % 10000)) from=http://127.0.0.1:$port
      "$delay" "127.0.0.1:$port" "${url#http://}" 10 &
      delay_pid=$!
      sleep 0.5
      ;;
    xz)
      kill "$nginx_pid"
      rm -rf "$dir/cache" "$dir/source" "$dir/nginx" "$dir/nars" "$dir"/key.*
      make_cache "$((paths * 7 / 10))" "$((mib / 4))" xz
      serve_cache
      from=$url
      ;;
  esac
  compare
  [ "$scenario" != ext4 ] || {
    echo "floors"
    (cd "$dir/cache/nar" && zstd -dcq -- *) >"$dir/nars"
    target=tmpfs
    floor "all NARs by curl, 16 at once" "cd $dir/cache && ls nar/* | sed 's|.*|url=$url/&\noutput=/dev/null|' | curl -sZ --parallel-max 16 -K -"
    floor "zstd -d of all" "cd $dir/cache/nar && ls | xargs -n 64 -P 2 zstd -dcq >/dev/null"
    floor "SHA-256 of all NARs (SHA-NI)" "openssl dgst -sha256 $dir/nars"
    target=ext4
    floor "tar into ext4, sync" "tar -C $dir/source -cf - nix/store | tar -C $dir/target -xf - && sync -f $dir/target"
    floor "dd into ext4, sync" "dd if=$dir/nars of=$dir/target/nars bs=1M status=none && sync -f $dir/target"
    rm "$dir/nars"
  }
done
json_of_scenarios

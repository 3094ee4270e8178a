#!/usr/bin/env bash
# Serving a cache and a boot image: the boot-server's plain HTTP beside nginx (sendfile), the same files on loopback,
# in alternating order. Every client fetches the whole list over one connection. Needs root, nix-bin, nginx-light.
# Prints a table, then one line of JSON.
#
#   bench/serve.sh [--paths 500] [--mib 1024] [--runs 5] [--clients "1 16 64"]
#   SERVER, MAKER and FETCH may name programs that are built already.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=bench/lib.sh
. bench/lib.sh

paths=500 mib=1024 runs=5 clients="1 16 64"
while [ $# -gt 0 ]; do
  case $1 in
    --paths) paths=$2 ;; --mib) mib=$2 ;; --runs) runs=$2 ;; --clients) clients=$2 ;;
    *) sed -n '2,7s/^# \?//p' "$0" >&2; exit 2 ;;
  esac
  shift 2
done

server=${SERVER:-$(build_of boot-server --release --bin boot-server)}
maker=${MAKER:-$(build_of qemu-tests --release --bin make-closure)}
fetch=${FETCH:-$(build_of boot-server --release --example fetch)}

dir=$(mktemp -d "${BENCH_DIR:-/var/tmp}/centra-serve.XXXXXX")
nginx_pid='' server_pid=''
clean() {
  for pid in $nginx_pid $server_pid; do kill "$pid" 2>/dev/null || true; done
  wait
  chmod -R u+w "$dir" 2>/dev/null || true
  rm -rf "$dir"
}
trap clean EXIT

isolate_nix
mkdir -p "$dir/www/boot/nixos/vm" "$dir/images/blobs"

# An image of a profile, where the boot-server and where nginx look for it: name and MiB of its files.
make_image() {
  local artefacts=() sum
  while [ $# -gt 0 ]; do
    head -c "$2M" /dev/urandom >"$dir/www/boot/nixos/vm/$1"
    sum=$(sha256sum "$dir/www/boot/nixos/vm/$1" | cut -d' ' -f1)
    ln "$dir/www/boot/nixos/vm/$1" "$dir/images/blobs/$sum"
    artefacts+=("\"$1\":{\"sha256\":\"$sum\",\"size\":$(($2 << 20))}")
    shift 2
  done
  printf '{"format":1,"profile":"vm","kernel":"6.1","agent_version":"0","artefacts":{%s}}' \
    "$(IFS=,; echo "${artefacts[*]}")" >"$dir/images/vm.json"
}

serve_ours() {
  "$server" init "$dir/server" --address 127.0.0.1 >/dev/null
  printf '%s\n' "address = '127.0.0.1'" '[http]' "listen = '127.0.0.1:0'" '[https]' "listen = '127.0.0.1:0'" \
    '[tftp]' 'enabled = false' '[images]' "dir = '$dir/images'" '[cache]' "dir = '$dir/www/cache'" >"$dir/server/config.toml"
  CENTRA_LOG=warn "$server" serve --config "$dir/server/config.toml" 2>"$dir/server/log" &
  server_pid=$!
  for _ in $(seq 100); do
    [ -s "$dir/server/ports.json" ] && break
    sleep 0.1
  done
  ours_url=http://127.0.0.1:$(sed 's/.*"http":\([0-9]*\).*/\1/' "$dir/server/ports.json")
}

make_cache "$paths" "$mib" zstd
mv "$dir/cache" "$dir/www/"
make_image bzImage 12 initrd 28
(cd "$dir/www" && find cache -name '*.narinfo' -o -name '*.nar.zst' | LC_ALL=C sort) >"$dir/closure.list"
for _ in $(seq 8); do grep narinfo "$dir/closure.list"; done >"$dir/narinfos.list"
for _ in $(seq 5); do printf 'boot/nixos/vm/%s\n' bzImage initrd; done >"$dir/image.list"
root=$dir/www probe=cache/nix-cache-info serve_cache
serve_ours

run_ours() { "$fetch" "$ours_url" "$dir/$1.list" "$2" "$server_pid"; }
run_nginx() { "$fetch" "$url" "$dir/$1.list" "$2" "$nginx_pid"; }

# The first run of each warms up.
for load in closure narinfos image; do
  for count in $clients; do
    for run in $(seq 0 "$runs"); do
      order="ours nginx"
      [ $((run % 2)) = 1 ] || order="nginx ours"
      for who in $order; do
        "run_$who" "$load" "$count" >"$dir/line"
        [ "$run" = 0 ] || cat "$dir/line" >>"$dir/$who-$load-$count"
      done
    done
    cut -d' ' -f3,4 "$dir/ours-$load-$count" "$dir/nginx-$load-$count" | sort -u | wc -l | grep -qx 1 ||
      { echo "the two sent different bytes" >&2; exit 1; }
  done
done

# Wall, requests per second, MB per second, CPU.
rates() {
  local wall
  wall=$(column "$1" 1 | median)
  awk -v wall="$wall" -v cpu="$(column "$1" 2 | median)" \
    'NR == 1 { printf "%.3f %.0f %.0f %.2f", wall, $3 / wall, $4 / wall / 1e6, cpu }' "$dir/$1"
}

printf '%s paths, %s MiB of NAR, zstd, %s runs, medians\n' "$paths" "$mib" "$runs"
printf '%-9s %8s %-7s %8s %10s %8s %7s %11s\n' load clients "" "wall s" requests/s MB/s "CPU s" "ours/nginx"
lines=
for load in closure narinfos image; do
  for count in $clients; do
    # shellcheck disable=SC2046
    set -- $(rates "ours-$load-$count") $(rates "nginx-$load-$count")
    ratio=$(awk -v ours="$1" -v nginx="$5" 'BEGIN { printf "%.2f", nginx / ours }')
    printf '%-9s %8s %-7s %8s %10s %8s %7s %11s\n' "$load" "$count" ours "$1" "$2" "$3" "$4" "$ratio" "" "" nginx "$5" "$6" "$7" "$8" ""
    lines+=$(printf ',{"load":"%s","clients":%s,"ratio":%s,"ours":{"wall_s":%s,"cpu_s":%s},"nginx":{"wall_s":%s,"cpu_s":%s}}' \
      "$load" "$count" "$ratio" "$1" "$4" "$5" "$8")
  done
done
printf '{"bench":"serve","paths":%s,"mib":%s,"runs":%s,"loads":[%s]}\n' "$paths" "$mib" "$runs" "${lines#,}"

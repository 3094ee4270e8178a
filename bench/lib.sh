# Functions of bench/closure.sh and bench/serve.sh. They use their $dir, and set $top, $key and $url.
# shellcheck shell=bash

# Builds a program of a crate and prints where it is.
build_of() {
  nice cargo build -q -p "$@" >&2
  cargo build -q -p "$@" --message-format=json 2>/dev/null | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -1
}
build() { build_of initrd-agent "$@"; }

# Nix with settings and caches of its own.
isolate_nix() {
  mkdir -p "$dir/conf"
  printf 'build-users-group =\nexperimental-features = nix-command\n' >"$dir/conf/nix.conf"
  export NIX_CONF_DIR=$dir/conf HOME=$dir/home
}

# A cache of a closure shaped like a NixOS system: paths, MiB, compression. With a fourth word, $dir/source stays.
make_cache() {
  "$maker" "$1" "$2" 2>"$dir/top" | nix-store --store "$dir/source" --import >/dev/null 2>&1
  top=$(cat "$dir/top")
  nix-store --generate-binary-cache-key bench-1 "$dir/key.sec" "$dir/key.pub"
  key=$(cat "$dir/key.pub")
  nix copy --store "$dir/source" --to "file://$dir/cache?compression=$3&secret-key=$dir/key.sec" "$top" 2>/dev/null
  [ $# -gt 3 ] && return
  chmod -R u+w "$dir/source"
  rm -rf "$dir/source"
}

# A virtual machine gets its memory when it first touches it, at a tenth of the speed: not while we measure. MiB.
warm_memory() {
  mkdir -p "$dir/target"
  mount -t tmpfs -o size=100% tmpfs "$dir/target"
  dd if=/dev/zero of="$dir/target/fill" bs=1M count="$1" status=none
  umount "$dir/target"
}

# The cache, or the folder $root in which $probe lies, behind nginx.
serve_cache() {
  local port=$((20000 + RANDOM % 20000))
  url=http://127.0.0.1:$port
  mkdir "$dir/nginx"
  chmod 755 "$dir"
  cat >"$dir/nginx/nginx.conf" <<CONF
user root; daemon off; worker_processes 2; pid $dir/nginx/pid; error_log $dir/nginx/error.log;
events { worker_connections 512; }
http {
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000;
  client_body_temp_path $dir/nginx/1; proxy_temp_path $dir/nginx/2; fastcgi_temp_path $dir/nginx/3;
  uwsgi_temp_path $dir/nginx/4; scgi_temp_path $dir/nginx/5;
  server { listen 127.0.0.1:$port; root ${root:-$dir/cache}; }
}
CONF
  nginx -c "$dir/nginx/nginx.conf" -p "$dir/nginx" &
  nginx_pid=$!
  for _ in $(seq 50); do
    curl -fs "$url/${probe:-nix-cache-info}" >/dev/null && return
    sleep 0.1
  done
  cat "$dir/nginx/error.log" >&2
  return 1
}

# A new file system each time: what an earlier run wrote must not be in its journal or its caches.
fresh_target() {
  mkdir -p "$dir/target"
  if [ "$target" = tmpfs ]; then
    mount -t tmpfs tmpfs "$dir/target"
  else
    truncate -s $((mib * 2 + 1024))M "$dir/image"
    mkfs.ext4 -q -E lazy_itable_init=0 -i 8192 "$dir/image"
    mount -o loop "$dir/image" "$dir/target"
  fi
  sync -f "$dir/target"
}

remove_target() {
  umount "$dir/target"
  rm -f "$dir/image"
}

# Median of a column of numbers.
median() {
  sort -n | awk '{ value[NR] = $1 } END { print (NR % 2) ? value[(NR + 1) / 2] : (value[NR / 2] + value[NR / 2 + 1]) / 2 }'
}

column() { awk -v at="$2" '{ print $at }' "$dir/$1"; }

# Wall, CPU, RSS: the medians of a contender.
row() {
  printf '%s %s %s' "$(column "$1" 1 | median)" "$(column "$1" 2 | median)" \
    "$(column "$1" 3 | median | awk '{ printf "%.0f", $1 / 1024 }')"
}

print_row() {
  # shellcheck disable=SC2046
  printf '%-38s %8s %8s %9s\n' "$1" $(row "$2")
}

# What Nix takes for each second, CPU second and MiB of ours, and the spread of our walls.
ratios() {
  # shellcheck disable=SC2046
  set -- "$1" $(row "$1-ours") $(row "$1-nix")
  awk -v a="$2" -v b="$5" -v c="$3" -v d="$6" 'BEGIN { printf "  %.2fx as fast, %.2fx of the CPU time\n", b / a, c / d }'
}

json_of_scenarios() {
  local separator=
  printf '{"bench":"closure","paths":%s,"mib":%s,"runs":%s,"scenarios":{' "$paths" "$mib" "$runs"
  for scenario in $scenarios; do
    printf '%s"%s":{"ours":%s,"nix":%s}' "$separator" "$scenario" "$(json "$scenario-ours")" "$(json "$scenario-nix")"
    separator=,
  done
  printf '}}\n'
}

json() {
  # shellcheck disable=SC2046
  set -- $(row "$1") "$(column "$1" 1 | paste -sd,)"
  printf '{"wall_s":%s,"cpu_s":%s,"rss_mib":%s,"walls":[%s]}' "$1" "$2" "$3" "$4"
}

#!/usr/bin/env bash
# Installs on a bare Debian 12 what the Rust build, the demo and the tests need. Starts no service; a moment when all is there.
set -euo pipefail

packages=(
  # the Rust build: C parts, libblkid
  build-essential pkg-config libblkid-dev
  # the boot image: the kernel, mkfs, iPXE; the tools of its overlays
  linux-image-amd64 kmod zstd xz-utils cpio e2fsprogs dosfstools ipxe
  xfsprogs btrfs-progs f2fs-tools cryptsetup-bin lvm2 thin-provisioning-tools mdadm
  # machines
  qemu-system-x86 qemu-utils ovmf ipxe-qemu iproute2 mtools gdisk fdisk
  # the demo system, its binary cache and the cluster
  nix-bin etcd-server etcd-client dpkg
  # clients and servers that the tests let ours meet
  swtpm swtpm-tools systemd libtss2-esys-3.0.2-0 libtss2-rc0 libtss2-tcti-swtpm0
  age testssl.sh curl jq openssl bzip2 brotli busybox udhcpc dnsmasq-base atftp tftp-hpa
  # an OIDC provider; of the databases that its package may be set up with the one that asks for no server
  glewlwyd sqlite3 dbconfig-sqlite3
)

if ! command -v cargo >/dev/null; then
  echo "setup.sh: Rust is not there (Debian's own is too old): install rustup from https://rustup.rs, then try again" >&2
  exit 1
fi

find_missing() {
  missing=()
  for package in "${packages[@]}"; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing+=("$package")
  done
}

find_missing
if [ ${#missing[@]} -gt 0 ]; then
  [ "$(id -u)" = 0 ] || { echo "setup.sh: run as root to install: ${missing[*]}" >&2 && exit 1; }
  # Packages such as etcd-server start their service when they are installed: not here.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 0755 "$policy"
    trap 'rm -f "$policy"' EXIT
  fi
  wanted=" ${missing[*]} "
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq update
  # Twice: a package from elsewhere (qemu-utils of backports, say) makes way for those that need another version of it.
  for _ in 1 2; do
    [ ${#missing[@]} -eq 0 ] ||
      apt-get -qq install -y --no-install-recommends -o Dpkg::Use-Pty=0 "${missing[@]}"
    find_missing
  done
  [ ${#missing[@]} -eq 0 ] || { echo "setup.sh: apt did not leave these installed: ${missing[*]}" >&2 && exit 1; }
  # Its package would have it start with the machine, for everybody to log in with the password of its documentation.
  if [[ $wanted == *" glewlwyd "* ]]; then
    update-rc.d glewlwyd disable
    ! command -v systemctl >/dev/null || systemctl --quiet disable glewlwyd.service
  fi
elif ! ls /var/lib/apt/lists/*Packages* >/dev/null 2>&1; then
  # The demo system is made of packages that apt downloads.
  apt-get -qq update
fi

#!/bin/sh
# Stage 1: find the root file system by disko's partition label and hand over to the init= of the command line.
export PATH=/bin
fail() {
  echo "stage 1: $*" >/dev/console
  sleep 10
  reboot -f
}
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs /run
for m in virtio_pci virtio_blk virtio_scsi ahci sd_mod nvme crc32c_generic ext4; do modprobe -q "$m"; done

init=
for word in $(cat /proc/cmdline); do
  case "$word" in init=*) init=${word#init=} ;; esac
done
[ -n "$init" ] || fail "no init= on the kernel command line"

device=
tries=0
while [ -z "$device" ]; do
  found=$(grep -lx PARTNAME=disk-main-root /sys/class/block/*/uevent 2>/dev/null | head -n 1)
  if [ -n "$found" ]; then
    device=/dev/$(basename "$(dirname "$found")")
  else
    tries=$((tries + 1))
    [ "$tries" -lt 300 ] || fail "no partition is labelled disk-main-root"
    sleep 0.1
  fi
done

mount -t ext4 -o rw,noatime "$device" /new-root || fail "mounting $device"
[ -x "/new-root$init" ] || [ -L "/new-root$init" ] || fail "$init is not on $device"
for d in proc sys dev run; do
  mkdir -p "/new-root/$d"
  mount --move "/$d" "/new-root/$d"
done
exec switch_root /new-root "$init"

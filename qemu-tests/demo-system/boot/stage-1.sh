#!/bin/sh
# Stage 1: find the root file system and hand over to the init= of the command line. It is disko's partition
# disk-main-root, or what stage1.mount=MOUNTPOINT:DEVICE:OPTIONS says, once for each file system that is needed to boot;
# DEVICE is LABEL=... or UUID=..., on whatever stack of RAID, LUKS and LVM it is.
export PATH=/bin
fail() {
  cat /run/stage-1.log >/dev/console 2>/dev/null
  echo "stage 1: $*" >/dev/console
  sleep 10
  reboot -f
}
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs /run
for m in virtio_pci virtio_blk virtio_scsi ahci sd_mod nvme crc32c_generic ext4; do modprobe -q "$m"; done

init= mounts=
for word in $(cat /proc/cmdline); do
  case "$word" in
  init=*) init=${word#init=} ;;
  stage1.mount=*) mounts="$mounts ${word#stage1.mount=}" ;;
  esac
done
[ -n "$init" ] || fail "no init= on the kernel command line"

seconds() {
  cut -d . -f 1 /proc/uptime
}

wait_for() { # WHAT COMMAND...: sets $device to what the command prints
  begin=$(seconds)
  what=$1
  shift
  until device=$("$@" | head -n 1) && [ -n "$device" ]; do
    [ ! -e /run/still-sealed ] || fail "the TPM does not open $(cat /run/still-sealed)"
    [ $(($(seconds) - begin)) -lt 60 ] || fail "$what is not there"
    sleep 0.1
  done
}

by_partition_label() { # NAME
  found=$(grep -lx "PARTNAME=$1" /sys/class/block/*/uevent 2>/dev/null | head -n 1)
  [ -z "$found" ] || echo "/dev/$(basename "$(dirname "$found")")"
}

open_stack() { # opens what can be opened by now of what lies between disks and file systems
  mdadm --assemble --scan --no-degraded
  # The other half of a mirror may only be late: it is given 5 s.
  if [ $(($(seconds) - begin)) -ge 5 ]; then
    mdadm --assemble --scan --run
    for array in /sys/class/block/md*/md; do
      if grep -sqx inactive "$array/array_state"; then mdadm --run "/dev/$(basename "${array%/md}")"; fi
    done
  fi
  for entry in /sys/class/block/*; do
    name=$(basename "$entry")
    if [ -z "$(ls "$entry/holders")" ] && [ "$(head -c 4 "/dev/$name" | tr -d '\0')" = LUKS ]; then
      if [ -x /bin/systemd-cryptsetup ]; then
        systemd-cryptsetup attach "luks-$name" "/dev/$name" - tpm2-device=auto,headless=yes || echo "/dev/$name" >/run/still-sealed
      else
        cryptsetup open --key-file /secrets/disk.key "/dev/$name" "luks-$name"
      fi
    fi
  done
  lvm vgchange --activate y --sysinit
  btrfs device scan
} >/run/stage-1.log 2>&1

on_a_stack() { # LABEL=... or UUID=...
  findfs "$1" 2>/dev/null && return
  open_stack
  findfs "$1" 2>/dev/null
}

if [ -z "$mounts" ]; then
  wait_for "a partition with the label disk-main-root" by_partition_label disk-main-root
  mount -t ext4 -o rw,noatime "$device" /new-root || fail "mounting $device"
else
  export DM_DISABLE_UDEV=1
  mkdir -p /run/cryptsetup /run/lock
  for m in dm_mod dm_crypt af_alg algif_skcipher md_mod raid1 btrfs xfs; do modprobe -q "$m"; done
  for mount in $mounts; do
    place=${mount%%:*} options=${mount##*:}
    mount=${mount#*:}
    wait_for "${mount%:*}" on_a_stack "${mount%:*}"
    mkdir -p "/new-root$place"
    mount -o "rw,noatime${options:+,$options}" "$device" "/new-root$place" || fail "mounting $device at $place"
  done
fi
[ -x "/new-root$init" ] || [ -L "/new-root$init" ] || fail "$init is not on $device"
for d in proc sys dev run; do
  mkdir -p "/new-root/$d"
  mount --move "/$d" "/new-root/$d"
done
exec switch_root /new-root "$init"

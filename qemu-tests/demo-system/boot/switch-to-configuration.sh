#!@busybox@/bin/sh
# `switch-to-configuration boot`: makes the boot loader offer every generation of the system profile, this one first.
set -eu
export PATH=@busybox@/bin:/usr/sbin:/usr/bin

[ "${1:-}" = boot ] || { echo "usage: $0 boot (the demo system knows no other)" >&2 && exit 1; }
[ -e /etc/NIXOS ] || { echo "This is not a NixOS installation!" >&2 && exit 1; }

generations() { # newest first: NUMBER TOPLEVEL
  for link in /nix/var/nix/profiles/system-*-link; do
    [ -L "$link" ] || continue
    number=${link#*system-}
    echo "${number%-link} $(readlink "$link")"
  done | sort -rn
}

store_name() { # FILE: the name of a store file on the ESP
  echo "$1" | sed -e 's|^/nix/store/||' -e 's|/|-|g'
}

copy() { # FROM TO: whole or not at all
  [ -e "$2" ] && return
  cp "$1" "$2.tmp"
  sync "$2.tmp"
  mv "$2.tmp" "$2"
}

esp_is_mounted() {
  grep -q '^[^ ]* /boot vfat ' /proc/mounts || { echo "/boot is not a mounted EFI system partition" >&2 && exit 1; }
}

systemd_boot() {
  esp_is_mounted
  mkdir -p /boot/EFI/systemd /boot/EFI/BOOT /boot/EFI/nixos /boot/loader/entries
  if [ "${NIXOS_INSTALL_BOOTLOADER:-}" = 1 ] || [ ! -e /boot/EFI/systemd/systemd-bootx64.efi ]; then
    rm -f /boot/EFI/systemd/systemd-bootx64.efi /boot/EFI/BOOT/BOOTX64.EFI
    copy @systemdBoot@/usr/lib/systemd/boot/efi/systemd-bootx64.efi /boot/EFI/systemd/systemd-bootx64.efi
    copy @systemdBoot@/usr/lib/systemd/boot/efi/systemd-bootx64.efi /boot/EFI/BOOT/BOOTX64.EFI
  fi
  # What stage 1 must know before there is a root, as NixOS' boot.initrd.secrets: it is no part of the store.
  secrets=
  if [ -d /etc/nixos/secrets/initrd ]; then
    secrets=/EFI/nixos/secrets.efi
    # Compressed: the boot loader puts it right behind the initrd, and the kernel takes a plain archive only at a
    # multiple of 4 bytes.
    (mkdir -p /tmp/secrets && cp -r /etc/nixos/secrets/initrd /tmp/secrets/secrets && cd /tmp/secrets &&
      find . | cpio -o -H newc 2>/dev/null | gzip -9n) >/boot$secrets.tmp
    mv "/boot$secrets.tmp" "/boot$secrets"
    rm -rf /tmp/secrets
  fi
  default=
  generations >/tmp/generations
  while read -r number system; do
    kernel=$(readlink -f "$system/kernel")
    initrd=$(readlink -f "$system/initrd")
    copy "$kernel" "/boot/EFI/nixos/$(store_name "$kernel").efi"
    copy "$initrd" "/boot/EFI/nixos/$(store_name "$initrd").efi"
    entry=/boot/loader/entries/nixos-generation-$number.conf
    cat >"$entry.tmp" <<END
title NixOS-shaped demo
sort-key nixos
version Generation $number @label@
linux /EFI/nixos/$(store_name "$kernel").efi
initrd /EFI/nixos/$(store_name "$initrd").efi${secrets:+
initrd $secrets}
options init=$system/init $(cat "$system/kernel-params")
machine-id $(cat /etc/machine-id)
END
    mv "$entry.tmp" "$entry"
    [ "$system" = @toplevel@ ] && default=${default:-$number}
  done </tmp/generations
  rm -f /tmp/generations
  printf 'timeout 0\ndefault nixos-generation-%s.conf\neditor 0\n' "${default:-1}" >/boot/loader/loader.conf.tmp
  mv /boot/loader/loader.conf.tmp /boot/loader/loader.conf
}

root_disk() { # the whole disk of the file system at /
  device=$(awk '$2 == "/" && $1 ~ "^/dev/" { d = $1 } END { print d }' /proc/mounts)
  partition=$(basename "$(readlink -f "$device")")
  [ -e "/sys/class/block/$partition/partition" ] || { echo "$device: / is not on a partition" >&2 && exit 1; }
  echo "/dev/$(basename "$(dirname "$(readlink -f "/sys/class/block/$partition")")")"
}

grub_menu() { # SEEN LINE...: SEEN FILE says where GRUB sees a file of the store
  seen=$1
  shift
  {
    for line; do echo "$line"; done
    echo 'set timeout=0'
    echo 'set default=0'
    generations | while read -r number system; do
      kernel=$("$seen" "$(readlink -f "$system/kernel")")
      initrd=$("$seen" "$(readlink -f "$system/initrd")")
      echo "menuentry \"NixOS-shaped demo, generation $number\" {"
      echo "  linux $kernel init=$system/init $(cat "$system/kernel-params")"
      echo "  initrd $initrd"
      echo '}'
    done
  } >/boot/grub/grub.cfg.tmp
  mv /boot/grub/grub.cfg.tmp /boot/grub/grub.cfg
}

bios_grub() {
  # As boot.loader.grub.devices has it: the layout's own name for the disk, whichever the spec selected.
  disk=/dev/disk/by-id/chosen-by-the-spec
  [ "$(readlink -f "$disk")" = "$(root_disk)" ] || { echo "cannot find a GRUB drive for $disk" >&2 && exit 1; }
  mkdir -p /boot/grub
  if [ "${NIXOS_INSTALL_BOOTLOADER:-}" = 1 ] || [ ! -e /boot/grub/i386-pc/core.img ]; then
    @grub@/usr/sbin/grub-install --target=i386-pc --boot-directory=/boot --no-floppy --locales= --themes= --fonts= \
      --install-modules="normal linux part_gpt ext2 serial terminal echo minicmd configfile" \
      --modules="part_gpt ext2" "$disk"
  fi
  grub_menu echo 'serial --unit=0 --speed=115200' 'terminal_input console serial' 'terminal_output console serial'
}

on_the_esp() { # FILE: copied there, for / is another file system
  copy "$1" "/boot/kernels/$(store_name "$1")"
  echo "/kernels/$(store_name "$1")"
}

efi_grub() {
  esp_is_mounted
  mkdir -p /boot/grub /boot/kernels
  # NixOS's defaults, device = "nodev": a folder of its own, no EFI/BOOT, and no word to the firmware.
  if grep -qs '^left out' /etc/nixos/grub; then
    echo "no loader, as it was asked for"
  elif [ "${NIXOS_INSTALL_BOOTLOADER:-}" = 1 ] || [ ! -e /boot/EFI/NixOS-boot/grubx64.efi ]; then
    @grub@/usr/sbin/grub-install --target=x86_64-efi --directory=@efiGrub@/usr/lib/grub/x86_64-efi --recheck \
      --boot-directory=/boot --efi-directory=/boot --bootloader-id=NixOS-boot --no-nvram \
      --locales= --themes= --fonts= --install-modules="normal linux part_gpt fat terminal echo minicmd configfile"
  fi
  grub_menu on_the_esp 'echo GRUB of NixOS-boot'
}

if [ ! -d /sys/firmware/efi ]; then
  bios_grub
elif [ -n "@efiGrub@" ]; then
  efi_grub
else
  systemd_boot
fi
sync -f /nix/store
[ ! -d /sys/firmware/efi ] || sync -f /boot

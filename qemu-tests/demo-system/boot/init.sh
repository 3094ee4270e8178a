#!@busybox@/bin/sh
# Stage 2: activate this system and become systemd.
export PATH=@busybox@/bin
chown 0:30000 /nix/store
chmod 1775 /nix/store
@toplevel@/activate
# A systemd mount unit would make BIOS machines wait for a partition that they do not have.
esp=$(grep -lx PARTNAME=disk-main-ESP /sys/class/block/*/uevent | head -n 1)
if [ -d /sys/firmware/efi ] && [ -n "$esp" ]; then
  for module in vfat nls_cp437 nls_ascii efivarfs; do /usr/sbin/modprobe -q "$module"; done
  mount -t vfat -o umask=0077 "/dev/$(basename "$(dirname "$esp")")" /boot
fi
ln -sfn @toplevel@ /run/booted-system
exec env -i PATH=/usr/bin:/usr/sbin /usr/lib/systemd/systemd "$@"

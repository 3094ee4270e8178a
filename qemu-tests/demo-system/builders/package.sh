# One Debian package: unpacked, /usr merged, without what no machine reads.
mkdir -p "$out"
data=$(ar t "$deb" | grep '^data\.tar')
case "$data" in
*.xz) unpack=xzcat ;;
*.gz) unpack=zcat ;;
*.tar) unpack=cat ;;
*) echo "$deb: $data: unknown compression" >&2 && exit 1 ;;
esac
ar p "$deb" "$data" | $unpack | tar -x -C "$out"
for d in bin sbin lib lib64; do
  if [ -d "$out/$d" ]; then
    mkdir -p "$out/usr/$d"
    cp -a "$out/$d/." "$out/usr/$d/"
    rm -rf "${out:?}/$d"
  fi
done
cd "$out"
rm -rf usr/share/doc usr/share/man usr/share/info usr/share/locale usr/share/lintian usr/share/bash-completion \
  usr/share/zsh usr/share/bug usr/share/menu usr/share/polkit-1 usr/share/i18n usr/share/grub usr/lib/grub/*/monolithic usr/share/gdb \
  usr/lib/x86_64-linux-gnu/gconv usr/lib/systemd/catalog usr/lib/udev/hwdb.d usr/share/mime usr/lib/systemd/boot/efi/*ia32* \
  usr/lib/systemd/boot/efi/*.stub var etc/init.d etc/default etc/cron* etc/logrotate.d
find . -depth -type d -exec rmdir {} + 2>/dev/null || true
mkdir -p nix-support
for d in $depends; do echo "$d"; done >nix-support/depends

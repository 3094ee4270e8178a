# What a NixOS toplevel has.
label=23.11.centra
mkdir -p "$out/bin"
ln -s "$linux/bzImage" "$out/kernel"
ln -s "$linux/usr/lib/modules" "$out/kernel-modules"
ln -s "$initrd/initrd" "$out/initrd"
ln -s "$etc/etc" "$out/etc"
ln -s "$sw" "$out/sw"
printf %s "$kernelParams" >"$out/kernel-params"
printf %s "$label" >"$out/nixos-version"
printf %s x86_64-linux >"$out/system"
printf 'systemd 3' >"$out/init-interface-version"
substitute() {
  sed -e "s|@toplevel@|$out|g" -e "s|@busybox@|$busybox|g" -e "s|@sw@|$sw|g" -e "s|@label@|$label|g" \
    -e "s|@systemdBoot@|$systemdBoot|g" -e "s|@grub@|$grub|g" \
    -e "s|@efiGrub@|$efiGrub|g" "$1" >"$2"
  chmod 0555 "$2"
}
substitute "$init" "$out/init"
substitute "$activate" "$out/activate"
substitute "$switch" "$out/bin/switch-to-configuration"
params=
for p in $kernelParams; do params="$params${params:+, }\"$p\""; done
cat >"$out/boot.json" <<END
{
  "org.nixos.bootspec.v1": {
    "init": "$out/init",
    "initrd": "$initrd/initrd",
    "kernel": "$linux/bzImage",
    "kernelParams": [$params],
    "label": "NixOS-shaped demo $label",
    "system": "x86_64-linux",
    "toplevel": "$out"
  },
  "org.nixos.specialisation.v1": {}
}
END

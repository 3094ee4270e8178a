# Stage 1: busybox, the modules that reach a disk, one script.
root=$PWD/root
mkdir -p "$root/bin" "$root/proc" "$root/sys" "$root/dev" "$root/run" "$root/new-root"
cp -a "$busybox/bin/." "$root/bin/"
ln -s bin "$root/sbin" # where the kernel looks for modprobe
version=$(ls "$linux/usr/lib/modules")
mkdir -p "$root/lib/modules/$version"
cp "$linux/usr/lib/modules/$version"/modules.* "$root/lib/modules/$version/"
cd "$linux/usr/lib/modules/$version"
# Modules that only the system itself needs stay out.
find kernel -name '*.ko' | grep -vE '/net/|/nls/|/fat/|/efivarfs/|/autofs/|/hw_random/' | while read -r module; do
  mkdir -p "$root/lib/modules/$version/${module%/*}"
  cp "$module" "$root/lib/modules/$version/$module"
done
cp "$stage1" "$root/init"
chmod -R u+w "$root"
chmod 0755 "$root/init"
find "$root" -exec touch -h -d @1 {} +
mkdir -p "$out"
cd "$root"
find . | sort | cpio -o -H newc 2>/dev/null | gzip -9n >"$out/initrd"

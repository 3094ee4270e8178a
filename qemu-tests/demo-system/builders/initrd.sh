# Stage 1: busybox, the modules that reach a disk, one script; and where the root lies on a stack, the tools that open it.
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
if [ -n "$tools" ]; then
  libraries=$tools/usr/lib/x86_64-linux-gnu loader=$tools/usr/lib64/ld-linux-x86-64.so.2
  mkdir -p "$root/lib64" "$root/lib/x86_64-linux-gnu"
  cp -L "$loader" "$root/lib64/"
  # libpthread opens libgcc_s when a thread ends.
  cp -L "$libraries/libgcc_s.so.1" "$root/lib/x86_64-linux-gnu/"
  copy_libraries_of() { # PROGRAM
    "$loader" --library-path "$libraries:$libraries/systemd" --list "$1" | while read -r name _ path _; do
      case "$name$path" in lib*/*) cp -L "$path" "$root/lib/x86_64-linux-gnu/$name" ;; esac
    done
  }
  for tool in mdadm cryptsetup lvm btrfs ${sealed:+systemd-cryptsetup}; do
    program=$(ls "$tools/usr/sbin/$tool" "$tools/usr/bin/$tool" "$tools/usr/lib/systemd/$tool" 2>/dev/null | head -n 1)
    cp -L "$program" "$root/bin/$tool"
    copy_libraries_of "$program"
  done
  if [ -n "$sealed" ]; then
    # What asks the TPM is opened by its name.
    ln -s . "$root/usr"
    mkdir -p "$root/lib/x86_64-linux-gnu/cryptsetup"
    for name in cryptsetup/libcryptsetup-token-systemd-tpm2 libtss2-esys libtss2-mu libtss2-rc libtss2-tcti-device; do
      for library in "$libraries/$name".so "$libraries/$name".so.0; do
        [ -e "$library" ] || continue
        cp -L "$library" "$root/lib/x86_64-linux-gnu/${library#"$libraries/"}"
        copy_libraries_of "$library"
      done
    done
  fi
fi
chmod -R u+w "$root"
chmod 0755 "$root/init"
find "$root" -exec touch -h -d @1 {} +
mkdir -p "$out"
cd "$root"
find . | sort | cpio -o -H newc 2>/dev/null | gzip -9n >"$out/initrd"

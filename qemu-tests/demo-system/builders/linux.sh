# The kernel and the modules that a virtual machine needs.
mkdir -p "$out/usr/lib"
cp "$linux/bzImage" "$out/bzImage"
cp -r "$linux/lib/modules" "$out/usr/lib/modules"

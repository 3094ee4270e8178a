# The agent, in the place where the units expect it.
mkdir -p "$out/usr/bin"
cp "$agent" "$out/usr/bin/initrd-agent"
chmod 0755 "$out/usr/bin/initrd-agent"

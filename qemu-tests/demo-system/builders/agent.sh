# The agent, and where it is given the peer that plays services, in the place where the units expect them.
mkdir -p "$out/usr/bin"
cp "$agent" "$out/usr/bin/initrd-agent"
[ -z "$peer" ] || cp "$peer" "$out/usr/bin/cluster-peer"
chmod 0755 "$out/usr/bin/"*

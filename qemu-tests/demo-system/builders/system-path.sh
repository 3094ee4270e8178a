# One tree of links over all packages, as NixOS has in sw. Links stay as they are, so that relative ones are
# resolved in this tree and not in the package that they came from.
mkdir -p "$out"
for part in $parts; do
  [ -d "$part/usr" ] || continue
  cd "$part"
  find usr -type d | while read -r dir; do
    mkdir -p "$out/$dir"
    find "$part/$dir" -mindepth 1 -maxdepth 1 -type f -exec ln -sf {} "$out/$dir/" \;
    find "$part/$dir" -mindepth 1 -maxdepth 1 -type l -exec cp -P {} "$out/$dir/" \;
  done
done
# What Debian's maintainer scripts would have made.
ln -sf bash "$out/usr/bin/sh"

#!@busybox@/bin/sh
# Makes this system the current one. Runs in the chroot of an installation and at each boot, and may run again.
set -eu
export PATH=@busybox@/bin
umask 0022

link() { # TARGET NAME: replaces NAME in one step
  ln -sfn "$1" "$2.tmp"
  mv -fT "$2.tmp" "$2"
}

if [ -n "${IN_NIXOS_ENTER:-}" ]; then
  # What activation scripts of real systems do to their installer: an agent stays behind with the output open
  # (gpg-agent, pcscd), and something is mounted below the target (impermanence, agenix).
  sleep 100000 &
  mkdir -p /mnt/persistent
  mount -o bind /mnt/persistent /mnt/persistent
fi

mkdir -p /run /etc /var/lib /var/log /var/cache /var/tmp /root /home /boot /proc /sys /dev /tmp /mnt
chmod 1777 /tmp /var/tmp
chmod 0700 /root
link @toplevel@ /run/current-system
link @sw@/usr /usr
for d in bin sbin lib lib64; do link "usr/$d" "/$d"; done
[ -e /var/run ] || ln -s ../run /var/run

link @toplevel@/etc /etc/static
for path in /etc/static/*; do
  name=${path##*/}
  if [ "$name" != users ] && { [ ! -e "/etc/$name" ] || [ -L "/etc/$name" ]; }; then
    link "static/$name" "/etc/$name"
  fi
done
for name in passwd group shadow; do
  [ -e "/etc/$name" ] || cp "/etc/static/users/$name" "/etc/$name"
done
chmod 0644 /etc/passwd /etc/group
chmod 0600 /etc/shadow
[ -s /etc/machine-id ] || tr -d - </proc/sys/kernel/random/uuid >/etc/machine-id
[ -e /etc/resolv.conf ] || : >/etc/resolv.conf

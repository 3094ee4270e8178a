# The static part of /etc, with the units that are wanted and those that a small machine is faster without.
mkdir -p "$out"
cp -r "$etc" "$out/etc"
chmod -R u+w "$out/etc"
cd "$out/etc/systemd/system"

want() { # TARGET UNIT...
  mkdir -p "$1.wants"
  for unit in "$@"; do
    [ "$unit" != "$1" ] || continue
    case "$unit" in
    /*) ln -s "$unit" "$1.wants/" ;;
    *@*) ln -s "../${unit%@*}@.service" "$1.wants/$unit" ;;
    *) ln -s "../$unit" "$1.wants/" ;;
    esac
  done
}
for unit in etcd etcd-cluster-join chainfire-cluster-join flaredb-cluster-join iam-initial-setup cluster-health-check \
  initrd-agent-renew initrd-agent-unseal; do
  mkdir "$unit.service.d"
  ln -s ../sandbox.conf "$unit.service.d/"
done
# Behind the sandbox, which shows no devices.
ln -s ../tpm.conf initrd-agent-renew.service.d/
ln -s ../unlisted-devices.conf initrd-agent-unseal.service.d/
if [ -n "$peer" ]; then
  want multi-user.target chainfire.service flaredb.service iam.service chainfire-cluster-join.service \
    flaredb-cluster-join.service iam-initial-setup.service verify-units.service
else
  want multi-user.target etcd.service etcd-cluster-join.service
fi
want multi-user.target initrd-agent-unseal.service cluster-health-check.service console@ttyS0.service console@tty1.service \
  /usr/lib/systemd/system/systemd-networkd.service
want timers.target cluster-health-check.timer initrd-agent-renew.timer
want network-online.target /usr/lib/systemd/system/systemd-networkd-wait-online.service
ln -s /usr/lib/systemd/system/multi-user.target default.target

for unit in getty.target systemd-logind.service user.slice systemd-user-sessions.service \
  systemd-hwdb-update.service systemd-journal-catalog-update.service systemd-update-done.service \
  systemd-firstboot.service systemd-machine-id-commit.service systemd-sysusers.service systemd-remount-fs.service \
  systemd-fsck-root.service systemd-update-utmp.service systemd-update-utmp-runlevel.service \
  systemd-boot-system-token.service systemd-pcrphase.service systemd-pcrphase-sysinit.service systemd-pstore.service \
  systemd-binfmt.service proc-sys-fs-binfmt_misc.automount dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount \
  sys-kernel-tracing.mount sys-fs-fuse-connections.mount modprobe@drm.service modprobe@fuse.service \
  modprobe@configfs.service modprobe@efi_pstore.service systemd-ask-password-console.path \
  systemd-ask-password-wall.path systemd-tmpfiles-clean.timer fstrim.timer; do
  ln -s /dev/null "$unit"
done

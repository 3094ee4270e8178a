//! Disks that are not the node's to write to, beside its own: what it had before, what other machines have left and is
//! still open, and what somebody holds dear. Whatever a layout says, they stay as they are.

use anyhow::{Context, Result, ensure};
use qemu_tests::disk_lab::{Bus, DiskLab, LabDisk, Output};
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};

/// MiB. The first two, vda and vdb, are the node's own; [`KINDS`] is what is on the others.
const SIZES: [u64; 14] = [260, 260, 32, 128, 48, 32, 32, 32, 48, 48, 32, 32, 16, 64];
const OWN: [&str; 2] = ["/dev/vda", "/dev/vdb"];
/// Of the ext4 on vdm.
const PRECIOUS: &str = "0d15ea5e-0000-4000-8000-000000000001";
const LIMIT: Duration = Duration::from_secs(120);
const FILE: &str = "/tmp/layout.json";
/// What other machines have left is open, by names that the layouts here make.
const OF_OTHERS: &str = r"
    lvm pvcreate -q /dev/vdi; lvm vgcreate -q pool /dev/vdi; lvm lvcreate -y -L 16M -n root pool
    cryptsetup -q luksFormat --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file /key /dev/vdj
    cryptsetup open --key-file /key /dev/vdj two
    mdadm --create /dev/md/data --run --assume-clean --level 1 --raid-devices 2 /dev/vdk /dev/vdl
    for device in /dev/pool/root /dev/mapper/two /dev/md/data; do mkfs.ext4 -q $device; done
    mkfs.ext4 -q -L PRECIOUS -U PRECIOUS_UUID /dev/vdm
    printf '\014\261\272\0\0\0\0\0' >/tmp/uberblock
    for block in $(seq 128 140); do dd if=/tmp/uberblock of=/dev/vdn bs=1024 seek=$block status=none; done
    sync; sleep 1; echo kinds
    for disk in /dev/vd[c-h]1 /dev/vd[i-n]; do blkid -p -o value -s TYPE $disk; done";
const KINDS: &str = "ext4 btrfs LVM2_member linux_raid_member linux_raid_member ext4 \
                     LVM2_member crypto_LUKS linux_raid_member linux_raid_member ext4 zfs_member";
/// Sectors of each disk that were written or discarded so far.
const WRITTEN: &str = "sync; awk '{ print FILENAME, $7, $14 }' /sys/block/vd?/stat";

/// A layout with one partition on each disk.
fn layout(contents: &[(&str, Value)]) -> Value {
    let disk = |content: &Value| {
        let root = json!({ "size": "100%", "content": content });
        json!({ "device": "/dev/none", "content": { "type": "gpt", "partitions": { "root": root } } })
    };
    let disks: Map<String, Value> = contents.iter().map(|(key, content)| ((*key).to_owned(), disk(content))).collect();
    json!({ "disk": disks })
}

fn on_main(content: Value) -> Value {
    layout(&[("main", content)])
}

fn file_system(format: &str, words: &[&str]) -> Value {
    json!({ "type": "filesystem", "format": format, "extraArgs": words, "mountpoint": "/" })
}

fn btrfs(words: &[&str]) -> Value {
    json!({ "type": "btrfs", "extraArgs": words, "mountpoint": "/" })
}

fn luks(name: &str, words: &[&str], content: &Value) -> Value {
    let words = [&["--pbkdf pbkdf2", "--pbkdf-force-iterations 1000"], words].concat();
    json!({ "type": "luks", "name": name, "passwordFile": "/key", "extraFormatArgs": words, "content": content })
}

fn volumes(group: &str, volumes: &[(&str, &str, &str)], words: &[&str]) -> Value {
    let mut layout = on_main(json!({ "type": "lvm_pv", "vg": group }));
    for (name, size, mountpoint) in volumes {
        let content = json!({ "type": "filesystem", "format": "ext4", "mountpoint": mountpoint });
        layout["lvm_vg"][group]["lvs"][name] = json!({ "size": size, "extraArgs": words, "content": content });
    }
    layout
}

fn mirror(disks: [&str; 2], name: &str, words: &[&str]) -> Value {
    let mut layout = layout(&disks.map(|disk| (disk, json!({ "type": "mdraid", "name": name }))));
    layout["mdadm"][name] = json!({ "level": 1, "extraArgs": words, "content": file_system("ext4", &[]) });
    layout
}

fn pool(topology: &Value) -> Value {
    let mut layout = layout(&["main", "second"].map(|disk| (disk, json!({ "type": "zfs", "pool": "z" }))));
    layout["zpool"]["z"]["mode"]["topology"] = topology.clone();
    layout
}

fn agent(verb: &str, node: &str, layout: &Value, devices: &[&str], options: &str) -> String {
    let keys = layout["disk"].as_object().into_iter().flat_map(Map::keys);
    let select: String = keys.zip(devices).map(|(key, device)| format!(" --select {key}={device}")).collect();
    format!("initrd-agent disk {verb} --layout {FILE} --node {node}{select} {options}")
}

/// What a layout of this node is, of each kind, on the disk that it had before.
fn earlier() -> [(Value, &'static [&'static str]); 4] {
    let mut volumes_before = volumes("before", &[("root", "16M", "/")], &[]);
    // Another disk of the layout than main, whose identifiers no other layout here has.
    let main = volumes_before["disk"]["main"].take();
    volumes_before["disk"] = json!({ "group": main });
    [
        (layout(&[("plain", file_system("ext4", &[]))]), &["/dev/vdc"]),
        (layout(&[("tree", btrfs(&[]))]), &["/dev/vdd"]),
        (volumes_before, &["/dev/vde"]),
        (mirror(["left", "right"], "before", &[]), &["/dev/vdf", "/dev/vdg"]),
    ]
}

struct Machine {
    lab: DiskLab,
    written: Vec<String>,
}

impl Machine {
    fn prepare() -> Result<Self> {
        let disk = |(size, name): (&u64, char)| LabDisk::new(Bus::Virtio, &format!("disk-{name}"), *size);
        let disks: Vec<LabDisk> = SIZES.iter().zip('a'..).map(disk).collect();
        let mut lab = DiskLab::boot("foreign-disks", &disks)?;
        lab.ok("[ -e /bin/sh ] || ln -sf $(which sh) /bin/sh; printf pw >/key
            modprobe dm_mod dm_crypt raid1 ext4 btrfs f2fs")?;
        let mut make = |node: &str, layout: &Value, devices: &[&str]| -> Result<()> {
            lab.put(FILE, layout.to_string().as_bytes())?;
            lab.ok(&agent("apply", node, layout, devices, "")).map(drop)
        };
        for (layout, devices) in earlier() {
            make("node-1", &layout, devices)?;
        }
        make("node-2", &on_main(file_system("ext4", &[])), &["/dev/vdh"])?;
        let said = lab.ok(&OF_OTHERS.replace("PRECIOUS_UUID", PRECIOUS))?;
        let kinds = said.lines().skip_while(|line| *line != "kinds").skip(1).collect::<Vec<_>>().join(" ");
        ensure!(kinds == KINDS, "the disks have {said}");
        let mut machine = Machine { lab, written: Vec::new() };
        machine.written = machine.run(&Value::Null, "true")?.1;
        Ok(machine)
    }

    /// Runs a script where the layout is, and says what was written to each disk by then.
    fn run(&mut self, layout: &Value, script: &str) -> Result<(Output, Vec<String>)> {
        let script = format!("cat >{FILE}\n{script}\nstatus=$?; {WRITTEN}; exit $status");
        let output = self.lab.run_for(&script, layout.to_string().as_bytes(), LIMIT)?;
        let lines = output.stdout.lines().filter(|line| line.starts_with("/sys/block/"));
        let written: Vec<String> = lines.map(str::to_owned).collect();
        ensure!(written.len() == SIZES.len(), "not every disk is there: {output:?}");
        Ok((output, written))
    }

    /// The first so many disks may have been written to since this was looked at last.
    fn must_be_unwritten_but(&mut self, own: usize, written: Vec<String>) -> Result<()> {
        let (before, after) = (self.written.get(own..), written.get(own..));
        ensure!(before == after, "a disk was written to:\n{before:#?}\n{after:#?}");
        self.written = written;
        Ok(())
    }

    /// Whatever may become of the node's own disks, nothing is written, and these words are said.
    fn refuses(&mut self, layout: &Value, words: &[&str]) -> Result<()> {
        self.refuses_as_told(layout, "", words)?;
        self.refuses_as_told(layout, &wipe(layout), words)
    }

    fn refuses_as_told(&mut self, layout: &Value, options: &str, words: &[&str]) -> Result<()> {
        let (output, written) = self.run(layout, &agent("apply", "node-1", layout, &OWN, options))?;
        let said = |word: &&str| output.stderr.contains(word);
        ensure!(output.status == 1 && words.iter().all(said), "it is no refusal of {words:?}: {output:?}");
        self.must_be_unwritten_but(0, written)
    }

    /// As [`Self::refuses`], before a disk or a policy is looked at: once is enough.
    fn refuses_to_read(&mut self, layout: &Value, words: &str) -> Result<()> {
        self.refuses_as_told(layout, &wipe(layout), &["E-LAYOUT", words])
    }

    /// A tool looks for what it is told, and does not find it.
    fn does_not_find(&mut self, layout: &Value) -> Result<()> {
        let (output, written) = self.run(layout, &agent("apply", "node-1", layout, &OWN, &wipe(layout)))?;
        ensure!(output.status == 1 && output.stderr.contains("E-TOOL"), "it was found: {output:?}");
        self.must_be_unwritten_but(OWN.len(), written)
    }

    fn makes(&mut self, layout: &Value, options: &str) -> Result<()> {
        let verbs = ["apply", "mount", "unmount"].map(|verb| agent(verb, "node-1", layout, &OWN, options));
        let (output, written) = self.run(layout, &verbs.join(" && "))?;
        output.success()?;
        self.must_be_unwritten_but(OWN.len(), written)
    }
}

fn wipe(layout: &Value) -> String {
    let keys = layout["disk"].as_object().into_iter().flat_map(Map::keys);
    keys.map(|key| format!(" --wipe {key}=wipe")).collect()
}

#[test]
fn disks_of_others_stay_as_they_are_whatever_a_layout_says() {
    let run = || -> Result<()> {
        let mut machine = timed("preparing", Machine::prepare)?;
        let images = machine.lab.digests()?.split_off(OWN.len());
        timed("refusals", || refusals(&mut machine))?;
        timed("hooks", || machine.makes(&hooked(), "--allow-hooks"))?;
        timed("words that tools look up", || {
            words_that_tools_look_up().iter().try_for_each(|layout| machine.does_not_find(layout))
        })?;
        timed("words that are of the layout", || {
            words_of_the_layout().iter().try_for_each(|layout| machine.makes(layout, &wipe(layout)))
        })?;
        timed("keeping", || keeps(&mut machine))?;
        ensure!(machine.lab.digests()?.split_off(OWN.len()) == images, "a disk is not what it was");
        Ok(())
    };
    run().expect("no disk of others is written to");
}

/// Where the time goes, for whoever reads the test's output.
fn timed<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let begin = Instant::now();
    let result = work().with_context(|| what.to_owned());
    println!("{what}: {:.1} s", begin.elapsed().as_secs_f64());
    result
}

fn refusals(machine: &mut Machine) -> Result<()> {
    for (layout, _) in earlier() {
        machine.refuses(&layout, &["E-DISK-UNFIT", "carries an earlier installation of this node"])?;
    }
    for layout in names_in_use() {
        machine.refuses(&layout, &["E-DISK-UNFIT", "is a name in use"])?;
    }
    for layout in words_that_are_known() {
        machine.refuses_to_read(&layout, "is not of this layout's making")?;
    }
    for topology in topologies() {
        machine.refuses_to_read(&pool(&topology), "zpool.z.mode.topology")?;
    }
    machine.refuses_to_read(&hooked(), "Hook")
}

fn names_in_use() -> [Value; 4] {
    [
        volumes("pool", &[("root", "16M", "/")], &[]),
        on_main(luks("two", &[], &file_system("ext4", &[]))),
        mirror(["main", "second"], "data", &[]),
        over_mapping("two"),
    ]
}

/// btrfs on the first disk and on what the second one is to have.
fn over_mapping(name: &str) -> Value {
    let path = format!("/dev/mapper/{name}");
    layout(&[("main", btrfs(&["-d raid1", &path])), ("second", luks(name, &[], &Value::Null))])
}

/// A partition's name that is on disks of others as well.
fn words_of_the_layout() -> [Value; 2] {
    let second = btrfs(&["-d raid1", "/dev/disk/by-partlabel/disk-main-root"]);
    [over_mapping("own"), layout(&[("main", Value::Null), ("second", second)])]
}

fn journal(device: &str) -> Value {
    on_main(file_system("ext4", &["-J", &format!("device={device}")]))
}

fn spare(device: &str) -> Value {
    mirror(["main", "second"], "own", &["--spare-devices=1", device])
}

fn words_that_are_known() -> Vec<Value> {
    let mut mounted = file_system("ext4", &[]);
    mounted["mountOptions"] = json!(["logdev=/dev/vdm"]);
    let mut beside = on_main(file_system("ext4", &[]));
    beside["nodev"] = json!({ "/srv": { "fsType": "ext4", "device": "LABEL=PRECIOUS" } });
    vec![
        journal("/dev/vdm"),
        journal("dev/vdm"),
        journal("LABEL=PRECIOUS"),
        journal(&format!("UUID={PRECIOUS}")),
        on_main(btrfs(&["-d raid1", "dev/vdm"])),
        on_main(btrfs(&["/dev/disk/by-partlabel/disk-plain-root"])),
        on_main(file_system("xfs", &["-l", "logdev=dev/vdm,size=8m"])),
        on_main(luks("own", &["--header /dev/vdm"], &Value::Null)),
        spare("/dev/vdm"),
        volumes("own", &[("root", "16M", "/")], &["--cachedevice", "/dev/vdm"]),
        on_main(mounted),
        beside,
    ]
}

fn topologies() -> [Value; 3] {
    let members = json!([{ "members": ["main", "second"] }]);
    [
        json!({ "vdev": [{ "mode": "mirror", "members": ["main", "vdm"] }] }),
        json!({ "vdev": members, "spare": ["vdm"] }),
        json!({ "vdev": members, "cache": ["disk/by-label/PRECIOUS"] }),
    ]
}

/// They would find vdm by these from /, or by themselves in the machine's /dev.
fn words_that_tools_look_up() -> [Value; 4] {
    [
        journal("vdm"),
        on_main(btrfs(&["-d raid1", "disk/by-label/PRECIOUS"])),
        on_main(file_system("f2fs", &["-cdev/vdm"])),
        spare("vdm"),
    ]
}

/// A program. It sees the disks of the plan by all their names, and looks for vdm.
const HOOK: &str = r#"
PATH=/lab/bin:$PATH
: 3</dev/vda 4</dev/disk/by-partlabel/disk-main-root 5>/dev/null 6<$device
[ $mountpoint = / ]
[ $(readlink -f /dev/disk/by-partlabel/disk-main-root) = /dev/vda1 ]
shut() { # PATH...: none of them can be opened
  for path; do
    if (: 3<$path) 2>/dev/null; then echo "$path was opened" >&2; exit 1; fi
  done
}
shut /dev/vdm dev/vdm ../dev/vdm ../../../../dev/vdm vdm /dev/disk/by-label/PRECIOUS
shut /proc/*/root/dev/vdm /proc/*/cwd/dev/vdm $(find /run /tmp /lab -name vdm -type b)
IFS=: read -r major minor </sys/block/vdm/dev
for folder in /dev /run /tmp; do
  mknod $folder/made b $major $minor 2>/dev/null || :
  shut $folder/made
done
mkdir -p /tmp/all
mount -t devtmpfs none /tmp/all
shut /tmp/all/vdm
umount /tmp/all
if echo 0 8 linear $major:$minor 0 | dmsetup create made 2>/dev/null; then echo vdm was mapped >&2; exit 1; fi
if nsenter -t 1 -m sh -c ': 3</dev/vdm' 2>/dev/null; then echo the machine was entered >&2; exit 1; fi
"#;

fn hooked() -> Value {
    let mut content = file_system("ext4", &[]);
    content["postCreateHook"] = json!(HOOK);
    content["postMountHook"] = json!(HOOK);
    on_main(content)
}

/// What is kept is looked for on the node's own disk alone, and a layout that does not fit it is refused.
fn keeps(machine: &mut Machine) -> Result<()> {
    let of = |root: &str, others: &[(&'static str, &'static str, &'static str)]| {
        volumes("own", &[&[("root", root, "/"), ("home", "48M", "/home")], others].concat(), &[])
    };
    let first = of("64M", &[]);
    machine.makes(&first, &wipe(&first))?;
    for other in [of("96M", &[]), of("64M", &[("var", "16M", "/var")])] {
        machine.refuses_as_told(&other, "--keep /home", &["E-DISK-UNFIT", "/dev/own/"])?;
    }
    Ok(())
}

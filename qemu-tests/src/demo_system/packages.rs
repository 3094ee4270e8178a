//! Debian packages as inputs: downloaded by apt, named for Nix, linked by Depends without cycles.

use crate::command::{command, output, run, sh};
use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// Only their maintainer scripts need these, and those are not run.
const NOT_NEEDED: &[&str] = &[
    "adduser",
    "ca-certificates",
    "debconf",
    "debianutils",
    "dpkg",
    "gettext-base",
    "init-system-helpers",
    "libdb5.3",
    "libfile-find-rule-perl",
    "libgdbm-compat4",
    "libgdbm6",
    "libnumber-compare-perl",
    "libperl5.36",
    "libsemanage-common",
    "libsemanage2",
    "libsepol2",
    "libtext-glob-perl",
    "mawk",
    "openssl",
    "passwd",
    "perl",
    "perl-base",
    "perl-modules-5.36",
    "tar",
    "usrmerge",
    "util-linux-extra",
];

/// One package for `system.nix`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Package {
    name: String,
    version: String,
    file: String,
    depends: Vec<String>,
}

/// The fields of a control file that matter.
#[derive(Debug, Default)]
struct Control {
    name: String,
    version: String,
    depends: Vec<Vec<String>>,
    provides: Vec<String>,
}

/// Downloads the packages of the system, of its stage 1 and of its variants with all they depend on to `inputs/debs`, and
/// writes `inputs/packages.json`.
pub fn gather(system: &[&str], stage1: &[&str], variants: &[&str], inputs: &Path) -> Result<()> {
    let list = inputs.join("packages.json");
    let stamp = inputs.join("packages.wanted");
    let wanted = [system, stage1, variants].concat();
    let asked = format!("{}\n{}\nwithout {}\n", wanted.join(" "), stage1.join(" "), NOT_NEEDED.join(" "));
    if list.exists() && fs::read_to_string(&stamp).is_ok_and(|found| found == asked) {
        return Ok(());
    }
    let debs = inputs.join("debs");
    if download(&wanted, &debs).is_err() {
        // apt's lists may be older than what the mirror still has.
        sh(&["apt-get", "-qq", "update"])?;
        download(&wanted, &debs)?;
    }
    let mut packages = BTreeMap::new();
    for entry in fs::read_dir(&debs).with_context(|| format!("reading {}", debs.display()))? {
        let file = entry?.file_name().to_string_lossy().into_owned();
        if !file.ends_with(".deb") {
            continue;
        }
        let control = output(&mut command("dpkg-deb", ["-f", &debs.join(&file).to_string_lossy()]))?;
        packages.insert(file, parse_control(&control));
    }
    let listed = json!({ "system": system, "stage1": stage1, "packages": link(&packages) });
    let json = serde_json::to_vec_pretty(&listed).context("writing the packages as JSON")?;
    fs::write(&list, json).with_context(|| format!("writing {}", list.display()))?;
    fs::write(&stamp, asked).with_context(|| format!("writing {}", stamp.display()))
}

/// apt resolves against an empty machine, so that what this host has does not matter.
fn download(wanted: &[&str], debs: &Path) -> Result<()> {
    let _ = fs::remove_dir_all(debs);
    fs::create_dir_all(debs.join("partial")).with_context(|| format!("creating {}", debs.display()))?;
    let status = debs.join("partial/status");
    fs::write(&status, "").with_context(|| format!("writing {}", status.display()))?;
    let mut apt = command("apt-get", ["-qq", "-y", "--no-install-recommends"]);
    apt.arg("-o").arg(format!("Dir::State::status={}", status.display()));
    apt.arg("-o").arg(format!("Dir::Cache::archives={}", debs.display()));
    apt.args(["-o", "Debug::NoLocking=true", "-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=3"]);
    apt.args(["--download-only", "install"]).args(wanted);
    run(&mut apt).context("downloading the packages of the demo system")
}

fn parse_control(text: &str) -> Control {
    let mut control = Control::default();
    for line in text.lines() {
        let Some((key, value)) = line.split_once(": ") else { continue };
        match key {
            "Package" => control.name = value.to_owned(),
            "Version" => control.version = value.to_owned(),
            "Depends" | "Pre-Depends" => control.depends.extend(value.split(',').map(alternatives)),
            "Provides" => control.provides.extend(value.split(',').flat_map(alternatives)),
            _ => {}
        }
    }
    control
}

/// `a (>= 1) | b:any` is `[a, b]`.
fn alternatives(text: &str) -> Vec<String> {
    let name = |part: &str| part.split_whitespace().next().and_then(|word| word.split(':').next()).map(str::to_owned);
    text.split('|').filter_map(name).collect()
}

/// Resolves names and takes out what closes a cycle.
fn link(controls: &BTreeMap<String, Control>) -> Vec<Package> {
    let kept: BTreeMap<&str, (&String, &Control)> = controls
        .iter()
        .filter(|(_, control)| !NOT_NEEDED.contains(&control.name.as_str()))
        .map(|(file, control)| (control.name.as_str(), (file, control)))
        .collect();
    let mut providers: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, (_, control)) in &kept {
        providers.extend(control.provides.iter().map(|virtual_name| (virtual_name.as_str(), *name)));
    }
    let resolve = |wanted: &Vec<String>| {
        let real = |name: &String| kept.get_key_value(name.as_str()).map(|(name, _)| *name);
        wanted.iter().find_map(|name| real(name).or_else(|| providers.get(name.as_str()).copied()))
    };
    let edges: BTreeMap<&str, BTreeSet<&str>> =
        kept.iter().map(|(name, (_, control))| (*name, control.depends.iter().filter_map(resolve).collect())).collect();
    let acyclic = without_cycles(&edges);
    kept.iter()
        .map(|(name, (file, control))| Package {
            name: (*name).to_owned(),
            version: store_name(&control.version),
            file: (*file).clone(),
            depends: acyclic.get(name).into_iter().flatten().map(|name| (*name).to_owned()).collect(),
        })
        .collect()
}

/// A depth-first walk that leaves out every edge back to a node it is still in, and to itself.
fn without_cycles<'a>(edges: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
    fn visit<'a>(
        name: &'a str,
        edges: &BTreeMap<&'a str, BTreeSet<&'a str>>,
        open: &mut Vec<&'a str>,
        done: &mut BTreeMap<&'a str, BTreeSet<&'a str>>,
    ) {
        if done.contains_key(name) {
            return;
        }
        open.push(name);
        let mut kept = BTreeSet::new();
        for &next in edges.get(name).into_iter().flatten() {
            if !open.contains(&next) {
                visit(next, edges, open, done);
                kept.insert(next);
            }
        }
        open.pop();
        done.insert(name, kept);
    }
    let mut done = BTreeMap::new();
    for &name in edges.keys() {
        visit(name, edges, &mut Vec::new(), &mut done);
    }
    done
}

/// A Debian version without its epoch, in the letters that a store path may have.
fn store_name(version: &str) -> String {
    let version = version.split_once(':').map_or(version, |(_, version)| version);
    let fits = |c: char| if c.is_ascii_alphanumeric() || "+-._?=".contains(c) { c } else { '-' };
    version.chars().map(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_file_is_read_with_alternatives_and_versions() {
        let control = parse_control(
            "Package: udev\nVersion: 1:2~3\nDepends: libc6 (>= 2.3), a | b:any\nPre-Depends: c\nProvides: d (= 1), e\n",
        );
        assert_eq!(control.name, "udev");
        assert_eq!(control.depends, [vec!["libc6"], vec!["a", "b"], vec!["c"]]);
        assert_eq!(control.provides, ["d", "e"]);
        assert_eq!(store_name(&control.version), "2-3");
    }

    #[test]
    fn a_cycle_loses_the_edge_that_closes_it() {
        let edges = BTreeMap::from([
            ("gcc", BTreeSet::from(["libc"])),
            ("libc", BTreeSet::from(["gcc", "libc"])),
            ("sh", BTreeSet::from(["libc"])),
        ]);
        let acyclic = without_cycles(&edges);
        assert_eq!(acyclic["gcc"], BTreeSet::from(["libc"]));
        assert_eq!(acyclic["libc"], BTreeSet::new());
        assert_eq!(acyclic["sh"], BTreeSet::from(["libc"]));
    }

    #[test]
    fn a_virtual_package_is_found_by_who_provides_it() {
        let provider = Control { name: "p".into(), provides: vec!["virtual".into()], ..Control::default() };
        let user = Control { name: "u".into(), depends: vec![vec!["virtual".into()]], ..Control::default() };
        let packages = link(&BTreeMap::from([("p.deb".into(), provider), ("u.deb".into(), user)]));
        assert_eq!(packages[1].depends, ["p"]);
    }
}

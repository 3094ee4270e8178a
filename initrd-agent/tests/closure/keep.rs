//! What is in a store already: checked, repaired, shared; and whatever the caller's settings are, in Nix's own form.

use crate::{
    server::Server,
    world::{World, edge_cases, listing, registered, rows},
};
use qemu_tests::drawn_closure::{self, Made};
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
};

fn path_named(world: &World, name: &str) -> PathBuf {
    let all = registered(&world.path("root"));
    let path = all.iter().find(|path| path.ends_with(name)).unwrap();
    world.path("root").join(&path[1..])
}

fn write_anyway(file: &Path, bytes: &[u8]) {
    let mode = file.metadata().unwrap().permissions();
    fs::set_permissions(file, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(file, bytes).unwrap();
    fs::set_permissions(file, mode).unwrap();
}

fn installed() -> (World, Server) {
    let world = World::new(&edge_cases(), "zstd");
    let server = Server::honest(&world.cache());
    world.install(&[&server.url]);
    server.take_log();
    (world, server)
}

fn check(world: &World, server: &Server) -> serde_json::Value {
    let output = world.agent(&[&server.url], &world.key).arg("--check").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str::<serde_json::Value>(text.lines().last().unwrap()).unwrap()["summary"].clone()
}

#[test]
fn check_repairs_every_kind_of_damage_and_fetches_only_what_is_damaged() {
    let (world, server) = installed();
    let reference = world.reference();
    let damages: [fn(&World); 6] = [
        |world| write_anyway(&path_named(world, "plain-file"), b"just a pile\n"),
        |world| {
            fs::set_permissions(path_named(world, "program"), fs::Permissions::from_mode(0o444)).unwrap();
        },
        |world| fs::remove_file(path_named(world, "odd-names").join("many/7")).unwrap(),
        |world| {
            let folder = path_named(world, "empty-folder");
            fs::write(folder.join("stray"), "").unwrap();
        },
        |world| {
            let link = path_named(world, "-link");
            fs::remove_file(&link).unwrap();
            symlink("elsewhere", link).unwrap();
        },
        // Nix would not notice this one.
        |world| {
            let file = fs::File::open(path_named(world, "plain-file")).unwrap();
            file.set_modified(std::time::SystemTime::now()).unwrap();
        },
    ];
    for (number, damage) in damages.iter().enumerate() {
        damage(&world);
        let summary = check(&world, &server);
        assert_eq!((&summary["paths_damaged"], &summary["paths_fetched"]), (&1.into(), &1.into()), "damage {number}");
        assert_eq!(server.take_log().iter().filter(|path| path.starts_with("nar/")).count(), 1);
        assert_eq!(listing(&world.path("root")), listing(&reference), "damage {number}");
        assert_eq!(rows(&world.path("root")), rows(&reference));
    }
    assert_eq!(check(&world, &server)["paths_damaged"], 0);
    world.verify();
}

#[test]
fn a_damaged_path_that_no_cache_has_is_named_and_left_as_it_is() {
    let (world, server) = installed();
    let plain = path_named(&world, "plain-file");
    write_anyway(&plain, b"damaged");
    let hash = plain.file_name().unwrap().to_str().unwrap()[..32].to_owned();
    fs::remove_file(world.cache().join(format!("{hash}.narinfo"))).unwrap();
    let output = world.agent(&[&server.url], &world.key).arg("--check").output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("E-CLOSURE-MISSING") && error.contains(&hash), "{error}");
    assert_eq!(fs::read(&plain).unwrap(), b"damaged");
}

#[test]
fn optimise_shares_equal_files_and_the_store_is_still_what_nix_makes() {
    let mut closure = edge_cases();
    let twin = Made {
        base: format!("{}-twin", "1".repeat(32)),
        references: vec![],
        root: drawn_closure::file(b"just a file\n"),
    };
    closure.last_mut().unwrap().references.push(twin.base.clone());
    closure.insert(0, twin);
    let world = World::new(&closure, "zstd");
    let server = Server::honest(&world.cache());
    let output = world.agent(&[&server.url], &world.key).arg("--optimise").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let inode = |name| path_named(&world, name).metadata().unwrap().ino();
    assert_eq!(inode("-twin"), inode("plain-file"));
    assert_eq!(listing(&world.path("root")), listing(&world.reference()));
    world.verify();
    // Nix finds nothing left to do, and names the links as we do.
    let names = |root: &str| {
        let links = fs::read_dir(world.path(root).join("nix/store/.links")).unwrap();
        links.map(|entry| entry.unwrap().file_name()).collect::<std::collections::BTreeSet<_>>()
    };
    world.nix("nix-store --store $PWD/reference --optimise");
    assert_eq!(names("root"), names("reference"));
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut all = vec![folder.to_owned()];
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => all.extend(walk(&entry.path())),
            false => all.push(entry.path()),
        }
    }
    all
}

#[test]
fn umask_and_default_acl_of_the_caller_have_no_say() {
    let world = World::new(&edge_cases(), "zstd");
    let server = Server::honest(&world.cache());
    let store = world.path("root/nix/store");
    fs::create_dir_all(&store).unwrap();
    // posix_acl_xattr_entry, version 2: owner rwx, user 1000 rwx, group r-x, mask rwx, others r-x.
    let mut acl = 2u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in
        [(1u16, 7u16, u32::MAX), (2, 7, 1000), (4, 5, u32::MAX), (16, 7, u32::MAX), (32, 5, u32::MAX)]
    {
        acl.extend(tag.to_le_bytes());
        acl.extend(permissions.to_le_bytes());
        acl.extend(id.to_le_bytes());
    }
    let place = std::ffi::CString::new(store.to_str().unwrap()).unwrap();
    let name = c"system.posix_acl_default";
    let set = unsafe { libc::setxattr(place.as_ptr(), name.as_ptr(), acl.as_ptr().cast(), acl.len(), 0) };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
    let agent = world.agent(&[&server.url], &world.key);
    let line: Vec<&str> =
        std::iter::once(agent.get_program()).chain(agent.get_args()).map(|word| word.to_str().unwrap()).collect();
    world.nix(&format!("umask 077; {} >/dev/null", line.join(" ")));
    assert_eq!(listing(&world.path("root")), listing(&world.reference()));
    for path in walk(&store) {
        let path = std::ffi::CString::new(path.into_os_string().into_encoded_bytes()).unwrap();
        let attributes = unsafe { libc::llistxattr(path.as_ptr(), std::ptr::null_mut(), 0) };
        assert_eq!(attributes, 0, "{path:?} has extended attributes");
    }
}

#[test]
fn a_store_that_nix_made_is_completed_and_what_it_has_is_not_fetched() {
    let world = World::new(&edge_cases(), "zstd");
    let server = Server::honest(&world.cache());
    let odd = format!("/nix/store/{}", edge_cases()[4].base);
    world.nix(&format!("nix copy --from file://$PWD/cache --to $PWD/root {odd} --trusted-public-keys {}", world.key));
    let before = registered(&world.path("root"));
    let summary = world.install(&[&server.url]);
    assert_eq!(
        (&summary["paths_present"], &summary["paths_fetched"]),
        (&before.len().into(), &(6 - before.len()).into())
    );
    let reference = world.reference();
    assert_eq!(listing(&world.path("root")), listing(&reference));
    assert_eq!(rows(&world.path("root")), rows(&reference));
    world.verify();
}

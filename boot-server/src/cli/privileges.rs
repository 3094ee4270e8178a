//! What the server may do on its host: as little as it needs once its ports are bound. All of this is done while the process has one
//! thread: capabilities are a thread's own, and those that come later have what this one has.

use crate::{base::credentials::is_credential, config::Config, netboot::dhcp::Mode, state::vault};
use caps::{CapSet, Capability, CapsHashSet, errors::CapsError};
use nix::{
    errno::Errno,
    sys::prctl,
    unistd::{Gid, Uid, setgroups, setresgid, setresuid},
};
use protocol::{
    Code, Failure,
    failure::{OrFail, Result},
};
use std::{
    fs::File,
    io::ErrorKind,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// An account of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Account {
    name: String,
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
}

/// Goes on as `user` where one is named, and without every capability that nothing needs any more.
///
/// # Errors
/// `E-CONFIG` where there is no such account, where only root could become it, or where it could not write what the server writes;
/// `E-SYSTEM` where the kernel refuses.
pub fn give_up(config: &Config, user: Option<&str>) -> Result<()> {
    let kept = needed(config);
    let is_root = Uid::effective().is_root();
    let Some(user) = user.or(config.server.user.as_deref()) else {
        if is_root {
            tracing::warn!("the server runs as root, and stays root: name an account of its own (server.user, --user)");
            return Ok(());
        }
        return reduce(&kept).or_fail(Code::System, || "giving up capabilities");
    };
    let account = account(user, &read("/etc/passwd"), &read("/etc/group"))?;
    if !is_root && Uid::effective().as_raw() != account.uid {
        let cause = format!("becoming {user}: this process is of uid {}", Uid::effective());
        return Err(Failure::new(Code::Config, cause).with_remedy("start it as root, or leave server.user out"));
    }
    owns(&account, &written(config))?;
    if is_root && account.uid != 0 {
        become_account(&account, &kept).or_fail(Code::System, || format!("becoming {user}"))?;
        reads(&account, &read_only(config))?;
    }
    reduce(&kept).or_fail(Code::System, || "giving up capabilities")?;
    tracing::info!("running as {} (uid {}, gid {})", account.name, account.uid, account.gid);
    Ok(())
}

/// An interface that is taken away and made anew is listened on anew: port 67, and a raw socket for router advertisements. Everything
/// else is bound once.
fn needed(config: &Config) -> CapsHashSet {
    let dhcp = config.dhcp.mode != Mode::Off;
    let raw = dhcp || config.dhcp.router_advertisements;
    let ports = dhcp.then_some(Capability::CAP_NET_BIND_SERVICE);
    ports.into_iter().chain(raw.then_some(Capability::CAP_NET_RAW)).collect()
}

fn become_account(account: &Account, kept: &CapsHashSet) -> std::result::Result<(), CapsError> {
    for capability in caps::read(None, CapSet::Bounding)?.difference(kept) {
        caps::drop(None, CapSet::Bounding, *capability)?;
    }
    // What is permitted outlasts the change of the user, and is reduced right after it.
    prctl::set_keepcaps(true).map_err(refused)?;
    let groups: Vec<Gid> = account.groups.iter().copied().map(Gid::from_raw).collect();
    let (uid, gid) = (Uid::from_raw(account.uid), Gid::from_raw(account.gid));
    setgroups(&groups).map_err(refused)?;
    setresgid(gid, gid, gid).map_err(refused)?;
    setresuid(uid, uid, uid).map_err(refused)?;
    prctl::set_keepcaps(false).map_err(refused)?;
    // The kernel has set anew what becomes of the memory.
    host::memory::dumps_nothing().map_err(refused)
}

/// Leaves what is needed of what there is. No child gets any of it, and no program that is run makes anybody more than he is.
fn reduce(kept: &CapsHashSet) -> std::result::Result<(), CapsError> {
    let permitted = caps::read(None, CapSet::Permitted)?;
    if permitted.is_empty() && caps::read(None, CapSet::Effective)?.is_empty() {
        return Ok(());
    }
    let left: CapsHashSet = permitted.intersection(kept).copied().collect();
    caps::clear(None, CapSet::Ambient)?;
    // Nobody gets back what he has given up of the effective ones before the permitted.
    caps::set(None, CapSet::Effective, &left)?;
    caps::set(None, CapSet::Permitted, &left)?;
    caps::clear(None, CapSet::Inheritable)?;
    prctl::set_no_new_privs().map_err(refused)
}

fn refused(error: Errno) -> CapsError {
    error.to_string().into()
}

/// What others give the server, and it reads when it starts or is told to.
fn read_only(config: &Config) -> Vec<PathBuf> {
    let of_oidc = config.oidc.iter().filter_map(|oidc| oidc.secret_path());
    let of_the_page = config.https.certificate.iter().chain(&config.https.key);
    of_the_page.chain(&config.tpm.roots).cloned().chain(of_oidc).chain([vault::key_path(&config.dir)]).collect()
}

fn reads(account: &Account, paths: &[PathBuf]) -> Result<()> {
    let is_withheld =
        |path: &&PathBuf| File::open(path).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied);
    let Some(path) = paths.iter().find(is_withheld) else { return Ok(()) };
    let (name, shown) = (&account.name, path.display());
    let cause = format!("becoming {name}: {name} may not read {shown}");
    Err(Failure::new(Code::Config, cause).with_remedy(match is_credential(path) {
        true => format!(
            "systemd gives credentials to the unit's account: say User={name} in the unit, in place of server.user"
        ),
        false => format!("let it read the file and enter the folders above: setfacl -m u:{name}:r {shown}"),
    }))
}

/// What the server writes, or reads and nobody else may.
fn written(config: &Config) -> Vec<PathBuf> {
    let is_its = |name: &str| name.starts_with("state.db") || name.ends_with(".key") || name == "dhcp-leases.json";
    let entries = std::fs::read_dir(&config.dir).into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.file_name().to_str().is_some_and(is_its)).map(|entry| entry.path());
    [config.dir.clone(), config.cache.dir.clone()].into_iter().chain(files).collect()
}

fn owns(account: &Account, paths: &[PathBuf]) -> Result<()> {
    let others = |path: &&PathBuf| path.metadata().is_ok_and(|entry| entry.uid() != account.uid);
    let Some(path) = paths.iter().find(others) else { return Ok(()) };
    // The cache need not be in the folder of the server.
    let folders = paths.iter().filter(|named| path.starts_with(named)).min_by_key(|named| named.as_os_str().len());
    let (name, dir) = (&account.name, folders.unwrap_or(path).display());
    let cause = format!("becoming {name}: {} is not {name}'s, and the server could not go on with it", path.display());
    Err(Failure::new(Code::Config, cause).with_remedy(format!("hand it over: chown -R {name}: {dir}")))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(path)).unwrap_or_default()
}

/// The account of this name in the texts of passwd(5) and group(5), or `UID:GID`. The server is linked statically: what other
/// services than these files know of accounts it cannot ask.
fn account(user: &str, passwd: &str, group: &str) -> Result<Account> {
    if let Some((uid, gid)) = user.split_once(':') {
        let numbers = (uid.parse::<u32>(), gid.parse::<u32>());
        let (Ok(uid), Ok(gid)) = numbers else { return Err(no_account(user)) };
        return Ok(Account { name: user.to_owned(), uid, gid, groups: vec![gid] });
    }
    let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<String>>();
    let line = passwd.lines().map(fields).find(|fields| fields.first().is_some_and(|name| name == user));
    let ids = line.and_then(|fields| Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?)));
    let (uid, gid) = ids.ok_or_else(|| no_account(user))?;
    let has_it =
        |fields: &Vec<String>| fields.get(3).is_some_and(|members| members.split(',').any(|name| name == user));
    let further = group.lines().map(fields).filter(has_it).filter_map(|fields| fields.get(2)?.parse().ok());
    let groups = std::iter::once(gid).chain(further.filter(|other| *other != gid)).collect();
    Ok(Account { name: user.to_owned(), uid, gid, groups })
}

fn no_account(user: &str) -> Failure {
    Failure::new(Code::Config, format!("becoming {user}: /etc/passwd has no such account"))
        .with_remedy("name an account of /etc/passwd, or numbers as UID:GID")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str =
        "root:x:0:0::/root:/bin/sh\ncentra:x:812:813:Boot server:/var/lib/centra:/bin/false\nodd:x:a:b\n";
    const GROUP: &str = "centra:x:813:\nkvm:x:99:other,centra\nshadow:x:42:centraa\nbad\n";

    #[test]
    fn an_account_is_found_with_its_groups_or_given_by_numbers() {
        let of = |user| account(user, PASSWD, GROUP);
        let found = of("centra").unwrap();
        assert_eq!((found.uid, found.gid, found.groups), (812, 813, vec![813, 99]));
        let numbers = of("7:8").unwrap();
        assert_eq!((numbers.uid, numbers.gid, numbers.groups), (7, 8, vec![8]));
        for wrong in ["", "nobody", "odd", "7:", ":8", "-1:0", "centra:x"] {
            assert_eq!(of(wrong).unwrap_err().code, Code::Config, "{wrong}");
        }
    }

    #[test]
    fn only_what_is_bound_anew_keeps_a_capability() {
        let of = |dhcp: &str| {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), format!("address = '10.77.0.1'\n[dhcp]\n{dhcp}")).unwrap();
            let mut needed: Vec<String> =
                needed(&Config::load(file.path()).unwrap()).iter().map(ToString::to_string).collect();
            needed.sort();
            needed
        };
        assert!(of("mode = 'off'\nrouter_advertisements = false").is_empty());
        assert_eq!(of("mode = 'off'\nrouter_advertisements = true\ninterface = 'lo'"), ["CAP_NET_RAW"]);
        assert_eq!(of("mode = 'proxy'\ninterface = 'lo'"), ["CAP_NET_BIND_SERVICE", "CAP_NET_RAW"]);
    }
}

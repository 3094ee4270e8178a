//! `boot-server init DIR`: everything a new server needs, in one folder.

use crate::{
    base::{clock::now, health::Health, random},
    config::Config,
    domain::audit::{Action, Actor},
    state::{self, State, tokens::Credential},
    trust::{
        ca::make::{self, Permit},
        folder::{ISSUING, ISSUING_KEY, MANIFEST_KEY, ROOT, ROOT_KEY},
        manifest::ManifestKey,
        rotation, tokens,
    },
};
use host::file;
use protocol::{
    Code, Failure,
    failure::{OrFail, Result},
    tokens::Scope,
};
use std::{
    net::Ipv4Addr,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// Where Debian and NixOS keep iPXE programs.
const IPXE_DIRS: [&str; 3] = ["/usr/lib/ipxe", "/usr/share/ipxe", "/run/current-system/sw/share/ipxe"];
const IPXE_FILES: [&str; 4] = ["undionly.kpxe", "ipxe.efi", "snponly.efi", "ipxe-arm64.efi"];

/// Make the folder of a new server: its CA, its keys, its configuration
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder to make; it must not hold a server yet
    dir: PathBuf,
    /// IPv4 address of this server on the boot network, which needs IPv4
    #[arg(long, value_name = "IP")]
    address: Ipv4Addr,
    /// Interface of the boot network; DHCP stays off without one
    #[arg(long, value_name = "IF")]
    interface: Option<String>,
    /// full: give addresses; proxy: give boot files beside another DHCP server; off
    #[arg(long, value_name = "MODE", value_parser = ["full", "proxy", "off"])]
    dhcp: Option<String>,
    /// Boot network for --dhcp full [default: the /24 around the address]
    #[arg(long, value_name = "CIDR")]
    subnet: Option<String>,
    /// First address to give [default: .100 of the subnet, or where there is room beside the server]
    #[arg(long, value_name = "IP")]
    range_start: Option<Ipv4Addr>,
    /// Last address to give [default: .199 of the subnet, or where there is room beside the server]
    #[arg(long, value_name = "IP")]
    range_end: Option<Ipv4Addr>,
    /// Where the first admin token goes: printed once, kept in DIR/admin.token (0600) for the command line on this host, or both
    #[arg(long, value_enum, default_value_t = FirstToken::Both, value_name = "WHERE")]
    first_token: FirstToken,
    /// Admit every machine that a NodeSpec matches: only on a network where nobody lies
    #[arg(long)]
    open_lab: bool,
    /// A DNS name (with all below it) or a network that certificates may be for; repeat for more. Where a name is given, single
    /// labels are in no certificate [default: no limit]
    #[arg(long, value_name = "NAME|NET")]
    permit: Vec<Permit>,
}

/// Where the first token goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum FirstToken {
    /// Printed, and kept in DIR/admin.token
    Both,
    /// Kept in DIR/admin.token alone: where what is printed goes into a log
    File,
    /// Printed alone: no file has it
    Print,
}

/// Makes the folder.
pub async fn run(args: Args) -> Result<()> {
    let dir = &args.dir;
    if dir.join("config.toml").exists() || dir.join(ROOT).exists() || state::path_in(dir).exists() {
        let cause = format!("making {}: it holds a server already", dir.display());
        return Err(Failure::new(Code::Config, cause).with_remedy("name another folder; init replaces nothing"));
    }
    check_interface(&args)?;
    let text = config_text(&args);
    // Whatever `serve` would refuse is refused while nothing is made yet.
    Config::check(&text)?;
    for part in ["", "images", "cache", "ipxe"] {
        make_dir(&dir.join(part), if part.is_empty() { 0o750 } else { 0o755 })?;
    }
    let token = keys(&args)?;
    let state = State::create(&state::path_in(dir), Health::default()).await?;
    let mut unit = state.begin().await?;
    unit.add_token("admin", Credential::Token(&token), Scope::Admin, None).await?;
    unit.note(Actor::folder(), None, Action::ServerMade.says("made the server")).await?;
    unit.note(Actor::folder(), None, tokens::made("admin", Scope::Admin, None)).await?;
    unit.commit().await?;
    state.close().await;
    let copied = copy_ipxe(&dir.join("ipxe"))?;
    let config = dir.join("config.toml");
    file::write_new(&config, 0o644, text.as_bytes())?;
    Config::load(&config)?;
    tell(&args, &copied, &token);
    Ok(())
}

fn check_interface(args: &Args) -> Result<()> {
    let wants_one = args.dhcp.as_deref().is_some_and(|mode| mode != "off");
    match &args.interface {
        None if wants_one => Err(Failure::new(Code::Config, "setting up DHCP: no interface is named")
            .with_remedy("name the interface of the boot network: --interface IF")),
        // The folder may be made on another host, or before the network is.
        Some(name) if !Path::new("/sys/class/net").join(name).exists() => {
            let found = std::fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
            let names: Vec<String> = found.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
            let names = names.join(", ");
            host::tell!("boot-server: this host has no interface {name} now (it has {names}): serve needs it there");
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Where the addresses to give begin and end: .100 to .199 of the subnet's last octet, elsewhere where the server itself is
/// there, and the upper half of a subnet that is smaller.
fn range(subnet: &str, server: Ipv4Addr) -> Option<(Ipv4Addr, Ipv4Addr)> {
    let (network, prefix) = subnet.split_once('/')?;
    let network = u32::from(network.parse::<Ipv4Addr>().ok()?);
    let size = 1u32.checked_shl(32 - prefix.parse::<u32>().ok().filter(|prefix| (8..=30).contains(prefix))?)?;
    let base = network & !(size - 1);
    let candidates = match size {
        256.. => vec![(100, 199), (200, 254), (2, 99)],
        _ => vec![(size / 2, size - 2), (1, size / 2 - 1)],
    };
    let range = |(first, last): (u32, u32)| (Ipv4Addr::from(base + first), Ipv4Addr::from(base + last));
    candidates.into_iter().map(range).find(|(first, last)| !(first..=last).contains(&&server))
}

/// Makes the keys; the admin's token.
fn keys(args: &Args) -> Result<String> {
    let dir = &args.dir;
    let (root, root_key) = make::root(now())?;
    let permits = make::with_own(&args.permit, args.address.into());
    let (issuing, issuing_key) = make::issuing(&root, &root_key, &permits, now())?;
    let signer = ManifestKey::create()?;
    let token = random::name()?;
    file::write_new(&dir.join(ROOT_KEY), 0o600, root_key.as_bytes())?;
    file::write_new(&dir.join(ISSUING_KEY), 0o600, issuing_key.as_bytes())?;
    file::write_new(&dir.join(ISSUING), 0o644, issuing.as_bytes())?;
    file::write_new(&dir.join(ROOT), 0o644, root.as_bytes())?;
    let text = data_encoding::BASE64.encode(&signer) + "\n";
    file::write_new(&dir.join(MANIFEST_KEY), 0o600, text.as_bytes())?;
    if args.first_token != FirstToken::Print {
        file::write_new(&dir.join("admin.token"), 0o600, format!("{token}\n").as_bytes())?;
    }
    rotation::write_anchors(dir, None, now())?;
    Ok(token)
}

fn make_dir(path: &Path, mode: u32) -> Result<()> {
    let activity = || format!("making the folder {}", path.display());
    let fresh = !path.exists();
    std::fs::DirBuilder::new().recursive(true).mode(mode).create(path).or_fail(Code::System, activity)?;
    if fresh {
        // The umask may have taken rights that a web leg under another user needs.
        let rights = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(path, rights).or_fail(Code::System, activity)?;
    }
    Ok(())
}

fn copy_ipxe(target: &Path) -> Result<Vec<&'static str>> {
    let mut copied = Vec::new();
    for name in IPXE_FILES {
        let source = IPXE_DIRS.iter().map(|dir| Path::new(dir).join(name)).find(|path| path.is_file());
        if let Some(source) = source {
            let activity = || format!("copying {} to {}", source.display(), target.display());
            std::fs::copy(&source, target.join(name)).or_fail(Code::System, activity)?;
            copied.push(name);
        }
    }
    Ok(copied)
}

fn config_text(args: &Args) -> String {
    let address = args.address;
    let default_mode = if args.interface.is_some() { "full" } else { "off" };
    let mode = args.dhcp.as_deref().unwrap_or(default_mode);
    let [a, b, c, _] = address.octets();
    let subnet = args.subnet.clone().unwrap_or_else(|| format!("{a}.{b}.{c}.0/24"));
    let usual = range(&subnet, address).unwrap_or((Ipv4Addr::new(a, b, c, 100), Ipv4Addr::new(a, b, c, 199)));
    let (start, end) = (args.range_start.unwrap_or(usual.0), args.range_end.unwrap_or(usual.1));
    let interface = args.interface.as_deref().unwrap_or("eth0");
    let full = if mode == "full" { "" } else { "# " };
    let tftp = mode != "off";
    let admission = if args.open_lab { r#""open-lab""# } else { r#"["token", "approval"]"# };
    format!(
        include_str!("init.toml"),
        a = a,
        address = address,
        admission = admission,
        b = b,
        c = c,
        end = end,
        full = full,
        interface = interface,
        mode = mode,
        start = start,
        subnet = subnet,
        tftp = tftp
    )
}

fn tell(args: &Args, ipxe: &[&str], token: &str) {
    let dir = args.dir.display();
    host::say!("Made {dir}: a CA, a manifest key, an admin token and config.toml.");
    if ipxe.is_empty() {
        host::say!(
            "No iPXE programs were found; put undionly.kpxe and ipxe.efi into {dir}/ipxe (Debian: apt install ipxe)."
        );
    } else {
        host::say!("Copied into {dir}/ipxe: {}.", ipxe.join(", "));
    }
    host::say!(
        "\nNext:\n  \
         image-builder build --profile vm --trust {dir}/trust.json --agent PATH --out OUT\n  \
         image-builder deploy --from OUT --to {dir}/images\n  \
         boot-server serve --config {dir}/config.toml\n  \
         boot-server apply --dir {dir} -f NODE.json\n\
         The page: https://{address}:8443/ (CA: {dir}/ca.crt)\n\
         Keep issuing.key, manifest.key, secrets.key and the admin token to yourself: who has them owns every node.\n\
         Move ca.key to a safe place off this host: the server runs without it, and boot-server ca renew and rotate ask for it.",
        address = args.address
    );
    let kept = format!("{dir}/admin.token, for --dir {dir} on this host");
    match args.first_token {
        FirstToken::File => host::say!("\nThe first admin token, which allows everything, is in {kept}."),
        FirstToken::Both => shown(token, &format!("It is kept in {kept}; delete the file once others have tokens.")),
        FirstToken::Print => shown(token, "No file has it: put it into one (0600) for --token-file."),
    }
}

/// The last that is printed, so that nobody misses it.
fn shown(token: &str, kept: &str) {
    host::say!("\nThe first admin token, which allows everything. It is shown this once:\n\n    {token}\n\n{kept}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_is_of_the_subnet_and_does_not_hold_the_server() {
        let of = |subnet, server: [u8; 4]| {
            range(subnet, server.into()).map(|(first, last)| format!("{first} {last}")).unwrap_or_default()
        };
        assert_eq!(of("10.77.0.0/24", [10, 77, 0, 1]), "10.77.0.100 10.77.0.199");
        assert_eq!(of("10.77.0.0/24", [10, 77, 0, 150]), "10.77.0.200 10.77.0.254");
        assert_eq!(of("10.88.0.0/24", [10, 9, 0, 1]), "10.88.0.100 10.88.0.199");
        assert_eq!(of("10.77.0.0/25", [10, 77, 0, 1]), "10.77.0.64 10.77.0.126");
        assert_eq!(of("10.77.0.0/25", [10, 77, 0, 70]), "10.77.0.1 10.77.0.63");
        assert_eq!((of("10.77.0.0", [10, 77, 0, 1]), of("x/24", [10, 77, 0, 1])), (String::new(), String::new()));
    }
}

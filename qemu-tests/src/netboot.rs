//! What iPXE does with the script of the boot-server, done by the tests themselves: for machines of which the firmware is
//! not what is tested. The server is asked as iPXE asks it, and kernel and initrd are fetched from it.

use crate::{
    disk::Disk,
    network::{HOST, Network},
    wait,
};
use anyhow::{Context, Result, bail, ensure};
use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    time::Duration,
};

/// What the server says that a machine does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// Starts a kernel.
    Kernel(Kernel),
    /// Starts from its disk.
    Disk,
}

/// A kernel as a boot loader would start it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// The bzImage.
    pub image: PathBuf,
    /// The initrd.
    pub initrd: PathBuf,
    /// The command line.
    pub line: String,
}

/// Asks the server, and fetches what it names to the places for `bzImage` and `initrd`.
///
/// # Errors
/// The server does not answer, or has the machine wait.
pub fn ask(network: &Network, query: &str, place: impl Fn(&str) -> PathBuf) -> Result<Told> {
    let path = format!("/boot/ipxe/boot.ipxe?{query}");
    let script = network.inside(|| get(&path)).context("asking for the script of iPXE")?;
    let script = String::from_utf8(script).context("reading the script of iPXE")?;
    let Some(named) = Named::read(&script)? else { return Ok(Told::Disk) };
    let fetch = |url: &str, name: &str| -> Result<PathBuf> {
        let path = url.strip_prefix(&format!("http://{HOST}:8080")).with_context(|| format!("{url} is elsewhere"))?;
        let (file, bytes) = (place(name), network.inside(|| get(path))?);
        fs::write(&file, bytes).with_context(|| format!("writing {}", file.display()))?;
        Ok(file)
    };
    let (image, initrd) = (fetch(&named.kernel, "bzImage")?, fetch(&named.initrd, "initrd")?);
    Ok(Told::Kernel(Kernel { image, initrd, line: named.line }))
}

/// What the menu of GRUB that an installation has left on a disk starts by itself, copied to the places for `bzImage` and
/// `initrd`.
///
/// # Errors
/// There is no menu on the disk, or not what it names.
pub fn read_menu(disk: &Disk, place: impl Fn(&str) -> PathBuf) -> Result<Kernel> {
    let (menu, image, initrd) = (place("menu"), place("bzImage"), place("initrd"));
    disk.edit("disk-main-root", &format!("cat boot/grub/grub.cfg >'{}'", menu.display()))?;
    let text = fs::read_to_string(&menu).with_context(|| format!("reading {}", menu.display()))?;
    let (kernel_path, line, initrd_path) = first_entry(&text).with_context(|| format!("no entry in\n{text}"))?;
    let copy = |from: &str, to: &PathBuf| format!("cat './{from}' >'{}'", to.display());
    disk.edit("disk-main-root", &format!("{}\n{}", copy(kernel_path, &image), copy(initrd_path, &initrd)))?;
    Ok(Kernel { image, initrd, line: line.to_owned() })
}

/// Kernel, command line and initrd of the first entry of a menu of GRUB.
fn first_entry(menu: &str) -> Option<(&str, &str, &str)> {
    let words = |command: &str| menu.lines().find_map(|line| line.trim().strip_prefix(command)?.strip_prefix(' '));
    let (kernel, line) = words("linux")?.split_once(' ')?;
    Some((kernel, line, words("initrd")?.trim()))
}

/// What a script names.
#[derive(Debug, PartialEq, Eq)]
struct Named {
    kernel: String,
    initrd: String,
    line: String,
}

impl Named {
    /// Reads the lines that an installation has; none where the script goes to the disk.
    fn read(script: &str) -> Result<Option<Self>> {
        let mut variables = BTreeMap::new();
        let (mut kernel, mut initrd, mut line) = (None, None, None);
        for words in script.lines() {
            let (command, rest) = words.split_once(' ').unwrap_or((words, ""));
            match (command, rest.split_once(' ')) {
                ("set", Some((name, value))) => drop(variables.insert(name.to_owned(), value.to_owned())),
                ("kernel", _) => kernel = url(rest),
                ("initrd", _) => initrd = url(rest),
                ("imgargs", Some((_, arguments))) => line = Some(arguments),
                ("sanboot", _) => return Ok(None),
                ("exit", _) if kernel.is_none() => return Ok(None),
                ("sleep", _) if kernel.is_none() => bail!("the machine is to wait:\n{script}"),
                _ => {}
            }
        }
        let filled = |text: Option<&str>| -> Result<String> {
            let mut text = text.with_context(|| format!("this script starts nothing:\n{script}"))?.to_owned();
            for (name, value) in &variables {
                text = text.replace(&format!("${{{name}}}"), value);
            }
            ensure!(!text.contains("${"), "{text}: not all of its variables are known");
            Ok(text)
        };
        Ok(Some(Named { kernel: filled(kernel)?, initrd: filled(initrd)?, line: filled(line)? }))
    }
}

/// The address in `--name X URL && ...`.
fn url(rest: &str) -> Option<&str> {
    rest.split(' ').find(|word| word.starts_with("http://"))
}

/// GET of a path of the boot-server, inside its network.
///
/// # Errors
/// No answer, or one that is not 200.
pub fn get(path: &str) -> Result<Vec<u8>> {
    let address: SocketAddr = format!("{HOST}:8080").parse().context("an address")?;
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").context("an answer without an end of its head")?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    ensure!(head.starts_with("HTTP/1.1 200"), "GET {path}: {}", wait::without_escapes(&head));
    ensure!(!head.to_ascii_lowercase().contains("transfer-encoding"), "GET {path}: in chunks");
    Ok(answer.split_off(end + 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSTALL: &str = "#!ipxe\necho centra: node-01 starts the installer, profile vm\nset profile vm\nset image vm\n\
        imgfree\nset tries:int32 0\n:kernel\nkernel --name bzImage http://10.77.0.1:8080/boot/nixos/${image}/bzImage && \
        goto kernel_done ||\nsleep 3\ngoto kernel\n:kernel_done\ninitrd --name initrd \
        http://10.77.0.1:8080/boot/nixos/${image}/initrd && goto initrd_done ||\nimgargs bzImage initrd=initrd \
        centra.profile=${profile} console=ttyS0,115200n8\nboot || echo centra: it did not start\nsleep 60 || shell\n\
        reboot || exit 1\n";

    #[test]
    fn kernel_initrd_and_command_line_are_those_of_the_script() {
        let named = Named::read(INSTALL).expect("a script").expect("an installation");
        assert_eq!(named.kernel, "http://10.77.0.1:8080/boot/nixos/vm/bzImage");
        assert_eq!(named.initrd, "http://10.77.0.1:8080/boot/nixos/vm/initrd");
        assert_eq!(named.line, "initrd=initrd centra.profile=vm console=ttyS0,115200n8");
    }

    #[test]
    fn the_first_entry_of_a_menu_is_the_one_that_starts() {
        let entry = |n| {
            format!(
                "menuentry \"{n}\" {{\n  linux /nix/store/k{n}/bzImage init=/{n} quiet\n  initrd /nix/store/i{n}\n}}\n"
            )
        };
        let menu = format!("set timeout=0\n{}{}", entry(2), entry(1));
        assert_eq!(first_entry(&menu), Some(("/nix/store/k2/bzImage", "init=/2 quiet", "/nix/store/i2")));
        assert_eq!(first_entry("set timeout=0\n"), None);
    }

    #[test]
    fn the_disk_and_a_wait_are_told_apart_and_what_is_unknown_is_refused() {
        let disk = "#!ipxe\necho centra: starting from the disk\n";
        assert_eq!(Named::read(&format!("{disk}sanboot --no-describe --drive 0x80 ||\nexit 1\n")).expect("BIOS"), None);
        assert_eq!(Named::read(&format!("{disk}exit 1\n")).expect("UEFI"), None);
        for script in
            ["#!ipxe\necho centra: waiting: x\nsleep 15\nimgfree\n", "#!ipxe\n", &INSTALL.replace("set image", "#")]
        {
            assert!(Named::read(script).is_err(), "{script}");
        }
    }
}

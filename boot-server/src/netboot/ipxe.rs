//! The script that iPXE runs. Pure text, made of names with a grammar; nothing that a stranger wrote
//! goes into it unchecked.

use super::site::{Boots, Site};
use crate::domain::boot::Boot;
use protocol::{
    boot_trust::Fetched,
    names::{Mac, NodeName},
};
use std::fmt::Write;

/// Tries of one download before the machine starts over.
const TRIES: u32 = 10;
/// Seconds between two tries.
const PAUSE: u32 = 3;
/// The roles of the menu.
const ROLES: [(&str, &str); 3] =
    [("control-plane", "Control plane"), ("worker", "Worker"), ("all-in-one", "All in one")];

/// What the script is made for.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Whether the firmware is BIOS (`${platform}` is `pcbios`).
    pub bios: bool,
    /// The card that it boots from.
    pub mac: Option<Mac>,
}

/// The first script: it only tells the server who asks.
pub fn ask(site: &Site) -> String {
    let address = format!(
        "{}/boot/ipxe/boot.ipxe?mac=${{netX/mac:hexhyp}}&uuid=${{uuid}}&serial=${{serial:uristring}}&platform=${{platform}}&arch=${{buildarch}}",
        site.boot_url()
    );
    let mut script = Script::new();
    script.line("echo centra: asking the boot-server what this machine should do");
    script.retry("ask", &format!("chain --replace --autofree {address}"));
    script.give_up(site);
    script.0
}

/// The script for what the machine should do. `image_of` names the image that serves a profile.
pub fn render(boot: &Boot, machine: &Machine, site: &Site, image_of: &dyn Fn(&NodeName) -> NodeName) -> String {
    let mut script = Script::new();
    match boot {
        Boot::Install { profile, hostname } => {
            let name = hostname.as_ref().map_or("this machine", NodeName::as_str);
            script.line(&format!("echo centra: {name} starts the installer, profile {profile}"));
            script.line(&format!("set profile {profile}"));
            script.line(&format!("set image {}", image_of(profile)));
            script.install(machine, hostname.as_ref(), site);
            script.give_up(site);
        }
        Boot::LocalDisk => {
            script.line("echo centra: starting from the disk");
            script.local_disk(machine);
        }
        Boot::Wait { reason } => {
            script.line(&format!("echo centra: waiting: {}", plain(reason)));
            script.line("echo centra: the boot-server is asked again in 15 seconds");
            script.line("sleep 15");
            script.ask_again(site);
            script.give_up(site);
        }
        Boot::Menu { default_profile, timeout_seconds } => {
            script.menu(machine, default_profile, *timeout_seconds, site, image_of);
        }
    }
    script.0
}

struct Script(String);

impl Script {
    fn new() -> Self {
        Self("#!ipxe\n".to_owned())
    }

    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    /// Runs a command until it succeeds; after the last try goes to `give_up`.
    fn retry(&mut self, label: &str, command: &str) {
        let _ = write!(
            self.0,
            "set tries:int32 0\n\
             :{label}\n\
             {command} && goto {label}_done ||\n\
             inc tries\n\
             echo centra: try ${{tries}} of {TRIES} failed, again in {PAUSE} s\n\
             iseq ${{tries}} {TRIES} && goto give_up ||\n\
             sleep {PAUSE}\n\
             goto {label}\n\
             :{label}_done\n"
        );
    }

    fn ask_again(&mut self, site: &Site) {
        self.line("imgfree");
        self.retry("again", &format!("chain --replace --autofree {}/boot/ipxe/boot.ipxe", site.boot_url()));
    }

    /// Where nothing helped, the machine starts over: it must not stand still with nobody there.
    fn give_up(&mut self, site: &Site) {
        let _ = write!(
            self.0,
            ":give_up\n\
             echo centra: {url} does not give this machine what it needs. Check:\n\
             echo centra: that the boot-server runs: {url}/health\n\
             echo centra: that the image was deployed: image-builder deploy\n\
             echo centra: the cable, the VLAN and the firewall, TCP port {port}\n\
             echo centra: this machine restarts in 60 seconds (Ctrl-C opens a shell)\n\
             sleep 60 || shell\n\
             reboot || exit 1\n",
            url = site.boot_url(),
            port = site.boot_port(),
        );
    }

    /// Fetches and starts the image; `${profile}` and `${image}` are set.
    fn install(&mut self, machine: &Machine, hostname: Option<&NodeName>, site: &Site) {
        let base = format!("{}/boot/nixos/${{image}}", site.boot_url());
        let server = site.server_url();
        let hostname = hostname.map(|name| format!(" centra.hostname={name}")).unwrap_or_default();
        let fetched = match site.boots {
            Boots::Plainly => String::new(),
            Boots::OverTls => format!(" {}", Fetched::OVER_TLS),
        };
        let card = machine.mac.as_ref().map_or("${netX/mac}", Mac::as_str);
        self.line("imgfree");
        self.retry("kernel", &format!("kernel --name bzImage {base}/bzImage"));
        self.retry("initrd", &format!("initrd --name initrd {base}/initrd"));
        self.line(&format!(
            "imgargs bzImage initrd=initrd centra.server={server} centra.profile=${{profile}}{hostname} centra.bootif={card}{fetched} console=tty0 console=ttyS0,115200n8"
        ));
        self.line("boot || echo centra: the kernel did not start: it is damaged, or not for this machine");
        self.line("goto give_up");
    }

    /// UEFI: leaving with an error makes the firmware try its next boot entry, leaving without one does
    /// not. BIOS: the first disk, else the next entry.
    fn local_disk(&mut self, machine: &Machine) {
        if machine.bios {
            self.line("sanboot --no-describe --drive 0x80 ||");
        }
        self.line("exit 1");
    }

    fn menu(
        &mut self,
        machine: &Machine,
        default_profile: &NodeName,
        timeout_seconds: u32,
        site: &Site,
        image_of: &dyn Fn(&NodeName) -> NodeName,
    ) {
        let roles: Vec<(NodeName, &str)> =
            ROLES.iter().filter_map(|(name, title)| Some((name.parse().ok()?, *title))).collect();
        let own = !roles.iter().any(|(name, _)| name == default_profile);
        self.line(":menu");
        self.line("menu centra: this machine is not known. What shall it become?");
        let default = own.then_some((default_profile, "Default"));
        let choices = roles.iter().map(|(name, title)| (name, *title)).chain(default);
        for (key, (name, title)) in (1..).zip(choices) {
            self.line(&format!("item --key {key} {name} {key}  {title} ({name})"));
        }
        self.line("item --key d local-disk d  Start from the disk");
        self.line("item --key s ipxe-shell s  iPXE shell");
        self.line("item --key r restart r  Restart");
        let timeout = if timeout_seconds == 0 {
            String::new()
        } else {
            format!("--timeout {} ", timeout_seconds.saturating_mul(1000))
        };
        // A console without a screen, or an iPXE without menus, takes the default.
        self.line(&format!("choose {timeout}--default {default_profile} choice || set choice {default_profile}"));
        self.line("iseq ${choice} local-disk && goto local_disk ||");
        self.line("iseq ${choice} ipxe-shell && goto ipxe_shell ||");
        self.line("iseq ${choice} restart && reboot ||");
        self.line("set profile ${choice}");
        for name in roles.iter().map(|(name, _)| name).chain(own.then_some(default_profile)) {
            self.line(&format!("iseq ${{choice}} {name} && set image {} ||", image_of(name)));
        }
        self.install(machine, None, site);
        self.line(":ipxe_shell");
        self.line("echo centra: type exit to come back to the menu");
        self.line("shell");
        self.line("goto menu");
        self.line(":local_disk");
        self.local_disk(machine);
        self.give_up(site);
    }
}

/// One line of text that is nothing but text to iPXE: no `${}`, no `||`, `&&`, `;`, `#`, no controls.
fn plain(text: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || " .,:()-_/+=".contains(c);
    text.chars().take(200).map(|c| if harmless(c) { c } else { ' ' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn site() -> Site {
        Site { address: [10, 77, 0, 1].into(), http_port: 8080, https_port: 8443, boots: Boots::Plainly }
    }

    fn name(text: &str) -> NodeName {
        text.parse().unwrap()
    }

    fn script(boot: &Boot, bios: bool) -> String {
        let machine = Machine { bios, mac: "52:54:00:00:00:01".parse().ok() };
        render(boot, &machine, &site(), &|_| name("vm"))
    }

    #[test]
    fn an_installation_passes_the_agent_what_it_needs() {
        let text = script(&Boot::Install { profile: name("worker"), hostname: Some(name("node-01")) }, true);
        for part in [
            "set image vm\n",
            "kernel --name bzImage http://10.77.0.1:8080/boot/nixos/${image}/bzImage",
            "initrd --name initrd http://10.77.0.1:8080/boot/nixos/${image}/initrd",
            "imgargs bzImage initrd=initrd centra.server=https://10.77.0.1:8443 centra.profile=${profile} \
             centra.hostname=node-01 centra.bootif=52:54:00:00:00:01 console=tty0 console=ttyS0,115200n8\n",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }

    #[test]
    fn an_agent_that_came_over_tls_is_told_so() {
        let boot = Boot::Install { profile: name("worker"), hostname: None };
        let told = |boots| {
            let machine = Machine { bios: false, mac: None };
            render(&boot, &machine, &Site { boots, ..site() }, &|_| name("vm")).contains(" centra.fetched=tls ")
        };
        assert_eq!((told(Boots::OverTls), told(Boots::Plainly)), (true, false));
    }

    #[test]
    fn the_disk_is_reached_by_the_way_of_the_firmware() {
        assert!(script(&Boot::LocalDisk, true).contains("sanboot --no-describe --drive 0x80 ||\nexit 1\n"));
        let uefi = script(&Boot::LocalDisk, false);
        assert!(uefi.ends_with("exit 1\n") && !uefi.contains("sanboot"));
    }

    #[test]
    fn the_first_script_tells_who_asks() {
        let text = ask(&site());
        assert!(text.contains("?mac=${netX/mac:hexhyp}&uuid=${uuid}&serial=${serial:uristring}&platform=${platform}"));
    }

    #[test]
    fn the_menu_offers_the_roles_and_the_default_of_the_operator() {
        let boot = Boot::Menu { default_profile: name("vm"), timeout_seconds: 30 };
        let text = script(&boot, true);
        for item in ["control-plane", "worker", "all-in-one", "vm", "local-disk", "ipxe-shell", "restart"] {
            assert!(text.contains(&format!(" {item} ")), "{item}");
        }
        assert!(text.contains("choose --timeout 30000 --default vm choice"));
        let known = script(&Boot::Menu { default_profile: name("worker"), timeout_seconds: 0 }, true);
        assert_eq!(known.matches("item --key").count(), 6);
        assert!(known.contains("choose --default worker choice"));
    }

    fn all() -> Vec<String> {
        let all = [
            Boot::Install { profile: name("a"), hostname: None },
            Boot::LocalDisk,
            Boot::Wait { reason: "x".into() },
            Boot::Menu { default_profile: name("worker"), timeout_seconds: 1 },
        ];
        all.iter().map(|boot| script(boot, true)).chain([ask(&site())]).collect()
    }

    /// An option that `echo` does not know ends the script, and the machine stands still.
    #[test]
    fn nothing_that_is_said_begins_as_an_option_does() {
        for line in all().iter().flat_map(|text| text.lines()) {
            assert!(!line.contains("echo -"), "{line}");
        }
    }

    /// Every label that is jumped to is there, once.
    #[test]
    fn every_jump_has_a_target() {
        for text in all() {
            for target in text.split("goto ").skip(1).filter_map(|rest| rest.split_whitespace().next()) {
                assert_eq!(text.lines().filter(|line| *line == format!(":{target}")).count(), 1, "{target} in\n{text}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_reason_cannot_become_a_command(reason in "\\PC*|.*") {
            let text = script(&Boot::Wait { reason }, true);
            let line = text.lines().find(|line| line.starts_with("echo centra: waiting:")).unwrap();
            for forbidden in ["${", "||", "&&", ";", "#", "\r"] {
                prop_assert!(!line.contains(forbidden));
            }
            prop_assert_eq!(text.lines().count(), script(&Boot::Wait { reason: String::new() }, true).lines().count());
        }
    }
}

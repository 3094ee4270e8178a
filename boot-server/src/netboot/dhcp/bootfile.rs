//! Which file a client boots: the table of architectures.

use super::request::Request;
use crate::netboot::site::Site;

/// What to put into the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BootFile {
    /// The client boots nothing from here: an installed system, the agent.
    NotAsked,
    /// iPXE: the address of the boot script.
    Script(String),
    /// A file by TFTP.
    Tftp(String),
    /// UEFI HTTP boot: the address of an EFI program.
    Http(String),
    /// An architecture (option 93) that nothing is at hand for.
    Unsupported(Vec<u16>),
}

/// Chooses by user class, vendor class and architecture (the types of RFC 4578 and IANA).
///
/// `uefi_program` is what 64 bit UEFI machines load: `ipxe.efi` has its own drivers, `snponly.efi`
/// uses the firmware's.
pub fn choose(request: &Request, site: &Site, uefi_program: &str) -> BootFile {
    if request.ipxe {
        return BootFile::Script(format!("{}/boot/ipxe/boot.ipxe", site.boot_url()));
    }
    if !request.wants_boot_file() {
        return BootFile::NotAsked;
    }
    let http = |file: &str| BootFile::Http(format!("{}/boot/ipxe/{file}", site.boot_url()));
    let tftp = |file: &str| BootFile::Tftp(file.to_owned());
    let known = request.architectures.iter().find_map(|architecture| match (architecture, request.is_http_boot()) {
        (0, false) => Some(tftp("undionly.kpxe")),
        (6, false) => Some(tftp("ipxe-i386.efi")),
        (7 | 9, false) => Some(tftp(uefi_program)),
        (11, false) => Some(tftp("ipxe-arm64.efi")),
        (16, true) => Some(http(uefi_program)),
        _ => None,
    });
    known.unwrap_or_else(|| BootFile::Unsupported(request.architectures.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netboot::dhcp::request::tests::{message, parsed};
    use dhcproto::v4::{Architecture, DhcpOption, MessageType};

    fn chosen(vendor_class: &str, architecture: u16, ipxe: bool) -> BootFile {
        let site = Site {
            address: [10, 77, 0, 1].into(),
            http_port: 8080,
            https_port: 8443,
            boots: crate::netboot::site::Boots::Plainly,
        };
        let mut options = vec![
            DhcpOption::ClassIdentifier(vendor_class.into()),
            DhcpOption::ClientSystemArchitecture(Architecture(architecture)),
        ];
        if ipxe {
            options.push(DhcpOption::UserClass(b"iPXE".to_vec()));
        }
        choose(&parsed(&message(MessageType::Discover, options)), &site, "ipxe.efi")
    }

    #[test]
    fn firmware_gets_the_ipxe_of_its_architecture() {
        for (architecture, file) in
            [(0, "undionly.kpxe"), (6, "ipxe-i386.efi"), (7, "ipxe.efi"), (9, "ipxe.efi"), (11, "ipxe-arm64.efi")]
        {
            assert_eq!(chosen("PXEClient:Arch", architecture, false), BootFile::Tftp(file.into()));
        }
        assert_eq!(
            chosen("HTTPClient:Arch:00016", 16, false),
            BootFile::Http("http://10.77.0.1:8080/boot/ipxe/ipxe.efi".into())
        );
    }

    #[test]
    fn ipxe_of_any_architecture_gets_the_script() {
        for architecture in [0, 7, 0x1234] {
            let script = "http://10.77.0.1:8080/boot/ipxe/boot.ipxe".to_owned();
            assert_eq!(chosen("PXEClient", architecture, true), BootFile::Script(script));
        }
    }

    #[test]
    fn an_unknown_architecture_is_named() {
        assert_eq!(chosen("PXEClient", 0x29, false), BootFile::Unsupported(vec![0x29]));
    }

    #[test]
    fn an_installed_system_is_offered_nothing_to_boot() {
        assert_eq!(chosen("systemd", 0, false), BootFile::NotAsked);
    }
}

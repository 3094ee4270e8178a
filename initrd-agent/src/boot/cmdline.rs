//! The kernel command line.

use protocol::{boot_trust::Fetched, enrol_token::EnrolToken, names::Mac};

/// What the boot script and the operator told this boot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KernelParameters {
    /// `centra.server=URL`, without a trailing slash.
    pub server: Option<String>,
    /// `centra.bootif=MAC`: the card that booted.
    pub boot_interface: Option<Mac>,
    /// `centra.token=TOKEN`: in an image of the operator's own; what a boot-server serves never has it.
    pub token: Option<EnrolToken>,
    /// `centra.fetched=tls`: iPXE had the script over TLS.
    pub fetched: Fetched,
}

impl KernelParameters {
    /// Reads `/proc/cmdline`'s text. The last of several wins, as in the kernel; what does not fit is ignored.
    pub fn parse(line: &str) -> Self {
        let mut parameters = Self::default();
        for word in line.split_whitespace() {
            if word == Fetched::OVER_TLS {
                parameters.fetched = Fetched::OverTls;
            }
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            match key {
                "centra.server" => parameters.server = server_url(value),
                "centra.bootif" => parameters.boot_interface = value.parse().ok(),
                "centra.token" => parameters.token = EnrolToken::parse(value),
                _ => {}
            }
        }
        parameters
    }
}

/// The URL without its trailing slash, if it is one that the agent may use: enrolment is HTTPS only.
pub fn server_url(text: &str) -> Option<String> {
    let url = text.trim_end_matches('/');
    let host = url.strip_prefix("https://")?;
    let fits = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte));
    fits.then(|| url.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_ours_and_leaves_the_rest() {
        let line = "BOOT_IMAGE=x quiet centra.server=https://10.77.0.1:8443/ centra.bootif=52-54-00-00-00-01\n";
        let parameters = KernelParameters::parse(line);
        assert_eq!(parameters.server.as_deref(), Some("https://10.77.0.1:8443"));
        assert_eq!(parameters.boot_interface.unwrap().as_str(), "52:54:00:00:00:01");
    }

    #[test]
    fn an_ipxe_that_fetched_over_tls_says_so() {
        assert_eq!(KernelParameters::parse("quiet centra.fetched=tls").fetched, Fetched::OverTls);
        for line in ["quiet", "centra.fetched=http", "centra.fetched", "centra.fetched=tls2"] {
            assert_eq!(KernelParameters::parse(line).fetched, Fetched::Plainly);
        }
    }

    #[test]
    fn a_token_is_read_and_never_shown() {
        let line = "centra.token=k7qfk7qf-K7QF-K7QF-K7QF-K7QF-K7";
        let parameters = KernelParameters::parse(line);
        assert!(parameters.token.is_some() && !format!("{parameters:?}").contains("K7QF"));
        assert_eq!(KernelParameters::parse("centra.token=short").token, None);
    }

    #[test]
    fn a_server_without_tls_is_no_server() {
        assert_eq!(KernelParameters::parse("centra.server=http://10.77.0.1:8080").server, None);
    }

    proptest! {
        #[test]
        fn any_line_is_borne(line in "\\PC*") {
            let _ = KernelParameters::parse(&line);
        }
    }
}

//! Where machines reach this server.

use std::net::Ipv4Addr;

/// By what machines fetch what they boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boots {
    /// The plain boot port.
    Plainly,
    /// The port of enrolment.
    OverTls,
}

/// The addresses that go into DHCP answers and boot scripts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Address of the server on the boot network.
    pub address: Ipv4Addr,
    /// Port of the plain boot HTTP.
    pub http_port: u16,
    /// Port of enrolment and administration.
    pub https_port: u16,
    /// What [`Site::boot_url`] is.
    pub boots: Boots,
}

impl Site {
    /// `http://10.77.0.1:8080`, or as [`Site::server_url`]
    pub fn boot_url(&self) -> String {
        match self.boots {
            Boots::Plainly => format!("http://{}:{}", self.address, self.boot_port()),
            Boots::OverTls => self.server_url(),
        }
    }

    /// The port of [`Site::boot_url`].
    pub fn boot_port(&self) -> u16 {
        match self.boots {
            Boots::Plainly => self.http_port,
            Boots::OverTls => self.https_port,
        }
    }

    /// `https://10.77.0.1:8443`, what the agent takes as `centra.server`.
    pub fn server_url(&self) -> String {
        format!("https://{}:{}", self.address, self.https_port)
    }
}

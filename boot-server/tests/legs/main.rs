//! The boot legs against real clients and servers: udhcpc, dnsmasq, busybox and atftp, over real
//! sockets in network namespaces of their own. Needs root, iproute2 and those packages.

#![allow(clippy::disallowed_methods, reason = "tests start programs to judge them")]
#![allow(clippy::unwrap_used, missing_docs)]

mod connections;
mod dhcp;
mod floods;
mod http;
mod lab;
mod tftp;

//! Who is believed: the CA, what the server signs, who is admitted as which node, who is logged in.

pub mod admins;
pub mod admission;
pub mod ca;
pub mod certificates;
pub mod folder;
pub mod generations;
pub mod ipxe;
pub mod manifest;
pub mod oidc;
pub mod quotes;
pub mod rotation;
pub mod sessions;
pub mod tokens;

//! Who is admitted as what: a pure decision over a machine's claims, its key, what it shows and what operators applied.

mod code;
mod decide;
mod entry;
mod find;
mod rejection;
pub mod room;
mod token;

pub use code::{constant_time_equal, normal_code};
pub use decide::{Asking, By, Decision, Policy, Rival, decide, may_be_replaced, with_key};
pub use entry::Entry;
pub use find::{Found, find, find_for_boot, machine_name, same_machine};
pub use rejection::{has_labels_of, rejected_at_boot, unless_rejected};
pub use token::{OneTime, Shown};

#[cfg(test)]
mod rejection_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tpm_tests;

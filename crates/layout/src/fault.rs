//! What is wrong with a layout, and where.

use protocol::{Code, Failure};

/// Something that cannot be made here, or is not allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Path of the key below `disko.devices`.
    pub at: String,
    /// What is wrong with it.
    pub why: String,
    /// What to do, where the code's own remedy does not say it.
    pub remedy: Option<&'static str>,
}

impl Fault {
    /// At this path.
    pub fn at(at: &str, why: &str) -> Self {
        Fault { at: at.to_owned(), why: why.to_owned(), remedy: None }
    }

    /// With a remedy of its own.
    pub fn with_remedy(self, remedy: &'static str) -> Self {
        Fault { remedy: Some(remedy), ..self }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        let failure = Failure::new(Code::Layout, format!("reading disko.devices: at {}: {}", fault.at, fault.why));
        match fault.remedy {
            Some(remedy) => failure.with_remedy(remedy),
            None => failure,
        }
    }
}

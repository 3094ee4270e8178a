//! Is the time possible, and does somebody keep it?

use protocol::{Code, Failure, Timestamp, failure::Result};
use std::time::Duration;

/// The installer's clock may have been off by so much.
const TOLERANCE: Duration = Duration::from_secs(300);

/// Whether it can be as late as the clock says; `floor` is a time that is known to have passed.
///
/// # Errors
/// `E-PREFLIGHT` with both times.
pub fn check(now: Timestamp, floor: Option<Timestamp>) -> Result<()> {
    match floor {
        Some(floor) if now + TOLERANCE < floor => {
            let cause = format!("checking the clock: it says {now}, but this node was installed at {floor}");
            Err(Failure::new(Code::Preflight, cause)
                .with_remedy("set the clock (timedatectl set-time, hwclock --systohc), or replace the board's battery"))
        }
        _ => Ok(()),
    }
}

/// What is to be said of the clock where nobody keeps it. Raft needs no exact time, certificates do in the end.
pub fn unsynchronised() -> Option<String> {
    // SAFETY: all zeros is a valid value of this plain structure, and with no mode set the call only reads.
    let (state, time) = unsafe {
        let mut time: libc::timex = std::mem::zeroed();
        (libc::adjtimex(&raw mut time), time)
    };
    // A kernel or a sandbox that does not say is no finding.
    let unsynchronised = state >= 0 && (state == libc::TIME_ERROR || time.status & libc::STA_UNSYNC != 0);
    unsynchronised.then(|| {
        "checking the clock: it is not synchronised; run chrony or systemd-timesyncd on every member (timedatectl \
         shows it)"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::ext::NumericalDuration;

    #[test]
    fn whether_the_clock_is_kept_can_be_asked_by_anybody() {
        assert!(unsynchronised().is_none_or(|text| text.contains("chrony")));
    }

    proptest! {
        #[test]
        fn only_a_clock_before_the_installation_is_impossible(seconds in -1_000_000i64..1_000_000) {
            let floor = Timestamp::UNIX_EPOCH + 20_000.days();
            let verdict = check(floor + seconds.seconds(), Some(floor));
            prop_assert_eq!(verdict.is_err(), seconds < -300);
            prop_assert_eq!(check(floor + seconds.seconds(), None), Ok(()));
        }
    }
}

//! The server's clock. Decisions take time as an argument; this is where it comes from.

use protocol::Timestamp;

/// The time now.
pub fn now() -> Timestamp {
    Timestamp::now_utc()
}

//! How many members a service can lose.

/// So many healthy voters of `voters` are needed.
pub const fn needed(voters: usize) -> usize {
    voters / 2 + 1
}

/// Whether a service with so many voters, so many of them healthy, takes writes.
pub const fn holds(voters: usize, healthy: usize) -> bool {
    voters > 0 && healthy >= needed(voters)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_quorum_is_a_majority(voters in 0usize..20, healthy in 0usize..20) {
            prop_assert_eq!(holds(voters, healthy), healthy * 2 > voters && voters > 0);
        }
    }
}

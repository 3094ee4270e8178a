//! What may be done to a node, and what its life may have been.

use proptest::prelude::*;

/// What may be done. Machines are 0 and 1; each has a run of its own, and another after a restart.
#[derive(Debug, Clone)]
pub enum Verb {
    Apply {
        other: bool,
        reopen: bool,
        hold: bool,
    },
    Approve(usize),
    ApprovePlan,
    Reinstall,
    Remove,
    Replace,
    Revoke,
    Decommission {
        keep_disks: bool,
    },
    Forget,
    AsksForScript,
    Enrols(usize),
    Begins(usize, u8),
    Plans(usize, u8),
    TakesSecrets(usize),
    Fails(usize, u8),
    Installed(usize, u8),
    Turn(usize),
    Ready(usize),
    Wiped(usize, u8),
    /// With its own key, or with the other machine's, to which the node changes then.
    Renews(usize, bool),
    UsesKey(usize),
}

/// Any verb.
pub fn verb() -> impl Strategy<Value = Verb> {
    let machine = || 0..2usize;
    let run = || 0..2u8;
    prop_oneof![
        any::<(bool, bool, bool)>().prop_map(|(other, reopen, hold)| Verb::Apply { other, reopen, hold }),
        machine().prop_map(Verb::Approve),
        Just(Verb::ApprovePlan),
        Just(Verb::Reinstall),
        Just(Verb::Remove),
        Just(Verb::Replace),
        Just(Verb::Revoke),
        any::<bool>().prop_map(|keep_disks| Verb::Decommission { keep_disks }),
        Just(Verb::Forget),
        Just(Verb::AsksForScript),
        machine().prop_map(Verb::Enrols),
        (machine(), run()).prop_map(|(machine, run)| Verb::Begins(machine, run)),
        (machine(), run()).prop_map(|(machine, run)| Verb::Plans(machine, run)),
        machine().prop_map(Verb::TakesSecrets),
        (machine(), run()).prop_map(|(machine, run)| Verb::Fails(machine, run)),
        (machine(), run()).prop_map(|(machine, run)| Verb::Installed(machine, run)),
        machine().prop_map(Verb::Turn),
        machine().prop_map(Verb::Ready),
        (machine(), run()).prop_map(|(machine, run)| Verb::Wiped(machine, run)),
        (machine(), any::<bool>()).prop_map(|(machine, other)| Verb::Renews(machine, other)),
        machine().prop_map(Verb::UsesKey),
    ]
}

/// Two verbs; mostly the first of them waits between what it reads and what it writes.
pub fn pair() -> impl Strategy<Value = [Verb; 2]> {
    let keeps = any::<bool>().prop_map(|keep_disks| Verb::Decommission { keep_disks });
    let waits = prop_oneof![Just(Verb::Reinstall), Just(Verb::Remove), Just(Verb::Replace), keeps, approval()];
    (prop_oneof![3 => waits, 1 => verb()], verb()).prop_map(<[Verb; 2]>::from)
}

fn approval() -> impl Strategy<Value = Verb> {
    prop_oneof![(0..2usize).prop_map(Verb::Enrols), (0..2usize).prop_map(Verb::Approve)]
}

/// Some of the usual way of a node, and whatever comes after it.
pub fn life() -> impl Strategy<Value = Vec<Verb>> {
    let way = |hold| {
        let apply = Verb::Apply { other: false, reopen: false, hold };
        let (enrols, begins, plans) = (Verb::Enrols(0), Verb::Begins(0, 0), Verb::Plans(0, 0));
        vec![apply, enrols, Verb::Approve(0), begins, plans, Verb::Installed(0, 0), Verb::Turn(0), Verb::Ready(0)]
    };
    (any::<bool>(), 0..=8usize, proptest::collection::vec(verb(), 0..4))
        .prop_map(move |(hold, length, more)| way(hold).into_iter().take(length).chain(more).collect())
}

//! The way, the loops that must not be, and what holds whatever happens.

use super::*;
use proptest::prelude::*;

fn run(n: u8) -> RunId {
    format!("r{n}").parse().unwrap()
}

fn name() -> NodeName {
    "n1".parse().unwrap()
}

fn walk(inputs: &[Input]) -> Record {
    inputs.iter().fold(Record::default(), |record, input| record.after(input).unwrap_or(record))
}

fn boots_installer(record: &Record) -> bool {
    matches!(boot(&name(), &"vm".parse().unwrap(), record), Boot::Install { .. })
}

/// What machines do, and an admin who admits them.
fn input_of_machine() -> impl Strategy<Value = Input> {
    input().prop_filter("an operator's act", |input| {
        !matches!(
            input,
            Input::Applied
                | Input::Reopened
                | Input::Reinstall
                | Input::Replace
                | Input::Wipe
                | Input::Retire
                | Input::Revoked
        )
    })
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        Just(Input::Applied),
        Just(Input::Reopened),
        Just(Input::Reinstall),
        Just(Input::Replace),
        Just(Input::Wipe),
        Just(Input::Retire),
        Just(Input::Revoked),
        ((0u8..9), 0u64..3).prop_map(|(n, generation)| Input::Wiped { run: run(n), generation }),
        Just(Input::Seen),
        Just(Input::Asked),
        Just(Input::Refused),
        Just(Input::Reconsidered),
        Just(Input::Approved),
        (0u8..9).prop_map(|n| Input::Began(run(n))),
        (0u8..9).prop_map(|n| Input::RunFailed(run(n))),
        ((0u8..9), 0u64..3).prop_map(|(n, generation)| Input::Installed { run: run(n), generation }),
        Just(Input::Joining),
        Just(Input::JoinFailed),
        (0u64..3).prop_map(|generation| Input::Member { generation }),
        (0u64..3).prop_map(|generation| Input::Ready { generation }),
    ]
}

fn to_installed() -> Vec<Input> {
    vec![
        Input::Applied,
        Input::Seen,
        Input::Asked,
        Input::Approved,
        Input::Began(run(1)),
        Input::Installed { run: run(1), generation: 1 },
    ]
}

#[test]
fn the_way_leads_from_expected_to_ready() {
    let mut record = Record::default();
    let mut states = vec![record.state];
    let mut way = to_installed();
    way.extend([Input::Joining, Input::Ready { generation: 1 }]);
    for input in way {
        record = record.after(&input).unwrap();
        states.push(record.state);
    }
    use NodeState::*;
    assert_eq!(states, [Expected, Expected, Discovered, Pending, Approved, Installing, Installed, Joining, Ready]);
}

#[test]
fn applying_again_opens_no_second_generation() {
    let installed = walk(&to_installed());
    let again = installed.after(&Input::Applied).unwrap();
    assert_eq!((again.generation, again.used), (1, true));
    assert_eq!(boot(&name(), &name(), &again), Boot::LocalDisk);
}

#[test]
fn the_same_report_twice_is_recorded_once_and_answered_twice() {
    let installed = walk(&to_installed());
    assert_eq!(installed.after(&Input::Installed { run: run(1), generation: 1 }), Ok(installed.clone()));
    assert_eq!(installed.after(&Input::Installed { run: run(1), generation: 2 }), Err(Refusal::OtherGeneration(1)));
}

#[test]
fn another_machine_cannot_take_an_installed_node() {
    assert_eq!(walk(&to_installed()).after(&Input::Approved), Err(Refusal::Taken));
}

#[test]
fn a_node_whose_machine_was_refused_waits_for_another_and_loses_nothing() {
    let refused = walk(&[Input::Applied, Input::Asked, Input::Refused]);
    assert_eq!(refused.state, NodeState::Rejected);
    assert!(boots_installer(&refused), "the right machine may still come");
    assert_eq!(refused.after(&Input::Asked).unwrap().state, NodeState::Pending);
    assert_eq!(refused.after(&Input::Reconsidered).unwrap().state, NodeState::Discovered);
    assert_eq!(refused.after(&Input::Approved).unwrap().state, NodeState::Approved);
    let installed = walk(&to_installed());
    assert_eq!(
        installed.after(&Input::Refused).unwrap().state,
        NodeState::Installed,
        "of a machine that was in conflict with it"
    );
}

#[test]
fn a_run_that_vanishes_counts_as_failed() {
    let mut record = walk(&[Input::Applied, Input::Approved, Input::Began(run(0))]);
    for n in 1..=FAILED_RUNS_LIMIT {
        record = record.after(&Input::Began(run(n as u8))).unwrap();
    }
    assert!(record.quarantined());
    assert_eq!(record.may_install(), Err(Refusal::Quarantined(FAILED_RUNS_LIMIT)));
    assert!(matches!(boot(&name(), &name(), &record), Boot::Wait { .. }));
}

#[test]
fn a_reinstall_opens_exactly_one_more_generation() {
    let mut inputs = to_installed();
    inputs.push(Input::Reinstall);
    let open = walk(&inputs);
    assert_eq!((open.generation, open.used, open.state), (2, false, NodeState::Approved));
    assert!(boots_installer(&open));
    let began = open.after(&Input::Began(run(2))).unwrap();
    // The report of the generation before comes late.
    let late = Input::Installed { run: run(1), generation: 1 };
    assert_eq!(began.after(&late), Err(Refusal::OtherGeneration(2)));
    let done = began.after(&Input::Installed { run: run(2), generation: 2 }).unwrap();
    assert!(done.used && !boots_installer(&done));
    assert_eq!(Record::default().after(&Input::Reinstall), Err(Refusal::NotAdmitted(NodeState::Expected)));
}

#[test]
fn a_spec_that_was_mended_ends_the_quarantine_of_an_open_generation() {
    let mut inputs = vec![Input::Applied, Input::Approved];
    for n in 0..FAILED_RUNS_LIMIT as u8 {
        inputs.extend([Input::Began(run(n)), Input::RunFailed(run(n))]);
    }
    let stuck = walk(&inputs);
    assert!(stuck.quarantined() && !boots_installer(&stuck));
    let mended = stuck.after(&Input::Applied).unwrap();
    assert_eq!((mended.generation, mended.may_install()), (1, Ok(())));
    assert!(boots_installer(&mended));
}

#[test]
fn a_member_of_one_service_is_ready_only_after_the_last() {
    let one = walk(&to_installed()).after(&Input::Member { generation: 1 }).unwrap();
    assert_eq!(one.state, NodeState::Joining);
    let all = one.after(&Input::Ready { generation: 1 }).unwrap();
    assert_eq!(all.state, NodeState::Ready);
    assert_eq!(all.after(&Input::Member { generation: 1 }).unwrap().state, NodeState::Ready);
}

#[test]
fn a_failed_join_boots_the_disk() {
    let mut inputs = to_installed();
    inputs.extend([Input::Joining, Input::JoinFailed]);
    let record = walk(&inputs);
    assert_eq!(record.state, NodeState::Failed);
    assert_eq!(boot(&name(), &name(), &record), Boot::LocalDisk);
    assert_eq!(record.after(&Input::Joining).unwrap().state, NodeState::Joining);
}

#[test]
fn a_replaced_node_expects_another_machine_for_its_next_generation() {
    let mut inputs = to_installed();
    inputs.push(Input::Ready { generation: 1 });
    let open = walk(&inputs).after(&Input::Replace).unwrap();
    assert_eq!((open.state, open.generation, open.used), (NodeState::Expected, 2, false));
    // The old installation still speaks.
    assert!(open.after(&Input::Ready { generation: 1 }).is_err());
    assert_eq!(open.after(&Input::Approved).unwrap().may_install(), Ok(()));
}

#[test]
fn a_decommissioned_node_is_wiped_in_a_generation_of_its_own_and_then_boots_nothing() {
    let mut inputs = to_installed();
    inputs.push(Input::Wipe);
    let open = walk(&inputs);
    assert!(boots_installer(&open) && open.purpose == Purpose::Wipe);
    let wiped = |run, generation| Input::Wiped { run, generation };
    assert_eq!(open.after(&wiped(run(2), 2)), Err(Refusal::OtherRun));
    let began = open.after(&Input::Began(run(2))).unwrap();
    assert_eq!(began.after(&Input::Installed { run: run(2), generation: 2 }), Err(Refusal::ToBeWiped));
    assert_eq!(began.after(&wiped(run(2), 1)), Err(Refusal::OtherGeneration(2)));
    let retired = began.after(&wiped(run(2), 2)).unwrap();
    assert_eq!(retired.after(&wiped(run(2), 2)), Ok(retired.clone()));
    assert!(matches!(boot(&name(), &name(), &retired), Boot::Wait { .. }));
    assert_eq!(walk(&to_installed()).after(&wiped(run(1), 1)), Err(Refusal::NotToBeWiped));
}

proptest! {
    #[test]
    fn a_retired_node_stays_so_and_boots_nothing_until_it_is_reopened(inputs in prop::collection::vec(input(), 0..60)) {
        let mut record = walk(&to_installed()).after(&Input::Retire).unwrap();
        for input in &inputs {
            let next = record.after(input).unwrap_or_else(|_| record.clone());
            if *input == Input::Reopened {
                prop_assert_eq!((next.state, next.generation), (NodeState::Expected, record.generation + 1));
                break;
            }
            record = next;
            prop_assert_eq!(record.state, NodeState::Retired);
            let waits = matches!(boot(&name(), &name(), &record), Boot::Wait { .. });
            prop_assert!(waits);
        }
    }

    #[test]
    fn only_an_operator_s_act_has_disks_wiped(inputs in prop::collection::vec(input_of_machine(), 0..60)) {
        let mut record = walk(&[Input::Applied, Input::Approved]);
        for input in &inputs {
            record = record.after(input).unwrap_or(record);
            prop_assert_eq!(record.purpose, Purpose::Install);
        }
    }

    #[test]
    fn a_used_generation_never_boots_the_installer_nor_gives_a_manifest(
        inputs in prop::collection::vec(input(), 0..80)
    ) {
        let mut record = Record::default();
        for input in &inputs {
            let next = record.after(input).unwrap_or_else(|_| record.clone());
            prop_assert!(next.generation >= record.generation);
            if next.generation == record.generation {
                prop_assert!(!record.used || next.used, "a used generation opened again by {input:?}");
            }
            if next.used {
                prop_assert!(!boots_installer(&next));
                prop_assert!(next.may_install().is_err());
            }
            record = next;
        }
    }

    #[test]
    fn the_runs_of_a_generation_are_bounded(inputs in prop::collection::vec(input_of_machine(), 0..200)) {
        let mut record = walk(&[Input::Applied]);
        let mut attempts = 0;
        for input in &inputs {
            if let Ok(next) = record.after(input) {
                let fresh = matches!(input, Input::Began(run) if record.run.as_ref() != Some(run) || record.run_over);
                if fresh && next.may_install().is_ok() {
                    attempts += 1;
                }
                record = next;
            }
        }
        prop_assert!(attempts <= FAILED_RUNS_LIMIT, "{attempts} attempts");
    }

    #[test]
    fn quarantine_is_left_by_no_input_of_a_machine(inputs in prop::collection::vec(input_of_machine(), 0..80)) {
        let mut record = walk(&[Input::Applied, Input::Approved]);
        record.failed_runs = FAILED_RUNS_LIMIT;
        for input in &inputs {
            record = record.after(input).unwrap_or(record);
            prop_assert!(record.may_install().is_err());
        }
    }

    #[test]
    fn whatever_happened_a_node_that_is_not_stuck_comes_to_its_disk(
        inputs in prop::collection::vec(input(), 0..60)
    ) {
        let record = walk(&inputs);
        if record.generation == 1 && record.may_install().is_ok() {
            let began = record.after(&Input::Began(run(100))).unwrap();
            if began.may_install().is_ok() {
                let done = began.after(&Input::Installed { run: run(100), generation: 1 }).unwrap();
                prop_assert_eq!(boot(&name(), &name(), &done), Boot::LocalDisk);
            }
        }
    }
}

#[test]
fn a_node_whose_key_was_revoked_boots_nothing_and_is_nobody_s_until_another_machine_takes_its_place() {
    for length in 0..=to_installed().len() {
        let revoked = walk(&to_installed()[..length]).after(&Input::Revoked).unwrap();
        assert!(matches!(boot(&name(), &"vm".parse().unwrap(), &revoked), Boot::Wait { .. }));
        for input in [Input::Approved, Input::Reinstall, Input::Wipe, Input::Revoked, Input::Began(run(1))] {
            assert!(revoked.after(&input).is_err(), "{input:?}");
        }
        assert!(matches!(revoked.after(&Input::Retire), Ok(Record { state: NodeState::Retired, .. })));
        let Ok(replaced) = revoked.after(&Input::Replace) else { continue };
        assert!(boots_installer(&replaced) && replaced.after(&Input::Approved).is_ok());
    }
}

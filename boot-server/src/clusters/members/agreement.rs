//! Whether the members speak of one cluster. One answer is never taken for the cluster's: all are asked, and what they say is
//! put together here. Pure.

use protocol::{Code, Failure, service::Service};
use std::collections::{BTreeMap, BTreeSet};

/// What one member told of its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told<L> {
    /// Who told it.
    pub by: String,
    /// The cluster's own id; empty where the service has none.
    pub cluster: String,
    /// It knows a leader: one that is cut off knows none, and its list may be an old one.
    pub led: bool,
    /// For people: who is on the list.
    pub listed: BTreeSet<String>,
    /// The list.
    pub list: L,
}

/// What all of it comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Agreement<L> {
    /// One cluster with this list.
    One(L),
    /// One cluster whose members have different lists: a change is on its way, or there are two after all.
    Differing(Vec<Side>),
    /// Several clusters.
    Split(Vec<Side>),
}

/// Members that say the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// As [`Told::cluster`].
    pub cluster: String,
    /// Who says it.
    pub by: Vec<String>,
    /// Who is on their list.
    pub listed: BTreeSet<String>,
}

/// Puts it together; nothing where nobody told anything.
pub fn of<L>(told: Vec<Told<L>>) -> Option<Agreement<L>> {
    let sides = sides(&told);
    let clusters: BTreeSet<&String> = sides.iter().map(|side| &side.cluster).collect();
    if clusters.len() > 1 {
        return Some(Agreement::Split(sides));
    }
    let led: Vec<Told<L>> = {
        let (led, alone): (Vec<_>, Vec<_>) = told.into_iter().partition(|told| told.led);
        if led.is_empty() { alone } else { led }
    };
    let sides = self::sides(&led);
    if sides.len() > 1 && led.iter().any(|told| told.led) {
        return Some(Agreement::Differing(sides));
    }
    // Where nobody knows a leader, most voices count.
    let most = sides.iter().max_by_key(|side| side.by.len())?;
    led.into_iter().find(|told| told.listed == most.listed).map(|told| Agreement::One(told.list))
}

fn sides<L>(told: &[Told<L>]) -> Vec<Side> {
    let mut sides = BTreeMap::<(&String, &BTreeSet<String>), Vec<String>>::new();
    for one in told {
        sides.entry((&one.cluster, &one.listed)).or_default().push(one.by.clone());
    }
    let side = |((cluster, listed), mut by): ((&String, &BTreeSet<String>), Vec<String>)| {
        by.sort();
        Side { cluster: cluster.clone(), by, listed: listed.clone() }
    };
    sides.into_iter().map(side).collect()
}

/// The failure of a service that is more than one cluster: who is where, and nothing that wipes.
pub fn split(service: Service, sides: &[Side]) -> Failure {
    let side = |side: &Side| {
        let listed: Vec<&str> = side.listed.iter().map(String::as_str).collect();
        let id = if side.cluster.is_empty() { String::new() } else { format!(" (cluster {})", side.cluster) };
        format!("by {} the members are {}{id}", side.by.join(", "), listed.join(", "))
    };
    let told: Vec<String> = sides.iter().map(side).collect();
    let cause = format!("asking the members of {service}: they are {} clusters: {}", sides.len(), told.join("; "));
    Failure::new(Code::ClusterSplit, cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(by: &str, cluster: &str, led: bool, listed: &[&str]) -> Told<usize> {
        let listed: BTreeSet<String> = listed.iter().map(ToString::to_string).collect();
        Told { by: by.to_owned(), cluster: cluster.to_owned(), led, list: listed.len(), listed }
    }

    #[test]
    fn two_clusters_of_one_name_are_told_whoever_answers_first() {
        let all = [
            told("n1", "1a", true, &["n1", "n2"]),
            told("n2", "1a", true, &["n1", "n2"]),
            told("n3", "3c", true, &["n3"]),
        ];
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let Some(Agreement::Split(sides)) = of(order.map(|at| all[at].clone()).to_vec()) else { panic!() };
            let failure = split(Service::Etcd, &sides);
            assert_eq!(failure.code, Code::ClusterSplit);
            assert!(
                failure.cause.ends_with(
                    "they are 2 clusters: by n1, n2 the members are n1, n2 (cluster 1a); by n3 the members are n3 (cluster 3c)"
                ),
                "{failure}"
            );
            assert!(!failure.remedy.contains("cluster replace") && !failure.remedy.contains("--yes"), "{failure:?}");
        }
        let services = [told("n1", "", true, &["n1", "n2"]), told("n3", "", true, &["n3"])];
        assert!(matches!(of(services.to_vec()), Some(Agreement::Differing(sides)) if sides.len() == 2));
    }

    #[test]
    fn an_old_list_of_a_member_that_is_cut_off_is_no_second_cluster() {
        let cut_off = told("n3", "1a", false, &["n1", "n2", "n3"]);
        let others = told("n1", "1a", true, &["n1", "n2"]);
        assert_eq!(of(vec![cut_off.clone(), others]), Some(Agreement::One(2)));
        let lost = told("n2", "1a", false, &["n1", "n2", "n3"]);
        assert_eq!(of(vec![cut_off, lost, told("n1", "1a", false, &["n1", "n2"])]), Some(Agreement::One(3)));
        assert_eq!(of::<usize>(vec![]), None);
    }

    proptest! {
        #[test]
        fn one_list_is_believed_only_where_all_who_know_a_leader_agree(
            voices in prop::collection::vec((0u8..2, any::<bool>(), prop::collection::btree_set("[ab]", 1..3)), 1..6)
        ) {
            let told: Vec<_> = voices.iter().enumerate().map(|(at, (cluster, led, listed))| Told {
                by: at.to_string(), cluster: cluster.to_string(), led: *led, listed: listed.clone(), list: listed.clone(),
            }).collect();
            if let Some(Agreement::One(list)) = of(told.clone()) {
                prop_assert!(told.iter().all(|one| one.cluster == told[0].cluster));
                prop_assert!(told.iter().filter(|one| one.led).all(|one| one.listed == list));
            }
        }
    }
}

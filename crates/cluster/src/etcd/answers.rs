//! What etcd answers.

use protocol::{Code, Failure};
use serde::{Deserialize, Deserializer, de::Error as _};

/// A member of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// The cluster's number for it.
    #[serde(rename = "ID", deserialize_with = "number")]
    pub id: u64,
    /// Empty until it has started for the first time.
    #[serde(default)]
    pub name: String,
    /// Where it takes Raft traffic.
    #[serde(default, rename = "peerURLs")]
    pub peer_urls: Vec<String>,
    /// Where it takes its clients; empty until it has started.
    #[serde(default, rename = "clientURLs")]
    pub client_urls: Vec<String>,
    /// It has no vote yet.
    #[serde(default)]
    pub is_learner: bool,
}

/// The member list, and by whose word.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Listing {
    /// Who answers, in which cluster.
    #[serde(default)]
    pub header: Header,
    /// All members.
    #[serde(default)]
    pub members: Vec<Member>,
}

/// What a member says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Status {
    /// Who answers.
    pub header: Header,
    /// Release of the member.
    pub version: String,
    /// 0 where there is none.
    #[serde(deserialize_with = "number")]
    pub leader: u64,
    /// Alarms, and that there is no leader, as etcd words them.
    pub errors: Vec<String>,
}

/// What etcd has raised; it stands until somebody disarms it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alarm {
    /// The quota of this member is full: the cluster takes no writes.
    NoSpace(u64),
    /// This member's data differs from the others': the cluster takes neither reads nor writes.
    Corrupt(u64),
}

impl Status {
    /// The alarms among what it words.
    pub fn alarms(&self) -> Vec<Alarm> {
        self.errors.iter().filter_map(|text| alarm(text)).collect()
    }
}

/// `memberID:10276657743932975437 alarm:NOSPACE`
fn alarm(text: &str) -> Option<Alarm> {
    let word = |key: &str| text.split_whitespace().find_map(|word| word.strip_prefix(key));
    let member = word("memberID:")?.parse().ok()?;
    match word("alarm:")? {
        "NOSPACE" => Some(Alarm::NoSpace(member)),
        "CORRUPT" => Some(Alarm::Corrupt(member)),
        _ => None,
    }
}

impl Alarm {
    /// As a failure, with the way out.
    pub fn failure(self) -> Failure {
        match self {
            Self::NoSpace(member) => {
                let cause = format!("etcd takes no writes: the quota of member {member:x} is full (alarm NOSPACE)");
                Failure::new(Code::NoSpace, cause).with_remedy(
                    "make room and disarm: etcdctl compact REVISION, etcdctl defrag --cluster, etcdctl alarm disarm; \
                     nothing is lost, and nothing is to be restored",
                )
            }
            Self::Corrupt(member) => {
                let cause = format!("etcd serves nothing: the data of member {member:x} differs (alarm CORRUPT)");
                let remedy =
                    format!("save a snapshot of another member, replace member {member:x}, then etcdctl alarm disarm");
                Failure::new(Code::ServiceUnhealthy, cause).with_remedy(remedy)
            }
        }
    }
}

/// The head of every answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Header {
    /// Its cluster: members of one cluster have the same.
    #[serde(deserialize_with = "number")]
    pub cluster_id: u64,
    /// The member that answers.
    #[serde(deserialize_with = "number")]
    pub member_id: u64,
    /// How far its data has come.
    #[serde(deserialize_with = "number")]
    pub revision: u64,
}

/// Some gateways write small numbers as numbers.
pub fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Text(String),
        Plain(u64),
    }
    match Number::deserialize(deserializer)? {
        Number::Text(text) => text.parse().map_err(|_| D::Error::custom(format!("{text:?} is not a number"))),
        Number::Plain(number) => Ok(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::parse;
    use serde_json::json;

    #[test]
    fn a_member_list_of_the_gateway_is_read() {
        let body =
            br#"{"header":{},"members":[{"ID":"18446744073709551615","peerURLs":["https://a:1"],"isLearner":true},
            {"ID":"5","name":"m1","peerURLs":["https://b:1"],"clientURLs":[]}]}"#;
        let members = parse::json::<Listing>("list", body).unwrap().members;
        assert_eq!((members[0].id, members[0].is_learner, members[0].name.as_str()), (u64::MAX, true, ""));
        assert_eq!((members[1].id, members[1].is_learner, members[1].name.as_str()), (5, false, "m1"));
    }

    #[test]
    fn ids_are_strings_and_what_is_zero_is_left_out() {
        let status: Status = serde_json::from_value(json!({"header": {"member_id": "7"}, "leader": 9})).unwrap();
        assert_eq!((status.header.member_id, status.leader), (7, 9));
        assert!(serde_json::from_value::<Member>(json!({"ID": "x"})).is_err());
    }

    #[test]
    fn an_alarm_is_told_from_a_leader_that_is_missing() {
        let errors =
            ["memberID:26 alarm:NOSPACE ", "etcdserver: no leader", "memberID:27 alarm:CORRUPT", "alarm:NOSPACE"];
        let status: Status = serde_json::from_value(json!({"errors": errors})).unwrap();
        assert_eq!(status.alarms(), [Alarm::NoSpace(26), Alarm::Corrupt(27)]);
        let failure = Alarm::NoSpace(26).failure();
        assert!(failure.cause.contains("member 1a is full") && failure.remedy.contains("alarm disarm"), "{failure:?}");
    }
}

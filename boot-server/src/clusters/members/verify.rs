//! What an operator wants to know before and after an act: each check one line, with what to do where it fails.

use super::{
    caller::refused,
    discovery::Endpoint,
    quorum::Standing,
    same,
    survey::{self, at as url},
};
use cluster::{admin_api::AdminApi, client::PeerClient, etcd::Etcd};
use protocol::{
    Code, Failure, Timestamp,
    cluster_address::Peer,
    failure::Result,
    names::NodeName,
    operations::{Check, MemberRole, MemberStatus, MemberView},
    service::Service,
};

/// Every check of a service; a key is written, read back from another member and deleted.
pub async fn service(caller: &PeerClient, service: Service, endpoints: &[Endpoint], now: Timestamp) -> Vec<Check> {
    let members = match survey::members(caller, service, endpoints).await {
        Ok(members) => members,
        Err(failure) if failure.code == Code::ClusterSplit => {
            return vec![failed(service, "the members are one cluster", &failure)];
        }
        Err(failure) => return vec![failed(service, "members are listed", &failure)],
    };
    let mut checks = judge(service, &members, endpoints);
    if service == Service::Etcd {
        checks.extend(same::data(caller, &members).await);
    }
    checks.push(write_and_read(caller, service, &members, now).await);
    checks
}

/// What the members say, judged: a pure function.
pub fn judge(service: Service, members: &[MemberView], endpoints: &[Endpoint]) -> Vec<Check> {
    let check = |what: String, passed: bool, detail: String, remedy: Option<String>| Check {
        service,
        what,
        passed,
        detail,
        remedy: remedy.filter(|_| !passed),
    };
    let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
    let mut checks = vec![check("members are listed".to_owned(), !members.is_empty(), names.join(", "), None)];
    for node in survey::missing(members, endpoints) {
        let remedy = format!("boot-server cluster replace {node} --yes");
        let detail = "it reported that it is, and is not listed".to_owned();
        checks.push(check(format!("{node} is a member"), false, detail, Some(remedy)));
    }
    for member in members {
        let well = member.status == MemberStatus::Healthy;
        let version = member.version.as_ref().map_or(String::new(), |version| format!(", {version}"));
        let detail = match &member.failure {
            Some(failure) => failure.to_string(),
            None if member.status == MemberStatus::Unstarted => format!("{} at {}", member.status, member.address),
            None => format!("{}, {}{version}", member.status, member.role),
        };
        let remedy = match (&member.failure, member.status) {
            (Some(failure), _) => failure.remedy.clone(),
            (None, MemberStatus::Unstarted) => {
                let who = member.node.as_ref().map_or(member.id.as_str(), NodeName::as_str);
                format!("start it, or remove it: boot-server cluster remove {who} --yes")
            }
            (None, _) => "read the journal of the service on that node".to_owned(),
        };
        checks.push(check(format!("{} is healthy", member.name), well, detail, Some(remedy)));
    }
    let standing = Standing::of(members);
    let leaders: Vec<&str> =
        members.iter().filter(|member| member.role == MemberRole::Leader).map(|member| member.name.as_str()).collect();
    let detail = if leaders.is_empty() { "nobody leads".to_owned() } else { leaders.join(" and ") };
    let remedy = match leaders.len() {
        0 => "bring members back until a majority runs; see the guide to disaster recovery where they are lost",
        _ => "a member is cut off from the others: check the network between them",
    };
    checks.push(check("there is one leader".to_owned(), leaders.len() == 1, detail, Some(remedy.to_owned())));
    let word = if standing.is_alarmed() { "vote" } else { "are healthy" };
    let detail = format!("{} of {} voters {word}, {} are needed", standing.voting, standing.voters, standing.needed);
    let remedy = "bring members back until a majority runs; see the guide to disaster recovery where they are lost";
    checks.push(check("there is a quorum".to_owned(), standing.has_quorum(), detail, Some(remedy.to_owned())));
    checks
}

async fn write_and_read(caller: &PeerClient, service: Service, members: &[MemberView], now: Timestamp) -> Check {
    let what = match service {
        Service::Flaredb => "a sample is written and read back",
        Service::Etcd | Service::Chainfire | Service::Iam => "a key is written, read back and deleted",
    };
    if let Some(alarm) = members.iter().find(|member| member.status == MemberStatus::Alarmed) {
        let failure = alarm.failure.clone().unwrap_or_else(|| Failure::new(Code::NoSpace, "an alarm is raised"));
        return failed(service, what, &failure);
    }
    let healthy =
        members.iter().filter(|member| member.status == MemberStatus::Healthy && member.role != MemberRole::Learner);
    let peers: Vec<(&str, Peer)> =
        healthy.filter_map(|member| Some((member.name.as_str(), survey::client_of(member)?))).collect();
    let Some(((writer, at), (reader, from))) = peers.first().zip(peers.last()) else {
        let detail = "no healthy member can be asked".to_owned();
        let remedy = "bring a member back first".to_owned();
        return Check { service, what: what.to_owned(), passed: false, detail, remedy: Some(remedy) };
    };
    match exchange(caller, service, at, from, now).await {
        Ok(None) => {
            let detail = format!("written on {writer}, read on {reader}");
            Check { service, what: what.to_owned(), passed: true, detail, remedy: None }
        }
        Ok(Some(wrong)) => {
            let detail = format!("written on {writer}, read on {reader}: {wrong}");
            let remedy = "the members do not replicate: read the journals of the service on both".to_owned();
            Check { service, what: what.to_owned(), passed: false, detail, remedy: Some(remedy) }
        }
        Err(failure) => failed(service, what, &refused(failure)),
    }
}

/// Writes on one member and reads on another; what is wrong, where something is.
async fn exchange(
    caller: &PeerClient,
    service: Service,
    at: &Peer,
    from: &Peer,
    now: Timestamp,
) -> Result<Option<String>> {
    let key = format!("centra-verify-{}", crate::base::random::name()?);
    let value = now.unix_timestamp_nanos().to_string();
    let compare = |read: Option<String>| match read {
        Some(read) if read == value => None,
        Some(read) => Some(format!("it reads {:?}", read.chars().take(80).collect::<String>())),
        None => Some("it is not there".to_owned()),
    };
    match service {
        Service::Etcd => {
            let (writer, reader) = (Etcd::new(caller, url(at)), Etcd::new(caller, url(from)));
            writer.put(&key, &value).await?;
            let read = reader.get(&key).await;
            writer.delete(&key).await?;
            Ok(compare(read?))
        }
        Service::Chainfire | Service::Iam => {
            let (writer, reader) = (AdminApi::new(caller, url(at)), AdminApi::new(caller, url(from)));
            writer.put(&key, &value).await?;
            let read = reader.get(&key).await;
            writer.delete(&key).await?;
            Ok(compare(read?))
        }
        Service::Flaredb => {
            let seconds = now.unix_timestamp();
            let time = now.format(&time::format_description::well_known::Rfc3339).unwrap_or_default();
            AdminApi::new(caller, url(at)).write("centra_verify", seconds, &time).await?;
            let answer = AdminApi::new(caller, url(from)).query("centra_verify").await?;
            let there = answer.to_string().contains(&seconds.to_string());
            Ok((!there).then(|| "the answer does not have it".to_owned()))
        }
    }
}

fn failed(service: Service, what: &str, failure: &Failure) -> Check {
    let remedy = Some(failure.remedy.clone());
    Check { service, what: what.to_owned(), passed: false, detail: failure.to_string(), remedy }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn member(name: &str, status: &str, role: &str) -> MemberView {
        serde_json::from_value(json!({"id": name, "name": name, "node": name, "address": "10.0.0.1:2380",
            "client": "https://10.0.0.1:2379", "status": status, "role": role}))
        .unwrap()
    }

    fn failing(members: &[MemberView]) -> Vec<String> {
        let checks = judge(Service::Etcd, members, &[]);
        assert!(checks.iter().all(|check| check.passed == check.remedy.is_none()), "{checks:?}");
        checks.into_iter().filter(|check| !check.passed).map(|check| check.what).collect()
    }

    #[test]
    fn a_whole_cluster_passes_every_check() {
        let members = [member("n1", "healthy", "leader"), member("n2", "healthy", "follower")];
        assert!(failing(&members).is_empty());
    }

    #[test]
    fn a_dead_member_two_leaders_and_a_lost_quorum_are_each_named() {
        let dead = member("n2", "unreachable", "unknown");
        assert_eq!(failing(&[member("n1", "healthy", "leader"), dead.clone()]), ["n2 is healthy", "there is a quorum"]);
        let two = [member("n1", "healthy", "leader"), member("n2", "healthy", "leader")];
        assert_eq!(failing(&two), ["there is one leader"]);
        assert_eq!(failing(&[dead]), ["n2 is healthy", "there is one leader", "there is a quorum"]);
    }
}

//! The journal: pages, server-sent events, the command line.

use super::{
    lab::Lab,
    machine::{Machine, event, line},
};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{Method, body::Incoming};
use protocol::{Code, Failure, step::Step, telemetry::EventKind};
use serde_json::Value;

const MAC: &str = "52:54:00:00:00:01";

/// Reads so many entries of a stream: `(id, entry)`.
async fn read(body: &mut Incoming, count: usize) -> Vec<(i64, Value)> {
    let (mut text, mut entries) = (String::new(), Vec::new());
    while entries.len() < count {
        let frame = body.frame().await.expect("the stream goes on").unwrap();
        text.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
        while let Some(end) = text.find("\n\n") {
            let event: String = text.drain(..end + 2).collect();
            let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
            if let (Some(id), Some(data)) = (field("id:"), field("data:")) {
                entries.push((id.parse().unwrap(), serde_json::from_str(data).unwrap()));
            }
        }
    }
    entries
}

#[tokio::test]
async fn a_stream_shows_what_was_there_what_arrives_and_resumes_by_last_event_id() {
    let lab = Lab::open();
    lab.apply("n1", MAC);
    let node = Machine::new(MAC, "run-1").admitted(&lab).await;
    node.tell(vec![event(1, Step::Disk, EventKind::Started)], vec![line(1, "<script>alert(1)</script>")]).await;
    let admin = lab.admin();
    let mut stream = admin.send(Method::GET, "/v1/nodes/n1/stream", &[], Bytes::new()).await.into_body();
    let first = read(&mut stream, 2).await;
    assert_eq!((first[0].1["kind"].as_str(), first[1].1["kind"].as_str()), (Some("event"), Some("line")));
    node.tell(vec![], vec![line(2, "later")]).await;
    let later = read(&mut stream, 1).await;
    assert_eq!(later[0].1["line"]["message"], "later");
    assert!(later[0].0 > first[1].0);
    drop(stream);
    let last = first[1].0.to_string();
    let resumed = admin.send(Method::GET, "/v1/nodes/n1/stream", &[("last-event-id", &last)], Bytes::new()).await;
    assert_eq!(read(&mut resumed.into_body(), 1).await, later);
}

#[tokio::test]
async fn a_stream_of_a_machine_that_waits_goes_on_when_it_becomes_a_node() {
    let lab = Lab::strict();
    lab.apply("n1", MAC);
    let machine = Machine::new(MAC, "run-1");
    let greeted = machine.greet(&lab).await;
    machine.ask(&lab, &greeted).await;
    let admin = lab.admin();
    let mut stream = admin.send(Method::GET, "/v1/nodes/n1/stream", &[], Bytes::new()).await.into_body();
    lab.says(&["approve", &greeted.code]);
    let reply = machine.ask(&lab, &greeted).await;
    let mut node = machine.node(&lab, &reply);
    node.run = "run-2".parse().unwrap();
    node.tell(vec![], vec![line(1, "of another run")]).await;
    assert_eq!(read(&mut stream, 1).await[0].1["line"]["message"], "of another run");
}

#[tokio::test]
async fn a_server_that_stops_ends_its_streams() {
    let mut lab = Lab::open();
    lab.apply("n1", MAC);
    let admin = lab.admin();
    let mut stream = admin.send(Method::GET, "/v1/nodes/n1/stream", &[], Bytes::new()).await.into_body();
    assert!(tokio::task::spawn_blocking(move || lab.stop()).await.unwrap());
    while let Some(Ok(_)) = stream.frame().await {}
}

#[tokio::test]
async fn events_and_lines_read_as_one_log() {
    let lab = Lab::open();
    lab.apply("n1", MAC);
    let node = Machine::new(MAC, "run-1").admitted(&lab).await;
    node.manifest(&lab).await;
    let failure = Failure::new(Code::CacheUnreachable, "GET http://x: refused");
    let events = vec![
        event(1, Step::Closure, EventKind::Started),
        event(2, Step::Closure, EventKind::Failed { failure, retry_in_ms: Some(2000) }),
        event(3, Step::Closure, EventKind::Finished { duration_ms: 1500, detail: "57 paths".into() }),
    ];
    node.tell(events, vec![line(1, "hello")]).await;
    let text = lab.says(&["logs", "n1"]);
    for part in ["FAILED E-CACHE-UNREACHABLE", "again in 2 s", "done in 1.5 s: 57 paths", "agent    hello"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!lab.says(&["logs", "n1", "--events"]).contains("hello"));
    let timeline = lab.says(&["describe", "node", "n1"]);
    assert!(timeline.contains("Timeline") && timeline.contains("57 paths"), "{timeline}");
}

//! The shipper with a server in memory and a pace of milliseconds.

use super::*;
use protocol::{step::Step, telemetry::EventKind};
use std::sync::{Arc, Mutex};

const QUICK: Pace = Pace {
    heartbeat: Duration::from_millis(20),
    gather: Duration::from_millis(2),
    pauses: Pauses { base: Duration::from_millis(40), cap: Duration::from_millis(200) },
};

#[derive(Clone, Copy, PartialEq)]
enum Answer {
    Everything,
    Nothing,
    Away,
}

#[derive(Clone)]
struct Fake {
    answer: Answer,
    taken: Arc<Mutex<Vec<Batch>>>,
    told: Arc<Mutex<u32>>,
}

impl Fake {
    fn new(answer: Answer) -> Self {
        Self { answer, taken: Arc::default(), told: Arc::default() }
    }

    fn taken(&self) -> Vec<Batch> {
        self.taken.lock().unwrap().clone()
    }

    fn lines(&self) -> Vec<u64> {
        self.taken().into_iter().flat_map(|batch| batch.lines).map(|line| line.seq).collect()
    }
}

impl Server for Fake {
    async fn take(&self, batch: Batch) -> Result<TelemetryAck> {
        let last = TelemetryAck {
            events_through: batch.events.last().map_or(0, |event| event.seq),
            lines_through: batch.lines.last().map_or(0, |line| line.seq),
        };
        self.taken.lock().unwrap().push(batch);
        match self.answer {
            Answer::Everything => Ok(last),
            Answer::Nothing => Ok(TelemetryAck { events_through: 0, lines_through: 0 }),
            Answer::Away => Err(Failure::new(Code::ServerUnreachable, "dialling")),
        }
    }

    fn is_away(&self, _: &Failure) {
        *self.told.lock().unwrap() += 1;
    }
}

fn begun() -> Telemetry {
    let telemetry = Telemetry::new("run-1".parse().unwrap(), None);
    telemetry.event(Step::Preflight, EventKind::Started);
    telemetry.line("info", "agent", "waiting");
    telemetry
}

/// Ships for so long; the sender is gone at once, as where a server is known once and for all.
async fn ship_for(millis: u64, telemetry: &Telemetry, server: &Fake) {
    let (_, known) = watch::channel(Some(server.clone()));
    let _ = time::timeout(Duration::from_millis(millis), ship(telemetry.clone(), known, QUICK)).await;
}

#[tokio::test]
async fn a_heartbeat_is_sent_while_nothing_happens() {
    let (telemetry, server) = (begun(), Fake::new(Answer::Everything));
    ship_for(300, &telemetry, &server).await;
    let taken = server.taken();
    let beats = taken.iter().skip(1).filter(|batch| batch.events.is_empty() && batch.lines.is_empty()).count();
    assert!((2..=20).contains(&beats), "{beats} in 300 ms");
    assert!(taken.iter().all(|batch| batch.heartbeat.as_ref().is_some_and(|beat| beat.step == Step::Preflight)));
    assert_eq!(server.lines(), [1], "what was acknowledged is not sent again");
}

#[tokio::test]
async fn a_server_whose_acknowledgement_does_not_move_is_not_flooded() {
    for answer in [Answer::Nothing, Answer::Away] {
        let (telemetry, server) = (begun(), Fake::new(answer));
        ship_for(600, &telemetry, &server).await;
        let count = server.taken().len();
        // 40, 80, 160, 200 ms, each a fifth more or less.
        assert!((2..=6).contains(&count), "{count} in 600 ms");
        assert_eq!(*server.told.lock().unwrap(), 1, "people are told once");
        assert!(!telemetry.is_drained());
    }
}

#[tokio::test]
async fn the_newest_lines_survive_a_long_wait_without_a_server_and_are_replayed() {
    let telemetry = begun();
    for number in 0..20_000 {
        telemetry.line("info", "agent", &format!("line {number}"));
    }
    let server = Fake::new(Answer::Everything);
    drain(&telemetry, &server).await.unwrap();
    let lines = server.lines();
    assert_eq!((lines.first(), lines.last(), lines.len()), (Some(&15_002), Some(&20_001), 5_000));
    assert!(server.taken().iter().all(|batch| batch.lines.len() <= MAX_BATCH));
}

#[tokio::test]
async fn a_drain_ends_with_the_first_failure() {
    for (answer, code) in [(Answer::Nothing, Code::Protocol), (Answer::Away, Code::ServerUnreachable)] {
        let (telemetry, server) = (begun(), Fake::new(answer));
        assert_eq!(drain(&telemetry, &server).await.unwrap_err().code, code);
        assert_eq!(server.taken().len(), 1);
    }
}

#[tokio::test]
async fn without_a_server_to_come_the_shipper_ends() {
    let (_, none) = watch::channel(None::<Fake>);
    ship(begun(), none, QUICK).await;
}

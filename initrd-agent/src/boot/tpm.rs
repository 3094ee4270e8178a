//! The machine's TPM: what it shows of itself, and its answer to the server's challenge. It never holds an enrolment up
//! for long, and never fails one: without it, the server says what else it waits for.

use ::tpm::{DEVICE, Identity, PATIENCE, Tpm, event_log};
use protocol::{
    Code, Failure,
    encoding::Sha256,
    failure::Result,
    tpm::{TpmChallenge, TpmFound, TpmKeys, TpmProof},
};
use std::{
    fs::File,
    path::Path,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};
use tokio::{sync::oneshot, time::timeout};

/// A TPM that makes its keys while the machine looks for its network.
pub struct Looking {
    keys: oneshot::Receiver<Result<Option<TpmKeys>>>,
    asks: mpsc::Sender<Ask>,
}

/// A TPM with its keys. A thread of its own speaks with it, which nobody waits for where it hangs in the kernel.
pub struct Chip {
    asks: mpsc::Sender<Ask>,
    /// It has not answered in time, and is not asked again.
    silent: AtomicBool,
}

struct Ask {
    challenge: TpmChallenge,
    key: Sha256,
    proof: oneshot::Sender<Result<TpmProof>>,
}

/// Begins to make the keys of the TPM, where there is one.
pub fn look() -> Looking {
    let ((found, keys), (asks, asked)) = (oneshot::channel(), mpsc::channel());
    thread::spawn(move || match open(Path::new(DEVICE)) {
        Ok(Some((mut tpm, identity))) => {
            let _ = found.send(Ok(Some(identity.keys())));
            serve(&mut tpm, &identity, &asked);
        }
        Ok(None) => drop(found.send(Ok(None))),
        Err(failure) => drop(found.send(Err(failure))),
    });
    Looking { keys, asks }
}

fn open(device: &Path) -> Result<Option<(Tpm<File>, Identity)>> {
    if !device.exists() {
        return Ok(None);
    }
    let mut tpm = Tpm::open(device)?;
    let identity = tpm.identity()?;
    Ok(Some((tpm, identity)))
}

/// Until nobody can ask any more. Who has asked may have gone meanwhile.
fn serve(tpm: &mut Tpm<File>, identity: &Identity, asked: &mpsc::Receiver<Ask>) {
    while let Ok(Ask { challenge, key, proof }) = asked.recv() {
        let log = event_log::found(Path::new(event_log::KERNEL));
        let _ = proof.send(tpm.prove(identity, &challenge, &key, log));
    }
}

impl Looking {
    /// What there is to be shown to the server.
    pub async fn found(self) -> (TpmFound, Option<Chip>) {
        match in_time(self.keys, PATIENCE).await.flatten() {
            Ok(Some(keys)) => (TpmFound::There(keys), Some(Chip { asks: self.asks, silent: AtomicBool::new(false) })),
            Ok(None) => (TpmFound::Nothing, None),
            Err(failure) => (TpmFound::Broken { why: failure.cause }, None),
        }
    }
}

impl Chip {
    /// Answers the challenge for the key that enrols, of which this is the SPKI hash.
    ///
    /// # Errors
    /// `E-TPM`.
    pub async fn prove(&self, challenge: TpmChallenge, key: Sha256) -> Result<TpmProof> {
        if self.silent.load(Ordering::Relaxed) {
            return Err(failed("it did not answer before"));
        }
        let (proof, answer) = oneshot::channel();
        self.asks.send(Ask { challenge, key, proof }).map_err(|_| failed("it is gone"))?;
        let answer = in_time(answer, PATIENCE).await;
        self.silent.store(answer.is_err(), Ordering::Relaxed);
        answer?
    }
}

async fn in_time<T>(answer: oneshot::Receiver<T>, patience: Duration) -> Result<T> {
    match timeout(patience, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err(failed("it ended without an answer")),
        Err(_) => Err(failed(&format!("no answer within {} s", patience.as_secs()))),
    }
}

fn failed(why: &str) -> Failure {
    Failure::new(Code::Tpm, format!("asking the TPM: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looking(found: Option<Result<Option<TpmKeys>>>) -> (Looking, mpsc::Receiver<Ask>) {
        let ((sender, keys), (asks, asked)) = (oneshot::channel(), mpsc::channel());
        if let Some(found) = found {
            let _ = sender.send(found);
        }
        (Looking { keys, asks }, asked)
    }

    fn keys() -> TpmKeys {
        TpmKeys { endorsement: vec![1], certificate: None, quoting: vec![2] }
    }

    fn challenge() -> TpmChallenge {
        TpmChallenge { credential: vec![], secret: vec![], nonce: vec![] }
    }

    #[tokio::test]
    async fn a_machine_without_a_tpm_shows_none_and_one_whose_tpm_fails_says_why() {
        assert_eq!(looking(Some(Ok(None))).0.found().await.0, TpmFound::Nothing);
        let (failing, _asked) = looking(Some(Err(failed("opening /dev/tpmrm0: Input/output error"))));
        let TpmFound::Broken { why } = failing.found().await.0 else { panic!() };
        assert!(why.contains("Input/output"), "{why}");
        let TpmFound::Broken { why } = looking(None).0.found().await.0 else { panic!() };
        assert!(why.contains("ended without an answer"), "{why}");
    }

    #[tokio::test]
    async fn a_tpm_that_does_not_answer_is_waited_for_no_longer() {
        let (_never, answer) = oneshot::channel::<()>();
        let failure = in_time(answer, Duration::ZERO).await.unwrap_err();
        assert!(failure.code == Code::Tpm && failure.cause.contains("no answer within 0 s"), "{failure}");
    }

    #[tokio::test]
    async fn a_tpm_that_has_failed_once_to_answer_is_not_asked_again() {
        let (looking, asked) = looking(Some(Ok(Some(keys()))));
        let (TpmFound::There(_), Some(chip)) = looking.found().await else { panic!() };
        let answers = thread::spawn(move || drop(asked.recv().unwrap().proof));
        assert!(chip.prove(challenge(), Sha256::of(b"")).await.is_err());
        answers.join().unwrap();
        let failure = chip.prove(challenge(), Sha256::of(b"")).await.unwrap_err();
        assert!(failure.cause.contains("before"), "{failure}");
    }
}

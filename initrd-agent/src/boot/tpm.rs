//! The machine's TPM: what it shows of itself, and its answer to the server's challenge. It never holds an enrolment up
//! for long, and never fails one: without it, the server says what else it waits for.

use ::tpm::{Identity, Tpm};
use protocol::{
    Code, Failure,
    encoding::Sha256,
    failure::Result,
    tpm::{TpmChallenge, TpmFound, TpmProof},
};
use std::{fs::File, path::Path, time::Duration};
use tokio::{sync::oneshot, time::timeout};

/// Through the kernel's resource manager, which only a TPM 2.0 has.
const DEVICE: &str = "/dev/tpmrm0";
/// A chip may make an RSA key for half a minute.
const PATIENCE: Duration = Duration::from_secs(60);

/// A TPM that is about to be asked: it works while the machine looks for its network.
pub struct Looking(oneshot::Receiver<Result<Option<Chip>>>);

/// A TPM with its keys.
pub struct Chip {
    tpm: Tpm<File>,
    identity: Identity,
}

/// Begins to make the keys of the TPM, where there is one.
pub fn look() -> Looking {
    Looking(aside(|| {
        let device = Path::new(DEVICE);
        if !device.exists() {
            return Ok(None);
        }
        let mut tpm = Tpm::open(device)?;
        let identity = tpm.identity()?;
        Ok(Some(Chip { tpm, identity }))
    }))
}

impl Looking {
    /// What there is to be shown to the server.
    pub async fn found(self) -> (TpmFound, Option<Chip>) {
        match in_time(self.0, PATIENCE).await {
            Ok(Some(chip)) => (TpmFound::There(chip.identity.keys()), Some(chip)),
            Ok(None) => (TpmFound::Nothing, None),
            Err(failure) => (TpmFound::Broken { why: failure.cause }, None),
        }
    }
}

impl Chip {
    /// Answers the challenge for the key that enrols. A TPM that does not answer in time is not asked again.
    ///
    /// # Errors
    /// `E-TPM`.
    pub async fn prove(self, challenge: TpmChallenge, key: Sha256) -> (Option<Self>, Result<TpmProof>) {
        let Self { mut tpm, identity } = self;
        let answer = aside(move || {
            let proof = tpm.prove(&identity, &challenge, &key);
            Ok((Self { tpm, identity }, proof))
        });
        match in_time(answer, PATIENCE).await {
            Ok((chip, proof)) => (Some(chip), proof),
            Err(failure) => (None, Err(failure)),
        }
    }
}

/// On a thread of its own, which nobody waits for where it hangs in the kernel.
fn aside<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> oneshot::Receiver<Result<T>> {
    let (done, answer) = oneshot::channel();
    std::thread::spawn(move || done.send(work()));
    answer
}

async fn in_time<T>(answer: oneshot::Receiver<Result<T>>, patience: Duration) -> Result<T> {
    let late = |why| Failure::new(Code::Tpm, format!("asking the TPM: {why}"));
    match timeout(patience, answer).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(late("it ended without an answer".to_owned())),
        Err(_) => Err(late(format!("no answer within {} s", patience.as_secs()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_tpm_that_does_not_answer_is_waited_for_no_longer() {
        let (never, answer) = oneshot::channel::<Result<()>>();
        let failure = in_time(answer, Duration::ZERO).await.unwrap_err();
        assert!(failure.code == Code::Tpm && failure.cause.contains("no answer within 0 s"), "{failure}");
        drop(never);
    }

    #[tokio::test]
    async fn a_machine_without_a_tpm_shows_none_and_one_that_fails_says_why() {
        assert_eq!(Looking(aside(|| Ok(None))).found().await.0, TpmFound::Nothing);
        let broken = Looking(aside(|| Err(Failure::new(Code::Tpm, "opening /dev/tpmrm0: Input/output error"))));
        let TpmFound::Broken { why } = broken.found().await.0 else { panic!() };
        assert!(why.contains("Input/output"), "{why}");
    }
}

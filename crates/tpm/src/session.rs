//! Sessions whose parameters nobody reads on the wires between processor and TPM: the key of each is agreed on with a key
//! that is in the TPM. Who can answer in the TPM's place can do so here as well.

use crate::{
    Tpm, Transport,
    client::{Command, NO_HANDLE, SESSIONS},
    credential::{agree, derive},
    draw, failed,
    public::{self, Name, StorageKey},
    transport::HEADER,
    wire::{Malformed, Reader, Writer},
};
use aes::Aes128;
use cfb_mode::{Decryptor, Encryptor, cipher::KeyIvInit};
use protocol::failure::Result;
use ring::{digest, hmac};

const ACTIVITY: &str = "starting a session with the TPM";
/// With its end: TPMs count the zero.
const SECRET: &[u8] = b"SECRET\0";

/// What a session is for.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Stands for the password of what it is used with, which is empty.
    Password = 0x00,
    /// Fulfils a policy.
    Policy = 0x01,
}

/// Which first parameter is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hides {
    /// The command's.
    Command = 0x20,
    /// The answer's.
    Answer = 0x40,
}

/// A session; it ends with the command that it is used for.
pub struct Session {
    pub handle: u32,
    key: [u8; 32],
    /// What the TPM drew last.
    drawn: Vec<u8>,
}

impl Session {
    fn pad(&self, newer: &[u8], older: &[u8]) -> [u8; 32] {
        derive(&self.key, b"CFB\0", &[newer, older].concat(), 256)
    }

    fn tags(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.key)
    }
}

/// What a command or an answer is tagged over: all that it says, and what both sides drew.
fn tagged(said: &digest::Digest, newer: &[u8], older: &[u8], attributes: u8) -> Vec<u8> {
    [said.as_ref(), newer, older, &[attributes]].concat()
}

impl<T: Transport> Tpm<T> {
    /// Begins a session by the key with this handle.
    pub(crate) fn begin(&mut self, kind: Kind, handle: u32, key: &StorageKey) -> Result<Session> {
        let (salt, sent) = agree(&key.point, SECRET, ACTIVITY)?;
        let ours = draw(ACTIVITY)?;
        let handles = Writer::new().u32(handle).u32(NO_HANDLE).done();
        let parameters = Writer::new().sized(&ours).sized(&sent).u8(kind as u8);
        let parameters = parameters.u16(public::AES).u16(128).u16(public::CFB).u16(public::SHA256).done();
        let (handle, answer) = self.making(Command::StartAuthSession, &handles, &[], &parameters, ACTIVITY)?;
        let drawn = Reader::new(&answer).sized().map_err(|error| failed(ACTIVITY, &error))?.to_vec();
        let key = derive(&salt, b"ATH\0", &[&drawn[..], &ours].concat(), 256);
        Ok(Session { handle, key, drawn })
    }

    /// Runs a command with one handle, authorised by a session, whose first parameter or that of its answer is hidden.
    /// What comes back are the answer's parameters, as this TPM and no other gave them.
    pub(crate) fn hidden(
        &mut self,
        session: &Session,
        command: Command,
        (handle, name): (u32, &Name),
        parameters: &[u8],
        hides: Hides,
        activity: &str,
    ) -> Result<Vec<u8>> {
        let answer = self.hide(session, command, (handle, name), parameters, hides, activity);
        answer.inspect_err(|_| {
            // The session ends with the command where it succeeds.
            let _ = self.flush(session.handle);
        })
    }

    fn hide(
        &mut self,
        session: &Session,
        command: Command,
        (handle, name): (u32, &Name),
        parameters: &[u8],
        hides: Hides,
        activity: &str,
    ) -> Result<Vec<u8>> {
        let malformed = |error: Malformed| failed(activity, &error);
        let (ours, attributes) = (draw(activity)?, hides as u8);
        let mut parameters = parameters.to_vec();
        if hides == Hides::Command {
            let pad = session.pad(&ours, &session.drawn);
            let cipher = Encryptor::<Aes128>::new_from_slices(&pad[..16], &pad[16..]);
            let hidden = first(&mut parameters).map_err(malformed)?;
            cipher.map_err(|error| failed(activity, &error))?.encrypt(hidden);
        }
        let code = (command as u32).to_be_bytes();
        let said = digest::digest(&digest::SHA256, &[&code[..], &name.bytes(), &parameters].concat());
        let tag = hmac::sign(&session.tags(), &tagged(&said, &ours, &session.drawn, attributes));
        let area = Writer::new().u32(session.handle).sized(&ours).u8(attributes).sized(tag.as_ref()).done();
        let body = Writer::new().u32(handle).u32(area.len() as u32).bytes(&area).bytes(&parameters).done();
        let answer = self.run(command, SESSIONS, &body, activity)?;
        let read = || {
            let mut reader = Reader::new(&answer[HEADER..]);
            let length = usize::try_from(reader.u32()?).map_err(|_| Malformed)?;
            Ok((reader.take(length)?.to_vec(), reader.sized()?, reader.take(1)?[0], reader.sized()?))
        };
        let (mut parameters, drawn, attributes, tag) = read().map_err(malformed)?;
        let said = digest::digest(&digest::SHA256, &[&[0; 4][..], &code, &parameters].concat());
        hmac::verify(&session.tags(), &tagged(&said, drawn, &ours, attributes), tag)
            .map_err(|_| failed(activity, &"the answer is not of the TPM that was asked"))?;
        if hides == Hides::Answer {
            let pad = session.pad(drawn, &ours);
            let cipher = Decryptor::<Aes128>::new_from_slices(&pad[..16], &pad[16..]);
            let hidden = first(&mut parameters).map_err(malformed)?;
            cipher.map_err(|error| failed(activity, &error))?.decrypt(hidden);
        }
        Ok(parameters)
    }
}

/// The bytes of the first parameter, which is a `TPM2B`.
fn first(parameters: &mut [u8]) -> Result<&mut [u8], Malformed> {
    let length = Reader::new(parameters).sized()?.len();
    parameters.get_mut(2..2 + length).ok_or(Malformed)
}

//! The machine's side: what an enrolment asks of a TPM, and how commands are put to it.

use crate::{
    MOST_BYTES, Transport, certificate,
    credential::Credential,
    failed,
    public::{self, EndorsementKey, Kind, NULL, QuotingKey},
    quote::{Quote, Selection},
    transport::HEADER,
    wire::{Malformed, Reader, Writer},
};
use protocol::{
    encoding::Sha256,
    failure::Result,
    measured::EventLog,
    tpm::{Der, Pcrs, TpmChallenge, TpmKeys, TpmProof, quoted},
};
use std::{
    fs::{File, OpenOptions},
    path::Path,
    thread,
    time::Duration,
};

const NO_SESSIONS: u16 = 0x8001;
pub(crate) const SESSIONS: u16 = 0x8002;
const ENDORSEMENT: u32 = 0x4000_000b;
pub(crate) const OWNER: u32 = 0x4000_0001;
pub(crate) const NO_HANDLE: u32 = 0x4000_0007;
/// Authorisation by a password.
pub(crate) const PASSWORD: u32 = 0x4000_0009;
pub(crate) const POLICY: u8 = 0x01;
/// Where vendors keep the certificates of the keys of templates L-1 and L-2.
const RSA_CERTIFICATE: u32 = 0x01c0_0002;
const ECC_CERTIFICATE: u32 = 0x01c0_000a;
/// Bytes of the non-volatile memory that every TPM of a PC gives at once.
const CHUNK: u16 = 512;
/// No place for a certificate is larger.
const MOST_PLACE: usize = 8192;
/// A TPM that is testing itself or busy asks to be asked again.
const BUSY: [u32; 3] = [0x0908, 0x090a, 0x0922];
const PATIENCE: [u64; 8] = [10, 20, 50, 100, 200, 500, 1000, 2000];

#[derive(Debug, Clone, Copy)]
pub(crate) enum Command {
    CreatePrimary = 0x131,
    ActivateCredential = 0x147,
    NvRead = 0x14e,
    PolicySecret = 0x151,
    Create = 0x153,
    Load = 0x157,
    Quote = 0x158,
    Unseal = 0x15e,
    FlushContext = 0x165,
    NvReadPublic = 0x169,
    StartAuthSession = 0x176,
    PcrRead = 0x17e,
    PolicyPcr = 0x17f,
}

/// A TPM.
#[derive(Debug)]
pub struct Tpm<T> {
    transport: T,
}

/// What a TPM says of who it is; its keys are in it until it is [ended](Tpm::end).
#[derive(Debug)]
pub struct Identity {
    /// Which TPM it is.
    pub endorsement: EndorsementKey,
    /// The vendor's certificate of that key, where it is in the TPM.
    pub certificate: Option<Vec<u8>>,
    /// The key that quotes.
    pub quoting: QuotingKey,
    endorsement_handle: u32,
    quoting_handle: u32,
}

impl Identity {
    /// What the server is shown of it.
    pub fn keys(&self) -> TpmKeys {
        TpmKeys {
            endorsement: self.endorsement.area().to_vec(),
            certificate: self.certificate.clone().map(Der),
            quoting: self.quoting.area().to_vec(),
        }
    }
}

impl Tpm<File> {
    /// The kernel's TPM at such a path, through its resource manager.
    ///
    /// # Errors
    /// `E-TPM` where it cannot be opened.
    pub fn open(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path);
        Ok(Self::new(file.map_err(|error| failed(&format!("opening {}", path.display()), &error))?))
    }
}

impl<T: Transport> Tpm<T> {
    /// A TPM behind a stream.
    pub fn new(transport: T) -> Self {
        Self { transport }
    }

    /// Makes the keys, which are the same each time, and reads the certificate. The endorsement key is of the kind that
    /// has a certificate, and P-256 where there is none or both: a chip makes an RSA key for many seconds.
    ///
    /// # Errors
    /// `E-TPM`.
    pub fn identity(&mut self) -> Result<Identity> {
        let (kind, certificate) = match self.certificate(ECC_CERTIFICATE) {
            Some(certificate) => (Kind::Ecc, Some(certificate)),
            None => match self.certificate(RSA_CERTIFICATE) {
                Some(certificate) => (Kind::Rsa, Some(certificate)),
                None => (Kind::Ecc, None),
            },
        };
        let (endorsement_handle, area) = self.make_primary(ENDORSEMENT, &kind.template())?;
        let endorsement = EndorsementKey::parse(&area)?;
        let (quoting_handle, area) = self.make_primary(ENDORSEMENT, &QuotingKey::template())?;
        let quoting = QuotingKey::parse(&area)?;
        Ok(Identity { endorsement, certificate, quoting, endorsement_handle, quoting_handle })
    }

    /// Takes the keys out of the TPM's memory.
    ///
    /// # Errors
    /// `E-TPM`.
    pub fn end(&mut self, identity: &Identity) -> Result<()> {
        self.flush(identity.endorsement_handle)?;
        self.flush(identity.quoting_handle)
    }

    /// Answers the server's challenge for the key that enrols, of which this is the SPKI hash; the log of what was measured is
    /// [found](crate::event_log::found) apart from it.
    ///
    /// # Errors
    /// `E-TPM`; also where the challenge is for another TPM.
    pub fn prove(
        &mut self,
        identity: &Identity,
        challenge: &TpmChallenge,
        key: &Sha256,
        log: EventLog,
    ) -> Result<TpmProof> {
        let credential = Credential { blob: challenge.credential.clone(), secret: challenge.secret.clone() };
        let opened = self.activate(identity, &credential)?;
        let Quote { attested, signature, pcrs } = self.quote(identity, &quoted(&challenge.nonce, key))?;
        Ok(TpmProof { opened, attested, signature, pcrs, log })
    }

    /// Opens what was made for this TPM and this quoting key.
    ///
    /// # Errors
    /// `E-TPM` where it was made for another one.
    pub fn activate(&mut self, identity: &Identity, credential: &Credential) -> Result<Vec<u8>> {
        let activity = "opening the server's challenge";
        let session = self.start_policy()?;
        let secret = Writer::new().u32(ENDORSEMENT).u32(session);
        let parameters = Writer::new().sized(&[]).sized(&[]).sized(&[]).u32(0);
        self.authorised(Command::PolicySecret, &secret.done(), &[PASSWORD], &parameters.done(), activity)?;
        let handles = Writer::new().u32(identity.quoting_handle).u32(identity.endorsement_handle);
        let parameters = Writer::new().sized(&credential.blob).sized(&credential.secret);
        let opened = self.authorised(
            Command::ActivateCredential,
            &handles.done(),
            &[PASSWORD, session],
            &parameters.done(),
            activity,
        );
        let answer = opened.inspect_err(|_| {
            // The session ends with the command where it succeeds.
            let _ = self.flush(session);
        })?;
        let secret = Reader::new(&answer).sized().map_err(|error| failed(activity, &error))?;
        Ok(secret.to_vec())
    }

    /// Has the quoting key sign the PCRs, over what the server drew.
    ///
    /// # Errors
    /// `E-TPM`; also where the TPM keeps no SHA-256 of what was measured.
    pub fn quote(&mut self, identity: &Identity, over: &[u8; 32]) -> Result<Quote> {
        self.quote_by(identity.quoting_handle, over)
    }

    /// The same without the other keys, which a chip may make for long: with the key that quotes, which is in the TPM for this alone.
    ///
    /// # Errors
    /// As [`Tpm::quote`].
    pub fn quote_alone(&mut self, over: &[u8; 32]) -> Result<(QuotingKey, Quote)> {
        let (handle, area) = self.make_primary(ENDORSEMENT, &QuotingKey::template())?;
        let quoted = QuotingKey::parse(&area).and_then(|key| Ok((key, self.quote_by(handle, over)?)));
        self.flush(handle)?;
        quoted
    }

    fn quote_by(&mut self, quoting: u32, over: &[u8; 32]) -> Result<Quote> {
        let activity = "quoting PCRs";
        let selection = Selection::FIRMWARE;
        let pcrs = self.pcrs(selection)?;
        let parameters = Writer::new().sized(over).u16(NULL).bytes(&selection.list());
        let answer =
            self.authorised(Command::Quote, &quoting.to_be_bytes(), &[PASSWORD], &parameters.done(), activity)?;
        let read = || {
            let mut reader = Reader::new(&answer);
            let attested = reader.sized()?.to_vec();
            reader.constant(&Writer::new().u16(public::ECDSA).u16(public::SHA256).done())?;
            let signature = [reader.number()?, reader.number()?].concat();
            Ok(Quote { attested, signature, pcrs })
        };
        read().map_err(|error: Malformed| failed(activity, &error))
    }

    /// What has been measured into these PCRs.
    ///
    /// # Errors
    /// `E-TPM`; also where the TPM keeps no SHA-256 of what was measured.
    pub fn pcrs(&mut self, selection: Selection) -> Result<Pcrs> {
        let mut pcrs = Pcrs::new();
        for few in selection.few_at_once() {
            pcrs.append(&mut self.few_pcrs(few)?);
        }
        Ok(pcrs)
    }

    fn few_pcrs(&mut self, selection: Selection) -> Result<Pcrs> {
        let activity = "reading PCRs";
        let answer = self.plain(Command::PcrRead, &selection.list(), activity)?;
        let read = || {
            let mut reader = Reader::new(&answer);
            reader.u32()?;
            // A bank that is off, or a TPM that gives fewer at once than are asked for.
            reader.constant(&selection.list())?;
            reader.constant(&(selection.indexes().count() as u32).to_be_bytes())?;
            selection
                .indexes()
                .map(|index| Ok((index, Sha256(reader.sized()?.try_into().map_err(|_| Malformed)?))))
                .collect::<Result<Pcrs, Malformed>>()
        };
        let none = || format!("the TPM does not give {selection} of its SHA-256 bank");
        read().map_err(|_| failed(activity, &none()))
    }

    /// A vendor's certificate; some TPMs have none, or not this one.
    fn certificate(&mut self, index: u32) -> Option<Vec<u8>> {
        let activity = "reading the certificate of the endorsement key";
        let index = index.to_be_bytes();
        let public = self.plain(Command::NvReadPublic, &index, activity).ok()?;
        let mut area = Reader::new(Reader::new(&public).sized().ok()?);
        // Index, hash, attributes, policy; then the length.
        area.take(10).ok()?;
        area.sized().ok()?;
        let length = area.u16().ok()?;
        let mut bytes = Vec::new();
        while bytes.len() < usize::from(length).min(MOST_PLACE) {
            let offset = u16::try_from(bytes.len()).ok()?;
            let parameters = Writer::new().u16((length - offset).min(CHUNK)).u16(offset).done();
            let handles = [index, index].concat();
            let answer = self.authorised(Command::NvRead, &handles, &[PASSWORD], &parameters, activity).ok()?;
            let chunk = Reader::new(&answer).sized().ok()?;
            if chunk.is_empty() {
                return None;
            }
            bytes.extend_from_slice(chunk);
        }
        // What the server would not take is none.
        let certificate = certificate::only(&bytes).filter(|der| der.len() <= certificate::MOST_CERTIFICATE);
        certificate.map(<[u8]>::to_vec)
    }

    pub(crate) fn make_primary(&mut self, hierarchy: u32, template: &[u8]) -> Result<(u32, Vec<u8>)> {
        let activity = "making a key in the TPM";
        let sensitive = Writer::new().sized(&[]).sized(&[]).done();
        let parameters = Writer::new().sized(&sensitive).sized(template).sized(&[]).u32(0).done();
        let (handle, answer) =
            self.making(Command::CreatePrimary, &hierarchy.to_be_bytes(), &[PASSWORD], &parameters, activity)?;
        let area = Reader::new(&answer).sized().map_err(|error| failed(activity, &error))?;
        Ok((handle, area.to_vec()))
    }

    fn start_policy(&mut self) -> Result<u32> {
        let handles = Writer::new().u32(NO_HANDLE).u32(NO_HANDLE).done();
        let parameters = Writer::new().sized(&[0; 16]).sized(&[]).u8(POLICY).u16(NULL).u16(public::SHA256);
        let activity = "starting a session with the TPM";
        Ok(self.making(Command::StartAuthSession, &handles, &[], &parameters.done(), activity)?.0)
    }

    pub(crate) fn flush(&mut self, handle: u32) -> Result<()> {
        self.plain(Command::FlushContext, &handle.to_be_bytes(), "clearing the TPM's memory").map(drop)
    }

    /// Without authorisation: handles and parameters.
    pub(crate) fn plain(&mut self, command: Command, body: &[u8], activity: &str) -> Result<Vec<u8>> {
        Ok(self.run(command, NO_SESSIONS, body, activity)?.split_off(HEADER))
    }

    /// With authorisation; what comes back are the parameters.
    pub(crate) fn authorised(
        &mut self,
        command: Command,
        handles: &[u8],
        sessions: &[u32],
        parameters: &[u8],
        activity: &str,
    ) -> Result<Vec<u8>> {
        let answer = self.run(command, SESSIONS, &with_sessions(handles, sessions, parameters), activity)?;
        inner(&answer[HEADER..]).map_err(|error| failed(activity, &error))
    }

    /// As [`Self::authorised`], of commands that make something: its handle comes first.
    pub(crate) fn making(
        &mut self,
        command: Command,
        handles: &[u8],
        sessions: &[u32],
        parameters: &[u8],
        activity: &str,
    ) -> Result<(u32, Vec<u8>)> {
        let answer = if sessions.is_empty() {
            self.run(command, NO_SESSIONS, &[handles, parameters].concat(), activity)?
        } else {
            self.run(command, SESSIONS, &with_sessions(handles, sessions, parameters), activity)?
        };
        let read = || {
            let mut reader = Reader::new(&answer[HEADER..]);
            let handle = reader.u32()?;
            let rest = &answer[HEADER + 4..];
            Ok((handle, if sessions.is_empty() { rest.to_vec() } else { inner(rest)? }))
        };
        read().map_err(|error: Malformed| failed(activity, &error))
    }

    pub(crate) fn run(&mut self, command: Command, tag: u16, body: &[u8], activity: &str) -> Result<Vec<u8>> {
        let length = HEADER + body.len();
        if length > MOST_BYTES {
            return Err(failed(activity, &"the command is too long for a TPM"));
        }
        let bytes = Writer::new().u16(tag).u32(length as u32).u32(command as u32).bytes(body).done();
        let mut patience = PATIENCE.iter();
        loop {
            let answer = self.transport.exchange(&bytes).map_err(|error| failed(activity, &error))?;
            let mut reader = Reader::new(&answer);
            let code = reader.take(6).and_then(|_| reader.u32()).map_err(|error| failed(activity, &error))?;
            match (code, patience.next()) {
                (0, _) => return Ok(answer),
                (busy, Some(pause)) if BUSY.contains(&busy) => thread::sleep(Duration::from_millis(*pause)),
                _ => return Err(failed(activity, &format!("{command:?} ended with 0x{code:03x}"))),
            }
        }
    }
}

fn with_sessions(handles: &[u8], sessions: &[u32], parameters: &[u8]) -> Vec<u8> {
    let area = sessions.iter().fold(Writer::new(), |area, session| area.u32(*session).sized(&[]).u8(0).sized(&[]));
    let area = area.done();
    Writer::new().bytes(handles).u32(area.len() as u32).bytes(&area).bytes(parameters).done()
}

/// The parameters of an answer, before what it says of sessions.
fn inner(bytes: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut reader = Reader::new(bytes);
    let length = reader.u32()?;
    Ok(reader.take(usize::try_from(length).map_err(|_| Malformed)?)?.to_vec())
}

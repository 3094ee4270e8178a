//! Asks a disk for its health by the commands of its bus.

use super::decode::{self, Ata, Health};
use protocol::inventory::{Disk, Transport};
use std::{fs::File, io, os::fd::AsRawFd};

/// A disk that does not answer by then is asked no more.
const TIMEOUT_MS: u32 = 10_000;
const BLOCK: usize = 512;

/// What the disk that is open says of its health.
pub fn ask(disk: &Disk, file: &File) -> Health {
    let unknown = |error: io::Error| Health::Unknown(error.to_string());
    match disk.transport {
        Transport::Nvme => nvme(file).unwrap_or_else(unknown),
        Transport::Sata => ata(file).unwrap_or_else(unknown),
        Transport::Sas | Transport::Scsi => scsi(file).unwrap_or_else(unknown),
        _ => Health::None,
    }
}

fn odd(what: &str) -> io::Error {
    io::Error::other(what.to_owned())
}

/// `struct nvme_passthru_cmd` of <linux/nvme_ioctl.h>.
#[repr(C)]
#[derive(Default)]
struct NvmeCommand {
    opcode: u8,
    flags: u8,
    reserved: u16,
    nsid: u32,
    cdw2: u32,
    cdw3: u32,
    metadata: u64,
    addr: u64,
    metadata_len: u32,
    data_len: u32,
    cdw10: u32,
    cdw11: u32,
    cdw12: u32,
    cdw13: u32,
    cdw14: u32,
    cdw15: u32,
    timeout_ms: u32,
    result: u32,
}

const _: () = assert!(size_of::<NvmeCommand>() == 72);

nix::ioctl_readwrite!(nvme_admin_command, b'N', 0x41, NvmeCommand);

fn nvme(file: &File) -> io::Result<Health> {
    const GET_LOG_PAGE: u8 = 0x02;
    const HEALTH: u32 = 0x02;
    let mut page = [0u8; BLOCK];
    let words = u32::try_from(BLOCK / 4 - 1).unwrap_or(0);
    let mut command = NvmeCommand {
        opcode: GET_LOG_PAGE,
        // The controller's, not a namespace's.
        nsid: u32::MAX,
        addr: page.as_mut_ptr() as u64,
        data_len: words * 4 + 4,
        cdw10: words << 16 | HEALTH,
        timeout_ms: TIMEOUT_MS,
        ..NvmeCommand::default()
    };
    // SAFETY: the command's buffer is `page`, of the length that it says; both live until the call returns.
    let status = unsafe { nvme_admin_command(file.as_raw_fd(), &raw mut command) }?;
    if status != 0 {
        return Err(odd(&format!("the controller refused to give its log (status {status:#x})")));
    }
    decode::nvme(&page).map(Health::Nvme).ok_or_else(|| odd("the log is too short"))
}

/// `struct sg_io_hdr` of <scsi/sg.h>.
#[repr(C)]
struct SgHeader {
    interface: i32,
    direction: i32,
    command_len: u8,
    sense_max: u8,
    iovec_count: u16,
    data_len: u32,
    data: *mut libc::c_void,
    command: *const u8,
    sense: *mut u8,
    timeout_ms: u32,
    flags: u32,
    pack_id: i32,
    user: *mut libc::c_void,
    status: u8,
    masked_status: u8,
    message_status: u8,
    sense_len: u8,
    host_status: u16,
    driver_status: u16,
    residue: i32,
    duration: u32,
    info: u32,
}

// Its number is older than the scheme that has direction and size in it.
nix::ioctl_readwrite_bad!(sg_io, 0x2285, SgHeader);

struct Answer {
    status: u8,
    sense: Vec<u8>,
}

const GOOD: u8 = 0;
const CHECK_CONDITION: u8 = 2;

/// Sends a command that reads into `data`, or none where that is empty.
fn send(file: &File, command: &[u8], data: &mut [u8]) -> io::Result<Answer> {
    let mut sense = [0u8; 64];
    let length = |bytes: usize| u8::try_from(bytes).map_err(io::Error::other);
    let mut header = SgHeader {
        interface: i32::from(b'S'),
        direction: if data.is_empty() { -1 } else { -3 },
        command_len: length(command.len())?,
        sense_max: length(sense.len())?,
        iovec_count: 0,
        data_len: u32::try_from(data.len()).map_err(io::Error::other)?,
        data: data.as_mut_ptr().cast(),
        command: command.as_ptr(),
        sense: sense.as_mut_ptr(),
        timeout_ms: TIMEOUT_MS,
        flags: 0,
        pack_id: 0,
        user: std::ptr::null_mut(),
        status: 0,
        masked_status: 0,
        message_status: 0,
        sense_len: 0,
        host_status: 0,
        driver_status: 0,
        residue: 0,
        duration: 0,
        info: 0,
    };
    // SAFETY: command, data and sense are buffers of the lengths that the header says, and live until the call
    // returns; the kernel writes to the last two and to the header.
    unsafe { sg_io(file.as_raw_fd(), &raw mut header) }?;
    if header.host_status != 0 {
        return Err(odd(&format!(
            "the controller did not carry the command out (host status {:#x})",
            header.host_status
        )));
    }
    let sense = sense[..usize::from(header.sense_len).min(sense.len())].to_vec();
    Ok(Answer { status: header.status, sense })
}

/// ATA PASS-THROUGH (16) of SMART (SAT-3, 12.2.2).
fn smart(feature: u8, protocol: u8, flags: u8, count: u8) -> [u8; 16] {
    [0x85, protocol << 1, flags, 0, feature, 0, count, 0, 0, 0, 0x4f, 0, 0xc2, 0, 0xb0, 0]
}

fn ata(file: &File) -> io::Result<Health> {
    const READ_DATA: u8 = 0xd0;
    const RETURN_STATUS: u8 = 0xda;
    const NO_DATA: u8 = 3;
    const PIO_IN: u8 = 4;
    // The registers come back as sense data; one block comes from the device.
    const REGISTERS: u8 = 0x20;
    const ONE_BLOCK: u8 = 0x0e;
    let status = send(file, &smart(RETURN_STATUS, NO_DATA, REGISTERS, 0), &mut [])?;
    let mut data = [0u8; BLOCK];
    let read = send(file, &smart(READ_DATA, PIO_IN, ONE_BLOCK, 1), &mut data)?;
    let has_data = read.status == GOOD;
    let attribute = |id: u8| decode::ata_attribute(&data, id).filter(|_| has_data);
    let ata = Ata {
        exceeded: decode::ata_exceeded(&status.sense),
        reallocated: attribute(5),
        pending: attribute(197),
        uncorrectable: attribute(198),
    };
    if ata == Ata::default() {
        return Err(odd("it does not answer to SMART"));
    }
    Ok(Health::Ata(ata))
}

fn scsi(file: &File) -> io::Result<Health> {
    const LENGTH: u8 = 64;
    let mut page = [0u8; LENGTH as usize];
    // LOG SENSE of the cumulative values of page 2Fh (SPC-4, 6.8).
    let answer = send(file, &[0x4d, 0, 0x40 | 0x2f, 0, 0, 0, 0, 0, LENGTH, 0], &mut page)?;
    match answer.status {
        GOOD => decode::scsi(&page).map(Health::Scsi).ok_or_else(|| odd("it gave another log than it was asked for")),
        CHECK_CONDITION => Err(odd("it has no log of informational exceptions")),
        status => Err(odd(&format!("it refused the command (status {status:#x})"))),
    }
}

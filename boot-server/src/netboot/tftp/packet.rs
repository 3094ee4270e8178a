//! TFTP messages (RFC 1350) and options (RFC 2347, 2348, 2349, 7440).

/// Bytes in a block where the client names none.
pub const DEFAULT_BLOCK: u16 = 512;
/// Largest block: what fits into one UDP datagram (RFC 2348).
const MAX_BLOCK: u16 = 65464;
/// Blocks in flight, more than any firmware asks for.
const MAX_WINDOW: u16 = 64;
/// Seconds between two sendings of a message that are granted. A longer wait is not: it would keep a place for hours.
const MAX_TIMEOUT: u8 = 8;

/// What a client may send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Wants to read a file.
    Read(ReadRequest),
    /// Has this block and all before it.
    Ack(u16),
    /// Gives up.
    Error(u16, String),
    /// Anything else: writing, data, an unknown mode.
    Other,
}

/// A request to read a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadRequest {
    /// As the client wrote it.
    pub file: String,
    /// Bytes in a block.
    pub block_size: Option<u16>,
    /// Blocks in a window.
    pub window: Option<u16>,
    /// Seconds until a message is sent again.
    pub timeout: Option<u8>,
    /// Whether the client wants to know the size.
    pub size: bool,
}

/// Error codes that this server sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// Not defined; see the message.
    Undefined = 0,
    /// File not found.
    NotFound = 1,
    /// Illegal operation.
    Illegal = 4,
}

impl Message {
    /// Reads a client's message; none where it is no TFTP at all.
    pub fn parse(packet: &[u8]) -> Option<Self> {
        let (operation, rest) = packet.split_first_chunk::<2>()?;
        Some(match u16::from_be_bytes(*operation) {
            1 => ReadRequest::parse(rest).map_or(Self::Other, Self::Read),
            4 => Self::Ack(u16::from_be_bytes(*rest.first_chunk()?)),
            5 => {
                let (code, text) = rest.split_first_chunk::<2>()?;
                let text: String = String::from_utf8_lossy(text).chars().filter(|c| !c.is_control()).take(80).collect();
                Self::Error(u16::from_be_bytes(*code), text)
            }
            2 | 3 | 6 => Self::Other,
            _ => return None,
        })
    }
}

impl ReadRequest {
    /// Unknown options and values out of range are passed over, as RFC 2347 wants.
    fn parse(rest: &[u8]) -> Option<Self> {
        let mut words = rest.strip_suffix(b"\0")?.split(|byte| *byte == 0);
        let file = file_name(words.next()?)?;
        let mut word = || words.next().and_then(|word| std::str::from_utf8(word).ok());
        let mode = word()?;
        // Firmware loads binaries; netascii would have to rewrite line ends.
        if !mode.eq_ignore_ascii_case("octet") {
            return None;
        }
        let mut request = Self { file, block_size: None, window: None, timeout: None, size: false };
        while let (Some(name), Some(value)) = (word(), word()) {
            let number = value.parse::<u32>().ok();
            let within = |low: u16, high: u16| number.filter(|n| *n >= low.into()).map(|n| n.min(high.into()) as u16);
            match name.to_ascii_lowercase().as_str() {
                "blksize" => request.block_size = within(8, MAX_BLOCK),
                "windowsize" => request.window = within(1, MAX_WINDOW),
                "timeout" => {
                    let seconds = number.and_then(|n| u8::try_from(n).ok());
                    request.timeout = seconds.filter(|seconds| (1..=MAX_TIMEOUT).contains(seconds));
                }
                "tsize" => request.size = true,
                _ => {}
            }
        }
        Some(request)
    }

    /// The options that are granted, or none where the client asked for none that is known.
    pub fn acknowledgement(&self, size: u64) -> Option<Vec<u8>> {
        let mut message = vec![0, 6];
        let mut grant = |name: &str, value: Option<u64>| {
            if let Some(value) = value {
                message.extend(format!("{name}\0{value}\0").bytes());
            }
        };
        grant("tsize", self.size.then_some(size));
        grant("blksize", self.block_size.map(u64::from));
        grant("windowsize", self.window.map(u64::from));
        grant("timeout", self.timeout.map(u64::from));
        (message.len() > 2).then_some(message)
    }
}

/// Firmware that takes option 67 for a C string reads on behind it, most often into the end of the options, 255.
fn file_name(bytes: &[u8]) -> Option<String> {
    let ascii = bytes.iter().position(|byte| !byte.is_ascii()).map_or(bytes, |end| &bytes[..end]);
    std::str::from_utf8(ascii).ok().map(str::to_owned)
}

/// An ERROR message.
pub fn error(code: ErrorCode, text: &str) -> Vec<u8> {
    let mut message = vec![0, 5, 0, code as u8];
    message.extend(text.bytes());
    message.push(0);
    message
}

/// The four bytes in front of a block's data; block numbers wrap around to 0.
pub fn data_header(block: u64) -> [u8; 4] {
    let [high, low] = (block as u16).to_be_bytes();
    [0, 3, high, low]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request(words: &[&str]) -> Option<Message> {
        let mut packet = vec![0, 1];
        for word in words {
            packet.extend(word.bytes());
            packet.push(0);
        }
        Message::parse(&packet)
    }

    #[test]
    fn options_are_granted_within_their_bounds() {
        let words =
            ["a", "OCTET", "tsize", "0", "BLKSIZE", "1468", "windowsize", "9999", "timeout", "255", "multicast", ""];
        let Some(Message::Read(read)) = request(&words) else { panic!("no request") };
        let granted = read.acknowledgement(77).unwrap();
        assert_eq!(granted, b"\0\x06tsize\x0077\0blksize\x001468\0windowsize\x0064\0");
    }

    #[test]
    fn a_request_without_options_is_answered_with_data() {
        let Some(Message::Read(read)) = request(&["undionly.kpxe", "octet"]) else { panic!("no request") };
        assert_eq!(read.acknowledgement(1), None);
    }

    #[test]
    fn a_name_ends_where_firmware_has_read_too_far() {
        let packet = b"\0\x01undionly.kpxe\xff\x02\0octet\0";
        let Some(Message::Read(read)) = Message::parse(packet) else { panic!("no request") };
        assert_eq!(read.file, "undionly.kpxe");
    }

    #[test]
    fn text_mode_and_unended_requests_are_not_served() {
        assert_eq!(request(&["a", "netascii"]), Some(Message::Other));
        assert_eq!(Message::parse(b"\0\x01a\0octet"), Some(Message::Other));
        assert_eq!(Message::parse(b"\0\x02a\0octet\0"), Some(Message::Other));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(packet in proptest::collection::vec(any::<u8>(), 0..200), kind in 0u8..8) {
            let _ = Message::parse(&packet);
            let named: Vec<u8> = [0, kind].into_iter().chain(packet).collect();
            if let Some(Message::Read(read)) = Message::parse(&named) {
                prop_assert!(read.block_size.is_none_or(|size| (8..=MAX_BLOCK).contains(&size)));
                prop_assert!(read.window.is_none_or(|window| (1..=MAX_WINDOW).contains(&window)));
                let _ = read.acknowledgement(5);
            }
        }
    }
}

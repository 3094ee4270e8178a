//! One question to the name servers of /etc/resolv.conf: for SRV records, which the system's resolver does not ask for.

use super::srv::Target;
use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, Query, ResponseCode},
    rr::{Name, RData, RecordType},
};
use protocol::{Code, Failure, failure::Result};
use std::{
    fs::File,
    io::Read,
    net::{IpAddr, SocketAddr},
    path::Path,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

/// What one server has to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// As many servers are asked as the system's resolver asks.
const MOST_SERVERS: usize = 3;
/// An answer by UDP that is not cut on the way (RFC 9715).
const MOST_BYTES: u16 = 1232;
/// No resolv.conf is larger.
const MAX_FILE: u64 = 64 << 10;

/// The SRV records of a name; none where there are none.
///
/// # Errors
/// `E-CLUSTER-UNREACHABLE` where no server answers.
pub async fn srv(name: &str, resolv_conf: &Path) -> Result<Vec<Target>> {
    let failed = |why: String| Failure::new(Code::ClusterUnreachable, format!("asking DNS for {name}: {why}"));
    let question = question(name).map_err(|error| failed(error.to_string()))?;
    let bytes = question.to_vec().map_err(|error| failed(error.to_string()))?;
    let mut last = failed(format!("there is no name server in {}", resolv_conf.display()));
    for server in servers(&read(resolv_conf)) {
        last = match timeout(PATIENCE, ask(server, &question, &bytes)).await {
            Ok(Ok(targets)) => return Ok(targets),
            Ok(Err(why)) => failed(format!("{server}: {why}")),
            Err(_) => failed(format!("{server}: no answer")),
        };
    }
    Err(last)
}

fn question(name: &str) -> Result<Message, hickory_proto::ProtoError> {
    let mut name = Name::from_ascii(name)?;
    name.set_fqdn(true);
    let id = uuid::Uuid::new_v4().as_u128() as u16;
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(name, RecordType::SRV));
    let mut edns = Edns::new();
    edns.set_max_payload(MOST_BYTES);
    message.set_edns(edns);
    Ok(message)
}

async fn ask(server: SocketAddr, question: &Message, bytes: &[u8]) -> Result<Vec<Target>, String> {
    let io = |error: std::io::Error| error.to_string();
    let local: SocketAddr = if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(local).await.map_err(io)?;
    socket.connect(server).await.map_err(io)?;
    socket.send(bytes).await.map_err(io)?;
    let mut buffer = [0; MOST_BYTES as usize];
    loop {
        let length = socket.recv(&mut buffer).await.map_err(io)?;
        // What does not fit the question is somebody else's guess.
        let Some(answer) = answer(&buffer[..length], question) else { continue };
        if !answer.metadata.truncation {
            return targets(&answer);
        }
        let whole = ask_by_tcp(server, bytes).await.map_err(io)?;
        return self::answer(&whole, question)
            .ok_or("the answer does not fit the question".to_owned())
            .and_then(|answer| targets(&answer));
    }
}

/// RFC 1035, section 4.2.2: two bytes of length before each message.
async fn ask_by_tcp(server: SocketAddr, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    stream.write_u16(u16::try_from(bytes.len()).unwrap_or(u16::MAX)).await?;
    stream.write_all(bytes).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

fn answer(bytes: &[u8], question: &Message) -> Option<Message> {
    let answer = Message::from_vec(bytes).ok()?;
    let fits = answer.metadata.id == question.metadata.id
        && answer.metadata.message_type == MessageType::Response
        && answer.queries == question.queries;
    fits.then_some(answer)
}

fn targets(answer: &Message) -> Result<Vec<Target>, String> {
    match answer.metadata.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => {}
        code => return Err(format!("it answers {code}")),
    }
    let target = |data: &RData| match data {
        RData::SRV(srv) => Some(Target {
            priority: srv.priority,
            weight: srv.weight,
            host: srv.target.to_ascii().trim_end_matches('.').to_owned(),
            port: srv.port,
        }),
        _ => None,
    };
    Ok(answer.answers.iter().filter_map(|record| target(&record.data)).collect())
}

fn read(path: &Path) -> String {
    let mut text = String::new();
    // A machine without a resolver has no SRV records either.
    drop(File::open(path).and_then(|file| file.take(MAX_FILE).read_to_string(&mut text)));
    text
}

/// `nameserver IP` lines; `IP:PORT` and `[IP]:PORT` as well.
fn servers(resolv_conf: &str) -> Vec<SocketAddr> {
    let server = |line: &str| {
        let mut words = line.split_whitespace();
        let address = words.next().filter(|word| *word == "nameserver").and(words.next())?;
        let plain = || address.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, 53));
        plain().or_else(|| address.parse().ok())
    };
    resolv_conf.lines().filter_map(server).take(MOST_SERVERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_three_name_servers_are_asked() {
        let text = "# nameserver 9.9.9.9\nsearch example.com\nnameserver 10.0.0.1\nnameserver fd00::1\n\
                    nameserver nonsense\nnameserver 127.0.0.1:5353\nnameserver 10.0.0.4\n";
        let expected = ["10.0.0.1:53", "[fd00::1]:53", "127.0.0.1:5353"].map(|text| text.parse().unwrap());
        assert_eq!(servers(text), expected);
    }

    #[test]
    fn an_answer_to_another_question_is_not_taken() {
        let ours = question("_etcd._tcp.example.com").unwrap();
        let reply = |question: &Message| question.clone().into_response().to_vec().unwrap();
        assert!(answer(&reply(&ours), &ours).is_some());
        let mut other = question("_etcd._tcp.example.org").unwrap();
        other.metadata.id = ours.metadata.id;
        assert!(answer(&reply(&other), &ours).is_none());
        assert!(answer(&ours.to_vec().unwrap(), &ours).is_none(), "a question is no answer");
    }

    proptest! {
        #[test]
        fn any_bytes_are_borne(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let question = question("_etcd._tcp.example.com").unwrap();
            drop(answer(&bytes, &question));
        }
    }
}

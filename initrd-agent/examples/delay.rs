//! `delay LISTEN TO MILLISECONDS`: passes TCP connections on, every byte so much later in each direction. For
//! `make bench` on hosts without netem.

use bytes::BytesMut;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    sync::mpsc,
    time::{Instant, sleep_until},
};

/// Pieces that are on their way at the same time, at most: with 64 KiB each, as much as a fast line holds.
const UNDER_WAY: usize = 256;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [listen, to, milliseconds] = &words[..] else {
        eprintln!("usage: delay LISTEN TO MILLISECONDS");
        std::process::exit(2);
    };
    let delay = Duration::from_millis(milliseconds.parse().map_err(std::io::Error::other)?);
    let listener = TcpListener::bind(listen).await?;
    loop {
        let (client, _) = listener.accept().await?;
        let Ok(server) = TcpStream::connect(to).await else { continue };
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        pass_on(from_client, to_server, delay);
        pass_on(from_server, to_client, delay);
    }
}

fn pass_on(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration) {
    let (sender, mut receiver) = mpsc::channel::<(Instant, BytesMut)>(UNDER_WAY);
    tokio::spawn(async move {
        loop {
            let mut piece = BytesMut::with_capacity(64 << 10);
            match from.read_buf(&mut piece).await {
                Ok(length) if length > 0 && sender.send((Instant::now() + delay, piece)).await.is_ok() => {}
                _ => return,
            }
        }
    });
    tokio::spawn(async move {
        while let Some((due, piece)) = receiver.recv().await {
            sleep_until(due).await;
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
        // The end of the stream is passed on, too, when this half is dropped.
    });
}

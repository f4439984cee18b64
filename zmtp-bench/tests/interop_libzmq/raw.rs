//! A peer that says exactly what a test tells it to, and shows every octet of the answer.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zmtp_connection::codec::{
    Command, FrameHeader, GREETING_LEN, Greeting, Identity, MechanismName, Properties, SocketType,
};

use crate::theirs::within;

/// What a NULL peer of this type sends before it has read anything: greeting and READY.
pub(crate) fn introduction(socket_type: SocketType) -> Vec<u8> {
    let mut octets = Greeting::new(MechanismName::NULL, false).to_bytes().to_vec();
    let ready = Command::Ready(Properties::for_socket(socket_type, &Identity::ANONYMOUS));
    octets.extend_from_slice(&frame(&ready));
    octets
}

/// A command as a frame.
pub(crate) fn frame(command: &Command) -> Vec<u8> {
    let body_len = u8::try_from(command.body_len()).unwrap();
    let mut octets = vec![0x04, body_len];
    command.encode_body(&mut octets);
    octets
}

/// Sends `octets`, closes that direction, and reads everything until the peer closes the other.
pub(crate) async fn converse(mut stream: TcpStream, octets: &[u8]) -> Vec<u8> {
    let mut answer = Vec::new();
    within("the answer to its end", async {
        stream.write_all(octets).await.unwrap();
        stream.read_to_end(&mut answer).await.unwrap();
    })
    .await;
    answer
}

/// Takes a greeting off the front of `octets` and reads the frames behind it, all of them commands.
pub(crate) fn commands(octets: &[u8]) -> Vec<Command> {
    let (greeting, rest) = octets.split_at(GREETING_LEN);
    Greeting::decode(greeting).unwrap().unwrap();
    let mut rest = BytesMut::from(rest).freeze();
    let mut commands = Vec::new();
    while !rest.is_empty() {
        let (header, len) = FrameHeader::decode(&rest).unwrap().unwrap();
        assert!(header.kind().is_command(), "a frame that is no command");
        let _header: Bytes = rest.split_to(len);
        commands.push(Command::decode(rest.split_to(usize::try_from(header.size()).unwrap())).unwrap());
    }
    commands
}

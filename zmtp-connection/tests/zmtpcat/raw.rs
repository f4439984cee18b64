//! Peers made by hand, octet by octet.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::cat::PATIENCE;

/// Connects without saying anything.
pub(crate) fn dial(endpoint: &str) -> TcpStream {
    let stream = TcpStream::connect(endpoint.strip_prefix("tcp://").unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A listener on a port of its own, and its endpoint.
pub(crate) fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
    (listener, endpoint)
}

/// Says the greeting of a peer with this mechanism.
pub(crate) fn greet(mut stream: &TcpStream, mechanism: &str) {
    let mut greeting = [0; 64];
    greeting[0] = 0xff;
    greeting[9] = 0x7f;
    greeting[10] = 3;
    greeting[11] = 1;
    greeting[12..12 + mechanism.len()].copy_from_slice(mechanism.as_bytes());
    stream.write_all(&greeting).unwrap();
}

/// Does the handshake of NULL as a `socket_type`, over either side of a stream.
pub(crate) fn shake_hands(mut stream: &TcpStream, socket_type: &str) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    greet(stream, "NULL");
    stream.read_exact(&mut [0; 64]).unwrap();
    let mut ready = b"\x05READY\x0bSocket-Type\0\0\0".to_vec();
    ready.push(u8::try_from(socket_type.len()).unwrap());
    ready.extend_from_slice(socket_type.as_bytes());
    stream.write_all(&[4, u8::try_from(ready.len()).unwrap()]).unwrap();
    stream.write_all(&ready).unwrap();
    let (flags, body) = frame(stream);
    assert_eq!(flags, 4);
    assert_eq!(&body[..6], b"\x05READY");
}

/// The next short frame: its flags and its body.
pub(crate) fn frame(mut stream: &TcpStream) -> (u8, Vec<u8>) {
    let mut header = [0; 2];
    stream.read_exact(&mut header).unwrap();
    let mut body = vec![0; usize::from(header[1])];
    stream.read_exact(&mut body).unwrap();
    (header[0], body)
}

/// Reads until the other side closes or resets the connection.
pub(crate) fn read_out(mut stream: &TcpStream) {
    let mut sink = [0; 4096];
    loop {
        match stream.read(&mut sink) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return,
            Err(error) => panic!("not closed: {error}"),
        }
    }
}

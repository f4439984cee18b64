//! What CURVE adds: nothing per frame, and little for a handshake that is not going on.

use zmtp_bench::pair::pair_of;
use zmtp_codec::keys::{KeyPair, SecretKey};
use zmtp_connection::{CurveClient, CurveServer};

use crate::*;

pub(crate) fn mechanisms() -> (CurveClient, CurveServer) {
    let keys = |octet| KeyPair::from_secret(SecretKey::from_bytes([octet; 32]).unwrap());
    let server = keys(1);
    (CurveClient::new(*server.public_key(), keys(2)), CurveServer::new(server))
}

fn curve() -> (Side<CurveClient>, Side<CurveServer>) {
    let (client, server) = mechanisms();
    pair_of((&config(), &client), (&config(), &server)).unwrap()
}

#[test]
fn a_sealed_message_costs_no_allocation_on_either_side() {
    for shape in SHAPES.into_iter().chain([&[8000][..], &[20, 8000, 0, 16_000]]) {
        let (mut client, mut server) = curve();
        let parts: Vec<Bytes> = shape.iter().map(|&size| Bytes::from(vec![7; size])).collect();
        let mut seen = 0;
        let mut batch = || {
            for _ in 0..4 {
                client.encoder.push(&parts).unwrap();
            }
            while let Some(chunk) = client.encoder.chunks().next() {
                deliver(&mut server.decoder, chunk, READ, |decoder, _| {
                    assert_eq!(decoder.message().payload_len(), shape.iter().sum::<usize>());
                    seen += 1;
                })
                .unwrap();
                let count = chunk.len();
                client.encoder.advance(count);
            }
        };
        (0..4).for_each(|_| batch());
        let ((), counts) = measure(|| (0..100).for_each(|_| batch()));
        assert_eq!(counts.allocations, 0, "{shape:?}");
        assert_eq!(seen, 104 * 4, "{shape:?}");
    }
}

/// What a client says before it needs an answer: its greeting and its HELLO.
fn opening(config: &ConnectionConfig, client: &CurveClient, server: &CurveServer) -> Vec<u8> {
    let mut hello = Establish::new(config, client);
    hello.receive(Establish::new(config, server).transmit());
    let Outcome::Pending(hello) = hello.advance(Duration::ZERO) else { unreachable!("a WELCOME is needed") };
    hello.transmit().to_vec()
}

/// A server that has sent its WELCOME and hears nothing more.
fn half_open<'a>(config: &'a ConnectionConfig, server: &'a CurveServer, opening: &[u8]) -> Establish<'a, CurveServer> {
    let mut waiting = Establish::new(config, server);
    waiting.receive(opening);
    let Outcome::Pending(mut waiting) = waiting.advance(Duration::ZERO) else { unreachable!("no INITIATE yet") };
    let answer = waiting.transmit().len();
    waiting.transmitted(answer);
    waiting
}

/// The state of the handshake, our READY's properties, buffers.
#[test]
fn a_half_open_handshake_is_small() {
    let (client, server) = mechanisms();
    let config = config();
    let opening = opening(&config, &client, &server);
    let (waiting, counts) = measure(|| half_open(&config, &server, &opening));
    println!("a half-open handshake: {counts:?}");
    assert_eq!(server.half_open(), 1);
    assert_at_most(counts.live, 2 * KIB as i64, "a half-open handshake");
    drop(waiting);
    assert_eq!(server.half_open(), 0);
}

#[test]
fn a_hundred_handshakes_given_up_half_way_leave_nothing_behind() {
    let (client, server) = mechanisms();
    let config = config();
    let before = live();
    for _ in 0..100 {
        let opening = opening(&config, &client, &server);
        drop(half_open(&config, &server, &opening));
    }
    assert_eq!(live(), before);
    assert_eq!(server.half_open(), 0);
}

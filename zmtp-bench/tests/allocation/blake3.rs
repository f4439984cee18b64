//! What BLAKE3 adds, with either suite: nothing per frame, and little for a handshake that is not going on.

use zmtp_bench::pair::pair_of;
use zmtp_codec::keys::{KeyPair, SecretKey};
use zmtp_mechanism_blake3::{Blake3Zmq, ChachaPoly, Client, Server, Suite};

use crate::*;

fn mechanisms<S: Suite>() -> (Client<S>, Server<S>) {
    let keys = |octet| KeyPair::from_secret(SecretKey::from_bytes([octet; 32]).unwrap());
    let server = keys(1);
    (Client::new(*server.public_key(), keys(2)), Server::new(server))
}

/// Both directions at once: a message there, and back what was received.
fn sealed_messages_cost_no_allocation<S: Suite>() {
    for shape in SHAPES.into_iter().chain([&[8000][..], &[20, 8000, 0, 16_000]]) {
        let (client, server) = mechanisms::<S>();
        let (mut client, mut server) = pair_of((&config(), &client), (&config(), &server)).unwrap();
        let parts: Vec<Bytes> = shape.iter().map(|&size| Bytes::from(vec![7; size])).collect();
        let mut seen = 0;
        let mut batch = || {
            for _ in 0..4 {
                client.encoder.push(&parts).unwrap();
                server.encoder.push(&parts).unwrap();
            }
            let ways = [(&mut client.encoder, &mut server.decoder), (&mut server.encoder, &mut client.decoder)];
            for (encoder, decoder) in ways {
                while let Some(chunk) = encoder.chunks().next() {
                    deliver(decoder, chunk, READ, |decoder, _| {
                        assert_eq!(decoder.message().payload_len(), shape.iter().sum::<usize>());
                        seen += 1;
                    })
                    .unwrap();
                    let count = chunk.len();
                    encoder.advance(count);
                }
            }
        };
        (0..4).for_each(|_| batch());
        let ((), counts) = measure(|| (0..100).for_each(|_| batch()));
        assert_eq!(counts.allocations, 0, "{shape:?}");
        assert_eq!(seen, 104 * 8, "{shape:?}");
    }
}

#[test]
fn a_sealed_message_costs_no_allocation_on_either_side() {
    sealed_messages_cost_no_allocation::<ChachaPoly>();
}

#[test]
fn with_the_suite_of_old_peers_neither() {
    sealed_messages_cost_no_allocation::<Blake3Zmq>();
}

/// What a client says before it needs an answer: its greeting and its HELLO.
fn opening<S: Suite>(config: &ConnectionConfig, client: &Client<S>, server: &Server<S>) -> Vec<u8> {
    let mut hello = Establish::new(config, client);
    hello.receive(Establish::new(config, server).transmit());
    let Outcome::Pending(hello) = hello.advance(Duration::ZERO) else { unreachable!("a WELCOME is needed") };
    hello.transmit().to_vec()
}

/// A server that has sent its WELCOME and hears nothing more.
fn half_open<'a, S: Suite>(
    config: &'a ConnectionConfig,
    server: &'a Server<S>,
    opening: &[u8],
) -> Establish<'a, Server<S>> {
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
    let (client, server) = mechanisms::<ChachaPoly>();
    let config = config();
    let opening = opening(&config, &client, &server);
    // The key of its cookies is the server's, and made once.
    drop(half_open(&config, &server, &opening));
    let (waiting, counts) = measure(|| half_open(&config, &server, &opening));
    println!("a half-open handshake: {counts:?}");
    assert_eq!(server.half_open(), 1);
    assert_at_most(counts.live, 2 * KIB as i64, "a half-open handshake");
    drop(waiting);
    assert_eq!(server.half_open(), 0);
}

#[test]
fn a_hundred_handshakes_given_up_half_way_leave_nothing_behind() {
    let (client, server) = mechanisms::<ChachaPoly>();
    let config = config();
    drop(half_open(&config, &server, &opening(&config, &client, &server)));
    let before = live();
    for _ in 0..100 {
        let opening = opening(&config, &client, &server);
        drop(half_open(&config, &server, &opening));
    }
    assert_eq!(live(), before);
    assert_eq!(server.half_open(), 0);
}

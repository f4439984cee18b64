//! However a stream is cut into segments and whichever interface reads it, the same things come out; and nothing that
//! can come in makes a core do anything but go on or end with an error.
#![cfg(feature = "null")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use support::fake::{Fake, FakeSealer};
use support::wire::{self, GREETING};
use support::{Event, Interface, NOW, NULL, Pair, Reader, feed};
use zmtp_connection::codec::{
    AnyMechanism, Command, FrameHeader, FrameKind, HeartbeatContext, Mechanism, Opener, Ping, SocketType, Ttl,
    UnknownCommand,
};
use zmtp_connection::proto::{Decoder, Establish, LARGE_BODY, Outcome};
use zmtp_connection::{ConnectionConfig, Limits};

const CLIENT: Fake = Fake::client([1; 32]);
const SERVER: Fake = Fake::server();

/// What one side says: a message whose parts are interleaved with commands, or commands alone.
#[derive(Clone, Debug)]
struct Said {
    /// Each part with the commands in front of it.
    parts: Vec<(Vec<Command>, Vec<u8>)>,
    behind: Vec<Command>,
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let sizes = select(vec![0, 1, 2, 254, 255, 256, 1000, LARGE_BODY - 20, LARGE_BODY - 1, LARGE_BODY, LARGE_BODY + 1]);
    (sizes, any::<u8>()).prop_map(|(size, seed)| (0..=250_u8).cycle().map(|octet| octet ^ seed).take(size).collect())
}

fn a_command() -> impl Strategy<Value = Command> {
    let context = vec(any::<u8>(), 0..=16).prop_map(|context| HeartbeatContext::new(&context).unwrap());
    prop_oneof![
        (any::<u16>(), context)
            .prop_map(|(ttl, context)| Command::Ping(Ping::new(Ttl::from_deciseconds(ttl), context))),
        vec(any::<u8>(), 0..400).prop_map(|topic| Command::Subscribe(topic.into())),
        vec(any::<u8>(), 0..400).prop_map(|data| Command::Unknown(UnknownCommand::new("X", data).unwrap())),
    ]
}

fn said() -> impl Strategy<Value = Said> {
    let part = (vec(a_command(), 0..2), body());
    (vec(part, 0..4), vec(a_command(), 0..2)).prop_map(|(parts, behind)| Said { parts, behind })
}

/// The frames of all that is said, and what has to be read from them.
fn spoken(all: &[Said]) -> (Vec<(FrameKind, Vec<u8>)>, Vec<Event>) {
    let (mut frames, mut events) = (Vec::new(), Vec::new());
    for said in all {
        let command = |command: &Command, events: &mut Vec<Event>, frames: &mut Vec<(FrameKind, Vec<u8>)>| {
            let mut body = Vec::new();
            command.encode_body(&mut body);
            frames.push((FrameKind::Command, body));
            events.push(match command {
                Command::Ping(ping) => Event::Ping(*ping),
                other => Event::Command(other.clone()),
            });
        };
        for (at, (before, body)) in said.parts.iter().enumerate() {
            before.iter().for_each(|before| command(before, &mut events, &mut frames));
            frames.push((FrameKind::message(at + 1 < said.parts.len()), body.clone()));
        }
        if !said.parts.is_empty() {
            events.push(Event::Message(said.parts.iter().map(|(_, body)| body.clone()).collect()));
        }
        said.behind.iter().for_each(|behind| command(behind, &mut events, &mut frames));
    }
    (frames, events)
}

/// Reads `octets` in segments of the given lengths, taken in turn.
fn read<O: Opener>(mut decoder: Decoder<O>, octets: &[u8], segments: &[usize], interface: Interface) -> Vec<Event> {
    let mut reader = Reader::new(interface);
    let (mut rest, mut lengths) = (octets, segments.iter().cycle());
    while !rest.is_empty() {
        let (segment, behind) = rest.split_at((*lengths.next().unwrap()).min(rest.len()));
        reader.read(&mut decoder, segment).unwrap();
        rest = behind;
    }
    decoder.finish().unwrap();
    reader.events
}

fn decoder<A: Mechanism, B: Mechanism>(a: &A, b: &B) -> Decoder<support::OpenerOf<B>> {
    let (sub, publisher) = (ConnectionConfig::new(SocketType::Sub), ConnectionConfig::new(SocketType::Xpub));
    Pair::<A, B>::new((&sub, a), (&publisher, b)).b.decoder
}

fn segments() -> impl Strategy<Value = Vec<usize>> {
    vec(prop_oneof![1..20_usize, 1..3000_usize, 1..100_000_usize], 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn every_cut_and_interface_reads_the_same(all in vec(said(), 1..4), segments in segments()) {
        let (frames, expected) = spoken(&all);
        let mut sealer = FakeSealer::default();
        let (mut clear, mut sealed) = (Vec::new(), Vec::new());
        for (kind, body) in &frames {
            clear.extend_from_slice(&FrameHeader::new(*kind, body.len() as u64).encode());
            clear.extend_from_slice(body);
            sealed.extend(sealer.frame(*kind, body));
        }
        for interface in [Interface::Owned, Interface::Lent, Interface::Frames] {
            for segments in [&segments[..], &[usize::MAX]] {
                prop_assert!(read(decoder(&NULL, &NULL), &clear, segments, interface) == expected);
                prop_assert!(read(decoder(&CLIENT, &SERVER), &sealed, segments, interface) == expected);
            }
        }
        let (client, server) = (AnyMechanism::new(CLIENT), AnyMechanism::new(SERVER));
        prop_assert!(read(decoder(&client, &server), &sealed, &segments, Interface::Owned) == expected);
    }

    #[test]
    fn any_handshake_goes_on_or_ends_with_an_error(
        (greeted, as_fake) in any::<(bool, bool)>(),
        octets in vec(prop_oneof![any::<u8>(), select(vec![0, 1, 4, 5, 6, 0xff])], 0..300),
        segment in 1..80_usize,
    ) {
        let config = ConnectionConfig::new(SocketType::Dealer);
        if as_fake {
            let start = if greeted { wire::greeting("FAKE").to_vec() } else { Vec::new() };
            let octets = [start, octets].concat();
            prop_assert!(!matches!(feed(&config, &SERVER, &octets, segment), Outcome::Ready(_)));
            prop_assert!(!matches!(feed(&config, &CLIENT, &octets, segment), Outcome::Ready(_)));
        } else {
            let start = if greeted { GREETING.to_vec() } else { Vec::new() };
            prop_assert!(!matches!(feed(&config, &NULL, &[start, octets].concat(), segment), Outcome::Ready(_)));
        }
    }

    #[test]
    fn any_metadata_goes_on_or_ends_with_an_error(tail in vec(any::<u8>(), 0..100), segment in 1..80_usize) {
        let config = ConnectionConfig::new(SocketType::Dealer);
        let octets = [&GREETING[..], &wire::ready_and("DEALER", &tail)].concat();
        if let Outcome::Pending(_) | Outcome::Authorize(_) = feed(&config, &NULL, &octets, segment) {
            prop_assert!(false, "a whole READY decides");
        }
    }

    #[test]
    fn any_traffic_goes_on_or_ends_with_an_error(
        octets in vec(prop_oneof![any::<u8>(), select(vec![0, 1, 2, 3, 4, 6])], 0..2000),
        segment in 1..200_usize,
        frames in any::<bool>(),
    ) {
        let limits = Limits::new().max_frame(1000).max_message(2000).max_parts(10).max_command(100);
        for kind in [SocketType::Dealer, SocketType::Xpub, SocketType::Channel] {
            let peer = if kind == SocketType::Xpub { SocketType::Sub } else { kind };
            let mut ready = support::ready_limited(kind, peer, limits.clone());
            let mut reader = Reader::new(if frames { Interface::Frames } else { Interface::Lent });
            let error = octets.chunks(segment).find_map(|piece| reader.read(&mut ready.decoder, piece).err());
            if error.is_some() {
                prop_assert_eq!(ready.decoder.poll(), Err(zmtp_connection::DecodeError::Poisoned));
            }
            // Without an error, what is buffered is one unfinished message at most.
            prop_assert!(error.is_some() || ready.decoder.receive_buffer(1).get_ref().capacity() < 16 * 1024);
        }
    }

    #[test]
    fn a_sealed_stream_with_one_octet_changed_never_delivers_it(
        bodies in vec(body(), 1..4),
        position in any::<proptest::sample::Index>(),
        bit in 0..8_u32,
        segments in segments(),
    ) {
        let mut sealer = FakeSealer::default();
        let mut octets: Vec<u8> = bodies.iter().flat_map(|body| sealer.frame(FrameKind::Last, body)).collect();
        let position = position.index(octets.len());
        octets[position] ^= 1 << bit;
        let mut decoder = decoder(&CLIENT, &SERVER);
        let mut reader = Reader::new(Interface::Owned);
        let mut rest = &octets[..];
        let mut ended = false;
        for length in segments.iter().cycle() {
            let (segment, behind) = rest.split_at((*length).min(rest.len()));
            ended = reader.read(&mut decoder, segment).is_err();
            rest = behind;
            if ended || rest.is_empty() {
                break;
            }
        }
        let sent: Vec<Event> = bodies.iter().map(|body| Event::message(&[body])).collect();
        prop_assert!(reader.events.len() < sent.len());
        prop_assert!(sent.starts_with(&reader.events));
        prop_assert!(ended || decoder.finish().is_err());
    }
}

#[test]
fn octets_that_come_one_by_one_are_decided_as_early_as_those_in_one_piece() {
    let config = ConnectionConfig::new(SocketType::Dealer);
    let octets = [&GREETING[..], &wire::ready("DEALER")].concat();
    let mut establish = Establish::new(&config, &NULL);
    for (at, octet) in octets.iter().enumerate() {
        establish.receive(&[*octet]);
        match establish.advance(NOW) {
            Outcome::Pending(next) => establish = next,
            Outcome::Ready(_) => {
                assert_eq!(at + 1, octets.len());
                return;
            }
            other => panic!("{other:?} after {at} octets"),
        }
    }
    panic!("the handshake is complete");
}

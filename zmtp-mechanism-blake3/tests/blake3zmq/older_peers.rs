//! Peers of older drafts of BLAKE3ZMQ, which have the same name in their greeting.

use zmtp_codec::{FrameHeader, FrameKind, Handshake as _, OpenError};
use zmtp_mechanism_blake3::Blake3Zmq;

use super::support::scripted::{ScriptedServer, agree, command, derive, transcript};
use super::support::suites::blake3zmq::Keys;
use super::support::{
    Blake3Session, HELLO_LENGTH, SERVER_SECRET, Tested as _, WELCOME_LENGTH, answered, asked, client,
    client_properties, completed, encoded, greeted, let_in, listening, open, refused, scripted_client, server,
    server_properties,
};

/// What both ends of a handshake derive the keys of frames from: `h4 ‖ dh2`.
type Ikm = Vec<u8>;

/// Our server after a handshake with a client written by hand.
fn our_server() -> (Blake3Session<Blake3Zmq>, Ikm) {
    let peer = scripted_client::<Blake3Zmq>();
    let hello = peer.hello().body();
    let (handshake, welcome) = answered(listening(&server()), &hello);
    let initiate = peer.initiate(&hello, &welcome, &encoded(&client_properties()));
    let (dh2, initiate) = (initiate.dh2, initiate.body());
    let (session, ready) = let_in(asked(handshake, &initiate).0);
    (session, [transcript::<Blake3Zmq>(&[&hello, &welcome, &initiate, &ready]), dh2].concat())
}

/// Our client after a handshake with a server written by hand.
fn our_client() -> (Blake3Session<Blake3Zmq>, Ikm) {
    let peer = ScriptedServer::<Blake3Zmq>::new(SERVER_SECRET);
    let (handshake, hello) = greeted(&client());
    let welcome = peer.welcome(&hello).body();
    let (handshake, initiate) = answered(handshake, &welcome);
    let ready = peer.ready([&hello, &welcome, &initiate], &encoded(&server_properties())).body();
    let dh2 = agree(&peer.open_hello(&hello), &peer.transient);
    (completed(handshake, &ready), [transcript::<Blake3Zmq>(&[&hello, &welcome, &initiate, &ready]), dh2].concat())
}

/// The first frame of a peer with this payload, sealed by `seal`, which is given the header.
fn frame(payload: &[u8], seal: impl FnOnce(&str) -> Vec<u8>) -> Vec<u8> {
    let header = FrameHeader::new(FrameKind::Last, (payload.len() + Blake3Zmq::TAG_LEN) as u64).encode();
    [&header, &seal(str::from_utf8(&header).unwrap())[..]].concat()
}

/// As BLAKE3ZMQ 1.0 seals it.
fn current(ikm: &Ikm, direction: &str, payload: &[u8]) -> Vec<u8> {
    let keys = Keys {
        encryption: derive::<Blake3Zmq, 32>(&format!("{direction} enc key"), &[ikm]),
        authentication: derive::<Blake3Zmq, 32>(&format!("{direction} auth key"), &[ikm]),
        nonce: derive::<Blake3Zmq, 8>(&format!("{direction} nonce"), &[ikm]),
    };
    frame(payload, |header| keys.seal(header, payload))
}

/// As the gem sealed it until 0.3: a box of its own for each message, under one key and a nonce that counts.
fn outdated(ikm: &Ikm, direction: &str, payload: &[u8]) -> Vec<u8> {
    let key = derive::<Blake3Zmq, 32>(&format!("{direction} key"), &[ikm]);
    let nonce = derive::<Blake3Zmq, 24>(&format!("{direction} nonce"), &[ikm]);
    frame(payload, |header| Blake3Zmq::make_box(&key, &nonce, header, payload))
}

/// K27: a peer that seals each message in a box of its own, as an older draft had it. The handshake was the same, so the
/// first frame is what shows it.
#[test]
fn a_peer_that_seals_message_by_message_gets_through_the_handshake_and_fails_with_its_first_frame() {
    let sides = [(our_server as fn() -> _, "client->server"), (our_client, "server->client")];
    for (side, direction) in sides {
        for payload in [&b""[..], b"x", b"the first message"] {
            let (mut session, ikm) = side();
            let opened = open::<Blake3Zmq>(&mut session.opener, &outdated(&ikm, direction, payload));
            assert_eq!(opened, Err(OpenError::Forged), "{direction}");
            // Nothing else is wrong with that peer, its keys or its header.
            let opened = open::<Blake3Zmq>(&mut session.opener, &current(&ikm, direction, payload));
            assert_eq!(opened, Ok((FrameKind::Last, payload.to_vec())), "{direction}");
        }
    }
}

/// K28: a peer of a still older draft, whose HELLO has 200 octets, and whose WELCOME 192.
#[test]
fn a_peer_of_the_draft_with_shorter_commands_is_refused_by_their_size() {
    let hello = command("HELLO", &[&[1, 0], &[0x7a; 32], &[0; 64], &[0x5e; 96]]);
    assert_eq!(hello.len(), 200);
    let handshake = listening(&server::<Blake3Zmq>());
    assert!(!handshake.body_len().contains(&200), "a connection refuses it from its header");
    assert_eq!(refused(handshake, &hello), HELLO_LENGTH);

    let welcome = command("WELCOME", &[&[0x5e; 184]]);
    assert_eq!(welcome.len(), 192);
    assert_eq!(refused(greeted(&client::<Blake3Zmq>()).0, &welcome), WELCOME_LENGTH);
}

//! What an attacker on the path can do to this suite and not to the other one, and what neither lets him do.

use zmtp_codec::{FrameKind, OpenError};
use zmtp_mechanism_blake3::{Blake3Zmq, ChachaPoly};

use super::support::{Pair, Tested, answered, client, cryptographic, greeted, listening, open, refused, seal, server};

/// What the server reads of these frames of the client, of which `pick` lets through some in some order.
fn received<S: Tested>(frames: &[(FrameKind, &[u8])], pick: &[usize]) -> Vec<Result<(FrameKind, Vec<u8>), OpenError>> {
    let Pair { mut client, mut server, .. } = Pair::<S>::usual();
    let sealed: Vec<_> = frames.iter().map(|(kind, payload)| seal(&mut client.sealer, *kind, payload)).collect();
    pick.iter().map(|&index| open(&mut server.opener, &sealed[index])).collect()
}

const THREE: [(FrameKind, &[u8]); 3] = [
    (FrameKind::Last, b"pay Alice one"),
    (FrameKind::Last, b"pay Bob one hundred"),
    (FrameKind::Last, b"pay nobody any more"),
];

/// K21 (frames swapped, repeated or dropped in transit): dropped.
///
/// The weakness that the documentation of `Blake3Zmq` begins with. `BLAKE3-CHACHAPOLY` notices at once.
#[test]
fn known_weakness_a_dropped_frame_goes_unnoticed_and_what_follows_verifies_and_is_garbage() {
    let received_garbage = received::<Blake3Zmq>(&THREE, &[1, 2]);
    for (result, (_, sent)) in received_garbage.iter().zip(&THREE[1..]) {
        let (kind, payload) = result.as_ref().expect("the tag verifies");
        assert_eq!((*kind, payload.len()), (FrameKind::Last, sent.len()));
        assert_ne!(payload, sent, "it is garbage");
    }
    assert_eq!(received::<ChachaPoly>(&THREE, &[1]), [Err(OpenError::Forged)]);
}

/// K21 (frames swapped, repeated or dropped in transit): swapped.
///
/// The garbage is known to whoever knows the plaintexts: two places of the keystream, and what was sent in one of them.
#[test]
fn known_weakness_swapped_frames_verify_and_are_what_the_attacker_can_compute() {
    let (one, other) = (b"thirteen octs".as_slice(), b"and as many!!".as_slice());
    let frames = [(FrameKind::Last, one), (FrameKind::Last, other)];
    let Pair { mut client, mut server, .. } = Pair::<Blake3Zmq>::usual();
    let sealed = frames.map(|(kind, payload)| seal(&mut client.sealer, kind, payload));
    let ciphertext = |index: usize| &sealed[index][2..15];
    let xor = |pieces: [&[u8]; 3]| -> Vec<u8> {
        pieces[0].iter().zip(pieces[1]).zip(pieces[2]).map(|((a, b), c)| a ^ b ^ c).collect()
    };
    let predicted = xor([ciphertext(1), ciphertext(0), one]);
    assert_eq!(open(&mut server.opener, &sealed[1]), Ok((FrameKind::Last, predicted)));
    let predicted = xor([ciphertext(0), ciphertext(1), other]);
    assert_eq!(open(&mut server.opener, &sealed[0]), Ok((FrameKind::Last, predicted)));
    assert_eq!(received::<ChachaPoly>(&frames, &[1]), [Err(OpenError::Forged)]);
}

/// K21 (frames swapped, repeated or dropped in transit): repeated.
#[test]
fn known_weakness_a_repeated_frame_verifies_and_is_garbage_and_so_is_what_follows() {
    let received_garbage = received::<Blake3Zmq>(&THREE, &[0, 0, 1]);
    assert_eq!(received_garbage[0], Ok((FrameKind::Last, THREE[0].1.to_vec())));
    for (result, (_, sent)) in received_garbage[1..].iter().zip(&THREE) {
        let (kind, payload) = result.as_ref().expect("the tag verifies");
        assert_eq!((*kind, payload.len()), (FrameKind::Last, sent.len()));
        assert_ne!(payload, sent, "it is garbage");
    }
    assert_eq!(received::<ChachaPoly>(&THREE, &[0, 0])[1], Err(OpenError::Forged));
}

/// K22: an empty frame that is played again.
#[test]
fn known_weakness_an_empty_frame_can_be_repeated_at_will() {
    let frames: [(FrameKind, &[u8]); 2] = [(FrameKind::More, b""), (FrameKind::Last, b"a request")];
    let delimiter = Ok((FrameKind::More, Vec::new()));
    let request = Ok((FrameKind::Last, b"a request".to_vec()));
    let expected = [delimiter.clone(), delimiter.clone(), delimiter.clone(), request];
    assert_eq!(received::<Blake3Zmq>(&frames, &[0, 0, 0, 1]), expected);
    assert_eq!(received::<ChachaPoly>(&frames, &[0, 0]), [delimiter, Err(OpenError::Forged)]);
}

/// A frame of the other direction, or of another session, has other keys.
#[test]
fn a_reflected_frame_does_not_verify() {
    let Pair { mut client, .. } = Pair::<Blake3Zmq>::usual();
    let sealed = seal(&mut client.sealer, FrameKind::Last, b"");
    assert_eq!(open(&mut client.opener, &sealed), Err(OpenError::Forged));
}

/// Two servers that are clones answer one HELLO, as one server answers it on two connections: the boxes are under one
/// keystream. `BLAKE3-CHACHAPOLY` draws a nonce.
#[test]
fn known_weakness_a_repeated_hello_is_answered_under_the_same_keystream() {
    let server = server::<Blake3Zmq>();
    let (first_client, hello) = greeted(&client::<Blake3Zmq>());
    let (_, first) = answered(listening(&server), &hello);
    let (_, second) = answered(listening(&server), &hello);
    assert_ne!(first, second);
    // The cookie comes back in the clear, with which what is secret of the first WELCOME but S' is known. It gives the
    // second one's away.
    let (_, initiate) = answered(first_client, &first);
    let cookie = &initiate[9..161];
    let (name, key) = (8, 32);
    let boxed = |welcome: &[u8]| welcome[name + key..name + key + 152].to_vec();
    let keystream: Vec<_> = boxed(&first).iter().zip(cookie).map(|(a, b)| a ^ b).collect();
    let second_cookie: Vec<_> = boxed(&second).iter().zip(keystream).map(|(a, b)| a ^ b).collect();

    let (second_client, same_hello) = greeted(&client::<Blake3Zmq>());
    assert_eq!(same_hello, hello);
    let (_, initiate) = answered(second_client, &second);
    assert_eq!(second_cookie, initiate[9..161]);
}

/// What lets other servers of this suite be played a whole recorded session: the key of cookies is shared, and everything
/// that a server needs is in the cookie. Ours remembers which cookie is whose.
#[test]
fn a_recorded_session_is_refused_on_another_connection() {
    let server = server::<Blake3Zmq>();
    let recorded = Pair::new(&client::<Blake3Zmq>(), &server);
    for _ in 0..2 {
        let (handshake, welcome) = answered(listening(&server), &recorded.hello);
        assert_ne!(welcome, recorded.welcome, "another transient key and cookie");
        assert_eq!(refused(handshake, &recorded.initiate), cryptographic("INITIATE"));
    }
}

/// Nor can the one cookie serve twice where both connections are open at once.
#[test]
fn an_initiate_is_good_for_the_connection_that_had_its_welcome_alone() {
    let server = server::<Blake3Zmq>();
    let (client, hello) = greeted(&client::<Blake3Zmq>());
    let (one, welcome) = answered(listening(&server), &hello);
    let (other, _) = answered(listening(&server), &hello);
    let (_, initiate) = answered(client, &welcome);
    assert_eq!(refused(other, &initiate), cryptographic("INITIATE"));
    super::support::asked(one, &initiate);
}

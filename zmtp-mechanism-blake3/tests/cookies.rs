//! What a recording is worth: nothing. The cookie ties an INITIATE to the connection whose WELCOME held it, and to its time.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use std::time::Duration;

use support::{
    CLIENT_SECRET, Pair, SERVER_SECRET, Tested, answered, answered_at, asked_at, client, cryptographic, greeted,
    handle, handle_at, key_pair, let_in, listening, on_each_suite, open, refused, refused_at, scripted,
    scripted_client, seal, server, welcomed,
};
use zmtp_codec::{Credentials, FrameKind, Handshake, MechanismError, OpenError, Progress};
use zmtp_mechanism_blake3::{ChachaPoly, Client, ClientHandshake, Server, ServerHandshake};

on_each_suite![
    a_recorded_session_is_refused_on_a_new_connection,
    a_recorded_session_is_refused_by_a_clone_of_the_server_also,
    a_recorded_session_is_refused_on_a_connection_that_is_busy_with_the_same_client,
    a_replayed_hello_gets_another_welcome,
    the_cookie_of_another_connection_is_refused,
    a_nonce_and_a_box_of_two_cookies_do_not_go_together,
    a_cookie_that_the_server_did_not_make_is_refused,
    a_cookie_of_another_server_is_refused,
    a_cookie_lives_on_under_the_key_before,
    a_cookie_expires_with_the_second_rotation,
    a_cookie_expires_also_when_nobody_else_comes,
    a_cookie_of_the_end_of_a_period_lives_for_one_more,
    a_connection_has_one_initiate,
];

/// A client and a server that draw from the operating system.
fn fresh<S: Tested>() -> (Client<S>, Server<S>) {
    let server = Server::new(key_pair(SERVER_SECRET));
    (Client::new(*key_pair(SERVER_SECRET).public_key(), key_pair(CLIENT_SECRET)), server)
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

// ─── recordings ──────────────────────────────────────────────────────────────────────────────────────────────────────

/// All that a client sent in a whole session, in the order of the wire.
struct Recording {
    hello: Vec<u8>,
    welcome: Vec<u8>,
    initiate: Vec<u8>,
    frames: Vec<Vec<u8>>,
}

fn record<S: Tested>(client: &Client<S>, server: &Server<S>) -> Recording {
    let mut pair = Pair::new(client, server);
    let frames: Vec<_> = [&b"transfer 100"[..], b"", b"again"]
        .iter()
        .map(|payload| seal::<S>(&mut pair.client.sealer, FrameKind::Last, payload))
        .collect();
    for frame in &frames {
        open::<S>(&mut pair.server.opener, frame).expect("the session itself was in order");
    }
    Recording { hello: pair.hello, welcome: pair.welcome, initiate: pair.initiate, frames }
}

/// Plays a recording to a connection for as far as it goes; what went wrong and after how many frames.
fn play<S: Tested>(handshake: ServerHandshake<S>, recording: &Recording) -> (MechanismError, usize) {
    let (handshake, _) = answered(handshake, &recording.hello);
    match handle(handshake, &recording.initiate) {
        (Err(error), sent) => {
            assert!(sent.is_empty());
            // No session, and so nobody to play the frames to.
            (error, 0)
        }
        (Ok(Progress::Authorize(handshake, claim)), _) => {
            let (mut session, _) = let_in(handshake);
            let opened = recording.frames.iter().filter(|frame| open::<S>(&mut session.opener, frame).is_ok()).count();
            panic!("{claim:?} is let in on a recording, and {opened} frames open");
        }
        (other, _) => panic!("{other:?}"),
    }
}

/// K09 (a recorded HELLO and INITIATE, or the cookie of another connection): the recording.
fn a_recorded_session_is_refused_on_a_new_connection<S: Tested>() {
    let (client, server) = fresh::<S>();
    let recording = record(&client, &server);
    for _ in 0..3 {
        assert_eq!(play(listening(&server), &recording), (cryptographic("INITIATE"), 0));
    }
    assert_eq!(server.half_open(), 0);
}

fn a_recorded_session_is_refused_by_a_clone_of_the_server_also<S: Tested>() {
    let (client, server) = fresh::<S>();
    let recording = record(&client, &server);
    assert_eq!(play(listening(&server.clone()), &recording), (cryptographic("INITIATE"), 0));
}

fn a_recorded_session_is_refused_on_a_connection_that_is_busy_with_the_same_client<S: Tested>() {
    let (client, server) = fresh::<S>();
    let recording = record(&client, &server);
    let (_, hello) = greeted(&client);
    let (handshake, _) = answered(listening(&server), &hello);
    assert_eq!(refused(handshake, &recording.initiate), cryptographic("INITIATE"));
}

fn a_replayed_hello_gets_another_welcome<S: Tested>() {
    let (client, server) = fresh::<S>();
    let recording = record(&client, &server);
    let (_, welcome) = answered(listening(&server), &recording.hello);
    assert_ne!(welcome, recording.welcome);
    let hello = scripted_client::<S>().hello().body();
    let [first, second] = [(), ()].map(|()| {
        let (_, welcome) = answered(listening(&server), &hello);
        scripted_client::<S>().open_welcome(&hello, &welcome)
    });
    assert_ne!(first.0, second.0, "S'");
    assert_ne!(first.1[..24], second.1[..24], "the cookie's nonce");
    assert_ne!(first.1[24..], second.1[24..], "the cookie");
}

/// Where two texts are encrypted with one key stream, the key stream falls out of their difference.
#[test]
fn a_replayed_hello_gets_a_welcome_under_another_key_stream() {
    let (_, server) = fresh::<ChachaPoly>();
    let client = scripted_client::<ChachaPoly>();
    let hello = client.hello().body();
    let [(nonce, text, plain), (other_nonce, other_text, other_plain)] = [(), ()].map(|()| {
        let (_, welcome) = answered(listening(&server), &hello);
        let (shown, cookie) = client.open_welcome(&hello, &welcome);
        (welcome[8..32].to_vec(), welcome[32..].to_vec(), [&shown[..], &cookie].concat())
    });
    let stream = |text: &[u8], plain: &[u8]| text.iter().zip(plain).map(|(a, b)| a ^ b).collect::<Vec<u8>>();
    assert_ne!(nonce, other_nonce);
    let (one, other) = (stream(&text, &plain), stream(&other_text, &other_plain));
    assert_eq!((one.len(), other.len()), (168, 168));
    for (one, other) in one.chunks(8).zip(other.chunks(8)) {
        assert_ne!(one, other);
    }
}

// ─── cookies of others ───────────────────────────────────────────────────────────────────────────────────────────────

/// What is said to an INITIATE that is in order but for its cookie. `cookies` are its own and another one of the server's.
fn with_cookie<S: Tested>(change: impl FnOnce([Vec<u8>; 2]) -> Vec<u8>) -> MechanismError {
    let (_, server) = fresh::<S>();
    let (_other, honest_other) = welcomed(&server);
    let (handshake, honest) = welcomed(&server);
    let initiate = scripted::Initiate { cookie: change([honest.cookie.clone(), honest_other.cookie]), ..honest };
    let body = initiate.body();
    assert_eq!(initiate.cookie.len(), 24 + 96 + S::TAG_LEN);
    refused(handshake, &body)
}

/// K09 (a recorded HELLO and INITIATE, or the cookie of another connection): the cookie.
fn the_cookie_of_another_connection_is_refused<S: Tested>() {
    assert_eq!(with_cookie::<S>(|[_, other]| other), cryptographic("INITIATE"));
}

fn a_nonce_and_a_box_of_two_cookies_do_not_go_together<S: Tested>() {
    let own_nonce = with_cookie::<S>(|[own, other]| [&own[..24], &other[24..]].concat());
    assert_eq!(own_nonce, cryptographic("INITIATE"));
    let own_box = with_cookie::<S>(|[own, other]| [&other[..24], &own[24..]].concat());
    assert_eq!(own_box, cryptographic("INITIATE"));
}

/// K10 (a cookie that was tampered with, or whose key was replaced twice): tampered with.
fn a_cookie_that_the_server_did_not_make_is_refused<S: Tested>() {
    for octet in [0x00, 0xa5, 0xff] {
        let all_forged = with_cookie::<S>(|[own, _]| vec![octet; own.len()]);
        assert_eq!(all_forged, cryptographic("INITIATE"));
        let only_the_box = with_cookie::<S>(|[own, _]| [&own[..24], &vec![octet; own.len() - 24]].concat());
        assert_eq!(only_the_box, cryptographic("INITIATE"));
    }
    // Sealed as it must be, with a key that anybody could guess.
    let guessed = with_cookie::<S>(|[own, _]| {
        let key = scripted::derive::<S, 32>("cookie", &[&[0; 32]]);
        let contents = [scripted::public(&[0x7a; 32]), [0x5e; 32], [0; 32]].concat();
        [&own[..24], &S::make_box(&key, own[..24].try_into().unwrap(), "COOKIE", &contents)].concat()
    });
    assert_eq!(guessed, cryptographic("INITIATE"));
}

fn a_cookie_of_another_server_is_refused<S: Tested>() {
    // Of the same keys, and with cookie keys of its own.
    let (_, elsewhere) = fresh::<S>();
    let (_, server) = fresh::<S>();
    let (_, there) = welcomed(&elsewhere);
    let (handshake, honest) = welcomed(&server);
    let initiate = scripted::Initiate { cookie: there.cookie, ..honest };
    assert_eq!(refused(handshake, &initiate.body()), cryptographic("INITIATE"));
}

// ─── time ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/// A server that has welcomed our client at this time, and the INITIATE it awaits.
fn welcomed_at<S: Tested>(server: &Server<S>, now: Duration) -> (ServerHandshake<S>, Vec<u8>) {
    let (client, hello) = greeted(&client::<S>());
    let (handshake, welcome) = answered_at(listening(server), &hello, now);
    let (_, initiate) = answered(client, &welcome);
    (handshake, initiate)
}

fn a_cookie_lives_on_under_the_key_before<S: Tested>() {
    for later in [seconds(0), seconds(59), seconds(60), seconds(119), Duration::from_millis(119_999)] {
        let (server, start) = (server::<S>(), seconds(1000));
        let (handshake, initiate) = welcomed_at(&server, start);
        if later >= seconds(60) {
            // This one's cookie is made under a new key.
            welcomed_at(&server, start + seconds(60));
        }
        asked_at(handshake, &initiate, start + later);
    }
}

/// K10 (a cookie that was tampered with, or whose key was replaced twice): replaced.
fn a_cookie_expires_with_the_second_rotation<S: Tested>() {
    let server = server::<S>();
    let (handshake, initiate) = welcomed_at(&server, seconds(0));
    welcomed_at(&server, seconds(60));
    welcomed_at(&server, seconds(120));
    assert_eq!(refused_at(handshake, &initiate, seconds(120)), cryptographic("INITIATE"));
}

fn a_cookie_expires_also_when_nobody_else_comes<S: Tested>() {
    for later in [seconds(120), seconds(121), seconds(100_000)] {
        let (handshake, initiate) = welcomed_at(&server::<S>(), seconds(7));
        assert_eq!(refused_at(handshake, &initiate, seconds(7) + later), cryptographic("INITIATE"));
    }
}

fn a_cookie_of_the_end_of_a_period_lives_for_one_more<S: Tested>() {
    for (at, taken) in [(seconds(119), true), (seconds(120), false)] {
        let server = server::<S>();
        // Half open still, so the second one has a cookie of the same key.
        let _first = welcomed_at(&server, seconds(0));
        let (handshake, initiate) = welcomed_at(&server, seconds(59));
        match handle_at(handshake, &initiate, at).0 {
            Ok(Progress::Authorize(_, claim)) => {
                assert!(taken);
                assert_eq!(claim.credentials, Credentials::PublicKey(scripted::public(&CLIENT_SECRET)));
            }
            Err(error) => assert!(!taken, "{error:?}"),
            other => panic!("{other:?}"),
        }
    }
}

// ─── one INITIATE ────────────────────────────────────────────────────────────────────────────────────────────────────

/// K14: a second INITIATE on the same connection.
fn a_connection_has_one_initiate<S: Tested>() {
    let (handshake, honest) = welcomed(&server::<S>());
    let initiate = honest.body();
    let (handshake, _) = support::asked(handshake, &initiate);
    let (mut session, _) = let_in(handshake);
    // What comes after it is a frame, and sealed by nobody.
    let header = zmtp_codec::FrameHeader::new(FrameKind::Command, initiate.len() as u64).encode();
    let frame = [&header, &initiate[..]].concat();
    assert_eq!(open::<S>(&mut session.opener, &frame), Err(OpenError::Forged));
}

/// A state that failed is gone, since `handle` takes it by value and there is no second one: the types do not implement
/// `Clone`. This does not compile if they do, since `id` is then that of two traits.
#[test]
fn a_handshake_cannot_be_copied_to_be_tried_twice() {
    trait Once<Kind> {
        fn id() {}
    }
    impl<T> Once<()> for T {}
    impl<T: Clone> Once<u8> for T {}
    <ServerHandshake<ChachaPoly> as Once<_>>::id();
    <ClientHandshake<ChachaPoly> as Once<_>>::id();
    fn consumes<H: Handshake>(_: fn(H, zmtp_codec::WireCommand<'_>, &mut zmtp_codec::Commands) -> Handled<H>) {}
    consumes::<ServerHandshake<ChachaPoly>>(Handshake::handle);
    consumes::<ClientHandshake<ChachaPoly>>(Handshake::handle);
}

type Handled<H> = Result<Progress<H>, MechanismError>;

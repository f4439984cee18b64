//! The shared CURVE vectors, made with libsodium: what must be on the wire octet for octet, and what must be refused.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use serde_json::Value;
use support::scripted::{self, ScriptedClient, ScriptedServer, agree, public};
use support::vectors::{Vectors, field};
use support::{
    CurveSession, HELLO_LENGTH, HELLO_PADDING, HELLO_VERSION, INITIATE_LENGTH, NO_MESSAGE, Pair, READY_LENGTH,
    SHORT_MESSAGE, WELCOME_LENGTH, answered, asked, client, completed, cryptographic, greeted, greeted_with, handle,
    judge, let_in, listening, listening_with, open, open_in, refused, seal, server,
};
use zmtp_codec::{Credentials, FrameHeader, FrameKind, Handshake, MechanismError, OpenError, Opener, Verdict};
use zmtp_mechanism_curve::{ClientHandshake, PublicKey, ServerHandshake};

// ─── stages of the vectors' handshake ────────────────────────────────────────────────────────────────────────────────

fn server_awaiting_hello(vectors: &Vectors) -> ServerHandshake {
    listening_with(&vectors.server(), &vectors.properties("server_metadata"))
}

fn server_awaiting_initiate(vectors: &Vectors) -> ServerHandshake {
    answered(server_awaiting_hello(vectors), &vectors.octets("commands/hello")).0
}

fn client_awaiting_welcome(vectors: &Vectors) -> ClientHandshake {
    greeted_with(&vectors.client(), &vectors.properties("client_metadata")).0
}

fn client_awaiting_ready(vectors: &Vectors) -> ClientHandshake {
    answered(client_awaiting_welcome(vectors), &vectors.octets("commands/welcome")).0
}

fn server_session(vectors: &Vectors) -> CurveSession {
    let_in(asked(server_awaiting_initiate(vectors), &vectors.octets("commands/initiate")).0).0
}

fn client_session(vectors: &Vectors) -> CurveSession {
    completed(client_awaiting_ready(vectors), &vectors.octets("commands/ready"))
}

/// A frame of the vectors as a connection takes it apart.
fn body_of(frame: &[u8]) -> (FrameKind, &[u8]) {
    let (header, header_len) = FrameHeader::decode(frame).unwrap().expect("a header");
    let body = &frame[header_len..];
    assert_eq!(header.size(), body.len() as u64);
    (header.kind(), body)
}

// ─── octet for octet ─────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn our_client_makes_the_hello_and_the_initiate_of_the_vectors() {
    let vectors = Vectors::load();
    let (handshake, hello) = greeted_with(&vectors.client(), &vectors.properties("client_metadata"));
    assert_eq!(hex::encode(hello), hex::encode(vectors.octets("commands/hello")));
    let (_, initiate) = answered(handshake, &vectors.octets("commands/welcome"));
    assert_eq!(hex::encode(&initiate), hex::encode(vectors.octets("commands/initiate")));
    assert_eq!(initiate[9..105], vectors.octets("commands/cookie"), "the cookie comes back as it was");
}

#[test]
fn our_server_makes_the_welcome_and_the_ready_of_the_vectors() {
    let vectors = Vectors::load();
    let (handshake, welcome) = answered(server_awaiting_hello(&vectors), &vectors.octets("commands/hello"));
    assert_eq!(hex::encode(welcome), hex::encode(vectors.octets("commands/welcome")));
    let (handshake, _) = asked(handshake, &vectors.octets("commands/initiate"));
    let (_, ready) = let_in(handshake);
    assert_eq!(hex::encode(ready), hex::encode(vectors.octets("commands/ready")));
}

#[test]
fn our_server_refuses_with_the_error_400_of_the_vectors() {
    let vectors = Vectors::load();
    let (handshake, _) = asked(server_awaiting_initiate(&vectors), &vectors.octets("commands/initiate"));
    let (result, sent) = judge(handshake, Verdict::deny());
    assert!(matches!(result, Err(MechanismError::Refused(refusal)) if refusal.status_code() == 400));
    assert_eq!(sent, [vectors.octets("commands/error_400")]);
}

#[test]
fn the_frames_of_the_vectors_are_the_commands_behind_our_headers() {
    let vectors = Vectors::load();
    for name in ["hello", "welcome", "initiate", "ready", "error_400"] {
        let body = vectors.octets(&format!("commands/{name}"));
        let header = FrameHeader::new(FrameKind::Command, body.len() as u64).encode();
        assert_eq!([&header, &body[..]].concat(), vectors.octets(&format!("frames/{name}")), "{name}");
    }
}

#[test]
fn each_side_learns_the_key_and_the_properties_of_the_other() {
    let vectors = Vectors::load();
    let (handshake, claim) = asked(server_awaiting_initiate(&vectors), &vectors.octets("commands/initiate"));
    assert_eq!(claim.credentials, Credentials::PublicKey(vectors.key("client_permanent_public")));
    assert_eq!(claim.properties, Some(vectors.properties("client_metadata")));
    let (server, _) = let_in(handshake);
    assert_eq!(server.public_key, Some(vectors.key("client_permanent_public")));
    assert_eq!(server.properties, vectors.properties("client_metadata"));
    assert!(server.encrypted);
    let client = client_session(&vectors);
    assert_eq!(client.public_key, Some(vectors.key("server_permanent_public")));
    assert_eq!(client.properties, vectors.properties("server_metadata"));
    assert!(client.encrypted);
    assert_eq!((server.opener.overhead(), client.opener.overhead()), (33, 33));
}

fn kind_of(message: &Value) -> FrameKind {
    match (message["more"].as_bool().unwrap(), message["command"].as_bool().unwrap()) {
        (false, false) => FrameKind::Last,
        (true, false) => FrameKind::More,
        (false, true) => FrameKind::Command,
        (true, true) => panic!("no kind of frame: {message}"),
    }
}

fn messages<'a>(vectors: &'a Vectors, direction: &str) -> Vec<&'a Value> {
    let messages: Vec<_> =
        vectors.list("messages").iter().filter(|message| message["direction"] == direction).collect();
    assert!(messages.len() >= 6);
    messages
}

/// Seals every message whose number follows the one before it; the numbers before the last one of all would take ages.
fn seal_all(mut session: CurveSession, messages: &[&Value], first: u64) -> u64 {
    let mut counter = first;
    for message in messages {
        if message["nonce"] == counter {
            let body = seal(&mut session.sealer, kind_of(message), &field(message, "plaintext"));
            assert_eq!(hex::encode(&body), hex::encode(field(message, "body")), "number {counter}");
            let header = FrameHeader::new(FrameKind::Last, body.len() as u64).encode();
            assert_eq!([&header, &body[..]].concat(), field(message, "frame"), "number {counter}");
            counter += 1;
        }
    }
    counter
}

#[test]
fn our_client_seals_the_messages_of_the_vectors() {
    let vectors = Vectors::load();
    let next = seal_all(client_session(&vectors), &messages(&vectors, "c2s"), 3);
    assert_eq!(next, 12, "3 to 11 were sealed");
}

#[test]
fn our_server_seals_the_messages_of_the_vectors() {
    let vectors = Vectors::load();
    let next = seal_all(server_session(&vectors), &messages(&vectors, "s2c"), 2);
    assert_eq!(next, 8, "2 to 7 were sealed");
}

fn open_all(mut session: CurveSession, messages: &[&Value]) {
    for message in messages {
        let (outer, _) = body_of(&field(message, "frame")).to_owned();
        let opened = open_in(&mut session.opener, outer, &field(message, "body"));
        assert_eq!(opened, Ok((kind_of(message), field(message, "plaintext"))), "{message}");
    }
}

#[test]
fn our_server_opens_the_messages_of_the_vectors() {
    let vectors = Vectors::load();
    let messages = messages(&vectors, "c2s");
    assert_eq!(messages.last().unwrap()["nonce"], u64::MAX);
    open_all(server_session(&vectors), &messages);
}

#[test]
fn our_client_opens_the_messages_of_the_vectors() {
    let vectors = Vectors::load();
    open_all(client_session(&vectors), &messages(&vectors, "s2c"));
}

// ─── the boxes, and with them the peers that the other tests write by hand ───────────────────────────────────────────

#[test]
fn the_boxes_of_the_scripted_peers_are_those_of_the_vectors() {
    let vectors = Vectors::load();
    let boxes = vectors.list("boxes");
    assert_eq!(boxes.len(), 22);
    for entry in boxes {
        let key = |name| <[u8; 32]>::try_from(field(entry, name)).unwrap();
        let salsa = agree(&key("recipient_public"), &key("sender_secret"));
        let nonce = field(entry, "nonce").try_into().unwrap();
        assert_eq!(scripted::seal(&salsa, &nonce, &field(entry, "plaintext")), field(entry, "box"), "{entry}");
        assert_eq!(scripted::open(&salsa, &nonce, &field(entry, "box")), Some(field(entry, "plaintext")), "{entry}");
    }
}

#[test]
fn the_cookie_of_our_server_is_the_secretbox_of_the_vectors() {
    let vectors = Vectors::load();
    let [cookie] = vectors.list("secretboxes") else { panic!("one secretbox") };
    // What the vectors' server draws, and so seals under.
    assert_eq!(field(cookie, "key"), vectors.key("cookie_key"));
    assert_eq!(field(cookie, "nonce")[8..], vectors.octets("keys/cookie_nonce16"));
    let contents = [vectors.key("client_transient_public"), vectors.key("server_transient_secret")].concat();
    assert_eq!(field(cookie, "plaintext"), contents);

    let (_, welcome) = answered(server_awaiting_hello(&vectors), &vectors.octets("commands/hello"));
    let client = ScriptedClient {
        server_key: vectors.key("server_permanent_public"),
        secret: vectors.key("client_permanent_secret"),
        transient: vectors.key("client_transient_secret"),
    };
    let (their_transient, made) = client.open_welcome(&welcome);
    assert_eq!(their_transient, vectors.key("server_transient_public"));
    assert_eq!(made[..16], field(cookie, "nonce")[8..]);
    assert_eq!(made[16..], field(cookie, "box"));
}

// ─── what must be refused ────────────────────────────────────────────────────────────────────────────────────────────

/// The frame of a negative vector.
fn negative(vectors: &Vectors, name: &str) -> Vec<u8> {
    let entry = vectors.list("negative").iter().find(|entry| entry["name"] == name);
    field(entry.unwrap_or_else(|| panic!("no negative vector {name:?}")), "frame")
}

/// Whether the connection lets the size pass, and why the handshake refuses the command.
fn refusal<H: Handshake>(handshake: H, frame: &[u8]) -> (bool, MechanismError) {
    let (kind, body) = body_of(frame);
    assert_eq!(kind, FrameKind::Command);
    (handshake.body_len().contains(&(body.len() as u64)), refused(handshake, body))
}

#[test]
fn the_negative_vectors_are_those_that_the_tests_here_know() {
    let vectors = Vectors::load();
    let known = [HELLOS.map(|(name, ..)| name).as_slice(), &WELCOMES.map(|(name, ..)| name)].concat();
    let known = [known, INITIATES.map(|(name, ..)| name).to_vec(), READYS.map(|(name, ..)| name).to_vec()].concat();
    let known = [known, MESSAGES.map(|(name, ..)| name).to_vec(), vec![SAME_COUNTER]].concat();
    let listed: Vec<_> = vectors.list("negative").iter().map(|entry| entry["name"].as_str().unwrap()).collect();
    assert_eq!(listed.len(), 24);
    for name in listed {
        assert!(known.contains(&name), "{name} is not tested");
    }
}

/// Name; whether the size is right; the error.
type Refused = (&'static str, bool, MechanismError);

const HELLOS: [Refused; 6] = [
    ("HELLO with 199 octets", false, HELLO_LENGTH),
    ("HELLO version 2.0", true, HELLO_VERSION),
    ("HELLO signature flipped", true, cryptographic("HELLO")),
    ("HELLO nonce flipped", true, cryptographic("HELLO")),
    ("HELLO signature over non-zero text", true, cryptographic("HELLO")),
    ("HELLO padding non-zero", true, HELLO_PADDING),
];

#[test]
fn the_bad_hellos_of_the_vectors_are_refused() {
    let vectors = Vectors::load();
    for (name, size, error) in HELLOS {
        assert_eq!(refusal(server_awaiting_hello(&vectors), &negative(&vectors, name)), (size, error), "{name}");
    }
}

// The size alone does not give a WELCOME away: an ERROR may have as many octets.
const WELCOMES: [Refused; 2] =
    [("WELCOME box flipped", true, cryptographic("WELCOME")), ("WELCOME 169 octets", true, WELCOME_LENGTH)];

#[test]
fn the_bad_welcomes_of_the_vectors_are_refused() {
    let vectors = Vectors::load();
    for (name, size, error) in WELCOMES {
        assert_eq!(refusal(client_awaiting_welcome(&vectors), &negative(&vectors, name)), (size, error), "{name}");
    }
}

const INITIATES: [Refused; 6] = [
    ("INITIATE cookie flipped", true, cryptographic("INITIATE")),
    ("INITIATE box flipped", true, cryptographic("INITIATE")),
    ("INITIATE 256 octets", false, INITIATE_LENGTH),
    ("INITIATE vouch for another C'", true, cryptographic("INITIATE")),
    ("INITIATE vouch for another S", true, cryptographic("INITIATE")),
    ("INITIATE vouch signed by another key", true, cryptographic("INITIATE")),
];

#[test]
fn the_bad_initiates_of_the_vectors_are_refused() {
    let vectors = Vectors::load();
    for (name, size, error) in INITIATES {
        assert_eq!(refusal(server_awaiting_initiate(&vectors), &negative(&vectors, name)), (size, error), "{name}");
    }
}

const SAME_COUNTER: &str = "INITIATE nonce equal to HELLO nonce";

#[test]
fn an_initiate_with_the_number_of_the_hello_is_accepted() {
    let vectors = Vectors::load();
    let frame = negative(&vectors, SAME_COUNTER);
    let (kind, body) = body_of(&frame);
    assert_eq!(kind, FrameKind::Command);
    let (handshake, claim) = asked(server_awaiting_initiate(&vectors), body);
    assert_eq!(claim.credentials, Credentials::PublicKey(vectors.key("client_permanent_public")));
    let_in(handshake);
}

const READYS: [Refused; 2] =
    [("READY box flipped", true, cryptographic("READY")), ("READY 29 octets", true, READY_LENGTH)];

#[test]
fn the_bad_readys_of_the_vectors_are_refused() {
    let vectors = Vectors::load();
    for (name, size, error) in READYS {
        assert_eq!(refusal(client_awaiting_ready(&vectors), &negative(&vectors, name)), (size, error), "{name}");
    }
}

const MESSAGES: [(&str, OpenError); 7] = [
    ("MESSAGE nonce not above the last one", OpenError::Sequence),
    ("MESSAGE with the other side's prefix (reflection)", OpenError::Forged),
    ("MESSAGE box without flags octet", SHORT_MESSAGE),
    ("MESSAGE inner flags 0x03 (COMMAND|MORE)", OpenError::InnerFlags { flags: 0x03 }),
    ("MESSAGE inner reserved bits 0x80", OpenError::InnerFlags { flags: 0x80 }),
    ("plaintext PING command", NO_MESSAGE),
    ("plaintext data frame", NO_MESSAGE),
];

#[test]
fn the_bad_messages_of_the_vectors_are_refused() {
    let vectors = Vectors::load();
    let first = field(messages(&vectors, "c2s")[0], "body");
    for (name, error) in MESSAGES {
        let frame = negative(&vectors, name);
        let (outer, body) = body_of(&frame);
        let mut session = server_session(&vectors);
        open(&mut session.opener, &first).unwrap();
        assert_eq!(open_in(&mut session.opener, outer, body), Err(error), "{name}");
    }
}

// ─── points of low order ─────────────────────────────────────────────────────────────────────────────────────────────

/// Each point of low order, and each with the bit set that X25519 ignores.
fn low_order_points() -> Vec<[u8; 32]> {
    let vectors = Vectors::load();
    let listed = vectors.list("low_order_points");
    assert_eq!(listed.len(), 7);
    let points = listed.iter().map(|point| support::vectors::octets(point).try_into().unwrap());
    points
        .flat_map(|point: [u8; 32]| {
            let mut with_top_bit = point;
            with_top_bit[31] |= 0x80;
            [point, with_top_bit]
        })
        .collect()
}

/// What the attack lives on: whatever its secret, who agrees with such a point agrees with everybody.
#[test]
fn anybody_opens_a_box_of_a_low_order_point() {
    let nonce = [7; 24];
    for point in low_order_points() {
        let boxed = scripted::seal(&agree(&point, &[1; 32]), &nonce, b"not secret");
        assert_eq!(scripted::open(&agree(&[0; 32], &[2; 32]), &nonce, &boxed).as_deref(), Some(&b"not secret"[..]));
    }
}

#[test]
fn a_low_order_transient_key_in_hello_is_refused() {
    let honest = ScriptedClient::new(public(&support::SERVER_SECRET));
    for point in low_order_points() {
        let hello = scripted::Hello { shown: point, salsa: agree(&point, &[1; 32]), ..honest.hello() };
        assert_eq!(refused(listening(&server()), &hello.body()), cryptographic("HELLO"), "{point:02x?}");
    }
}

#[test]
fn a_low_order_transient_key_in_welcome_is_refused() {
    let honest = ScriptedServer::new(support::SERVER_SECRET);
    for point in low_order_points() {
        let (handshake, hello) = greeted(&client());
        let welcome = scripted::Welcome { shown: point, ..honest.welcome(&honest.open_hello(&hello)) };
        assert_eq!(refused(handshake, &welcome.body()), cryptographic("WELCOME"), "{point:02x?}");
    }
}

#[test]
fn a_low_order_key_in_initiate_is_refused() {
    let honest = ScriptedClient::new(public(&support::SERVER_SECRET));
    for point in low_order_points() {
        let (handshake, welcome) = answered(listening(&server()), &honest.hello().body());
        let initiate = scripted::Initiate {
            shown: point,
            // Needs no secret key: this is how anybody would vouch for anything.
            vouch_salsa: agree(&point, &[1; 32]),
            ..honest.initiate(&welcome, b"")
        };
        assert_eq!(refused(handshake, &initiate.body()), cryptographic("INITIATE"), "{point:02x?}");
    }
}

#[test]
fn a_low_order_server_key_cannot_be_configured() {
    for point in low_order_points() {
        PublicKey::from_bytes(&point).unwrap_err();
    }
}

// ─── the vectors' peers with each other ──────────────────────────────────────────────────────────────────────────────

#[test]
fn our_client_and_our_server_make_the_whole_handshake_of_the_vectors() {
    let vectors = Vectors::load();
    let pair = Pair::with(
        &vectors.client(),
        &vectors.properties("client_metadata"),
        &vectors.server(),
        &vectors.properties("server_metadata"),
    );
    for (name, made) in
        [("hello", pair.hello), ("welcome", pair.welcome), ("initiate", pair.initiate), ("ready", pair.ready)]
    {
        assert_eq!(hex::encode(made), hex::encode(vectors.octets(&format!("commands/{name}"))), "{name}");
    }
}

#[test]
fn a_refused_hello_costs_the_server_no_randomness() {
    let vectors = Vectors::load();
    for (name, ..) in HELLOS {
        // Whatever this would draw, there is none.
        let server = vectors.server().with_entropy(support::queued([]));
        assert!(handle(listening(&server), body_of(&negative(&vectors, name)).1).0.is_err(), "{name}");
    }
}

//! What must be on the wire octet for octet, and what must be refused.

use zmtp_codec::{
    Credentials, FrameHeader, FrameKind, Handshake, Mechanism, MechanismError, OpenError, Opener as _, Progress, Role,
};
use zmtp_mechanism_blake3::{Blake3Zmq, ClientHandshake, ServerHandshake};

use super::data::{Vectors, body_of};
use super::support::{
    Blake3Session, HELLO_LENGTH, HELLO_PADDING, HELLO_VERSION, LONG_WINDED_FRAME, answered, asked, begin_between,
    completed, cryptographic, greeting_of, let_in, open, refused, seal,
};

// ─── stages of the vectors' handshake ────────────────────────────────────────────────────────────────────────────────

/// The handshake of one side, and the body that it sent at once.
fn begun<M: Mechanism>(vectors: &Vectors, mechanism: &M, side: [&str; 2], metadata: &str) -> (M::Handshake, Vec<u8>) {
    let [ours, theirs] = side.map(|side| vectors.greeting(side));
    match begin_between(mechanism, &vectors.properties(metadata), &ours, &theirs) {
        (Ok(Progress::NeedCommand(handshake)), sent) => (handshake, sent.concat()),
        other => panic!("{other:?}"),
    }
}

fn greeted(vectors: &Vectors) -> (ClientHandshake<Blake3Zmq>, Vec<u8>) {
    begun(vectors, &vectors.client(), ["client_greeting", "server_greeting"], "client_metadata")
}

fn server_awaiting_hello(vectors: &Vectors) -> ServerHandshake<Blake3Zmq> {
    let (handshake, sent) =
        begun(vectors, &vectors.server(), ["server_greeting", "client_greeting"], "server_metadata");
    assert_eq!(sent, b"");
    handshake
}

fn client_awaiting_welcome(vectors: &Vectors) -> ClientHandshake<Blake3Zmq> {
    greeted(vectors).0
}

fn server_awaiting_initiate(vectors: &Vectors) -> ServerHandshake<Blake3Zmq> {
    answered(server_awaiting_hello(vectors), &vectors.body("hello")).0
}

fn client_awaiting_ready(vectors: &Vectors) -> ClientHandshake<Blake3Zmq> {
    answered(client_awaiting_welcome(vectors), &vectors.body("welcome")).0
}

fn server_session(vectors: &Vectors) -> Blake3Session<Blake3Zmq> {
    let_in(asked(server_awaiting_initiate(vectors), &vectors.body("initiate")).0).0
}

fn client_session(vectors: &Vectors) -> Blake3Session<Blake3Zmq> {
    completed(client_awaiting_ready(vectors), &vectors.body("ready"))
}

// ─── octet for octet ─────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn the_greetings_of_the_vectors_are_ours() {
    let vectors = Vectors::load();
    for (side, role) in [("client_greeting", Role::Client), ("server_greeting", Role::Server)] {
        let name = vectors.client().name();
        assert_eq!(hex::encode(greeting_of(name, role)), hex::encode(vectors.greeting(side)), "{side}");
    }
}

/// The headers too: INITIATE has the long one, the others the short one.
#[test]
fn the_headers_of_the_vectors_are_those_in_front_of_our_bodies() {
    let vectors = Vectors::load();
    for (command, header_len) in [("hello", 2), ("welcome", 2), ("initiate", 9), ("ready", 2)] {
        let body = vectors.body(command);
        let header = FrameHeader::new(FrameKind::Command, body.len() as u64).encode();
        assert_eq!(header.len(), header_len);
        assert_eq!([&header, &body[..]].concat(), vectors.frame(command), "{command}");
    }
}

#[test]
fn our_client_makes_the_hello_and_the_initiate_of_the_vectors() {
    let vectors = Vectors::load();
    let (handshake, hello) = greeted(&vectors);
    assert_eq!(hex::encode(hello), hex::encode(vectors.body("hello")));
    let (_, initiate) = answered(handshake, &vectors.body("welcome"));
    assert_eq!(hex::encode(&initiate), hex::encode(vectors.body("initiate")));
    assert_eq!(initiate[9..161], vectors.octets("intermediate/cookie"), "the cookie comes back as it was");
}

#[test]
fn our_server_makes_the_welcome_and_the_ready_of_the_vectors() {
    let vectors = Vectors::load();
    let (handshake, welcome) = answered(server_awaiting_hello(&vectors), &vectors.body("hello"));
    assert_eq!(hex::encode(welcome), hex::encode(vectors.body("welcome")));
    let (handshake, _) = asked(handshake, &vectors.body("initiate"));
    let (_, ready) = let_in(handshake);
    assert_eq!(hex::encode(ready), hex::encode(vectors.body("ready")));
}

#[test]
fn each_side_learns_the_key_and_the_properties_of_the_other() {
    let vectors = Vectors::load();
    let (handshake, claim) = asked(server_awaiting_initiate(&vectors), &vectors.body("initiate"));
    assert_eq!(claim.credentials, Credentials::PublicKey(vectors.key("client_permanent_public")));
    assert_eq!(claim.properties, Some(vectors.properties("client_metadata")));
    let (server, _) = let_in(handshake);
    assert_eq!(server.public_key, Some(vectors.key("client_permanent_public")));
    assert_eq!(server.properties, vectors.properties("client_metadata"));
    let client = client_session(&vectors);
    assert_eq!(client.public_key, Some(vectors.key("server_permanent_public")));
    assert_eq!(client.properties, vectors.properties("server_metadata"));
    assert!(client.encrypted && server.encrypted);
    assert_eq!((client.opener.overhead(), server.opener.overhead()), (32, 32));
}

#[test]
fn our_sides_seal_and_open_the_frames_of_the_vectors_in_their_order() {
    let vectors = Vectors::load();
    let (mut client, mut server) = (client_session(&vectors), server_session(&vectors));
    let data = vectors.data();
    assert_eq!(data.len(), 21);
    for (number, data) in data.iter().enumerate() {
        let (from, to) = if data.to_server {
            (&mut client.sealer, &mut server.opener)
        } else {
            (&mut server.sealer, &mut client.opener)
        };
        let sealed = seal(from, data.kind, &data.plaintext);
        assert_eq!(hex::encode(sealed), hex::encode(&data.wire), "frame {number}");
        assert_eq!(open(to, &data.wire), Ok((data.kind, data.plaintext.clone())), "frame {number}");
    }
}

// ─── what must be refused ────────────────────────────────────────────────────────────────────────────────────────────

/// Name; whether the size lets it pass; the error.
type Refused = (&'static str, bool, MechanismError);

const HELLOS: [Refused; 5] = [
    ("hello: last tag octet flipped", true, cryptographic("HELLO")),
    ("hello: C' low order (all zero)", true, cryptographic("HELLO")),
    ("hello: body 231 octets", false, HELLO_LENGTH),
    ("hello: version 2.0 (box still valid)", true, HELLO_VERSION),
    // The specification leaves it to the server. No client is known that sends anything but zeros.
    ("hello: padding octet non-zero (box still valid)", true, HELLO_PADDING),
];
const WELCOMES: [Refused; 1] = [("welcome: first box octet flipped", true, cryptographic("WELCOME"))];
const INITIATES: [Refused; 3] = [
    ("initiate: cookie octet flipped", true, cryptographic("INITIATE")),
    ("initiate: cookie nonce flipped", true, cryptographic("INITIATE")),
    ("initiate: box octet flipped", true, cryptographic("INITIATE")),
];
const READYS: [Refused; 1] = [("ready: tag flipped", true, cryptographic("READY"))];
const FRAMES: [(&str, OpenError); 5] = [
    ("data: MORE bit flipped", OpenError::Forged),
    ("data: COMMAND bit set", OpenError::Forged),
    ("data: re-encoded as LONG", LONG_WINDED_FRAME),
    ("data: tag flipped", OpenError::Forged),
    ("data: body of 31 octets (shorter than a tag)", OpenError::Malformed("it is shorter than its tag")),
];

#[test]
fn the_negative_vectors_are_those_that_the_tests_here_know() {
    let handshakes = [HELLOS.as_slice(), &WELCOMES, &INITIATES, &READYS].concat().into_iter().map(|(name, ..)| name);
    let known: Vec<_> = handshakes.chain(FRAMES.map(|(name, _)| name)).collect();
    assert_eq!(Vectors::load().negative_names(), known);
}

/// Whether the connection lets the size pass, and why the handshake refuses the command.
fn refusal<H: Handshake>(handshake: H, frame: &[u8]) -> (bool, MechanismError) {
    let body = body_of(frame);
    (handshake.body_len().contains(&(body.len() as u64)), refused(handshake, &body))
}

fn are_refused<H: Handshake>(cases: &[Refused], awaiting: fn(&Vectors) -> H) {
    let vectors = Vectors::load();
    for (name, size, error) in cases {
        assert_eq!(refusal(awaiting(&vectors), &vectors.negative(name)), (*size, error.clone()), "{name}");
    }
}

#[test]
fn the_bad_commands_of_the_vectors_are_refused_and_not_answered() {
    are_refused(&HELLOS, server_awaiting_hello);
    are_refused(&WELCOMES, client_awaiting_welcome);
    are_refused(&INITIATES, server_awaiting_initiate);
    are_refused(&READYS, client_awaiting_ready);
}

#[test]
fn the_bad_frames_of_the_vectors_are_refused() {
    let vectors = Vectors::load();
    for (name, error) in FRAMES {
        assert_eq!(open(&mut server_session(&vectors).opener, &vectors.negative(name)), Err(error), "{name}");
    }
}

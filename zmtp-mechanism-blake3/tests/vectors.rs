//! The vectors of `BLAKE3-CHACHAPOLY`: what must be on the wire octet for octet, and what must be refused.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use std::time::Duration;

use chacha20poly1305::ChaCha20Poly1305;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use serde_json::Value;
use support::vectors::{Connection, Vectors, field, octets, text};
use support::{
    Blake3Session, HELLO_PADDING, HELLO_VERSION, begin_between, cryptographic, handle, handle_wire, judge, key_pair,
    let_in, open, seal,
};
use zmtp_codec::{
    Credentials, FrameHeader, FrameKind, Handshake, MechanismError, OpenError, Opener, Progress, Properties,
    SocketType, Verdict,
};
use zmtp_mechanism_blake3::{ChachaPoly, ClientHandshake, ServerHandshake};

// ─── stages of the vectors' handshakes ───────────────────────────────────────────────────────────────────────────────

/// A client that has sent this HELLO.
fn greeted(connection: &Connection<'_>) -> (ClientHandshake<ChachaPoly>, Vec<u8>) {
    let (ours, theirs) = (connection.greeting("client_greeting"), connection.greeting("server_greeting"));
    match begin_between(&connection.client(), &connection.properties("client_metadata"), &ours, &theirs) {
        (Ok(Progress::NeedCommand(handshake)), sent) => (handshake, framed(&sent)),
        other => panic!("{other:?}"),
    }
}

/// A server that awaits HELLO from a client with this greeting, and whose READY says this.
fn listening_between(
    connection: &Connection<'_>,
    client_greeting: &[u8; 64],
    properties: &Properties,
) -> ServerHandshake<ChachaPoly> {
    let ours = connection.greeting("server_greeting");
    match begin_between(&connection.server(), properties, &ours, client_greeting) {
        (Ok(Progress::NeedCommand(handshake)), sent) if sent.is_empty() => handshake,
        other => panic!("{other:?}"),
    }
}

fn listening(connection: &Connection<'_>) -> ServerHandshake<ChachaPoly> {
    let properties = connection.properties("server_metadata");
    listening_between(connection, &connection.greeting("client_greeting"), &properties)
}

/// The frames of bodies that were sent, one behind the other.
fn framed(bodies: &[Vec<u8>]) -> Vec<u8> {
    let frame =
        |body: &Vec<u8>| [&FrameHeader::new(FrameKind::Command, body.len() as u64).encode(), &body[..]].concat();
    bodies.iter().flat_map(frame).collect()
}

/// The next state and the frame that answers this command.
fn step<H: Handshake>(handshake: H, body: &[u8]) -> (Progress<H>, Vec<u8>) {
    let (result, sent) = handle(handshake, body);
    (result.unwrap(), framed(&sent))
}

fn sessions(connection: &Connection<'_>) -> [Blake3Session<ChachaPoly>; 2] {
    let (client, hello) = greeted(connection);
    assert_eq!(hex::encode(hello), hex::encode(connection.frame("hello")), "HELLO");
    let (Progress::NeedCommand(server), welcome) = step(listening(connection), &connection.body("hello")) else {
        panic!("no WELCOME")
    };
    assert_eq!(hex::encode(welcome), hex::encode(connection.frame("welcome")), "WELCOME");
    let (Progress::NeedCommand(client), initiate) = step(client, &connection.body("welcome")) else {
        panic!("no INITIATE")
    };
    assert_eq!(hex::encode(initiate), hex::encode(connection.frame("initiate")), "INITIATE");
    let (Progress::Authorize(server, claim), _) = step(server, &connection.body("initiate")) else {
        panic!("no claim")
    };
    assert_eq!(claim.properties, Some(connection.properties("client_metadata")));
    let (server, ready) = let_in(server);
    assert_eq!(hex::encode(framed(&[ready])), hex::encode(connection.frame("ready")), "READY");
    let (Progress::Complete(client), _) = step(client, &connection.body("ready")) else { panic!("no session") };
    [client, server]
}

// ─── octet for octet ─────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn our_client_and_our_server_make_every_handshake_of_the_vectors() {
    let vectors = Vectors::load();
    assert_eq!(vectors.connections().count(), 4);
    for connection in vectors.connections() {
        println!("{}", connection.name());
        let [client, server] = sessions(&connection);
        assert_eq!(client.public_key, Some(vectors.key("S")));
        assert_eq!(client.properties, connection.properties("server_metadata"));
        assert_eq!(server.public_key, Some(vectors.key("C")));
        assert_eq!(server.properties, connection.properties("client_metadata"));
        assert!(client.encrypted && server.encrypted);
        assert_eq!((client.opener.overhead(), server.opener.overhead()), (16, 16));
    }
}

#[test]
fn the_claim_is_the_clients_key_of_the_vectors() {
    let vectors = Vectors::load();
    let main = vectors.connection("main");
    let (Progress::NeedCommand(server), _) = step(listening(&main), &main.body("hello")) else { panic!() };
    let (Progress::Authorize(_, claim), _) = step(server, &main.body("initiate")) else { panic!() };
    assert_eq!(claim.credentials, Credentials::PublicKey(vectors.key("C")));
    assert_eq!(vectors.key("C"), *key_pair(vectors.client_secret()).public_key().as_bytes());
}

#[test]
fn a_ready_on_either_side_of_a_long_header_is_that_of_the_vectors() {
    let vectors = Vectors::load();
    let main = vectors.connection("main");
    for entry in vectors.list("ready_boundary") {
        let metadata = field(entry, "server_metadata");
        assert_eq!(metadata.len() as u64, entry["metadata_size"].as_u64().unwrap());
        let properties = Properties::decode(&metadata, Properties::DEFAULT_MAX_COUNT).unwrap();
        let server = listening_between(&main, &main.greeting("client_greeting"), &properties);
        let (Progress::NeedCommand(server), _) = step(server, &main.body("hello")) else { panic!() };
        let (Progress::Authorize(server, _), _) = step(server, &main.body("initiate")) else { panic!() };
        assert_eq!(hex::encode(framed(&[let_in(server).1])), hex::encode(field(entry, "ready")));
    }
}

/// The kind of a frame by its flags in the vectors.
fn kind_of(entry: &Value) -> FrameKind {
    match entry["flags"].as_array().unwrap().iter().map(|flag| flag.as_str().unwrap()).collect::<Vec<_>>()[..] {
        [] => FrameKind::Last,
        ["MORE"] => FrameKind::More,
        ["COMMAND"] => FrameKind::Command,
        _ => panic!("no kind of frame: {entry}"),
    }
}

/// Where a plaintext is not given in full, it is what the other side opens.
fn plaintext_of(entry: &Value) -> Option<Vec<u8>> {
    entry.get("plaintext").map(octets)
}

#[test]
fn our_sides_seal_and_open_every_frame_of_the_vectors_in_their_order() {
    let vectors = Vectors::load();
    for connection in vectors.connections() {
        let [mut client, mut server] = sessions(&connection);
        for entry in connection.value["data"].as_array().unwrap() {
            let what = format!("{}, {} {}", connection.name(), entry["direction"], entry["n"]);
            let (from, to) = match text(entry, "direction") {
                "c2s" => (&mut client.sealer, &mut server.opener),
                _ => (&mut server.sealer, &mut client.opener),
            };
            let size = usize::try_from(entry["size"].as_u64().unwrap()).unwrap();
            match (plaintext_of(entry), entry.get("frame").map(octets)) {
                (Some(plaintext), Some(frame)) => {
                    assert_eq!(plaintext.len(), size);
                    assert_eq!(hex::encode(seal(from, kind_of(entry), &plaintext)), hex::encode(&frame), "{what}");
                    assert_eq!(open(to, &frame), Ok((kind_of(entry), plaintext)), "{what}");
                }
                (None, Some(frame)) => {
                    let (kind, plaintext) = open(to, &frame).unwrap_or_else(|error| panic!("{what}: {error}"));
                    assert_eq!((kind, plaintext.len()), (kind_of(entry), size), "{what}");
                    assert_eq!(hex::encode(seal(from, kind, &plaintext)), hex::encode(&frame), "{what}");
                }
                _ => {
                    // Neither is given in full: any text of that size takes its number.
                    let frame = seal(from, kind_of(entry), &vec![0x5a; size]);
                    assert_eq!(hex::encode(&frame[..9]), text(entry, "aad"), "{what}");
                    assert_eq!(open(to, &frame), Ok((kind_of(entry), vec![0x5a; size])), "{what}");
                }
            }
        }
    }
}

/// Of the longest frames the vectors have a hash. What they must be, and frames of other sizes about the chunks and passes
/// of a cipher, is computed by another implementation of ChaCha20-Poly1305 under the keys that the vectors give.
#[test]
fn frames_of_many_sizes_are_those_of_another_cipher_under_the_keys_of_the_vectors() {
    let vectors = Vectors::load();
    let connection = vectors.connection("main");
    let [mut client, mut server] = sessions(&connection);
    let lens = [0_usize, 1, 63, 64, 65, 239, 240, 1023, 1024, 8127, 8128, 8129, 8191, 8192, 8193, 65_536, 100_001];
    for (number, len) in (0_u64..).zip(lens.into_iter().chain(lens.into_iter().rev())) {
        let plaintext: Vec<u8> = (0..len).map(|place| u8::try_from((7 * place + len) % 256).unwrap()).collect();
        for way in ["client->server", "server->client"] {
            let (from, to) = match way {
                "client->server" => (&mut client.sealer, &mut server.opener),
                _ => (&mut server.sealer, &mut client.opener),
            };
            let session = &connection.value["session"];
            let key: [u8; 32] = field(session, &format!("{way} key")).try_into().expect("32 octets");
            let mut nonce: [u8; 12] = field(session, &format!("{way} iv")).try_into().expect("12 octets");
            for (octet, number) in nonce[4..].iter_mut().zip(number.to_be_bytes()) {
                *octet ^= number;
            }
            let header = FrameHeader::new(FrameKind::More, (len + 16) as u64).encode();
            let payload = Payload { msg: &plaintext, aad: &header };
            let sealed = ChaCha20Poly1305::new(&key.into()).encrypt(&nonce.into(), payload).unwrap();
            let frame = [&header, &sealed[..]].concat();
            assert!(seal(from, FrameKind::More, &plaintext) == frame, "{way} {number} of {len}");
            assert!(open(to, &frame) == Ok((FrameKind::More, plaintext.clone())), "{way} {number} of {len}");
        }
    }
}

#[test]
fn our_server_opens_the_commands_of_the_vectors_as_they_are() {
    // What becomes of a command that opens is the connection's to say.
    let vectors = Vectors::load();
    for entry in vectors.list("command_frames") {
        let [_, mut server] = sessions(&vectors.connection("main"));
        let opened = open(&mut server.opener, &field(entry, "frame"));
        assert_eq!(opened, Ok((FrameKind::Command, field(entry, "plaintext"))), "{entry}");
    }
}

// ─── refused in the handshake ────────────────────────────────────────────────────────────────────────────────────────

/// Why a connection ends.
#[derive(Debug)]
enum End {
    /// What its header says is not for a mechanism to see.
    Header,
    /// The mechanism refused it.
    Mechanism(MechanismError),
    /// The session's opener refused it.
    Frame(OpenError),
    /// The application refused the client.
    Verdict,
    /// The mechanism took it; the properties are such that the connection does not.
    Properties,
}

/// The state of a side that frames of the vectors are given to.
enum Side<H: Handshake> {
    Handshake(H),
    Complete(Box<dyn Opener>),
}

/// Whether a connection of this socket goes on with a peer of these properties.
fn suits(own: SocketType, theirs: &Properties) -> Result<(), End> {
    let suits = theirs.socket_type().is_ok_and(|theirs| own.accepts(theirs)) && theirs.identity().is_ok();
    if suits { Ok(()) } else { Err(End::Properties) }
}

/// How a side goes about the frames of a case.
#[derive(Clone, Copy)]
struct Manner {
    own: SocketType,
    admit: bool,
    /// When it gets what comes after the first frame.
    later: Duration,
}

impl Manner {
    fn of(case: &Value, own: SocketType) -> Self {
        // Keys of cookies are replaced every 60 seconds.
        let later = match case.get("cookie_keys").and_then(Value::as_array) {
            None => Duration::ZERO,
            Some(keys) if octets(&keys[1]) == Vectors::load().key("cookie key K") => Duration::from_secs(60),
            Some(_) => Duration::from_secs(120),
        };
        Self { own, admit: case.get("authenticate").is_none(), later }
    }
}

/// Gives a frame to one side, as a connection does. The size is looked at here only to see that the connection would let
/// through whatever the mechanism accepts.
fn feed<H: Handshake>(side: Side<H>, frame: &[u8], now: Duration, manner: Manner) -> Result<(Side<H>, Vec<u8>), End> {
    let (header, header_len) = FrameHeader::decode(frame).map_err(|_| End::Header)?.ok_or(End::Header)?;
    let (header_octets, body) = frame.split_at(header_len);
    let handshake = match side {
        Side::Handshake(handshake) if header.kind() == FrameKind::Command => handshake,
        Side::Handshake(_) => return Err(End::Header),
        Side::Complete(mut opener) => {
            let mut body = body.to_vec();
            opener.open(header_octets, header.kind(), &mut body).map_err(End::Frame)?;
            return Ok((Side::Complete(opener), Vec::new()));
        }
    };
    let let_through = handshake.body_len().contains(&header.size());
    let (result, mut sent) = handle_wire(handshake, header_octets, body, now);
    if result.is_err() {
        assert!(sent.is_empty(), "{sent:02x?}");
    }
    let mut progress = result.map_err(End::Mechanism)?;
    assert!(let_through, "accepted, and of a size that no connection lets through");
    if let Progress::Authorize(handshake, claim) = progress {
        suits(manner.own, &claim.properties.expect("properties"))?;
        let (result, answer) = judge(handshake, if manner.admit { Verdict::accept() } else { Verdict::deny() });
        progress = result.map_err(|_| End::Verdict)?;
        sent.extend(answer);
    }
    let side = match progress {
        Progress::NeedCommand(handshake) => Side::Handshake(handshake),
        Progress::Complete(session) => {
            suits(manner.own, &session.properties)?;
            Side::Complete(Box::new(session.opener))
        }
        Progress::Authorize(..) => panic!("asked twice"),
    };
    Ok((side, framed(&sent)))
}

/// Feeds a case to one side. Every frame but the last must be accepted.
fn run<H: Handshake>(case: &Value, frames: &[Vec<u8>], handshake: H, own: SocketType) -> (Vec<Vec<u8>>, Option<End>) {
    let manner = Manner::of(case, own);
    let mut side = Side::Handshake(handshake);
    let mut replies = Vec::new();
    for (index, frame) in frames.iter().enumerate() {
        match feed(side, frame, if index == 0 { Duration::ZERO } else { manner.later }, manner) {
            Ok((next, sent)) => {
                side = next;
                replies.extend((!sent.is_empty()).then_some(sent));
            }
            Err(end) => {
                assert_eq!(index + 1, frames.len(), "{end:?} came early in {}", text(case, "name"));
                return (replies, Some(end));
            }
        }
    }
    (replies, None)
}

/// Whether `end` is what the reference calls by this name.
fn is(end: Option<&End>, reason: &Value) -> bool {
    let Some(end) = end else { return reason.is_null() };
    let mechanism = |expected: MechanismError| matches!(end, End::Mechanism(error) if *error == expected);
    match reason.as_str().expect("a reason") {
        "flags-command-more" | "flags-reserved" | "length-top-bit" | "not-a-command" => matches!(end, End::Header),
        "header-not-minimal" => match end {
            End::Mechanism(MechanismError::Malformed { problem, .. }) => {
                *problem == "its header is not the shortest one"
            }
            End::Frame(error) => *error == support::LONG_WINDED_FRAME,
            _ => false,
        },
        "hello-version" => mechanism(HELLO_VERSION),
        "hello-padding" => mechanism(HELLO_PADDING),
        "hello-size" => mechanism(support::HELLO_LENGTH),
        "welcome-size" => mechanism(support::WELCOME_LENGTH),
        "initiate-size" => mechanism(support::INITIATE_LENGTH),
        "ready-size" => mechanism(support::READY_LENGTH),
        "hello-box" | "hello-zeros" | "dh1-zero" => mechanism(cryptographic("HELLO")),
        "welcome-box" | "dh2-zero" => mechanism(cryptographic("WELCOME")),
        "cookie-of-another-connection" | "cookie-box" | "initiate-box" | "vouch-box" | "vouch-content" | "dh3-zero" => {
            mechanism(cryptographic("INITIATE"))
        }
        "ready-box" => mechanism(cryptographic("READY")),
        "unexpected-command" => matches!(end, End::Mechanism(MechanismError::UnexpectedCommand { .. })),
        "metadata-malformed" | "metadata-duplicate" | "metadata-too-many" => {
            matches!(end, End::Mechanism(MechanismError::Properties { .. }))
        }
        "identity-too-long" | "no-socket-type" | "socket-type" => matches!(end, End::Properties),
        "error-malformed" => matches!(end, End::Mechanism(MechanismError::Command(_))),
        "peer-error" => matches!(end, End::Mechanism(MechanismError::PeerError { .. })),
        "not-authorised" => matches!(end, End::Verdict),
        "frame-tag" => matches!(end, End::Frame(OpenError::Forged)),
        "body-short" => *end_of_frame(end) == OpenError::Malformed("it is shorter than its tag"),
        "counter" => *end_of_frame(end) == OpenError::Sequence,
        other => panic!("the vectors have a new reason: {other}"),
    }
}

fn end_of_frame(end: &End) -> &OpenError {
    match end {
        End::Frame(error) => error,
        _ => panic!("{end:?}"),
    }
}

#[test]
fn every_bad_handshake_of_the_vectors_ends_as_it_must() {
    let vectors = Vectors::load();
    let cases = vectors.list("negative_handshake");
    assert!(cases.len() >= 90);
    for case in cases {
        let connection = vectors.connection(text(case, "connection"));
        let frames: Vec<_> = case["feed"].as_array().unwrap().iter().map(|frame| vectors.frame(frame)).collect();
        let (replies, end) = if text(case, "role") == "client" {
            run(case, &frames, greeted(&connection).0, SocketType::Dealer)
        } else {
            let greeting = case.get("client_greeting").map_or_else(
                || connection.greeting("client_greeting"),
                |greeting| octets(greeting).try_into().expect("64 octets"),
            );
            let properties = connection.properties("server_metadata");
            let own = properties.socket_type().unwrap();
            run(case, &frames, listening_between(&connection, &greeting, &properties), own)
        };
        assert!(is(end.as_ref(), &case["reason"]), "{end:?} in {case}");
        let expected: Vec<_> = case["replies"].as_array().unwrap().iter().map(|frame| vectors.frame(frame)).collect();
        assert_eq!(replies, expected, "{}", text(case, "name"));
    }
}

// ─── refused after the handshake ─────────────────────────────────────────────────────────────────────────────────────

#[test]
fn every_bad_frame_of_the_vectors_ends_the_session_as_it_must() {
    let vectors = Vectors::load();
    let mut count = 0;
    for case in vectors.list("negative_data") {
        let [mut client, mut server] = sessions(&vectors.connection(text(case, "connection")));
        let (from, mut to) = match text(case, "direction") {
            "c2s" => (&mut client.sealer, server.opener),
            _ => (&mut server.sealer, client.opener),
        };
        // The one at the end of all numbers is with the cipher, which a test can set.
        let Some(before) = text(case, "n").parse::<u64>().ok().filter(|&before| before < 100) else { continue };
        count += 1;
        for _ in 0..before {
            open(&mut to, &seal(from, FrameKind::Last, b"")).unwrap();
        }
        for fed in case["feed"].as_array().unwrap() {
            let frame = field(fed, "frame");
            let end = match FrameHeader::decode(&frame) {
                Ok(Some(_)) => open(&mut to, &frame).err().map(End::Frame),
                _ => Some(End::Header),
            };
            if text(fed, "outcome") == "open" {
                assert!(end.is_none(), "{end:?} in {case}");
            } else {
                assert!(is(end.as_ref(), &fed["reason"]), "{end:?} in {case}");
                // Nothing is given to an opener after its error.
                break;
            }
        }
    }
    assert!(count >= 42, "{count}");
}

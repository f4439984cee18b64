//! Handshakes without a connection: ours against ours, and ours against peers written by hand (`scripted`).
#![allow(dead_code, unused_imports, unused_macros, reason = "every test file uses its own part of this")]

pub(crate) mod scripted;
pub(crate) mod suites;
pub(crate) mod vectors;

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use scripted::{ScriptedClient, ScriptedServer};
pub(crate) use suites::{Tested, on_each_suite};
use zmtp_codec::{
    Claim, Commands, FrameHeader, FrameKind, GREETING_LEN, Greeting, Handshake, HandshakeContext, Identity, Mechanism,
    MechanismError, MechanismName, OpenError, Opener, Progress, Properties, Role, Sealer, Session, SocketType, Verdict,
    WireCommand,
};
use zmtp_mechanism_blake3::{
    Blake3Opener, Blake3Sealer, Client, ClientHandshake, Entropy, KeyPair, SecretKey, Server, ServerHandshake,
};

pub(crate) type Blake3Session<S> = Session<Blake3Sealer<S>, Blake3Opener<S>>;
/// What a step of a handshake led to, and the bodies of the commands that it sent.
pub(crate) type Step<H> = (Result<Progress<H>, MechanismError>, Vec<Vec<u8>>);

/// The secret keys of the two sides in most tests.
pub(crate) const SERVER_SECRET: [u8; 32] = [0x51; 32];
pub(crate) const CLIENT_SECRET: [u8; 32] = [0xc1; 32];

pub(crate) fn key_pair(secret: [u8; 32]) -> KeyPair {
    KeyPair::from_secret(SecretKey::from_bytes(secret).unwrap())
}

/// The server of most tests. What it draws comes out the same in every run.
pub(crate) fn server<S: Tested>() -> Server<S> {
    Server::new(key_pair(SERVER_SECRET)).with_entropy(counting(0x20))
}

/// The client of most tests. What it draws comes out the same in every run.
pub(crate) fn client<S: Tested>() -> Client<S> {
    Client::new(*key_pair(SERVER_SECRET).public_key(), key_pair(CLIENT_SECRET)).with_entropy(counting(0x90))
}

/// Octets that differ from call to call and from position to position, the same in every run.
pub(crate) fn counting(start: u8) -> Entropy {
    let calls = AtomicU8::new(start);
    Entropy::danger_from_fn(move |octets| {
        let mut octet = calls.fetch_add(1, Ordering::Relaxed);
        for place in octets {
            *place = octet;
            octet = octet.wrapping_mul(5).wrapping_add(29);
        }
    })
}

/// The pieces in their order, each of which must be asked for with its own length, and no more than these.
pub(crate) fn queued(pieces: impl IntoIterator<Item = Vec<u8>>) -> Entropy {
    let queue: Mutex<VecDeque<_>> = Mutex::new(pieces.into_iter().collect());
    Entropy::danger_from_fn(move |octets| {
        let piece = queue.lock().unwrap().pop_front().expect("no more randomness was to be asked for");
        assert_eq!(octets.len(), piece.len(), "octets asked for");
        octets.copy_from_slice(&piece);
    })
}

pub(crate) fn client_properties() -> Properties {
    Properties::for_socket(SocketType::Dealer, &Identity::new("client-1").unwrap())
}

pub(crate) fn server_properties() -> Properties {
    Properties::for_socket(SocketType::Router, &Identity::ANONYMOUS)
}

pub(crate) fn encoded(properties: &Properties) -> Vec<u8> {
    let mut metadata = Vec::new();
    properties.encode(&mut metadata);
    metadata
}

/// Metadata of exactly `len` octets, in one property.
pub(crate) fn metadata_of(len: usize) -> Vec<u8> {
    let mut properties = Properties::new();
    if let Some(value_len) = len.checked_sub(1 + "X-Size".len() + 4) {
        properties.push("X-Size", vec![b'x'; value_len]).unwrap();
    }
    assert_eq!(properties.encoded_len(), len);
    encoded(&properties)
}

/// Metadata of `count` properties.
pub(crate) fn metadata_with(count: usize) -> Vec<u8> {
    let mut properties = Properties::new();
    for number in 0..count {
        properties.push(format!("X-{number}"), &b"v"[..]).unwrap();
    }
    encoded(&properties)
}

// ─── steps ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/// What a peer in this role sends first.
pub(crate) fn greeting_of(mechanism: MechanismName, role: Role) -> [u8; GREETING_LEN] {
    Greeting::new(mechanism, role.as_server()).to_bytes()
}

/// Begins a handshake.
pub(crate) fn begin<M: Mechanism>(mechanism: &M, properties: &Properties) -> Step<M::Handshake> {
    let ours = greeting_of(mechanism.name(), mechanism.role());
    let theirs = match mechanism.role() {
        Role::Client => greeting_of(mechanism.name(), Role::Server),
        _ => greeting_of(mechanism.name(), Role::Client),
    };
    begin_between(mechanism, properties, &ours, &theirs)
}

/// Begins a handshake after these greetings.
pub(crate) fn begin_between<M: Mechanism>(
    mechanism: &M,
    properties: &Properties,
    ours: &[u8; GREETING_LEN],
    theirs: &[u8; GREETING_LEN],
) -> Step<M::Handshake> {
    let mut out = Commands::new();
    let result = mechanism.start(HandshakeContext::new(ours, theirs, properties, Duration::ZERO), &mut out);
    (result, bodies(&out))
}

fn start<M: Mechanism>(mechanism: &M, properties: &Properties) -> (M::Handshake, Vec<Vec<u8>>) {
    match begin(mechanism, properties) {
        (Ok(Progress::NeedCommand(handshake)), sent) => (handshake, sent),
        other => panic!("{other:?}"),
    }
}

/// A client that has sent this HELLO.
pub(crate) fn greeted_with<S: Tested>(client: &Client<S>, properties: &Properties) -> (ClientHandshake<S>, Vec<u8>) {
    let (handshake, sent) = start(client, properties);
    (handshake, only(sent))
}

/// A client that has sent this HELLO, with the properties of most tests.
pub(crate) fn greeted<S: Tested>(client: &Client<S>) -> (ClientHandshake<S>, Vec<u8>) {
    greeted_with(client, &client_properties())
}

/// A server that has sent nothing yet.
pub(crate) fn listening_with<S: Tested>(server: &Server<S>, properties: &Properties) -> ServerHandshake<S> {
    let (handshake, sent) = start(server, properties);
    assert!(sent.is_empty(), "a server waits for HELLO");
    handshake
}

/// A server that has sent nothing yet, with the properties of most tests.
pub(crate) fn listening<S: Tested>(server: &Server<S>) -> ServerHandshake<S> {
    listening_with(server, &server_properties())
}

/// Hands over a command with this body, whatever its size.
pub(crate) fn handle<H: Handshake>(handshake: H, body: &[u8]) -> Step<H> {
    handle_at(handshake, body, Duration::ZERO)
}

/// Hands over a command with this body at this time.
pub(crate) fn handle_at<H: Handshake>(handshake: H, body: &[u8], now: Duration) -> Step<H> {
    let header = FrameHeader::new(FrameKind::Command, body.len() as u64).encode();
    handle_wire(handshake, &header, body, now)
}

/// Hands over a command behind this header at this time.
pub(crate) fn handle_wire<H: Handshake>(handshake: H, header: &[u8], body: &[u8], now: Duration) -> Step<H> {
    let wire = [header, body].concat();
    let mut out = Commands::new();
    let result = handshake.handle(WireCommand::new(&wire, header.len(), now), &mut out);
    (result, bodies(&out))
}

/// Why the command was refused. Nothing may be sent in reply.
pub(crate) fn refused<H: Handshake>(handshake: H, body: &[u8]) -> MechanismError {
    refused_at(handshake, body, Duration::ZERO)
}

/// Why the command was refused at this time. Nothing may be sent in reply.
pub(crate) fn refused_at<H: Handshake>(handshake: H, body: &[u8], now: Duration) -> MechanismError {
    let (result, sent) = handle_at(handshake, body, now);
    assert!(sent.is_empty(), "a refused command was answered with {sent:02x?}");
    result.expect_err("the command was accepted")
}

/// Hands over a command that a connection lets through, and that must be accepted.
fn accepted<H: Handshake>(handshake: H, body: &[u8], now: Duration) -> (Progress<H>, Vec<Vec<u8>>) {
    let sizes = handshake.body_len();
    assert!(sizes.contains(&(body.len() as u64)), "{} octets are outside {sizes:?}", body.len());
    let (result, sent) = handle_at(handshake, body, now);
    (result.expect("the command was refused"), sent)
}

/// The next state and the command that answers `body`.
pub(crate) fn answered<H: Handshake>(handshake: H, body: &[u8]) -> (H, Vec<u8>) {
    answered_at(handshake, body, Duration::ZERO)
}

/// The next state and the command that answers `body` at this time.
pub(crate) fn answered_at<H: Handshake>(handshake: H, body: &[u8], now: Duration) -> (H, Vec<u8>) {
    match accepted(handshake, body, now) {
        (Progress::NeedCommand(handshake), sent) => (handshake, only(sent)),
        other => panic!("{other:?}"),
    }
}

/// The next state and the claim that is to be judged. Nothing may be sent before.
pub(crate) fn asked<H: Handshake>(handshake: H, body: &[u8]) -> (H, Claim) {
    asked_at(handshake, body, Duration::ZERO)
}

/// The next state and the claim that is to be judged, at this time.
pub(crate) fn asked_at<H: Handshake>(handshake: H, body: &[u8], now: Duration) -> (H, Claim) {
    match accepted(handshake, body, now) {
        (Progress::Authorize(handshake, claim), sent) => {
            assert!(sent.is_empty(), "{sent:02x?} was sent before the verdict");
            (handshake, claim)
        }
        other => panic!("{other:?}"),
    }
}

/// The session that `body` leads to, with nothing more to send.
pub(crate) fn completed<H: Handshake>(handshake: H, body: &[u8]) -> Session<H::Sealer, H::Opener> {
    match accepted(handshake, body, Duration::ZERO) {
        (Progress::Complete(session), sent) => {
            assert!(sent.is_empty());
            session
        }
        other => panic!("{other:?}"),
    }
}

pub(crate) fn judge<H: Handshake>(handshake: H, verdict: Verdict) -> Step<H> {
    let mut out = Commands::new();
    let result = handshake.authorize(verdict, &mut out);
    (result, bodies(&out))
}

/// The session of a peer that was let in, and READY.
pub(crate) fn let_in<H: Handshake>(handshake: H) -> (Session<H::Sealer, H::Opener>, Vec<u8>) {
    match judge(handshake, Verdict::accept()) {
        (Ok(Progress::Complete(session)), sent) => (session, only(sent)),
        other => panic!("{other:?}"),
    }
}

/// The bodies of the frames, which must be commands with the shortest header.
fn bodies(commands: &Commands) -> Vec<Vec<u8>> {
    let mut rest = commands.as_slice();
    let mut bodies = Vec::new();
    while let Some((header, header_len)) = FrameHeader::decode(rest).unwrap() {
        assert_eq!(header.kind(), FrameKind::Command);
        assert_eq!(&*header.encode(), &rest[..header_len]);
        let end = header_len + usize::try_from(header.size()).unwrap();
        bodies.push(rest[header_len..end].to_vec());
        rest = &rest[end..];
    }
    assert!(rest.is_empty());
    bodies
}

fn only(mut sent: Vec<Vec<u8>>) -> Vec<u8> {
    assert_eq!(sent.len(), 1, "{sent:02x?}");
    sent.remove(0)
}

// ─── a whole handshake of ours with ours ─────────────────────────────────────────────────────────────────────────────

/// A finished handshake, and what was on the wire.
pub(crate) struct Pair<S: Tested> {
    pub(crate) client: Blake3Session<S>,
    pub(crate) server: Blake3Session<S>,
    pub(crate) claim: Claim,
    pub(crate) hello: Vec<u8>,
    pub(crate) welcome: Vec<u8>,
    pub(crate) initiate: Vec<u8>,
    pub(crate) ready: Vec<u8>,
}

impl<S: Tested> Pair<S> {
    /// The client and the server of most tests, the same in every run.
    pub(crate) fn usual() -> Self {
        Self::new(&client(), &server())
    }

    pub(crate) fn new(client: &Client<S>, server: &Server<S>) -> Self {
        Self::with(client, &client_properties(), server, &server_properties())
    }

    pub(crate) fn with(
        client: &Client<S>,
        client_properties: &Properties,
        server: &Server<S>,
        server_properties: &Properties,
    ) -> Self {
        let (client, hello) = greeted_with(client, client_properties);
        let (server, welcome) = answered(listening_with(server, server_properties), &hello);
        let (client, initiate) = answered(client, &welcome);
        let (server, claim) = asked(server, &initiate);
        let (server, ready) = let_in(server);
        let client = completed(client, &ready);
        Self { client, server, claim, hello, welcome, initiate, ready }
    }
}

// ─── ours against a peer written by hand ─────────────────────────────────────────────────────────────────────────────

/// The honest client of the server of most tests.
pub(crate) fn scripted_client<S: Tested>() -> ScriptedClient<S> {
    ScriptedClient::new(scripted::public(&SERVER_SECRET))
}

/// A server that awaits the scripted client's INITIATE, and that INITIATE.
pub(crate) fn welcomed<S: Tested>(server: &Server<S>) -> (ServerHandshake<S>, scripted::Initiate<S>) {
    let client = scripted_client::<S>();
    let hello = client.hello().body();
    let (handshake, welcome) = answered(listening(server), &hello);
    (handshake, client.initiate(&hello, &welcome, &encoded(&client_properties())))
}

/// A client that awaits the scripted server's READY, and that READY.
pub(crate) fn initiated<S: Tested>(client: &Client<S>) -> (ClientHandshake<S>, scripted::Ready<S>) {
    let server = ScriptedServer::<S>::new(SERVER_SECRET);
    let (handshake, hello) = greeted(client);
    server.open_hello(&hello);
    let welcome = server.welcome(&hello).body();
    let (handshake, initiate) = answered(handshake, &welcome);
    server.open_initiate(&hello, &welcome, &initiate);
    (handshake, server.ready([&hello, &welcome, &initiate], &encoded(&server_properties())))
}

// ─── frames of a session ─────────────────────────────────────────────────────────────────────────────────────────────

/// The frame that the wire shows.
pub(crate) fn seal<S: Tested>(sealer: &mut Blake3Sealer<S>, kind: FrameKind, payload: &[u8]) -> Vec<u8> {
    let plan = sealer.plan(kind, payload.len());
    assert_eq!(plan.kind(), kind);
    assert_eq!(plan.body_len(), payload.len() + S::TAG_LEN);
    let mut body = vec![0xee; plan.body_len()];
    let header = FrameHeader::new(kind, body.len() as u64).encode();
    sealer.seal(&header, kind, payload, &mut body).unwrap();
    [&header, &body[..]].concat()
}

/// What is in a frame that a connection would take in.
pub(crate) fn open<S: Tested>(opener: &mut Blake3Opener<S>, frame: &[u8]) -> Result<(FrameKind, Vec<u8>), OpenError> {
    let (header, header_len) = FrameHeader::decode(frame).unwrap().expect("a whole header");
    assert_eq!(header.size(), (frame.len() - header_len) as u64);
    open_behind(opener, &frame[..header_len], header.kind(), &frame[header_len..])
}

/// What is in a body behind this header. Where it is refused, nothing readable may be left of it.
pub(crate) fn open_behind<S: Tested>(
    opener: &mut Blake3Opener<S>,
    header: &[u8],
    kind: FrameKind,
    body: &[u8],
) -> Result<(FrameKind, Vec<u8>), OpenError> {
    let mut opened_body = body.to_vec();
    match opener.open(header, kind, &mut opened_body) {
        Ok(opened) => Ok((opened.kind(), opened_body[opened.payload()].to_vec())),
        Err(error) => {
            let wiped = opened_body.iter().all(|&octet| octet == 0);
            assert!(wiped || opened_body == body, "{error:?} left something else behind than what came");
            Err(error)
        }
    }
}

// ─── errors ──────────────────────────────────────────────────────────────────────────────────────────────────────────

pub(crate) const fn cryptographic(command: &'static str) -> MechanismError {
    MechanismError::Cryptographic { command }
}

pub(crate) fn unexpected(expected: &'static str, received: &str) -> MechanismError {
    MechanismError::unexpected(expected, received.as_bytes())
}

pub(crate) const fn malformed(command: &'static str, problem: &'static str) -> MechanismError {
    MechanismError::Malformed { command, problem }
}

/// A header that is longer than it needs to be.
pub(crate) const fn long_winded(command: &'static str) -> MechanismError {
    malformed(command, "its header is not the shortest one")
}

pub(crate) const HELLO_LENGTH: MechanismError = malformed("HELLO", "it has another length than a HELLO");
pub(crate) const HELLO_VERSION: MechanismError = malformed("HELLO", "the version is not 1.0");
pub(crate) const HELLO_PADDING: MechanismError = malformed("HELLO", "the padding is not zero");
pub(crate) const WELCOME_LENGTH: MechanismError = malformed("WELCOME", "it has another length than a WELCOME");
pub(crate) const INITIATE_LENGTH: MechanismError = malformed("INITIATE", "it is shorter than an INITIATE");
pub(crate) const READY_LENGTH: MechanismError = malformed("READY", "it is shorter than a READY");
pub(crate) const LONG_WINDED_FRAME: OpenError =
    OpenError::Malformed("its header is not the shortest one for its length");

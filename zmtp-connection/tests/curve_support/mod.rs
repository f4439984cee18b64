//! CURVE peers written by hand: commands put together octet by octet, boxes made by `crypto_box`, so that nothing of them
//! comes from the code under test.
#![allow(dead_code, reason = "every test file uses its own part of this")]

use crypto_box::SalsaBox;
use crypto_box::aead::AeadInPlace;
use zmtp_connection::codec::{SocketType, Verdict};
use zmtp_connection::proto::{Establish, Outcome};
use zmtp_connection::{ConnectionConfig, CurveClient, CurveServer, KeyPair, PublicKey, SecretKey};

use crate::support::{NOW, Ready, drain, give, pending, sent, split_frame, wire};

/// s
const SERVER: [u8; 32] = [0x51; 32];
/// c
const CLIENT: [u8; 32] = [0x3c; 32];
/// s' and c' of the peers written by hand.
const SERVER_TRANSIENT: [u8; 32] = [0x5e; 32];
const CLIENT_TRANSIENT: [u8; 32] = [0x7a; 32];
const COOKIE: [u8; 96] = [0x63; 96];

/// Octets of a MESSAGE beyond its payload.
pub(crate) const OVERHEAD: usize = 33;

/// Flags inside a MESSAGE.
pub(crate) const LAST: u8 = 0;
pub(crate) const MORE: u8 = 1;
pub(crate) const COMMAND: u8 = 2;

/// A ready connection of ours: both sides have the same type.
pub(crate) type Curve = Ready<CurveServer>;

pub(crate) fn keys(secret: [u8; 32]) -> KeyPair {
    KeyPair::from_secret(SecretKey::from_bytes(secret).unwrap())
}

/// Our server, known by the key of [`SERVER`].
pub(crate) fn server() -> CurveServer {
    CurveServer::new(keys(SERVER))
}

/// Our client, known by the key of [`CLIENT`], which expects [`server`].
pub(crate) fn client() -> CurveClient {
    client_with(CLIENT)
}

/// As [`client`], known by another key.
pub(crate) fn client_with(secret: [u8; 32]) -> CurveClient {
    CurveClient::new(PublicKey::from_bytes(&public(&SERVER)).unwrap(), keys(secret))
}

/// The public key of [`client`], and of the client written by hand.
pub(crate) fn client_key() -> [u8; 32] {
    public(&CLIENT)
}

pub(crate) fn server_key() -> [u8; 32] {
    public(&SERVER)
}

pub(crate) fn public(secret: &[u8; 32]) -> [u8; 32] {
    crypto_box::SecretKey::from(*secret).public_key().to_bytes()
}

/// Greetings of the two sides, of ZMTP 3.1.
pub(crate) const GREETING: [u8; 64] = wire::greeting("CURVE");
pub(crate) const SERVER_GREETING: [u8; 64] = wire::with(GREETING, 32, 1);

fn agree(public: &[u8; 32], secret: &[u8; 32]) -> SalsaBox {
    SalsaBox::new(&(*public).into(), &(*secret).into())
}

fn nonce(prefix: &[u8], rest: &[u8]) -> [u8; 24] {
    [prefix, rest].concat().try_into().unwrap()
}

fn seal(salsa: &SalsaBox, nonce: &[u8; 24], plain: &[u8]) -> Vec<u8> {
    let mut text = plain.to_vec();
    let tag = salsa.encrypt_in_place_detached(nonce.into(), &[], &mut text).unwrap();
    [&tag[..], &text].concat()
}

fn open(salsa: &SalsaBox, nonce: &[u8; 24], boxed: &[u8]) -> Vec<u8> {
    let (tag, text) = boxed.split_first_chunk::<16>().unwrap();
    let mut text = text.to_vec();
    salsa.decrypt_in_place_detached(nonce.into(), &[], &mut text, tag.into()).expect("the box does not open");
    text
}

/// The body of the only frame in `octets`.
fn body_of(octets: &[u8]) -> &[u8] {
    let (flags, body, rest) = split_frame(octets);
    assert!(flags & 4 != 0 && rest.is_empty(), "one command");
    body
}

/// The metadata of a socket of this type.
pub(crate) fn metadata(socket_type: &str) -> Vec<u8> {
    wire::property("Socket-Type", socket_type.as_bytes())
}

// ─── the peer as a client ────────────────────────────────────────────────────────────────────────────────────────────

/// The data of a client's HELLO.
pub(crate) fn hello_data() -> Vec<u8> {
    let counter = 1_u64.to_be_bytes();
    let boxed = seal(&agree(&server_key(), &CLIENT_TRANSIENT), &nonce(b"CurveZMQHELLO---", &counter), &[0; 64]);
    [&[1, 0][..], &[0; 72], &public(&CLIENT_TRANSIENT), &counter, &boxed].concat()
}

/// A client's HELLO.
pub(crate) fn hello() -> Vec<u8> {
    wire::command("HELLO", &hello_data())
}

/// A client's INITIATE for this WELCOME, with the number 2, and the session that follows if it is let in.
pub(crate) fn initiate(welcome: &[u8], metadata: &[u8]) -> (Vec<u8>, Session) {
    let body = body_of(welcome);
    assert_eq!((body.len(), &body[..8]), (168, &b"\x07WELCOME"[..]));
    let opened = open(&agree(&server_key(), &CLIENT_TRANSIENT), &nonce(b"WELCOME-", &body[8..24]), &body[24..]);
    let (their_transient, cookie) = opened.split_first_chunk::<32>().unwrap();
    let vouch_nonce = [0x76; 16];
    let vouch = seal(
        &agree(their_transient, &CLIENT),
        &nonce(b"VOUCH---", &vouch_nonce),
        &[public(&CLIENT_TRANSIENT), server_key()].concat(),
    );
    let salsa = agree(their_transient, &CLIENT_TRANSIENT);
    let counter = 2_u64.to_be_bytes();
    let plain = [&client_key()[..], &vouch_nonce, &vouch, metadata].concat();
    let boxed = seal(&salsa, &nonce(b"CurveZMQINITIATE", &counter), &plain);
    let frame = wire::command("INITIATE", &[cookie, &counter, &boxed].concat());
    (frame, Session { salsa, ours: b"CurveZMQMESSAGEC", theirs: b"CurveZMQMESSAGES", next: 3 })
}

// ─── the peer as a server ────────────────────────────────────────────────────────────────────────────────────────────

/// A server's WELCOME for this HELLO, and C'.
pub(crate) fn welcome(hello: &[u8]) -> (Vec<u8>, [u8; 32]) {
    let body = body_of(hello);
    assert_eq!((body.len(), &body[..8]), (200, &b"\x05HELLO\x01\x00"[..]));
    let their_transient: [u8; 32] = body[80..112].try_into().unwrap();
    let salsa = agree(&their_transient, &SERVER);
    assert_eq!(open(&salsa, &nonce(b"CurveZMQHELLO---", &body[112..120]), &body[120..]), [0; 64]);
    let plain = [&public(&SERVER_TRANSIENT)[..], &COOKIE].concat();
    let boxed = seal(&salsa, &nonce(b"WELCOME-", &[0x77; 16]), &plain);
    (wire::command("WELCOME", &[&[0x77; 16][..], &boxed].concat()), their_transient)
}

/// A server's READY with the number 1, and the session that follows.
pub(crate) fn ready(their_transient: &[u8; 32], metadata: &[u8]) -> (Vec<u8>, Session) {
    ready_numbered(1, their_transient, metadata)
}

/// A server's READY with another number.
pub(crate) fn ready_numbered(number: u64, their_transient: &[u8; 32], metadata: &[u8]) -> (Vec<u8>, Session) {
    let salsa = agree(their_transient, &SERVER_TRANSIENT);
    let counter = number.to_be_bytes();
    let boxed = seal(&salsa, &nonce(b"CurveZMQREADY---", &counter), metadata);
    let frame = wire::command("READY", &[&counter[..], &boxed].concat());
    (frame, Session { salsa, ours: b"CurveZMQMESSAGES", theirs: b"CurveZMQMESSAGEC", next: number + 1 })
}

// ─── traffic ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/// The peer's end of a session.
pub(crate) struct Session {
    salsa: SalsaBox,
    ours: &'static [u8; 16],
    theirs: &'static [u8; 16],
    /// The number of the next MESSAGE.
    pub(crate) next: u64,
}

/// What was in a MESSAGE.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sealed {
    pub(crate) counter: u64,
    pub(crate) flags: u8,
    pub(crate) payload: Vec<u8>,
}

impl Session {
    /// The body of a MESSAGE with this number.
    pub(crate) fn body(&self, counter: u64, flags: u8, payload: &[u8]) -> Vec<u8> {
        self.body_as(self.ours, counter, &[&[flags], payload].concat())
    }

    /// As the other side would have sealed it.
    pub(crate) fn reflected(&self, counter: u64, flags: u8, payload: &[u8]) -> Vec<u8> {
        message(&self.body_as(self.theirs, counter, &[&[flags], payload].concat()))
    }

    fn body_as(&self, prefix: &[u8; 16], counter: u64, plain: &[u8]) -> Vec<u8> {
        let counter = counter.to_be_bytes();
        let boxed = seal(&self.salsa, &nonce(prefix, &counter), plain);
        wire::command_body("MESSAGE", &[&counter[..], &boxed].concat())
    }

    /// A MESSAGE with this number.
    pub(crate) fn numbered(&self, counter: u64, payload: &[u8]) -> Vec<u8> {
        message(&self.body(counter, LAST, payload))
    }

    /// A MESSAGE with no room for flags.
    pub(crate) fn without_flags(&self) -> Vec<u8> {
        message(&self.body_as(self.ours, self.next, &[]))
    }

    /// The next MESSAGE.
    pub(crate) fn frame(&mut self, flags: u8, payload: &[u8]) -> Vec<u8> {
        self.next += 1;
        message(&self.body(self.next - 1, flags, payload))
    }

    /// The next MESSAGE, with a command in it.
    pub(crate) fn command(&mut self, name: &str, data: &[u8]) -> Vec<u8> {
        self.frame(COMMAND, &wire::command_body(name, data))
    }

    /// What the other side has sent: nothing but MESSAGEs, each in the form that the wire shows of every one.
    pub(crate) fn open_all(&self, mut octets: &[u8]) -> Vec<Sealed> {
        let mut all = Vec::new();
        while !octets.is_empty() {
            let (flags, body, rest) = split_frame(octets);
            assert_eq!(flags, if body.len() > 255 { 2 } else { 0 }, "the wire shows a message of one frame");
            assert_eq!(&body[..8], b"\x07MESSAGE");
            let plain = open(&self.salsa, &nonce(self.theirs, &body[8..16]), &body[16..]);
            let counter = u64::from_be_bytes(body[8..16].try_into().unwrap());
            all.push(Sealed { counter, flags: plain[0], payload: plain[1..].to_vec() });
            octets = rest;
        }
        all
    }
}

/// A frame with this body as MESSAGEs travel: message, no MORE.
pub(crate) fn message(body: &[u8]) -> Vec<u8> {
    wire::part(false, body)
}

// ─── cores of ours ───────────────────────────────────────────────────────────────────────────────────────────────────

/// Our server after the peer's HELLO, and its WELCOME.
pub(crate) fn welcomed<'a>(
    config: &'a ConnectionConfig,
    server: &'a CurveServer,
) -> (Establish<'a, CurveServer>, Vec<u8>) {
    let mut establish = pending(give(Establish::new(config, server), &[&GREETING[..], &hello()].concat()));
    let octets = sent(&mut establish);
    assert_eq!(octets[..64], SERVER_GREETING);
    (establish, octets[64..].to_vec())
}

/// Our client after the peer's greeting, and its HELLO.
pub(crate) fn greeted<'a>(
    config: &'a ConnectionConfig,
    client: &'a CurveClient,
) -> (Establish<'a, CurveClient>, Vec<u8>) {
    greeted_by(config, client, SERVER_GREETING)
}

/// As [`greeted`], with the peer's greeting.
pub(crate) fn greeted_by<'a>(
    config: &'a ConnectionConfig,
    client: &'a CurveClient,
    greeting: [u8; 64],
) -> (Establish<'a, CurveClient>, Vec<u8>) {
    let mut establish = pending(give(Establish::new(config, client), &greeting));
    let octets = sent(&mut establish);
    assert_eq!(octets[..64], GREETING);
    (establish, octets[64..].to_vec())
}

/// Our client after WELCOME, its INITIATE sent, and C'.
pub(crate) fn introduced<'a>(
    config: &'a ConnectionConfig,
    client: &'a CurveClient,
) -> (Establish<'a, CurveClient>, [u8; 32]) {
    let (establish, hello) = greeted(config, client);
    let (welcome, their_transient) = welcome(&hello);
    let mut establish = pending(give(establish, &welcome));
    assert_eq!(&body_of(&sent(&mut establish))[..9], b"\x08INITIATE");
    (establish, their_transient)
}

/// Our server, ready, with nothing waiting, and the peer's end.
pub(crate) fn ready_server(config: &ConnectionConfig, server: &CurveServer, peer: SocketType) -> (Curve, Session) {
    let (establish, welcome) = welcomed(config, server);
    let (initiate, session) = initiate(&welcome, &metadata(peer.as_str()));
    let Outcome::Authorize(authorize) = give(establish, &initiate) else { panic!("nobody was asked") };
    let Outcome::Ready(mut ready) = authorize.decide(Verdict::accept(), NOW) else { panic!("not ready") };
    drain(&mut ready.encoder);
    (ready, session)
}

/// Our client, ready, and the peer's end.
pub(crate) fn ready_client(
    config: &ConnectionConfig,
    client: &CurveClient,
    greeting: [u8; 64],
    peer: SocketType,
) -> (Curve, Session) {
    let (establish, hello) = greeted_by(config, client, greeting);
    let (welcome, their_transient) = welcome(&hello);
    let mut establish = pending(give(establish, &welcome));
    sent(&mut establish);
    let (ready, session) = ready(&their_transient, &metadata(peer.as_str()));
    let Outcome::Ready(ready) = give(establish, &ready) else { panic!("not ready") };
    (ready, session)
}

//! Each side of the handshake at each of its steps, and a peer written by hand in octets.
#![allow(dead_code, reason = "every test file uses its own part of this")]

use std::time::Duration;

use zmtp_codec::{
    Claim, ClearOpener, ClearSealer, Commands, GREETING_LEN, Greeting, Handshake, HandshakeContext, Identity,
    Mechanism, MechanismError, MechanismName, PlainCredentials, Progress, Properties, Session, SocketType, Verdict,
    WireCommand,
};
use zmtp_mechanism_plain::{ClientHandshake, PlainClient, PlainServer, ServerHandshake};

/// What a step has led to, and what goes out with it.
pub(crate) type Step<H> = (Result<Progress<H>, MechanismError>, Vec<u8>);

// The octets of libzmq 4.3.4, 4.3.5 and a later one, the same for all three: a DEALER called `me` with the username
// `admin` and the password `secret`, and a DEALER without a name as the server.

pub(crate) const HELLO: &[u8] = b"\x04\x13\x05HELLO\x05admin\x06secret";
pub(crate) const WELCOME: &[u8] = b"\x04\x08\x07WELCOME";
pub(crate) const INITIATE: &[u8] = b"\x04\x2e\x08INITIATE\x0bSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\x02me";
pub(crate) const READY: &[u8] = b"\x04\x29\x05READY\x0bSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\0";
pub(crate) const MISSPELT_400: &[u8] = b"\x04\x09\x5eRROR\x03400";
pub(crate) const MISSPELT_500: &[u8] = b"\x04\x09\x5eRROR\x03500";

pub(crate) fn credentials(username: impl AsRef<[u8]>, password: impl AsRef<[u8]>) -> PlainCredentials {
    PlainCredentials::new(username, password).unwrap()
}

pub(crate) fn admin() -> PlainCredentials {
    credentials("admin", "secret")
}

pub(crate) fn dealer(identity: &str) -> Properties {
    Properties::for_socket(SocketType::Dealer, &Identity::new(identity.to_owned()).unwrap())
}

/// The first step of a side with these properties.
pub(crate) fn start<M: Mechanism>(mechanism: &M, properties: &Properties) -> Step<M::Handshake> {
    let mut out = Commands::new();
    let greeting: [u8; GREETING_LEN] = Greeting::new(MechanismName::PLAIN, false).to_bytes();
    let cx = HandshakeContext::new(&greeting, &greeting, properties, Duration::ZERO);
    let progress = mechanism.start(cx, &mut out);
    (progress, out.as_slice().to_vec())
}

/// A step with a command of this body.
pub(crate) fn handle<H: Handshake>(handshake: H, body: &[u8]) -> Step<H> {
    let mut wire = match u8::try_from(body.len()) {
        Ok(len) => vec![4, len],
        Err(_) => [&[6][..], &(body.len() as u64).to_be_bytes()].concat(),
    };
    let header_len = wire.len();
    wire.extend_from_slice(body);
    let mut out = Commands::new();
    let progress = handshake.handle(WireCommand::new(&wire, header_len, Duration::ZERO), &mut out);
    (progress, out.as_slice().to_vec())
}

pub(crate) fn judge<H: Handshake>(handshake: H, verdict: Verdict) -> Step<H> {
    let mut out = Commands::new();
    let progress = handshake.authorize(verdict, &mut out);
    (progress, out.as_slice().to_vec())
}

/// Why a side refuses a command of this body. It says nothing about it.
pub(crate) fn refused<H: Handshake>(handshake: H, body: &[u8]) -> MechanismError {
    let (progress, out) = handle(handshake, body);
    assert!(out.is_empty(), "{out:?}");
    progress.unwrap_err()
}

pub(crate) fn next<H: Handshake>(step: Step<H>) -> (H, Vec<u8>) {
    match step {
        (Ok(Progress::NeedCommand(handshake)), out) => (handshake, out),
        (other, _) => panic!("{other:?}"),
    }
}

pub(crate) fn asked<H: Handshake>(step: Step<H>) -> (H, Claim) {
    match step {
        (Ok(Progress::Authorize(handshake, claim)), out) => {
            assert!(out.is_empty(), "nothing is said before the verdict");
            (handshake, claim)
        }
        (other, _) => panic!("{other:?}"),
    }
}

pub(crate) fn completed<H: Handshake<Sealer = ClearSealer, Opener = ClearOpener>>(
    step: Step<H>,
) -> (Session<ClearSealer, ClearOpener>, Vec<u8>) {
    match step {
        (Ok(Progress::Complete(session)), out) => (session, out),
        (other, _) => panic!("{other:?}"),
    }
}

// Each step, reached on the way that an honest peer takes.

pub(crate) fn awaiting_welcome() -> ClientHandshake {
    next(start(&PlainClient::new(admin()), &dealer("me"))).0
}

pub(crate) fn awaiting_ready() -> ClientHandshake {
    next(handle(awaiting_welcome(), &WELCOME[2..])).0
}

pub(crate) fn awaiting_hello() -> ServerHandshake {
    let (handshake, out) = next(start(&PlainServer::new(), &dealer("")));
    assert!(out.is_empty(), "a server speaks when it is spoken to");
    handshake
}

pub(crate) fn awaiting_verdict() -> ServerHandshake {
    asked(handle(awaiting_hello(), &HELLO[2..])).0
}

pub(crate) fn awaiting_initiate() -> ServerHandshake {
    next(judge(awaiting_verdict(), Verdict::accept())).0
}

/// The body of a HELLO.
pub(crate) fn hello(username: &[u8], password: &[u8]) -> Vec<u8> {
    let len = |field: &[u8]| [u8::try_from(field.len()).unwrap()];
    [b"\x05HELLO", &len(username)[..], username, &len(password), password].concat()
}

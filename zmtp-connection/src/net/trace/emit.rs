//! The events of the `tracing` crate.
//!
//! No field holds a password, a secret key or any of a message. What a peer has chosen (its username, the reason in its
//! ERROR) is escaped, so that it stays on its line and in its field.

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::{Level, debug, enabled, event, warn};
use zmtp_codec::{Credentials, MechanismError};

use super::Watch;
use crate::LibzmqEvent;
use crate::auth::PeerAddress;
use crate::error::{Chain, DecodeError, HandshakeCause, HandshakeError, RecvError};
use crate::peer::Peer;

const HANDSHAKE: &str = "zmtp::handshake";
const CONNECTION: &str = "zmtp::connection";
#[cfg(feature = "zap")]
const ZAP: &str = "zmtp::zap";

/// An event whose level is known only when it happens: a level is part of where an event is said.
macro_rules! at {
    ($level:expr, $target:expr, $($event:tt)*) => {
        match $level {
            Level::ERROR => event!(target: $target, Level::ERROR, $($event)*),
            Level::WARN => event!(target: $target, Level::WARN, $($event)*),
            _ => event!(target: $target, Level::INFO, $($event)*),
        }
    };
}

/// Says an event about a handshake, with the fields that all of them have.
macro_rules! not_complete {
    ($level:expr, $watch:expr, $cause:expr, $may_reconnect:expr, $libzmq:expr, $message:literal) => {
        at!(
            $level,
            HANDSHAKE,
            address = $watch.address.map(display),
            mechanism = %$watch.mechanism,
            stage = %$watch.stage,
            claim = claim(&$watch.claim).map(display),
            cause = %$cause,
            may_reconnect = $may_reconnect,
            libzmq = %$libzmq,
            $message
        )
    };
}

/// Said once in the life of a process: whoever has chosen PLAIN has chosen it for all connections.
pub(super) fn password_in_the_clear(address: Option<&PeerAddress>) {
    static SAID: AtomicBool = AtomicBool::new(false);
    if enabled!(target: HANDSHAKE, Level::WARN) && !SAID.swap(true, Ordering::Relaxed) {
        warn!(
            target: HANDSHAKE,
            address = address.map(display),
            mechanism = "PLAIN",
            "passwords travel in the clear, and not only on this machine; use CURVE or BLAKE3, or a protected stream"
        );
    }
}

pub(super) fn complete(watch: &Watch<'_>, peer: &Peer) {
    debug!(
        target: HANDSHAKE,
        address = watch.address.map(display),
        mechanism = %watch.mechanism,
        socket_type = %peer.socket_type(),
        claim = claim(&watch.claim).map(display),
        user = user(peer).map(display),
        "handshake complete"
    );
}

pub(super) fn failed(watch: &Watch<'_>, error: &HandshakeError) {
    let cause = error.cause();
    not_complete!(level(cause), watch, Chain(cause), error.may_reconnect(), error.libzmq_event(), "handshake failed");
}

/// The future was dropped: by a limiter, by somebody else, or by a panic (an authenticator's, most likely).
pub(super) fn given_up(watch: &Watch<'_>) {
    let (level, cause) = match CAUSE.get() {
        Some(cause) => (Level::INFO, cause),
        None if std::thread::panicking() => (Level::ERROR, "a panic; is it the authenticator's?"),
        None => (Level::INFO, "its future was dropped"),
    };
    not_complete!(level, watch, cause, true, LibzmqEvent::GIVEN_UP, "handshake given up");
}

/// A question that was put to us, and that we could not answer by asking the authenticator.
#[cfg(feature = "zap")]
pub(crate) fn zap_question_failed(ours: bool, cause: &str) {
    at!(if ours { Level::ERROR } else { Level::WARN }, ZAP, cause = %cause, "a ZAP request was not judged");
}

/// What follows for the peer is an event of its own.
#[cfg(feature = "zap")]
pub(crate) fn no_zap_answer(request: &crate::auth::AuthRequest, error: &crate::zap::ZapClientError) {
    event!(
        target: ZAP,
        Level::ERROR,
        address = request.address().map(display),
        mechanism = %request.mechanism(),
        domain = request.domain(),
        claim = claim(request.credentials()).map(display),
        cause = %Chain(error),
        libzmq = %error.libzmq_event(),
        "no answer from the ZAP handler"
    );
}

pub(in crate::net) fn receiving_failed(peer: &Peer, error: &RecvError) {
    let level = match error {
        RecvError::Protocol(DecodeError::Truncated) | RecvError::Io(_) | RecvError::Expired(_) => Level::INFO,
        RecvError::Protocol(_) => Level::WARN,
    };
    at!(
        level,
        CONNECTION,
        address = peer.address().map(display),
        mechanism = %peer.mechanism(),
        user = user(peer).map(display),
        cause = %Chain(error),
        "receiving failed"
    );
}

pub(in crate::net) fn sending_failed(peer: &Peer, error: &std::io::Error) {
    event!(
        target: CONNECTION,
        Level::INFO,
        address = peer.address().map(display),
        mechanism = %peer.mechanism(),
        user = user(peer).map(display),
        cause = %error,
        "sending failed"
    );
}

thread_local! {
    /// Why the handshake that is being dropped on this thread is.
    static CAUSE: Cell<Option<&'static str>> = const { Cell::new(None) };
    /// A handshake has begun on this thread.
    static BEGUN: Cell<bool> = const { Cell::new(false) };
}

/// A handshake has begun, and will say what becomes of it.
pub(super) fn begun() {
    BEGUN.set(true);
}

/// Whether a handshake has begun within a future that is limited.
#[derive(Debug, Default)]
pub(in crate::net) struct Begun(bool);

impl Begun {
    /// Looks out for it during one poll.
    pub(in crate::net) fn look_while<R>(&mut self, poll: impl FnOnce() -> R) -> R {
        let others = BEGUN.replace(false);
        let polled = poll();
        self.0 |= BEGUN.replace(others);
        polled
    }

    /// Drops the future. If a handshake is under way in it, that says why; one that has not begun (its stream is still busy
    /// with TLS, perhaps) cannot, and it is said here.
    pub(in crate::net) fn drop_because(&self, address: &PeerAddress, cause: &'static str, drop: impl FnOnce()) {
        CAUSE.set(Some(cause));
        drop();
        CAUSE.set(None);
        if !self.0 {
            event!(
                target: HANDSHAKE,
                Level::INFO,
                address = %address,
                cause = %cause,
                may_reconnect = true,
                libzmq = %LibzmqEvent::GIVEN_UP,
                "handshake not begun"
            );
        }
    }
}

/// How much an operator should care: least about what any peer may do at any time, most about what is wrong with us.
const fn level(cause: &HandshakeCause) -> Level {
    match cause {
        HandshakeCause::Closed
        | HandshakeCause::TimedOut { .. }
        | HandshakeCause::Io(_)
        // Scanners, browsers and peers of another age.
        | HandshakeCause::Greeting(_) => Level::INFO,
        HandshakeCause::NoAuthenticator
        | HandshakeCause::Mechanism(MechanismError::Local(_) | MechanismError::Misuse(_)) => Level::ERROR,
        _ => Level::WARN,
    }
}

/// Who the peer claims to be: its username or its public key, neither of them a secret.
const fn claim(credentials: &Credentials) -> Option<Claim<'_>> {
    match credentials {
        Credentials::Anonymous => None,
        shown => Some(Claim(shown)),
    }
}

struct Claim<'a>(&'a Credentials);

impl fmt::Display for Claim<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Credentials::Plain(plain) => write!(f, "username \"{}\"", plain.username().escape_ascii()),
            Credentials::PublicKey(key) => {
                f.write_str("public key ")?;
                key.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
            }
            other => write!(f, "{other:?}"),
        }
    }
}

fn user(peer: &Peer) -> Option<impl fmt::Display + '_> {
    peer.user_id().map(|user| user.escape_ascii())
}

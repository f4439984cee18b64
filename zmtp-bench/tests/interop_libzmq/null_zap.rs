//! Who is let in under NULL, where there is nothing to judge but the address: by our own verdict towards a libzmq, and by the
//! ZAP handler (RFC 27) of a libzmq that has a domain.
//!
//! Verdicts that come behind our READY, and the ends of both sides, are in `refusals`.

use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use zmtp_bench::peers::libzmq::{EventKind, SocketKind, SocketOption};
use zmtp_connection::codec::{Credentials, ErrorReason, MechanismName, SocketType, Verdict};
use zmtp_connection::{
    Authenticator, Connection, ConnectionConfig, HandshakeCause, HandshakeError, Null, Stage, decide,
};

use crate::events::{attempt, comes_back};
use crate::tap::{Record, Tap};
use crate::theirs::{ROLES, Role, Theirs, within};
use crate::zap_handler::{Answer, Handler};

/// A libzmq that is to come back does so after this long.
const RECONNECT_IVL: Duration = Duration::from_millis(10);
/// Where our READY overtakes the handler's answer, libzmq neither speaks nor closes before this has passed.
const HANDSHAKE_IVL: Duration = Duration::from_millis(300);

/// A client of libzmq's at a server of ours that asks before its READY.
async fn judged(judge: &impl Authenticator) -> (Result<Connection<TcpStream, Null>, HandshakeError>, Theirs) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let theirs = Theirs::new(SocketKind::Push);
    theirs.socket().set_reconnect_ivl(RECONNECT_IVL).unwrap();
    theirs.connect_to(&listener);
    let (stream, address) = within("libzmq", listener.accept()).await.unwrap();
    let config = ConnectionConfig::builder(SocketType::Pull).domain("tests").build().unwrap();
    let (judge, null) = (judge.at(address), Null::with_authorization());
    (within("the handshake", Connection::handshake_with(stream, &config, &null, &judge)).await, theirs)
}

#[tokio::test]
async fn a_libzmq_is_let_in_by_its_address() {
    let judge = decide(|request| {
        assert_eq!((request.mechanism(), request.domain()), (MechanismName::NULL, "tests"));
        assert_eq!((request.credentials(), request.properties()), (&Credentials::Anonymous, None));
        match request.address() {
            Some(address) if address.zap_text() == "127.0.0.1" => Verdict::accept_as("a neighbour"),
            _ => Verdict::deny(),
        }
    });
    let (ours, mut theirs) = judged(&judge).await;
    assert_eq!(ours.unwrap().peer().user_id_str(), Some("a neighbour"));
    assert_eq!(attempt(&mut theirs).await, [EventKind::Connected, EventKind::HandshakeSucceeded]);
}

/// An ERROR in place of READY is one to libzmq, and it does not come back after it; a plain close is for now.
#[tokio::test]
async fn each_refusal_of_ours_is_what_it_means_to_libzmq() {
    // EPIPE, or ECONNRESET where we close before we have read its READY.
    let broken = [32, 104].map(EventKind::HandshakeFailedNoDetail);
    for (verdict, outcomes, back) in [
        (Verdict::deny(), [EventKind::HandshakeFailedAuth(400); 2], false),
        (Verdict::internal_error(), [EventKind::HandshakeFailedAuth(500); 2], false),
        (Verdict::try_later(), broken, true),
    ] {
        let (result, mut theirs) = judged(&decide(|_| verdict.clone())).await;
        let error = result.unwrap_err();
        assert_eq!(error.stage(), Stage::Authorization);
        assert_eq!(error.may_reconnect(), back);
        let events = attempt(&mut theirs).await;
        let due = outcomes.map(|outcome| [EventKind::Connected, outcome, EventKind::Disconnected]);
        assert!(due.iter().any(|due| events == due), "{verdict:?}: {events:?}");
        assert_eq!(comes_back(&mut theirs).await, back, "{verdict:?}");
    }
}

/// A server of libzmq's that asks its handler, and all that went between it and us.
async fn asked(role: Role, answer: Answer) -> (Result<Connection<Tap, Null>, HandshakeError>, Record, Theirs) {
    let theirs = Theirs::new(SocketKind::Pull);
    theirs.socket().set_zap_domain("tests").unwrap();
    if answer.status == "300" {
        theirs.socket().set_handshake_ivl(HANDSHAKE_IVL).unwrap();
    }
    let mut handler = Handler::start(theirs.socket().context(), move |_| answer);
    let (stream, record) = Tap::new(theirs.meet(role).await);
    let config = ConnectionConfig::new(SocketType::Push);
    let result = within("the handshake", Connection::handshake(stream, &config, &Null::new())).await;
    // Without credentials the mechanism is the last frame.
    let due = [b"1.0".as_slice(), b"1", b"tests", b"127.0.0.1", b"", b"NULL"];
    assert_eq!(handler.asked().await, due);
    (result, record, theirs)
}

#[tokio::test]
async fn the_handler_is_asked_about_our_address() {
    for role in ROLES {
        let (ours, _, mut theirs) = asked(role, Answer::user("the user")).await;
        theirs.event(EventKind::HandshakeSucceeded).await;
        ours.unwrap().send("let in").await.unwrap();
        let part = theirs.recv_part().await;
        assert_eq!(part.body(), b"let in");
        assert_eq!(part.property("User-Id").as_deref(), Some("the user"));
    }
}

/// Unlike PLAIN, NULL has ERROR spelt right.
#[tokio::test]
async fn each_refusal_of_the_handler_is_what_it_means_to_us() {
    for role in ROLES {
        for (status, reason) in [
            ("300", None),
            ("400", Some(ErrorReason::AUTHENTICATION_FAILURE)),
            ("500", Some(ErrorReason::INTERNAL_ERROR)),
        ] {
            let (result, record, mut theirs) = asked(role, Answer::status(status)).await;
            theirs.event(EventKind::HandshakeFailedAuth(status.parse().unwrap())).await;
            let error = result.unwrap_err();
            assert_eq!(error.stage(), Stage::Mechanism);
            assert_eq!(error.peer_reason(), reason.as_ref());
            assert_eq!(error.may_reconnect(), reason.is_none());
            assert_eq!(record.shows(&[b"\x04\x0a\x05ERROR\x03", status.as_bytes()].concat()), reason.is_some());
            if reason.is_none() {
                assert!(matches!(error.cause(), HandshakeCause::Closed | HandshakeCause::Io(_)), "{error:?}");
            }
        }
    }
}

/// A domain without a handler keeps nobody out, unless libzmq is told to insist.
#[tokio::test]
async fn a_domain_without_a_handler_lets_us_in_unless_it_is_enforced() {
    for enforced in [false, true] {
        for role in ROLES {
            let mut theirs = Theirs::new(SocketKind::Pull);
            theirs.socket().set_zap_domain("tests").unwrap();
            // One that insists says nothing, and closes when this has passed.
            theirs.socket().set_handshake_ivl(HANDSHAKE_IVL).unwrap();
            theirs.socket().set_option_int(SocketOption::ZAP_ENFORCE_DOMAIN, i32::from(enforced)).unwrap();
            let result = theirs.handshake(role, &ConnectionConfig::new(SocketType::Push)).await;
            if enforced {
                let error = result.unwrap_err();
                assert!(matches!(error.cause(), HandshakeCause::Closed | HandshakeCause::Io(_)), "{error:?}");
                assert!(error.may_reconnect());
                theirs.event(EventKind::HandshakeFailedNoDetail(14)).await;
            } else {
                result.unwrap().send("let in").await.unwrap();
                assert_eq!(theirs.recv().await, [b"let in"]);
            }
        }
    }
}

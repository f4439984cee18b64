//! Peers that do not fit together, and who tries again afterwards.

use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use zmtp_bench::peers::libzmq::{EventKind, ProtocolError, SocketKind};
use zmtp_connection::codec::{Command, ErrorReason, MechanismError, MechanismName, Refusal, SocketType, Verdict};
use zmtp_connection::{AllowList, Connection, ConnectionConfig, HandshakeCause, HandshakeError, Null, Stage, decide};

use crate::raw;
use crate::theirs::{ROLES, Role, Theirs, accept, connect_to, kind_of, next_message};

/// A libzmq that is to come back does so after this long.
const RECONNECT_IVL: Duration = Duration::from_millis(10);
/// Time in which one that is not to come back could have done so again and again.
const QUIET: Duration = Duration::from_millis(600);

#[tokio::test]
async fn a_wrong_mechanism_is_refused_by_both_sides() {
    for role in ROLES {
        let mut theirs = Theirs::new(SocketKind::Dealer);
        theirs.socket().set_plain_server(true).unwrap();
        let error = theirs.handshake(role, &ConnectionConfig::new(SocketType::Dealer)).await.unwrap_err();
        theirs.event(EventKind::HandshakeFailedProtocol(ProtocolError::ZmtpMechanismMismatch)).await;
        assert_eq!(error.stage(), Stage::Greeting);
        // Our greeting comes in one piece, and libzmq closes on it with its own mechanism still unsent. Nothing tells this from a
        // peer that was restarted, so we may try again, though it will not help.
        assert!(matches!(error.cause(), HandshakeCause::Closed), "{error:?}");
        assert!(error.may_reconnect());
    }
}

/// The same with a peer that sends its whole greeting before it closes.
#[tokio::test]
async fn a_wrong_mechanism_is_named_in_the_error() {
    let (ours, theirs) = tcp().await;
    let greeting = zmtp_connection::codec::Greeting::new(MechanismName::PLAIN, true).to_bytes();
    let config = ConnectionConfig::new(SocketType::Dealer);
    let null = Null::new();
    let (result, answer) = tokio::join!(Connection::handshake(ours, &config, &null), raw::converse(theirs, &greeting));
    let error = result.unwrap_err();
    let HandshakeCause::MechanismMismatch { ours, theirs } = error.cause() else { panic!("{error:?}") };
    assert_eq!((*ours, *theirs), (MechanismName::NULL, MechanismName::PLAIN));
    assert!(!error.may_reconnect());
    // The whole greeting went out all the same, so that neither side waits for the other.
    assert_eq!(raw::commands(&answer), []);
}

#[tokio::test]
async fn every_wrong_socket_type_is_refused_by_both_sides() {
    for role in ROLES {
        for ours in SocketType::ALL {
            for theirs in [SocketType::Req, SocketType::Router, SocketType::Pub, SocketType::Pull, SocketType::Pair] {
                if !ours.accepts(theirs) {
                    wrong_socket_type(ours, theirs, role).await;
                }
            }
        }
    }
}

async fn wrong_socket_type(ours: SocketType, theirs: SocketType, role: Role) {
    let mut socket = Theirs::new(kind_of(theirs));
    let error = socket.handshake(role, &ConnectionConfig::new(ours)).await.unwrap_err();
    socket.event(EventKind::Disconnected).await;
    assert_incompatible(&error, ours, theirs);
}

#[track_caller]
fn assert_incompatible(error: &HandshakeError, our_type: SocketType, their_type: SocketType) {
    let HandshakeCause::Incompatible { ours, theirs } = error.cause() else { panic!("{error:?}") };
    assert_eq!((*ours, *theirs), (our_type, their_type));
    assert_eq!(error.stage(), Stage::Properties);
    assert!(!error.may_reconnect());
    assert_eq!(error.peer_reason(), None);
}

/// Two ends of a TCP connection.
async fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (one, other) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    (one.unwrap(), other.unwrap().0)
}

/// Unread octets make a careless close a reset, which would take our ERROR with it.
#[tokio::test]
async fn our_error_arrives_before_the_connection_closes() {
    for unread in [0, 10_000] {
        let (ours, theirs) = tcp().await;
        let mut octets = raw::introduction(SocketType::Pull);
        octets.resize(octets.len() + unread, 0);
        let config = ConnectionConfig::new(SocketType::Pub);
        let null = Null::new();
        let (result, answer) =
            tokio::join!(Connection::handshake(ours, &config, &null), raw::converse(theirs, &octets));
        assert_incompatible(&result.unwrap_err(), SocketType::Pub, SocketType::Pull);
        let ready = Command::Ready(config.properties().clone());
        assert_eq!(raw::commands(&answer), [ready, Command::Error(ErrorReason::INVALID_SOCKET_TYPE)]);
    }
}

/// A listener of ours, and a libzmq that connects to it and is quick to come back.
async fn callers(kind: SocketKind) -> (TcpListener, Theirs) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let theirs = Theirs::new(kind);
    theirs.socket().set_reconnect_ivl(RECONNECT_IVL).unwrap();
    theirs.connect_to(&listener);
    (listener, theirs)
}

/// Nobody calls for a while. The one wait here that nothing can end early.
async fn assert_nobody_calls(listener: &TcpListener) {
    assert!(timeout(QUIET, listener.accept()).await.is_err(), "libzmq came back");
}

#[tokio::test]
async fn a_libzmq_whose_type_we_refused_does_not_come_back() {
    let (listener, mut theirs) = callers(SocketKind::Pull).await;
    let config = ConnectionConfig::new(SocketType::Pub);
    let error = Connection::handshake(accept(&listener).await, &config, &Null::new()).await.unwrap_err();
    assert_incompatible(&error, SocketType::Pub, SocketType::Pull);
    theirs.event(EventKind::Disconnected).await;
    assert_nobody_calls(&listener).await;
}

/// Refuses a caller by verdict, in place of our READY.
async fn refuse(listener: &TcpListener, refusal: Refusal) -> HandshakeError {
    let config = ConnectionConfig::new(SocketType::Pull);
    let judge = decide(move |_| Verdict::Refuse(refusal.clone()));
    let null = Null::with_authorization();
    Connection::handshake_with(accept(listener).await, &config, &null, &judge).await.unwrap_err()
}

#[tokio::test]
async fn a_libzmq_that_we_deny_reports_it_and_does_not_come_back() {
    let (listener, mut theirs) = callers(SocketKind::Push).await;
    let error = refuse(&listener, Refusal::error(ErrorReason::AUTHENTICATION_FAILURE)).await;
    assert_eq!(error.stage(), Stage::Authorization);
    theirs.event(EventKind::HandshakeFailedAuth(400)).await;
    assert_nobody_calls(&listener).await;
}

/// Behind our READY its handshake is complete, and it heeds no ERROR any more.
#[tokio::test]
async fn a_libzmq_that_we_deny_late_takes_it_for_a_plain_close_and_comes_back() {
    let (listener, mut theirs) = callers(SocketKind::Push).await;
    let config = ConnectionConfig::new(SocketType::Pull);
    let (null, nobody) = (Null::new(), AllowList::default());
    for _ in 0..2 {
        let stream = accept(&listener).await;
        let error = Connection::handshake_with(stream, &config, &null, &nobody).await.unwrap_err();
        assert_eq!(error.stage(), Stage::Authorization);
        theirs.event(EventKind::HandshakeSucceeded).await;
    }
}

#[tokio::test]
async fn a_libzmq_that_we_send_away_silently_comes_back() {
    let (listener, mut theirs) = callers(SocketKind::Push).await;
    let error = refuse(&listener, Refusal::silent()).await;
    assert!(
        matches!(error.cause(), HandshakeCause::Mechanism(MechanismError::Refused(refusal)) if refusal.is_silent()),
        "{error:?}"
    );
    let config = ConnectionConfig::new(SocketType::Pull);
    let mut ours = Connection::handshake(accept(&listener).await, &config, &Null::new()).await.unwrap();
    theirs.event(EventKind::HandshakeSucceeded).await;
    theirs.send(&["at the second attempt"]).await;
    assert_eq!(next_message(&mut ours).await, [b"at the second attempt"]);
}

/// libzmq's own refusal, by its ZAP handler's word: the other direction of the above.
#[tokio::test]
async fn a_libzmq_that_denies_us_tells_us_so() {
    for (status, reconnect) in [("400", false), ("500", false), ("300", true)] {
        let mut theirs = Theirs::new(SocketKind::Pull);
        let handler = theirs.socket().context().socket(SocketKind::Rep).unwrap();
        handler.bind("inproc://zeromq.zap.01").unwrap();
        theirs.socket().set_zap_domain("tests").unwrap();
        // Where our READY overtakes the answer 300, libzmq neither speaks nor closes before this has passed.
        theirs.socket().set_handshake_ivl(Duration::from_millis(500)).unwrap();
        let answer = tokio::task::spawn_blocking(move || {
            let request = handler.recv().unwrap();
            handler.send(&[b"1.0", &request[1], status.as_bytes(), b"", b"", b""]).unwrap();
            handler
        });
        let result = theirs.handshake(Role::WeConnect, &ConnectionConfig::new(SocketType::Push)).await;
        let _handler = answer.await.unwrap();
        let error = result.unwrap_err();
        assert_eq!(error.stage(), Stage::Mechanism);
        assert_eq!(error.may_reconnect(), reconnect, "{status}: {error:?}");
        if reconnect {
            assert!(matches!(error.cause(), HandshakeCause::Closed | HandshakeCause::Io(_)), "{error:?}");
        } else {
            assert_eq!(error.peer_reason().unwrap().as_bytes(), status);
        }
        theirs.event_where(|event| matches!(event.kind, EventKind::HandshakeFailedAuth(_))).await.unwrap();
    }
}

/// One that is accepted by the same way is let in.
#[tokio::test]
async fn a_libzmq_that_asks_its_zap_handler_lets_us_in() {
    let mut theirs = Theirs::new(SocketKind::Pull);
    let handler = theirs.socket().context().socket(SocketKind::Rep).unwrap();
    handler.bind("inproc://zeromq.zap.01").unwrap();
    theirs.socket().set_zap_domain("tests").unwrap();
    let endpoint = theirs.socket().bind("tcp://127.0.0.1:*").unwrap();
    let answer = tokio::task::spawn_blocking(move || {
        let request = handler.recv().unwrap();
        assert_eq!(request[5], b"NULL");
        handler.send(&[b"1.0", &request[1], b"200", b"", b"the user", b""]).unwrap();
        handler
    });
    let config = ConnectionConfig::new(SocketType::Push);
    let mut ours = Connection::handshake(connect_to(&endpoint).await, &config, &Null::new()).await.unwrap();
    let _handler = answer.await.unwrap();
    ours.send("let in").await.unwrap();
    let part = theirs.recv_part().await;
    assert_eq!(part.body(), b"let in");
    assert_eq!(part.property("User-Id").as_deref(), Some("the user"));
}

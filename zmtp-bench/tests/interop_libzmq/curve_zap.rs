//! A client of ours at a server of libzmq's that asks a ZAP handler (RFC 27): what the handler is asked, and what each of its
//! answers is to us.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::{JoinHandle, spawn_blocking};
use zmtp_bench::peers::libzmq::{EventKind, Socket, SocketKind};
use zmtp_connection::codec::SocketType;
use zmtp_connection::{Connection, ConnectionConfig, CurveClient, HandshakeCause, HandshakeError, Stage};

use crate::security::{Role, THEY, WE, equip_server};
use crate::theirs::{Theirs, within};

type Ours = Connection<TcpStream, CurveClient>;

/// After the answer 300, libzmq 4.3.5 neither speaks nor closes before the time for its handshake is over (30 s unless set,
/// which is also how long we wait).
const HANDSHAKE_IVL: Duration = Duration::from_millis(300);

/// A server of libzmq's, and a handler for its questions.
fn server() -> (Theirs, Socket) {
    let theirs = Theirs::new(SocketKind::Pull);
    let handler = theirs.socket().context().socket(SocketKind::Rep).unwrap();
    handler.bind("inproc://zeromq.zap.01").unwrap();
    theirs.socket().set_zap_domain("tests").unwrap();
    theirs.socket().set_handshake_ivl(HANDSHAKE_IVL).unwrap();
    equip_server(theirs.socket(), &THEY);
    (theirs, handler)
}

/// Answers one question with this status and user, and gives it back with the handler.
fn answer(handler: Socket, status: &'static str, user: &'static str) -> JoinHandle<(Socket, Vec<Vec<u8>>)> {
    spawn_blocking(move || {
        let request = handler.recv().unwrap();
        let status_text = if status == "200" { "OK" } else { "no" };
        let reply = [b"1.0", request[1].as_slice(), status.as_bytes(), status_text.as_bytes(), user.as_bytes(), b""];
        handler.send(&reply).unwrap();
        (handler, request)
    })
}

async fn handshake(theirs: &Theirs, role: Role, config: &ConnectionConfig) -> Result<Ours, HandshakeError> {
    let stream = theirs.meet(role).await;
    let client = CurveClient::new(THEY.public(), Arc::clone(&WE.ours));
    within("the handshake", Connection::handshake(stream, config, &client)).await
}

/// RFC 27: version, number, domain, address, identity, mechanism, and for CURVE the client's key in 32 octets.
#[tokio::test]
async fn the_handler_is_asked_about_our_key() {
    for role in [Role::WeConnect, Role::WeAcceptTheServer] {
        let (mut theirs, handler) = server();
        let answer = answer(handler, "200", "the user");
        let config = ConnectionConfig::builder(SocketType::Push).identity("who we say we are").build().unwrap();
        let mut ours = handshake(&theirs, role, &config).await.unwrap();
        let (_handler, request) = answer.await.unwrap();
        theirs.event(EventKind::HandshakeSucceeded).await;
        assert_eq!(request.len(), 7, "{request:?}");
        assert_eq!(request[0], b"1.0");
        assert_eq!(request[2], b"tests");
        assert_eq!(request[3], b"127.0.0.1");
        // The routing id of libzmq's own socket, not what we announced: that is asked of nobody.
        assert_eq!(request[4], b"");
        assert_eq!(request[5], b"CURVE");
        assert_eq!(request[6], WE.octets());
        ours.send("let in").await.unwrap();
        let part = theirs.recv_part().await;
        assert_eq!(part.body(), b"let in");
        assert_eq!(part.property("User-Id").as_deref(), Some("the user"));
    }
}

/// 400 and 500 are for good, and we are told; 300 is for now, and we are told nothing.
#[tokio::test]
async fn each_refusal_of_the_handler_is_what_it_means_to_us() {
    for role in [Role::WeConnect, Role::WeAcceptTheServer] {
        for (status, code) in [("300", 300), ("400", 400), ("500", 500)] {
            let (mut theirs, handler) = server();
            let answer = answer(handler, status, "");
            let error = handshake(&theirs, role, &ConnectionConfig::new(SocketType::Push)).await.unwrap_err();
            let _handler = answer.await.unwrap();
            theirs.event(EventKind::HandshakeFailedAuth(code)).await;
            assert_eq!(error.stage(), Stage::Mechanism);
            if code == 300 {
                assert!(matches!(error.cause(), HandshakeCause::Closed | HandshakeCause::Io(_)), "{error:?}");
                assert!(error.may_reconnect());
                assert_eq!(error.peer_reason(), None);
            } else {
                assert_eq!(error.peer_reason().unwrap().as_bytes(), status);
                assert!(!error.may_reconnect());
                // In the clear, so it may be somebody else's.
                assert!(error.to_string().contains("forged"), "{error}");
            }
        }
    }
}

/// Sent away, we come back, and the handler has changed its mind.
#[tokio::test]
async fn we_are_let_in_at_the_second_attempt() {
    let (mut theirs, handler) = server();
    let endpoint = theirs.socket().bind("tcp://127.0.0.1:*").unwrap();
    let client = CurveClient::new(THEY.public(), Arc::clone(&WE.ours));
    let config = ConnectionConfig::new(SocketType::Push);
    let first = answer(handler, "300", "");
    let stream = crate::theirs::connect_to(&endpoint).await;
    let error = within("a refusal", Connection::handshake(stream, &config, &client)).await.unwrap_err();
    assert!(error.may_reconnect(), "{error:?}");
    let (handler, _) = first.await.unwrap();
    let second = answer(handler, "200", "the user");
    let stream = crate::theirs::connect_to(&endpoint).await;
    let mut ours = within("the handshake", Connection::handshake(stream, &config, &client)).await.unwrap();
    let _handler = second.await.unwrap();
    ours.send("here again").await.unwrap();
    assert_eq!(theirs.recv().await, [b"here again"]);
}

/// A handler that takes its time: our handshake waits, and nothing is sent meanwhile.
#[tokio::test]
async fn a_handler_that_thinks_it_over_keeps_us_waiting() {
    let (theirs, handler) = server();
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let answer = spawn_blocking(move || {
        let request = handler.recv().unwrap();
        gone.recv().unwrap();
        handler.send(&[b"1.0", &request[1], b"200", b"OK", b"", b""]).unwrap();
        handler
    });
    let config = ConnectionConfig::new(SocketType::Push);
    let handshake = handshake(&theirs, Role::WeConnect, &config);
    tokio::pin!(handshake);
    let waited = tokio::time::timeout(HANDSHAKE_IVL / 3, &mut handshake).await;
    assert!(waited.is_err(), "nobody had let us in, but {waited:?}");
    go.send(()).unwrap();
    handshake.await.unwrap();
    let _handler = answer.await.unwrap();
}

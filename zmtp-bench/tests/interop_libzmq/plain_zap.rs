//! A client of ours at a server of libzmq's, which asks its ZAP handler (RFC 27): what the handler is asked, and what each of
//! its answers is to us.

use std::sync::mpsc;
use std::time::Duration;

use tokio::net::TcpStream;
use zmtp_bench::peers::libzmq::{EventKind, SocketKind};
use zmtp_connection::codec::SocketType;
use zmtp_connection::{
    Connection, ConnectionConfig, HandshakeCause, HandshakeError, PlainClient, PlainCredentials, Stage,
};

use crate::security::{Role, WE, equip_server};
use crate::tap::Tap;
use crate::theirs::{LIMIT, Theirs, connect_to, within};
use crate::zap_handler::{Answer, Request};

type Ours = Connection<TcpStream, PlainClient>;

/// We are the client in both.
const CLIENT_ROLES: [Role; 2] = [Role::WeConnect, Role::WeAcceptTheServer];

/// After the answer 300, libzmq 4.3.5 neither speaks nor closes before the time for its handshake is over (30 s unless set,
/// which is also how long we wait).
const HANDSHAKE_IVL: Duration = Duration::from_millis(300);

/// A server of libzmq's.
fn server() -> Theirs {
    Theirs::new(SocketKind::Pull)
}

/// One that is quick to lose patience.
fn impatient_server() -> Theirs {
    let theirs = server();
    theirs.socket().set_handshake_ivl(HANDSHAKE_IVL).unwrap();
    theirs
}

async fn handshake(theirs: &Theirs, role: Role, credentials: PlainCredentials) -> Result<Ours, HandshakeError> {
    let stream = theirs.meet(role).await;
    let config = ConnectionConfig::builder(SocketType::Push).build().unwrap();
    within("the handshake", Connection::handshake(stream, &config, &PlainClient::new(credentials))).await
}

/// The frames of a request about a user: version, number, domain, address, identity, mechanism, username, password.
fn request(domain: &str, identity: &[u8], username: &[u8], password: &[u8]) -> Request {
    [b"1.0".as_slice(), b"1", domain.as_bytes(), b"127.0.0.1", identity, b"PLAIN", username, password]
        .map(<[u8]>::to_vec)
        .to_vec()
}

/// As they are, whatever they are: a printable one as RFC 24 has it, none at all, one octet, 255, and no text.
#[tokio::test]
async fn the_handler_is_asked_about_our_username_and_password() {
    let longest: Vec<u8> = (0..=254).rev().collect();
    for role in CLIENT_ROLES {
        for (username, password) in [
            (b"alice".as_slice(), b"correct horse".as_slice()),
            (b"", b""),
            (b"alice", b""),
            (b"", b"secret"),
            (b" ", b"\0"),
            (&longest, &longest),
            (b"\xff\xfe", b"\x05ERROR"),
        ] {
            let mut theirs = server();
            let mut handler = equip_server(theirs.socket(), |_| Answer::user("the user"));
            let credentials = PlainCredentials::new(username, password).unwrap();
            let mut ours = handshake(&theirs, role, credentials).await.unwrap();
            theirs.event(EventKind::HandshakeSucceeded).await;
            assert_eq!(handler.asked().await, request("", b"", username, password));
            ours.send("let in").await.unwrap();
            let part = theirs.recv_part().await;
            assert_eq!(part.body(), b"let in");
            assert_eq!(part.property("User-Id").as_deref(), Some("the user"));
            // The server has no username to show.
            assert_eq!(ours.peer().user_id(), None);
        }
    }
}

/// The domain is what the socket was given, and the identity its own: ours is asked of nobody.
#[tokio::test]
async fn the_handler_is_told_the_domain_and_the_identity_of_its_own_side() {
    let theirs = Theirs::new(SocketKind::Router);
    theirs.socket().set_zap_domain("tests").unwrap();
    theirs.socket().set_routing_id(b"the router").unwrap();
    let mut handler = equip_server(theirs.socket(), |_| Answer::user("the user"));
    let stream = theirs.meet(Role::WeConnect).await;
    let config = ConnectionConfig::builder(SocketType::Dealer).identity("who we say we are").build().unwrap();
    let ours = within("the handshake", Connection::handshake(stream, &config, &WE.client())).await.unwrap();
    assert_eq!(ours.peer().identity().as_bytes(), "the router");
    let due = request("tests", b"the router", WE.0.as_bytes(), WE.1.as_bytes());
    assert_eq!(handler.asked().await, due);
}

/// 400 and 500 are for good, and we are told, in a word that is spelt wrong. 300 is for now, and we are told nothing.
#[tokio::test]
async fn each_refusal_of_the_handler_is_what_it_means_to_us() {
    for role in CLIENT_ROLES {
        for (status, code, text) in [
            (
                "300",
                300,
                "handshake failed at the mechanism's commands: the peer closed the connection without a word; it may want \
                 us to come back later, or refuse us without saying why: a CURVE or BLAKE3 server does so when the client has \
                 another server key, and libzmq when the socket types do not fit, and as a PLAIN server without a ZAP handler",
            ),
            (
                "400",
                400,
                "handshake failed at the mechanism's commands: the peer refused with the reason \"400\"; \
                 nothing proves that the peer said so: an ERROR can be forged by anyone on the path",
            ),
            (
                "500",
                500,
                "handshake failed at the mechanism's commands: the peer refused with the reason \"500\"; \
                 nothing proves that the peer said so: an ERROR can be forged by anyone on the path",
            ),
        ] {
            let mut theirs = if code == 300 { impatient_server() } else { server() };
            let _handler = equip_server(theirs.socket(), move |_| Answer::status(status));
            let (stream, record) = Tap::new(theirs.meet(role).await);
            let config = ConnectionConfig::new(SocketType::Push);
            let client = WE.client();
            let error = within("a refusal", Connection::handshake(stream, &config, &client)).await.unwrap_err();
            theirs.event(EventKind::HandshakeFailedAuth(code)).await;
            let misspelt = record.shows(&[b"\x04\x09^RROR\x03", status.as_bytes()].concat());
            assert!(!record.shows(b"ERROR"));
            assert_eq!(error.stage(), Stage::Mechanism);
            assert_eq!(error.to_string(), text);
            if code == 300 {
                assert!(!misspelt && matches!(error.cause(), HandshakeCause::Closed), "{error:?}");
                assert!(error.may_reconnect());
                assert_eq!(error.peer_reason(), None);
            } else {
                assert!(misspelt, "libzmq spells it right");
                assert!(!error.may_reconnect());
                assert_eq!(error.peer_reason().unwrap().as_bytes(), status);
            }
        }
    }
}

/// Who asks nobody lets in nobody, and says nothing: it may have a handler the next time.
#[tokio::test]
async fn a_server_without_a_handler_closes_on_us() {
    for role in CLIENT_ROLES {
        // It reports that to its monitor first, which now and then makes it forget that it was about to close: then it
        // closes when the time for its handshake is over.
        let mut theirs = impatient_server();
        theirs.socket().set_plain_server(true).unwrap();
        let error = handshake(&theirs, role, WE.credentials()).await.unwrap_err();
        // EFAULT: nobody is bound at the handler's address.
        theirs.event(EventKind::HandshakeFailedNoDetail(14)).await;
        assert_eq!(error.stage(), Stage::Mechanism);
        assert!(matches!(error.cause(), HandshakeCause::Closed | HandshakeCause::Io(_)), "{error:?}");
        assert!(error.may_reconnect());
        assert_eq!(error.peer_reason(), None);
    }
}

/// Sent away, we come back, and the handler has changed its mind.
#[tokio::test]
async fn we_are_let_in_at_the_second_attempt() {
    let mut theirs = impatient_server();
    let mut answers = [Answer::status("300"), Answer::user("the user")].into_iter();
    let _handler = equip_server(theirs.socket(), move |_| answers.next().unwrap());
    let endpoint = theirs.socket().bind("tcp://127.0.0.1:*").unwrap();
    theirs.socket().set_handshake_ivl(LIMIT).unwrap();
    let patient_endpoint = theirs.socket().bind("tcp://127.0.0.1:*").unwrap();
    let (config, client) = (ConnectionConfig::new(SocketType::Push), WE.client());
    let attempt = async |endpoint| {
        let stream = connect_to(endpoint).await;
        within("the handshake", Connection::handshake(stream, &config, &client)).await
    };
    let error = attempt(&endpoint).await.unwrap_err();
    assert!(error.may_reconnect(), "{error:?}");
    attempt(&patient_endpoint).await.unwrap().send("here again").await.unwrap();
    assert_eq!(theirs.recv().await, [b"here again"]);
}

/// A handler that takes its time: our handshake waits, and nothing is sent meanwhile but HELLO.
#[tokio::test]
async fn a_handler_that_thinks_it_over_keeps_us_waiting() {
    let theirs = server();
    let (go, gone) = mpsc::channel::<()>();
    let (ask, mut asked) = tokio::sync::mpsc::unbounded_channel();
    let _handler = equip_server(theirs.socket(), move |_| {
        ask.send(()).unwrap();
        gone.recv().unwrap();
        Answer::user("the user")
    });
    let (stream, record) = Tap::new(theirs.meet(Role::WeConnect).await);
    let (config, client) = (ConnectionConfig::new(SocketType::Push), WE.client());
    let handshake = Connection::handshake(stream, &config, &client);
    let meanwhile = async {
        asked.recv().await.unwrap();
        assert!(record.shows(WE.1.as_bytes()) && !record.shows(b"INITIATE"));
        go.send(()).unwrap();
    };
    let (ours, ()) = within("the handshake", async { tokio::join!(handshake, meanwhile) }).await;
    ours.unwrap();
    assert!(record.shows(b"INITIATE"));
}

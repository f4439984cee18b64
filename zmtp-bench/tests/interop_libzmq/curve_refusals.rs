//! Peers that do not fit together under CURVE: a wrong server key, another mechanism, the same part twice, a wrong socket type;
//! what each side sees, and who tries again.

use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::timeout;
use zmtp_bench::peers::libzmq::{EventKind, ProtocolError, SocketKind};
use zmtp_connection::codec::{AnyMechanism, GREETING_LEN, MechanismError, MechanismName, SocketType};
use zmtp_connection::{
    AllowAny, Connection, ConnectionConfig, CurveClient, CurveServer, HandshakeCause, HandshakeError, Null, Stage,
};

use crate::security::{self, Keys, ROLES, Role, THEY, WE, equip_client, equip_server, pair};
use crate::tap::Tap;
use crate::theirs::{Theirs, accept, kind_of, next_message, within};

/// A libzmq that is to come back does so after this long.
const RECONNECT_IVL: Duration = Duration::from_millis(10);
/// Time in which one that is not to come back could have done so again and again.
const QUIET: Duration = Duration::from_millis(400);

/// Our client expects another key than libzmq's server has. libzmq says nothing to it and closes.
#[tokio::test]
async fn our_client_with_a_wrong_server_key() {
    for role in [Role::WeConnect, Role::WeAcceptTheServer] {
        let mut theirs = Theirs::new(SocketKind::Dealer);
        equip_server(theirs.socket(), &THEY);
        let stream = theirs.meet(role).await;
        let client = CurveClient::anonymous(Keys::new().public()).unwrap();
        let config = ConnectionConfig::new(SocketType::Dealer);
        let error = within("a failure", Connection::handshake(stream, &config, &client)).await.unwrap_err();
        theirs.event(EventKind::HandshakeFailedProtocol(ProtocolError::ZmtpCryptographic)).await;
        assert_eq!(error.stage(), Stage::Mechanism);
        assert!(matches!(error.cause(), HandshakeCause::Closed), "{error:?}");
        // Nothing tells this from a server that was restarted.
        assert!(error.may_reconnect());
        // So whoever reads it is told of the other possibility.
        assert!(error.to_string().contains("server key"), "{error}");
    }
}

/// libzmq's client expects another key than our server has. We say nothing to it either, and it comes back for ever.
#[tokio::test]
async fn a_client_of_libzmqs_with_a_wrong_server_key() {
    let server = CurveServer::new(pair(&WE.theirs));
    let config = ConnectionConfig::new(SocketType::Dealer);
    let (listener, mut theirs) = caller().await;
    equip_client(theirs.socket(), &THEY, &Keys::new());
    theirs.connect_to(&listener);
    for _ in 0..3 {
        let stream = accept(&listener).await;
        let error = within("a failure", Connection::handshake_with(stream, &config, &server, &AllowAny)).await;
        let error = error.unwrap_err();
        assert_eq!(error.stage(), Stage::Mechanism);
        let HandshakeCause::Mechanism(MechanismError::Cryptographic { command }) = error.cause() else {
            panic!("{error:?}")
        };
        assert_eq!(*command, "HELLO");
        assert!(!error.may_reconnect());
        assert!(error.to_string().contains("server key"), "{error}");
        // To libzmq it is a connection that broke.
        theirs
            .event_where(|event| matches!(event.kind, EventKind::HandshakeFailedNoDetail(_)))
            .await
            .unwrap_or_else(|others| panic!("{others:?}"));
    }
    assert_eq!(server.half_open(), 0);
}

/// A listener of ours, and a libzmq that is quick to come back and not connected yet.
async fn caller() -> (TcpListener, Theirs) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let theirs = Theirs::new(SocketKind::Dealer);
    theirs.socket().set_reconnect_ivl(RECONNECT_IVL).unwrap();
    (listener, theirs)
}

/// What a side is configured for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaks {
    Null,
    Plain,
    Client,
    Server,
}

impl Speaks {
    fn equip(self, theirs: &Theirs) {
        match self {
            Self::Null => {}
            Self::Plain => theirs.socket().set_plain_server(true).unwrap(),
            Self::Client => equip_client(theirs.socket(), &THEY, &WE),
            Self::Server => equip_server(theirs.socket(), &THEY),
        }
    }

    fn mechanism(self) -> AnyMechanism {
        match self {
            Self::Null | Self::Plain => AnyMechanism::new(Null::new()),
            Self::Client => AnyMechanism::new(CurveClient::new(THEY.public(), std::sync::Arc::clone(&WE.ours))),
            Self::Server => AnyMechanism::new(CurveServer::new(pair(&WE.theirs))),
        }
    }
}

const SECRET: &[u8] = b"not for everybody";

/// One side wants security and the other has none, or another: neither gives in, and nothing but greetings is ever sent.
#[tokio::test]
async fn peers_of_different_mechanisms_exchange_greetings_and_nothing_else() {
    for (ours, theirs) in [
        (Speaks::Null, Speaks::Client),
        (Speaks::Null, Speaks::Server),
        (Speaks::Client, Speaks::Null),
        (Speaks::Server, Speaks::Null),
        (Speaks::Client, Speaks::Plain),
        (Speaks::Server, Speaks::Plain),
    ] {
        for role in [Role::WeConnect, Role::WeAccept] {
            let what = format!("{ours:?} with libzmq's {theirs:?}, {role:?}");
            let mut peer = Theirs::new(SocketKind::Dealer);
            theirs.equip(&peer);
            let stream = peer.meet(role).await;
            if role.we_listen() {
                // It waits for a connection that may carry it.
                peer.send(&[SECRET]).await;
            }
            let (stream, record) = Tap::new(stream);
            let config = ConnectionConfig::builder(SocketType::Dealer).property("X-Secret", SECRET).build().unwrap();
            let mechanism = ours.mechanism();
            let handshake = Connection::handshake_with(stream, &config, &mechanism, &AllowAny);
            let error = within(&what, handshake).await.unwrap_err();
            assert_eq!(error.stage(), Stage::Greeting, "{what}: {error:?}");
            // libzmq may close before it has named its own.
            match error.cause() {
                HandshakeCause::Closed | HandshakeCause::Io(_) => {}
                HandshakeCause::MechanismMismatch { theirs: named, .. } => {
                    assert_ne!(*named, mechanism_name(ours), "{what}");
                }
                other => panic!("{what}: {other:?}"),
            }
            peer.event(EventKind::HandshakeFailedProtocol(ProtocolError::ZmtpMechanismMismatch)).await;
            assert_eq!(record.sent().len(), GREETING_LEN, "{what}");
            assert!(record.received().len() <= GREETING_LEN, "{what}");
            assert!(!record.shows(SECRET), "{what}");
        }
    }
}

/// A libzmq that wants another mechanism than ours does not try again: it takes that for a breach of the protocol.
#[tokio::test]
async fn a_libzmq_of_another_mechanism_does_not_come_back() {
    for (ours, theirs) in [(Speaks::Server, Speaks::Null), (Speaks::Null, Speaks::Client)] {
        let (listener, mut peer) = caller().await;
        theirs.equip(&peer);
        peer.connect_to(&listener);
        let mechanism = ours.mechanism();
        let config = ConnectionConfig::new(SocketType::Dealer);
        let handshake = Connection::handshake_with(accept(&listener).await, &config, &mechanism, &AllowAny);
        assert_eq!(within("a failure", handshake).await.unwrap_err().stage(), Stage::Greeting);
        peer.event(EventKind::HandshakeFailedProtocol(ProtocolError::ZmtpMechanismMismatch)).await;
        assert!(timeout(QUIET, listener.accept()).await.is_err(), "libzmq came back");
    }
}

const fn mechanism_name(speaks: Speaks) -> MechanismName {
    match speaks {
        Speaks::Null => MechanismName::NULL,
        Speaks::Plain => MechanismName::PLAIN,
        Speaks::Client | Speaks::Server => MechanismName::CURVE,
    }
}

/// Two clients: each says HELLO, and neither answers the other's.
#[tokio::test]
async fn two_clients_of_each_other() {
    for role in [Role::WeConnect, Role::WeAccept] {
        let mut theirs = Theirs::new(SocketKind::Dealer);
        equip_client(theirs.socket(), &THEY, &WE);
        let error = handshake_without_success(&theirs, role, Speaks::Client).await;
        assert_eq!(error.stage(), Stage::Mechanism);
        match error.cause() {
            // Ours finds the wrong command; or libzmq does first, and closes.
            HandshakeCause::Mechanism(_) | HandshakeCause::CommandSize { .. } => assert!(!error.may_reconnect()),
            HandshakeCause::Closed | HandshakeCause::Io(_) => {}
            other => panic!("{other:?}"),
        }
        theirs
            .event_where(|event| {
                matches!(event.kind, EventKind::HandshakeFailedProtocol(_) | EventKind::HandshakeFailedNoDetail(_))
            })
            .await
            .unwrap_or_else(|others| panic!("{others:?}"));
    }
}

/// Two servers: each waits for the other to begin, until one loses patience.
#[tokio::test]
async fn two_servers_of_each_other() {
    for role in [Role::WeConnect, Role::WeAccept] {
        let mut theirs = Theirs::new(SocketKind::Dealer);
        equip_server(theirs.socket(), &THEY);
        let error = handshake_without_success(&theirs, role, Speaks::Server).await;
        assert_eq!(error.stage(), Stage::Mechanism);
        assert!(matches!(error.cause(), HandshakeCause::TimedOut { .. }), "{error:?}");
        theirs
            .event_where(|event| matches!(event.kind, EventKind::HandshakeFailedNoDetail(_)))
            .await
            .unwrap_or_else(|others| panic!("{others:?}"));
    }
}

async fn handshake_without_success(theirs: &Theirs, role: Role, ours: Speaks) -> HandshakeError {
    let stream = theirs.meet(role).await;
    let patience = Some(Duration::from_millis(200));
    let config = ConnectionConfig::builder(SocketType::Dealer).handshake_timeout(patience).build().unwrap();
    let mechanism = ours.mechanism();
    let handshake = Connection::handshake_with(stream, &config, &mechanism, &AllowAny);
    within("a failure", handshake).await.unwrap_err()
}

/// Both sides look at the other's type. As a server, we do before our READY.
#[tokio::test]
async fn a_wrong_socket_type_is_refused_by_both_sides() {
    for role in ROLES {
        for (our_type, their_type) in [
            (SocketType::Req, SocketType::Pub),
            (SocketType::Pub, SocketType::Pull),
            (SocketType::Router, SocketType::Pair),
            (SocketType::Pull, SocketType::Router),
        ] {
            let what = format!("{our_type} with libzmq's {their_type}, {role:?}");
            let mut theirs = Theirs::new(kind_of(their_type));
            let error = theirs.handshake(role, &ConnectionConfig::new(our_type)).await.unwrap_err();
            theirs.event(EventKind::Disconnected).await;
            match error.cause() {
                HandshakeCause::Incompatible { ours, theirs } => {
                    assert_eq!((*ours, *theirs), (our_type, their_type), "{what}");
                    assert_eq!(error.stage(), Stage::Properties, "{what}");
                    assert!(!error.may_reconnect());
                }
                // libzmq's server looks at ours before it shows its own, and closes.
                HandshakeCause::Closed | HandshakeCause::Io(_) => assert!(!role.we_serve(), "{what}: {error:?}"),
                other => panic!("{what}: {other:?}"),
            }
        }
    }
}

/// The ERROR of a server that refuses a type is read by libzmq's client, which does not come back after it.
#[tokio::test]
async fn a_client_of_libzmqs_whose_type_we_refused_does_not_come_back() {
    let (listener, mut theirs) = caller().await;
    security::equip(theirs.socket(), Role::WeAccept);
    theirs.connect_to(&listener);
    let config = ConnectionConfig::new(SocketType::Pub);
    let error = security::handshake(accept(&listener).await, &config, Role::WeAccept).await.unwrap_err();
    let HandshakeCause::Incompatible { ours, theirs: named } = error.cause() else { panic!("{error:?}") };
    assert_eq!((*ours, *named), (SocketType::Pub, SocketType::Dealer));
    theirs.event(EventKind::Disconnected).await;
    assert!(timeout(QUIET, listener.accept()).await.is_err(), "libzmq came back");
}

/// A libzmq that was closed on during the handshake comes back, whatever it had said by then.
#[tokio::test]
async fn a_client_of_libzmqs_comes_back_after_a_plain_close_during_the_handshake() {
    let (listener, mut theirs) = caller().await;
    security::equip(theirs.socket(), Role::WeAccept);
    theirs.connect_to(&listener);
    drop(accept(&listener).await);
    // After its INITIATE.
    let config = ConnectionConfig::new(SocketType::Dealer);
    let server = CurveServer::new(pair(&WE.theirs));
    let error = Connection::handshake(accept(&listener).await, &config, &server).await.unwrap_err();
    assert!(matches!(error.cause(), HandshakeCause::NoAuthenticator), "{error:?}");
    let mut ours = security::handshake(accept(&listener).await, &config, Role::WeAccept).await.unwrap();
    theirs.send(&["here again"]).await;
    assert_eq!(next_message(&mut ours).await, [b"here again"]);
}

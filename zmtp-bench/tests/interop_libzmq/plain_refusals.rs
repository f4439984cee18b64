//! Peers that do not fit together under PLAIN: another mechanism, the same part twice, a wrong socket type, commands out of
//! order; what each side sees, and who tries again.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::net::TcpListener;
use zmtp_bench::peers::libzmq::{CurveKeypair, EventKind, ProtocolError, Socket, SocketKind, curve_keypair};
use zmtp_connection::codec::{
    AnyMechanism, GREETING_LEN, Greeting, Identity, MechanismError, MechanismName, Properties, SocketType,
};
use zmtp_connection::{
    AllowAny, Connection, ConnectionConfig, CurveClient, CurveServer, HandshakeCause, HandshakeError, KeyPair, Null,
    PlainServer, SecretKey, Stage,
};

use crate::events::{attempt, comes_back};
use crate::raw;
use crate::security::{self, ROLES, Role, THEY, WE, equip_client, equip_server};
use crate::tap::Tap;
use crate::theirs::{Theirs, accept, kind_of, next_message, within};
use crate::zap_handler::Answer;

/// A libzmq that is to come back does so after this long.
const RECONNECT_IVL: Duration = Duration::from_millis(10);

/// The one key pair here: who is on the other side of CURVE does not matter where one side speaks something else.
static KEYS: LazyLock<CurveKeypair> = LazyLock::new(|| curve_keypair().unwrap());

/// What a side is configured for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaks {
    Null,
    PlainClient,
    PlainServer,
    CurveClient,
    CurveServer,
}

impl Speaks {
    fn equip(self, socket: &Socket) {
        match self {
            Self::Null => {}
            Self::PlainClient => equip_client(socket, THEY),
            Self::PlainServer => drop(equip_server(socket, |_| Answer::user("anybody"))),
            Self::CurveClient => {
                socket.set_curve_publickey(&KEYS.public).unwrap();
                socket.set_curve_secretkey(&KEYS.secret).unwrap();
                socket.set_curve_serverkey(&KEYS.public).unwrap();
            }
            Self::CurveServer => {
                socket.set_curve_server(true).unwrap();
                socket.set_curve_secretkey(&KEYS.secret).unwrap();
            }
        }
    }

    fn mechanism(self) -> AnyMechanism {
        let keys = || {
            let secret = SecretKey::from_z85(&KEYS.secret).unwrap();
            KeyPair::new(KEYS.public.parse().unwrap(), secret).unwrap()
        };
        match self {
            Self::Null => AnyMechanism::new(Null::new()),
            Self::PlainClient => AnyMechanism::new(WE.client()),
            Self::PlainServer => AnyMechanism::new(PlainServer::new()),
            Self::CurveClient => AnyMechanism::new(CurveClient::new(*keys().public_key(), Arc::new(keys()))),
            Self::CurveServer => AnyMechanism::new(CurveServer::new(keys())),
        }
    }

    const fn name(self) -> MechanismName {
        match self {
            Self::Null => MechanismName::NULL,
            Self::PlainClient | Self::PlainServer => MechanismName::PLAIN,
            Self::CurveClient | Self::CurveServer => MechanismName::CURVE,
        }
    }
}

const PLAIN: [Speaks; 2] = [Speaks::PlainClient, Speaks::PlainServer];
const OTHERS: [Speaks; 3] = [Speaks::Null, Speaks::CurveClient, Speaks::CurveServer];

/// One side wants a password and the other has none, or something better: neither gives in, nothing but greetings is ever sent,
/// and so no password of either side.
#[tokio::test]
async fn peers_of_different_mechanisms_exchange_greetings_and_no_password() {
    for plain in PLAIN {
        for other in OTHERS {
            for (ours, theirs) in [(plain, other), (other, plain)] {
                for role in [Role::WeConnect, Role::WeAccept] {
                    different_mechanisms(ours, theirs, role).await;
                }
            }
        }
    }
}

async fn different_mechanisms(ours: Speaks, theirs: Speaks, role: Role) {
    let what = format!("{ours:?} with libzmq's {theirs:?}, {role:?}");
    let mut peer = Theirs::new(SocketKind::Dealer);
    theirs.equip(peer.socket());
    let stream = peer.meet(role).await;
    let (stream, record) = Tap::new(stream);
    let (config, mechanism) = (ConnectionConfig::new(SocketType::Dealer), ours.mechanism());
    let handshake = Connection::handshake_with(stream, &config, &mechanism, &AllowAny);
    let error = within(&what, handshake).await.unwrap_err();
    assert_eq!(error.stage(), Stage::Greeting, "{what}: {error:?}");
    // libzmq may close before it has named its own.
    match error.cause() {
        HandshakeCause::Closed | HandshakeCause::Io(_) => {}
        HandshakeCause::MechanismMismatch { ours: our_name, theirs: their_name } => {
            assert_eq!((*our_name, *their_name), (ours.name(), theirs.name()), "{what}");
        }
        other => panic!("{what}: {other:?}"),
    }
    peer.event(EventKind::HandshakeFailedProtocol(ProtocolError::ZmtpMechanismMismatch)).await;
    assert_eq!(record.sent().len(), GREETING_LEN, "{what}");
    assert!(record.received().len() <= GREETING_LEN, "{what}");
    for password in [WE.1, THEY.1] {
        assert!(!record.shows(password.as_bytes()), "{what}");
    }
}

/// A listener of ours, and a libzmq that is quick to come back and not connected yet.
async fn caller(kind: SocketKind) -> (TcpListener, Theirs) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let theirs = Theirs::new(kind);
    theirs.socket().set_reconnect_ivl(RECONNECT_IVL).unwrap();
    (listener, theirs)
}

/// A libzmq that wants another mechanism than ours does not try again: it takes that for a breach of the protocol.
#[tokio::test]
async fn a_libzmq_of_another_mechanism_does_not_come_back() {
    for (ours, theirs) in [
        (Speaks::PlainServer, Speaks::Null),
        (Speaks::Null, Speaks::PlainClient),
        (Speaks::CurveServer, Speaks::PlainClient),
    ] {
        let (listener, mut peer) = caller(SocketKind::Dealer).await;
        theirs.equip(peer.socket());
        peer.connect_to(&listener);
        let (config, mechanism) = (ConnectionConfig::new(SocketType::Dealer), ours.mechanism());
        let handshake = Connection::handshake_with(accept(&listener).await, &config, &mechanism, &AllowAny);
        assert_eq!(within("a failure", handshake).await.unwrap_err().stage(), Stage::Greeting);
        let mismatch = EventKind::HandshakeFailedProtocol(ProtocolError::ZmtpMechanismMismatch);
        assert_eq!(attempt(&mut peer).await, [EventKind::Connected, mismatch, EventKind::Disconnected]);
        assert!(!comes_back(&mut peer).await, "{ours:?} with libzmq's {theirs:?}");
    }
}

/// Two clients: each says HELLO, and so its password, and neither answers the other's.
#[tokio::test]
async fn two_clients_of_each_other() {
    for role in [Role::WeConnect, Role::WeAccept] {
        let (mut theirs, error) = same_part(Speaks::PlainClient, role).await;
        assert_eq!(error.stage(), Stage::Mechanism);
        match error.cause() {
            // Ours finds the wrong command; or libzmq does first, and closes.
            HandshakeCause::Mechanism(MechanismError::UnexpectedCommand { .. })
            | HandshakeCause::CommandSize { .. } => assert!(!error.may_reconnect()),
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
        let (mut theirs, error) = same_part(Speaks::PlainServer, role).await;
        assert_eq!(error.stage(), Stage::Mechanism);
        assert!(matches!(error.cause(), HandshakeCause::TimedOut { .. }), "{error:?}");
        theirs
            .event_where(|event| matches!(event.kind, EventKind::HandshakeFailedNoDetail(_)))
            .await
            .unwrap_or_else(|others| panic!("{others:?}"));
    }
}

/// Both sides are configured for the same part.
async fn same_part(part: Speaks, role: Role) -> (Theirs, HandshakeError) {
    let theirs = Theirs::new(SocketKind::Dealer);
    part.equip(theirs.socket());
    let stream = theirs.meet(role).await;
    let patience = Some(Duration::from_millis(200));
    let config = ConnectionConfig::builder(SocketType::Dealer).handshake_timeout(patience).build().unwrap();
    let mechanism = part.mechanism();
    let handshake = Connection::handshake_with(stream, &config, &mechanism, &AllowAny);
    let error = within("a failure", handshake).await.unwrap_err();
    (theirs, error)
}

/// Whoever is the server sees the other's type first. We as the server say so in place of READY, in words that libzmq does not
/// know; libzmq as the server closes without a word.
#[tokio::test]
async fn a_wrong_socket_type_is_refused_by_the_server() {
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
            let events = attempt(&mut theirs).await;
            if role.we_serve() {
                assert_incompatible(&error, our_type, their_type);
                let unexpected = EventKind::HandshakeFailedProtocol(ProtocolError::ZmtpUnexpectedCommand);
                assert_eq!(events[events.len() - 2..], [unexpected, EventKind::Disconnected], "{what}");
            } else {
                assert!(matches!(error.cause(), HandshakeCause::Closed | HandshakeCause::Io(_)), "{what}: {error:?}");
                assert_eq!(error.stage(), Stage::Mechanism, "{what}");
                // It breaks its own rule of who does not come back, by telling us nothing.
                assert!(error.may_reconnect());
                // Nor does it tell its own side why.
                let due = if role.we_listen() { EventKind::Connected } else { EventKind::Accepted };
                assert_eq!(events[events.len() - 2..], [due, EventKind::Disconnected], "{what}");
            }
        }
    }
}

#[track_caller]
fn assert_incompatible(error: &HandshakeError, our_type: SocketType, their_type: SocketType) {
    let HandshakeCause::Incompatible { ours, theirs } = error.cause() else { panic!("{error:?}") };
    assert_eq!((*ours, *theirs), (our_type, their_type));
    assert_eq!(error.stage(), Stage::Properties);
    assert!(!error.may_reconnect());
    assert_eq!(error.peer_reason(), None);
}

#[tokio::test]
async fn a_client_of_libzmqs_whose_type_we_refused_does_not_come_back() {
    let (listener, mut theirs) = caller(SocketKind::Dealer).await;
    security::equip(theirs.socket(), Role::WeAccept);
    theirs.connect_to(&listener);
    let config = ConnectionConfig::new(SocketType::Pub);
    let error = security::handshake(accept(&listener).await, &config, Role::WeAccept).await.unwrap_err();
    assert_incompatible(&error, SocketType::Pub, SocketType::Dealer);
    let unexpected = EventKind::HandshakeFailedProtocol(ProtocolError::ZmtpUnexpectedCommand);
    assert_eq!(attempt(&mut theirs).await, [EventKind::Connected, unexpected, EventKind::Disconnected]);
    assert!(!comes_back(&mut theirs).await);
}

/// A libzmq that was closed on during the handshake comes back, whatever it had said by then.
#[tokio::test]
async fn a_client_of_libzmqs_comes_back_after_a_plain_close_during_the_handshake() {
    let (listener, mut theirs) = caller(SocketKind::Push).await;
    security::equip(theirs.socket(), Role::WeAccept);
    theirs.connect_to(&listener);
    drop(accept(&listener).await);
    // After its HELLO.
    let config = ConnectionConfig::new(SocketType::Pull);
    let error = Connection::handshake(accept(&listener).await, &config, &PlainServer::new()).await.unwrap_err();
    assert!(matches!(error.cause(), HandshakeCause::NoAuthenticator), "{error:?}");
    let mut ours = security::handshake(accept(&listener).await, &config, Role::WeAccept).await.unwrap();
    theirs.send(&["here again"]).await;
    assert_eq!(next_message(&mut ours).await, [b"here again"]);
}

/// A frame with a command that belongs to PLAIN alone.
fn command(name: &str, data: &[u8]) -> Vec<u8> {
    let name_len = u8::try_from(name.len()).unwrap();
    let body = [&[name_len], name.as_bytes(), data].concat();
    [&[0x04, u8::try_from(body.len()).unwrap()], body.as_slice()].concat()
}

fn hello() -> Vec<u8> {
    command("HELLO", b"\x05alice\x06secret")
}

fn initiate() -> Vec<u8> {
    let mut properties = Vec::new();
    Properties::for_socket(SocketType::Push, &Identity::ANONYMOUS).encode(&mut properties);
    command("INITIATE", &properties)
}

/// Why our client waits for WELCOME: libzmq's server takes an INITIATE that comes before that for a breach of the protocol,
/// and closes. Also what it does with other commands out of order.
#[tokio::test]
async fn a_server_of_libzmqs_closes_on_commands_out_of_order() {
    let ready = command("READY", b"");
    let error = command("ERROR", b"\x03400");
    for (what, commands, event) in [
        ("HELLO and INITIATE at once", [hello(), initiate()].concat(), ProtocolError::ZmtpUnspecified),
        ("INITIATE first", initiate(), ProtocolError::ZmtpUnexpectedCommand),
        ("READY first", ready, ProtocolError::ZmtpUnexpectedCommand),
        ("ERROR from a client", error, ProtocolError::ZmtpUnexpectedCommand),
        ("something behind the password", command("HELLO", b"\x01a\x01b."), ProtocolError::ZmtpMalformedCommandHello),
    ] {
        let mut theirs = Theirs::new(SocketKind::Pull);
        // The first of them asks the handler, which does not matter: libzmq does not wait for the answer.
        equip_server(theirs.socket(), |_| Answer::user("anybody"));
        let stream = theirs.meet(Role::WeConnect).await;
        let greeting = Greeting::new(MechanismName::PLAIN, false).to_bytes();
        let answer = raw::converse(stream, &[greeting.as_slice(), &commands].concat()).await;
        // Its greeting, or what it had sent of it.
        assert!(answer.len() <= GREETING_LEN, "{what}: {answer:x?}");
        let events = attempt(&mut theirs).await;
        assert_eq!(events[2..], [EventKind::HandshakeFailedProtocol(event), EventKind::Disconnected], "{what}");
    }
}

/// The same octets that come apart are let in: it was the order.
#[tokio::test]
async fn a_server_of_libzmqs_lets_in_who_waits_for_welcome() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let mut theirs = Theirs::new(SocketKind::Pull);
    equip_server(theirs.socket(), |_| Answer::user("anybody"));
    let mut stream = theirs.meet(Role::WeConnect).await;
    let greeting = Greeting::new(MechanismName::PLAIN, false).to_bytes();
    stream.write_all(&[greeting.as_slice(), &hello()].concat()).await.unwrap();
    let mut answer = [0; GREETING_LEN + 10];
    within("WELCOME", stream.read_exact(&mut answer)).await.unwrap();
    assert_eq!(answer[GREETING_LEN..], command("WELCOME", b""));
    stream.write_all(&initiate()).await.unwrap();
    theirs.event(EventKind::HandshakeSucceeded).await;
}

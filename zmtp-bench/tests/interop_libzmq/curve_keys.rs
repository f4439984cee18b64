//! Who is who: the keys of both sides, several keys of one server, and what somebody on the path gets to see.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use zmtp_bench::peers::libzmq::{EventKind, SocketKind};
use zmtp_connection::codec::{AnyMechanism, MechanismName, SocketType};
use zmtp_connection::{
    AllowAny, AllowList, Connection, ConnectionConfig, CurveClient, CurveServer, Event, HandshakeCause, PublicKey,
};

use crate::security::{Keys, ROLES, Role, THEY, WE, equip, equip_client, equip_server, pair};
use crate::tap::{Record, Tap};
use crate::theirs::{LIMIT, Theirs, accept, next_message, within};

#[tokio::test]
async fn each_side_knows_the_other_by_its_key() {
    for role in ROLES {
        let mut theirs = Theirs::new(SocketKind::Dealer);
        let config = ConnectionConfig::new(SocketType::Dealer);
        let mut ours = theirs.accept_as(role, &config).await;
        let peer = ours.peer();
        assert_eq!(peer.public_key(), Some(&THEY.octets()), "{role:?}");
        assert_eq!(peer.info().public_key(), Some(&THEY.octets()));
        assert_eq!(THEY.theirs.public.parse::<PublicKey>().unwrap().as_bytes(), &THEY.octets());
        assert_eq!(peer.mechanism(), MechanismName::CURVE);
        assert!(peer.is_encrypted());
        assert_eq!(peer.user_id(), None);
        ours.send("from us").await.unwrap();
        assert_eq!(theirs.recv().await, [b"from us"]);
        theirs.send(&["from them"]).await;
        assert_eq!(next_message(&mut ours).await, [b"from them"]);
    }
}

/// What libzmq reports of a connection that comes about, in order.
#[tokio::test]
async fn libzmq_reports_the_connection_before_the_handshake() {
    for role in ROLES {
        let mut theirs = Theirs::new(SocketKind::Dealer);
        let _ours = theirs.handshake(role, &ConnectionConfig::new(SocketType::Dealer)).await.unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let events = Arc::clone(&seen);
        let succeeded = theirs.event_where(move |event| {
            events.lock().unwrap().push(event.kind);
            event.kind == EventKind::HandshakeSucceeded
        });
        succeeded.await.unwrap();
        let (prelude, met) = if role.we_listen() {
            (EventKind::ConnectDelayed, EventKind::Connected)
        } else {
            (EventKind::Listening, EventKind::Accepted)
        };
        let mut seen = seen.lock().unwrap().clone();
        seen.retain(|&kind| kind != prelude);
        assert_eq!(seen, [met, EventKind::HandshakeSucceeded], "{role:?}");
    }
}

/// A listener of ours, and a libzmq client with these keys that calls it for this server.
async fn client(keys: &Keys, server: &Keys) -> (TcpListener, Theirs) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let theirs = Theirs::new(SocketKind::Dealer);
    equip_client(theirs.socket(), keys, server);
    theirs.connect_to(&listener);
    (listener, theirs)
}

/// A server that is about to change its key: clients with the old one and with the new one are let in alike, and none with
/// another.
#[tokio::test]
async fn one_server_has_several_keys() {
    let (old, new, other) = (Keys::new(), Keys::new(), Keys::new());
    let server = CurveServer::with_keys([pair(&old.theirs), pair(&new.theirs)]).unwrap();
    let config = ConnectionConfig::new(SocketType::Dealer);
    for known in [&old, &new] {
        let (listener, mut theirs) = client(&THEY, known).await;
        let handshake = Connection::handshake_with(accept(&listener).await, &config, &server, &AllowAny);
        let mut ours = within("the handshake", handshake).await.unwrap();
        theirs.event(EventKind::HandshakeSucceeded).await;
        assert_eq!(ours.peer().public_key(), Some(&THEY.octets()));
        ours.send("welcome").await.unwrap();
        assert_eq!(theirs.recv().await, [b"welcome"]);
    }
    let (listener, _theirs) = client(&THEY, &other).await;
    let handshake = Connection::handshake_with(accept(&listener).await, &config, &server, &AllowAny);
    assert!(matches!(within("a failure", handshake).await.unwrap_err().cause(), HandshakeCause::Mechanism(_)));
    assert_eq!(server.half_open(), 0);
}

/// The other side of the same: a client of ours goes from a server's old key to its new one.
#[tokio::test]
async fn a_server_of_libzmqs_that_changed_its_key_is_known_by_the_new_one() {
    let (old, new) = (Keys::new(), Keys::new());
    for (has, expected, fits) in [(&old, &old, true), (&new, &old, false), (&new, &new, true)] {
        let theirs = Theirs::new(SocketKind::Dealer);
        equip_server(theirs.socket(), has);
        let stream = theirs.meet(Role::WeConnect).await;
        let mechanism = CurveClient::anonymous(expected.public()).unwrap();
        let config = ConnectionConfig::new(SocketType::Dealer);
        let result = within("the handshake", Connection::handshake(stream, &config, &mechanism)).await;
        assert_eq!(result.is_ok(), fits);
        if let Ok(ours) = result {
            assert_eq!(ours.peer().public_key(), Some(&has.octets()));
        }
    }
}

/// Nobody knows an anonymous client, and libzmq without a ZAP handler lets it in.
#[tokio::test]
async fn an_anonymous_client_has_a_key_of_its_own() {
    let client = CurveClient::anonymous(THEY.public()).unwrap();
    assert_ne!(client.public_key().as_bytes(), &WE.octets());
    let mut theirs = Theirs::new(SocketKind::Pull);
    equip_server(theirs.socket(), &THEY);
    let stream = theirs.meet(Role::WeConnect).await;
    let config = ConnectionConfig::new(SocketType::Push);
    let mut ours = within("the handshake", Connection::handshake(stream, &config, &client)).await.unwrap();
    ours.send("from nobody").await.unwrap();
    assert_eq!(theirs.recv().await, [b"from nobody"]);
}

/// libzmq counts its frames without gaps, messages and commands alike, so a side of ours that insists on it loses nothing.
#[tokio::test]
async fn libzmq_counts_without_gaps() {
    for role in ROLES {
        let mut theirs = Theirs::new(SocketKind::Dealer);
        theirs.socket().set_heartbeat_ivl(Duration::from_millis(5)).unwrap();
        theirs.socket().set_heartbeat_timeout(LIMIT).unwrap();
        equip(theirs.socket(), role);
        let stream = theirs.meet(role).await;
        let mechanism = if role.we_serve() {
            AnyMechanism::new(CurveServer::new(pair(&WE.theirs)).refuse_gaps())
        } else {
            AnyMechanism::new(CurveClient::new(THEY.public(), Arc::clone(&WE.ours)).refuse_gaps())
        };
        let config = ConnectionConfig::new(SocketType::Dealer);
        let handshake = Connection::handshake_with(stream, &config, &mechanism, &AllowAny);
        let mut ours = within("the handshake", handshake).await.unwrap();
        for number in 0..400_u32 {
            let number = number.to_be_bytes();
            let sent = [number.as_slice(), b""];
            theirs.send(&sent).await;
            assert_eq!(next_message(&mut ours).await, sent);
            ours.send(&sent).await.unwrap();
            assert_eq!(theirs.recv().await, sent);
        }
    }
}

/// What must not be seen by anybody else.
const SECRETS: [&str; 8] = [
    "the topic that we ask for",
    "the message that libzmq sends",
    "the message that we send",
    "another topic that we ask for",
    "our own name",
    "the name of libzmq",
    "a property of ours",
    "a property of theirs",
];

/// All of a conversation as somebody on the path sees it: greetings, names of commands, the transient keys; neither what is
/// said nor who the client is.
#[tokio::test]
async fn nothing_that_is_said_is_to_be_seen_on_the_way() {
    for role in ROLES {
        let record = secret_talk(role).await;
        for secret in SECRETS {
            assert!(!record.shows(secret.as_bytes()), "{role:?}: {secret:?} is to be seen");
        }
        for (whose, keys) in [("ours", &*WE), ("theirs", &*THEY)] {
            assert!(!record.shows(&keys.octets()), "{role:?}: the key of {whose} is to be seen");
        }
        for name in ["SUBSCRIBE", "CANCEL", "Socket-Type", "Identity", "X-Secret", "XPUB", "XSUB"] {
            assert!(!record.shows(name.as_bytes()), "{role:?}: {name} is to be seen");
        }
        // The record is one, and CURVE was spoken.
        for name in ["CURVE", "HELLO", "WELCOME", "INITIATE", "READY", "MESSAGE"] {
            assert!(record.shows(name.as_bytes()), "{role:?}: no {name} in the record");
        }
    }
}

async fn secret_talk(role: Role) -> Record {
    let [topic, from_theirs, from_ours, other_topic, our_name, their_name, our_property, their_property] = SECRETS;
    let mut theirs = Theirs::new(SocketKind::Xpub);
    theirs.socket().set_routing_id(their_name.as_bytes()).unwrap();
    theirs.socket().set_metadata("X-Secret", their_property).unwrap();
    equip(theirs.socket(), role);
    let (stream, record) = Tap::new(theirs.meet(role).await);
    let config = ConnectionConfig::builder(SocketType::Xsub).identity(our_name).property("X-Secret", our_property);
    let config = config.build().unwrap();
    let mut ours = if role.we_serve() {
        let server = AnyMechanism::new(CurveServer::new(pair(&WE.theirs)));
        let list = AllowList::new([THEY.octets()]);
        within("the handshake", Connection::handshake_with(stream, &config, &server, &list)).await.unwrap()
    } else {
        let client = CurveClient::new(THEY.public(), Arc::clone(&WE.ours));
        let client = AnyMechanism::new(client);
        within("the handshake", Connection::handshake(stream, &config, &client)).await.unwrap()
    };
    assert_eq!(ours.peer().properties().get("X-Secret").unwrap(), their_property);
    let (one, zero) = (b"\x01".as_slice(), b"\0".as_slice());
    ours.subscribe(topic).await.unwrap();
    assert_eq!(theirs.recv().await, [[one, topic.as_bytes()].concat()]);
    ours.subscribe(other_topic).await.unwrap();
    assert_eq!(theirs.recv().await, [[one, other_topic.as_bytes()].concat()]);
    ours.cancel(other_topic).await.unwrap();
    assert_eq!(theirs.recv().await, [[zero, other_topic.as_bytes()].concat()]);
    theirs.send(&[topic, from_theirs]).await;
    let event = tokio::time::timeout(LIMIT, ours.recv()).await.unwrap().unwrap().unwrap();
    let Event::Message(message) = event else { panic!("{event:?}") };
    assert_eq!(message.parts(), [topic, from_theirs]);
    ours.send(from_ours).await.unwrap();
    assert_eq!(theirs.recv().await, [from_ours.as_bytes()]);
    record
}

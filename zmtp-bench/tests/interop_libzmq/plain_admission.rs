//! Clients of libzmq's at a server of ours: let in, refused, sent away for now, kept waiting, and who comes back.
//!
//! Each time all that libzmq reports is compared, from the connection to its end.

use std::cell::RefCell;
use std::sync::Mutex;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use zmtp_bench::peers::libzmq::{EventKind, ProtocolError, SocketKind};
use zmtp_connection::codec::{
    Admission, Credentials, ErrorReason, MechanismError, MechanismName, Refusal, SocketType, Verdict,
};
use zmtp_connection::{
    AllowAny, AllowList, AuthRequest, Authenticator, Connection, ConnectionConfig, CredentialList, HandshakeCause,
    HandshakeError, PlainCredentials, PlainServer, Stage, decide,
};

use crate::events::{attempt, comes_back};
use crate::security::{Role, THEY, User, WE, equip_client};
use crate::theirs::{Theirs, within};

/// A libzmq that is to come back does so after this long.
const RECONNECT_IVL: Duration = Duration::from_millis(10);

/// A libzmq that was let in.
const LET_IN: [EventKind; 2] = [EventKind::Connected, EventKind::HandshakeSucceeded];
/// A libzmq that has read an ERROR of ours: not the spelling that it knows.
const SENT_AN_ERROR: [EventKind; 3] = [
    EventKind::Connected,
    EventKind::HandshakeFailedProtocol(ProtocolError::ZmtpUnexpectedCommand),
    EventKind::Disconnected,
];
/// A libzmq that was closed on without a word: EPIPE is what it says of the end of a stream.
const CLOSED_ON: [EventKind; 3] =
    [EventKind::Connected, EventKind::HandshakeFailedNoDetail(32), EventKind::Disconnected];

type Ours = Connection<TcpStream, PlainServer>;

/// A server of ours that listens.
struct Door {
    listener: TcpListener,
    config: ConnectionConfig,
}

impl Door {
    async fn new() -> Self {
        Self {
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            config: ConnectionConfig::new(SocketType::Router),
        }
    }

    /// A client of libzmq's that knocks as this user.
    fn knock(&self, user: User) -> Theirs {
        let theirs = Theirs::new(SocketKind::Dealer);
        theirs.socket().set_reconnect_ivl(RECONNECT_IVL).unwrap();
        equip_client(theirs.socket(), user);
        theirs.connect_to(&self.listener);
        theirs
    }

    /// Puts the next who knocks to the judge.
    async fn open(&self, judge: &impl Authenticator) -> Result<Ours, HandshakeError> {
        let (stream, address) = within("a client", self.listener.accept()).await.unwrap();
        let (judge, server) = (judge.at(address), PlainServer::new());
        within("the handshake", Connection::handshake_with(stream, &self.config, &server, &judge)).await
    }
}

#[track_caller]
fn assert_refused(error: &HandshakeError, due: &Refusal) {
    let HandshakeCause::Mechanism(MechanismError::Refused(refusal)) = error.cause() else { panic!("{error:?}") };
    assert_eq!(refusal.reason(), due.reason());
    assert_eq!(error.stage(), Stage::Authorization);
    // Whether *we* as a connecting side should try again: as the refused one is told.
    assert_eq!(error.may_reconnect(), due.is_silent());
}

/// Both directions of a connection that was let in.
async fn talk(ours: &mut Ours, theirs: &mut Theirs) {
    ours.send("welcome").await.unwrap();
    assert_eq!(theirs.recv().await, [b"welcome"]);
    theirs.send(&["thanks"]).await;
    let event = within("a message", ours.recv()).await.unwrap().unwrap();
    assert_eq!(event.into_message().unwrap().first(), "thanks");
}

#[tokio::test]
async fn a_client_on_the_list_is_let_in_as_its_user() {
    for user_id in [THEY.0, "somebody else"] {
        let door = Door::new().await;
        let list = CredentialList::default();
        list.insert_as(THEY.credentials(), user_id);
        let mut theirs = door.knock(THEY);
        let mut ours = door.open(&list).await.unwrap();
        assert_eq!(ours.peer().user_id_str(), Some(user_id));
        assert_eq!(ours.peer().mechanism(), MechanismName::PLAIN);
        assert_eq!(ours.peer().public_key(), None);
        assert!(!ours.peer().is_encrypted());
        assert_eq!(attempt(&mut theirs).await, LET_IN);
        talk(&mut ours, &mut theirs).await;
    }
}

/// Which half was wrong makes no difference to what libzmq sees, nor to what we report.
#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_are_refused_alike_and_do_not_come_back() {
    let list = CredentialList::new([THEY.credentials(), WE.credentials()]);
    let mut said = Vec::new();
    for user in [User(THEY.0, "wrong"), User("unknown", THEY.1), User(THEY.0, WE.1), User("LIBZMQ", THEY.1)] {
        let door = Door::new().await;
        let mut theirs = door.knock(user);
        let error = door.open(&list).await.unwrap_err();
        assert_refused(&error, &Refusal::error(ErrorReason::AUTHENTICATION_FAILURE));
        assert_eq!(attempt(&mut theirs).await, SENT_AN_ERROR, "{user:?}");
        assert!(!comes_back(&mut theirs).await, "{user:?}");
        said.push(error.to_string());
    }
    said.dedup();
    assert_eq!(said.len(), 1, "{said:?}");
}

#[tokio::test]
async fn each_refusal_is_what_it_means_to_libzmq() {
    for (verdict, refusal, events, back) in [
        (Verdict::deny(), Refusal::error(ErrorReason::AUTHENTICATION_FAILURE), SENT_AN_ERROR, false),
        (Verdict::internal_error(), Refusal::error(ErrorReason::INTERNAL_ERROR), SENT_AN_ERROR, false),
        (Verdict::try_later(), Refusal::silent(), CLOSED_ON, true),
    ] {
        let door = Door::new().await;
        let mut theirs = door.knock(THEY);
        let error = door.open(&decide(|_| verdict.clone())).await.unwrap_err();
        assert_refused(&error, &refusal);
        assert_eq!(attempt(&mut theirs).await, events, "{verdict:?}");
        assert_eq!(comes_back(&mut theirs).await, back, "{verdict:?}");
    }
}

/// A list of keys knows nobody who shows a password.
#[tokio::test]
async fn a_list_of_keys_lets_in_nobody() {
    let door = Door::new().await;
    let mut theirs = door.knock(THEY);
    let error = door.open(&AllowList::new([[0; 32]])).await.unwrap_err();
    assert_refused(&error, &Refusal::error(ErrorReason::AUTHENTICATION_FAILURE));
    assert_eq!(attempt(&mut theirs).await, SENT_AN_ERROR);
}

/// Status 300. The list is changed while the client is away, and decides the next time.
#[tokio::test]
async fn a_client_that_is_sent_away_for_now_comes_back_and_is_let_in() {
    let door = Door::new().await;
    let open = Mutex::new(false);
    let judge = decide(|_| if *open.lock().unwrap() { Verdict::accept_as("at last") } else { Verdict::try_later() });
    let mut theirs = door.knock(THEY);
    let mut due = CLOSED_ON.to_vec();
    for _ in 0..2 {
        assert_refused(&door.open(&judge).await.unwrap_err(), &Refusal::silent());
        assert_eq!(attempt(&mut theirs).await, due);
        due = [[EventKind::ConnectRetried].as_slice(), &CLOSED_ON].concat();
    }
    *open.lock().unwrap() = true;
    let mut ours = door.open(&judge).await.unwrap();
    assert_eq!(attempt(&mut theirs).await, [[EventKind::ConnectRetried].as_slice(), &LET_IN].concat());
    assert_eq!(ours.peer().user_id_str(), Some("at last"));
    talk(&mut ours, &mut theirs).await;
}

/// Who is connected stays, whatever happens to the list; who comes again is judged anew.
#[tokio::test]
async fn a_client_that_was_taken_off_the_list_is_refused_the_next_time() {
    let door = Door::new().await;
    let list = CredentialList::new([THEY.credentials()]);
    let mut theirs = door.knock(THEY);
    let mut ours = door.open(&list).await.unwrap();
    assert_eq!(attempt(&mut theirs).await, LET_IN);
    assert!(list.remove(THEY.0));
    talk(&mut ours, &mut theirs).await;
    drop(ours);
    assert_eq!(attempt(&mut theirs).await, [EventKind::Disconnected]);
    let error = door.open(&list).await.unwrap_err();
    assert_refused(&error, &Refusal::error(ErrorReason::AUTHENTICATION_FAILURE));
    assert_eq!(attempt(&mut theirs).await, [[EventKind::ConnectRetried].as_slice(), &SENT_AN_ERROR].concat());
    assert!(!comes_back(&mut theirs).await);
}

/// Listening or not makes no difference to who is judged.
#[tokio::test]
async fn a_client_that_listens_is_refused_as_well() {
    let mut theirs = Theirs::new(SocketKind::Dealer);
    equip_client(theirs.socket(), THEY);
    let stream = theirs.meet(Role::WeConnectAndServe).await;
    let config = ConnectionConfig::new(SocketType::Router);
    let (server, list) = (PlainServer::new(), CredentialList::new([WE.credentials()]));
    let error = within("a refusal", Connection::handshake_with(stream, &config, &server, &list)).await.unwrap_err();
    assert_refused(&error, &Refusal::error(ErrorReason::AUTHENTICATION_FAILURE));
    let events = attempt(&mut theirs).await;
    let due = [EventKind::Listening, EventKind::Accepted];
    assert_eq!(events, [due.as_slice(), &SENT_AN_ERROR[1..]].concat());
}

/// The properties are not yet known when PLAIN asks.
#[tokio::test]
async fn the_judge_sees_all_there_is_to_see() {
    let mut door = Door::new().await;
    door.config = ConnectionConfig::builder(SocketType::Router).domain("tests").build().unwrap();
    let theirs = Theirs::new(SocketKind::Dealer);
    theirs.socket().set_routing_id(b"the dealer").unwrap();
    theirs.socket().set_metadata("X-Colour", "green").unwrap();
    equip_client(theirs.socket(), THEY);
    theirs.connect_to(&door.listener);
    let seen: Mutex<Vec<AuthRequest>> = Mutex::default();
    let judge = decide(|request| {
        seen.lock().unwrap().push(request.clone());
        let mut admission = Admission::new().with_user_id("the user");
        admission.properties.push("X-Level", "3").unwrap();
        Verdict::Accept(admission)
    });
    let ours = door.open(&judge).await.unwrap();
    let seen = seen.lock().unwrap();
    let [request] = &seen[..] else { panic!("one client is asked about once") };
    assert_eq!(request.mechanism(), MechanismName::PLAIN);
    assert_eq!(request.domain(), "tests");
    assert_eq!(request.address().unwrap().zap_text(), "127.0.0.1");
    assert_eq!(request.credentials(), &Credentials::Plain(THEY.credentials()));
    let shown = request.plain().unwrap();
    assert_eq!((shown.username_str(), shown.danger_password()), (Some(THEY.0), THEY.1.as_bytes()));
    assert_eq!((request.properties(), request.identity(), request.socket_type()), (None, None, None));
    let peer = ours.peer();
    assert_eq!(peer.user_id_str(), Some("the user"));
    assert_eq!(peer.auth_properties().get("X-Level").unwrap(), "3");
    assert_eq!(peer.properties().get("X-Level"), None);
    assert_eq!(peer.properties().get("X-Colour").unwrap(), "green");
    assert_eq!(peer.address().unwrap().ip().unwrap().to_string(), "127.0.0.1");
    assert_eq!(peer.identity().as_bytes(), "the dealer");
}

/// What libzmq's options take arrives as it is: one octet, 255 octets, and no text.
#[tokio::test]
async fn any_octets_are_a_username_and_a_password() {
    let long = |first: u8| -> Vec<u8> { (0..255).map(|octet| first.wrapping_add(octet)).collect() };
    for (username, password) in [(vec![0], vec![0xff]), (long(0), long(1)), (b"\x05ERROR".to_vec(), b" ".to_vec())] {
        let door = Door::new().await;
        let mut theirs = Theirs::new(SocketKind::Dealer);
        theirs.socket().set_plain_username(&username).unwrap();
        theirs.socket().set_plain_password(&password).unwrap();
        theirs.connect_to(&door.listener);
        let list = CredentialList::new([PlainCredentials::new(&username, &password).unwrap()]);
        let mut ours = door.open(&list).await.unwrap();
        assert_eq!(ours.peer().user_id().unwrap(), &username);
        assert_eq!(attempt(&mut theirs).await, LET_IN);
        talk(&mut ours, &mut theirs).await;
    }
}

/// A libzmq that was given one half alone sends the other one empty.
#[tokio::test]
async fn the_half_that_libzmq_was_not_given_is_empty() {
    let door = Door::new().await;
    let theirs = Theirs::new(SocketKind::Dealer);
    theirs.socket().set_plain_username("alice").unwrap();
    theirs.connect_to(&door.listener);
    let list = CredentialList::new([PlainCredentials::new("alice", "").unwrap()]);
    assert_eq!(door.open(&list).await.unwrap().peer().user_id_str(), Some("alice"));
}

/// One client waits for its verdict, and does not hold up another.
#[tokio::test]
async fn a_slow_judge_keeps_nobody_else_waiting() {
    let door = Door::new().await;
    let (slow, quick) = (User("slow", "but sure"), User("quick", "and easy"));
    let (release, released) = oneshot::channel::<Verdict>();
    let released = Mutex::new(Some(released));
    let (asked, was_asked) = oneshot::channel();
    let asked = Mutex::new(Some(asked));
    let judge = |request: AuthRequest| {
        let wait = (request.plain() == Some(&slow.credentials())).then(|| {
            asked.lock().unwrap().take().unwrap().send(()).unwrap();
            released.lock().unwrap().take().unwrap()
        });
        async move {
            match wait {
                Some(verdict) => verdict.await.unwrap_or_else(|_| Verdict::deny()),
                None => Verdict::accept_as("the quick one"),
            }
        }
    };
    let mut first = door.knock(slow);
    let second = RefCell::new(None);
    let meanwhile = async {
        was_asked.await.unwrap();
        let mut theirs = door.knock(quick);
        let mut ours = door.open(&judge).await.unwrap();
        assert_eq!(ours.peer().user_id_str(), Some("the quick one"));
        assert_eq!(attempt(&mut theirs).await, LET_IN);
        talk(&mut ours, &mut theirs).await;
        *second.borrow_mut() = Some((ours, theirs));
        // Only now, and to libzmq nothing was different but the time.
        release.send(Verdict::accept_as("the slow one")).unwrap();
    };
    let (ours, ()) = tokio::join!(door.open(&judge), meanwhile);
    let mut ours = ours.unwrap();
    assert_eq!(ours.peer().user_id_str(), Some("the slow one"));
    assert_eq!(attempt(&mut first).await, LET_IN);
    talk(&mut ours, &mut first).await;
    let mut second = second.into_inner();
    let (ours, theirs) = second.as_mut().unwrap();
    theirs.assert_still_connected();
    talk(ours, theirs).await;
}

/// libzmq sends nothing before READY; what it has queued comes after it.
#[tokio::test]
async fn what_a_waiting_client_has_queued_arrives_once_it_is_let_in() {
    let door = Door::new().await;
    let mut theirs = door.knock(THEY);
    for number in 0..10_u8 {
        theirs.send(&[[number]]).await;
    }
    let judge = |_: AuthRequest| async {
        tokio::task::yield_now().await;
        Verdict::accept()
    };
    let mut ours = door.open(&judge).await.unwrap();
    for number in 0..10_u8 {
        let event = within("a message", ours.recv()).await.unwrap().unwrap();
        assert_eq!(event.into_message().unwrap().first(), &[number][..]);
    }
}

/// A judge that never answers: the client is sent away when the time of the handshake is over, and comes back.
#[tokio::test]
async fn a_judge_that_never_answers_ends_with_the_time_of_the_handshake() {
    let mut door = Door::new().await;
    let patience = Duration::from_millis(100);
    door.config = ConnectionConfig::builder(SocketType::Router).handshake_timeout(Some(patience)).build().unwrap();
    let mut theirs = door.knock(THEY);
    let error = door.open(&|_: AuthRequest| std::future::pending::<Verdict>()).await.unwrap_err();
    assert!(matches!(error.cause(), HandshakeCause::TimedOut { after } if *after == patience), "{error:?}");
    assert_eq!(error.stage(), Stage::Authorization);
    assert_eq!(attempt(&mut theirs).await, CLOSED_ON);
    door.config = ConnectionConfig::new(SocketType::Router);
    let mut ours = door.open(&AllowAny).await.unwrap();
    talk(&mut ours, &mut theirs).await;
}

/// Nobody is there to judge: the server lets in nobody, and libzmq comes back.
#[tokio::test]
async fn without_a_judge_nobody_is_let_in() {
    let door = Door::new().await;
    let mut theirs = door.knock(THEY);
    let (stream, _) = within("a client", door.listener.accept()).await.unwrap();
    let error = Connection::handshake(stream, &door.config, &PlainServer::new()).await.unwrap_err();
    assert!(matches!(error.cause(), HandshakeCause::NoAuthenticator), "{error:?}");
    assert_eq!(attempt(&mut theirs).await, CLOSED_ON);
    assert!(comes_back(&mut theirs).await);
}

/// Many clients at once, each known by its own username.
#[tokio::test]
async fn twenty_clients_are_told_apart_by_their_usernames() {
    let door = Door::new().await;
    let names: Vec<_> = (0..20).map(|number| format!("user {number}")).collect();
    let list = CredentialList::default();
    let mut clients: Vec<_> = names
        .iter()
        .map(|name| {
            list.insert(PlainCredentials::new(name, name.to_uppercase()).unwrap());
            let theirs = Theirs::new(SocketKind::Dealer);
            theirs.socket().set_plain_username(name).unwrap();
            theirs.socket().set_plain_password(name.to_uppercase()).unwrap();
            theirs.connect_to(&door.listener);
            theirs
        })
        .collect();
    let mut connections = Vec::new();
    for _ in 0..clients.len() {
        connections.push(door.open(&list).await.unwrap());
    }
    for connection in &mut connections {
        let user = connection.peer().user_id_str().unwrap().to_owned();
        let number = names.iter().position(|name| *name == user).unwrap();
        connection.send(&user).await.unwrap();
        assert_eq!(clients[number].recv().await, [user.as_bytes()]);
    }
}

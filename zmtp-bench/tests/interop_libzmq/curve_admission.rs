//! Clients of libzmq's at a server of ours: let in, refused, sent away for now, kept waiting, and who comes back.

use std::cell::RefCell;
use std::sync::Mutex;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;
use zmtp_bench::peers::libzmq::{EventKind, SocketKind};
use zmtp_connection::codec::{
    Admission, Credentials, ErrorReason, MechanismError, MechanismName, Refusal, SocketType, Verdict,
};
use zmtp_connection::{
    AllowAny, AllowList, AuthRequest, Authenticator, Connection, ConnectionConfig, CurveServer, HandshakeCause,
    HandshakeError, Stage, decide,
};

use crate::security::{Keys, Role, THEY, WE, equip_client, pair};
use crate::theirs::{Theirs, within};

/// A libzmq that is to come back does so after this long.
const RECONNECT_IVL: Duration = Duration::from_millis(10);
/// Time in which one that is not to come back could have done so again and again.
const QUIET: Duration = Duration::from_millis(400);

type Ours = Connection<tokio::net::TcpStream, CurveServer>;

/// A server of ours that listens.
struct Door {
    listener: TcpListener,
    server: CurveServer,
    config: ConnectionConfig,
}

impl Door {
    async fn new() -> Self {
        Self {
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            server: CurveServer::new(pair(&WE.theirs)),
            config: ConnectionConfig::new(SocketType::Router),
        }
    }

    /// A client of libzmq's that knocks, by these keys.
    fn knock(&self, keys: &Keys) -> Theirs {
        let theirs = Theirs::new(SocketKind::Dealer);
        theirs.socket().set_reconnect_ivl(RECONNECT_IVL).unwrap();
        equip_client(theirs.socket(), keys, &WE);
        theirs.connect_to(&self.listener);
        theirs
    }

    /// Puts the next who knocks to the judge.
    async fn open(&self, judge: &impl Authenticator) -> Result<Ours, HandshakeError> {
        let (stream, address) = within("a client", self.listener.accept()).await.unwrap();
        let judge = judge.at(address);
        within("the handshake", Connection::handshake_with(stream, &self.config, &self.server, &judge)).await
    }

    async fn nobody_knocks(&self) {
        assert!(timeout(QUIET, self.listener.accept()).await.is_err(), "libzmq came back");
    }
}

#[track_caller]
fn assert_refused(error: &HandshakeError, due: &Refusal) {
    let HandshakeCause::Mechanism(MechanismError::Refused(refusal)) = error.cause() else { panic!("{error:?}") };
    assert_eq!(refusal.reason(), due.reason());
    assert_eq!(error.stage(), Stage::Authorization);
    // Whether *we* as a connecting side should try again: as the refused one is told.
    assert_eq!(error.may_reconnect(), *due == Refusal::silent());
}

/// Both directions of a connection that was let in.
async fn talk(ours: &mut Ours, theirs: &mut Theirs) {
    theirs.event(EventKind::HandshakeSucceeded).await;
    ours.send("welcome").await.unwrap();
    assert_eq!(theirs.recv().await, [b"welcome"]);
    theirs.send(&["thanks"]).await;
    let event = within("a message", ours.recv()).await.unwrap().unwrap();
    assert_eq!(event.into_message().unwrap().first(), "thanks");
}

#[tokio::test]
async fn a_client_on_the_list_is_let_in_as_its_user() {
    let door = Door::new().await;
    let list = AllowList::default();
    list.insert_as(THEY.octets(), "libzmq");
    let mut theirs = door.knock(&THEY);
    let mut ours = door.open(&list).await.unwrap();
    assert_eq!(ours.peer().user_id_str(), Some("libzmq"));
    assert_eq!(ours.peer().public_key(), Some(&THEY.octets()));
    talk(&mut ours, &mut theirs).await;
}

#[tokio::test]
async fn a_client_that_is_not_on_the_list_reports_400_and_does_not_come_back() {
    let door = Door::new().await;
    let list = AllowList::new([THEY.octets()]);
    let mut theirs = door.knock(&Keys::new());
    let error = door.open(&list).await.unwrap_err();
    assert_refused(&error, &Refusal::error(ErrorReason::AUTHENTICATION_FAILURE));
    theirs.event(EventKind::HandshakeFailedAuth(400)).await;
    door.nobody_knocks().await;
    assert_eq!(door.server.half_open(), 0);
}

#[tokio::test]
async fn a_client_that_could_not_be_judged_reports_500_and_does_not_come_back() {
    let door = Door::new().await;
    let mut theirs = door.knock(&THEY);
    let error = door.open(&decide(|_| Verdict::internal_error())).await.unwrap_err();
    assert_refused(&error, &Refusal::error(ErrorReason::INTERNAL_ERROR));
    theirs.event(EventKind::HandshakeFailedAuth(500)).await;
    door.nobody_knocks().await;
}

/// Status 300. The list is changed while the client is away, and decides the next time.
#[tokio::test]
async fn a_client_that_is_sent_away_for_now_comes_back_and_is_let_in() {
    let door = Door::new().await;
    let list = AllowList::default();
    let serving = list.clone();
    let judge = decide(move |request| match request.public_key() {
        Some(key) if serving.contains(*key) => Verdict::accept(),
        _ => Verdict::try_later(),
    });
    let mut theirs = door.knock(&THEY);
    for _ in 0..2 {
        assert_refused(&door.open(&judge).await.unwrap_err(), &Refusal::silent());
        // Not a word: to libzmq it is a connection that broke.
        let event = theirs.event_where(|event| !is_progress(event.kind)).await.unwrap();
        assert!(matches!(event.kind, EventKind::HandshakeFailedNoDetail(_)), "{event:?}");
    }
    list.insert(THEY.octets());
    let mut ours = door.open(&judge).await.unwrap();
    talk(&mut ours, &mut theirs).await;
}

/// What happens to every connection attempt.
fn is_progress(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::ConnectDelayed
            | EventKind::ConnectRetried
            | EventKind::Connected
            | EventKind::Disconnected
            | EventKind::Closed
    )
}

/// Who is connected stays, whatever happens to the list; who comes again is judged anew.
#[tokio::test]
async fn a_client_that_was_taken_off_the_list_is_refused_the_next_time() {
    let door = Door::new().await;
    let list = AllowList::new([THEY.octets()]);
    let mut theirs = door.knock(&THEY);
    let mut ours = door.open(&list).await.unwrap();
    assert!(list.remove(THEY.octets()));
    talk(&mut ours, &mut theirs).await;
    drop(ours);
    theirs.event(EventKind::Disconnected).await;
    assert_refused(&door.open(&list).await.unwrap_err(), &Refusal::error(ErrorReason::AUTHENTICATION_FAILURE));
    theirs.event(EventKind::HandshakeFailedAuth(400)).await;
    door.nobody_knocks().await;
}

/// Listening or not makes no difference to who is judged.
#[tokio::test]
async fn a_client_that_listens_is_refused_as_well() {
    let mut theirs = Theirs::new(SocketKind::Dealer);
    equip_client(theirs.socket(), &Keys::new(), &WE);
    let stream = theirs.meet(Role::WeConnectAndServe).await;
    let config = ConnectionConfig::new(SocketType::Router);
    let server = CurveServer::new(pair(&WE.theirs));
    let list = AllowList::new([THEY.octets()]);
    let error = within("a refusal", Connection::handshake_with(stream, &config, &server, &list)).await.unwrap_err();
    assert_refused(&error, &Refusal::error(ErrorReason::AUTHENTICATION_FAILURE));
    theirs.event(EventKind::HandshakeFailedAuth(400)).await;
}

#[tokio::test]
async fn the_judge_sees_all_there_is_to_see() {
    let mut door = Door::new().await;
    door.config = ConnectionConfig::builder(SocketType::Router).domain("tests").build().unwrap();
    let theirs = Theirs::new(SocketKind::Dealer);
    theirs.socket().set_routing_id(b"the dealer").unwrap();
    theirs.socket().set_metadata("X-Colour", "green").unwrap();
    equip_client(theirs.socket(), &THEY, &WE);
    theirs.connect_to(&door.listener);
    let seen: Mutex<Vec<AuthRequest>> = Mutex::default();
    let judge = decide(|request| {
        seen.lock().unwrap().push(request.clone());
        let mut admission = Admission::new().with_user_id("the user");
        admission.properties.push("X-Level", "3").unwrap();
        Verdict::Accept(admission)
    });
    let ours = door.open(&judge).await.unwrap();
    let request = seen.lock().unwrap().pop().unwrap();
    assert_eq!(request.mechanism(), MechanismName::CURVE);
    assert_eq!(request.domain(), "tests");
    assert_eq!(request.address().unwrap().zap_text(), "127.0.0.1");
    assert_eq!(request.credentials(), &Credentials::PublicKey(THEY.octets()));
    assert_eq!(request.public_key(), Some(&THEY.octets()));
    assert_eq!(request.identity().unwrap().as_bytes(), "the dealer");
    assert_eq!(request.socket_type(), Some(SocketType::Dealer));
    let properties: Vec<_> =
        request.properties().unwrap().iter().map(|(name, value)| (name.to_owned(), value.clone())).collect();
    let due = [("Socket-Type", "DEALER"), ("Identity", "the dealer"), ("X-Colour", "green")];
    assert_eq!(properties, due.map(|(name, value)| (name.to_owned(), value.into())));
    let peer = ours.peer();
    assert_eq!(peer.user_id_str(), Some("the user"));
    assert_eq!(peer.auth_properties().get("X-Level").unwrap(), "3");
    assert_eq!(peer.properties().get("X-Level"), None);
    assert_eq!(peer.properties().get("X-Colour").unwrap(), "green");
    assert_eq!(peer.address().unwrap().ip().unwrap().to_string(), "127.0.0.1");
    assert_eq!(peer.identity().as_bytes(), "the dealer");
}

/// One client waits for its verdict, and does not hold up another.
#[tokio::test]
async fn a_slow_judge_keeps_nobody_else_waiting() {
    let door = Door::new().await;
    let (slow, quick) = (Keys::new(), Keys::new());
    let (release, released) = oneshot::channel::<Verdict>();
    let released = Mutex::new(Some(released));
    let (asked, was_asked) = oneshot::channel();
    let asked = Mutex::new(Some(asked));
    let slow_key = slow.octets();
    let judge = |request: AuthRequest| {
        let wait = (request.public_key() == Some(&slow_key)).then(|| {
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
    let mut first = door.knock(&slow);
    let second = RefCell::new(None);
    let meanwhile = async {
        was_asked.await.unwrap();
        let mut theirs = door.knock(&quick);
        let mut ours = door.open(&judge).await.unwrap();
        assert_eq!(ours.peer().user_id_str(), Some("the quick one"));
        talk(&mut ours, &mut theirs).await;
        *second.borrow_mut() = Some((ours, theirs));
        // Only now, and to libzmq nothing was different but the time.
        release.send(Verdict::accept_as("the slow one")).unwrap();
    };
    let (ours, ()) = tokio::join!(door.open(&judge), meanwhile);
    let mut ours = ours.unwrap();
    assert_eq!(ours.peer().user_id_str(), Some("the slow one"));
    assert_eq!(ours.peer().public_key(), Some(&slow.octets()));
    talk(&mut ours, &mut first).await;
    let mut second = second.into_inner();
    let (ours, theirs) = second.as_mut().unwrap();
    theirs.assert_still_connected();
    ours.send("still here").await.unwrap();
    assert_eq!(theirs.recv().await, [b"still here"]);
}

/// What the client sends behind its INITIATE is not lost while the judge thinks. (libzmq sends nothing before READY; it
/// queues.)
#[tokio::test]
async fn what_a_waiting_client_has_queued_arrives_once_it_is_let_in() {
    let door = Door::new().await;
    let mut theirs = door.knock(&THEY);
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
    let mut theirs = door.knock(&THEY);
    let error = door.open(&|_: AuthRequest| std::future::pending::<Verdict>()).await.unwrap_err();
    assert!(matches!(error.cause(), HandshakeCause::TimedOut { after } if *after == patience), "{error:?}");
    assert_eq!(error.stage(), Stage::Authorization);
    assert_eq!(door.server.half_open(), 0);
    door.config = ConnectionConfig::new(SocketType::Router);
    let mut ours = door.open(&AllowAny).await.unwrap();
    talk(&mut ours, &mut theirs).await;
}

/// Too many at once: who is too many comes back.
#[tokio::test]
async fn a_client_beyond_the_limit_of_half_open_handshakes_comes_back() {
    let mut door = Door::new().await;
    door.server = CurveServer::new(pair(&WE.theirs)).with_half_open_limit(0);
    let mut theirs = door.knock(&THEY);
    let error = door.open(&AllowAny).await.unwrap_err();
    assert!(matches!(error.cause(), HandshakeCause::Mechanism(MechanismError::Busy)), "{error:?}");
    door.server = CurveServer::new(pair(&WE.theirs)).with_half_open_limit(1);
    let mut ours = door.open(&AllowAny).await.unwrap();
    talk(&mut ours, &mut theirs).await;
}

/// Many clients at once, each with a key of its own and each known by it.
#[tokio::test]
async fn twenty_clients_are_told_apart_by_their_keys() {
    let door = Door::new().await;
    let keys: Vec<_> = (0..20).map(|_| Keys::new()).collect();
    let list = AllowList::default();
    list.replace_as(keys.iter().zip(0..).map(|(keys, number)| (keys.octets(), number.to_string())));
    let mut clients: Vec<_> = keys.iter().map(|keys| door.knock(keys)).collect();
    let mut connections = Vec::new();
    for _ in 0..clients.len() {
        connections.push(door.open(&list).await.unwrap());
    }
    for connection in &mut connections {
        let user = connection.peer().user_id_str().unwrap().to_owned();
        let number: usize = user.parse().unwrap();
        assert_eq!(connection.peer().public_key(), Some(&keys[number].octets()));
        connection.send(&user).await.unwrap();
        assert_eq!(clients[number].recv().await, [user.as_bytes()]);
    }
}

//! Being a ZAP handler, for requesters written by hand and for our own client; and peers that are let in over ZAP.
#![cfg(all(feature = "zap", feature = "net", feature = "null"))]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use zmtp_connection::codec::{Claim, Mechanism, MechanismName, SocketType, Verdict};
use zmtp_connection::zap::{ServeError, ZapClient, serve};
use zmtp_connection::{
    AllowAny, AuthRequest, Authenticator, Connection, ConnectionConfig, Event, HandshakeError, Message, Null,
    PeerAddress, Stage, decide,
};

/// A connection to a handler that we are, and the task in which we are it.
struct Requester {
    connection: Connection<DuplexStream, Null>,
    handler: JoinHandle<Result<(), ServeError>>,
}

impl Requester {
    /// A DEALER that may ask many questions at once, as the proxy in a program with libzmq.
    async fn new<A: Authenticator + Send + 'static>(judge: A) -> Self {
        Self::of(SocketType::Dealer, SocketType::Rep, judge).await
    }

    async fn of<A: Authenticator + Send + 'static>(asking: SocketType, ours: SocketType, judge: A) -> Self {
        let (near, far) = duplex(64 * 1024);
        let handler = tokio::spawn(async move {
            let connection = Connection::handshake(far, &ConnectionConfig::new(ours), &Null::new()).await.unwrap();
            serve(connection, Arc::new(judge)).await
        });
        let connection = Connection::handshake(near, &ConnectionConfig::new(asking), &Null::new()).await.unwrap();
        Self { connection, handler }
    }

    async fn send(&mut self, frames: &[&str]) {
        self.connection.send(frames).await.unwrap();
    }

    async fn ask(&mut self, id: &str, domain: &str) {
        self.send(&["", "1.0", id, domain, "192.0.2.1", "", "NULL"]).await;
    }

    async fn reply(&mut self) -> Message {
        let received = timeout(Duration::from_secs(60), self.connection.recv()).await.expect("no reply");
        received.unwrap().and_then(Event::into_message).unwrap()
    }

    /// Expects these frames, up to and including the status.
    async fn expect(&mut self, frames: &[&str]) -> Message {
        let reply = self.reply().await;
        assert_eq!(reply.parts()[..frames.len()], *frames);
        reply
    }
}

/// Everybody does what can be done now.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// Does what the domain says.
async fn obey(request: AuthRequest) -> Verdict {
    match request.domain() {
        "slow" => tokio::time::sleep(Duration::from_secs(1)).await,
        "never" => pending().await,
        "panic" => panic!("as told"),
        "deny" => return Verdict::deny().because("as told"),
        "long" => return Verdict::accept_as(vec![b'u'; 256]),
        _ => {}
    }
    Verdict::accept_as(request.domain().to_owned())
}

// Questions and answers.

#[tokio::test(start_paused = true)]
async fn a_reply_answers_its_request_in_its_envelope() {
    let mut requester = Requester::new(obey).await;
    requester.ask("1", "alice").await;
    assert_eq!(requester.reply().await.parts(), ["", "1.0", "1", "200", "OK", "alice", ""]);
    requester.send(&["second", "first", "", "1.0", "2", "deny", "::1", "", "NULL"]).await;
    assert_eq!(requester.reply().await.parts(), ["second", "first", "", "1.0", "2", "400", "as told", "", ""]);
}

#[tokio::test(start_paused = true)]
async fn every_pair_of_socket_types_that_can_ask_is_served() {
    for (asking, ours) in [
        (SocketType::Req, SocketType::Rep),
        (SocketType::Req, SocketType::Router),
        (SocketType::Dealer, SocketType::Router),
        (SocketType::Dealer, SocketType::Dealer),
        (SocketType::Router, SocketType::Dealer),
        (SocketType::Router, SocketType::Router),
    ] {
        let mut requester = Requester::of(asking, ours, obey).await;
        requester.ask("1", "alice").await;
        requester.expect(&["", "1.0", "1", "200"]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_cannot_ask_is_not_served() {
    let requester = Requester::of(SocketType::Push, SocketType::Pull, obey).await;
    let refused = requester.handler.await.unwrap().unwrap_err();
    assert!(matches!(refused, ServeError::SocketType { theirs: SocketType::Push }), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_question_delays_no_other() {
    let mut requester = Requester::new(obey).await;
    requester.send(&["a", "", "1.0", "1", "slow", "", "", "NULL"]).await;
    requester.send(&["b", "", "1.0", "1", "quick", "", "", "NULL"]).await;
    requester.expect(&["b", "", "1.0", "1", "200"]).await;
    requester.expect(&["a", "", "1.0", "1", "200"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_fails_its_own_question_alone() {
    let mut requester = Requester::new(obey).await;
    requester.ask("1", "slow").await;
    requester.ask("2", "panic").await;
    requester.expect(&["", "1.0", "2", "300", "the authenticator has panicked", "", ""]).await;
    requester.expect(&["", "1.0", "1", "200"]).await;
    requester.ask("3", "alice").await;
    requester.expect(&["", "1.0", "3", "200"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_user_id_that_does_not_fit_lets_nobody_in() {
    let mut requester = Requester::new(obey).await;
    requester.ask("1", "long").await;
    let why = "the user id has 256 octets, ZAP carries 255 at most";
    requester.expect(&["", "1.0", "1", "300", why, "", ""]).await;
}

// What is no request.

#[tokio::test(start_paused = true)]
async fn a_request_that_cannot_be_judged_is_answered_with_a_500_and_why() {
    let mut requester = Requester::new(obey).await;
    for request in [
        &["id", "", "2.0", "7", "dom", "::1", "", "NULL"][..],
        &["id", "", "1.0", "7"],
        &["id", "", "1.0", "7", "dom", "::1", "", "null"],
        &["id", "", "1.0", "7", "dom", "::1", "", "NULL", "credentials"],
        &["id", "", "1.0", "7", "dom", "::1", "", "PLAIN", "alice"],
        &["id", "", "1.0", "7", "dom", "::1", "", "CURVE", "short"],
        &["id", "", "1.0", "7", "dom", "::1", "", "GSSAPI", "alice"],
    ] {
        requester.send(request).await;
        let reply = requester.expect(&["id", "", "1.0", "7", "500"]).await;
        assert!(!reply.parts()[5].is_empty() && reply.parts()[6..] == ["", ""], "{request:?}");
    }
    requester.ask("8", "alice").await;
    requester.expect(&["", "1.0", "8", "200"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_way_back_is_dropped_and_the_next_one_answered() {
    let mut requester = Requester::new(obey).await;
    for request in
        [&["hello"][..], &["", "1.0"], &[""], &["a", "b", "c"], &["id", "1.0", "7", "dom", "::1", "x", "NULL"]]
    {
        requester.send(request).await;
    }
    requester.ask("8", "alice").await;
    requester.expect(&["", "1.0", "8", "200"]).await;
}

// Limits and ends.

#[tokio::test(start_paused = true)]
async fn sixty_four_questions_are_judged_at_once_and_the_next_waits() {
    let (asked, may_answer) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let judge = {
        let (asked, may_answer) = (Arc::clone(&asked), Arc::clone(&may_answer));
        move |_: AuthRequest| {
            asked.fetch_add(1, Ordering::Relaxed);
            let may_answer = Arc::clone(&may_answer);
            async move {
                may_answer.acquire().await.unwrap().forget();
                Verdict::accept()
            }
        }
    };
    let mut requester = Requester::new(judge).await;
    for id in 0..70 {
        requester.ask(&id.to_string(), "dom").await;
    }
    settle().await;
    assert_eq!(asked.load(Ordering::Relaxed), 64);
    may_answer.add_permits(1);
    requester.reply().await;
    settle().await;
    assert_eq!(asked.load(Ordering::Relaxed), 65);
    may_answer.add_permits(69);
    let mut answered = Vec::new();
    for _ in 0..69 {
        answered.push(requester.reply().await.parts()[2].clone());
    }
    answered.sort();
    answered.dedup();
    assert_eq!(answered.len(), 69, "one reply for each");
}

#[tokio::test(start_paused = true)]
async fn the_questions_of_a_peer_that_closes_are_dropped() {
    let open = Arc::new(());
    let judge = {
        let open = Arc::clone(&open);
        move |_: AuthRequest| {
            let open = Arc::clone(&open);
            async move {
                let _open = open;
                pending().await
            }
        }
    };
    let mut requester = Requester::new(judge).await;
    requester.ask("1", "dom").await;
    requester.ask("2", "dom").await;
    settle().await;
    // Here, in the authenticator, and in two questions.
    assert_eq!(Arc::strong_count(&open), 4);
    drop(requester.connection);
    requester.handler.await.unwrap().unwrap();
    settle().await;
    assert_eq!(Arc::strong_count(&open), 1);
}

#[tokio::test(start_paused = true)]
async fn serving_ends_with_the_error_of_its_connection() {
    let requester = Requester::new(obey).await;
    let (mut stream, _) = requester.connection.into_inner();
    stream.write_all(&[0xff; 9]).await.unwrap();
    let error = requester.handler.await.unwrap().unwrap_err();
    assert!(matches!(error, ServeError::Receive(_)), "{error:?}");
}

// With our own client.

/// A client whose every connection leads to a handler that asks `judge`.
fn client<C, S, A>(mechanism: C, handlers: S, judge: A) -> ZapClient
where
    C: Mechanism,
    S: Mechanism + Clone,
    A: Authenticator + Send + Sync + 'static,
{
    let judge = Arc::new(judge);
    ZapClient::new(mechanism, move || {
        let (ours, theirs) = duplex(64 * 1024);
        let (mechanism, judge) = (handlers.clone(), Arc::clone(&judge));
        tokio::spawn(async move {
            let config = ConnectionConfig::new(SocketType::Router);
            match Connection::handshake_with(theirs, &config, &mechanism, &AllowAny).await {
                Ok(connection) => serve(connection, judge).await.unwrap(),
                Err(error) => assert!(error.stage() == Stage::Mechanism, "{error}"),
            }
        });
        async { Ok::<_, io::Error>(ours) }
    })
}

fn from_here(domain: &str) -> AuthRequest {
    AuthRequest::new(MechanismName::NULL, Claim::default()).with_domain(domain)
}

#[tokio::test(start_paused = true)]
async fn our_client_and_our_handler_understand_each_other() {
    for client in [client(Null::new(), Null::new(), obey), client(Null::new(), Null::new(), obey).as_dealer()] {
        assert_eq!(client.ask(&from_here("alice")).await.unwrap(), Verdict::accept_as("alice"));
        assert_eq!(client.ask(&from_here("deny")).await.unwrap(), Verdict::deny().because("as told"));
        let panicked = Verdict::try_later().because("the authenticator has panicked");
        assert_eq!(client.ask(&from_here("panic")).await.unwrap(), panicked);
        assert!(client.ask(&from_here("never")).await.is_err());
        assert_eq!(client.ask(&from_here("bob")).await.unwrap(), Verdict::accept_as("bob"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_may_leave_the_decision_to_another_one() {
    let last = client(Null::new(), Null::new(), obey);
    let first = client(Null::new(), Null::new(), last);
    assert_eq!(first.ask(&from_here("alice")).await.unwrap(), Verdict::accept_as("alice"));
    assert_eq!(first.ask(&from_here("deny")).await.unwrap(), Verdict::deny().because("as told"));
}

#[tokio::test(start_paused = true)]
async fn many_questions_at_once_get_each_its_own_answer() {
    let client = client(Null::new(), Null::new(), obey).max_connections(3);
    let asked: Vec<_> = (0..50)
        .map(|user| {
            let client = client.clone();
            tokio::spawn(async move { client.ask(&from_here(&format!("user-{user}"))).await.unwrap() })
        })
        .collect();
    for (user, asked) in asked.into_iter().enumerate() {
        assert_eq!(asked.await.unwrap(), Verdict::accept_as(format!("user-{user}")));
    }
}

#[cfg(feature = "curve")]
#[tokio::test(start_paused = true)]
async fn the_way_to_the_handler_may_be_under_curve() {
    use zmtp_connection::zap::ZapClientError;
    use zmtp_connection::{CurveClient, CurveServer, KeyPair};

    let keys = || KeyPair::generate().unwrap();
    let (ours, theirs, others) = (Arc::new(keys()), keys(), keys());
    let right = CurveClient::new(*theirs.public_key(), Arc::clone(&ours));
    let server = CurveServer::new(theirs);
    let right = client(right, server.clone(), obey);
    assert_eq!(right.ask(&from_here("alice")).await.unwrap(), Verdict::accept_as("alice"));
    assert_eq!(right.ask(&from_here("bob")).await.unwrap(), Verdict::accept_as("bob"));

    let wrong = CurveClient::new(*others.public_key(), ours);
    let refused = client(wrong, server, obey).ask(&from_here("alice")).await.unwrap_err();
    assert!(matches!(refused, ZapClientError::Handshake(_)), "{refused:?}");
}

// Handshakes that are judged over ZAP.

#[tokio::test(start_paused = true)]
async fn a_null_peer_is_judged_by_its_address_over_zap() {
    let local = decide(|request: &AuthRequest| match request.address().and_then(PeerAddress::ip) {
        Some(ip) if ip.is_loopback() => Verdict::accept_as(request.domain().to_owned()),
        _ => Verdict::deny(),
    });
    let handler = client(Null::new(), Null::new(), local);
    for (address, let_in) in [("127.0.0.1", true), ("192.0.2.1", false)] {
        let judge = handler.at(address.parse::<std::net::IpAddr>().unwrap());
        let config = ConnectionConfig::builder(SocketType::Pull).domain("jobs").build().unwrap();
        let (server, peer) = handshake(&config, &Null::with_authorization(), &judge, &Null::new()).await;
        assert_eq!((server.is_ok(), peer.is_ok()), (let_in, let_in), "{address}");
        if let Ok(server) = server {
            assert_eq!(server.peer().user_id_str(), Some("jobs"));
        }
    }
}

type Outcome<M> = Result<Connection<DuplexStream, M>, HandshakeError>;

/// A PUSH that connects to a server: how it ended for the server, and for the PUSH.
async fn handshake<S: Mechanism, C: Mechanism>(
    config: &ConnectionConfig,
    server: &S,
    judge: &impl Authenticator,
    client: &C,
) -> (Outcome<S>, Outcome<C>) {
    let (ours, theirs) = duplex(64 * 1024);
    let push = ConnectionConfig::new(SocketType::Push);
    tokio::join!(Connection::handshake_with(ours, config, server, judge), Connection::handshake(theirs, &push, client))
}

#[cfg(feature = "plain")]
#[tokio::test(start_paused = true)]
async fn a_plain_peer_is_judged_by_its_password_over_zap() {
    use zmtp_connection::codec::{Admission, ErrorReason};
    use zmtp_connection::{PlainClient, PlainCredentials, PlainServer};

    let judge = decide(|request: &AuthRequest| match request.plain() {
        Some(plain) if plain.username() == b"alice" && plain.has_password("secret") => {
            let alice = Admission::new().with_user_id("user-7");
            alice.with_property("X-Role", "admin").map_or_else(|_| Verdict::internal_error(), Verdict::Accept)
        }
        _ => Verdict::deny().because("no such user"),
    });
    let handler = client(Null::new(), Null::new(), judge);
    let config = ConnectionConfig::new(SocketType::Pull);
    let password = |password| PlainClient::new(PlainCredentials::new("alice", password).unwrap());

    let (server, peer) = handshake(&config, &PlainServer::new(), &handler, &password("secret")).await;
    let (mut server, mut peer) = (server.unwrap(), peer.unwrap());
    assert_eq!(server.peer().user_id_str(), Some("user-7"));
    assert_eq!(server.peer().auth_properties().get("X-Role"), Some(&"admin".into()));
    peer.send("hello").await.unwrap();
    assert_eq!(server.recv().await.unwrap().unwrap().into_message().unwrap().first(), "hello");

    let (server, peer) = handshake(&config, &PlainServer::new(), &handler, &password("wrong")).await;
    assert!(server.unwrap_err().to_string().contains("no such user"), "why is for our own side");
    let refused = peer.unwrap_err();
    assert_eq!(refused.peer_reason(), Some(&ErrorReason::AUTHENTICATION_FAILURE));
    assert!(!refused.may_reconnect());

    let gone =
        ZapClient::new(Null::new(), || async { Err::<DuplexStream, _>(io::ErrorKind::ConnectionRefused.into()) });
    let (server, peer) = handshake(&config, &PlainServer::new(), &gone, &password("secret")).await;
    assert!(server.unwrap_err().to_string().contains("the ZAP handler cannot be reached"));
    let refused = peer.unwrap_err();
    assert_eq!(refused.peer_reason(), None, "without a handler nobody is told to stay away");
    assert!(refused.may_reconnect());
}

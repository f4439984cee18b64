//! What an operator is told of connections: which events there are, what is in them, and what never is.
#![cfg(all(feature = "net", feature = "null", feature = "plain", feature = "tracing"))]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod net_support;
mod support;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::pending;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use net_support::{ends, with_peer};
use support::wire;
use tokio::time::timeout;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use zmtp_connection::codec::{Mechanism, SocketType, Verdict};
use zmtp_connection::{
    AllowAny, AuthRequest, Authenticator, Connection, ConnectionConfig, HandshakeLimiter, HeartbeatConfig, Limited,
    Null, PeerAddress, PlainClient, PlainCredentials, PlainServer, decide,
};

const SECOND: Duration = Duration::from_secs(1);

/// An event as it was said: level, target, message and fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Said {
    level: String,
    target: String,
    fields: BTreeMap<&'static str, String>,
}

impl Said {
    fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }
}

impl tracing::field::Visit for Said {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }
}

/// Writes down what is said on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Said>>>);

impl<S: tracing::Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let mut said =
            Said { level: metadata.level().to_string(), target: metadata.target().to_owned(), ..Said::default() };
        event.record(&mut said);
        // Once in the life of the process, whichever test comes first.
        let of_all = said.field("message").is_some_and(|message| message.starts_with("passwords travel in the clear"));
        if said.target.starts_with("zmtp") && !of_all {
            self.0.lock().unwrap().push(said);
        }
    }
}

impl Log {
    /// Listens until the guard is dropped.
    fn listen() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let guard = tracing_subscriber::registry().with(log.clone()).set_default();
        (log, guard)
    }

    /// All that was said since it was last asked.
    fn all(&self) -> Vec<Said> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// The one thing that was said.
    fn only(&self) -> Said {
        let all = self.all();
        let [said] = &all[..] else { panic!("{} events: {all:#?}", all.len()) };
        said.clone()
    }
}

fn address() -> SocketAddr {
    "192.0.2.7:40000".parse().unwrap()
}

fn server() -> ConnectionConfig {
    ConnectionConfig::builder(SocketType::Pull).handshake_timeout(Some(10 * SECOND)).build().unwrap()
}

/// What a server says of a peer that sends `octets`, at once, and then waits or closes.
async fn said_of<M: Mechanism>(octets: &[u8], closes: bool, mechanism: &M, judge: &impl Authenticator) -> Said {
    let (log, _guard) = Log::listen();
    let (ours, theirs) = ends();
    theirs.put(octets);
    if closes {
        theirs.outgoing().close();
    }
    let connection = Connection::handshake_with(ours, &server(), mechanism, &judge.at(address())).await;
    assert!(connection.is_err());
    log.only()
}

fn plain(password: &str) -> PlainCredentials {
    PlainCredentials::new("alice", password).unwrap()
}

fn hello(password: &str) -> Vec<u8> {
    let data = [b"\x05alice", &[u8::try_from(password.len()).unwrap()][..], password.as_bytes()].concat();
    [&wire::greeting("PLAIN")[..], &wire::command("HELLO", &data)].concat()
}

#[tokio::test(start_paused = true)]
async fn a_failed_handshake_is_said_with_address_stage_mechanism_and_cause() {
    let null = Null::new();
    let greeted = |more: &[u8]| [&wire::GREETING[..], more].concat();
    for (octets, closes, level, stage, libzmq, back, cause) in [
        (
            b"GET / HTTP/1.1\r\n".to_vec(),
            false,
            "INFO",
            "greeting",
            "HANDSHAKE_FAILED_PROTOCOL ZMTP_UNSPECIFIED",
            false,
            "not a ZMTP greeting",
        ),
        (
            wire::greeting("CURVE").to_vec(),
            false,
            "WARN",
            "greeting",
            "HANDSHAKE_FAILED_PROTOCOL ZMTP_MECHANISM_MISMATCH",
            false,
            "the peer speaks CURVE, we speak NULL",
        ),
        (Vec::new(), true, "INFO", "greeting", "HANDSHAKE_FAILED_NO_DETAIL 32", true, "the peer closed the connection"),
        (
            greeted(b""),
            false,
            "INFO",
            "mechanism's commands",
            "HANDSHAKE_FAILED_NO_DETAIL 11",
            true,
            "not complete after 10s",
        ),
        (
            greeted(&wire::command("HELLO", b"")),
            false,
            "WARN",
            "mechanism's commands",
            "HANDSHAKE_FAILED_PROTOCOL ZMTP_UNEXPECTED_COMMAND",
            false,
            "expected READY, the peer sent HELLO",
        ),
        (
            greeted(&wire::error("400")),
            false,
            "WARN",
            "mechanism's commands",
            "HANDSHAKE_FAILED_AUTH 400",
            false,
            "the peer refused with the reason \"400\"",
        ),
        (
            greeted(&wire::ready("PUB")),
            false,
            "WARN",
            "peer's properties",
            "HANDSHAKE_FAILED_PROTOCOL ZMTP_INVALID_METADATA",
            false,
            "a PULL cannot talk to a PUB",
        ),
    ] {
        let said = said_of(&octets, closes, &null, &AllowAny).await;
        assert_eq!((&*said.level, &*said.target), (level, "zmtp::handshake"), "{said:?}");
        assert_eq!(said.field("message"), Some("handshake failed"));
        assert_eq!(said.field("address"), Some("192.0.2.7:40000"));
        assert_eq!(said.field("mechanism"), Some("NULL"));
        assert_eq!(said.field("stage"), Some(stage));
        assert_eq!(said.field("libzmq"), Some(libzmq));
        assert_eq!(said.field("may_reconnect"), Some(&*back.to_string()));
        assert!(said.field("cause").unwrap().contains(cause), "{said:?}");
        assert_eq!(said.field("claim"), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_said_with_who_was_refused_and_why() {
    let server = PlainServer::new();
    for (verdict, libzmq, back, cause) in [
        (
            Verdict::deny().because("wrong password"),
            "HANDSHAKE_FAILED_AUTH 400",
            "false",
            "the peer was refused with the reason \"400\" (wrong password)",
        ),
        (
            Verdict::internal_error(),
            "HANDSHAKE_FAILED_AUTH 500",
            "false",
            "the peer was refused with the reason \"500\"",
        ),
        (
            Verdict::try_later().because("no answer from the database"),
            "HANDSHAKE_FAILED_AUTH 300",
            "true",
            "the peer was refused for now, without a reason to the peer (no answer from the database)",
        ),
    ] {
        let judge = decide(|_| verdict.clone());
        let said = said_of(&hello("hunter2"), false, &server, &judge).await;
        assert_eq!(said.level, "WARN");
        assert_eq!(said.field("stage"), Some("authorization of the peer"));
        assert_eq!(said.field("mechanism"), Some("PLAIN"));
        assert_eq!(said.field("claim"), Some("username \"alice\""));
        assert_eq!(said.field("libzmq"), Some(libzmq));
        assert_eq!(said.field("may_reconnect"), Some(back));
        assert_eq!(said.field("cause"), Some(cause));
    }
}

/// A refused peer is given a second to read why. Its place may go to another one meanwhile, and that is no news.
#[tokio::test(start_paused = true)]
async fn a_handshake_that_has_failed_is_not_said_again_when_its_place_is_taken() {
    let (log, _guard) = Log::listen();
    let (config, mechanism) = (server(), PlainServer::new());
    let limiter = HandshakeLimiter::new().total(1);
    let judge = decide(|_| Verdict::deny());
    let judge = judge.at(address());
    let (ours, theirs) = ends();
    theirs.put(&hello("hunter2"));
    let run = limiter.admit(address()).run(Connection::handshake_with(ours, &config, &mechanism, &judge));
    let displace = async {
        tokio::task::yield_now().await;
        drop(limiter.admit(address()));
    };
    assert!(matches!(tokio::join!(run, displace).0, Err(Limited::Displaced)));
    assert_eq!(log.only().field("libzmq"), Some("HANDSHAKE_FAILED_AUTH 400"));
}

/// Behind the handshake that is judged there is another one, with the handler.
#[cfg(feature = "zap")]
#[tokio::test(start_paused = true)]
async fn a_handshake_that_waits_for_a_zap_handler_is_the_one_that_is_given_up() {
    let (log, _guard) = Log::listen();
    let (config, mechanism) = (server(), PlainServer::new());
    let kept = Arc::new(Mutex::new(Vec::new()));
    let handler = zmtp_connection::zap::ZapClient::new(Null::new(), move || {
        let (ours, theirs) = tokio::io::duplex(1024);
        kept.lock().unwrap().push(theirs); // is there, and says nothing
        async { Ok(ours) }
    });
    let judge = handler.at(address());
    let (ours, theirs) = ends();
    theirs.put(&hello("hunter2"));
    let permit = HandshakeLimiter::new().deadline(SECOND).admit(address());
    permit.run(Connection::handshake_with(ours, &config, &mechanism, &judge)).await.unwrap_err();
    let said = log.only();
    assert_eq!(said.field("address"), Some("192.0.2.7:40000"));
    assert_eq!(said.field("cause"), Some("it was not complete by the deadline of its place"));
    assert_eq!(said.field("stage"), Some("authorization of the peer"));
}

#[cfg(feature = "zap")]
#[tokio::test(start_paused = true)]
async fn a_zap_question_that_is_not_judged_is_said_and_whose_fault_it_is() {
    let (log, _guard) = Log::listen();
    let (ours, theirs) = ends();
    let (rep, req) = (ConnectionConfig::new(SocketType::Rep), ConnectionConfig::new(SocketType::Req));
    let null = Null::new();
    let (ours, theirs) =
        tokio::join!(Connection::handshake(ours, &rep, &null), Connection::handshake(theirs, &req, &null));
    log.all();
    let judge = Arc::new(decide(|_| panic!("a mistake in the judge")));
    tokio::spawn(zmtp_connection::zap::serve(ours.unwrap(), judge));
    let mut theirs = theirs.unwrap();
    for (question, level, cause) in [
        (&["", "1.0", "1", "", "", "", "NULL"][..], "ERROR", "the authenticator has panicked"),
        (&["", "1.0", "1", "", "", "", "GSSAPI", "principal"], "WARN", "credentials of the mechanism GSSAPI"),
    ] {
        theirs.send(question).await.unwrap();
        theirs.recv().await.unwrap();
        let said = log.only();
        assert_eq!((&*said.level, &*said.target), (level, "zmtp::zap"));
        assert!(said.field("cause").unwrap().contains(cause), "{said:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_in_words_stays_on_its_line() {
    let (log, _guard) = Log::listen();
    let (ours, theirs) = ends();
    theirs.put(&hello("hunter2"));
    let words = PeerAddress::Other("1.2.3.4\nERROR forged".into());
    let judge = decide(|_| Verdict::deny());
    Connection::handshake_with(ours, &server(), &PlainServer::new(), &judge.at(words)).await.unwrap_err();
    assert_eq!(log.only().field("address"), Some("1.2.3.4\\nERROR forged"));
}

#[cfg(feature = "zap")]
#[tokio::test(start_paused = true)]
async fn a_zap_handler_that_is_not_there_is_an_error_and_the_peer_is_refused_for_now() {
    let (log, _guard) = Log::listen();
    let (ours, theirs) = ends();
    theirs.put(&hello("hunter2"));
    let dial = || async { Err::<net_support::End, _>(std::io::Error::from(ErrorKind::ConnectionRefused)) };
    let handler = zmtp_connection::zap::ZapClient::new(Null::new(), dial);
    let config = ConnectionConfig::builder(SocketType::Pull).domain("jobs").build().unwrap();
    let judge = handler.at(address());
    Connection::handshake_with(ours, &config, &PlainServer::new(), &judge).await.unwrap_err();
    let all = log.all();
    let [zap, handshake] = &all[..] else { panic!("{all:?}") };
    assert_eq!((&*zap.level, &*zap.target), ("ERROR", "zmtp::zap"));
    assert_eq!(zap.field("address"), Some("192.0.2.7:40000"));
    assert_eq!((zap.field("mechanism"), zap.field("domain")), (Some("PLAIN"), Some("\"jobs\"")));
    assert_eq!(zap.field("claim"), Some("username \"alice\""));
    assert_eq!(zap.field("cause"), Some("the ZAP handler cannot be reached: connection refused"));
    assert_eq!(zap.field("libzmq"), Some("HANDSHAKE_FAILED_NO_DETAIL 14"));
    assert_eq!(handshake.field("libzmq"), Some("HANDSHAKE_FAILED_AUTH 300"));
    assert!(handshake.field("cause").unwrap().contains("cannot be reached: connection refused"));
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_on_our_side_is_an_error() {
    let (log, _guard) = Log::listen();
    let (ours, theirs) = ends();
    theirs.put(&hello("hunter2"));
    Connection::handshake(ours, &server(), &PlainServer::new()).await.unwrap_err();
    let said = log.only();
    assert_eq!(said.level, "ERROR");
    assert_eq!(said.field("libzmq"), Some("HANDSHAKE_FAILED_NO_DETAIL 14"));
    assert_eq!(said.field("address"), None, "nobody has told it");
    assert!(said.field("cause").unwrap().contains("nobody is there to answer"));
}

#[tokio::test(start_paused = true)]
async fn an_authenticator_that_panics_is_said_and_so_is_a_future_that_is_dropped() {
    let (log, _guard) = Log::listen();
    let (config, mechanism) = (server(), PlainServer::new());
    let (ours, theirs) = ends();
    theirs.put(&hello("hunter2"));
    let panicked = tokio::spawn(async move {
        let judge = decide(|_| panic!("a mistake in the judge"));
        let _ = Connection::handshake_with(ours, &server(), &PlainServer::new(), &judge.at(address())).await;
    });
    assert!(panicked.await.unwrap_err().is_panic());
    let said = log.only();
    assert_eq!((&*said.level, said.field("message")), ("ERROR", Some("handshake given up")));
    assert_eq!(said.field("cause"), Some("a panic; is it the authenticator's?"));
    assert_eq!(said.field("claim"), Some("username \"alice\""));

    let waits = |_: AuthRequest| pending();
    let (ours, theirs) = ends();
    theirs.put(&hello("hunter2"));
    timeout(SECOND, Connection::handshake_with(ours, &config, &mechanism, &waits.at(address()))).await.unwrap_err();
    let said = log.only();
    assert_eq!((&*said.level, said.field("message")), ("INFO", Some("handshake given up")));
    assert_eq!(said.field("stage"), Some("authorization of the peer"));
    assert_eq!(said.field("address"), Some("192.0.2.7:40000"));
    assert_eq!(said.field("libzmq"), Some("HANDSHAKE_FAILED_NO_DETAIL 11"));
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_a_limiter_ends_is_said_with_its_cause_whether_or_not_it_had_begun() {
    let (log, _guard) = Log::listen();
    let (config, mechanism) = (server(), PlainServer::new());
    let judge = AllowAny;
    let judge = judge.at(address());
    let limiter = HandshakeLimiter::new().total(1).deadline(SECOND);
    for cause in ["it gave way to that of a newer peer", "it was not complete by the deadline of its place"] {
        let (ours, theirs) = ends();
        theirs.put(&wire::greeting("PLAIN"));
        let permit = limiter.admit(address());
        let run = permit.run(Connection::handshake_with(ours, &config, &mechanism, &judge));
        let displace = async {
            tokio::task::yield_now().await;
            cause.contains("gave way").then(|| drop(limiter.admit(address())));
        };
        assert!(tokio::join!(run, displace).0.is_err());
        let said = log.only();
        assert_eq!((&*said.level, said.field("message")), ("INFO", Some("handshake given up")));
        assert_eq!(said.field("address"), Some("192.0.2.7:40000"));
        assert_eq!(said.field("stage"), Some("mechanism's commands"));
        assert_eq!(said.field("cause"), Some(cause));
        assert_eq!(said.field("libzmq"), Some("HANDSHAKE_FAILED_NO_DETAIL 11"));
    }
    let (ours, _theirs) = ends();
    let permit = limiter.admit(address());
    drop(limiter.admit(address()));
    let handshake = Connection::handshake_with(ours, &config, &mechanism, &judge);
    assert!(permit.run(handshake).await.is_err());
    let said = log.only();
    assert_eq!((&*said.level, said.field("message")), ("INFO", Some("handshake not begun")));
    assert_eq!(said.field("address"), Some("192.0.2.7:40000"));
    assert_eq!(said.field("cause"), Some("it gave way to that of a newer peer"));
    // The next one that is dropped has nothing to do with it.
    let (ours, _theirs) = ends();
    timeout(SECOND, Connection::handshake_with(ours, &config, &mechanism, &judge)).await.unwrap_err();
    assert_eq!(log.only().field("cause"), Some("its future was dropped"));
}

#[tokio::test(start_paused = true)]
async fn who_gets_in_is_said_at_debug() {
    let (log, _guard) = Log::listen();
    let (ours, theirs) = ends();
    let (server, client) = (server(), ConnectionConfig::new(SocketType::Push));
    let (plain_server, plain_client) = (PlainServer::new(), PlainClient::new(plain("hunter2")));
    let judge = decide(|_| Verdict::accept_as("al\nice"));
    let judge = judge.at(address());
    let (server, client) = tokio::join!(
        Connection::handshake_with(ours, &server, &plain_server, &judge),
        Connection::handshake(theirs, &client, &plain_client)
    );
    assert!(server.is_ok() && client.is_ok());
    let mut all = log.all();
    all.retain(|said| said.field("address").is_some());
    let [said] = &all[..] else { panic!("{all:?}") };
    assert_eq!((&*said.level, said.field("message")), ("DEBUG", Some("handshake complete")));
    assert_eq!(said.field("claim"), Some("username \"alice\""));
    assert_eq!(said.field("user"), Some("al\\nice"), "it stays on its line");
    assert_eq!(said.field("socket_type"), Some("PUSH"));
}

#[tokio::test(start_paused = true)]
async fn a_failure_while_receiving_is_said_once_however_often_it_is_asked_for() {
    let beat = ConnectionConfig::builder(SocketType::Pull).heartbeat(HeartbeatConfig::every(SECOND)).build().unwrap();
    for (octets, closes, level, cause) in [
        (b"\xff\x01".to_vec(), false, "WARN", "the peer sent a malformed frame"),
        (wire::error("500"), false, "WARN", "the peer ended the connection with the reason \"500\""),
        (b"\0\x05ab".to_vec(), true, "INFO", "the connection ended in the middle of a message"),
        (wire::message(&["fine"]), false, "INFO", "the peer has sent nothing for 1s after our PING"),
    ] {
        let (mut connection, peer) = with_peer(&beat, SocketType::Push).await;
        let (log, _guard) = Log::listen();
        peer.put(&octets);
        if closes {
            peer.outgoing().close();
        }
        let mut into = Vec::new();
        for _ in 0..5 {
            let _ = connection.recv_batch(&mut into, 10).await;
            let _ = connection.send("to nobody").await;
        }
        let said = log.only();
        assert_eq!((&*said.level, &*said.target), (level, "zmtp::connection"), "{said:?}");
        assert_eq!(said.field("message"), Some("receiving failed"));
        assert_eq!(said.field("mechanism"), Some("NULL"));
        assert!(said.field("cause").unwrap().contains(cause), "{said:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_fails_is_said_once_in_each_direction() {
    let config = ConnectionConfig::new(SocketType::Pair);
    let (mut connection, peer) = with_peer(&config, SocketType::Pair).await;
    let (log, _guard) = Log::listen();
    peer.incoming().fail_writes(ErrorKind::BrokenPipe);
    for _ in 0..3 {
        connection.send("lost").await.unwrap_err();
    }
    let said = log.only();
    assert_eq!((said.field("message"), said.field("cause")), (Some("sending failed"), Some("broken pipe")));
    peer.outgoing().fail_reads(ErrorKind::ConnectionReset);
    for _ in 0..3 {
        connection.recv().await.unwrap_err();
    }
    let said = log.only();
    assert_eq!(said.field("message"), Some("receiving failed"));
    assert_eq!(said.field("cause"), Some("the connection failed while receiving: connection reset"));
}

#[tokio::test(start_paused = true)]
async fn a_clean_end_and_a_callers_mistake_are_not_said() {
    let config = ConnectionConfig::new(SocketType::Pair);
    let (mut connection, peer) = with_peer(&config, SocketType::Pair).await;
    let (log, _guard) = Log::listen();
    peer.put(&wire::message(&["one", "two"]));
    connection.recv_frame().await.unwrap();
    connection.recv().await.unwrap_err();
    connection.recv_frame().await.unwrap();
    connection.feed(&[] as &[&str]).unwrap_err();
    peer.outgoing().close();
    assert!(connection.recv().await.unwrap().is_none());
    assert_eq!(log.all(), []);
}

/// Everything that can be said, with a password and a payload that would stand out.
#[tokio::test(start_paused = true)]
async fn no_password_and_no_payload_is_ever_said() {
    const SECRET: &str = "Tr0ub4dor";
    let (log, _guard) = Log::listen();
    let config = server();
    for verdict in [Verdict::accept(), Verdict::deny(), Verdict::try_later().because("busy")] {
        let judge = decide(|request| {
            assert!(request.plain().unwrap().has_password(SECRET));
            verdict.clone()
        });
        let (ours, theirs) = ends();
        let (server, client) = (PlainServer::new(), PlainClient::new(plain(SECRET)));
        let push = ConnectionConfig::new(SocketType::Push);
        let (ours, theirs) = tokio::join!(
            Connection::handshake_with(ours, &config, &server, &judge),
            Connection::handshake(theirs, &push, &client)
        );
        let (Ok(mut ours), Ok(mut theirs)) = (ours, theirs) else { continue };
        theirs.send(&[SECRET, SECRET]).await.unwrap();
        ours.recv().await.unwrap();
    }
    // A HELLO that breaks off, and one with something behind it.
    let mechanism = PlainServer::new();
    for data in [format!("\x05alice\x7f{SECRET}"), format!("\x05alice\x01x{SECRET}")] {
        let (ours, theirs) = ends();
        theirs.put(&wire::greeting("PLAIN"));
        theirs.put(&wire::command("HELLO", data.as_bytes()));
        Connection::handshake_with(ours, &config, &mechanism, &AllowAny).await.unwrap_err();
    }
    // Frames that cannot be, of all that a peer may send in the clear.
    for octets in [
        wire::frame(0x04, &[&[0x50][..], SECRET.as_bytes()].concat()),
        wire::command("READY", SECRET.as_bytes()),
        [&b"\x01\x7f"[..], SECRET.as_bytes()].concat(),
    ] {
        let (mut connection, peer) = with_peer(&config, SocketType::Push).await;
        peer.put(&octets);
        peer.outgoing().close();
        connection.recv().await.unwrap_err();
    }
    let all = log.all();
    assert!(all.len() >= 10, "{all:#?}");
    for said in &all {
        assert!(!format!("{said:?}").contains(SECRET), "{said:?}");
    }
}

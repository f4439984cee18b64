//! A ZAP client and handlers that answer, keep it waiting, answer nonsense, or go away.
#![cfg(all(feature = "zap", feature = "net", feature = "null"))]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::future::{Future, pending};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use zmtp_connection::codec::{
    Claim, Command, Credentials, HeartbeatContext, MechanismName, Ping, SocketType, Ttl, Verdict,
};
use zmtp_connection::zap::{Envelope, ZapClient, ZapClientError, ZapError, ZapReply, ZapRequest};
use zmtp_connection::{
    AuthRequest, Authenticator, Connection, ConnectionConfig, Event, Message, Null, PeerAddress, PlainCredentials,
};

const SECOND: Duration = Duration::from_secs(1);

/// Where the connections of a client arrive.
struct Door(UnboundedReceiver<DuplexStream>);

type Asked = Connection<DuplexStream, Null>;

impl Door {
    async fn accept(&mut self) -> Asked {
        self.accept_as(SocketType::Rep).await
    }

    async fn accept_as(&mut self, socket_type: SocketType) -> Asked {
        let stream = soon(self.0.recv()).await.unwrap();
        Connection::handshake(stream, &ConnectionConfig::new(socket_type), &Null::new()).await.unwrap()
    }

    /// Whether nobody stands there.
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A client, and the door of the handler that it asks.
fn client() -> (ZapClient, Door) {
    let (dialled, arriving) = unbounded_channel();
    let client = ZapClient::new(Null::new(), move || {
        let (ours, theirs) = duplex(64 * 1024);
        let answered = dialled.send(theirs).map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused));
        async { answered.map(|()| ours) }
    });
    (client, Door(arriving))
}

fn alice() -> AuthRequest {
    let alice = PlainCredentials::new("alice", "hunter2").unwrap();
    AuthRequest::new(MechanismName::PLAIN, Claim::new(Credentials::Plain(alice)))
        .with_domain("dom")
        .with_address(PeerAddress::Ip([192, 0, 2, 1].into()))
}

/// Asks about alice, in a task.
fn ask(client: &ZapClient) -> JoinHandle<Result<Verdict, ZapClientError>> {
    let client = client.clone();
    tokio::spawn(async move { client.ask(&alice()).await })
}

/// What has to happen without further ado; a minute of the paused clock is for ever.
async fn soon<F: Future>(future: F) -> F::Output {
    timeout(60 * SECOND, future).await.unwrap()
}

async fn next(connection: &mut Asked) -> Message {
    soon(connection.recv()).await.unwrap().and_then(Event::into_message).unwrap()
}

async fn question(connection: &mut Asked) -> ZapRequest {
    ZapRequest::decode(&next(connection).await).unwrap().1
}

fn answer(request: &ZapRequest, verdict: &Verdict) -> Message {
    ZapReply::new(request.request_id().clone(), verdict).unwrap().to_message(&Envelope::direct())
}

/// Reads one question and answers it.
async fn serve_one(connection: &mut Asked, verdict: &Verdict) -> ZapRequest {
    let request = question(connection).await;
    connection.send(&answer(&request, verdict)).await.unwrap();
    request
}

/// Whether the other end has gone, with no further question.
async fn is_abandoned(connection: &mut Asked) -> bool {
    matches!(soon(connection.recv()).await, Ok(None))
}

#[tokio::test(start_paused = true)]
async fn the_handler_is_asked_what_is_known_and_its_answer_counts() {
    let (client, mut door) = client();
    let asked = ask(&client);
    let mut handler = door.accept().await;
    assert_eq!(handler.peer().socket_type(), SocketType::Req);
    let message = next(&mut handler).await;
    let (envelope, request) = ZapRequest::decode(&message).unwrap();
    assert_eq!(envelope, Envelope::direct());
    assert_eq!(request.to_auth_request().unwrap(), alice());
    handler.send(&answer(&request, &Verdict::accept_as("user-7"))).await.unwrap();
    assert_eq!(asked.await.unwrap().unwrap(), Verdict::accept_as("user-7"));
}

#[tokio::test(start_paused = true)]
async fn each_verdict_of_the_handler_is_that_of_the_authenticator() {
    let (client, mut door) = client();
    tokio::spawn(async move {
        let mut handler = door.accept().await;
        for verdict in [Verdict::accept(), Verdict::try_later(), Verdict::deny(), Verdict::internal_error()] {
            serve_one(&mut handler, &verdict.because("so")).await;
        }
    });
    assert_eq!(client.authenticate(alice()).await, Verdict::accept());
    assert_eq!(client.authenticate(alice()).await, Verdict::try_later().because("so"));
    assert_eq!(client.authenticate(alice()).await, Verdict::deny().because("so"));
    assert_eq!(client.authenticate(alice()).await, Verdict::internal_error().because("so"));
}

#[tokio::test(start_paused = true)]
async fn a_dealer_asks_the_same_of_a_router() {
    let (client, mut door) = client();
    let client = client.as_dealer();
    let asked = ask(&client);
    let mut handler = door.accept_as(SocketType::Router).await;
    assert_eq!(handler.peer().socket_type(), SocketType::Dealer);
    let request = serve_one(&mut handler, &Verdict::deny()).await;
    assert_eq!(request.to_auth_request().unwrap(), alice());
    assert_eq!(asked.await.unwrap().unwrap(), Verdict::deny());
}

// The pool.

#[tokio::test(start_paused = true)]
async fn one_connection_serves_questions_one_after_the_other_also_those_of_clones() {
    let (client, mut door) = client();
    let handler = tokio::spawn(async move {
        let mut handler = door.accept().await;
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.push(serve_one(&mut handler, &Verdict::accept()).await.request_id().clone());
        }
        (door.is_empty(), ids)
    });
    for client in [client.clone(), client.clone(), client] {
        client.ask(&alice()).await.unwrap();
    }
    let (nobody_else_came, mut ids) = handler.await.unwrap();
    assert!(nobody_else_came);
    ids.dedup();
    assert_eq!(ids.len(), 3, "each question has an id of its own");
}

#[tokio::test(start_paused = true)]
async fn questions_at_the_same_time_have_a_connection_each() {
    let (client, mut door) = client();
    let (one, other) = (ask(&client), ask(&client));
    let (mut first, mut second) = (door.accept().await, door.accept().await);
    let (earlier, later) = (question(&mut first).await, question(&mut second).await);
    assert_ne!(earlier.request_id(), later.request_id());
    second.send(&answer(&later, &Verdict::accept())).await.unwrap();
    assert_eq!(other.await.unwrap().unwrap(), Verdict::accept());
    first.send(&answer(&earlier, &Verdict::deny())).await.unwrap();
    assert_eq!(one.await.unwrap().unwrap(), Verdict::deny());
}

#[tokio::test(start_paused = true)]
async fn a_question_over_the_limit_waits_for_a_connection() {
    let (client, mut door) = client();
    let client = client.max_connections(2);
    let asked = [ask(&client), ask(&client), ask(&client)];
    let (mut first, mut second) = (door.accept().await, door.accept().await);
    let (one, other) = (question(&mut first).await, question(&mut second).await);
    settle().await;
    assert!(door.is_empty(), "the third waits");

    second.send(&answer(&other, &Verdict::accept())).await.unwrap();
    serve_one(&mut second, &Verdict::accept()).await;
    first.send(&answer(&one, &Verdict::accept())).await.unwrap();
    for asked in asked {
        assert_eq!(asked.await.unwrap().unwrap(), Verdict::accept());
    }
    assert!(door.is_empty());
}

#[tokio::test(start_paused = true)]
async fn no_connections_at_all_are_one() {
    let (client, mut door) = client();
    let client = client.max_connections(0);
    let asked = [ask(&client), ask(&client)];
    let mut handler = door.accept().await;
    for _ in &asked {
        serve_one(&mut handler, &Verdict::accept()).await;
    }
    for asked in asked {
        asked.await.unwrap().unwrap();
    }
}

/// Everybody does what can be done now.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

// No answer.

#[tokio::test(start_paused = true)]
async fn a_handler_that_does_not_answer_has_its_time() {
    let (client, mut door) = client();
    let asked = ask(&client.timeout(3 * SECOND));
    let start = Instant::now();
    let mut handler = door.accept().await;
    question(&mut handler).await;
    let error = asked.await.unwrap().unwrap_err();
    assert!(matches!(error, ZapClientError::TimedOut { after } if after == 3 * SECOND), "{error:?}");
    assert_eq!(start.elapsed(), 3 * SECOND);
    assert!(is_abandoned(&mut handler).await, "what it says later is nobody's answer");
}

#[tokio::test(start_paused = true)]
async fn dialling_the_handshake_and_waiting_for_a_connection_count_as_well() {
    let never = ZapClient::new(Null::new(), pending::<io::Result<DuplexStream>>);
    let (silent, mut door) = client();
    let silent = silent.max_connections(1);
    let waiting = silent.clone().timeout(SECOND);
    let start = Instant::now();
    let one = tokio::spawn(async move { silent.ask(&alice()).await });
    settle().await;
    let (dialling, waiting) = tokio::join!(timed_out(&never), timed_out(&waiting));
    assert_eq!((dialling, waiting), (5 * SECOND, SECOND));
    assert!(matches!(one.await.unwrap(), Err(ZapClientError::TimedOut { .. })), "nobody shook hands");
    assert!(start.elapsed() < 6 * SECOND);
    assert!(door.0.recv().await.is_some());
}

/// How long it took.
async fn timed_out(client: &ZapClient) -> Duration {
    let start = Instant::now();
    let asked = client.ask(&alice()).await;
    assert!(matches!(asked, Err(ZapClientError::TimedOut { .. })), "{asked:?}");
    start.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_question_that_is_dropped_takes_its_connection_along_and_makes_room() {
    let (client, mut door) = client();
    let client = client.max_connections(1);
    let dropped = ask(&client);
    let mut handler = door.accept().await;
    let old = question(&mut handler).await;
    dropped.abort();
    assert!(dropped.await.unwrap_err().is_cancelled());
    // An answer that nobody waits for any more.
    let _ = handler.send(&answer(&old, &Verdict::accept())).await;
    assert!(is_abandoned(&mut handler).await);

    let asked = ask(&client);
    serve_one(&mut door.accept().await, &Verdict::deny()).await;
    assert_eq!(asked.await.unwrap().unwrap(), Verdict::deny());
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_closes_instead_of_answering_is_not_asked_again() {
    let (client, mut door) = client();
    let asked = ask(&client);
    let mut handler = door.accept().await;
    question(&mut handler).await;
    drop(handler);
    let error = asked.await.unwrap().unwrap_err();
    assert!(matches!(error, ZapClientError::Closed), "{error:?}");
    assert!(door.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_closes_in_the_middle_of_an_answer_has_not_answered() {
    let (client, mut door) = client();
    let asked = ask(&client);
    let mut handler = door.accept().await;
    question(&mut handler).await;
    let (mut stream, _) = handler.into_inner();
    // The delimiter and half a version.
    stream.write_all(b"\x01\x00\x01\x031.").await.unwrap();
    drop(stream);
    let error = asked.await.unwrap().unwrap_err();
    assert!(matches!(error, ZapClientError::Receive(_)), "{error:?}");
    assert!(door.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_was_restarted_is_asked_again_once() {
    let (client, mut door) = client();
    let asked = ask(&client);
    let mut handler = door.accept().await;
    serve_one(&mut handler, &Verdict::accept()).await;
    asked.await.unwrap().unwrap();
    drop(handler);

    let asked = ask(&client);
    let mut handler = door.accept().await;
    let request = serve_one(&mut handler, &Verdict::accept_as("again")).await;
    assert_eq!(request.to_auth_request().unwrap(), alice());
    assert_eq!(asked.await.unwrap().unwrap(), Verdict::accept_as("again"));
    drop(handler);

    // And the new connection gets no second chance.
    let asked = ask(&client);
    drop(door.accept().await);
    let error = asked.await.unwrap().unwrap_err();
    assert!(matches!(error, ZapClientError::Closed | ZapClientError::Send(_)), "{error:?}");
    assert!(door.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_goes_with_the_question_on_an_idle_connection_is_asked_again() {
    let (client, mut door) = client();
    let asked = ask(&client);
    let mut handler = door.accept().await;
    serve_one(&mut handler, &Verdict::accept()).await;
    asked.await.unwrap().unwrap();

    let asked = ask(&client);
    question(&mut handler).await;
    drop(handler);
    serve_one(&mut door.accept().await, &Verdict::deny()).await;
    assert_eq!(asked.await.unwrap().unwrap(), Verdict::deny());
}

// No answer that can be used.

/// The error after this answer, which may contain the request's id; the connection has to be gone.
async fn refused(frames: impl FnOnce(Bytes) -> Vec<Bytes>) -> ZapError {
    let (client, mut door) = client();
    let asked = ask(&client);
    let mut handler = door.accept().await;
    let request = question(&mut handler).await;
    let answer = Message::from_parts(frames(request.request_id().clone())).unwrap();
    handler.send(&answer).await.unwrap();
    let Err(ZapClientError::Reply(error)) = asked.await.unwrap() else { panic!("taken for an answer") };
    assert!(is_abandoned(&mut handler).await);
    assert!(door.is_empty());
    error
}

fn frames<const N: usize>(frames: [&'static str; N]) -> Vec<Bytes> {
    frames.map(Bytes::from).to_vec()
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_another_question_is_none() {
    let refused = refused(|_| frames(["", "1.0", "another", "200", "OK", "root", ""])).await;
    assert_eq!(refused, ZapError::RequestId);
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_another_version_is_none() {
    let refused = refused(|id| {
        let mut answer = frames(["", "2.0", "", "200", "OK", "root", ""]);
        answer[2] = id;
        answer
    })
    .await;
    assert_eq!(refused, ZapError::Version { version: "2.0".into() });
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_no_reply_is_none() {
    let refused = refused(|_| frames(["hello"])).await;
    assert_eq!(refused, ZapError::FrameCount { frames: 1 });
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_twice_is_not_the_answer_to_the_next_question() {
    let (client, mut door) = client();
    let asked = ask(&client);
    let mut handler = door.accept().await;
    let request = serve_one(&mut handler, &Verdict::accept()).await;
    handler.send(&answer(&request, &Verdict::accept())).await.unwrap();
    asked.await.unwrap().unwrap();

    let error = client.ask(&alice()).await.unwrap_err();
    assert!(matches!(error, ZapClientError::Reply(ZapError::RequestId)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn whatever_fails_turns_the_peer_away_for_now_and_says_why() {
    let unreachable = ZapClient::new(Null::new(), || async {
        Err::<DuplexStream, _>(io::Error::new(io::ErrorKind::ConnectionRefused, "nobody there"))
    });
    let verdict = unreachable.authenticate(alice()).await;
    assert_eq!(verdict, Verdict::try_later().because("the ZAP handler cannot be reached: nobody there"));

    let too_long = alice().with_domain("x".repeat(256));
    let Verdict::Refuse(refusal) = unreachable.authenticate(too_long).await else { panic!("let in") };
    assert!(refusal.is_silent());
    assert!(refusal.text().unwrap().ends_with("the domain has 256 octets, ZAP carries 255 at most"), "{refusal}");
    assert!(!refusal.to_string().contains("hunter2"));
}

#[tokio::test(start_paused = true)]
async fn a_handler_of_the_wrong_type_is_not_asked() {
    let (client, mut door) = client();
    let asked = ask(&client);
    let stream = door.0.recv().await.unwrap();
    let pull = Connection::handshake(stream, &ConnectionConfig::new(SocketType::Pull), &Null::new()).await;
    assert!(pull.is_err());
    assert!(matches!(asked.await.unwrap(), Err(ZapClientError::Handshake(_))));
}

#[tokio::test(start_paused = true)]
async fn a_mechanism_that_asks_about_the_handler_gets_no_answer() {
    let (dialled, arriving) = unbounded_channel();
    let client = ZapClient::new(Null::with_authorization(), move || {
        let (ours, theirs) = duplex(64 * 1024);
        dialled.send(theirs).unwrap();
        async { Ok(ours) }
    });
    let mut door = Door(arriving);
    let asked = ask(&client);
    let stream = door.0.recv().await.unwrap();
    let handler = Connection::handshake(stream, &ConnectionConfig::new(SocketType::Rep), &Null::new()).await;
    assert!(handler.is_err());
    assert!(matches!(asked.await.unwrap(), Err(ZapClientError::Handshake(_))));
}

#[test]
fn a_client_is_a_field_like_any_other() {
    #[derive(Clone, Debug)]
    struct Server {
        handler: ZapClient,
    }
    fn is_shared<T: Send + Sync + 'static>(_: &T) {}
    fn is_spawned<F: Future + Send>(_: F) {}
    let server = Arc::new(Server { handler: client().0 });
    is_shared(&server);
    is_spawned(server.handler.authenticate(alice()));
    let shown = format!("{server:?}");
    assert!(shown.contains("mechanism: AnyMechanism(NULL), timeout: 5s"), "{shown}");
}

/// libzmq's handlers can say, by the TTL of a PING, when they give a silent client up. Idle connections are silent.
#[tokio::test(start_paused = true)]
async fn a_connection_that_has_expired_while_it_was_idle_is_replaced() {
    let (client, mut door) = client();
    let asked = ask(&client);
    let mut handler = door.accept().await;
    let ping = Ping::new(Ttl::from_deciseconds(10), HeartbeatContext::default());
    handler.feed_command(&Command::Ping(ping)).unwrap();
    serve_one(&mut handler, &Verdict::accept()).await;
    assert_eq!(asked.await.unwrap().unwrap(), Verdict::accept());
    tokio::time::sleep(5 * SECOND).await;
    let asked = ask(&client);
    serve_one(&mut door.accept().await, &Verdict::deny()).await;
    assert_eq!(asked.await.unwrap().unwrap(), Verdict::deny());
}

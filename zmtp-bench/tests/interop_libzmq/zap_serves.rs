//! Clients of libzmq's at a server of libzmq's, which is told by us whom to let in.
//!
//! libzmq asks at `inproc://zeromq.zap.01`, which is within its own process. A proxy carries its questions further: a
//! ROUTER that is bound there, and a DEALER that is connected to us.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use zmtp_bench::peers::libzmq::{EventKind, SocketKind, proxy};
use zmtp_connection::codec::{Admission, Credentials, SocketType, Verdict};
use zmtp_connection::zap::{self, ServeError};
use zmtp_connection::{AuthRequest, Authenticator, Connection, ConnectionConfig, Null, PeerAddress, decide};

use crate::events::{attempt, comes_back};
use crate::security_any::{Security, USER};
use crate::theirs::{Theirs, accept, within};

/// Whether we would judge early or late is all the same to a server of libzmq's.
const MECHANISMS: [Security; 3] = [Security::Null, Security::Plain, Security::Curve];

/// A libzmq that is to come back does so after this long.
const RECONNECT_IVL: Duration = Duration::from_millis(10);
/// After the answer 300, libzmq closes when this has passed.
const HANDSHAKE_IVL: Duration = Duration::from_millis(300);

/// A server of libzmq's whose questions come to us.
struct Server {
    socket: Theirs,
    endpoint: String,
    /// Ends when libzmq does.
    serving: JoinHandle<Result<(), ServeError>>,
}

impl Server {
    /// We are this type of socket, and decide by this judge.
    async fn new<A>(security: Security, ours: SocketType, judge: A) -> Self
    where
        A: Authenticator + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let socket = Theirs::new(SocketKind::Pull);
        security.equip_server(socket.socket());
        forward(&socket, &listener);
        let config = ConnectionConfig::new(ours);
        let handshake = Connection::handshake(accept(&listener).await, &config, &Null::new()).await;
        let serving = tokio::spawn(zap::serve(handshake.unwrap(), Arc::new(judge)));
        let endpoint = socket.socket().bind("tcp://127.0.0.1:*").unwrap();
        Self { socket, endpoint, serving }
    }

    /// From now on clients get to where it is quick to lose patience.
    fn lose_patience(&mut self) {
        self.socket.socket().set_handshake_ivl(HANDSHAKE_IVL).unwrap();
        self.endpoint = self.socket.socket().bind("tcp://127.0.0.1:*").unwrap();
    }

    /// A client of libzmq's, in a context of its own.
    fn client(&self, security: Security) -> Theirs {
        let client = Theirs::new(SocketKind::Push);
        client.socket().set_reconnect_ivl(RECONNECT_IVL).unwrap();
        security.equip_client(client.socket());
        client.socket().connect(&self.endpoint).unwrap();
        client
    }

    /// libzmq ends, and so do we, content.
    async fn end(self) {
        drop(self.socket);
        within("the end", self.serving).await.unwrap().unwrap();
    }
}

/// Carries the questions of a context to a listener of ours, until the context ends.
fn forward(theirs: &Theirs, listener: &TcpListener) {
    let context = theirs.socket().context().background();
    let questions = context.socket(SocketKind::Router).unwrap();
    questions.bind("inproc://zeromq.zap.01").unwrap();
    let answers = context.socket(SocketKind::Dealer).unwrap();
    answers.connect(&format!("tcp://{}", listener.local_addr().unwrap())).unwrap();
    std::thread::spawn(move || {
        let ended = proxy(&questions, &answers);
        assert!(ended.is_terminated(), "{ended}");
    });
}

#[tokio::test]
async fn a_client_that_we_let_in_is_known_to_libzmq_as_our_user() {
    for security in MECHANISMS {
        for ours in [SocketType::Rep, SocketType::Router, SocketType::Dealer] {
            let what = format!("{security:?}, {ours}");
            let seen = Arc::new(Mutex::new(Vec::new()));
            let record = Arc::clone(&seen);
            let judge = decide(move |request| {
                record.lock().unwrap().push(request.clone());
                Verdict::Accept(Admission::new().with_user_id("our user").with_property("X-Level", "3").unwrap())
            });
            let mut server = Server::new(security, ours, judge).await;
            let mut client = server.client(security);
            assert_eq!(attempt(&mut client).await, [EventKind::Connected, EventKind::HandshakeSucceeded], "{what}");
            client.send(&["let in"]).await;
            let part = server.socket.recv_part().await;
            assert_eq!(part.body(), b"let in");
            assert_eq!(part.property("User-Id").as_deref(), Some("our user"), "{what}");
            assert_eq!(part.property("X-Level").as_deref(), Some("3"), "{what}");
            let seen = std::mem::take(&mut *seen.lock().unwrap());
            let [request] = &seen[..] else { panic!("{what}: one client is asked about once") };
            assert_shown(security, request);
            server.end().await;
        }
    }
}

#[track_caller]
fn assert_shown(security: Security, request: &AuthRequest) {
    let shows = security.shows();
    assert_eq!(request.mechanism().as_str().unwrap().as_bytes(), shows[0]);
    assert_eq!(request.domain(), "tests");
    assert_eq!(request.address(), Some(&PeerAddress::Ip("127.0.0.1".parse().unwrap())));
    match request.credentials() {
        Credentials::Anonymous => assert_eq!(shows.len(), 1),
        Credentials::Plain(shown) => assert_eq!(shows[1..], [shown.username(), shown.danger_password()]),
        Credentials::PublicKey(key) => assert_eq!(shows[1..], [key]),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_client_that_we_refuse_is_refused_by_libzmq() {
    for security in MECHANISMS {
        for (verdict, status) in [(Verdict::try_later(), 300), (Verdict::deny(), 400), (Verdict::internal_error(), 500)]
        {
            let what = format!("{security:?}, {status}");
            let mut server = Server::new(security, SocketType::Rep, decide(move |_| verdict.clone())).await;
            if status == 300 {
                server.lose_patience();
            }
            let mut client = server.client(security);
            server.socket.event(EventKind::HandshakeFailedAuth(status)).await;
            let events = attempt(&mut client).await;
            match events[..] {
                [EventKind::Connected, EventKind::HandshakeFailedNoDetail(_), EventKind::Disconnected] => {
                    assert_eq!(status, 300, "{what}");
                }
                [EventKind::Connected, EventKind::HandshakeFailedAuth(told), EventKind::Disconnected] => {
                    assert_eq!(told, status, "{what}");
                }
                _ => panic!("{what}: {events:?}"),
            }
            assert_eq!(comes_back(&mut client).await, status == 300, "{what}");
            server.end().await;
        }
    }
}

/// One is let in as itself and the other is not, though they ask at the same time; and a judge that takes its time with one
/// does not hold up another.
#[tokio::test]
async fn clients_are_told_apart() {
    let (release, released) = tokio::sync::oneshot::channel::<()>();
    let released = Mutex::new(Some(released));
    let judge = move |request: AuthRequest| {
        let name = request.plain().unwrap().username_str().unwrap().to_owned();
        let wait = (name == USER).then(|| released.lock().unwrap().take().unwrap());
        async move {
            if let Some(wait) = wait {
                wait.await.unwrap();
            }
            if name == "mallory" { Verdict::deny() } else { Verdict::accept_as(name) }
        }
    };
    let mut server = Server::new(Security::Plain, SocketType::Router, judge).await;
    let mut slow = server.client(Security::Plain);
    let other = |name: &str| {
        let client = Theirs::new(SocketKind::Push);
        client.socket().set_plain_username(name).unwrap();
        client.socket().set_plain_password("guess").unwrap();
        client.socket().connect(&server.endpoint).unwrap();
        client
    };
    let (mut bob, mut mallory) = (other("bob"), other("mallory"));
    assert_eq!(attempt(&mut bob).await.last(), Some(&EventKind::HandshakeSucceeded));
    assert!(attempt(&mut mallory).await.contains(&EventKind::HandshakeFailedAuth(400)));
    release.send(()).unwrap();
    assert_eq!(attempt(&mut slow).await.last(), Some(&EventKind::HandshakeSucceeded));
    for (client, name) in [(&mut bob, "bob"), (&mut slow, USER)] {
        client.send(&[name]).await;
        let part = server.socket.recv_part().await;
        assert_eq!((part.body(), part.property("User-Id").as_deref()), (name.as_bytes(), Some(name)));
    }
    server.end().await;
}

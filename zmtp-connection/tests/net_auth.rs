//! Who is let in, what the judge sees and attaches, what a refused peer sees, and judges that fail, wait or panic.
#![cfg(all(feature = "net", feature = "null"))]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod net_support;
mod support;

use std::future::{Future, pending};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use net_support::{End, ends, heard, poll_once};
use support::fake::Fake;
use support::{NULL, wire};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};
use zmtp_connection::codec::{Admission, ErrorReason, Mechanism, SocketType, Verdict};
use zmtp_connection::{
    AllowAny, AllowList, AuthRequest, Authenticator, Connection, ConnectionConfig, HandshakeCause, HandshakeError,
    Null, Peer, PeerAddress, Stage, decide,
};

const SECOND: Duration = Duration::from_secs(1);
const ALICE: [u8; 32] = [0xa1; 32];
const BOB: [u8; 32] = [0xb0; 32];

type Server<M> = Result<Connection<End, M>, HandshakeError>;

fn server() -> ConnectionConfig {
    ConnectionConfig::builder(SocketType::Pull).handshake_timeout(Some(10 * SECOND)).build().unwrap()
}

fn client() -> ConnectionConfig {
    ConnectionConfig::new(SocketType::Push)
}

/// The owner of `key` connects to a server that asks `judge`: how it ended for the server, and for the client.
async fn knock(key: [u8; 32], judge: &(impl Authenticator + ?Sized)) -> (Server<Fake>, Server<Fake>) {
    let (ours, theirs) = ends();
    let (server, client) = (server(), client());
    let (asking, mechanism) = (Fake::server(), Fake::client(key));
    let handshake = Connection::handshake_with(ours, &server, &asking, judge);
    tokio::join!(handshake, Connection::handshake(theirs, &client, &mechanism))
}

/// Whether the owner of `key` is let in; both sides have to agree about it.
async fn is_let_in(key: [u8; 32], judge: &(impl Authenticator + ?Sized)) -> bool {
    let (server, client) = knock(key, judge).await;
    assert_eq!(server.is_ok(), client.is_ok(), "{server:?} {client:?}");
    server.is_ok()
}

/// What the server knows of a peer that has to be let in.
async fn let_in(key: [u8; 32], judge: &(impl Authenticator + ?Sized)) -> Peer {
    knock(key, judge).await.0.unwrap().peer().clone()
}

#[tokio::test(start_paused = true)]
async fn a_list_that_changes_decides_about_the_next_peer() {
    let list = AllowList::new([ALICE]);
    let control = list.clone();
    assert!(is_let_in(ALICE, &list).await);
    assert!(!is_let_in(BOB, &list).await);

    assert!(control.insert(BOB));
    assert!(is_let_in(BOB, &list).await);

    let connected = knock(ALICE, &list).await;
    assert!(control.remove(ALICE));
    assert!(!is_let_in(ALICE, &list).await);
    // Who is in stays in.
    let (mut receiver, mut sender) = (connected.0.unwrap(), connected.1.unwrap());
    sender.send("still here").await.unwrap();
    assert!(receiver.recv().await.unwrap().is_some());

    control.replace([ALICE]);
    assert!(is_let_in(ALICE, &list).await);
    assert!(!is_let_in(BOB, &list).await);
    control.replace([[0; 32]; 0]);
    assert!(!is_let_in(ALICE, &list).await);
}

#[tokio::test(start_paused = true)]
async fn an_empty_list_lets_nobody_in() {
    let stranger = knock(ALICE, &AllowList::default()).await.1.unwrap_err();
    assert_eq!(stranger.peer_reason(), Some(&ErrorReason::AUTHENTICATION_FAILURE), "denied for good");
    assert!(!is_let_in(ALICE, &AllowList::default()).await);
    assert!(!is_let_in([0; 32], &AllowList::default()).await);
}

#[tokio::test(start_paused = true)]
async fn a_key_on_the_list_stands_for_its_user() {
    let list = AllowList::new([ALICE]);
    assert_eq!(let_in(ALICE, &list).await.user_id(), None);
    assert!(!list.insert_as(ALICE, "alice"), "it was there already");
    let peer = let_in(ALICE, &list).await;
    assert_eq!(peer.user_id_str(), Some("alice"));
    assert_eq!(peer.public_key(), Some(&ALICE));
    list.insert(ALICE);
    assert_eq!(let_in(ALICE, &list).await.user_id(), None);
    list.replace_as([(BOB, "bob")]);
    assert_eq!(let_in(BOB, &list).await.user_id_str(), Some("bob"));
    assert!(!is_let_in(ALICE, &list).await);
}

/// A NULL side that asks, and a peer written by hand that has sent everything: how it ended, and what the peer got
/// behind our greeting.
async fn null_peer(judge: &impl Authenticator) -> (Server<Null>, Vec<u8>) {
    let (ours, mut peer) = ends();
    peer.put(&[&wire::GREETING[..], &wire::ready("PUSH")].concat());
    let (config, asking) = (server(), Null::with_authorization());
    tokio::join!(Connection::handshake_with(ours, &config, &asking, judge), heard(&mut peer))
}

#[tokio::test(start_paused = true)]
async fn a_list_of_keys_denies_a_peer_without_a_key() {
    let (ours, seen) = null_peer(&AllowList::new([ALICE, [0; 32]])).await;
    assert_eq!(ours.unwrap_err().stage(), Stage::Authorization);
    assert_eq!(seen, wire::error("400"));
}

#[tokio::test(start_paused = true)]
async fn allow_any_lets_in_whoever_comes_with_nothing_attached() {
    for key in [ALICE, [0; 32]] {
        let peer = let_in(key, &AllowAny).await;
        assert_eq!(peer.public_key(), Some(&key));
        assert!(peer.user_id().is_none() && peer.auth_properties().is_empty() && peer.address().is_none());
    }
    assert_eq!(null_peer(&AllowAny).await.1, wire::ready("PULL"));
}

/// Each kind of refusal, octet for octet, under NULL and under a mechanism with keys.
#[tokio::test(start_paused = true)]
async fn a_refused_peer_sees_the_status_of_the_refusal() {
    for (verdict, octets, status) in [
        (Verdict::try_later(), Vec::new(), None),
        (Verdict::deny(), wire::error("400"), Some(400)),
        (Verdict::internal_error(), wire::error("500"), Some(500)),
    ] {
        let comes_back = status.is_none();
        let judge = decide(|_| verdict.clone());
        let (ours, seen) = null_peer(&judge).await;
        assert_eq!(seen, octets, "{verdict:?}");
        assert_eq!(ours.unwrap_err().may_reconnect(), comes_back, "{verdict:?}");

        let (ours, theirs) = knock(ALICE, &judge).await;
        assert_eq!(ours.unwrap_err().stage(), Stage::Authorization);
        let theirs = theirs.unwrap_err();
        assert_eq!(theirs.may_reconnect(), comes_back, "{theirs:?}");
        assert_eq!(theirs.peer_reason().and_then(ErrorReason::status_code), status);
        assert_eq!(matches!(theirs.cause(), HandshakeCause::Closed), comes_back, "{theirs:?}");
    }
}

fn address() -> SocketAddr {
    "192.0.2.7:49152".parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_judge_sees_everything_that_is_known_of_a_peer_with_a_key() {
    let seen = Mutex::new(None);
    let judge = decide(|request| {
        *seen.lock().unwrap() = Some(request.clone());
        Verdict::accept()
    });
    let (ours, theirs) = ends();
    let server = ConnectionConfig::builder(SocketType::Pull).domain("jobs").build().unwrap();
    let client =
        ConnectionConfig::builder(SocketType::Push).identity("worker-7").property("X-Zone", "eu").build().unwrap();
    let (ask, show, judge) = (Fake::server(), Fake::client(ALICE), judge.at(address()));
    let (ours, theirs) = tokio::join!(
        Connection::handshake_with(ours, &server, &ask, &judge),
        Connection::handshake(theirs, &client, &show)
    );
    let (ours, theirs) = (ours.unwrap(), theirs.unwrap());

    let request = seen.lock().unwrap().take().unwrap();
    assert_eq!(request.mechanism().as_str(), Some("FAKE"));
    assert_eq!(request.domain(), "jobs");
    assert_eq!(request.address(), Some(&PeerAddress::Tcp(address())));
    assert_eq!(request.public_key(), Some(&ALICE));
    assert_eq!(&request.identity().unwrap()[..], b"worker-7");
    assert_eq!(request.socket_type(), Some(SocketType::Push));
    assert_eq!(request.properties().unwrap().get("X-Zone").unwrap(), "eu");
    assert_eq!(ours.peer().address(), Some(&PeerAddress::Tcp(address())));
    assert_eq!(theirs.peer().address(), None, "nobody has told it");
}

#[tokio::test(start_paused = true)]
async fn under_null_a_judge_sees_address_and_domain_and_nothing_that_the_peer_has_said() {
    let seen = Mutex::new(None);
    let judge = decide(|request| {
        *seen.lock().unwrap() = Some(request.clone());
        Verdict::accept()
    });
    let unix = PeerAddress::Other("localhost:0:0:8935".into());
    let connection = null_peer(&judge.at(unix.clone())).await.0.unwrap();
    let request = seen.lock().unwrap().take().unwrap();
    assert_eq!(request.mechanism().as_str(), Some("NULL"));
    assert_eq!(request.domain(), "");
    assert_eq!(request.address(), Some(&unix));
    assert!(request.public_key().is_none() && request.properties().is_none());
    assert!(request.identity().is_none() && request.socket_type().is_none());
    assert_eq!(connection.peer().address(), Some(&unix));
}

#[tokio::test(start_paused = true)]
async fn the_address_is_known_though_the_mechanism_asked_nobody() {
    let (ours, theirs) = ends();
    let (pull, push) = (server(), client());
    let judge = AllowAny.at(address());
    let (ours, theirs) = tokio::join!(
        Connection::handshake_with(ours, &pull, &NULL, &judge),
        Connection::handshake(theirs, &push, &NULL)
    );
    assert!(theirs.is_ok());
    assert_eq!(ours.unwrap().peer().address(), Some(&address().into()));
}

/// One that knows the address by itself need not pass it on to itself.
#[tokio::test(start_paused = true)]
async fn what_an_authenticator_says_of_the_address_is_in_its_own_request() {
    struct Knows(PeerAddress);
    impl Authenticator for Knows {
        async fn authenticate(&self, request: AuthRequest) -> Verdict {
            if request.address() == Some(&self.0) { Verdict::accept() } else { Verdict::deny() }
        }

        fn address(&self) -> Option<&PeerAddress> {
            Some(&self.0)
        }
    }
    for judge in [Knows(address().into()), Knows(PeerAddress::Other("a pipe".into()))] {
        assert_eq!(let_in(ALICE, &judge).await.address(), Some(&judge.0));
        let shared = Arc::new(judge);
        assert_eq!(let_in(ALICE, &shared).await.address(), Some(&shared.0));
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_addresses_the_outer_one_counts_for_judge_and_peer() {
    let judge = decide(|request| Verdict::accept_as(request.address().unwrap().to_string()));
    let [inner, outer] = ["inner", "outer"].map(|words| PeerAddress::Other(words.into()));
    let inside = judge.at(inner);
    let peer = let_in(ALICE, &inside.at(outer.clone())).await;
    assert_eq!(peer.address(), Some(&outer));
    assert_eq!(peer.user_id_str(), Some("outer"));
    // Asked directly, without a connection between.
    let request = AuthRequest::new(peer.mechanism(), Default::default());
    assert_eq!(inside.at(outer).authenticate(request).await, Verdict::accept_as("outer"));
}

#[tokio::test(start_paused = true)]
async fn what_the_judge_attaches_is_on_the_peer_and_apart_from_what_the_peer_said() {
    let judge = |request: AuthRequest| async move {
        let admission = Admission::new()
            .with_user_id(&b"\xffnobody"[..])
            .with_property("X-Role", "admin")
            .and_then(|admission| admission.with_property("Identity", "forged by a handler"))
            .and_then(|admission| admission.with_property("Socket-Type", "REP"));
        match (request.public_key(), admission) {
            (Some(_), Ok(admission)) => Verdict::Accept(admission),
            _ => Verdict::deny(),
        }
    };
    let (ours, theirs) = knock(ALICE, &judge).await;
    let (ours, theirs) = (ours.unwrap(), theirs.unwrap());
    let peer = ours.peer();
    assert_eq!(peer.user_id().unwrap(), &b"\xffnobody"[..]);
    assert_eq!(peer.user_id_str(), None);
    assert_eq!(peer.auth_properties().get("x-role").unwrap(), "admin");
    assert_eq!(peer.auth_properties().len(), 3);
    assert_eq!(peer.properties().get("X-Role"), None);
    assert_eq!(peer.socket_type(), SocketType::Push);
    assert!(peer.identity().is_empty());
    // Nothing of it has gone to the other side.
    assert!(theirs.peer().user_id().is_none() && theirs.peer().auth_properties().is_empty());
    assert_eq!(theirs.peer().properties().get("X-Role"), None);
}

#[tokio::test(start_paused = true)]
async fn under_null_what_the_judge_attaches_survives_until_the_peer_is_ready() {
    let connection = null_peer(&decide(|_| Verdict::accept_as("local"))).await.0.unwrap();
    assert_eq!(connection.peer().user_id_str(), Some("local"));
}

/// Every kind of value that is an authenticator, decided by the same rule.
#[tokio::test(start_paused = true)]
async fn lists_closures_functions_types_and_shared_ones_are_authenticators() {
    async fn function(request: AuthRequest) -> Verdict {
        verdict(&request)
    }
    fn verdict(request: &AuthRequest) -> Verdict {
        if request.public_key() == Some(&ALICE) { Verdict::accept() } else { Verdict::deny() }
    }
    struct Own;
    impl Authenticator for Own {
        async fn authenticate(&self, request: AuthRequest) -> Verdict {
            sleep(SECOND).await;
            verdict(&request)
        }
    }
    async fn check(judge: &(impl Authenticator + ?Sized)) {
        assert!(is_let_in(ALICE, judge).await);
        assert!(!is_let_in(BOB, judge).await);
    }
    type Boxed = Pin<Box<dyn Future<Output = Verdict> + Send>>;

    check(&function).await;
    check(&Own).await;
    check(&Own.at(address())).await;
    check(&Arc::new(Own)).await;
    check(&Arc::new(Own).at(address())).await;
    check(&decide(verdict)).await;
    check(&AllowList::new([ALICE])).await;
    check(&|request: AuthRequest| async move { verdict(&request) }).await;
    let boxed: Box<dyn Fn(AuthRequest) -> Boxed + Send + Sync> = Box::new(|request| Box::pin(function(request)));
    check(&boxed).await;
    check(&*boxed).await;
}

/// Compiles only if it is so.
fn _a_handshake_can_be_spawned_if_its_stream_can<T, M, A>(io: T, config: &ConnectionConfig, mechanism: &M, judge: &A)
where
    T: AsyncRead + AsyncWrite + Unpin + Send,
    M: Mechanism,
    A: Authenticator,
{
    const fn send<F: Send>(_: &F) {}
    send(&Connection::handshake_with(io, config, mechanism, judge));
}

#[tokio::test(start_paused = true)]
async fn a_handshake_runs_on_a_task_of_its_own_with_a_shared_judge() {
    let list = Arc::new(AllowList::new([ALICE]));
    let (ours, theirs) = ends();
    let task = {
        let list = Arc::clone(&list);
        tokio::spawn(async move {
            let config = server();
            Connection::handshake_with(ours, &config, &Fake::server(), &list.at(address())).await.map(drop)
        })
    };
    let there = Connection::handshake(theirs, &client(), &Fake::client(ALICE)).await;
    assert!(there.is_ok() && task.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_judge_that_panics_takes_only_its_own_connection_with_it() {
    let list = AllowList::new([ALICE]);
    let broken = Arc::new(AtomicBool::new(true));
    let judge = {
        let (list, broken) = (list.clone(), Arc::clone(&broken));
        Arc::new(move |request: AuthRequest| {
            let (list, broken) = (list.clone(), Arc::clone(&broken));
            async move {
                let verdict = list.authenticate(request).await;
                assert!(!broken.load(Ordering::Relaxed), "the judge has a fault");
                verdict
            }
        })
    };
    let (ours, theirs) = ends();
    let bystander = knock(ALICE, &list).await;
    let mine = Arc::clone(&judge);
    let task = tokio::spawn(async move {
        let config = server();
        Connection::handshake_with(ours, &config, &Fake::server(), &*mine).await.map(drop)
    });
    let there = Connection::handshake(theirs, &client(), &Fake::client(ALICE)).await;
    assert!(task.await.unwrap_err().is_panic());
    let error = there.unwrap_err();
    assert!(matches!(error.cause(), HandshakeCause::Closed), "not let in, and told nothing: {error:?}");

    // Who was connected is not concerned, and the same judge and list serve the next.
    let (mut receiver, mut sender) = (bystander.0.unwrap(), bystander.1.unwrap());
    sender.send("x").await.unwrap();
    assert!(receiver.recv().await.unwrap().is_some());
    broken.store(false, Ordering::Relaxed);
    assert!(list.insert(BOB));
    assert!(is_let_in(BOB, &*judge).await);
}

#[tokio::test(start_paused = true)]
async fn a_judge_may_take_its_time_and_nobody_else_waits() {
    let (open, opened) = oneshot::channel::<()>();
    let opened = Mutex::new(Some(opened));
    let asked = AtomicUsize::new(0);
    let judge = |request: AuthRequest| {
        asked.fetch_add(1, Ordering::Relaxed);
        let slow = (request.public_key() == Some(&ALICE)).then(|| opened.lock().unwrap().take().unwrap());
        async move {
            if let Some(opened) = slow {
                opened.await.unwrap();
            }
            Verdict::accept()
        }
    };
    let mut slow = pin!(knock(ALICE, &judge));
    while asked.load(Ordering::Relaxed) == 0 {
        assert!(poll_once(slow.as_mut()).is_pending());
    }
    let start = Instant::now();
    assert!(is_let_in(BOB, &judge).await, "while the other one waits");
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert!(poll_once(slow.as_mut()).is_pending());
    open.send(()).unwrap();
    let (ours, theirs) = slow.await;
    assert!(ours.is_ok() && theirs.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_judge_that_never_answers_ends_at_the_deadline_of_its_own_connection() {
    /// Says when the judge's future was dropped.
    struct Dropped<'a>(&'a AtomicBool);
    impl Drop for Dropped<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let dropped = AtomicBool::new(false);
    let judge = |request: AuthRequest| {
        let dropped = &dropped;
        async move {
            if request.public_key() == Some(&ALICE) {
                let _guard = Dropped(dropped);
                pending::<()>().await;
            }
            Verdict::accept()
        }
    };
    let start = Instant::now();
    let ((ours, theirs), bob) = tokio::join!(knock(ALICE, &judge), async {
        let let_in = is_let_in(BOB, &judge).await;
        (let_in, start.elapsed())
    });
    assert_eq!(bob, (true, Duration::ZERO));
    let error = ours.unwrap_err();
    assert!(matches!(error.cause(), HandshakeCause::TimedOut { after } if *after == 10 * SECOND), "{error:?}");
    assert_eq!(error.stage(), Stage::Authorization);
    assert!((10 * SECOND..11 * SECOND).contains(&start.elapsed()), "{:?}", start.elapsed());
    assert!(dropped.load(Ordering::Relaxed));
    assert!(theirs.unwrap_err().may_reconnect(), "it was told nothing final");
}

#[tokio::test(start_paused = true)]
async fn the_error_of_a_handshake_without_a_judge_says_what_to_do() {
    let (ours, theirs) = ends();
    let (pull, push) = (server(), client());
    let (ask, show) = (Fake::server(), Fake::client(ALICE));
    let (ours, theirs) =
        tokio::join!(Connection::handshake(ours, &pull, &ask), Connection::handshake(theirs, &push, &show));
    let error = ours.unwrap_err();
    assert!(matches!(error.cause(), HandshakeCause::NoAuthenticator), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("handshake_with") && text.contains("AllowAny"), "{text}");
    assert!(matches!(theirs.unwrap_err().cause(), HandshakeCause::Closed));
}

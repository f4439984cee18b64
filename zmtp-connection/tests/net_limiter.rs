//! Who gets a place for a handshake, who gives way, and a flood of peers that never finish theirs.
#![cfg(all(feature = "net", feature = "null"))]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use std::future::{pending, ready};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use support::wire;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::{JoinHandle, JoinSet, yield_now};
use tokio::time::{Instant, sleep, timeout};
use zmtp_connection::codec::{Mechanism, SocketType};
use zmtp_connection::{
    AllowAny, Authenticator, Connection, ConnectionConfig, Event, HandshakeError, HandshakeLimiter, HandshakePermit,
    Limited, Null, PeerAddress,
};

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

fn tcp(address: &str) -> PeerAddress {
    address.parse::<SocketAddr>().unwrap().into()
}

/// A host of its own for every number.
fn host(number: usize) -> PeerAddress {
    IpAddr::from(Ipv4Addr::from_bits(0x0a00_0000 + u32::try_from(number).unwrap())).into()
}

/// Never waits longer than the limiter does.
fn config(socket_type: SocketType) -> ConnectionConfig {
    ConnectionConfig::builder(socket_type).handshake_timeout(None).build().unwrap()
}

/// A handshake that never comes to an end, run in its place.
fn never_done(permit: HandshakePermit) -> JoinHandle<Result<(), Limited<HandshakeError>>> {
    tokio::spawn(permit.run(pending()))
}

/// A handshake that must not be begun.
async fn not_polled() -> Result<(), HandshakeError> {
    panic!("it was polled")
}

/// Has a handshake with nobody run for as long as it may: whether it had to give way.
async fn was_displaced(permit: HandshakePermit) -> bool {
    match permit.run(pending::<Result<(), HandshakeError>>()).await {
        Err(Limited::Displaced) => true,
        Err(Limited::TimedOut { .. }) => false,
        other => panic!("{other:?}"),
    }
}

/// Admits them one after another: which of them had to give way.
async fn displaced_of(limiter: &HandshakeLimiter, addresses: &[PeerAddress]) -> Vec<usize> {
    let permits: Vec<_> = addresses.iter().map(|address| limiter.admit(address.clone())).collect();
    let mut displaced = Vec::new();
    for (number, permit) in permits.into_iter().enumerate() {
        if was_displaced(permit).await {
            displaced.push(number);
        }
    }
    displaced
}

// ─── the rules ───────────────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test(start_paused = true)]
async fn nobody_gives_way_while_there_are_places() {
    let limiter = HandshakeLimiter::new().total(3).per_address(2);
    assert_eq!(displaced_of(&limiter, &[host(1), host(1), host(2)]).await, []);
    assert_eq!((limiter.displaced(), limiter.timed_out()), (0, 3));
}

#[tokio::test(start_paused = true)]
async fn an_address_at_its_limit_displaces_its_own_oldest() {
    let limiter = HandshakeLimiter::new().total(10).per_address(2);
    assert_eq!(displaced_of(&limiter, &[host(2), host(1), host(1), host(2), host(1), host(1)]).await, [1, 2]);
    assert_eq!((limiter.displaced(), limiter.timed_out()), (2, 4));
}

#[tokio::test(start_paused = true)]
async fn with_all_places_taken_the_oldest_of_the_address_with_the_most_gives_way() {
    let limiter = HandshakeLimiter::new().total(4).per_address(3);
    assert_eq!(displaced_of(&limiter, &[host(1), host(2), host(2), host(3), host(4)]).await, [1]);
}

#[tokio::test(start_paused = true)]
async fn of_many_addresses_with_one_each_the_oldest_gives_way() {
    let limiter = HandshakeLimiter::new().total(3);
    assert_eq!(displaced_of(&limiter, &[host(1), host(2), host(3), host(4), host(5)]).await, [0, 1]);
}

/// Also without a limit for one address.
#[tokio::test(start_paused = true)]
async fn one_address_with_a_thousand_pending_pushes_out_nobody_else() {
    let limiter = HandshakeLimiter::new().total(1000).per_address(1000);
    let others = [limiter.admit(host(1)), limiter.admit(host(2)), limiter.admit(tcp("[2001:db8::1]:1"))];
    let attack: Vec<_> = (0..3000).map(|_| limiter.admit(host(7))).collect();
    assert_eq!((limiter.pending(), limiter.displaced()), (1000, 2003));
    let late = limiter.admit(host(3));
    for permit in others.into_iter().chain([late]) {
        assert!(!was_displaced(permit).await);
    }
    drop(attack);
    assert_eq!(limiter.pending(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_ipv6_network_of_64_bits_is_one_address() {
    let limiter = HandshakeLimiter::new().per_address(1);
    let (one, same, other) = (tcp("[2001:db8:0:7::1]:1"), tcp("[2001:db8:0:7:8::2]:2"), tcp("[2001:db8:0:8::1]:1"));
    assert_eq!(displaced_of(&limiter, &[one, other, same]).await, [0]);
}

#[tokio::test(start_paused = true)]
async fn an_ipv4_address_is_one_address_whichever_socket_has_accepted_it() {
    let limiter = HandshakeLimiter::new().per_address(1);
    let addresses = [tcp("192.0.2.1:1"), tcp("192.0.2.2:1"), tcp("[::ffff:192.0.2.1]:2")];
    assert_eq!(displaced_of(&limiter, &addresses).await, [0]);
}

#[tokio::test(start_paused = true)]
async fn other_addresses_are_told_apart_by_their_words() {
    let limiter = HandshakeLimiter::new().per_address(1);
    let user = |id: &str| PeerAddress::Other(format!("localhost:{id}").into());
    assert_eq!(displaced_of(&limiter, &[user("1000"), user("1001"), user("1000")]).await, [0]);
}

#[tokio::test(start_paused = true)]
async fn zero_places_are_taken_as_one() {
    let limiter = HandshakeLimiter::new().total(0);
    assert_eq!(displaced_of(&limiter, &[host(1), host(2)]).await, [0]);
    let limiter = HandshakeLimiter::new().per_address(0);
    assert_eq!(displaced_of(&limiter, &[host(1), host(1), host(2)]).await, [0]);
}

#[tokio::test(start_paused = true)]
async fn clones_share_their_places() {
    let limiter = HandshakeLimiter::new().total(1);
    let clone = limiter.clone();
    let first = limiter.admit(host(1));
    let second = clone.admit(host(2));
    assert_eq!((limiter.pending(), clone.displaced()), (1, 1));
    assert!(was_displaced(first).await && !was_displaced(second).await);
}

/// A limiter that is set up anew has places of its own.
#[tokio::test(start_paused = true)]
async fn a_setting_makes_a_limiter_of_its_own() {
    let old = HandshakeLimiter::new();
    let permit = old.admit(host(1));
    let new = old.clone().total(1);
    assert_eq!((old.pending(), new.pending()), (1, 0));
    let _other = new.admit(host(1));
    assert!(!was_displaced(permit).await);
}

/// For an accept loop that is out of descriptors: nobody can come, so nobody would give way.
#[tokio::test(start_paused = true)]
async fn room_is_made_by_the_oldest_of_the_address_that_has_the_most() {
    let limiter = HandshakeLimiter::new();
    assert!(!limiter.make_room(), "there was nobody");
    let alone = limiter.admit(host(1));
    let (first, second) = (limiter.admit(host(2)), limiter.admit(host(2)));
    assert!(limiter.make_room());
    assert_eq!((limiter.pending(), limiter.displaced()), (2, 1));
    assert!(was_displaced(first).await);
    assert!(!was_displaced(second).await && !was_displaced(alone).await);
    assert!(!limiter.make_room());
}

#[test]
fn the_limits_and_the_counts_are_shown() {
    let limiter = HandshakeLimiter::new().total(7).per_address(5).deadline(SECOND);
    let permit = limiter.admit(tcp("192.0.2.1:5555"));
    assert_eq!(permit.address().to_string(), "192.0.2.1:5555");
    assert_eq!(
        format!("{limiter:?}"),
        "HandshakeLimiter { total: 7, per_address: 5, deadline: 1s, pending: 1, displaced: 0, timed_out: 0 }"
    );
    assert_eq!(
        format!("{:?}", HandshakeLimiter::default()),
        "HandshakeLimiter { total: 256, per_address: 64, deadline: 10s, pending: 0, displaced: 0, timed_out: 0 }"
    );
}

// ─── a handshake in its place ────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test(start_paused = true)]
async fn a_place_is_free_when_its_handshake_is_done_either_way() {
    let limiter = HandshakeLimiter::new();
    let done = limiter.admit(host(1)).run(ready(Ok::<_, HandshakeError>(7)));
    let failed = limiter.admit(host(1)).run(ready(Err::<(), _>("not so")));
    assert_eq!(limiter.pending(), 2);
    assert!(matches!(done.await, Ok(7)));
    assert!(matches!(failed.await, Err(Limited::Failed("not so"))));
    assert_eq!(limiter.pending(), 0);
    assert_eq!((limiter.displaced(), limiter.timed_out()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_place_is_free_when_its_permit_or_its_future_is_dropped() {
    let limiter = HandshakeLimiter::new();
    drop(limiter.admit(host(1)));
    assert_eq!(limiter.pending(), 0);
    drop(limiter.admit(host(1)).run(not_polled()));
    assert_eq!(limiter.pending(), 0);
    let running = limiter.admit(host(1)).run(pending::<Result<(), HandshakeError>>());
    assert!(timeout(SECOND, running).await.is_err());
    assert_eq!(limiter.pending(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_place_is_free_when_its_handshake_panics() {
    let limiter = HandshakeLimiter::new();
    let task = tokio::spawn(limiter.admit(host(1)).run(not_polled()));
    assert!(task.await.unwrap_err().is_panic());
    assert_eq!(limiter.pending(), 0);
    assert!(!was_displaced(limiter.admit(host(1))).await);
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_gave_way_before_it_ran_does_not_begin() {
    let limiter = HandshakeLimiter::new().total(1);
    let first = limiter.admit(host(1));
    let _second = limiter.admit(host(2));
    let ended = first.run(not_polled()).await;
    assert!(matches!(ended, Err(Limited::Displaced)));
    assert_eq!((limiter.pending(), limiter.displaced()), (1, 1));
}

/// To give back a place that was taken away must not give away the one of who took it.
#[tokio::test(start_paused = true)]
async fn a_displaced_permit_gives_nothing_back() {
    let limiter = HandshakeLimiter::new().per_address(1);
    let first = limiter.admit(host(1));
    let second = limiter.admit(host(1));
    drop(first);
    assert_eq!(limiter.pending(), 1);
    assert!(!was_displaced(second).await);
}

/// It is woken, dropped with its stream, and everybody is told so: the caller, and the peer.
#[tokio::test(start_paused = true)]
async fn a_displaced_handshake_closes_its_stream_at_once() {
    let limiter = HandshakeLimiter::new().total(1);
    let (ours, mut peer) = duplex(4096);
    peer.write_all(&wire::GREETING[..63]).await.unwrap();
    let server = tokio::spawn(shake_hands(limiter.admit(host(1)), ours, Arc::new(Null::new())));
    let mut greeting = [0; 64];
    peer.read_exact(&mut greeting).await.unwrap();
    assert!(timeout(SECOND, peer.read_u8()).await.is_err(), "the server waits for the peer");

    let before = Instant::now();
    let _newcomer = limiter.admit(host(2));
    let read = timeout(SECOND, peer.read(&mut [0])).await;
    assert_eq!(read.unwrap().unwrap(), 0, "the stream has ended");
    assert_eq!(before.elapsed(), Duration::ZERO);
    assert!(matches!(server.await.unwrap(), Err(Limited::Displaced)));
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_is_not_done_by_the_deadline_closes_its_stream() {
    let limiter = HandshakeLimiter::new().deadline(3 * SECOND);
    let (ours, mut peer) = duplex(4096);
    let permit = limiter.admit(host(1));
    let admitted = Instant::now();
    // The time until it runs counts.
    sleep(2 * SECOND).await;
    let server = tokio::spawn(shake_hands(permit, ours, Arc::new(Null::new())));
    let mut heard = Vec::new();
    timeout(10 * SECOND, peer.read_to_end(&mut heard)).await.unwrap().unwrap();
    assert_eq!(admitted.elapsed(), 3 * SECOND);
    assert!(matches!(server.await.unwrap(), Err(Limited::TimedOut { after }) if after == 3 * SECOND));
    assert_eq!((limiter.pending(), limiter.displaced(), limiter.timed_out()), (0, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_does_not_end_a_handshake_that_is_done_by_then() {
    let limiter = HandshakeLimiter::new().deadline(SECOND);
    let permit = limiter.admit(host(1));
    sleep(2 * SECOND).await;
    assert!(permit.run(ready(Ok::<_, HandshakeError>(()))).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_deadline_beyond_all_time_is_none() {
    let limiter = HandshakeLimiter::new().deadline(Duration::MAX);
    let task = never_done(limiter.admit(host(1)));
    sleep(86_400 * SECOND).await;
    assert_eq!(limiter.pending(), 1);
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn the_timeout_of_the_connection_applies_as_well() {
    let limiter = HandshakeLimiter::new();
    let (ours, _peer) = duplex(4096);
    let config = ConnectionConfig::builder(SocketType::Pull).handshake_timeout(Some(SECOND)).build().unwrap();
    let ended = limiter.admit(host(1)).run(Connection::handshake(ours, &config, &Null::new())).await;
    let Err(Limited::Failed(error)) = ended else { panic!("{ended:?}") };
    assert_eq!(error.to_string(), "handshake failed at the greeting: the handshake was not complete after 1s");
    assert_eq!(limiter.timed_out(), 0, "it was not the limiter's");
}

#[tokio::test]
async fn an_error_says_what_happened() {
    let error: Limited<HandshakeError> = Limited::TimedOut { after: SECOND };
    assert_eq!(error.to_string(), "the handshake was not complete 1s after the peer was admitted");
    let (ours, theirs) = duplex(64);
    drop(theirs);
    let failed = Connection::handshake(ours, &config(SocketType::Pull), &Null::new()).await.unwrap_err();
    let error = Limited::Failed(failed);
    let Limited::Failed(cause) = &error else { panic!() };
    assert_eq!(error.to_string(), cause.to_string());
}

/// Handshakes that end in every way, thousands of them on many threads: no place is lost, and none is used twice.
#[test]
fn places_are_counted_right_whoever_comes_and_goes_on_many_threads() {
    const THREADS: usize = 8;
    let limiter = HandshakeLimiter::new().total(16).per_address(5).deadline(MILLISECOND);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_time().build().unwrap();
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for number in 0..THREADS * 500 {
            let limiter = limiter.clone();
            tasks.spawn(async move {
                let permit = limiter.admit(host(number % 7));
                assert!(limiter.pending() <= 16);
                match number % 3 {
                    0 => drop(permit),
                    1 => drop(
                        permit
                            .run(async {
                                yield_now().await;
                                Ok::<_, HandshakeError>(())
                            })
                            .await,
                    ),
                    _ => drop(permit.run(pending::<Result<(), HandshakeError>>()).await),
                }
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap();
        }
    });
    assert_eq!(limiter.pending(), 0);
}

// ─── the flood ───────────────────────────────────────────────────────────────────────────────────────────────────────

type Server<M> = Result<Connection<DuplexStream, M>, Limited<HandshakeError>>;

/// The server's side of one peer.
async fn shake_hands<M: Mechanism>(permit: HandshakePermit, stream: DuplexStream, mechanism: Arc<M>) -> Server<M> {
    let config = config(SocketType::Pull);
    let judge = AllowAny.at(permit.address().clone());
    permit.run(Connection::handshake_with(stream, &config, &*mechanism, &judge)).await
}

/// A connection that never finishes its handshake.
struct Attack {
    stream: DuplexStream,
    greeting: [u8; 64],
}

impl Attack {
    /// Sends its greeting and no more, and waits for the end of the stream.
    async fn greeting_only(mut self) {
        let _ = self.stream.write_all(&self.greeting).await;
        let _ = self.stream.read_to_end(&mut Vec::new()).await;
    }

    /// Sends one octet per second for as long as the server listens.
    async fn octet_by_octet(mut self) {
        for octet in self.greeting.into_iter().cycle() {
            if self.stream.write_u8(octet).await.is_err() {
                return;
            }
            sleep(SECOND).await;
        }
    }
}

/// A peer with a slow line, which finishes its handshake and sends a message.
async fn good_client<M: Mechanism>(stream: DuplexStream, mechanism: Arc<M>) {
    sleep(100 * MILLISECOND).await;
    let connection = Connection::handshake(stream, &config(SocketType::Push), &*mechanism).await;
    connection.unwrap().send("hello").await.unwrap();
}

/// 10,000 connections in ten seconds of virtual time, of which every 100th is a good client. Half of the attack comes
/// from one host, the rest from 500; none of the good clients has an address that was seen before.
async fn flood<S: Mechanism, C: Mechanism>(server: S, client: C, greeting: [u8; 64]) {
    const PEERS: usize = 10_000;
    const TOTAL: usize = 256;
    let limiter = HandshakeLimiter::new().total(TOTAL).per_address(64).deadline(5 * SECOND);
    let (server, client) = (Arc::new(server), Arc::new(client));
    let (mut servers, mut clients, mut attackers) = (JoinSet::new(), JoinSet::new(), JoinSet::new());
    let received = Arc::new(AtomicUsize::new(0));
    for number in 0..PEERS {
        let (ours, stream) = duplex(1024);
        let is_good = number % 100 == 99;
        let permit = limiter.admit(match number {
            _ if is_good => host(100_000 + number),
            _ if number % 2 == 0 => host(1),
            _ => host(2 + number % 500),
        });
        assert!(limiter.pending() <= TOTAL);
        match number {
            _ if is_good => drop(clients.spawn(good_client(stream, Arc::clone(&client)))),
            _ if number % 4 < 2 => drop(attackers.spawn(Attack { stream, greeting }.greeting_only())),
            _ => drop(attackers.spawn(Attack { stream, greeting }.octet_by_octet())),
        }
        let (server, received) = (Arc::clone(&server), Arc::clone(&received));
        servers.spawn(async move {
            match shake_hands(permit, ours, server).await {
                Ok(mut connection) => {
                    let Some(Event::Message(message)) = connection.recv().await.unwrap() else { panic!("no message") };
                    assert_eq!(message.first(), "hello");
                    received.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => assert!(!is_good, "{error}"),
            }
        });
        sleep(MILLISECOND).await;
    }
    let last = Instant::now();
    for tasks in [&mut clients, &mut servers, &mut attackers] {
        while let Some(ended) = timeout(60 * SECOND, tasks.join_next()).await.unwrap() {
            ended.unwrap();
        }
    }
    // One second more: so late the slow ones find out.
    assert!(last.elapsed() <= 6 * SECOND, "{:?} after the last one has come", last.elapsed());
    assert_eq!(received.load(Ordering::Relaxed), PEERS / 100);
    assert_eq!(limiter.pending(), 0);
    let given_up = limiter.displaced() + limiter.timed_out();
    assert_eq!(given_up, 9_900, "all of the others, and nobody else: {limiter:?}");
}

#[tokio::test(start_paused = true)]
async fn a_flood_that_never_finishes_keeps_no_good_client_out() {
    flood(Null::new(), Null::new(), wire::GREETING).await;
}

#[cfg(feature = "curve")]
#[tokio::test(start_paused = true)]
async fn a_flood_that_never_finishes_keeps_no_good_curve_client_out() {
    use zmtp_connection::{CurveClient, CurveServer, KeyPair};
    let keys = KeyPair::generate().unwrap();
    let client = CurveClient::new(*keys.public_key(), KeyPair::generate().unwrap());
    flood(CurveServer::new(keys), client, wire::greeting("CURVE")).await;
}

//! A server stays open to honest peers, and its memory flat, while thousands connect and never finish their handshakes.
//!
//! The sockets are real, on the loopback interface, and so are the addresses: all of 127.0.0.0/8 is ours, and every
//! peer binds its own before it connects. What the test is not: a network with delays and losses, and a flood that
//! outruns the accept loop. The attackers wait while too many of them stand in the queue of the kernel, where no limiter
//! reaches.
//!
//! Nothing that is asserted depends on how fast anything is: a peer that is alone on its address can be made to give
//! way only by as many addresses as there are places, and the attack has fewer.
#![cfg(target_os = "linux")] // Elsewhere the addresses are not there, nor is /proc.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what cannot be set up has failed the test"
)]

use std::fmt::Debug;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::yield_now;
use zmtp_bench::alloc::{CountingAllocator, live, measure};
use zmtp_codec::{Greeting, MechanismName, SocketType};
use zmtp_connection::{
    AllowAny, Authenticator, Connection, ConnectionConfig, Event, HandshakeLimiter, HandshakePermit, Limited, Null,
};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const ATTACKERS: usize = 10_000;
/// By then all places are taken, and memory should not grow any more.
const EARLY: usize = 2_000;
const CLIENTS: usize = 200;
/// A good client comes after so many attackers.
const ATTACKERS_PER_CLIENT: usize = ATTACKERS / CLIENTS;
/// Of either kind, each of which attacks or connects again and again.
const THREADS: usize = 4;

const PLACES: usize = 256;
const PLACES_PER_ADDRESS: usize = 64;
const DEADLINE: Duration = Duration::from_secs(5);

/// Half of the attack comes from one host. The addresses of the rest, with it and with all clients that come at once,
/// are fewer than the places.
const OTHER_HOSTS: usize = 199;
const _: () = assert!(1 + OTHER_HOSTS + THREADS < PLACES);

/// How many attackers may wait to be accepted. The queue of the kernel is longer, so that nobody is turned away by it.
const QUEUED: usize = 256;

/// How far the memory of a full server may go up and down. The attackers between the two looks at it are 8,000, so that
/// this is 8 octets for each.
const NOISE: i64 = 64 * 1024;

/// Longer than anything here takes, so that a failure is one and not a test that hangs.
const PATIENCE: Duration = Duration::from_secs(120);

static GREETING: LazyLock<[u8; 64]> = LazyLock::new(|| Greeting::new(MechanismName::NULL, false).to_bytes());

fn attacker_address(number: usize) -> Ipv4Addr {
    let other = u8::try_from(1 + number / 2 % OTHER_HOSTS).unwrap();
    if number.is_multiple_of(2) { Ipv4Addr::new(127, 1, 0, 1) } else { Ipv4Addr::new(127, 1, 1, other) }
}

fn client_address(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 2, 0, u8::try_from(1 + number).unwrap())
}

fn is_attacker(address: SocketAddr) -> bool {
    matches!(address, SocketAddr::V4(address) if address.ip().octets()[1] == 1)
}

/// A number that some threads count up and others wait for.
#[derive(Debug, Default)]
struct Count {
    value: Mutex<usize>,
    grown: Condvar,
}

impl Count {
    fn add_one(&self) -> usize {
        let mut value = self.value.lock().unwrap();
        *value += 1;
        self.grown.notify_all();
        *value
    }

    fn wait_for(&self, least: usize) {
        assert!(self.reaches(least, Instant::now() + PATIENCE), "waited for {least}: {self:?}");
    }

    fn reaches(&self, least: usize, until: Instant) -> bool {
        let value = self.value.lock().unwrap();
        let timeout = until.saturating_duration_since(Instant::now());
        let (value, _) = self.grown.wait_timeout_while(value, timeout, |value| *value < least).unwrap();
        *value >= least
    }
}

/// What the server has seen, for the other threads to follow.
#[derive(Debug, Default)]
struct Seen {
    attackers: Count,
    attackers_gone: Count,
    /// Tasks that hold a stream whose handshake is not over.
    shaking_hands: AtomicUsize,
    failed: AtomicUsize,
    served: AtomicUsize,
}

// ─── the server ──────────────────────────────────────────────────────────────────────────────────────────────────────

/// What the server took, in octets that its thread had allocated, and in places.
#[derive(Debug, Default)]
struct Taken {
    early: i64,
    late: i64,
    peak: i64,
    peak_pending: usize,
}

fn listen() -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    socket.listen(4 * u32::try_from(QUEUED).unwrap()).unwrap()
}

/// Accepts whoever comes, until it is told to stop. All of it is on this thread, so that its memory can be counted.
fn serve(
    listener: std::net::TcpListener,
    limiter: &HandshakeLimiter,
    seen: &Arc<Seen>,
    stop: oneshot::Receiver<()>,
) -> Taken {
    let runtime = runtime();
    let mut taken = Taken::default();
    let before = live();
    let ((), counts) = measure(|| {
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).unwrap();
            tokio::select! {
                () = accept(&listener, limiter, seen, &mut taken) => {}
                stopped = stop => stopped.unwrap(),
            }
        });
    });
    Taken { early: taken.early - before, late: taken.late - before, peak: counts.peak, ..taken }
}

async fn accept(listener: &TcpListener, limiter: &HandshakeLimiter, seen: &Arc<Seen>, taken: &mut Taken) {
    loop {
        let (stream, address) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let permit = limiter.admit(address);
        taken.peak_pending = taken.peak_pending.max(limiter.pending());
        seen.shaking_hands.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(serve_peer(permit, stream, address, Arc::clone(seen)));
        // Those that have to give way are gone when their tasks have run.
        yield_now().await;
        if is_attacker(address) {
            match seen.attackers.add_one() {
                EARLY => taken.early = settled(limiter, seen).await,
                ATTACKERS => taken.late = settled(limiter, seen).await,
                _ => {}
            }
        }
    }
}

/// The live heap when those that gave way are gone.
async fn settled(limiter: &HandshakeLimiter, seen: &Seen) -> i64 {
    while seen.shaking_hands.load(Ordering::Relaxed) > limiter.pending() {
        yield_now().await;
    }
    live()
}

/// Shakes hands, and sends back what the peer sends.
async fn serve_peer(permit: HandshakePermit, stream: tokio::net::TcpStream, address: SocketAddr, seen: Arc<Seen>) {
    let (config, null, judge) = (config(SocketType::Rep), Null::new(), AllowAny.at(address));
    let handshake = permit.run(Connection::handshake_with(stream, &config, &null, &judge)).await;
    seen.shaking_hands.fetch_sub(1, Ordering::Relaxed);
    if is_attacker(address) {
        seen.attackers_gone.add_one();
    }
    match handshake {
        Ok(mut connection) => {
            while let Ok(Some(Event::Message(message))) = connection.recv().await {
                seen.served.fetch_add(1, Ordering::Relaxed);
                connection.send(&message).await.unwrap();
            }
        }
        Err(Limited::Failed(_)) => drop(seen.failed.fetch_add(1, Ordering::Relaxed)),
        Err(_) => {}
    }
}

// ─── who connects ────────────────────────────────────────────────────────────────────────────────────────────────────

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// The limiter's deadline is the only one.
fn config(socket_type: SocketType) -> ConnectionConfig {
    ConnectionConfig::builder(socket_type).handshake_timeout(None).build().unwrap()
}

async fn connect(from: Ipv4Addr, to: SocketAddr) -> tokio::net::TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    let stream = socket.connect(to).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// A connection that is kept open and never finishes its handshake.
struct Attacker {
    stream: TcpStream,
    /// How much of its greeting it has sent. Half of the attackers send it at once, the others octet by octet.
    sent: usize,
}

impl Attacker {
    fn new(number: usize, to: SocketAddr, runtime: &Runtime) -> Self {
        let stream = runtime.block_on(connect(attacker_address(number), to)).into_std().unwrap();
        stream.set_nonblocking(false).unwrap();
        let mut attacker = Self { stream, sent: 0 };
        attacker.send(if (number / 2).is_multiple_of(2) { GREETING.len() } else { 1 });
        attacker
    }

    /// Sends so many octets more, if there are so many. The server may have closed the connection: that changes nothing.
    fn send(&mut self, octets: usize) {
        let until = GREETING.len().min(self.sent + octets);
        let _ = self.stream.write_all(&GREETING[self.sent..until]);
        self.sent = until;
    }

    fn assert_closed(&mut self) {
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        match self.stream.read_to_end(&mut Vec::new()) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }
}

/// Attacks with every number that `next` gives, and keeps the connections until the server has closed all of them.
fn attack(to: SocketAddr, next: &AtomicUsize, seen: &Seen) {
    let runtime = runtime();
    let mut attackers: Vec<Attacker> = Vec::new();
    let mut next_octet = Instant::now();
    loop {
        if Instant::now() >= next_octet {
            next_octet += Duration::from_secs(1);
            attackers.iter_mut().for_each(|attacker| attacker.send(1));
        }
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number < ATTACKERS {
            seen.attackers.wait_for((number + 1).saturating_sub(QUEUED));
            attackers.push(Attacker::new(number, to, &runtime));
        } else if seen.attackers_gone.reaches(ATTACKERS, next_octet) {
            break;
        }
    }
    attackers.iter_mut().for_each(Attacker::assert_closed);
}

/// Connects for every number that `next` gives, when as many attackers have come before. How long each handshake took,
/// from before it connected.
fn connect_in_between(to: SocketAddr, next: &AtomicUsize, seen: &Seen) -> Vec<Duration> {
    let runtime = runtime();
    let mut took = Vec::new();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= CLIENTS {
            return took;
        }
        seen.attackers.wait_for(number * ATTACKERS_PER_CLIENT);
        took.push(runtime.block_on(exchange_a_message(client_address(number), to)));
    }
}

async fn exchange_a_message(from: Ipv4Addr, to: SocketAddr) -> Duration {
    let begun = Instant::now();
    let handshake = async {
        let stream = connect(from, to).await;
        Connection::handshake(stream, &config(SocketType::Req), &Null::new()).await
    };
    let mut connection = handshake.await.expect("a good client is let in");
    let took = begun.elapsed();
    connection.send(&["", "hello"]).await.unwrap();
    let Some(Event::Message(reply)) = connection.recv().await.unwrap() else { panic!("no reply") };
    assert_eq!(reply.parts(), ["", "hello"]);
    took
}

// ─── the flood ───────────────────────────────────────────────────────────────────────────────────────────────────────

/// Asks for as many descriptors as the system will give.
fn raise_the_limit_of_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let enough = limit.current.is_none_or(|most| most >= 12_000);
    assert!(enough, "10,000 connections take 12,000 descriptors; raise the hard limit, see `ulimit -H -n`");
}

/// What the process holds of the machine's memory.
fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn every_good_client_gets_in_and_memory_stays_flat() {
    raise_the_limit_of_descriptors();
    let limiter = HandshakeLimiter::new().total(PLACES).per_address(PLACES_PER_ADDRESS).deadline(DEADLINE);
    let seen = Arc::new(Seen::default());
    let listener = runtime().block_on(async { listen().into_std().unwrap() });
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let (next_attacker, next_client) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let before = resident_kib();

    let (taken, mut latencies, after) = thread::scope(|scope| {
        let server = scope.spawn(|| serve(listener, &limiter, &seen, stopped));
        let attackers: Vec<_> = (0..THREADS).map(|_| scope.spawn(|| attack(address, &next_attacker, &seen))).collect();
        let clients: Vec<_> =
            (0..THREADS).map(|_| scope.spawn(|| connect_in_between(address, &next_client, &seen))).collect();
        let latencies: Vec<_> = clients.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        seen.attackers.wait_for(ATTACKERS);
        let after = resident_kib();
        attackers.into_iter().for_each(|thread| thread.join().unwrap());
        stop.send(()).unwrap();
        (server.join().unwrap(), latencies, after)
    });
    latencies.sort();
    report(&limiter, &seen, &taken, &latencies, before..after);

    assert_eq!(latencies.len(), CLIENTS, "handshakes that good clients completed");
    assert_eq!(seen.served.load(Ordering::Relaxed), CLIENTS, "messages that were sent back");
    assert!(taken.peak_pending <= PLACES, "{} handshakes were pending at once", taken.peak_pending);
    assert_eq!(limiter.pending(), 0);
    assert!(taken.peak < 2 * taken.early, "{} octets of heap in between", taken.peak);
    let failed = seen.failed.load(Ordering::Relaxed) as u64;
    assert_eq!(limiter.displaced() + limiter.timed_out() + failed, ATTACKERS as u64, "how the attackers ended");
    let grown = taken.late - taken.early;
    assert!(grown.abs() <= NOISE, "{grown} octets of heap more after {ATTACKERS} attackers than after {EARLY}");
}

fn report(limiter: &HandshakeLimiter, seen: &Seen, taken: &Taken, latencies: &[Duration], resident: Range<usize>) {
    let rank = |percent: usize| latencies[(latencies.len() - 1) * percent / 100];
    let row = |what: &str, value: &dyn Debug| println!("{what:<42}{:>12}", format!("{value:?}"));
    row("attackers", &ATTACKERS);
    row("  displaced", &limiter.displaced());
    row("  timed out", &limiter.timed_out());
    row("  failed otherwise", &seen.failed.load(Ordering::Relaxed));
    row("places", &PLACES);
    row("  taken at most", &taken.peak_pending);
    row("server's heap, octets, at most", &taken.peak);
    row(&format!("  after {EARLY} attackers"), &taken.early);
    row(&format!("  after {ATTACKERS} attackers"), &taken.late);
    row("process, resident KiB, before", &resident.start);
    row(&format!("  after {ATTACKERS} attackers"), &resident.end);
    row("good clients that got in", &latencies.len());
    row("  handshake, median", &rank(50));
    row("  handshake, 99 of 100", &rank(99));
    row("  handshake, slowest", &rank(100));
}

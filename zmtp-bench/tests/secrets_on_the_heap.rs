//! No key of a CURVE or BLAKE3 connection and no password of PLAIN is left behind in memory that was given back.
//!
//! Every block is searched as it is freed. The stack is out of reach: what Rust moves, it leaves where it was, and a value
//! that is moved to the heap can carry such leavings along in its unused parts.
#![expect(clippy::unwrap_used, reason = "what cannot be set up has failed the test")]

#[path = "secrets/blake3.rs"]
mod blake3_secrets;
#[path = "secrets/stream.rs"]
mod stream;

use std::alloc::{GlobalAlloc, Layout, System};
use std::future::Future;
use std::pin::pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use stream::{End, ends};
use zmtp_codec::keys::{KeyPair, SecretKey};
use zmtp_codec::{AnyMechanism, Entropy, Mechanism, SocketType, Verdict};
use zmtp_connection::proto::{Establish, Outcome};
use zmtp_connection::{
    AllowAny, Authenticator, Connection, ConnectionConfig, CredentialList, CurveClient, CurveServer, PlainClient,
    PlainCredentials, PlainServer,
};
use zmtp_mechanism_blake3::{Blake3Zmq, ChachaPoly, Client, Server, Suite};

/// The greeting of a peer that speaks PLAIN.
static GREETING: [u8; 64] = {
    let mut greeting = [0; 64];
    (greeting[0], greeting[9], greeting[10], greeting[11]) = (0xff, 0x7f, 3, 1);
    let mut at = 0;
    while at < 5 {
        greeting[12 + at] = b"PLAIN"[at];
        at += 1;
    }
    greeting
};
/// A HELLO with nothing for the username, and the password. It lies where nothing is ever freed, and no half of the password
/// can be taken for the other.
static HELLO: [u8; 74] = *b"\x04\x48\x05HELLO\x00\x40abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/";
static PASSWORD: &[u8] = HELLO.split_at(10).1;

/// A secret, and what it is.
struct Secret {
    name: String,
    octets: [u8; 32],
    /// How often it was found.
    found: AtomicUsize,
}

impl Secret {
    fn new(name: impl Into<String>, octets: [u8; 32]) -> Self {
        Self { name: name.into(), octets, found: AtomicUsize::new(0) }
    }
}

/// What is searched for.
struct Sought {
    secrets: Vec<Secret>,
    /// Whether one of them begins with this octet. Hardly any octet has to be held against all of them.
    begins: [bool; 256],
}

impl Sought {
    fn new(secrets: Vec<Secret>) -> Self {
        let mut begins = [false; 256];
        for secret in &secrets {
            begins[usize::from(secret.octets[0])] = true;
        }
        Self { secrets, begins }
    }

    /// Counts those that are in here. Nothing is allocated for it.
    fn search(&self, octets: &[u8]) {
        for window in octets.windows(32).filter(|window| self.begins[usize::from(window[0])]) {
            for secret in self.secrets.iter().filter(|secret| window == secret.octets) {
                secret.found.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Nothing until it is known.
static SOUGHT: OnceLock<Sought> = OnceLock::new();

struct Searching;

// SAFETY: the system's allocator does the work. A block is only read, before it is freed, for as long as it is; it was
// zeroed when it was made, so that all of it may be read.
unsafe impl GlobalAlloc for Searching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as our caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if let Some(sought) = SOUGHT.get() {
            // SAFETY: the block is still ours, as long as the layout says, and initialised.
            let octets = unsafe { std::slice::from_raw_parts(block, layout.size()) };
            sought.search(octets);
        }
        // SAFETY: as our caller promises.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Searching = Searching;

/// A side draws keys of this octet, repeated; nonces too.
fn fixed(octet: u8) -> Entropy {
    Entropy::danger_from_fn(move |octets| octets.fill(octet))
}

fn pair(octet: u8) -> KeyPair {
    KeyPair::from_secret(SecretKey::from_bytes([octet; 32]).unwrap())
}

/// The two sides under each mechanism, with the same keys.
struct Sides {
    curve: (CurveClient, CurveServer),
    chachapoly: (Client<ChachaPoly>, Server<ChachaPoly>),
    blake3zmq: (Client<Blake3Zmq>, Server<Blake3Zmq>),
}

/// Makes the two sides under each mechanism, and says what is searched for. To be called on a thread of its own: what it
/// leaves on its stack must not get into the blocks that are searched.
fn prepare() -> Sides {
    let (server_keys, client_keys) = (pair(0x51), pair(0xc1));
    // The server's transient key and CURVE's key of its cookie come out the same here.
    let transient = [SecretKey::from_bytes([0x57; 32]).unwrap(), SecretKey::from_bytes([0xc7; 32]).unwrap()];
    let shared = *transient[0].diffie_hellman(&transient[1].public_key()).unwrap().danger_as_bytes();
    let session = salsabox::hsalsa20(&shared, &[0; 16]);
    let box_key = |ours: &SecretKey, theirs: &KeyPair| {
        let shared = ours.diffie_hellman(theirs.public_key()).unwrap();
        salsabox::hsalsa20(shared.danger_as_bytes(), &[0; 16])
    };
    let mut sought: Vec<_> = [
        ("the server's transient key, or CURVE's key of its cookie", [0x57; 32]),
        ("the client's transient key", [0xc7; 32]),
        ("the shared secret", shared),
        ("the session's key", session),
        ("the client's subkey", salsabox::hsalsa20(&session, b"CurveZMQMESSAGEC")),
        ("the server's subkey", salsabox::hsalsa20(&session, b"CurveZMQMESSAGES")),
        ("the key of HELLO's box", box_key(&transient[1], &server_keys)),
        ("the key of the vouch", box_key(&transient[0], &client_keys)),
        ("the server's secret key", [0x51; 32]),
        ("the client's secret key", [0xc1; 32]),
        ("the first half of the password", PASSWORD[..32].try_into().unwrap()),
        ("the second half of the password", PASSWORD[32..].try_into().unwrap()),
    ]
    .map(|(name, octets)| Secret::new(name, octets))
    .into();
    let (chachapoly, blake3zmq) = (blake3_sides(&server_keys), blake3_sides(&server_keys));
    let (keys, transient_keys) = ([&client_keys, &server_keys], [&transient[1], &transient[0]]);
    sought.extend(blake3_secrets::secrets(&chachapoly, keys, transient_keys));
    sought.extend(blake3_secrets::secrets(&blake3zmq, keys, transient_keys));
    let client = CurveClient::new(*server_keys.public_key(), client_keys).with_entropy(fixed(0xc7));
    let server = CurveServer::new(server_keys).with_entropy(fixed(0x57));
    drop(transient);
    assert!(SOUGHT.set(Sought::new(sought)).is_ok());
    // That the search finds something at all.
    drop(vec![0xc7_u8; 32]);
    assert_eq!(SOUGHT.get().unwrap().secrets[1].found.swap(0, Ordering::Relaxed), 1);
    Sides { curve: (client, server), chachapoly, blake3zmq }
}

fn blake3_sides<S: Suite>(server_keys: &KeyPair) -> (Client<S>, Server<S>) {
    let client = Client::new(*server_keys.public_key(), pair(0xc1)).with_entropy(fixed(0xc7));
    (client, Server::new(pair(0x51)).with_entropy(blake3_secrets::entropy()))
}

#[test]
fn no_secret_is_found_in_memory_that_was_freed() {
    let Sides { curve, chachapoly, blake3zmq } = std::thread::spawn(prepare).join().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(in_both_forms(curve));
    runtime.block_on(in_both_forms(chachapoly.clone()));
    runtime.block_on(in_both_forms(blake3zmq.clone()));
    blake3_secrets::change_the_key_of_cookies(&chachapoly);
    blake3_secrets::change_the_key_of_cookies(&blake3zmq);
    runtime.block_on(plain());
    drop((runtime, chachapoly, blake3zmq));
    for Secret { name, found, .. } in &SOUGHT.get().unwrap().secrets {
        assert_eq!(found.load(Ordering::Relaxed), 0, "{name} was in memory that was freed");
    }
}

/// With the mechanism as it is, and chosen at run time.
async fn in_both_forms<C: Mechanism + Clone, S: Mechanism + Clone>((client, server): (C, S)) {
    talk(client.clone(), server.clone(), AllowAny, usize::MAX).await;
    talk(AnyMechanism::new(client), AnyMechanism::new(server), AllowAny, usize::MAX).await;
}

/// Handshakes on tasks of their own, and connections that are handed to other tasks: so everything is moved about. Octets
/// come in pieces of at most `piece`.
async fn talk<C: Mechanism, S: Mechanism>(client: C, server: S, judge: impl Authenticator + 'static, piece: usize) {
    let (ours, theirs) = ends(piece);
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            let client = tokio::task::spawn_local(async move {
                let config = ConnectionConfig::new(SocketType::Dealer);
                let mut client = Connection::handshake(ours, &config, &client).await.unwrap();
                client.send("hello").await.unwrap();
                client
            });
            let server = tokio::task::spawn_local(async move {
                let config = ConnectionConfig::new(SocketType::Router);
                Connection::handshake_with(theirs, &config, &server, &judge).await.unwrap()
            });
            let (mut client, mut server) = (client.await.unwrap(), server.await.unwrap());
            let server = tokio::task::spawn_local(async move {
                server.recv().await.unwrap().unwrap();
                server.send("back").await.unwrap();
            });
            let client = tokio::task::spawn_local(async move {
                client.recv().await.unwrap().unwrap();
            });
            server.await.unwrap();
            client.await.unwrap();
        })
        .await;
}

// ─── PLAIN ───────────────────────────────────────────────────────────────────────────────────────────────────────────

async fn plain() {
    let long = "u".repeat(255);
    for username in ["", "alice", &long] {
        let credentials = PlainCredentials::new(username, PASSWORD).unwrap();
        let list = CredentialList::new([credentials.clone()]);
        let client = PlainClient::new(credentials);
        for piece in [1, 7, 100, usize::MAX] {
            talk(client.clone(), PlainServer::new(), list.clone(), piece).await;
        }
        talk(AnyMechanism::new(client.clone()), AnyMechanism::new(PlainServer::new()), list.clone(), usize::MAX).await;
        list.replace([]);
        assert!(!is_let_in(client, &list).await);
    }
    for piece in [7, usize::MAX] {
        faulty_clients(piece).await;
        clients_that_stop(piece);
    }
    a_server_that_does_not_read();
}

async fn is_let_in(client: PlainClient, list: &CredentialList) -> bool {
    let (ours, theirs) = ends(usize::MAX);
    let (dealer, router) = (ConnectionConfig::new(SocketType::Dealer), ConnectionConfig::new(SocketType::Router));
    let server = PlainServer::new();
    let (client, server) = tokio::join!(
        Connection::handshake(ours, &dealer, &client),
        Connection::handshake_with(theirs, &router, &server, list)
    );
    client.is_ok() && server.is_ok()
}

/// A password in a HELLO that is refused, whole or from its header, and in one that should not have come.
async fn faulty_clients(piece: usize) {
    let all: &[&[u8]] = &[&GREETING, &HELLO];
    let message: &[&[u8]] = &[&GREETING, b"\x00\x48", &HELLO[2..]];
    let too_long: &[&[u8]] = &[&GREETING, b"\x06\0\0\0\0\0\0\x02\x07", &HELLO[2..]];
    let behind: &[&[u8]] = &[&GREETING, b"\x04\x49", &HELLO[2..], b"\0"];
    let twice: &[&[u8]] = &[&GREETING, &HELLO, &HELLO];
    let other_mechanism: &[&[u8]] = &[&GREETING[..12], b"NULL\0\0\0\0", &GREETING[20..], &HELLO];
    for octets in [all, message, too_long, behind, twice, other_mechanism] {
        let (peer, ours) = ends(piece);
        octets.iter().for_each(|octets| peer.put(octets));
        drop(peer);
        let config = ConnectionConfig::new(SocketType::Router);
        assert!(Connection::handshake_with(ours, &config, &PlainServer::new(), &AllowAny).await.is_err());
    }
}

/// Of each the server has received a part, and is not asked to wait for the rest.
fn clients_that_stop(piece: usize) {
    for len in 0..=HELLO.len() {
        let (peer, ours) = ends(piece);
        peer.put(&GREETING);
        peer.put(&HELLO[..len]);
        let config = ConnectionConfig::new(SocketType::Router);
        give_up(Connection::handshake_with(ours, &config, &PlainServer::new(), &AllowAny));
    }
}

/// The client's password never leaves, or a part of it. Meanwhile the server says nothing, or INITIATE comes to wait behind
/// the password, or the handshake is over but for what waits, or it fails.
fn a_server_that_does_not_read() {
    const WELCOME: &[u8] = b"\x04\x08\x07WELCOME";
    const READY: &[u8] = b"\x04\x1c\x05READY\x0bSocket-Type\0\0\0\x06ROUTER";
    let long = "u".repeat(180);
    for username in ["", &long] {
        let client = PlainClient::new(PlainCredentials::new(username, PASSWORD).unwrap());
        for answers in [&[][..], &[WELCOME], &[WELCOME, READY], &[b"\x04\x06\x05OTHER"]] {
            for room in 64..=64 + HELLO.len() {
                let (ours, peer): (End, End) = ends(usize::MAX);
                ours.takes(room);
                peer.put(&GREETING);
                answers.iter().for_each(|octets| peer.put(octets));
                let config = ConnectionConfig::new(SocketType::Dealer);
                give_up(Connection::handshake(ours, &config, &client));
            }
        }
        refused_before_the_password_has_left(&client, &[&GREETING, WELCOME, READY].concat());
    }
}

/// What is to be said last has the password in it; that is the caller's to overwrite.
fn refused_before_the_password_has_left(client: &PlainClient, octets: &[u8]) {
    let config = ConnectionConfig::new(SocketType::Dealer);
    let mut establish = Establish::new(&config, client);
    establish.receive(octets);
    let Outcome::Ready(established) = establish.advance(Duration::ZERO) else {
        unreachable!("the server has let us in")
    };
    let mut failure = established.decide(Verdict::deny()).unwrap_err();
    assert!(failure.last_words.len() > PASSWORD.len());
    failure.last_words.fill(0);
}

/// Lets a handshake go as far as it can, and drops it.
fn give_up(handshake: impl Future) {
    let mut handshake = pin!(handshake);
    for _ in 0..200 {
        assert!(handshake.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
}

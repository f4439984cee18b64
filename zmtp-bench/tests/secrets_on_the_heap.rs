//! No key of a CURVE connection is left behind in memory that was given back.
//!
//! Every block is searched as it is freed. The stack is out of reach: what Rust moves, it leaves where it was, and a value
//! that is moved to the heap can carry such leavings along in its unused parts.
#![expect(clippy::unwrap_used, reason = "what cannot be set up has failed the test")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use zmtp_codec::keys::{KeyPair, SecretKey};
use zmtp_codec::{AnyMechanism, Entropy, Mechanism, SocketType};
use zmtp_connection::{AllowAny, Connection, ConnectionConfig, CurveClient, CurveServer};

const SECRETS: usize = 10;

/// What is searched for. Nothing until it is known.
static SOUGHT: OnceLock<[(&str, [u8; 32]); SECRETS]> = OnceLock::new();
/// In how many blocks each was found.
static FOUND: [AtomicUsize; SECRETS] = [const { AtomicUsize::new(0) }; SECRETS];

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
            for ((_, secret), found) in sought.iter().zip(&FOUND) {
                if octets.windows(secret.len()).any(|window| window == secret) {
                    found.fetch_add(1, Ordering::Relaxed);
                }
            }
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

/// Makes the two sides, and says what is searched for. To be called on a thread of its own: what it leaves on its stack
/// must not get into the blocks that are searched.
fn prepare() -> (CurveClient, CurveServer) {
    let (server_keys, client_keys) = (pair(0x51), pair(0xc1));
    // The server's transient key and its cookie's key come out the same here.
    let transient = [SecretKey::from_bytes([0x57; 32]).unwrap(), SecretKey::from_bytes([0xc7; 32]).unwrap()];
    let shared = *transient[0].diffie_hellman(&transient[1].public_key()).unwrap().danger_as_bytes();
    let session = salsabox::hsalsa20(&shared, &[0; 16]);
    let box_key = |ours: &SecretKey, theirs: &KeyPair| {
        let shared = ours.diffie_hellman(theirs.public_key()).unwrap();
        salsabox::hsalsa20(shared.danger_as_bytes(), &[0; 16])
    };
    let sought = [
        ("the server's transient key, or its cookie's", [0x57; 32]),
        ("the client's transient key", [0xc7; 32]),
        ("the shared secret", shared),
        ("the session's key", session),
        ("the client's subkey", salsabox::hsalsa20(&session, b"CurveZMQMESSAGEC")),
        ("the server's subkey", salsabox::hsalsa20(&session, b"CurveZMQMESSAGES")),
        ("the key of HELLO's box", box_key(&transient[1], &server_keys)),
        ("the key of the vouch", box_key(&transient[0], &client_keys)),
        ("the server's secret key", [0x51; 32]),
        ("the client's secret key", [0xc1; 32]),
    ];
    let client = CurveClient::new(*server_keys.public_key(), client_keys).with_entropy(fixed(0xc7));
    let server = CurveServer::new(server_keys).with_entropy(fixed(0x57));
    drop(transient);
    SOUGHT.set(sought).unwrap();
    // That the search finds something at all.
    drop(vec![0xc7_u8; 32]);
    assert_eq!(FOUND[1].swap(0, Ordering::Relaxed), 1);
    (client, server)
}

#[test]
fn no_secret_is_found_in_memory_that_was_freed() {
    let (client, server) = std::thread::spawn(prepare).join().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(talk(client.clone(), server.clone()));
    runtime.block_on(talk(AnyMechanism::new(client), AnyMechanism::new(server)));
    drop(runtime);
    for ((name, _), found) in SOUGHT.get().unwrap().iter().zip(&FOUND) {
        assert_eq!(found.load(Ordering::Relaxed), 0, "freed blocks with {name} in them");
    }
}

/// Handshakes on tasks of their own, and connections that are handed to other tasks: so everything is moved about.
async fn talk<C: Mechanism, S: Mechanism>(client: C, server: S) {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
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
                Connection::handshake_with(theirs, &config, &server, &AllowAny).await.unwrap()
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

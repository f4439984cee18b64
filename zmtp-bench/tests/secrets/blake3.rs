//! What is secret about a BLAKE3 handshake, under either suite, of two sides that draw the same octets every time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chacha20_blake3::Session;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use zmtp_codec::keys::{KeyPair, SecretKey};
use zmtp_codec::{Entropy, Mechanism, SocketType, Verdict};
use zmtp_connection::proto::{Establish, Outcome};
use zmtp_connection::{ConnectionConfig, HandshakeCause};
use zmtp_mechanism_blake3::{Blake3Zmq, ChachaPoly, Client, Server, Suite};

use crate::Secret;

/// What cookie keys are made from, in turns: so that the one before and the one after a change are different, and both are known.
const COOKIE_SECRETS: [[u8; 32]; 2] = [[0x5c; 32], [0x6b; 32]];

/// For a server that answers one HELLO after the other: 0x57 for transient keys and for nonces.
pub(crate) fn entropy() -> Entropy {
    let (last, cookies) = (AtomicUsize::new(0), AtomicUsize::new(0));
    Entropy::danger_from_fn(move |octets| {
        // It is drawn right behind a transient key, and both are 32 octets.
        let is_cookies = last.swap(octets.len(), Ordering::Relaxed) == 32 && octets.len() == 32;
        if is_cookies {
            octets.copy_from_slice(&COOKIE_SECRETS[cookies.fetch_add(1, Ordering::Relaxed) % 2]);
        } else {
            octets.fill(0x57);
        }
    })
}

// ─── the suites ──────────────────────────────────────────────────────────────────────────────────────────────────────

/// What a suite makes of the octets that a key comes from.
pub(crate) trait Known: Suite {
    const LABEL: &'static str;
    /// Octets in front of the box in WELCOME, which go into its key.
    const WELCOME_NONCE_LEN: usize;
    const BINDS_VOUCH: bool;

    /// The keys in which a box is sealed, made of its key and its nonce.
    fn keys_of_box(key: &[u8; 32], nonce: &[u8; 24]) -> Vec<(&'static str, [u8; 32])>;

    /// The keys of frames to the server and to the client. The first frame to the server opens with them.
    fn keys_of_frames(ikm: &[u8], frame: &[u8]) -> Vec<(&'static str, [u8; 32])>;

    fn derive<const N: usize>(context: &str, ikm: &[u8]) -> [u8; N] {
        let mut key = [0; N];
        let mut hasher = blake3::Hasher::new_derive_key(&format!("{} {context}", Self::LABEL));
        hasher.update(ikm).finalize_xof().fill(&mut key);
        key
    }
}

impl Known for ChachaPoly {
    const LABEL: &'static str = "BLAKE3-CHACHAPOLY-1.0";
    const WELCOME_NONCE_LEN: usize = 24;
    const BINDS_VOUCH: bool = true;

    fn keys_of_box(_: &[u8; 32], _: &[u8; 24]) -> Vec<(&'static str, [u8; 32])> {
        Vec::new()
    }

    fn keys_of_frames(ikm: &[u8], frame: &[u8]) -> Vec<(&'static str, [u8; 32])> {
        let (to_server, to_client) = (Self::derive("client->server key", ikm), Self::derive("server->client key", ikm));
        let (header, body) = frame.split_at(2);
        let nonce = Nonce::from(Self::derive::<12>("client->server iv", ikm));
        let opened = ChaCha20Poly1305::new(&to_server.into()).decrypt(&nonce, Payload { msg: body, aad: header });
        assert_eq!(opened.unwrap(), b"hello");
        vec![("frames to the server", to_server), ("frames to the client", to_client)]
    }
}

impl Known for Blake3Zmq {
    const LABEL: &'static str = "BLAKE3ZMQ-1.0";
    const WELCOME_NONCE_LEN: usize = 0;
    const BINDS_VOUCH: bool = false;

    fn keys_of_box(key: &[u8; 32], nonce: &[u8; 24]) -> Vec<(&'static str, [u8; 32])> {
        let mut keys = [[0; 32]; 2];
        blake3::Hasher::new_keyed(key).update(nonce).finalize_xof().fill(keys.as_flattened_mut());
        vec![("encryption", keys[0]), ("authentication", keys[1])]
    }

    fn keys_of_frames(ikm: &[u8], frame: &[u8]) -> Vec<(&'static str, [u8; 32])> {
        let [encrypt, authenticate] =
            ["client->server enc key", "client->server auth key"].map(|context| Self::derive(context, ikm));
        let (header, body) = frame.split_at(2);
        let (text, tag) = body.split_last_chunk::<32>().unwrap();
        let mut text = text.to_vec();
        Session::<20>::new(encrypt, authenticate, Self::derive("client->server nonce", ikm))
            .decrypt_in_place_detached(&mut text, tag, header)
            .unwrap();
        assert_eq!(text, b"hello");
        vec![
            ("frames to the server, encryption", encrypt),
            ("frames to the server, authentication", authenticate),
            ("frames to the client, encryption", Self::derive("server->client enc key", ikm)),
            ("frames to the client, authentication", Self::derive("server->client auth key", ikm)),
        ]
    }
}

// ─── all secrets ─────────────────────────────────────────────────────────────────────────────────────────────────────

/// Shakes hands twice, with an ear on the wire: once with each secret for cookies, which are in the transcript and so in the
/// keys. Gives all that the two sides have made, but for the four secret keys and the secret that both transient keys share.
pub(crate) fn secrets<S: Known>(
    (client, server): &(Client<S>, Server<S>),
    [client_keys, server_keys]: [&KeyPair; 2],
    [client_transient, server_transient]: [&SecretKey; 2],
) -> Vec<Secret> {
    let dh =
        |secret: &SecretKey, public: &KeyPair| *secret.diffie_hellman(public.public_key()).unwrap().danger_as_bytes();
    let shared = [
        dh(client_transient, server_keys),
        *client_transient.diffie_hellman(&server_transient.public_key()).unwrap().danger_as_bytes(),
        dh(server_transient, client_keys),
    ];
    let client_transient = *client_transient.public_key().as_bytes();
    let mut secrets = vec![
        Secret::new(format!("{}: the first shared secret", S::LABEL), shared[0]),
        Secret::new(format!("{}: the third shared secret", S::LABEL), shared[2]),
    ];
    for cookie_secret in COOKIE_SECRETS {
        let wire = overhear(client, server);
        secrets.push(Secret::new(format!("{}: the secret of cookies", S::LABEL), cookie_secret));
        secrets.extend(of_handshake::<S>(shared, &client_transient, &cookie_secret, &wire));
    }
    secrets
}

/// Key and nonce of a box.
type BoxKey = ([u8; 32], [u8; 24]);

fn of_handshake<S: Known>(
    [dh1, dh2, dh3]: [[u8; 32]; 3],
    client_transient: &[u8; 32],
    cookie_secret: &[u8; 32],
    Wire { greetings, hello, welcome, initiate, ready, frame }: &Wire,
) -> Vec<Secret> {
    let hash = |before: &[u8], frame: &[u8]| *blake3::hash(&[before, frame].concat()).as_bytes();
    let h1 = hash(&hash(S::LABEL.as_bytes(), greetings), hello);
    let h2 = hash(&h1, welcome);
    let h3 = hash(&h2, initiate);
    // In front of the box in WELCOME, and of the cookie in INITIATE.
    let welcome_nonce = &welcome[2 + 8..][..S::WELCOME_NONCE_LEN];
    let cookie_nonce = initiate[9 + 9..][..24].try_into().unwrap();
    let both =
        |name: &str, ikm: &[u8]| (S::derive(&format!("{name} key"), ikm), S::derive(&format!("{name} nonce"), ikm));
    let vouched = if S::BINDS_VOUCH { [dh3, h2].concat() } else { dh3.to_vec() };
    let (welcome_key, nonce_of_h1) =
        (S::derive("WELCOME key", &[&dh1, welcome_nonce].concat()), S::derive("WELCOME nonce", &h1));
    let boxes: [(&str, BoxKey); 6] = [
        ("HELLO", (S::derive("HELLO key", &dh1), S::derive("HELLO nonce", client_transient))),
        ("the cookie", (S::derive("cookie", cookie_secret), cookie_nonce)),
        ("WELCOME", (welcome_key, welcome_nonce.try_into().unwrap_or(nonce_of_h1))),
        ("the vouch", both("VOUCH", &vouched)),
        ("INITIATE", both("INITIATE", &[dh2, h2].concat())),
        ("READY", both("READY", &[dh2, h3].concat())),
    ];
    let mut secrets = Vec::new();
    for (name, (key, nonce)) in boxes {
        secrets.push(Secret::new(format!("{}: the key of {name}", S::LABEL), key));
        let within = S::keys_of_box(&key, &nonce).into_iter();
        secrets.extend(within.map(|(part, key)| Secret::new(format!("{}: the key of {name}, {part}", S::LABEL), key)));
    }
    let of_frames = S::keys_of_frames(&[hash(&h3, ready), dh2].concat(), frame).into_iter();
    secrets.extend(of_frames.map(|(name, key)| Secret::new(format!("{}: the key of {name}", S::LABEL), key)));
    secrets
}

// ─── handshakes ──────────────────────────────────────────────────────────────────────────────────────────────────────

/// Everything that was said.
struct Wire {
    /// The client's, then the server's.
    greetings: Vec<u8>,
    hello: Vec<u8>,
    welcome: Vec<u8>,
    initiate: Vec<u8>,
    ready: Vec<u8>,
    /// The first one of the client.
    frame: Vec<u8>,
}

fn overhear<S: Suite>(client: &Client<S>, server: &Server<S>) -> Wire {
    let configs = [SocketType::Dealer, SocketType::Router].map(ConnectionConfig::new);
    let HalfWay { client, server, greetings, hello, welcome, initiate } =
        half_way((&configs[0], client), (&configs[1], server), Duration::ZERO);
    let Outcome::Authorize(authorize) = told(server, &initiate, Duration::ZERO) else {
        unreachable!("a client is judged")
    };
    let Outcome::Ready(server) = authorize.decide(Verdict::accept(), Duration::ZERO) else { unreachable!() };
    let ready = server.encoder.chunks().flatten().copied().collect::<Vec<u8>>();
    let Outcome::Ready(mut client) = told(client, &ready, Duration::ZERO) else { unreachable!("it has heard all") };
    client.encoder.push("hello").unwrap();
    let frame = client.encoder.chunks().flatten().copied().collect();
    Wire { greetings, hello, welcome, initiate, ready, frame }
}

/// Half-open handshakes on either side of a change of the key of cookies: each ends with its own, in time or too late.
pub(crate) fn change_the_key_of_cookies<S: Suite>((client, server): &(Client<S>, Server<S>)) {
    let configs = [SocketType::Dealer, SocketType::Router].map(ConnectionConfig::new);
    let half_way = |seconds| half_way((&configs[0], client), (&configs[1], server), Duration::from_secs(seconds));
    let [first, second, third] = [0, 60, 120].map(half_way);
    // All else that a server draws is the same every time.
    assert_ne!(first.welcome, second.welcome, "the key of the cookies has changed");
    assert_ne!(second.welcome, third.welcome, "and once more");
    let Outcome::Failed(failure) = introduce(first, 120) else { unreachable!("the key has been changed twice") };
    assert!(matches!(failure.error.cause(), HandshakeCause::Mechanism(_)));
    let Outcome::Authorize(authorize) = introduce(second, 179) else { unreachable!("it is in time") };
    assert!(matches!(authorize.decide(Verdict::accept(), Duration::from_secs(179)), Outcome::Ready(_)));
    // Given up.
    drop(third);
    assert_eq!(server.half_open(), 0);
}

fn introduce<S: Suite>(side: HalfWay<'_, S>, seconds: u64) -> Outcome<'_, Server<S>> {
    told(side.server, &side.initiate, Duration::from_secs(seconds))
}

/// A client that has sent its INITIATE, and the server that has not received it.
struct HalfWay<'a, S: Suite> {
    client: Establish<'a, Client<S>>,
    server: Establish<'a, Server<S>>,
    greetings: Vec<u8>,
    hello: Vec<u8>,
    welcome: Vec<u8>,
    initiate: Vec<u8>,
}

fn half_way<'a, S: Suite>(
    (dealer, client): (&'a ConnectionConfig, &'a Client<S>),
    (router, server): (&'a ConnectionConfig, &'a Server<S>),
    now: Duration,
) -> HalfWay<'a, S> {
    let (mut client, mut server) = (Establish::new(dealer, client), Establish::new(router, server));
    let greetings = [said(&mut client), said(&mut server)];
    let (client, hello) = answer(client, &greetings[1], now);
    let (server, welcome) = answer(server, &[&greetings[0][..], &hello].concat(), now);
    let (client, initiate) = answer(client, &welcome, now);
    HalfWay { client, server, greetings: greetings.concat(), hello, welcome, initiate }
}

fn told<'a, M: Mechanism>(mut side: Establish<'a, M>, octets: &[u8], now: Duration) -> Outcome<'a, M> {
    side.receive(octets);
    side.advance(now)
}

fn answer<'a, M: Mechanism>(side: Establish<'a, M>, octets: &[u8], now: Duration) -> (Establish<'a, M>, Vec<u8>) {
    let Outcome::Pending(mut side) = told(side, octets, now) else { unreachable!("it is not over") };
    let octets = said(&mut side);
    (side, octets)
}

fn said<M: Mechanism>(side: &mut Establish<'_, M>) -> Vec<u8> {
    let octets = side.transmit().to_vec();
    side.transmitted(octets.len());
    octets
}

//! What is secret about a BLAKE3-CHACHAPOLY handshake of two sides that draw the same octets every time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use zmtp_codec::keys::{KeyPair, SecretKey};
use zmtp_codec::{Entropy, Mechanism, SocketType, Verdict};
use zmtp_connection::proto::{Establish, Outcome};
use zmtp_connection::{Blake3Client, Blake3Server, ConnectionConfig};

/// All of them but the four secret keys, and the secret that both transient keys share.
pub(crate) const SECRETS: usize = 11;

/// What cookie keys are made from.
const COOKIE_SECRET: [u8; 32] = [0x5c; 32];

/// For a server that shakes hands with one client at a time: 0x57 for transient keys and for nonces.
pub(crate) fn entropy() -> Entropy {
    let last = AtomicUsize::new(0);
    Entropy::danger_from_fn(move |octets| {
        // It is drawn right behind a transient key, and both are 32 octets.
        let is_cookies = last.swap(octets.len(), Ordering::Relaxed) == 32 && octets.len() == 32;
        octets.fill(if is_cookies { COOKIE_SECRET[0] } else { 0x57 });
    })
}

/// Shakes hands once, with an ear on the wire, and makes of it all that the two sides have made.
pub(crate) fn secrets(
    client: &Blake3Client,
    server: &Blake3Server,
    (client_keys, server_keys): (&KeyPair, &KeyPair),
    [client_transient, server_transient]: [&SecretKey; 2],
) -> [(&'static str, [u8; 32]); SECRETS] {
    let dh =
        |secret: &SecretKey, public: &KeyPair| *secret.diffie_hellman(public.public_key()).unwrap().danger_as_bytes();
    let dh1 = dh(client_transient, server_keys);
    let dh2 = *client_transient.diffie_hellman(&server_transient.public_key()).unwrap().danger_as_bytes();
    let dh3 = dh(server_transient, client_keys);

    let Wire { greetings, hello, welcome, initiate, ready, frame } = overhear(client, server);
    let hash = |before: &[u8], frame: &[u8]| *blake3::hash(&[before, frame].concat()).as_bytes();
    let h0 = hash(b"BLAKE3-CHACHAPOLY-1.0", &greetings);
    let h2 = hash(&hash(&h0, &hello), &welcome);
    let h3 = hash(&h2, &initiate);
    let ikm = [hash(&h3, &ready), dh2].concat();
    // The nonce of WELCOME is in front of its box.
    let welcome_nonce = &welcome[2 + 8..][..24];
    let to_server = derive("client->server key", &ikm);
    opens(&to_server, &derive("client->server iv", &ikm), &frame);
    [
        ("the first shared secret of BLAKE3", dh1),
        ("the third shared secret of BLAKE3", dh3),
        ("the key of BLAKE3's HELLO", derive("HELLO key", &dh1)),
        ("the key of BLAKE3's WELCOME", derive("WELCOME key", &[&dh1, welcome_nonce].concat())),
        ("the key of BLAKE3's vouch", derive("VOUCH key", &[dh3, h2].concat())),
        ("the key of BLAKE3's INITIATE", derive("INITIATE key", &[dh2, h2].concat())),
        ("the key of BLAKE3's READY", derive("READY key", &[dh2, h3].concat())),
        ("the secret of BLAKE3's cookies", COOKIE_SECRET),
        ("the key of BLAKE3's cookie", derive("cookie", &COOKIE_SECRET)),
        ("BLAKE3's key for frames to the server", to_server),
        ("BLAKE3's key for frames to the client", derive("server->client key", &ikm)),
    ]
}

fn derive(context: &str, ikm: &[u8]) -> [u8; 32] {
    blake3::derive_key(&format!("BLAKE3-CHACHAPOLY-1.0 {context}"), ikm)
}

/// That these are the secrets indeed: the first frame of the client opens.
fn opens(key: &[u8; 32], iv: &[u8; 32], frame: &[u8]) {
    let (header, body) = frame.split_at(2);
    let nonce = Nonce::try_from(&iv[..12]).unwrap();
    let opened = ChaCha20Poly1305::new(key.into()).decrypt(&nonce, Payload { msg: body, aad: header });
    assert_eq!(opened.unwrap(), b"hello");
}

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

fn overhear(client: &Blake3Client, server: &Blake3Server) -> Wire {
    let (dealer, router) = (ConnectionConfig::new(SocketType::Dealer), ConnectionConfig::new(SocketType::Router));
    let (mut client, mut server) = (Establish::new(&dealer, client), Establish::new(&router, server));
    let greetings = [said(&mut client), said(&mut server)];
    let (client, hello) = answer(client, &greetings[1]);
    let (server, welcome) = answer(server, &[&greetings[0][..], &hello].concat());
    let (client, initiate) = answer(client, &welcome);
    let Outcome::Authorize(authorize) = told(server, &initiate) else { unreachable!("a client is judged") };
    let Outcome::Ready(server) = authorize.decide(Verdict::accept(), Duration::ZERO) else { unreachable!() };
    let ready = server.encoder.chunks().flatten().copied().collect::<Vec<u8>>();
    let Outcome::Ready(mut client) = told(client, &ready) else { unreachable!("it has heard all") };
    client.encoder.push("hello").unwrap();
    let frame = client.encoder.chunks().flatten().copied().collect();
    Wire { greetings: greetings.concat(), hello, welcome, initiate, ready, frame }
}

fn told<'a, M: Mechanism>(mut side: Establish<'a, M>, octets: &[u8]) -> Outcome<'a, M> {
    side.receive(octets);
    side.advance(Duration::ZERO)
}

fn answer<'a, M: Mechanism>(side: Establish<'a, M>, octets: &[u8]) -> (Establish<'a, M>, Vec<u8>) {
    let Outcome::Pending(mut side) = told(side, octets) else { unreachable!("it is not over") };
    let octets = said(&mut side);
    (side, octets)
}

fn said<M: Mechanism>(side: &mut Establish<'_, M>) -> Vec<u8> {
    let octets = side.transmit().to_vec();
    side.transmitted(octets.len());
    octets
}

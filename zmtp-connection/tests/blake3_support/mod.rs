//! Clients and servers of either suite of BLAKE3, and tests that are run with both. Both sides are ours here: that their octets
//! are the right ones is tested against vectors, beside the mechanism.
#![allow(dead_code, reason = "every test file uses its own part of this")]

use zmtp_connection::codec::Mechanism;
use zmtp_connection::proto::Establish;
use zmtp_connection::{ConnectionConfig, KeyPair, SecretKey};
use zmtp_mechanism_blake3::{ChachaPoly, Client, Server, Suite};

use crate::support::{Ready, give, pending, sent, wire};

/// s
const SERVER: [u8; 32] = [0x51; 32];
/// c
const CLIENT: [u8; 32] = [0x3c; 32];

/// What is different about a suite.
pub(crate) trait Tested: Suite {
    /// Its name in the greeting.
    const CALLED: &'static str;
    /// Octets of a tag.
    const OVERHEAD: usize;
    /// Octets of the body of a HELLO.
    const HELLO: u64;
    /// Octets of the body of a WELCOME.
    const WELCOME: usize;
    /// Octets of the body of an INITIATE without metadata.
    const INITIATE: u64;
    /// The command with which a handshake fails if the two sides have not seen the same greetings, and whose it is.
    const SEES_THE_GREETINGS: &'static str;
}

impl Tested for ChachaPoly {
    const CALLED: &'static str = "BLAKE3-CHACHAPOLY";
    const OVERHEAD: usize = 16;
    const HELLO: u64 = 240;
    const WELCOME: usize = 216;
    const INITIATE: u64 = 273;
    const SEES_THE_GREETINGS: &'static str = "INITIATE";
}

#[cfg(feature = "blake3zmq")]
impl Tested for zmtp_mechanism_blake3::Blake3Zmq {
    const CALLED: &'static str = "BLAKE3";
    const OVERHEAD: usize = 32;
    const HELLO: u64 = 232;
    const WELCOME: usize = 224;
    const INITIATE: u64 = 321;
    const SEES_THE_GREETINGS: &'static str = "WELCOME";
}

/// Makes tests of functions that are generic over the suite: one of each for either suite.
macro_rules! in_both_suites {
    (fn $($name:ident),+ $(,)?) => {
        mod chachapoly {
            $(#[test] fn $name() { super::$name::<zmtp_mechanism_blake3::ChachaPoly>(); })+
        }
        #[cfg(feature = "blake3zmq")]
        mod blake3zmq {
            $(#[test] fn $name() { super::$name::<zmtp_mechanism_blake3::Blake3Zmq>(); })+
        }
    };
    (async fn $($name:ident),+ $(,)?) => {
        mod chachapoly {
            $(#[tokio::test(start_paused = true)] async fn $name() {
                super::$name::<zmtp_mechanism_blake3::ChachaPoly>().await;
            })+
        }
        #[cfg(feature = "blake3zmq")]
        mod blake3zmq {
            $(#[tokio::test(start_paused = true)] async fn $name() {
                super::$name::<zmtp_mechanism_blake3::Blake3Zmq>().await;
            })+
        }
    };
}
pub(crate) use in_both_suites;

/// A ready connection of ours: both sides have the same type.
pub(crate) type Side<S> = Ready<Server<S>>;

pub(crate) fn keys(secret: [u8; 32]) -> KeyPair {
    KeyPair::from_secret(SecretKey::from_bytes(secret).unwrap())
}

/// Our server, known by the key of [`SERVER`].
pub(crate) fn server<S: Suite>() -> Server<S> {
    Server::new(keys(SERVER))
}

/// Our client, known by the key of [`CLIENT`], which expects [`server`].
pub(crate) fn client<S: Suite>() -> Client<S> {
    client_with(CLIENT)
}

/// As [`client`], known by another key.
pub(crate) fn client_with<S: Suite>(secret: [u8; 32]) -> Client<S> {
    Client::new(*keys(SERVER).public_key(), keys(secret))
}

/// A client that expects another server than [`server`].
pub(crate) fn client_of_another_server<S: Suite>() -> Client<S> {
    Client::new(*keys([9; 32]).public_key(), keys(CLIENT))
}

pub(crate) fn client_key() -> [u8; 32] {
    public(CLIENT)
}

pub(crate) fn server_key() -> [u8; 32] {
    public(SERVER)
}

pub(crate) fn public(secret: [u8; 32]) -> [u8; 32] {
    *keys(secret).public_key().as_bytes()
}

/// The greeting of a client.
pub(crate) fn greeting<S: Tested>() -> [u8; 64] {
    wire::greeting(S::CALLED)
}

/// The greeting of a server.
pub(crate) fn server_greeting<S: Tested>() -> [u8; 64] {
    wire::with(greeting::<S>(), 32, 1)
}

// ─── the steps of a handshake ────────────────────────────────────────────────────────────────────────────────────────

/// A server that was greeted and has greeted.
pub(crate) fn server_before_hello<'a, S: Tested>(
    config: &'a ConnectionConfig,
    server: &'a Server<S>,
) -> Establish<'a, Server<S>> {
    let mut establish = pending(give(Establish::new(config, server), &greeting::<S>()));
    assert_eq!(sent(&mut establish), server_greeting::<S>());
    establish
}

/// A client that was greeted, and its HELLO.
pub(crate) fn greeted<'a, S: Tested>(
    config: &'a ConnectionConfig,
    client: &'a Client<S>,
) -> (Establish<'a, Client<S>>, Vec<u8>) {
    let mut establish = pending(give(Establish::new(config, client), &server_greeting::<S>()));
    let octets = sent(&mut establish);
    assert_eq!(octets[..64], greeting::<S>());
    (establish, octets[64..].to_vec())
}

/// What a side says to `octets`, of which it needs to hear more.
pub(crate) fn answer<'a, M: Mechanism>(establish: Establish<'a, M>, octets: &[u8]) -> (Establish<'a, M>, Vec<u8>) {
    let mut establish = pending(give(establish, octets));
    let answer = sent(&mut establish);
    (establish, answer)
}

/// A server that has said WELCOME to the HELLO of `client`, the client that has said INITIATE to that, and the INITIATE.
pub(crate) fn introduced<'a, S: Tested>(
    (ours, server): (&'a ConnectionConfig, &'a Server<S>),
    (theirs, client): (&'a ConnectionConfig, &'a Client<S>),
) -> (Establish<'a, Server<S>>, Establish<'a, Client<S>>, Vec<u8>) {
    let (client, hello) = greeted(theirs, client);
    let (server, welcome) = answer(server_before_hello(ours, server), &hello);
    let (client, initiate) = answer(client, &welcome);
    (server, client, initiate)
}

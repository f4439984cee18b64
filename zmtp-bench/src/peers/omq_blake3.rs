//! omq 0.22, the last release of omq with the mechanism `BLAKE3` (BLAKE3ZMQ 1.0). Otherwise as `peers::omq`.

use omq_proto_022 as release;
use omq_proto_022::proto::mechanism::blake3zmq::CookieKeyring;
use omq_proto_022::{Authenticator, Blake3ZmqKeypair, Blake3ZmqPublicKey, Blake3ZmqSecretKey, Error, MechanismSetup};

#[path = "omq/peer.rs"]
#[cfg_attr(feature = "omq", expect(clippy::duplicate_mod, reason = "each time it is about another release"))]
mod peer;

pub use omq_proto_022::SocketType;
pub use peer::{OmqError, Peer, Received, TIMEOUT};

/// What a peer is configured for. Keys are 32 octets each.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names of the fields say what there is to say")]
pub enum Security {
    /// BLAKE3, as a client that expects this server.
    Client { secret: [u8; 32], server: [u8; 32] },
    /// BLAKE3, as a server that lets in this client, or everybody.
    Server { secret: [u8; 32], client: Option<[u8; 32]> },
}

impl Security {
    fn setup(self) -> MechanismSetup {
        match self {
            Self::Client { secret, server } => MechanismSetup::Blake3ZmqClient {
                our_keypair: keypair(secret),
                server_public: Blake3ZmqPublicKey(server),
            },
            Self::Server { secret, client } => MechanismSetup::Blake3ZmqServer {
                our_keypair: keypair(secret),
                cookie_keyring: CookieKeyring::new().into(),
                authenticator: client.map(|client| Authenticator::new(move |peer| peer.public_key == client)),
            },
        }
    }
}

fn keypair(secret: [u8; 32]) -> Blake3ZmqKeypair {
    Blake3ZmqKeypair::from_secret(Blake3ZmqSecretKey(secret))
}

/// The reason in the ERROR by which the other side ended the handshake, if that is what happened. omq shows it with the octet
/// in front that says its length.
fn refusal(error: &Error) -> Option<&str> {
    match error {
        Error::HandshakeFailed(text) => text.strip_prefix("BLAKE3ZMQ server sent ERROR: ")?.get(1..),
        _ => None,
    }
}

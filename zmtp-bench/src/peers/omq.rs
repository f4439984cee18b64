//! omq, an implementation in Rust that shares no code with ours or with libzmq: its ZMTP state machine, with its own CURVE,
//! driven over a blocking TCP stream.
//!
//! It is one connection, as ours is: no sockets, no queues between peers, no reconnecting. Every wait has a limit
//! ([`TIMEOUT`]), so that a test against a peer that says nothing fails instead of hanging.

use std::time::Duration;

use omq_proto as release;
use omq_proto::{
    CurveKeypair, CurvePublicKey, CurveSecretKey, CurveServerOptions, Error, MechanismSetup, PeerPublicKey,
};

mod peer;

pub use omq_proto::SocketType;
pub use peer::{OmqError, Peer, Received, TIMEOUT};

/// What a peer is configured for. Keys are 32 octets each.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names of the fields say what there is to say")]
pub enum Security {
    /// NULL.
    Null,
    /// CURVE, as a client that expects this server.
    CurveClient { secret: [u8; 32], server: [u8; 32] },
    /// CURVE, as a server that lets in this client, or everybody.
    CurveServer { secret: [u8; 32], client: Option<[u8; 32]> },
}

impl Security {
    fn setup(self) -> MechanismSetup {
        match self {
            Self::Null => MechanismSetup::Null,
            Self::CurveClient { secret, server } => MechanismSetup::CurveClient {
                our_keypair: keypair(secret),
                server_public: CurvePublicKey::from_bytes(server),
            },
            Self::CurveServer { secret, client } => {
                let options = CurveServerOptions::new();
                let options = match client {
                    None => options,
                    Some(client) => options.authenticator(move |peer| peer.public_key == client),
                };
                MechanismSetup::CurveServer { our_keypair: keypair(secret), options }
            }
        }
    }
}

fn keypair(secret: [u8; 32]) -> CurveKeypair {
    let secret = CurveSecretKey::from_bytes(secret);
    CurveKeypair { public: secret.derive_public(), secret }
}

/// The reason in the ERROR by which the other side ended the handshake, if that is what happened.
fn refusal(error: &Error) -> Option<&str> {
    match error {
        Error::HandshakeRefused(refusal) => Some(&refusal.reason),
        _ => None,
    }
}

impl Peer {
    /// The other side's long-term key, if the mechanism has proven one.
    #[must_use]
    pub fn public_key(&self) -> Option<[u8; 32]> {
        match self.properties.as_ref()?.authentication.public_key {
            Some(PeerPublicKey::Curve(key)) => Some(key),
            _ => None,
        }
    }

    /// After how much silence the other side asked to be given up, by the PING that came last and that nothing has followed.
    #[must_use]
    pub fn ttl(&self) -> Option<Duration> {
        self.connection.peer_heartbeat_ttl()
    }
}

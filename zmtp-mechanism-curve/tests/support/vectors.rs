//! `data/curve.json`: every command from fixed keys, made with libsodium, in hex.

use serde_json::Value;

use super::{key_pair, queued};
use zmtp_codec::Properties;
use zmtp_mechanism_curve::{CurveClient, CurveServer};

/// The file. Fields are found by their names.
pub(crate) struct Vectors(Value);

impl Vectors {
    pub(crate) fn load() -> Self {
        Self(serde_json::from_str(include_str!("../data/curve.json")).unwrap())
    }

    /// The octets at a path such as `keys/server_permanent_secret`.
    pub(crate) fn octets(&self, path: &str) -> Vec<u8> {
        octets(self.0.pointer(&format!("/{path}")).unwrap_or_else(|| panic!("the vectors have no {path}")))
    }

    pub(crate) fn key(&self, name: &str) -> [u8; 32] {
        self.octets(&format!("keys/{name}")).try_into().expect("32 octets")
    }

    /// The entries of one of the lists.
    pub(crate) fn list(&self, name: &str) -> &[Value] {
        self.0[name].as_array().unwrap_or_else(|| panic!("the vectors have no list {name}"))
    }

    /// A property list that was encoded to the field `name`.
    pub(crate) fn properties(&self, name: &str) -> Properties {
        Properties::decode(&self.octets(name), Properties::DEFAULT_MAX_COUNT).unwrap()
    }

    /// The client of the vectors, good for one handshake.
    pub(crate) fn client(&self) -> CurveClient {
        let keys = key_pair(self.key("client_permanent_secret"));
        CurveClient::new(*key_pair(self.key("server_permanent_secret")).public_key(), keys)
            .with_entropy(queued([self.octets("keys/client_transient_secret"), self.octets("keys/vouch_nonce16")]))
    }

    /// The server of the vectors, good for one handshake.
    pub(crate) fn server(&self) -> CurveServer {
        CurveServer::new(key_pair(self.key("server_permanent_secret"))).with_entropy(queued(
            ["server_transient_secret", "cookie_key", "cookie_nonce16", "welcome_nonce16"]
                .map(|name| self.octets(&format!("keys/{name}"))),
        ))
    }
}

pub(crate) fn octets(hex_text: &Value) -> Vec<u8> {
    hex::decode(hex_text.as_str().expect("a text")).expect("hex")
}

/// The field `name` of an entry.
pub(crate) fn field(entry: &Value, name: &str) -> Vec<u8> {
    octets(entry.get(name).unwrap_or_else(|| panic!("no {name} in {entry}")))
}

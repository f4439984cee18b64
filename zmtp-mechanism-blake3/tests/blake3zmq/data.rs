//! `data/blake3zmq.json`: one session from fixed keys, and what must be refused.

use serde_json::Value;
use zmtp_codec::{FrameHeader, FrameKind, GREETING_LEN, Properties};
use zmtp_mechanism_blake3::{Blake3ZmqClient, Blake3ZmqServer};

use crate::support::vectors::{field, octets, text};
use crate::support::{key_pair, queued};

/// The file. Fields are found by their names.
pub(crate) struct Vectors(Value);

/// A frame of the session.
pub(crate) struct Data {
    pub(crate) to_server: bool,
    pub(crate) kind: FrameKind,
    pub(crate) plaintext: Vec<u8>,
    pub(crate) wire: Vec<u8>,
}

impl Vectors {
    pub(crate) fn load() -> Self {
        Self(serde_json::from_str(include_str!("../data/blake3zmq.json")).unwrap())
    }

    /// The octets at a path such as `keys/server_permanent_secret`.
    pub(crate) fn octets(&self, path: &str) -> Vec<u8> {
        octets(self.0.pointer(&format!("/{path}")).unwrap_or_else(|| panic!("the vectors have no {path}")))
    }

    pub(crate) fn key(&self, name: &str) -> [u8; 32] {
        self.octets(&format!("keys/{name}")).try_into().expect("32 octets")
    }

    /// A command of the handshake with its header.
    pub(crate) fn frame(&self, command: &str) -> Vec<u8> {
        self.octets(&format!("handshake_wire/{command}"))
    }

    /// A command of the handshake without its header.
    pub(crate) fn body(&self, command: &str) -> Vec<u8> {
        body_of(&self.frame(command))
    }

    pub(crate) fn properties(&self, side: &str) -> Properties {
        Properties::decode(&self.octets(side), Properties::DEFAULT_MAX_COUNT).unwrap()
    }

    pub(crate) fn greeting(&self, side: &str) -> [u8; GREETING_LEN] {
        self.octets(side).try_into().expect("64 octets")
    }

    /// The frames behind the handshake, in the order in which each side sends its own.
    pub(crate) fn data(&self) -> Vec<Data> {
        let entries = self.0["data"].as_array().expect("data");
        let data = entries.iter().map(|entry| Data {
            to_server: text(entry, "direction") == "c2s",
            kind: match (entry["more"].as_bool().unwrap(), entry["command"].as_bool().unwrap()) {
                (false, false) => FrameKind::Last,
                (true, false) => FrameKind::More,
                (false, true) => FrameKind::Command,
                (true, true) => panic!("no kind of frame: {entry}"),
            },
            plaintext: field(entry, "plaintext"),
            wire: field(entry, "wire"),
        });
        data.collect()
    }

    /// The names of the cases that must be refused.
    pub(crate) fn negative_names(&self) -> Vec<&str> {
        self.0["negative"].as_array().expect("negative").iter().map(|entry| text(entry, "name")).collect()
    }

    /// The frame of such a case.
    pub(crate) fn negative(&self, name: &str) -> Vec<u8> {
        let mut entries = self.0["negative"].as_array().expect("negative").iter();
        let entry = entries.find(|entry| entry["name"] == name);
        field(entry.unwrap_or_else(|| panic!("no negative vector {name:?}")), "wire")
    }

    /// The client of the vectors, good for one handshake.
    pub(crate) fn client(&self) -> Blake3ZmqClient {
        let keys = key_pair(self.key("client_permanent_secret"));
        Blake3ZmqClient::new(*key_pair(self.key("server_permanent_secret")).public_key(), keys)
            .with_entropy(queued([self.octets("keys/client_ephemeral_secret")]))
    }

    /// The server of the vectors, good for one handshake.
    pub(crate) fn server(&self) -> Blake3ZmqServer {
        let drawn = ["server_ephemeral_secret", "cookie_master_key_K", "cookie_nonce"];
        Blake3ZmqServer::new(key_pair(self.key("server_permanent_secret")))
            .with_entropy(queued(drawn.map(|name| self.octets(&format!("keys/{name}")))))
    }
}

/// A whole frame without its header.
pub(crate) fn body_of(frame: &[u8]) -> Vec<u8> {
    let (header, header_len) = FrameHeader::decode(frame).unwrap().expect("a header");
    assert_eq!(header.size(), (frame.len() - header_len) as u64);
    frame[header_len..].to_vec()
}

//! `data/blake3_chachapoly.json`: whole sessions of `BLAKE3-CHACHAPOLY` from fixed keys and what must be refused, made in
//! Python from the text of the specification.

use serde_json::Value;
use zmtp_codec::{FrameHeader, GREETING_LEN, Properties};
use zmtp_mechanism_blake3::{Blake3Client, Blake3Server};

use super::{key_pair, queued};

/// The file. Fields are found by their names.
pub(crate) struct Vectors(Value);

/// One of its handshakes.
pub(crate) struct Connection<'a> {
    vectors: &'a Vectors,
    pub(crate) value: &'a Value,
}

impl Vectors {
    pub(crate) fn load() -> Self {
        Self(serde_json::from_str(include_str!("../data/blake3_chachapoly.json")).unwrap())
    }

    pub(crate) fn key(&self, name: &str) -> [u8; 32] {
        field(&self.0["keys"], name).try_into().expect("32 octets")
    }

    pub(crate) fn server_secret(&self) -> [u8; 32] {
        self.key("server permanent secret s")
    }

    pub(crate) fn client_secret(&self) -> [u8; 32] {
        self.key("client permanent secret c")
    }

    /// The entries of one of the lists.
    pub(crate) fn list(&self, name: &str) -> &[Value] {
        self.0[name].as_array().unwrap_or_else(|| panic!("the vectors have no list {name}"))
    }

    pub(crate) fn connections(&self) -> impl Iterator<Item = Connection<'_>> {
        self.list("handshakes").iter().map(|value| Connection { vectors: self, value })
    }

    pub(crate) fn connection(&self, name: &str) -> Connection<'_> {
        self.connections().find(|connection| connection.name() == name).unwrap_or_else(|| panic!("no {name}"))
    }

    /// The octets of a frame that is given by its name or in full.
    pub(crate) fn frame(&self, given: &Value) -> Vec<u8> {
        match given.as_str().expect("a text").split_once('.') {
            Some((connection, command)) => field(self.connection(connection).value, command),
            None => octets(given),
        }
    }
}

impl Connection<'_> {
    pub(crate) fn name(&self) -> &str {
        text(self.value, "name")
    }

    /// A whole frame.
    pub(crate) fn frame(&self, command: &str) -> Vec<u8> {
        field(self.value, command)
    }

    /// A frame without its header.
    pub(crate) fn body(&self, command: &str) -> Vec<u8> {
        let frame = self.frame(command);
        let (_, header_len) = FrameHeader::decode(&frame).unwrap().expect("a header");
        frame[header_len..].to_vec()
    }

    pub(crate) fn input(&self, name: &str) -> Vec<u8> {
        field(&self.value["inputs"], name)
    }

    pub(crate) fn greeting(&self, side: &str) -> [u8; GREETING_LEN] {
        field(self.value, side).try_into().expect("64 octets")
    }

    pub(crate) fn properties(&self, side: &str) -> Properties {
        Properties::decode(&self.input(side), Properties::DEFAULT_MAX_COUNT).unwrap()
    }

    /// Its client, good for one handshake.
    pub(crate) fn client(&self) -> Blake3Client {
        let keys = key_pair(self.vectors.client_secret());
        Blake3Client::new(*key_pair(self.vectors.server_secret()).public_key(), keys)
            .with_entropy(queued([self.input("c_e")]))
    }

    /// Its server, good for one handshake.
    pub(crate) fn server(&self) -> Blake3Server {
        Blake3Server::new(key_pair(self.vectors.server_secret())).with_entropy(queued([
            self.input("s_e"),
            self.vectors.key("cookie key K").to_vec(),
            self.input("cookie_nonce"),
            self.input("welcome_nonce"),
        ]))
    }
}

pub(crate) fn octets(hex_text: &Value) -> Vec<u8> {
    hex::decode(hex_text.as_str().expect("a text")).expect("hex")
}

/// The octets in the field `name` of an entry.
pub(crate) fn field(entry: &Value, name: &str) -> Vec<u8> {
    octets(entry.get(name).unwrap_or_else(|| panic!("no {name} in {entry}")))
}

/// The text in the field `name` of an entry.
pub(crate) fn text<'a>(entry: &'a Value, name: &str) -> &'a str {
    entry[name].as_str().unwrap_or_else(|| panic!("no {name} in {entry}"))
}

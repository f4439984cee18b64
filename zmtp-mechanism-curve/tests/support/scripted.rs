//! Peers that say what the test wants. Every command is put together by hand and every box made by `crypto_box`, so that
//! nothing here agrees with the crate under test by sharing its code.

use crypto_box::SalsaBox;
use crypto_box::aead::AeadInPlace;

/// Sends and receives under `CurveZMQMESSAGEC` or `CurveZMQMESSAGES`.
pub(crate) const FROM_CLIENT: &[u8; 16] = b"CurveZMQMESSAGEC";
pub(crate) const FROM_SERVER: &[u8; 16] = b"CurveZMQMESSAGES";

/// The public key of a secret one.
pub(crate) fn public(secret: &[u8; 32]) -> [u8; 32] {
    crypto_box::SecretKey::from(*secret).public_key().to_bytes()
}

/// NaCl's `crypto_box` of two keys, low order or not.
pub(crate) fn agree(public: &[u8; 32], secret: &[u8; 32]) -> SalsaBox {
    SalsaBox::new(&(*public).into(), &(*secret).into())
}

/// A nonce of a prefix and what stands on the wire.
pub(crate) fn nonce(prefix: &[u8], rest: &[u8]) -> [u8; 24] {
    [prefix, rest].concat().try_into().expect("24 octets")
}

/// Tag and ciphertext.
pub(crate) fn seal(salsa: &SalsaBox, nonce: &[u8; 24], plain: &[u8]) -> Vec<u8> {
    let mut text = plain.to_vec();
    let tag = salsa.encrypt_in_place_detached(nonce.into(), &[], &mut text).unwrap();
    [&tag[..], &text].concat()
}

/// The plaintext of a box, if it is authentic.
pub(crate) fn open(salsa: &SalsaBox, nonce: &[u8; 24], boxed: &[u8]) -> Option<Vec<u8>> {
    let (tag, text) = boxed.split_first_chunk::<16>()?;
    let mut text = text.to_vec();
    salsa.decrypt_in_place_detached(nonce.into(), &[], &mut text, tag.into()).ok()?;
    Some(text)
}

/// A command's body: its name behind its length, and its data.
pub(crate) fn command(name: &str, data: &[&[u8]]) -> Vec<u8> {
    [&[u8::try_from(name.len()).unwrap()], name.as_bytes(), &data.concat()].concat()
}

/// ERROR as it goes over the wire.
pub(crate) fn error(reason: &str) -> Vec<u8> {
    command("ERROR", &[&[u8::try_from(reason.len()).unwrap()], reason.as_bytes()])
}

// ─── client ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/// A client of which the test decides every field.
#[derive(Clone)]
pub(crate) struct ScriptedClient {
    /// S
    pub(crate) server_key: [u8; 32],
    /// c
    pub(crate) secret: [u8; 32],
    /// c'
    pub(crate) transient: [u8; 32],
}

/// What goes into a HELLO; the fields say what an honest client puts there.
pub(crate) struct Hello {
    /// 1.0
    pub(crate) version: [u8; 2],
    /// Zeros.
    pub(crate) padding: [u8; 72],
    /// C'
    pub(crate) shown: [u8; 32],
    /// Any.
    pub(crate) counter: u64,
    /// Zeros.
    pub(crate) text: [u8; 64],
    /// Of S and c'.
    pub(crate) salsa: SalsaBox,
}

impl Hello {
    pub(crate) fn body(&self) -> Vec<u8> {
        let counter = self.counter.to_be_bytes();
        let boxed = seal(&self.salsa, &nonce(b"CurveZMQHELLO---", &counter), &self.text);
        command("HELLO", &[&self.version, &self.padding, &self.shown, &counter, &boxed])
    }
}

/// What goes into an INITIATE; the fields say what an honest client puts there.
pub(crate) struct Initiate {
    /// What WELCOME held.
    pub(crate) cookie: Vec<u8>,
    /// Any.
    pub(crate) counter: u64,
    /// C
    pub(crate) shown: [u8; 32],
    /// C'
    pub(crate) vouched_transient: [u8; 32],
    /// S
    pub(crate) vouched_server: [u8; 32],
    /// Of S' and c.
    pub(crate) vouch_salsa: SalsaBox,
    /// Properties.
    pub(crate) metadata: Vec<u8>,
    /// Of S' and c'.
    pub(crate) salsa: SalsaBox,
}

impl Initiate {
    pub(crate) fn body(&self) -> Vec<u8> {
        let vouch_nonce = [0x76; 16];
        let vouched = [self.vouched_transient, self.vouched_server].concat();
        let vouch = seal(&self.vouch_salsa, &nonce(b"VOUCH---", &vouch_nonce), &vouched);
        let plain = [&self.shown[..], &vouch_nonce, &vouch, &self.metadata].concat();
        let counter = self.counter.to_be_bytes();
        let boxed = seal(&self.salsa, &nonce(b"CurveZMQINITIATE", &counter), &plain);
        command("INITIATE", &[&self.cookie, &counter, &boxed])
    }
}

impl ScriptedClient {
    /// A client of the server with the key S.
    pub(crate) fn new(server_key: [u8; 32]) -> Self {
        Self { server_key, secret: [0x3c; 32], transient: [0x7a; 32] }
    }

    /// The HELLO of an honest client.
    pub(crate) fn hello(&self) -> Hello {
        Hello {
            version: [1, 0],
            padding: [0; 72],
            shown: public(&self.transient),
            counter: 1,
            text: [0; 64],
            salsa: agree(&self.server_key, &self.transient),
        }
    }

    /// S' and the cookie.
    pub(crate) fn open_welcome(&self, body: &[u8]) -> ([u8; 32], Vec<u8>) {
        assert_eq!(body.len(), 168);
        assert_eq!(&body[..8], b"\x07WELCOME");
        let opened = open(&agree(&self.server_key, &self.transient), &nonce(b"WELCOME-", &body[8..24]), &body[24..]);
        let opened = opened.expect("WELCOME does not open");
        (opened[..32].try_into().unwrap(), opened[32..].to_vec())
    }

    /// The INITIATE of an honest client that received this WELCOME, and the box of the session.
    pub(crate) fn initiate(&self, welcome: &[u8], metadata: &[u8]) -> Initiate {
        let (their_transient, cookie) = self.open_welcome(welcome);
        Initiate {
            cookie,
            counter: 2,
            shown: public(&self.secret),
            vouched_transient: public(&self.transient),
            vouched_server: self.server_key,
            vouch_salsa: agree(&their_transient, &self.secret),
            metadata: metadata.to_vec(),
            salsa: agree(&their_transient, &self.transient),
        }
    }
}

// ─── server ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/// A server of which the test decides every field.
#[derive(Clone)]
pub(crate) struct ScriptedServer {
    /// s
    pub(crate) secret: [u8; 32],
    /// s'
    pub(crate) transient: [u8; 32],
}

/// What goes into a WELCOME; the fields say what an honest server puts there.
pub(crate) struct Welcome {
    /// Random.
    pub(crate) nonce: [u8; 16],
    /// S'
    pub(crate) shown: [u8; 32],
    /// Opaque to the client.
    pub(crate) cookie: [u8; 96],
    /// Of C' and s.
    pub(crate) salsa: SalsaBox,
}

impl Welcome {
    pub(crate) fn body(&self) -> Vec<u8> {
        let plain = [&self.shown[..], &self.cookie].concat();
        command("WELCOME", &[&self.nonce, &seal(&self.salsa, &nonce(b"WELCOME-", &self.nonce), &plain)])
    }
}

/// What an INITIATE said.
pub(crate) struct Introduced {
    pub(crate) key: [u8; 32],
    pub(crate) counter: u64,
    pub(crate) metadata: Vec<u8>,
}

impl ScriptedServer {
    pub(crate) fn new(secret: [u8; 32]) -> Self {
        Self { secret, transient: [0x5e; 32] }
    }

    /// C', of a HELLO that is in order.
    pub(crate) fn open_hello(&self, body: &[u8]) -> [u8; 32] {
        assert_eq!(body.len(), 200);
        assert_eq!(&body[..8], b"\x05HELLO\x01\x00");
        assert_eq!(&body[8..80], &[0; 72]);
        let their_transient = body[80..112].try_into().unwrap();
        let opened =
            open(&agree(&their_transient, &self.secret), &nonce(b"CurveZMQHELLO---", &body[112..120]), &body[120..]);
        assert_eq!(opened, Some(vec![0; 64]));
        their_transient
    }

    /// The WELCOME of an honest server.
    pub(crate) fn welcome(&self, their_transient: &[u8; 32]) -> Welcome {
        Welcome {
            nonce: [0x77; 16],
            shown: public(&self.transient),
            cookie: [0x63; 96],
            salsa: agree(their_transient, &self.secret),
        }
    }

    /// What is in an INITIATE that is in order and brings back the cookie.
    pub(crate) fn open_initiate(&self, their_transient: &[u8; 32], body: &[u8]) -> Introduced {
        assert_eq!(&body[..9], b"\x08INITIATE");
        assert_eq!(&body[9..105], &[0x63; 96], "the cookie");
        let counter: [u8; 8] = body[105..113].try_into().unwrap();
        let session = agree(their_transient, &self.transient);
        let opened = open(&session, &nonce(b"CurveZMQINITIATE", &counter), &body[113..]).expect("INITIATE's box");
        let key = opened[..32].try_into().unwrap();
        let vouched = open(&agree(&key, &self.transient), &nonce(b"VOUCH---", &opened[32..48]), &opened[48..128]);
        assert_eq!(vouched, Some([&their_transient[..], &public(&self.secret)].concat()), "the vouch");
        Introduced { key, counter: u64::from_be_bytes(counter), metadata: opened[128..].to_vec() }
    }

    /// A READY with the number `counter`.
    pub(crate) fn ready(&self, their_transient: &[u8; 32], counter: u64, metadata: &[u8]) -> Vec<u8> {
        let counter = counter.to_be_bytes();
        let session = agree(their_transient, &self.transient);
        command("READY", &[&counter, &seal(&session, &nonce(b"CurveZMQREADY---", &counter), metadata)])
    }
}

// ─── traffic ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/// What travels in MESSAGEs under one session.
pub(crate) struct Traffic {
    salsa: SalsaBox,
}

impl Traffic {
    /// The box of the two transient keys.
    pub(crate) fn new(salsa: SalsaBox) -> Self {
        Self { salsa }
    }

    /// A MESSAGE of the side with the prefix `from`. `plain` begins with the flags, if it is in order.
    pub(crate) fn message(&self, from: &[u8; 16], counter: u64, plain: &[u8]) -> Vec<u8> {
        let counter = counter.to_be_bytes();
        command("MESSAGE", &[&counter, &seal(&self.salsa, &nonce(from, &counter), plain)])
    }

    /// Counter and plaintext, flags first, of a MESSAGE by the side with the prefix `from`.
    pub(crate) fn open(&self, from: &[u8; 16], body: &[u8]) -> Option<(u64, Vec<u8>)> {
        assert_eq!(&body[..8], b"\x07MESSAGE");
        let counter: [u8; 8] = body[8..16].try_into().unwrap();
        Some((u64::from_be_bytes(counter), open(&self.salsa, &nonce(from, &counter), &body[16..])?))
    }
}

//! Peers that say what the test wants. Every command is put together by hand from the tables of the specification, so that
//! nothing here agrees with the crate under test by sharing its code.

use std::marker::PhantomData;

use super::greeting_of;
use super::suites::Tested;
use zmtp_codec::{FrameHeader, FrameKind, Role};
use zmtp_mechanism_blake3::{PublicKey, SecretKey};

/// The public key of a secret one.
pub(crate) fn public(secret: &[u8; 32]) -> [u8; 32] {
    *SecretKey::from_bytes(*secret).unwrap().public_key().as_bytes()
}

/// X25519, which is zero for a point of low order.
pub(crate) fn agree(public: &[u8; 32], secret: &[u8; 32]) -> [u8; 32] {
    let Ok(public) = PublicKey::from_bytes(public) else { return [0; 32] };
    *SecretKey::from_bytes(*secret).unwrap().diffie_hellman(&public).unwrap().danger_as_bytes()
}

/// `KDF(context, ikm)`
pub(crate) fn derive<S: Tested, const N: usize>(context: &str, ikm: &[&[u8]]) -> [u8; N] {
    let mut out = [0; N];
    let mut hasher = blake3::Hasher::new_derive_key(&format!("{} {context}", S::LABEL));
    hasher.update(&ikm.concat()).finalize_xof().fill(&mut out);
    out
}

/// Key and nonce of the box of that name, both from the same octets.
fn key_and_nonce<S: Tested>(name: &str, ikm: &[&[u8]]) -> ([u8; 32], [u8; 24]) {
    (derive::<S, 32>(&format!("{name} key"), ikm), derive::<S, 24>(&format!("{name} nonce"), ikm))
}

fn hello_box<S: Tested>(dh1: &[u8; 32], shown: &[u8; 32]) -> ([u8; 32], [u8; 24]) {
    (derive::<S, 32>("HELLO key", &[dh1]), derive::<S, 24>("HELLO nonce", &[shown]))
}

fn welcome_box<S: Tested>(dh1: &[u8; 32], h1: &[u8; 32], nonce: &[u8; 24]) -> ([u8; 32], [u8; 24]) {
    if S::HAS_WELCOME_NONCE {
        (derive::<S, 32>("WELCOME key", &[dh1, nonce]), *nonce)
    } else {
        (derive::<S, 32>("WELCOME key", &[dh1]), derive::<S, 24>("WELCOME nonce", &[h1]))
    }
}

fn vouch_box<S: Tested>(dh3: &[u8; 32], h2: &[u8; 32]) -> ([u8; 32], [u8; 24]) {
    if S::BINDS_VOUCH { key_and_nonce::<S>("VOUCH", &[dh3, h2]) } else { key_and_nonce::<S>("VOUCH", &[dh3]) }
}

/// A command's body: its name behind its length, and its data.
pub(crate) fn command(name: &str, data: &[&[u8]]) -> Vec<u8> {
    [&[u8::try_from(name.len()).unwrap()], name.as_bytes(), &data.concat()].concat()
}

/// ERROR as it goes over the wire.
pub(crate) fn error(reason: &str) -> Vec<u8> {
    command("ERROR", &[&[u8::try_from(reason.len()).unwrap()], reason.as_bytes()])
}

/// The transcript after these commands, between peers with the greetings of most tests.
pub(crate) fn transcript<S: Tested>(bodies: &[&[u8]]) -> [u8; 32] {
    let (client, server) = (greeting_of(S::MECHANISM, Role::Client), greeting_of(S::MECHANISM, Role::Server));
    let mut hash = *blake3::hash(&[S::LABEL.as_bytes(), &client, &server].concat()).as_bytes();
    for body in bodies {
        let header = FrameHeader::new(FrameKind::Command, body.len() as u64).encode();
        hash = *blake3::hash(&[&hash, &header[..], body].concat()).as_bytes();
    }
    hash
}

// ─── client ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/// A client of which the test decides every field.
#[derive(Clone)]
pub(crate) struct ScriptedClient<S> {
    /// S
    pub(crate) server_key: [u8; 32],
    /// c
    pub(crate) secret: [u8; 32],
    /// c'
    pub(crate) transient: [u8; 32],
    pub(crate) suite: PhantomData<S>,
}

/// What goes into a HELLO; the fields say what an honest client puts there.
pub(crate) struct Hello<S> {
    /// 1.0
    pub(crate) version: [u8; 2],
    /// C'
    pub(crate) shown: [u8; 32],
    /// Zeros.
    pub(crate) padding: Vec<u8>,
    /// Zeros.
    pub(crate) text: [u8; 64],
    /// Of S and c'.
    pub(crate) dh1: [u8; 32],
    /// What the box is bound to.
    pub(crate) aad: &'static str,
    pub(crate) suite: PhantomData<S>,
}

impl<S: Tested> Hello<S> {
    pub(crate) fn body(&self) -> Vec<u8> {
        let (key, nonce) = hello_box::<S>(&self.dh1, &self.shown);
        let boxed = S::make_box(&key, &nonce, self.aad, &self.text);
        command("HELLO", &[&self.version, &self.shown, &self.padding, &boxed])
    }
}

/// What goes into an INITIATE; the fields say what an honest client puts there.
pub(crate) struct Initiate<S> {
    /// What WELCOME held.
    pub(crate) cookie: Vec<u8>,
    /// C
    pub(crate) shown: [u8; 32],
    /// C'
    pub(crate) vouched_transient: [u8; 32],
    /// S
    pub(crate) vouched_server: [u8; 32],
    /// Of S' and c.
    pub(crate) dh3: [u8; 32],
    /// The transcript that the vouch is bound to, if it is.
    pub(crate) vouch_h2: [u8; 32],
    /// What the vouch is bound to.
    pub(crate) vouch_aad: &'static str,
    /// Properties.
    pub(crate) metadata: Vec<u8>,
    /// Of S' and c'.
    pub(crate) dh2: [u8; 32],
    /// The transcript that the box is bound to.
    pub(crate) h2: [u8; 32],
    /// What the box is bound to.
    pub(crate) aad: &'static str,
    pub(crate) suite: PhantomData<S>,
}

impl<S: Tested> Initiate<S> {
    pub(crate) fn body(&self) -> Vec<u8> {
        let (key, nonce) = vouch_box::<S>(&self.dh3, &self.vouch_h2);
        let vouched = [self.vouched_transient, self.vouched_server].concat();
        let vouch = S::make_box(&key, &nonce, self.vouch_aad, &vouched);
        let (key, nonce) = key_and_nonce::<S>("INITIATE", &[&self.dh2, &self.h2]);
        let plain = [&self.shown[..], &vouch, &self.metadata].concat();
        command("INITIATE", &[&self.cookie, &S::make_box(&key, &nonce, self.aad, &plain)])
    }
}

impl<S: Tested> ScriptedClient<S> {
    /// A client of the server with the key S.
    pub(crate) fn new(server_key: [u8; 32]) -> Self {
        Self { server_key, secret: [0x3c; 32], transient: [0x7a; 32], suite: PhantomData }
    }

    /// The HELLO of an honest client.
    pub(crate) fn hello(&self) -> Hello<S> {
        Hello {
            version: [1, 0],
            shown: public(&self.transient),
            padding: vec![0; S::ZEROS],
            text: [0; 64],
            dh1: agree(&self.server_key, &self.transient),
            aad: "HELLO",
            suite: PhantomData,
        }
    }

    /// S' and the cookie in a WELCOME that answers `hello`.
    pub(crate) fn open_welcome(&self, hello: &[u8], welcome: &[u8]) -> ([u8; 32], Vec<u8>) {
        assert_eq!(welcome.len(), S::SIZES[1]);
        assert_eq!(&welcome[..8], b"\x07WELCOME");
        let (nonce, boxed) = welcome[8..].split_at(if S::HAS_WELCOME_NONCE { 24 } else { 0 });
        let nonce = nonce.try_into().unwrap_or([0; 24]);
        let dh1 = agree(&self.server_key, &self.transient);
        let (key, nonce) = welcome_box::<S>(&dh1, &transcript::<S>(&[hello]), &nonce);
        let opened = S::open_box(&key, &nonce, "WELCOME", boxed).expect("WELCOME does not open");
        (opened[..32].try_into().unwrap(), opened[32..].to_vec())
    }

    /// The INITIATE of an honest client that sent this HELLO and received this WELCOME.
    pub(crate) fn initiate(&self, hello: &[u8], welcome: &[u8], metadata: &[u8]) -> Initiate<S> {
        let (their_transient, cookie) = self.open_welcome(hello, welcome);
        let h2 = transcript::<S>(&[hello, welcome]);
        Initiate {
            cookie,
            shown: public(&self.secret),
            vouched_transient: public(&self.transient),
            vouched_server: self.server_key,
            dh3: agree(&their_transient, &self.secret),
            vouch_h2: h2,
            vouch_aad: "VOUCH",
            metadata: metadata.to_vec(),
            dh2: agree(&their_transient, &self.transient),
            h2,
            aad: "INITIATE",
            suite: PhantomData,
        }
    }
}

/// What a READY says that came after these three commands.
pub(crate) fn open_ready<S: Tested>(dh2: &[u8; 32], before: [&[u8]; 3], ready: &[u8]) -> Option<Vec<u8>> {
    assert_eq!(&ready[..6], b"\x05READY");
    let (key, nonce) = key_and_nonce::<S>("READY", &[dh2, &transcript::<S>(&before)]);
    S::open_box(&key, &nonce, "READY", &ready[6..])
}

// ─── server ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/// A server of which the test decides every field.
#[derive(Clone)]
pub(crate) struct ScriptedServer<S> {
    /// s
    pub(crate) secret: [u8; 32],
    /// s'
    pub(crate) transient: [u8; 32],
    pub(crate) suite: PhantomData<S>,
}

/// What goes into a WELCOME; the fields say what an honest server puts there.
pub(crate) struct Welcome<S> {
    /// Random.
    pub(crate) nonce: [u8; 24],
    /// S'
    pub(crate) shown: [u8; 32],
    /// Opaque to the client.
    pub(crate) cookie: Vec<u8>,
    /// Of C' and s.
    pub(crate) dh1: [u8; 32],
    /// The transcript with the HELLO.
    pub(crate) h1: [u8; 32],
    /// What the box is bound to.
    pub(crate) aad: &'static str,
    pub(crate) suite: PhantomData<S>,
}

impl<S: Tested> Welcome<S> {
    pub(crate) fn body(&self) -> Vec<u8> {
        let (key, nonce) = welcome_box::<S>(&self.dh1, &self.h1, &self.nonce);
        let boxed = S::make_box(&key, &nonce, self.aad, &[&self.shown[..], &self.cookie].concat());
        let in_front: &[u8] = if S::HAS_WELCOME_NONCE { &self.nonce } else { &[] };
        command("WELCOME", &[in_front, &boxed])
    }
}

/// What an INITIATE said.
pub(crate) struct Introduced {
    pub(crate) key: [u8; 32],
    pub(crate) metadata: Vec<u8>,
}

/// What goes into a READY; the fields say what an honest server puts there.
pub(crate) struct Ready<S> {
    /// Of C' and s'.
    pub(crate) dh2: [u8; 32],
    /// The transcript with the INITIATE.
    pub(crate) h3: [u8; 32],
    /// Properties.
    pub(crate) metadata: Vec<u8>,
    /// What the box is bound to.
    pub(crate) aad: &'static str,
    pub(crate) suite: PhantomData<S>,
}

impl<S: Tested> Ready<S> {
    pub(crate) fn body(&self) -> Vec<u8> {
        let (key, nonce) = key_and_nonce::<S>("READY", &[&self.dh2, &self.h3]);
        command("READY", &[&S::make_box(&key, &nonce, self.aad, &self.metadata)])
    }
}

impl<S: Tested> ScriptedServer<S> {
    pub(crate) fn new(secret: [u8; 32]) -> Self {
        Self { secret, transient: [0x5e; 32], suite: PhantomData }
    }

    fn cookie() -> Vec<u8> {
        vec![0x63; 24 + 96 + S::TAG_LEN]
    }

    /// C', of a HELLO that is in order.
    pub(crate) fn open_hello(&self, body: &[u8]) -> [u8; 32] {
        assert_eq!(body.len(), S::SIZES[0]);
        assert_eq!(&body[..8], b"\x05HELLO\x01\x00");
        let their_transient = body[8..40].try_into().unwrap();
        let (padding, boxed) = body[40..].split_at(S::ZEROS);
        assert_eq!(padding, vec![0; S::ZEROS]);
        let (key, nonce) = hello_box::<S>(&agree(&their_transient, &self.secret), &their_transient);
        assert_eq!(S::open_box(&key, &nonce, "HELLO", boxed), Some(vec![0; 64]));
        their_transient
    }

    /// The WELCOME of an honest server.
    pub(crate) fn welcome(&self, hello: &[u8]) -> Welcome<S> {
        Welcome {
            nonce: [0x77; 24],
            shown: public(&self.transient),
            cookie: Self::cookie(),
            dh1: agree(hello[8..40].try_into().unwrap(), &self.secret),
            h1: transcript::<S>(&[hello]),
            aad: "WELCOME",
            suite: PhantomData,
        }
    }

    /// What is in an INITIATE that is in order and brings back the cookie.
    pub(crate) fn open_initiate(&self, hello: &[u8], welcome: &[u8], initiate: &[u8]) -> Introduced {
        let their_transient = hello[8..40].try_into().unwrap();
        let h2 = transcript::<S>(&[hello, welcome]);
        assert_eq!(&initiate[..9], b"\x08INITIATE");
        let (cookie, boxed) = initiate[9..].split_at(Self::cookie().len());
        assert_eq!(cookie, Self::cookie());
        let (key, nonce) = key_and_nonce::<S>("INITIATE", &[&agree(&their_transient, &self.transient), &h2]);
        let opened = S::open_box(&key, &nonce, "INITIATE", boxed).expect("INITIATE's box");
        let key = opened[..32].try_into().unwrap();
        let (vouch, metadata) = opened[32..].split_at(64 + S::TAG_LEN);
        let (vouch_key, nonce) = vouch_box::<S>(&agree(&key, &self.transient), &h2);
        let vouched = S::open_box(&vouch_key, &nonce, "VOUCH", vouch);
        assert_eq!(vouched, Some([their_transient, public(&self.secret)].concat()), "the vouch");
        Introduced { key, metadata: metadata.to_vec() }
    }

    /// The READY of an honest server that has seen these three commands.
    pub(crate) fn ready(&self, before: [&[u8]; 3], metadata: &[u8]) -> Ready<S> {
        Ready {
            dh2: agree(before[0][8..40].try_into().unwrap(), &self.transient),
            h3: transcript::<S>(&before),
            metadata: metadata.to_vec(),
            aad: "READY",
            suite: PhantomData,
        }
    }
}

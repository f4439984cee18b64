//! The side that knows the server's key: HELLO, WELCOME, INITIATE, READY.

use alloc::sync::Arc;
use core::marker::PhantomData;
use core::ops::RangeInclusive;

use zeroize::Zeroizing;
use zmtp_codec::keys::{KeyError, KeyPair, PublicKey, SharedSecret};
use zmtp_codec::{
    Commands, Entropy, Handshake, HandshakeContext, Mechanism, MechanismError, MechanismName, Progress, Properties,
    Role, Session, Verdict, WireCommand,
};

use crate::kdf::Transcript;
use crate::schedule::{hello_box, initiate_box, ready_box, vouch_box, welcome_box};
use crate::session::{Blake3Opener, Blake3Sealer};
use crate::suite::{Direction, Suite};
use crate::wire::{HELLO, INITIATE, KEY, READY, Sizes, VERSION, VOUCH, WELCOME, Welcome, ZEROS, ready, refuse_error};

/// A client: proves that the peer holds `server_key`, and shows it who we are.
///
/// One value serves any number of connections, one after the other or at once; each makes a transient key pair of its
/// own. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Client<S> {
    server_key: PublicKey,
    keys: Arc<KeyPair>,
    entropy: Entropy,
    suite: PhantomData<fn() -> S>,
}

impl<S: Suite> Client<S> {
    /// A client known to servers by the public key in `keys`.
    ///
    /// The server's key must come from a source that you trust: whoever holds its secret half is the server.
    #[must_use]
    pub fn new(server_key: PublicKey, keys: impl Into<Arc<KeyPair>>) -> Self {
        Self { server_key, keys: keys.into(), entropy: Entropy::os(), suite: PhantomData }
    }

    /// A client that servers do not know: with a key pair made for the occasion. Enough for a server that lets
    /// everybody in.
    ///
    /// # Errors
    /// [`KeyError::Entropy`] when the operating system has no randomness to give.
    pub fn anonymous(server_key: PublicKey) -> Result<Self, KeyError> {
        Ok(Self::new(server_key, KeyPair::generate()?))
    }

    /// Takes the transient keys from `entropy` instead of the operating system. A handshake asks for the transient
    /// secret key (32 octets).
    #[must_use]
    pub fn with_entropy(mut self, entropy: Entropy) -> Self {
        self.entropy = entropy;
        self
    }

    /// The key that servers know us by.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        self.keys.public_key()
    }

    /// The key that we expect of the server.
    #[must_use]
    pub const fn server_key(&self) -> &PublicKey {
        &self.server_key
    }
}

impl<S: Suite> Mechanism for Client<S> {
    type Handshake = ClientHandshake<S>;

    fn name(&self) -> MechanismName {
        S::NAME
    }

    fn role(&self) -> Role {
        Role::Client
    }

    fn start(
        &self,
        cx: HandshakeContext<'_>,
        out: &mut Commands,
    ) -> Result<Progress<ClientHandshake<S>>, MechanismError> {
        let transient = crate::transient(&self.entropy)?;
        let h0 = Transcript::begin(S::CONTEXTS.label, cx.local_greeting(), cx.peer_greeting());
        // A `PublicKey` is no point of low order, so this does not fail.
        let dh1 = transient
            .secret_key()
            .diffie_hellman(&self.server_key)
            .ok_or(MechanismError::Local("the server's public key is a point of low order"))?;
        let public = transient.public_key().as_bytes();
        let (key, nonce) = hello_box::<S>(&dh1, public);
        let mut boxed = Vec::with_capacity(ZEROS.len() + S::TAG);
        S::seal(&key, &nonce, HELLO.as_bytes(), &ZEROS, &mut boxed);
        let padding = vec![0; S::PADDING];
        let h1 = h0.and(out.push(HELLO, &[&VERSION, public, &padding, &boxed]));

        let mut metadata = Vec::with_capacity(cx.properties().encoded_len());
        cx.properties().encode(&mut metadata);
        let state = State::Welcome { client: self.clone(), transient, dh1, h1, metadata };
        Ok(Progress::NeedCommand(ClientHandshake { state }))
    }
}

/// A client's handshake under way on one connection.
pub struct ClientHandshake<S: Suite> {
    state: State<S>,
}

/// What is awaited.
enum State<S> {
    Welcome { client: Client<S>, transient: KeyPair, dh1: SharedSecret, h1: Transcript, metadata: Vec<u8> },
    Ready { server_key: PublicKey, dh2: SharedSecret, h3: Transcript },
}

impl<S: Suite> Handshake for ClientHandshake<S> {
    type Sealer = Blake3Sealer<S>;
    type Opener = Blake3Opener<S>;

    fn body_len(&self) -> RangeInclusive<u64> {
        match self.state {
            State::Welcome { .. } => Sizes::<S>::AWAITING_WELCOME,
            State::Ready { .. } => Sizes::<S>::AWAITING_READY,
        }
    }

    fn handle(self, command: WireCommand<'_>, out: &mut Commands) -> Result<Progress<Self>, MechanismError> {
        refuse_error(&command)?;
        match self.state {
            State::Welcome { client, transient, dh1, h1, metadata } => {
                let welcome = Welcome::parse::<S>(&command)?;
                let h2 = h1.and(command.wire());
                let (dh2, h3) = client.initiate(&transient, &dh1, (h1, h2), &welcome, &metadata, out)?;
                Ok(Progress::NeedCommand(Self { state: State::Ready { server_key: client.server_key, dh2, h3 } }))
            }
            State::Ready { server_key, dh2, h3 } => {
                let boxed = ready::<S>(&command)?;
                let properties = open_ready::<S>(&dh2, h3, boxed)?;
                let h4 = h3.and(command.wire());
                let ikm: [&[u8]; 2] = [h4.as_bytes(), dh2.danger_as_bytes()];
                let sealer = Blake3Sealer::new(S::cipher(Direction::ToServer, &ikm));
                let opener = Blake3Opener::new(S::cipher(Direction::ToClient, &ikm));
                let session = Session::new(sealer, opener, properties);
                Ok(Progress::Complete(session.with_public_key(*server_key.as_bytes()).encrypted()))
            }
        }
    }

    fn authorize(self, _verdict: Verdict, _out: &mut Commands) -> Result<Progress<Self>, MechanismError> {
        Err(MechanismError::Misuse("a BLAKE3 client asks for no verdict"))
    }
}

impl<S: Suite> Client<S> {
    /// Opens WELCOME and answers with INITIATE, which carries our key and the proof that it is ours: the vouch.
    fn initiate(
        &self,
        transient: &KeyPair,
        dh1: &SharedSecret,
        (h1, h2): (Transcript, Transcript),
        welcome: &Welcome<'_>,
        metadata: &[u8],
        out: &mut Commands,
    ) -> Result<(SharedSecret, Transcript), MechanismError> {
        const FORGED: MechanismError = MechanismError::Cryptographic { command: WELCOME };
        let (key, nonce) = welcome_box::<S>(dh1, h1, welcome.nonce);
        let mut boxed = Zeroizing::new(welcome.boxed.to_vec());
        let opened = S::open(&key, &nonce, WELCOME.as_bytes(), &mut boxed).ok_or(FORGED)?;
        let (their_transient, cookie) = opened.split_first_chunk::<KEY>().ok_or(FORGED)?;
        let their_transient = PublicKey::from_bytes(their_transient).map_err(|_| FORGED)?;
        let dh2 = transient.secret_key().diffie_hellman(&their_transient).ok_or(FORGED)?;
        let dh3 = self.keys.secret_key().diffie_hellman(&their_transient).ok_or(FORGED)?;

        let mut vouched = [0; 2 * KEY];
        let (first, second) = vouched.split_at_mut(KEY);
        first.copy_from_slice(transient.public_key().as_bytes());
        second.copy_from_slice(self.server_key.as_bytes());
        let (key, nonce) = vouch_box::<S>(&dh3, h2);
        // Who we are is secret from everybody but the server.
        let mut plain = Zeroizing::new(Vec::with_capacity(KEY + Sizes::<S>::VOUCH + metadata.len()));
        plain.extend_from_slice(self.keys.public_key().as_bytes());
        S::seal(&key, &nonce, VOUCH.as_bytes(), &vouched, &mut plain);
        plain.extend_from_slice(metadata);

        let (key, nonce) = initiate_box::<S>(&dh2, h2);
        let mut boxed = Vec::with_capacity(plain.len() + S::TAG);
        S::seal(&key, &nonce, INITIATE.as_bytes(), &plain, &mut boxed);
        let h3 = h2.and(out.push(INITIATE, &[cookie, &boxed]));
        Ok((dh2, h3))
    }
}

fn open_ready<S: Suite>(dh2: &SharedSecret, h3: Transcript, boxed: &[u8]) -> Result<Properties, MechanismError> {
    let (key, nonce) = ready_box::<S>(dh2, h3);
    let mut boxed = Zeroizing::new(boxed.to_vec());
    let metadata =
        S::open(&key, &nonce, READY.as_bytes(), &mut boxed).ok_or(MechanismError::Cryptographic { command: READY })?;
    Properties::decode(metadata, Properties::DEFAULT_MAX_COUNT)
        .map_err(|source| MechanismError::Properties { command: READY, source })
}

impl<S: Suite> core::fmt::Debug for ClientHandshake<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self.state {
            State::Welcome { .. } => "ClientHandshake(awaiting WELCOME)",
            State::Ready { .. } => "ClientHandshake(awaiting READY)",
        })
    }
}

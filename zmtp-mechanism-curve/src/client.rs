//! The side that knows the server's key: HELLO, WELCOME, INITIATE, READY.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use zeroize::Zeroizing;
use zmtp_codec::keys::{KeyError, KeyPair, PublicKey};
use zmtp_codec::{
    Commands, Entropy, Handshake, HandshakeContext, Mechanism, MechanismError, MechanismName, Progress, Properties,
    Role, Session, Verdict, WireCommand,
};

use crate::agreement::agree;
use crate::cipher::SecretBox;
use crate::session::{CurveOpener, CurveSealer, Sequence, client_halves};
use crate::wire::{
    COOKIE_LEN, HELLO, INITIATE, KEY_LEN, PADDING_LEN, READY, READY_OR_ERROR, Ready, TAG_LEN, VERSION, VOUCH_LEN,
    WELCOME, WELCOME_OR_ERROR, Welcome, compose, long, long_nonce, refuse_error, short, short_nonce,
};

/// The counters of our commands. Messages count on from there.
const HELLO_COUNTER: u64 = 1;
const INITIATE_COUNTER: u64 = 2;
const FIRST_MESSAGE: u64 = 3;

/// CURVE as a client: proves that the peer holds `server_key`, and shows it who we are.
///
/// One value serves any number of connections, one after the other or at once; each makes a transient key pair of its
/// own. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct CurveClient {
    server_key: PublicKey,
    keys: Arc<KeyPair>,
    entropy: Entropy,
    sequence: Sequence,
}

impl CurveClient {
    /// A client known to servers by the public key in `keys`.
    ///
    /// The server's key must come from a source that you trust: whoever holds its secret half is the server.
    #[must_use]
    pub fn new(server_key: PublicKey, keys: impl Into<Arc<KeyPair>>) -> Self {
        Self { server_key, keys: keys.into(), entropy: Entropy::os(), sequence: Sequence::Increasing }
    }

    /// A client that servers do not know: with a key pair made for the occasion. Enough for a server that lets
    /// everybody in.
    ///
    /// # Errors
    /// [`KeyError::Entropy`] when the operating system has no randomness to give.
    pub fn anonymous(server_key: PublicKey) -> Result<Self, KeyError> {
        Ok(Self::new(server_key, KeyPair::generate()?))
    }

    /// Takes the transient keys and nonces from `entropy` instead of the operating system. A handshake asks for the
    /// transient secret key (32 octets), and later for the vouch's nonce (16).
    #[must_use]
    pub fn with_entropy(mut self, entropy: Entropy) -> Self {
        self.entropy = entropy;
        self
    }

    /// Refuses a peer that skips a number, so that whatever is cut out on the way is noticed with the next frame.
    ///
    /// Without it, someone on the path can cut out any frames, also some of a multipart message: what is left then arrives
    /// as a message that nobody has sent, the head of one and the tail of another perhaps. Off by default, since RFC 26
    /// does not ask a peer to count without gaps; every libzmq from 4.1 on does, so there is nothing against it among
    /// those.
    #[must_use]
    pub const fn refuse_gaps(mut self) -> Self {
        self.sequence = Sequence::Gapless;
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

impl Mechanism for CurveClient {
    type Handshake = ClientHandshake;

    fn name(&self) -> MechanismName {
        MechanismName::CURVE
    }

    fn role(&self) -> Role {
        Role::Client
    }

    fn start(&self, cx: HandshakeContext<'_>, out: &mut Commands) -> Result<Progress<ClientHandshake>, MechanismError> {
        let transient = crate::transient(&self.entropy)?;
        // A `PublicKey` is no point of low order, so this does not fail.
        let server_box = agree(&self.server_key, transient.secret_key())
            .ok_or(MechanismError::Local("the server's public key is a point of low order"))?;
        let mut boxed = [0; TAG_LEN + 64];
        server_box.seal(&short_nonce(short::HELLO, HELLO_COUNTER), &[0; 64], &mut boxed);
        out.push(
            HELLO,
            &[&VERSION, &[0; PADDING_LEN], transient.public_key().as_bytes(), &HELLO_COUNTER.to_be_bytes(), &boxed],
        );
        let mut metadata = Vec::new();
        cx.properties().encode(&mut metadata);
        let state = State::Welcome { client: self.clone(), transient, server_box, metadata };
        Ok(Progress::NeedCommand(ClientHandshake { state }))
    }
}

/// A client's handshake under way on one connection.
pub struct ClientHandshake {
    state: State,
}

/// What is awaited.
enum State {
    Welcome { client: CurveClient, transient: KeyPair, server_box: SecretBox, metadata: Vec<u8> },
    Ready { client: CurveClient, session: SecretBox },
}

impl Handshake for ClientHandshake {
    type Sealer = CurveSealer;
    type Opener = CurveOpener;

    fn body_len(&self) -> RangeInclusive<u64> {
        match self.state {
            State::Welcome { .. } => WELCOME_OR_ERROR,
            State::Ready { .. } => READY_OR_ERROR,
        }
    }

    fn handle(self, command: WireCommand<'_>, out: &mut Commands) -> Result<Progress<Self>, MechanismError> {
        let command = command.parse()?;
        refuse_error(&command)?;
        match self.state {
            State::Welcome { client, transient, server_box, metadata } => {
                let session = client.initiate(&transient, &server_box, &metadata, &Welcome::parse(command)?, out)?;
                Ok(Progress::NeedCommand(Self { state: State::Ready { client, session } }))
            }
            State::Ready { client, session } => {
                client.complete(&session, &Ready::parse(command)?).map(Progress::Complete)
            }
        }
    }

    fn authorize(self, _verdict: Verdict, _out: &mut Commands) -> Result<Progress<Self>, MechanismError> {
        Err(MechanismError::Misuse("a CURVE client asks for no verdict"))
    }
}

impl CurveClient {
    /// Opens WELCOME and answers with INITIATE, which carries our key and the proof that it is ours: the vouch.
    fn initiate(
        &self,
        transient: &KeyPair,
        server_box: &SecretBox,
        metadata: &[u8],
        welcome: &Welcome<'_>,
        out: &mut Commands,
    ) -> Result<SecretBox, MechanismError> {
        const FORGED: MechanismError = MechanismError::Cryptographic { command: WELCOME };
        let mut boxed = *welcome.boxed;
        let opened = server_box.open(&long_nonce(long::WELCOME, welcome.nonce), &mut boxed).ok_or(FORGED)?;
        let (their_transient, cookie) = opened.split_first_chunk::<KEY_LEN>().ok_or(FORGED)?;
        debug_assert_eq!(cookie.len(), COOKIE_LEN);
        let their_transient = PublicKey::from_bytes(their_transient).map_err(|_| FORGED)?;
        let session = agree(&their_transient, transient.secret_key()).ok_or(FORGED)?;

        let mut random = [0; 16];
        self.entropy.fill(&mut random).map_err(|_| crate::NO_ENTROPY)?;
        let keys: [u8; 2 * KEY_LEN] = compose([transient.public_key().as_bytes(), self.server_key.as_bytes()]);
        let mut vouch = [0; VOUCH_LEN - 16];
        let vouch_box = agree(&their_transient, self.keys.secret_key()).ok_or(FORGED)?;
        vouch_box.seal(&long_nonce(long::VOUCH, &random), &keys, &mut vouch);

        // Who we are is secret from everybody but the server.
        let mut plain = Zeroizing::new(Vec::with_capacity(KEY_LEN + VOUCH_LEN + metadata.len()));
        for piece in [self.keys.public_key().as_bytes().as_slice(), &random, &vouch, metadata] {
            plain.extend_from_slice(piece);
        }
        let mut boxed = alloc::vec![0; TAG_LEN + plain.len()];
        session.seal(&short_nonce(short::INITIATE, INITIATE_COUNTER), &plain, &mut boxed);
        out.push(INITIATE, &[cookie, &INITIATE_COUNTER.to_be_bytes(), &boxed]);
        Ok(session)
    }

    /// Opens READY.
    fn complete(
        &self,
        session: &SecretBox,
        ready: &Ready<'_>,
    ) -> Result<Session<CurveSealer, CurveOpener>, MechanismError> {
        let mut boxed = Zeroizing::new(ready.boxed.to_vec());
        let metadata = session
            .open(&short_nonce(short::READY, ready.counter), &mut boxed)
            .ok_or(MechanismError::Cryptographic { command: READY })?;
        let properties = Properties::decode(metadata, Properties::DEFAULT_MAX_COUNT)
            .map_err(|source| MechanismError::Properties { command: READY, source })?;
        let (sealer, opener) = client_halves(session, FIRST_MESSAGE, ready.counter, self.sequence);
        Ok(Session::new(sealer, opener, properties).with_public_key(*self.server_key.as_bytes()).encrypted())
    }
}

impl core::fmt::Debug for ClientHandshake {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self.state {
            State::Welcome { .. } => "ClientHandshake(awaiting WELCOME)",
            State::Ready { .. } => "ClientHandshake(awaiting READY)",
        })
    }
}

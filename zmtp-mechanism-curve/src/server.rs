//! The side that clients know by its key: answers HELLO with WELCOME, and INITIATE with READY once the application
//! has judged the client.
//!
//! Between WELCOME and INITIATE it keeps 32 octets that belong to this connection alone: the key of the cookie. All
//! else that it will need travels to the client and back inside the cookie (RFC 26, "Server processing"). A cookie
//! key shared between connections would save those 32 octets, and let a recorded HELLO, INITIATE and all messages
//! behind them be played again on another connection.

use alloc::vec::Vec;
use core::ops::RangeInclusive;

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;
use zmtp_codec::keys::{KeyCountError, KeyPair, PublicKey, SecretKey, ServerKeys};
use zmtp_codec::{
    Claim, Command, Commands, Credentials, Entropy, HalfOpen, HalfOpenGuard, Handshake, HandshakeContext, Mechanism,
    MechanismError, MechanismName, Progress, Properties, Role, Session, Verdict, WireCommand,
};

use crate::agreement::agree;
use crate::cipher::SecretBox;
use crate::session::{CurveOpener, CurveSealer, Sequence, server_halves};
use crate::wire::{
    COOKIE_LEN, HELLO, HELLO_LEN, Hello, INITIATE, INITIATE_MIN, Initiate, KEY_LEN, READY, TAG_LEN, VOUCH_LEN, WELCOME,
    compose, long, long_nonce, short, short_nonce,
};

/// The counter of our READY. Messages count on from there.
const READY_COUNTER: u64 = 1;
const FIRST_MESSAGE: u64 = 2;

/// Half-open handshakes that a server bears at a time unless told otherwise. Each costs a socket, about 1 KiB, and no
/// work while it waits.
const HALF_OPEN: usize = 4096;

/// CURVE as a server: proves to clients that it holds the key they were configured with, and asks the application
/// about each client's key.
///
/// Every client is put to the application's judgement, with its public key proven and its properties known. Whoever
/// wants to let everybody in says so there.
///
/// One value serves any number of connections at once, and its clones count their half-open handshakes together.
#[derive(Clone, Debug)]
pub struct CurveServer {
    keys: ServerKeys,
    entropy: Entropy,
    sequence: Sequence,
    half_open: HalfOpen,
}

impl CurveServer {
    /// Key pairs on one server, at most: each is one more scalar multiplication for a HELLO that nobody can open.
    pub const MAX_KEYS: usize = ServerKeys::MAX;

    /// A server that clients know by the public key in `keys`.
    #[must_use]
    pub fn new(keys: KeyPair) -> Self {
        Self::of(keys.into())
    }

    /// A server that clients know by one of several keys, so that a new one can be introduced while clients still
    /// use the old one. Put the one that most clients use first: they are tried in this order.
    ///
    /// # Errors
    /// [`KeyCountError`] when it is none, or more than [`MAX_KEYS`](Self::MAX_KEYS).
    pub fn with_keys(keys: impl IntoIterator<Item = KeyPair>) -> Result<Self, KeyCountError> {
        ServerKeys::new(keys).map(Self::of)
    }

    fn of(keys: ServerKeys) -> Self {
        Self { keys, entropy: Entropy::os(), sequence: Sequence::Increasing, half_open: HalfOpen::new(HALF_OPEN) }
    }

    /// Takes the transient keys and nonces from `entropy` instead of the operating system. A handshake asks for the
    /// transient secret key (32 octets), the cookie's key (32), the cookie's nonce (16) and WELCOME's nonce (16).
    #[must_use]
    pub fn with_entropy(mut self, entropy: Entropy) -> Self {
        self.entropy = entropy;
        self
    }

    /// Bears `limit` half-open handshakes at a time, those that have had a WELCOME and are not complete; 4096 unless
    /// said otherwise, and with 0 nobody gets in. A HELLO beyond that fails with [`MechanismError::Busy`] and in silence,
    /// so that the client comes back. An INITIATE under the application's judgement still counts.
    ///
    /// The count starts anew here: clones made before go on with the old one.
    #[must_use]
    pub fn with_half_open_limit(mut self, limit: usize) -> Self {
        self.half_open = HalfOpen::new(limit);
        self
    }

    /// As [`CurveClient::refuse_gaps`](crate::CurveClient::refuse_gaps).
    #[must_use]
    pub const fn refuse_gaps(mut self) -> Self {
        self.sequence = Sequence::Gapless;
        self
    }

    /// The keys that clients may know us by, in the order in which they are tried.
    pub fn public_keys(&self) -> impl ExactSizeIterator<Item = &PublicKey> {
        self.keys.iter().map(KeyPair::public_key)
    }

    /// Half-open handshakes at this moment.
    #[must_use]
    pub fn half_open(&self) -> usize {
        self.half_open.count()
    }
}

impl Mechanism for CurveServer {
    type Handshake = ServerHandshake;

    fn name(&self) -> MechanismName {
        MechanismName::CURVE
    }

    fn role(&self) -> Role {
        Role::Server
    }

    fn start(
        &self,
        cx: HandshakeContext<'_>,
        _out: &mut Commands,
    ) -> Result<Progress<ServerHandshake>, MechanismError> {
        let mut metadata = Vec::with_capacity(cx.properties().encoded_len());
        cx.properties().encode(&mut metadata);
        Ok(Progress::NeedCommand(ServerHandshake { server: self.clone(), metadata, state: State::Hello }))
    }
}

/// A server's handshake under way on one connection.
pub struct ServerHandshake {
    server: CurveServer,
    /// What our READY will say.
    metadata: Vec<u8>,
    state: State,
}

/// What is awaited.
enum State {
    Hello,
    Initiate(Welcomed),
    Verdict { client: Client, _place: HalfOpenGuard },
}

/// What is kept of a client that had its WELCOME.
struct Welcomed {
    cookie_key: SecretBox,
    /// Which of our keys opened the HELLO.
    key_index: usize,
    place: HalfOpenGuard,
}

/// A client whose INITIATE was in order.
struct Client {
    key: PublicKey,
    properties: Properties,
    session: SecretBox,
    initiate_counter: u64,
}

impl Handshake for ServerHandshake {
    type Sealer = CurveSealer;
    type Opener = CurveOpener;

    fn body_len(&self) -> RangeInclusive<u64> {
        match self.state {
            State::Hello => HELLO_LEN..=HELLO_LEN,
            State::Initiate(_) => INITIATE_MIN..=u64::MAX,
            State::Verdict { .. } => 0..=0,
        }
    }

    fn handle(self, command: WireCommand<'_>, out: &mut Commands) -> Result<Progress<Self>, MechanismError> {
        let Self { server, metadata, state } = self;
        match state {
            State::Hello => {
                let welcomed = server.welcome(&Hello::parse(command.parse()?)?, out)?;
                Ok(Progress::NeedCommand(Self { server, metadata, state: State::Initiate(welcomed) }))
            }
            State::Initiate(welcomed) => {
                let client = server.meet(&welcomed, &Initiate::parse(command.parse()?)?)?;
                let claim = Claim::new(Credentials::PublicKey(*client.key.as_bytes()));
                let claim = claim.with_properties(client.properties.clone());
                let state = State::Verdict { client, _place: welcomed.place };
                Ok(Progress::Authorize(Self { server, metadata, state }, claim))
            }
            State::Verdict { .. } => Err(MechanismError::Misuse("a command was handled before the verdict")),
        }
    }

    fn authorize(self, verdict: Verdict, out: &mut Commands) -> Result<Progress<Self>, MechanismError> {
        let State::Verdict { client, .. } = self.state else {
            return Err(MechanismError::Misuse("CURVE asked for no verdict yet"));
        };
        match verdict {
            Verdict::Accept(_) => Ok(Progress::Complete(self.server.ready(client, &self.metadata, out))),
            Verdict::Refuse(refusal) => {
                // In the clear, as libzmq sends and expects it: the client has no proof of it, and says so.
                if let Some(reason) = refusal.reason() {
                    out.push_command(&Command::Error(reason.clone()));
                }
                Err(MechanismError::Refused(refusal))
            }
        }
    }
}

impl CurveServer {
    /// Answers a HELLO with WELCOME. Costs one scalar multiplication for each of our keys until one fits, and one to
    /// make the transient pair.
    fn welcome(&self, hello: &Hello<'_>, out: &mut Commands) -> Result<Welcomed, MechanismError> {
        const FORGED: MechanismError = MechanismError::Cryptographic { command: HELLO };
        let place = self.half_open.enter().ok_or(MechanismError::Busy)?;
        let their_transient = PublicKey::from_bytes(hello.transient).map_err(|_| FORGED)?;
        let nonce = short_nonce(short::HELLO, hello.counter);
        let fits = |(index, keys): (usize, &KeyPair)| {
            let client_box = agree(&their_transient, keys.secret_key())?;
            let mut boxed = *hello.boxed;
            let zeros = client_box.open(&nonce, &mut boxed)?;
            // libzmq does not look at what is in the box.
            (*zeros == [0; 64]).then_some((index, client_box))
        };
        let (key_index, client_box) = self.keys.iter().enumerate().find_map(fits).ok_or(FORGED)?;

        let transient = crate::transient(&self.entropy)?;
        let mut cookie_key = Zeroizing::new([0; 32]);
        let (mut cookie_nonce, mut welcome_nonce) = ([0; 16], [0; 16]);
        for octets in [cookie_key.as_mut_slice(), &mut cookie_nonce, &mut welcome_nonce] {
            self.entropy.fill(octets).map_err(|_| crate::NO_ENTROPY)?;
        }
        let cookie_key = SecretBox::new(&cookie_key);
        let contents: Zeroizing<[u8; 2 * KEY_LEN]> =
            Zeroizing::new(compose([hello.transient, transient.secret_key().danger_as_bytes()]));
        let mut cookie = [0; COOKIE_LEN - 16];
        cookie_key.seal(&long_nonce(long::COOKIE, &cookie_nonce), &*contents, &mut cookie);

        let contents: [u8; KEY_LEN + COOKIE_LEN] = compose([transient.public_key().as_bytes(), &cookie_nonce, &cookie]);
        let mut boxed = [0; TAG_LEN + KEY_LEN + COOKIE_LEN];
        client_box.seal(&long_nonce(long::WELCOME, &welcome_nonce), &contents, &mut boxed);
        out.push(WELCOME, &[&welcome_nonce, &boxed]);
        Ok(Welcomed { cookie_key, key_index, place })
    }

    /// Opens an INITIATE, and with it all that was put in the cookie. Costs two scalar multiplications.
    fn meet(&self, welcomed: &Welcomed, initiate: &Initiate<'_>) -> Result<Client, MechanismError> {
        const FORGED: MechanismError = MechanismError::Cryptographic { command: INITIATE };
        // Whatever the cookie's nonce is: under this key one box was made, and only that one opens.
        let mut cookie = Zeroizing::new(*initiate.cookie);
        let cookie = welcomed.cookie_key.open(&long_nonce(long::COOKIE, initiate.cookie_nonce), &mut *cookie);
        let (their_transient, our_transient) = cookie.and_then(|cookie| cookie.split_first_chunk()).ok_or(FORGED)?;
        let their_transient = PublicKey::from_bytes(their_transient).map_err(|_| FORGED)?;
        let our_transient = our_transient.first_chunk::<KEY_LEN>().ok_or(FORGED)?;
        let our_transient = SecretKey::from_bytes(*our_transient).map_err(|_| FORGED)?;

        let session = agree(&their_transient, &our_transient).ok_or(FORGED)?;
        let mut boxed = Zeroizing::new(initiate.boxed.to_vec());
        let opened = session.open(&short_nonce(short::INITIATE, initiate.counter), &mut boxed).ok_or(FORGED)?;
        let (key, rest) = opened.split_first_chunk_mut::<KEY_LEN>().ok_or(FORGED)?;
        let (vouch, metadata) = rest.split_first_chunk_mut::<VOUCH_LEN>().ok_or(FORGED)?;
        let (vouch_nonce, vouch) = vouch.split_first_chunk_mut::<16>().ok_or(FORGED)?;

        let key = PublicKey::from_bytes(key).map_err(|_| FORGED)?;
        let vouch_box = agree(&key, &our_transient).ok_or(FORGED)?;
        let vouched = vouch_box.open(&long_nonce(long::VOUCH, vouch_nonce), vouch);
        let our_key = self.keys.get(welcomed.key_index).ok_or(FORGED)?.public_key();
        let expected: [u8; 2 * KEY_LEN] = compose([their_transient.as_bytes(), our_key.as_bytes()]);
        // libzmq looks at the first half alone, which binds the client's key to this connection. The second one says that
        // this server is whom the client wants to talk to.
        if !bool::from(vouched.ok_or(FORGED)?.ct_eq(&expected)) {
            return Err(FORGED);
        }
        let properties = Properties::decode(metadata, Properties::DEFAULT_MAX_COUNT)
            .map_err(|source| MechanismError::Properties { command: INITIATE, source })?;
        Ok(Client { key, properties, session, initiate_counter: initiate.counter })
    }

    /// Lets the client in.
    fn ready(&self, client: Client, metadata: &[u8], out: &mut Commands) -> Session<CurveSealer, CurveOpener> {
        let Client { key, properties, session, initiate_counter } = client;
        let mut boxed = alloc::vec![0; TAG_LEN + metadata.len()];
        session.seal(&short_nonce(short::READY, READY_COUNTER), metadata, &mut boxed);
        out.push(READY, &[&READY_COUNTER.to_be_bytes(), &boxed]);
        let (sealer, opener) = server_halves(&session, FIRST_MESSAGE, initiate_counter, self.sequence);
        Session::new(sealer, opener, properties).with_public_key(*key.as_bytes()).encrypted()
    }
}

impl core::fmt::Debug for ServerHandshake {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self.state {
            State::Hello => "ServerHandshake(awaiting HELLO)",
            State::Initiate(_) => "ServerHandshake(awaiting INITIATE)",
            State::Verdict { .. } => "ServerHandshake(awaiting the verdict)",
        })
    }
}

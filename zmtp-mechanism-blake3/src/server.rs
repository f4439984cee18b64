//! The side that clients know by its key: answers HELLO with WELCOME, and INITIATE with READY once the application
//! has judged the client.
//!
//! Between WELCOME and INITIATE it keeps what ties the one to the other: the nonce of the cookie, the transcript, and a share of the
//! cookie's key, which is gone with the last handshake that needs it. All other secrets travel to the client and back inside
//! the cookie. Without that tie, a recorded HELLO, INITIATE and all frames
//! behind them could be played again on another connection for as long as the cookie's key lives.

use alloc::sync::Arc;
use core::marker::PhantomData;
use core::ops::RangeInclusive;

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;
use zmtp_codec::keys::{KeyCountError, KeyPair, PublicKey, SecretKey, ServerKeys, SharedSecret};
use zmtp_codec::{
    Claim, Command, Commands, Credentials, Entropy, HalfOpen, HalfOpenGuard, Handshake, HandshakeContext, Mechanism,
    MechanismError, MechanismName, Progress, Properties, Role, Session, Verdict, WireCommand,
};

use crate::cookie::{CookieKey, CookieKeys};
use crate::kdf::Transcript;
use crate::schedule::{hello_box, initiate_box, ready_box, vouch_box, welcome_box};
use crate::session::{Blake3Opener, Blake3Sealer};
use crate::suite::{Direction, Suite};
use crate::wire::{COOKIE, HELLO, Hello, INITIATE, Initiate, KEY, NONCE, READY, Sizes, VOUCH, WELCOME, ZEROS};

/// Half-open handshakes that a server bears at a time unless told otherwise.
const HALF_OPEN: usize = 4096;

/// A server: proves to clients that it holds the key they were configured with, and asks the application about each
/// client's key.
///
/// Every client is put to the application's judgement, with its public key proven and its properties known. Whoever
/// wants to let everybody in says so there.
///
/// One value serves any number of connections at once. Its clones have the same cookie keys, and count their half-open
/// handshakes together.
#[derive(Clone, Debug)]
pub struct Server<S> {
    keys: ServerKeys,
    entropy: Entropy,
    cookie_keys: CookieKeys,
    half_open: HalfOpen,
    suite: PhantomData<fn() -> S>,
}

impl<S: Suite> Server<S> {
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
        Self {
            keys,
            entropy: Entropy::os(),
            cookie_keys: CookieKeys::default(),
            half_open: HalfOpen::new(HALF_OPEN),
            suite: PhantomData,
        }
    }

    /// Takes random octets from `entropy` instead of the operating system. A handshake asks for the transient secret key
    /// (32 octets), a cookie key if one is due (32), the cookie's nonce (24), and WELCOME's nonce (24) if the suite has
    /// one.
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

impl<S: Suite> Mechanism for Server<S> {
    type Handshake = ServerHandshake<S>;

    fn name(&self) -> MechanismName {
        S::NAME
    }

    fn role(&self) -> Role {
        Role::Server
    }

    fn start(
        &self,
        cx: HandshakeContext<'_>,
        _out: &mut Commands,
    ) -> Result<Progress<ServerHandshake<S>>, MechanismError> {
        let h0 = Transcript::begin(S::CONTEXTS.label, cx.peer_greeting(), cx.local_greeting());
        let mut metadata = Vec::with_capacity(cx.properties().encoded_len());
        cx.properties().encode(&mut metadata);
        Ok(Progress::NeedCommand(ServerHandshake { server: self.clone(), metadata, state: State::Hello { h0 } }))
    }
}

/// A server's handshake under way on one connection.
pub struct ServerHandshake<S: Suite> {
    server: Server<S>,
    /// What our READY will say.
    metadata: Vec<u8>,
    state: State,
}

/// What is awaited.
enum State {
    Hello { h0: Transcript },
    Initiate(Welcomed),
    Verdict { client: Client, _place: HalfOpenGuard },
}

/// What is kept of a client that had its WELCOME.
struct Welcomed {
    /// It lives for as long as somebody has it.
    cookie_key: Arc<CookieKey>,
    /// The one of our keys that opened the HELLO.
    our_key: PublicKey,
    cookie_nonce: [u8; NONCE],
    h2: Transcript,
    place: HalfOpenGuard,
}

/// A client whose INITIATE was in order.
struct Client {
    key: PublicKey,
    properties: Properties,
    dh2: SharedSecret,
    h3: Transcript,
}

impl<S: Suite> Handshake for ServerHandshake<S> {
    type Sealer = Blake3Sealer<S>;
    type Opener = Blake3Opener<S>;

    fn body_len(&self) -> RangeInclusive<u64> {
        match self.state {
            State::Hello { .. } => Sizes::<S>::AWAITING_HELLO,
            State::Initiate(_) => Sizes::<S>::AWAITING_INITIATE,
            State::Verdict { .. } => 0..=0,
        }
    }

    fn handle(self, command: WireCommand<'_>, out: &mut Commands) -> Result<Progress<Self>, MechanismError> {
        let Self { server, metadata, state } = self;
        match state {
            State::Hello { h0 } => {
                let welcomed = server.welcome(&command, h0, out)?;
                Ok(Progress::NeedCommand(Self { server, metadata, state: State::Initiate(welcomed) }))
            }
            State::Initiate(welcomed) => {
                let client = server.meet(&welcomed, &command)?;
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
            return Err(MechanismError::Misuse("BLAKE3 asked for no verdict yet"));
        };
        match verdict {
            Verdict::Accept(_) => Ok(Progress::Complete(complete(client, &self.metadata, out))),
            Verdict::Refuse(refusal) => {
                // In the clear: the client has no proof of it, and says so.
                if let Some(reason) = refusal.reason() {
                    out.push_command(&Command::Error(reason.clone()));
                }
                Err(MechanismError::Refused(refusal))
            }
        }
    }
}

impl<S: Suite> Server<S> {
    /// Answers a HELLO with WELCOME. Costs two scalar multiplications, one of them of the base point.
    fn welcome(
        &self,
        command: &WireCommand<'_>,
        h0: Transcript,
        out: &mut Commands,
    ) -> Result<Welcomed, MechanismError> {
        const FORGED: MechanismError = MechanismError::Cryptographic { command: HELLO };
        let hello = Hello::parse::<S>(command)?;
        let place = self.half_open.enter().ok_or(MechanismError::Busy)?;
        let their_transient = PublicKey::from_bytes(hello.transient).map_err(|_| FORGED)?;
        // Zeros under two keys at once cannot be made, so at most one of ours fits.
        let fits = |keys: &KeyPair| {
            let dh1 = keys.secret_key().diffie_hellman(&their_transient)?;
            let (key, nonce) = hello_box::<S>(&dh1, hello.transient);
            let mut boxed = hello.boxed.to_vec();
            let zeros = S::open(&key, &nonce, HELLO.as_bytes(), &mut boxed)?;
            (*zeros == ZEROS).then_some((*keys.public_key(), dh1))
        };
        let (our_key, dh1) = self.keys.iter().find_map(fits).ok_or(FORGED)?;
        let h1 = h0.and(command.wire());

        let transient = crate::transient(&self.entropy)?;
        let cookie_key = self.cookie_keys.at(command.now(), &self.entropy)?;
        let cookie_nonce = self.nonce()?;
        let welcome_nonce = if S::WELCOME_NONCE { Some(self.nonce()?) } else { None };

        let mut contents = Zeroizing::new(Vec::with_capacity(3 * KEY));
        for piece in [hello.transient, transient.secret_key().danger_as_bytes(), h1.as_bytes()] {
            contents.extend_from_slice(piece);
        }
        let mut plain = Vec::with_capacity(KEY + Sizes::<S>::COOKIE);
        plain.extend_from_slice(transient.public_key().as_bytes());
        plain.extend_from_slice(&cookie_nonce);
        S::seal(&cookie_key.making::<S>(), &cookie_nonce, COOKIE.as_bytes(), &contents, &mut plain);

        let (key, nonce) = welcome_box::<S>(&dh1, h1, welcome_nonce.as_ref());
        let mut data = Vec::with_capacity(NONCE + plain.len() + S::TAG);
        data.extend(welcome_nonce.iter().flatten());
        S::seal(&key, &nonce, WELCOME.as_bytes(), &plain, &mut data);
        let h2 = h1.and(out.push(WELCOME, &[&data]));
        Ok(Welcomed { cookie_key, our_key, cookie_nonce, h2, place })
    }

    /// Opens an INITIATE, and with it all that was put in the cookie. Costs two scalar multiplications.
    fn meet(&self, welcomed: &Welcomed, command: &WireCommand<'_>) -> Result<Client, MechanismError> {
        const FORGED: MechanismError = MechanismError::Cryptographic { command: INITIATE };
        let initiate = Initiate::parse::<S>(command)?;
        // The cookie of another connection is not even looked into.
        if !bool::from(initiate.cookie_nonce.ct_eq(&welcomed.cookie_nonce)) {
            return Err(FORGED);
        }
        let key = welcomed.cookie_key.opening::<S>(command.now()).ok_or(FORGED)?;
        let mut cookie = Zeroizing::new(initiate.cookie.to_vec());
        let cookie = S::open(&key, initiate.cookie_nonce, COOKIE.as_bytes(), &mut cookie).ok_or(FORGED)?;
        let (their_transient, rest) = cookie.split_first_chunk::<KEY>().ok_or(FORGED)?;
        let our_transient = rest.first_chunk::<KEY>().ok_or(FORGED)?;
        let their_transient = PublicKey::from_bytes(their_transient).map_err(|_| FORGED)?;
        let our_transient = SecretKey::from_bytes(*our_transient).map_err(|_| FORGED)?;
        let dh2 = our_transient.diffie_hellman(&their_transient).ok_or(FORGED)?;

        let (key, nonce) = initiate_box::<S>(&dh2, welcomed.h2);
        let mut boxed = Zeroizing::new(initiate.boxed.to_vec());
        let opened = S::open(&key, &nonce, INITIATE.as_bytes(), &mut boxed).ok_or(FORGED)?;
        let (client_key, rest) = opened.split_first_chunk_mut::<KEY>().ok_or(FORGED)?;
        let (vouch, metadata) = rest.split_at_mut_checked(Sizes::<S>::VOUCH).ok_or(FORGED)?;

        let client_key = PublicKey::from_bytes(client_key).map_err(|_| FORGED)?;
        let dh3 = our_transient.diffie_hellman(&client_key).ok_or(FORGED)?;
        let (key, nonce) = vouch_box::<S>(&dh3, welcomed.h2);
        let vouched = S::open(&key, &nonce, VOUCH.as_bytes(), vouch).ok_or(FORGED)?;
        let expected = [*their_transient.as_bytes(), *welcomed.our_key.as_bytes()];
        if !bool::from(vouched.ct_eq(expected.as_flattened())) {
            return Err(FORGED);
        }
        let properties = Properties::decode(metadata, Properties::DEFAULT_MAX_COUNT)
            .map_err(|source| MechanismError::Properties { command: INITIATE, source })?;
        Ok(Client { key: client_key, properties, dh2, h3: welcomed.h2.and(command.wire()) })
    }

    fn nonce(&self) -> Result<[u8; NONCE], MechanismError> {
        let mut nonce = [0; NONCE];
        self.entropy.fill(&mut nonce).map_err(|_| crate::NO_ENTROPY)?;
        Ok(nonce)
    }
}

/// Lets the client in.
fn complete<S: Suite>(
    client: Client,
    metadata: &[u8],
    out: &mut Commands,
) -> Session<Blake3Sealer<S>, Blake3Opener<S>> {
    let Client { key: client_key, properties, dh2, h3 } = client;
    let (key, nonce) = ready_box::<S>(&dh2, h3);
    let mut boxed = Vec::with_capacity(metadata.len() + S::TAG);
    S::seal(&key, &nonce, READY.as_bytes(), metadata, &mut boxed);
    let h4 = h3.and(out.push(READY, &[&boxed]));
    let ikm: [&[u8]; 2] = [h4.as_bytes(), dh2.danger_as_bytes()];
    let sealer = Blake3Sealer::new(S::cipher(Direction::ToClient, &ikm));
    let opener = Blake3Opener::new(S::cipher(Direction::ToServer, &ikm));
    Session::new(sealer, opener, properties).with_public_key(*client_key.as_bytes()).encrypted()
}

impl<S: Suite> core::fmt::Debug for ServerHandshake<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self.state {
            State::Hello { .. } => "ServerHandshake(awaiting HELLO)",
            State::Initiate(_) => "ServerHandshake(awaiting INITIATE)",
            State::Verdict { .. } => "ServerHandshake(awaiting the verdict)",
        })
    }
}

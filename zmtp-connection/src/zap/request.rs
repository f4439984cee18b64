//! The question of ZAP: may this peer come in?

use std::fmt;
use std::net::IpAddr;

use bytes::Bytes;
use zmtp_codec::{Claim, Credentials, Identity, MechanismName, PlainCredentials};

use super::error::{check_len, shown};
use super::{Envelope, VERSION, ZapError};
use crate::auth::{AuthRequest, PeerAddress};
use crate::message::Message;

/// How many frames a request has behind the delimiter and in front of the credentials.
const FIELDS: usize = 6;

/// A request to a ZAP handler (RFC 27): who wants to come in, from where, and with which credentials.
///
/// ```text
/// envelope | "1.0" | request id | domain | address | identity | mechanism | credentials …
/// ```
///
/// Strings have 255 octets at most, the request id as many as it likes. RFC 27 asks for ASCII; domain and address are
/// UTF-8 here, since handlers take whatever the domain is configured to be, and the domain may be empty, as libzmq's.
///
/// Under PLAIN the credentials are a password. `Debug` does not show them, and the frames of a [`Message`] that holds them
/// are not wiped, unlike [`PlainCredentials`]: keep neither longer than it takes to ask.
///
/// ```
/// use zmtp_connection::codec::{Claim, Credentials, MechanismName};
/// use zmtp_connection::zap::{Envelope, ZapRequest};
/// use zmtp_connection::{AuthRequest, PeerAddress};
///
/// let claim = Claim::new(Credentials::PublicKey([7; 32]));
/// let peer = AuthRequest::new(MechanismName::CURVE, claim)
///     .with_domain("jobs")
///     .with_address(PeerAddress::Ip("192.0.2.1".parse()?));
/// let message = ZapRequest::new(&peer, "1")?.to_message();
/// assert_eq!(message.parts()[..7], ["", "1.0", "1", "jobs", "192.0.2.1", "", "CURVE"]);
///
/// let (envelope, request) = ZapRequest::decode(&message)?;
/// assert_eq!(envelope, Envelope::direct());
/// assert_eq!(request.to_auth_request()?, peer);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ZapRequest {
    request_id: Bytes,
    domain: Box<str>,
    address: Box<str>,
    identity: Bytes,
    mechanism: MechanismName,
    credentials: Vec<Bytes>,
}

impl ZapRequest {
    /// Puts what is known of a peer into a request. The reply comes with the same `request_id`.
    ///
    /// The address is [`PeerAddress::zap_text`], empty if none is known. The identity is the peer's if it is known by now,
    /// which it is under a mechanism with keys, and else empty.
    ///
    /// # Errors
    /// [`ZapError::TooLong`] if the domain, the address or the identity is longer than 255 octets.
    /// [`ZapError::Credentials`] if a mechanism that has credentials comes without them: that is a client of PLAIN, which
    /// has nothing of its server that a handler could judge. [`ZapError::UnknownMechanism`] if the mechanism has no name, or
    /// credentials of a kind that ZAP does not know.
    pub fn new(request: &AuthRequest, request_id: impl Into<Bytes>) -> Result<Self, ZapError> {
        let mechanism = request.mechanism();
        if mechanism.as_str().is_none() {
            return Err(ZapError::UnknownMechanism { mechanism });
        }
        let request = Self {
            request_id: request_id.into(),
            domain: request.domain().into(),
            address: request.address().map(PeerAddress::zap_text).unwrap_or_default().into(),
            identity: request.identity().map(Identity::into_bytes).unwrap_or_default(),
            mechanism,
            credentials: frames_of(mechanism, request.credentials())?,
        };
        request.check_lengths()?;
        match request.credentials() {
            // A handler may know what we do not.
            Ok(_) | Err(ZapError::UnknownMechanism { .. }) => Ok(request),
            Err(error) => Err(error),
        }
    }

    /// The request as a REQ or DEALER writes it on the wire: an empty delimiter first.
    #[must_use]
    pub fn to_message(&self) -> Message {
        let fields: [Bytes; FIELDS] = [
            Bytes::from_static(VERSION),
            self.request_id.clone(),
            Bytes::copy_from_slice(self.domain.as_bytes()),
            Bytes::copy_from_slice(self.address.as_bytes()),
            self.identity.clone(),
            Bytes::copy_from_slice(self.mechanism.as_str().unwrap_or_default().as_bytes()),
        ];
        Envelope::direct().enclose(fields.into_iter().chain(self.credentials.iter().cloned()))
    }

    /// Reads a request, and the envelope that its reply needs: any number of routing ids and the empty delimiter, or
    /// nothing at all if the message comes from a REP socket that has taken them off. What begins with `1.0` is such a
    /// message; a routing id of that name is not possible.
    ///
    /// Which credentials there are is not looked at yet: that is for [`to_auth_request`](Self::to_auth_request).
    ///
    /// # Errors
    /// [`ZapError::NoDelimiter`], [`ZapError::Version`], [`ZapError::Incomplete`], [`ZapError::TooLong`],
    /// [`ZapError::NotText`] (domain and address), [`ZapError::MechanismName`].
    pub fn decode(message: &Message) -> Result<(Envelope, Self), ZapError> {
        let frames = message.part_count();
        let (envelope, body) = Envelope::split(message.parts()).ok_or(ZapError::NoDelimiter)?;
        let Some((version, body)) = body.split_first() else { return Err(ZapError::Incomplete { frames }) };
        if version != VERSION {
            return Err(ZapError::Version { version: shown(version) });
        }
        let [request_id, domain, address, identity, mechanism, credentials @ ..] = body else {
            return Err(ZapError::Incomplete { frames });
        };
        let request = Self {
            request_id: request_id.clone(),
            domain: text("domain", domain)?,
            address: text("address", address)?,
            identity: identity.clone(),
            mechanism: MechanismName::new(&text("mechanism", mechanism)?)?,
            credentials: credentials.to_vec(),
        };
        request.check_lengths()?;
        Ok((envelope, request))
    }

    fn check_lengths(&self) -> Result<(), ZapError> {
        check_len("domain", self.domain.len())?;
        check_len("address", self.address.len())?;
        check_len("identity", self.identity.len())
    }

    /// What the reply has to echo. libzmq's is always `1`, since it asks one question at a time on each of its pipes.
    #[must_use]
    pub const fn request_id(&self) -> &Bytes {
        &self.request_id
    }

    /// The ZAP domain of the socket that the peer wants to talk to.
    #[must_use]
    pub const fn domain(&self) -> &str {
        &self.domain
    }

    /// Where the peer comes from, as [`PeerAddress::zap_text`]; empty if that is not known.
    #[must_use]
    pub const fn address(&self) -> &str {
        &self.address
    }

    /// By RFC 27 the identity of the peer; **libzmq sends that of its own socket**, the same for every peer.
    #[must_use]
    pub const fn identity(&self) -> &Bytes {
        &self.identity
    }

    /// The security mechanism of the connection.
    #[must_use]
    pub const fn mechanism(&self) -> MechanismName {
        self.mechanism
    }

    /// The frames with the credentials, as they came. Those of PLAIN hold the password: see
    /// [`to_auth_request`](Self::to_auth_request).
    #[must_use]
    pub fn danger_credentials(&self) -> &[Bytes] {
        &self.credentials
    }

    /// The request as an [`Authenticator`](crate::Authenticator) is asked it.
    ///
    /// NULL has no credentials, PLAIN a username and a password, CURVE, BLAKE3 and BLAKE3-CHACHAPOLY a public key, whose
    /// owner the server has verified. An address that is an IP address becomes [`PeerAddress::Ip`], any other that is not
    /// empty [`PeerAddress::Other`]. The identity is not carried over: it may be the server's own.
    ///
    /// # Errors
    /// [`ZapError::UnknownMechanism`], [`ZapError::Credentials`], [`ZapError::KeyLength`] or [`ZapError::TooLong`] (username
    /// and password) if there are other credentials than these. Nobody becomes
    /// [`Anonymous`](Credentials::Anonymous) who is not.
    pub fn to_auth_request(&self) -> Result<AuthRequest, ZapError> {
        let claim = Claim::new(self.credentials()?);
        let request = AuthRequest::new(self.mechanism, claim).with_domain(&*self.domain);
        Ok(match self.address.parse::<IpAddr>() {
            Ok(ip) => request.with_address(ip),
            Err(_) if self.address.is_empty() => request,
            Err(_) => request.with_address(PeerAddress::Other(self.address.clone())),
        })
    }

    fn credentials(&self) -> Result<Credentials, ZapError> {
        let mechanism = self.mechanism;
        match (mechanism, &*self.credentials) {
            (MechanismName::NULL, []) => Ok(Credentials::Anonymous),
            (MechanismName::PLAIN, [username, password]) => plain(username, password).map(Credentials::Plain),
            (MechanismName::CURVE | MechanismName::BLAKE3 | MechanismName::BLAKE3_CHACHAPOLY, [key]) => {
                let wrong = |_| ZapError::KeyLength { mechanism, len: key.len() };
                key[..].try_into().map(Credentials::PublicKey).map_err(wrong)
            }
            (
                MechanismName::NULL
                | MechanismName::PLAIN
                | MechanismName::CURVE
                | MechanismName::BLAKE3
                | MechanismName::BLAKE3_CHACHAPOLY,
                frames,
            ) => Err(ZapError::Credentials { mechanism, frames: frames.len() }),
            _ => Err(ZapError::UnknownMechanism { mechanism }),
        }
    }
}

/// Any credentials as ZAP carries them.
fn frames_of(mechanism: MechanismName, credentials: &Credentials) -> Result<Vec<Bytes>, ZapError> {
    match credentials {
        Credentials::Anonymous => Ok(Vec::new()),
        Credentials::Plain(plain) => {
            Ok([plain.username(), plain.danger_password()].map(Bytes::copy_from_slice).to_vec())
        }
        Credentials::PublicKey(key) => Ok(vec![Bytes::copy_from_slice(key)]),
        _ => Err(ZapError::UnknownMechanism { mechanism }),
    }
}

fn plain(username: &[u8], password: &[u8]) -> Result<PlainCredentials, ZapError> {
    check_len("username", username.len())?;
    let too_long = |_| ZapError::TooLong { field: "password", len: password.len() };
    PlainCredentials::new(username, password).map_err(too_long)
}

fn text(field: &'static str, octets: &[u8]) -> Result<Box<str>, ZapError> {
    str::from_utf8(octets).map(Into::into).map_err(|_| ZapError::NotText { field })
}

impl fmt::Debug for ZapRequest {
    /// Shows no credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZapRequest")
            .field("request_id", &self.request_id)
            .field("domain", &self.domain)
            .field("address", &self.address)
            .field("identity", &self.identity)
            .field("mechanism", &self.mechanism)
            .field("credentials", &format_args!("[{} redacted]", self.credentials.len()))
            .finish()
    }
}

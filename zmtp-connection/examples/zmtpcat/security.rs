//! How connections are secured: the options, the mechanism that they make, and who judges the peers.

use std::path::PathBuf;

use clap::Args;
use zmtp_connection::codec::{AnyMechanism, Mechanism, MechanismName, Verdict};
use zmtp_connection::{AllowAny, AuthRequest, Authenticator, Null};

use crate::endpoint::Endpoint;

/// The mechanisms that this program knows, and whether it has them.
const MECHANISMS: [(&str, bool); 5] = [
    ("null", true),
    ("plain", cfg!(feature = "plain")),
    ("curve", cfg!(feature = "curve")),
    ("blake3-chachapoly", cfg!(feature = "blake3")),
    ("blake3", cfg!(feature = "blake3zmq")),
];

/// The options for it. Keys and passwords are plain texts here, since clap shows a value that it cannot parse, and a
/// secret must not be shown. For the same reason there is no `Debug`.
#[derive(Args)]
pub(crate) struct SecurityArgs {
    /// Security mechanism: null, or plain, curve, blake3-chachapoly or blake3 if it is built in.
    ///
    /// null neither encrypts nor authenticates. plain sends a username and a password, and all the rest, in the clear.
    /// curve and blake3-chachapoly encrypt: the client must know the server's public key, and the server may let in certain
    /// client keys only. A key is 40 characters of Z85; `zmtpcat keygen` makes a pair. blake3 is for old peers that know
    /// nothing better: whoever is on the path can drop, repeat or swap messages, and it goes unnoticed.
    #[arg(long, value_name = "NAME", default_value = "null")]
    mechanism: String,
    /// Be the server of the security handshake (the default of a binder). Under null, that is who may ask --zap.
    #[arg(long, conflicts_with = "as_client")]
    as_server: bool,
    /// Be the client of the security handshake (the default of a connector).
    #[arg(long)]
    as_client: bool,
    /// Be a client of the server with this public key.
    ///
    /// Nobody else can pass for that server. A binder is a client, too, if this is given.
    #[arg(long, value_name = "K", allow_hyphen_values = true)]
    pub(crate) server_key: Option<String>,
    /// Our public key. It may be left out: it follows from the secret key, and must belong to it.
    #[arg(long, value_name = "K", allow_hyphen_values = true)]
    pub(crate) public_key: Option<String>,
    /// Our secret key. Others on this machine can see it: --secret-key-file is better.
    ///
    /// A server needs one. A client without one makes a pair for this run, which is enough where any client is let in.
    #[arg(long, value_name = "K", allow_hyphen_values = true, conflicts_with = "secret_key_file")]
    pub(crate) secret_key: Option<String>,
    /// Our secret key from a file: the key alone, or a certificate such as `zmtpcat keygen --out NAME` writes.
    ///
    /// A server takes up to four of them, and clients may know it by any: so a key can be replaced step by step.
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_key_file: Vec<PathBuf>,
    /// Server: let in the client with this public key (repeatable), and no others. Without it any client is let in.
    #[arg(long, value_name = "K", allow_hyphen_values = true)]
    pub(crate) allow_key: Vec<String>,
    /// The username of plain: the one that a client sends, or that a server lets in.
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub(crate) username: Option<String>,
    /// The password that belongs to it. Others on this machine can see it: --password-file is better.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with = "password_file")]
    pub(crate) password: Option<String>,
    /// The password from the first line of a file.
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// Server: ask the ZAP handler at this endpoint about every client, if zap is built in.
    ///
    /// A client may come back for as long as the handler does not answer.
    #[arg(long, value_name = "ENDPOINT")]
    zap: Option<String>,
}

/// What every connection of this run is secured with.
#[derive(Clone, Debug)]
pub(crate) struct Security {
    pub(crate) mechanism: AnyMechanism,
    pub(crate) judge: Judge,
}

/// Who is let in.
#[derive(Clone, Debug)]
pub(crate) enum Judge {
    /// Everybody.
    Any,
    /// The owners of these keys.
    #[cfg(any(feature = "curve", feature = "blake3"))]
    Keys(zmtp_connection::AllowList),
    /// Who knows one of these passwords.
    #[cfg(feature = "plain")]
    Users(zmtp_connection::CredentialList),
    /// Whom a ZAP handler lets in.
    #[cfg(feature = "zap")]
    Handler(std::sync::Arc<crate::zap::Handler>),
}

impl Authenticator for Judge {
    async fn authenticate(&self, request: AuthRequest) -> Verdict {
        match self {
            Self::Any => AllowAny.authenticate(request).await,
            #[cfg(any(feature = "curve", feature = "blake3"))]
            Self::Keys(list) => list.authenticate(request).await,
            #[cfg(feature = "plain")]
            Self::Users(list) => list.authenticate(request).await,
            #[cfg(feature = "zap")]
            Self::Handler(handler) => handler.authenticate(request).await,
        }
    }
}

impl Security {
    pub(crate) fn new(mechanism: impl Mechanism, judge: Judge) -> Self {
        Self { mechanism: AnyMechanism::new(mechanism), judge }
    }

    /// What whoever chose this should know, if it is used at this endpoint.
    pub(crate) fn warnings(&self, endpoint: &Endpoint) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.mechanism.name() == MechanismName::PLAIN && !endpoint.is_local() {
            warnings.push(format!(
                "PLAIN sends the password in the clear, and {endpoint} is no loopback address: \
                 whoever is on the path can read it"
            ));
        }
        if self.mechanism.name() == MechanismName::BLAKE3 {
            warnings.push(
                "BLAKE3 does not notice when messages are dropped, repeated or swapped on the way; \
                 use blake3-chachapoly unless the peer is too old for it"
                    .to_owned(),
            );
        }
        #[cfg(feature = "zap")]
        if let Judge::Handler(handler) = &self.judge {
            warnings.extend(handler.warning());
        }
        warnings
    }
}

impl SecurityArgs {
    /// Makes the mechanism and the judge, or says what cannot be.
    pub(crate) fn check(&self, binds: bool) -> Result<Security, String> {
        let name = self.mechanism.to_ascii_lowercase();
        #[cfg(any(feature = "curve", feature = "blake3"))]
        if let Some(mechanism) = crate::keys::Keyed::named(&name) {
            self.refuse_password(&name)?;
            return crate::keys::secure(mechanism, self, self.is_server(binds)?);
        }
        match name.as_str() {
            "null" => self.null(binds),
            #[cfg(feature = "plain")]
            "plain" => {
                self.refuse_keys("plain")?;
                crate::plain::secure(self, self.is_server(binds)?)
            }
            name if MECHANISMS.iter().any(|(known, _)| *known == name) => {
                Err(format!("the mechanism {} is not built in", self.mechanism))
            }
            _ => {
                let built_in: Vec<_> =
                    MECHANISMS.iter().filter(|(_, built_in)| *built_in).map(|(name, _)| *name).collect();
                Err(format!("{} is no mechanism; built in: {}", self.mechanism, built_in.join(", ")))
            }
        }
    }

    fn null(&self, binds: bool) -> Result<Security, String> {
        self.refuse_keys("null")?;
        self.refuse_password("null")?;
        Ok(match self.handler(self.is_server(binds)?)? {
            // Asked before our READY, so that a refusal is to libzmq what its own is.
            Some(judge) => Security::new(Null::with_authorization(), judge),
            None => Security::new(Null::new(), Judge::Any),
        })
    }

    /// Who gives keys means to be encrypted. Ignoring them would let the messages travel in the clear.
    fn refuse_keys(&self, mechanism: &str) -> Result<(), String> {
        let given = [
            ("--server-key", self.server_key.is_some()),
            ("--public-key", self.public_key.is_some()),
            ("--secret-key", self.secret_key.is_some()),
            ("--secret-key-file", !self.secret_key_file.is_empty()),
            ("--allow-key", !self.allow_key.is_empty()),
        ];
        match first(given) {
            Some(option) => {
                Err(format!("{option} needs --mechanism curve or blake3-chachapoly: {mechanism} has no keys"))
            }
            None => Ok(()),
        }
    }

    /// Who gives a password means that it decides who is let in. Ignoring it would let in anybody.
    fn refuse_password(&self, mechanism: &str) -> Result<(), String> {
        let given = [
            ("--username", self.username.is_some()),
            ("--password", self.password.is_some()),
            ("--password-file", self.password_file.is_some()),
        ];
        match first(given) {
            Some(option) => Err(format!("{option} needs --mechanism plain: {mechanism} has no passwords")),
            None => Ok(()),
        }
    }

    fn is_server(&self, binds: bool) -> Result<bool, String> {
        if self.as_server && self.server_key.is_some() {
            return Err("--server-key makes a client, and --as-server a server; leave one out".to_owned());
        }
        Ok(self.as_server || (binds && !self.as_client && self.server_key.is_none()))
    }

    /// The ZAP handler as the judge, if there is to be one.
    pub(crate) fn handler(&self, server: bool) -> Result<Option<Judge>, String> {
        let Some(endpoint) = &self.zap else { return Ok(None) };
        if !server {
            return Err("--zap is for a server, which asks whether to let in a client \
                        (for a server that connects, say --as-server)"
                .to_owned());
        }
        let endpoint = Endpoint::parse(endpoint, false).map_err(|problem| format!("--zap: {problem}"))?;
        #[cfg(feature = "zap")]
        return Ok(Some(Judge::Handler(crate::zap::Handler::new(endpoint).into())));
        #[cfg(not(feature = "zap"))]
        Err(format!("--zap {endpoint}: zap is not built in"))
    }
}

/// The first of the options that is given.
fn first<const N: usize>(options: [(&'static str, bool); N]) -> Option<&'static str> {
    options.into_iter().find(|(_, given)| *given).map(|(option, _)| option)
}

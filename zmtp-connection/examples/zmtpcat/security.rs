//! How connections are secured: the options, the mechanism that they make, and who judges the peers.

use std::path::PathBuf;

use clap::Args;
use zmtp_connection::codec::{AnyMechanism, Verdict};
use zmtp_connection::{AllowAny, AllowList, AuthRequest, Authenticator, Null};

/// What is built in, for the messages.
const BUILT_IN: &str = if cfg!(feature = "curve") { "null, curve" } else { "null" };

/// The options for it. Keys are plain texts here, since clap shows a value that it cannot parse, and a secret key must
/// not be shown. For the same reason there is no `Debug`.
#[derive(Args)]
pub(crate) struct SecurityArgs {
    /// Security mechanism: null, or curve if it is built in.
    ///
    /// null neither encrypts nor authenticates. curve encrypts: the client must know the server's public key, and the
    /// server may let in certain client keys only. A key is 40 characters of Z85; `zmtpcat keygen` makes a pair.
    #[arg(long, value_name = "NAME", default_value = "null")]
    mechanism: String,
    /// Be the server of the security handshake (the default of a binder). NULL has no sides.
    #[arg(long, conflicts_with = "as_client")]
    as_server: bool,
    /// Be the client of the security handshake (the default of a connector). NULL has no sides.
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
}

/// What every connection of this run is secured with.
#[derive(Clone, Debug)]
pub(crate) struct Security {
    pub(crate) mechanism: AnyMechanism,
    pub(crate) judge: Judge,
}

/// Who is let in.
#[derive(Clone, Debug)]
pub(crate) struct Judge {
    /// The owners of these keys; `None`: everybody.
    pub(crate) only: Option<AllowList>,
}

impl Authenticator for Judge {
    async fn authenticate(&self, request: AuthRequest) -> Verdict {
        match &self.only {
            Some(list) => list.authenticate(request).await,
            None => AllowAny.authenticate(request).await,
        }
    }
}

impl SecurityArgs {
    /// Makes the mechanism and the judge, or says what cannot be.
    #[cfg_attr(not(feature = "curve"), expect(unused_variables, reason = "null has no sides"))]
    pub(crate) fn check(&self, binds: bool) -> Result<Security, String> {
        match self.mechanism.to_ascii_lowercase().as_str() {
            "null" => {
                self.refuse_keys()?;
                Ok(Security { mechanism: AnyMechanism::new(Null::new()), judge: Judge { only: None } })
            }
            #[cfg(feature = "curve")]
            "curve" => crate::curve::secure(self, self.is_server(binds)?),
            #[cfg(not(feature = "curve"))]
            "curve" => Err(format!("the mechanism {} is not built in", self.mechanism)),
            "plain" | "blake3" | "blake3-chachapoly" => {
                Err(format!("the mechanism {} is not built in", self.mechanism))
            }
            _ => Err(format!("{} is no mechanism; built in: {BUILT_IN}", self.mechanism)),
        }
    }

    /// Who gives keys means to be secured. Ignoring them would let the messages travel in the clear.
    fn refuse_keys(&self) -> Result<(), String> {
        let given = [
            ("--server-key", self.server_key.is_some()),
            ("--public-key", self.public_key.is_some()),
            ("--secret-key", self.secret_key.is_some()),
            ("--secret-key-file", !self.secret_key_file.is_empty()),
            ("--allow-key", !self.allow_key.is_empty()),
        ];
        match given.iter().find(|(_, given)| *given) {
            Some((option, _)) => Err(format!("{option} needs --mechanism curve: null has no keys")),
            None => Ok(()),
        }
    }

    #[cfg(feature = "curve")]
    fn is_server(&self, binds: bool) -> Result<bool, String> {
        if self.as_server && self.server_key.is_some() {
            return Err("--server-key makes a client, and --as-server a server; leave one out".to_owned());
        }
        Ok(self.as_server || (binds && !self.as_client && self.server_key.is_none()))
    }
}

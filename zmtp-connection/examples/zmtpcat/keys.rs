//! The mechanisms that have keys, out of the options: which keys, whose, and who is let in.

use std::path::Path;

use zmtp_connection::codec::MechanismName;
use zmtp_connection::{AllowList, Certificate, KeyPair, PublicKey, SecretKey};
#[cfg(feature = "blake3")]
use zmtp_connection::{Blake3Client, Blake3Server};
#[cfg(feature = "blake3zmq")]
use zmtp_connection::{Blake3ZmqClient, Blake3ZmqServer};
#[cfg(feature = "curve")]
use zmtp_connection::{CurveClient, CurveServer};

use crate::secret_file;
use crate::security::{Judge, Security, SecurityArgs};

/// A mechanism that has keys. The keys are the same for each of them.
#[derive(Clone, Copy)]
pub(crate) enum Keyed {
    #[cfg(feature = "curve")]
    Curve,
    #[cfg(feature = "blake3")]
    Blake3ChachaPoly,
    #[cfg(feature = "blake3zmq")]
    Blake3,
}

impl Keyed {
    /// The one that the option calls so, if it is built in.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            #[cfg(feature = "curve")]
            "curve" => Self::Curve,
            #[cfg(feature = "blake3")]
            "blake3-chachapoly" => Self::Blake3ChachaPoly,
            #[cfg(feature = "blake3zmq")]
            "blake3" => Self::Blake3,
            _ => return None,
        })
    }

    /// Its name in a greeting.
    fn name(self) -> MechanismName {
        match self {
            #[cfg(feature = "curve")]
            Self::Curve => MechanismName::CURVE,
            #[cfg(feature = "blake3")]
            Self::Blake3ChachaPoly => MechanismName::BLAKE3_CHACHAPOLY,
            #[cfg(feature = "blake3zmq")]
            Self::Blake3 => MechanismName::BLAKE3,
        }
    }

    /// A server known by any of these keys.
    fn server(self, pairs: Vec<KeyPair>, judge: Judge) -> Result<Security, String> {
        match self {
            #[cfg(feature = "curve")]
            Self::Curve => CurveServer::with_keys(pairs).map(|server| Security::new(server, judge)),
            #[cfg(feature = "blake3")]
            Self::Blake3ChachaPoly => Blake3Server::with_keys(pairs).map(|server| Security::new(server, judge)),
            #[cfg(feature = "blake3zmq")]
            Self::Blake3 => Blake3ZmqServer::with_keys(pairs).map(|server| Security::new(server, judge)),
        }
        .map_err(|error| format!("--secret-key-file: {error}"))
    }

    /// A client known by this key, which checks the server's.
    fn client(self, server_key: PublicKey, pair: KeyPair) -> Security {
        match self {
            #[cfg(feature = "curve")]
            Self::Curve => Security::new(CurveClient::new(server_key, pair), Judge::Any),
            #[cfg(feature = "blake3")]
            Self::Blake3ChachaPoly => Security::new(Blake3Client::new(server_key, pair), Judge::Any),
            #[cfg(feature = "blake3zmq")]
            Self::Blake3 => Security::new(Blake3ZmqClient::new(server_key, pair), Judge::Any),
        }
    }
}

/// The mechanism and the judge. What it says when something is wrong never has a key in it.
pub(crate) fn secure(mechanism: Keyed, args: &SecurityArgs, server: bool) -> Result<Security, String> {
    if server { self::server(mechanism, args) } else { client(mechanism, args) }
}

fn server(mechanism: Keyed, args: &SecurityArgs) -> Result<Security, String> {
    let pairs = key_pairs(args)?;
    if pairs.is_empty() {
        return Err(format!(
            "a {} server needs --secret-key-file or --secret-key; \
             `zmtpcat keygen --out NAME` makes the file NAME.key_secret \
             (for a client, say --server-key)",
            mechanism.name()
        ));
    }
    let allowed = args.allow_key.iter().map(|text| public_key("--allow-key", text)).collect::<Result<Vec<_>, _>>()?;
    let judge = match (args.handler(true)?, allowed.is_empty()) {
        (Some(handler), true) => handler,
        (None, false) => Judge::Keys(AllowList::new(allowed)),
        (None, true) => Judge::Any,
        (Some(_), false) => return Err("--zap and --allow-key both say who is let in; leave one out".to_owned()),
    };
    mechanism.server(pairs, judge)
}

fn client(mechanism: Keyed, args: &SecurityArgs) -> Result<Security, String> {
    args.handler(false)?;
    if !args.allow_key.is_empty() {
        return Err("--allow-key is for a server; a client checks the server by --server-key".to_owned());
    }
    let Some(server_key) = &args.server_key else {
        return Err(format!(
            "a {} client needs --server-key, the server's public key (for a server that connects, say --as-server)",
            mechanism.name()
        ));
    };
    let server_key = public_key("--server-key", server_key)?;
    let mut pairs = key_pairs(args)?.into_iter();
    let pair = match (pairs.next(), pairs.next()) {
        (Some(pair), None) => pair,
        // For this run, and known to nobody.
        (None, _) => KeyPair::generate().map_err(|error| error.to_string())?,
        (Some(_), Some(_)) => return Err("a client has one --secret-key-file".to_owned()),
    };
    Ok(mechanism.client(server_key, pair))
}

/// Our own keys, as many as there are.
fn key_pairs(args: &SecurityArgs) -> Result<Vec<KeyPair>, String> {
    let mut pairs = match &args.secret_key {
        Some(text) => {
            let secret = SecretKey::from_z85(text).map_err(|error| format!("--secret-key: {error}"))?;
            vec![KeyPair::from_secret(secret)]
        }
        None => args.secret_key_file.iter().map(|path| key_file(path)).collect::<Result<Vec<_>, _>>()?,
    };
    let Some(text) = &args.public_key else { return Ok(pairs) };
    let public = public_key("--public-key", text)?;
    match (pairs.pop(), pairs.is_empty()) {
        (Some(pair), true) => {
            let (_, secret) = pair.into_parts();
            let pair = KeyPair::new(public, secret).map_err(|error| format!("--public-key: {error}"))?;
            Ok(vec![pair])
        }
        (None, _) => Err("--public-key needs the secret key that belongs to it: \
                          --secret-key-file or --secret-key"
            .to_owned()),
        (Some(_), false) => Err("--public-key goes with one secret key; leave it out".to_owned()),
    }
}

fn public_key(option: &str, text: &str) -> Result<PublicKey, String> {
    text.parse().map_err(|error| format!("{option}: {error}"))
}

/// Reads a key in Z85 that stands alone, or a certificate.
fn key_file(path: &Path) -> Result<KeyPair, String> {
    // Given a key in place of a file, the system's "no such file" would show it.
    if path.to_str().is_some_and(|text| SecretKey::from_z85(text).is_ok()) && !path.exists() {
        return Err("--secret-key-file takes the name of a file, and this is a key; it belongs into a file".to_owned());
    }
    let said = |problem: String| format!("--secret-key-file {}: {problem}", path.display());
    // One octet more than is taken.
    let octets = secret_file::read(path, Certificate::MAX_LEN + 1).map_err(|error| said(error.to_string()))?;
    let text = std::str::from_utf8(&octets)
        .map_err(|_| said("this is neither a key in Z85 nor a certificate: it is no text".to_owned()))?;
    match text.trim() {
        "" => Err(said("the file is empty".to_owned())),
        // No certificate is a single word.
        word if !word.contains(char::is_whitespace) => {
            SecretKey::from_z85(word).map(KeyPair::from_secret).map_err(|error| said(error.to_string()))
        }
        _ => Certificate::parse(text).and_then(Certificate::into_key_pair).map_err(|error| said(error.to_string())),
    }
}

//! CURVE out of the options: which keys, whose, and who is let in.

use std::path::Path;

use zmtp_connection::{AllowList, Certificate, CurveClient, CurveServer, KeyPair, PublicKey, SecretKey};

use crate::secret_file;
use crate::security::{Judge, Security, SecurityArgs};

/// The mechanism and the judge. What it says when something is wrong never has a key in it.
pub(crate) fn secure(args: &SecurityArgs, server: bool) -> Result<Security, String> {
    if server { self::server(args) } else { client(args) }
}

fn server(args: &SecurityArgs) -> Result<Security, String> {
    let pairs = key_pairs(args)?;
    if pairs.is_empty() {
        return Err("a CURVE server needs --secret-key-file or --secret-key; \
                    `zmtpcat keygen --out NAME` makes the file NAME.key_secret \
                    (for a client, say --server-key)"
            .to_owned());
    }
    let mechanism = CurveServer::with_keys(pairs).map_err(|error| format!("--secret-key-file: {error}"))?;
    let allowed = args.allow_key.iter().map(|text| public_key("--allow-key", text)).collect::<Result<Vec<_>, _>>()?;
    let judge = match (args.handler(true)?, allowed.is_empty()) {
        (Some(handler), true) => handler,
        (None, false) => Judge::Keys(AllowList::new(allowed)),
        (None, true) => Judge::Any,
        (Some(_), false) => return Err("--zap and --allow-key both say who is let in; leave one out".to_owned()),
    };
    Ok(Security::new(mechanism, judge))
}

fn client(args: &SecurityArgs) -> Result<Security, String> {
    args.handler(false)?;
    if !args.allow_key.is_empty() {
        return Err("--allow-key is for a server; a client checks the server by --server-key".to_owned());
    }
    let Some(server_key) = &args.server_key else {
        return Err("a CURVE client needs --server-key, the server's public key \
                    (for a server that connects, say --as-server)"
            .to_owned());
    };
    let server_key = public_key("--server-key", server_key)?;
    let mut pairs = key_pairs(args)?.into_iter();
    let mechanism = match (pairs.next(), pairs.next()) {
        (Some(pair), None) => CurveClient::new(server_key, pair),
        (None, _) => CurveClient::anonymous(server_key).map_err(|error| error.to_string())?,
        (Some(_), Some(_)) => return Err("a client has one --secret-key-file".to_owned()),
    };
    Ok(Security::new(mechanism, Judge::Any))
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

//! PLAIN out of the options: which username and password, and who is let in.

use std::path::Path;

use zeroize::Zeroizing;
use zmtp_connection::{CredentialList, PlainClient, PlainCredentials, PlainServer};

use crate::secret_file;
use crate::security::{Judge, Security, SecurityArgs};

/// The mechanism and the judge. What it says when something is wrong never has the password in it.
pub(crate) fn secure(args: &SecurityArgs, server: bool) -> Result<Security, String> {
    if server { self::server(args) } else { client(args) }
}

fn server(args: &SecurityArgs) -> Result<Security, String> {
    let judge = match (args.handler(true)?, credentials(args)?) {
        (Some(handler), None) => handler,
        (None, Some(accepted)) => Judge::Users(CredentialList::new([accepted])),
        (None, None) => {
            return Err("a PLAIN server needs --username and --password-file (or --password), or --zap: \
                        it could let in nobody \
                        (for a client, say --as-client)"
                .to_owned());
        }
        (Some(_), Some(_)) => {
            return Err("--zap and --username both say who is let in; leave one out".to_owned());
        }
    };
    Ok(Security::new(PlainServer::new(), judge))
}

fn client(args: &SecurityArgs) -> Result<Security, String> {
    args.handler(false)?;
    let Some(credentials) = credentials(args)? else {
        return Err("a PLAIN client needs --username and --password-file (or --password) \
                    (for a server that connects, say --as-server)"
            .to_owned());
    };
    Ok(Security::new(PlainClient::new(credentials), Judge::Any))
}

/// What was given, if anything: both halves, either of which may be empty.
fn credentials(args: &SecurityArgs) -> Result<Option<PlainCredentials>, String> {
    let username = match (&args.username, &args.password, &args.password_file) {
        (None, None, None) => return Ok(None),
        (Some(username), _, _) => username,
        (None, Some(_), _) => return Err("--password needs --username".to_owned()),
        (None, None, Some(_)) => return Err("--password-file needs --username".to_owned()),
    };
    let credentials = match (&args.password, &args.password_file) {
        (Some(password), _) => PlainCredentials::new(username, password),
        (None, Some(path)) => PlainCredentials::new(username, first_line(path)?),
        (None, None) => return Err("--username needs --password-file or --password".to_owned()),
    };
    credentials.map(Some).map_err(|error| error.to_string())
}

/// Reads a password, without the end of its line. The errors do not name the file: somebody may have given the password
/// in its place.
fn first_line(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    const LONGEST: usize = PlainCredentials::MAX_LEN;
    let mut octets =
        secret_file::read(path, LONGEST + "\r\n".len()).map_err(|error| format!("--password-file: {error}"))?;
    if octets.is_empty() {
        return Err("--password-file: the file is empty (for an empty password, write an empty line)".to_owned());
    }
    if let Some(end) = octets.iter().position(|&octet| octet == b'\n') {
        octets.truncate(end);
        if octets.last() == Some(&b'\r') {
            octets.pop();
        }
    }
    if octets.len() > LONGEST {
        return Err(format!("--password-file: the first line is too long: a password has {LONGEST} octets at most"));
    }
    Ok(octets)
}

//! `zmtpcat keygen`: makes a key pair, and prints it or writes it into files.

use std::path::PathBuf;

use clap::Args;

use crate::code;
use crate::events::say;

#[expect(clippy::doc_markdown, reason = "these comments are the text of --help")]
#[derive(Args)]
pub(crate) struct KeygenArgs {
    /// Write NAME.key, to give away, and NAME.key_secret, which only its owner can read, instead of printing both keys.
    ///
    /// They are certificates as czmq and pyzmq read them. No file is overwritten.
    #[arg(long, value_name = "NAME")]
    out: Option<PathBuf>,
}

/// Makes a pair, and returns the exit code.
#[cfg(any(feature = "curve", feature = "blake3"))]
pub(crate) fn run(args: KeygenArgs) -> i32 {
    let made = match args.out {
        None => print(),
        Some(name) => write(name),
    };
    match made {
        Ok(()) => code::DONE,
        Err(problem) => {
            say(format_args!("zmtpcat: {problem}"));
            code::FAILED
        }
    }
}

/// Without a mechanism that has keys there is nothing to make them for.
#[cfg(not(any(feature = "curve", feature = "blake3")))]
pub(crate) fn run(args: KeygenArgs) -> i32 {
    drop(args.out);
    say("zmtpcat: keygen: neither the mechanism curve nor blake3-chachapoly is built in, and no other has keys");
    code::USAGE
}

/// Both keys on stdout.
#[cfg(any(feature = "curve", feature = "blake3"))]
fn print() -> Result<(), String> {
    let pair = zmtp_connection::KeyPair::generate().map_err(|error| error.to_string())?;
    tell(&[("public-key", &pair.public_key().to_z85()), ("secret-key", &pair.secret_key().danger_to_z85())])
}

/// Both keys in files, and on stdout what may be shown.
#[cfg(any(feature = "curve", feature = "blake3"))]
fn write(name: PathBuf) -> Result<(), String> {
    use std::ffi::OsString;
    use zmtp_connection::{Certificate, KeyPair};

    let mut path = OsString::from(name);
    path.push(".key");
    // `save` would replace it, and not everybody who calls a file so keeps only a public key in it.
    if PathBuf::from(&path).symlink_metadata().is_ok() {
        return Err(format!("there is a file {} already; move it away", path.display()));
    }
    let pair = KeyPair::generate().map_err(|error| error.to_string())?;
    let public = pair.public_key().to_z85();
    Certificate::new(pair).save(&path).map_err(|error| error.to_string())?;
    let file = path.display().to_string();
    tell(&[("public-key", &public), ("public-file", &file), ("secret-file", &format!("{file}_secret"))])
}

/// One line for each: a name, two spaces, a value.
#[cfg(any(feature = "curve", feature = "blake3"))]
fn tell(lines: &[(&str, &str)]) -> Result<(), String> {
    use std::io::Write;

    let mut stdout = std::io::stdout().lock();
    let told = lines.iter().try_for_each(|(name, value)| writeln!(stdout, "{name}  {value}"));
    told.and_then(|()| stdout.flush()).map_err(|error| format!("stdout: {error}"))
}

//! The octets of the handshake commands (RFC 24).
//!
//! ```text
//! HELLO     length 1 │ username │ length 1 │ password
//! WELCOME   nothing
//! INITIATE  metadata
//! READY     metadata
//! ERROR     length 1 │ reason
//! ```
//!
//! These are the data of a command, behind its name.

use zmtp_codec::{CommandName, ErrorReason, MechanismError, Properties, RawCommand, WireCommand};

pub(crate) const HELLO: &str = "HELLO";
pub(crate) const WELCOME: &str = "WELCOME";
pub(crate) const INITIATE: &str = "INITIATE";

/// A HELLO's body, from the one without username and password to the one with the longest of both.
pub(crate) const HELLO_LEN: core::ops::RangeInclusive<u64> = 8..=8 + 2 * 255;
/// A WELCOME has 8 octets; an ERROR from 6, as libzmq misspells it without a reason, to 262.
pub(crate) const WELCOME_OR_ERROR: core::ops::RangeInclusive<u64> = 6..=262;
/// An INITIATE has 9 octets and more.
pub(crate) const INITIATE_LEN: core::ops::RangeInclusive<u64> = 9..=u64::MAX;
/// A READY has 6 octets and more, and so does an ERROR.
pub(crate) const READY_OR_ERROR: core::ops::RangeInclusive<u64> = 6..=u64::MAX;

/// The name of ERROR as libzmq's PLAIN server has sent it since 4.3.0: in its source, `"\x05ERROR"` is one octet `5e` and
/// `RROR`, since `E` is a hexadecimal digit. What stands there for the name's length is beyond the end of the command.
const MISSPELT_ERROR: &[u8; 5] = b"\x5eRROR";

/// The username and the password in a HELLO; nothing may stand behind them.
pub(crate) fn credentials(data: &[u8]) -> Result<(&[u8], &[u8]), MechanismError> {
    let malformed = |problem| MechanismError::Malformed { command: HELLO, problem };
    let (username, rest) = field(data).ok_or(malformed("the username runs past its end"))?;
    let (password, rest) = field(rest).ok_or(malformed("the password runs past its end"))?;
    if rest.is_empty() { Ok((username, password)) } else { Err(malformed("something stands behind the password")) }
}

fn field(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&len, rest) = data.split_first()?;
    rest.split_at_checked(usize::from(len))
}

/// A server's command by its name and data, or what the server gives as its reason if it is an ERROR, in either spelling.
pub(crate) fn from_server(command: WireCommand<'_>) -> Result<RawCommand<'_>, MechanismError> {
    let reason = if let Some(data) = command.body().strip_prefix(MISSPELT_ERROR) {
        ErrorReason::decode(data)?
    } else {
        let command = command.parse()?;
        if command.name != CommandName::ERROR.as_bytes() {
            return Ok(command);
        }
        ErrorReason::decode(command.data)?
    };
    Err(MechanismError::PeerError { reason })
}

/// Fails unless `command` is called `name`; `expected` is what is said to be right.
pub(crate) fn expect(command: &RawCommand<'_>, name: &str, expected: &'static str) -> Result<(), MechanismError> {
    if command.name == name.as_bytes() { Ok(()) } else { Err(MechanismError::unexpected(expected, command.name)) }
}

/// The properties in the data of an INITIATE or a READY.
pub(crate) fn properties(command: &'static str, data: &[u8]) -> Result<Properties, MechanismError> {
    Properties::decode(data, Properties::DEFAULT_MAX_COUNT)
        .map_err(|source| MechanismError::Properties { command, source })
}

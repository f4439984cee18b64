//! What the codec refuses, and why: one error type per kind of input.
//!
//! Every message says what is wrong and where (an offset, a length, an octet). Octets that came from a peer are escaped
//! and cut short before they enter an error, so an error is safe to log; message payloads never enter one.
//! "More octets are needed" is not an error anywhere in this crate.

use alloc::format;
use alloc::string::String;
use core::fmt;

/// Why octets are not a greeting that this codec can talk to (RFC 37, *The Greeting*).
///
/// Each of these is final after the octets that it names; nothing is gained by waiting for the rest of the greeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum GreetingError {
    /// The very first octet is wrong: another protocol altogether (HTTP, TLS), or ZMTP 1.0. Known after 1 octet.
    #[error("not a ZMTP greeting: octet 0 is {octet:#04x} instead of 0xff; check that the peer speaks ZMTP 3 here")]
    NotZmtp {
        /// The octet received at offset 0.
        octet: u8,
    },
    /// The octet that ends the signature is wrong. Known after 10 octets.
    #[error("not a ZMTP greeting: octet 9 is {octet:#04x} instead of 0x7f; check that the peer speaks ZMTP 3 here")]
    Signature {
        /// The octet received at offset 9.
        octet: u8,
    },
    /// The peer speaks ZMTP 1.0 or 2.0 only. There is no downgrade: it would drop all security. Known after 11 octets.
    #[error(
        "the peer announces revision {major} at octet 10 of its greeting, ZMTP 3.0 or newer is required; upgrade the peer"
    )]
    UnsupportedVersion {
        /// The octet received at offset 10.
        major: u8,
    },
}

/// Why a string is not a security mechanism name (1 to 20 of `A-Z 0-9 - _ . +`, RFC 37).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum MechanismNameError {
    /// No characters at all.
    #[error("a mechanism name is empty; it needs 1 to 20 characters")]
    Empty,
    /// More characters than the greeting's field holds.
    #[error("a mechanism name is {len} octets long; the greeting holds at most 20")]
    TooLong {
        /// The length of the refused name.
        len: usize,
    },
    /// A character outside the grammar.
    #[error("a mechanism name has octet {octet:#04x} at position {position}; allowed are A-Z 0-9 - _ . +")]
    Character {
        /// Where in the name, counted from 0.
        position: usize,
        /// The refused octet.
        octet: u8,
    },
}

/// Why octets are not an identity (at most 255 octets, the first not zero, RFC 37).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// Longer than 255 octets.
    #[error("an identity is {len} octets long; at most 255 are allowed")]
    TooLong {
        /// The length of the refused identity.
        len: usize,
    },
    /// Our own identity starts with a zero octet, which is kept for identities that a ROUTER makes up.
    #[error("an identity starts with a zero octet, which is reserved for generated ones; choose another first octet")]
    LeadingZero,
}

/// The piece of a property that its metadata ends in the middle of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PropertyPart {
    /// The name, announced by its length octet.
    Name,
    /// The four octets that announce the value's length.
    ValueLength,
    /// The value.
    Value,
}

impl fmt::Display for PropertyPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "name",
            Self::ValueLength => "value length",
            Self::Value => "value",
        })
    }
}

/// Why metadata is malformed, or a property was refused by [`Properties::push`](crate::Properties::push).
///
/// `offset` is where the property starts in the encoded metadata, for a refused `push` where it would have started.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum PropertyError {
    /// The metadata ends inside a property.
    #[error("the property at offset {offset} is cut: its {part} takes {needed} octets, {available} are left")]
    Truncated {
        /// Where the property starts.
        offset: usize,
        /// What is cut.
        part: PropertyPart,
        /// How many octets that part takes.
        needed: usize,
        /// How many there are.
        available: usize,
    },
    /// A name of no characters.
    #[error("the property at offset {offset} has an empty name; a name has 1 to 255 characters")]
    EmptyName {
        /// Where the property starts.
        offset: usize,
    },
    /// A name that its one length octet cannot express.
    #[error("the name of the property at offset {offset} is {len} octets long; at most 255 are allowed")]
    NameTooLong {
        /// Where the property would start.
        offset: usize,
        /// The length of the refused name.
        len: usize,
    },
    /// A name with a character outside the grammar.
    #[error(
        "the name of the property at offset {offset} has octet {octet:#04x} at position {position}; \
         allowed are A-Z a-z 0-9 - _ . +"
    )]
    NameCharacter {
        /// Where the property starts.
        offset: usize,
        /// Where in the name, counted from 0.
        position: usize,
        /// The refused octet.
        octet: u8,
    },
    /// A value of 2^31 octets or more.
    #[error("the value of property {name} at offset {offset} is {len} octets long; the limit is 2^31-1")]
    ValueTooLong {
        /// Where the property starts.
        offset: usize,
        /// The property's name, escaped and cut short.
        name: String,
        /// The refused length.
        len: usize,
    },
    /// A second property of the same name where only one is allowed. Names compare case-insensitively.
    #[error("property {name} at offset {offset} was given before; send it once")]
    Duplicate {
        /// Where the second one starts.
        offset: usize,
        /// Its name, escaped and cut short.
        name: String,
    },
    /// More properties than the reader is willing to keep.
    #[error("more than {max} properties, the next one is at offset {offset}; send fewer or raise the limit")]
    TooMany {
        /// Where the first property over the limit starts.
        offset: usize,
        /// The limit.
        max: usize,
    },
}

/// Why a peer's Socket-Type property does not name a socket type.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum SocketTypeError {
    /// There is no Socket-Type property. Every known peer sends one, and compatibility cannot be judged without it.
    #[error("the metadata has no Socket-Type property; the peer must send one")]
    Missing,
    /// The value is none of the names of RFC 37. It is compared octet by octet: `dealer` is not `DEALER`.
    #[error("the Socket-Type property names no socket type of ZMTP 3.1: \"{value}\"")]
    Unknown {
        /// The value, escaped and cut short.
        value: String,
    },
}

/// Why a text that a person wrote does not name a socket type, in any letter case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[error("\"{input}\" is no socket type; choose one of {}", SocketTypeNames)]
#[non_exhaustive]
pub struct ParseSocketTypeError {
    /// The refused text, escaped and cut short.
    pub input: String,
}

/// Writes the names of all socket types, so that the error above cannot fall behind the enum.
struct SocketTypeNames;

impl fmt::Display for SocketTypeNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, socket_type) in crate::SocketType::ALL.iter().enumerate() {
            let separator = if position == 0 { "" } else { " " };
            write!(f, "{separator}{socket_type}")?;
        }
        Ok(())
    }
}

/// Why a Resource property's value does not follow `name *("/" name)` (RFC 37).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ResourceError {
    /// A name between slashes, or the whole value, is empty.
    #[error("the Resource property has an empty name at position {position}")]
    EmptyName {
        /// Where in the value, counted from 0.
        position: usize,
    },
    /// A character outside the grammar.
    #[error(
        "the Resource property has octet {octet:#04x} at position {position}; allowed are A-Z a-z 0-9 $ - _ @ . & + and /"
    )]
    Character {
        /// Where in the value, counted from 0.
        position: usize,
        /// The refused octet.
        octet: u8,
    },
}

/// Why a command body is malformed, or why a command of ours cannot be built (RFC 37, *Commands*).
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The command frame has no body, so not even a name length.
    #[error("a command body is empty; it starts with the length of the command's name")]
    EmptyBody,
    /// The name length is 0.
    #[error("a command name is empty; it has 1 to 255 characters")]
    EmptyName,
    /// The name runs past the end of the body.
    #[error("a command name of {declared} octets is announced at offset 0, {available} octets follow")]
    NameTruncated {
        /// The length that the first octet announces.
        declared: usize,
        /// How many octets follow it.
        available: usize,
    },
    /// A name that its one length octet cannot express.
    #[error("a command name is {len} octets long; at most 255 are allowed")]
    NameTooLong {
        /// The length of the refused name.
        len: usize,
    },
    /// A command that this codec knows was to be built as an unknown one.
    #[error("{name} is a command of ZMTP 3.1; build it with its own variant of Command")]
    KnownName {
        /// The command's name.
        name: &'static str,
    },
    /// The metadata of a READY is malformed.
    #[error("malformed READY: {0}")]
    Properties(#[from] PropertyError),
    /// An ERROR ends before the length of its reason.
    #[error("malformed ERROR: the length of the reason is missing")]
    ReasonLengthMissing,
    /// An ERROR ends inside its reason.
    #[error("malformed ERROR: a reason of {declared} octets is announced, {available} follow")]
    ReasonTruncated {
        /// The announced length.
        declared: usize,
        /// How many octets follow.
        available: usize,
    },
    /// A reason of ours is longer than its length octet can say.
    #[error("an ERROR reason is {len} octets long; at most 255 are allowed")]
    ReasonTooLong {
        /// The length of the refused reason.
        len: usize,
    },
    /// A reason of ours is not printable ASCII.
    #[error("an ERROR reason has octet {octet:#04x} at position {position}; only printable ASCII is allowed")]
    ReasonCharacter {
        /// Where in the reason, counted from 0.
        position: usize,
        /// The refused octet.
        octet: u8,
    },
    /// A group of JOIN, LEAVE or a RADIO message is longer than 255 octets.
    #[error("a group is {len} octets long; at most 255 are allowed")]
    GroupTooLong {
        /// The length of the refused group.
        len: usize,
    },
    /// A group contains a zero octet.
    #[error("a group has a zero octet at position {position}; every octet is 1 to 255")]
    GroupZero {
        /// Where in the group, counted from 0.
        position: usize,
    },
    /// A PING ends before or inside its two TTL octets.
    #[error("malformed PING: its TTL takes 2 octets, {available} follow the name")]
    TtlTruncated {
        /// How many octets follow the command's name.
        available: usize,
    },
    /// The context of a PING or PONG is longer than 16 octets.
    #[error("a heartbeat context is {len} octets long; at most 16 are allowed")]
    ContextTooLong {
        /// The length of the refused context.
        len: usize,
    },
}

/// Writes octets so that they are safe in a log: printable ASCII as it is, a backslash doubled, the rest as `\xNN`.
pub(crate) struct Escaped<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        for &octet in self.0 {
            match octet {
                b'\\' => f.write_str("\\\\")?,
                b' '..=b'~' => f.write_char(char::from(octet))?,
                _ => write!(f, "\\x{octet:02x}")?,
            }
        }
        Ok(())
    }
}

/// Escapes octets for an error and cuts them short: long enough to recognise a name, too short to flood a log.
pub(crate) fn sanitized(octets: &[u8]) -> String {
    const SHOWN: usize = 40;
    match octets.get(..SHOWN) {
        Some(head) if octets.len() > SHOWN => format!("{}...", Escaped(head)),
        _ => format!("{}", Escaped(octets)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn control_and_non_ascii_octets_are_escaped() {
        assert_eq!(Escaped(b"a b\\\n\x7f\xff\0").to_string(), "a b\\\\\\x0a\\x7f\\xff\\x00");
    }

    #[test]
    fn long_octets_are_cut_after_forty() {
        assert_eq!(sanitized(&[b'n'; 40]), "n".repeat(40));
        assert_eq!(sanitized(&[b'n'; 41]), "n".repeat(40) + "...");
    }

    #[test]
    fn an_unknown_socket_type_error_lists_all_nineteen_names() {
        let text = ParseSocketTypeError { input: "foo".into() }.to_string();
        assert!(text.starts_with("\"foo\" is no socket type"), "{text}");
        for socket_type in crate::SocketType::ALL {
            assert!(text.split_whitespace().any(|word| word == socket_type.as_str()), "{text}");
        }
    }

    #[test]
    fn every_error_is_a_core_error() {
        fn check<E: core::error::Error + Send + Sync + 'static>() {}
        check::<GreetingError>();
        check::<MechanismNameError>();
        check::<IdentityError>();
        check::<PropertyError>();
        check::<SocketTypeError>();
        check::<ParseSocketTypeError>();
        check::<ResourceError>();
        check::<CommandError>();
    }
}

/// Why octets are not a ZMTP 3.x frame header (RFC 37, "Framing").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A reserved bit of the flags octet is set: the stream is out of step, or the peer speaks something else.
    #[error("a frame has the flags {flags:#04x}, of which bits 3 to 7 must be zero")]
    ReservedFlags {
        /// The flags octet.
        flags: u8,
    },
    /// A command claims to be continued by another frame.
    #[error("a command frame has the flags {flags:#04x}, which include MORE; commands have one frame")]
    CommandWithMore {
        /// The flags octet.
        flags: u8,
    },
    /// The size field has its top bit set.
    #[error("a frame announces {size} octets; sizes end at 2^63-1")]
    SizeOutOfRange {
        /// The announced size.
        size: u64,
    },
}

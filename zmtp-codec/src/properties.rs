//! Metadata: what two peers tell each other about themselves in the handshake.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::{BufMut, Bytes};

use crate::error::{IdentityError, PropertyError, PropertyPart, ResourceError, SocketTypeError, sanitized};
use crate::{Identity, SocketType};

/// Named values in the order in which they are sent (RFC 37, *Metadata*).
///
/// The same encoding serves the READY of NULL, the INITIATE and READY of the other mechanisms, and the replies of ZAP.
/// Names are case-insensitive and keep their spelling; values are octets without meaning here, except for the accessors
/// [`socket_type`](Self::socket_type), [`identity`](Self::identity) and [`resource`](Self::resource).
///
/// Every name in here follows the grammar, every value fits, and no name is in here twice. So any `Properties` can be
/// encoded.
///
/// What a peer sent is what it claims. In particular a peer may send the names that are reserved for what *we* know of it:
/// see [`is_reserved`](Self::is_reserved).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties {
    entries: Vec<(Cow<'static, str>, Bytes)>,
}

impl Properties {
    /// The type of the sending socket. Everybody sends it, first.
    pub const SOCKET_TYPE: &'static str = "Socket-Type";

    /// By what a ROUTER may address the sender.
    pub const IDENTITY: &'static str = "Identity";

    /// Which of several services behind one endpoint the sender wants (3.1).
    pub const RESOURCE: &'static str = "Resource";

    /// Reserved: the user that an authenticator named for a peer. Never to be believed from the peer itself.
    pub const USER_ID: &'static str = "User-Id";

    /// Reserved: the address that we see a peer at. Never to be believed from the peer itself.
    pub const PEER_ADDRESS: &'static str = "Peer-Address";

    /// The longest name, in octets.
    pub const MAX_NAME_LEN: usize = 255;

    /// The longest value, in octets: 2^31-1.
    pub const MAX_VALUE_LEN: usize = 0x7fff_ffff;

    /// How many properties are accepted from a peer unless told otherwise. Known peers send one or two, and a few of the
    /// application's own.
    pub const DEFAULT_MAX_COUNT: usize = 64;

    /// The names that a peer may send only once: two values would leave it open which one is meant.
    const UNIQUE: [&'static str; 3] = [Self::SOCKET_TYPE, Self::IDENTITY, Self::RESOURCE];

    /// No properties.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// What a socket says about itself: Socket-Type first, then Identity. More can be pushed behind these.
    ///
    /// An identity is announced for every type. An anonymous socket announces an empty one if its type
    /// [`sends_identity`](SocketType::sends_identity), as libzmq does, and else none.
    #[must_use]
    pub fn for_socket(socket_type: SocketType, identity: &Identity) -> Self {
        let mut properties = Self::new();
        let socket_type_name = Bytes::from_static(socket_type.as_str().as_bytes());
        properties.entries.push((Cow::Borrowed(Self::SOCKET_TYPE), socket_type_name));
        if socket_type.sends_identity() || !identity.is_empty() {
            properties.entries.push((Cow::Borrowed(Self::IDENTITY), identity.as_bytes().clone()));
        }
        properties
    }

    /// True for the names of what is known about a peer on this side of the connection, in any letter case. Before such a
    /// property is added for an application, or believed, drop what the peer sent under that name.
    #[must_use]
    pub fn is_reserved(name: &str) -> bool {
        [Self::USER_ID, Self::PEER_ADDRESS].iter().any(|reserved| reserved.eq_ignore_ascii_case(name))
    }

    /// Adds a property at the end. Costs a comparison with every name that is here already.
    ///
    /// # Errors
    /// A [`PropertyError`] if the name is not 1 to 255 of `A-Z a-z 0-9 - _ . +`, if the value is longer than
    /// [`MAX_VALUE_LEN`](Self::MAX_VALUE_LEN), or if the name is here already in any letter case. Nothing changes then.
    pub fn push(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Bytes>) -> Result<(), PropertyError> {
        let (name, value) = (name.into(), value.into());
        let offset = self.encoded_len();
        check_name(name.as_bytes(), offset)?;
        check_value_len(value.len(), name.as_bytes(), offset)?;
        if self.get(&name).is_some() {
            return Err(PropertyError::Duplicate { offset, name: sanitized(name.as_bytes()) });
        }
        self.entries.push((name, value));
        Ok(())
    }

    /// The value under a name in any letter case. Costs a comparison with each name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.iter().find(|(candidate, _)| candidate.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Names as spelt and values, in order.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Bytes)> + DoubleEndedIterator {
        self.entries.iter().map(|(name, value)| (name.as_ref(), value))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many octets [`encode`](Self::encode) writes. Adds up all lengths.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.iter().map(|(name, value)| 1 + name.len() + 4 + value.len()).sum()
    }

    /// Writes all properties.
    ///
    /// # Panics
    /// If `out` has less room than [`encoded_len`](Self::encoded_len).
    pub fn encode(&self, out: &mut impl BufMut) {
        for (name, value) in self.iter() {
            #[expect(clippy::cast_possible_truncation, reason = "every name was checked: at most 255 octets")]
            out.put_u8(name.len() as u8);
            out.put_slice(name.as_bytes());
            #[expect(clippy::cast_possible_truncation, reason = "every value was checked: at most 2^31-1 octets")]
            out.put_u32(value.len() as u32);
            out.put_slice(value);
        }
    }

    /// Reads what a peer sent, to its last octet.
    ///
    /// Of two properties with the same name in any letter case the first is kept, unless it is Socket-Type, Identity or
    /// Resource. Values are copied, so that one which lives long does not keep a receive buffer alive; what is allocated is
    /// bounded by the length of `metadata` and by `max_count`, never by a length that the peer merely announced. Costs up to
    /// `max_count`² / 2 comparisons of names.
    ///
    /// # Errors
    /// A [`PropertyError`] if anything is cut or left over, a name is empty or has a character outside the grammar, a value's
    /// length is announced as 2^31 or more, one of the three names above is given twice, or there are more than `max_count`
    /// properties (counting those that are not kept). This is stricter than libzmq, which lets some cut forms pass.
    pub fn decode(metadata: &[u8], max_count: usize) -> Result<Self, PropertyError> {
        let mut properties = Self::new();
        let mut rest = metadata;
        let mut count = 0;
        while let Some(offset) = (!rest.is_empty()).then_some(metadata.len() - rest.len()) {
            if count == max_count {
                return Err(PropertyError::TooMany { offset, max: max_count });
            }
            count += 1;
            let (name, value, behind) = split_property(rest, offset)?;
            rest = behind;
            if properties.get(name).is_none() {
                properties.entries.push((interned(name), Bytes::copy_from_slice(value)));
            } else if Self::UNIQUE.iter().any(|unique| unique.eq_ignore_ascii_case(name)) {
                return Err(PropertyError::Duplicate { offset, name: sanitized(name.as_bytes()) });
            }
        }
        Ok(properties)
    }

    /// The type of the socket that sent these.
    ///
    /// # Errors
    /// [`SocketTypeError::Missing`] if there is no Socket-Type, [`SocketTypeError::Unknown`] if it is none of RFC 37.
    pub fn socket_type(&self) -> Result<SocketType, SocketTypeError> {
        let value = self.get(Self::SOCKET_TYPE).ok_or(SocketTypeError::Missing)?;
        SocketType::from_wire(value).ok_or_else(|| SocketTypeError::Unknown { value: sanitized(value) })
    }

    /// The identity of the socket that sent these; anonymous if there is none.
    ///
    /// # Errors
    /// [`IdentityError::TooLong`] over 255 octets.
    pub fn identity(&self) -> Result<Identity, IdentityError> {
        self.get(Self::IDENTITY).map_or(Ok(Identity::ANONYMOUS), |value| Identity::from_wire(value.clone()))
    }

    /// The resource that the sender asks for, if it does: names with slashes between them (RFC 37). Nothing here acts on it.
    ///
    /// # Errors
    /// The inner result is a [`ResourceError`] if the value does not follow the grammar.
    #[must_use]
    pub fn resource(&self) -> Option<Result<&str, ResourceError>> {
        self.get(Self::RESOURCE).map(|value| check_resource(value))
    }
}

/// Takes one property off the front: its name, its value, and what is behind it.
fn split_property(input: &[u8], offset: usize) -> Result<(&str, &[u8], &[u8]), PropertyError> {
    let cut = |part, needed, available| PropertyError::Truncated { offset, part, needed, available };

    let (&name_len, rest) = input.split_first().ok_or(PropertyError::EmptyName { offset })?;
    let name_len = usize::from(name_len);
    let (name, rest) = rest.split_at_checked(name_len).ok_or_else(|| cut(PropertyPart::Name, name_len, rest.len()))?;
    let name = check_name(name, offset)?;

    let (value_len, rest) =
        rest.split_first_chunk::<4>().ok_or_else(|| cut(PropertyPart::ValueLength, 4, rest.len()))?;
    let value_len = usize::try_from(u32::from_be_bytes(*value_len)).unwrap_or(usize::MAX);
    check_value_len(value_len, name.as_bytes(), offset)?;
    let (value, rest) =
        rest.split_at_checked(value_len).ok_or_else(|| cut(PropertyPart::Value, value_len, rest.len()))?;
    Ok((name, value, rest))
}

/// The names that every handshake has cost no allocation.
fn interned(name: &str) -> Cow<'static, str> {
    Properties::UNIQUE
        .into_iter()
        .find(|&known| known == name)
        .map_or_else(|| Cow::Owned(String::from(name)), Cow::Borrowed)
}

fn check_name(name: &[u8], offset: usize) -> Result<&str, PropertyError> {
    if name.is_empty() {
        return Err(PropertyError::EmptyName { offset });
    }
    if name.len() > Properties::MAX_NAME_LEN {
        return Err(PropertyError::NameTooLong { offset, len: name.len() });
    }
    let legal = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.' | b'+');
    ascii_of(name, legal).map_err(|(position, octet)| PropertyError::NameCharacter { offset, position, octet })
}

fn check_value_len(len: usize, name: &[u8], offset: usize) -> Result<(), PropertyError> {
    if len > Properties::MAX_VALUE_LEN {
        return Err(PropertyError::ValueTooLong { offset, name: sanitized(name), len });
    }
    Ok(())
}

fn check_resource(value: &[u8]) -> Result<&str, ResourceError> {
    let legal = |octet: u8| {
        octet.is_ascii_alphanumeric() || matches!(octet, b'$' | b'-' | b'_' | b'@' | b'.' | b'&' | b'+' | b'/')
    };
    let text = ascii_of(value, legal).map_err(|(position, octet)| ResourceError::Character { position, octet })?;
    let mut position = 0;
    for name in text.split('/') {
        if name.is_empty() {
            return Err(ResourceError::EmptyName { position });
        }
        position += name.len() + 1;
    }
    Ok(text)
}

/// The octets as text if all of them are legal, else the first that is not. `legal` must hold for ASCII only.
fn ascii_of(octets: &[u8], legal: impl Fn(u8) -> bool) -> Result<&str, (usize, u8)> {
    if let Some((position, &octet)) = octets.iter().enumerate().find(|&(_, &octet)| !legal(octet)) {
        return Err((position, octet));
    }
    core::str::from_utf8(octets).map_err(|error| (error.valid_up_to(), 0))
}

#[cfg(test)]
mod tests;

//! The groups that a DISH joins and a RADIO sends to.

use core::fmt;

use bytes::Bytes;

use crate::error::{CommandError, Escaped};

/// The name of a group of a RADIO: at most 255 octets, none of them zero (RFC 48).
///
/// Groups match as a whole, unlike topics. The empty group is an ordinary one. Cloning shares the octets.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group(Bytes);

impl Group {
    /// The longest group, in octets.
    pub const MAX_LEN: usize = 255;

    /// Takes a group, one of our own or one that a peer sent.
    ///
    /// # Errors
    /// [`CommandError::GroupTooLong`] over 255 octets, [`CommandError::GroupZero`] if an octet is zero.
    pub fn new(octets: impl Into<Bytes>) -> Result<Self, CommandError> {
        let octets = octets.into();
        if octets.len() > Self::MAX_LEN {
            return Err(CommandError::GroupTooLong { len: octets.len() });
        }
        match octets.iter().position(|&octet| octet == 0) {
            Some(position) => Err(CommandError::GroupZero { position }),
            None => Ok(Self(octets)),
        }
    }

    /// The octets, which clone without copying.
    #[must_use]
    pub const fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// The octets, without copying.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl AsRef<[u8]> for Group {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Group(\"{}\")", Escaped(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use alloc::{format, vec};

    // S20, S21
    #[test]
    fn groups_have_0_to_255_octets() {
        for len in [0, 1, 255] {
            assert_eq!(Group::new(vec![b'g'; len]).unwrap().as_bytes().len(), len);
        }
        assert_eq!(Group::new(vec![b'g'; 256]), Err(CommandError::GroupTooLong { len: 256 }));
    }

    // S22
    #[test]
    fn groups_have_no_zero_octet() {
        assert_eq!(Group::new(&b"\0"[..]), Err(CommandError::GroupZero { position: 0 }));
        assert_eq!(Group::new(&b"a\0b"[..]), Err(CommandError::GroupZero { position: 1 }));
        assert_eq!(Group::new(&b"ab\0"[..]), Err(CommandError::GroupZero { position: 2 }));
        let all_legal: Vec<u8> = (1..=255).collect();
        assert!(Group::new(all_legal).is_ok());
    }

    #[test]
    fn debug_escapes_the_group() {
        assert_eq!(format!("{:?}", Group::new(&b"a\x01"[..]).unwrap()), "Group(\"a\\x01\")");
    }
}

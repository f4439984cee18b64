//! The identity that a peer announces, by which a ROUTER addresses it.

use core::borrow::Borrow;
use core::fmt;
use core::ops::Deref;

use bytes::Bytes;

use crate::error::{Escaped, IdentityError};

/// The value of the Identity property: what a ROUTER peer addresses this socket by (RFC 37, RFC 28).
///
/// At most 255 octets of any kind; empty means anonymous. It is a name, not a proof: any peer can announce any identity.
/// Equality, order and hash are those of the octets, so a map keyed by `Identity` can be searched by `&[u8]`.
/// Cloning shares the octets.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity(Bytes);

impl Identity {
    /// The longest identity, in octets.
    pub const MAX_LEN: usize = 255;

    /// No identity: a ROUTER peer makes one up.
    pub const ANONYMOUS: Self = Self(Bytes::new());

    /// Makes an identity of our own to announce. Empty octets give [`ANONYMOUS`](Self::ANONYMOUS).
    ///
    /// # Errors
    /// [`IdentityError::TooLong`] over 255 octets; [`IdentityError::LeadingZero`] if the first octet is 0, which
    /// RFC 37 keeps for identities that a ROUTER generates.
    pub fn new(octets: impl Into<Bytes>) -> Result<Self, IdentityError> {
        let identity = Self::from_wire(octets.into())?;
        match identity.first() {
            Some(0) => Err(IdentityError::LeadingZero),
            _ => Ok(identity),
        }
    }

    /// Takes an identity that a peer announced.
    ///
    /// More lenient than [`new`](Self::new): some peers announce identities that start with a zero octet. They are kept as
    /// sent, and [`is_routable`](Self::is_routable) tells them apart.
    ///
    /// # Errors
    /// [`IdentityError::TooLong`] over 255 octets.
    pub fn from_wire(octets: Bytes) -> Result<Self, IdentityError> {
        if octets.len() > Self::MAX_LEN {
            return Err(IdentityError::TooLong { len: octets.len() });
        }
        Ok(Self(octets))
    }

    /// True if the peer is anonymous.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True if a ROUTER may use this identity as its routing key: it is neither empty nor could it collide with the
    /// identities that a ROUTER generates, which start with a zero octet.
    #[must_use]
    pub fn is_routable(&self) -> bool {
        self.0.first().is_some_and(|&octet| octet != 0)
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

impl Deref for Identity {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Identity {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Borrow<[u8]> for Identity {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Identity {
    /// Printable ASCII as it is, all other octets escaped: a peer chose them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity(\"{}\")", Escaped(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use alloc::{format, vec};

    #[test]
    fn own_identity_is_limited_to_255_octets() {
        assert_eq!(Identity::new(vec![1; 255]).unwrap().len(), 255);
        assert_eq!(Identity::new(vec![1; 256]), Err(IdentityError::TooLong { len: 256 }));
    }

    #[test]
    fn own_identity_may_not_start_with_zero() {
        assert_eq!(Identity::new(&b"\0abc"[..]), Err(IdentityError::LeadingZero));
        assert_eq!(Identity::new(&b"\0"[..]), Err(IdentityError::LeadingZero));
        assert!(Identity::new(&b"a\0"[..]).is_ok());
    }

    #[test]
    fn an_over_long_own_identity_with_a_leading_zero_is_reported_as_too_long() {
        assert_eq!(Identity::new(vec![0; 256]), Err(IdentityError::TooLong { len: 256 }));
    }

    // H54
    #[test]
    fn empty_identity_is_anonymous() {
        let own = Identity::new(Bytes::new()).unwrap();
        assert_eq!(own, Identity::ANONYMOUS);
        assert_eq!(own, Identity::default());
        assert!(own.is_empty() && !own.is_routable());
        assert_eq!(Identity::from_wire(Bytes::new()).unwrap(), own);
    }

    // H55
    #[test]
    fn received_identity_of_255_octets_is_accepted() {
        let identity = Identity::from_wire(vec![b'j'; 255].into()).unwrap();
        assert_eq!(identity.as_bytes(), &vec![b'j'; 255]);
        assert!(identity.is_routable());
    }

    // H50
    #[test]
    fn received_identity_of_256_octets_is_refused() {
        assert_eq!(Identity::from_wire(vec![b'i'; 256].into()), Err(IdentityError::TooLong { len: 256 }));
    }

    // H51
    #[test]
    fn received_identity_with_leading_zero_is_kept_but_not_routable() {
        let identity = Identity::from_wire(Bytes::from_static(b"\0abcd")).unwrap();
        assert_eq!(&*identity, b"\0abcd");
        assert!(!identity.is_empty());
        assert!(!identity.is_routable());
    }

    #[test]
    fn one_octet_identity_is_routable_unless_zero() {
        assert!(Identity::new(&b"\x01"[..]).unwrap().is_routable());
        assert!(!Identity::from_wire(Bytes::from_static(b"\0")).unwrap().is_routable());
    }

    #[test]
    fn maps_keyed_by_identity_are_searched_by_octets() {
        let mut map = BTreeMap::new();
        map.insert(Identity::new("peer").unwrap(), 1);
        assert_eq!(map.get(&b"peer"[..]), Some(&1));
    }

    #[test]
    fn debug_escapes_what_a_peer_chose() {
        let identity = Identity::from_wire(Bytes::from_static(b"a\n\xff\0")).unwrap();
        assert_eq!(format!("{identity:?}"), "Identity(\"a\\x0a\\xff\\x00\")");
    }
}

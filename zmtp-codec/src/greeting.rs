//! The 64 octets that open a connection, and what they agree on: the protocol version and the security mechanism.

use core::fmt;

use crate::error::{Escaped, GreetingError, MechanismNameError};

/// The length of a greeting, in octets (RFC 37).
pub const GREETING_LEN: usize = 64;

// Where the fields are.
const SIGNATURE_END: usize = 9;
const MAJOR: usize = 10;
const MINOR: usize = 11;
const MECHANISM: usize = 12;
const AS_SERVER: usize = MECHANISM + MechanismName::FIELD_LEN;

/// A version of ZMTP, as two octets of the greeting announce it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    major: u8,
    minor: u8,
}

impl Version {
    /// ZMTP 3.0 (RFC 23).
    pub const V3_0: Self = Self::new(3, 0);

    /// ZMTP 3.1 (RFC 37): what this codec speaks and always announces.
    pub const V3_1: Self = Self::new(3, 1);

    /// Any version at all; [`Greeting::decode`] refuses a major below 3.
    #[must_use]
    pub const fn new(major: u8, minor: u8) -> Self {
        Self { major, minor }
    }

    /// The major number.
    #[must_use]
    pub const fn major(self) -> u8 {
        self.major
    }

    /// The minor number.
    #[must_use]
    pub const fn minor(self) -> u8 {
        self.minor
    }

    /// The version to speak towards a peer that announces this one: never above 3.1, since a newer peer has to accept
    /// ours (RFC 37, *Version Negotiation*).
    #[must_use]
    pub const fn negotiated(self) -> Self {
        if self.is_at_least_3_1() { Self::V3_1 } else { self }
    }

    /// True if such a peer understands the SUBSCRIBE and CANCEL commands. To an older one subscriptions are sent as
    /// messages; see [`Subscription`](crate::Subscription).
    #[must_use]
    pub const fn has_subscription_commands(self) -> bool {
        self.is_at_least_3_1()
    }

    /// True if such a peer has to answer PING with PONG. RFC 23 does not define them: some 3.0 peers answer, the older
    /// ones stay silent, so a missing PONG from a 3.0 peer proves nothing.
    #[must_use]
    pub const fn has_heartbeats(self) -> bool {
        self.is_at_least_3_1()
    }

    const fn is_at_least_3_1(self) -> bool {
        self.major > 3 || (self.major == 3 && self.minor >= 1)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The security mechanism that a greeting announces: a 20-octet field, in which a short name is followed by zeros.
///
/// Both peers have to announce the same one, and "the same" means all 20 octets (RFC 37): `null` is not `NULL`, and
/// neither is `NULL` with anything but zeros behind it. So `==` compares the whole field, and a field that holds no
/// legal name is equal to no mechanism that [`new`](Self::new) made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MechanismName([u8; Self::FIELD_LEN]);

impl MechanismName {
    /// The length of the field, and of the longest name, in octets.
    pub const FIELD_LEN: usize = 20;

    /// No security (RFC 37).
    pub const NULL: Self = Self::padded(b"NULL");

    /// Username and password in clear text (RFC 24).
    pub const PLAIN: Self = Self::padded(b"PLAIN");

    /// CurveZMQ (RFC 26).
    pub const CURVE: Self = Self::padded(b"CURVE");

    /// BLAKE3ZMQ.
    pub const BLAKE3: Self = Self::padded(b"BLAKE3");

    /// The handshake of BLAKE3ZMQ with a ChaCha20-Poly1305 suite, in which the position of a frame is authenticated.
    pub const BLAKE3_CHACHAPOLY: Self = Self::padded(b"BLAKE3-CHACHAPOLY");

    /// Makes a mechanism name, also in a `const`.
    ///
    /// # Errors
    /// A [`MechanismNameError`] unless the name is 1 to 20 of `A-Z 0-9 - _ . +`.
    #[expect(clippy::indexing_slicing, reason = "a const fn, which has no iterators; the loop ends at the length")]
    pub const fn new(name: &str) -> Result<Self, MechanismNameError> {
        let octets = name.as_bytes();
        if octets.is_empty() {
            return Err(MechanismNameError::Empty);
        }
        if octets.len() > Self::FIELD_LEN {
            return Err(MechanismNameError::TooLong { len: octets.len() });
        }
        let mut position = 0;
        while position < octets.len() {
            let octet = octets[position];
            if !is_mechanism_char(octet) {
                return Err(MechanismNameError::Character { position, octet });
            }
            position += 1;
        }
        Ok(Self::padded(octets))
    }

    /// Takes the field as a peer sent it, whatever it holds. Any value can be compared and displayed.
    #[must_use]
    pub const fn from_wire(field: [u8; Self::FIELD_LEN]) -> Self {
        Self(field)
    }

    /// The whole field as it is on the wire.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::FIELD_LEN] {
        &self.0
    }

    /// The name without its padding; `None` if the field holds no legal name, which only a peer can cause.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        let name = self.without_padding();
        if name.is_empty() || !name.iter().copied().all(is_mechanism_char) {
            return None;
        }
        core::str::from_utf8(name).ok()
    }

    /// The field up to its last octet that is not zero. A zero in the middle remains, and is no legal character.
    fn without_padding(&self) -> &[u8] {
        let end = self.0.iter().rposition(|&octet| octet != 0).map_or(0, |last| last + 1);
        self.0.get(..end).unwrap_or(&self.0)
    }

    /// The caller has made sure that the name fits.
    #[expect(clippy::indexing_slicing, reason = "a const fn, which has no iterators; names of at most 20 octets only")]
    const fn padded(name: &[u8]) -> Self {
        let mut field = [0; Self::FIELD_LEN];
        let mut position = 0;
        while position < name.len() {
            field[position] = name[position];
            position += 1;
        }
        Self(field)
    }
}

const fn is_mechanism_char(octet: u8) -> bool {
    matches!(octet, b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'+')
}

impl fmt::Display for MechanismName {
    /// The name without its padding; octets that are no printable ASCII are escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaped(self.without_padding()).fmt(f)
    }
}

impl fmt::Debug for MechanismName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MechanismName(\"{self}\")")
    }
}

/// What one side of a connection announces before anything else (RFC 37, *The Greeting*).
///
/// The signature, the padding and the filler carry no information and are not kept. Whoever needs the exact octets, such as
/// a mechanism that hashes them, has to keep them next to this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Greeting {
    version: Version,
    mechanism: MechanismName,
    as_server: bool,
}

impl Greeting {
    /// The greeting to send: it announces ZMTP 3.1, whoever the peer may be.
    ///
    /// `as_server` says that we are the server of the *security mechanism*, which has nothing to do with who binds. The
    /// NULL mechanism has no server, and RFC 37 wants the flag clear there; so it is, whatever the argument.
    #[must_use]
    pub fn new(mechanism: MechanismName, as_server: bool) -> Self {
        Self { version: Version::V3_1, mechanism, as_server: as_server && mechanism != MechanismName::NULL }
    }

    /// The announced version. [`Version::negotiated`] is the one to speak.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The announced mechanism. Unless it equals our own, the connection has to end.
    #[must_use]
    pub const fn mechanism(&self) -> MechanismName {
        self.mechanism
    }

    /// Whether the as-server octet is 1. A hint for diagnosis only: libzmq sends 0 in every role, and others send 1 under
    /// NULL, so a received flag decides nothing.
    #[must_use]
    pub const fn as_server(&self) -> bool {
        self.as_server
    }

    /// The octets to send, with zeros in padding and filler. They can be sent at once, without waiting for the peer.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; GREETING_LEN] {
        let mut octets = [0; GREETING_LEN];
        octets[0] = 0xff;
        octets[SIGNATURE_END] = 0x7f;
        octets[MAJOR] = self.version.major;
        octets[MINOR] = self.version.minor;
        octets[MECHANISM..AS_SERVER].copy_from_slice(self.mechanism.as_bytes());
        octets[AS_SERVER] = u8::from(self.as_server);
        octets
    }

    /// Reads the peer's greeting from the start of what has been received so far.
    ///
    /// `Ok(None)` asks for more octets: call again with all of them. On `Ok(Some(_))` exactly [`GREETING_LEN`] octets were
    /// used, and what follows them belongs to the handshake. Padding and filler may hold anything: libzmq puts the length
    /// of a routing id into the padding. Costs nothing worth counting, so it can be called for every octet.
    ///
    /// # Errors
    /// A [`GreetingError`] as soon as it is certain, so that a peer of another protocol, which may never send 64 octets, is
    /// turned away at once: after 1 octet if that is not `ff`, after 10 if the last is not `7f`, after 11 if the major
    /// version is below 3.
    pub fn decode(input: &[u8]) -> Result<Option<Self>, GreetingError> {
        if let Some(&octet) = input.first()
            && octet != 0xff
        {
            return Err(GreetingError::NotZmtp { octet });
        }
        if let Some(&octet) = input.get(SIGNATURE_END)
            && octet != 0x7f
        {
            return Err(GreetingError::Signature { octet });
        }
        if let Some(&major) = input.get(MAJOR)
            && major < 3
        {
            return Err(GreetingError::UnsupportedVersion { major });
        }
        let Some(octets) = input.first_chunk::<GREETING_LEN>() else {
            return Ok(None);
        };
        let mut mechanism = [0; MechanismName::FIELD_LEN];
        mechanism.copy_from_slice(&octets[MECHANISM..AS_SERVER]);
        Ok(Some(Self {
            version: Version::new(octets[MAJOR], octets[MINOR]),
            mechanism: MechanismName::from_wire(mechanism),
            as_server: octets[AS_SERVER] == 1,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use alloc::{format, string::ToString};

    fn null_greeting() -> [u8; GREETING_LEN] {
        Greeting::new(MechanismName::NULL, false).to_bytes()
    }

    /// A NULL greeting with one octet replaced, decoded.
    fn with(offset: usize, octet: u8) -> Result<Option<Greeting>, GreetingError> {
        let mut octets = null_greeting();
        octets[offset] = octet;
        Greeting::decode(&octets)
    }

    /// Asserts that `octets` are undecided up to `certain - 1` octets and refused from `certain` on.
    fn refused_after(certain: usize, octets: &[u8], error: GreetingError) {
        for len in 0..=octets.len() {
            let expected = if len < certain { Ok(None) } else { Err(error) };
            assert_eq!(Greeting::decode(&octets[..len]), expected, "after {len} octets");
        }
    }

    #[test]
    fn layout_is_that_of_the_rfc() {
        let octets = Greeting::new(MechanismName::CURVE, true).to_bytes();
        assert_eq!(octets[0], 0xff);
        assert_eq!(octets[1..9], [0; 8]);
        assert_eq!(octets[9..12], [0x7f, 3, 1]);
        assert_eq!(&octets[12..32], b"CURVE\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        assert_eq!(octets[32], 1);
        assert_eq!(octets[33..], [0; 31]);
    }

    #[test]
    fn every_prefix_of_a_good_greeting_asks_for_more() {
        let octets = null_greeting();
        for len in 0..GREETING_LEN {
            assert_eq!(Greeting::decode(&octets[..len]), Ok(None), "{len} octets");
        }
        assert_eq!(Greeting::decode(&octets), Ok(Some(Greeting::new(MechanismName::NULL, false))));
    }

    #[test]
    fn octets_behind_the_greeting_are_left_alone() {
        let mut input = Vec::from(null_greeting());
        input.extend_from_slice(b"\x04\x06\x05READY");
        assert_eq!(Greeting::decode(&input), Greeting::decode(&input[..GREETING_LEN]));
    }

    // G01
    #[test]
    fn an_http_request_is_refused_at_its_first_octet() {
        refused_after(1, b"GET / HTTP/1.1\r\n", GreetingError::NotZmtp { octet: b'G' });
    }

    // G02
    #[test]
    fn a_first_octet_of_zero_is_refused_at_once() {
        let mut octets = null_greeting();
        octets[0] = 0;
        refused_after(1, &octets, GreetingError::NotZmtp { octet: 0 });
    }

    // G03
    #[test]
    fn an_even_signature_end_is_refused_after_ten_octets() {
        let mut octets = null_greeting();
        octets[9] = 0x7e;
        refused_after(10, &octets, GreetingError::Signature { octet: 0x7e });
    }

    // G04
    #[test]
    fn an_odd_signature_end_other_than_7f_is_refused() {
        let mut octets = null_greeting();
        octets[9] = 0x01;
        refused_after(10, &octets, GreetingError::Signature { octet: 1 });
    }

    // G05
    #[test]
    fn padding_is_ignored() {
        for offset in 1..9 {
            assert_eq!(with(offset, 0xaa), Greeting::decode(&null_greeting()), "offset {offset}");
        }
    }

    // G06
    #[test]
    fn major_versions_below_three_are_refused_after_eleven_octets() {
        for major in 0..3 {
            let mut octets = null_greeting();
            octets[10] = major;
            refused_after(11, &octets, GreetingError::UnsupportedVersion { major });
        }
    }

    // G07, G08, G09
    #[test]
    fn newer_versions_are_accepted_and_spoken_to_as_3_1() {
        for (major, minor) in [(3, 1), (3, 9), (3, 255), (4, 0), (4, 1), (255, 255)] {
            let mut octets = null_greeting();
            octets[10] = major;
            octets[11] = minor;
            let version = Greeting::decode(&octets).unwrap().unwrap().version();
            assert_eq!(version, Version::new(major, minor));
            assert_eq!(version.negotiated(), Version::V3_1);
            assert!(version.has_subscription_commands() && version.has_heartbeats(), "{version}");
        }
    }

    #[test]
    fn a_3_0_peer_has_neither_subscription_commands_nor_heartbeats() {
        let version = with(11, 0).unwrap().unwrap().version();
        assert_eq!(version, Version::V3_0);
        assert_eq!(version.negotiated(), Version::V3_0);
        assert!(!version.has_subscription_commands() && !version.has_heartbeats());
    }

    #[test]
    fn versions_are_ordered_and_displayed_as_numbers() {
        assert!(Version::V3_0 < Version::V3_1 && Version::V3_1 < Version::new(4, 0));
        assert_eq!(Version::V3_1.to_string(), "3.1");
        assert_eq!(Version::new(3, 12).to_string(), "3.12");
    }

    // G10, G13
    #[test]
    fn another_mechanism_is_told_apart() {
        let curve = Greeting::decode(&Greeting::new(MechanismName::CURVE, false).to_bytes()).unwrap().unwrap();
        assert_ne!(curve.mechanism(), MechanismName::NULL);
        assert_ne!(MechanismName::new("FOO").unwrap(), MechanismName::NULL);
    }

    // G11
    #[test]
    fn a_lower_case_mechanism_is_no_legal_name_and_equals_nothing() {
        let mut octets = null_greeting();
        octets[12..16].copy_from_slice(b"null");
        let mechanism = Greeting::decode(&octets).unwrap().unwrap().mechanism();
        assert_ne!(mechanism, MechanismName::NULL);
        assert_eq!(mechanism.as_str(), None);
        assert_eq!(mechanism.to_string(), "null");
    }

    // G12
    #[test]
    fn junk_behind_the_padding_makes_another_mechanism() {
        let mechanism = with(17, b'X').unwrap().unwrap().mechanism();
        assert_ne!(mechanism, MechanismName::NULL);
        assert_eq!(mechanism.as_str(), None);
        assert_eq!(format!("{mechanism:?}"), "MechanismName(\"NULL\\x00X\")");
    }

    #[test]
    fn all_twenty_octets_of_the_mechanism_are_compared() {
        for offset in 12..32 {
            let mechanism = with(offset, b'Z').unwrap().unwrap().mechanism();
            assert_ne!(mechanism, MechanismName::NULL, "offset {offset}");
        }
    }

    // G15
    #[test]
    fn as_server_under_null_is_accepted_but_never_sent() {
        assert!(with(32, 1).unwrap().unwrap().as_server());
        assert!(!Greeting::new(MechanismName::NULL, true).as_server());
        assert_eq!(Greeting::new(MechanismName::NULL, true).to_bytes()[32], 0);
        assert_eq!(Greeting::new(MechanismName::PLAIN, true).to_bytes()[32], 1);
    }

    // G16
    #[test]
    fn as_server_octets_other_than_one_are_accepted_and_mean_no() {
        for octet in [0, 2, 0x80, 0xff] {
            assert!(!with(32, octet).unwrap().unwrap().as_server(), "{octet:#04x}");
        }
    }

    // G17
    #[test]
    fn filler_is_ignored() {
        for offset in 33..GREETING_LEN {
            assert_eq!(with(offset, 0xaa), Greeting::decode(&null_greeting()), "offset {offset}");
        }
    }

    #[test]
    fn mechanism_constants_are_legal_names() {
        let constants = [
            ("NULL", MechanismName::NULL),
            ("PLAIN", MechanismName::PLAIN),
            ("CURVE", MechanismName::CURVE),
            ("BLAKE3", MechanismName::BLAKE3),
            ("BLAKE3-CHACHAPOLY", MechanismName::BLAKE3_CHACHAPOLY),
        ];
        for (name, constant) in constants {
            assert_eq!(MechanismName::new(name), Ok(constant));
            assert_eq!(constant.as_str(), Some(name));
            assert_eq!(constant.to_string(), name);
        }
    }

    #[test]
    fn mechanism_names_have_one_to_twenty_characters() {
        assert_eq!(MechanismName::new(""), Err(MechanismNameError::Empty));
        assert_eq!(MechanismName::new("A").unwrap().as_str(), Some("A"));
        let longest = "ABCDEFGHIJ0123456789";
        assert_eq!(MechanismName::new(longest).unwrap().as_str(), Some(longest));
        assert_eq!(MechanismName::new("ABCDEFGHIJ01234567890"), Err(MechanismNameError::TooLong { len: 21 }));
    }

    #[test]
    fn mechanism_names_take_only_the_characters_of_the_grammar() {
        for octet in 0..=0x7f_u8 {
            let name = char::from(octet).to_string();
            let legal = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.+".contains(char::from(octet));
            let expected = if legal { None } else { Some(MechanismNameError::Character { position: 0, octet }) };
            assert_eq!(MechanismName::new(&name).err(), expected, "{octet:#04x}");
        }
        assert_eq!(
            MechanismName::new("NULL\0"),
            Err(MechanismNameError::Character { position: 4, octet: 0 }),
            "padding is not part of a name"
        );
    }

    #[test]
    fn an_all_zero_mechanism_field_is_no_name() {
        let field = MechanismName::from_wire([0; 20]);
        assert_eq!(field.as_str(), None);
        assert_eq!(field.to_string(), "");
        assert_eq!(field.as_bytes(), &[0; 20]);
    }
}

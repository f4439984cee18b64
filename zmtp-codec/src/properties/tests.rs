use super::*;
use alloc::vec;

const NO_LIMIT: usize = usize::MAX;

/// One property as it is on the wire.
fn property(name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut octets = vec![u8::try_from(name.len()).unwrap()];
    octets.extend_from_slice(name);
    octets.extend_from_slice(&u32::try_from(value.len()).unwrap().to_be_bytes());
    octets.extend_from_slice(value);
    octets
}

fn decode(metadata: &[u8]) -> Result<Properties, PropertyError> {
    Properties::decode(metadata, NO_LIMIT)
}

/// `tail` behind a good Socket-Type property, decoded; and the offset of `tail`.
fn behind_socket_type(tail: &[u8]) -> (Result<Properties, PropertyError>, usize) {
    let head = property(b"Socket-Type", b"DEALER");
    (decode(&[&head, tail].concat()), head.len())
}

fn assert_cut(tail: &[u8], part: PropertyPart, needed: usize, available: usize) {
    let (result, offset) = behind_socket_type(tail);
    assert_eq!(result, Err(PropertyError::Truncated { offset, part, needed, available }));
}

#[test]
fn encoding_is_that_of_the_rfc() {
    let mut properties = Properties::new();
    properties.push(Properties::SOCKET_TYPE, "REQ").unwrap();
    properties.push(Properties::IDENTITY, Bytes::new()).unwrap();
    let mut octets = Vec::new();
    properties.encode(&mut octets);
    assert_eq!(octets, b"\x0bSocket-Type\0\0\0\x03REQ\x08Identity\0\0\0\0");
    assert_eq!(octets.len(), properties.encoded_len());
    assert_eq!(decode(&octets), Ok(properties));
}

#[test]
fn no_octets_are_no_properties() {
    assert!(decode(b"").unwrap().is_empty());
    assert!(Properties::decode(b"", 0).unwrap().is_empty());
}

#[test]
fn order_and_spelling_are_kept() {
    let metadata = [property(b"b", b"1"), property(b"A", b"2"), property(b"X-c", b"")].concat();
    let properties = decode(&metadata).unwrap();
    let entries: Vec<_> = properties.iter().map(|(name, value)| (name, &value[..])).collect();
    assert_eq!(entries, [("b", &b"1"[..]), ("A", b"2"), ("X-c", b"")]);
    assert_eq!(properties.len(), 3);
}

#[test]
fn values_are_copied_out_of_the_receive_buffer() {
    let metadata = property(b"a", b"value");
    let properties = decode(&metadata).unwrap();
    let range = metadata.as_ptr_range();
    assert!(!range.contains(&properties.get("a").unwrap().as_ptr()));
}

// H28
#[test]
fn unknown_properties_are_kept() {
    let properties = behind_socket_type(&[property(b"Foo", b"\0\x01"), property(b"X-Foo", b"x")].concat()).0.unwrap();
    assert_eq!(properties.get("foo").unwrap(), &b"\0\x01"[..]);
    assert_eq!(properties.get("X-FOO").unwrap(), &b"x"[..]);
    assert_eq!(properties.get("X-Fo"), None);
}

#[test]
fn metadata_cut_at_any_octet_is_refused_unless_the_cut_is_between_properties() {
    let pieces = [property(b"Socket-Type", b"DEALER"), property(b"Identity", b""), property(b"X-long", &[b'v'; 300])];
    let metadata = pieces.concat();
    let mut boundaries = vec![0];
    for piece in &pieces {
        boundaries.push(boundaries.last().unwrap() + piece.len());
    }
    for len in 0..=metadata.len() {
        let result = decode(&metadata[..len]);
        match boundaries.iter().position(|&boundary| boundary == len) {
            Some(count) => assert_eq!(result.unwrap().len(), count, "cut at {len}"),
            None => assert!(matches!(result, Err(PropertyError::Truncated { .. })), "cut at {len}: {result:?}"),
        }
    }
}

// H18
#[test]
fn a_name_past_the_end_is_refused() {
    assert_cut(b"\x20abc", PropertyPart::Name, 32, 3);
    assert_cut(b"\xff", PropertyPart::Name, 255, 0);
}

// H19
#[test]
fn a_missing_value_length_is_refused() {
    assert_cut(b"\x03abc", PropertyPart::ValueLength, 4, 0);
}

// H20
#[test]
fn a_cut_value_length_is_refused() {
    assert_cut(b"\x03abc\0\0\0", PropertyPart::ValueLength, 4, 3);
}

// H21
#[test]
fn a_missing_value_is_refused() {
    assert_cut(b"\x03abc\0\0\0\x05", PropertyPart::Value, 5, 0);
}

// H22
#[test]
fn a_cut_value_is_refused() {
    assert_cut(b"\x03abc\0\0\0\x05xyz", PropertyPart::Value, 5, 3);
}

// H23, H24
#[test]
fn value_lengths_of_2_to_the_31_and_more_are_refused_as_such() {
    for len in [0x8000_0000_u32, 0x8000_0001, u32::MAX] {
        let (result, offset) = behind_socket_type(&[&b"\x03abc"[..], &len.to_be_bytes(), b"xyz"].concat());
        let len = usize::try_from(len).unwrap();
        assert_eq!(result, Err(PropertyError::ValueTooLong { offset, name: "abc".into(), len }));
    }
}

#[test]
fn the_longest_legal_value_length_without_its_value_is_merely_cut() {
    assert_cut(b"\x03abc\x7f\xff\xff\xffxyz", PropertyPart::Value, 0x7fff_ffff, 3);
}

#[test]
fn own_values_are_limited_to_2_to_the_31_minus_1() {
    assert_eq!(check_value_len(0x7fff_ffff, b"n", 7), Ok(()));
    let error = PropertyError::ValueTooLong { offset: 7, name: "n".into(), len: 0x8000_0000 };
    assert_eq!(check_value_len(0x8000_0000, b"n", 7), Err(error));
}

// H25
#[test]
fn a_single_trailing_octet_is_refused() {
    assert_cut(b"\x03", PropertyPart::Name, 3, 0);
}

// H26
#[test]
fn an_empty_name_is_refused() {
    let (result, offset) = behind_socket_type(b"\0\0\0\0\x01x");
    assert_eq!(result, Err(PropertyError::EmptyName { offset }));
    let (result, offset) = behind_socket_type(b"\0");
    assert_eq!(result, Err(PropertyError::EmptyName { offset }));
    assert_eq!(Properties::new().push("", "x"), Err(PropertyError::EmptyName { offset: 0 }));
}

// H27
#[test]
fn a_name_with_space_and_nul_is_refused() {
    let (result, offset) = behind_socket_type(&property(b"a b\0", b"x"));
    assert_eq!(result, Err(PropertyError::NameCharacter { offset, position: 1, octet: b' ' }));
    let (result, offset) = behind_socket_type(&property(b"ab\0", b"x"));
    assert_eq!(result, Err(PropertyError::NameCharacter { offset, position: 2, octet: 0 }));
}

#[test]
fn names_take_exactly_the_characters_of_the_grammar() {
    for octet in 0..=u8::MAX {
        let legal = octet.is_ascii_alphanumeric() || b"-_.+".contains(&octet);
        let expected = if legal { None } else { Some(PropertyError::NameCharacter { offset: 0, position: 0, octet }) };
        assert_eq!(decode(&property(&[octet], b"")).err(), expected, "{octet:#04x}");
    }
}

#[test]
fn names_have_1_to_255_characters() {
    let mut properties = Properties::new();
    properties.push("n", "").unwrap();
    properties.push("n".repeat(255), "").unwrap();
    let offset = properties.encoded_len();
    assert_eq!(properties.push("n".repeat(256), ""), Err(PropertyError::NameTooLong { offset, len: 256 }));
    assert_eq!(properties.len(), 2);
    let mut octets = Vec::new();
    properties.encode(&mut octets);
    assert_eq!(decode(&octets), Ok(properties));
}

// H16, H17, H52
#[test]
fn a_second_standard_property_is_refused_in_any_spelling() {
    for (first, second) in [
        ("Socket-Type", "Socket-Type"),
        ("Socket-Type", "socket-type"),
        ("IDENTITY", "Identity"),
        ("Resource", "rESOURCE"),
    ] {
        let head = property(first.as_bytes(), b"DEALER");
        let result = decode(&[&head[..], &property(second.as_bytes(), b"DEALER")].concat());
        let expected = PropertyError::Duplicate { offset: head.len(), name: second.into() };
        assert_eq!(result, Err(expected.clone()));

        let mut properties = Properties::new();
        properties.push(first, "DEALER").unwrap();
        assert_eq!(properties.push(second, "DEALER"), Err(expected));
    }
}

#[test]
fn of_other_received_duplicates_the_first_is_kept() {
    let metadata = [property(b"X-a", b"1"), property(b"x-A", b"2"), property(b"X-b", b"3")].concat();
    let properties = decode(&metadata).unwrap();
    assert_eq!(properties.len(), 2);
    assert_eq!(properties.get("X-A").unwrap(), &b"1"[..]);
    assert_eq!(properties.get("X-b").unwrap(), &b"3"[..]);
}

#[test]
fn own_duplicates_are_refused_and_change_nothing() {
    let mut properties = Properties::new();
    properties.push("X-a", "1").unwrap();
    let before = properties.clone();
    let error = PropertyError::Duplicate { offset: before.encoded_len(), name: "x-A".into() };
    assert_eq!(properties.push("x-A", "2"), Err(error));
    assert_eq!(properties, before);
}

// H30
#[test]
fn properties_over_the_limit_are_refused() {
    let metadata: Vec<u8> = (0..65).flat_map(|n| property(alloc::format!("X-{n}").as_bytes(), b"")).collect();
    let last = metadata.len() - property(b"X-64", b"").len();
    assert_eq!(Properties::decode(&metadata[..last], 64).unwrap().len(), 64);
    assert_eq!(Properties::decode(&metadata, 64), Err(PropertyError::TooMany { offset: last, max: 64 }));
    assert_eq!(Properties::decode(&metadata, 65).unwrap().len(), 65);
    assert_eq!(Properties::decode(&metadata, 0), Err(PropertyError::TooMany { offset: 0, max: 0 }));
}

#[test]
fn duplicates_that_are_not_kept_count_towards_the_limit() {
    let one = property(b"X-a", b"");
    let result = Properties::decode(&one.repeat(3), 2);
    assert_eq!(result, Err(PropertyError::TooMany { offset: 2 * one.len(), max: 2 }));
}

#[test]
fn the_default_limit_is_64() {
    assert_eq!(Properties::DEFAULT_MAX_COUNT, 64);
}

// H08, H09
#[test]
fn a_missing_socket_type_is_reported_as_missing() {
    assert_eq!(Properties::new().socket_type(), Err(SocketTypeError::Missing));
    assert_eq!(decode(&property(b"Identity", b"DEALER")).unwrap().socket_type(), Err(SocketTypeError::Missing));
}

// H11, H12, H13, H14
#[test]
fn an_unknown_socket_type_is_reported_with_its_value() {
    for (value, shown) in [(&b"FOO"[..], "FOO"), (b"dealer", "dealer"), (b"", ""), (b"DEALER\0", "DEALER\\x00")] {
        let properties = decode(&property(b"Socket-Type", value)).unwrap();
        assert_eq!(properties.socket_type(), Err(SocketTypeError::Unknown { value: shown.into() }));
    }
}

// H15
#[test]
fn a_lower_case_socket_type_name_is_the_socket_type() {
    let properties = decode(&property(b"socket-type", b"PUB")).unwrap();
    assert_eq!(properties.socket_type(), Ok(SocketType::Pub));
}

// H50, H51, H54, H55
#[test]
fn identities_are_read_by_the_rules_for_received_ones() {
    let identity = |value: &[u8]| decode(&property(b"Identity", value)).unwrap().identity();
    assert_eq!(identity(&[b'i'; 256]), Err(IdentityError::TooLong { len: 256 }));
    assert_eq!(&*identity(&[b'j'; 255]).unwrap(), &[b'j'; 255]);
    assert_eq!(&*identity(b"\0abcd").unwrap(), b"\0abcd");
    assert_eq!(identity(b""), Ok(Identity::ANONYMOUS));
}

// H53
#[test]
fn a_lower_case_identity_name_is_the_identity() {
    assert_eq!(&*decode(&property(b"identity", b"aa")).unwrap().identity().unwrap(), b"aa");
}

#[test]
fn an_absent_identity_is_anonymous() {
    assert_eq!(Properties::new().identity(), Ok(Identity::ANONYMOUS));
}

// H45
#[test]
fn resources_follow_their_grammar() {
    let resource = |value: &'static str| {
        let mut properties = Properties::new();
        properties.push("resource", value).unwrap();
        properties.resource().unwrap().map(String::from)
    };
    for good in ["system/name-service/test", "a", "a/b", "$-_@.&+/AZaz09"] {
        assert_eq!(resource(good).as_deref(), Ok(good));
    }
    assert_eq!(resource(""), Err(ResourceError::EmptyName { position: 0 }));
    assert_eq!(resource("/a"), Err(ResourceError::EmptyName { position: 0 }));
    assert_eq!(resource("a/"), Err(ResourceError::EmptyName { position: 2 }));
    assert_eq!(resource("a//b"), Err(ResourceError::EmptyName { position: 2 }));
    assert_eq!(resource("a b"), Err(ResourceError::Character { position: 1, octet: b' ' }));
    assert_eq!(resource("a/\u{e9}"), Err(ResourceError::Character { position: 2, octet: 0xc3 }));
    assert_eq!(Properties::new().resource(), None);
}

#[test]
fn reserved_names_are_known_in_any_case() {
    assert!(Properties::is_reserved("User-Id") && Properties::is_reserved("PEER-ADDRESS"));
    for name in ["Socket-Type", "Identity", "Resource", "X-User-Id", "User-I", ""] {
        assert!(!Properties::is_reserved(name), "{name}");
    }
}

#[test]
fn every_socket_sends_its_identity_and_an_empty_one_only_where_libzmq_does() {
    let identity = Identity::new("me").unwrap();
    for socket_type in SocketType::ALL {
        let properties = Properties::for_socket(socket_type, &identity);
        assert_eq!(properties.iter().next().unwrap().0, "Socket-Type");
        assert_eq!(properties.socket_type(), Ok(socket_type));
        assert_eq!(properties.identity().as_ref(), Ok(&identity), "{socket_type}");
        assert_eq!(properties.len(), 2);

        let anonymous = Properties::for_socket(socket_type, &Identity::ANONYMOUS);
        let empty = socket_type.sends_identity().then_some(&b""[..]);
        assert_eq!(anonymous.get("Identity").map(|value| &value[..]), empty, "{socket_type}");
    }
}

#[test]
fn own_properties_cannot_replace_the_standard_ones() {
    let mut properties = Properties::for_socket(SocketType::Dealer, &Identity::ANONYMOUS);
    assert!(matches!(properties.push("SOCKET-TYPE", "PUB"), Err(PropertyError::Duplicate { .. })));
    assert!(matches!(properties.push("identity", "x"), Err(PropertyError::Duplicate { .. })));
    assert_eq!(properties.socket_type(), Ok(SocketType::Dealer));
}

//! The commands of the handshake, field by field: which of their values are accepted, and what each other one is refused
//! with.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use support::scripted::{self, ScriptedServer, agree, command, public};
use support::vectors::{Vectors, octets};
use support::{
    HELLO_PADDING, HELLO_VERSION, INITIATE_LENGTH, Pair, READY_LENGTH, SERVER_SECRET, Tested, WELCOME_LENGTH, answered,
    client, client_properties, cryptographic, encoded, greeted, handle, initiated, listening, metadata_of,
    metadata_with, on_each_suite, refused, scripted_client, server, server_properties, unexpected, welcomed,
};
use zmtp_codec::{CommandError, MechanismError, Progress, Properties, PropertyError, PropertyPart};
use zmtp_mechanism_blake3::PublicKey;

on_each_suite![
    a_hello_of_another_version_is_refused,
    a_hello_with_anything_in_its_padding_is_refused,
    a_hello_with_anything_but_zeros_in_its_box_is_refused,
    a_hello_with_a_box_for_another_key_is_refused,
    a_welcome_of_another_size_is_refused_also_if_its_box_opens,
    a_second_welcome_is_unexpected,
    a_box_of_another_command_is_refused,
    an_initiate_that_is_bound_to_another_transcript_is_refused,
    a_ready_that_is_bound_to_another_transcript_is_refused,
    no_properties_are_none_on_either_side,
    properties_of_many_sizes_arrive_on_either_side,
    our_own_properties_of_many_sizes_are_sent_whole_on_either_side,
    cut_properties_are_malformed_on_either_side,
    sixty_five_properties_are_too_many_on_either_side,
    an_initiate_one_octet_too_short_is_refused,
    a_ready_one_octet_too_short_is_refused,
    a_command_out_of_its_place_is_unexpected,
    a_body_without_a_name_is_no_command,
    a_ready_in_the_clear_does_not_open,
    a_low_order_transient_key_in_hello_is_refused,
    a_low_order_transient_key_in_welcome_is_refused,
    a_low_order_key_in_initiate_is_refused,
];

// ─── HELLO ───────────────────────────────────────────────────────────────────────────────────────────────────────────

fn hello_refused<S: Tested>(change: impl FnOnce(&mut scripted::Hello<S>)) -> MechanismError {
    let mut hello = scripted_client::<S>().hello();
    change(&mut hello);
    refused(listening(&server::<S>()), &hello.body())
}

/// K02: a HELLO whose version is not 1.0.
fn a_hello_of_another_version_is_refused<S: Tested>() {
    for version in [[0, 0], [0, 1], [1, 1], [2, 0], [3, 0], [0xff, 0xff]] {
        assert_eq!(hello_refused::<S>(|hello| hello.version = version), HELLO_VERSION, "{version:?}");
    }
}

/// K03: a HELLO whose padding is not zero.
fn a_hello_with_anything_in_its_padding_is_refused<S: Tested>() {
    for place in 0..S::ZEROS {
        assert_eq!(hello_refused::<S>(|hello| hello.padding[place] = 1), HELLO_PADDING, "octet {place}");
    }
}

/// K06: a HELLO in whose box there are not 64 zeros.
fn a_hello_with_anything_but_zeros_in_its_box_is_refused<S: Tested>() {
    for place in 0..64 {
        assert_eq!(hello_refused::<S>(|hello| hello.text[place] = 0x80), cryptographic("HELLO"), "octet {place}");
    }
}

fn a_hello_with_a_box_for_another_key_is_refused<S: Tested>() {
    let other_transient = |hello: &mut scripted::Hello<S>| hello.shown = public(&[0x99; 32]);
    assert_eq!(hello_refused::<S>(other_transient), cryptographic("HELLO"));
    let other_server = |hello: &mut scripted::Hello<S>| hello.dh1 = agree(&public(&[0x99; 32]), &[0x7a; 32]);
    assert_eq!(hello_refused::<S>(other_server), cryptographic("HELLO"));
}

// ─── WELCOME ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/// K07 (a WELCOME of another size): sealed so by the server itself.
fn a_welcome_of_another_size_is_refused_also_if_its_box_opens<S: Tested>() {
    for len in [0, 135, 24 + 96 + S::TAG_LEN - 1, 24 + 96 + S::TAG_LEN + 1] {
        let (handshake, hello) = greeted(&client::<S>());
        let honest = ScriptedServer::<S>::new(SERVER_SECRET).welcome(&hello);
        let welcome = scripted::Welcome { cookie: vec![0x63; len], ..honest };
        assert_eq!(refused(handshake, &welcome.body()), WELCOME_LENGTH, "a cookie of {len}");
    }
}

fn a_second_welcome_is_unexpected<S: Tested>() {
    let (handshake, hello) = greeted(&client::<S>());
    let welcome = ScriptedServer::<S>::new(SERVER_SECRET).welcome(&hello).body();
    let (handshake, _) = answered(handshake, &welcome);
    assert_eq!(refused(handshake, &welcome), unexpected("READY or ERROR", "WELCOME"));
}

// ─── what a box is bound to ──────────────────────────────────────────────────────────────────────────────────────────

fn a_box_of_another_command_is_refused<S: Tested>() {
    for other in ["HELLO", "COOKIE", "WELCOME", "VOUCH", "INITIATE", "READY", "", "\x05HELLO"] {
        if other != "HELLO" {
            assert_eq!(hello_refused::<S>(|hello| hello.aad = other), cryptographic("HELLO"), "{other}");
        }
        if other != "WELCOME" {
            let (handshake, hello) = greeted(&client::<S>());
            let honest = ScriptedServer::<S>::new(SERVER_SECRET).welcome(&hello);
            let welcome = scripted::Welcome { aad: other, ..honest };
            assert_eq!(refused(handshake, &welcome.body()), cryptographic("WELCOME"), "{other}");
        }
        if other != "VOUCH" {
            let (handshake, honest) = welcomed(&server::<S>());
            let initiate = scripted::Initiate { vouch_aad: other, ..honest };
            assert_eq!(refused(handshake, &initiate.body()), cryptographic("INITIATE"), "{other}");
        }
        if other != "INITIATE" {
            let (handshake, honest) = welcomed(&server::<S>());
            let initiate = scripted::Initiate { aad: other, ..honest };
            assert_eq!(refused(handshake, &initiate.body()), cryptographic("INITIATE"), "{other}");
        }
        if other != "READY" {
            let (handshake, honest) = initiated(&client::<S>());
            let ready = scripted::Ready { aad: other, ..honest };
            assert_eq!(refused(handshake, &ready.body()), cryptographic("READY"), "{other}");
        }
    }
}

fn an_initiate_that_is_bound_to_another_transcript_is_refused<S: Tested>() {
    let (handshake, honest) = welcomed(&server::<S>());
    let initiate = scripted::Initiate { h2: scripted::transcript::<S>(&[]), ..honest };
    assert_eq!(refused(handshake, &initiate.body()), cryptographic("INITIATE"));
    let (handshake, honest) = welcomed(&server::<S>());
    let initiate = scripted::Initiate { vouch_h2: scripted::transcript::<S>(&[]), ..honest };
    let body = initiate.body();
    if S::BINDS_VOUCH {
        assert_eq!(refused(handshake, &body), cryptographic("INITIATE"));
    } else {
        support::asked(handshake, &body);
    }
}

fn a_ready_that_is_bound_to_another_transcript_is_refused<S: Tested>() {
    let (handshake, honest) = initiated(&client::<S>());
    let ready = scripted::Ready { h3: scripted::transcript::<S>(&[]), ..honest };
    assert_eq!(refused(handshake, &ready.body()), cryptographic("READY"));
}

// ─── properties ──────────────────────────────────────────────────────────────────────────────────────────────────────

/// What a server makes of an INITIATE with these properties.
fn introduced<S: Tested>(metadata: &[u8]) -> Result<Properties, MechanismError> {
    let (handshake, honest) = welcomed(&server::<S>());
    let initiate = scripted::Initiate { metadata: metadata.to_vec(), ..honest }.body();
    match handle(handshake, &initiate) {
        (Ok(Progress::Authorize(_, claim)), _) => Ok(claim.properties.expect("properties")),
        (Err(error), sent) => {
            assert!(sent.is_empty());
            Err(error)
        }
        (other, _) => panic!("{other:?}"),
    }
}

/// What a client makes of a READY with these properties.
fn admitted<S: Tested>(metadata: &[u8]) -> Result<Properties, MechanismError> {
    let (handshake, honest) = initiated(&client::<S>());
    let ready = scripted::Ready { metadata: metadata.to_vec(), ..honest }.body();
    match handle(handshake, &ready).0 {
        Ok(Progress::Complete(session)) => Ok(session.properties),
        Err(error) => Err(error),
        other => panic!("{other:?}"),
    }
}

fn no_properties_are_none_on_either_side<S: Tested>() {
    // Whether a peer may do without a Socket-Type is the connection's to say.
    assert_eq!(introduced::<S>(b""), Ok(Properties::new()));
    assert_eq!(admitted::<S>(b""), Ok(Properties::new()));
}

fn properties_of_many_sizes_arrive_on_either_side<S: Tested>() {
    // READY gets its long header in between.
    for len in [11, 216, 217, 218, 232, 233, 234, 235, 254, 255, 256, 257, 10 * 1024] {
        let metadata = metadata_of(len);
        assert_eq!(introduced::<S>(&metadata).map(|properties| encoded(&properties)), Ok(metadata.clone()), "{len}");
        assert_eq!(admitted::<S>(&metadata).map(|properties| encoded(&properties)), Ok(metadata), "{len}");
    }
}

fn our_own_properties_of_many_sizes_are_sent_whole_on_either_side<S: Tested>() {
    for len in [0, 11, 216, 217, 218, 232, 233, 234, 235, 255, 256, 10 * 1024] {
        let properties = Properties::decode(&metadata_of(len), 1).unwrap();
        let pair = Pair::<S>::with(&client(), &properties, &server(), &properties);
        assert_eq!(pair.server.properties, properties, "{len}");
        assert_eq!(pair.client.properties, properties, "{len}");
        assert_eq!((pair.initiate.len(), pair.ready.len()), (S::SIZES[2] + len, S::SIZES[3] + len));
    }
}

fn cut_properties_are_malformed_on_either_side<S: Tested>() {
    let mut metadata = encoded(&client_properties());
    metadata.pop();
    let cut = |command| MechanismError::Properties {
        command,
        source: PropertyError::Truncated {
            offset: client_properties().encoded_len() - (1 + 8 + 4 + 8),
            part: PropertyPart::Value,
            needed: 8,
            available: 7,
        },
    };
    assert_eq!(introduced::<S>(&metadata), Err(cut("INITIATE")));
    assert_eq!(admitted::<S>(&metadata), Err(cut("READY")));
}

fn sixty_five_properties_are_too_many_on_either_side<S: Tested>() {
    assert_eq!(introduced::<S>(&metadata_with(64)).map(|properties| properties.len()), Ok(64));
    assert_eq!(admitted::<S>(&metadata_with(64)).map(|properties| properties.len()), Ok(64));
    let offset = metadata_with(64).len();
    let too_many = |command| MechanismError::Properties { command, source: PropertyError::TooMany { offset, max: 64 } };
    assert_eq!(introduced::<S>(&metadata_with(65)), Err(too_many("INITIATE")));
    assert_eq!(admitted::<S>(&metadata_with(65)), Err(too_many("READY")));
}

// ─── the shortest commands ───────────────────────────────────────────────────────────────────────────────────────────

fn an_initiate_one_octet_too_short_is_refused<S: Tested>() {
    let (handshake, honest) = welcomed(&server::<S>());
    let initiate = scripted::Initiate { metadata: vec![], ..honest }.body();
    assert_eq!(initiate.len(), S::SIZES[2]);
    assert_eq!(refused(handshake, &initiate[..initiate.len() - 1]), INITIATE_LENGTH);
}

fn a_ready_one_octet_too_short_is_refused<S: Tested>() {
    let (handshake, honest) = initiated(&client::<S>());
    let ready = scripted::Ready { metadata: vec![], ..honest }.body();
    assert_eq!(ready.len(), S::SIZES[3]);
    assert_eq!(refused(handshake, &ready[..ready.len() - 1]), READY_LENGTH);
}

// ─── every command where it does not belong ──────────────────────────────────────────────────────────────────────────

fn a_command_out_of_its_place_is_unexpected<S: Tested>() {
    let recorded = Pair::<S>::usual();
    let null_ready = command("READY", &[&encoded(&client_properties())]);
    let message = command("MESSAGE", &[&[0; 25]]);
    let ping = command("PING", &[&[0, 0]]);
    let lower_case = command("hello", &[&recorded.hello[6..]]);
    let commands = [
        ("HELLO", &recorded.hello),
        ("hello", &lower_case),
        ("WELCOME", &recorded.welcome),
        ("INITIATE", &recorded.initiate),
        ("READY", &recorded.ready),
        ("READY", &null_ready),
        ("MESSAGE", &message),
        ("PING", &ping),
    ];
    for (name, body) in commands {
        if name != "HELLO" {
            assert_eq!(refused(listening(&server::<S>()), body), unexpected("HELLO", name));
        }
        if name != "INITIATE" {
            assert_eq!(refused(welcomed(&server::<S>()).0, body), unexpected("INITIATE", name));
        }
        if name != "WELCOME" {
            assert_eq!(refused(greeted(&client::<S>()).0, body), unexpected("WELCOME or ERROR", name));
        }
        if name != "READY" {
            assert_eq!(refused(initiated(&client::<S>()).0, body), unexpected("READY or ERROR", name));
        }
    }
}

fn a_body_without_a_name_is_no_command<S: Tested>() {
    let empty = MechanismError::Command(CommandError::EmptyBody);
    assert_eq!(refused(listening(&server::<S>()), b""), empty);
    assert_eq!(refused(welcomed(&server::<S>()).0, b""), empty);
    assert_eq!(refused(greeted(&client::<S>()).0, b""), empty);
    assert_eq!(refused(initiated(&client::<S>()).0, b""), empty);
    let nameless = MechanismError::Command(CommandError::EmptyName);
    assert_eq!(refused(listening(&server::<S>()), &vec![0; S::SIZES[0]]), nameless);
    assert_eq!(refused(greeted(&client::<S>()).0, &vec![0; S::SIZES[1]]), nameless);
}

fn a_ready_in_the_clear_does_not_open<S: Tested>() {
    // By its name and size it could be the right one.
    let ready = command("READY", &[&encoded(&server_properties())]);
    assert_eq!(refused(initiated(&client::<S>()).0, &ready), cryptographic("READY"));
}

// ─── points of low order ─────────────────────────────────────────────────────────────────────────────────────────────

/// Each point of low order, and each with the bit set that X25519 ignores.
fn low_order_points() -> Vec<[u8; 32]> {
    // 0, 1, two of order 8, p-1, p, p+1, little-endian (RFC 7748 calls for this check in section 6.1).
    const POINTS: [&str; 7] = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    let points = POINTS.map(|point| hex::decode(point).unwrap().try_into().unwrap());
    points
        .into_iter()
        .flat_map(|point: [u8; 32]| {
            let mut with_top_bit = point;
            with_top_bit[31] |= 0x80;
            [point, with_top_bit]
        })
        .collect()
}

/// What the attack lives on: who agrees with such a point agrees with everybody, on zero.
const SHARED_WITH_ALL: [u8; 32] = [0; 32];

/// K04: a HELLO whose C' is of low order.
fn a_low_order_transient_key_in_hello_is_refused<S: Tested>() {
    for point in low_order_points() {
        let attack = |hello: &mut scripted::Hello<S>| (hello.shown, hello.dh1) = (point, SHARED_WITH_ALL);
        assert_eq!(hello_refused::<S>(attack), cryptographic("HELLO"), "{point:02x?}");
    }
}

/// K08: a WELCOME whose S' is of low order.
fn a_low_order_transient_key_in_welcome_is_refused<S: Tested>() {
    for point in low_order_points() {
        let (handshake, hello) = greeted(&client::<S>());
        let honest = ScriptedServer::<S>::new(SERVER_SECRET).welcome(&hello);
        let welcome = scripted::Welcome { shown: point, ..honest };
        assert_eq!(refused(handshake, &welcome.body()), cryptographic("WELCOME"), "{point:02x?}");
    }
}

/// K13: an INITIATE whose C is of low order.
fn a_low_order_key_in_initiate_is_refused<S: Tested>() {
    for point in low_order_points() {
        let (handshake, honest) = welcomed(&server::<S>());
        // Needs no secret key: this is how anybody would vouch for anything.
        let initiate = scripted::Initiate { shown: point, dh3: SHARED_WITH_ALL, ..honest };
        assert_eq!(refused(handshake, &initiate.body()), cryptographic("INITIATE"), "{point:02x?}");
    }
}

#[test]
fn a_low_order_server_key_cannot_be_configured() {
    for point in low_order_points() {
        PublicKey::from_bytes(&point).unwrap_err();
    }
}

/// That the boxes above would open if the points were not looked at: the vectors have the same ones, sealed by others.
#[test]
fn a_hello_of_a_low_order_point_is_sealed_as_in_the_vectors() {
    let vectors = Vectors::load();
    let client = scripted::ScriptedClient::<zmtp_mechanism_blake3::ChachaPoly>::new(vectors.key("S"));
    let mut found = 0;
    for case in vectors.list("negative_handshake").iter().filter(|case| case["reason"] == "dh1-zero") {
        let frame = octets(&case["feed"][0]);
        let hello =
            scripted::Hello { shown: frame[10..42].try_into().unwrap(), dh1: SHARED_WITH_ALL, ..client.hello() };
        assert_eq!(hello.body(), frame[2..]);
        found += 1;
    }
    assert_eq!(found, 8);
}

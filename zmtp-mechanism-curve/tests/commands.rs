//! The commands of the handshake, field by field: which of their values are accepted, and what each other one is refused
//! with.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use support::scripted::{self, ScriptedServer, Traffic, agree, command};
use support::{
    HELLO_LENGTH, HELLO_PADDING, HELLO_VERSION, INITIATE_LENGTH, Pair, READY_LENGTH, SERVER_SECRET, WELCOME_LENGTH,
    answered, asked, client, client_properties, completed, cryptographic, encoded, greeted, handle, initiated,
    listening, metadata_of, metadata_with, open, refused, scripted_client, server, server_properties, unexpected,
    welcomed,
};
use zmtp_codec::{
    CommandError, FrameKind, MechanismError, OpenError, Progress, Properties, PropertyError, PropertyPart,
};

// ─── HELLO ───────────────────────────────────────────────────────────────────────────────────────────────────────────

fn hello_refused(change: impl FnOnce(&mut scripted::Hello)) -> MechanismError {
    let mut hello = scripted_client().hello();
    change(&mut hello);
    refused(listening(&server()), &hello.body())
}

#[test]
fn a_hello_of_any_number_is_accepted() {
    for counter in [0, 1, 2, u64::MAX - 1, u64::MAX] {
        let hello = scripted::Hello { counter, ..scripted_client().hello() };
        answered(listening(&server()), &hello.body());
    }
}

#[test]
fn a_hello_of_another_version_is_refused() {
    for version in [[0, 0], [0, 1], [1, 1], [2, 0], [3, 0], [0xff, 0xff]] {
        assert_eq!(hello_refused(|hello| hello.version = version), HELLO_VERSION, "{version:?}");
    }
}

#[test]
fn a_hello_with_anything_in_its_padding_is_refused() {
    for place in 0..72 {
        assert_eq!(hello_refused(|hello| hello.padding[place] = 1), HELLO_PADDING, "octet {place}");
    }
}

#[test]
fn a_hello_with_anything_but_zeros_in_its_box_is_refused() {
    for place in 0..64 {
        assert_eq!(hello_refused(|hello| hello.text[place] = 0x80), cryptographic("HELLO"), "octet {place}");
    }
}

#[test]
fn a_hello_of_another_size_is_refused() {
    let hello = scripted_client().hello().body();
    assert_eq!(refused(listening(&server()), &hello[..199]), HELLO_LENGTH);
    assert_eq!(refused(listening(&server()), &[&hello[..], &[0]].concat()), HELLO_LENGTH);
}

#[test]
fn a_welcome_is_smaller_than_the_hello_that_asked_for_it() {
    let (_, welcome) = answered(listening(&server()), &scripted_client().hello().body());
    assert_eq!(welcome.len(), 168);
}

// ─── WELCOME ─────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_welcome_of_another_size_is_refused() {
    let server = ScriptedServer::new(SERVER_SECRET);
    for longer in [false, true] {
        let (handshake, hello) = greeted(&client());
        let mut welcome = server.welcome(&server.open_hello(&hello)).body();
        if longer {
            welcome.push(0);
        } else {
            welcome.truncate(167);
        }
        assert_eq!(refused(handshake, &welcome), WELCOME_LENGTH);
    }
}

#[test]
fn a_second_welcome_is_unexpected() {
    let server = ScriptedServer::new(SERVER_SECRET);
    let (handshake, hello) = greeted(&client());
    let welcome = server.welcome(&server.open_hello(&hello)).body();
    let (handshake, _) = answered(handshake, &welcome);
    assert_eq!(refused(handshake, &welcome), unexpected("READY or ERROR", "WELCOME"));
}

// ─── INITIATE ────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn an_initiate_need_not_count_on_from_hello() {
    // protocol-zmtp for Ruby numbers both 1.
    for (of_hello, of_initiate) in [(1, 1), (5, 4), (5, 0), (u64::MAX, 0), (1, u64::MAX)] {
        let client = scripted_client();
        let hello = scripted::Hello { counter: of_hello, ..client.hello() };
        let (handshake, welcome) = answered(listening(&server()), &hello.body());
        let initiate = scripted::Initiate { counter: of_initiate, ..client.initiate(&welcome, b"") };
        asked(handshake, &initiate.body());
    }
}

#[test]
fn an_initiate_of_256_octets_is_refused() {
    let (handshake, honest) = welcomed(&server());
    let initiate = scripted::Initiate { metadata: vec![], ..honest }.body();
    assert_eq!(initiate.len(), 257);
    assert_eq!(refused(handshake, &initiate[..256]), INITIATE_LENGTH);
}

/// What a server makes of an INITIATE with these properties.
fn introduced(metadata: &[u8]) -> Result<Properties, MechanismError> {
    let (handshake, honest) = welcomed(&server());
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
fn admitted(metadata: &[u8]) -> Result<Properties, MechanismError> {
    let (handshake, their_transient) = initiated(&client());
    let ready = ScriptedServer::new(SERVER_SECRET).ready(&their_transient, 1, metadata);
    match handle(handshake, &ready).0 {
        Ok(Progress::Complete(session)) => Ok(session.properties),
        Err(error) => Err(error),
        other => panic!("{other:?}"),
    }
}

#[test]
fn no_properties_are_none_on_either_side() {
    // Whether a peer may do without a Socket-Type is the connection's to say.
    assert_eq!(introduced(b""), Ok(Properties::new()));
    assert_eq!(admitted(b""), Ok(Properties::new()));
}

#[test]
fn properties_of_many_sizes_arrive_on_either_side() {
    for len in [11, 254, 255, 256, 257, 10 * 1024] {
        let metadata = metadata_of(len);
        assert_eq!(introduced(&metadata).map(|properties| encoded(&properties)), Ok(metadata.clone()), "{len}");
        assert_eq!(admitted(&metadata).map(|properties| encoded(&properties)), Ok(metadata), "{len}");
    }
}

#[test]
fn our_own_properties_of_many_sizes_are_sent_whole_on_either_side() {
    for len in [0, 11, 255, 256, 10 * 1024] {
        let properties = Properties::decode(&metadata_of(len), 1).unwrap();
        let pair = Pair::with(&client(), &properties, &server(), &properties);
        assert_eq!(pair.server.properties, properties, "{len}");
        assert_eq!(pair.client.properties, properties, "{len}");
    }
}

#[test]
fn cut_properties_are_malformed_on_either_side() {
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
    assert_eq!(introduced(&metadata), Err(cut("INITIATE")));
    assert_eq!(admitted(&metadata), Err(cut("READY")));
}

#[test]
fn sixty_five_properties_are_too_many_on_either_side() {
    assert_eq!(introduced(&metadata_with(64)).map(|properties| properties.len()), Ok(64));
    assert_eq!(admitted(&metadata_with(64)).map(|properties| properties.len()), Ok(64));
    let offset = metadata_with(64).len();
    let too_many = |command| MechanismError::Properties { command, source: PropertyError::TooMany { offset, max: 64 } };
    assert_eq!(introduced(&metadata_with(65)), Err(too_many("INITIATE")));
    assert_eq!(admitted(&metadata_with(65)), Err(too_many("READY")));
}

// ─── READY ───────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_ready_of_any_number_is_accepted_and_messages_come_after_it() {
    let server = ScriptedServer::new(SERVER_SECRET);
    for counter in [0, 1, 7, u64::MAX - 1] {
        let (handshake, their_transient) = initiated(&client());
        let mut session = completed(handshake, &server.ready(&their_transient, counter, b""));
        let traffic = Traffic::new(agree(&their_transient, &server.transient));
        let with_number = |number| traffic.message(scripted::FROM_SERVER, number, b"\x00x");
        assert_eq!(open(&mut session.opener, &with_number(counter)), Err(OpenError::Sequence), "{counter}");
        assert_eq!(open(&mut session.opener, &with_number(counter + 1)), Ok((FrameKind::Last, b"x".to_vec())));
    }
}

#[test]
fn a_ready_of_the_last_number_leaves_none_for_messages() {
    let server = ScriptedServer::new(SERVER_SECRET);
    for client in [client(), client().refuse_gaps()] {
        let (handshake, their_transient) = initiated(&client);
        let mut session = completed(handshake, &server.ready(&their_transient, u64::MAX, b""));
        let traffic = Traffic::new(agree(&their_transient, &server.transient));
        for number in [0, 1, 2, u64::MAX] {
            let body = traffic.message(scripted::FROM_SERVER, number, b"\x00x");
            assert_eq!(open(&mut session.opener, &body), Err(OpenError::Sequence), "{number}");
        }
    }
}

#[test]
fn a_ready_of_29_octets_is_refused() {
    let (handshake, their_transient) = initiated(&client());
    let ready = ScriptedServer::new(SERVER_SECRET).ready(&their_transient, 1, b"");
    assert_eq!(ready.len(), 30);
    assert_eq!(refused(handshake, &ready[..29]), READY_LENGTH);
}

// ─── every command where it does not belong ──────────────────────────────────────────────────────────────────────────

#[test]
fn a_command_out_of_its_place_is_unexpected() {
    let recorded = Pair::new(&client(), &server());
    let null_ready = command("READY", &[&encoded(&client_properties())]);
    let message = command("MESSAGE", &[&[0; 25]]);
    let ping = command("PING", &[&[0, 0]]);
    let commands = [
        ("HELLO", &recorded.hello),
        ("WELCOME", &recorded.welcome),
        ("INITIATE", &recorded.initiate),
        ("READY", &recorded.ready),
        ("READY", &null_ready),
        ("MESSAGE", &message),
        ("PING", &ping),
    ];
    for (name, body) in commands {
        if name != "HELLO" {
            assert_eq!(refused(listening(&server()), body), unexpected("HELLO", name));
        }
        if name != "INITIATE" {
            assert_eq!(refused(welcomed(&server()).0, body), unexpected("INITIATE", name));
        }
        if name != "WELCOME" {
            assert_eq!(refused(greeted(&client()).0, body), unexpected("WELCOME or ERROR", name));
        }
        if name != "READY" {
            assert_eq!(refused(initiated(&client()).0, body), unexpected("READY or ERROR", name));
        }
    }
}

#[test]
fn a_body_without_a_name_is_no_command() {
    let empty = MechanismError::Command(CommandError::EmptyBody);
    assert_eq!(refused(listening(&server()), b""), empty);
    assert_eq!(refused(welcomed(&server()).0, b""), empty);
    assert_eq!(refused(greeted(&client()).0, b""), empty);
    assert_eq!(refused(initiated(&client()).0, b""), empty);
    let nameless = MechanismError::Command(CommandError::EmptyName);
    assert_eq!(refused(listening(&server()), &[0; 200]), nameless);
    assert_eq!(refused(greeted(&client()).0, &[0; 168]), nameless);
}

#[test]
fn a_null_ready_of_the_size_of_a_curve_ready_does_not_open() {
    // By its name and size it could be the right one.
    assert_eq!(
        refused(initiated(&client()).0, &command("READY", &[&encoded(&server_properties())])),
        cryptographic("READY")
    );
}

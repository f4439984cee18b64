//! The shared framing vectors: what must be read and written exactly so, and what must be refused.
//!
//! `data/framing.json` holds whole greetings and frames in hex. The valid ones were for the most part captured from libzmq;
//! the invalid ones each break one rule. A vector of a kind that this file does not know fails the test.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use zmtp_codec::{
    Command, CommandError, FrameError, FrameHeader, FrameKind, Greeting, GreetingError, IdentityError, MechanismName,
    Properties, PropertyError, PropertyPart, RawCommand, SocketTypeError, Subscription, SubscriptionAction,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    valid: Vec<Valid>,
    invalid: Vec<Invalid>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Valid {
    name: String,
    #[serde(with = "hex")]
    wire: Vec<u8>,
    decoded: Decoded,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Invalid {
    name: String,
    #[serde(with = "hex")]
    wire: Vec<u8>,
    /// The rule that is broken, for the message of a failing test.
    why: String,
    case: String,
}

/// What a valid vector means. Which fields an entry has decides what it is.
#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Decoded {
    Greeting {
        major: u8,
        minor: u8,
        mechanism: String,
        as_server: bool,
        padding: Option<String>,
    },
    Frame {
        more: bool,
        command: bool,
        body: String,
    },
    Message {
        parts: Vec<String>,
    },
    SubscriptionMessage {
        message_form: String,
        topic: String,
    },
    Metadata {
        command: String,
        socket_type: String,
        identity: Option<String>,
        resource: Option<String>,
        #[serde(default)]
        extra: BTreeMap<String, String>,
    },
    Reason {
        command: String,
        reason: String,
    },
    Topic {
        command: String,
        topic: String,
    },
    Group {
        command: String,
        group: String,
    },
    Ping {
        command: String,
        ttl_deciseconds: u16,
        context: String,
    },
    Pong {
        command: String,
        context: String,
    },
    PlainHello {
        command: String,
        username: String,
        password: String,
    },
    Other {
        command: String,
        #[serde(default)]
        data: String,
    },
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("data/framing.json")).unwrap()
}

fn octets(hex: &str) -> Vec<u8> {
    hex::decode(hex).unwrap()
}

/// Takes whole frames apart; the vectors end with a frame.
fn frames(wire: &[u8]) -> Result<Vec<(FrameKind, Bytes)>, FrameError> {
    let mut frames = Vec::new();
    let mut rest = wire;
    while !rest.is_empty() {
        let (header, header_len) = FrameHeader::decode(rest)?.expect("a vector holds whole headers");
        let end = header_len + usize::try_from(header.size()).unwrap();
        let body = rest.get(header_len..end).expect("a vector holds whole bodies");
        frames.push((header.kind(), Bytes::copy_from_slice(body)));
        rest = &rest[end..];
    }
    Ok(frames)
}

fn single_frame(wire: &[u8]) -> (FrameKind, Bytes) {
    let mut frames = frames(wire).unwrap();
    assert_eq!(frames.len(), 1, "one frame");
    frames.remove(0)
}

fn command_body(wire: &[u8]) -> Bytes {
    let (kind, body) = single_frame(wire);
    assert_eq!(kind, FrameKind::Command);
    body
}

fn encode_frame(kind: FrameKind, body: &[u8]) -> Vec<u8> {
    let header = FrameHeader::new(kind, body.len() as u64).encode();
    [header.as_ref(), body].concat()
}

/// Reads a command and checks that it is written the same way.
fn command(wire: &[u8]) -> Command {
    let command = Command::decode(command_body(wire)).unwrap();
    let mut body = Vec::new();
    command.encode_body(&mut body);
    assert_eq!(encode_frame(FrameKind::Command, &body), wire, "written as it was read");
    assert_eq!(command.body_len(), body.len());
    command
}

fn check_valid(Valid { name, wire, decoded }: &Valid) {
    match decoded {
        Decoded::Greeting { major, minor, mechanism, as_server, padding } => {
            let greeting = Greeting::decode(wire).unwrap().unwrap();
            assert_eq!((greeting.version().major(), greeting.version().minor()), (*major, *minor));
            assert_eq!(greeting.mechanism(), MechanismName::new(mechanism).unwrap());
            assert_eq!(greeting.as_server(), *as_server);
            let mut written = greeting.to_bytes();
            if let Some(padding) = padding {
                written[1..9].copy_from_slice(&octets(padding));
            }
            assert_eq!(written, wire[..], "written as it was read, apart from padding");
        }
        Decoded::Frame { more, command, body } => {
            let expected = match (command, more) {
                (false, false) => FrameKind::Last,
                (false, true) => FrameKind::More,
                (true, _) => FrameKind::Command,
            };
            assert_eq!(single_frame(wire), (expected, octets(body).into()));
            if !name.contains("non-minimal") {
                assert_eq!(encode_frame(expected, &octets(body)), *wire);
            }
        }
        Decoded::Message { parts } => {
            let frames = frames(wire).unwrap();
            assert!(frames.iter().map(|(_, body)| &body[..]).eq(parts.iter().map(|part| octets(part))));
            let (last, others) = frames.split_last().unwrap();
            assert_eq!(last.0, FrameKind::Last);
            assert!(others.iter().all(|(kind, _)| *kind == FrameKind::More));
        }
        Decoded::SubscriptionMessage { message_form, topic } => {
            let (kind, body) = single_frame(wire);
            assert_eq!(kind, FrameKind::Last);
            let subscription = Subscription::from_message(&body).unwrap();
            let action = match &message_form[..] {
                "subscribe" => SubscriptionAction::Subscribe,
                "cancel" => SubscriptionAction::Cancel,
                other => panic!("unknown form {other}"),
            };
            assert_eq!((subscription.action, &subscription.topic[..]), (action, &octets(topic)[..]));
            let mut written = Vec::new();
            subscription.encode_message_body(&mut written);
            assert_eq!(written, body);
        }
        Decoded::Metadata { command: expected, socket_type, identity, resource, extra } => {
            let properties = match &expected[..] {
                "READY" => match command(wire) {
                    Command::Ready(properties) => properties,
                    other => panic!("{other:?}"),
                },
                "INITIATE" => {
                    let body = command_body(wire);
                    let raw = RawCommand::decode(&body).unwrap();
                    assert_eq!(raw.name, b"INITIATE");
                    Properties::decode(raw.data, Properties::DEFAULT_MAX_COUNT).unwrap()
                }
                other => panic!("unknown command {other}"),
            };
            assert_eq!(properties.socket_type().unwrap().as_str(), socket_type);
            assert_eq!(properties.get("Identity").is_some(), identity.is_some());
            let identity = identity.as_deref().map(octets).unwrap_or_default();
            assert_eq!(properties.identity().unwrap().as_bytes(), &identity);
            assert_eq!(properties.resource().transpose().unwrap(), resource.as_deref());
            for (name, value) in extra {
                assert_eq!(properties.get(name), Some(&octets(value).into()));
            }
        }
        Decoded::Reason { command: expected, reason } => match &expected[..] {
            "ERROR" => match command(wire) {
                Command::Error(read) => assert_eq!(read.as_bytes(), reason),
                other => panic!("{other:?}"),
            },
            // Its first octet is the letter ^, not a name length: only PLAIN knows what is meant.
            "ERROR (quirk)" => {
                let error = CommandError::NameTruncated { declared: 0x5e, available: 4 + 1 + reason.len() };
                assert_eq!(Command::decode(command_body(wire)), Err(error));
            }
            other => panic!("unknown command {other}"),
        },
        Decoded::Topic { command: expected, topic } => match (&expected[..], command(wire)) {
            ("SUBSCRIBE", Command::Subscribe(read)) | ("CANCEL", Command::Cancel(read)) => {
                assert_eq!(read, octets(topic));
            }
            (_, other) => panic!("{other:?} instead of {expected}"),
        },
        Decoded::Group { command: expected, group } => match (&expected[..], command(wire)) {
            ("JOIN", Command::Join(read)) | ("LEAVE", Command::Leave(read)) => {
                assert_eq!(read.as_bytes(), &octets(group));
            }
            (_, other) => panic!("{other:?} instead of {expected}"),
        },
        Decoded::Ping { command: expected, ttl_deciseconds, context } => match (&expected[..], command(wire)) {
            ("PING", Command::Ping(ping)) => {
                assert_eq!(ping.ttl.as_deciseconds(), *ttl_deciseconds);
                assert_eq!(ping.context.as_bytes(), octets(context));
            }
            (_, other) => panic!("{other:?} instead of {expected}"),
        },
        Decoded::Pong { command: expected, context } => match (&expected[..], command(wire)) {
            ("PONG", Command::Pong(pong)) => assert_eq!(pong.context.as_bytes(), octets(context)),
            (_, other) => panic!("{other:?} instead of {expected}"),
        },
        Decoded::PlainHello { command: expected, username, password } => {
            let Command::Unknown(read) = command(wire) else { panic!("a command of PLAIN is none of ours") };
            assert_eq!(read.name(), expected);
            let length = |text: &str| char::from(u8::try_from(text.len()).unwrap());
            let data = format!("{}{username}{}{password}", length(username), length(password));
            assert_eq!(read.data(), &data);
        }
        Decoded::Other { command: expected, data } => {
            let Command::Unknown(read) = command(wire) else { panic!("{expected} is none of ours") };
            assert_eq!((read.name(), &read.data()[..]), (&Bytes::from(expected.clone()), &octets(data)[..]));
        }
    }
}

/// What becomes of an invalid vector, and which layer finds out.
#[derive(Debug, PartialEq)]
enum Verdict {
    Greeting(GreetingError),
    /// The greeting is read, but its mechanism equals none that anybody can configure.
    NoMechanism,
    Frame(FrameError),
    Command(CommandError),
    SocketType(SocketTypeError),
    Identity(IdentityError),
    /// An ERROR, malformed or not, ends the connection; this one is read as one.
    Refusal(String),
    /// Well formed for all that the codec can tell; the mechanism that owns the command refuses it.
    LeftToMechanism(String),
    Accepted,
}

fn judge(name: &str, wire: &[u8]) -> Verdict {
    if name.starts_with("greeting ") {
        return match Greeting::decode(wire) {
            Err(error) => Verdict::Greeting(error),
            Ok(greeting) if greeting.unwrap().mechanism().as_str().is_none() => Verdict::NoMechanism,
            Ok(_) => Verdict::Accepted,
        };
    }
    let frames = match frames(wire) {
        Ok(frames) => frames,
        Err(error) => return Verdict::Frame(error),
    };
    assert_eq!(frames.len(), 1, "one frame");
    let (kind, body) = &frames[0];
    assert_eq!(*kind, FrameKind::Command);
    match Command::decode(body.clone()) {
        Err(error) => Verdict::Command(error),
        Ok(Command::Ready(properties)) => match (properties.socket_type(), properties.identity()) {
            (Err(error), _) => Verdict::SocketType(error),
            (_, Err(error)) => Verdict::Identity(error),
            _ => Verdict::Accepted,
        },
        Ok(Command::Error(reason)) => Verdict::Refusal(reason.to_string()),
        Ok(Command::Unknown(unknown)) => Verdict::LeftToMechanism(String::from_utf8(unknown.name().to_vec()).unwrap()),
        Ok(_) => Verdict::Accepted,
    }
}

/// The verdict on each invalid vector, down to the numbers in it.
fn expected(name: &str) -> Verdict {
    // In all vectors of READY the property in question follows a good Socket-Type property of this length.
    const OFFSET: usize = 1 + 11 + 4 + 6;
    let cut = |part, needed, available| {
        Verdict::Command(PropertyError::Truncated { offset: OFFSET, part, needed, available }.into())
    };
    let unknown = |value: &str| Verdict::SocketType(SocketTypeError::Unknown { value: value.into() });
    match name {
        "reserved flag bit 3" => Verdict::Frame(FrameError::ReservedFlags { flags: 0x08 }),
        "reserved flag bit 7" => Verdict::Frame(FrameError::ReservedFlags { flags: 0x80 }),
        "COMMAND|MORE short" => Verdict::Frame(FrameError::CommandWithMore { flags: 0x05 }),
        "COMMAND|MORE long" => Verdict::Frame(FrameError::CommandWithMore { flags: 0x07 }),
        "LONG size 2^63" => Verdict::Frame(FrameError::SizeOutOfRange { size: 1 << 63 }),
        "LONG size 2^64-1" => Verdict::Frame(FrameError::SizeOutOfRange { size: u64::MAX }),
        "command body empty" => Verdict::Command(CommandError::EmptyBody),
        "command name length zero" => Verdict::Command(CommandError::EmptyName),
        "command name past the end" => Verdict::Command(CommandError::NameTruncated { declared: 32, available: 1 }),
        "READY name past the end" => cut(PropertyPart::Name, 32, 3),
        "READY value length missing" => cut(PropertyPart::ValueLength, 4, 0),
        "READY value length cut" => cut(PropertyPart::ValueLength, 4, 3),
        "READY value missing" => cut(PropertyPart::Value, 5, 0),
        "READY value cut" => cut(PropertyPart::Value, 5, 3),
        "READY value length top bit" => Verdict::Command(
            PropertyError::ValueTooLong { offset: OFFSET, name: "abc".into(), len: 0x8000_0000 }.into(),
        ),
        "READY trailing octet" => cut(PropertyPart::Name, 3, 0),
        "READY zero-length name" => Verdict::Command(PropertyError::EmptyName { offset: OFFSET }.into()),
        "READY name with space" => {
            Verdict::Command(PropertyError::NameCharacter { offset: OFFSET, position: 1, octet: b' ' }.into())
        }
        "READY duplicate Socket-Type" => {
            Verdict::Command(PropertyError::Duplicate { offset: OFFSET, name: "socket-type".into() }.into())
        }
        "READY unknown socket type" => unknown("FOO"),
        "READY lower case socket type value" => unknown("dealer"),
        "READY Identity 256 octets" => Verdict::Identity(IdentityError::TooLong { len: 256 }),
        "ERROR without length" => Verdict::Command(CommandError::ReasonLengthMissing),
        "ERROR reason past the end" => Verdict::Command(CommandError::ReasonTruncated { declared: 9, available: 3 }),
        "ERROR trailing octets" => Verdict::Refusal("400".into()),
        "PING without ttl" => Verdict::Command(CommandError::TtlTruncated { available: 0 }),
        "PING one ttl octet" => Verdict::Command(CommandError::TtlTruncated { available: 1 }),
        "PING context 17" | "PONG context 17" => Verdict::Command(CommandError::ContextTooLong { len: 17 }),
        "JOIN 256-octet group" => Verdict::Command(CommandError::GroupTooLong { len: 256 }),
        "JOIN with NUL" => Verdict::Command(CommandError::GroupZero { position: 1 }),
        "PLAIN HELLO no password" | "PLAIN HELLO trailing octets" => Verdict::LeftToMechanism("HELLO".into()),
        "PLAIN WELCOME with body" => Verdict::LeftToMechanism("WELCOME".into()),
        "greeting signature octet 0" => Verdict::Greeting(GreetingError::NotZmtp { octet: 0 }),
        "greeting signature octet 9" => Verdict::Greeting(GreetingError::Signature { octet: 0x7e }),
        "greeting mechanism with junk after NUL" | "greeting mechanism lower case" => Verdict::NoMechanism,
        other => panic!("no verdict is written down for {other}"),
    }
}

#[test]
fn valid_vectors_are_read_and_written_exactly() {
    let valid = vectors().valid;
    assert_eq!(valid.len(), 65, "the whole file");
    for vector in &valid {
        println!("{}", vector.name);
        check_valid(vector);
    }
}

#[test]
fn invalid_vectors_are_refused_for_the_right_reason() {
    let invalid = vectors().invalid;
    assert_eq!(invalid.len(), 38, "the whole file");
    for Invalid { name, wire, why, case } in &invalid {
        assert_eq!(judge(name, wire), expected(name), "{case}: {name}: {why}");
    }
}

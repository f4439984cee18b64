use super::*;
use crate::{HeartbeatContext, PropertyError, Ttl};
use alloc::vec::Vec;
use alloc::{format, vec};

fn decode(body: &[u8]) -> Result<Command, CommandError> {
    Command::decode(Bytes::copy_from_slice(body))
}

/// Asserts that a command and a body are two forms of the same thing.
fn assert_body(command: &Command, body: &[u8]) {
    let mut encoded = Vec::new();
    command.encode_body(&mut encoded);
    assert_eq!(encoded, body);
    assert_eq!(command.body_len(), body.len());
    assert_eq!(decode(body).as_ref(), Ok(command));
    assert_eq!(command.name(), RawCommand::decode(body).unwrap().name);
}

#[test]
fn bodies_are_those_of_the_rfc() {
    let mut properties = Properties::new();
    properties.push("Socket-Type", "PULL").unwrap();
    let context = HeartbeatContext::new(b"cc").unwrap();
    let group = Group::new("grp").unwrap();
    assert_body(&Command::Ready(properties), b"\x05READY\x0bSocket-Type\0\0\0\x04PULL");
    assert_body(&Command::Ready(Properties::new()), b"\x05READY");
    assert_body(&Command::Error(ErrorReason::new("no").unwrap()), b"\x05ERROR\x02no");
    assert_body(&Command::Subscribe("A".into()), b"\x09SUBSCRIBEA");
    assert_body(&Command::Subscribe("".into()), b"\x09SUBSCRIBE");
    assert_body(&Command::Cancel("A".into()), b"\x06CANCELA");
    assert_body(&Command::Join(group.clone()), b"\x04JOINgrp");
    assert_body(&Command::Leave(group), b"\x05LEAVEgrp");
    assert_body(&Command::Ping(Ping::new(Ttl::from_deciseconds(258), context)), b"\x04PING\x01\x02cc");
    assert_body(&Command::Pong(Pong::new(context)), b"\x04PONGcc");
    assert_body(&Command::Unknown(UnknownCommand::new("FOO", "bar").unwrap()), b"\x03FOObar");
}

// H31, F12
#[test]
fn an_empty_body_is_refused() {
    assert_eq!(RawCommand::decode(b""), Err(CommandError::EmptyBody));
    assert_eq!(decode(b""), Err(CommandError::EmptyBody));
}

// F14
#[test]
fn an_empty_name_is_refused() {
    assert_eq!(decode(b"\0"), Err(CommandError::EmptyName));
    assert_eq!(decode(b"\0PING"), Err(CommandError::EmptyName));
}

// H32, F13
#[test]
fn a_name_past_the_end_is_refused() {
    assert_eq!(decode(b"\x09A"), Err(CommandError::NameTruncated { declared: 9, available: 1 }));
    assert_eq!(decode(b"\x01"), Err(CommandError::NameTruncated { declared: 1, available: 0 }));
    assert_eq!(decode(&[255; 255]), Err(CommandError::NameTruncated { declared: 255, available: 254 }));
}

#[test]
fn names_of_1_and_255_octets_are_read() {
    let longest = [&[255][..], &[b'n'; 255], b"data"].concat();
    for (body, name, data) in [(&b"\x01A"[..], &b"A"[..], &b""[..]), (&longest, &[b'n'; 255], b"data")] {
        let raw = RawCommand::decode(body).unwrap();
        assert_eq!((raw.name, raw.data), (name, data));
        let Ok(Command::Unknown(unknown)) = decode(body) else { panic!("{body:?} is an unknown command") };
        assert_eq!((&unknown.name()[..], &unknown.data()[..]), (name, data));
    }
}

// H06, H07, F15, F24, S10
#[test]
fn names_are_compared_exactly() {
    for body in [&b"\x05ready"[..], b"\x06READYX", b"\x04ping\0\0", b"\x04Ping\0\0", b"\x09subscribea", b"\x03FOO"] {
        assert!(matches!(decode(body), Ok(Command::Unknown(_))), "{body:?}");
    }
}

#[test]
fn a_name_that_is_no_text_is_unknown() {
    let Ok(Command::Unknown(unknown)) = decode(b"\x02\xff\0x") else { panic!("an unknown command") };
    assert_eq!((&unknown.name()[..], &unknown.data()[..]), (&b"\xff\0"[..], &b"x"[..]));
}

#[test]
fn the_misspelt_error_of_libzmq_is_left_to_its_mechanism() {
    assert_eq!(decode(b"\x5eRROR\x03400"), Err(CommandError::NameTruncated { declared: 0x5e, available: 8 }));
}

#[test]
fn topics_groups_and_unknown_data_share_the_body() {
    for text in ["\x09SUBSCRIBEtopic", "\x06CANCELtopic", "\x04JOINtopic", "\x05LEAVEtopic", "\x03FOOtopic"] {
        let body = Bytes::from(Vec::from(text));
        let range = body.as_ptr_range();
        let tail = match Command::decode(body.clone()).unwrap() {
            Command::Subscribe(tail) | Command::Cancel(tail) => tail,
            Command::Join(group) | Command::Leave(group) => group.into_bytes(),
            Command::Unknown(unknown) => unknown.data().clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(tail, "topic");
        assert_eq!(tail.as_ptr_range().end, range.end, "{text:?}");
    }
}

#[test]
fn topics_of_245_and_246_octets_straddle_a_short_frame() {
    for (topic_len, body_len) in [(245, 255), (246, 256), (100_000, 100_010)] {
        let command = Command::Subscribe(vec![b't'; topic_len].into());
        assert_eq!(command.body_len(), body_len);
        let mut body = Vec::new();
        command.encode_body(&mut body);
        assert_body(&command, &body);
    }
}

#[test]
fn a_ready_cut_at_any_octet_is_refused_unless_the_cut_is_between_properties() {
    let body = b"\x05READY\x0bSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\x02me";
    for len in 0..body.len() {
        let result = decode(&body[..len]);
        match len {
            0 => assert_eq!(result, Err(CommandError::EmptyBody)),
            1..=5 => assert_eq!(result, Err(CommandError::NameTruncated { declared: 5, available: len - 1 })),
            6 => assert_eq!(result, Ok(Command::Ready(Properties::new()))),
            28 => assert!(matches!(result, Ok(Command::Ready(properties)) if properties.len() == 1)),
            _ => assert!(
                matches!(result, Err(CommandError::Properties(PropertyError::Truncated { .. }))),
                "cut at {len}: {result:?}"
            ),
        }
    }
    assert!(matches!(decode(body), Ok(Command::Ready(properties)) if properties.len() == 2));
}

// H30
#[test]
fn a_ready_of_more_than_64_properties_is_refused() {
    let ready = |count: usize| {
        let mut body = Vec::from(*b"\x05READY");
        for n in 0..count {
            body.extend_from_slice(format!("\x03{n:03}\0\0\0\0").as_bytes());
        }
        decode(&body)
    };
    assert!(matches!(ready(64), Ok(Command::Ready(properties)) if properties.len() == 64));
    let error = PropertyError::TooMany { offset: 64 * 8, max: 64 };
    assert_eq!(ready(65), Err(CommandError::Properties(error)));
}

// H34, H35, H36
#[test]
fn malformed_errors_are_told_from_errors_with_a_tail() {
    assert_eq!(decode(b"\x05ERROR"), Err(CommandError::ReasonLengthMissing));
    assert_eq!(decode(b"\x05ERROR\x09abc"), Err(CommandError::ReasonTruncated { declared: 9, available: 3 }));
    assert_eq!(decode(b"\x05ERROR\x03400zzz"), Ok(Command::Error(ErrorReason::AUTHENTICATION_FAILURE)));
}

// B01, B02, B03, B10
#[test]
fn malformed_heartbeats_are_refused() {
    assert_eq!(decode(b"\x04PING"), Err(CommandError::TtlTruncated { available: 0 }));
    assert_eq!(decode(b"\x04PING\0"), Err(CommandError::TtlTruncated { available: 1 }));
    assert_eq!(decode(&[&b"\x04PING\0\0"[..], &[b'c'; 17]].concat()), Err(CommandError::ContextTooLong { len: 17 }));
    assert_eq!(decode(&[&b"\x04PONG"[..], &[b'c'; 17]].concat()), Err(CommandError::ContextTooLong { len: 17 }));
}

// S20, S21, S22, S23
#[test]
fn groups_are_checked_in_join_and_leave() {
    for name in [&b"\x04JOIN"[..], b"\x05LEAVE"] {
        let with = |group: &[u8]| decode(&[name, group].concat());
        assert!(matches!(with(&[b'g'; 255]), Ok(Command::Join(_) | Command::Leave(_))));
        assert!(matches!(with(b""), Ok(Command::Join(_) | Command::Leave(_))));
        assert_eq!(with(&[b'g'; 256]), Err(CommandError::GroupTooLong { len: 256 }));
        assert_eq!(with(b"a\0b"), Err(CommandError::GroupZero { position: 1 }));
    }
}

#[test]
fn unknown_commands_cannot_be_built_to_pass_for_known_ones() {
    for name in CommandName::KNOWN {
        assert_eq!(UnknownCommand::new(name, ""), Err(CommandError::KnownName { name }));
        assert!(
            !matches!(
                decode(&[&[u8::try_from(name.len()).unwrap()], name.as_bytes()].concat()),
                Ok(Command::Unknown(_))
            ),
            "{name}"
        );
    }
    assert!(UnknownCommand::new("ping", "").is_ok());
}

#[test]
fn unknown_commands_have_names_of_1_to_255_octets() {
    assert_eq!(UnknownCommand::new("", "x"), Err(CommandError::EmptyName));
    assert!(UnknownCommand::new("n", "").is_ok());
    assert_body(
        &Command::Unknown(UnknownCommand::new(vec![b'n'; 255], "x").unwrap()),
        &[&[255][..], &[b'n'; 255], b"x"].concat(),
    );
    assert_eq!(UnknownCommand::new(vec![b'n'; 256], ""), Err(CommandError::NameTooLong { len: 256 }));
}

//! Every command octet for octet, in both directions, and what is refused of them.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use support::{
    HELLO, INITIATE, MISSPELT_400, MISSPELT_500, READY, WELCOME, admin, asked, awaiting_hello, awaiting_initiate,
    awaiting_ready, awaiting_verdict, awaiting_welcome, completed, credentials, dealer, handle, hello, judge, next,
    refused, start,
};
use zmtp_codec::{
    CommandError, Credentials, ErrorReason, FrameHeader, Handshake, MechanismError, Properties, PropertyError,
    PropertyPart, Verdict,
};
use zmtp_mechanism_plain::{PlainClient, PlainServer};

fn malformed(command: &'static str, problem: &'static str) -> MechanismError {
    MechanismError::Malformed { command, problem }
}

// ─── octet for octet ─────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn our_client_says_what_libzmqs_says() {
    let (handshake, hello) = next(start(&PlainClient::new(admin()), &dealer("me")));
    assert_eq!(hello, HELLO);
    let (handshake, initiate) = next(handle(handshake, &WELCOME[2..]));
    assert_eq!(initiate, INITIATE);
    let (session, out) = completed(handle(handshake, &READY[2..]));
    assert_eq!(session.properties, dealer(""));
    assert!(out.is_empty());
}

#[test]
fn our_server_says_what_libzmqs_says() {
    let (handshake, out) = next(start(&PlainServer::new(), &dealer("")));
    assert!(out.is_empty());
    let (handshake, claim) = asked(handle(handshake, &HELLO[2..]));
    assert_eq!(claim.credentials, Credentials::Plain(admin()));
    assert!(claim.properties.is_none(), "they come later");
    let (handshake, welcome) = next(judge(handshake, Verdict::accept_as("admin")));
    assert_eq!(welcome, WELCOME);
    let (session, ready) = completed(handle(handshake, &INITIATE[2..]));
    assert_eq!(ready, READY);
    assert_eq!(session.properties, dealer("me"));
}

#[test]
fn fields_of_any_length_from_0_to_255_arrive_as_they_were() {
    let longest: Vec<u8> = (0..=254).collect();
    for username in [&b""[..], b"u", &longest] {
        for password in [&b""[..], b"p", &longest] {
            let (_, wire) = next(start(&PlainClient::new(credentials(username, password)), &Properties::new()));
            let (header, header_len) = FrameHeader::decode(&wire).unwrap().unwrap();
            let body = &wire[header_len..];
            assert!(header.kind().is_command() && header.size() == body.len() as u64);
            assert_eq!(body, hello(username, password));
            assert!(awaiting_hello().body_len().contains(&header.size()));
            let (_, claim) = asked(handle(awaiting_hello(), body));
            assert_eq!(claim.credentials, Credentials::Plain(credentials(username, password)));
            assert_eq!(claim.credentials.plain().unwrap().danger_password(), password);
        }
    }
}

#[test]
fn an_initiate_and_a_ready_without_properties_have_a_name_and_no_more() {
    let none = Properties::new();
    let (handshake, _) = next(start(&PlainClient::new(admin()), &none));
    assert_eq!(next(handle(handshake, &WELCOME[2..])).1, b"\x04\x09\x08INITIATE");
    assert!(completed(handle(awaiting_ready(), b"\x05READY")).0.properties.is_empty());
    let (handshake, _) = next(start(&PlainServer::new(), &none));
    let (handshake, _) = asked(handle(handshake, &HELLO[2..]));
    let (handshake, _) = next(judge(handshake, Verdict::accept()));
    let (session, ready) = completed(handle(handshake, b"\x08INITIATE"));
    assert_eq!(ready, b"\x04\x06\x05READY");
    assert!(session.properties.is_empty(), "the socket type is not its business");
}

/// What the connection refuses by the header alone, before it waits for a body.
#[test]
fn each_step_admits_the_sizes_of_the_commands_that_may_come() {
    let (shortest, longest) = (hello(b"", b""), hello(&[b'u'; 255], &[b'p'; 255]));
    assert_eq!(awaiting_hello().body_len(), shortest.len() as u64..=longest.len() as u64);
    assert_eq!(awaiting_hello().body_len(), 8..=518);
    assert_eq!(awaiting_verdict().body_len(), 0..=0);
    assert_eq!(awaiting_initiate().body_len(), 9..=u64::MAX);
    // An ERROR may come in place of either, down to libzmq's without a reason.
    assert_eq!(awaiting_welcome().body_len(), 6..=262);
    assert_eq!(awaiting_ready().body_len(), 6..=u64::MAX);
}

// ─── what the server refuses ─────────────────────────────────────────────────────────────────────────────────────────

/// P01 to P05: HELLO without fields, cut in either of them, and with something behind them.
#[test]
fn a_hello_is_exactly_its_two_fields() {
    let username = malformed("HELLO", "the username runs past its end");
    let password = malformed("HELLO", "the password runs past its end");
    let behind = malformed("HELLO", "something stands behind the password");
    for (body, error) in [
        (&b"\x05HELLO"[..], &username),
        (b"\x05HELLO\x06admin", &username),
        (b"\x05HELLO\xff\x05admin\x06secret", &username),
        (b"\x05HELLO\x05admin", &password),
        (b"\x05HELLO\x05admin\x07secret", &password),
        (b"\x05HELLO\x05admin\xffsecret", &password),
        (b"\x05HELLO\x00\x01", &password),
        (b"\x05HELLO\x05admin\x06secret\x00", &behind),
        (b"\x05HELLO\x00\x00\x00", &behind),
    ] {
        assert_eq!(refused(awaiting_hello(), body), *error, "{}", body.escape_ascii());
    }
}

#[test]
fn a_hello_that_is_cut_anywhere_is_malformed() {
    let body = &HELLO[2..];
    for len in 6..body.len() {
        let error = refused(awaiting_hello(), &body[..len]);
        assert!(matches!(error, MechanismError::Malformed { command: "HELLO", .. }), "{len}: {error}");
    }
}

/// P06: it is for the application to say whether nobody may come in without a password.
#[test]
fn a_hello_with_two_empty_fields_is_judged() {
    let (_, claim) = asked(handle(awaiting_hello(), b"\x05HELLO\0\0"));
    assert_eq!(claim.credentials, Credentials::Plain(credentials("", "")));
}

/// P07, P08, P13, P15: INITIATE first, HELLO twice, ERROR from the client, NULL's READY, and others.
#[test]
fn a_command_out_of_turn_is_refused_by_the_server() {
    let unexpected =
        |expected, received: &str| MechanismError::UnexpectedCommand { expected, received: received.into() };
    let error = b"\x05ERROR\x03400";
    for (body, name) in [
        (&INITIATE[2..], "INITIATE"),
        (&READY[2..], "READY"),
        (error, "ERROR"),
        (&WELCOME[2..], "WELCOME"),
        (b"\x05hello\x05admin\x06secret", "hello"),
        (b"\x06HELLOX\x00\x00", "HELLOX"),
        (b"\x04PING\x00\x00\x00", "PING"),
    ] {
        assert_eq!(refused(awaiting_hello(), body), unexpected("HELLO", name));
    }
    for (body, name) in [
        (&HELLO[2..], "HELLO"),
        (&READY[2..], "READY"),
        (error, "ERROR"),
        (&WELCOME[2..], "WELCOME"),
        (b"\x08initiate", "initiate"),
        (b"\x04PING\x00\x00\x00\x00\x00", "PING"),
    ] {
        assert_eq!(refused(awaiting_initiate(), body), unexpected("INITIATE", name));
    }
}

/// P11: metadata cut at every octet.
#[test]
fn an_initiate_with_broken_metadata_is_refused() {
    let body = &INITIATE[2..];
    let whole_property = 9 + 1 + 11 + 4 + 6;
    for len in (10..body.len()).filter(|&len| len != whole_property) {
        let error = refused(awaiting_initiate(), &body[..len]);
        assert!(
            matches!(
                error,
                MechanismError::Properties { command: "INITIATE", source: PropertyError::Truncated { .. } }
            ),
            "{len}: {error}"
        );
    }
    let source = PropertyError::EmptyName { offset: 0 };
    assert_eq!(
        refused(awaiting_initiate(), b"\x08INITIATE\0\0\0\0\0"),
        MechanismError::Properties { command: "INITIATE", source }
    );
}

/// P10: whether the socket types fit is for the connection to say.
#[test]
fn an_initiate_of_another_socket_type_is_not_the_mechanisms_business() {
    let (session, _) = completed(handle(awaiting_initiate(), b"\x08INITIATE\x0bSocket-Type\0\0\0\x08NONSENSE"));
    assert_eq!(session.properties.get("Socket-Type").unwrap(), "NONSENSE");
}

#[test]
fn what_is_no_command_is_refused_on_both_sides() {
    let cases = [
        (&b""[..], CommandError::EmptyBody),
        (b"\0", CommandError::EmptyName),
        (b"\x09HELLO", CommandError::NameTruncated { declared: 9, available: 5 }),
    ];
    for (body, error) in cases {
        let error = MechanismError::Command(error);
        assert_eq!(refused(awaiting_hello(), body), error);
        assert_eq!(refused(awaiting_initiate(), body), error);
        assert_eq!(refused(awaiting_welcome(), body), error);
        assert_eq!(refused(awaiting_ready(), body), error);
    }
}

/// libzmq's misspelling is a server's; to our server it is no command at all, as its name would be 94 octets long.
#[test]
fn the_misspelt_error_is_not_for_a_server() {
    let error = MechanismError::Command(CommandError::NameTruncated { declared: 0x5e, available: 8 });
    assert_eq!(refused(awaiting_hello(), &MISSPELT_400[2..]), error);
    assert_eq!(refused(awaiting_initiate(), &MISSPELT_400[2..]), error);
}

// ─── what the client refuses ─────────────────────────────────────────────────────────────────────────────────────────

/// P32.
#[test]
fn a_welcome_has_no_data() {
    let error = malformed("WELCOME", "it does not have 8 octets");
    assert_eq!(refused(awaiting_welcome(), b"\x07WELCOME\0"), error);
    assert_eq!(refused(awaiting_welcome(), &[b"\x07WELCOME", &[b'x'; 200][..]].concat()), error);
}

/// P33, P34, P35: READY before WELCOME, WELCOME twice, unknown commands.
#[test]
fn a_command_out_of_turn_is_refused_by_the_client() {
    let unexpected =
        |expected, received: &str| MechanismError::UnexpectedCommand { expected, received: received.into() };
    for (body, name) in [
        (&READY[2..], "READY"),
        (&HELLO[2..], "HELLO"),
        (&INITIATE[2..], "INITIATE"),
        (b"\x07welcome", "welcome"),
        (b"\x08WELCOMEX", "WELCOMEX"),
        (b"\x04PING\x00\x00", "PING"),
    ] {
        assert_eq!(refused(awaiting_welcome(), body), unexpected("WELCOME or ERROR", name));
    }
    for (body, name) in [
        (&WELCOME[2..], "WELCOME"),
        (&HELLO[2..], "HELLO"),
        (&INITIATE[2..], "INITIATE"),
        (b"\x05ready", "ready"),
        (b"\x05error\x03400", "error"),
        (b"\x03\x1b[m", "…"),
    ] {
        assert_eq!(refused(awaiting_ready(), body), unexpected("READY or ERROR", name));
    }
}

#[test]
fn a_ready_with_broken_metadata_is_refused() {
    let source = PropertyError::Truncated { offset: 0, part: PropertyPart::Name, needed: 11, available: 6 };
    assert_eq!(
        refused(awaiting_ready(), b"\x05READY\x0bSocket"),
        MechanismError::Properties { command: "READY", source }
    );
}

/// P37: a PUB where that does not fit is for the connection to refuse.
#[test]
fn a_ready_of_another_socket_type_is_not_the_mechanisms_business() {
    let (session, _) = completed(handle(awaiting_ready(), b"\x05READY\x0bSocket-Type\0\0\0\x03PUB"));
    assert_eq!(session.properties.get("Socket-Type").unwrap(), "PUB");
}

// ─── ERROR ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/// What the client makes of an ERROR with this data: the same in both spellings and at both of its steps.
fn told(data: &[u8]) -> MechanismError {
    let error = refused(awaiting_welcome(), &[b"\x05ERROR", data].concat());
    assert_eq!(refused(awaiting_ready(), &[b"\x05ERROR", data].concat()), error);
    assert_eq!(refused(awaiting_welcome(), &[b"\x5eRROR", data].concat()), error);
    assert_eq!(refused(awaiting_ready(), &[b"\x5eRROR", data].concat()), error);
    error
}

/// P30, P31.
#[test]
fn an_error_in_either_spelling_is_the_servers_last_word_at_either_step() {
    let longest = "r".repeat(255);
    for reason in ["", "4", "300", "400", "500", "Invalid socket type", &longest] {
        let data = [&[u8::try_from(reason.len()).unwrap()], reason.as_bytes()].concat();
        let expected = ErrorReason::new(reason).unwrap();
        assert_eq!(told(&data), MechanismError::PeerError { reason: expected }, "{reason}");
        for len in [5 + data.len() as u64, 6 + data.len() as u64] {
            assert!(awaiting_welcome().body_len().contains(&len) && awaiting_ready().body_len().contains(&len));
        }
    }
}

#[test]
fn what_libzmqs_server_really_sends_is_understood() {
    for (wire, reason) in
        [(MISSPELT_400, ErrorReason::AUTHENTICATION_FAILURE), (MISSPELT_500, ErrorReason::INTERNAL_ERROR)]
    {
        assert_eq!(refused(awaiting_welcome(), &wire[2..]), MechanismError::PeerError { reason });
    }
}

#[test]
fn an_error_that_is_cut_is_malformed_in_either_spelling() {
    assert_eq!(told(b""), CommandError::ReasonLengthMissing.into());
    assert_eq!(told(b"\x03"), CommandError::ReasonTruncated { declared: 3, available: 0 }.into());
    assert_eq!(told(b"\x0340"), CommandError::ReasonTruncated { declared: 3, available: 2 }.into());
    assert_eq!(told(b"\xff400"), CommandError::ReasonTruncated { declared: 255, available: 3 }.into());
}

/// As under NULL, and as libzmq has it.
#[test]
fn what_stands_behind_a_reason_is_left_alone() {
    assert_eq!(told(b"\x03400 and more"), MechanismError::PeerError { reason: ErrorReason::AUTHENTICATION_FAILURE });
}

#[test]
fn only_the_whole_misspelling_is_an_error() {
    for body in [&b"\x5eRRO"[..], b"\x5eRROX\x03400", b"\x5eERROR\x03400", b"\x04RROR\x03400"] {
        for error in [refused(awaiting_welcome(), body), refused(awaiting_ready(), body)] {
            assert!(!matches!(error, MechanismError::PeerError { .. }), "{}", body.escape_ascii());
        }
    }
}

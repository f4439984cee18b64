//! The NULL handshake alone, without a connection around it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::time::Duration;

use zmtp_codec::{
    Command, CommandError, Commands, Credentials, ErrorReason, GREETING_LEN, Greeting, Handshake, HandshakeContext,
    Identity, Mechanism, MechanismError, MechanismName, Opener, Progress, Properties, PropertyError, Refusal, Role,
    Sealer, SocketType, Verdict, WireCommand,
};
use zmtp_mechanism_null::{Null, NullHandshake};

/// What our side announces.
fn properties() -> Properties {
    Properties::for_socket(SocketType::Dealer, &Identity::new("me").unwrap())
}

/// Our READY as it stands on the wire.
const READY: &[u8] = b"\x04\x2b\x05READY\x0bSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\x02me";

fn start(mechanism: Null, out: &mut Commands) -> Progress<NullHandshake> {
    let greeting: [u8; GREETING_LEN] = Greeting::new(MechanismName::NULL, false).to_bytes();
    let properties = properties();
    mechanism.start(HandshakeContext::new(&greeting, &greeting, &properties, Duration::ZERO), out).unwrap()
}

/// A handshake that awaits the peer's READY.
fn awaiting() -> NullHandshake {
    match start(Null::new(), &mut Commands::new()) {
        Progress::NeedCommand(handshake) => handshake,
        other => panic!("{other:?}"),
    }
}

/// A handshake that awaits a verdict.
fn asking(out: &mut Commands) -> NullHandshake {
    match start(Null::with_authorization(), out) {
        Progress::Authorize(handshake, claim) => {
            assert_eq!(claim.credentials, Credentials::Anonymous);
            assert!(claim.properties.is_none());
            handshake
        }
        other => panic!("{other:?}"),
    }
}

/// What a handshake makes of a command with this body. NULL answers no command.
fn handle(handshake: NullHandshake, body: &[u8]) -> Result<Progress<NullHandshake>, MechanismError> {
    let wire = [&[4, u8::try_from(body.len()).unwrap()], body].concat();
    let mut out = Commands::new();
    let progress = handshake.handle(WireCommand::new(&wire, 2, Duration::ZERO), &mut out);
    assert!(out.is_empty());
    progress
}

fn refused(body: &[u8]) -> MechanismError {
    handle(awaiting(), body).unwrap_err()
}

#[test]
fn ready_goes_out_at_once_and_only_ready() {
    let mut out = Commands::new();
    assert!(matches!(start(Null::new(), &mut out), Progress::NeedCommand(_)));
    assert_eq!(out.as_slice(), READY);
}

#[test]
fn null_has_no_sides() {
    assert_eq!(Null::new().name(), MechanismName::NULL);
    assert_eq!(Null::new().role(), Role::Peer);
    assert_eq!(Null::default(), Null::new());
    assert_ne!(Null::with_authorization(), Null::new());
}

#[test]
fn the_peers_ready_completes_it_with_a_session_that_changes_nothing() {
    let Progress::Complete(session) = handle(awaiting(), &READY[2..]).unwrap() else { panic!() };
    assert_eq!(session.properties, properties());
    assert_eq!(session.public_key, None);
    assert!(session.sealer.is_identity() && session.opener.is_identity());
    assert_eq!(session.opener.overhead(), 0);
}

#[test]
fn the_socket_type_is_not_its_business() {
    let Progress::Complete(session) = handle(awaiting(), b"\x05READY").unwrap() else { panic!() };
    assert!(session.properties.is_empty());
}

#[test]
fn an_error_from_the_peer_is_reported_with_its_reason() {
    assert_eq!(refused(b"\x05ERROR\x03400"), MechanismError::PeerError { reason: ErrorReason::AUTHENTICATION_FAILURE });
    let MechanismError::PeerError { reason } = refused(b"\x05ERROR\x04\x1b[2J") else { panic!() };
    assert_eq!(reason.to_string(), "\\x1b[2J");
    let MechanismError::PeerError { reason } = refused(b"\x05ERROR\0") else { panic!() };
    assert_eq!(&reason.as_bytes()[..], b"");
}

#[test]
fn a_malformed_error_is_reported_as_such() {
    assert_eq!(refused(b"\x05ERROR"), CommandError::ReasonLengthMissing.into());
    let cut = CommandError::ReasonTruncated { declared: 9, available: 1 };
    assert_eq!(refused(b"\x05ERROR\x09x"), cut.into());
}

#[test]
fn another_command_is_refused_under_a_name_that_is_safe_to_print() {
    let unexpected =
        |received: &str| MechanismError::UnexpectedCommand { expected: "READY", received: received.into() };
    assert_eq!(refused(b"\x05HELLO"), unexpected("HELLO"));
    assert_eq!(refused(b"\x04PING\0\0"), unexpected("PING"));
    assert_eq!(refused(b"\x05ready"), unexpected("ready"));
    assert_eq!(refused(b"\x03\x1b[m"), unexpected("…"));
    assert_eq!(refused(b"\x02\xff\n"), unexpected("…"));
    let long = [&[40][..], &[b'L'; 40]].concat();
    assert_eq!(refused(&long), unexpected(&format!("{}…", "L".repeat(32))));
}

#[test]
fn what_is_no_command_is_refused() {
    assert_eq!(refused(b""), CommandError::EmptyBody.into());
    assert_eq!(refused(b"\0"), CommandError::EmptyName.into());
    assert_eq!(refused(b"\x09A"), CommandError::NameTruncated { declared: 9, available: 1 }.into());
}

#[test]
fn malformed_properties_are_reported_with_the_command_that_carried_them() {
    let source = PropertyError::EmptyName { offset: 0 };
    assert_eq!(refused(b"\x05READY\0\0\0\0\0"), MechanismError::Properties { command: "READY", source });
}

#[test]
fn nothing_is_sent_before_the_verdict_and_ready_after_it() {
    let mut out = Commands::new();
    let handshake = asking(&mut out);
    assert!(out.is_empty());
    let Progress::NeedCommand(handshake) = handshake.authorize(Verdict::accept(), &mut out).unwrap() else { panic!() };
    assert_eq!(out.as_slice(), READY);
    assert!(matches!(handle(handshake, &READY[2..]), Ok(Progress::Complete(_))));
}

#[test]
fn a_denied_peer_gets_an_error_in_place_of_ready() {
    for (verdict, wire) in [
        (Verdict::deny(), &b"\x04\x0a\x05ERROR\x03400"[..]),
        (Verdict::Refuse(Refusal::error(ErrorReason::new("no").unwrap())), b"\x04\x09\x05ERROR\x02no"),
        (Verdict::Refuse(Refusal::silent()), b""),
    ] {
        let mut out = Commands::new();
        let error = asking(&mut out).authorize(verdict.clone(), &mut out).unwrap_err();
        let Verdict::Refuse(refusal) = verdict else { panic!() };
        assert_eq!(error, MechanismError::Refused(refusal));
        assert_eq!(out.as_slice(), wire);
    }
}

#[test]
fn calls_out_of_turn_are_misuse_and_say_nothing_to_the_peer() {
    let mut out = Commands::new();
    let early = handle(asking(&mut out), &READY[2..]);
    assert!(matches!(early, Err(MechanismError::Misuse(_))), "{early:?}");
    let unasked = awaiting().authorize(Verdict::accept(), &mut out);
    assert!(matches!(unasked, Err(MechanismError::Misuse(_))), "{unasked:?}");
    let unasked = awaiting().authorize(Verdict::deny(), &mut out);
    assert!(matches!(unasked, Err(MechanismError::Misuse(_))), "{unasked:?}");
    assert!(out.is_empty());
}

#[test]
fn one_configuration_serves_many_connections() {
    let mechanism = Null::new();
    let (mut first, mut second) = (Commands::new(), Commands::new());
    let _ = start(mechanism, &mut first);
    let _ = start(mechanism, &mut second);
    assert_eq!(first.as_slice(), second.as_slice());
    let mut ready = Commands::new();
    ready.push_command(&Command::Ready(properties()));
    assert_eq!(first.as_slice(), ready.as_slice());
}

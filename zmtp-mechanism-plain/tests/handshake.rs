//! The handshake: roles, verdicts, calls out of turn, and what is never shown.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use support::{
    HELLO, INITIATE, READY, WELCOME, admin, asked, awaiting_hello, awaiting_initiate, awaiting_ready, awaiting_verdict,
    awaiting_welcome, completed, credentials, dealer, handle, judge, next, refused, start,
};
use zmtp_codec::{
    AnyMechanism, ErrorReason, Mechanism, MechanismError, MechanismName, Opener, Progress, Refusal, Role, Sealer,
    Verdict,
};
use zmtp_mechanism_plain::{CredentialsError, PlainClient, PlainCredentials, PlainServer};

#[test]
fn both_sides_are_called_plain_and_have_their_roles() {
    let (client, server) = (PlainClient::new(admin()), PlainServer::new());
    assert_eq!((client.name(), client.role()), (MechanismName::PLAIN, Role::Client));
    assert_eq!((server.name(), server.role()), (MechanismName::PLAIN, Role::Server));
    assert!(!client.role().as_server() && server.role().as_server());
    assert_eq!(PlainServer::default(), server);
}

#[test]
fn the_session_changes_nothing_proves_nothing_and_hides_nothing() {
    let (client, _) = completed(handle(awaiting_ready(), &READY[2..]));
    let (server, _) = completed(handle(awaiting_initiate(), &INITIATE[2..]));
    for session in [client, server] {
        assert!(session.sealer.is_identity() && session.opener.is_identity());
        assert_eq!(session.opener.overhead(), 0);
        assert_eq!(session.public_key, None);
        assert!(!session.encrypted);
    }
}

/// libzmq closes on an INITIATE that comes before its WELCOME has gone out.
#[test]
fn a_client_says_nothing_behind_hello_until_it_is_welcome() {
    let (_, out) = next(start(&PlainClient::new(admin()), &dealer("me")));
    assert_eq!(out, HELLO);
}

#[test]
fn one_configuration_serves_many_connections() {
    let (client, server) = (PlainClient::new(admin()), PlainServer::new());
    for _ in 0..2 {
        let (theirs, hello) = next(start(&client.clone(), &dealer("me")));
        let (ours, _) = next(start(&server, &dealer("")));
        let (ours, claim) = asked(handle(ours, &hello[2..]));
        assert_eq!(claim.credentials.plain(), Some(&admin()));
        let (ours, welcome) = next(judge(ours, Verdict::accept()));
        let (theirs, initiate) = next(handle(theirs, &welcome[2..]));
        let (ours, ready) = completed(handle(ours, &initiate[2..]));
        let (theirs, _) = completed(handle(theirs, &ready[2..]));
        assert_eq!((ours.properties, theirs.properties), (dealer("me"), dealer("")));
    }
}

#[test]
fn it_works_as_a_mechanism_chosen_at_run_time() {
    let (client, server) = (AnyMechanism::new(PlainClient::new(admin())), AnyMechanism::new(PlainServer::new()));
    let (theirs, hello) = next(start(&client, &dealer("me")));
    assert_eq!(hello, HELLO);
    let (ours, _) = next(start(&server, &dealer("")));
    let (ours, _) = asked(handle(ours, &hello[2..]));
    let (ours, welcome) = next(judge(ours, Verdict::accept()));
    let (_, initiate) = next(handle(theirs, &welcome[2..]));
    let (progress, ready) = handle(ours, &initiate[2..]);
    assert!(matches!(progress, Ok(Progress::Complete(_))));
    assert_eq!(ready, READY);
}

// ─── the verdict ─────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn whoever_is_let_in_is_welcome_whatever_is_attached_to_it() {
    for verdict in [Verdict::accept(), Verdict::accept_as("alice"), Verdict::accept().because("of her password")] {
        let (_, out) = next(judge(awaiting_verdict(), verdict));
        assert_eq!(out, WELCOME);
    }
}

/// Statuses 300, 400 and 500, and words of one's own, which are as good as 400. The text is not for the peer.
#[test]
fn a_refused_client_hears_the_reason_of_the_refusal_and_nothing_else() {
    let reason = |text: &str| Verdict::Refuse(Refusal::error(ErrorReason::new(text).unwrap()));
    let longest = "r".repeat(255);
    let long_error = [&b"\x06\0\0\0\0\0\0\x01\x06\x05ERROR\xff"[..], longest.as_bytes()].concat();
    for (verdict, wire) in [
        (Verdict::try_later(), &b""[..]),
        (Verdict::deny(), b"\x04\x0a\x05ERROR\x03400"),
        (Verdict::internal_error(), b"\x04\x0a\x05ERROR\x03500"),
        (reason("no room"), b"\x04\x0e\x05ERROR\x07no room"),
        (reason(""), b"\x04\x07\x05ERROR\x00"),
        (reason(&longest), &long_error),
        (Verdict::try_later().because("the database sleeps"), b""),
        (Verdict::deny().because("no such user"), b"\x04\x0a\x05ERROR\x03400"),
    ] {
        let (progress, out) = judge(awaiting_verdict(), verdict.clone());
        assert_eq!(out, wire, "{verdict:?}");
        let Verdict::Refuse(refusal) = verdict else { panic!("let in") };
        assert_eq!(progress.unwrap_err(), MechanismError::Refused(refusal));
    }
}

/// What our server says to a client that is refused, our client takes for what it is.
#[test]
fn our_client_understands_our_server() {
    for (verdict, reason) in [
        (Verdict::deny(), ErrorReason::AUTHENTICATION_FAILURE),
        (Verdict::internal_error(), ErrorReason::INTERNAL_ERROR),
    ] {
        let (_, out) = judge(awaiting_verdict(), verdict);
        assert_eq!(refused(awaiting_welcome(), &out[2..]), MechanismError::PeerError { reason });
    }
}

// ─── calls out of turn ───────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn calls_out_of_turn_are_misuse_and_say_nothing_to_the_peer() {
    let misuse = |error: MechanismError| matches!(error, MechanismError::Misuse(_));
    assert!(misuse(refused(awaiting_verdict(), &INITIATE[2..])), "a command before the verdict");
    assert!(misuse(refused(awaiting_verdict(), b"")));
    for verdict in [Verdict::accept(), Verdict::deny()] {
        for (progress, out) in [judge(awaiting_hello(), verdict.clone()), judge(awaiting_initiate(), verdict.clone())] {
            assert!(misuse(progress.unwrap_err()) && out.is_empty());
        }
        for (progress, out) in [judge(awaiting_welcome(), verdict.clone()), judge(awaiting_ready(), verdict.clone())] {
            assert!(misuse(progress.unwrap_err()) && out.is_empty());
        }
    }
}

// ─── what is never shown ─────────────────────────────────────────────────────────────────────────────────────────────

const PASSWORD: &str = "hunter2-hunter2";

/// Neither as text nor as numbers.
fn shows_no_password(shown: &str) {
    let numbers = format!("{:?}", PASSWORD.as_bytes());
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(!shown.contains(numbers.trim_matches(['[', ']'])), "{shown}");
}

#[test]
fn no_configuration_handshake_or_claim_shows_the_password() {
    let client = PlainClient::new(credentials("alice", PASSWORD));
    shows_no_password(&format!("{client:?} {client:#?} {:?}", client.clone()));
    assert!(format!("{client:?}").contains("alice"));
    let (handshake, hello) = next(start(&client, &dealer("")));
    shows_no_password(&format!("{handshake:?}"));
    let (handshake, _) = next(handle(handshake, &WELCOME[2..]));
    shows_no_password(&format!("{handshake:?}"));

    shows_no_password(&format!("{:?}", handle(awaiting_hello(), &hello[2..]).0));
    let (handshake, claim) = asked(handle(awaiting_hello(), &hello[2..]));
    shows_no_password(&format!("{handshake:?} {claim:?} {claim:#?}"));
    let (handshake, _) = next(judge(handshake, Verdict::accept()));
    shows_no_password(&format!("{handshake:?}"));
}

#[test]
fn no_error_shows_the_password() {
    let (_, hello) = next(start(&PlainClient::new(credentials("alice", PASSWORD)), &dealer("")));
    let hello = &hello[2..];
    let (cut, behind) = (&hello[..hello.len() - 1], [hello, b"\0"].concat());
    let errors = [
        refused(awaiting_hello(), cut),
        refused(awaiting_hello(), &behind),
        refused(awaiting_initiate(), hello),
        refused(awaiting_initiate(), cut),
        refused(awaiting_verdict(), hello),
        judge(asked(handle(awaiting_hello(), hello)).0, Verdict::deny()).0.unwrap_err(),
    ];
    for error in errors {
        shows_no_password(&format!("{error} {error:?}"));
    }
    let long = PASSWORD.repeat(20);
    let error: CredentialsError = PlainCredentials::new("alice", long).unwrap_err();
    shows_no_password(&format!("{error} {error:?}"));
}

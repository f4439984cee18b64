//! The greeting, case by case: what is refused and after how many octets, and what has to be accepted.
#![cfg(feature = "null")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use support::fake::Fake;
use support::wire::{self, GREETING, with};
use support::{NOW, NULL, feed};
use zmtp_connection::codec::{
    ErrorReason, Greeting, GreetingError, Mechanism, MechanismError, MechanismName, Refusal, SocketType, Verdict,
    Version,
};
use zmtp_connection::proto::{Establish, Failure, Outcome};
use zmtp_connection::{ConnectionConfig, HandshakeCause, Null, Stage};

fn dealer() -> ConnectionConfig {
    ConnectionConfig::new(SocketType::Dealer)
}

fn failed<M: Mechanism>(case: &str, outcome: Outcome<'_, M>) -> Failure {
    match outcome {
        Outcome::Failed(failure) => failure,
        other => panic!("{case}: {other:?}"),
    }
}

/// Asserts that `octets` are refused as soon as `certain` of them are there, and what the peer is told.
fn no_greeting<M: Mechanism>(case: &str, mechanism: &M, octets: &[u8], certain: usize, error: GreetingError) {
    let config = dealer();
    let outcome = feed(&config, mechanism, &octets[..certain - 1], usize::MAX);
    assert!(matches!(outcome, Outcome::Pending(_)), "{case}: {outcome:?}");
    for len in [certain, octets.len()] {
        for chunk in [1, usize::MAX] {
            let failure = failed(case, feed(&config, mechanism, &octets[..len], chunk));
            assert_eq!(failure.error.stage(), Stage::Greeting, "{case}");
            assert!(
                matches!(failure.error.cause(), HandshakeCause::Greeting(found) if *found == error),
                "{case}: {failure:?}"
            );
            assert!(!failure.error.may_reconnect(), "{case}");
            // Another protocol is told nothing; an older ZMTP gets our whole greeting, to see that we do not match.
            let older = matches!(error, GreetingError::UnsupportedVersion { .. });
            let role = mechanism.role().as_server();
            let greeting = Greeting::new(mechanism.name(), role).to_bytes();
            assert_eq!(failure.last_words, if older { &greeting[..] } else { &[] }, "{case}");
        }
    }
}

#[test]
fn another_protocol_is_refused_at_the_first_octet_that_shows_it() {
    let null = NULL;
    no_greeting("G01 HTTP", &null, b"GET / HTTP/1.1\r\n\r\n", 1, GreetingError::NotZmtp { octet: b'G' });
    no_greeting("G01 TLS", &null, b"\x16\x03\x01\x02\x00", 1, GreetingError::NotZmtp { octet: 0x16 });
    no_greeting("G02", &null, &[0; 64], 1, GreetingError::NotZmtp { octet: 0 });
    no_greeting("G03", &null, &with(GREETING, 9, 0x7e), 10, GreetingError::Signature { octet: 0x7e });
    no_greeting("G04", &null, &with(GREETING, 9, 0x01), 10, GreetingError::Signature { octet: 1 });
}

#[test]
fn there_is_no_downgrade_to_older_revisions_under_any_mechanism() {
    let zmtp_2 = b"\xff\0\0\0\0\0\0\0\x01\x7f\x01\x05";
    let zmtp_1 = b"\x01\0\x04\0data";
    let too_old = |major| GreetingError::UnsupportedVersion { major };
    no_greeting("G06", &NULL, &with(GREETING, 10, 2), 11, too_old(2));
    for server in [Fake::server(), Fake::client([1; 32])] {
        no_greeting("G06", &server, &with(wire::greeting("FAKE"), 10, 2), 11, too_old(2));
        no_greeting("G19", &server, zmtp_2, 11, too_old(1));
        no_greeting("G20", &server, zmtp_1, 1, GreetingError::NotZmtp { octet: 1 });
    }
    no_greeting("G19 against NULL", &NULL, zmtp_2, 11, too_old(1));
}

#[test]
fn a_greeting_is_awaited_to_its_last_octet() {
    let config = dealer();
    for len in 0..64 {
        // G18, G21: the driver's timer ends these.
        let Outcome::Pending(establish) = feed(&config, &NULL, &GREETING[..len], usize::MAX) else {
            panic!("{len} octets");
        };
        assert_eq!(establish.stage(), Stage::Greeting);
        assert_eq!(establish.transmit(), GREETING, "our greeting goes out whole and nothing behind it");
    }
    // H42
    let Outcome::Pending(establish) = feed(&config, &NULL, &GREETING, 1) else { panic!() };
    assert_eq!(establish.stage(), Stage::Mechanism);
}

#[test]
fn a_mechanism_mismatch_flushes_our_greeting_and_nothing_else() {
    fn mismatch<M: Mechanism>(case: &str, mechanism: &M, octets: &[u8; 64], ours: &str, shown: &str) {
        let config = dealer();
        let failure = failed(case, feed(&config, mechanism, octets, usize::MAX));
        assert_eq!(failure.error.stage(), Stage::Greeting, "{case}");
        assert!(!failure.error.may_reconnect(), "{case} H60");
        assert_eq!(failure.last_words[..32], wire::greeting(ours)[..32], "{case}");
        assert_eq!(failure.last_words.len(), 64, "{case}");
        match failure.error.cause() {
            HandshakeCause::MechanismMismatch { ours: own, theirs } => {
                assert_eq!((own.to_string(), theirs.to_string()), (ours.to_owned(), shown.to_owned()), "{case}");
            }
            other => panic!("{case}: {other:?}"),
        }
    }
    let null = NULL;
    mismatch("G10", &null, &wire::greeting("FOO"), "NULL", "FOO");
    mismatch("G11", &null, &wire::greeting("null"), "NULL", "null");
    mismatch("G12", &null, &wire::greeting("NULL\0X"), "NULL", "NULL\\x00X");
    mismatch("G13", &null, &wire::greeting("CURVE"), "NULL", "CURVE");
    mismatch("PLAIN against NULL", &null, &wire::greeting("PLAIN"), "NULL", "PLAIN");
    mismatch("no mechanism", &null, &wire::greeting(""), "NULL", "");
    mismatch("G14", &Fake::server(), &GREETING, "FAKE", "NULL");
    mismatch("G14 at a client", &Fake::client([7; 32]), &GREETING, "FAKE", "NULL");
}

#[test]
fn last_words_are_what_was_not_yet_written() {
    let config = dealer();
    let null = NULL;
    let mut establish = Establish::new(&config, &null);
    establish.transmitted(10);
    establish.receive(&wire::greeting("PLAIN"));
    let failure = failed("mismatch", establish.advance(NOW));
    assert_eq!(failure.last_words, GREETING[10..]);
}

#[test]
fn a_mismatch_explains_itself() {
    let config = dealer();
    let failure = failed("mismatch", feed(&config, &NULL, &wire::greeting("CURVE"), usize::MAX));
    let expected = "handshake failed at the greeting: the peer speaks CURVE, we speak NULL; configure the same mechanism \
                    on both sides";
    assert_eq!(failure.error.to_string(), expected);
    assert!(std::error::Error::source(&failure.error).is_none(), "all is said");
}

#[test]
fn fields_that_carry_nothing_and_higher_versions_are_accepted() {
    let mut padded = GREETING;
    padded[1..9].fill(0xaa);
    let mut filled = GREETING;
    filled[33..].fill(0x5a);
    let mut newest = with(GREETING, 10, 255);
    newest[11] = 255;
    let rows = [
        ("G05", padded, Version::V3_1, Version::V3_1),
        ("G07", with(GREETING, 10, 4), Version::new(4, 1), Version::V3_1),
        ("G07 as 4.0", with(with(GREETING, 10, 4), 11, 0), Version::new(4, 0), Version::V3_1),
        ("G08", newest, Version::new(255, 255), Version::V3_1),
        ("G09", with(GREETING, 11, 9), Version::new(3, 9), Version::V3_1),
        ("G15", with(GREETING, 32, 1), Version::V3_1, Version::V3_1),
        ("G16", with(GREETING, 32, 0xff), Version::V3_1, Version::V3_1),
        ("G17", filled, Version::V3_1, Version::V3_1),
        ("3.0", wire::GREETING_3_0, Version::V3_0, Version::V3_0),
    ];
    let config = dealer();
    for (case, greeting, version, negotiated) in rows {
        // G22: also one octet at a time.
        for chunk in [1, usize::MAX] {
            let octets = [&greeting[..], &wire::ready("DEALER")].concat();
            let Outcome::Ready(ready) = feed(&config, &NULL, &octets, chunk) else { panic!("{case}") };
            assert_eq!(ready.peer.version(), version, "{case}");
            assert_eq!(ready.peer.negotiated_version(), negotiated, "{case}");
            assert_eq!(ready.peer.mechanism(), MechanismName::NULL);
        }
    }
}

#[test]
fn only_a_security_server_announces_itself_and_nobody_needs_the_peer_to() {
    let config = dealer();
    let server = Fake::server();
    assert_eq!(Establish::new(&config, &server).transmit()[32], 1);
    assert_eq!(Establish::new(&config, &Fake::client([1; 32])).transmit()[32], 0);
    assert_eq!(Establish::new(&config, &NULL).transmit()[32], 0);
    // G23: libzmq's servers announce 0 as well.
    let octets = [&wire::greeting("FAKE")[..], &wire::command("WELCOME", b""), &wire::ready("DEALER")].concat();
    let client = Fake::client([1; 32]);
    let outcome = feed(&config, &client, &octets, 1);
    assert!(matches!(outcome, Outcome::Ready(_)), "{outcome:?}");
}

#[test]
fn two_security_clients_refuse_each_other() {
    // G24
    let (config, client) = (dealer(), Fake::client([1; 32]));
    let ended = support::shake((&config, &client), (&config, &client), &Verdict::accept(), usize::MAX);
    for side in [ended.a, ended.b] {
        let error = side.unwrap().unwrap_err();
        assert_eq!(error.stage(), Stage::Mechanism);
        assert!(
            matches!(error.cause(), HandshakeCause::Mechanism(MechanismError::UnexpectedCommand { expected: "WELCOME", received }) if received == "HELLO"),
            "{error:?}"
        );
        assert!(!error.may_reconnect());
    }
    // Two servers wait for each other until the driver's timer ends it.
    let server = Fake::server();
    let ended = support::shake((&config, &server), (&config, &server), &Verdict::accept(), usize::MAX);
    assert!(ended.a.is_none() && ended.b.is_none());
}

#[test]
fn a_refusal_is_final_if_the_peer_was_told_and_temporary_if_not() {
    let config = dealer();
    let null = Null::with_authorization();
    let refused = |refusal: Refusal| {
        let Outcome::Authorize(authorize) = feed(&config, &null, &GREETING, usize::MAX) else { panic!() };
        assert!(authorize.claim().properties.is_none());
        assert_eq!(authorize.transmit(), GREETING, "no READY before the verdict");
        let failure = failed("refusal", authorize.decide(Verdict::Refuse(refusal.clone()), NOW));
        assert_eq!(failure.error.stage(), Stage::Authorization);
        assert!(
            matches!(failure.error.cause(), HandshakeCause::Mechanism(MechanismError::Refused(found)) if *found == refusal)
        );
        assert_eq!(failure.last_words[..64], GREETING);
        (failure.last_words[64..].to_vec(), failure.error.may_reconnect())
    };
    assert_eq!(refused(Refusal::silent()), (Vec::new(), true));
    let reason = ErrorReason::new("no room").unwrap();
    assert_eq!(refused(Refusal::error(reason)), (wire::error("no room"), false));
    assert_eq!(refused(Refusal::error(ErrorReason::AUTHENTICATION_FAILURE)), (wire::error("400"), false));
}

#[test]
fn an_accepted_peer_gets_our_ready_and_what_it_sent_meanwhile_is_not_lost() {
    let config = dealer();
    let null = Null::with_authorization();
    let octets = [&GREETING[..], &wire::ready("DEALER"), &wire::message(&["early"])].concat();
    let Outcome::Authorize(mut authorize) = feed(&config, &null, &octets, usize::MAX) else { panic!() };
    authorize.transmitted(64);
    assert_eq!(authorize.transmit(), [0u8; 0]);
    let Outcome::Ready(mut ready) = authorize.decide(Verdict::accept(), NOW) else { panic!() };
    assert_eq!(
        support::drain(&mut ready.encoder),
        wire::ready_and("DEALER", &wire::property("Identity", b"")),
        "READY, and only that"
    );
    assert_eq!(
        support::decode(&mut ready.decoder, b"\0\0", 1).unwrap(),
        [support::Event::message(&["early"]), support::Event::message(&[""]),]
    );
}

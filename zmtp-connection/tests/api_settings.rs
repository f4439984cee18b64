//! What was set can be read again, as it will be applied; and who announces an identity.
#![cfg(feature = "null")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use std::time::Duration;

use support::wire::{GREETING, property, ready, ready_and};
use support::{NULL, feed};
use zmtp_connection::codec::{Identity, SocketType, Ttl};
use zmtp_connection::proto::Outcome;
use zmtp_connection::{ConnectionConfig, HandshakeCause, HeartbeatConfig, Limits};

#[test]
fn limits_are_read_as_they_were_set() {
    let limits = Limits::new().max_frame(1).max_message(2).max_parts(3).max_command(400).max_handshake_command(500);
    assert_eq!((limits.frame(), limits.message(), limits.parts()), (1, 2, 3));
    assert_eq!((limits.command(), limits.handshake_command()), (400, 500));
}

#[test]
fn limits_below_what_the_protocol_needs_are_read_as_they_are_applied() {
    let limits = Limits::new().max_parts(0).max_command(0).max_handshake_command(0);
    assert_eq!((limits.parts(), limits.command(), limits.handshake_command()), (1, 23, 64));
    assert_eq!(Limits::new().max_handshake_command(63).handshake_command(), 64);
    assert_eq!(Limits::new().max_handshake_command(65).handshake_command(), 65);
}

#[test]
fn heartbeat_settings_are_read_as_they_are_applied() {
    let second = Duration::from_secs(1);
    let plain = HeartbeatConfig::every(second);
    assert_eq!((plain.interval(), plain.silence_limit()), (second, Some(second)));
    assert_eq!((plain.announced_ttl(), plain.pings_zmtp_3_0()), (Ttl::ZERO, false));

    let set = HeartbeatConfig::every(Duration::ZERO)
        .timeout(Some(Duration::ZERO))
        .ttl(Duration::from_millis(101))
        .ping_zmtp_3_0(true);
    assert_eq!((set.interval(), set.silence_limit()), (Duration::from_millis(1), None));
    assert_eq!((set.announced_ttl(), set.pings_zmtp_3_0()), (Ttl::from_deciseconds(2), true));
    assert_eq!(plain.ttl(Duration::from_secs(1000)).announced_ttl(), Ttl::MAX_SAFE);
}

/// How a handshake goes with a peer whose READY is `octets`, under the smallest limit that can be set.
fn under_the_smallest_limit(octets: &[u8]) -> Result<(), String> {
    let limits = Limits::new().max_handshake_command(0);
    let config = ConnectionConfig::builder(SocketType::Dealer).limits(limits).build().unwrap();
    match feed(&config, &NULL, &[&GREETING[..], octets].concat(), usize::MAX) {
        Outcome::Ready(_) => Ok(()),
        Outcome::Failed(failure) => Err(format!("{:?}", failure.error.cause())),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_smallest_handshake_limit_is_64_octets_exactly_and_lets_a_ready_in() {
    assert_eq!(under_the_smallest_limit(&ready("DEALER")), Ok(()));
    // 28 for the command's name and Socket-Type, 13 for the name and lengths of Identity.
    let named = |len: usize| ready_and("DEALER", &property("Identity", &vec![b'i'; len]));
    assert_eq!(named(23).len(), 2 + 64);
    assert_eq!(under_the_smallest_limit(&named(23)), Ok(()));
    let expected = HandshakeCause::CommandSize { size: 65, least: 0, most: 64 };
    assert_eq!(under_the_smallest_limit(&named(24)), Err(format!("{expected:?}")));
}

#[test]
fn the_ready_of_every_anonymous_socket_fits_into_the_smallest_handshake_limit() {
    for kind in SocketType::ALL {
        // The name of the command is READY with its length.
        let len = 6 + ConnectionConfig::new(kind).properties().encoded_len();
        assert!(len <= 42, "{kind}: {len}");
    }
}

#[test]
fn an_identity_is_announced_by_every_socket_type_and_can_be_read() {
    let me = Identity::new("me").unwrap();
    for kind in SocketType::ALL {
        let config = ConnectionConfig::builder(kind).identity("me").build().unwrap();
        assert_eq!(config.identity(), &me);
        assert_eq!(config.properties().identity().as_ref(), Ok(&me), "{kind}");

        for anonymous in [ConnectionConfig::new(kind), ConnectionConfig::builder(kind).identity("").build().unwrap()] {
            assert!(anonymous.identity().is_empty());
            assert_eq!(anonymous.properties().get("Identity").is_some(), kind.sends_identity(), "{kind}");
        }
    }
}

#[test]
fn the_identity_of_a_push_goes_over_the_wire() {
    let config = ConnectionConfig::builder(SocketType::Push).identity("me").build().unwrap();
    let octets = [&GREETING[..], &ready("PULL")].concat();
    let Outcome::Ready(mut ready) = feed(&config, &NULL, &octets, 1) else { panic!() };
    let sent = support::drain(&mut ready.encoder).split_off(64);
    assert_eq!(sent, ready_and("PUSH", &property("Identity", b"me")));
}

//! What a configuration takes and refuses, and what of it goes over the wire.
#![cfg(feature = "null")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use std::time::Duration;

use support::wire::{self, property, ready_and};
use support::{NULL, feed};
use zmtp_connection::codec::{IdentityError, PropertyError, SocketType};
use zmtp_connection::proto::Outcome;
use zmtp_connection::{ConfigBuilder, ConfigError, ConnectionConfig, Limits};

fn dealer() -> ConfigBuilder {
    ConnectionConfig::builder(SocketType::Dealer)
}

/// What a peer receives behind our greeting.
fn sent(config: &ConnectionConfig) -> Vec<u8> {
    let octets = [&wire::GREETING[..], &wire::ready("ROUTER")].concat();
    let Outcome::Ready(mut ready) = feed(config, &NULL, &octets, 1) else { return Vec::new() };
    support::drain(&mut ready.encoder).split_off(64)
}

#[test]
fn ready_has_the_socket_type_first_the_identity_where_it_counts_and_the_rest_in_order() {
    let config = dealer().property("X-B", "2").identity("me").property("X-A", "").build().unwrap();
    let tail = [property("Identity", b"me"), property("X-B", b"2"), property("X-A", b"")].concat();
    assert_eq!(sent(&config), ready_and("DEALER", &tail));
    // libzmq sends an empty Identity for these types, and none for the others.
    assert_eq!(sent(&ConnectionConfig::new(SocketType::Dealer)), ready_and("DEALER", &property("Identity", b"")));
    let push = ConnectionConfig::builder(SocketType::Push).identity("me").build().unwrap();
    assert_eq!(push.properties().get("Identity").unwrap(), "me", "one that was set goes out from any type");
    assert_eq!(ConnectionConfig::new(SocketType::Push).properties().len(), 1);
}

#[test]
fn new_is_a_builder_with_nothing_set() {
    for kind in SocketType::ALL {
        let (new, built) = (ConnectionConfig::new(kind), ConnectionConfig::builder(kind).build().unwrap());
        assert_eq!(format!("{new:?}"), format!("{built:?}"));
    }
    let config = ConnectionConfig::new(SocketType::Pub);
    assert_eq!(config.limits(), &Limits::default());
    assert_eq!(config.handshake_timeout(), Some(Duration::from_secs(30)));
    assert_eq!(config.high_water_mark(), 512 * 1024);
    assert_eq!(config.heartbeat(), None);
}

#[test]
fn identities_that_a_peer_could_not_use_are_refused() {
    let build = |identity: &[u8]| dealer().identity(identity.to_vec()).build().map(|_| ());
    assert_eq!(build(&[b'i'; 255]), Ok(()));
    assert_eq!(build(&[b'i'; 256]), Err(ConfigError::Identity(IdentityError::TooLong { len: 256 })));
    assert_eq!(build(b"\0x"), Err(ConfigError::Identity(IdentityError::LeadingZero)));
    assert_eq!(build(b""), Ok(()));
}

#[test]
fn names_of_the_protocol_and_of_the_receiving_side_are_refused_in_any_case() {
    for name in ["Socket-Type", "socket-type", "Identity", "IDENTITY", "User-Id", "user-id", "Peer-Address"] {
        let refused = dealer().property(name, "x").build().map(|_| ());
        assert_eq!(refused, Err(ConfigError::ReservedProperty { name: name.into() }));
    }
    assert!(dealer().property("Resource", "a/b").build().is_ok());
}

#[test]
fn properties_outside_the_grammar_or_given_twice_are_refused() {
    let refused = |name: &str| dealer().property("X-A", "1").property(name, "2").build().unwrap_err();
    // Behind Socket-Type, an empty Identity and X-A.
    let offset = 22 + 13 + 9;
    let of = |name: &str, source| ConfigError::Property { name: name.into(), source };
    assert_eq!(refused("x-a"), of("x-a", PropertyError::Duplicate { offset, name: "x-a".into() }));
    assert_eq!(refused(""), of("", PropertyError::EmptyName { offset }));
    assert_eq!(refused("a b"), of("a b", PropertyError::NameCharacter { offset, position: 1, octet: b' ' }));
    let long = "n".repeat(256);
    assert_eq!(refused(&long), of(&long, PropertyError::NameTooLong { offset, len: 256 }));
}

#[test]
fn no_more_metadata_is_announced_than_a_peer_of_our_kind_takes() {
    let many = |count: usize| (2..count).fold(dealer(), |config, at| config.property(format!("X-{at}"), "")).build();
    assert_eq!(many(64).unwrap().properties().len(), 64);
    assert!(matches!(many(65), Err(ConfigError::TooMuchMetadata { count: 65, .. })));
    // 22 for Socket-Type, 13 for Identity, 8 for the name and length of this one.
    let large =
        |len: usize| dealer().property("X-L", vec![0; len]).build().map(|config| config.properties().encoded_len());
    assert_eq!(large(60 * 1024 - 43), Ok(60 * 1024));
    let refused = ConfigError::TooMuchMetadata { count: 3, len: 60 * 1024 + 1 };
    assert_eq!(large(60 * 1024 - 42), Err(refused));
}

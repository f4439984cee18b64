//! Judging a peer without the shell: the request, the verdict, and what is attached.
#![cfg(feature = "null")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use support::fake::Fake;
use support::{NOW, wire};
use zmtp_connection::codec::{Admission, Claim, Mechanism, MechanismName, Properties, SocketType, Verdict};
use zmtp_connection::proto::{Authorize, Establish, Outcome};
use zmtp_connection::{AllowList, AuthRequest, ConfigError, ConnectionConfig, Null, PeerAddress, Stage};

const KEY: [u8; 32] = [7; 32];

fn asked<'a, M: Mechanism>(config: &'a ConnectionConfig, mechanism: &'a M, octets: &[u8]) -> Authorize<'a, M> {
    let mut establish = Establish::new(config, mechanism);
    establish.receive(octets);
    match establish.advance(NOW) {
        Outcome::Authorize(authorize) => authorize,
        other => panic!("{other:?}"),
    }
}

fn octets_of_a_client(properties: &[u8]) -> Vec<u8> {
    [&wire::greeting("FAKE")[..], &wire::command("HELLO", &KEY), &wire::command("INITIATE", properties)].concat()
}

#[test]
fn a_driver_asks_adds_the_address_and_finds_what_was_attached() {
    let config = ConnectionConfig::builder(SocketType::Pull).domain("jobs").build().unwrap();
    let server = Fake::server();
    let properties = [wire::property("Socket-Type", b"PUSH"), wire::property("Identity", b"w")].concat();
    let authorize = asked(&config, &server, &octets_of_a_client(&properties));

    let address = PeerAddress::Other("in memory".into());
    let request = authorize.request();
    assert_eq!(request.address(), None);
    let request = request.with_address(address.clone());
    assert_eq!((request.mechanism(), request.domain()), (server.name(), "jobs"));
    assert_eq!(request.public_key(), Some(&KEY));
    assert_eq!(&request.identity().unwrap()[..], b"w");
    assert_eq!(request.socket_type(), Some(SocketType::Push));

    let admission = Admission::new().with_user_id("seven").with_property("X-Role", "worker").unwrap();
    let Outcome::Ready(mut ready) = authorize.decide(Verdict::Accept(admission), NOW) else { panic!() };
    assert_eq!(ready.peer.address(), None);
    ready.peer.set_address(address.clone());
    assert_eq!(ready.peer.address(), Some(&address));
    assert_eq!(ready.peer.user_id_str(), Some("seven"));
    assert_eq!(ready.peer.auth_properties().get("X-Role").unwrap(), "worker");
    let names: Vec<&str> = ready.peer.properties().iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["Socket-Type", "Identity"]);
}

#[test]
fn what_a_peer_says_under_a_receivers_name_reaches_neither_judge_nor_peer() {
    let config = ConnectionConfig::new(SocketType::Pull);
    let server = Fake::server();
    let forged = [wire::property("Socket-Type", b"PUSH"), wire::property("USER-ID", b"root")].concat();
    let authorize = asked(&config, &server, &octets_of_a_client(&forged));
    assert_eq!(authorize.request().properties().unwrap().get("User-Id"), None);
    let Outcome::Ready(ready) = authorize.decide(Verdict::accept(), NOW) else { panic!() };
    assert_eq!(ready.peer.user_id(), None);
    assert_eq!(ready.peer.properties().get("User-Id"), None);
    assert!(ready.peer.auth_properties().is_empty());
}

#[test]
fn who_a_peer_is_does_not_depend_on_what_was_attached() {
    let config = ConnectionConfig::new(SocketType::Pull);
    let server = Fake::server();
    let octets = octets_of_a_client(&wire::property("Socket-Type", b"PUSH"));
    let [one, other] = [Verdict::accept(), Verdict::accept_as("seven")].map(|verdict| {
        let Outcome::Ready(ready) = asked(&config, &server, &octets).decide(verdict, NOW) else { panic!() };
        ready.peer
    });
    assert_eq!(one.info(), other.info());
    assert_ne!(one, other);
}

#[test]
fn under_null_the_request_has_the_domain_and_no_claims() {
    let config = ConnectionConfig::builder(SocketType::Pull).domain("jobs").build().unwrap();
    let null = Null::with_authorization();
    let request = asked(&config, &null, &wire::GREETING).request();
    assert_eq!((request.mechanism(), request.domain()), (MechanismName::NULL, "jobs"));
    assert!(request.properties().is_none() && request.public_key().is_none());
}

fn ready<'a, M: Mechanism>(config: &'a ConnectionConfig, mechanism: &'a M, octets: &[u8]) -> support::Ready<M> {
    match support::feed(config, mechanism, octets, usize::MAX) {
        Outcome::Ready(ready) => ready,
        other => panic!("{other:?}"),
    }
}

/// A driver asks about a peer that its mechanism lets in unasked.
#[test]
fn a_peer_that_is_ready_unasked_can_be_judged_all_the_same() {
    let config = ConnectionConfig::builder(SocketType::Pull).domain("jobs").build().unwrap();
    let octets = [&wire::GREETING[..], &wire::ready("PUSH")].concat();
    let mut established = ready(&config, &support::NULL, &octets);
    assert_eq!(established.request(&config).address(), None);
    established.peer.set_address(PeerAddress::Other("in memory".into()));
    let request = established.request(&config);
    assert_eq!((request.mechanism(), request.domain()), (MechanismName::NULL, "jobs"));
    assert_eq!((request.address(), request.public_key()), (established.peer.address(), None));
    assert_eq!(request.socket_type(), Some(SocketType::Push));
    let established = established.decide(Verdict::accept_as("seven")).unwrap();
    assert_eq!(established.peer.user_id_str(), Some("seven"));

    // What still waits goes out before the ERROR; where nothing is said, nothing goes out.
    let own = [&wire::GREETING[..], &wire::ready("PULL"), &wire::error("400")].concat();
    for (verdict, last_words) in [(Verdict::deny(), own), (Verdict::try_later(), Vec::new())] {
        let failure = ready(&config, &support::NULL, &octets).decide(verdict).unwrap_err();
        assert_eq!((failure.error.stage(), failure.last_words), (Stage::Authorization, last_words));
    }
}

#[test]
fn under_a_mechanism_that_seals_a_late_refusal_has_no_last_words() {
    let config = ConnectionConfig::new(SocketType::Push);
    let client = Fake::client(KEY);
    let octets = [&wire::greeting("FAKE")[..], &wire::command("WELCOME", b""), &wire::ready("PULL")].concat();
    for verdict in [Verdict::deny(), Verdict::internal_error(), Verdict::try_later()] {
        let failure = ready(&config, &client, &octets).decide(verdict).unwrap_err();
        assert_eq!((failure.error.stage(), failure.last_words), (Stage::Authorization, Vec::new()));
    }
    assert!(ready(&config, &client, &octets).decide(Verdict::accept()).is_ok());
}

#[test]
fn a_domain_is_a_string_of_zap() {
    let build = |len| ConnectionConfig::builder(SocketType::Pull).domain("d".repeat(len)).build();
    assert_eq!(build(255).unwrap().domain().len(), 255);
    assert_eq!(build(256).unwrap_err(), ConfigError::DomainTooLong { len: 256 });
    assert_eq!(build(0).unwrap().domain(), "");
    assert_eq!(ConnectionConfig::new(SocketType::Pull).domain(), "");
}

#[test]
fn a_request_made_by_hand_says_what_it_was_told() {
    let mut properties = Properties::new();
    properties.push("Identity", vec![b'i'; 256]).unwrap();
    properties.push("Socket-Type", "NONSENSE").unwrap();
    let request = AuthRequest::new(MechanismName::NULL, Claim::default().with_properties(properties));
    assert!(request.identity().is_none() && request.socket_type().is_none(), "neither is one");
    assert_eq!(request.with_domain("d").domain(), "d");
}

#[test]
fn a_list_says_what_changed() {
    let list = AllowList::new([KEY, KEY]);
    assert_eq!(list.len(), 1);
    assert!(!list.insert(KEY));
    assert!(list.insert_as([8; 32], "eight") && list.contains([8; 32]));
    assert!(list.remove(KEY) && !list.remove(KEY));
    list.replace([KEY]);
    assert!(list.contains(KEY) && !list.contains([8; 32]) && !list.is_empty());
    assert_eq!(format!("{list:?}"), "AllowList { len: 1, .. }");
}

/// Anything that becomes 32 octets is a key.
#[test]
fn a_list_takes_keys_of_any_type() {
    #[derive(Clone, Copy)]
    struct PublicKey([u8; 32]);
    impl From<PublicKey> for [u8; 32] {
        fn from(key: PublicKey) -> Self {
            key.0
        }
    }
    let (one, two) = (PublicKey([1; 32]), PublicKey([2; 32]));
    let list = AllowList::new([one]);
    list.insert(two);
    assert!(list.contains(one) && list.contains([2; 32]));
    list.remove(one);
    list.replace_as([(one, "one")]);
    assert!(list.contains(one) && !list.contains(two));
}

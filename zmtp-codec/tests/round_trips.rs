//! Whatever can be built is read back as it was, and no octets at all can bring a decoder down.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;
use zmtp_codec::{
    Command, ErrorReason, GREETING_LEN, Greeting, Group, HeartbeatContext, Identity, MechanismName, Ping, Pong,
    Properties, RawCommand, Subscription, Ttl, UnknownCommand,
};

fn octets(max: usize) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..=max).prop_map(Bytes::from)
}

fn properties() -> impl Strategy<Value = Properties> {
    // Few distinct short names, so that duplicates really occur and are refused.
    let name = prop_oneof!["[A-Za-z0-9._+-]{1,3}", "[Ss]ocket-[Tt]ype|IDENTITY|[Ii]dentity|[Rr]esource", "[a-z]{255}"];
    vec((name, octets(40)), 0..=20).prop_map(|candidates| {
        let mut properties = Properties::new();
        for (name, value) in candidates {
            let known = properties.get(&name).is_some();
            assert_eq!(properties.push(name, value).is_err(), known);
        }
        properties
    })
}

fn context() -> impl Strategy<Value = HeartbeatContext> {
    octets(16).prop_map(|context| HeartbeatContext::new(&context).unwrap())
}

fn group() -> impl Strategy<Value = Group> {
    vec(1_u8.., 0..=255).prop_map(|group| Group::new(group).unwrap())
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        properties().prop_map(Command::Ready),
        "[ -~]{0,255}".prop_map(|text| Command::Error(ErrorReason::new(&text).unwrap())),
        octets(300).prop_map(Command::Subscribe),
        octets(300).prop_map(Command::Cancel),
        group().prop_map(Command::Join),
        group().prop_map(Command::Leave),
        (any::<u16>(), context())
            .prop_map(|(ttl, context)| Command::Ping(Ping::new(Ttl::from_deciseconds(ttl), context))),
        context().prop_map(|context| Command::Pong(Pong::new(context))),
        (vec(any::<u8>(), 1..=255), octets(300)).prop_filter_map("a known name", |(name, data)| {
            UnknownCommand::new(name, data).ok().map(Command::Unknown)
        }),
    ]
}

/// Octets that are more likely than chance to get past a command's name.
fn command_like() -> impl Strategy<Value = Bytes> {
    let name = prop_oneof![
        Just("\x05READY"),
        Just("\x05ERROR"),
        Just("\x09SUBSCRIBE"),
        Just("\x06CANCEL"),
        Just("\x04JOIN"),
        Just("\x05LEAVE"),
        Just("\x04PING"),
        Just("\x04PONG"),
        Just(""),
    ];
    (name, octets(300)).prop_map(|(name, data)| [name.as_bytes(), &data].concat().into())
}

/// A good encoding of properties with one octet replaced, or cut.
fn damaged_metadata() -> impl Strategy<Value = Vec<u8>> {
    (properties(), any::<prop::sample::Index>(), any::<u8>(), any::<bool>()).prop_map(|(properties, at, octet, cut)| {
        let mut metadata = Vec::new();
        properties.encode(&mut metadata);
        if !metadata.is_empty() {
            let at = at.index(metadata.len());
            metadata[at] = octet;
            metadata.truncate(if cut { at } else { metadata.len() });
        }
        metadata
    })
}

proptest! {
    #[test]
    fn commands_are_read_back(command in command()) {
        let mut body = BytesMut::new();
        command.encode_body(&mut body);
        prop_assert_eq!(body.len(), command.body_len());
        let raw = RawCommand::decode(&body).unwrap();
        prop_assert_eq!(raw.name, command.name());
        prop_assert_eq!(Command::decode(body.freeze()), Ok(command));
    }

    #[test]
    fn properties_are_read_back(properties in properties()) {
        let mut metadata = Vec::new();
        properties.encode(&mut metadata);
        prop_assert_eq!(metadata.len(), properties.encoded_len());
        prop_assert_eq!(Properties::decode(&metadata, properties.len()), Ok(properties));
    }

    #[test]
    fn greetings_are_read_back(name in "[A-Z0-9._+-]{1,20}", as_server: bool) {
        let mechanism = MechanismName::new(&name).unwrap();
        prop_assert_eq!(mechanism.as_str(), Some(&name[..]));
        let greeting = Greeting::new(mechanism, as_server);
        prop_assert_eq!(Greeting::decode(&greeting.to_bytes()), Ok(Some(greeting)));
    }

    #[test]
    fn subscriptions_are_read_back_in_both_forms(topic in octets(300), cancel: bool) {
        let subscription = if cancel { Subscription::cancel(topic) } else { Subscription::subscribe(topic) };
        let mut body = BytesMut::new();
        subscription.encode_message_body(&mut body);
        prop_assert_eq!(body.len(), subscription.message_body_len());
        prop_assert_eq!(Subscription::from_message(&body.freeze()), Some(subscription.clone()));
        prop_assert_eq!(Subscription::from_command(&subscription.clone().into_command()), Some(subscription));
    }

    #[test]
    fn identities_are_kept(octets in octets(300)) {
        let legal = octets.len() <= 255;
        let received = Identity::from_wire(octets.clone());
        prop_assert_eq!(received.as_ref().map(|identity| identity.as_bytes().clone()).ok(), legal.then(|| octets.clone()));
        prop_assert_eq!(Identity::new(octets.clone()).is_ok(), legal && octets.first() != Some(&0));
    }

    #[test]
    fn a_greeting_is_decided_once_and_for_all(input in vec(any::<u8>(), 0..=80), head in 0_usize..=11) {
        // Start with as much of a good greeting as `head` says, or hardly any input gets past the signature.
        let good = Greeting::new(MechanismName::NULL, false).to_bytes();
        let mut input = input;
        let head = head.min(input.len());
        input[..head].copy_from_slice(&good[..head]);
        let whole = Greeting::decode(&input);
        for len in 0..=input.len() {
            match Greeting::decode(&input[..len]) {
                Ok(None) => prop_assert!(len < GREETING_LEN),
                decided => prop_assert_eq!(decided, whole),
            }
        }
    }

    #[test]
    fn no_octets_bring_the_command_decoder_down(body in command_like()) {
        if let Ok(command) = Command::decode(body) {
            let mut written = BytesMut::new();
            command.encode_body(&mut written);
            prop_assert_eq!(Command::decode(written.freeze()), Ok(command));
        }
    }

    #[test]
    fn no_octets_bring_the_property_decoder_down(metadata in prop_oneof![damaged_metadata(), vec(any::<u8>(), 0..=300)]) {
        if let Ok(properties) = Properties::decode(&metadata, usize::MAX) {
            prop_assert!(properties.encoded_len() <= metadata.len());
            let _ = (properties.socket_type(), properties.identity(), properties.resource());
            let mut written = Vec::new();
            properties.encode(&mut written);
            prop_assert_eq!(Properties::decode(&written, usize::MAX), Ok(properties));
        }
    }

    #[test]
    fn any_mechanism_field_can_be_shown(field: [u8; 20]) {
        let mechanism = MechanismName::from_wire(field);
        prop_assert!(mechanism.to_string().chars().all(|c| c == ' ' || c.is_ascii_graphic()));
        if let Some(name) = mechanism.as_str() {
            prop_assert_eq!(MechanismName::new(name), Ok(mechanism));
        }
    }
}

//! What one connection knows of messaging patterns: shapes of messages, groups, subscriptions.
#![cfg(feature = "null")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use SocketType::{Channel, Client, Dish, Gather, Peer, Pub, Radio, Scatter, Server, Sub, Xpub, Xsub};
use support::wire::{self, command, message, part};
use support::{Event, decode, drain, null_pair, ready, ready_limited, ready_with};
use zmtp_connection::codec::{Command, CommandError, Group, SocketType, Subscription, Version};
use zmtp_connection::{AsMessage, ConnectionConfig, DecodeError, Limits, PushError};

/// Each type whose messages have one part, with a peer.
const SINGLE: [(SocketType, SocketType); 6] =
    [(Server, Client), (Client, Server), (Gather, Scatter), (Scatter, Gather), (Channel, Channel), (Peer, Peer)];

fn read(ours: SocketType, peer: SocketType, octets: &[u8]) -> Result<Vec<Event>, DecodeError> {
    decode(&mut ready(ours, peer).decoder, octets, 5)
}

fn group(octets: &'static [u8]) -> Group {
    Group::new(octets).unwrap()
}

#[test]
fn single_part_types_drop_multipart_messages_and_go_on() {
    // S28, S29, S30
    for (ours, peer) in SINGLE {
        let mut ready = ready(ours, peer);
        let octets = [message(&["a", "b"]), message(&["ok"]), message(&["", "", ""]), message(&["fine"])].concat();
        let events = decode(&mut ready.decoder, &octets, 1).unwrap();
        assert_eq!(events, [Event::message(&["ok"]), Event::message(&["fine"])], "{ours}");
        assert_eq!(ready.decoder.ignored(), 2, "{ours}");
    }
}

#[test]
fn single_part_types_send_no_multipart_message() {
    for (ours, peer) in SINGLE {
        let mut ready = ready(ours, peer);
        assert_eq!(ready.encoder.push(&["a", "b"]), Err(PushError::SinglePartOnly { parts: 2 }), "{ours}");
        assert_eq!(ready.encoder.pending(), 0);
        ready.encoder.push("a").unwrap();
        assert_eq!(drain(&mut ready.encoder), message(&["a"]));
    }
}

#[test]
fn a_message_has_a_part() {
    for (ours, peer) in [(SocketType::Dealer, SocketType::Dealer), (Client, Server), (Radio, Dish)] {
        assert_eq!(ready(ours, peer).encoder.push::<[&str]>(&[]), Err(PushError::NoParts), "{ours}");
    }
}

#[test]
fn a_dish_takes_a_group_of_up_to_255_octets_and_a_body() {
    let longest = "g".repeat(255);
    for group in ["", "grp", &longest] {
        let octets = message(&[group, "x"]);
        assert_eq!(read(Dish, Radio, &octets), Ok(vec![Event::message(&[group, "x"])]));
    }
    let refused = |parts| Err(DecodeError::NotAGroupMessage { parts });
    assert_eq!(read(Dish, Radio, &message(&["single"])), refused(1), "S24");
    assert_eq!(read(Dish, Radio, &message(&["g".repeat(256), "x".into()])), refused(2), "S25");
    assert_eq!(read(Dish, Radio, &message(&["a", "b", "c"])), refused(3), "S26");
}

#[test]
fn a_dish_reads_a_ping_like_everybody() {
    // S27
    assert!(matches!(&read(Dish, Radio, &wire::ping(1, b"c")).unwrap()[..], [Event::Ping(_)]));
}

#[test]
fn a_radio_sends_a_group_and_a_body() {
    fn push<M: AsMessage + ?Sized>(message: &M) -> Result<(), PushError> {
        ready(Radio, Dish).encoder.push(message)
    }
    assert_eq!(push(&["group", "body"]), Ok(()));
    assert_eq!(push("single"), Err(PushError::NotAGroupMessage { parts: 1 }));
    assert_eq!(push(&["a", "b", "c"]), Err(PushError::NotAGroupMessage { parts: 3 }));
    assert_eq!(push(&["g".repeat(255), String::new()]), Ok(()));
    assert_eq!(push(&["g".repeat(256), String::new()]), Err(PushError::NotAGroupMessage { parts: 2 }));
}

#[test]
fn a_radio_takes_groups_of_up_to_255_octets_without_zeros() {
    let too_long = CommandError::GroupTooLong { len: 256 };
    assert_eq!(read(Radio, Dish, &command("JOIN", &[b'g'; 256])), Err(too_long.into()), "S20");
    let joined = Event::Command(Command::Join(group(&[b'g'; 255])));
    assert_eq!(read(Radio, Dish, &command("JOIN", &[b'g'; 255])), Ok(vec![joined]), "S21");
    let zero = CommandError::GroupZero { position: 1 };
    assert_eq!(read(Radio, Dish, &command("JOIN", b"a\0b")), Err(zero.into()), "S22");
    let left = Event::Command(Command::Leave(group(b"never joined")));
    assert_eq!(read(Radio, Dish, &command("LEAVE", b"never joined")), Ok(vec![left]), "S23");
}

#[test]
fn publishers_read_both_forms_of_a_subscription() {
    for (ours, peer) in [(Xpub, Sub), (Pub, Xsub)] {
        // S01: the message form is a message, which the socket reads with `Subscription`.
        let octets = message(&[b"\x01abc"]);
        let mut from_old = ready(ours, peer);
        from_old.decoder.receive(&octets);
        assert!(from_old.decoder.poll().unwrap().is_some());
        let message = from_old.decoder.take_message();
        assert_eq!(Subscription::from_message(message.first()), Some(Subscription::subscribe("abc")));
        // S02, S03, S04
        let octets = [command("SUBSCRIBE", b"abc"), command("SUBSCRIBE", b""), command("CANCEL", b"zzz")].concat();
        let events = [Command::Subscribe("abc".into()), Command::Subscribe("".into()), Command::Cancel("zzz".into())];
        assert_eq!(read(ours, peer, &octets), Ok(events.map(Event::Command).to_vec()));
    }
}

#[test]
fn upstream_messages_of_an_xpub_are_delivered_whatever_they_look_like() {
    // S05, S06, S07, S12, S13
    for parts in [&[&b"\x02abc"[..]][..], &[b""], &[b"hello"], &[b"x", b"\x01b"], &[b"\x01a", b"\x01b"]] {
        assert_eq!(read(Xpub, Sub, &message(parts)), Ok(vec![Event::message(parts)]));
    }
}

#[test]
fn topics_are_limited_by_the_command_limit() {
    // S11
    let topic = vec![b't'; 100_000];
    let octets = command("SUBSCRIBE", &topic);
    let refused = Err(DecodeError::CommandTooLarge { size: 100_010, limit: 64 << 10 });
    assert_eq!(read(Xpub, Sub, &octets), refused);
    let mut roomy = ready_limited(Xpub, Sub, Limits::new().max_command(100_010));
    let event = Event::Command(Command::Subscribe(topic.into()));
    assert_eq!(decode(&mut roomy.decoder, &octets, 9999), Ok(vec![event]));
}

#[test]
fn subscriptions_go_out_in_the_form_that_the_peer_knows() {
    let config = ConnectionConfig::new(Sub);
    let longest_short = "t".repeat(245);
    for topic in ["", "abc", &longest_short, &"t".repeat(246), &"t".repeat(254), &"t".repeat(255)] {
        let mut new = ready_with(&config, wire::GREETING, Pub);
        let mut newer = ready_with(&config, wire::with(wire::GREETING, 10, 4), Pub);
        let mut old = ready_with(&config, wire::GREETING_3_0, Pub);
        for ready in [&mut new, &mut newer, &mut old] {
            ready.encoder.push_command(&Command::Subscribe(topic.to_owned().into())).unwrap();
            ready.encoder.push_command(&Command::Cancel(topic.to_owned().into())).unwrap();
        }
        let commands = [command("SUBSCRIBE", topic.as_bytes()), command("CANCEL", topic.as_bytes())].concat();
        assert_eq!(drain(&mut new.encoder), commands, "{}", topic.len());
        assert_eq!(drain(&mut newer.encoder), commands, "{}", topic.len());
        let messages = [format!("\x01{topic}"), format!("\0{topic}")].map(|body| part(false, body.as_bytes()));
        assert_eq!(drain(&mut old.encoder), messages.concat(), "{}", topic.len());
    }
}

#[test]
fn groups_are_not_sent_to_peers_that_cannot_know_them() {
    let mut old = ready_with(&ConnectionConfig::new(Dish), wire::GREETING_3_0, Radio);
    let refused = Err(PushError::Unsupported { version: Version::V3_0 });
    assert_eq!(old.encoder.push_command(&Command::Join(group(b"g"))), refused);
    assert_eq!(old.encoder.push_command(&Command::Leave(group(b"g"))), refused);
    assert_eq!(old.encoder.pending(), 0);
    let mut pair = null_pair(Dish, Radio, Limits::new());
    pair.a.encoder.push_command(&Command::Join(group(b"g"))).unwrap();
    assert_eq!(pair.a_to_b(), [Event::Command(Command::Join(group(b"g")))]);
}

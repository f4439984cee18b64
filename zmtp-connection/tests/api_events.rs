//! Taking events apart, and keeping those that were lent.
#![cfg(all(feature = "net", feature = "null"))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use bytes::Bytes;
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
use zmtp_connection::codec::{Command, SocketType, Subscription};
use zmtp_connection::{Connection, ConnectionConfig, Event, EventRef, Message, Null};

type Side = Connection<DuplexStream, Null>;

async fn pair(ours: SocketType, theirs: SocketType) -> (Side, Side) {
    let (near, far) = duplex(1 << 16);
    let (ours, theirs, null) = (ConnectionConfig::new(ours), ConnectionConfig::new(theirs), Null::new());
    let (one, other) =
        tokio::join!(Connection::handshake(near, &ours, &null), Connection::handshake(far, &theirs, &null));
    (one.unwrap(), other.unwrap())
}

fn message(parts: &[&'static [u8]]) -> Event {
    Event::Message(Message::from_parts(parts.iter().copied()).unwrap())
}

#[test]
fn an_event_is_a_message_or_a_command_and_never_both() {
    let event = message(&[b"a", b"b"]);
    assert_eq!(event.as_message().unwrap().parts(), ["a", "b"]);
    assert_eq!(event.clone().into_command(), None);
    assert_eq!(event.into_message().unwrap().parts(), ["a", "b"]);

    let command = Command::Subscribe("topic".into());
    let event = Event::Command(command.clone());
    assert_eq!(event.as_message(), None);
    assert_eq!(event.clone().into_message(), None);
    assert_eq!(event.into_command(), Some(command));
}

#[tokio::test]
async fn a_lent_message_that_was_kept_outlives_the_next_receive() {
    let (mut one, mut other) = pair(SocketType::Pair, SocketType::Pair).await;
    one.feed(&["first", "1"]).unwrap();
    one.feed("second").unwrap();
    one.flush().await.unwrap();
    let first = other.recv_ref().await.unwrap().unwrap().to_event();
    let second = other.recv_ref().await.unwrap().unwrap().to_event();
    assert_eq!(first, message(&[b"first", b"1"]));
    assert_eq!(second, message(&[b"second"]));
}

#[tokio::test]
async fn subscriptions_are_the_same_lent_or_kept_in_both_forms() {
    let (mut xpub, mut xsub) = pair(SocketType::Xpub, SocketType::Xsub).await;
    xsub.subscribe("command").await.unwrap();
    xsub.cancel("command").await.unwrap();
    // Both message forms, an empty topic, data, an empty message, and a part of a longer message.
    xsub.get_mut().write_all(b"\0\x02\x01m\0\x02\0m\0\x01\x01\0\x02\x02x\0\0\x01\x02\x01m\0\x01y").await.unwrap();
    let expected = [
        Some(Subscription::subscribe("command")),
        Some(Subscription::cancel("command")),
        Some(Subscription::subscribe("m")),
        Some(Subscription::cancel("m")),
        Some(Subscription::subscribe("")),
        None,
        None,
        None,
    ];
    for subscription in expected {
        let lent = xpub.recv_ref().await.unwrap().unwrap();
        assert_eq!(lent.subscription(), subscription);
        assert_eq!(lent.to_event().subscription(), subscription);
    }
}

#[test]
fn a_lent_command_is_kept_as_it_is() {
    let command = Command::Cancel(Bytes::from_static(b"topic"));
    let lent = EventRef::Command(command.clone());
    assert_eq!(lent.to_event(), Event::Command(command));
    assert_eq!(lent.subscription(), Some(Subscription::cancel("topic")));
}

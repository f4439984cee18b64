//! Cancel safety: every future is dropped at every point where it can wait, over streams that move one octet at a
//! time. Nothing may be lost, cut short or repeated.
#![cfg(all(feature = "net", feature = "null"))]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod net_support;
mod support;

use bytes::Bytes;
use net_support::{End, Pair, Pipe, complete_within, drive, ends, pair, with_peer};
use support::fake::Fake;
use support::{NULL, wire};
use tokio::io::{AsyncRead, AsyncWrite};
use zmtp_connection::codec::{Command, Mechanism, SocketType};
use zmtp_connection::{
    Connection, ConnectionConfig, Event, EventRef, Frame, Message, Null, Receiver, RecvError, SendError, Sender,
};

/// What is common to a connection and its sending half.
trait Sending {
    async fn send(&mut self, message: &Message) -> Result<(), SendError>;
    async fn send_command(&mut self, command: &Command) -> Result<(), SendError>;
    async fn flush(&mut self) -> Result<(), SendError>;
    async fn reserve_and_feed(&mut self, message: &Message) -> Result<(), SendError>;
    fn feed(&mut self, message: &Message);
}

/// What is common to a connection and its receiving half.
trait Receiving {
    async fn recv(&mut self) -> Result<Option<Event>, RecvError>;
    async fn recv_lent(&mut self) -> Result<Option<Event>, RecvError>;
    async fn recv_frame(&mut self) -> Result<Option<Frame>, RecvError>;
    async fn recv_batch(&mut self, into: &mut Vec<Event>, most: usize) -> Result<usize, RecvError>;
}

macro_rules! sending {
    ($kind:ident, $($bound:tt)*) => {
        impl<T: $($bound)*, M: Mechanism> Sending for $kind<T, M> {
            async fn send(&mut self, message: &Message) -> Result<(), SendError> {
                $kind::send(self, message).await
            }

            async fn send_command(&mut self, command: &Command) -> Result<(), SendError> {
                $kind::send_command(self, command).await
            }

            async fn flush(&mut self) -> Result<(), SendError> {
                $kind::flush(self).await
            }

            async fn reserve_and_feed(&mut self, message: &Message) -> Result<(), SendError> {
                Ok($kind::reserve(self).await?.feed(message)?)
            }

            fn feed(&mut self, message: &Message) {
                $kind::feed(self, message).unwrap();
            }
        }
    };
}
sending!(Connection, AsyncRead + AsyncWrite + Unpin);
sending!(Sender, AsyncWrite + Unpin);

macro_rules! receiving {
    ($kind:ident, $($bound:tt)*) => {
        impl<T: $($bound)*, M: Mechanism> Receiving for $kind<T, M> {
            async fn recv(&mut self) -> Result<Option<Event>, RecvError> {
                $kind::recv(self).await
            }

            async fn recv_lent(&mut self) -> Result<Option<Event>, RecvError> {
                Ok($kind::recv_ref(self).await?.map(|event| match event {
                    EventRef::Message(message) => {
                        Event::Message(Message::from_parts(message.parts().map(Bytes::copy_from_slice)).unwrap())
                    }
                    EventRef::Command(command) => Event::Command(command),
                }))
            }

            async fn recv_frame(&mut self) -> Result<Option<Frame>, RecvError> {
                $kind::recv_frame(self).await
            }

            async fn recv_batch(&mut self, into: &mut Vec<Event>, most: usize) -> Result<usize, RecvError> {
                $kind::recv_batch(self, into, most).await
            }
        }
    };
}
receiving!(Connection, AsyncRead + AsyncWrite + Unpin);
receiving!(Receiver, AsyncRead + Unpin);

fn small() -> Message {
    Message::from_parts(["topic", "", "body"]).unwrap()
}

/// Under NULL its second part goes out from where it lies.
fn linked() -> Message {
    Message::from_parts([Bytes::from_static(b"head"), octets(5000), Bytes::from_static(b"tail")]).unwrap()
}

/// Received into an allocation of its own.
fn large() -> Message {
    Message::from_parts([Bytes::from_static(b"head"), octets(40_000), octets(70_000)]).unwrap()
}

fn octets(len: usize) -> Bytes {
    (0..len).map(|at| at.to_le_bytes()[0] ^ at.to_le_bytes()[1]).collect()
}

fn subscribe(topic: &'static str) -> Command {
    Command::Subscribe(Bytes::from_static(topic.as_bytes()))
}

/// How the tested side is used.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Whole,
    /// With a lock around the stream.
    Split,
    /// Without one.
    IntoSplit,
}

const SHAPES: [Shape; 3] = [Shape::Whole, Shape::Split, Shape::IntoSplit];

async fn null_pair() -> Pair<Null, Null> {
    let (a, b) = (ConnectionConfig::new(SocketType::Xsub), ConnectionConfig::new(SocketType::Xpub));
    pair((&a, &NULL), (&b, &NULL)).await
}

async fn fake_pair() -> Pair<Fake, Fake> {
    let (a, b) = (ConnectionConfig::new(SocketType::Xsub), ConnectionConfig::new(SocketType::Xpub));
    pair((&a, &Fake::client([7; 32])), (&b, &Fake::server())).await
}

/// Everything that has arrived at `peer`.
fn arrived<M: Mechanism>(peer: &mut Connection<End, M>) -> Vec<Event> {
    let mut events = Vec::new();
    while let Some(event) = complete_within(1, peer.recv()) {
        events.push(event.unwrap().expect("the stream is open"));
    }
    events
}

#[derive(Clone, Copy, Debug)]
enum Sends {
    Small,
    Linked,
    Command,
    Flush,
    Reserve,
}

impl Sends {
    fn events(self) -> Vec<Event> {
        match self {
            Self::Small | Self::Reserve => vec![Event::Message(small())],
            Self::Linked => vec![Event::Message(linked())],
            Self::Command => vec![Event::Command(subscribe("abc"))],
            Self::Flush => vec![Event::Message(small()), Event::Message(linked()), Event::Message(small())],
        }
    }

    async fn perform(self, tx: &mut impl Sending) {
        match self {
            Self::Small => tx.send(&small()).await.unwrap(),
            Self::Linked => tx.send(&linked()).await.unwrap(),
            Self::Command => tx.send_command(&subscribe("abc")).await.unwrap(),
            Self::Flush => {
                [small(), linked(), small()].iter().for_each(|message| tx.feed(message));
                tx.flush().await.unwrap();
            }
            Self::Reserve => tx.reserve_and_feed(&small()).await.unwrap(),
        }
    }
}

/// Drops `sends` after `polls` polls, then sends something else. True once it was not dropped.
fn drop_and_go_on(sends: Sends, polls: usize, tx: &mut impl Sending) -> bool {
    let done = complete_within(polls, sends.perform(tx)).is_some();
    drive(tx.send_command(&subscribe("between"))).unwrap();
    drive(tx.send(&Message::from("after"))).unwrap();
    done
}

async fn sending_is_cancel_safe<M: Mechanism>(pair_up: impl AsyncFn() -> Pair<M, M>, vectored: bool) {
    for (shape, sends) in SHAPES.into_iter().flat_map(|shape| {
        [Sends::Small, Sends::Linked, Sends::Command, Sends::Flush, Sends::Reserve].map(|sends| (shape, sends))
    }) {
        let per_poll = if matches!(sends, Sends::Linked | Sends::Flush) { 61 } else { 1 };
        for polls in 0.. {
            let Pair { a, mut b, a_to_b, .. } = pair_up().await;
            a_to_b.per_poll(per_poll).stutter().vectored(vectored);
            let (done, mut events) = match shape {
                Shape::Whole => {
                    let mut a = a;
                    (drop_and_go_on(sends, polls, &mut a), drain_stuttering(&mut b, &a_to_b))
                }
                Shape::Split => {
                    let (_rx, mut tx) = a.split();
                    (drop_and_go_on(sends, polls, &mut tx), drain_stuttering(&mut b, &a_to_b))
                }
                Shape::IntoSplit => {
                    let (_rx, mut tx) = a.into_split();
                    (drop_and_go_on(sends, polls, &mut tx), drain_stuttering(&mut b, &a_to_b))
                }
            };
            let expected = if polls == 0 { Vec::new() } else { sends.events() };
            assert_eq!(events.pop(), Some(Event::Message(Message::from("after"))), "{shape:?} {sends:?} {polls}");
            assert_eq!(events.pop(), Some(Event::Command(subscribe("between"))), "{shape:?} {sends:?} {polls}");
            assert_eq!(events, expected, "{shape:?} {sends:?} dropped after {polls} polls");
            if done {
                assert!(polls > 5 || matches!(sends, Sends::Reserve), "{sends:?} was dropped in the middle before");
                break;
            }
        }
    }
}

fn drain_stuttering<M: Mechanism>(peer: &mut Connection<End, M>, pipe: &Pipe) -> Vec<Event> {
    // What is in the pipe is all that will come; now it may come at once.
    let octets = pipe.take(usize::MAX);
    pipe.smooth().put(&octets);
    arrived(peer)
}

#[tokio::test(start_paused = true)]
async fn a_dropped_send_is_whole_or_not_there() {
    sending_is_cancel_safe(null_pair, false).await;
}

#[tokio::test(start_paused = true)]
async fn a_dropped_send_is_whole_or_not_there_in_vectored_writes() {
    sending_is_cancel_safe(null_pair, true).await;
}

#[tokio::test(start_paused = true)]
async fn a_dropped_send_is_whole_or_not_there_on_an_encrypted_connection() {
    sending_is_cancel_safe(fake_pair, false).await;
}

/// What the peer says in the tests of receiving, between them all kinds of frames.
fn conversation() -> Vec<Event> {
    vec![
        Event::Message(small()),
        Event::Command(subscribe("abc")),
        Event::Message(linked()),
        Event::Message(Message::from("")),
        Event::Message(small()),
    ]
}

#[derive(Clone, Copy, Debug)]
enum Receives {
    Owned,
    Lent,
    Frames,
    Batch,
}

/// Receives until the end, and drops every future after `polls` polls. Frames are put together again.
fn receive_all(receives: Receives, polls: usize, rx: &mut impl Receiving) -> Vec<Event> {
    let (mut events, mut parts) = (Vec::new(), Vec::new());
    for _ in 0..200_000 {
        match receives {
            Receives::Owned | Receives::Lent => {
                let received = if matches!(receives, Receives::Owned) {
                    complete_within(polls, rx.recv())
                } else {
                    complete_within(polls, rx.recv_lent())
                };
                match received.map(Result::unwrap) {
                    Some(Some(event)) => events.push(event),
                    Some(None) => return events,
                    None => {}
                }
            }
            Receives::Frames => match complete_within(polls, rx.recv_frame()).map(Result::unwrap) {
                Some(Some(Frame::Part { payload, more })) => {
                    parts.push(payload);
                    if !more {
                        events.push(Event::Message(Message::from_parts(std::mem::take(&mut parts)).unwrap()));
                    }
                }
                Some(Some(Frame::Command(command))) => events.push(Event::Command(command)),
                Some(None) => return events,
                None => {}
            },
            Receives::Batch => {
                if let Some(Ok(0)) = complete_within(polls, rx.recv_batch(&mut events, 3)) {
                    return events;
                }
            }
        }
    }
    panic!("the stream does not end");
}

async fn receiving_is_cancel_safe<M: Mechanism>(
    pair_up: impl AsyncFn() -> Pair<M, M>,
    conversation: &[Event],
    per_poll: usize,
    polls: impl Iterator<Item = usize> + Clone,
) {
    for (shape, receives) in SHAPES.into_iter().flat_map(|shape| {
        [Receives::Owned, Receives::Lent, Receives::Frames, Receives::Batch].map(|receives| (shape, receives))
    }) {
        for polls in polls.clone() {
            let Pair { mut a, b, a_to_b, b_to_a } = pair_up().await;
            for event in conversation {
                match event {
                    Event::Message(message) => drive(a.send(message)).unwrap(),
                    Event::Command(command) => drive(a.send_command(command)).unwrap(),
                }
            }
            drive(a.flush()).unwrap();
            drop(a);
            a_to_b.per_poll(per_poll).stutter();
            b_to_a.per_poll(1).stutter();
            let received = match shape {
                Shape::Whole => {
                    let mut b = b;
                    receive_all(receives, polls, &mut b)
                }
                Shape::Split => receive_all(receives, polls, &mut b.split().0),
                Shape::IntoSplit => receive_all(receives, polls, &mut b.into_split().0),
            };
            assert_eq!(received, conversation, "{shape:?} {receives:?}, dropped after {polls} polls each time");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_recv_loses_nothing() {
    receiving_is_cancel_safe(null_pair, &conversation(), 1, [1, 2, 3, 5, 8, 29].into_iter()).await;
}

#[tokio::test(start_paused = true)]
async fn a_dropped_recv_loses_nothing_on_an_encrypted_connection() {
    receiving_is_cancel_safe(fake_pair, &conversation(), 1, [1, 2, 3, 5, 8, 29].into_iter()).await;
}

#[tokio::test(start_paused = true)]
async fn a_dropped_recv_loses_nothing_of_a_large_message() {
    let conversation = [Event::Message(large()), Event::Message(small())];
    receiving_is_cancel_safe(null_pair, &conversation, 997, 1..8).await;
    receiving_is_cancel_safe(fake_pair, &conversation, 997, 1..8).await;
}

/// One recv is dropped after every possible number of polls; the next one is not.
#[tokio::test(start_paused = true)]
async fn one_dropped_recv_is_continued_by_the_next() {
    let wire = wire::message(&["ab", "", "cd"]);
    for polls in 0.. {
        let (mut connection, peer) = with_peer(&ConnectionConfig::new(SocketType::Pull), SocketType::Push).await;
        peer.outgoing().per_poll(1).stutter();
        peer.put(&wire);
        peer.put(&wire::message(&["next"]));
        let dropped = complete_within(polls, connection.recv());
        let done = dropped.is_some();
        let first = dropped.unwrap_or_else(|| drive(connection.recv())).unwrap();
        assert_eq!(first, Some(Event::Message(Message::from_parts(["ab", "", "cd"]).unwrap())), "{polls}");
        assert_eq!(drive(connection.recv()).unwrap(), Some(Event::Message(Message::from("next"))), "{polls}");
        if done {
            assert!(polls > wire.len() / 2, "one octet was moved per poll");
            break;
        }
    }
}

/// PINGs are answered once each, in order, whatever is dropped.
#[tokio::test(start_paused = true)]
async fn a_dropped_recv_answers_every_ping_exactly_once() {
    let wire = [
        wire::part(true, b"a"),
        wire::ping(0, b"one"),
        wire::part(false, b"b"),
        wire::ping(0, b"two"),
        wire::ping(0, b"three"),
        wire::message(&["end"]),
    ]
    .concat();
    let pongs = ["one", "two", "three"].map(|context| wire::command("PONG", context.as_bytes())).concat();
    for polls in 1..40 {
        for split in [false, true] {
            let (mut connection, peer) = with_peer(&ConnectionConfig::new(SocketType::Pull), SocketType::Push).await;
            peer.outgoing().per_poll(1).stutter();
            peer.incoming().per_poll(1).stutter();
            peer.put(&wire);
            let expected =
                vec![Event::Message(Message::from_parts(["a", "b"]).unwrap()), Event::Message(Message::from("end"))];
            let mut received = Vec::new();
            // Polled on after the last message as well: answers are written while one receives.
            let rounds = 4000 / polls;
            if split {
                let (mut rx, _tx) = connection.into_split();
                for _ in 0..rounds {
                    received.extend(complete_within(polls, rx.recv()).map(|event| event.unwrap().unwrap()));
                }
            } else {
                for _ in 0..rounds {
                    received.extend(complete_within(polls, connection.recv()).map(|event| event.unwrap().unwrap()));
                }
            }
            assert_eq!(received, expected, "dropped after {polls} polls each time");
            assert_eq!(peer.taken(), pongs, "dropped after {polls} polls each time, split: {split}");
        }
    }
}

/// Beyond the high-water mark a send waits before it queues anything.
#[tokio::test(start_paused = true)]
async fn a_send_that_is_dropped_while_it_waits_for_room_has_queued_nothing() {
    let config = ConnectionConfig::builder(SocketType::Push).high_water_mark(10).build().unwrap();
    let before = Message::from(octets(40));
    let mut was_queued = false;
    for polls in 1.. {
        let (mut connection, peer) = with_peer(&config, SocketType::Pull).await;
        peer.incoming().per_poll(1).stutter();
        connection.feed(&before).unwrap();
        let done = complete_within(polls, connection.send("x")).is_some();
        let written = peer.incoming().len();
        drive(connection.send("after")).unwrap();
        let wire = peer.taken();
        let with = [wire::message(&[&octets(40)[..]]), wire::message(&["x"]), wire::message(&["after"])].concat();
        let without = [wire::message(&[&octets(40)[..]]), wire::message(&["after"])].concat();
        let queued = wire == with;
        assert!(queued || wire == without, "{polls}");
        assert!(queued || !was_queued, "what is queued after {polls} polls is queued after more of them");
        assert_eq!(queued, written >= 42, "it is queued as soon as there is room");
        was_queued = queued;
        if done {
            break;
        }
    }
    assert!(was_queued);
}

#[tokio::test(start_paused = true)]
async fn a_reserve_that_is_dropped_has_queued_nothing() {
    let config = ConnectionConfig::builder(SocketType::Push).high_water_mark(10).build().unwrap();
    for polls in 0.. {
        let (mut connection, peer) = with_peer(&config, SocketType::Pull).await;
        peer.incoming().per_poll(1).stutter();
        connection.feed(&octets(40)).unwrap();
        let done = complete_within(polls, connection.reserve()).is_some();
        drive(connection.flush()).unwrap();
        assert_eq!(peer.taken(), wire::message(&[&octets(40)[..]]), "{polls}");
        if done {
            assert!(polls > 40);
            break;
        }
    }
}

/// Half a handshake is worth nothing: the stream goes with the future.
#[tokio::test(start_paused = true)]
async fn a_dropped_handshake_drops_the_stream() {
    let config = ConnectionConfig::new(SocketType::Pull);
    let mut sent = Vec::new();
    for polls in 0.. {
        let (ours, peer) = ends();
        peer.incoming().per_poll(1).stutter();
        peer.outgoing().per_poll(1).stutter();
        peer.put(&[&wire::GREETING[..], &wire::ready("PUSH")].concat());
        let connection = complete_within(polls, Connection::handshake(ours, &config, &NULL));
        if let Some(connection) = connection {
            assert!(polls > 64, "it was dropped at many points: {polls}");
            assert!(!peer.incoming().is_closed());
            drop(connection.unwrap());
            break;
        }
        assert!(peer.incoming().is_closed() && peer.outgoing().is_abandoned(), "after {polls} polls");
        let sent_now = peer.taken();
        assert!(sent_now.starts_with(&sent), "every handshake is the same, as far as it goes");
        sent = sent_now;
    }
}

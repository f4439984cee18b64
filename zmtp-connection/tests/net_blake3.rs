//! BLAKE3 on a stream, with either suite: what arrives however the octets move and whichever futures are dropped, what ends a
//! connection, and that a recorded session is refused by a server that is at work.
#![cfg(all(feature = "blake3", feature = "net", feature = "null"))]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod blake3_support;
mod net_support;
mod support;

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use blake3_support::{Tested, client, greeting, in_both_suites, server};
use bytes::Bytes;
use net_support::{Counting, End, Pair, complete_within, drive, ends, pair, poll_once};
use support::wire;
use tokio::time::{Instant, timeout};
use zmtp_connection::codec::{Command, MechanismError, OpenError, SocketType, Subscription};
use zmtp_connection::{
    AllowAny, Connection, ConnectionConfig, DecodeError, EncodedMessage, Event, Expired, Frame, HandshakeCause,
    HeartbeatConfig, Message, PushError, RecvError, SendError,
};
use zmtp_mechanism_blake3::{Client, Server};

in_both_suites! {
    async fn everything_arrives_both_ways_when_octets_move_one_at_a_time,
    a_dropped_send_is_whole_or_not_there,
    halves_on_two_tasks_send_and_receive_at_once,
    what_came_before_a_changed_frame_is_delivered_and_then_it_is_over,
    halves_are_both_over_when_a_frame_does_not_open,
    of_a_large_frame_nothing_is_seen_before_its_tag_is,
    of_a_message_whose_second_part_was_changed_nothing_is_received,
    heartbeats_keep_an_idle_connection_alive_and_end_a_dead_one,
    a_pong_in_the_clear_is_no_sign_of_life,
    a_publisher_sees_the_same_subscription_in_either_form,
    a_fan_out_is_sealed_anew_and_the_encoded_form_is_refused,
    a_recorded_session_is_refused_by_a_server_at_work,
}

const SECOND: Duration = Duration::from_secs(1);

fn config(socket_type: SocketType) -> ConnectionConfig {
    ConnectionConfig::new(socket_type)
}

/// An XSUB as client and an XPUB as server, both ours.
async fn subscribed<S: Tested>() -> Pair<Client<S>, Server<S>> {
    let (a, b) = (config(SocketType::Xsub), config(SocketType::Xpub));
    pair((&a, &client()), (&b, &server())).await
}

async fn dealers<S: Tested>() -> Pair<Client<S>, Server<S>> {
    let dealer = config(SocketType::Dealer);
    pair((&dealer, &client()), (&dealer, &server())).await
}

fn event(part: &'static str) -> Event {
    Event::Message(Message::from(part))
}

fn octets(len: usize) -> Bytes {
    (0..len).map(|at| at.to_le_bytes()[0] ^ at.to_le_bytes()[1]).collect()
}

fn small() -> Message {
    Message::from_parts(["topic", "", "body"]).unwrap()
}

/// Received into allocations of its own.
fn large() -> Message {
    Message::from_parts([Bytes::from_static(b"head"), octets(40_000), octets(70_000)]).unwrap()
}

fn subscribe(topic: &'static str) -> Command {
    Command::Subscribe(Bytes::from_static(topic.as_bytes()))
}

// ─── streams that move little at a time, and futures that are dropped ────────────────────────────────────────────────

/// Messages of one and of many parts, with bodies of all sizes at which something changes.
fn conversation() -> Vec<Message> {
    let sizes = [0, 1, 16, 32, 222, 223, 239, 240, 255, 256, 4096, 32_735, 32_736, 32_767, 32_768, 70_000];
    let mut messages: Vec<_> = sizes.into_iter().map(|size| Message::from(octets(size))).collect();
    messages.extend([small(), large(), Message::from_parts(["", "", ""]).unwrap()]);
    messages
}

async fn everything_arrives_both_ways_when_octets_move_one_at_a_time<S: Tested>() {
    let Pair { mut a, mut b, a_to_b, b_to_a } = dealers::<S>().await;
    a_to_b.per_poll(1).stutter();
    b_to_a.per_poll(1).stutter();
    for message in conversation() {
        drive(a.send(&message)).unwrap();
        drive(b.send(&message)).unwrap();
        assert!(drive(b.recv()).unwrap() == Some(Event::Message(message.clone())));
        assert!(drive(a.recv()).unwrap() == Some(Event::Message(message)));
    }
}

/// Drops what sends after every possible number of polls, on one connection all the time: a number that was used twice or
/// not at all would end it, or let something else come out.
async fn a_dropped_send_is_whole_or_not_there<S: Tested>() {
    let Pair { mut a, mut b, a_to_b, .. } = subscribed::<S>().await;
    for message in [small(), large()] {
        for polls in 0.. {
            a_to_b.per_poll(if message == small() { 1 } else { 4999 }).stutter();
            let done = complete_within(polls, a.send(&message)).is_some();
            drive(a.send_command(&subscribe("between"))).unwrap();
            drive(a.send("after")).unwrap();
            let octets = a_to_b.take(usize::MAX);
            a_to_b.smooth().put(&octets);
            let mut arrived = Vec::new();
            while let Some(event) = complete_within(1, b.recv()) {
                arrived.push(event.unwrap().expect("the stream is open"));
            }
            let mut expected = if polls == 0 { Vec::new() } else { vec![Event::Message(message.clone())] };
            expected.extend([Event::Command(subscribe("between")), event("after")]);
            assert!(arrived == expected, "dropped after {polls} polls");
            if done {
                assert!(polls > 20, "it was dropped in the middle");
                break;
            }
        }
    }
}

/// A stream that holds little, so that both sides wait for each other all the time.
async fn halves_on_two_tasks_send_and_receive_at_once<S: Tested>() {
    const COUNT: usize = 100;
    let (ours, theirs) = tokio::io::duplex(1000);
    let dealer = config(SocketType::Dealer);
    let (client, server) = (client::<S>(), server::<S>());
    let (a, b) = tokio::join!(
        Connection::handshake(ours, &dealer, &client),
        Connection::handshake_with(theirs, &dealer, &server, &AllowAny)
    );
    let ((mut a_rx, mut a_tx), (mut b_rx, mut b_tx)) = (a.unwrap().into_split(), b.unwrap().into_split());
    let message = |at: usize| Message::from_parts([octets(at), octets(at * 13)]).unwrap();
    let sending_a = tokio::spawn(async move {
        for at in 0..COUNT {
            a_tx.send(&message(at)).await.unwrap();
        }
        a_tx
    });
    let sending_b = tokio::spawn(async move {
        for at in 0..COUNT {
            b_tx.send(&message(at)).await.unwrap();
        }
        b_tx
    });
    let receiving = tokio::spawn(async move {
        for at in 0..COUNT {
            assert!(b_rx.recv().await.unwrap() == Some(Event::Message(message(at))), "at the server: {at}");
        }
        b_rx
    });
    for at in 0..COUNT {
        assert!(a_rx.recv().await.unwrap() == Some(Event::Message(message(at))), "at the client: {at}");
    }
    let _halves = (sending_a.await.unwrap(), sending_b.await.unwrap(), receiving.await.unwrap());
}

// ─── what ends the connection ────────────────────────────────────────────────────────────────────────────────────────

/// Through each interface what was in order comes first, then the error, once; and nothing is sent any more.
async fn what_came_before_a_changed_frame_is_delivered_and_then_it_is_over<S: Tested>() {
    for in_the_clear in [false, true] {
        for interface in 0..4 {
            let Pair { mut a, mut b, a_to_b, b_to_a } = dealers::<S>().await;
            drive(a.send("a")).unwrap();
            drive(a.send("b")).unwrap();
            let before = a_to_b.take(usize::MAX);
            drive(a.send("c")).unwrap();
            let mut changed = a_to_b.take(usize::MAX);
            *changed.last_mut().unwrap() ^= 1;
            let bad = if in_the_clear { wire::ping(0, &[b'x'; 40]) } else { changed };
            a_to_b.put(&[before, bad].concat());
            let mut events = Vec::new();
            let error = loop {
                let next = match interface {
                    0 => drive(b.recv()),
                    1 => drive(b.recv_ref()).map(|event| event.map(|event| event.to_event())),
                    2 => drive(b.recv_frame()).map(|frame| match frame {
                        Some(Frame::Part { payload, more: false }) => Some(Event::Message(Message::from(payload))),
                        other => panic!("{other:?}"),
                    }),
                    _ => match drive(b.recv_batch(&mut events, 10)) {
                        Ok(count) => {
                            assert_eq!(count, 2);
                            continue;
                        }
                        Err(error) => break error,
                    },
                };
                match next {
                    Ok(event) => events.push(event.unwrap()),
                    Err(error) => break error,
                }
            };
            assert_eq!(events, [event("a"), event("b")], "interface {interface}");
            assert!(matches!(&error, RecvError::Protocol(DecodeError::Open(OpenError::Forged))), "{error:?}");
            let again = drive(b.recv()).unwrap_err();
            assert!(matches!(again, RecvError::Protocol(DecodeError::Poisoned)), "{again:?}");
            let sent = drive(b.send("more")).unwrap_err();
            assert!(matches!(sent, SendError::Lost | SendError::Refused(PushError::Poisoned)), "{sent:?}");
            assert_eq!(b_to_a.len(), 0, "no PONG, and nothing else");
        }
    }
}

async fn halves_are_both_over_when_a_frame_does_not_open<S: Tested>() {
    let Pair { mut a, b, a_to_b, b_to_a } = dealers::<S>().await;
    let (mut rx, mut tx) = b.into_split();
    drive(a.send("a")).unwrap();
    a_to_b.put(&wire::ping(0, &[b'x'; 40]));
    assert_eq!(drive(rx.recv()).unwrap(), Some(event("a")));
    let error = drive(rx.recv()).unwrap_err();
    assert!(matches!(error, RecvError::Protocol(DecodeError::Open(OpenError::Forged))), "{error:?}");
    assert!(matches!(drive(tx.send("x")), Err(SendError::Lost)));
    assert_eq!(b_to_a.len(), 0);
}

/// The body is large and comes in pieces; it is held against its tag when it is whole, and not before.
async fn of_a_large_frame_nothing_is_seen_before_its_tag_is<S: Tested>() {
    let Pair { mut a, mut b, a_to_b, .. } = dealers::<S>().await;
    drive(a.send(&octets(100_000))).unwrap();
    let sent = a_to_b.take(usize::MAX);
    let (last, most) = sent.split_last().unwrap();
    for piece in most.chunks(9_000) {
        a_to_b.put(piece);
        assert!(complete_within(20, b.recv_frame()).is_none());
    }
    a_to_b.put(&[last ^ 1]);
    let error = drive(b.recv_frame()).unwrap_err();
    assert!(matches!(error, RecvError::Protocol(DecodeError::Open(OpenError::Forged))), "{error:?}");
}

async fn of_a_message_whose_second_part_was_changed_nothing_is_received<S: Tested>() {
    for batch in [false, true] {
        let Pair { mut a, mut b, a_to_b, .. } = dealers::<S>().await;
        drive(a.send(&["first", "second"])).unwrap();
        let mut sent = a_to_b.take(usize::MAX);
        let (first, second) = sent.split_at_mut(2 + 5 + S::OVERHEAD);
        *second.last_mut().unwrap() ^= 1;
        a_to_b.put(first);
        assert!(complete_within(20, b.recv()).is_none(), "it is not whole");
        a_to_b.put(second);
        let mut events = Vec::new();
        let error = match batch {
            false => drive(b.recv()).unwrap_err(),
            true => drive(b.recv_batch(&mut events, 10)).unwrap_err(),
        };
        assert!(matches!(error, RecvError::Protocol(DecodeError::Open(OpenError::Forged))), "{error:?}");
        assert_eq!(events, []);
    }
}

// ─── heartbeats and commands ─────────────────────────────────────────────────────────────────────────────────────────

async fn heartbeats_keep_an_idle_connection_alive_and_end_a_dead_one<S: Tested>() {
    let dealer = config(SocketType::Dealer);
    let pinging = ConnectionConfig::builder(SocketType::Dealer)
        .heartbeat(HeartbeatConfig::every(SECOND).timeout(Some(3 * SECOND)))
        .build()
        .unwrap();
    let Pair { mut a, mut b, b_to_a, .. } = pair((&dealer, &client::<S>()), (&pinging, &server::<S>())).await;
    {
        // The peer does nothing but receive, which answers PINGs.
        let mut answering = pin!(a.recv());
        tokio::select! {
            biased;
            _ = &mut answering => panic!("nothing was sent"),
            ended = timeout(60 * SECOND, b.recv()) => assert!(ended.is_err(), "it is alive"),
        }
    }
    assert!(b.rtt().is_some(), "a PING was answered");
    let start = Instant::now();
    let error = b.recv().await.unwrap_err();
    assert!(matches!(error, RecvError::Expired(Expired::NoAnswer { .. })), "{error:?}");
    assert!((3 * SECOND..6 * SECOND).contains(&start.elapsed()), "{:?}", start.elapsed());
    let unanswered = b_to_a.take(usize::MAX);
    assert!(!unanswered.is_empty() && !unanswered.windows(4).any(|word| word == b"PING"), "said in the clear");
}

async fn a_pong_in_the_clear_is_no_sign_of_life<S: Tested>() {
    let dealer = config(SocketType::Dealer);
    let pinging =
        ConnectionConfig::builder(SocketType::Dealer).heartbeat(HeartbeatConfig::every(SECOND)).build().unwrap();
    let Pair { a: _a, mut b, a_to_b, .. } = pair((&dealer, &client::<S>()), (&pinging, &server::<S>())).await;
    assert!(timeout(SECOND + SECOND / 10, b.recv()).await.is_err());
    a_to_b.put(&wire::command("PONG", b""));
    let error = b.recv().await.unwrap_err();
    assert!(matches!(error, RecvError::Protocol(DecodeError::Open(OpenError::Malformed(_)))), "{error:?}");
}

async fn a_publisher_sees_the_same_subscription_in_either_form<S: Tested>() {
    let Pair { mut a, mut b, .. } = subscribed::<S>().await;
    for (command, message, expected) in [
        (Command::Subscribe("t".into()), "\x01t", Subscription::subscribe("t")),
        (Command::Cancel("t".into()), "\x00t", Subscription::cancel("t")),
    ] {
        drive(a.send_command(&command)).unwrap();
        drive(a.send(message)).unwrap();
        for _ in 0..2 {
            assert_eq!(drive(b.recv()).unwrap().unwrap().subscription(), Some(expected.clone()));
        }
    }
}

async fn a_fan_out_is_sealed_anew_and_the_encoded_form_is_refused<S: Tested>() {
    let Pair { mut a, mut b, .. } = subscribed::<S>().await;
    let encoded = EncodedMessage::encode(&["topic", "body"]).unwrap();
    assert_eq!(b.feed_encoded(&encoded), Err(PushError::EncryptedLink));
    assert_eq!(b.pending(), 0);
    let expected = Event::Message(Message::from_parts(["topic", "body"]).unwrap());
    for _ in 0..2 {
        b.feed_fan_out(&encoded).unwrap();
        drive(b.flush()).unwrap();
        assert_eq!(drive(a.recv()).unwrap(), Some(expected.clone()));
    }
}

// ─── replay ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/// Everything that a client says to this server, heard on the way: a handshake, and a message that costs money.
async fn overheard<S: Tested>(server: &Server<S>) -> Vec<u8> {
    let (ours, theirs) = ends();
    let (to_server, dealer, client) = (ours.incoming().clone(), config(SocketType::Dealer), client::<S>());
    let mut heard = Vec::new();
    let mut there = pin!(Connection::handshake(theirs, &dealer, &client));
    let mut here = pin!(Connection::handshake_with(ours, &dealer, server, &AllowAny));
    let mut served = None;
    let mut client: Connection<End, Client<S>> = loop {
        let done = poll_once(there.as_mut());
        // What was said is heard, and goes on to the server.
        let said = to_server.take(usize::MAX);
        to_server.put(&said);
        heard.extend(said);
        if served.is_none()
            && let Poll::Ready(server) = poll_once(here.as_mut())
        {
            served = Some(server.unwrap());
        }
        if let Poll::Ready(client) = done {
            break client.unwrap();
        }
    };
    let mut served: Connection<End, Server<S>> = served.expect("both are ready");
    drive(client.send("pay")).unwrap();
    let said = to_server.take(usize::MAX);
    to_server.put(&said);
    heard.extend(said);
    assert_eq!(drive(served.recv()).unwrap(), Some(event("pay")));
    heard
}

/// The server has the same keys as when it was recorded, and those of its cookies too.
async fn a_recorded_session_is_refused_by_a_server_at_work<S: Tested>() {
    let server = server::<S>();
    let heard = overheard(&server).await;
    assert_eq!(heard[..64], greeting::<S>());
    let dealer = config(SocketType::Dealer);
    for piece in [1, 64, usize::MAX] {
        let (ours, peer) = ends();
        ours.incoming().per_poll(piece);
        peer.put(&heard);
        let judge = Counting::new(&AllowAny);
        let error = Connection::handshake_with(ours, &dealer, &server, &judge).await.unwrap_err();
        assert_eq!(judge.asked(), 0);
        assert!(
            matches!(error.cause(), HandshakeCause::Mechanism(MechanismError::Cryptographic { command: "INITIATE" })),
            "{error}"
        );
        assert_eq!(peer.taken().len(), 64 + 2 + S::WELCOME, "no READY");
        assert!(peer.incoming().is_closed() && peer.outgoing().is_abandoned());
    }
    assert_eq!(server.half_open(), 0);
}

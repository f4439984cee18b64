//! CURVE on a stream: what arrives however the octets move and whichever futures are dropped, in which order frames are
//! sealed when both halves of a connection send, and what is never said in the clear.
#![cfg(all(feature = "curve", feature = "net", feature = "null"))]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod curve_support;
mod net_support;
mod support;

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use curve_support::{
    COMMAND, GREETING, LAST, MORE, SERVER_GREETING, Session, client, hello, initiate, metadata, server, welcome,
};
use net_support::{End, Pair, complete_within, drive, ends, pair, poll_once};
use support::wire;
use tokio::io::DuplexStream;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout};
use zmtp_connection::codec::{
    Command, HeartbeatContext, Mechanism, OpenError, Ping, SocketType, Subscription, Ttl, Verdict,
};
use zmtp_connection::{
    AllowAny, AuthRequest, Authenticator, Connection, ConnectionConfig, CurveClient, CurveServer, DecodeError,
    EncodedMessage, Event, Expired, Frame, HandshakeError, HeartbeatConfig, Message, PushError, RecvError, SendError,
};

const SECOND: Duration = Duration::from_secs(1);
/// For a runtime of several threads: no test waits so long unless it fails.
const PATIENCE: Duration = Duration::from_secs(60);

fn config(socket_type: SocketType) -> ConnectionConfig {
    ConnectionConfig::new(socket_type)
}

/// An XSUB as client and an XPUB as server, both ours. They take it ill when a number is skipped.
async fn curve_pair() -> Pair<CurveClient, CurveServer> {
    let (a, b) = (config(SocketType::Xsub), config(SocketType::Xpub));
    pair((&a, &client().refuse_gaps()), (&b, &server().refuse_gaps())).await
}

/// Our server with a client written by hand that pipelines `early` behind its INITIATE.
async fn handshake_with_client(
    config: &ConnectionConfig,
    peer: SocketType,
    judge: &impl Authenticator,
    early: impl FnOnce(&mut Session) -> Vec<u8>,
) -> (Result<Connection<End, CurveServer>, HandshakeError>, End, Session) {
    let (ours, theirs) = ends();
    let server = server();
    theirs.put(&[&GREETING[..], &hello()].concat());
    let mut handshake = pin!(Connection::handshake_with(ours, config, &server, judge));
    assert!(poll_once(handshake.as_mut()).is_pending());
    let octets = theirs.taken();
    assert_eq!(octets[..64], SERVER_GREETING);
    let (initiate, mut session) = initiate(&octets[64..], &metadata(peer.as_str()));
    theirs.put(&[initiate, early(&mut session)].concat());
    (handshake.await, theirs, session)
}

/// Our server, ready, with a client written by hand.
async fn with_client(config: &ConnectionConfig, peer: SocketType) -> (Connection<End, CurveServer>, End, Session) {
    let (connection, theirs, session) = handshake_with_client(config, peer, &AllowAny, |_| Vec::new()).await;
    let octets = theirs.taken();
    assert_eq!(&octets[2..8], b"\x05READY");
    (connection.unwrap(), theirs, session)
}

/// Our client, ready, with a server written by hand that has this greeting.
async fn with_server(
    config: &ConnectionConfig,
    greeting: [u8; 64],
    peer: SocketType,
) -> (Connection<End, CurveClient>, End, Session) {
    let (ours, theirs) = ends();
    let client = client();
    theirs.put(&greeting);
    let mut handshake = pin!(Connection::handshake(ours, config, &client));
    assert!(poll_once(handshake.as_mut()).is_pending());
    let (welcome, their_transient) = welcome(&theirs.taken()[64..]);
    theirs.put(&welcome);
    assert!(poll_once(handshake.as_mut()).is_pending());
    theirs.taken();
    let (ready, session) = curve_support::ready(&their_transient, &metadata(peer.as_str()));
    theirs.put(&ready);
    (drive(handshake).unwrap(), theirs, session)
}

fn event(part: &'static str) -> Event {
    Event::Message(Message::from(part))
}

// ─── what comes early ────────────────────────────────────────────────────────────────────────────────────────────────

/// C31.
#[tokio::test(start_paused = true)]
async fn a_message_behind_initiate_arrives_though_the_judge_takes_its_time() {
    let slow = |_: AuthRequest| async {
        tokio::time::sleep(5 * SECOND).await;
        Verdict::accept_as("late")
    };
    let start = Instant::now();
    let early = |session: &mut Session| [session.frame(MORE, b"0"), session.frame(LAST, b"rtt")].concat();
    let (connection, peer, _) = handshake_with_client(&config(SocketType::Pull), SocketType::Push, &slow, early).await;
    let mut connection = connection.unwrap();
    assert!((5 * SECOND..6 * SECOND).contains(&start.elapsed()));
    assert_eq!(connection.peer().user_id_str(), Some("late"));
    assert_eq!(&peer.taken()[2..8], b"\x05READY");
    let expected = Event::Message(Message::from_parts(["0", "rtt"]).unwrap());
    assert_eq!(drive(connection.recv()).unwrap(), Some(expected));
}

#[tokio::test(start_paused = true)]
async fn a_refused_client_reads_one_error_and_the_end() {
    for (verdict, octets) in [(Verdict::deny(), wire::error("400")), (Verdict::try_later(), Vec::new())] {
        let slow = |_: AuthRequest| {
            let verdict = verdict.clone();
            async move {
                tokio::time::sleep(SECOND).await;
                verdict
            }
        };
        let early = |session: &mut Session| session.frame(LAST, b"0rtt");
        let (ended, peer, _) = handshake_with_client(&config(SocketType::Pull), SocketType::Push, &slow, early).await;
        assert!(ended.is_err());
        assert_eq!(peer.taken(), octets);
        assert!(peer.incoming().is_closed() && peer.outgoing().is_abandoned());
    }
}

// ─── what ends the connection ────────────────────────────────────────────────────────────────────────────────────────

type Forge = fn(&Session) -> Vec<u8>;

/// C40 to C56 have one end here: what came before is delivered, through each interface, then the error, once; and
/// nothing is sent any more.
#[tokio::test(start_paused = true)]
async fn what_came_before_a_forged_frame_is_delivered_and_then_it_is_over() {
    let bad: [(Forge, OpenError); 4] = [
        (|session| session.numbered(4, b"again"), OpenError::Sequence),
        (|session| session.reflected(9, LAST, b"x"), OpenError::Forged),
        (|_| wire::ping(0, b"plain"), OpenError::Malformed("it is no CURVE MESSAGE")),
        (|session| curve_support::message(&session.body(9, 3, b"")), OpenError::InnerFlags { flags: 3 }),
    ];
    for (bad, open_error) in bad {
        for interface in 0..4 {
            let (mut connection, peer, session) = with_client(&config(SocketType::Dealer), SocketType::Dealer).await;
            peer.put(&[session.numbered(3, b"a"), session.numbered(4, b"b"), bad(&session)].concat());
            let mut events = Vec::new();
            let error = loop {
                let next = match interface {
                    0 => drive(connection.recv()),
                    1 => drive(connection.recv_ref()).map(|event| event.map(|event| event.to_event())),
                    2 => drive(connection.recv_frame()).map(|frame| match frame {
                        Some(Frame::Part { payload, more: false }) => Some(Event::Message(Message::from(payload))),
                        other => panic!("{other:?}"),
                    }),
                    _ => match drive(connection.recv_batch(&mut events, 10)) {
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
            assert!(
                matches!(&error, RecvError::Protocol(DecodeError::Open(found)) if *found == open_error),
                "interface {interface}: {error:?}"
            );
            let again = drive(connection.recv()).unwrap_err();
            assert!(matches!(again, RecvError::Protocol(DecodeError::Poisoned)), "{again:?}");
            let sent = drive(connection.send("more")).unwrap_err();
            assert!(matches!(sent, SendError::Lost | SendError::Refused(PushError::Poisoned)), "{sent:?}");
            assert!(peer.taken().is_empty(), "no PONG, and nothing else");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn halves_are_both_over_when_a_frame_does_not_open() {
    let (connection, peer, session) = with_client(&config(SocketType::Dealer), SocketType::Dealer).await;
    let (mut rx, mut tx) = connection.into_split();
    peer.put(&[session.numbered(3, b"a"), wire::ping(0, b"plain")].concat());
    assert_eq!(drive(rx.recv()).unwrap(), Some(event("a")));
    let error = drive(rx.recv()).unwrap_err();
    assert!(matches!(error, RecvError::Protocol(DecodeError::Open(OpenError::Malformed(_)))), "{error:?}");
    assert!(matches!(drive(tx.send("x")), Err(SendError::Lost)));
    assert!(peer.taken().is_empty());
}

/// The body is large and comes in pieces; it is held against its tag when it is whole, and not before.
#[tokio::test(start_paused = true)]
async fn of_a_large_frame_nothing_is_seen_before_its_tag_is() {
    let (mut connection, peer, mut session) = with_client(&config(SocketType::Dealer), SocketType::Dealer).await;
    let octets = session.frame(LAST, &[7; 100_000]);
    let (last, most) = octets.split_last().unwrap();
    for piece in most.chunks(9_000) {
        peer.put(piece);
        assert!(complete_within(20, connection.recv_frame()).is_none());
    }
    peer.put(&[last ^ 1]);
    let error = drive(connection.recv_frame()).unwrap_err();
    assert!(matches!(error, RecvError::Protocol(DecodeError::Open(OpenError::Forged))), "{error:?}");
}

// ─── heartbeats and commands ─────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test(start_paused = true)]
async fn heartbeats_go_both_ways_inside_messages() {
    let config = ConnectionConfig::builder(SocketType::Dealer)
        .heartbeat(HeartbeatConfig::every(SECOND).timeout(Some(3 * SECOND)))
        .build()
        .unwrap();
    let (mut connection, peer, mut session) = with_client(&config, SocketType::Dealer).await;
    for counter in [2, 4] {
        assert!(timeout(SECOND + SECOND / 10, connection.recv()).await.is_err());
        let [ping] = &session.open_all(&peer.taken())[..] else { panic!("one PING") };
        assert_eq!((ping.counter, ping.flags, &ping.payload[..5]), (counter, COMMAND, &b"\x04PING"[..]));
        peer.put(&session.command("PONG", &ping.payload[7..]));
        peer.put(&session.command("PING", b"\0\0ours"));
        assert!(complete_within(1, connection.recv()).is_none());
        let [pong] = &session.open_all(&peer.taken())[..] else { panic!("one PONG") };
        assert_eq!((pong.counter, &pong.payload[..]), (counter + 1, &b"\x04PONGours"[..]));
    }
    let start = Instant::now();
    let error = connection.recv().await.unwrap_err();
    assert!(matches!(error, RecvError::Expired(Expired::NoAnswer { .. })), "{error:?}");
    assert!((3 * SECOND..5 * SECOND).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_pong_in_the_clear_is_no_sign_of_life() {
    let config =
        ConnectionConfig::builder(SocketType::Dealer).heartbeat(HeartbeatConfig::every(SECOND)).build().unwrap();
    let (mut connection, peer, _) = with_client(&config, SocketType::Dealer).await;
    assert!(timeout(SECOND + SECOND / 10, connection.recv()).await.is_err());
    peer.put(&wire::command("PONG", b""));
    let error = connection.recv().await.unwrap_err();
    assert!(matches!(error, RecvError::Protocol(DecodeError::Open(OpenError::Malformed(_)))), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_publisher_sees_the_same_subscription_in_either_form() {
    let (mut connection, peer, mut session) = with_client(&config(SocketType::Xpub), SocketType::Sub).await;
    peer.put(&[session.command("SUBSCRIBE", b"t"), session.frame(LAST, b"\x01t")].concat());
    peer.put(&[session.command("CANCEL", b"t"), session.frame(LAST, b"\x00t")].concat());
    for expected in [Subscription::subscribe("t"), Subscription::cancel("t")] {
        for _ in 0..2 {
            assert_eq!(drive(connection.recv()).unwrap().unwrap().subscription(), Some(expected.clone()));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn to_a_peer_of_zmtp_3_0_a_subscription_is_a_sealed_message() {
    for (minor, flags, payload) in [(0, LAST, b"\x01t".to_vec()), (1, COMMAND, wire::command_body("SUBSCRIBE", b"t"))] {
        let greeting = wire::with(SERVER_GREETING, 11, minor);
        let (mut connection, peer, session) = with_server(&config(SocketType::Sub), greeting, SocketType::Pub).await;
        drive(connection.subscribe("t")).unwrap();
        let [sealed] = &session.open_all(&peer.taken())[..] else { panic!("one frame") };
        assert_eq!((sealed.flags, &sealed.payload), (flags, &payload));
    }
}

#[tokio::test(start_paused = true)]
async fn a_fan_out_is_sealed_anew_and_the_encoded_form_is_refused() {
    let Pair { mut a, mut b, .. } = curve_pair().await;
    let encoded = EncodedMessage::encode(&["topic", "body"]).unwrap();
    assert_eq!(b.feed_encoded(&encoded), Err(PushError::EncryptedLink));
    assert_eq!(b.pending(), 0);
    b.feed_fan_out(&encoded).unwrap();
    drive(b.flush()).unwrap();
    let expected = Event::Message(Message::from_parts(["topic", "body"]).unwrap());
    assert_eq!(drive(a.recv()).unwrap(), Some(expected.clone()));

    let (_rx, mut tx) = b.into_split();
    assert_eq!(tx.feed_encoded(&encoded), Err(PushError::EncryptedLink));
    tx.feed_fan_out(&encoded).unwrap();
    drive(tx.flush()).unwrap();
    assert_eq!(drive(a.recv()).unwrap(), Some(expected));
}

// ─── streams that move little at a time, and futures that are dropped ────────────────────────────────────────────────

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

/// Messages of one and of many parts, with bodies of all sizes at which something changes.
fn conversation() -> Vec<Message> {
    let sizes = [0, 1, 16, 32, 222, 223, 255, 256, 4096, 32_734, 32_735, 32_767, 32_768, 70_000];
    let mut messages: Vec<_> = sizes.into_iter().map(|size| Message::from(octets(size))).collect();
    messages.extend([small(), large(), Message::from_parts(["", "", ""]).unwrap()]);
    messages
}

#[tokio::test(start_paused = true)]
async fn everything_arrives_both_ways_when_octets_move_one_at_a_time() {
    let Pair { mut a, mut b, a_to_b, b_to_a } = curve_pair().await;
    a_to_b.per_poll(1).stutter();
    b_to_a.per_poll(1).stutter();
    for message in conversation() {
        drive(a.send(&message)).unwrap();
        drive(b.send(&message)).unwrap();
        assert!(drive(b.recv()).unwrap() == Some(Event::Message(message.clone())));
        assert!(drive(a.recv()).unwrap() == Some(Event::Message(message)));
    }
}

#[derive(Clone, Copy, Debug)]
enum Sends {
    Small,
    Large,
    Command,
    Flush,
    Reserve,
}

impl Sends {
    fn events(self) -> Vec<Event> {
        match self {
            Self::Small | Self::Reserve => vec![Event::Message(small())],
            Self::Large => vec![Event::Message(large())],
            Self::Command => vec![Event::Command(subscribe("abc"))],
            Self::Flush => vec![Event::Message(small()), Event::Command(subscribe("x")), Event::Message(small())],
        }
    }
}

/// Everything that has arrived at `peer`.
fn arrived<M: Mechanism>(peer: &mut Connection<End, M>) -> Vec<Event> {
    let mut events = Vec::new();
    while let Some(event) = complete_within(1, peer.recv()) {
        events.push(event.unwrap().expect("the stream is open"));
    }
    events
}

/// Drops every future that sends after every possible number of polls, on one connection all the time: a number that was
/// used twice or not at all would end it.
macro_rules! drop_sends {
    ($tx:ident, $peer:ident, $pipe:ident) => {
        for sends in [Sends::Small, Sends::Large, Sends::Command, Sends::Flush, Sends::Reserve] {
            for polls in 0.. {
                $pipe.per_poll(if matches!(sends, Sends::Large) { 4999 } else { 1 }).stutter();
                let done = match sends {
                    Sends::Small => complete_within(polls, $tx.send(&small())).is_some(),
                    Sends::Large => complete_within(polls, $tx.send(&large())).is_some(),
                    Sends::Command => complete_within(polls, $tx.send_command(&subscribe("abc"))).is_some(),
                    Sends::Flush => {
                        if polls > 0 {
                            $tx.feed(&small()).unwrap();
                            $tx.feed_command(&subscribe("x")).unwrap();
                            $tx.feed(&small()).unwrap();
                        }
                        complete_within(polls, $tx.flush()).is_some()
                    }
                    Sends::Reserve => complete_within(polls, async {
                        $tx.reserve().await.unwrap().feed(&small()).unwrap();
                    })
                    .is_some(),
                };
                drive($tx.send_command(&subscribe("between"))).unwrap();
                drive($tx.send("after")).unwrap();
                let octets = $pipe.take(usize::MAX);
                $pipe.smooth().put(&octets);
                let mut expected = if polls == 0 { Vec::new() } else { sends.events() };
                expected.extend([Event::Command(subscribe("between")), event("after")]);
                assert!(arrived(&mut $peer) == expected, "{sends:?}, dropped after {polls} polls");
                if done {
                    assert!(polls > 20 || matches!(sends, Sends::Reserve), "{sends:?} was dropped in the middle");
                    break;
                }
            }
        }
    };
}

#[tokio::test(start_paused = true)]
async fn a_dropped_send_is_whole_or_not_there() {
    let Pair { mut a, mut b, a_to_b, .. } = curve_pair().await;
    drop_sends!(a, b, a_to_b);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_send_of_a_half_is_whole_or_not_there() {
    let Pair { a, mut b, a_to_b, .. } = curve_pair().await;
    let (_rx, mut tx) = a.into_split();
    drop_sends!(tx, b, a_to_b);
    let Pair { a, mut b, a_to_b, .. } = curve_pair().await;
    let (_rx, mut tx) = a.split();
    drop_sends!(tx, b, a_to_b);
}

#[derive(Clone, Copy, Debug)]
enum Receives {
    Owned,
    Lent,
    Frames,
    Batch,
}

/// Drops every future that receives after so many polls, through each interface, on one connection all the time.
macro_rules! drop_receives {
    ($rx:ident, $peer:ident, $pipe:ident) => {
        let mut said: Vec<Event> = Vec::new();
        for message in [small(), Message::from(""), Message::from(octets(300)), large(), small()] {
            said.extend([Event::Message(message), Event::Command(subscribe("t"))]);
        }
        for receives in [Receives::Owned, Receives::Lent, Receives::Frames, Receives::Batch] {
            for (polls, per_poll) in [(1, 1), (2, 61), (3, 997), (5, 1), (29, 997), (usize::MAX, 997)] {
                $pipe.smooth();
                for event in &said {
                    match event {
                        Event::Message(message) => drive($peer.send(message)).unwrap(),
                        Event::Command(command) => drive($peer.send_command(command)).unwrap(),
                    }
                }
                $pipe.per_poll(per_poll).stutter();
                let (mut events, mut parts) = (Vec::new(), Vec::new());
                for round in 0.. {
                    assert!(round < 2_000_000, "not everything arrives");
                    if events.len() == said.len() {
                        break;
                    }
                    match receives {
                        Receives::Owned => {
                            events.extend(complete_within(polls, $rx.recv()).map(|event| event.unwrap().unwrap()));
                        }
                        Receives::Lent => events.extend(complete_within(polls, async {
                            $rx.recv_ref().await.unwrap().unwrap().to_event()
                        })),
                        Receives::Frames => match complete_within(polls, $rx.recv_frame()) {
                            Some(Ok(Some(Frame::Part { payload, more }))) => {
                                parts.push(payload);
                                if !more {
                                    let parts = std::mem::take(&mut parts);
                                    events.push(Event::Message(Message::from_parts(parts).unwrap()));
                                }
                            }
                            Some(Ok(Some(Frame::Command(command)))) => events.push(Event::Command(command)),
                            Some(other) => panic!("{other:?}"),
                            None => {}
                        },
                        Receives::Batch => {
                            let before = events.len();
                            match complete_within(polls, $rx.recv_batch(&mut events, 3)) {
                                Some(count) => assert_eq!(events.len() - before, count.unwrap()),
                                None => assert_eq!(events.len(), before, "what it took is with the caller"),
                            }
                        }
                    }
                }
                assert!(events == said, "{receives:?}, dropped after {polls} polls each time");
            }
        }
    };
}

#[tokio::test(start_paused = true)]
async fn a_dropped_recv_loses_nothing() {
    let Pair { mut a, mut b, a_to_b, .. } = curve_pair().await;
    drop_receives!(b, a, a_to_b);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_recv_of_a_half_loses_nothing() {
    let Pair { mut a, b, a_to_b, .. } = curve_pair().await;
    let (mut rx, _tx) = b.into_split();
    drop_receives!(rx, a, a_to_b);
}

// ─── two halves, one sequence of numbers ─────────────────────────────────────────────────────────────────────────────

#[tokio::test(start_paused = true)]
async fn answers_of_one_half_and_messages_of_the_other_share_one_sequence() {
    let (connection, peer, mut session) = with_client(&config(SocketType::Dealer), SocketType::Dealer).await;
    let (mut rx, mut tx) = connection.into_split();
    // The peer reads slowly, so that the writer is often busy when a PING comes.
    peer.incoming().capacity(50).per_poll(7).stutter();
    let receiving = tokio::spawn(async move { while rx.recv().await.unwrap().is_some() {} });
    let sending = tokio::spawn(async move {
        for number in 0..300 {
            tx.send(&format!("{number}")).await.unwrap();
            yield_now().await;
        }
        tx
    });
    let mut octets = Vec::new();
    let mut pings = 0_u16;
    while !sending.is_finished() {
        if octets.len() / 60 >= usize::from(pings) {
            peer.put(&session.command("PING", &[&[0, 0][..], &pings.to_be_bytes()].concat()));
            pings += 1;
        }
        octets.extend(peer.incoming().take(31));
        yield_now().await;
    }
    let tx = sending.await.unwrap();
    peer.put(&session.command("PING", b"\0\0\xff\xff"));
    for _ in 0..1000 {
        octets.extend(peer.taken());
        yield_now().await;
    }
    let sealed = session.open_all(&octets);
    let numbers: Vec<u64> = sealed.iter().map(|sealed| sealed.counter).collect();
    assert_eq!(numbers, (2..2 + sealed.len() as u64).collect::<Vec<_>>(), "in order, and without a gap");
    let (pongs, messages): (Vec<_>, Vec<_>) = sealed.into_iter().partition(|sealed| sealed.flags == COMMAND);
    let expected: Vec<_> = (0..300).map(|number| format!("{number}").into_bytes()).collect();
    assert_eq!(messages.into_iter().map(|message| message.payload).collect::<Vec<_>>(), expected);
    let contexts: Vec<_> = pongs.into_iter().map(|pong| pong.payload).collect();
    assert!(contexts.is_sorted(), "the newest answer wins");
    assert!(contexts.len() > 30, "they were sent at the same time: {}", contexts.len());
    assert_eq!(contexts.last().unwrap(), b"\x04PONG\xff\xff");
    drop(tx);
    peer.outgoing().close();
    receiving.await.unwrap();
}

/// The same with threads. Either side refuses a number that is not the next one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn halves_on_threads_that_flood_each_other_keep_their_numbers_in_order() {
    const COUNT: u32 = 2_000;
    /// Returns the halves, since the other side may still write.
    async fn flood<M: Mechanism>(connection: Connection<DuplexStream, M>) -> impl Send {
        let (mut rx, mut tx) = connection.split();
        let sending = tokio::spawn(async move {
            for number in 0..COUNT {
                tx.send(&number.to_be_bytes()).await.unwrap();
                if number % 3 == 0 {
                    let context = HeartbeatContext::new(&number.to_be_bytes()).unwrap();
                    tx.ping(Ping::new(Ttl::ZERO, context)).await.unwrap();
                }
            }
            tx
        });
        for number in 0..COUNT {
            let expected = Event::Message(Message::from(number.to_be_bytes().to_vec()));
            assert_eq!(rx.recv().await.unwrap(), Some(expected));
        }
        (rx, sending.await.unwrap())
    }
    let (ours, theirs) = tokio::io::duplex(300);
    let config = config(SocketType::Pair);
    let (server, client) = (server().refuse_gaps(), client().refuse_gaps());
    let (a, b) = tokio::join!(
        Connection::handshake_with(ours, &config, &server, &AllowAny),
        Connection::handshake(theirs, &config, &client)
    );
    let (a, b) = (tokio::spawn(flood(a.unwrap())), tokio::spawn(flood(b.unwrap())));
    timeout(PATIENCE, async {
        tokio::join!(async { a.await.unwrap() }, async { b.await.unwrap() });
    })
    .await
    .expect("it does not come to an end");
}

//! Halves on their own: who answers PINGs, who is woken, what is sent in which order.
#![cfg(all(feature = "net", feature = "null"))]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod net_support;
mod support;

use std::pin::pin;
use std::task::Context;
use std::time::Duration;

use bytes::Bytes;
use net_support::{Bell, End, complete_within, drive, ends, pair, poll_once, with_peer};
use support::fake::Fake;
use support::{NULL, wire};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use zmtp_connection::codec::{Ping, SocketType};
use zmtp_connection::{
    Connection, ConnectionConfig, Event, Joined, Message, Null, PushError, Receiver, SendError, Sender,
};

const SECOND: Duration = Duration::from_secs(1);
/// For real sockets: no test waits so long unless it fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A PAIR talks both ways.
async fn connected() -> (Connection<End, Null>, End) {
    with_peer(&ConnectionConfig::new(SocketType::Pair), SocketType::Pair).await
}

fn pong(context: &str) -> Vec<u8> {
    wire::command("PONG", context.as_bytes())
}

fn message(octets: &[u8]) -> Option<Event> {
    Some(Event::Message(Message::from(octets.to_vec())))
}

#[tokio::test(start_paused = true)]
async fn a_ping_is_answered_while_the_sender_is_idle_or_gone() {
    for dropped in [false, true] {
        let (connection, peer) = connected().await;
        let (mut rx, tx) = connection.into_split();
        let idle = (!dropped).then_some(tx);
        peer.put(&wire::ping(0, b"hi"));
        assert!(complete_within(1, rx.recv()).is_none());
        assert_eq!(peer.taken(), pong("hi"));
        drop(idle);
        assert!(!peer.incoming().is_closed(), "the receiving half keeps the stream open");
    }
}

#[tokio::test(start_paused = true)]
async fn a_ping_is_answered_while_the_sender_waits_for_the_peer_to_read() {
    let (connection, peer) = connected().await;
    let (mut rx, mut tx) = connection.into_split();
    peer.incoming().capacity(10);
    let body = [7; 100];
    let mut send = pin!(tx.send(&body));
    assert!(poll_once(send.as_mut()).is_pending());
    peer.put(&wire::ping(0, b"now"));
    assert!(complete_within(1, rx.recv()).is_none());
    // The peer reads at last. The answer comes behind the frame that was begun.
    let mut octets = peer.taken();
    peer.incoming().capacity(usize::MAX);
    drive(send).unwrap();
    assert!(complete_within(1, rx.recv()).is_none());
    octets.extend(peer.taken());
    assert_eq!(octets, [wire::message(&[body]), pong("now")].concat());
}

/// The sending half has stopped in the middle of a frame, and will not come back.
#[tokio::test(start_paused = true)]
async fn a_flush_that_was_dropped_halfway_is_finished_by_the_receiver() {
    let (connection, peer) = connected().await;
    let (mut rx, mut tx) = connection.into_split();
    peer.incoming().capacity(10);
    let body = [7; 100];
    assert!(complete_within(1, tx.send(&body)).is_none());
    drop(tx);
    peer.put(&wire::ping(0, b"now"));
    assert!(complete_within(1, rx.recv()).is_none());
    let mut octets = peer.taken();
    peer.incoming().capacity(usize::MAX);
    assert!(complete_within(1, rx.recv()).is_none());
    octets.extend(peer.taken());
    assert_eq!(octets, [wire::message(&[body]), pong("now")].concat());
}

/// The stream remembers one waker for writing. Both halves wait for it, in either order, and both are woken.
#[tokio::test(start_paused = true)]
async fn both_halves_are_woken_when_the_peer_reads() {
    for sender_last in [false, true] {
        let (connection, peer) = connected().await;
        let (mut rx, mut tx) = connection.into_split();
        peer.incoming().capacity(4);
        tx.feed(&[7; 100]).unwrap();
        let (sender, sender_waker) = Bell::new();
        let (receiver, receiver_waker) = Bell::new();
        let mut poll_sender = || assert!(tx.poll_flush(&mut Context::from_waker(&sender_waker)).is_pending());
        let mut poll_receiver = || assert!(rx.poll_recv(&mut Context::from_waker(&receiver_waker)).is_pending());
        if sender_last {
            poll_receiver();
            poll_sender();
        } else {
            poll_sender();
            poll_receiver();
        }
        assert_eq!((sender.rung(), receiver.rung()), (0, 0));
        peer.taken();
        assert_eq!(sender.rung(), 1, "sender last: {sender_last}");
        assert!(receiver.rung() >= 1, "sender last: {sender_last}");
    }
}

/// The same with real tasks: if a waker were lost, one of them would wait for ever.
#[tokio::test(start_paused = true)]
async fn a_stalled_flush_and_a_stalled_pong_both_get_through() {
    let (connection, peer) = connected().await;
    stalled(connection.into_split(), peer).await;
    let (connection, peer) = connected().await;
    stalled(connection.split(), peer).await;
}

async fn stalled<R, W>((mut rx, mut tx): (Receiver<R, Null>, Sender<W, Null>), peer: End)
where
    R: AsyncRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin + Send + 'static,
{
    peer.incoming().capacity(3);
    let body = Bytes::from(vec![7; 10_000]);
    let expected = [wire::message(&[&body]), pong("mid")].concat();
    let receiving = tokio::spawn(async move { rx.recv().await });
    let sending = tokio::spawn(async move { tx.send(&body).await.map(|()| tx) });
    let mut octets = Vec::new();
    let drain = async {
        for turn in 0.. {
            if turn == 50 {
                peer.put(&wire::ping(0, b"mid"));
            }
            octets.extend(peer.taken());
            if octets.len() == expected.len() {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(SECOND, drain).await.unwrap();
    let _idle = timeout(SECOND, sending).await.unwrap().unwrap().unwrap();
    assert_eq!(octets, expected);
    peer.put(&wire::message(&["bye"]));
    assert_eq!(timeout(SECOND, receiving).await.unwrap().unwrap().unwrap(), message(b"bye"));
}

/// What is only fed stays with the sender; an answer does not wait for it.
#[tokio::test(start_paused = true)]
async fn answers_overtake_what_was_fed_and_not_flushed() {
    let (connection, peer) = connected().await;
    let (mut rx, mut tx) = connection.into_split();
    tx.feed(&["a", "b"]).unwrap();
    peer.put(&wire::ping(0, b"x"));
    assert!(complete_within(1, rx.recv()).is_none());
    assert_eq!(peer.taken(), pong("x"));
    tx.feed("c").unwrap();
    drive(tx.flush()).unwrap();
    assert_eq!(peer.taken(), [wire::message(&["a", "b"]), wire::message(&["c"])].concat());
}

/// Under encryption frames are sealed in the order in which they go out, answers between messages.
#[tokio::test(start_paused = true)]
async fn answers_and_messages_are_sealed_in_the_order_in_which_they_are_sent() {
    let config = ConnectionConfig::new(SocketType::Pair);
    let pair = pair((&config, &Fake::client([1; 32])), (&config, &Fake::server())).await;
    let (mut rx, mut tx) = pair.a.into_split();
    let mut b = pair.b;
    for number in 0..20_u8 {
        tx.feed(&[[number], [number]]).unwrap();
        drive(b.ping(Ping::default())).unwrap();
        if number % 3 == 0 {
            assert!(complete_within(1, rx.recv()).is_none());
        }
    }
    assert!(complete_within(1, rx.recv()).is_none());
    drive(tx.flush()).unwrap();
    for number in 0..20_u8 {
        let expected = Event::Message(Message::from_parts([vec![number], vec![number]]).unwrap());
        assert_eq!(drive(b.recv()).unwrap(), Some(expected));
    }
    drop((rx, tx));
    assert_eq!(drive(b.recv()).unwrap(), None, "every PONG opened as well");
}

#[tokio::test(start_paused = true)]
async fn closing_the_sender_ends_its_direction_and_not_the_other() {
    let (connection, peer) = connected().await;
    let (mut rx, mut tx) = connection.into_split();
    tx.feed("last").unwrap();
    drive(tx.close()).unwrap();
    assert_eq!(peer.taken(), wire::message(&["last"]));
    assert!(peer.incoming().is_closed());
    peer.put(&[wire::ping(0, b"?"), wire::message(&["still here"])].concat());
    assert_eq!(drive(rx.recv()).unwrap(), message(b"still here"));
    assert_eq!(peer.taken(), b"");
}

/// A sender that gives up every flush, towards a peer that reads nothing.
#[tokio::test(start_paused = true)]
async fn a_sender_that_drops_every_flush_is_held_back_at_the_high_water_mark() {
    let config = ConnectionConfig::builder(SocketType::Pair).high_water_mark(10_000).build().unwrap();
    let (connection, peer) = with_peer(&config, SocketType::Pair).await;
    let (mut rx, mut tx) = connection.into_split();
    peer.incoming().capacity(1);
    let mut fed = 0_usize;
    let mut refused = 0;
    for number in 0..2000_u32 {
        match tx.feed(&[number.to_be_bytes(); 16].concat()) {
            Ok(()) => fed += 1,
            Err(error) => {
                assert!(matches!(error, PushError::Full { limit: 10_000, .. }), "{error:?}");
                refused += 1;
            }
        }
        assert!(complete_within(1, tx.flush()).is_none());
        peer.put(&wire::ping(0, b"x"));
        assert!(complete_within(1, rx.recv()).is_none());
    }
    assert!(refused > 0);
    // Two marks, since the queue of the halves and the sender's own are held to one each, and the answers.
    assert!(tx.pending() < 2 * 10_100 + 66 * 1024, "{}", tx.pending());
    peer.incoming().capacity(usize::MAX);
    drive(tx.flush()).unwrap();
    assert_eq!(tx.pending(), 0);
    let octets = peer.taken();
    assert_eq!((octets.len() - fed * 66) % pong("x").len(), 0, "every message that was taken has arrived");
}

/// The halves fail as the whole does.
#[tokio::test(start_paused = true)]
async fn a_peer_that_is_gone_is_told_to_both_halves() {
    let (connection, peer) = connected().await;
    let (mut rx, mut tx) = connection.into_split();
    drop(peer);
    assert!(matches!(tx.send("x").await, Err(SendError::Io(_))));
    assert_eq!(rx.recv().await.unwrap(), None);
}

/// The right to queue a message holds, whatever the other half queues meanwhile.
#[tokio::test(start_paused = true)]
async fn a_permit_outlives_an_answer_that_fills_the_queue() {
    let config = ConnectionConfig::builder(SocketType::Pair).high_water_mark(1).build().unwrap();
    let pair = pair((&config, &Fake::client([1; 32])), (&config, &Fake::server())).await;
    let (mut rx, mut tx) = pair.a.into_split();
    let mut b = pair.b;
    drive(b.ping(Ping::default())).unwrap();
    pair.a_to_b.capacity(0);
    let permit = drive(tx.reserve()).unwrap();
    assert!(complete_within(1, rx.recv()).is_none());
    permit.feed("reserved").unwrap();
    pair.a_to_b.capacity(usize::MAX);
    drive(tx.flush()).unwrap();
    assert_eq!(drive(b.recv()).unwrap(), message(b"reserved"));
}

#[tokio::test(start_paused = true)]
async fn two_streams_of_one_direction_each_make_a_connection() {
    let (ours, theirs) = ends();
    let (peers_read, peers_write) = tokio::io::split(theirs);
    let (our_read, our_write) = tokio::io::split(ours);
    let config = ConnectionConfig::new(SocketType::Pair);
    let (a, b) = tokio::join!(
        Connection::from_parts(our_read, our_write, &config, &NULL),
        Connection::handshake(Joined::new(peers_read, peers_write), &config, &NULL),
    );
    let (mut rx, mut tx) = a.unwrap().into_split();
    let mut b = b.unwrap();
    drive(tx.send("there")).unwrap();
    assert_eq!(drive(b.recv()).unwrap(), message(b"there"));
    drive(b.send("back")).unwrap();
    assert_eq!(drive(rx.recv()).unwrap(), message(b"back"));
}

async fn over_tcp() -> (Connection<TcpStream, Null>, Connection<TcpStream, Null>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (a, b) = tokio::join!(TcpStream::connect(address), listener.accept());
    let config = ConnectionConfig::new(SocketType::Pair);
    let (a, b) = tokio::join!(
        Connection::handshake(a.unwrap(), &config, &NULL),
        Connection::handshake(b.unwrap().0, &config, &NULL),
    );
    (a.unwrap(), b.unwrap())
}

/// Four tasks on real threads, with messages and PINGs both ways.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn halves_on_four_threads_lose_nothing() {
    const COUNT: u32 = 5000;
    let (a, b) = over_tcp().await;
    let (mut senders, mut receivers) = (Vec::new(), Vec::new());
    for connection in [a, b] {
        let (mut rx, mut tx) = connection.into_split();
        senders.push(tokio::spawn(async move {
            for number in 0..COUNT {
                if number % 7 == 0 {
                    tx.ping(Ping::default()).await.unwrap();
                }
                tx.send(&number.to_be_bytes()).await.unwrap();
            }
        }));
        receivers.push(tokio::spawn(async move {
            for number in 0..COUNT {
                assert_eq!(rx.recv().await.unwrap(), message(&number.to_be_bytes()));
            }
            // Not dropped before the other side has everything.
            rx
        }));
    }
    for sender in senders {
        timeout(PATIENCE, sender).await.unwrap().unwrap();
    }
    for receiver in &mut receivers {
        timeout(PATIENCE, receiver).await.unwrap().unwrap();
    }
}

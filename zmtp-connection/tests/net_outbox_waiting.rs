//! Outboxes of a peer that reads slowly, of clones that are dropped, of connections that fail: who waits, who is told.
#![cfg(all(feature = "net", feature = "null"))]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod net_support;
mod outbox_support;
mod support;

use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use net_support::{Bell, End, Pair, complete_within, drive, ends, pair, poll_once};
use outbox_support::{
    BODY, Errand, FRAME, Line, MARK, Read, SECOND, Write, can_feed, fill, full, joined, line, line_with, messages,
    poisoned, send_one, settle, still_sends, write,
};
use support::fake::Fake;
use support::{split_frame, wire};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use zmtp_connection::codec::{Command, Ping, SocketType};
use zmtp_connection::{
    AllowAny, Connection, ConnectionConfig, Expired, HeartbeatConfig, Null, PushError, Receiver, RecvError, SendError,
    Sender,
};

// ─── room ────────────────────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test(start_paused = true)]
async fn feeding_is_refused_at_the_high_water_mark() {
    let Line { rx: _rx, outbox, mut flusher, peer } = line().await;
    peer.incoming().capacity(0);
    assert_eq!(fill(&outbox), 10);
    assert!(matches!(outbox.feed("x"), Err(PushError::Full { pending: MARK, limit: MARK })));
    write(&mut flusher);
    assert_eq!(fill(&outbox), 10, "while as much is being written");
    write(&mut flusher);
    assert_eq!(fill(&outbox), 0);
    peer.incoming().capacity(usize::MAX);
    write(&mut flusher);
    assert_eq!(peer.taken(), messages(20));
    assert_eq!(fill(&outbox), 10);
}

#[tokio::test(start_paused = true)]
async fn all_who_wait_for_room_go_on_when_the_peer_reads() {
    let (Line { rx: _rx, outbox, flusher, peer }, fed) = full().await;
    let _flushing = tokio::spawn(flusher);
    // More than there will be room for at once.
    let sending: Vec<_> = (0..35).map(|_| send_one(&outbox)).collect();
    settle().await;
    assert!(sending.iter().all(|task| !task.is_finished()));
    peer.incoming().capacity(FRAME);
    let mut octets = Vec::new();
    for _ in 0..fed {
        settle().await;
        octets.extend(peer.taken());
    }
    assert!(sending.iter().any(JoinHandle::is_finished) && sending.iter().any(|task| !task.is_finished()));
    peer.incoming().capacity(usize::MAX);
    for task in sending {
        joined(task).await.unwrap();
    }
    settle().await;
    octets.extend(peer.taken());
    assert_eq!(octets, messages(fed + 35));
}

#[tokio::test(start_paused = true)]
async fn a_send_that_is_dropped_while_it_waits_has_queued_nothing() {
    let (Line { rx: _rx, outbox, mut flusher, peer }, fed) = full().await;
    assert!(complete_within(3, outbox.send("never")).is_none());
    peer.incoming().capacity(usize::MAX);
    write(&mut flusher);
    assert_eq!(peer.taken(), messages(fed));
}

/// Whether it is dropped before there is room or after it was told so.
#[tokio::test(start_paused = true)]
async fn a_send_that_is_dropped_takes_nobody_elses_turn() {
    for woken_first in [false, true] {
        let (Line { rx: _rx, outbox, mut flusher, peer }, fed) = full().await;
        let (bell, waker) = Bell::new();
        let mut given_up = Box::pin(outbox.send("never"));
        let mut second = pin!(outbox.send(&BODY));
        assert!(poll_once(given_up.as_mut()).is_pending());
        assert!(second.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        let make_room = |flusher| {
            peer.incoming().capacity(usize::MAX);
            write(flusher);
        };
        if woken_first {
            make_room(&mut flusher);
            drop(given_up);
        } else {
            drop(given_up);
            make_room(&mut flusher);
        }
        assert_eq!(bell.rung(), 1, "woken first: {woken_first}");
        assert!(matches!(poll_once(second), Poll::Ready(Ok(()))));
        write(&mut flusher);
        assert_eq!(peer.taken(), messages(fed + 1));
    }
}

// ─── the last clone ──────────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test(start_paused = true)]
async fn the_flusher_writes_everything_and_ends_with_the_sender_when_the_last_clone_is_dropped() {
    for blocked in [false, true] {
        for fed in [0, 1, 5] {
            let Line { rx: _rx, outbox, flusher, peer } = line().await;
            let flushing = tokio::spawn(flusher);
            let other = outbox.clone();
            settle().await;
            peer.incoming().capacity(if blocked { 10 } else { usize::MAX });
            for number in 0..fed {
                other.feed(&BODY).unwrap();
                if number == 0 {
                    settle().await;
                }
            }
            drop(outbox);
            settle().await;
            assert!(!flushing.is_finished(), "a clone is left");
            drop(other);
            settle().await;
            assert_eq!(flushing.is_finished(), !blocked || fed == 0, "blocked: {blocked}, {fed} fed");
            peer.incoming().capacity(usize::MAX);
            let tx = joined(flushing).await.unwrap();
            assert_eq!(peer.taken(), messages(fed), "blocked: {blocked}");
            still_sends(tx).await;
            assert_eq!(peer.taken(), [wire::message(&["after"]), wire::message(&["all"])].concat());
            assert!(peer.incoming().is_closed());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_flusher_that_was_never_polled_writes_what_the_dropped_clones_have_fed() {
    let Line { rx: _rx, outbox, flusher, peer } = line().await;
    outbox.feed(&BODY).unwrap();
    drop(outbox);
    let tx = complete_within(1, flusher).expect("it has all it needs").unwrap();
    assert_eq!(peer.taken(), messages(1));
    let (outbox, flusher) = tx.into_outbox();
    outbox.feed("again").unwrap();
    drop(outbox);
    still_sends(drive(flusher).unwrap()).await;
}

#[tokio::test(start_paused = true)]
async fn a_flusher_that_is_done_gives_the_sender_back_once() {
    let Line { rx: _rx, outbox, mut flusher, peer } = line().await;
    drop(outbox);
    let Poll::Ready(Ok(tx)) = poll_once(Pin::new(&mut flusher)) else { panic!("it has nothing to wait for") };
    write(&mut flusher);
    still_sends(tx).await;
    write(&mut flusher);
    assert_eq!(peer.taken(), [wire::message(&["after"]), wire::message(&["all"])].concat());
}

// ─── what ends it ────────────────────────────────────────────────────────────────────────────────────────────────────

/// Three wait for room when it ends, and are told so; so is whoever comes later.
async fn ends_by(
    end: impl AsyncFnOnce(JoinHandle<Result<Sender<Write, Null>, SendError>>, Receiver<Read, Null>, &End),
) {
    let (Line { rx, outbox, flusher, peer }, _) = full().await;
    let sending: Vec<_> = (0..3).map(|_| send_one(&outbox)).collect();
    let flushing = tokio::spawn(flusher);
    settle().await;
    assert!(sending.iter().all(|task| !task.is_finished()));
    end(flushing, rx, &peer).await;
    for task in sending {
        assert!(poisoned(&joined(task).await));
    }
    assert!(matches!(outbox.feed("x"), Err(PushError::Poisoned)));
    assert!(matches!(outbox.clone().feed_command(&Command::Cancel("x".into())), Err(PushError::Poisoned)));
    assert!(poisoned(&timeout(SECOND, outbox.send("x")).await.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_fails_ends_it_with_the_error_of_the_stream() {
    ends_by(async |flushing, _rx, peer| {
        peer.incoming().fail_writes(ErrorKind::ConnectionReset);
        let ended = joined(flushing).await;
        assert!(matches!(ended, Err(SendError::Io(error)) if error.kind() == ErrorKind::ConnectionReset));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_breaks_the_protocol_ends_it_with_lost() {
    ends_by(async |flushing, mut rx, peer| {
        peer.put(&[0xff; 9]);
        assert!(matches!(rx.recv().await, Err(RecvError::Protocol(_))));
        assert!(matches!(joined(flushing).await, Err(SendError::Lost)));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_flusher_that_is_dropped_ends_it() {
    ends_by(async |flushing, _rx, _peer| {
        flushing.abort();
        assert!(flushing.await.unwrap_err().is_cancelled());
    })
    .await;
}

/// A flusher that is polled where it is, beside something else, outlives its own failure.
#[tokio::test(start_paused = true)]
async fn who_waits_is_told_of_a_failure_though_the_flusher_is_not_dropped() {
    let (Line { rx: _rx, outbox, mut flusher, peer }, _) = full().await;
    let waiting = send_one(&outbox);
    settle().await;
    peer.incoming().fail_writes(ErrorKind::ConnectionReset);
    assert!(matches!((&mut flusher).await, Err(SendError::Io(_))));
    assert!(poisoned(&joined(waiting).await));
    assert!(matches!(outbox.feed("x"), Err(PushError::Poisoned)));
    // Polled again it says nothing more, though no clone is left.
    drop(outbox);
    write(&mut flusher);
}

// ─── beside the receiving half ───────────────────────────────────────────────────────────────────────────────────────

#[tokio::test(start_paused = true)]
async fn pings_are_answered_in_a_flood() {
    let Line { mut rx, outbox, flusher, peer } = line().await;
    let _flushing = tokio::spawn(flusher);
    let _receiving = tokio::spawn(async move { rx.recv().await });
    let _flooding = tokio::spawn(async move { while outbox.send(&BODY).await.is_ok() {} });
    peer.incoming().capacity(1_234);
    let (mut octets, mut asked) = (Vec::new(), 0_u8);
    for turn in 0..300 {
        if turn % 10 == 0 {
            peer.put(&wire::ping(0, &[asked]));
            asked += 1;
        }
        settle().await;
        octets.extend(peer.taken());
    }
    let (mut rest, mut answers, mut received) = (&octets[..], Vec::new(), 0);
    // The last frame may have come in part.
    while rest.len() >= FRAME {
        let (flags, body, behind) = split_frame(rest);
        match body {
            [4, b'P', b'O', b'N', b'G', context] if flags == 4 => answers.push(*context),
            body => {
                assert_eq!(body, BODY);
                received += 1;
            }
        }
        rest = behind;
    }
    assert!(received > 3_000, "it was no flood: {received} messages");
    assert_eq!(answers, (0..asked).collect::<Vec<u8>>());
}

#[tokio::test(start_paused = true)]
async fn heartbeats_go_on_beside_an_outbox_and_a_dead_peer_ends_it() {
    let heartbeat = HeartbeatConfig::every(SECOND).timeout(Some(3 * SECOND));
    let config = ConnectionConfig::builder(SocketType::Pair).heartbeat(heartbeat).build().unwrap();
    let Line { mut rx, outbox, flusher, peer } = line_with(&config).await;
    let flushing = tokio::spawn(flusher);
    let receiving = tokio::spawn(async move { rx.recv().await });
    for round in 0..10 {
        assert!(timeout(SECOND + Duration::from_millis(1), std::future::pending::<()>()).await.is_err());
        let octets = peer.taken();
        let (_, body, rest) = split_frame(&octets);
        let context = body.strip_prefix(b"\x04PING\0\0").unwrap_or_else(|| panic!("round {round}: {octets:?}"));
        peer.put(&wire::command("PONG", context));
        settle().await;
        assert_eq!(rest, b"");
        outbox.feed("between").unwrap();
        settle().await;
        assert_eq!(peer.taken(), wire::message(&["between"]));
    }
    let error = timeout(10 * SECOND, receiving).await.unwrap().unwrap().unwrap_err();
    assert!(matches!(error, RecvError::Expired(Expired::NoAnswer { .. })), "{error:?}");
    assert!(matches!(joined(flushing).await, Err(SendError::Lost)));
    assert!(matches!(outbox.feed("x"), Err(PushError::Poisoned)));
}

// ─── wakers ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/// What one poll may write.
const TURN: usize = 512 * 1024;

/// The receiving half does not wait for the writer, and writes at once if that is free.
#[tokio::test(start_paused = true)]
async fn who_waits_for_room_is_woken_while_the_writer_is_free() {
    let (Line { mut rx, outbox, mut flusher, peer }, fed) = full().await;
    peer.put(&wire::ping(0, b"x"));
    let pipe = peer.incoming().clone();
    let (errand, waker) = Errand::new(move || {
        let before = pipe.len();
        assert!(complete_within(1, rx.recv()).is_none());
        pipe.len() - before
    });
    let mut waiting = pin!(outbox.send(&BODY));
    assert!(waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    peer.incoming().capacity(usize::MAX);
    write(&mut flusher);
    let pong = wire::command("PONG", b"x");
    assert_eq!(errand.outcome(), Some(MARK + pong.len()));
    assert_eq!(peer.taken(), [messages(fed), pong].concat());
}

#[tokio::test(start_paused = true)]
async fn a_flusher_whose_turn_is_over_is_woken_while_the_writer_is_free() {
    let config = ConnectionConfig::new(SocketType::Pair);
    let Pair { a, b: _b, a_to_b, .. } = pair((&config, &Fake::client([1; 32])), (&config, &Fake::server())).await;
    let (_rx, tx) = a.into_split();
    let (outbox, mut flusher) = tx.into_outbox();
    outbox.feed(&vec![0; 2 * TURN]).unwrap();
    a_to_b.per_poll(TURN / 8);
    let (errand, waker) = Errand::new(move || can_feed(&outbox));
    assert!(Pin::new(&mut flusher).poll(&mut Context::from_waker(&waker)).is_pending());
    assert_eq!(errand.outcome(), Some(true));
}

/// A stream that takes nothing while it is shut, and wakes nobody when it is opened.
struct Gate {
    end: End,
    shut: Arc<AtomicBool>,
}

impl AsyncRead for Gate {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.end).poll_read(cx, buf)
    }
}

impl AsyncWrite for Gate {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        if self.shut.load(Ordering::SeqCst) { Poll::Pending } else { Pin::new(&mut self.end).poll_write(cx, octets) }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.end).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.end).poll_shutdown(cx)
    }
}

/// The receiving half writes for the flusher: all that waits, or as much as a turn allows. Then both go on.
#[tokio::test(start_paused = true)]
async fn a_flusher_that_the_receiving_half_has_written_for_is_woken_while_the_writer_is_free() {
    for (len, all) in [(100, true), (3 * TURN, false)] {
        let config = ConnectionConfig::new(SocketType::Pair);
        let (client, server) = (Fake::client([1; 32]), Fake::server());
        let (ours, theirs) = ends();
        let (shut, pipe) = (Arc::new(AtomicBool::new(false)), theirs.incoming().clone());
        let gate = Gate { end: ours, shut: Arc::clone(&shut) };
        let (a, b) = tokio::join!(
            Connection::handshake_with(gate, &config, &client, &AllowAny),
            Connection::handshake_with(theirs, &config, &server, &AllowAny),
        );
        let ((mut rx, tx), mut b) = (a.unwrap().split(), b.unwrap());
        let (outbox, mut flusher) = tx.into_outbox();
        shut.store(true, Ordering::SeqCst);
        outbox.feed(&vec![0; len]).unwrap();
        let (errand, waker) = Errand::new(move || can_feed(&outbox));
        assert!(Pin::new(&mut flusher).poll(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!(errand.outcome(), None);
        shut.store(false, Ordering::SeqCst);
        pipe.per_poll(TURN / 8);
        b.ping(Ping::default()).await.unwrap();
        let (bell, waker) = Bell::new();
        assert!(rx.poll_recv(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!(errand.outcome(), Some(true), "{len} octets");
        assert_eq!(bell.rung() == 0, all, "{len} octets");
    }
}

//! Peers that go away: between messages, in the middle of one, in the middle of a handshake; and those who come back.

use std::time::Duration;

use tokio::net::TcpListener;
use zmtp_bench::peers::libzmq::{EventKind, SocketKind};
use zmtp_connection::codec::{SocketType, Subscription};
use zmtp_connection::{ConnectionConfig, DecodeError, RecvError, SendError};

use crate::payload::{assert_same, octets};
use crate::security;
use crate::theirs::{self, Ours, ROLES, Role, Theirs, next, next_message, pair, within};

#[tokio::test]
async fn a_libzmq_that_closes_between_messages_is_the_end_of_the_stream() {
    for role in ROLES {
        let (mut ours, mut theirs) = pair(SocketType::Pull, SocketKind::Push, role).await;
        theirs.send(&["last", "words"]).await;
        assert_eq!(next_message(&mut ours).await, [b"last".as_slice(), b"words"]);
        drop(theirs);
        assert!(within("the end", ours.recv()).await.unwrap().is_none());
        // And stays the end.
        assert!(within("the end", ours.recv()).await.unwrap().is_none());
    }
}

/// What was sent before an orderly close arrives before the end does.
#[tokio::test]
async fn everything_sent_before_a_libzmq_closes_arrives() {
    for role in ROLES {
        let (mut ours, mut theirs) = pair(SocketType::Pull, SocketKind::Push, role).await;
        theirs.socket().set_linger(Duration::from_secs(10)).unwrap();
        for number in 0..100 {
            theirs.send(&[octets(number, 10_000)]).await;
        }
        let close = tokio::task::spawn_blocking(move || drop(theirs));
        for number in 0..100 {
            assert_same(&next_message(&mut ours).await, &[octets(number, 10_000)], "a message");
        }
        assert!(within("the end", ours.recv()).await.unwrap().is_none());
        close.await.unwrap();
    }
}

#[tokio::test]
async fn a_libzmq_that_closes_inside_a_message_leaves_it_undelivered() {
    for role in ROLES {
        let (mut ours, mut theirs) = pair(SocketType::Pull, SocketKind::Push, role).await;
        // More than both kernels' buffers take, so most of it never leaves libzmq.
        theirs.send(&[octets(1, 10), octets(2, 48 << 20)]).await;
        let mut first = [0];
        within("the beginning", ours.get_ref().peek(&mut first)).await.unwrap();
        drop(theirs);
        match within("the end", ours.recv()).await {
            Err(RecvError::Protocol(DecodeError::Truncated)) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn sending_to_a_libzmq_that_has_gone_fails() {
    for role in ROLES {
        let (mut ours, theirs) = pair(SocketType::Push, SocketKind::Pull, role).await;
        drop(theirs);
        assert!(within("the end", ours.recv()).await.unwrap().is_none());
        // The first writes may still find room in the kernel; the reset that answers them ends it.
        let error = within("a failure", async {
            loop {
                if let Err(error) = ours.send(&vec![0; 1 << 16]).await {
                    return error;
                }
            }
        });
        let error = error.await;
        assert!(matches!(error, SendError::Io(_)), "{error:?}");
    }
}

#[tokio::test]
async fn a_libzmq_that_goes_while_we_send_ends_the_send() {
    for role in ROLES {
        let (mut ours, theirs) = pair(SocketType::Push, SocketKind::Pull, role).await;
        // More than both kernels' buffers take, so the first poll of the send is not its last.
        let huge = octets(1, 48 << 20);
        let end = async {
            tokio::task::yield_now().await;
            drop(theirs);
        };
        let send = async {
            loop {
                if let Err(error) = ours.send(&huge).await {
                    return error;
                }
            }
        };
        let (error, ()) = within("a failure", async { tokio::join!(send, end) }).await;
        assert!(matches!(error, SendError::Io(_)), "{error:?}");
    }
}

#[tokio::test]
async fn what_we_sent_before_we_closed_arrives() {
    for role in ROLES {
        let (mut ours, mut theirs) = pair(SocketType::Push, SocketKind::Pull, role).await;
        for number in 0..100 {
            ours.reserve().await.unwrap().feed(&octets(number, 20_000)).unwrap();
        }
        within("closing", ours.close()).await.unwrap();
        for number in 0..100 {
            assert_same(&theirs.recv().await, &[octets(number, 20_000)], "a message");
        }
        theirs.event(EventKind::Disconnected).await;
    }
}

/// Accepts one call of libzmq's and shakes hands.
async fn accept(listener: &TcpListener, ours: SocketType) -> Ours {
    let stream = theirs::accept(listener).await;
    let config = ConnectionConfig::new(ours);
    within("the handshake", security::handshake(stream, &config, Role::WeAccept)).await.unwrap()
}

async fn listen(theirs: &Theirs) -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    theirs.socket().set_reconnect_ivl(Duration::from_millis(10)).unwrap();
    security::equip(theirs.socket(), Role::WeAccept);
    theirs.connect_to(&listener);
    listener
}

#[tokio::test]
async fn a_connecting_libzmq_comes_back_after_a_plain_close_during_the_handshake() {
    let mut theirs = Theirs::new(SocketKind::Push);
    let listener = listen(&theirs).await;
    drop(theirs::accept(&listener).await);
    let mut ours = accept(&listener, SocketType::Pull).await;
    theirs.send(&["here again"]).await;
    assert_eq!(next_message(&mut ours).await, [b"here again"]);
}

#[tokio::test]
async fn a_connecting_libzmq_comes_back_whether_we_close_or_drop() {
    let mut theirs = Theirs::new(SocketKind::Dealer);
    let listener = listen(&theirs).await;
    for close in [true, false, true, false] {
        let mut ours = accept(&listener, SocketType::Dealer).await;
        theirs.event(EventKind::HandshakeSucceeded).await;
        ours.send("hello").await.unwrap();
        assert_eq!(theirs.recv().await, [b"hello"]);
        theirs.send(&["hello yourself"]).await;
        assert_eq!(next_message(&mut ours).await, [b"hello yourself"]);
        if close {
            within("closing", ours.close()).await.unwrap();
        } else {
            drop(ours);
        }
        theirs.event(EventKind::Disconnected).await;
    }
}

#[tokio::test]
async fn a_sub_that_comes_back_subscribes_again() {
    let mut theirs = Theirs::new(SocketKind::Sub);
    theirs.socket().subscribe(b"one").unwrap();
    theirs.socket().subscribe(b"two").unwrap();
    let listener = listen(&theirs).await;
    for _ in 0..3 {
        let mut ours = accept(&listener, SocketType::Pub).await;
        theirs.event(EventKind::HandshakeSucceeded).await;
        theirs.look_up();
        let mut topics = [next(&mut ours).await.subscription().unwrap(), next(&mut ours).await.subscription().unwrap()];
        topics.sort_by_key(|subscription| subscription.topic.clone());
        assert_eq!(topics, [Subscription::subscribe("one"), Subscription::subscribe("two")]);
        ours.close().await.unwrap();
    }
}

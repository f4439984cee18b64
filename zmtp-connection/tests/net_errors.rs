//! Errors reach who receives, as what they are, and end no more than they have to.
#![cfg(all(feature = "net", feature = "null"))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{sleep, timeout};
use zmtp_connection::codec::SocketType;
use zmtp_connection::{Connection, ConnectionConfig, DecodeError, Frame, HeartbeatConfig, Null, RecvError};

/// One of ours, and the bare stream of its peer.
async fn with_bare_peer(config: &ConnectionConfig) -> (Connection<DuplexStream, Null>, DuplexStream) {
    let (ours, theirs) = duplex(4096);
    let null = Null::new();
    let (ours, theirs) =
        tokio::join!(Connection::handshake(ours, config, &null), Connection::handshake(theirs, config, &null));
    (ours.unwrap(), theirs.unwrap().into_inner().0)
}

#[tokio::test]
async fn an_error_met_while_filling_a_batch_comes_with_the_next_call() {
    let (mut ours, mut peer) = with_bare_peer(&ConnectionConfig::new(SocketType::Pair)).await;
    peer.write_all(b"\x00\x01a\xff\xff\xff").await.unwrap();
    let mut batch = Vec::new();
    assert_eq!(ours.recv_batch(&mut batch, 9).await.unwrap(), 1);
    let error = ours.recv_batch(&mut batch, 9).await.unwrap_err();
    assert!(matches!(error, RecvError::Protocol(DecodeError::Frame(_))), "{error:?}");
    let error = ours.recv().await.unwrap_err();
    assert!(matches!(error, RecvError::Protocol(DecodeError::Poisoned)), "{error:?}");
}

#[tokio::test]
async fn a_receive_in_the_wrong_place_ends_neither_direction() {
    let (mut ours, mut peer) = with_bare_peer(&ConnectionConfig::new(SocketType::Pair)).await;
    peer.write_all(b"\x01\x01a\x00\x01b").await.unwrap();
    ours.recv_frame().await.unwrap();
    let error = ours.recv().await.unwrap_err();
    assert!(matches!(error, RecvError::Protocol(DecodeError::MidMessage)), "{error:?}");
    let Some(Frame::Part { payload, more }) = ours.recv_frame().await.unwrap() else { panic!("no part") };
    assert_eq!((&payload[..], more), (&b"b"[..], false));
    ours.send("still here").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_peer_whose_octets_wait_behind_a_large_body_is_not_given_up_while_we_send() {
    let heartbeat = HeartbeatConfig::every(Duration::from_secs(1));
    let config = ConnectionConfig::builder(SocketType::Pair).heartbeat(heartbeat).build().unwrap();
    let (mut ours, mut peer) = with_bare_peer(&config).await;
    peer.write_all(b"\x02\0\0\0\0\0\0\x80\0abc").await.unwrap();
    timeout(Duration::from_millis(1), ours.recv()).await.unwrap_err();
    let talks = tokio::spawn(async move {
        peer.write_all(&[0; 32768 - 3]).await.unwrap();
        loop {
            peer.write_all(b"\x00\x01a").await.unwrap();
            sleep(Duration::from_millis(100)).await;
        }
    });
    ours.feed(&vec![0; 60_000]).unwrap();
    let flushed = timeout(Duration::from_secs(20), ours.flush()).await;
    assert!(flushed.is_err(), "the peer talks and reads nothing: {flushed:?}");
    talks.abort();
}

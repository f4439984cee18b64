//! Connections and halves as `Stream` and `Sink`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use futures_util::{Sink, SinkExt, StreamExt, stream};
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
use zmtp_connection::codec::SocketType;
use zmtp_connection::{
    Connection, ConnectionConfig, DecodeError, Event, Message, Null, PushError, RecvError, SendError,
};

type Pair = (Connection<DuplexStream, Null>, Connection<DuplexStream, Null>);

async fn pair(capacity: usize, high_water_mark: usize) -> Pair {
    let (ours, theirs) = duplex(capacity);
    let config = ConnectionConfig::builder(SocketType::Pair).high_water_mark(high_water_mark).build().unwrap();
    let null = Null::new();
    let (one, other) =
        tokio::join!(Connection::handshake(ours, &config, &null), Connection::handshake(theirs, &config, &null));
    (one.unwrap(), other.unwrap())
}

fn texts(events: Vec<Result<Event, RecvError>>) -> Vec<Vec<u8>> {
    let message = |event: Result<Event, RecvError>| event.unwrap().into_message().unwrap().first().to_vec();
    events.into_iter().map(message).collect()
}

#[tokio::test]
async fn what_goes_into_the_sink_comes_out_of_the_stream_which_ends_with_it() {
    let (mut one, other) = pair(64, 1 << 20).await;
    let sent: Vec<String> = (0..500).map(|number| number.to_string()).collect();
    let messages = stream::iter(sent.clone()).map(Ok);
    let sending = async {
        messages.forward(&mut one).await.unwrap();
        // `forward` has closed the sink, and with it our direction.
        one
    };
    let (_one, received) = tokio::join!(sending, other.collect::<Vec<_>>());
    let expected: Vec<Vec<u8>> = sent.into_iter().map(String::into_bytes).collect();
    assert_eq!(texts(received), expected);
}

#[tokio::test]
async fn halves_are_a_sink_and_a_stream_as_well() {
    let (one, other) = pair(64, 1 << 20).await;
    let (_receiver, mut sender) = one.split();
    let (receiver, _sender) = other.split();
    let sending = async {
        SinkExt::send(&mut sender, Message::from("a")).await.unwrap();
        SinkExt::<&str>::close(&mut sender).await.unwrap();
    };
    let ((), received) = tokio::join!(sending, receiver.collect::<Vec<_>>());
    assert_eq!(texts(received), [b"a"]);
}

#[tokio::test]
async fn the_stream_ends_after_its_first_error() {
    let (mut one, other) = pair(1024, 1 << 20).await;
    // What was complete comes first, then a frame outside the grammar.
    one.get_mut().write_all(b"\0\x01a\x08\0").await.unwrap();
    let mut received = other.collect::<Vec<_>>().await;
    assert_eq!(received.len(), 2);
    let error = received.pop().unwrap().unwrap_err();
    assert!(matches!(error, RecvError::Protocol(DecodeError::Frame(_))), "{error:?}");
    assert_eq!(texts(received), [b"a"]);
}

#[tokio::test]
async fn the_sink_is_ready_up_to_the_high_water_mark_and_says_so() {
    let (one, _other) = pair(1, 100).await;
    let mut sink = pin!(one);
    let mut cx = Context::from_waker(Waker::noop());
    let mut ready = |sink: std::pin::Pin<&mut Connection<DuplexStream, Null>>| {
        matches!(Sink::<Vec<u8>>::poll_ready(sink, &mut cx), Poll::Ready(Ok(())))
    };
    assert!(ready(sink.as_mut()));
    Sink::<Vec<u8>>::start_send(sink.as_mut(), vec![0; 1000]).unwrap();
    assert!(!ready(sink.as_mut()), "the peer reads nothing");
    let refused = Sink::<Vec<u8>>::start_send(sink.as_mut(), vec![0; 1]);
    assert!(matches!(refused, Err(SendError::Refused(PushError::Full { limit: 100, .. }))), "{refused:?}");
}

//! What can be sent as a message, what a received one can be taken apart into, and what framing in advance copies.
#![cfg(all(feature = "net", feature = "null"))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::borrow::Cow;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::io::{DuplexStream, duplex};
use zmtp_connection::codec::SocketType;
use zmtp_connection::{AsMessage, Connection, ConnectionConfig, EncodedMessage, LINK_FROM, Message, Null, Part};

type Side = Connection<DuplexStream, Null>;

async fn pair() -> (Side, Side) {
    let (ours, theirs) = duplex(1 << 16);
    let (config, null) = (ConnectionConfig::new(SocketType::Pair), Null::new());
    let (one, other) =
        tokio::join!(Connection::handshake(ours, &config, &null), Connection::handshake(theirs, &config, &null));
    (one.unwrap(), other.unwrap())
}

async fn received(side: &mut Side) -> Vec<Vec<u8>> {
    let message = side.recv().await.unwrap().unwrap().into_message().unwrap();
    message.iter().map(|part| part.to_vec()).collect()
}

fn parts_of<M: AsMessage + ?Sized>(message: &M) -> Vec<Vec<u8>> {
    (0..message.part_count()).map(|index| message.part(index).as_slice().to_vec()).collect()
}

/// That this compiles is half of the test: none of these calls needs a type to be named.
#[tokio::test]
async fn whatever_is_fed_arrives_with_the_parts_that_it_looks_like() {
    let (mut one, mut other) = pair().await;
    let bytes = Bytes::from_static(b"bytes");
    let message = Message::from_parts(["m", "n"]).unwrap();
    let lent: &Message = &message;

    one.feed("x").unwrap();
    one.feed(b"octets").unwrap();
    one.feed(&bytes).unwrap();
    one.feed(&String::from("string")).unwrap();
    one.feed(&vec![1, 2, 3]).unwrap();
    one.feed(&b"slice"[1..]).unwrap();
    one.feed(&["a", "b"]).unwrap();
    one.feed(&["a", "b"][1..]).unwrap();
    one.feed(&[b"c", b"d"]).unwrap();
    one.feed(&vec![bytes.clone(), Bytes::new()]).unwrap();
    one.feed(&vec![vec![4], vec![5, 6]]).unwrap();
    one.feed(&[[1, 2], [3, 4]]).unwrap();
    one.feed(&message).unwrap();
    one.feed(lent).unwrap();
    one.feed(&lent).unwrap();
    one.flush().await.unwrap();

    let expected: [&[&[u8]]; 15] = [
        &[b"x"],
        &[b"octets"],
        &[b"bytes"],
        &[b"string"],
        &[&[1, 2, 3]],
        &[b"lice"],
        &[b"a", b"b"],
        &[b"b"],
        &[b"c", b"d"],
        &[b"bytes", b""],
        &[&[4], &[5, 6]],
        &[&[1, 2], &[3, 4]],
        &[b"m", b"n"],
        &[b"m", b"n"],
        &[b"m", b"n"],
    ];
    for parts in expected {
        assert_eq!(received(&mut other).await, parts);
    }
}

#[tokio::test]
async fn borrowed_and_shared_parts_mix_in_one_message() {
    let (mut one, mut other) = pair().await;
    let large = Bytes::from(vec![7; LINK_FROM]);
    one.send(&[Part::Borrowed(b"topic"), Part::Shared(&large)]).await.unwrap();
    assert_eq!(received(&mut other).await, [&b"topic"[..], &large]);
    one.send(&Part::Borrowed(b"alone")).await.unwrap();
    assert_eq!(received(&mut other).await, [b"alone"]);

    let message = vec![Part::Borrowed(b"topic"), Part::Shared(&large)];
    assert!(matches!(message.part(0), Part::Borrowed(b"topic")));
    assert!(matches!(message.part(1), Part::Shared(shared) if std::ptr::eq(shared, &raw const large)));
}

#[test]
fn every_owner_of_octets_is_one_part_and_several_of_them_are_several() {
    macro_rules! check {
        ($($octets:expr),* $(,)?) => {$({
            assert_eq!(parts_of(&$octets), [b"ab"]);
            assert_eq!(parts_of(&[$octets, $octets]), [b"ab", b"ab"]);
            assert_eq!(parts_of(&vec![$octets, $octets, $octets]), [b"ab", b"ab", b"ab"]);
        })*};
    }
    check! {
        "ab",
        b"ab",
        String::from("ab"),
        b"ab".to_vec(),
        Bytes::from_static(b"ab"),
        BytesMut::from(&b"ab"[..]),
        Box::<[u8]>::from(&b"ab"[..]),
        Arc::<[u8]>::from(&b"ab"[..]),
        Cow::<[u8]>::Borrowed(b"ab"),
        Cow::<[u8]>::Owned(b"ab".to_vec()),
        Cow::<str>::Borrowed("ab"),
        Cow::<str>::Owned("ab".into()),
        Part::Borrowed(b"ab"),
        Part::Shared(&Bytes::from_static(b"ab")),
    }
}

#[test]
fn a_message_is_taken_apart_from_either_end_or_looked_through() {
    for parts in [&["a"][..], &["a", "b"], &["a", "", "c"]] {
        let message = Message::from_parts(parts.iter().copied()).unwrap();
        assert!(message.iter().eq(parts));
        let mut seen = Vec::new();
        for part in &message {
            seen.push(part.clone());
        }
        assert_eq!(seen, parts);

        assert_eq!(message.clone().into_iter().len(), parts.len());
        assert!(message.clone().into_iter().rev().eq(parts.iter().rev()));
        let mut taken = message.into_iter();
        assert_eq!(taken.next().unwrap(), parts[0]);
        assert_eq!(taken.len(), parts.len() - 1);
        assert_eq!(format!("{taken:?}"), format!("{} parts", parts.len() - 1));
        assert!(taken.by_ref().eq(&parts[1..]));
        assert_eq!(taken.next(), None);
    }
}

#[test]
fn iterating_gives_the_parts_themselves_and_no_copies() {
    let part = Bytes::from(vec![1; 100]);
    for count in [1, 3] {
        let message = Message::from_parts(vec![part.clone(); count]).unwrap();
        assert!(message.into_iter().all(|taken| taken.as_ptr() == part.as_ptr()));
    }
}

#[test]
fn copied_parts_of_an_encoded_message_lie_in_one_buffer_with_their_headers_between() {
    let large = vec![9; LINK_FROM];
    let encoded = EncodedMessage::encode(&[&b"topic"[..], b"", &large, b"end"]).unwrap();
    let parts = encoded.message().parts();
    assert_eq!(parts, [&b"topic"[..], b"", &large, b"end"]);
    // One octet of flags and one of length, or eight of length for the long one.
    let start = |index: usize| parts[index].as_ptr().addr();
    assert_eq!(start(1), start(0) + 5 + 2);
    assert_eq!(start(2), start(1) + 9);
    assert_eq!(start(3), start(2) + LINK_FROM + 2);
    assert_eq!(encoded.wire_len(), 2 + 5 + 2 + 9 + LINK_FROM + 2 + 3);
}

#[test]
fn shared_parts_of_an_encoded_message_are_copied_below_the_linking_size_only() {
    let shared = Bytes::from(vec![9; LINK_FROM]);
    let below = shared.slice(1..);
    let encoded = EncodedMessage::encode(&[below.clone(), shared.clone(), below.clone(), shared.clone()]).unwrap();
    let parts = encoded.message().parts();
    assert_eq!(parts, [&below, &shared, &below, &shared]);
    let is_shared: Vec<bool> = parts.iter().map(|part| part.as_ptr() == shared.as_ptr()).collect();
    assert_eq!(is_shared, [false, true, false, true]);
    assert!(parts[0].as_ptr() != below.as_ptr() && parts[2].as_ptr() != below.as_ptr());
}

#[tokio::test]
async fn an_encoded_message_arrives_as_it_would_have_unencoded_wherever_its_large_parts_are() {
    let (mut one, mut other) = pair().await;
    let (small, large) = (Bytes::from_static(b"small"), Bytes::from(vec![3; LINK_FROM]));
    let owned = large.to_vec();
    let shapes: [&[Part<'_>]; 8] = [
        &[Part::Shared(&small)],
        &[Part::Borrowed(b"")],
        &[Part::Shared(&large)],
        &[Part::Borrowed(&owned)],
        &[Part::Shared(&large), Part::Shared(&large)],
        &[Part::Shared(&large), Part::Borrowed(b"x"), Part::Borrowed(b"")],
        &[Part::Borrowed(b"x"), Part::Shared(&small), Part::Shared(&large)],
        &[
            Part::Borrowed(b"x"),
            Part::Shared(&large),
            Part::Borrowed(&owned),
            Part::Shared(&large),
            Part::Borrowed(b""),
        ],
    ];
    for shape in shapes {
        let encoded = EncodedMessage::encode(shape).unwrap();
        assert_eq!(parts_of(encoded.message()), parts_of(shape));
        one.feed_fan_out(&encoded).unwrap();
        one.flush().await.unwrap();
        assert_eq!(received(&mut other).await, parts_of(shape));
    }
}

#[test]
fn cloning_an_encoded_message_shares_all_of_it() {
    let encoded = EncodedMessage::encode(&["a", "b"]).unwrap();
    let clone = encoded.clone();
    assert!(std::ptr::eq(encoded.message(), clone.message()));
    assert_eq!(clone.wire_len(), encoded.wire_len());
}

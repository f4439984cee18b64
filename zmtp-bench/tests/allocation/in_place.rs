//! What is not copied, by its address.

use crate::*;

#[test]
fn a_large_payload_is_sent_from_where_it_lies() {
    fn check<M: Mechanism>(mechanism: &M) {
        let (mut side, _) = pair(&config(), &config(), mechanism).unwrap();
        let payload = Bytes::from(vec![7; MIB]);
        // The clone turns the vector into shared memory, which takes one small allocation.
        let (sent, _) = (payload.clone(), side.encoder.push("warm").unwrap());
        let (result, counts) = measure(|| side.encoder.push(&sent));
        result.unwrap();
        assert_at_most(counts.bytes as i64, KIB as i64, "queueing 1 MiB");
        let linked = side.encoder.chunks().find(|chunk| chunk.len() == MIB).unwrap();
        assert_eq!(linked.as_ptr(), payload.as_ptr());
    }
    check(&NULL);
    check(&AnyMechanism::new(Null::new()));
}

#[test]
fn of_a_large_body_only_what_was_read_before_it_was_known_is_copied() {
    const BODY: usize = 128 * KIB;
    const FIRST: usize = 1000;
    let (mut side, _) = ready();
    let decoder = &mut side.decoder;
    let octets = frame(FrameKind::Last, &vec![7; BODY]);
    let (first, rest) = octets.split_at(9 + FIRST);
    decoder.receive_buffer(QUIET_READ).put_slice(first);
    assert_eq!(decoder.poll(), Ok(None));

    let (message, counts) = measure(|| {
        let mut room = decoder.receive_buffer(READ);
        assert_eq!(room.remaining_mut(), rest.len(), "the whole rest can be read at once, and nothing behind it");
        let lent = room.chunk_mut().as_mut_ptr().cast_const();
        room.put_slice(rest);
        assert_eq!(decoder.poll(), Ok(Some(Decoded::Message)));
        assert_eq!(decoder.message().first().as_ptr().wrapping_add(FIRST), lent, "read in place");
        let lent_message = decoder.message().first().as_ptr();
        let message = decoder.take_message();
        assert_eq!(message.first().as_ptr(), lent_message, "kept in place");
        message
    });
    assert_eq!(message.payload_len(), BODY);
    // What counts the references, and the list of parts, with room for four.
    assert_at_most(counts.bytes as i64, 256, "receiving the rest and keeping the message");
}

/// The largest part that is copied for whoever keeps it.
const COPIED: usize = KIB;

/// Where a message of one part of `len` octets was received, where it is lent, and where it is kept.
fn addresses(len: usize) -> [*const u8; 3] {
    let (mut side, _) = ready();
    let octets = frame(FrameKind::Last, &vec![7; len]);
    let mut room = side.decoder.receive_buffer(QUIET_READ);
    let received = room.chunk_mut().as_mut_ptr().wrapping_add(octets.len() - len).cast_const();
    room.put_slice(&octets);
    assert_eq!(side.decoder.poll(), Ok(Some(Decoded::Message)));
    let lent = side.decoder.message().first().as_ptr();
    [received, lent, side.decoder.take_message().first().as_ptr()]
}

#[test]
fn a_message_is_lent_where_it_was_received_and_a_larger_one_is_kept_there() {
    for len in [1, 100, COPIED, COPIED + 1, 3000] {
        let [received, lent, kept] = addresses(len);
        assert_eq!(lent, received, "{len} octets");
        assert_eq!(kept == received, len > COPIED, "{len} octets");
    }
}

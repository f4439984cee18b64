//! What a message costs once buffers have their working size.

use crate::*;

/// Receives batches of messages of this shape on loan; what a thousand batches allocate after some to warm up.
fn borrowed<M: Mechanism>(mechanism: &M, shape: &[usize]) -> Counts {
    let (mut side, _) = pair(&config(), &config(), mechanism).unwrap();
    let (octets, count) = repeated(&message_wire(shape), READ);
    let payload: usize = shape.iter().sum();
    let mut batch = || {
        let mut seen = 0;
        deliver(&mut side.decoder, &octets, READ, |decoder, _| {
            let message = decoder.message();
            assert_eq!(message.parts().map(<[u8]>::len).sum::<usize>(), payload);
            seen += 1;
        })
        .unwrap();
        assert_eq!(seen, count);
    };
    (0..4).for_each(|_| batch());
    measure(|| (0..100).for_each(|_| batch())).1
}

fn encoded<M: Mechanism>(mechanism: &M, shape: &[usize]) -> Counts {
    let (mut side, _) = pair(&config(), &config(), mechanism).unwrap();
    let parts: Vec<Bytes> = shape.iter().map(|&size| Bytes::from(vec![7; size])).collect();
    let mut batch = || send(&mut side.encoder, &parts, 20);
    (0..4).for_each(|_| batch());
    measure(|| (0..100).for_each(|_| batch())).1
}

#[test]
fn a_lent_message_costs_no_allocation() {
    for shape in SHAPES {
        assert_eq!(borrowed(&NULL, shape).allocations, 0, "{shape:?}");
    }
}

/// A slow network's pieces, and the small reads of a quiet connection.
#[test]
fn a_lent_message_that_comes_in_pieces_costs_no_allocation_either() {
    let (mut side, _) = ready();
    let octets = frame(FrameKind::Last, &[7; 20_000]);
    let mut seen = 0;
    let mut receive = || {
        for piece in octets.chunks(1448) {
            deliver(&mut side.decoder, piece, QUIET_READ, |decoder, _| {
                assert_eq!(decoder.message().payload_len(), 20_000);
                seen += 1;
            })
            .unwrap();
        }
    };
    (0..10).for_each(|_| receive());
    let ((), counts) = measure(|| (0..100).for_each(|_| receive()));
    assert_eq!(seen, 110);
    assert_eq!(counts.allocations, 0);
}

#[test]
fn a_queued_message_costs_no_allocation() {
    // The last two are linked, not copied.
    for shape in SHAPES.into_iter().chain([&[8000][..], &[20, 8000, 0, 16_000]]) {
        assert_eq!(encoded(&NULL, shape).allocations, 0, "{shape:?}");
    }
}

#[test]
fn a_mechanism_chosen_at_run_time_costs_no_allocation_per_frame() {
    let any = AnyMechanism::new(Null::new());
    for shape in SHAPES {
        assert_eq!(borrowed(&any, shape).allocations, 0, "receiving {shape:?}");
        assert_eq!(encoded(&any, shape).allocations, 0, "sending {shape:?}");
    }
}

/// Allocations for receiving so many reads of messages of this shape and keeping all of them.
fn kept(shape: &[usize], reads: usize) -> (u64, usize) {
    let (mut side, _) = ready();
    let (octets, count) = repeated(&message_wire(shape), READ);
    let mut kept: Vec<Message> = Vec::with_capacity(reads * count);
    let (result, counts) = measure(|| {
        for _ in 0..reads {
            deliver(&mut side.decoder, &octets, READ, |decoder, _| kept.push(decoder.take_message()))?;
        }
        Ok::<_, DecodeError>(())
    });
    result.unwrap();
    assert_eq!(kept.len(), reads * count);
    (counts.allocations, kept.len())
}

#[test]
fn messages_that_are_kept_share_two_allocations_per_read_or_have_one_each() {
    const READS: usize = 20;
    for shape in [&[1100][..], &[4000]] {
        let (allocations, messages) = kept(shape, READS);
        println!("{shape:?}: {allocations} allocations for {messages} messages kept, {READS} reads");
        // The buffer of each read, and what counts the references to it.
        assert!(allocations <= 2 * READS as u64 + 2, "{shape:?}: {allocations} allocations");
    }
    // A small one has memory of its own, so that a kept message of 16 octets does not hold a read of 64 KiB.
    for shape in [&[16][..], &[1024]] {
        let (allocations, messages) = kept(shape, READS);
        println!("{shape:?}: {allocations} allocations for {messages} messages kept, {READS} reads");
        assert!(allocations <= messages as u64 + 2, "{shape:?}: {allocations} allocations, {messages} messages");
    }
    // The list of its parts is a further one for each message.
    let (allocations, messages) = kept(&[20, 0, 300], READS);
    println!("multipart: {allocations} allocations for {messages} messages kept");
    assert!(allocations <= messages as u64 + 2 * READS as u64 + 2, "{allocations} allocations, {messages} messages");
}

#[test]
fn messages_that_are_taken_and_dropped_leave_the_buffer_in_use() {
    for (shape, each) in [(&[16][..], 1), (&[256], 1), (&[4000], 0)] {
        let (mut side, _) = ready();
        let (octets, messages) = repeated(&message_wire(shape), READ);
        let mut batch = || deliver(&mut side.decoder, &octets, READ, |decoder, _| drop(decoder.take_message()));
        (0..4).for_each(|_| batch().unwrap());
        let ((), counts) = measure(|| (0..100).for_each(|_| batch().unwrap()));
        assert_eq!(counts.allocations, each * 100 * messages as u64, "{shape:?}");
    }
}

//! What a length costs that a peer has merely declared.

use crate::*;

/// What it costs to have received `octets` and to be ready to read on.
fn cost_of_receiving(octets: &[u8]) -> (Result<(), DecodeError>, Counts) {
    let (mut side, _) = ready();
    // The read buffer of a quiet connection is there anyway.
    let _ = side.decoder.receive_buffer(QUIET_READ);
    measure(|| {
        deliver(&mut side.decoder, octets, QUIET_READ, |_, _| {})?;
        let _ = side.decoder.receive_buffer(QUIET_READ);
        Ok(())
    })
}

#[test]
fn a_frame_that_is_refused_by_its_header_costs_nothing() {
    let tebibyte = 1 << 40;
    for (kind, size) in [
        (FrameKind::Last, tebibyte),
        (FrameKind::More, tebibyte),
        (FrameKind::Command, tebibyte),
        (FrameKind::Last, i64::MAX as u64),
        (FrameKind::Last, 64 * MIB as u64 + 1),
        (FrameKind::Command, 64 * KIB as u64 + 1),
    ] {
        let (result, counts) = cost_of_receiving(&header(kind, size));
        assert!(result.is_err(), "{kind:?} of {size} octets was accepted");
        assert_eq!(counts.peak, 0, "{kind:?} of {size} octets: {counts:?}");
    }
}

#[test]
fn a_declared_length_alone_reserves_no_more_than_the_allowance() {
    for (kind, size) in [
        (FrameKind::Last, 64 * MIB),
        (FrameKind::More, 64 * MIB),
        (FrameKind::Last, 256 * KIB + 1),
        (FrameKind::Last, LARGE_BODY),
        (FrameKind::Last, LARGE_BODY - 1),
        (FrameKind::Command, 64 * KIB),
    ] {
        for received in [&[][..], &[7], &[7; 3000]] {
            let octets = [header(kind, size as u64).as_slice(), received].concat();
            let (result, counts) = cost_of_receiving(&octets);
            result.unwrap();
            let allowed = AHEAD + 2 * received.len() as i64;
            assert_at_most(counts.peak, allowed, &format!("{kind:?} of {size} octets, {} there", received.len()));
        }
    }
}

#[test]
fn a_declared_handshake_command_reserves_no_more_than_one_read() {
    let config = config();
    let greeting = Greeting::new(MechanismName::NULL, false).to_bytes();
    for (size, accepted) in [(1 << 30, false), (1 << 40, false), (64 * KIB as u64, true)] {
        let octets = [&greeting[..], &header(FrameKind::Command, size)].concat();
        let (outcome, counts) = measure(|| {
            let mut establish = Establish::new(&config, &NULL);
            // Octet by octet, the way that costs the most room.
            for octet in octets.chunks(1) {
                establish.receive_buffer().put_slice(octet);
                establish = match establish.advance(Duration::ZERO) {
                    Outcome::Pending(establish) => establish,
                    outcome => return outcome,
                };
            }
            let _ = establish.receive_buffer();
            Outcome::Pending(establish)
        });
        match outcome {
            Outcome::Pending(_) => assert!(accepted, "a command of {size} octets was accepted"),
            Outcome::Failed(failure) => {
                assert!(matches!(failure.error.cause(), HandshakeCause::CommandSize { .. }), "{failure:?}");
                assert!(!accepted, "a command of {size} octets was refused");
            }
            other => panic!("{other:?}"),
        }
        // One read of 8 KiB, and what a handshake takes beside it.
        assert_at_most(counts.peak, 16 * KIB as i64, &format!("a handshake command of {size} octets"));
    }
}

#[test]
fn memory_for_a_large_body_grows_with_what_was_received() {
    const BODY: usize = 16 * MIB;
    let (mut side, _) = ready();
    let octets = frame(FrameKind::Last, &vec![7; BODY]);
    // As much at a time as a quick stream brings, and as little as a slow one.
    for read in [READ, 1448] {
        let _ = side.decoder.receive_buffer(read);
        let (complete, counts) = measure(|| {
            let before = live();
            let mut received = 0;
            let mut complete = 0;
            for piece in octets.chunks(read) {
                let (result, step) = measure(|| {
                    deliver(&mut side.decoder, piece, read, |decoder, decoded| {
                        assert_eq!(decoded, Decoded::Message);
                        assert_eq!(decoder.message().payload_len(), BODY);
                        complete += 1;
                    })
                });
                result.unwrap();
                received += piece.len() as i64;
                let highest = live() - before - step.live + step.peak;
                assert_at_most(highest, 2 * received + AHEAD, &format!("{received} octets received"));
            }
            let _ = side.decoder.receive_buffer(QUIET_READ);
            complete
        });
        assert_eq!(complete, 1);
        // What is left is the list in which the parts of a message are noted.
        assert_at_most(counts.live, 256, "after the message was dropped");
    }
}

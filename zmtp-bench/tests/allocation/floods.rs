//! What a peer costs that sends without end.

use crate::*;

/// Delivers `opening`, then `unit` over and over, `octets` of it in all.
fn flood(opening: &[u8], unit: &[u8], octets: usize) -> (Result<usize, DecodeError>, Counts) {
    let (mut side, _) = ready();
    let (read, _) = repeated(unit, READ);
    measure(|| {
        let mut found = 0;
        deliver(&mut side.decoder, opening, READ, |_, _| found += 1)?;
        for _ in 0..octets / read.len() {
            deliver(&mut side.decoder, &read, READ, |_, _| found += 1)?;
        }
        Ok(found)
    })
}

#[test]
fn a_flood_of_empty_parts_ends_at_the_part_limit() {
    let (result, counts) = flood(&[], &frame(FrameKind::More, &[]), 4 * MIB);
    assert!(matches!(result, Err(DecodeError::TooManyParts { limit: 4096 })), "{result:?}");
    assert_at_most(counts.peak, 512 * KIB as i64, "4,096 empty parts");
}

#[test]
fn commands_between_two_parts_fill_no_memory() {
    let ping = Command::Ping(Ping::new(Ttl::ZERO, HeartbeatContext::new(&[7; 16]).unwrap()));
    let unknown = Command::Unknown(UnknownCommand::new("X-NOISE", vec![7; 1000]).unwrap());
    let opening = [frame(FrameKind::More, &[7; 3000]), frame(FrameKind::More, &[])].concat();
    for noise in [ping, unknown, Command::Subscribe(Bytes::from(vec![7; 200]))] {
        let (result, counts) = flood(&opening, &command(&noise), 16 * MIB);
        result.unwrap();
        assert_at_most(counts.peak, 256 * KIB as i64, &format!("16 MiB of {:?}", noise.name().escape_ascii()));
    }
}

#[test]
fn commands_for_the_application_are_not_collected() {
    // A publisher that is flooded with subscriptions hands each of them out and keeps none.
    let publisher = ConnectionConfig::new(SocketType::Xpub);
    let subscriber = ConnectionConfig::new(SocketType::Xsub);
    let (mut side, _) = pair(&publisher, &subscriber, &NULL).unwrap();
    let (read, count) = repeated(&command(&Command::Subscribe(Bytes::from(vec![7; 200]))), READ);
    let (seen, counts) = measure(|| {
        let mut seen = 0;
        for _ in 0..100 {
            deliver(&mut side.decoder, &read, READ, |_, decoded| {
                assert!(matches!(decoded, Decoded::Command(Command::Subscribe(_))), "{decoded:?}");
                seen += 1;
            })
            .unwrap();
        }
        seen
    });
    assert_eq!(seen, 100 * count);
    assert_at_most(counts.peak, 128 * KIB as i64, "subscriptions");
}

#[test]
fn a_peer_that_pings_and_never_reads_fills_no_memory() {
    let (mut side, _) = ready();
    let ping = Ping::new(Ttl::ZERO, HeartbeatContext::new(&[7; 16]).unwrap());
    let ((), counts) = measure(|| {
        for _ in 0..100_000 {
            side.encoder.push_pong(ping.pong()).unwrap();
        }
    });
    // 64 KiB of answers wait, in a buffer that has grown by doubling.
    assert_at_most(counts.peak, 256 * KIB as i64, "unread PONGs");
    assert!(side.encoder.pending() < 65 * KIB, "{} octets wait", side.encoder.pending());
}

//! Goes one hot path of the core as often as it is told, for whoever counts the instructions: `hot_paths NAME COUNT`.
//!
//! Nothing is timed and nothing is random: the same build does the same each time. Setting up costs the same whatever
//! the count is, so the difference between two counts is what the path itself costs. Without arguments it prints the
//! names of the paths.

use std::error::Error;
use std::hint::black_box;

use zmtp_bench::pair::{Side, pair};
use zmtp_connection::codec::{AnyMechanism, FrameHeader, FrameKind, Mechanism, Opener, Sealer, SocketType};
use zmtp_connection::proto::{Decoder, Encoder};
use zmtp_connection::{AsMessage, ConnectionConfig, EncodedMessage, Null, PushError};

/// Octets that travel at once: what the shell reads and writes at once.
const BATCH_OCTETS: usize = 64 * 1024;
/// To how many a message goes that is sent to many, and the message: the same payload in one part, and in two.
const FAN_OUT_PEERS: usize = 100;
const ONE_PART: &[u8] = &[7; 128];
const TOPIC_AND_DATA: [&[u8]; 2] = [&[7; 16], &[7; 112]];

type Outcome = Result<(), Box<dyn Error>>;

/// Goes a path as often as it is told.
type Path = fn(u64) -> Outcome;

/// The paths by name. Those to many peers count rounds, the others count messages.
const PATHS: [(&str, Path); 13] = [
    ("encode-16", |count| encode(connected(&Null::new())?.0.encoder, 16, count)),
    ("encode-16-bare", |count| encode(bare()?, 16, count)),
    ("encode-16-any", |count| encode(connected(&any())?.0.encoder, 16, count)),
    ("encode-1024", |count| encode(connected(&Null::new())?.0.encoder, 1024, count)),
    ("decode-16", |count| decode(connected(&Null::new())?.1.decoder, 16, count, look)),
    ("decode-16-any", |count| decode(connected(&any())?.1.decoder, 16, count, look)),
    ("decode-1024", |count| decode(connected(&Null::new())?.1.decoder, 1024, count, look)),
    ("keep-16", |count| decode(connected(&Null::new())?.1.decoder, 16, count, keep)),
    ("keep-16-any", |count| decode(connected(&any())?.1.decoder, 16, count, keep)),
    ("fan-out-encoded", |rounds| fan_out_encoded(ONE_PART, rounds)),
    ("fan-out-anew", |rounds| fan_out_anew(ONE_PART, rounds)),
    ("fan-out-topic-encoded", |rounds| fan_out_encoded(&TOPIC_AND_DATA, rounds)),
    ("fan-out-topic-anew", |rounds| fan_out_anew(&TOPIC_AND_DATA, rounds)),
];

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [] => PATHS.iter().for_each(|(name, _)| println!("{name}")),
        [name, count] => {
            let (_, path) = PATHS.iter().find(|(known, _)| known == name).ok_or("no path has this name")?;
            path(count.parse()?)?;
        }
        _ => return Err("usage: hot_paths [NAME COUNT]".into()),
    }
    Ok(())
}

/// Two sides after their handshake: one that sends and one that receives.
fn connected<M: Mechanism>(mechanism: &M) -> Result<(Side<M>, Side<M>), Box<dyn Error>> {
    let (push, pull) = (ConnectionConfig::new(SocketType::Push), ConnectionConfig::new(SocketType::Pull));
    Ok(pair(&push, &pull, mechanism)?)
}

/// A mechanism that is chosen when the program runs.
fn any() -> AnyMechanism {
    AnyMechanism::new(Null::new())
}

/// An encoder that has no mechanism.
fn bare() -> Result<Encoder<impl Sealer>, Box<dyn Error>> {
    let (ours, _) = connected(&Null::new())?;
    Ok(ours.encoder.local().ok_or("NULL has to send frames as they are")?)
}

/// Pushes borrowed messages of `size` octets.
fn encode<S: Sealer>(mut encoder: Encoder<S>, size: usize, count: u64) -> Outcome {
    let payload = vec![7; size];
    for _ in 0..count {
        queue(&mut encoder, black_box(payload.as_slice()))?;
        send_batch(&mut encoder);
    }
    Ok(())
}

/// The one place where a kind of encoder is pushed a kind of message. A second would decide for the compiler whether
/// the push is worth a call of its own, and paths that are compared have to be compiled alike.
#[inline(never)]
fn queue<S: Sealer, M: AsMessage + ?Sized>(encoder: &mut Encoder<S>, message: &M) -> Result<(), PushError> {
    encoder.push(message)
}

/// What waits leaves as soon as it is a batch.
#[inline]
fn send_batch<S: Sealer>(encoder: &mut Encoder<S>) {
    if encoder.pending() >= BATCH_OCTETS {
        black_box(encoder.chunks().next());
        encoder.advance(encoder.pending());
    }
}

/// Receives messages of `size` octets in batches, and `take`s each.
fn decode<O: Opener>(mut decoder: Decoder<O>, size: usize, count: u64, take: impl Fn(&mut Decoder<O>)) -> Outcome {
    let mut frame = FrameHeader::new(FrameKind::Last, size as u64).encode().to_vec();
    frame.resize(frame.len() + size, 7);
    let batch = frame.repeat(BATCH_OCTETS / frame.len());
    let mut missing = count;
    while missing > 0 {
        let taken = decoder.receive(black_box(&batch));
        debug_assert_eq!(taken, batch.len(), "there is room for all of it");
        while missing > 0 && decoder.poll()?.is_some() {
            take(&mut decoder);
            missing -= 1;
        }
    }
    Ok(())
}

/// Looks at a message where it lies.
#[inline]
fn look<O: Opener>(decoder: &mut Decoder<O>) {
    black_box(decoder.message().first());
}

/// Takes a message out, to keep it.
#[inline]
fn keep<O: Opener>(decoder: &mut Decoder<O>) {
    black_box(decoder.take_message());
}

/// A message to all peers, framed once in each round.
fn fan_out_encoded<M: AsMessage + ?Sized>(message: &M, rounds: u64) -> Outcome {
    let mut encoders = fan()?;
    for _ in 0..rounds {
        let encoded = EncodedMessage::encode(black_box(message)).ok_or("a message has parts")?;
        for encoder in &mut encoders {
            encoder.push_encoded(black_box(&encoded))?;
            send_batch(encoder);
        }
    }
    Ok(())
}

/// A message to all peers, framed for each.
fn fan_out_anew<M: AsMessage + ?Sized>(message: &M, rounds: u64) -> Outcome {
    let mut encoders = fan()?;
    for _ in 0..rounds {
        for encoder in &mut encoders {
            queue(encoder, black_box(message))?;
            send_batch(encoder);
        }
    }
    Ok(())
}

/// An encoder for each peer.
fn fan() -> Result<Vec<Encoder<impl Sealer>>, Box<dyn Error>> {
    (0..FAN_OUT_PEERS).map(|_| Ok(connected(&Null::new())?.0.encoder)).collect()
}

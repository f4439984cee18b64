//! A connection's messages: encoded, decoded, through both cores without a socket, and through the tokio shell.
//!
//! Times are per message. Messages travel in batches, as they do under load: one turn of a bench queues a batch, hands
//! its octets over and takes them in, and the time of many turns is divided by the number of messages.
#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to measure")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput};
use tokio::io::DuplexStream;
use zmtp_bench::pair::{pair, pair_of};
use zmtp_codec::{AnyMechanism, Mechanism, Opener, Sealer, SocketType};
use zmtp_connection::proto::{Decoder, Encoder};
use zmtp_connection::{Connection, ConnectionConfig, CurveClient, CurveServer, EventRef, KeyPair, Null, SecretKey};

/// Octets of a message's one part.
const SIZES: [usize; 4] = [16, 256, 4096, 65536];
/// Octets that travel at once: what the shell reads at once, and little enough to stay in the cache.
const BATCH_OCTETS: usize = 64 * 1024;
/// What the stream between two shells holds.
const DUPLEX_OCTETS: usize = 256 * 1024;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    encode(&mut criterion);
    decode(&mut criterion, "connection/decode_borrowed", |decoder| {
        black_box(decoder.message().first());
    });
    decode(&mut criterion, "connection/decode_owned", |decoder| {
        black_box(decoder.take_message());
    });
    let any = AnyMechanism::new(Null::new());
    let keys = |octet| KeyPair::from_secret(SecretKey::from_bytes([octet; 32]).unwrap());
    let (server_keys, client_keys) = (keys(1), keys(2));
    let client = CurveClient::new(*server_keys.public_key(), client_keys);
    let server = CurveServer::new(server_keys);
    cores(&mut criterion, "connection/pair", &Null::new(), &Null::new());
    cores(&mut criterion, "connection/pair_any", &any, &any);
    cores(&mut criterion, "connection/pair_curve", &client, &server);
    shell_duplex(&mut criterion);
    handshake(&mut criterion);
    criterion.final_summary();
}

fn push_config() -> ConnectionConfig {
    ConnectionConfig::new(SocketType::Push)
}

fn pull_config() -> ConnectionConfig {
    ConnectionConfig::new(SocketType::Pull)
}

/// How many messages of `size` octets travel at once.
fn batch_of(size: usize) -> u64 {
    (BATCH_OCTETS / size).clamp(4, 1024) as u64
}

/// Measures one bench for each size. `turn` moves as many messages as it is told, at most a batch.
fn for_each_size<T: FnMut(u64)>(criterion: &mut Criterion, group: &str, mut prepare: impl FnMut(usize) -> T) {
    let mut group = criterion.benchmark_group(group);
    for size in SIZES {
        let mut turn = prepare(size);
        // Buffers reach their working size before anything is measured.
        for _ in 0..4 {
            turn(batch_of(size));
        }
        measure(&mut group, size, |messages| {
            let begun = Instant::now();
            in_batches(messages, size, &mut turn);
            begun.elapsed()
        });
    }
    group.finish();
}

/// Measures one bench of messages of `size` octets; `time` says how long a number of them takes.
fn measure(group: &mut BenchmarkGroup<'_, WallTime>, size: usize, mut time: impl FnMut(u64) -> Duration) {
    group.throughput(Throughput::ElementsAndBytes { elements: 1, bytes: size as u64 });
    group.bench_function(BenchmarkId::from_parameter(size), |bencher| bencher.iter_custom(&mut time));
}

fn in_batches(mut messages: u64, size: usize, mut turn: impl FnMut(u64)) {
    while messages > 0 {
        let count = messages.min(batch_of(size));
        turn(count);
        messages -= count;
    }
}

fn push_all<S: Sealer>(encoder: &mut Encoder<S>, payload: &Bytes, count: u64) {
    for _ in 0..count {
        encoder.push(black_box(payload)).unwrap();
    }
}

/// Polls everything that has arrived.
fn take_all<O: Opener>(decoder: &mut Decoder<O>, mut take: impl FnMut(&mut Decoder<O>)) -> u64 {
    let mut count = 0;
    while decoder.poll().unwrap().is_some() {
        take(decoder);
        count += 1;
    }
    count
}

/// Hands `octets` over as a stream would: as much at a time as there is room for.
fn deliver<O: Opener>(octets: &[u8], decoder: &mut Decoder<O>, mut take: impl FnMut(&mut Decoder<O>)) -> u64 {
    let mut count = 0;
    for read in octets.chunks(BATCH_OCTETS) {
        let mut rest = read;
        while !rest.is_empty() {
            let taken = decoder.receive(rest);
            rest = &rest[taken..];
            count += take_all(decoder, &mut take);
        }
    }
    count
}

/// Small payloads are copied into the staging buffer; from `LINK_FROM` octets on they are shared.
fn encode(criterion: &mut Criterion) {
    for_each_size(criterion, "connection/encode", |size| {
        let (mut side, _) = pair(&push_config(), &pull_config(), &Null::new()).unwrap();
        let payload = Bytes::from(vec![7; size]);
        move |count| {
            push_all(&mut side.encoder, &payload, count);
            for chunk in side.encoder.chunks() {
                black_box(chunk);
            }
            side.encoder.advance(side.encoder.pending());
        }
    });
}

/// Includes copying the octets into the receive buffer, in the place of the kernel.
fn decode(criterion: &mut Criterion, group: &str, take: impl Fn(&mut Decoder<zmtp_codec::ClearOpener>) + Copy) {
    for_each_size(criterion, group, |size| {
        let (mut ours, mut theirs) = pair(&push_config(), &pull_config(), &Null::new()).unwrap();
        let payload = Bytes::from(vec![7; size]);
        push_all(&mut ours.encoder, &payload, 1);
        let frame: Vec<u8> = ours.encoder.chunks().flatten().copied().collect();
        let wire = frame.repeat(usize::try_from(batch_of(size)).unwrap());
        move |count| {
            let octets = frame.len() * usize::try_from(count).unwrap();
            let taken = deliver(black_box(&wire[..octets]), &mut theirs.decoder, take);
            assert_eq!(taken, count);
        }
    });
}

/// Encoder to decoder; the octets are copied once in between.
fn cores<A: Mechanism, B: Mechanism>(criterion: &mut Criterion, group: &str, client: &A, server: &B) {
    for_each_size(criterion, group, |size| {
        let (mut ours, mut theirs) = pair_of((&push_config(), client), (&pull_config(), server)).unwrap();
        let payload = Bytes::from(vec![7; size]);
        move |count| {
            push_all(&mut ours.encoder, &payload, count);
            let mut taken = 0;
            while let Some(chunk) = ours.encoder.chunks().next() {
                taken += deliver(chunk, &mut theirs.decoder, |decoder| {
                    black_box(decoder.message().first());
                });
                let written = chunk.len();
                ours.encoder.advance(written);
            }
            assert_eq!(taken, count);
        }
    });
}

/// Two tasks on one thread, an in-memory stream between them: batches fed and flushed, received as lent messages.
fn shell_duplex(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut group = criterion.benchmark_group("connection/shell_duplex");
    for size in SIZES {
        let payload = Bytes::from(vec![7; size]);
        let (push, mut pull) = runtime.block_on(shells());
        let mut push = Some(push);
        let mut move_messages = |messages| {
            let sender = push.take().unwrap();
            let sending = runtime.spawn(send(sender, payload.clone(), messages));
            runtime.block_on(receive(&mut pull, messages));
            push = Some(runtime.block_on(sending).unwrap());
        };
        move_messages(4 * batch_of(size));
        measure(&mut group, size, |messages| {
            let begun = Instant::now();
            move_messages(messages);
            begun.elapsed()
        });
    }
    group.finish();
}

type Shell = Connection<DuplexStream, Null>;

async fn shells() -> (Shell, Shell) {
    let (a, b) = tokio::io::duplex(DUPLEX_OCTETS);
    let (push, pull) = (push_config(), pull_config());
    let null = Null::new();
    tokio::try_join!(Connection::handshake(a, &push, &null), Connection::handshake(b, &pull, &null)).unwrap()
}

async fn send(mut push: Shell, payload: Bytes, mut messages: u64) -> Shell {
    while messages > 0 {
        let count = messages.min(batch_of(payload.len()));
        for _ in 0..count {
            push.feed(black_box(&payload)).unwrap();
        }
        push.flush().await.unwrap();
        messages -= count;
    }
    push
}

async fn receive(pull: &mut Shell, messages: u64) {
    for _ in 0..messages {
        match pull.recv_ref().await.unwrap() {
            Some(EventRef::Message(message)) => {
                black_box(message.first());
            }
            other => unreachable!("{other:?} instead of a message"),
        }
    }
}

/// Both sides, from the first octet to ready.
fn handshake(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("connection/handshake");
    group.throughput(Throughput::Elements(1));
    let (push, pull) = (push_config(), pull_config());
    group.bench_function("null", |bencher| {
        bencher.iter(|| pair(black_box(&push), black_box(&pull), &Null::new()).unwrap());
    });
    let any = AnyMechanism::new(Null::new());
    group.bench_function("any", |bencher| {
        bencher.iter(|| pair(black_box(&push), black_box(&pull), &any).unwrap());
    });
    group.finish();
}

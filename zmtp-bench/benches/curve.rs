//! CURVE: frames sealed and opened, beside the same box by others, and the handshake of each side.
//!
//! `zmtp` is all that a MESSAGE takes: name, counter, flags and box, from a payload to the octets of the wire, and back
//! in place. The others do the box alone. Each seals one frame after the other, as a connection does.
#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to measure")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput};
use crypto_box::SalsaBox;
use crypto_box::aead::AeadInPlace as _;
use zmtp_bench::sessions::{SessionOf, Sessions, sessions};
use zmtp_codec::keys::{KeyPair, SecretKey};
use zmtp_codec::{FrameKind, Identity, Opener as _, Properties, Sealer as _, SocketType};
use zmtp_connection::{CurveClient, CurveServer};

/// Octets of payload.
const SIZES: [usize; 7] = [16, 64, 256, 1024, 4096, 16_384, 65_536];
/// Octets of a MESSAGE beyond its payload.
const OVERHEAD: usize = 33;
const TAG: usize = 16;
/// Frames that are sealed in advance to be opened, in octets: little enough to stay in the cache.
const BATCH_OCTETS: usize = 64 * 1024;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("curve/seal");
    for size in SIZES {
        group.throughput(Throughput::Bytes(size as u64));
        seal(&mut group, size);
    }
    group.finish();
    let mut group = criterion.benchmark_group("curve/open");
    for size in SIZES {
        group.throughput(Throughput::Bytes(size as u64));
        open(&mut group, size);
    }
    group.finish();
    handshake(&mut criterion);
    criterion.final_summary();
}

fn secret(octet: u8) -> SecretKey {
    SecretKey::from_bytes([octet; 32]).unwrap()
}

fn ready() -> Sessions<SessionOf<CurveClient>, SessionOf<CurveServer>> {
    let server = KeyPair::from_secret(secret(1));
    let client = CurveClient::new(*server.public_key(), KeyPair::from_secret(secret(2)));
    let properties = Properties::for_socket(SocketType::Dealer, &Identity::ANONYMOUS);
    sessions(&client, &CurveServer::new(server), &properties).unwrap()
}

/// A nonce as CURVE has them: 16 octets that stay, and a counter.
fn nonce(counter: &mut u64) -> [u8; 24] {
    *counter += 1;
    let mut nonce = *b"CurveZMQMESSAGEC00000000";
    nonce[16..].copy_from_slice(&counter.to_be_bytes());
    nonce
}

fn seal(group: &mut BenchmarkGroup<'_, WallTime>, size: usize) {
    let payload = vec![7; size];
    // The others are given flags and payload in one piece.
    let plain = vec![7; 1 + size];
    let mut boxed = vec![0; TAG + plain.len()];

    let mut sealer = ready().ours.sealer;
    let mut body = vec![0; OVERHEAD + size];
    group.bench_function(BenchmarkId::new("zmtp", size), |bencher| {
        bencher.iter(|| sealer.seal(&[], FrameKind::Last, black_box(&payload), black_box(&mut body)).unwrap());
    });

    let crypto_box = SalsaBox::new(&(*secret(1).public_key().as_bytes()).into(), &[2; 32].into());
    let mut counter = 0;
    group.bench_function(BenchmarkId::new("crypto_box", size), |bencher| {
        bencher.iter(|| {
            let (tag, text) = boxed.split_at_mut(TAG);
            text.copy_from_slice(black_box(&plain));
            let sealed = crypto_box.encrypt_in_place_detached(&nonce(&mut counter).into(), &[], text).unwrap();
            tag.copy_from_slice(&sealed);
        });
    });

    let salsabox = salsabox::SecretBox::new([3; 32]);
    group.bench_function(BenchmarkId::new("salsabox", size), |bencher| {
        bencher.iter(|| {
            let (tag, text) = boxed.split_at_mut(TAG);
            text.copy_from_slice(black_box(&plain));
            tag.copy_from_slice(&salsabox.encrypt_detached(&nonce(&mut counter), text));
        });
    });

    #[cfg(feature = "libzmq")]
    {
        let key = zmtp_bench::peers::libsodium::BoxKey::new(secret(1).public_key().as_bytes(), &[2; 32]).unwrap();
        group.bench_function(BenchmarkId::new("libsodium", size), |bencher| {
            bencher.iter(|| key.seal(&nonce(&mut counter), black_box(&plain), black_box(&mut boxed)));
        });
    }
}

/// How long it takes to open `count` frames. Opening destroys what was sealed, so a batch is sealed anew between the
/// times that are taken.
fn time_opening(
    count: u64,
    frame_len: usize,
    mut seal: impl FnMut(&mut [u8]),
    mut open: impl FnMut(&mut [u8]),
) -> Duration {
    let batch = (BATCH_OCTETS / frame_len).clamp(1, 256);
    let mut frames = vec![0; batch * frame_len];
    let (mut left, mut elapsed) = (usize::try_from(count).unwrap(), Duration::ZERO);
    while left > 0 {
        let now = left.min(batch);
        let frames = &mut frames[..now * frame_len];
        frames.chunks_exact_mut(frame_len).for_each(&mut seal);
        let begun = Instant::now();
        frames.chunks_exact_mut(frame_len).for_each(&mut open);
        elapsed += begun.elapsed();
        left -= now;
    }
    elapsed
}

fn open(group: &mut BenchmarkGroup<'_, WallTime>, size: usize) {
    let payload = vec![7; size];
    let plain = vec![7; 1 + size];
    let boxed_len = TAG + plain.len();

    let Sessions { ours, theirs, .. } = ready();
    let (mut sealer, mut opener) = (ours.sealer, theirs.opener);
    group.bench_function(BenchmarkId::new("zmtp", size), |bencher| {
        bencher.iter_custom(|count| {
            let seal = |body: &mut [u8]| sealer.seal(&[], FrameKind::Last, &payload, body).unwrap();
            time_opening(count, OVERHEAD + size, seal, |body| {
                black_box(opener.open(&[], FrameKind::Last, body).unwrap());
            })
        });
    });

    let crypto_box = SalsaBox::new(&(*secret(1).public_key().as_bytes()).into(), &[2; 32].into());
    let (mut sealed, mut opened) = (0, 0);
    group.bench_function(BenchmarkId::new("crypto_box", size), |bencher| {
        bencher.iter_custom(|count| {
            let seal = |boxed: &mut [u8]| {
                let (tag, text) = boxed.split_at_mut(TAG);
                text.copy_from_slice(&plain);
                tag.copy_from_slice(
                    &crypto_box.encrypt_in_place_detached(&nonce(&mut sealed).into(), &[], text).unwrap(),
                );
            };
            time_opening(count, boxed_len, seal, |boxed| {
                let (tag, text) = boxed.split_at_mut(TAG);
                let nonce = nonce(&mut opened).into();
                crypto_box.decrypt_in_place_detached(&nonce, &[], text, (&*tag).into()).unwrap();
            })
        });
    });

    let salsabox = salsabox::SecretBox::new([3; 32]);
    let (mut sealed, mut opened) = (0, 0);
    group.bench_function(BenchmarkId::new("salsabox", size), |bencher| {
        bencher.iter_custom(|count| {
            let seal = |boxed: &mut [u8]| {
                let (tag, text) = boxed.split_at_mut(TAG);
                text.copy_from_slice(&plain);
                tag.copy_from_slice(&salsabox.encrypt_detached(&nonce(&mut sealed), text));
            };
            time_opening(count, boxed_len, seal, |boxed| {
                let (tag, text) = boxed.split_first_chunk_mut::<TAG>().unwrap();
                salsabox.decrypt_detached(&nonce(&mut opened), text, tag).unwrap();
            })
        });
    });

    #[cfg(feature = "libzmq")]
    {
        let key = zmtp_bench::peers::libsodium::BoxKey::new(secret(1).public_key().as_bytes(), &[2; 32]).unwrap();
        let (mut sealed, mut opened, mut into) = (0, 0, plain.clone());
        group.bench_function(BenchmarkId::new("libsodium", size), |bencher| {
            bencher.iter_custom(|count| {
                let seal = |boxed: &mut [u8]| key.seal(&nonce(&mut sealed), &plain, boxed);
                time_opening(count, boxed_len, seal, |boxed| {
                    assert!(key.open(&nonce(&mut opened), boxed, &mut into));
                })
            });
        });
    }
}

/// From greetings to sessions, without a connection: what each side's processor spends on it.
fn handshake(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("curve/handshake");
    group.throughput(Throughput::Elements(1));
    let mut measure = |name: &str, time: fn(&Sessions<SessionOf<CurveClient>, SessionOf<CurveServer>>) -> Duration| {
        let server_keys = KeyPair::from_secret(secret(1));
        let client = CurveClient::new(*server_keys.public_key(), KeyPair::from_secret(secret(2)));
        let server = CurveServer::new(server_keys);
        let properties = Properties::for_socket(SocketType::Dealer, &Identity::ANONYMOUS);
        group.bench_function(name, |bencher| {
            bencher
                .iter_custom(|count| (0..count).map(|_| time(&sessions(&client, &server, &properties).unwrap())).sum());
        });
    };
    measure("client", |sessions| sessions.our_time);
    measure("server", |sessions| sessions.their_time);
    group.finish();
}

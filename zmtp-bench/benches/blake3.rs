//! The BLAKE3 mechanisms: frames sealed and opened, beside the same work by others, and the handshake of each side.
//!
//! `zmtp` is a whole frame of `BLAKE3-CHACHAPOLY`, its header authenticated: from a payload to the octets behind the header,
//! and back in place. `zmtp-blake3zmq` is one of the suite `BLAKE3`, and `zmtp-curve` the same payload in a MESSAGE of CURVE.
//! The others are ciphers alone, given payload and header of the frame; `ring` and `chacha20-blake3`, which work in place,
//! copy the payload first. Each seals one frame after the other, as a connection does.
#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to measure")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use chacha20_blake3::Session;
use chacha20poly1305::aead::{AeadInOut as _, KeyInit as _, inout::InOutBuf};
use chacha20poly1305::{ChaCha20Poly1305, Tag};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use zmtp_bench::sessions::{SessionOf, Sessions, sessions};
use zmtp_codec::keys::{KeyPair, SecretKey};
use zmtp_codec::{EncodedHeader, FrameHeader, FrameKind, Identity, Mechanism, Opener, Properties, Sealer, SocketType};
use zmtp_connection::{CurveClient, CurveServer};
use zmtp_mechanism_blake3::{Blake3Client, Blake3Server, Blake3ZmqClient, Blake3ZmqServer};

/// Octets of payload.
const SIZES: [usize; 6] = [64, 256, 1024, 4096, 16_384, 65_536];
const KEY: [u8; 32] = [3; 32];
/// Octets of a tag of Poly1305, and of BLAKE3.
const TAG: usize = 16;
const LONG_TAG: usize = 32;
/// Frames that are sealed in advance to be opened, in octets: little enough to stay in the cache.
const BATCH_OCTETS: usize = 64 * 1024;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for what in [What::Seal, What::Open] {
        let mut group = criterion.benchmark_group(what.group());
        for size in SIZES {
            group.throughput(Throughput::Bytes(size as u64));
            Frames { what, size, group: &mut group }.all();
        }
        group.finish();
    }
    handshake(&mut criterion);
    criterion.final_summary();
}

#[derive(Clone, Copy)]
enum What {
    Seal,
    Open,
}

impl What {
    const fn group(self) -> &'static str {
        match self {
            Self::Seal => "blake3/seal",
            Self::Open => "blake3/open",
        }
    }
}

/// Frames of one size, to be sealed or opened by each in turn.
struct Frames<'a, 'b> {
    what: What,
    size: usize,
    group: &'a mut BenchmarkGroup<'b, WallTime>,
}

impl Frames<'_, '_> {
    fn all(&mut self) {
        self.mechanism("zmtp", TAG, blake3());
        self.mechanism("zmtp-blake3zmq", LONG_TAG, blake3zmq());
        self.mechanism("zmtp-curve", 33, curve());
        self.ring();
        self.chacha20poly1305();
        self.chacha20_blake3();
    }

    /// Measures sealing a payload into a body that is longer by `overhead`, or opening that in place.
    fn measure(
        &mut self,
        name: &str,
        overhead: usize,
        mut seal: impl FnMut(&[u8], &mut [u8]),
        mut open: impl FnMut(&mut [u8]),
    ) {
        let payload = vec![7; self.size];
        let body_len = self.size + overhead;
        self.group.bench_function(BenchmarkId::new(name, self.size), |bencher| match self.what {
            What::Seal => {
                let mut body = vec![0; body_len];
                bencher.iter(|| seal(black_box(&payload), black_box(&mut body)));
            }
            What::Open => {
                bencher.iter_custom(|count| time_opening(count, body_len, |body| seal(&payload, body), &mut open));
            }
        });
    }

    fn mechanism<C: Mechanism, S: Mechanism>(&mut self, name: &str, overhead: usize, (client, server): (C, S)) {
        let Sessions { ours, theirs, .. } = sessions(&client, &server, &properties()).unwrap();
        let (mut sealer, mut opener) = (ours.sealer, theirs.opener);
        let header = header(self.size + overhead);
        self.measure(
            name,
            overhead,
            |payload, body| sealer.seal(&header, FrameKind::Last, payload, body).unwrap(),
            |body| {
                black_box(opener.open(&header, FrameKind::Last, body).unwrap());
            },
        );
    }

    fn ring(&mut self) {
        let key = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &KEY).unwrap());
        let header = header(self.size + TAG);
        let (mut sealed, mut opened) = (0, 0);
        self.measure(
            "ring",
            TAG,
            |payload, body| {
                let (text, tag) = body.split_at_mut(payload.len());
                text.copy_from_slice(payload);
                let nonce = Nonce::assume_unique_for_key(nonce(&mut sealed));
                tag.copy_from_slice(key.seal_in_place_separate_tag(nonce, Aad::from(&*header), text).unwrap().as_ref());
            },
            |body| {
                let nonce = Nonce::assume_unique_for_key(nonce(&mut opened));
                key.open_in_place(nonce, Aad::from(&*header), body).unwrap();
            },
        );
    }

    fn chacha20poly1305(&mut self) {
        let cipher = ChaCha20Poly1305::new(&KEY.into());
        let header = header(self.size + TAG);
        let (mut sealed, mut opened) = (0, 0);
        self.measure(
            "chacha20poly1305",
            TAG,
            |payload, body| {
                let (text, tag) = body.split_at_mut(payload.len());
                let both = InOutBuf::new(payload, text).unwrap();
                let nonce = nonce(&mut sealed);
                tag.copy_from_slice(&cipher.encrypt_inout_detached((&nonce).into(), &header, both).unwrap());
            },
            |body| {
                let (text, tag) = body.split_last_chunk_mut::<TAG>().unwrap();
                let (nonce, tag) = (nonce(&mut opened), Tag::from(*tag));
                cipher.decrypt_inout_detached((&nonce).into(), &header, text.into(), &tag).unwrap();
            },
        );
    }

    fn chacha20_blake3(&mut self) {
        let session = || Session::<20>::new(KEY, [4; 32], [5; 8]);
        let (mut sealer, mut opener) = (session(), session());
        let header = header(self.size + LONG_TAG);
        self.measure(
            "chacha20-blake3",
            LONG_TAG,
            |payload, body| {
                let (text, tag) = body.split_at_mut(payload.len());
                text.copy_from_slice(payload);
                tag.copy_from_slice(&sealer.encrypt_in_place_detached(text, &header));
            },
            |body| {
                let (text, tag) = body.split_last_chunk_mut::<LONG_TAG>().unwrap();
                opener.decrypt_in_place_detached(text, tag, &header).unwrap();
            },
        );
    }
}

fn header(body_len: usize) -> EncodedHeader {
    FrameHeader::new(FrameKind::Last, body_len as u64).encode()
}

/// A nonce that counts.
fn nonce(counter: &mut u64) -> [u8; 12] {
    *counter += 1;
    let mut nonce = [6; 12];
    nonce[4..].copy_from_slice(&counter.to_be_bytes());
    nonce
}

/// How long it takes to open `count` frames. Opening destroys what was sealed, so a batch is sealed anew between the
/// times that are taken.
fn time_opening(
    count: u64,
    body_len: usize,
    mut seal: impl FnMut(&mut [u8]),
    mut open: impl FnMut(&mut [u8]),
) -> Duration {
    let batch = (BATCH_OCTETS / body_len).clamp(1, 256);
    let mut bodies = vec![0; batch * body_len];
    let (mut left, mut elapsed) = (usize::try_from(count).unwrap(), Duration::ZERO);
    while left > 0 {
        let now = left.min(batch);
        let bodies = &mut bodies[..now * body_len];
        bodies.chunks_exact_mut(body_len).for_each(&mut seal);
        let begun = Instant::now();
        bodies.chunks_exact_mut(body_len).for_each(&mut open);
        elapsed += begun.elapsed();
        left -= now;
    }
    elapsed
}

fn secret(octet: u8) -> SecretKey {
    SecretKey::from_bytes([octet; 32]).unwrap()
}

fn blake3() -> (Blake3Client, Blake3Server) {
    let server = KeyPair::from_secret(secret(1));
    let client = Blake3Client::new(*server.public_key(), KeyPair::from_secret(secret(2)));
    (client, Blake3Server::new(server))
}

fn blake3zmq() -> (Blake3ZmqClient, Blake3ZmqServer) {
    let server = KeyPair::from_secret(secret(1));
    let client = Blake3ZmqClient::new(*server.public_key(), KeyPair::from_secret(secret(2)));
    (client, Blake3ZmqServer::new(server))
}

fn curve() -> (CurveClient, CurveServer) {
    let server = KeyPair::from_secret(secret(1));
    let client = CurveClient::new(*server.public_key(), KeyPair::from_secret(secret(2)));
    (client, CurveServer::new(server))
}

fn properties() -> Properties {
    Properties::for_socket(SocketType::Dealer, &Identity::ANONYMOUS)
}

/// From greetings to sessions, without a connection: what each side's processor spends on it.
fn handshake(criterion: &mut Criterion) {
    fn measure<C: Mechanism, S: Mechanism>(
        group: &mut BenchmarkGroup<'_, WallTime>,
        name: &str,
        (client, server): (C, S),
    ) {
        let mut side = |side: &str, time: fn(&Sessions<SessionOf<C>, SessionOf<S>>) -> Duration| {
            group.bench_function(BenchmarkId::new(name, side), |bencher| {
                bencher.iter_custom(|count| {
                    (0..count).map(|_| time(&sessions(&client, &server, &properties()).unwrap())).sum()
                });
            });
        };
        side("client", |sessions| sessions.our_time);
        side("server", |sessions| sessions.their_time);
    }
    let mut group = criterion.benchmark_group("blake3/handshake");
    group.throughput(Throughput::Elements(1));
    measure(&mut group, "zmtp", blake3());
    measure(&mut group, "zmtp-blake3zmq", blake3zmq());
    measure(&mut group, "zmtp-curve", curve());
    group.finish();
}

//! The codec by itself: what one header, greeting, list of properties and command cost to read and to write.
//!
//! Whole frames are measured where they are made and taken apart, in the `connection` benches.
#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to measure")]

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput};
use zmtp_codec::{
    Command, FrameHeader, FrameKind, Greeting, Group, HeartbeatContext, Identity, MechanismName, Ping, Properties,
    SocketType, Ttl,
};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    header_decode(&mut criterion);
    header_encode(&mut criterion);
    greeting_decode(&mut criterion);
    properties_decode(&mut criterion);
    command_decode(&mut criterion);
    criterion.final_summary();
}

/// A header of each length, by the name of the bench.
fn headers() -> [(&'static str, FrameHeader); 2] {
    [("short", FrameHeader::new(FrameKind::Last, 16)), ("long", FrameHeader::new(FrameKind::Last, 4096))]
}

fn header_decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codec/header_decode");
    group.throughput(Throughput::Elements(1));
    for (name, header) in headers() {
        let wire = header.encode();
        group.bench_function(name, |bencher| {
            bencher.iter(|| FrameHeader::decode(black_box(&wire)));
        });
    }
    group.finish();
}

fn header_encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codec/header_encode");
    group.throughput(Throughput::Elements(1));
    for (name, header) in headers() {
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(header).encode());
        });
    }
    group.finish();
}

fn greeting_decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codec/greeting_decode");
    group.throughput(Throughput::Elements(1));
    let wire = Greeting::new(MechanismName::NULL, false).to_bytes();
    group.bench_function("null", |bencher| {
        bencher.iter(|| Greeting::decode(black_box(&wire)));
    });
    group.finish();
}

fn properties_decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codec/properties_decode");
    let usual = Properties::for_socket(SocketType::Dealer, &Identity::new("worker-7").unwrap());
    let mut most = Properties::new();
    for index in 0..Properties::DEFAULT_MAX_COUNT {
        most.push(format!("X-Property-{index}"), Bytes::from_static(b"a value of usual length")).unwrap();
    }
    for (name, properties) in [("usual", usual), ("most", most)] {
        let mut wire = Vec::new();
        properties.encode(&mut wire);
        group.throughput(Throughput::Elements(properties.len() as u64));
        group.bench_function(name, |bencher| {
            // Dropping what was decoded is left out of the time.
            bencher.iter_batched(
                || (),
                |()| Properties::decode(black_box(&wire), Properties::DEFAULT_MAX_COUNT),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn command_decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codec/command_decode");
    group.throughput(Throughput::Elements(1));
    let context = HeartbeatContext::new(&[7; 8]).unwrap();
    let commands = [
        ("subscribe", Command::Subscribe(Bytes::from_static(b"weather.oslo"))),
        ("join", Command::Join(Group::new("weather").unwrap())),
        ("ping", Command::Ping(Ping::new(Ttl::from_deciseconds(100), context))),
    ];
    for (name, command) in commands {
        let mut body = Vec::new();
        command.encode_body(&mut body);
        let body = Bytes::from(body);
        group.bench_function(name, |bencher| {
            // A shared body, as it comes out of a receive buffer; taking the share is left out of the time.
            bencher.iter_batched(|| body.clone(), Command::decode, BatchSize::SmallInput);
        });
    }
    group.finish();
}

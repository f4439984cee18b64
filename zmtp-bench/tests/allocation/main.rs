//! How much heap a connection takes: nothing per message in the steady state, nothing on the strength of a length that
//! a peer merely declared, and little while it is idle.
//!
//! Counts are exact and the same on every machine, so these bounds are close to what was measured. Each test runs on a
//! thread of its own and counts that thread only.
#![expect(clippy::unwrap_used, reason = "what cannot be set up has failed the test")]

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{BufMut, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use zmtp_bench::alloc::{CountingAllocator, Counts, live, measure};
use zmtp_bench::pair::{Side, pair};
use zmtp_codec::{
    AnyMechanism, Command, Commands, FrameHeader, FrameKind, Greeting, HeartbeatContext, Identity, Mechanism,
    MechanismName, Opener, Ping, Properties, Sealer, SocketType, Ttl, UnknownCommand,
};
use zmtp_connection::proto::{Decoded, Decoder, Encoder, Establish, LARGE_BODY, Outcome};
use zmtp_connection::{Connection, ConnectionConfig, DecodeError, EventRef, HandshakeCause, Message, Null};

mod blake3;
mod curve;
mod declared;
mod floods;
mod in_place;
mod steady;
mod whole;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Lives as long as any handshake.
pub(crate) static NULL: Null = Null::new();

pub(crate) const KIB: usize = 1024;
pub(crate) const MIB: usize = 1024 * KIB;
/// How far memory may run ahead of what was received (the design's own bound).
pub(crate) const AHEAD: i64 = 256 * 1024;
/// The reads that the shell makes under load, and on a quiet connection.
pub(crate) const READ: usize = 64 * KIB;
pub(crate) const QUIET_READ: usize = 4 * KIB;

/// The part sizes of the messages that the steady state is tested with.
pub(crate) const SHAPES: [&[usize]; 5] = [&[16], &[256], &[4000], &[20, 0, 300], &[0, 4, 0, 0, 1, 255, 256]];

pub(crate) fn config() -> ConnectionConfig {
    ConnectionConfig::new(SocketType::Dealer)
}

pub(crate) fn ready() -> (Side<Null>, Side<Null>) {
    pair(&config(), &config(), &NULL).unwrap()
}

pub(crate) fn header(kind: FrameKind, size: u64) -> Vec<u8> {
    FrameHeader::new(kind, size).encode().to_vec()
}

pub(crate) fn frame(kind: FrameKind, body: &[u8]) -> Vec<u8> {
    [header(kind, body.len() as u64).as_slice(), body].concat()
}

pub(crate) fn command(command: &Command) -> Vec<u8> {
    let mut body = Vec::new();
    command.encode_body(&mut body);
    frame(FrameKind::Command, &body)
}

/// The frames of one message with parts of these sizes.
pub(crate) fn message_wire(shape: &[usize]) -> Vec<u8> {
    let kind = |index| FrameKind::message(index + 1 < shape.len());
    shape.iter().enumerate().flat_map(|(index, &size)| frame(kind(index), &vec![7; size])).collect()
}

/// As many repetitions of `unit` as fit into `octets`, and how many those are.
pub(crate) fn repeated(unit: &[u8], octets: usize) -> (Vec<u8>, usize) {
    let count = octets / unit.len();
    (unit.repeat(count), count)
}

/// Hands `octets` over in reads of at most `read` octets, and everything found in them to `found`.
pub(crate) fn deliver<O: Opener>(
    decoder: &mut Decoder<O>,
    octets: &[u8],
    read: usize,
    mut found: impl FnMut(&mut Decoder<O>, Decoded),
) -> Result<(), DecodeError> {
    let mut rest = octets;
    while !rest.is_empty() {
        let mut room = decoder.receive_buffer(read);
        let count = rest.len().min(read).min(room.remaining_mut());
        room.put_slice(&rest[..count]);
        rest = &rest[count..];
        while let Some(decoded) = decoder.poll()? {
            found(decoder, decoded);
        }
    }
    Ok(())
}

/// Pushes `message` so many times, and has everything written out.
pub(crate) fn send<S: Sealer>(encoder: &mut Encoder<S>, parts: &[Bytes], times: usize) {
    for _ in 0..times {
        encoder.push(parts).unwrap();
    }
    while let Some(chunk) = encoder.chunks().next() {
        let count = chunk.len();
        encoder.advance(count);
    }
}

#[track_caller]
pub(crate) fn assert_at_most(octets: i64, limit: i64, what: &str) {
    assert!(octets <= limit, "{what}: {octets} octets of heap, {limit} allowed");
}

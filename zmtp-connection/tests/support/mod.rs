//! A connection without sockets: two cores joined by byte vectors, a peer written by hand in octets, and a small
//! encrypting mechanism (`fake`).
#![allow(dead_code, reason = "every test file uses its own part of this")]

pub(crate) mod fake;
pub(crate) mod wire;

use std::time::Duration;

use bytes::BufMut;
use zmtp_connection::codec::{
    Claim, ClearOpener, ClearSealer, Command, Handshake, Mechanism, Opener, Ping, Pong, Sealer, SocketType, Verdict,
};
use zmtp_connection::proto::{
    Authorize, Decoded, DecodedFrame, Decoder, Encoder, Establish, Established, Failure, Outcome,
};
use zmtp_connection::{ConnectionConfig, DecodeError, HandshakeError, Limits, Null};

pub(crate) type SealerOf<M> = <<M as Mechanism>::Handshake as Handshake>::Sealer;
pub(crate) type OpenerOf<M> = <<M as Mechanism>::Handshake as Handshake>::Opener;
/// A ready connection under the mechanism `M`.
pub(crate) type Ready<M> = Established<SealerOf<M>, OpenerOf<M>>;
/// A ready connection under NULL.
pub(crate) type ReadyNull = Established<ClearSealer, ClearOpener>;

/// NULL as most peers speak it.
pub(crate) const NULL: Null = Null::new();
/// The time at which handshakes happen here.
pub(crate) const NOW: Duration = Duration::from_secs(1000);

/// One side of a [`Pair`] while it is being established.
enum Side<'a, M: Mechanism> {
    Pending(Establish<'a, M>),
    Authorize(Authorize<'a, M>),
    Ready(Box<Ready<M>>),
    Failed(Failure),
}

impl<'a, M: Mechanism> Side<'a, M> {
    fn after(outcome: Outcome<'a, M>) -> Self {
        match outcome {
            Outcome::Pending(establish) => Self::Pending(establish),
            Outcome::Authorize(authorize) => Self::Authorize(authorize),
            Outcome::Ready(ready) => Self::Ready(Box::new(ready)),
            Outcome::Failed(failure) => Self::Failed(failure),
        }
    }

    /// Takes up to `most` octets that wait to be sent.
    fn take(&mut self, most: usize) -> Vec<u8> {
        match self {
            Self::Pending(establish) => {
                let octets = first(establish.transmit(), most);
                establish.transmitted(octets.len());
                octets
            }
            Self::Authorize(authorize) => {
                let octets = first(authorize.transmit(), most);
                authorize.transmitted(octets.len());
                octets
            }
            Self::Ready(ready) => {
                let octets = first(ready.encoder.chunks().next().unwrap_or_default(), most);
                ready.encoder.advance(octets.len());
                octets
            }
            Self::Failed(failure) => {
                let most = most.min(failure.last_words.len());
                failure.last_words.drain(..most).collect()
            }
        }
    }

    /// Hands over what came from the other side.
    fn give(self, octets: &[u8]) -> Self {
        match self {
            Self::Pending(mut establish) => {
                establish.receive(octets);
                Self::after(establish.advance(NOW))
            }
            Self::Ready(mut ready) => {
                receive_all(&mut ready.decoder, octets);
                Self::Ready(ready)
            }
            // A side that waits for a verdict does not read; one that failed listens no more.
            other => other,
        }
    }

    fn answer(self, verdict: &Verdict, claims: &mut Vec<Claim>) -> Self {
        match self {
            Self::Authorize(authorize) => {
                claims.push(authorize.claim().clone());
                Self::after(authorize.decide(verdict.clone(), NOW))
            }
            other => other,
        }
    }
}

fn first(octets: &[u8], most: usize) -> Vec<u8> {
    octets[..octets.len().min(most)].to_vec()
}

/// Two connections joined by nothing but the calls below.
pub(crate) struct Pair<A: Mechanism, B: Mechanism> {
    pub(crate) a: Ready<A>,
    pub(crate) b: Ready<B>,
    /// What either side was asked to judge.
    pub(crate) claims: Vec<Claim>,
}

/// How a handshake between two of our own cores ended on both sides; `None` where a side was left waiting.
pub(crate) struct Ended<A: Mechanism, B: Mechanism> {
    pub(crate) a: Option<Result<Ready<A>, HandshakeError>>,
    pub(crate) b: Option<Result<Ready<B>, HandshakeError>>,
    pub(crate) claims: Vec<Claim>,
}

/// Runs a whole handshake in pieces of at most `chunk` octets. Every question is answered with `verdict`.
pub(crate) fn shake<A: Mechanism, B: Mechanism>(
    a: (&ConnectionConfig, &A),
    b: (&ConnectionConfig, &B),
    verdict: &Verdict,
    chunk: usize,
) -> Ended<A, B> {
    let (mut claims, mut idle) = (Vec::new(), false);
    let mut a = Side::Pending(Establish::new(a.0, a.1));
    let mut b = Side::Pending(Establish::new(b.0, b.1));
    while !idle {
        let (from_a, from_b) = (a.take(chunk), b.take(chunk));
        idle = from_a.is_empty() && from_b.is_empty();
        if !from_b.is_empty() {
            a = a.give(&from_b);
        }
        if !from_a.is_empty() {
            b = b.give(&from_a);
        }
        a = a.answer(verdict, &mut claims);
        b = b.answer(verdict, &mut claims);
    }
    Ended { a: end(a), b: end(b), claims }
}

fn end<M: Mechanism>(side: Side<'_, M>) -> Option<Result<Ready<M>, HandshakeError>> {
    match side {
        Side::Ready(ready) => Some(Ok(*ready)),
        Side::Failed(failure) => Some(Err(failure.error)),
        Side::Pending(_) | Side::Authorize(_) => None,
    }
}

impl<A: Mechanism, B: Mechanism> Pair<A, B> {
    /// Two connections after a handshake that has to succeed.
    pub(crate) fn new(a: (&ConnectionConfig, &A), b: (&ConnectionConfig, &B)) -> Self {
        let ended = shake(a, b, &Verdict::accept(), usize::MAX);
        match (ended.a, ended.b) {
            (Some(Ok(a)), Some(Ok(b))) => Self { a, b, claims: ended.claims },
            (a, b) => panic!("the handshake failed: {:?}, {:?}", a.map(Result::err), b.map(Result::err)),
        }
    }

    /// Moves everything that waits in `a` to `b`, and returns what `b` makes of it.
    pub(crate) fn a_to_b(&mut self) -> Vec<Event> {
        let octets = drain(&mut self.a.encoder);
        decode(&mut self.b.decoder, &octets, usize::MAX).unwrap()
    }
}

/// A pair of one mechanism with limits for `b`, which receives.
pub(crate) fn null_pair(a: SocketType, b: SocketType, limits: Limits) -> Pair<Null, Null> {
    let config = ConnectionConfig::builder(b).limits(limits).build().unwrap();
    Pair::new((&ConnectionConfig::new(a), &NULL), (&config, &NULL))
}

/// A NULL connection of `ours` with a handwritten peer, after the handshake, with nothing waiting to be sent.
pub(crate) fn ready(ours: SocketType, peer: SocketType) -> ReadyNull {
    ready_with(&ConnectionConfig::new(ours), wire::GREETING, peer)
}

/// As [`ready`], with limits.
pub(crate) fn ready_limited(ours: SocketType, peer: SocketType, limits: Limits) -> ReadyNull {
    ready_with(&ConnectionConfig::builder(ours).limits(limits).build().unwrap(), wire::GREETING, peer)
}

/// As [`ready`], with the whole configuration and the peer's greeting.
pub(crate) fn ready_with(config: &ConnectionConfig, greeting: [u8; 64], peer: SocketType) -> ReadyNull {
    let octets = [&greeting[..], &wire::ready(peer.as_str())].concat();
    match feed(config, &NULL, &octets, usize::MAX) {
        Outcome::Ready(mut ready) => {
            drain(&mut ready.encoder);
            ready
        }
        other => panic!("the handshake ended as {other:?}"),
    }
}

/// What a handshake under way has to send, all of it.
pub(crate) fn sent<M: Mechanism>(establish: &mut Establish<'_, M>) -> Vec<u8> {
    let mut octets = Vec::new();
    while !establish.transmit().is_empty() {
        let count = establish.transmit().len();
        octets.extend_from_slice(establish.transmit());
        establish.transmitted(count);
    }
    octets
}

/// One segment arrives.
pub(crate) fn give<'a, M: Mechanism>(mut establish: Establish<'a, M>, octets: &[u8]) -> Outcome<'a, M> {
    establish.receive(octets);
    establish.advance(NOW)
}

pub(crate) fn pending<M: Mechanism>(outcome: Outcome<'_, M>) -> Establish<'_, M> {
    match outcome {
        Outcome::Pending(establish) => establish,
        Outcome::Failed(failure) => panic!("{}", failure.error),
        other => panic!("{other:?}"),
    }
}

/// Gives a handwritten peer's octets to one core, in pieces of at most `chunk`, and says where that has led.
pub(crate) fn feed<'a, M: Mechanism>(
    config: &'a ConnectionConfig,
    mechanism: &'a M,
    octets: &[u8],
    chunk: usize,
) -> Outcome<'a, M> {
    let mut establish = Establish::new(config, mechanism);
    let mut pieces = octets.chunks(chunk);
    while let Some(piece) = pieces.next() {
        establish.receive(piece);
        match establish.advance(NOW) {
            Outcome::Pending(next) => establish = next,
            Outcome::Ready(mut ready) => {
                pieces.for_each(|piece| receive_all(&mut ready.decoder, piece));
                return Outcome::Ready(ready);
            }
            other => return other,
        }
    }
    Outcome::Pending(establish)
}

/// Copies octets in, of which no large body is due.
fn receive_all<O: Opener>(decoder: &mut Decoder<O>, mut octets: &[u8]) {
    while !octets.is_empty() {
        let count = decoder.receive(octets);
        assert!(count > 0, "poll is due first");
        octets = &octets[count..];
    }
}

/// The body of a frame, and what is behind it.
pub(crate) fn split_frame(octets: &[u8]) -> (u8, &[u8], &[u8]) {
    let flags = octets[0];
    let (header, size) = if flags & 2 == 0 {
        (2, usize::from(octets[1]))
    } else {
        (9, usize::try_from(u64::from_be_bytes(octets[1..9].try_into().unwrap())).unwrap())
    };
    (flags, &octets[header..header + size], &octets[header + size..])
}

/// Takes everything that waits in an encoder, as one octet string.
pub(crate) fn drain<S: Sealer>(encoder: &mut Encoder<S>) -> Vec<u8> {
    let mut octets = Vec::new();
    // A PONG may move up behind what was taken.
    while encoder.pending() > 0 {
        octets.extend(encoder.chunks().flatten());
        let count: usize = encoder.chunks().map(<[u8]>::len).sum();
        encoder.advance(count);
    }
    octets
}

/// What came out of a decoder, comparable however it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Message(Vec<Vec<u8>>),
    Command(Command),
    Ping(Ping),
    Pong(Pong),
}

impl Event {
    /// A message of these parts.
    pub(crate) fn message<P: AsRef<[u8]>>(parts: &[P]) -> Self {
        Self::Message(parts.iter().map(|part| part.as_ref().to_vec()).collect())
    }
}

/// How to read a decoder.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Interface {
    /// `poll` and `take_message`.
    Owned,
    /// `poll` and `message`.
    Lent,
    /// `poll_frame`.
    Frames,
}

/// Gives `octets` to a decoder in pieces of at most `chunk`, through the memory that it lends, and returns what it
/// found. An error is the last thing: what was found before it is lost here, see [`decode_until`].
pub(crate) fn decode<O: Opener>(
    decoder: &mut Decoder<O>,
    octets: &[u8],
    chunk: usize,
) -> Result<Vec<Event>, DecodeError> {
    match decode_until(decoder, octets, chunk) {
        (events, None) => Ok(events),
        (_, Some(error)) => Err(error),
    }
}

/// As [`decode`], with what was found before the error.
pub(crate) fn decode_until<O: Opener>(
    decoder: &mut Decoder<O>,
    octets: &[u8],
    chunk: usize,
) -> (Vec<Event>, Option<DecodeError>) {
    let mut reader = Reader::new(Interface::Owned);
    let error = octets.chunks(chunk).find_map(|piece| reader.read(decoder, piece).err());
    (reader.events, error)
}

/// Reads a decoder through one of its interfaces and notes what it finds.
pub(crate) struct Reader {
    interface: Interface,
    parts: Vec<Vec<u8>>,
    pub(crate) events: Vec<Event>,
}

impl Reader {
    pub(crate) const fn new(interface: Interface) -> Self {
        Self { interface, parts: Vec::new(), events: Vec::new() }
    }

    /// One segment arrives; it may take several reads.
    pub(crate) fn read<O: Opener>(&mut self, decoder: &mut Decoder<O>, octets: &[u8]) -> Result<(), DecodeError> {
        // What waits from the handshake comes first.
        self.poll(decoder)?;
        let mut rest = octets;
        while !rest.is_empty() {
            let mut room = decoder.receive_buffer(rest.len());
            let count = rest.len().min(room.remaining_mut());
            assert!(count > 0, "a decoder that wants more octets lends memory");
            room.put_slice(&rest[..count]);
            rest = &rest[count..];
            self.poll(decoder)?;
        }
        Ok(())
    }

    fn poll<O: Opener>(&mut self, decoder: &mut Decoder<O>) -> Result<(), DecodeError> {
        while let Some(event) = self.next(decoder)? {
            self.events.extend(event);
        }
        Ok(())
    }

    fn next<O: Opener>(&mut self, decoder: &mut Decoder<O>) -> Result<Option<Option<Event>>, DecodeError> {
        if let Interface::Frames = self.interface {
            return Ok(decoder.poll_frame()?.map(|frame| match frame {
                DecodedFrame::Part { payload, more } => {
                    self.parts.push(payload.to_vec());
                    (!more).then(|| Event::Message(std::mem::take(&mut self.parts)))
                }
                DecodedFrame::Command(command) => Some(Event::Command(command)),
                DecodedFrame::Ping(ping) => Some(Event::Ping(ping)),
                DecodedFrame::Pong(pong) => Some(Event::Pong(pong)),
                other => panic!("{other:?}"),
            }));
        }
        Ok(decoder.poll()?.map(|found| {
            Some(match found {
                Decoded::Message if matches!(self.interface, Interface::Owned) => {
                    Event::message(decoder.take_message().parts())
                }
                Decoded::Message => Event::message(&decoder.message().parts().collect::<Vec<_>>()),
                Decoded::Command(command) => Event::Command(command),
                Decoded::Ping(ping) => Event::Ping(ping),
                Decoded::Pong(pong) => Event::Pong(pong),
                other => panic!("{other:?}"),
            })
        }))
    }
}

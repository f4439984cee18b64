//! Callers, mechanisms and peers that do what they should not: nothing panics, and nothing is believed unseen.
#![cfg(feature = "null")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use support::fake::Fake;
use support::{Event, NOW, Ready, decode, feed, ready, wire};
use zmtp_connection::codec::{
    ClearOpener, ClearSealer, CommandName, Commands, FrameKind, Handshake, HandshakeContext, Mechanism, MechanismError,
    MechanismName, OpenError, Opened, Opener, Progress, Properties, Role, SealError, SealPlan, Sealer, Session,
    SocketType, Verdict, WireCommand,
};
use zmtp_connection::proto::{Decoded, Establish, Outcome};
use zmtp_connection::{ConnectionConfig, DecodeError, HandshakeCause, PushError, Stage};

const TYPE: SocketType = SocketType::Dealer;

#[test]
fn an_announced_message_outlives_octets_that_arrive_before_it_is_taken() {
    for more in [&b"\0\x05"[..], b"\0", &[0; 1000], &wire::part(false, &[1; 100_000])] {
        for parts in [&["hello"][..], &["a", "", "b"]] {
            let mut decoder = ready(TYPE, TYPE).decoder;
            decoder.receive(&wire::message(parts));
            assert_eq!(decoder.poll(), Ok(Some(Decoded::Message)));
            decoder.receive(more);
            assert!(decoder.message().parts().eq(parts.iter().map(|part| part.as_bytes())));
            let message = decoder.take_message();
            assert!(message.parts().iter().eq(parts), "{message:?}");
        }
    }
}

#[test]
fn what_arrived_before_a_message_was_taken_comes_after_it() {
    let mut decoder = ready(TYPE, TYPE).decoder;
    for taken in [true, false] {
        decoder.receive(&wire::message(&["first"]));
        assert_eq!(decoder.poll(), Ok(Some(Decoded::Message)));
        decoder.receive(&wire::message(&["second"]));
        if taken {
            assert_eq!(decoder.take_message().first(), "first");
        }
        assert_eq!(decoder.poll(), Ok(Some(Decoded::Message)));
        assert_eq!(decoder.take_message().first(), "second");
        assert_eq!(decoder.poll(), Ok(None));
    }
    let mut leftover = ready(TYPE, TYPE).decoder;
    leftover.receive(&wire::message(&["first"]));
    assert_eq!(leftover.poll(), Ok(Some(Decoded::Message)));
    leftover.receive(b"\0\x05sec");
    assert_eq!(leftover.into_leftover(), &b"\0\x05sec"[..]);
}

/// One empty part, whatever else is in the decoder.
#[test]
fn a_message_that_was_not_announced_is_empty() {
    let unfinished = [wire::part(true, b"first part"), wire::part(false, b"last")].concat();
    for octets in [&b""[..], b"\0", b"\0\x05hel", &unfinished[..14], &wire::header(2, 100_000), &wire::ping(0, b"ctx")]
    {
        let mut decoder = ready(TYPE, TYPE).decoder;
        decoder.receive(&wire::message(&["hello"]));
        assert_eq!(decoder.poll(), Ok(Some(Decoded::Message)));
        decoder.receive(octets);
        let _ = decoder.poll().unwrap();
        for _ in 0..2 {
            assert!(decoder.message().parts().eq([b""]), "{octets:?}");
            assert_eq!(decoder.take_message().parts(), [""], "{octets:?}");
            decoder.receive_buffer(10);
        }
    }
}

#[test]
fn asking_for_a_message_too_early_takes_nothing_from_it() {
    let octets = [wire::part(true, b"one"), wire::part(true, &[2; 300]), wire::part(false, b"three")].concat();
    let mut decoder = ready(TYPE, TYPE).decoder;
    for (at, octet) in octets.iter().enumerate() {
        decoder.receive(&[*octet]);
        let found = decoder.poll().unwrap();
        if at + 1 < octets.len() {
            assert_eq!(found, None);
            assert_eq!(decoder.take_message().parts(), [""]);
        } else {
            assert_eq!(found, Some(Decoded::Message));
        }
    }
    assert_eq!(decoder.take_message().parts(), [&b"one"[..], &[2; 300], b"three"]);
    assert_eq!(decoder.take_message().parts(), [""], "it was taken already");
}

/// What a mechanism that somebody else wrote may be like.
#[derive(Clone, Copy)]
struct Odd {
    /// Where its opener says that the payload is.
    payload: fn(usize) -> Range<usize>,
    /// Ignores every command but READY.
    patient: bool,
    encrypts: bool,
}

const ODD: Odd = Odd { payload: |len| 0..len, patient: false, encrypts: false };

impl Mechanism for Odd {
    type Handshake = Self;

    fn name(&self) -> MechanismName {
        MechanismName::new("ODD").unwrap()
    }

    fn role(&self) -> Role {
        Role::Peer
    }

    fn start(&self, _cx: HandshakeContext<'_>, _out: &mut Commands) -> Result<Progress<Self>, MechanismError> {
        Ok(Progress::NeedCommand(*self))
    }
}

impl Handshake for Odd {
    type Sealer = OddSealer;
    type Opener = OddOpener;

    fn handle(self, command: WireCommand<'_>, _out: &mut Commands) -> Result<Progress<Self>, MechanismError> {
        let ready = command.parse().ok().filter(|command| command.name == CommandName::READY.as_bytes());
        let Some(ready) = ready else {
            return if self.patient {
                Ok(Progress::NeedCommand(self))
            } else {
                Err(MechanismError::Misuse("no READY"))
            };
        };
        let properties = Properties::decode(ready.data, Properties::DEFAULT_MAX_COUNT).unwrap();
        let session = Session::new(OddSealer, OddOpener(self.payload), properties);
        Ok(Progress::Complete(if self.encrypts { session.encrypted() } else { session }))
    }

    fn authorize(self, _verdict: Verdict, _out: &mut Commands) -> Result<Progress<Self>, MechanismError> {
        Err(MechanismError::Misuse("no verdict was asked for"))
    }
}

/// What the sealer panics at.
const UNSEALABLE: &[u8] = b"unsealable";

/// Seals, and hides nothing.
struct OddSealer;

impl Sealer for OddSealer {
    fn plan(&self, kind: FrameKind, payload_len: usize) -> SealPlan {
        ClearSealer::new().plan(kind, payload_len)
    }

    fn seal(&mut self, header: &[u8], kind: FrameKind, payload: &[u8], body: &mut [u8]) -> Result<(), SealError> {
        assert_ne!(payload, UNSEALABLE);
        ClearSealer::new().seal(header, kind, payload, body)
    }
}

struct OddOpener(fn(usize) -> Range<usize>);

impl Opener for OddOpener {
    fn open(&mut self, header: &[u8], kind: FrameKind, body: &mut [u8]) -> Result<Opened, OpenError> {
        ClearOpener::new().open(header, kind, body)?;
        Ok(Opened::new(kind, (self.0)(body.len())))
    }
}

fn odd_octets() -> Vec<u8> {
    [&wire::greeting("ODD")[..], &wire::ready("DEALER")].concat()
}

fn odd_ready(mechanism: &Odd) -> Ready<Odd> {
    match feed(&ConnectionConfig::new(TYPE), mechanism, &odd_octets(), usize::MAX) {
        Outcome::Ready(ready) => ready,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_payload_that_an_opener_places_outside_of_its_frame_ends_the_connection() {
    let places: [fn(usize) -> Range<usize>; 5] = [
        |len| 0..len + 1,
        |len| len + 1..len + 1,
        |_| 0..usize::MAX,
        |len| Range { start: len, end: 0 },
        |_| usize::MAX..usize::MAX,
    ];
    for (at, payload) in places.into_iter().enumerate() {
        // The large one is received into an allocation of its own.
        for body in [&[1; 10][..], &[1; 100_000]] {
            for (octets, chunk) in [(wire::part(false, body), 1000), (wire::part(true, body), usize::MAX)] {
                let mut decoder = odd_ready(&Odd { payload, ..ODD }).decoder;
                let result = decode(&mut decoder, &octets, chunk);
                assert!(matches!(result, Err(DecodeError::Open(_))), "place {at}, {}: {result:?}", body.len());
                assert_eq!(decoder.poll(), Err(DecodeError::Poisoned));
            }
        }
        let mut decoder = odd_ready(&Odd { payload, ..ODD }).decoder;
        let result = decode(&mut decoder, &wire::ping(0, b"ctx"), usize::MAX);
        assert!(matches!(result, Err(DecodeError::Open(_))), "place {at}, a command: {result:?}");
    }
    let mut decoder = odd_ready(&Odd { payload: |len| len..len, ..ODD }).decoder;
    assert_eq!(decode(&mut decoder, &wire::part(false, b"x"), 1).unwrap(), [Event::message(&[""])]);
}

#[test]
fn a_frame_whose_sealer_panics_does_not_leave_and_nothing_follows_it() {
    for message in [&[UNSEALABLE][..], &[b"sealed", UNSEALABLE]] {
        let mut encoder = odd_ready(&ODD).encoder;
        encoder.push("before").unwrap();
        let before = encoder.pending();
        assert!(catch_unwind(AssertUnwindSafe(|| encoder.push(message))).is_err());
        assert_eq!(encoder.pending(), before, "{message:?}");
        assert_eq!(encoder.push("after"), Err(PushError::Poisoned), "{message:?}");
    }
}

#[test]
fn who_seals_is_encrypted_only_if_the_mechanism_says_so() {
    let ready = odd_ready(&ODD);
    assert!(!ready.encoder.is_identity() && !ready.peer.is_encrypted());
    assert!(odd_ready(&Odd { encrypts: true, ..ODD }).peer.is_encrypted());
}

/// A mechanism that ignores what it does not know.
const PATIENT: Odd = Odd { patient: true, ..ODD };

#[test]
fn any_number_of_commands_in_one_piece_needs_no_deep_stack() {
    let worker = std::thread::Builder::new().stack_size(256 * 1024).spawn(|| {
        let octets = [&wire::greeting("ODD")[..], &b"\x04\0".repeat(2048)].concat();
        match feed(&ConnectionConfig::new(TYPE), &PATIENT, &octets, usize::MAX) {
            Outcome::Failed(failure) => {
                assert_eq!(failure.error.stage(), Stage::Mechanism);
                assert!(!failure.error.may_reconnect());
                let cause = failure.error.cause();
                assert!(matches!(cause, HandshakeCause::TooManyCommands { limit: 64 }), "{cause:?}");
            }
            other => panic!("{other:?}"),
        }
    });
    worker.unwrap().join().unwrap();
}

#[test]
fn a_handshake_of_64_commands_may_succeed_and_one_of_65_fails() {
    let config = ConnectionConfig::new(TYPE);
    for (ignored, succeeds) in [(63, true), (64, false)] {
        // However they come: one by one they cost no less.
        for chunk in [1, usize::MAX] {
            let octets = [&wire::greeting("ODD")[..], &b"\x04\0".repeat(ignored), &wire::ready("DEALER")].concat();
            let outcome = feed(&config, &PATIENT, &octets, chunk);
            match outcome {
                Outcome::Ready(_) => assert!(succeeds, "{ignored} in pieces of {chunk}"),
                Outcome::Failed(failure) => {
                    assert!(!succeeds, "{ignored} in pieces of {chunk}: {failure:?}");
                    assert!(matches!(failure.error.cause(), HandshakeCause::TooManyCommands { .. }));
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

/// They are for the receiving side to set, and a judge would believe them.
#[test]
fn a_judge_sees_no_user_id_or_address_of_the_peers_own() {
    let forged = [
        wire::property("Socket-Type", b"DEALER"),
        wire::property("user-ID", b"root"),
        wire::property("X-Zone", b"eu"),
        wire::property("Peer-Address", b"127.0.0.1"),
    ]
    .concat();
    let octets =
        [&wire::greeting("FAKE")[..], &wire::command("HELLO", &[1; 32]), &wire::command("INITIATE", &forged)].concat();
    let (config, mechanism) = (ConnectionConfig::new(TYPE), Fake::server());
    let Outcome::Authorize(authorize) = feed(&config, &mechanism, &octets, usize::MAX) else { panic!() };
    let shown = authorize.claim().properties.as_ref().unwrap();
    let names: Vec<&str> = shown.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["Socket-Type", "X-Zone"]);
}

#[test]
fn an_identity_that_was_asked_for_is_announced_by_every_socket_type() {
    for socket_type in SocketType::ALL {
        let config = ConnectionConfig::builder(socket_type).identity("collector-7").build().unwrap();
        let announced = config.properties().get("Identity").map(|value| &value[..]);
        assert_eq!(announced, Some(&b"collector-7"[..]), "{socket_type}");
    }
    assert_eq!(ConnectionConfig::new(SocketType::Push).properties().get("Identity"), None, "libzmq sends none");
}

#[test]
fn the_identity_of_a_push_reaches_its_peer() {
    let config = ConnectionConfig::builder(SocketType::Push).identity("collector-7").build().unwrap();
    let null = support::NULL;
    let mut establish = Establish::new(&config, &null);
    establish.receive(&[&wire::GREETING[..], &wire::ready("PULL")].concat());
    let Outcome::Ready(ready) = establish.advance(NOW) else { panic!() };
    let sent: Vec<u8> = ready.encoder.chunks().flatten().copied().collect();
    let identity = wire::property("Identity", b"collector-7");
    assert!(sent.windows(identity.len()).any(|octets| octets == identity));
}

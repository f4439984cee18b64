//! Somebody on the path who changes, cuts, repeats and reorders commands: the handshake ends with an error, and never
//! with a session.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use std::time::Duration;

use proptest::collection;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use support::scripted::command;
use support::{
    HELLO_LENGTH, HELLO_PADDING, HELLO_VERSION, INITIATE_LENGTH, Pair, READY_LENGTH, Tested, WELCOME_LENGTH, answered,
    asked, client, completed, cryptographic, greeted, handle, handle_wire, listening, long_winded, on_each_suite,
    refused, server,
};
use zmtp_codec::{CommandError, Handshake, MechanismError, Progress};
use zmtp_mechanism_blake3::{ClientHandshake, ServerHandshake};

on_each_suite![
    a_changed_octet_in_hello_is_refused,
    a_changed_octet_in_welcome_is_refused,
    a_changed_octet_in_initiate_is_refused,
    a_changed_octet_in_ready_is_refused,
    a_hello_cut_to_any_length_is_refused,
    a_welcome_cut_to_any_length_is_refused,
    an_initiate_cut_to_any_length_is_refused,
    a_ready_cut_to_any_length_is_refused,
    a_command_with_an_octet_more_is_refused,
    a_command_twice_in_one_frame_is_refused,
    a_command_behind_a_longer_header_than_it_needs_is_refused,
    of_all_orders_of_the_commands_only_the_right_one_leads_to_an_end,
    nobody_ends_after_one_command,
    the_commands_that_the_tests_here_change_are_accepted_unchanged,
    anything_at_all_is_refused_in_every_state,
    a_genuine_command_with_other_octets_somewhere_is_refused,
];

/// The commands of a handshake. Every draw of the peers is fixed, so these are the genuine ones also for the fresh
/// handshakes that each of its states is made with.
struct Genuine<S: Tested>(Pair<S>);

impl<S: Tested> Genuine<S> {
    fn new() -> Self {
        Self(Pair::usual())
    }

    fn awaiting_hello(&self) -> (ServerHandshake<S>, Vec<u8>) {
        (listening(&server()), self.0.hello.clone())
    }

    fn awaiting_welcome(&self) -> (ClientHandshake<S>, Vec<u8>) {
        (greeted(&client()).0, self.0.welcome.clone())
    }

    fn awaiting_initiate(&self) -> (ServerHandshake<S>, Vec<u8>) {
        (answered(listening(&server()), &self.0.hello).0, self.0.initiate.clone())
    }

    fn awaiting_ready(&self) -> (ClientHandshake<S>, Vec<u8>) {
        (answered(greeted(&client()).0, &self.0.welcome).0, self.0.ready.clone())
    }
}

/// What becomes of a body because of its name: an error unless the name is `right`.
fn by_name(right: &str, expected: &'static str, body: &[u8]) -> Option<MechanismError> {
    let Some((&declared, rest)) = body.split_first() else {
        return Some(CommandError::EmptyBody.into());
    };
    let declared = usize::from(declared);
    if declared == 0 {
        return Some(CommandError::EmptyName.into());
    }
    let Some(name) = rest.get(..declared) else {
        return Some(CommandError::NameTruncated { declared, available: rest.len() }.into());
    };
    (name != right.as_bytes()).then(|| MechanismError::unexpected(expected, name))
}

/// Gives a fresh handshake its genuine command with each octet changed, and every sixteenth bit by bit, and wants what
/// `why` says of the octet's place where the name is still right.
fn flip_all<H: Handshake>(
    stage: impl Fn() -> (H, Vec<u8>),
    (right, expected): (&str, &'static str),
    why: impl Fn(usize) -> MechanismError,
) {
    // The last octet of C' in HELLO is one of these: X25519 ignores its top bit.
    let masks = |place: usize| match place % 16 {
        7 => vec![0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff],
        _ => vec![1 << (place % 8), 0xff],
    };
    let len = stage().1.len();
    for (place, mask) in (0..len).flat_map(|place| masks(place).into_iter().map(move |mask| (place, mask))) {
        let (handshake, mut body) = stage();
        body[place] ^= mask;
        let error = by_name(right, expected, &body).unwrap_or_else(|| why(place));
        assert_eq!(refused(handshake, &body), error, "octet {place} with {mask:#04x}");
    }
}

/// Gives a fresh handshake its genuine command cut to every length, and wants what `why` says of the length where the
/// name is whole.
fn cut_all<H: Handshake>(
    stage: impl Fn() -> (H, Vec<u8>),
    (right, expected): (&str, &'static str),
    why: impl Fn(usize) -> MechanismError,
) {
    for len in 0..stage().1.len() {
        let (handshake, body) = stage();
        let error = by_name(right, expected, &body[..len]).unwrap_or_else(|| why(len));
        assert_eq!(refused(handshake, &body[..len]), error, "{len} octets");
    }
}

/// Gives a fresh handshake its genuine command with one octet more.
fn extend<H: Handshake>(stage: impl Fn() -> (H, Vec<u8>), error: &MechanismError) {
    for octet in [0x00, 0xff] {
        let (handshake, mut body) = stage();
        body.push(octet);
        assert_eq!(&refused(handshake, &body), error);
    }
}

const AT_SERVER_FIRST: (&str, &str) = ("HELLO", "HELLO");
const AT_CLIENT_FIRST: (&str, &str) = ("WELCOME", "WELCOME or ERROR");
const AT_SERVER_LAST: (&str, &str) = ("INITIATE", "INITIATE");
const AT_CLIENT_LAST: (&str, &str) = ("READY", "READY or ERROR");

// ─── flipped ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/// K05 (a HELLO whose tag is wrong), and every other octet of it.
fn a_changed_octet_in_hello_is_refused<S: Tested>() {
    let genuine = Genuine::<S>::new();
    flip_all(
        || genuine.awaiting_hello(),
        AT_SERVER_FIRST,
        |place| match place {
            6..8 => HELLO_VERSION,
            40.. if place < 40 + S::ZEROS => HELLO_PADDING,
            _ => cryptographic("HELLO"),
        },
    );
}

/// K07 (a WELCOME whose tag is wrong), and every other octet of it.
fn a_changed_octet_in_welcome_is_refused<S: Tested>() {
    let genuine = Genuine::<S>::new();
    flip_all(|| genuine.awaiting_welcome(), AT_CLIENT_FIRST, |_| cryptographic("WELCOME"));
}

/// K10 (a cookie that was tampered with), K11 (a box of INITIATE that was), and every other octet of it.
fn a_changed_octet_in_initiate_is_refused<S: Tested>() {
    let genuine = Genuine::<S>::new();
    flip_all(|| genuine.awaiting_initiate(), AT_SERVER_LAST, |_| cryptographic("INITIATE"));
}

/// K15 (a READY that was tampered with).
fn a_changed_octet_in_ready_is_refused<S: Tested>() {
    let genuine = Genuine::<S>::new();
    flip_all(|| genuine.awaiting_ready(), AT_CLIENT_LAST, |_| cryptographic("READY"));
}

// ─── cut and extended ────────────────────────────────────────────────────────────────────────────────────────────────

/// K01 (a HELLO of another size): shorter ones, if a connection lets them through.
fn a_hello_cut_to_any_length_is_refused<S: Tested>() {
    let genuine = Genuine::<S>::new();
    cut_all(|| genuine.awaiting_hello(), AT_SERVER_FIRST, |_| HELLO_LENGTH);
}

/// K07 (a WELCOME of another size): shorter ones.
fn a_welcome_cut_to_any_length_is_refused<S: Tested>() {
    let genuine = Genuine::<S>::new();
    cut_all(|| genuine.awaiting_welcome(), AT_CLIENT_FIRST, |_| WELCOME_LENGTH);
}

fn an_initiate_cut_to_any_length_is_refused<S: Tested>() {
    let genuine = Genuine::<S>::new();
    let why = |len| if len < S::SIZES[2] { INITIATE_LENGTH } else { cryptographic("INITIATE") };
    cut_all(|| genuine.awaiting_initiate(), AT_SERVER_LAST, why);
}

fn a_ready_cut_to_any_length_is_refused<S: Tested>() {
    let genuine = Genuine::<S>::new();
    let why = |len| if len < S::SIZES[3] { READY_LENGTH } else { cryptographic("READY") };
    cut_all(|| genuine.awaiting_ready(), AT_CLIENT_LAST, why);
}

/// K01 (a HELLO of another size) and K07 (a WELCOME of another size): longer ones.
fn a_command_with_an_octet_more_is_refused<S: Tested>() {
    let genuine = Genuine::<S>::new();
    extend(|| genuine.awaiting_hello(), &HELLO_LENGTH);
    extend(|| genuine.awaiting_welcome(), &WELCOME_LENGTH);
    extend(|| genuine.awaiting_initiate(), &cryptographic("INITIATE"));
    extend(|| genuine.awaiting_ready(), &cryptographic("READY"));
}

fn a_command_twice_in_one_frame_is_refused<S: Tested>() {
    fn doubled<H: Handshake>((handshake, body): (H, Vec<u8>)) -> MechanismError {
        refused(handshake, &body.repeat(2))
    }
    let genuine = Genuine::<S>::new();
    assert_eq!(doubled(genuine.awaiting_hello()), HELLO_LENGTH);
    assert_eq!(doubled(genuine.awaiting_welcome()), WELCOME_LENGTH);
    assert_eq!(doubled(genuine.awaiting_initiate()), cryptographic("INITIATE"));
    assert_eq!(doubled(genuine.awaiting_ready()), cryptographic("READY"));
}

// ─── headers ─────────────────────────────────────────────────────────────────────────────────────────────────────────

fn a_command_behind_a_longer_header_than_it_needs_is_refused<S: Tested>() {
    fn behind_a_long_header<H: Handshake>((handshake, body): (H, Vec<u8>)) -> MechanismError {
        assert!(body.len() <= 255);
        let header = [&[0x06][..], &(body.len() as u64).to_be_bytes()].concat();
        let (result, sent) = handle_wire(handshake, &header, &body, Duration::ZERO);
        assert!(sent.is_empty());
        result.expect_err("accepted")
    }
    let genuine = Genuine::<S>::new();
    assert_eq!(behind_a_long_header(genuine.awaiting_hello()), long_winded("HELLO"));
    assert_eq!(behind_a_long_header(genuine.awaiting_welcome()), long_winded("WELCOME"));
    assert_eq!(behind_a_long_header(genuine.awaiting_ready()), long_winded("READY"));
    // No INITIATE is that short.
    assert!(S::SIZES[2] > 255);
}

// ─── repeated and reordered ──────────────────────────────────────────────────────────────────────────────────────────

/// Whether the peer came to its end (a session, or a verdict to give) or ended with an error, after these commands.
fn outcome<H: Handshake>(mut handshake: H, bodies: &[&[u8]]) -> Result<bool, MechanismError> {
    for body in bodies {
        match handle(handshake, body).0? {
            Progress::NeedCommand(next) => handshake = next,
            Progress::Authorize(..) | Progress::Complete(_) => return Ok(true),
        }
    }
    Ok(false)
}

fn of_all_orders_of_the_commands_only_the_right_one_leads_to_an_end<S: Tested>() {
    let Pair { hello, welcome, initiate, ready, .. } = Pair::<S>::usual();
    let commands = [("HELLO", &hello[..]), ("WELCOME", &welcome), ("INITIATE", &initiate), ("READY", &ready)];
    for (first_name, first) in commands {
        for (second_name, second) in commands {
            let unexpected = |expected, name: &str| Err(MechanismError::unexpected(expected, name.as_bytes()));
            let at_server = match (first_name, second_name) {
                ("HELLO", "INITIATE") => Ok(true),
                ("HELLO", _) => unexpected("INITIATE", second_name),
                _ => unexpected("HELLO", first_name),
            };
            let at_client = match (first_name, second_name) {
                ("WELCOME", "READY") => Ok(true),
                ("WELCOME", _) => unexpected("READY or ERROR", second_name),
                _ => unexpected("WELCOME or ERROR", first_name),
            };
            assert_eq!(outcome(listening(&server::<S>()), &[first, second]), at_server, "{first_name}, {second_name}");
            assert_eq!(outcome(greeted(&client::<S>()).0, &[first, second]), at_client, "{first_name}, {second_name}");
        }
    }
}

fn nobody_ends_after_one_command<S: Tested>() {
    let Pair { hello, welcome, .. } = Pair::<S>::usual();
    assert_eq!(outcome(listening(&server::<S>()), &[&hello]), Ok(false));
    assert_eq!(outcome(greeted(&client::<S>()).0, &[&welcome]), Ok(false));
}

fn the_commands_that_the_tests_here_change_are_accepted_unchanged<S: Tested>() {
    let genuine = Genuine::<S>::new();
    let (handshake, body) = genuine.awaiting_hello();
    answered(handshake, &body);
    let (handshake, body) = genuine.awaiting_welcome();
    answered(handshake, &body);
    let (handshake, body) = genuine.awaiting_initiate();
    asked(handshake, &body);
    let (handshake, body) = genuine.awaiting_ready();
    completed(handshake, &body);
}

// ─── anything ────────────────────────────────────────────────────────────────────────────────────────────────────────

/// Octets of a command, some of which look right up to their box.
fn anything<S: Tested>() -> impl Strategy<Value = Vec<u8>> {
    let octets = |len: core::ops::RangeInclusive<usize>| collection::vec(any::<u8>(), len);
    let named = |name: &'static str, len: usize, more: usize| {
        let len = len - 1 - name.len();
        octets(len..=len + more).prop_map(move |data| command(name, &[&data]))
    };
    let [hello, welcome, initiate, ready] = S::SIZES;
    prop_oneof![
        octets(0..=400),
        named("HELLO", hello, 0),
        (octets(32..=32), octets(64 + S::TAG_LEN..=64 + S::TAG_LEN))
            .prop_map(|(key, data)| command("HELLO", &[&[1, 0], &key, &vec![0; S::ZEROS], &data])),
        named("WELCOME", welcome, 0),
        named("INITIATE", initiate, 100),
        named("READY", ready, 400),
        named("ERROR", 7, 255),
        (prop::sample::select(vec!["HELLO", "WELCOME", "INITIATE", "READY", "ERROR", "MESSAGE"]), octets(0..=400))
            .prop_map(|(name, data)| command(name, &[&data])),
    ]
}

/// An error that a peer can cause at a stage where ERROR is legal or is not.
fn is_the_peers_fault(error: &MechanismError, error_is_legal: bool, body: &[u8]) -> bool {
    match error {
        MechanismError::Malformed { .. } | MechanismError::Cryptographic { .. } | MechanismError::Command(_) => true,
        MechanismError::UnexpectedCommand { .. } => !(error_is_legal && body.starts_with(b"\x05ERROR")),
        MechanismError::PeerError { .. } => error_is_legal && body.starts_with(b"\x05ERROR"),
        _ => false,
    }
}

fn runner() -> TestRunner {
    TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })
}

fn anything_at_all_is_refused_in_every_state<S: Tested>() {
    let genuine = Genuine::<S>::new();
    let refuses = |body: Vec<u8>| {
        for error in [refused(genuine.awaiting_hello().0, &body), refused(genuine.awaiting_initiate().0, &body)] {
            prop_assert!(is_the_peers_fault(&error, false, &body), "{error:?}");
        }
        for error in [refused(genuine.awaiting_welcome().0, &body), refused(genuine.awaiting_ready().0, &body)] {
            prop_assert!(is_the_peers_fault(&error, true, &body), "{error:?}");
        }
        Ok(())
    };
    runner().run(&anything::<S>(), refuses).unwrap();
}

fn a_genuine_command_with_other_octets_somewhere_is_refused<S: Tested>() {
    fn refuses<H: Handshake>((handshake, genuine): (H, Vec<u8>), splice: impl Fn(&[u8]) -> Vec<u8>) {
        let body = splice(&genuine);
        if body != genuine {
            refused(handshake, &body);
        }
    }
    let genuine = Genuine::<S>::new();
    let changes = (any::<prop::sample::Index>(), 0_usize..40, collection::vec(any::<u8>(), 0..40));
    let all_refuse = |(at, removed, inserted): (prop::sample::Index, usize, Vec<u8>)| {
        let splice = |genuine: &[u8]| {
            let start = at.index(genuine.len());
            let end = genuine.len().min(start + removed);
            [&genuine[..start], &inserted, &genuine[end..]].concat()
        };
        refuses(genuine.awaiting_hello(), splice);
        refuses(genuine.awaiting_welcome(), splice);
        refuses(genuine.awaiting_initiate(), splice);
        refuses(genuine.awaiting_ready(), splice);
        Ok(())
    };
    runner().run(&changes, all_refuse).unwrap();
}

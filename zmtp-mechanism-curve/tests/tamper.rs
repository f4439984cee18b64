//! Somebody on the path who changes, cuts, repeats and reorders commands: the handshake ends with an error, and never
//! with a session.
//!
//! One bit of all may change for a while: the top bit of C' in HELLO, which X25519 ignores (RFC 7748, section 5). The
//! server opens the HELLO and says WELCOME; the vouch, which names C' as the client knows it, then gives it away.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use std::sync::LazyLock;

use proptest::collection;
use proptest::prelude::*;
use support::scripted::command;
use support::{
    HELLO_LENGTH, HELLO_PADDING, HELLO_VERSION, INITIATE_LENGTH, Pair, READY_LENGTH, WELCOME_LENGTH, answered, asked,
    client, completed, cryptographic, greeted, handle, listening, refused, server,
};
use zmtp_codec::{CommandError, Handshake, MechanismError, Progress};
use zmtp_mechanism_curve::{ClientHandshake, ServerHandshake};

/// The commands of a handshake. Every draw of the peers is fixed, so these are the genuine ones also for the fresh
/// handshakes below.
static GENUINE: LazyLock<Pair> = LazyLock::new(|| Pair::new(&client(), &server()));

fn awaiting_hello() -> (ServerHandshake, Vec<u8>) {
    (listening(&server()), GENUINE.hello.clone())
}

fn awaiting_welcome() -> (ClientHandshake, Vec<u8>) {
    (greeted(&client()).0, GENUINE.welcome.clone())
}

fn awaiting_initiate() -> (ServerHandshake, Vec<u8>) {
    (answered(listening(&server()), &GENUINE.hello).0, GENUINE.initiate.clone())
}

fn awaiting_ready() -> (ClientHandshake, Vec<u8>) {
    (answered(greeted(&client()).0, &GENUINE.welcome).0, GENUINE.ready.clone())
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
/// `why` says of the octet's place where the name is still right. `None` from `why` is left out.
fn flip_all<H: Handshake>(
    stage: impl Fn() -> (H, Vec<u8>),
    (right, expected): (&str, &'static str),
    why: impl Fn(usize, u8) -> Option<MechanismError>,
) {
    // The last octet of each key is among the sixteenth ones in HELLO.
    let masks = |place: usize| match place % 16 {
        15 => vec![0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff],
        _ => vec![1 << (place % 8), 0xff],
    };
    let len = stage().1.len();
    for (place, mask) in (0..len).flat_map(|place| masks(place).into_iter().map(move |mask| (place, mask))) {
        let (handshake, mut body) = stage();
        body[place] ^= mask;
        let Some(error) = by_name(right, expected, &body).or_else(|| why(place, mask)) else { continue };
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

/// The octet of HELLO, and the bit in it, that X25519 ignores.
const IGNORED: (usize, u8) = (111, 0x80);

#[test]
fn a_changed_octet_in_hello_is_refused() {
    flip_all(awaiting_hello, AT_SERVER_FIRST, |place, mask| match place {
        6..8 => Some(HELLO_VERSION),
        8..80 => Some(HELLO_PADDING),
        _ if (place, mask) == IGNORED => None,
        _ => Some(cryptographic("HELLO")),
    });
}

#[test]
fn the_bit_of_hello_that_x25519_ignores_is_noticed_at_initiate() {
    let (client, mut hello) = greeted(&client());
    hello[IGNORED.0] ^= IGNORED.1;
    let (server, welcome) = answered(listening(&server()), &hello);
    let (_, initiate) = answered(client, &welcome);
    assert_eq!(refused(server, &initiate), cryptographic("INITIATE"));
}

#[test]
fn a_changed_octet_in_welcome_is_refused() {
    flip_all(awaiting_welcome, AT_CLIENT_FIRST, |_, _| Some(cryptographic("WELCOME")));
}

#[test]
fn a_changed_octet_in_initiate_is_refused() {
    flip_all(awaiting_initiate, AT_SERVER_LAST, |_, _| Some(cryptographic("INITIATE")));
}

#[test]
fn a_changed_octet_in_ready_is_refused() {
    flip_all(awaiting_ready, AT_CLIENT_LAST, |_, _| Some(cryptographic("READY")));
}

// ─── cut and extended ────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_hello_cut_to_any_length_is_refused() {
    cut_all(awaiting_hello, AT_SERVER_FIRST, |_| HELLO_LENGTH);
}

#[test]
fn a_welcome_cut_to_any_length_is_refused() {
    cut_all(awaiting_welcome, AT_CLIENT_FIRST, |_| WELCOME_LENGTH);
}

#[test]
fn an_initiate_cut_to_any_length_is_refused() {
    cut_all(
        awaiting_initiate,
        AT_SERVER_LAST,
        |len| {
            if len < 257 { INITIATE_LENGTH } else { cryptographic("INITIATE") }
        },
    );
}

#[test]
fn a_ready_cut_to_any_length_is_refused() {
    cut_all(awaiting_ready, AT_CLIENT_LAST, |len| if len < 30 { READY_LENGTH } else { cryptographic("READY") });
}

#[test]
fn a_command_with_an_octet_more_is_refused() {
    extend(awaiting_hello, &HELLO_LENGTH);
    extend(awaiting_welcome, &WELCOME_LENGTH);
    extend(awaiting_initiate, &cryptographic("INITIATE"));
    extend(awaiting_ready, &cryptographic("READY"));
}

#[test]
fn a_command_twice_in_one_frame_is_refused() {
    fn doubled<H: Handshake>((handshake, body): (H, Vec<u8>)) -> MechanismError {
        refused(handshake, &body.repeat(2))
    }
    assert_eq!(doubled(awaiting_hello()), HELLO_LENGTH);
    assert_eq!(doubled(awaiting_welcome()), WELCOME_LENGTH);
    assert_eq!(doubled(awaiting_initiate()), cryptographic("INITIATE"));
    assert_eq!(doubled(awaiting_ready()), cryptographic("READY"));
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

#[test]
fn of_all_orders_of_the_commands_only_the_right_one_leads_to_an_end() {
    let Pair { hello, welcome, initiate, ready, .. } = &*GENUINE;
    let commands = [("HELLO", &hello[..]), ("WELCOME", welcome), ("INITIATE", initiate), ("READY", ready)];
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
            assert_eq!(outcome(listening(&server()), &[first, second]), at_server, "{first_name}, {second_name}");
            assert_eq!(outcome(greeted(&client()).0, &[first, second]), at_client, "{first_name}, {second_name}");
        }
    }
}

#[test]
fn nobody_ends_after_one_command() {
    assert_eq!(outcome(listening(&server()), &[&GENUINE.hello]), Ok(false));
    assert_eq!(outcome(greeted(&client()).0, &[&GENUINE.welcome]), Ok(false));
}

#[test]
fn the_commands_that_the_tests_here_change_are_accepted_unchanged() {
    let (handshake, body) = awaiting_hello();
    answered(handshake, &body);
    let (handshake, body) = awaiting_welcome();
    answered(handshake, &body);
    let (handshake, body) = awaiting_initiate();
    asked(handshake, &body);
    let (handshake, body) = awaiting_ready();
    completed(handshake, &body);
}

// ─── anything ────────────────────────────────────────────────────────────────────────────────────────────────────────

/// Octets of a command, some of which look right up to their box.
fn anything() -> impl Strategy<Value = Vec<u8>> {
    let octets = |len: core::ops::RangeInclusive<usize>| collection::vec(any::<u8>(), len);
    let named = |name: &'static str, len| octets(len).prop_map(move |data| command(name, &[&data]));
    prop_oneof![
        octets(0..=400),
        named("HELLO", 194..=194),
        octets(120..=120).prop_map(|data| command("HELLO", &[&[1, 0], &[0; 72], &data])),
        named("WELCOME", 160..=160),
        named("INITIATE", 248..=400),
        named("READY", 24..=400),
        named("ERROR", 0..=260),
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

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn anything_at_all_is_refused_in_every_state(body in anything()) {
        for error in [refused(awaiting_hello().0, &body), refused(awaiting_initiate().0, &body)] {
            prop_assert!(is_the_peers_fault(&error, false, &body), "{error:?}");
        }
        for error in [refused(awaiting_welcome().0, &body), refused(awaiting_ready().0, &body)] {
            prop_assert!(is_the_peers_fault(&error, true, &body), "{error:?}");
        }
    }

    #[test]
    fn a_genuine_command_with_other_octets_somewhere_is_refused(
        at: prop::sample::Index,
        removed in 0_usize..40,
        inserted in collection::vec(any::<u8>(), 0..40),
    ) {
        let splice = |genuine: &[u8]| {
            let start = at.index(genuine.len());
            let end = genuine.len().min(start + removed);
            let body = [&genuine[..start], &inserted, &genuine[end..]].concat();
            let ignored = body.len() == 200 && body[111] ^ genuine[111] == 0x80;
            (body != genuine && !ignored).then_some(body)
        };
        let (handshake, genuine) = awaiting_hello();
        if let Some(body) = splice(&genuine) { refused(handshake, &body); }
        let (handshake, genuine) = awaiting_welcome();
        if let Some(body) = splice(&genuine) { refused(handshake, &body); }
        let (handshake, genuine) = awaiting_initiate();
        if let Some(body) = splice(&genuine) { refused(handshake, &body); }
        let (handshake, genuine) = awaiting_ready();
        if let Some(body) = splice(&genuine) { refused(handshake, &body); }
    }
}

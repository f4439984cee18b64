//! Nothing that a peer sends panics, and nothing but the right commands gets anybody in.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use proptest::collection::vec;
use proptest::prelude::*;
use support::{
    INITIATE, READY, WELCOME, asked, awaiting_hello, awaiting_initiate, awaiting_ready, awaiting_verdict,
    awaiting_welcome, credentials, handle, hello, next, start,
};
use zmtp_codec::{Handshake, Progress, Properties};
use zmtp_mechanism_plain::PlainClient;

/// Bodies that often begin like a command and are wrong behind that, and others.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let names = ["\x05HELLO", "\x07WELCOME", "\x08INITIATE", "\x05READY", "\x05ERROR", "\x5eRROR", ""];
    (prop::sample::select(names.to_vec()), vec(any::<u8>(), 0..600))
        .prop_map(|(name, data)| [name.as_bytes(), &data].concat())
}

/// Only what must come leads on.
fn leads_on<H: Handshake>(handshake: H, body: &[u8], name: &[u8]) -> bool {
    let (progress, out) = handle(handshake, body);
    match progress {
        Ok(_) => {
            assert!(body.starts_with(name));
            true
        }
        Err(_) => {
            assert!(out.is_empty(), "a side that gives up on its peer says nothing");
            false
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_octets_panic_neither_side_and_open_no_door(body in body()) {
        leads_on(awaiting_hello(), &body, b"\x05HELLO");
        leads_on(awaiting_initiate(), &body, b"\x08INITIATE");
        leads_on(awaiting_ready(), &body, b"\x05READY");
        prop_assert_eq!(leads_on(awaiting_welcome(), &body, b"\x07WELCOME"), body == b"\x07WELCOME");
        prop_assert!(!leads_on(awaiting_verdict(), &body, b""));
    }

    #[test]
    fn one_changed_octet_panics_neither_side(at in any::<prop::sample::Index>(), octet in any::<u8>()) {
        let changed = |wire: &[u8]| {
            let mut body = wire[2..].to_vec();
            let at = at.index(body.len());
            body[at] = octet;
            body
        };
        leads_on(awaiting_hello(), &changed(support::HELLO), b"\x05HELLO");
        leads_on(awaiting_initiate(), &changed(INITIATE), b"\x08INITIATE");
        leads_on(awaiting_welcome(), &changed(WELCOME), b"\x07WELCOME");
        leads_on(awaiting_ready(), &changed(READY), b"\x05READY");
    }

    #[test]
    fn any_username_and_password_arrive(username in vec(any::<u8>(), 0..=255), password in vec(any::<u8>(), 0..=255)) {
        let shown = credentials(&username, &password);
        let (_, wire) = next(start(&PlainClient::new(shown.clone()), &Properties::new()));
        let body = hello(&username, &password);
        prop_assert!(wire.ends_with(&body));
        let (_, claim) = asked(handle(awaiting_hello(), &body));
        prop_assert_eq!(claim.credentials.plain(), Some(&shown));
    }

    /// A HELLO means one thing: it is the one that its own fields make.
    #[test]
    fn a_hello_that_is_understood_is_made_again_octet_for_octet(data in vec(0..8_u8, 0..16)) {
        let body = [&b"\x05HELLO"[..], &data].concat();
        if let (Ok(Progress::Authorize(_, claim)), _) = handle(awaiting_hello(), &body) {
            let shown = claim.credentials.plain().unwrap();
            prop_assert_eq!(hello(shown.username(), shown.danger_password()), body);
        }
    }
}

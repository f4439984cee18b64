//! What `Debug` and errors show: never an octet of a key that must stay secret.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use core::fmt::{Debug, Write as _};
use core::time::Duration;

use support::vectors::Vectors;
use support::{answered, asked, greeted_with, key_pair, let_in, listening_with, refused, seal};
use zmtp_codec::{Commands, FrameHeader, FrameKind, Handshake, Progress, WireCommand};
use zmtp_mechanism_curve::{CurveServer, SecretKey};

/// Every text in which four octets of a row could be shown: hexadecimal, with or without a comma between, and decimal.
fn shapes(four: &[u8]) -> [String; 4] {
    let joined = |separator: &str, show: fn(&u8) -> String| four.iter().map(show).collect::<Vec<_>>().join(separator);
    [
        joined("", |octet| format!("{octet:02x}")),
        joined(",", |octet| format!("{octet:x}")),
        joined(",", |octet| format!("0x{octet:x}")),
        joined(",", u8::to_string),
    ]
}

/// The texts by which a part of a secret would be recognised in what was shown.
struct Secrets(Vec<(&'static str, String)>);

impl Secrets {
    /// All keys of the vectors' session that only one or both of the peers may know.
    fn of(vectors: &Vectors) -> Self {
        let named = |name: &'static str| (name, vectors.key(name));
        let computed =
            |name: &'static str| (name, vectors.octets(&format!("precomputed/{name}")).try_into().expect("32 octets"));
        let keys: [(&'static str, [u8; 32]); 9] = [
            named("server_permanent_secret"),
            named("client_permanent_secret"),
            named("client_transient_secret"),
            named("server_transient_secret"),
            named("cookie_key"),
            computed("session_key"),
            computed("x25519_shared"),
            computed("hello_key"),
            computed("vouch_key"),
        ];
        let mut texts = Vec::new();
        for (name, key) in keys {
            texts.extend(key.windows(4).flat_map(shapes).map(|text| (name, text)));
            // Five characters of Z85 are four octets.
            let z85 = SecretKey::from_bytes(key).unwrap().danger_to_z85().to_lowercase();
            texts.extend(z85.as_bytes().chunks(5).map(|five| (name, str::from_utf8(five).unwrap().to_owned())));
        }
        Self(texts)
    }

    fn shown_in(&self, text: &str) -> Option<&'static str> {
        let mut text = text.to_lowercase();
        text.retain(|character| !character.is_whitespace());
        self.0.iter().find(|(_, secret)| text.contains(secret)).map(|(name, _)| *name)
    }

    fn check(&self, what: &dyn Debug) {
        for text in [format!("{what:?}"), format!("{what:#?}"), format!("{what:x?}"), format!("{what:#x?}")] {
            assert_eq!(self.shown_in(&text), None, "{text}");
        }
    }
}

#[test]
fn a_key_that_is_shown_in_any_way_is_found() {
    let vectors = Vectors::load();
    let secrets = Secrets::of(&vectors);
    let key = vectors.key("client_transient_secret");
    let mut hexadecimal = String::new();
    for octet in key {
        write!(hexadecimal, "{octet:02X}").unwrap();
    }
    let z85 = key_pair(key).secret_key().danger_to_z85().to_string();
    let part = &key[7..12];
    for text in [
        format!("{key:?}"),
        format!("{key:#?}"),
        format!("{key:x?}"),
        format!("{key:02x?}"),
        format!("{key:#x?}"),
        format!("{part:?}"),
        hexadecimal,
        z85,
    ] {
        assert_eq!(secrets.shown_in(&text), Some("client_transient_secret"), "{text}");
    }
    assert_eq!(secrets.shown_in("CurveServer { .. }"), None);
}

#[test]
fn no_public_type_shows_a_secret_at_any_stage() {
    let vectors = Vectors::load();
    let secrets = Secrets::of(&vectors);
    let (client, server) = (vectors.client(), vectors.server());
    secrets.check(&client);
    secrets.check(&server);

    let (client, hello) = greeted_with(&client, &vectors.properties("client_metadata"));
    secrets.check(&client);
    let server = listening_with(&server, &vectors.properties("server_metadata"));
    secrets.check(&server);
    let (server, welcome) = answered(server, &hello);
    secrets.check(&server);
    let (client, initiate) = answered(client, &welcome);
    secrets.check(&client);
    let (server, claim) = asked(server, &initiate);
    secrets.check(&server);
    secrets.check(&claim);
    let (mut server, ready) = let_in(server);

    // As a connection sees it, with what is around it.
    let header = FrameHeader::new(FrameKind::Command, ready.len() as u64).encode();
    let wire = [&header, &ready[..]].concat();
    let progress = client.handle(WireCommand::new(&wire, header.len(), Duration::ZERO), &mut Commands::new()).unwrap();
    secrets.check(&progress);
    let Progress::Complete(mut client) = progress else { panic!("{progress:?}") };
    for session in [&mut client, &mut server] {
        secrets.check(session);
        // Key stream that is computed in advance is a secret too, but not one that this test could name.
        seal(&mut session.sealer, FrameKind::Last, b"x");
        secrets.check(&session.sealer);
        secrets.check(&session.opener);
    }
}

#[test]
fn what_the_halves_show_is_their_number_alone() {
    let vectors = Vectors::load();
    let (client, hello) = greeted_with(&vectors.client(), &vectors.properties("client_metadata"));
    let (server, welcome) = answered(listening_with(&vectors.server(), &vectors.properties("server_metadata")), &hello);
    let (server, _) = asked(server, &answered(client, &welcome).1);
    let (session, _) = let_in(server);
    assert_eq!(format!("{:?}", session.sealer), "CurveSealer { next: Some(2), .. }");
    assert_eq!(format!("{:?}", session.opener), "CurveOpener { last: 2, .. }");
}

#[test]
fn no_error_shows_a_secret() {
    let vectors = Vectors::load();
    let secrets = Secrets::of(&vectors);
    let hello = vectors.octets("commands/hello");
    let initiate = vectors.octets("commands/initiate");
    let mut forged = initiate.clone();
    forged[200] ^= 1;
    for body in [&forged[..], &initiate[..256], &hello, b"\x05READY", b""] {
        let server = listening_with(&vectors.server(), &vectors.properties("server_metadata"));
        let error = refused(answered(server, &hello).0, body);
        secrets.check(&error);
        assert_eq!(secrets.shown_in(&error.to_string()), None, "{error}");
    }
    let error = CurveServer::with_keys((0..5).map(|_| key_pair(vectors.key("server_permanent_secret")))).unwrap_err();
    secrets.check(&error);
    assert_eq!(secrets.shown_in(&error.to_string()), None, "{error}");
}

//! What `Debug` and errors show: never an octet of a key that must stay secret.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use core::fmt::{Debug, Write as _};
use core::time::Duration;

use support::scripted::agree;
use support::vectors::{Vectors, field};
use support::{
    CLIENT_SECRET, Pair, SERVER_SECRET, Tested, answered, asked, greeted, key_pair, let_in, listening, on_each_suite,
    open, queued, refused, seal, server,
};
use zmtp_codec::{Commands, FrameHeader, FrameKind, Handshake, Progress, WireCommand};
use zmtp_mechanism_blake3::{ChachaPoly, Client, SecretKey, Server};

on_each_suite![
    no_public_type_shows_a_secret_at_any_stage,
    no_error_shows_a_secret,
    halves_of_a_session_show_no_more_than_their_names
];

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
struct Secrets(Vec<(String, String)>);

impl Secrets {
    fn of<'a>(secrets: impl IntoIterator<Item = (&'a str, Vec<u8>)>) -> Self {
        let mut texts = Vec::new();
        for (name, secret) in secrets {
            texts.extend(secret.windows(4).flat_map(shapes).map(|text| (name.to_owned(), text)));
            if let Ok(key) = secret.try_into() {
                // Five characters of Z85 are four octets.
                let z85 = SecretKey::from_bytes(key).unwrap().danger_to_z85().to_lowercase();
                let fives = z85.as_bytes().chunks(5).map(|five| str::from_utf8(five).unwrap().to_owned());
                texts.extend(fives.map(|five| (name.to_owned(), five)));
            }
        }
        Self(texts)
    }

    fn shown_in(&self, text: &str) -> Option<&str> {
        let mut text = text.to_lowercase();
        text.retain(|character| !character.is_whitespace());
        self.0.iter().find(|(_, secret)| text.contains(secret)).map(|(name, _)| &**name)
    }

    fn check(&self, what: &dyn Debug) {
        for text in [format!("{what:?}"), format!("{what:#?}"), format!("{what:x?}"), format!("{what:#x?}")] {
            assert_eq!(self.shown_in(&text), None, "{text}");
        }
    }
}

/// What the peers of this test draw, and what only one or both of them may know.
const CLIENT_TRANSIENT: [u8; 32] = *b"the transient key of the client!";
const SERVER_TRANSIENT: [u8; 32] = *b"server's own for one connection.";
const COOKIE_KEY: [u8; 32] = *b"K, of all cookies of this server";

fn peers<S: Tested>() -> (Client<S>, Server<S>, Secrets) {
    let client = Client::new(*key_pair(SERVER_SECRET).public_key(), key_pair(CLIENT_SECRET))
        .with_entropy(queued([CLIENT_TRANSIENT.to_vec()]));
    let server = Server::new(key_pair(SERVER_SECRET)).with_entropy(queued(
        [SERVER_TRANSIENT.to_vec(), COOKIE_KEY.to_vec(), vec![0xc0; 24]]
            .into_iter()
            .chain(S::HAS_WELCOME_NONCE.then(|| vec![0xe0; 24])),
    ));
    let public = |secret| *key_pair(secret).public_key().as_bytes();
    let secrets = Secrets::of([
        ("s", SERVER_SECRET.to_vec()),
        ("c", CLIENT_SECRET.to_vec()),
        ("c'", CLIENT_TRANSIENT.to_vec()),
        ("s'", SERVER_TRANSIENT.to_vec()),
        ("K", COOKIE_KEY.to_vec()),
        ("dh1", agree(&public(SERVER_SECRET), &CLIENT_TRANSIENT).to_vec()),
        ("dh2", agree(&public(SERVER_TRANSIENT), &CLIENT_TRANSIENT).to_vec()),
        ("dh3", agree(&public(SERVER_TRANSIENT), &CLIENT_SECRET).to_vec()),
    ]);
    (client, server, secrets)
}

#[test]
fn a_key_that_is_shown_in_any_way_is_found() {
    let (_, _, secrets) = peers::<ChachaPoly>();
    let mut hexadecimal = String::new();
    for octet in CLIENT_TRANSIENT {
        write!(hexadecimal, "{octet:02X}").unwrap();
    }
    let z85 = key_pair(CLIENT_TRANSIENT).secret_key().danger_to_z85().to_string();
    let part = &CLIENT_TRANSIENT[7..12];
    for text in [
        format!("{CLIENT_TRANSIENT:?}"),
        format!("{CLIENT_TRANSIENT:#?}"),
        format!("{CLIENT_TRANSIENT:x?}"),
        format!("{CLIENT_TRANSIENT:02x?}"),
        format!("{CLIENT_TRANSIENT:#x?}"),
        format!("{part:?}"),
        hexadecimal,
        z85,
    ] {
        assert_eq!(secrets.shown_in(&text), Some("c'"), "{text}");
    }
    assert_eq!(secrets.shown_in("Server { .. }"), None);
}

/// A whole handshake and some traffic, with everything that can be shown on the way.
fn show_all<S: Tested>(client: &Client<S>, server: &Server<S>, secrets: &Secrets) {
    secrets.check(client);
    secrets.check(server);
    let (at_client, hello) = greeted(client);
    secrets.check(&at_client);
    let at_server = listening(server);
    secrets.check(&at_server);
    let (at_server, welcome) = answered(at_server, &hello);
    secrets.check(&at_server);
    secrets.check(server);
    let (at_client, initiate) = answered(at_client, &welcome);
    secrets.check(&at_client);
    let (at_server, claim) = asked(at_server, &initiate);
    secrets.check(&at_server);
    secrets.check(&claim);
    let (mut at_server, ready) = let_in(at_server);

    // As a connection sees it, with what is around it.
    let header = FrameHeader::new(FrameKind::Command, ready.len() as u64).encode();
    let wire = [&header, &ready[..]].concat();
    let progress =
        at_client.handle(WireCommand::new(&wire, header.len(), Duration::ZERO), &mut Commands::new()).unwrap();
    secrets.check(&progress);
    let Progress::Complete(mut at_client) = progress else { panic!("{progress:?}") };
    for session in [&mut at_client, &mut at_server] {
        secrets.check(session);
        seal::<S>(&mut session.sealer, FrameKind::Last, b"x");
        secrets.check(&session.sealer);
        secrets.check(&session.opener);
    }
}

fn no_public_type_shows_a_secret_at_any_stage<S: Tested>() {
    let (client, server, secrets) = peers::<S>();
    show_all(&client, &server, &secrets);
}

/// All that the reference derives on the way is looked for as well.
#[test]
fn no_public_type_shows_a_secret_of_the_vectors() {
    const DERIVED: [&str; 10] = [
        "dh1",
        "dh2",
        "dh3",
        "hello_key",
        "cookie_key",
        "cookie_plaintext",
        "welcome_key",
        "vouch_key",
        "initiate_key",
        "ready_key",
    ];
    let vectors = Vectors::load();
    let main = vectors.connection("main");
    let derived = DERIVED.map(|name| (name, field(&main.value["intermediate"], name)));
    let keys = ["client->server key", "client->server iv", "server->client key", "server->client iv"]
        .map(|name| (name, field(&main.value["session"], name)));
    let secrets = Secrets::of(derived.into_iter().chain(keys).chain([
        ("s", vectors.server_secret().to_vec()),
        ("c", vectors.client_secret().to_vec()),
        ("K", vectors.key("cookie key K").to_vec()),
        ("c'", main.input("c_e")),
        ("s'", main.input("s_e")),
    ]));
    show_all(&main.client(), &main.server(), &secrets);
}

fn halves_of_a_session_show_no_more_than_their_names<S: Tested>() {
    let pair = Pair::<S>::usual();
    for session in [&pair.client, &pair.server] {
        assert_eq!(format!("{:?}", session.sealer), "Blake3Sealer { .. }");
        assert_eq!(format!("{:?}", session.opener), "Blake3Opener { .. }");
    }
}

fn no_error_shows_a_secret<S: Tested>() {
    let (_, _, secrets) = peers::<S>();
    let Pair { hello, initiate, .. } = Pair::<S>::usual();
    let mut forged = initiate.clone();
    forged[200] ^= 1;
    for body in [&forged[..], &initiate[..200], &hello, b"\x05READY", b""] {
        let error = refused(answered(listening(&server::<S>()), &hello).0, body);
        secrets.check(&error);
        assert_eq!(secrets.shown_in(&error.to_string()), None, "{error}");
    }
    let error = Server::<S>::with_keys((0..5).map(|_| key_pair(SERVER_SECRET))).unwrap_err();
    secrets.check(&error);
    assert_eq!(secrets.shown_in(&error.to_string()), None, "{error}");
    let mut pair = Pair::<S>::usual();
    let error = open::<S>(&mut pair.server.opener, &[&[0, 40], &[0x51; 40][..]].concat()).unwrap_err();
    secrets.check(&error);
    assert_eq!(secrets.shown_in(&error.to_string()), None, "{error}");
}

//! Our connection (the tokio shell) against the reference of `BLAKE3-CHACHAPOLY` in Python over loopback TCP: with us as client
//! and as server, each with either side listening.
//!
//! Nobody else speaks this suite yet. The reference was written from the text of the specification alone, with other
//! libraries, and it can misbehave as no peer of ours does.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail tests")]

#[path = "interop_libzmq/payload.rs"]
mod payload;
#[path = "interop_blake3_reference/reference.rs"]
mod reference;
#[path = "interop_blake3_reference/refusals.rs"]
mod refusals;
#[path = "interop_blake3_reference/tampering.rs"]
mod tampering;
#[path = "interop_libzmq/tap.rs"]
mod tap;

use std::sync::LazyLock;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use zmtp_connection::codec::{
    AnyMechanism, Command, FrameHeader, GREETING_LEN, HeartbeatContext, MechanismError, MechanismName, Ping,
    SocketType, Ttl, Version,
};
use zmtp_connection::{
    AllowAny, AllowList, Blake3Client, Blake3Server, Connection, ConnectionConfig, Event, HandshakeCause,
    HandshakeError, HeartbeatConfig, KeyPair, Message, SecretKey,
};

use payload::{assert_same, message};
use reference::{Meeting, Reference, content, hex, within};
use tap::{Record, Tap};

type Ours<T = TcpStream> = Connection<T>;

/// Long-term secret keys of the two sides, and of somebody else.
const OUR_SECRET: [u8; 32] = *b"a secret key of ours, 32 octets.";
const THEIR_SECRET: [u8; 32] = *b"a secret key of theirs, no less.";
const OTHER_SECRET: [u8; 32] = *b"a secret key of somebody else's.";

fn pair(secret: [u8; 32]) -> KeyPair {
    KeyPair::from_secret(SecretKey::from_bytes(secret).unwrap())
}

fn public(secret: [u8; 32]) -> [u8; 32] {
    *pair(secret).public_key().as_bytes()
}

/// The part that we play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Client,
    Server,
}

/// The part that we play, and whether we listen.
type Setting = (Part, bool);

const SETTINGS: [Setting; 4] =
    [(Part::Client, false), (Part::Client, true), (Part::Server, false), (Part::Server, true)];

static CLIENT: LazyLock<AnyMechanism> =
    LazyLock::new(|| AnyMechanism::new(Blake3Client::new(*pair(THEIR_SECRET).public_key(), pair(OUR_SECRET))));
static SERVER: LazyLock<AnyMechanism> = LazyLock::new(|| AnyMechanism::new(Blake3Server::new(pair(OUR_SECRET))));

impl Part {
    fn mechanism(self) -> &'static AnyMechanism {
        match self {
            Self::Client => &CLIENT,
            Self::Server => &SERVER,
        }
    }

    /// The other one, played by the reference.
    fn theirs(self) -> &'static str {
        match self {
            Self::Client => "server",
            Self::Server => "client",
        }
    }

    /// The keys by which the reference knows itself and us.
    fn their_keys(self) -> String {
        let (secret, ours) = (hex(&THEIR_SECRET), hex(&public(OUR_SECRET)));
        match self {
            Self::Client => format!("--secret {secret} --allow {ours}"),
            Self::Server => format!("--secret {secret} --server-key {ours}"),
        }
    }
}

/// The reference with keys of its choice, about to play `scenario`, a name and options.
async fn meet_with(keys: &str, (part, we_listen): Setting, scenario: &str) -> (Reference, Meeting) {
    Reference::start(we_listen, part.theirs(), &format!("{keys} --scenario {scenario}")).await
}

async fn meet(setting: Setting, scenario: &str) -> (Reference, Meeting) {
    meet_with(&setting.0.their_keys(), setting, scenario).await
}

/// Our handshake, with a peer of the known key only.
async fn handshake<T: AsyncRead + AsyncWrite + Unpin>(
    part: Part,
    stream: T,
    config: &ConnectionConfig,
) -> Result<Ours<T>, HandshakeError> {
    let list = AllowList::new([public(THEIR_SECRET)]);
    within("the handshake", Connection::handshake_with(stream, config, part.mechanism(), &list)).await
}

fn dealer() -> ConnectionConfig {
    ConnectionConfig::new(SocketType::Dealer)
}

async fn connect(setting: Setting, config: &ConnectionConfig, scenario: &str) -> (Ours, Reference) {
    let (theirs, meeting) = meet(setting, scenario).await;
    let ours = handshake(setting.0, meeting.stream().await, config).await.unwrap();
    (ours, theirs)
}

/// A handshake that has to fail on our side; the reference judges for itself.
async fn failure(setting: Setting, scenario: &str) -> (HandshakeError, Reference) {
    let (theirs, meeting) = meet(setting, scenario).await;
    (handshake(setting.0, meeting.stream().await, &dealer()).await.unwrap_err(), theirs)
}

fn mechanism_error(error: &HandshakeError) -> &MechanismError {
    match error.cause() {
        HandshakeCause::Mechanism(error) => error,
        other => panic!("{other:?}"),
    }
}

async fn next<T: AsyncRead + AsyncWrite + Unpin>(ours: &mut Ours<T>) -> Event {
    within("an event from the reference", ours.recv()).await.unwrap().unwrap()
}

async fn next_message<T: AsyncRead + AsyncWrite + Unpin>(ours: &mut Ours<T>) -> Vec<Vec<u8>> {
    match next(ours).await {
        Event::Message(message) => message.into_parts().into_iter().map(Vec::from).collect(),
        Event::Command(command) => panic!("a message was due, but {command:?}"),
    }
}

/// Sends a message and gets it back.
async fn echoed<T: AsyncRead + AsyncWrite + Unpin>(ours: &mut Ours<T>, there: &[Vec<u8>], what: &str) {
    within(what, ours.send(there)).await.unwrap();
    assert_same(&next_message(ours).await, there, what);
}

/// Takes messages with parts of these sizes, and sends them back.
async fn echo<T: AsyncRead + AsyncWrite + Unpin>(ours: &mut Ours<T>, messages: &[Vec<usize>], what: &str) {
    for sizes in messages {
        let due: Vec<_> = sizes.iter().map(|&size| content(size)).collect();
        let received = next_message(ours).await;
        assert_same(&received, &due, what);
        within(what, ours.send(&received)).await.unwrap();
    }
}

// ─── who the other is ────────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn each_side_learns_who_the_other_is() {
    for setting in SETTINGS {
        let config = ConnectionConfig::builder(SocketType::Dealer).identity("our name").property("X-Colour", "green");
        let scenario = "echo --count 0 --socket-type ROUTER --identity its-name --property X-Shade=dark";
        let (ours, mut theirs) = connect(setting, &config.build().unwrap(), scenario).await;
        let peer = ours.peer();
        assert_eq!((peer.socket_type(), peer.version()), (SocketType::Router, Version::V3_1));
        assert_eq!((peer.mechanism(), peer.is_encrypted()), (MechanismName::BLAKE3_CHACHAPOLY, true));
        assert_eq!(peer.public_key(), Some(&public(THEIR_SECRET)), "{setting:?}");
        assert_eq!(peer.identity().as_bytes(), "its-name");
        assert_eq!(peer.properties().get("X-Shade").unwrap(), "dark");
        let ready = theirs.event("ready").await;
        assert_eq!(ready["peer_key"], hex(&public(OUR_SECRET)), "{setting:?}");
        let properties =
            json!({"Socket-Type": hex(b"DEALER"), "Identity": hex(b"our name"), "X-Colour": hex(b"green")});
        assert_eq!(ready["properties"], properties);
        drop(ours);
        theirs.success().await;
    }
}

#[tokio::test]
async fn a_client_without_a_key_of_its_own_shows_one_that_nobody_knows() {
    for we_listen in [false, true] {
        // Ours, to a server that asks for none.
        let keys = format!("--secret {}", hex(&THEIR_SECRET));
        let (mut theirs, meeting) = meet_with(&keys, (Part::Client, we_listen), "echo --count 0").await;
        let anonymous = Blake3Client::anonymous(*pair(THEIR_SECRET).public_key()).unwrap();
        let config = dealer();
        let ours = Connection::handshake(meeting.stream().await, &config, &anonymous);
        let mut ours = within("the handshake", ours).await.unwrap();
        let ready = theirs.event("ready").await;
        assert_eq!(ready["peer_key"], hex(anonymous.public_key().as_bytes()));
        assert_ne!(ready["peer_key"], hex(&public(OUR_SECRET)));
        ours.send("a message").await.unwrap();
        assert_eq!(within("its echo", ours.recv()).await.unwrap().unwrap(), Event::Message(Message::from("a message")));
        drop(ours);
        theirs.success().await;
        // Its own, to a server of ours that asks for none.
        let keys = format!("--server-key {}", hex(&public(OUR_SECRET)));
        let (theirs, meeting) = meet_with(&keys, (Part::Server, we_listen), "send --sizes 5").await;
        let ours = Connection::handshake_with(meeting.stream().await, &config, &*SERVER, &AllowAny);
        let mut ours = within("the handshake", ours).await.unwrap();
        assert!(ours.peer().public_key().is_some_and(|key| *key != public(THEIR_SECRET)));
        echo(&mut ours, &[vec![5]], "from an anonymous client").await;
        drop(ours);
        theirs.success().await;
    }
}

/// The flags of the frames behind the greeting.
fn flags(octets: &[u8]) -> Vec<u8> {
    let (mut flags, mut rest) = (Vec::new(), &octets[GREETING_LEN..]);
    while let Some(&first) = rest.first() {
        let (header, len) = FrameHeader::decode(rest).unwrap().unwrap();
        flags.push(first);
        rest = &rest[len + usize::try_from(header.size()).unwrap()..];
    }
    flags
}

/// READY is a long frame from 234 octets of metadata on; Socket-Type, an empty Identity and the name `X` take 41 of them.
#[tokio::test]
async fn metadata_of_any_size_is_understood_both_ways() {
    for (setting, size) in SETTINGS.into_iter().flat_map(|setting| [192, 193, 9_000].map(|size| (setting, size))) {
        let value = "x".repeat(size);
        let config = ConnectionConfig::builder(SocketType::Dealer).property("X", value.clone()).build().unwrap();
        let (mut theirs, meeting) = meet(setting, &format!("echo --count 0 --property X={value}")).await;
        let (stream, record) = Tap::new(meeting.stream().await);
        let ours = handshake(setting.0, stream, &config).await.unwrap();
        assert_eq!(ours.peer().properties().get("X").unwrap(), value.as_bytes());
        assert_eq!(theirs.event("ready").await["properties"]["X"], hex(value.as_bytes()));
        assert!(!record.shows(value.as_bytes()), "in the clear");
        assert_eq!(ready_flags(setting.0, &record), if size == 192 { 4 } else { 6 }, "{setting:?}, {size}");
        drop(ours);
        theirs.success().await;
    }
}

fn ready_flags(part: Part, record: &Record) -> u8 {
    let (client, server) = match part {
        Part::Client => (record.sent(), record.received()),
        Part::Server => (record.received(), record.sent()),
    };
    let (client, server) = (flags(&client), flags(&server));
    assert_eq!(client, [4, 6], "HELLO and INITIATE");
    let [4, ready] = server[..] else { panic!("WELCOME and READY: {server:?}") };
    ready
}

// ─── messages ────────────────────────────────────────────────────────────────────────────────────────────────────────

/// 239 is the longest part whose frame is short.
const SIZES: [usize; 12] = [0, 1, 15, 16, 239, 240, 255, 256, 8_176, 8_192, 65_536, 1 << 20];

#[tokio::test]
async fn our_messages_of_every_size_come_back() {
    for setting in SETTINGS {
        let (mut ours, theirs) = connect(setting, &dealer(), "echo --count 0").await;
        for (size, seed) in SIZES.into_iter().zip(1..) {
            for parts in [vec![size], vec![3, size, 0, 5]] {
                echoed(&mut ours, &message(seed, &parts), &format!("parts of {parts:?} octets, {setting:?}")).await;
            }
        }
        echoed(&mut ours, &message(99, &[7; 300]), "300 parts").await;
        for seed in 100..400 {
            echoed(&mut ours, &message(seed, &[40]), "300 messages").await;
        }
        drop(ours);
        theirs.success().await;
    }
}

#[tokio::test]
async fn its_messages_of_every_size_go_back() {
    let sizes = SIZES.map(|size| size.to_string()).join(",");
    for setting in SETTINGS {
        let (mut ours, theirs) = connect(setting, &dealer(), &format!("send --sizes {sizes}")).await;
        echo(&mut ours, &SIZES.map(|size| vec![size]), "one by one").await;
        drop(ours);
        theirs.success().await;
        let (mut ours, theirs) = connect(setting, &dealer(), &format!("multipart --sizes {sizes}")).await;
        echo(&mut ours, &[SIZES.to_vec()], "as parts").await;
        drop(ours);
        theirs.success().await;
    }
}

#[tokio::test]
async fn it_may_write_in_pieces_of_any_size() {
    for (setting, piece) in SETTINGS.into_iter().flat_map(|setting| [1, 7, 100].map(|piece| (setting, piece))) {
        let scenario = format!("multipart --chunk {piece} --sizes 0,1,239,240,3000");
        let (mut ours, theirs) = connect(setting, &dealer(), &scenario).await;
        echo(&mut ours, &[vec![0, 1, 239, 240, 3_000]], &scenario).await;
        drop(ours);
        theirs.success().await;
    }
}

// ─── commands ────────────────────────────────────────────────────────────────────────────────────────────────────────

/// It awaits each PONG, and then closes.
#[tokio::test]
async fn its_pings_are_answered() {
    for setting in SETTINGS {
        let (mut ours, theirs) = connect(setting, &dealer(), "ping").await;
        assert_eq!(within("its end", ours.recv()).await.unwrap(), None);
        drop(ours);
        let events = theirs.success().await;
        let pongs = events.iter().filter(|event| event["event"] == "command").map(|event| &event["name"]);
        assert_eq!(pongs.collect::<Vec<_>>(), ["PONG"; 3]);
    }
}

#[tokio::test]
async fn our_pings_are_answered() {
    for setting in SETTINGS {
        let heartbeat = HeartbeatConfig::every(Duration::from_millis(1)).timeout(Some(Duration::from_secs(30)));
        let config = ConnectionConfig::builder(SocketType::Dealer).heartbeat(heartbeat).build().unwrap();
        let (mut ours, mut theirs) = connect(setting, &config, "echo --count 0").await;
        within("an answer to a PING", async {
            while ours.rtt().is_none() {
                echoed(&mut ours, &[b"x".to_vec()], "a message beside a PING").await;
            }
        })
        .await;
        assert_eq!(ours.ignored(), 0);
        drop(ours);
        theirs.event("ready").await;
        theirs.success().await;

        // One by hand, with its TTL and context.
        let (mut ours, mut theirs) = connect(setting, &dealer(), "echo --count 0").await;
        let ping = Ping::new(Ttl::from_deciseconds(258), HeartbeatContext::new(b"by hand").unwrap());
        ours.ping(ping).await.unwrap();
        theirs.event("ready").await;
        let command = theirs.event("command").await;
        assert_eq!((&command["name"], &command["hex"]), (&json!("PING"), &json!(hex(b"\x01\x02by hand"))));
        // Its PONG came first, and was in order.
        echoed(&mut ours, &[b"still here".to_vec()], "behind the PONG").await;
        drop(ours);
        theirs.success().await;
    }
}

/// The end of its scenario `commands`: one that nobody knows, and a message with a PING between its parts, which is answered.
async fn unknown_and_ping(mut ours: Ours) -> Ours {
    let event = next(&mut ours).await;
    let Event::Command(Command::Unknown(unknown)) = &event else { panic!("{event:?}") };
    assert_eq!((&unknown.name()[..], &unknown.data()[..]), (&b"UNKNOWN"[..], &b"data"[..]));
    let received = next_message(&mut ours).await;
    assert_eq!(received, [b"first", b"second".as_slice()]);
    ours.send(&received).await.unwrap();
    ours
}

/// Subscriptions and groups mean nothing to a DEALER.
#[tokio::test]
async fn its_commands_that_mean_nothing_to_us_change_nothing() {
    for setting in SETTINGS {
        let (ours, theirs) = connect(setting, &dealer(), "commands").await;
        let ours = unknown_and_ping(ours).await;
        assert_eq!(ours.ignored(), 5, "SUBSCRIBE twice, CANCEL, JOIN, LEAVE");
        drop(ours);
        theirs.success().await;
    }
}

#[tokio::test]
async fn its_subscriptions_reach_us_as_commands() {
    for setting in SETTINGS {
        let config = ConnectionConfig::new(SocketType::Xpub);
        let (mut ours, theirs) = connect(setting, &config, "commands --socket-type SUB").await;
        let due = [
            Command::Subscribe("topic".into()),
            Command::Subscribe(content(300).into()),
            Command::Cancel("topic".into()),
        ];
        for command in due {
            assert_eq!(next(&mut ours).await, Event::Command(command));
        }
        let ours = unknown_and_ping(ours).await;
        assert_eq!(ours.ignored(), 2, "JOIN, LEAVE");
        drop(ours);
        theirs.success().await;
    }
}

#[tokio::test]
async fn our_subscriptions_reach_it_as_commands() {
    for setting in SETTINGS {
        let config = ConnectionConfig::new(SocketType::Sub);
        let (mut ours, mut theirs) = connect(setting, &config, "echo --count 0 --socket-type PUB").await;
        theirs.event("ready").await;
        for len in [0, 60, 5_000] {
            ours.subscribe(content(len)).await.unwrap();
            ours.cancel(content(len)).await.unwrap();
            for name in ["SUBSCRIBE", "CANCEL"] {
                let command = theirs.event("command").await;
                assert_eq!((&command["name"], &command["size"]), (&json!(name), &json!(len)));
                // Of longer ones it says the size only.
                assert!(command["hex"] == hex(&content(len)) || len > 64, "{command}");
            }
        }
        drop(ours);
        theirs.success().await;
    }
}

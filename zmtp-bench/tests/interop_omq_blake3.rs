//! Our connection (the tokio shell) against the state machine of omq 0.22 over loopback TCP under `BLAKE3`, the weaker suite of
//! our BLAKE3 mechanism: with us as client and as server, each with either side listening.
//!
//! omq says in its greeting that it is no server, whichever it is: we do not look, and both sides have hashed it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail tests")]

#[path = "interop_libzmq/payload.rs"]
mod payload;

use std::future::Future;
use std::sync::LazyLock;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use zmtp_bench::peers::omq_blake3::{OmqError, Peer, Received, Security, SocketType as Kind, TIMEOUT};
use zmtp_connection::codec::{
    AnyMechanism, Command, Group, MechanismError, MechanismName, SocketType, Subscription, Version,
};
use zmtp_connection::{
    AllowList, Blake3Client, Blake3ZmqClient, Blake3ZmqServer, Connection, ConnectionConfig, Event, HandshakeCause,
    HandshakeError, HeartbeatConfig, KeyPair, SecretKey, Stage,
};

use payload::{assert_same, message, octets};

type Ours = Connection<TcpStream>;

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

/// The parts, each of them listening and connecting.
const SETTINGS: [(Part, bool); 4] =
    [(Part::Client, false), (Part::Client, true), (Part::Server, false), (Part::Server, true)];

static CLIENT: LazyLock<AnyMechanism> =
    LazyLock::new(|| AnyMechanism::new(Blake3ZmqClient::new(*pair(THEIR_SECRET).public_key(), pair(OUR_SECRET))));
static SERVER: LazyLock<AnyMechanism> = LazyLock::new(|| AnyMechanism::new(Blake3ZmqServer::new(pair(OUR_SECRET))));

impl Part {
    fn mechanism(self) -> &'static AnyMechanism {
        match self {
            Self::Client => &CLIENT,
            Self::Server => &SERVER,
        }
    }

    /// The other one, played by omq.
    fn theirs(self) -> Security {
        match self {
            Self::Client => Security::Server { secret: THEIR_SECRET, client: Some(public(OUR_SECRET)) },
            Self::Server => Security::Client { secret: THEIR_SECRET, server: public(OUR_SECRET) },
        }
    }
}

/// Fails the test instead of hanging.
async fn within<F: Future>(what: &str, future: F) -> F::Output {
    timeout(TIMEOUT, future).await.unwrap_or_else(|_| panic!("{what} took longer than {TIMEOUT:?}"))
}

/// Our end of a TCP connection, and theirs.
async fn tcp(we_listen: bool) -> (TcpStream, std::net::TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (called, accepted) =
        tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), async { listener.accept().await.unwrap().0 });
    let (ours, theirs) = if we_listen { (accepted, called.unwrap()) } else { (called.unwrap(), accepted) };
    ours.set_nodelay(true).unwrap();
    let theirs = theirs.into_std().unwrap();
    theirs.set_nonblocking(false).unwrap();
    (ours, theirs)
}

/// A peer of omq's, away on a thread while one of its calls blocks.
#[derive(Debug)]
struct Theirs(Option<Peer>);

impl Theirs {
    fn peer(&self) -> &Peer {
        self.0.as_ref().unwrap()
    }

    async fn run<R: Send + 'static>(&mut self, work: impl FnOnce(&mut Peer) -> R + Send + 'static) -> R {
        let mut peer = self.0.take().unwrap();
        let (peer, result) = spawn_blocking(move || {
            let result = work(&mut peer);
            (peer, result)
        })
        .await
        .unwrap();
        self.0 = Some(peer);
        result
    }

    async fn send<P: AsRef<[u8]>>(&mut self, parts: &[P]) {
        let parts: Vec<_> = parts.iter().map(|part| part.as_ref().to_vec()).collect();
        self.run(move |peer| peer.send(&parts)).await.unwrap();
    }

    async fn recv(&mut self) -> Received {
        self.run(Peer::recv).await.unwrap().unwrap()
    }

    async fn message(&mut self) -> Vec<Vec<u8>> {
        match self.recv().await {
            Received::Message(parts) => parts,
            other => panic!("a message was due, but {other:?}"),
        }
    }
}

/// Both handshakes, whatever comes of them.
async fn handshakes(
    mechanism: &AnyMechanism,
    we_listen: bool,
    config: &ConnectionConfig,
    (kind, identity): (Kind, &'static [u8]),
    theirs: Security,
) -> (Result<Ours, HandshakeError>, Result<Peer, OmqError>) {
    let (stream, other) = tcp(we_listen).await;
    let peer = spawn_blocking(move || Peer::handshake(other, kind, identity, theirs));
    let list = AllowList::new([public(THEIR_SECRET)]);
    let ours = Connection::handshake_with(stream, config, mechanism, &list);
    let (ours, peer) = within("the handshakes", async { tokio::join!(ours, peer) }).await;
    (ours, peer.unwrap())
}

async fn connect((part, we_listen): (Part, bool), config: &ConnectionConfig, kind: Kind) -> (Ours, Theirs) {
    let (ours, theirs) = handshakes(part.mechanism(), we_listen, config, (kind, b""), part.theirs()).await;
    (ours.unwrap(), Theirs(Some(theirs.unwrap())))
}

async fn pair_of(setting: (Part, bool), ours: SocketType, theirs: Kind) -> (Ours, Theirs) {
    connect(setting, &ConnectionConfig::new(ours), theirs).await
}

async fn next(ours: &mut Ours) -> Event {
    within("an event from omq", ours.recv()).await.unwrap().unwrap()
}

async fn next_message(ours: &mut Ours) -> Vec<Vec<u8>> {
    match next(ours).await {
        Event::Message(message) => message.into_parts().into_iter().map(Vec::from).collect(),
        Event::Command(command) => panic!("a message was due, but {command:?}"),
    }
}

#[tokio::test]
async fn each_side_learns_who_the_other_is() {
    for (part, we_listen) in SETTINGS {
        for (our_name, their_name) in [("our name", b"their name".as_slice()), ("", b"")] {
            let config = ConnectionConfig::builder(SocketType::Dealer).identity(our_name).property("X-Colour", "green");
            let config = config.build().unwrap();
            let kind = (Kind::Router, their_name);
            let (ours, theirs) = handshakes(part.mechanism(), we_listen, &config, kind, part.theirs()).await;
            let (ours, theirs) = (ours.unwrap(), theirs.unwrap());
            let peer = ours.peer();
            assert_eq!(peer.socket_type(), SocketType::Router);
            assert_eq!(peer.version(), Version::V3_1);
            assert_eq!(peer.mechanism(), MechanismName::BLAKE3);
            assert!(peer.is_encrypted());
            assert_eq!(peer.public_key(), Some(&public(THEIR_SECRET)), "{part:?}");
            assert_eq!(peer.identity().as_bytes(), their_name);
            assert_eq!(theirs.socket_type(), Some("DEALER"));
            assert_eq!(theirs.identity().unwrap_or_default(), our_name.as_bytes());
            assert_eq!(theirs.property("X-Colour"), Some(b"green".as_slice()));
            assert_eq!(theirs.minor_version(), 1);
        }
    }
}

/// What is on the wire is what omq hands over: the delimiter of a REQ is a frame like any other, and takes no block.
#[tokio::test]
async fn requests_and_replies() {
    for setting in SETTINGS {
        for (ours, theirs, envelope) in [
            (SocketType::Req, Kind::Rep, true),
            (SocketType::Rep, Kind::Req, true),
            (SocketType::Dealer, Kind::Router, false),
            (SocketType::Router, Kind::Dealer, false),
            (SocketType::Req, Kind::Router, true),
            (SocketType::Dealer, Kind::Rep, true),
        ] {
            let (mut ours, mut theirs) = pair_of(setting, ours, theirs).await;
            for number in 0..3_u64 {
                let mut request = message(number, &[1, 0, 300]);
                let mut reply = message(number + 50, &[0, 70_000]);
                if envelope {
                    request.insert(0, Vec::new());
                    reply.insert(0, Vec::new());
                }
                ours.send(&request).await.unwrap();
                assert_same(&theirs.message().await, &request, "to omq");
                theirs.send(&reply).await;
                assert_same(&next_message(&mut ours).await, &reply, "from omq");
            }
            assert_eq!(ours.ignored(), 0);
        }
    }
}

#[tokio::test]
async fn messages_of_every_size_up_to_a_mebibyte() {
    // A block, a batch of blocks, and 223, the longest payload whose frame is short.
    const SIZES: [usize; 18] =
        [0, 1, 63, 64, 65, 127, 128, 222, 223, 224, 255, 256, 257, 1_000, 8_191, 8_192, 65_536, 1 << 20];
    for setting in SETTINGS {
        let (mut ours, mut theirs) = pair_of(setting, SocketType::Pair, Kind::Pair).await;
        for (size, seed) in SIZES.into_iter().zip(1..) {
            for parts in [vec![size], vec![3, size, 0, 5]] {
                let (there, back) = (message(seed, &parts), message(seed + 50, &parts));
                let what = format!("parts of {parts:?} octets, {setting:?}");
                let send = async { ours.send(&there).await.unwrap() };
                let ((), at_theirs) = within(&what, async { tokio::join!(send, theirs.message()) }).await;
                assert_same(&at_theirs, &there, &what);
                let send = theirs.send(&back);
                let ((), at_ours) = within(&what, async { tokio::join!(send, next_message(&mut ours)) }).await;
                assert_same(&at_ours, &back, &what);
            }
        }
    }
}

#[tokio::test]
async fn a_thousand_messages_each_way_keep_their_order() {
    const COUNT: u64 = 1_000;
    for setting in SETTINGS {
        let (ours, mut theirs) = pair_of(setting, SocketType::Dealer, Kind::Dealer).await;
        let (mut receiver, mut sender) = ours.into_split();
        let size = |number: u64| usize::try_from(number % 300).unwrap();
        let send = async {
            for number in 0..COUNT {
                sender.reserve().await.unwrap().feed(&octets(number, size(number))).unwrap();
            }
            sender.flush().await.unwrap();
        };
        let receive = async {
            for number in 0..COUNT {
                let received = receiver.recv().await.unwrap().unwrap().into_message().unwrap();
                assert_same(&received.into_parts(), &[octets(COUNT + number, size(number))], "from omq");
            }
        };
        let at_theirs = theirs.run(move |peer| {
            for number in 0..COUNT {
                peer.send(&[octets(COUNT + number, size(number))]).unwrap();
                let due = Received::Message(vec![octets(number, size(number))]);
                assert_eq!(peer.recv().unwrap().unwrap(), due);
            }
        });
        within("all messages", async { tokio::join!(send, receive, at_theirs) }).await;
    }
}

#[tokio::test]
async fn its_subscriptions_reach_us_as_commands() {
    for setting in SETTINGS {
        for (ours, theirs) in [(SocketType::Pub, Kind::Sub), (SocketType::Xpub, Kind::XSub)] {
            let (mut ours, mut theirs) = pair_of(setting, ours, theirs).await;
            for (len, seed) in [0, 1, 213, 214, 5_000].into_iter().zip(1..) {
                let topic = octets(seed, len);
                let (one, other) = (topic.clone(), topic.clone());
                theirs.run(move |peer| peer.subscribe(&one)).await.unwrap();
                let event = next(&mut ours).await;
                assert!(matches!(event, Event::Command(Command::Subscribe(_))), "{event:?}");
                assert_eq!(event.subscription(), Some(Subscription::subscribe(topic.clone())));
                theirs.run(move |peer| peer.cancel(&other)).await.unwrap();
                assert_eq!(next(&mut ours).await.subscription(), Some(Subscription::cancel(topic)));
            }
            ours.send(&["a topic", "a body"]).await.unwrap();
            assert_eq!(theirs.message().await, [b"a topic".as_slice(), b"a body"]);
        }
    }
}

#[tokio::test]
async fn our_subscriptions_reach_it_as_commands() {
    for setting in SETTINGS {
        for (ours, theirs) in [(SocketType::Sub, Kind::Pub), (SocketType::Xsub, Kind::XPub)] {
            let (mut ours, mut theirs) = pair_of(setting, ours, theirs).await;
            for (len, seed) in [0, 1, 213, 214, 5_000].into_iter().zip(1..) {
                let topic = octets(seed, len);
                ours.subscribe(topic.clone()).await.unwrap();
                assert_eq!(theirs.recv().await, Received::Subscribe(topic.clone()));
                ours.cancel(topic.clone()).await.unwrap();
                assert_eq!(theirs.recv().await, Received::Cancel(topic));
            }
            theirs.send(&["a topic", "a body"]).await;
            assert_eq!(next_message(&mut ours).await, [b"a topic".as_slice(), b"a body"]);
        }
    }
}

#[tokio::test]
async fn groups_are_joined_and_left_both_ways() {
    for setting in SETTINGS {
        let group = Group::new("weather").unwrap();
        let (mut ours, mut theirs) = pair_of(setting, SocketType::Radio, Kind::Dish).await;
        theirs.run(|peer| peer.join(b"weather")).await.unwrap();
        assert_eq!(next(&mut ours).await, Event::Command(Command::Join(group.clone())));
        ours.send(&["weather", "rain"]).await.unwrap();
        assert_eq!(theirs.message().await, [b"weather".as_slice(), b"rain"]);
        theirs.run(|peer| peer.leave(b"weather")).await.unwrap();
        assert_eq!(next(&mut ours).await, Event::Command(Command::Leave(group.clone())));

        let (mut ours, mut theirs) = pair_of(setting, SocketType::Dish, Kind::Radio).await;
        ours.join(group.clone()).await.unwrap();
        assert_eq!(theirs.recv().await, Received::Join(b"weather".to_vec()));
        theirs.send(&["weather", "sun"]).await;
        assert_eq!(next_message(&mut ours).await, [b"weather".as_slice(), b"sun"]);
        ours.leave(group).await.unwrap();
        assert_eq!(theirs.recv().await, Received::Leave(b"weather".to_vec()));
    }
}

/// Octets of a PONG with a context of so many, in its frame and with its tag.
const fn pong_len(context: u64) -> u64 {
    2 + 5 + context + 32
}

#[tokio::test]
async fn its_pings_are_answered() {
    for setting in SETTINGS {
        let (mut ours, mut theirs) = pair_of(setting, SocketType::Dealer, Kind::Dealer).await;
        for context in [b"".as_slice(), b"a context", b"sixteen octets!!"] {
            let before = theirs.peer().received();
            let due = before + pong_len(context.len() as u64);
            let answered = theirs.run(move |peer| {
                peer.ping(100, context)?;
                peer.read_until(|peer| peer.received() >= due)
            });
            // Whatever it was, it was no message: what we receive is what comes behind the PING.
            let nothing = timeout(TIMEOUT, ours.recv());
            tokio::select! {
                answered = answered => answered.unwrap(),
                received = nothing => panic!("nothing was due, but {received:?}"),
            }
            // The PONG, and not an octet more.
            assert_eq!(theirs.peer().received(), due, "{setting:?}");
        }
        ours.send("still here").await.unwrap();
        assert_eq!(theirs.message().await, [b"still here"]);
    }
}

#[tokio::test]
async fn our_pings_are_answered() {
    for setting in SETTINGS {
        let heartbeat = HeartbeatConfig::every(Duration::from_millis(20)).timeout(Some(TIMEOUT));
        let config = ConnectionConfig::builder(SocketType::Dealer).heartbeat(heartbeat);
        let (mut ours, mut theirs) = connect(setting, &config.build().unwrap(), Kind::Dealer).await;
        // It answers while it waits for the message, which comes once we have seen an answer.
        let receive = theirs.message();
        let send = async {
            while ours.rtt().is_none() {
                assert!(timeout(Duration::from_millis(5), ours.recv()).await.is_err());
            }
            ours.send("answered").await.unwrap();
        };
        let (received, ()) = within("an answer", async { tokio::join!(receive, send) }).await;
        assert_eq!(received, [b"answered"]);
        assert_eq!(ours.ignored(), 0);
    }
}

#[tokio::test]
async fn a_wrong_server_key_is_noticed_by_the_server() {
    let config = ConnectionConfig::new(SocketType::Dealer);
    for we_listen in [false, true] {
        // Theirs is another than we expect.
        let other = Security::Server { secret: OTHER_SECRET, client: None };
        let (ours, theirs) = handshakes(&CLIENT, we_listen, &config, (Kind::Dealer, b""), other).await;
        let error = ours.unwrap_err();
        assert_eq!(error.stage(), Stage::Mechanism);
        assert!(matches!(error.cause(), HandshakeCause::Closed | HandshakeCause::Io(_)), "{error:?}");
        assert!(error.may_reconnect());
        assert!(matches!(theirs.unwrap_err(), OmqError::Omq(_)));
        // Ours is another than it expects.
        let other = Security::Client { secret: THEIR_SECRET, server: public(OTHER_SECRET) };
        let (ours, theirs) = handshakes(&SERVER, we_listen, &config, (Kind::Dealer, b""), other).await;
        let error = ours.unwrap_err();
        let HandshakeCause::Mechanism(MechanismError::Cryptographic { command }) = error.cause() else {
            panic!("{error:?}")
        };
        assert_eq!(*command, "HELLO");
        assert!(matches!(theirs.unwrap_err(), OmqError::Closed | OmqError::Io(_)));
    }
}

/// omq closes without a word. Ours says 400.
#[tokio::test]
async fn a_client_that_nobody_knows_is_refused_by_either_server() {
    let config = ConnectionConfig::new(SocketType::Dealer);
    for we_listen in [false, true] {
        // Us, by omq.
        let strict = Security::Server { secret: THEIR_SECRET, client: Some(public(OTHER_SECRET)) };
        let (ours, theirs) = handshakes(&CLIENT, we_listen, &config, (Kind::Dealer, b""), strict).await;
        let error = ours.unwrap_err();
        assert!(matches!(error.cause(), HandshakeCause::Closed | HandshakeCause::Io(_)), "{error:?}");
        assert!(matches!(theirs.unwrap_err(), OmqError::Omq(_)));
        // omq, by us.
        let stranger = Security::Client { secret: OTHER_SECRET, server: public(OUR_SECRET) };
        let (ours, theirs) = handshakes(&SERVER, we_listen, &config, (Kind::Dealer, b""), stranger).await;
        assert_eq!(ours.unwrap_err().stage(), Stage::Authorization);
        assert_eq!(theirs.unwrap_err().refusal(), Some("400"));
    }
}

/// The same keys, and another suite of ours: the greeting tells them apart.
#[tokio::test]
async fn the_other_suite_does_not_talk_to_it() {
    let config = ConnectionConfig::new(SocketType::Dealer);
    let sound = AnyMechanism::new(Blake3Client::new(*pair(THEIR_SECRET).public_key(), pair(OUR_SECRET)));
    for we_listen in [false, true] {
        let theirs = Part::Client.theirs();
        let (ours, theirs) = handshakes(&sound, we_listen, &config, (Kind::Dealer, b""), theirs).await;
        let error = ours.unwrap_err();
        assert!(matches!(error.cause(), HandshakeCause::MechanismMismatch { .. }), "{error:?}");
        assert!(theirs.is_err());
    }
}

#[tokio::test]
async fn a_wrong_socket_type_is_refused_by_us() {
    for (part, we_listen) in SETTINGS {
        let config = ConnectionConfig::new(SocketType::Pub);
        let kind = (Kind::Pull, b"".as_slice());
        let (ours, _) = handshakes(part.mechanism(), we_listen, &config, kind, part.theirs()).await;
        let error = ours.unwrap_err();
        match error.cause() {
            HandshakeCause::Incompatible { ours, theirs } => {
                assert_eq!((*ours, *theirs), (SocketType::Pub, SocketType::Pull));
            }
            other => panic!("{part:?}: {other:?}"),
        }
    }
}

//! Every pair of socket types that may talk, in both roles: a message each way where the pattern has one.
//!
//! What the pattern adds to a message (the empty delimiter of REQ and REP, the identity in front of a ROUTER's, the group
//! of a RADIO's) is written down here for both ends, so that a frame too many or too few fails.

use bytes::Bytes;
use zmtp_bench::peers::libzmq::{Message, SocketOption};
use zmtp_connection::codec::{Command, Group, SocketType, Subscription};
use zmtp_connection::{ConnectionConfig, Event};

use crate::payload::{assert_same, message};
use crate::theirs::{LIMIT, Ours, ROLES, Role, Theirs, kind_of, next, next_message, within};

/// The identity that we announce where our type has one.
const IDENTITY: &[u8] = b"we";
const GROUP: &str = "weather";

/// Sizes of the parts of the messages that go each way.
const MESSAGES: [&[usize]; 8] = [&[0], &[1], &[255], &[256], &[8192], &[65536], &[0, 0, 0], &[1, 0, 300, 70_000]];

macro_rules! pairs {
    ($($name:ident: $ours:ident with $theirs:ident,)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                for role in ROLES {
                    talk(SocketType::$ours, SocketType::$theirs, role).await;
                }
            }
        )*

        #[test]
        fn every_pair_that_may_talk_is_here() {
            let here = [$((SocketType::$ours, SocketType::$theirs)),*];
            let mut valid = 0;
            for ours in SocketType::ALL {
                for theirs in SocketType::ALL {
                    assert_eq!(here.contains(&(ours, theirs)), ours.accepts(theirs), "{ours} with {theirs}");
                    valid += usize::from(ours.accepts(theirs));
                }
            }
            assert_eq!(here.len(), valid);
        }
    };
}

pairs! {
    req_with_rep: Req with Rep,
    req_with_router: Req with Router,
    rep_with_req: Rep with Req,
    rep_with_dealer: Rep with Dealer,
    dealer_with_rep: Dealer with Rep,
    dealer_with_dealer: Dealer with Dealer,
    dealer_with_router: Dealer with Router,
    router_with_req: Router with Req,
    router_with_dealer: Router with Dealer,
    router_with_router: Router with Router,
    pub_with_sub: Pub with Sub,
    pub_with_xsub: Pub with Xsub,
    xpub_with_sub: Xpub with Sub,
    xpub_with_xsub: Xpub with Xsub,
    sub_with_pub: Sub with Pub,
    sub_with_xpub: Sub with Xpub,
    xsub_with_pub: Xsub with Pub,
    xsub_with_xpub: Xsub with Xpub,
    push_with_pull: Push with Pull,
    pull_with_push: Pull with Push,
    pair_with_pair: Pair with Pair,
    client_with_server: Client with Server,
    server_with_client: Server with Client,
    radio_with_dish: Radio with Dish,
    dish_with_radio: Dish with Radio,
    scatter_with_gather: Scatter with Gather,
    gather_with_scatter: Gather with Scatter,
    peer_with_peer: Peer with Peer,
    channel_with_channel: Channel with Channel,
}

async fn talk(ours: SocketType, theirs: SocketType, role: Role) {
    let mut talk = Talk::start(ours, theirs, role).await;
    talk.introduce().await;
    let (send, receive) = talk.directions();
    for (sizes, seed) in MESSAGES.iter().zip(1..) {
        let groups = ours.sends_groups() || ours.receives_groups();
        if sizes.len() > 1 && (ours.is_single_part() || groups) {
            continue;
        }
        let (there, back) = (message(seed, sizes), message(seed + 100, sizes));
        if talk.they_ask() {
            talk.theirs_to_ours(&back).await;
            talk.ours_to_theirs(&there).await;
        } else {
            if send {
                talk.ours_to_theirs(&there).await;
            }
            if receive {
                talk.theirs_to_ours(&back).await;
            }
        }
    }
    assert_eq!(talk.ours.ignored(), 0, "{talk:?}: libzmq sent something that means nothing");
    talk.theirs.assert_still_connected();
}

/// A conversation between two socket types.
#[derive(Debug)]
struct Talk {
    ours: Ours,
    theirs: Theirs,
    our_type: SocketType,
    their_type: SocketType,
    /// By which a SERVER or PEER of libzmq's answers.
    routing_id: u32,
}

impl Talk {
    async fn start(our_type: SocketType, their_type: SocketType, role: Role) -> Self {
        let mut theirs = Theirs::new(kind_of(their_type));
        if their_type == SocketType::Xpub {
            theirs.socket().set_xpub_verbose(true).unwrap();
        }
        let mut config = ConnectionConfig::builder(our_type);
        if our_type.sends_identity() {
            config = config.identity(IDENTITY);
        }
        let ours = theirs.accept_as(role, &config.build().unwrap()).await;
        assert_eq!(ours.peer().socket_type(), their_type);
        Self { ours, theirs, our_type, their_type, routing_id: 0 }
    }

    /// Subscribes or joins, and waits until the sender knows.
    async fn introduce(&mut self) {
        let Self { ours, theirs, .. } = self;
        match self.their_type {
            SocketType::Sub => theirs.socket().subscribe(b"").unwrap(),
            SocketType::Xsub => theirs.send(&[b"\x01"]).await,
            SocketType::Dish => theirs.socket().join(GROUP).unwrap(),
            _ => {}
        }
        match self.our_type {
            SocketType::Pub | SocketType::Xpub => {
                assert_eq!(next(ours).await.subscription(), Some(Subscription::subscribe("")));
            }
            SocketType::Sub | SocketType::Xsub => ours.subscribe("").await.unwrap(),
            SocketType::Radio => {
                assert_eq!(next(ours).await, Event::Command(Command::Join(Group::new(GROUP).unwrap())));
            }
            SocketType::Dish => ours.join(Group::new(GROUP).unwrap()).await.unwrap(),
            _ => {}
        }
        match self.their_type {
            SocketType::Xpub => assert_eq!(theirs.recv().await, [b"\x01"]),
            SocketType::Pub => topics_reach(theirs, 1).await,
            SocketType::Radio => {
                // Nothing tells a RADIO of a JOIN, so it sends until something arrives, and then up to a mark.
                let arrived = async {
                    loop {
                        theirs.run(|socket| socket.send_group(GROUP, b"?")).await.unwrap();
                        let wait = std::time::Duration::from_millis(5);
                        if let Ok(received) = tokio::time::timeout(wait, ours.recv()).await {
                            return received;
                        }
                    }
                };
                within("a message for the group", arrived).await.unwrap();
                theirs.run(|socket| socket.send_group(GROUP, b"!")).await.unwrap();
                while next_message(ours).await[1] != b"!" {}
            }
            _ => {}
        }
    }

    /// Whether we send, and whether libzmq does.
    fn directions(&self) -> (bool, bool) {
        match self.our_type {
            SocketType::Push | SocketType::Pub | SocketType::Radio | SocketType::Scatter => (true, false),
            SocketType::Pull | SocketType::Sub | SocketType::Dish | SocketType::Gather => (false, true),
            // A SUB hands on no messages of its user's, and a PUB shows none.
            SocketType::Xpub => (true, self.their_type == SocketType::Xsub),
            SocketType::Xsub => (self.their_type == SocketType::Xpub, true),
            _ => (true, true),
        }
    }

    /// Whether the pattern gives libzmq the first word.
    fn they_ask(&self) -> bool {
        self.their_type == SocketType::Req || self.our_type == SocketType::Rep
    }

    /// What `body` is on the wire, and so on our side, which adds and removes nothing.
    fn on_the_wire(&self, body: &[Vec<u8>]) -> Vec<Bytes> {
        let asks = |socket_type| matches!(socket_type, SocketType::Req | SocketType::Rep);
        let mut frames = Vec::new();
        if asks(self.our_type) || asks(self.their_type) {
            frames.push(Bytes::new());
        }
        if self.our_type.sends_groups() || self.our_type.receives_groups() {
            frames.push(Bytes::from_static(GROUP.as_bytes()));
        }
        frames.extend(body.iter().map(|part| Bytes::copy_from_slice(part)));
        frames
    }

    /// What libzmq's application sees of the frames on the wire.
    fn at_their_end(&self, body: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let wire = self.on_the_wire(body);
        match self.their_type {
            SocketType::Req | SocketType::Rep | SocketType::Radio | SocketType::Dish => body.to_vec(),
            SocketType::Router => [IDENTITY.to_vec()].into_iter().chain(wire.into_iter().map(Vec::from)).collect(),
            _ => wire.into_iter().map(Vec::from).collect(),
        }
    }

    async fn ours_to_theirs(&mut self, body: &[Vec<u8>]) {
        let (wire, due) = (self.on_the_wire(body), self.at_their_end(body));
        let what = format!("{} to libzmq's {}", self.our_type, self.their_type);
        let Self { ours, theirs, .. } = self;
        let send = async { ours.send(&wire).await.unwrap() };
        match self.their_type {
            SocketType::Server | SocketType::Peer | SocketType::Dish => {
                let ((), part) = within(&what, async { tokio::join!(send, theirs.recv_part()) }).await;
                assert_same(&[part.body()], &due, &what);
                assert!(!part.more());
                match self.their_type {
                    SocketType::Dish => assert_eq!(part.group(), GROUP),
                    _ => self.routing_id = part.routing_id(),
                }
            }
            _ => {
                let ((), received) = within(&what, async { tokio::join!(send, theirs.recv()) }).await;
                assert_same(&received, &due, &what);
            }
        }
    }

    async fn theirs_to_ours(&mut self, body: &[Vec<u8>]) {
        let (wire, sent) = (self.on_the_wire(body), self.at_their_end(body));
        let what = format!("libzmq's {} to {}", self.their_type, self.our_type);
        let (their_type, routing_id) = (self.their_type, self.routing_id);
        let Self { ours, theirs, .. } = self;
        let send = async {
            match their_type {
                SocketType::Server | SocketType::Peer => {
                    let mut part = Message::copied(&sent[0]).unwrap();
                    part.set_routing_id(routing_id).unwrap();
                    theirs.run(|socket| socket.send_message(part, false)).await.unwrap();
                }
                SocketType::Radio => theirs.run(move |socket| socket.send_group(GROUP, &sent[0])).await.unwrap(),
                _ => theirs.send(&sent).await,
            }
        };
        let ((), received) = within(&what, async { tokio::join!(send, next_message(ours)) }).await;
        assert_same(&received, &wire, &what);
    }
}

/// Waits until a PUB of libzmq's knows so many topics; it has no other way to say so.
pub(crate) async fn topics_reach(theirs: &mut Theirs, count: i32) {
    let reached = theirs
        .run(move |socket| {
            let start = std::time::Instant::now();
            while start.elapsed() < LIMIT {
                // Reading the events is what makes the socket look at what its I/O thread has brought.
                socket.option_int(SocketOption::EVENTS).unwrap();
                if socket.option_int(SocketOption::TOPICS_COUNT).unwrap() == count {
                    return true;
                }
                std::thread::yield_now();
            }
            false
        })
        .await;
    assert!(reached, "the PUB does not know {count} topics");
}

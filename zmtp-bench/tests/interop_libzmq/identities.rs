//! Who the other side is: routing by identity, and properties as each side sees the other's.

use zmtp_bench::peers::libzmq::{Context, SocketKind};
use zmtp_connection::ConnectionConfig;
use zmtp_connection::codec::{MechanismName, Properties, SocketType, Version};

use crate::payload::octets;
use crate::security;
use crate::theirs::{LIMIT, Ours, ROLES, Role, Theirs, accept, connect_to, next_message, pair, within};

/// Identities at the limits of what is allowed: one octet, 255 octets, and no text.
fn identities() -> [Vec<u8>; 4] {
    let mut longest = octets(1, 255);
    longest[0] = 0xff;
    [b"x".to_vec(), b"a name".to_vec(), b"\x01\0\0\xff".to_vec(), longest]
}

fn with_identity(ours: SocketType, identity: &[u8]) -> ConnectionConfig {
    ConnectionConfig::builder(ours).identity(identity.to_vec()).build().unwrap()
}

/// Sends from a ROUTER as soon as it knows the peer; until then it says that it does not.
async fn send_once_known(theirs: &mut Theirs, parts: Vec<Vec<u8>>) {
    let sent = theirs.run(move |socket| {
        let parts: Vec<_> = parts.iter().map(Vec::as_slice).collect();
        let start = std::time::Instant::now();
        loop {
            match socket.send(&parts) {
                Err(error) if error.is_unreachable() && start.elapsed() < LIMIT => std::thread::yield_now(),
                result => return result,
            }
        }
    });
    sent.await.unwrap();
}

#[tokio::test]
async fn a_router_addresses_us_by_our_identity_before_we_have_said_a_word() {
    for role in ROLES {
        for ours in [SocketType::Req, SocketType::Dealer, SocketType::Router] {
            for identity in identities() {
                let mut theirs = Theirs::new(SocketKind::Router);
                theirs.socket().set_router_mandatory(true).unwrap();
                let mut connection = theirs.accept_as(role, &with_identity(ours, &identity)).await;
                send_once_known(&mut theirs, vec![identity.clone(), Vec::new(), b"for you".to_vec()]).await;
                assert_eq!(next_message(&mut connection).await, [b"".as_slice(), b"for you"]);
                // It also names us by it, and its metadata agrees.
                connection.send(&["", "from me"]).await.unwrap();
                assert_eq!(theirs.recv().await, [identity, Vec::new(), b"from me".to_vec()]);
            }
        }
    }
}

#[tokio::test]
async fn an_anonymous_peer_gets_a_name_from_the_router() {
    let (mut ours, mut theirs) = pair(SocketType::Dealer, SocketKind::Router, Role::WeConnect).await;
    ours.send("hello").await.unwrap();
    let received = theirs.recv().await;
    assert_eq!((received[0].len(), received[0][0]), (5, 0));
    theirs.send(&[received[0].as_slice(), b"hello yourself"]).await;
    assert_eq!(next_message(&mut ours).await, [b"hello yourself"]);
}

#[tokio::test]
async fn the_identity_of_a_libzmq_socket_is_known_to_us() {
    for role in ROLES {
        for (kind, announces) in [
            (SocketKind::Dealer, true),
            (SocketKind::Req, true),
            (SocketKind::Router, true),
            // Set as well, but not sent by other types.
            (SocketKind::Rep, false),
        ] {
            for identity in identities() {
                let mut theirs = Theirs::new(kind);
                theirs.socket().set_routing_id(&identity).unwrap();
                let ours = if kind == SocketKind::Rep { SocketType::Dealer } else { SocketType::Router };
                let ours = theirs.accept_as(role, &ConnectionConfig::new(ours)).await;
                let due = if announces { identity.as_slice() } else { b"" };
                assert_eq!(ours.peer().identity().as_bytes(), due, "{kind:?}");
                assert_eq!(ours.peer().info().identity().as_bytes(), due);
                assert_eq!(ours.peer().properties().get(Properties::IDENTITY).is_some(), announces);
            }
        }
    }
}

#[tokio::test]
async fn what_a_handshake_tells_us_of_libzmq() {
    for role in ROLES {
        let mut theirs = Theirs::new(SocketKind::Dealer);
        theirs.socket().set_metadata("X-Colour", "green").unwrap();
        theirs.socket().set_metadata("X-Zone", "eu-north").unwrap();
        let ours = theirs.accept_as(role, &ConnectionConfig::new(SocketType::Dealer)).await;
        let peer = ours.peer();
        assert_eq!(peer.socket_type(), SocketType::Dealer);
        assert_eq!(peer.version(), Version::V3_1);
        assert_eq!(peer.negotiated_version(), Version::V3_1);
        assert_eq!(peer.mechanism(), security::NAME);
        assert_eq!(peer.is_encrypted(), security::NAME == MechanismName::CURVE);
        assert_eq!(peer.public_key().copied(), security::their_key(role));
        let properties: Vec<_> = peer.properties().iter().map(|(name, value)| (name, value.as_ref())).collect();
        assert_eq!(
            properties,
            [("Socket-Type", b"DEALER".as_slice()), ("Identity", b""), ("X-Colour", b"green"), ("X-Zone", b"eu-north"),]
        );
        // Names compare without case.
        assert_eq!(peer.properties().get("x-colour").unwrap(), "green");
    }
}

#[tokio::test]
async fn what_a_handshake_tells_libzmq_of_us() {
    for role in ROLES {
        let mut theirs = Theirs::new(SocketKind::Router);
        let config = ConnectionConfig::builder(SocketType::Dealer)
            .identity("the dealer")
            .property("X-Colour", "green")
            .property("X-Long", "v".repeat(10_000))
            .build()
            .unwrap();
        let mut ours = theirs.accept_as(role, &config).await;
        ours.send("body").await.unwrap();
        let name = theirs.recv_part().await;
        assert_eq!(name.body(), b"the dealer");
        let part = theirs.recv_part().await;
        assert_eq!(part.body(), b"body");
        assert_eq!(part.property("Socket-Type").as_deref(), Some("DEALER"));
        assert_eq!(part.property("Identity").as_deref(), Some("the dealer"));
        assert_eq!(part.property("X-Colour").as_deref(), Some("green"));
        assert_eq!(part.property("X-Long"), Some("v".repeat(10_000)));
        assert_eq!(part.property("X-None"), None);
        assert_eq!(part.property("Peer-Address").as_deref(), Some("127.0.0.1"));
    }
}

const MANY: usize = 50;

fn name(number: usize) -> String {
    format!("dealer-{number}")
}

#[tokio::test]
async fn fifty_dealers_of_ours_share_one_router() {
    let mut theirs = Theirs::new(SocketKind::Router);
    security::equip(theirs.socket(), Role::WeConnect);
    let endpoint = theirs.socket().bind("tcp://127.0.0.1:*").unwrap();
    let mut dealers: Vec<Ours> = Vec::new();
    for number in 0..MANY {
        let config = with_identity(SocketType::Dealer, name(number).as_bytes());
        let stream = connect_to(&endpoint).await;
        dealers.push(within("a handshake", security::handshake(stream, &config, Role::WeConnect)).await.unwrap());
    }
    for (number, dealer) in dealers.iter_mut().enumerate() {
        dealer.send(&octets(number as u64, 1000 + number)).await.unwrap();
    }
    let mut seen = [false; MANY];
    for _ in 0..MANY {
        let received = theirs.recv().await;
        let number = (0..MANY).find(|number| name(*number).as_bytes() == received[0]).unwrap();
        assert!(!std::mem::replace(&mut seen[number], true));
        assert_eq!(received[1..], [octets(number as u64, 1000 + number)]);
    }
    // Backwards, so that order cannot stand in for addresses.
    for number in (0..MANY).rev() {
        theirs.send(&[name(number).as_bytes(), &octets(number as u64, 70)]).await;
    }
    for (number, dealer) in dealers.iter_mut().enumerate() {
        assert_eq!(next_message(dealer).await, [octets(number as u64, 70)]);
    }
}

#[tokio::test]
async fn fifty_dealers_of_libzmqs_are_told_apart_by_us() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
    let context = Context::new().unwrap();
    let dealers: Vec<_> = (0..MANY)
        .map(|number| {
            let dealer = context.socket(SocketKind::Dealer).unwrap();
            dealer.set_routing_id(name(number).as_bytes()).unwrap();
            security::equip(&dealer, Role::WeAccept);
            dealer.connect(&endpoint).unwrap();
            dealer
        })
        .collect();
    let mut connections = Vec::new();
    for _ in 0..MANY {
        let stream = accept(&listener).await;
        let config = ConnectionConfig::new(SocketType::Router);
        connections.push(within("a handshake", security::handshake(stream, &config, Role::WeAccept)).await.unwrap());
    }
    for connection in &mut connections {
        let identity = connection.peer().identity().as_bytes().clone();
        connection.send(&["you are", std::str::from_utf8(&identity).unwrap()]).await.unwrap();
    }
    let received =
        tokio::task::spawn_blocking(move || dealers.iter().map(|dealer| dealer.recv().unwrap()).collect::<Vec<_>>());
    for (number, received) in received.await.unwrap().into_iter().enumerate() {
        assert_eq!(received, [b"you are".to_vec(), name(number).into_bytes()]);
    }
}

//! Peers that are compared and looked up, and an in-memory stream that is taken apart.
#![cfg(all(feature = "net", feature = "null"))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::HashMap;

use tokio::io::{DuplexStream, duplex};
use zmtp_connection::codec::{Identity, SocketType};
use zmtp_connection::{Connection, ConnectionConfig, Null, PeerInfo};

type Side = Connection<DuplexStream, Null>;

/// A ROUTER and its peer, a DEALER with this identity and zone.
async fn pair(identity: &'static str, zone: &'static str) -> (Side, Side) {
    let (ours, theirs) = duplex(1 << 10);
    let router = ConnectionConfig::new(SocketType::Router);
    let dealer = ConnectionConfig::builder(SocketType::Dealer).identity(identity).property("X-Zone", zone);
    let (dealer, null) = (dealer.build().unwrap(), Null::new());
    let (one, other) =
        tokio::join!(Connection::handshake(ours, &router, &null), Connection::handshake(theirs, &dealer, &null));
    (one.unwrap(), other.unwrap())
}

#[tokio::test]
async fn a_peer_is_found_under_a_key_made_before_it_came() {
    let key = |identity: &'static str| PeerInfo::new(None, Identity::new(identity).unwrap());
    let expected = HashMap::from([(key("a"), 1), (key("b"), 2)]);
    let (router, _dealer) = pair("b", "").await;
    assert_eq!(expected.get(router.peer().info()), Some(&2));
    let (router, _dealer) = pair("c", "").await;
    assert_eq!(expected.get(router.peer().info()), None);
}

#[test]
fn a_key_is_what_it_was_made_of() {
    let identity = Identity::new("a").unwrap();
    let known = PeerInfo::new(Some([7; 32]), identity.clone());
    assert_eq!((known.public_key(), known.identity()), (Some(&[7; 32]), &identity));
    assert_ne!(known, PeerInfo::new(Some([8; 32]), identity.clone()));
    assert_ne!(known, PeerInfo::new(None, identity));
}

#[tokio::test]
async fn peers_are_equal_if_all_that_they_announced_is() {
    let (first, _dealer) = pair("a", "north").await;
    let (again, _dealer) = pair("a", "north").await;
    let (moved, _dealer) = pair("a", "south").await;
    assert_eq!(first.peer(), again.peer());
    assert_ne!(first.peer(), moved.peer());
    assert_eq!(first.peer().info(), moved.peer().info());
}

#[tokio::test]
async fn an_in_memory_connection_comes_apart_as_one_over_tcp_does() {
    let (router, dealer) = pair("a", "").await;
    let (mut receiver, mut sender) = router.into_split();
    let (mut their_receiver, mut their_sender) = dealer.into_split();
    // More than the stream holds, in both directions at once: each half must go on while the other one waits.
    let large = vec![5; 1 << 14];
    let (sent, their_sent, received, their_received) =
        tokio::join!(sender.send(&large), their_sender.send(&large), receiver.recv(), their_receiver.recv());
    sent.unwrap();
    their_sent.unwrap();
    for received in [received, their_received] {
        assert_eq!(received.unwrap().unwrap().into_message().unwrap().parts(), [&large[..]]);
    }
}

//! What is too large for one side or the other, and the last size that is not.

use zmtp_bench::peers::libzmq::{EventKind, SocketKind};
use zmtp_connection::codec::SocketType;
use zmtp_connection::{ConnectionConfig, DecodeError, Limits, RecvError};

use crate::payload::octets;
use crate::security;
use crate::theirs::{ROLES, Role, Theirs, next_message, pair, within};

#[tokio::test]
async fn libzmq_drops_us_for_a_frame_above_its_maxmsgsize() {
    for role in ROLES {
        let mut theirs = Theirs::new(SocketKind::Pull);
        // It counts what is on the wire.
        theirs.socket().set_maxmsgsize(1000 + i64::try_from(security::OVERHEAD).unwrap()).unwrap();
        let mut ours = theirs.accept_as(role, &ConnectionConfig::new(SocketType::Push)).await;
        // Each frame counts alone.
        let largest = octets(1, 1000);
        ours.send(&[&largest, &largest]).await.unwrap();
        assert_eq!(theirs.recv().await, [largest.as_slice(), &largest]);
        ours.send(&octets(2, 1001)).await.unwrap();
        theirs.event(EventKind::Disconnected).await;
        // It closes with our octets unread, which is a reset unless it had read them all.
        match within("the end", ours.recv()).await {
            Ok(None) | Err(RecvError::Io(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Accepts what is within the limits, refuses what is not, and then stays refused.
async fn refused(limits: Limits, role: Role, largest: Vec<Vec<u8>>, too_large: Vec<Vec<u8>>) -> DecodeError {
    let mut theirs = Theirs::new(SocketKind::Push);
    let config = ConnectionConfig::builder(SocketType::Pull).limits(limits).build().unwrap();
    let mut ours = theirs.accept_as(role, &config).await;
    theirs.send(&largest).await;
    assert_eq!(next_message(&mut ours).await, largest);
    // In front of the one that is too large, and delivered whatever comes behind it.
    theirs.send(&["small"]).await;
    theirs.send(&too_large).await;
    assert_eq!(next_message(&mut ours).await, [b"small"]);
    let error = match within("the error", ours.recv()).await {
        Err(RecvError::Protocol(error)) => error,
        other => panic!("{other:?}"),
    };
    assert!(matches!(ours.recv().await, Err(RecvError::Protocol(DecodeError::Poisoned))));
    drop(ours);
    theirs.event(EventKind::Disconnected).await;
    error
}

#[tokio::test]
async fn a_frame_above_our_limit_is_a_typed_error() {
    for role in ROLES {
        for limit in [200, 1000] {
            let limits = Limits::new().max_frame(limit);
            let error = refused(limits, role, vec![octets(1, limit); 3], vec![octets(2, limit + 1)]).await;
            assert_eq!(error, DecodeError::FrameTooLarge { size: limit as u64 + 1, limit });
        }
    }
}

/// Sixteen megabytes announced by a real peer: refused by the header, and so by the size on the wire.
#[tokio::test]
async fn a_huge_frame_is_refused_before_it_has_arrived() {
    let limits = Limits::new().max_frame(1 << 20);
    let huge = vec![octets(3, 16 << 20)];
    let error = refused(limits, Role::WeConnect, vec![octets(1, 1 << 20)], huge).await;
    let announced = (16 << 20) + security::OVERHEAD as u64;
    assert_eq!(error, DecodeError::FrameTooLarge { size: announced, limit: 1 << 20 });
}

#[tokio::test]
async fn a_message_above_our_limit_is_a_typed_error() {
    for role in ROLES {
        let limits = Limits::new().max_message(1000);
        let largest = vec![octets(1, 600), octets(2, 400)];
        let too_large = vec![octets(1, 600), octets(2, 401)];
        let error = refused(limits, role, largest, too_large).await;
        assert_eq!(error, DecodeError::MessageTooLarge { at_least: 1001, limit: 1000 });
    }
}

#[tokio::test]
async fn a_message_of_more_parts_than_our_limit_is_a_typed_error() {
    for role in ROLES {
        let limits = Limits::new().max_parts(3);
        let error = refused(limits, role, vec![b"x".to_vec(); 3], vec![b"x".to_vec(); 4]).await;
        assert_eq!(error, DecodeError::TooManyParts { limit: 3 });
    }
}

#[tokio::test]
async fn a_topic_above_our_limit_is_a_typed_error() {
    // The name SUBSCRIBE and its length octet come first.
    const LIMIT: usize = 110;
    for role in ROLES {
        let mut theirs = Theirs::new(SocketKind::Sub);
        let limits = Limits::new().max_command(LIMIT);
        let config = ConnectionConfig::builder(SocketType::Pub).limits(limits).build().unwrap();
        let mut ours = theirs.accept_as(role, &config).await;
        theirs.socket().subscribe(&octets(1, LIMIT - 10)).unwrap();
        assert!(within("a subscription", ours.recv()).await.unwrap().unwrap().subscription().is_some());
        theirs.socket().subscribe(&octets(2, LIMIT - 9)).unwrap();
        match within("the error", ours.recv()).await {
            Err(RecvError::Protocol(DecodeError::CommandTooLarge { size: 111, limit: LIMIT })) => {}
            other => panic!("{other:?}"),
        }
        drop(ours);
        theirs.event(EventKind::Disconnected).await;
    }
}

/// With the default limits, more parts than one batch of reads holds.
#[tokio::test]
async fn four_thousand_parts_are_within_the_default_limits() {
    for role in ROLES {
        let (mut ours, mut theirs) = pair(SocketType::Pair, SocketKind::Pair, role).await;
        let parts: Vec<_> = (0..4096).map(|number| octets(number, 20)).collect();
        theirs.send(&parts).await;
        assert_eq!(next_message(&mut ours).await, parts);
        ours.send(&parts).await.unwrap();
        assert_eq!(theirs.recv().await, parts);
    }
}

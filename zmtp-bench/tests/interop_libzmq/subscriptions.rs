//! SUBSCRIBE and CANCEL in both directions, as they are seen, and as they filter.

use zmtp_bench::peers::libzmq::SocketKind;
use zmtp_connection::codec::{Command, Group, SocketType, Subscription};
use zmtp_connection::{ConnectionConfig, Event};

use crate::pairs::topics_reach;
use crate::payload::octets;
use crate::theirs::{Ours, ROLES, Role, Theirs, next, next_message, pair};

#[tokio::test]
async fn an_xpub_sees_what_we_subscribe_to_and_cancel() {
    for ours in [SocketType::Sub, SocketType::Xsub] {
        for role in ROLES {
            let mut theirs = Theirs::new(SocketKind::Xpub);
            theirs.socket().set_xpub_verbose(true).unwrap();
            let mut ours = theirs.accept_as(role, &ConnectionConfig::new(ours)).await;
            // 245 octets make the largest short command frame, 246 the smallest long one; 255 and 65,000 are what libzmq's own
            // framing has tripped over.
            for (seed, len) in [0, 1, 200, 245, 246, 255, 256, 65_000].into_iter().enumerate() {
                let topic = octets(seed as u64, len);
                ours.subscribe(topic.clone()).await.unwrap();
                assert_eq!(theirs.recv().await, [[&[1], topic.as_slice()].concat()], "SUBSCRIBE of {len} octets");
                // Verbose: the same again is shown again.
                ours.subscribe(topic.clone()).await.unwrap();
                assert_eq!(theirs.recv().await, [[&[1], topic.as_slice()].concat()]);
                // One CANCEL ends it all the same.
                ours.cancel(topic.clone()).await.unwrap();
                assert_eq!(theirs.recv().await, [[&[0], topic.as_slice()].concat()], "CANCEL of {len} octets");
            }
            theirs.assert_still_connected();
        }
    }
}

/// Publishes on `all`, and asserts that exactly `taken` arrive. A last one that we always take marks the end.
async fn publish(theirs: &mut Theirs, ours: &mut Ours, all: &[&str], taken: &[&str]) {
    for topic in all {
        theirs.send(&[topic.as_bytes(), b"body"]).await;
    }
    theirs.send(&[b"end"]).await;
    let mut arrived = Vec::new();
    loop {
        let message = next_message(ours).await;
        if message == [b"end"] {
            break;
        }
        assert_eq!(message[1..], [b"body"]);
        arrived.push(String::from_utf8(message[0].clone()).unwrap());
    }
    assert_eq!(arrived, taken);
}

#[tokio::test]
async fn our_subscriptions_filter_at_a_pub_and_an_xpub() {
    for theirs in [SocketKind::Pub, SocketKind::Xpub] {
        for role in ROLES {
            let (mut ours, mut theirs) = pair(SocketType::Sub, theirs, role).await;
            let all = ["a", "ab", "b", "", "ba"];
            ours.subscribe("end").await.unwrap();
            ours.subscribe("a").await.unwrap();
            topics_reach(&mut theirs, 2).await;
            publish(&mut theirs, &mut ours, &all, &["a", "ab"]).await;
            ours.subscribe("b").await.unwrap();
            topics_reach(&mut theirs, 3).await;
            publish(&mut theirs, &mut ours, &all, &["a", "ab", "b", "ba"]).await;
            ours.cancel("a").await.unwrap();
            topics_reach(&mut theirs, 2).await;
            publish(&mut theirs, &mut ours, &all, &["b", "ba"]).await;
            ours.subscribe("").await.unwrap();
            topics_reach(&mut theirs, 3).await;
            publish(&mut theirs, &mut ours, &all, &all).await;
        }
    }
}

/// What a publisher does with subscriptions: a set of topics, matched as prefixes.
#[derive(Default)]
struct Topics(std::collections::BTreeSet<Vec<u8>>);

impl Topics {
    fn apply(&mut self, subscription: &Subscription) {
        let topic = subscription.topic.to_vec();
        if *subscription == Subscription::subscribe(topic.clone()) {
            self.0.insert(topic);
        } else {
            assert!(self.0.remove(&topic), "CANCEL of what was not subscribed to");
        }
    }

    fn matches(&self, first: &[u8]) -> bool {
        self.0.iter().any(|topic| first.starts_with(topic))
    }
}

/// Receives one subscription of a SUB, which comes in the form of ZMTP 3.1, since that is what we announce.
async fn next_subscription(ours: &mut Ours) -> Subscription {
    let event = next(ours).await;
    assert!(matches!(event, Event::Command(Command::Subscribe(_) | Command::Cancel(_))), "{event:?}");
    event.subscription().unwrap()
}

#[tokio::test]
async fn subscriptions_of_a_sub_arrive_as_commands_and_can_be_honoured() {
    for ours in [SocketType::Pub, SocketType::Xpub] {
        for role in ROLES {
            let (mut ours, mut theirs) = pair(ours, SocketKind::Sub, role).await;
            let mut topics = Topics::default();
            theirs.socket().subscribe(b"news").unwrap();
            theirs.socket().subscribe(b"").unwrap();
            theirs.socket().subscribe(b"end").unwrap();
            theirs.socket().unsubscribe(b"").unwrap();
            for due in [
                Subscription::subscribe("news"),
                Subscription::subscribe(""),
                Subscription::subscribe("end"),
                Subscription::cancel(""),
            ] {
                let subscription = next_subscription(&mut ours).await;
                assert_eq!(subscription, due);
                topics.apply(&subscription);
            }
            let mut skipped = 0;
            for first in ["weather", "news", "newsflash", "new", "", "end"] {
                if topics.matches(first.as_bytes()) {
                    ours.feed(&[first, "body"]).unwrap();
                } else {
                    skipped += 1;
                }
            }
            ours.flush().await.unwrap();
            assert_eq!(skipped, 3);
            for first in ["news", "newsflash", "end"] {
                assert_eq!(theirs.recv().await, [first.as_bytes(), b"body"]);
            }
            assert_eq!(ours.ignored(), 0);
        }
    }
}

/// The other side of the same: a SUB filters once more what it receives, so a publisher that does not is wasteful, no worse.
#[tokio::test]
async fn a_sub_drops_what_it_did_not_ask_for() {
    let (mut ours, mut theirs) = pair(SocketType::Pub, SocketKind::Sub, Role::WeAccept).await;
    theirs.socket().subscribe(b"a").unwrap();
    assert_eq!(next_subscription(&mut ours).await, Subscription::subscribe("a"));
    for first in ["b", "", "ab"] {
        ours.send(first).await.unwrap();
    }
    assert_eq!(theirs.recv().await, [b"ab"]);
}

#[tokio::test]
async fn topics_of_every_framing_arrive_from_a_sub() {
    for ours in [SocketType::Pub, SocketType::Xpub] {
        for role in ROLES {
            let (mut ours, theirs) = pair(ours, SocketKind::Sub, role).await;
            // Not longer: the subscriber's trie recurses once per octet, and 60,000 overflow the 2 MiB stack of a thread.
            for (seed, len) in [0, 1, 200, 245, 246, 255, 256, 4_000].into_iter().enumerate() {
                let topic = octets(seed as u64, len);
                theirs.socket().subscribe(&topic).unwrap();
                assert_eq!(next_subscription(&mut ours).await, Subscription::subscribe(topic.clone()), "{len} octets");
                theirs.socket().unsubscribe(&topic).unwrap();
                assert_eq!(next_subscription(&mut ours).await, Subscription::cancel(topic), "{len} octets");
            }
        }
    }
}

/// What an XSUB's application writes goes out as it is, whatever version we announce.
#[tokio::test]
async fn subscriptions_of_an_xsub_arrive_as_messages() {
    for ours in [SocketType::Pub, SocketType::Xpub] {
        for role in ROLES {
            let (mut ours, mut theirs) = pair(ours, SocketKind::Xsub, role).await;
            for (seed, len) in [0, 1, 200, 254, 255, 256, 4_000].into_iter().enumerate() {
                let topic = octets(seed as u64, len);
                for (first, due) in
                    [(1, Subscription::subscribe(topic.clone())), (0, Subscription::cancel(topic.clone()))]
                {
                    theirs.send(&[[&[first], topic.as_slice()].concat()]).await;
                    let event = next(&mut ours).await;
                    assert!(matches!(event, Event::Message(_)), "{event:?}");
                    assert_eq!(event.subscription(), Some(due), "{len} octets");
                }
            }
        }
    }
}

#[tokio::test]
async fn subscriptions_from_before_the_connection_arrive_with_it() {
    let mut theirs = Theirs::new(SocketKind::Sub);
    theirs.socket().subscribe(b"early").unwrap();
    let mut ours = theirs.accept_as(Role::WeAccept, &ConnectionConfig::new(SocketType::Pub)).await;
    assert_eq!(next_subscription(&mut ours).await, Subscription::subscribe("early"));
}

#[tokio::test]
async fn a_dish_joins_and_leaves() {
    for role in ROLES {
        let (mut ours, theirs) = pair(SocketType::Radio, SocketKind::Dish, role).await;
        let longest = "g".repeat(255);
        for name in ["g", longest.as_str()] {
            let group = Group::new(name.to_owned()).unwrap();
            theirs.socket().join(name).unwrap();
            assert_eq!(next(&mut ours).await, Event::Command(Command::Join(group.clone())));
            theirs.socket().leave(name).unwrap();
            assert_eq!(next(&mut ours).await, Event::Command(Command::Leave(group)));
        }
    }
}

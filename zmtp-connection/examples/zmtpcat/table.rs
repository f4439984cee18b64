//! The ready peers, and what each wants to hear.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant};
use zmtp_connection::codec::{Command, Subscription, SubscriptionAction};
use zmtp_connection::{Event, Peer};

use crate::peer::Outgoing;

/// How long a new peer is given to say what it subscribes to before something is published without it.
const SUBSCRIBING: Duration = Duration::from_millis(200);
/// What the names of those begin with who have none.
const ANONYMOUS: &str = "anonymous-";
/// What one peer may subscribe to, in topics and in octets of them.
const MAX_TOPICS: usize = 100_000;
const MAX_TOPIC_OCTETS: usize = 16 << 20;

/// The ready peers, in the order in which they came.
pub(crate) struct Table {
    peers: BTreeMap<u64, Entry>,
    /// Peers are told apart by name, so no two may have the same.
    by_name: bool,
    /// Who had the last turn.
    turn: u64,
    anonymous: u64,
}

pub(crate) struct Entry {
    outbox: mpsc::Sender<Outgoing>,
    /// Its identity, or a name made up for it.
    name: Bytes,
    /// Prefixes for a PUB, groups for a RADIO. A set, as in libzmq: one CANCEL ends a subscription.
    topics: BTreeSet<Bytes>,
    topic_octets: usize,
    /// Until when it may still be about to subscribe.
    fresh_until: Option<Instant>,
}

impl Table {
    pub(crate) const fn new(by_name: bool) -> Self {
        Self { peers: BTreeMap::new(), by_name, turn: 0, anonymous: 0 }
    }

    /// Adds a peer; `false` if another one has its identity where that matters.
    pub(crate) fn add(&mut self, id: u64, peer: &Peer, outbox: mpsc::Sender<Outgoing>) -> bool {
        let name = if peer.identity().is_routable() { peer.identity().as_bytes().clone() } else { self.made_up() };
        if self.by_name && self.named(&name).is_some() {
            return false;
        }
        let fresh_until = Some(Instant::now() + SUBSCRIBING);
        self.peers.insert(id, Entry { outbox, name, topics: BTreeSet::new(), topic_octets: 0, fresh_until });
        true
    }

    /// A name that nobody has.
    fn made_up(&mut self) -> Bytes {
        loop {
            self.anonymous += 1;
            let name = Bytes::from(format!("{ANONYMOUS}{}", self.anonymous));
            if self.named(&name).is_none() {
                return name;
            }
        }
    }

    /// Whether `name` was made up for a peer that is gone.
    pub(crate) fn is_over(&self, name: &[u8]) -> bool {
        let number = name.strip_prefix(ANONYMOUS.as_bytes()).and_then(|number| std::str::from_utf8(number).ok());
        let made_up = number.and_then(|number| number.parse::<u64>().ok()).is_some_and(|n| n <= self.anonymous);
        made_up && self.named(name).is_none()
    }

    /// Whether a peer is gone, or takes nothing any more.
    pub(crate) fn is_leaving(&self, id: u64) -> bool {
        self.peers.get(&id).is_none_or(|entry| entry.outbox.is_closed())
    }

    pub(crate) fn remove(&mut self, id: u64) {
        self.peers.remove(&id);
    }

    pub(crate) fn clear(&mut self) {
        self.peers.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    pub(crate) fn contains(&self, id: u64) -> bool {
        self.peers.contains_key(&id)
    }

    pub(crate) fn ids(&self) -> Vec<u64> {
        self.peers.keys().copied().collect()
    }

    pub(crate) fn only(&self) -> Option<u64> {
        self.peers.keys().next().copied()
    }

    pub(crate) fn name(&self, id: u64) -> Option<Bytes> {
        self.peers.get(&id).map(|entry| entry.name.clone())
    }

    pub(crate) fn named(&self, name: &[u8]) -> Option<u64> {
        self.peers.iter().find(|(_, entry)| entry.name == name).map(|(&id, _)| id)
    }

    /// Gives a peer something; gives it back if there is no room for it or the peer is gone.
    pub(crate) fn give(&self, id: u64, outgoing: Outgoing) -> Result<(), Outgoing> {
        match self.peers.get(&id) {
            Some(entry) => entry.outbox.try_send(outgoing).map_err(mpsc::error::TrySendError::into_inner),
            None => Err(outgoing),
        }
    }

    /// Gives the next peer in turn that has room something, and says which; gives it back if none has.
    pub(crate) fn give_in_turn(&mut self, mut outgoing: Outgoing) -> Result<u64, Outgoing> {
        let after = self.peers.range((Excluded(self.turn), Unbounded));
        let up_to = self.peers.range(..=self.turn);
        for (&id, _) in after.chain(up_to) {
            match self.give(id, outgoing) {
                Ok(()) => {
                    self.turn = id;
                    return Ok(id);
                }
                Err(back) => outgoing = back,
            }
        }
        Err(outgoing)
    }

    /// Who subscribed to a message that begins with `first`; `exact` for groups.
    pub(crate) fn matching(&self, first: &[u8], exact: bool) -> Vec<u64> {
        let wants = |topic: &Bytes| if exact { topic == first } else { first.starts_with(topic) };
        let matches = self.peers.iter().filter(|(_, entry)| entry.topics.iter().any(wants));
        matches.map(|(&id, _)| id).collect()
    }

    /// When every peer has said what it wants, or has had the time to; `None`: now.
    pub(crate) fn settled_at(&self) -> Option<Instant> {
        let now = Instant::now();
        self.peers.values().filter_map(|entry| entry.fresh_until).filter(|&until| until > now).max()
    }

    /// Takes note of a subscription or group; `false` if this was neither, an error if there are too many.
    pub(crate) fn note(&mut self, id: u64, event: &Event) -> Result<bool, &'static str> {
        let subscription = match event {
            Event::Command(Command::Join(group)) => Some(Subscription::subscribe(group.as_bytes().clone())),
            Event::Command(Command::Leave(group)) => Some(Subscription::cancel(group.as_bytes().clone())),
            event => event.subscription(),
        };
        let (Some(subscription), Some(entry)) = (subscription, self.peers.get_mut(&id)) else { return Ok(false) };
        entry.fresh_until = None;
        match subscription.action {
            SubscriptionAction::Subscribe => {
                let len = subscription.topic.len();
                if entry.topics.insert(Bytes::copy_from_slice(&subscription.topic)) {
                    entry.topic_octets += len;
                }
            }
            SubscriptionAction::Cancel => {
                if entry.topics.remove(&subscription.topic) {
                    entry.topic_octets -= subscription.topic.len();
                }
            }
        }
        if entry.topics.len() > MAX_TOPICS || entry.topic_octets > MAX_TOPIC_OCTETS {
            return Err("too many subscriptions");
        }
        Ok(true)
    }
}

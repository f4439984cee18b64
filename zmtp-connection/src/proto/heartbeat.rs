//! Signs of life: when to send a PING, when to give a silent peer up, how long an answer takes (RFC 37, "Heartbeats").
//!
//! A state machine without a clock: every method is told the time, as a monotonic duration from an origin that the
//! caller chooses. All octets from the peer count as life, so a frame that takes minutes to arrive keeps it alive.
//! Before a deadline is acted upon the caller has read what there is: a peer is never given up for what waited unread
//! on our side.

use core::time::Duration;

use zmtp_codec::{HeartbeatContext, Ping, Pong, SocketType, Version};

use crate::config::HeartbeatConfig;
use crate::error::Expired;

/// The heartbeats of one connection, both ways.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    config: Option<HeartbeatConfig>,
    /// Whether silence after a PING means anything: a peer of ZMTP 3.0 need not answer.
    answers: bool,
    last_received: Duration,
    next_ping: Option<Duration>,
    /// Set by a PING, cleared by any octet.
    expires: Option<Duration>,
    /// What the peer's newest PING announced.
    peer_ttl: Option<Duration>,
    /// When each of the newest PINGs was sent, at the place that its number has modulo the length.
    sent: [Option<(u64, Duration)>; REMEMBERED],
    pings: u64,
    rtt: Option<Duration>,
}

/// How many PINGs are remembered for the round-trip time: more than one, since an answer may take longer than an
/// interval.
const REMEMBERED: usize = 8;

/// What is to be done at a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeartbeatAction {
    /// Nothing yet; ask [`Heartbeat::next_deadline`] again.
    None,
    /// Send this PING.
    Ping(Ping),
    /// Close the connection: the peer was silent for too long.
    Expire(Expired),
}

impl Heartbeat {
    /// The heartbeats with a peer of this version and socket type, from `now` on.
    ///
    /// A DISH is never sent a PING, since libzmq's closes the connection on it.
    #[must_use]
    pub fn new(config: Option<HeartbeatConfig>, version: Version, peer: SocketType, now: Duration) -> Self {
        let answers = version.has_heartbeats();
        let config = config.filter(|config| peer != SocketType::Dish && (answers || config.ping_old_peers));
        // The first PING goes out after one interval, not at once.
        let next_ping = config.as_ref().map(|config| now.saturating_add(config.interval));
        Self {
            config,
            answers,
            last_received: now,
            next_ping,
            expires: None,
            peer_ttl: None,
            sent: [None; REMEMBERED],
            pings: 0,
            rtt: None,
        }
    }

    /// We can send nothing more: no PING goes out from now on, and none is missed an answer. The TTL that the peer has
    /// announced still counts.
    #[cfg_attr(not(feature = "net"), expect(dead_code, reason = "only a stream has halves"))]
    pub(crate) fn stop_pings(&mut self) {
        self.config = None;
        self.next_ping = None;
        self.expires = None;
    }

    /// Octets came from the peer.
    #[inline]
    pub const fn on_received(&mut self, now: Duration) {
        self.last_received = now;
        self.expires = None;
    }

    /// A PING came; its TTL replaces the one before, and zero clears it.
    pub fn on_ping(&mut self, ping: &Ping) {
        let ttl = ping.ttl.as_duration();
        self.peer_ttl = (!ttl.is_zero()).then_some(ttl);
    }

    /// A PONG came. It is matched by its context with one of our newest eight PINGs; others (libzmq before 4.3 sends
    /// no context) change nothing.
    pub fn on_pong(&mut self, pong: &Pong, now: Duration) {
        let answers = |(number, _): &mut (u64, Duration)| pong.context.as_bytes() == number.to_be_bytes();
        if let Some((_, sent)) = self.sent.iter_mut().find_map(|ping| ping.take_if(answers)) {
            self.rtt = Some(now.saturating_sub(sent));
        }
    }

    /// The last PING has left only now, since others went before it: silence counts from here. Without this, it
    /// counts from [`HeartbeatAction::Ping`] on; so say it only of a PING that was held up, and once.
    pub fn ping_sent(&mut self, now: Duration) {
        if let (true, Some(config)) = (self.answers, &self.config) {
            self.expires = config.timeout.map(|timeout| now.saturating_add(timeout));
        }
        if let Some((_, sent)) = self.sent.iter_mut().flatten().max() {
            *sent = now;
        }
    }

    /// When [`on_deadline`](Self::on_deadline) is due, if ever.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        [self.next_ping, self.expires, self.ttl_deadline()].into_iter().flatten().min()
    }

    /// What is to be done now. To be called after everything that can be read was read and told to
    /// [`on_received`](Self::on_received), until it returns [`HeartbeatAction::None`] or the peer has expired.
    pub fn on_deadline(&mut self, now: Duration) -> HeartbeatAction {
        if let (Some(at), Some(ttl)) = (self.ttl_deadline(), self.peer_ttl)
            && now >= at
        {
            return HeartbeatAction::Expire(Expired::TimeToLive { ttl });
        }
        let Some(config) = &self.config else {
            return HeartbeatAction::None;
        };
        if let (Some(at), Some(after)) = (self.expires, config.timeout)
            && now >= at
        {
            return HeartbeatAction::Expire(Expired::NoAnswer { after });
        }
        match self.next_ping {
            Some(at) if now >= at => {}
            _ => return HeartbeatAction::None,
        }
        self.next_ping = Some(now.saturating_add(config.interval));
        if self.answers && self.expires.is_none() {
            self.expires = config.timeout.map(|timeout| now.saturating_add(timeout));
        }
        self.pings += 1;
        let place = usize::try_from(self.pings % REMEMBERED as u64).unwrap_or_default();
        self.sent[place] = Some((self.pings, now));
        // Eight octets always fit into a context.
        let context = HeartbeatContext::new(&self.pings.to_be_bytes()).unwrap_or(HeartbeatContext::EMPTY);
        HeartbeatAction::Ping(Ping::new(config.ttl, context))
    }

    /// The PING that was just asked for is not sent, since the one before it still waits.
    #[cfg(feature = "net")]
    pub(crate) fn ping_skipped(&mut self) {
        if let Some(place) = self.sent.iter_mut().find(|place| place.is_some_and(|(number, _)| number == self.pings)) {
            *place = None;
        }
        self.pings -= 1;
    }

    /// When octets last came from the peer; the end of the handshake before any came.
    #[must_use]
    pub const fn last_received(&self) -> Duration {
        self.last_received
    }

    /// The newest round-trip time, from a PING of ours to its PONG, among the newest eight. It includes the time that either side needs to
    /// get around to it.
    #[must_use]
    pub const fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    fn ttl_deadline(&self) -> Option<Duration> {
        self.peer_ttl.map(|ttl| self.last_received.saturating_add(ttl))
    }
}

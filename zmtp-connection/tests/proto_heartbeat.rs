//! Heartbeats: what is read and refused, and the state machine that decides when to ask and when to give up.
#![cfg(feature = "null")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use std::time::Duration;

use support::wire::{self, command, message};
use support::{Event, NOW, decode, drain, ready, ready_with};
use zmtp_connection::codec::{CommandError, HeartbeatContext, Ping, Pong, SocketType, Ttl, Version};
use zmtp_connection::proto::{Heartbeat, HeartbeatAction};
use zmtp_connection::{ConnectionConfig, DecodeError, Expired, HeartbeatConfig};

const TYPE: SocketType = SocketType::Dealer;
const INTERVAL: Duration = Duration::from_secs(10);
/// The end of the handshake.
const START: Duration = Duration::from_secs(100);

/// Time since the end of the handshake.
const fn at(milliseconds: u64) -> Duration {
    Duration::from_millis(100_000 + milliseconds)
}

fn heartbeat(config: HeartbeatConfig) -> Heartbeat {
    Heartbeat::new(Some(config), Version::V3_1, TYPE, START)
}

/// The PING that is due now, and nothing else.
fn due(heartbeat: &mut Heartbeat, now: Duration) -> Ping {
    match heartbeat.on_deadline(now) {
        HeartbeatAction::Ping(ping) => {
            assert_eq!(heartbeat.on_deadline(now), HeartbeatAction::None, "one PING is due at a time");
            ping
        }
        other => panic!("{other:?} at {now:?}"),
    }
}

fn with_ttl(deciseconds: u16) -> Ping {
    Ping::new(Ttl::from_deciseconds(deciseconds), HeartbeatContext::EMPTY)
}

fn read(octets: &[u8]) -> Result<Vec<Event>, DecodeError> {
    decode(&mut ready(TYPE, TYPE).decoder, octets, 1)
}

#[test]
fn malformed_heartbeats_end_the_connection() {
    let cut = |available| Err(CommandError::TtlTruncated { available }.into());
    assert_eq!(read(&command("PING", b"")), cut(0), "B01");
    assert_eq!(read(&command("PING", b"\0")), cut(1), "B02");
    let long = |len| Err(CommandError::ContextTooLong { len }.into());
    assert_eq!(read(&wire::ping(0, &[1; 17])), long(17), "B03");
    assert_eq!(read(&wire::ping(0, &[1; 300])), long(300), "B04");
    assert_eq!(read(&command("PONG", &[1; 17])), long(17));
    assert_eq!(read(&command("PONG", &[1; 300])), long(300), "B10");
}

#[test]
fn a_ping_is_answered_with_its_context_to_the_octet() {
    // B05 to B08
    for ttl in [0, 1, 2, 655, 656, 65_535] {
        for len in [0, 1, 15, 16] {
            let context: Vec<u8> = (0..len).map(|octet| octet ^ 0xff).collect();
            let mut ready = ready_with(&ConnectionConfig::new(TYPE), wire::GREETING_3_0, TYPE);
            let events = decode(&mut ready.decoder, &wire::ping(ttl, &context), 1).unwrap();
            let [Event::Ping(ping)] = events[..] else { panic!("{events:?}") };
            assert_eq!(ping.ttl.as_deciseconds(), ttl);
            ready.encoder.push_pong(ping.pong()).unwrap();
            assert_eq!(drain(&mut ready.encoder), command("PONG", &context));
        }
    }
}

#[test]
fn an_unsolicited_pong_is_read_and_changes_nothing() {
    // B09
    let events = read(&[command("PONG", b"whose?"), message(&["ok"])].concat()).unwrap();
    let Event::Pong(pong) = &events[0] else { panic!("{events:?}") };
    assert_eq!(events[1], Event::message(&["ok"]));
    let mut heartbeat = heartbeat(HeartbeatConfig::every(INTERVAL));
    let before = heartbeat.next_deadline();
    heartbeat.on_pong(pong, at(5));
    assert_eq!((heartbeat.next_deadline(), heartbeat.rtt()), (before, None));
}

#[test]
fn a_connection_hands_its_configuration_to_its_heartbeats() {
    let config = ConnectionConfig::builder(TYPE).heartbeat(HeartbeatConfig::every(INTERVAL)).build().unwrap();
    assert_eq!(ready_with(&config, wire::GREETING, TYPE).heartbeat.next_deadline(), Some(NOW + INTERVAL));
    assert_eq!(ready_with(&config, wire::GREETING_3_0, TYPE).heartbeat.next_deadline(), None);
    assert_eq!(ready(TYPE, TYPE).heartbeat.next_deadline(), None);
}

#[test]
fn the_first_ping_is_due_after_one_interval_and_then_one_per_interval() {
    let mut heartbeat = heartbeat(HeartbeatConfig::every(INTERVAL));
    assert_eq!(heartbeat.next_deadline(), Some(at(10_000)));
    for now in [at(0), at(1), at(9_999)] {
        assert_eq!(heartbeat.on_deadline(now), HeartbeatAction::None);
    }
    let first = due(&mut heartbeat, at(10_000));
    assert!(first.ttl.is_zero(), "no TTL is announced unless asked for");
    // Traffic does not put the next one off.
    heartbeat.on_received(at(19_000));
    assert_eq!(heartbeat.next_deadline(), Some(at(20_000)));
    let second = due(&mut heartbeat, at(20_000));
    assert_ne!(first.context, second.context);
    // A late driver sends one PING and not those that it missed.
    heartbeat.on_received(at(55_000));
    due(&mut heartbeat, at(55_000));
    assert_eq!(heartbeat.next_deadline(), Some(at(65_000)));
}

#[test]
fn a_peer_silent_for_an_interval_after_our_ping_is_given_up() {
    // B13
    let mut heartbeat = heartbeat(HeartbeatConfig::every(INTERVAL));
    due(&mut heartbeat, at(10_000));
    assert_eq!(heartbeat.next_deadline(), Some(at(20_000)));
    assert_eq!(heartbeat.on_deadline(at(19_999)), HeartbeatAction::None);
    let expired = HeartbeatAction::Expire(Expired::NoAnswer { after: INTERVAL });
    assert_eq!(heartbeat.on_deadline(at(20_000)), expired);
}

#[test]
fn any_octets_after_our_ping_are_a_sign_of_life() {
    // B14, B16: neither a PONG nor a whole frame is needed.
    let mut heartbeat = heartbeat(HeartbeatConfig::every(INTERVAL));
    for round in 1..100 {
        due(&mut heartbeat, at(round * 10_000));
        heartbeat.on_received(at(round * 10_000 + 9_999));
    }
    assert_eq!(heartbeat.last_received(), at(999_999 - 10_000 + 10_000));
}

#[test]
fn octets_before_our_ping_are_none_after_it() {
    let mut heartbeat = heartbeat(HeartbeatConfig::every(INTERVAL));
    heartbeat.on_received(at(9_999));
    due(&mut heartbeat, at(10_000));
    assert!(matches!(heartbeat.on_deadline(at(20_000)), HeartbeatAction::Expire(_)));
}

#[test]
fn a_long_timeout_runs_from_the_first_unanswered_ping() {
    let config = HeartbeatConfig::every(INTERVAL).timeout(Some(Duration::from_secs(25)));
    let mut heartbeat = heartbeat(config);
    due(&mut heartbeat, at(10_000));
    due(&mut heartbeat, at(20_000));
    due(&mut heartbeat, at(30_000));
    assert_eq!(heartbeat.next_deadline(), Some(at(35_000)));
    let expired = Expired::NoAnswer { after: Duration::from_secs(25) };
    assert_eq!(heartbeat.on_deadline(at(35_000)), HeartbeatAction::Expire(expired));
}

#[test]
fn a_short_timeout_is_due_before_the_next_ping() {
    let config = HeartbeatConfig::every(INTERVAL).timeout(Some(Duration::from_secs(2)));
    let mut heartbeat = heartbeat(config);
    due(&mut heartbeat, at(10_000));
    assert_eq!(heartbeat.next_deadline(), Some(at(12_000)));
    heartbeat.on_received(at(11_000));
    assert_eq!(heartbeat.next_deadline(), Some(at(20_000)));
}

#[test]
fn without_a_timeout_nobody_is_given_up() {
    let mut heartbeat = heartbeat(HeartbeatConfig::every(INTERVAL).timeout(None));
    for round in 1..1000 {
        due(&mut heartbeat, at(round * 10_000));
    }
}

#[test]
fn an_interval_is_a_millisecond_at_least() {
    let mut heartbeat = heartbeat(HeartbeatConfig::every(Duration::ZERO));
    assert_eq!(heartbeat.next_deadline(), Some(at(1)));
    due(&mut heartbeat, at(1));
}

#[test]
fn the_ttl_that_we_announce_is_rounded_up_and_capped_where_libzmq_miscalculates() {
    // B06, B07
    for (ttl, deciseconds) in [(0, 0), (1, 1), (100, 1), (101, 2), (65_500, 655), (65_501, 655), (9_999_999, 655)] {
        let mut heartbeat = heartbeat(HeartbeatConfig::every(INTERVAL).ttl(Duration::from_millis(ttl)));
        assert_eq!(due(&mut heartbeat, at(10_000)).ttl.as_deciseconds(), deciseconds, "{ttl} ms");
    }
}

#[test]
fn the_ttl_of_the_peer_is_honoured_over_its_full_range() {
    // B05 to B08; also without heartbeats of our own, and whatever the peer's version and type.
    for (version, peer) in [(Version::V3_1, TYPE), (Version::V3_0, TYPE), (Version::V3_1, SocketType::Dish)] {
        for ttl in [1_u16, 2, 655, 656, 65_535] {
            let mut heartbeat = Heartbeat::new(None, version, peer, START);
            heartbeat.on_received(at(1000));
            heartbeat.on_ping(&with_ttl(ttl));
            let end = 1000 + u64::from(ttl) * 100;
            assert_eq!(heartbeat.next_deadline(), Some(at(end)));
            assert_eq!(heartbeat.on_deadline(at(end - 1)), HeartbeatAction::None);
            let expired = Expired::TimeToLive { ttl: Duration::from_millis(u64::from(ttl) * 100) };
            assert_eq!(heartbeat.on_deadline(at(end)), HeartbeatAction::Expire(expired));
        }
    }
}

#[test]
fn any_octets_put_the_ttl_off_and_a_newer_ping_replaces_it() {
    // B15
    let mut heartbeat = Heartbeat::new(None, Version::V3_1, TYPE, START);
    heartbeat.on_received(at(0));
    heartbeat.on_ping(&with_ttl(3));
    assert_eq!(heartbeat.next_deadline(), Some(at(300)));
    heartbeat.on_received(at(299));
    assert_eq!(heartbeat.next_deadline(), Some(at(599)));
    heartbeat.on_ping(&with_ttl(50));
    assert_eq!(heartbeat.next_deadline(), Some(at(5299)));
    heartbeat.on_ping(&with_ttl(1));
    assert_eq!(heartbeat.next_deadline(), Some(at(399)));
    heartbeat.on_ping(&with_ttl(0));
    assert_eq!(heartbeat.next_deadline(), None, "zero clears it");
    assert_eq!(heartbeat.on_deadline(at(1_000_000)), HeartbeatAction::None);
}

#[test]
fn the_round_trip_is_measured_by_the_context_of_our_newest_pings() {
    let mut heartbeat = heartbeat(HeartbeatConfig::every(INTERVAL).timeout(None));
    let first = due(&mut heartbeat, at(10_000));
    heartbeat.on_pong(&first.pong(), at(10_030));
    assert_eq!(heartbeat.rtt(), Some(Duration::from_millis(30)));
    // The same PONG again, one without a context (libzmq 4.2) and a foreign one are no measurement.
    let foreign = Pong::new(HeartbeatContext::new(b"foreign!").unwrap());
    for pong in [first.pong(), Pong::new(HeartbeatContext::EMPTY), foreign] {
        heartbeat.on_pong(&pong, at(11_000));
    }
    assert_eq!(heartbeat.rtt(), Some(Duration::from_millis(30)));
    let second = due(&mut heartbeat, at(20_000));
    let third = due(&mut heartbeat, at(30_000));
    heartbeat.on_pong(&second.pong(), at(30_001));
    assert_eq!(heartbeat.rtt(), Some(Duration::from_millis(10_001)), "an answer may take longer than an interval");
    heartbeat.on_pong(&third.pong(), at(30_500));
    assert_eq!(heartbeat.rtt(), Some(Duration::from_millis(500)));
    // Eight are remembered, not more.
    let fourth = due(&mut heartbeat, at(40_000));
    for round in 5..13 {
        due(&mut heartbeat, at(round * 10_000));
    }
    heartbeat.on_pong(&fourth.pong(), at(130_000));
    assert_eq!(heartbeat.rtt(), Some(Duration::from_millis(500)), "forgotten");
}

#[test]
fn old_peers_are_pinged_only_on_demand_and_never_given_up() {
    let config = HeartbeatConfig::every(INTERVAL);
    let asleep = Heartbeat::new(Some(config.clone()), Version::V3_0, TYPE, START);
    assert_eq!(asleep.next_deadline(), None);
    let mut forced = Heartbeat::new(Some(config.ping_zmtp_3_0(true)), Version::V3_0, TYPE, START);
    for round in 1..100 {
        assert_eq!(forced.next_deadline(), Some(at(round * 10_000)));
        due(&mut forced, at(round * 10_000));
    }
    // Newer ones need not be forced.
    let newer = Heartbeat::new(Some(HeartbeatConfig::every(INTERVAL)), Version::new(4, 0), TYPE, START);
    assert_eq!(newer.next_deadline(), Some(at(10_000)));
}

#[test]
fn a_dish_is_never_pinged() {
    let config = HeartbeatConfig::every(INTERVAL).ping_zmtp_3_0(true);
    for version in [Version::V3_0, Version::V3_1] {
        let mut dish = Heartbeat::new(Some(config.clone()), version, SocketType::Dish, START);
        assert_eq!(dish.next_deadline(), None);
        assert_eq!(dish.on_deadline(at(1_000_000)), HeartbeatAction::None);
        // The radio that a DISH talks to is.
        let radio = Heartbeat::new(Some(config.clone()), version, SocketType::Radio, START);
        assert_eq!(radio.next_deadline(), Some(at(10_000)));
    }
}

#[test]
fn a_deadline_that_was_acted_upon_lies_in_the_future() {
    // A driver that sleeps until the next deadline never spins, whatever comes in between.
    let config = HeartbeatConfig::every(INTERVAL).timeout(Some(Duration::from_secs(7)));
    let mut heartbeat = heartbeat(config);
    let (mut now, mut acted) = (START, 0);
    for step in 0..10_000_u64 {
        if step % 2 == 0 {
            heartbeat.on_received(now);
        }
        if step % 7 == 0 {
            heartbeat.on_ping(&with_ttl(u16::try_from(step % 300 + 200).unwrap()));
        }
        let due = heartbeat.next_deadline().unwrap();
        let until = due.min(now + Duration::from_millis(step * 37 % 3000));
        assert!(until >= now, "time goes forward");
        now = until;
        match heartbeat.on_deadline(now) {
            HeartbeatAction::None => {}
            HeartbeatAction::Ping(_) => {
                acted += 1;
                assert_eq!(heartbeat.on_deadline(now), HeartbeatAction::None, "step {step}");
            }
            other => panic!("{other:?}: traffic comes often enough"),
        }
        assert!(heartbeat.next_deadline().unwrap() > now, "step {step}");
    }
    assert!(acted > 100);
}

//! Talking under CURVE, and who is let in.

use crate::cat::Cat;
use crate::keys::{Keys, anonymous_client_of};
use crate::relay::{From, Relay};

#[test]
fn a_binding_server_and_a_connecting_client_talk() {
    let (server, client) = (Keys::new(), Keys::new());
    let (rep, endpoint) = Cat::bind(&format!("-t REP --echo {}", server.server()));
    let args = format!("-t REQ --identity me {}", client.client_of(&server));
    let mut req = Cat::run(&format!("--connect {endpoint} --events {args}"));
    let address = rep.event("accepted ");
    let ready = rep.event("ready ");
    assert_eq!(ready, format!("{address} type=REQ zmtp=3.1 mechanism=CURVE identity=me key={}", client.public));
    let ready = req.event("ready ");
    assert_eq!(ready, format!("{endpoint} type=REP zmtp=3.1 mechanism=CURVE identity= key={}", server.public));
    for line in ["hello", "two\tparts", ""] {
        req.write(format!("{line}\n").as_bytes());
        assert_eq!(rep.line(), line);
        assert_eq!(req.line(), line);
    }
    req.end().expect(0, &[]);
}

#[test]
fn a_binding_client_and_a_connecting_server_talk() {
    let (server, client) = (Keys::new(), Keys::new());
    for as_client in ["", "--as-client"] {
        let (rep, endpoint) = Cat::bind(&format!("-t REP --echo {as_client} {}", client.client_of(&server)));
        let args = format!("-t REQ --as-server {} --allow-key={}", server.server(), client.public);
        Cat::fed(&endpoint, &args, "hello\nagain\n").end().expect(0, &["hello", "again"]);
        assert!(rep.event("ready ").ends_with(&format!(" key={}", server.public)));
    }
}

#[test]
fn both_sides_write_when_they_like() {
    let server = Keys::new();
    let (mut binder, endpoint) = Cat::bind(&format!("-t PAIR {}", server.server()));
    let mut connector = Cat::connect(&endpoint, &format!("-t PAIR {}", anonymous_client_of(&server)));
    let lines: Vec<_> = (0..100).map(|number| format!("{number} {}", "x".repeat(number * 50))).collect();
    let input = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    binder.write(input.as_bytes());
    connector.write(input.as_bytes());
    for line in &lines {
        assert_eq!(&binder.line(), line);
        assert_eq!(&connector.line(), line);
    }
}

#[test]
fn a_large_message_passes() {
    let server = Keys::new();
    let (_rep, endpoint) = Cat::bind(&format!("-t REP --echo {}", server.server()));
    let line = "0123456789abcdef".repeat(1 << 16);
    let req = Cat::fed(&endpoint, &format!("-t REQ {}", anonymous_client_of(&server)), &line);
    req.end().expect(0, &[&line]);
}

#[test]
fn a_publisher_hears_subscriptions() {
    let server = Keys::new();
    let (mut publisher, endpoint) = Cat::bind(&format!("-t PUB {}", server.server()));
    let sub = |args: &str| Cat::connect(&endpoint, &format!("-t SUB {} {args}", anonymous_client_of(&server)));
    let weather = sub("--subscribe weather. --subscribe wind -n 2");
    let all = sub("-n 4");
    for _ in 0..2 {
        publisher.event("ready ");
    }
    publisher.write(b"weather.rain\nsport\nwindy\tvery\nweather\n");
    weather.end_by_itself().expect(0, &["weather.rain", "windy\tvery"]);
    all.end_by_itself().expect(0, &["weather.rain", "sport", "windy\tvery", "weather"]);
    publisher.end().expect(0, &[]);
}

#[test]
fn nothing_is_said_in_the_clear() {
    let server = Keys::new();
    let hears = |server_args: &str, client_args: &str| {
        let (rep, endpoint) = Cat::bind(&format!("-t REP --echo {server_args}"));
        let relay = Relay::to(&endpoint);
        let args = format!("-t REQ --identity my-name {client_args}");
        Cat::fed(&relay.endpoint, &args, "my secret\n").end().expect(0, &["my secret"]);
        rep.event("closed ");
        let heard = relay.heard();
        let hears = |text: &str| heard.windows(text.len()).any(|octets| octets == text.as_bytes());
        [hears("my secret"), hears("my-name")]
    };
    // That the ear is good.
    assert_eq!(hears("", ""), [true, true]);
    assert_eq!(hears(&server.server(), &anonymous_client_of(&server)), [false, false]);
}

#[test]
fn an_idle_connection_lives_on_its_heartbeats() {
    let server = Keys::new();
    let heartbeat = "--heartbeat-ivl 50 --heartbeat-timeout 10000";
    let (pull, endpoint) = Cat::bind(&format!("-t PULL {heartbeat} {}", server.server()));
    let relay = Relay::to(&endpoint);
    let mut push = Cat::connect(&relay.endpoint, &format!("-t PUSH {}", anonymous_client_of(&server)));
    pull.event("ready ");
    relay.heard();
    // PINGs one way and PONGs the other.
    let mut heard = [0, 0];
    while heard.iter().any(|&count| count < 5) {
        let (from, octets) = relay.hear();
        heard[usize::from(from == From::Binder)] += 1;
        assert!(!octets.windows(4).any(|word| word == b"PING" || word == b"PONG"), "said in the clear");
    }
    push.write(b"still here\n");
    assert_eq!(pull.line(), "still here");
    push.end().expect(0, &[]);
}

#[test]
fn a_peer_that_answers_no_ping_is_dropped() {
    let server = Keys::new();
    let heartbeat = "--heartbeat-ivl 100 --heartbeat-timeout 1500";
    let (pull, endpoint) = Cat::bind(&format!("-t PULL {heartbeat} {}", server.server()));
    let mut served = Cat::connect(&endpoint, &format!("-t PUSH {}", anonymous_client_of(&server)));
    let relay = Relay::to(&endpoint);
    let _lost = Cat::connect(&relay.endpoint, &format!("-t PUSH {}", anonymous_client_of(&server)));
    relay.stall();
    let said = pull.event("failed stage=connection cause=");
    assert!(said.contains("1.5s"), "{said}");
    served.write(b"I do answer\n");
    assert_eq!(pull.line(), "I do answer");
}

#[test]
fn keys_that_are_not_allowed_are_refused() {
    let (server, first, second, other) = (Keys::new(), Keys::new(), Keys::new(), Keys::new());
    let allowed = format!("--allow-key={} --allow-key={}", first.public, second.public);
    let (rep, endpoint) = Cat::bind(&format!("-t REP --echo {} {allowed}", server.server()));
    let mut served = Cat::connect(&endpoint, &format!("-t REQ {}", first.client_of(&server)));
    rep.event("ready ");
    for stranger in [other.client_of(&server), anonymous_client_of(&server)] {
        let ended = Cat::fed(&endpoint, &format!("-t REQ {stranger}"), "let me in\n").end();
        ended.expect(1, &[]);
        ended.expect_said("failed stage=mechanism cause=the peer refused with the reason \"400\"");
        rep.event("failed stage=authorization cause=the peer was refused ");
        served.write(b"still there?\n");
        assert_eq!(served.line(), "still there?");
        assert_eq!(rep.line(), "still there?");
    }
    let args = format!("-t REQ {}", second.client_of(&server));
    Cat::fed(&endpoint, &args, "and me?\n").end().expect(0, &["and me?"]);
    assert!(rep.event("ready ").ends_with(&format!(" key={}", second.public)));
    served.end().expect(0, &[]);
}

#[test]
fn without_a_list_any_key_is_let_in() {
    let server = Keys::new();
    let (rep, endpoint) = Cat::bind(&format!("-t REP --echo {}", server.server()));
    let mut keys = Vec::new();
    for _ in 0..2 {
        let args = format!("-t REQ {}", anonymous_client_of(&server));
        Cat::fed(&endpoint, &args, "hello\n").end().expect(0, &["hello"]);
        keys.push(rep.event("ready ").rsplit_once(" key=").unwrap().1.to_owned());
    }
    assert_ne!(keys[0], keys[1], "a key is made for each run");
}

#[test]
fn a_server_that_has_another_key_is_not_talked_to() {
    let (server, other) = (Keys::new(), Keys::new());
    let (rep, endpoint) = Cat::bind(&format!("-t REP --echo {}", server.server()));
    let ended = Cat::fed(&endpoint, &format!("-t REQ {}", anonymous_client_of(&other)), "a secret\n").end();
    ended.expect(1, &[]);
    ended.expect_said("failed stage=mechanism cause=");
    rep.event("failed stage=mechanism cause=the peer's HELLO failed cryptographic verification");
    let args = format!("-t REQ {}", anonymous_client_of(&server));
    Cat::fed(&endpoint, &args, "hello\n").end().expect(0, &["hello"]);
    assert_eq!(rep.line(), "hello");
}

#[test]
fn who_speaks_another_mechanism_is_refused_on_both_sides() {
    let server = Keys::new();
    let (secured, endpoint) = Cat::bind(&format!("-t REP --echo {}", server.server()));
    let ended = Cat::fed(&endpoint, "-t REQ", "in the clear\n").end();
    ended.expect(1, &[]);
    ended.expect_said("failed stage=greeting cause=the peer speaks CURVE");
    secured.event("failed stage=greeting cause=the peer speaks NULL");
    let (open, endpoint) = Cat::bind("-t REP --echo");
    let ended = Cat::fed(&endpoint, &format!("-t REQ {}", anonymous_client_of(&server)), "a secret\n").end();
    ended.expect(1, &[]);
    ended.expect_said("failed stage=greeting cause=the peer speaks NULL");
    open.event("failed stage=greeting cause=the peer speaks CURVE");
}

#[test]
fn two_clients_or_two_servers_do_not_meet() {
    let (ours, theirs) = (Keys::new(), Keys::new());
    let patience = "--handshake-timeout 500";
    let (_server, endpoint) = Cat::bind(&format!("-t PAIR {patience} {}", ours.server()));
    let args = format!("--connect {endpoint} -t PAIR {patience} --as-server {}", theirs.server());
    Cat::run(&args).end_by_itself().expect(1, &[]);
    let (_client, endpoint) = Cat::bind(&format!("-t PAIR {patience} {}", ours.client_of(&theirs)));
    let args = format!("--connect {endpoint} -t PAIR {patience} {}", theirs.client_of(&ours));
    Cat::run(&args).end_by_itself().expect(1, &[]);
}

#[test]
fn socket_types_that_do_not_fit_fail_under_curve() {
    let server = Keys::new();
    let (_pull, endpoint) = Cat::bind(&format!("-t PULL {}", server.server()));
    let args = format!("--connect {endpoint} -t REQ {}", anonymous_client_of(&server));
    let ended = Cat::run(&args).end_by_itself();
    ended.expect(1, &[]);
    ended.expect_said("failed stage=");
}

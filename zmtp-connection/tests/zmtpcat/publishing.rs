//! Publishers and subscribers of both generations.

use std::io::Write;

use crate::cat::Cat;
use crate::raw::{dial, shake_hands};

#[test]
fn a_sub_gets_what_begins_with_its_prefix() {
    let (mut publisher, endpoint) = Cat::bind("-t PUB");
    let weather = Cat::connect(&endpoint, "-t SUB --subscribe weather. --subscribe wind -n 2");
    let all = Cat::connect(&endpoint, "-t SUB -n 4");
    for _ in 0..2 {
        publisher.event("ready ");
    }
    publisher.write(b"weather.rain\nsport\nwindy\tvery\nweather\n");
    weather.end_by_itself().expect(0, &["weather.rain", "windy\tvery"]);
    all.end_by_itself().expect(0, &["weather.rain", "sport", "windy\tvery", "weather"]);
    publisher.end().expect(0, &[]);
}

#[test]
fn every_subscriber_that_is_ready_gets_the_next_line() {
    let (mut publisher, endpoint) = Cat::bind("-t PUB");
    let mut subscribers = Vec::new();
    for round in 1..=5 {
        subscribers.push(Cat::connect(&endpoint, "-t SUB"));
        publisher.event("ready ");
        publisher.write(format!("{round}\n").as_bytes());
        for subscriber in &subscribers {
            assert_eq!(subscriber.line(), round.to_string());
        }
    }
}

#[test]
fn a_pub_waits_for_its_first_subscriber() {
    let (mut publisher, endpoint) = Cat::bind("-t PUB");
    let input: String = (0..1000).map(|number| format!("{number}\n")).collect();
    publisher.write(input.as_bytes());
    publisher.close();
    let ended = Cat::run(&format!("--connect {endpoint} -t SUB")).end_by_itself();
    ended.expect(0, &input.lines().collect::<Vec<_>>());
    publisher.end().expect(0, &[]);
}

#[test]
fn a_pub_ends_after_the_messages_counted() {
    let (mut publisher, endpoint) = Cat::bind("-t PUB -n 2");
    let subscriber = Cat::connect(&endpoint, "-t SUB");
    publisher.event("ready ");
    publisher.write(b"1\n2\n3\n");
    publisher.end_by_itself().expect(0, &[]);
    subscriber.end_by_itself().expect(0, &["1", "2"]);
}

#[test]
fn an_xpub_shows_subscriptions() {
    let (mut xpub, endpoint) = Cat::bind("-t XPUB --hex");
    let subscriber = Cat::connect(&endpoint, "-t SUB --subscribe A -n 1");
    assert_eq!(xpub.line(), "0141");
    let mut xsub = Cat::connect(&endpoint, "-t XSUB --hex");
    xsub.write(b"0142\n0042\n");
    assert_eq!(xpub.line(), "0142");
    assert_eq!(xpub.line(), "0042");
    xpub.write(b"41,ff\n");
    let line = subscriber.octets();
    assert_eq!(line, b"A\t\xff");
}

#[test]
fn an_xsub_gets_what_it_has_subscribed_to() {
    let (mut publisher, endpoint) = Cat::bind("-t XPUB --hex");
    let mut xsub = Cat::connect(&endpoint, "-t XSUB --subscribe x --hex");
    assert_eq!(publisher.line(), "0178");
    publisher.write(b"79\n78\n");
    assert_eq!(xsub.line(), "78");
    xsub.write(b"0179\n");
    assert_eq!(publisher.line(), "0179");
    publisher.write(b"79\n");
    assert_eq!(xsub.line(), "79");
    xsub.write(b"0078\n");
    assert_eq!(publisher.line(), "0078");
    publisher.write(b"78\n79\n");
    assert_eq!(xsub.line(), "79");
}

#[test]
fn an_xsub_sends_other_messages_as_they_are() {
    let (xpub, endpoint) = Cat::bind("-t XPUB");
    Cat::fed(&endpoint, "-t XSUB", "hello\n").end().expect(0, &[]);
    assert_eq!(xpub.line(), "hello");
}

#[test]
fn a_dish_hears_the_groups_it_has_joined() {
    let (mut radio, endpoint) = Cat::bind("-t RADIO");
    let dish = Cat::connect(&endpoint, "-t DISH --subscribe news -n 1");
    radio.event("ready ");
    radio.write(b"newspaper\tno\nnews\tyes\n");
    dish.end_by_itself().expect(0, &["news\tyes"]);
}

/// The five seconds that zmtpcat gives a peer are real ones.
#[test]
fn a_subscriber_that_reads_nothing_is_left_behind() {
    let (mut publisher, endpoint) = Cat::bind("-t PUB");
    let stalled = dial(&endpoint);
    shake_hands(&stalled, "SUB");
    (&stalled).write_all(b"\x04\x0a\x09SUBSCRIBE").unwrap();
    publisher.event("ready ");
    let subscriber = Cat::connect(&endpoint, "-t SUB -n 60");
    publisher.event("ready ");
    // More than all the buffers on the way to the one that does not read.
    let line = "x".repeat(1 << 20);
    for _ in 0..60 {
        publisher.write(format!("{line}\n").as_bytes());
    }
    publisher.event("failed stage=traffic");
    subscriber.end_by_itself().expect(0, &vec![line.as_str(); 60]);
    publisher.end().expect(0, &[]);
}

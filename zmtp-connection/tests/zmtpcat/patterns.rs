//! Every socket type with its counterpart.

use crate::cat::Cat;

#[test]
fn a_req_asks_and_an_echoing_rep_answers() {
    let (_rep, endpoint) = Cat::bind("-t REP --echo");
    Cat::fed(&endpoint, "-t REQ", "hello\nagain\n").end().expect(0, &["hello", "again"]);
    Cat::fed(&endpoint, "-t req", "last, without an end").end().expect(0, &["last, without an end"]);
}

#[test]
fn an_echoing_rep_prints_the_requests() {
    let (rep, endpoint) = Cat::bind("-t REP --echo -n 2");
    Cat::fed(&endpoint, "-t REQ", "a\tb\nc\n").end().expect(0, &["a\tb", "c"]);
    rep.end_by_itself().expect(0, &["a\tb", "c"]);
}

#[test]
fn a_rep_answers_with_lines_of_stdin() {
    let (mut rep, endpoint) = Cat::bind("-t REP");
    let mut req = Cat::connect(&endpoint, "-t REQ");
    for (question, answer) in [("one?", "1"), ("two?", "2")] {
        req.write(format!("{question}\n").as_bytes());
        assert_eq!(rep.line(), question);
        rep.write(format!("{answer}\n").as_bytes());
        assert_eq!(req.line(), answer);
    }
    req.end().expect(0, &[]);
    rep.end().expect(0, &[]);
}

#[test]
fn a_rep_keeps_its_lines_until_they_are_asked_for() {
    let (mut rep, endpoint) = Cat::bind("-t REP");
    rep.write(b"first\nsecond\n");
    rep.close();
    Cat::fed(&endpoint, "-t REQ", "a\n").end().expect(0, &["first"]);
    Cat::fed(&endpoint, "-t REQ", "b\n").end().expect(0, &["second"]);
    rep.end().expect(0, &["a", "b"]);
}

#[test]
fn a_rep_answers_each_client_its_own_request() {
    let (mut rep, endpoint) = Cat::bind("-t REP -n 3");
    let mut clients: Vec<Cat> = (0..3).map(|_| Cat::connect(&endpoint, "-t REQ")).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.write(format!("{number}\n").as_bytes());
    }
    for _ in 0..3 {
        let request = rep.line();
        rep.write(format!("answer to {request}\n").as_bytes());
    }
    for (number, client) in clients.into_iter().enumerate() {
        client.end().expect(0, &[&format!("answer to {number}")]);
    }
    rep.end_by_itself().expect(0, &[]);
}

#[test]
fn a_rep_serves_many_clients() {
    let (_rep, endpoint) = Cat::bind("-t REP --echo");
    let input: String = (0..200).map(|number| format!("{number}\n")).collect();
    let lines: Vec<String> = input.lines().map(str::to_owned).collect();
    let clients: Vec<Cat> = (0..8).map(|_| Cat::fed(&endpoint, "-t REQ", &input)).collect();
    for client in clients {
        let ended = client.end();
        assert_eq!((ended.code, ended.stdout), (Some(0), lines.clone()));
    }
}

#[test]
fn a_push_takes_turns_over_its_peers() {
    let (mut push, endpoint) = Cat::bind("-t PUSH");
    let pulls: Vec<Cat> = (0..3).map(|_| Cat::connect(&endpoint, "-t PULL")).collect();
    for _ in 0..3 {
        push.event("ready ");
    }
    push.write(b"0\n1\n2\n3\n4\n5\n");
    push.end().expect(0, &[]);
    for pull in pulls {
        let ended = pull.end();
        let numbers: Vec<u32> = ended.stdout.iter().map(|line| line.parse().unwrap()).collect();
        assert!(matches!(numbers[..], [a, b] if a + 3 == b), "{numbers:?}");
    }
}

#[test]
fn a_pull_gets_everything_of_several_pushes() {
    let (pull, endpoint) = Cat::bind("-t PULL -n 6");
    Cat::fed(&endpoint, "-t PUSH", "a1\na2\na3\n").end().expect(0, &[]);
    Cat::fed(&endpoint, "-t PUSH", "b1\nb2\nb3\n").end().expect(0, &[]);
    let mut ended = pull.end_by_itself();
    ended.stdout.sort();
    ended.expect(0, &["a1", "a2", "a3", "b1", "b2", "b3"]);
}

#[test]
fn a_push_waits_for_its_first_peer() {
    let (mut push, endpoint) = Cat::bind("-t PUSH");
    push.write(b"early\n");
    push.close();
    Cat::run(&format!("--connect {endpoint} -t PULL -n 1")).end_by_itself().expect(0, &["early"]);
    push.end().expect(0, &[]);
}

#[test]
fn a_router_names_who_wrote_and_who_is_written_to() {
    let (mut router, endpoint) = Cat::bind("-t ROUTER");
    let mut known = Cat::connect(&endpoint, "-t DEALER --identity known -n 1");
    let mut stranger = Cat::connect(&endpoint, "-t DEALER -n 1");
    known.write(b"hi\n");
    assert_eq!(router.line(), "known\thi");
    stranger.write(b"ho\n");
    let line = router.line();
    let (name, body) = line.split_once('\t').unwrap();
    assert_eq!(body, "ho");
    assert!(!name.is_empty());
    router.write(format!("{name}\tto the stranger\nknown\tto the known\n").as_bytes());
    stranger.end().expect(0, &["to the stranger"]);
    known.end().expect(0, &["to the known"]);
}

#[test]
fn a_line_for_an_anonymous_peer_that_is_gone_does_not_stop_a_router() {
    let (mut router, endpoint) = Cat::bind("-t ROUTER");
    Cat::fed(&endpoint, "-t DEALER", "and away\n").end().expect(0, &[]);
    let line = router.line();
    let (name, _) = line.split_once('\t').unwrap();
    router.event("closed ");
    let other = Cat::connect(&endpoint, "-t DEALER --identity other -n 1");
    router.event("ready ");
    router.write(format!("{name}\ttoo late\nother\thello\n").as_bytes());
    other.end().expect(0, &["hello"]);
    assert_eq!(router.end().code, Some(1));
}

#[test]
fn an_identity_belongs_to_one_peer_of_a_router() {
    let (router, endpoint) = Cat::bind("-t ROUTER");
    let mut first = Cat::connect(&endpoint, "-t DEALER --identity same");
    let second = Cat::run(&format!("--connect {endpoint} -t DEALER --identity same -n 1"));
    assert_eq!(second.end_by_itself().code, Some(1));
    first.write(b"still here\n");
    assert_eq!(router.line(), "same\tstill here");
}

#[test]
fn peers_of_other_types_may_have_the_same_identity() {
    let (pull, endpoint) = Cat::bind("-t PULL -n 2");
    let mut first = Cat::connect(&endpoint, "-t PUSH --identity same");
    let mut second = Cat::connect(&endpoint, "-t PUSH --identity same");
    first.write(b"1\n");
    assert_eq!(pull.line(), "1");
    second.write(b"2\n");
    pull.end_by_itself().expect(0, &["2"]);
}

#[test]
fn a_dealer_and_a_rep_speak_with_an_envelope() {
    let (_rep, endpoint) = Cat::bind("-t REP --echo");
    Cat::fed(&endpoint, "-t DEALER -n 1", "\tquestion\n").end().expect(0, &["\tquestion"]);
}

#[test]
fn a_pair_has_one_peer_at_a_time() {
    let (mut pair, endpoint) = Cat::bind("-t PAIR");
    let mut first = Cat::connect(&endpoint, "-t PAIR");
    let second = Cat::run(&format!("--connect {endpoint} -t PAIR --events"));
    second.event("closed ");
    first.write(b"ping\n");
    assert_eq!(pair.line(), "ping");
    pair.write(b"pong\n");
    assert_eq!(first.line(), "pong");
    first.end().expect(0, &[]);
    for _ in 0..2 {
        pair.event("closed ");
    }
    Cat::fed(&endpoint, "-t PAIR", "third\n").end().expect(0, &[]);
    assert_eq!(pair.line(), "third");
}

#[test]
fn a_server_answers_a_client() {
    let (_echo, endpoint) = Cat::bind("-t SERVER --echo");
    Cat::fed(&endpoint, "-t CLIENT -n 1", "hello\n").end().expect(0, &["hello"]);
    let (mut server, endpoint) = Cat::bind("-t SERVER");
    let mut client = Cat::connect(&endpoint, "-t CLIENT -n 1");
    client.write(b"question\n");
    assert_eq!(server.line(), "question");
    server.write(b"answer\n");
    client.end().expect(0, &["answer"]);
}

#[test]
fn a_gather_gets_what_a_scatter_sends() {
    let (gather, endpoint) = Cat::bind("-t GATHER -n 2");
    Cat::fed(&endpoint, "-t SCATTER", "a\tb\nc\n").end().expect(0, &[]);
    gather.end_by_itself().expect(0, &["a\tb", "c"]);
}

#[test]
fn a_channel_echoes_to_a_channel() {
    let (_channel, endpoint) = Cat::bind("-t CHANNEL --echo");
    Cat::fed(&endpoint, "-t CHANNEL -n 1", "hello\n").end().expect(0, &["hello"]);
}

#[test]
fn peers_talk_to_peers() {
    let (_peer, endpoint) = Cat::bind("-t PEER --echo");
    Cat::fed(&endpoint, "-t PEER -n 1", "hello\n").end().expect(0, &["hello"]);
}

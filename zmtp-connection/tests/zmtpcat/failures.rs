//! Bad peers: what they do to a connector, and that they do nothing to a binder.

use std::io::Write;
use std::net::Shutdown;

use crate::cat::Cat;
use crate::raw;

#[test]
fn socket_types_that_do_not_fit_fail_on_both_sides() {
    let (binder, endpoint) = Cat::bind("-t PULL");
    let ended = Cat::run(&format!("--connect {endpoint} -t REQ")).end_by_itself();
    ended.expect(1, &[]);
    ended.expect_said("failed stage=properties cause=");
    let said = binder.event("failed stage=properties cause=");
    assert!(said.contains("REQ") && said.contains("peer=tcp://127.0.0.1:"), "{said}");
    Cat::fed(&endpoint, "-t PUSH", "hello\n").end().expect(0, &[]);
    assert_eq!(binder.line(), "hello");
}

#[test]
fn a_failure_is_said_once() {
    let (_binder, endpoint) = Cat::bind("-t PULL");
    for events in ["", "--events"] {
        let ended = Cat::run(&format!("--connect {endpoint} -t REQ {events}")).end_by_itself();
        let said = ended.stderr.iter().filter(|line| line.starts_with("failed ")).count();
        assert_eq!(said, 1, "{:?}", ended.stderr);
    }
}

#[test]
fn what_is_no_zmtp_does_not_disturb_a_binder() {
    let (rep, endpoint) = Cat::bind("-t REP --echo");
    let mut served = Cat::connect(&endpoint, "-t REQ");
    for octets in [
        &b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 and a hello",
        &[0; 200],
        &[0xff; 200],
        b"\x01\x00",
    ] {
        let mut stream = raw::dial(&endpoint);
        // It may be gone before it has heard us out.
        let _ = stream.write_all(octets);
        rep.event("failed stage=greeting cause=");
        raw::read_out(&stream);
        served.write(b"still there?\n");
        assert_eq!(served.line(), "still there?");
    }
    // One that goes in the middle of its greeting.
    let mut stream = raw::dial(&endpoint);
    stream.write_all(b"\xff\0\0\0").unwrap();
    drop(stream);
    rep.event("failed stage=greeting cause=");
    served.write(b"and now?\n");
    assert_eq!(served.line(), "and now?");
    served.end().expect(0, &[]);
}

#[test]
fn a_connector_fails_with_what_is_no_zmtp() {
    let (listener, endpoint) = raw::listener();
    let push = Cat::run(&format!("--connect {endpoint} -t PUSH"));
    let (mut stream, _) = listener.accept().unwrap();
    stream.write_all(b"SSH-2.0-OpenSSH_9.6\r\n").unwrap();
    let ended = push.end_by_itself();
    ended.expect(1, &[]);
    ended.expect_said("failed stage=greeting cause=");
}

#[test]
fn a_silent_client_is_given_up() {
    let (binder, endpoint) = Cat::bind("-t PULL --handshake-timeout 200");
    let stream = raw::dial(&endpoint);
    binder.event("accepted ");
    binder.event("failed stage=greeting cause=");
    raw::read_out(&stream);
    Cat::fed(&endpoint, "-t PUSH", "hello\n").end().expect(0, &[]);
    assert_eq!(binder.line(), "hello");
}

#[test]
fn a_silent_listener_is_given_up() {
    let (listener, endpoint) = raw::listener();
    let pull = Cat::run(&format!("--connect {endpoint} -t PULL --handshake-timeout 200"));
    let (_stream, _) = listener.accept().unwrap();
    let ended = pull.end_by_itself();
    ended.expect(1, &[]);
    ended.expect_said("failed stage=greeting cause=");
}

#[test]
fn a_listener_that_says_only_its_greeting_fails_at_the_mechanism() {
    let (listener, endpoint) = raw::listener();
    let pull = Cat::run(&format!("--connect {endpoint} -t PULL --handshake-timeout 500"));
    let (mut stream, _) = listener.accept().unwrap();
    let mut greeting = [0; 64];
    greeting[..16].copy_from_slice(b"\xff\0\0\0\0\0\0\0\0\x7f\x03\x01NULL");
    stream.write_all(&greeting).unwrap();
    let ended = pull.end_by_itself();
    ended.expect(1, &[]);
    ended.expect_said("failed stage=mechanism cause=");
}

#[test]
fn a_peer_of_another_mechanism_fails_at_the_greeting() {
    let (listener, endpoint) = raw::listener();
    let pull = Cat::run(&format!("--connect {endpoint} -t PULL"));
    let (mut stream, _) = listener.accept().unwrap();
    let mut greeting = [0; 64];
    greeting[..17].copy_from_slice(b"\xff\0\0\0\0\0\0\0\0\x7f\x03\x01CURVE");
    stream.write_all(&greeting).unwrap();
    let ended = pull.end_by_itself();
    ended.expect(1, &[]);
    ended.expect_said("failed stage=greeting cause=the peer speaks CURVE");
}

#[test]
fn a_peer_that_breaks_the_protocol_later_does_not_disturb_a_binder() {
    let (pull, endpoint) = Cat::bind("-t PULL");
    for octets in [
        // A reserved flag; READY once more; a PING without its TTL; 8 EiB announced.
        &b"\x08\x00"[..],
        b"\x04\x06\x05READY",
        b"\x04\x05\x04PING",
        b"\x02\x7f\xff\xff\xff\xff\xff\xff\xff",
    ] {
        let mut stream = raw::dial(&endpoint);
        raw::shake_hands(&stream, "PUSH");
        stream.write_all(b"\x00\x02ok").unwrap();
        assert_eq!(pull.line(), "ok");
        stream.write_all(octets).unwrap();
        pull.event("failed stage=traffic cause=");
        raw::read_out(&stream);
    }
    Cat::fed(&endpoint, "-t PUSH", "hello\n").end().expect(0, &[]);
    assert_eq!(pull.line(), "hello");
}

#[test]
fn a_peer_that_breaks_the_protocol_ends_a_connector() {
    let (listener, endpoint) = raw::listener();
    let pull = Cat::run(&format!("--connect {endpoint} -t PULL"));
    let (mut stream, _) = listener.accept().unwrap();
    raw::shake_hands(&stream, "PUSH");
    stream.write_all(b"\x00\x02ok\x08\x00").unwrap();
    let ended = pull.end_by_itself();
    ended.expect(1, &["ok"]);
    ended.expect_said("failed stage=traffic cause=");
}

#[test]
fn half_a_message_is_not_printed() {
    let (pull, endpoint) = Cat::bind("-t PULL");
    let mut stream = raw::dial(&endpoint);
    raw::shake_hands(&stream, "PUSH");
    stream.write_all(b"\x01\x04half").unwrap();
    drop(stream);
    pull.event("failed stage=traffic cause=");
    Cat::fed(&endpoint, "-t PUSH", "whole\n").end().expect(0, &[]);
    assert_eq!(pull.line(), "whole");
}

#[test]
fn a_client_that_closes_its_direction_is_let_go() {
    let (pull, endpoint) = Cat::bind("-t PULL");
    let mut stream = raw::dial(&endpoint);
    raw::shake_hands(&stream, "PUSH");
    stream.write_all(b"\x00\x04last").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(pull.line(), "last");
    raw::read_out(&stream);
    pull.event("closed ");
}

/// A place for a handshake is taken from the oldest that says nothing, not kept from a newcomer.
#[test]
fn many_clients_that_say_nothing_keep_nobody_out() {
    let (rep, endpoint) = Cat::bind("-t REP --echo --handshake-timeout 0");
    // More than one address has places.
    let silent: Vec<_> = (0..300).map(|_| raw::dial(&endpoint)).collect();
    Cat::fed(&endpoint, "-t REQ", "hello\n").end().expect(0, &["hello"]);
    rep.event("failed stage=handshake cause=the handshake gave way to that of a newer peer");
    raw::read_out(&silent[0]);
}

#[test]
fn exactly_the_largest_message_passes() {
    let (pull, endpoint) = Cat::bind("-t PULL --max-msg-size 10");
    Cat::fed(&endpoint, "-t PUSH", "0123456789\n01234\t56789\n").end().expect(0, &[]);
    assert_eq!([pull.line(), pull.line()], ["0123456789", "01234\t56789"]);
    for larger in ["01234567890\n", "01234\t567890\n"] {
        let mut push = Cat::connect(&endpoint, "-t PUSH");
        push.write(larger.as_bytes());
        let said = pull.event("failed stage=traffic cause=");
        assert!(said.contains("10"), "{said}");
        push.close();
        push.end();
    }
    Cat::fed(&endpoint, "-t PUSH", "still here\n").end().expect(0, &[]);
    assert_eq!(pull.line(), "still here");
}

#[test]
fn a_connector_ends_with_a_message_that_is_too_large() {
    let (mut push, endpoint) = Cat::bind("-t PUSH");
    let pull = Cat::connect(&endpoint, "-t PULL --max-msg-size 4");
    push.write(b"1234\n12345\n");
    let ended = pull.end_by_itself();
    ended.expect(1, &["1234"]);
    ended.expect_said("failed stage=traffic cause=");
}

#[test]
fn a_peer_that_does_not_answer_a_ping_is_dropped() {
    let (pull, endpoint) = Cat::bind("-t PULL --heartbeat-ivl 100 --heartbeat-timeout 300 --heartbeat-ttl 1500");
    let mut served = Cat::connect(&endpoint, "-t PUSH");
    let stream = raw::dial(&endpoint);
    raw::shake_hands(&stream, "PUSH");
    // The TTL is in tenths of a second.
    let (flags, body) = raw::frame(&stream);
    assert_eq!((flags, &body[..7]), (4, &b"\x04PING\0\x0f"[..]));
    let said = pull.event("failed stage=connection cause=");
    assert!(said.contains("300ms"), "{said}");
    raw::read_out(&stream);
    served.write(b"I do answer\n");
    assert_eq!(pull.line(), "I do answer");
}

#[test]
fn a_connector_gives_up_a_peer_that_does_not_answer_a_ping() {
    let (listener, endpoint) = raw::listener();
    let pull = Cat::run(&format!("--connect {endpoint} -t PULL --heartbeat-ivl 100"));
    let (stream, _) = listener.accept().unwrap();
    raw::shake_hands(&stream, "PUSH");
    let ended = pull.end_by_itself();
    ended.expect(1, &[]);
    ended.expect_said("failed stage=connection cause=");
}

#[test]
fn a_ping_is_answered_with_its_context() {
    let (_pull, endpoint) = Cat::bind("-t PULL");
    let mut stream = raw::dial(&endpoint);
    raw::shake_hands(&stream, "PUSH");
    stream.write_all(b"\x04\x0a\x04PING\0\0abc").unwrap();
    assert_eq!(raw::frame(&stream), (4, b"\x04PONGabc".to_vec()));
}

#[test]
fn a_client_that_leaves_its_request_does_not_stop_a_rep() {
    let (mut rep, endpoint) = Cat::bind("-t REP");
    let stream = raw::dial(&endpoint);
    raw::shake_hands(&stream, "REQ");
    (&stream).write_all(b"\x01\x00\x00\x04gone").unwrap();
    assert_eq!(rep.line(), "gone");
    drop(stream);
    rep.event("closed ");
    let mut req = Cat::connect(&endpoint, "-t REQ");
    req.write(b"here\n");
    assert_eq!(rep.line(), "here");
    rep.write(b"answer\n");
    assert_eq!(req.line(), "answer");
    rep.end().expect(0, &[]);
}

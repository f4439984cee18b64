//! Talking under PLAIN, and who is let in.

use std::io::Read;
use std::net::Shutdown;

use crate::cat::Cat;
use crate::raw;

/// The options of somebody with these credentials, on either side.
pub(crate) fn plain(username: &str, password: &str) -> String {
    format!("--mechanism plain --username={username} --password={password}")
}

#[test]
fn a_binding_server_and_a_connecting_client_talk() {
    let (rep, endpoint) = Cat::bind(&format!("-t REP --echo {}", plain("alice", "hunter2")));
    let args = format!("-t REQ --identity me {}", plain("alice", "hunter2"));
    let mut req = Cat::run(&format!("--connect {endpoint} --events {args}"));
    let address = rep.event("accepted ");
    let ready = rep.event("ready ");
    assert_eq!(ready, format!("{address} type=REQ zmtp=3.1 mechanism=PLAIN identity=me user=alice"));
    let ready = req.event("ready ");
    assert_eq!(ready, format!("{endpoint} type=REP zmtp=3.1 mechanism=PLAIN identity="));
    for line in ["hello", "two\tparts", ""] {
        req.write(format!("{line}\n").as_bytes());
        assert_eq!(rep.line(), line);
        assert_eq!(req.line(), line);
    }
    req.end().expect(0, &[]);
}

#[test]
fn a_binding_client_and_a_connecting_server_talk() {
    let alice = plain("alice", "hunter2");
    let (rep, endpoint) = Cat::bind(&format!("-t REP --echo --as-client {alice}"));
    let mut req = Cat::run(&format!("--connect {endpoint} --events -t REQ --as-server {alice}"));
    assert!(req.event("ready ").ends_with(" user=alice"));
    assert!(rep.event("ready ").ends_with(" mechanism=PLAIN identity="));
    req.write(b"hello\n");
    assert_eq!(req.line(), "hello");
    req.end().expect(0, &[]);
}

#[test]
fn both_sides_write_when_they_like() {
    let alice = plain("alice", "hunter2");
    let (mut binder, endpoint) = Cat::bind(&format!("-t PAIR {alice}"));
    let mut connector = Cat::connect(&endpoint, &format!("-t PAIR {alice}"));
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
fn who_has_other_credentials_is_refused_and_the_others_are_served() {
    let (rep, endpoint) = Cat::bind(&format!("-t REP --echo {}", plain("alice", "hunter2")));
    let mut served = Cat::connect(&endpoint, &format!("-t REQ {}", plain("alice", "hunter2")));
    rep.event("ready ");
    for stranger in [
        plain("alice", "hunter"),
        plain("alice", "hunter22"),
        plain("alice", ""),
        plain("bob", "hunter2"),
        plain("", "hunter2"),
        plain("hunter2", "alice"),
    ] {
        let ended = Cat::fed(&endpoint, &format!("-t REQ {stranger}"), "let me in\n").end();
        ended.expect(1, &[]);
        ended.expect_said("failed stage=mechanism cause=the peer refused with the reason \"400\"");
        rep.event("failed stage=authorization cause=the peer was refused with the reason \"400\"");
        served.write(b"still there?\n");
        assert_eq!(served.line(), "still there?");
        assert_eq!(rep.line(), "still there?");
    }
}

#[test]
fn a_username_and_a_password_may_be_empty_or_begin_with_a_hyphen() {
    for (username, password) in [("alice", ""), ("", "hunter2"), ("", ""), ("-alice", "--password")] {
        let (rep, endpoint) = Cat::bind(&format!("-t REP --echo {}", plain(username, password)));
        let own = ["--mechanism", "plain", "--username", username, "--password", password];
        let req = Cat::with(&[&["--connect", &endpoint, "-t", "REQ"], &own[..]].concat());
        assert!(rep.event("ready ").ends_with(&format!(" user={username}")));
        req.end().expect(0, &[]);
        let ended = Cat::fed(&endpoint, &format!("-t REQ {}", plain(username, "other")), "let me in\n").end();
        ended.expect(1, &[]);
    }
}

/// Or it could add fields to the line that others have to prove.
#[test]
fn a_username_is_one_word_of_an_event() {
    let own = ["--mechanism", "plain", "--username", "al key=x\n", "--password", "hunter2"];
    let server = ["--bind", "tcp://127.0.0.1:0", "-t", "REP", "--echo", "--events"];
    let rep = Cat::with(&[&server, &own[..]].concat());
    let endpoint = rep.event("listening ");
    let req = Cat::with(&[&["--connect", &endpoint, "-t", "REQ"], &own[..]].concat());
    let ready = rep.event("ready ");
    assert!(ready.ends_with(r" identity= user=al\x20key=x\n"), "{ready}");
    req.end().expect(0, &[]);
}

#[test]
fn a_password_is_sent_only_to_who_speaks_plain() {
    let hears_it = |mechanism: &str| {
        let (listener, endpoint) = raw::listener();
        let client = Cat::run(&format!("--connect {endpoint} -t REQ {}", plain("alice", "hunter2")));
        let (mut stream, _) = listener.accept().unwrap();
        raw::greet(&stream, mechanism);
        stream.shutdown(Shutdown::Write).unwrap();
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).unwrap();
        client.end().expect(1, &[]);
        heard.windows(7).any(|octets| octets == b"hunter2")
    };
    assert!(hears_it("PLAIN"), "the ear is no good");
    assert!(!hears_it("NULL") && !hears_it("CURVE"));
}

#[test]
fn who_speaks_another_mechanism_is_refused_on_both_sides() {
    let (secured, endpoint) = Cat::bind(&format!("-t REP --echo {}", plain("alice", "hunter2")));
    let ended = Cat::fed(&endpoint, "-t REQ", "let me in\n").end();
    ended.expect(1, &[]);
    ended.expect_said("failed stage=greeting cause=the peer speaks PLAIN");
    secured.event("failed stage=greeting cause=the peer speaks NULL");
}

#[test]
fn two_clients_or_two_servers_do_not_meet() {
    let alice = plain("alice", "hunter2");
    for role in ["--as-client", "--as-server"] {
        let patience = format!("-t PAIR --handshake-timeout 500 {role}");
        let (_binder, endpoint) = Cat::bind(&format!("{patience} {alice}"));
        Cat::run(&format!("--connect {endpoint} {patience} {alice}")).end_by_itself().expect(1, &[]);
    }
}

#[test]
fn socket_types_that_do_not_fit_fail_under_plain() {
    let alice = plain("alice", "hunter2");
    let (_pull, endpoint) = Cat::bind(&format!("-t PULL {alice}"));
    let ended = Cat::run(&format!("--connect {endpoint} -t REQ {alice}")).end_by_itself();
    ended.expect(1, &[]);
    ended.expect_said("failed stage=");
}

/// Whoever holds a place and says nothing loses it, and takes nobody else's.
#[test]
fn a_client_that_says_nothing_is_dropped_while_others_are_served() {
    let alice = plain("alice", "hunter2");
    let (rep, endpoint) = Cat::bind(&format!("-t REP --echo --handshake-timeout 500 {alice}"));
    let silent = raw::dial(&endpoint);
    Cat::fed(&endpoint, &format!("-t REQ {alice}"), "hello\n").end().expect(0, &["hello"]);
    let said = rep.event("failed stage=greeting cause=");
    assert!(said.contains("500ms"), "{said}");
    raw::read_out(&silent);
}

#[cfg(unix)]
#[test]
fn a_password_is_never_shown() {
    let dir = tempfile::tempdir().unwrap();
    let endpoint = format!("ipc://{}", dir.path().join("socket").display());
    let server = Cat::run(&format!("--bind {endpoint} --events -t REP --echo -n 1 {}", plain("alice", "hunter2")));
    let client =
        |password: &str| Cat::fed(&endpoint, &format!("--events -t REQ {}", plain("alice", password)), "hello\n").end();
    let (refused, served) = (client("hunter3"), client("hunter2"));
    let server = server.end_by_itself();
    assert_eq!((refused.code, served.code, server.code), (Some(1), Some(0), Some(0)));
    for line in [refused, served, server].iter().flat_map(|ended| &ended.stderr) {
        assert!(!line.contains("hunter"), "{line}");
    }
}

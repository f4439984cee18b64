//! Asking a ZAP handler who is let in.

use zmtp_connection::codec::Verdict;
use zmtp_connection::{PeerAddress, decide};

use crate::cat::{Cat, Ended};
use crate::handler::{DENIED, Handler, LET_IN};
use crate::raw;

/// A REP that echoes and asks this handler.
fn rep(handler: &Handler, args: &str) -> (Cat, String) {
    Cat::bind(&format!("-t REP --echo --zap {} {args}", handler.endpoint))
}

fn req(endpoint: &str, args: &str) -> Ended {
    Cat::fed(endpoint, &format!("-t REQ {args}"), "hello\n").end()
}

/// What the handler is asked, as text.
fn asked(handler: &Handler) -> Vec<String> {
    handler.asked().into_iter().map(|part| String::from_utf8(part).unwrap()).collect()
}

/// That the connection just ended. A READY of NULL that was under way resets it.
#[track_caller]
fn was_told_nothing(ended: &Ended) {
    let ends = ["the peer closed the connection without a word", "the connection failed: "];
    let said = ends.map(|end| format!("failed stage=mechanism cause={end}"));
    let found = ended.stderr.iter().any(|line| said.iter().any(|said| line.starts_with(said)));
    assert!(found, "{:?}", ended.stderr);
}

#[test]
fn a_handler_judges_addresses_under_null() {
    let handler = Handler::that_says(LET_IN);
    let (server, endpoint) = rep(&handler, "");
    req(&endpoint, "").expect(0, &["hello"]);
    assert_eq!(asked(&handler), ["1.0", "", "127.0.0.1", "", "NULL"]);
    assert!(server.event("ready ").ends_with(" mechanism=NULL identity= user=carol"));
}

#[test]
fn who_is_refused_under_null_is_told_in_place_of_ready() {
    let handler = Handler::that_says(DENIED);
    let (server, endpoint) = rep(&handler, "");
    let ended = req(&endpoint, "");
    ended.expect(1, &[]);
    ended.expect_said("failed stage=mechanism cause=the peer refused with the reason \"400\"");
    server.event("failed stage=authorization cause=the peer was refused with the reason \"400\" (no such user)");
}

#[cfg(feature = "plain")]
#[test]
fn a_handler_judges_usernames_and_passwords() {
    let handler = Handler::that_says(LET_IN);
    let (server, endpoint) = rep(&handler, "--mechanism plain");
    req(&endpoint, "--identity me --mechanism plain --username=alice --password=hunter2").expect(0, &["hello"]);
    assert_eq!(asked(&handler), ["1.0", "", "127.0.0.1", "", "PLAIN", "alice", "hunter2"]);
    // Who the handler says that it is, not what it says itself.
    assert!(server.event("ready ").ends_with(" mechanism=PLAIN identity=me user=carol"));
}

#[cfg(feature = "plain")]
#[test]
fn each_status_has_its_end_on_both_sides() {
    for (status, told, said) in [
        ("300", "the peer closed the connection without a word", "for now, without a reason to the peer (not \\nnow)"),
        ("400", "the peer refused with the reason \"400\"", "with the reason \"400\" (not \\nnow)"),
        ("500", "the peer refused with the reason \"500\"", "with the reason \"500\" (not \\nnow)"),
    ] {
        let handler = Handler::that_says(["1.0", status, "not \nnow", "", ""]);
        let (server, endpoint) = rep(&handler, "--mechanism plain");
        let ended = req(&endpoint, "--mechanism plain --username=alice --password=hunter2");
        ended.expect(1, &[]);
        ended.expect_said(&format!("failed stage=mechanism cause={told}"));
        let cause = server.event("failed stage=authorization cause=the peer was refused ");
        assert!(cause.starts_with(&format!("{said} peer=tcp://127.0.0.1:")), "{cause}");
    }
}

#[cfg(feature = "curve")]
#[test]
fn a_handler_judges_keys() {
    use crate::keys::Keys;

    let (ours, theirs) = (Keys::new(), Keys::new());
    let handler = Handler::that_says(LET_IN);
    let (server, endpoint) = rep(&handler, &ours.server());
    req(&endpoint, &theirs.client_of(&ours)).expect(0, &["hello"]);
    let question = handler.asked();
    assert_eq!((&question[4][..], question.len()), (&b"CURVE"[..], 6));
    let key = zmtp_connection::PublicKey::from_bytes(question[5].as_slice().try_into().unwrap()).unwrap();
    assert_eq!(key.to_z85(), theirs.public);
    assert!(server.event("ready ").ends_with(&format!(" key={} user=carol", theirs.public)));
    let handler = Handler::that_says(DENIED);
    let (server, endpoint) = rep(&handler, &ours.server());
    req(&endpoint, &theirs.client_of(&ours)).expect(1, &[]);
    server.event("failed stage=authorization cause=the peer was refused with the reason \"400\" (no such user)");
}

#[test]
fn the_handler_of_the_library_is_understood() {
    let handler = Handler::of(decide(|request| match request.address().and_then(PeerAddress::ip) {
        Some(ip) if ip.is_loopback() => Verdict::accept_as("a neighbour"),
        _ => Verdict::internal_error(),
    }));
    let (server, endpoint) = rep(&handler, "");
    for _ in 0..3 {
        req(&endpoint, "").expect(0, &["hello"]);
        assert!(server.event("ready ").ends_with(r" user=a\x20neighbour"));
    }
    let handler = Handler::of(decide(|_| Verdict::deny().because("closed today")));
    let (server, endpoint) = rep(&handler, "");
    req(&endpoint, "").expect(1, &[]);
    server.event("failed stage=authorization cause=the peer was refused with the reason \"400\" (closed today)");
}

#[test]
fn a_server_that_connects_asks_as_well() {
    let handler = Handler::that_says(LET_IN);
    let (_rep, endpoint) = Cat::bind("-t REP --echo");
    req(&endpoint, &format!("--as-server --zap {}", handler.endpoint)).expect(0, &["hello"]);
    assert_eq!(asked(&handler), ["1.0", "", "127.0.0.1", "", "NULL"]);
}

/// Or it could add fields to the line that others have to prove.
#[test]
fn a_user_id_is_one_word_of_an_event() {
    let handler = Handler::that_says(["1.0", "200", "OK", "carol key=x", ""]);
    let (server, endpoint) = rep(&handler, "");
    req(&endpoint, "").expect(0, &["hello"]);
    assert!(server.event("ready ").ends_with(r" user=carol\x20key=x"));
}

#[test]
fn everybody_is_asked_about() {
    const PEERS: usize = 12;
    let handler = Handler::that_says(LET_IN);
    let (_rep, endpoint) = rep(&handler, "");
    let peers: Vec<_> = (0..PEERS).map(|_| Cat::fed(&endpoint, "-t REQ", "hello\n")).collect();
    for peer in peers {
        peer.end().expect(0, &["hello"]);
    }
    for _ in 0..PEERS {
        handler.asked();
    }
}

#[test]
fn an_answer_that_cannot_be_used_lets_in_nobody() {
    for answer in [
        ["1.1", "200", "OK", "carol", ""],
        ["1.0", "201", "OK", "carol", ""],
        ["1.0", "", "", "", ""],
        ["1.0", "200", "OK", "carol", "no metadata"],
    ] {
        let handler = Handler::that_says(answer);
        let (server, endpoint) = rep(&handler, "");
        let ended = req(&endpoint, "");
        ended.expect(1, &[]);
        was_told_nothing(&ended);
        server.event("failed stage=authorization cause=the peer was refused for now, without a reason to the peer (");
    }
}

/// It is told nothing, and so may come back: to libzmq an ERROR would be the end of it.
#[cfg(unix)]
#[test]
fn while_the_handler_is_down_nobody_is_let_in_and_all_may_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("zap");
    let (server, endpoint) = Cat::bind(&format!("-t REP --echo --zap ipc://{}", path.display()));
    for _ in 0..2 {
        let ended = req(&endpoint, "");
        ended.expect(1, &[]);
        was_told_nothing(&ended);
        server.event(
            "failed stage=authorization cause=the peer was refused for now, without a reason to the peer \
             (the ZAP handler cannot be reached: ",
        );
        // Up, and down again.
        let handler = Handler::at_path(&path, LET_IN);
        req(&endpoint, "").expect(0, &["hello"]);
        handler.asked();
        drop(handler);
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_handler_that_does_not_answer_stops_only_who_waits_for_it() {
    let (listener, handler) = raw::listener();
    let (server, endpoint) = Cat::bind(&format!("-t REP --echo --handshake-timeout 500 --zap {handler}"));
    for _ in 0..2 {
        req(&endpoint, "").expect(1, &[]);
        let said = server.event("failed stage=authorization cause=");
        assert!(said.contains("500ms"), "{said}");
        drop(listener.accept().unwrap());
    }
}

/// libzmq's handlers are told user, group and process of a local peer.
#[cfg(unix)]
#[test]
fn a_handler_is_told_which_process_a_local_peer_is() {
    use std::os::unix::fs::MetadataExt;

    let dir = tempfile::tempdir().unwrap();
    let endpoint = format!("ipc://{}", dir.path().join("socket").display());
    let handler = Handler::at_path(&dir.path().join("zap"), LET_IN);
    let server = Cat::run(&format!("--bind {endpoint} --events -t REP --echo --zap {}", handler.endpoint));
    let mut client = Cat::connect(&endpoint, "-t REQ");
    // Files belong to whom processes belong to.
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let owner = std::fs::metadata(file).unwrap();
    let pid = if cfg!(any(target_os = "linux", target_os = "macos")) { client.id().to_string() } else { String::new() };
    let address = format!("localhost:{}:{}:{pid}", owner.uid(), owner.gid());
    assert_eq!(asked(&handler), ["1.0", "", &address, "", "NULL"]);
    // The events call it what they always have.
    assert_eq!(server.event("accepted "), endpoint);
    assert!(server.event("ready ").starts_with(&format!("{endpoint} type=REQ ")));
    client.write(b"hello\n");
    client.end().expect(0, &["hello"]);
}

#[test]
fn who_cannot_ask_is_wrong_usage() {
    let handler = "--zap tcp://127.0.0.1:1";
    let (bind, connect) = ("--bind tcp://127.0.0.1:0 -t PULL", "--connect tcp://127.0.0.1:1 -t PUSH");
    let mut cases = vec![
        (format!("{connect} {handler}"), "zmtpcat: --zap is for a server"),
        (format!("{bind} {handler} --as-client"), "zmtpcat: --zap is for a server"),
        (format!("{bind} --zap nowhere"), "zmtpcat: --zap: nowhere is no endpoint"),
        (format!("{bind} --zap tcp://*:5555"), "zmtpcat: --zap: tcp://*:5555: * can be bound, not connected to"),
        (format!("{bind} --zap inproc://zeromq.zap.01"), "zmtpcat: --zap: inproc://zeromq.zap.01 is no endpoint"),
        (format!("{bind} --zap"), "error: a value is required for '--zap <ENDPOINT>'"),
        (format!("{bind} {handler} {handler}"), "error: the argument '--zap <ENDPOINT>'"),
    ];
    if cfg!(feature = "plain") {
        let own = "--mechanism plain --username=alice --password=hunter2";
        let both = "zmtpcat: --zap and --username both say who is let in";
        cases.push((format!("{connect} {own} {handler}"), "zmtpcat: --zap is for a server"));
        cases.push((format!("{connect} --mechanism plain {handler}"), "zmtpcat: --zap is for a server"));
        cases.push((format!("{bind} {own} {handler}"), both));
    }
    #[cfg(feature = "curve")]
    {
        let (ours, theirs) = (crate::keys::Keys::new(), crate::keys::Keys::new());
        let allow = format!("--allow-key={}", theirs.public);
        let both = "zmtpcat: --zap and --allow-key both say who is let in";
        cases.push((format!("{connect} {} {handler}", theirs.client_of(&ours)), "zmtpcat: --zap is for a server"));
        cases.push((format!("{bind} {} {allow} {handler}", ours.server()), both));
    }
    for (args, said) in cases {
        let ended = Cat::run(&args).end();
        ended.expect(2, &[]);
        ended.expect_said(said);
    }
}

/// Its answers decide who is let in, and anyone on the path could give them.
#[test]
fn who_asks_a_handler_over_a_network_is_warned() {
    for (handler, warned) in [
        ("tcp://192.0.2.1:5555", true),
        ("tcp://zap.invalid:5555", true),
        ("tcp://127.0.0.1:5555", false),
        ("ipc:///nowhere/zap", false),
    ] {
        let ended = Cat::run(&format!("--bind tcp://*:0 -t PULL -q 0 --zap {handler}")).end();
        ended.expect(0, &[]);
        let said =
            format!("zmtpcat: warning: the ZAP handler is asked in the clear, and {handler} is no loopback address");
        assert_eq!(
            ended.stderr.iter().map(|line| line.starts_with(&said)).collect::<Vec<_>>(),
            vec![true; warned.into()]
        );
    }
}

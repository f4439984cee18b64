//! Talking under either suite of BLAKE3, and who is let in. The options for keys are those of CURVE.

use std::fs;

use crate::cat::Cat;
use crate::keys::{Keys, anonymous_client_of};
use crate::relay::{From, Relay};

/// The suites that are built in, and their names in a greeting.
const SUITES: &[(&str, &str)] = &[
    ("blake3-chachapoly", "BLAKE3-CHACHAPOLY"),
    #[cfg(feature = "blake3zmq")]
    ("blake3", "BLAKE3"),
];

#[test]
fn a_binding_server_and_a_connecting_client_talk() {
    for (suite, name) in SUITES {
        let (server, client) = (Keys::under(suite), Keys::under(suite));
        let (rep, endpoint) = Cat::bind(&format!("-t REP --echo {}", server.server()));
        let args = format!("-t REQ --identity me {}", client.client_of(&server));
        let mut req = Cat::run(&format!("--connect {endpoint} --events {args}"));
        let ready = rep.event("ready ");
        let said = format!(" type=REQ zmtp=3.1 mechanism={name} identity=me key={}", client.public);
        assert!(ready.ends_with(&said), "{ready}");
        let ready = req.event("ready ");
        assert_eq!(ready, format!("{endpoint} type=REP zmtp=3.1 mechanism={name} identity= key={}", server.public));
        for line in ["hello", "two\tparts", "", &"0123456789abcdef".repeat(1 << 14)] {
            req.write(format!("{line}\n").as_bytes());
            assert!(rep.line() == line && req.line() == line);
        }
        req.end().expect(0, &[]);
    }
}

#[test]
fn a_binding_client_and_a_connecting_server_talk() {
    for (suite, _) in SUITES {
        let (server, client) = (Keys::under(suite), Keys::under(suite));
        let (rep, endpoint) = Cat::bind(&format!("-t REP --echo {}", client.client_of(&server)));
        let args = format!("-t REQ --as-server {} --allow-key={}", server.server(), client.public);
        Cat::fed(&endpoint, &args, "hello\nagain\n").end().expect(0, &["hello", "again"]);
        assert!(rep.event("ready ").ends_with(&format!(" key={}", server.public)));
    }
}

#[test]
fn keys_that_are_not_allowed_are_refused() {
    for (suite, _) in SUITES {
        let (server, friend) = (Keys::under(suite), Keys::under(suite));
        let (rep, endpoint) = Cat::bind(&format!("-t REP --echo {} --allow-key={}", server.server(), friend.public));
        for stranger in [Keys::under(suite).client_of(&server), anonymous_client_of(&server)] {
            let ended = Cat::fed(&endpoint, &format!("-t REQ {stranger}"), "let me in\n").end();
            ended.expect(1, &[]);
            ended.expect_said("failed stage=mechanism cause=the peer refused with the reason \"400\"");
            rep.event("failed stage=authorization cause=the peer was refused ");
        }
        let args = format!("-t REQ {}", friend.client_of(&server));
        Cat::fed(&endpoint, &args, "and me?\n").end().expect(0, &["and me?"]);
    }
}

#[test]
fn a_server_that_has_another_key_is_not_talked_to() {
    for (suite, _) in SUITES {
        let (server, other) = (Keys::under(suite), Keys::under(suite));
        let (rep, endpoint) = Cat::bind(&format!("-t REP --echo {}", server.server()));
        let ended = Cat::fed(&endpoint, &format!("-t REQ {}", anonymous_client_of(&other)), "a secret\n").end();
        ended.expect(1, &[]);
        ended.expect_said("failed stage=mechanism cause=");
        rep.event("failed stage=mechanism cause=the peer's HELLO failed cryptographic verification");
    }
}

#[test]
fn nothing_is_said_in_the_clear() {
    for (suite, _) in SUITES {
        let server = Keys::under(suite);
        let (rep, endpoint) = Cat::bind(&format!("-t REP --echo {}", server.server()));
        let relay = Relay::to(&endpoint);
        let args = format!("-t REQ --identity my-name {}", anonymous_client_of(&server));
        Cat::fed(&relay.endpoint, &args, "my secret\n").end().expect(0, &["my secret"]);
        rep.event("closed ");
        let heard = relay.heard();
        let hears = |text: &str| heard.windows(text.len()).any(|octets| octets == text.as_bytes());
        assert!(hears("INITIATE"), "that the ear is good");
        assert!(!hears("my secret") && !hears("my-name"));
    }
}

#[test]
fn who_speaks_another_mechanism_is_refused_on_both_sides() {
    for (suite, name) in SUITES {
        let server = Keys::under(suite);
        let (secured, endpoint) = Cat::bind(&format!("-t REP --echo {}", server.server()));
        let ended = Cat::fed(&endpoint, "-t REQ", "in the clear\n").end();
        ended.expect(1, &[]);
        ended.expect_said(&format!("failed stage=greeting cause=the peer speaks {name}"));
        secured.event("failed stage=greeting cause=the peer speaks NULL");
    }
}

#[test]
fn one_pair_of_files_serves_under_every_mechanism_that_has_keys() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("server");
    let ended = Cat::with(&["keygen", "--out", path.to_str().unwrap()]).end();
    let public = ended.stdout[0].strip_prefix("public-key  ").unwrap();
    let file = ended.stdout[2].strip_prefix("secret-file  ").unwrap();
    let curve = cfg!(feature = "curve").then_some("CURVE");
    for mechanism in SUITES.iter().map(|(_, name)| *name).chain(curve) {
        let (_rep, endpoint) = Cat::bind(&format!("-t REP --echo --mechanism {mechanism} --secret-key-file {file}"));
        let args = format!("-t REQ --mechanism {mechanism} --server-key={public}");
        Cat::fed(&endpoint, &args, "hello\n").end().expect(0, &["hello"]);
    }
}

#[test]
fn a_server_that_changes_its_key_is_known_by_both() {
    let dir = tempfile::tempdir().unwrap();
    for (suite, _) in SUITES {
        let [old, new] = ["old", "new"].map(|name| (dir.path().join(name), Keys::under(suite)));
        let files = [&old, &new].map(|(path, keys)| {
            fs::write(path, &keys.secret).unwrap();
            format!("--secret-key-file {}", path.display())
        });
        let (_rep, endpoint) = Cat::bind(&format!("-t REP --echo --mechanism {suite} {}", files.join(" ")));
        for (_, keys) in [&old, &new] {
            let args = format!("-t REQ {}", anonymous_client_of(keys));
            Cat::fed(&endpoint, &args, "hello\n").end().expect(0, &["hello"]);
        }
    }
}

#[test]
fn keys_that_are_missing_or_too_many_are_wrong_usage() {
    let dir = tempfile::tempdir().unwrap();
    for (suite, name) in SUITES {
        let keys = Keys::under(suite);
        let path = dir.path().join(suite);
        fs::write(&path, &keys.secret).unwrap();
        let file = format!("--secret-key-file {}", path.display());
        let (bind, connect) = ("--bind tcp://127.0.0.1:0 -t PULL", "--connect tcp://127.0.0.1:1 -t PUSH");
        for (args, said) in [
            (format!("{bind} --mechanism {suite}"), format!("a {name} server needs --secret-key-file")),
            (format!("{connect} --mechanism {suite}"), format!("a {name} client needs --server-key")),
            (
                format!("{bind} --mechanism {suite} {}", [&*file; 5].join(" ")),
                "--secret-key-file: a server has 1 to 4 key pairs, not more".to_owned(),
            ),
            (
                format!("{connect} {} {file} {file}", anonymous_client_of(&keys)),
                "a client has one --secret-key-file".to_owned(),
            ),
            (format!("{bind} {} --username=x", keys.server()), "--username needs --mechanism plain".to_owned()),
        ] {
            let ended = Cat::run(&args).end();
            ended.expect(2, &[]);
            ended.expect_said(&format!("zmtpcat: {said}"));
            assert!(!ended.stderr.iter().any(|line| line.contains(&keys.secret)), "{:?}", ended.stderr);
        }
    }
}

/// And only about that one, on either side.
#[test]
fn the_weaker_suite_comes_with_a_warning() {
    for (suite, name) in SUITES {
        let server = Keys::under(suite);
        let weaker = *name == "BLAKE3";
        let pull = Cat::run(&format!("--bind tcp://127.0.0.1:0 -t PULL -n 1 --events {}", server.server()));
        if weaker {
            pull.event("zmtpcat: warning: BLAKE3 does not notice");
        }
        let endpoint = pull.event("listening ");
        let push = Cat::fed(&endpoint, &format!("-t PUSH {}", anonymous_client_of(&server)), "hello\n").end();
        let warned = push.stderr.iter().any(|line| line.starts_with("zmtpcat: warning: BLAKE3 does not notice"));
        assert_eq!((push.code, warned), (Some(0), weaker), "{:?}", push.stderr);
        pull.end_by_itself().expect(0, &["hello"]);
    }
}

#[test]
fn an_idle_connection_lives_on_its_heartbeats() {
    for (suite, _) in SUITES {
        let server = Keys::under(suite);
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
}

#[test]
fn a_peer_that_answers_no_ping_is_dropped() {
    for (suite, _) in SUITES {
        let server = Keys::under(suite);
        let (pull, endpoint) =
            Cat::bind(&format!("-t PULL --heartbeat-ivl 100 --heartbeat-timeout 1000 {}", server.server()));
        let relay = Relay::to(&endpoint);
        let _lost = Cat::connect(&relay.endpoint, &format!("-t PUSH {}", anonymous_client_of(&server)));
        relay.stall();
        let said = pull.event("failed stage=connection cause=");
        assert!(said.contains("1s"), "{said}");
    }
}

#[cfg(feature = "zap")]
#[test]
fn a_handler_judges_keys() {
    use crate::handler::{DENIED, Handler, LET_IN};

    for (suite, name) in SUITES {
        let (ours, theirs) = (Keys::under(suite), Keys::under(suite));
        for (answer, code) in [(LET_IN, 0), (DENIED, 1)] {
            let handler = Handler::that_says(answer);
            let (server, endpoint) = Cat::bind(&format!("-t REP --echo --zap {} {}", handler.endpoint, ours.server()));
            let ended = Cat::fed(&endpoint, &format!("-t REQ {}", theirs.client_of(&ours)), "hello\n").end();
            assert_eq!(ended.code, Some(code), "{:?}", ended.stderr);
            let question = handler.asked();
            assert_eq!((&question[4][..], question.len()), (name.as_bytes(), 6));
            let key = zmtp_connection::PublicKey::from_bytes(question[5].as_slice().try_into().unwrap()).unwrap();
            assert_eq!(key.to_z85(), theirs.public);
            if code == 0 {
                assert!(server.event("ready ").ends_with(&format!(" key={} user=carol", theirs.public)));
            } else {
                server.event("failed stage=authorization cause=the peer was refused with the reason \"400\"");
            }
        }
    }
}

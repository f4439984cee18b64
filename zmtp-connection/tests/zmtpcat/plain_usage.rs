//! The options for usernames and passwords: what they take, what they refuse, and that they keep secrets.

use std::fs;

use crate::cat::Cat;
use crate::plain::plain;

const BIND: &str = "--bind tcp://127.0.0.1:0 -t PULL --mechanism plain";
const CONNECT: &str = "--connect tcp://127.0.0.1:1 -t PUSH --mechanism plain";
const WARNING: &str = "zmtpcat: warning: PLAIN sends the password in the clear, and ";

/// That it is wrong usage, said so, and without the password.
#[track_caller]
fn refused(args: &str, start: &str) {
    let ended = Cat::run(args).end();
    ended.expect(2, &[]);
    ended.expect_said(start);
    assert!(!ended.stderr.iter().any(|line| line.contains("hunter2")), "{:?}", ended.stderr);
}

#[test]
fn halves_that_are_missing_or_too_many_are_wrong_usage() {
    let password = "--password=hunter2";
    for (args, said) in [
        (BIND.to_owned(), "zmtpcat: a PLAIN server needs --username and --password-file (or --password), or --zap"),
        (format!("{CONNECT} --as-server"), "zmtpcat: a PLAIN server needs --username"),
        (CONNECT.to_owned(), "zmtpcat: a PLAIN client needs --username and --password-file (or --password)"),
        (format!("{BIND} --as-client"), "zmtpcat: a PLAIN client needs --username"),
        (format!("{BIND} --username=alice"), "zmtpcat: --username needs --password-file or --password"),
        (format!("{CONNECT} --username=alice"), "zmtpcat: --username needs --password-file or --password"),
        (format!("{BIND} {password}"), "zmtpcat: --password needs --username"),
        (format!("{CONNECT} {password}"), "zmtpcat: --password needs --username"),
        (format!("{CONNECT} --password-file=x"), "zmtpcat: --password-file needs --username"),
        (format!("{CONNECT} --username=alice {password} --password-file=x"), "error: the argument '--password <TEXT>'"),
        (format!("{CONNECT} --username=alice {password} {password}"), "error: the argument '--password <TEXT>'"),
        (format!("{CONNECT} --username=alice --username=bob {password}"), "error: the argument '--username <NAME>'"),
        (format!("{BIND} --username=alice {password} --as-server --as-client"), "error: "),
    ] {
        refused(&args, said);
    }
}

/// Whoever gives keys means to be encrypted, so PLAIN never takes the place of what encrypts.
#[test]
fn keys_under_plain_are_refused() {
    for option in ["--server-key", "--public-key", "--secret-key", "--secret-key-file", "--allow-key"] {
        for args in [BIND, CONNECT] {
            let args = format!("{args} --username=alice --password=hunter2 {option}=x");
            refused(
                &args,
                &format!("zmtpcat: {option} needs --mechanism curve or blake3-chachapoly: plain has no keys"),
            );
        }
    }
}

#[test]
fn what_is_too_long_is_wrong_usage() {
    let long = "x".repeat(256);
    refused(
        &format!("{CONNECT} --username={long} --password=hunter2"),
        "zmtpcat: a username of 256 octets does not fit",
    );
    refused(&format!("{BIND} --username=alice --password={long}"), "zmtpcat: a password of 256 octets does not fit");
    let longest = plain(&long[1..], &long[1..]);
    let (_rep, endpoint) = Cat::bind(&format!("-t REP --echo {longest}"));
    Cat::fed(&endpoint, &format!("-t REQ {longest}"), "hello\n").end().expect(0, &["hello"]);
}

#[test]
fn a_password_is_not_repeated_whatever_else_is_wrong() {
    for args in [
        format!("{BIND} --username=alice --passwort=hunter2"),
        format!("{BIND} --username=alice --password=hunter2 --no-such-option"),
        format!("{BIND} --username=alice --password=hunter2 -n many"),
        format!("{BIND} --username=alice --password=hunter2 --server-key=x"),
        format!("{BIND} --username=alice --password=hunter2 --allow-key=x"),
        "--bind nowhere -t PULL --mechanism plain --username=alice --password=hunter2".to_owned(),
        "--bind tcp://127.0.0.1:0 -t PULL --mechanism nonsense --username=alice --password=hunter2".to_owned(),
        "--bind tcp://127.0.0.1:0 -t PULL --username=alice --password=hunter2".to_owned(),
        "--bind tcp://127.0.0.1:0 --mechanism plain --username=alice --password=hunter2".to_owned(),
        "keygen --password=hunter2".to_owned(),
        // A password in the place of a file's name.
        format!("{BIND} --username=alice --password-file=hunter2"),
    ] {
        refused(&args, "");
    }
}

#[test]
fn a_password_is_read_from_the_first_line_of_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("password");
    let longest = "x".repeat(255);
    for (text, password) in [
        ("hunter2", "hunter2"),
        ("hunter2\n", "hunter2"),
        ("hunter2\r\n", "hunter2"),
        ("hunter2\nnot this\n", "hunter2"),
        (" with spaces \n", " with spaces "),
        ("\n", ""),
        (&longest, &longest),
        (&format!("{longest}\r\n"), &longest),
        (&format!("{longest}\nmore"), &longest),
    ] {
        fs::write(&path, text).unwrap();
        let file = format!("--mechanism plain --username=alice --password-file {}", path.display());
        let given = ["--mechanism", "plain", "--username", "alice", "--password", password];
        // By a server, and by a client.
        let (_rep, endpoint) = Cat::bind(&format!("-t REP --echo {file}"));
        let mut req = Cat::with(&[&["--connect", &endpoint, "-t", "REQ"], &given[..]].concat());
        req.write(b"hello\n");
        req.end().expect(0, &["hello"]);
        let rep = ["--bind", "tcp://127.0.0.1:0", "--events", "-t", "REP", "--echo"];
        let rep = Cat::with(&[&rep, &given[..]].concat());
        let endpoint = rep.event("listening ");
        Cat::fed(&endpoint, &format!("-t REQ {file}"), "hello\n").end().expect(0, &["hello"]);
    }
}

/// It need not be a file that can be read twice, nor text.
#[cfg(unix)]
#[test]
fn a_password_is_read_from_a_pipe() {
    let mut pull = Cat::run(&format!("{BIND} --username=alice --password-file /dev/stdin --events"));
    pull.write(b"hunter\xff\n");
    pull.close();
    let endpoint = pull.event("listening ");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("password");
    fs::write(&path, b"hunter\xff").unwrap();
    let args = format!("-t PUSH --mechanism plain --username=alice --password-file {}", path.display());
    Cat::fed(&endpoint, &args, "hello\n").end().expect(0, &[]);
    assert_eq!(pull.line(), "hello");
}

#[test]
fn a_file_without_a_password_is_wrong_usage() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("password");
    let args = format!("{BIND} --username=alice --password-file {}", path.display());
    refused(&args, "zmtpcat: --password-file: ");
    fs::write(&path, "").unwrap();
    refused(&args, "zmtpcat: --password-file: the file is empty");
    for text in ["x".repeat(256), format!("{}\n", "x".repeat(256)), "x".repeat(10_000)] {
        fs::write(&path, text).unwrap();
        refused(&args, "zmtpcat: --password-file: the first line is too long");
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    refused(&args, "zmtpcat: --password-file: ");
}

#[test]
fn who_sends_a_password_over_a_network_is_warned() {
    for (binder, shown) in [("tcp://*:0", "tcp://0.0.0.0:0"), ("tcp://0.0.0.0:0", "tcp://0.0.0.0:0")] {
        let ended = Cat::run(&format!("--bind {binder} -t PULL -q 0 {}", plain("alice", "hunter2"))).end();
        ended.expect(0, &[]);
        let said = format!("{WARNING}{shown} is no loopback address: whoever is on the path can read it");
        assert_eq!(ended.stderr, [said]);
    }
    // Nobody answers there; it is said before anything is tried.
    for endpoint in ["tcp://192.0.2.1:5555", "tcp://[2001:db8::1]:5555", "tcp://feed.invalid:5555"] {
        for role in ["--as-client", "--as-server"] {
            let args = format!("--connect {endpoint} -t PUSH {role} {}", plain("alice", "hunter2"));
            assert!(Cat::run(&args).event(WARNING).starts_with(&format!("{endpoint} ")));
        }
    }
}

#[test]
fn who_keeps_a_password_on_the_machine_is_not_warned() {
    let alice = plain("alice", "hunter2");
    for endpoint in ["tcp://127.0.0.1:0", "tcp://127.9.9.9:0", "tcp://localhost:0"] {
        let ended = Cat::run(&format!("--bind {endpoint} -t PULL -q 0 {alice}")).end();
        ended.expect(0, &[]);
        assert!(ended.stderr.is_empty(), "{:?}", ended.stderr);
    }
    let (_rep, endpoint) = Cat::bind(&format!("-t REP --echo {alice}"));
    for endpoint in [endpoint.clone(), endpoint.replace("127.0.0.1", "LocalHost")] {
        let ended = Cat::fed(&endpoint, &format!("-t REQ {alice}"), "hello\n").end();
        ended.expect(0, &["hello"]);
        assert!(ended.stderr.is_empty(), "{:?}", ended.stderr);
    }
    // Where no password is sent, there is nothing to warn of.
    let ended = Cat::run("--bind tcp://*:0 -t PULL -q 0").end();
    ended.expect(0, &[]);
    assert!(ended.stderr.is_empty(), "{:?}", ended.stderr);
}

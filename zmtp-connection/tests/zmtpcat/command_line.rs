//! What is asked for, and what cannot be.

use crate::cat::Cat;

#[test]
fn help_and_version_are_no_errors() {
    let help = Cat::run("--help").end();
    assert_eq!(help.code, Some(0));
    assert!(help.stdout.iter().any(|line| line.contains("--heartbeat-ivl")));
    assert_eq!(Cat::run("--version").end().code, Some(0));
}

#[test]
fn wrong_usage_is_exit_code_2() {
    for args in [
        "",
        "-t REQ",
        "--bind tcp://127.0.0.1:0",
        "--bind tcp://127.0.0.1:0 --connect tcp://127.0.0.1:1 -t REQ",
        "--bind tcp://127.0.0.1:0 -t STREAM",
        "--bind tcp://127.0.0.1:0 -t REQQ",
        "--bind tcp://127.0.0.1 -t REQ",
        "--bind tcp://127.0.0.1:66000 -t REQ",
        "--bind tcp://:5555 -t REQ",
        "--connect tcp://*:5555 -t REQ",
        "--connect tcp://127.0.0.1:0 -t REQ",
        "--bind udp://127.0.0.1:1 -t REQ",
        "--bind 127.0.0.1:1 -t REQ",
        "--bind ipc:// -t REQ",
        "--bind tcp://127.0.0.1:0 -t PULL --echo",
        "--bind tcp://127.0.0.1:0 -t PULL -n 0",
        "--bind tcp://127.0.0.1:0 -t PULL -n many",
        "--bind tcp://127.0.0.1:0 -t PULL -q soon",
        "--bind tcp://127.0.0.1:0 -t PULL --max-msg-size -1",
        "--bind tcp://127.0.0.1:0 -t PULL --as-server --as-client",
        "--bind tcp://127.0.0.1:0 -t PULL --no-such-option",
        "--bind tcp://127.0.0.1:0 -t PULL --mechanism curve",
        "--bind tcp://127.0.0.1:0 -t PULL --mechanism PLAIN",
        "--bind tcp://127.0.0.1:0 -t PULL --mechanism nonsense",
        "nonsense",
        "keygen nonsense",
        "keygen --out",
        "--bind tcp://127.0.0.1:0 -t PULL keygen",
    ] {
        let ended = Cat::run(args).end();
        assert_eq!(ended.code, Some(2), "{args}: {:?}", ended.stderr);
        assert!(ended.stdout.is_empty() && !ended.stderr.is_empty(), "{args}");
    }
    let long = "x".repeat(256);
    assert_eq!(Cat::with(&["--bind", "tcp://127.0.0.1:0", "-t", "REQ", "--identity", &long]).end().code, Some(2));
}

/// Whoever gives keys believes to be secured, so they are never ignored.
#[test]
fn keys_without_a_mechanism_that_has_keys_are_refused() {
    for option in ["--server-key", "--public-key", "--secret-key", "--secret-key-file", "--allow-key"] {
        for mechanism in ["", "--mechanism null", "--mechanism NULL"] {
            let ended = Cat::run(&format!("--bind tcp://127.0.0.1:0 -t PULL {mechanism} {option}=x")).end();
            ended.expect(2, &[]);
            ended.expect_said(&format!("zmtpcat: {option} needs --mechanism curve"));
        }
    }
}

/// Whoever gives a password believes that it is asked for, so it is never ignored.
#[test]
fn passwords_without_the_mechanism_that_has_them_are_refused() {
    let keyed = [
        ("curve", cfg!(feature = "curve")),
        ("blake3-chachapoly", cfg!(feature = "blake3")),
        ("blake3", cfg!(feature = "blake3zmq")),
    ];
    let keyed = keyed.into_iter().filter(|(_, built_in)| *built_in).map(|(name, _)| name);
    for mechanism in ["null", "NULL"].into_iter().chain(keyed) {
        for option in ["--username", "--password", "--password-file"] {
            let ended = Cat::run(&format!("--bind tcp://127.0.0.1:0 -t PULL --mechanism {mechanism} {option}=x")).end();
            ended.expect(2, &[]);
            ended.expect_said(&format!("zmtpcat: {option} needs --mechanism plain: "));
        }
    }
}

#[cfg(not(feature = "plain"))]
#[test]
fn plain_is_not_built_in() {
    let ended = Cat::run("--bind tcp://127.0.0.1:0 -t PULL --mechanism Plain --username=x --password=y").end();
    ended.expect(2, &[]);
    ended.expect_said("zmtpcat: the mechanism Plain is not built in");
}

#[cfg(not(feature = "zap"))]
#[test]
fn zap_is_not_built_in() {
    let ended = Cat::run("--bind tcp://127.0.0.1:0 -t PULL --zap tcp://127.0.0.1:1").end();
    ended.expect(2, &[]);
    ended.expect_said("zmtpcat: --zap tcp://127.0.0.1:1: zap is not built in");
}

#[test]
fn a_mechanism_that_is_not_built_in_is_called_so() {
    for (mechanism, built_in) in [
        ("Curve", cfg!(feature = "curve")),
        ("BLAKE3-ChachaPoly", cfg!(feature = "blake3")),
        ("Blake3", cfg!(feature = "blake3zmq")),
    ] {
        let said = format!("zmtpcat: the mechanism {mechanism} is not built in");
        let ended = Cat::run(&format!("--bind tcp://127.0.0.1:0 -t PULL --mechanism {mechanism}")).end();
        ended.expect(2, &[]);
        assert_eq!(ended.stderr.contains(&said), !built_in, "{:?}", ended.stderr);
    }
}

#[cfg(not(any(feature = "curve", feature = "blake3")))]
#[test]
fn keys_are_made_for_nothing_where_no_mechanism_has_any() {
    for args in ["keygen", "keygen --out x"] {
        let ended = Cat::run(args).end();
        ended.expect(2, &[]);
        ended.expect_said("zmtpcat: keygen: neither the mechanism curve nor blake3-chachapoly is built in");
    }
}

#[test]
fn types_and_mechanisms_are_written_in_any_case() {
    let (_rep, endpoint) = Cat::bind("--type rEp --mechanism NULL --as-server --echo");
    Cat::fed(&endpoint, "-t Req --mechanism Null --as-client", "hello\n").end().expect(0, &["hello"]);
}

#[test]
fn every_address_can_be_bound() {
    let rep = Cat::run("--bind tcp://*:0 -t REP --echo --events");
    let listening = rep.event("listening tcp://0.0.0.0:");
    Cat::fed(&format!("tcp://127.0.0.1:{listening}"), "-t REQ", "hello\n").end().expect(0, &["hello"]);
}

#[test]
fn without_events_stderr_is_empty() {
    let (_rep, endpoint) = Cat::bind("-t REP --echo");
    let ended = Cat::fed(&endpoint, "-t REQ", "hello\n").end();
    ended.expect(0, &["hello"]);
    assert!(ended.stderr.is_empty(), "{:?}", ended.stderr);
}

#[test]
fn events_tell_the_life_of_a_connection() {
    let (rep, endpoint) = Cat::bind("-t REP --echo");
    Cat::fed(&endpoint, "-t REQ --identity me", "hello\n").end().expect(0, &["hello"]);
    let address = rep.event("accepted tcp://127.0.0.1:");
    let ready = rep.event("ready tcp://127.0.0.1:");
    assert_eq!(ready, format!("{address} type=REQ zmtp=3.1 mechanism=NULL identity=me"));
    assert_eq!(rep.event("closed tcp://127.0.0.1:"), address);
}

/// Or it could add fields to the line that others have to prove.
#[test]
fn an_identity_is_one_word_of_an_event() {
    let (rep, endpoint) = Cat::bind("-t REP --echo");
    let req = Cat::with(&["--connect", &endpoint, "-t", "REQ", "--events", "--identity", "me key=x\n"]);
    let ready = rep.event("ready ");
    assert!(ready.ends_with(r" mechanism=NULL identity=me\x20key=x\n"), "{ready}");
    req.end().expect(0, &[]);
}

#[test]
fn an_address_in_use_cannot_be_bound() {
    let (_first, endpoint) = Cat::bind("-t REP --echo");
    let ended = Cat::run(&format!("--bind {endpoint} -t REP --echo")).end();
    ended.expect(1, &[]);
    ended.expect_said("failed stage=bind cause=");
}

#[cfg(unix)]
#[test]
fn ipc_replaces_a_stale_file_and_cleans_up() {
    let path = std::env::temp_dir().join(format!("zmtpcat-test-{}", std::process::id()));
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let endpoint = format!("ipc://{}", path.display());
    for signal in [None, Some("TERM")] {
        let rep = Cat::run(&format!("--bind {endpoint} -t REP --echo -n 2 --events"));
        assert_eq!(rep.event("listening "), endpoint);
        let second = Cat::run(&format!("--bind {endpoint} -t REP --echo")).end();
        second.expect(1, &[]);
        Cat::fed(&endpoint, "-t REQ", "hello\n").end().expect(0, &["hello"]);
        match signal {
            None => Cat::fed(&endpoint, "-t REQ", "bye\n").end().expect(0, &["bye"]),
            Some(signal) => rep.signal(signal),
        }
        assert_eq!(rep.end_by_itself().code, Some(0));
        assert!(!path.exists(), "the file of the socket is left behind");
    }
}

#[cfg(unix)]
#[test]
fn ipc_does_not_replace_a_file_that_is_no_socket() {
    let path = std::env::temp_dir().join(format!("zmtpcat-file-{}", std::process::id()));
    std::fs::write(&path, "precious").unwrap();
    Cat::run(&format!("--bind ipc://{} -t REP --echo", path.display())).end().expect(1, &[]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    std::fs::remove_file(path).unwrap();
}

//! The options for keys: what they take, what they refuse, and that they keep secrets.

use std::fs;

use zmtp_connection::{Certificate, KeyPair, SecretKey};

use crate::cat::{Cat, Ended};
use crate::keys::{Keys, anonymous_client_of};

const BIND: &str = "--bind tcp://127.0.0.1:0 -t PULL --mechanism curve";
const CONNECT: &str = "--connect tcp://127.0.0.1:1 -t PUSH --mechanism curve";

/// That it is wrong usage, said so, and without any of these texts.
#[track_caller]
fn refused(args: &str, start: &str, secrets: &[&str]) -> Ended {
    let ended = Cat::run(args).end();
    ended.expect(2, &[]);
    ended.expect_said(start);
    for line in &ended.stderr {
        assert!(!secrets.iter().any(|secret| line.contains(secret)), "{line}");
    }
    ended
}

#[test]
fn keys_that_are_missing_or_too_many_are_wrong_usage() {
    let (one, other) = (Keys::new(), Keys::new());
    let secrets = [&*one.secret, &*other.secret];
    let server = format!("{BIND} --secret-key={}", one.secret);
    let client = format!("{CONNECT} --server-key={}", one.public);
    for (args, said) in [
        (BIND.to_owned(), "zmtpcat: a CURVE server needs --secret-key-file or --secret-key"),
        (format!("{CONNECT} --as-server"), "zmtpcat: a CURVE server needs --secret-key-file or --secret-key"),
        (CONNECT.to_owned(), "zmtpcat: a CURVE client needs --server-key"),
        (format!("{BIND} --as-client"), "zmtpcat: a CURVE client needs --server-key"),
        (format!("{CONNECT} --secret-key={}", one.secret), "zmtpcat: a CURVE client needs --server-key"),
        (format!("{server} --as-server --as-client"), "error: "),
        (format!("{client} --as-server"), "zmtpcat: --server-key makes a client, and --as-server a server"),
        (format!("{client} --allow-key={}", other.public), "zmtpcat: --allow-key is for a server"),
        (format!("{client} --public-key={}", other.public), "zmtpcat: --public-key needs the secret key"),
        (format!("{BIND} --public-key={}", other.public), "zmtpcat: --public-key needs the secret key"),
        (format!("{server} --public-key={}", other.public), "zmtpcat: --public-key: the public key does not belong"),
        (
            format!("{client} --public-key={} --secret-key={}", one.public, other.secret),
            "zmtpcat: --public-key: the public key does not belong",
        ),
        (format!("{server} --secret-key={}", other.secret), "error: the argument '--secret-key <K>'"),
        (format!("{server} --secret-key-file x"), "error: the argument '--secret-key <K>'"),
    ] {
        refused(&args, said, &secrets);
    }
}

#[test]
fn what_is_no_key_is_wrong_usage() {
    let keys = Keys::new();
    let short = &keys.secret[..39];
    let with_quote = format!("{short}\"");
    for wrong in ["", short, &with_quote, &format!("{}x", keys.secret), "0000000000000000000000000000000000000000"] {
        let secrets = [short];
        refused(&format!("{BIND} --secret-key={wrong}"), "zmtpcat: --secret-key: ", &secrets);
        refused(&format!("{CONNECT} --server-key={wrong}"), "zmtpcat: --server-key: ", &secrets);
        let server = format!("{BIND} --secret-key={}", keys.secret);
        refused(&format!("{server} --public-key={wrong}"), "zmtpcat: --public-key: ", &secrets);
        refused(&format!("{server} --allow-key={wrong}"), "zmtpcat: --allow-key: ", &secrets);
        refused(
            &format!("{server} --allow-key={} --allow-key={wrong}", keys.public),
            "zmtpcat: --allow-key: ",
            &secrets,
        );
    }
}

#[test]
fn secrets_are_not_repeated_whatever_else_is_wrong() {
    let keys = Keys::new();
    let secrets = [&*keys.secret];
    for args in [
        format!("{BIND} --secret-kye={}", keys.secret),
        format!("{BIND} --secret-key={} --no-such-option", keys.secret),
        format!("{BIND} --secret-key={} -n many", keys.secret),
        format!("{BIND} --secret-key={} --as-client", keys.secret),
        format!("--bind nowhere -t PULL --mechanism curve --secret-key={}", keys.secret),
        format!("--bind tcp://127.0.0.1:0 -t PULL --mechanism nonsense --secret-key={}", keys.secret),
        format!("--bind tcp://127.0.0.1:0 -t PULL --secret-key={}", keys.secret),
        format!("--bind tcp://127.0.0.1:0 --secret-key={}", keys.secret),
        format!("keygen --secret-key={}", keys.secret),
        // A key in the place of a file's name.
        format!("{BIND} --secret-key-file={}", keys.secret),
    ] {
        refused(&args, "", &secrets);
    }
}

#[test]
fn a_key_may_begin_with_a_hyphen() {
    let begins = |pair: &KeyPair| pair.public_key().to_z85().starts_with('-');
    let hyphened = || std::iter::repeat_with(|| KeyPair::generate().unwrap()).find(begins).unwrap();
    let (server, client) = (Keys::of(&hyphened()), Keys::of(&hyphened()));
    let secret = format!("-{}", &"0".repeat(39));
    let third = Keys::of(&KeyPair::from_secret(SecretKey::from_z85(&secret).unwrap()));
    for separator in ["=", " "] {
        let allowed = format!("--allow-key{separator}{} --allow-key{separator}{}", client.public, third.public);
        let (_rep, endpoint) = Cat::bind(&format!("-t REP --echo {} {allowed}", server.server()));
        let own = [
            format!("--public-key{separator}{} --secret-key{separator}{}", client.public, client.secret),
            format!("--secret-key{separator}{secret}"),
        ];
        for own in own {
            let args = format!("-t REQ --mechanism CURVE --server-key{separator}{} {own}", server.public);
            Cat::fed(&endpoint, &args, "hello\n").end().expect(0, &["hello"]);
        }
    }
}

#[test]
fn a_secret_key_is_read_from_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let (server, client) = (KeyPair::generate().unwrap(), Keys::new());
    let (keys, path) = (Keys::of(&server), dir.path().join("key"));
    let certificate = Certificate::new(server).danger_to_secret_text().unwrap().to_string();
    let only_secret = format!("curve\n    secret-key = \"{}\"\n", keys.secret);
    let forms = [
        keys.secret.clone(),
        format!("{}\n", keys.secret),
        format!("{}\r\n", keys.secret),
        certificate.replace('\n', "\r\n"),
        certificate,
        only_secret,
    ];
    for text in forms {
        fs::write(&path, &text).unwrap();
        let own = format!("--mechanism curve --secret-key-file {}", path.display());
        // By a server, with and without its public key, and by a client.
        for args in [own.clone(), format!("{own} --public-key={}", keys.public)] {
            let (_rep, endpoint) = Cat::bind(&format!("-t REP --echo {args}"));
            let args = format!("-t REQ {}", client.client_of(&keys));
            Cat::fed(&endpoint, &args, "hello\n").end().expect(0, &["hello"]);
        }
        let (_rep, endpoint) = Cat::bind(&format!("-t REP --echo {} --allow-key={}", client.server(), keys.public));
        let args = format!("-t REQ {own} --server-key={}", client.public);
        Cat::fed(&endpoint, &args, "hello\n").end().expect(0, &["hello"]);
    }
}

/// It need not be a file that can be read twice.
#[cfg(unix)]
#[test]
fn a_secret_key_is_read_from_a_pipe() {
    let keys = Keys::new();
    let mut pull = Cat::run(&format!("{BIND} --secret-key-file /dev/stdin --events"));
    pull.write(format!("{}\n", keys.secret).as_bytes());
    pull.close();
    let endpoint = pull.event("listening ");
    let args = format!("-t PUSH {}", anonymous_client_of(&keys));
    Cat::fed(&endpoint, &args, "hello\n").end().expect(0, &[]);
    assert_eq!(pull.line(), "hello");
}

#[test]
fn a_file_without_a_secret_key_is_wrong_usage() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let (pair, other) = (KeyPair::generate().unwrap(), Keys::new());
    let secret = Keys::of(&pair).secret;
    let certificate = Certificate::new(pair);
    let texts = [
        "",
        " \n",
        &secret[1..],
        &format!("{secret}\n{}\n", other.secret),
        &format!("\"{secret}\"\n"),
        &certificate.to_public_text(),
        &format!("curve\n    public-key = \"{}\"\n    secret-key = \"{secret}\"\n", other.public),
        &format!("curve\n    secret-key = \"{secret}x\"\n"),
        &format!("public-key  {}\nsecret-key  {secret}\n", other.public),
        &"x".repeat(Certificate::MAX_LEN + 1),
    ];
    let said = format!("zmtpcat: --secret-key-file {}: ", path.display());
    let args = format!("{BIND} --secret-key-file {}", path.display());
    for text in texts {
        fs::write(&path, text).unwrap();
        refused(&args, &said, &[&secret[1..], &other.secret]);
    }
    fs::write(&path, b"\xff\xfe\x00key").unwrap();
    refused(&args, &said, &[]);
    fs::remove_file(&path).unwrap();
    refused(&args, &said, &[]);
    fs::create_dir(&path).unwrap();
    refused(&args, &said, &[]);
}

#[test]
fn a_server_takes_several_keys_and_a_client_one() {
    let dir = tempfile::tempdir().unwrap();
    let keys: Vec<_> = (0..5).map(|_| Keys::new()).collect();
    let mut files = Vec::new();
    for (number, keys) in keys.iter().enumerate() {
        let path = dir.path().join(number.to_string());
        fs::write(&path, &keys.secret).unwrap();
        files.push(format!("--secret-key-file {}", path.display()));
    }
    let (_rep, endpoint) = Cat::bind(&format!("-t REP --echo --mechanism curve {}", files[..4].join(" ")));
    for keys in &keys[..4] {
        let args = format!("-t REQ {}", anonymous_client_of(keys));
        Cat::fed(&endpoint, &args, "hello\n").end().expect(0, &["hello"]);
    }
    let all = files.join(" ");
    refused(&format!("{BIND} {all}"), "zmtpcat: --secret-key-file: a server has 1 to 4 key pairs", &[]);
    let client = format!("{CONNECT} --server-key={} {all}", keys[0].public);
    refused(&client, "zmtpcat: a client has one --secret-key-file", &[]);
    let public = format!("{BIND} {all} --public-key={}", keys[4].public);
    refused(&public, "zmtpcat: --public-key goes with one secret key", &[]);
}

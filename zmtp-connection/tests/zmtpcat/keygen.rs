//! `zmtpcat keygen`: its output, its files, and that they serve.

use std::fs;
use std::path::Path;

use zmtp_connection::{Certificate, KeyPair, SecretKey};

use crate::cat::Cat;

fn keygen(name: &Path) -> crate::cat::Ended {
    Cat::with(&["keygen", "--out", name.to_str().unwrap()]).end()
}

#[test]
fn it_prints_a_new_pair_in_two_lines() {
    let mut seen = Vec::new();
    for _ in 0..2 {
        let ended = Cat::run("keygen").end();
        assert_eq!((ended.code, ended.stdout.len(), ended.stderr.len()), (Some(0), 2, 0), "{ended:?}");
        let public = ended.stdout[0].strip_prefix("public-key  ").unwrap();
        let secret = ended.stdout[1].strip_prefix("secret-key  ").unwrap();
        KeyPair::new(public.parse().unwrap(), SecretKey::from_z85(secret).unwrap()).unwrap();
        seen.push(secret.to_owned());
    }
    assert_ne!(seen[0], seen[1]);
}

#[test]
fn it_writes_a_certificate_and_says_where() {
    let dir = tempfile::tempdir().unwrap();
    let name = dir.path().join("weather station");
    let ended = keygen(&name);
    let (public, secret) = (format!("{}.key", name.display()), format!("{}.key_secret", name.display()));
    let pair = Certificate::load(&public).unwrap().into_key_pair().unwrap();
    let key = pair.public_key().to_z85();
    let lines = [format!("public-key  {key}"), format!("public-file  {public}"), format!("secret-file  {secret}")];
    ended.expect(0, &lines.each_ref().map(String::as_str));
    assert!(ended.stderr.is_empty(), "{:?}", ended.stderr);
    let text = fs::read_to_string(&public).unwrap();
    assert!(text.contains(&key) && !text.contains("secret-key"), "{text}");
    assert!(fs::read_to_string(&secret).unwrap().contains(&*pair.secret_key().danger_to_z85()));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing else is left there");
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_the_secret_file() {
    use std::os::unix::fs::PermissionsExt;

    let dir = tempfile::tempdir().unwrap();
    keygen(&dir.path().join("me"));
    let mode = |name: &str| fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("me.key_secret"), 0o600);
    assert_eq!(mode("me.key") & 0o400, 0o400);
}

#[test]
fn it_overwrites_nothing() {
    for name in ["me.key", "me.key_secret"] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(name), "precious").unwrap();
        let ended = keygen(&dir.path().join("me"));
        ended.expect(1, &[]);
        ended.expect_said("zmtpcat: there is a ");
        assert_eq!(fs::read_to_string(dir.path().join(name)).unwrap(), "precious");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left of the attempt");
    }
}

#[test]
fn a_directory_that_is_not_there_is_a_failure() {
    let dir = tempfile::tempdir().unwrap();
    let ended = keygen(&dir.path().join("nowhere").join("me"));
    ended.expect(1, &[]);
    ended.expect_said("zmtpcat: cannot write ");
}

#[test]
fn its_files_serve_a_server_and_its_client() {
    let dir = tempfile::tempdir().unwrap();
    let mut keys = Vec::new();
    for name in ["server", "client"] {
        let ended = keygen(&dir.path().join(name));
        let public = ended.stdout[0].strip_prefix("public-key  ").unwrap().to_owned();
        let file = ended.stdout[2].strip_prefix("secret-file  ").unwrap().to_owned();
        keys.push((public, format!("--mechanism curve --secret-key-file {file}")));
    }
    let ((server_key, server), (client_key, client)) = (&keys[0], &keys[1]);
    let (rep, endpoint) = Cat::bind(&format!("-t REP --echo {server} --allow-key={client_key}"));
    let args = format!("-t REQ {client} --server-key={server_key}");
    Cat::fed(&endpoint, &args, "hello\n").end().expect(0, &["hello"]);
    assert!(rep.event("ready ").ends_with(&format!(" key={client_key}")));
}

#[test]
fn what_it_prints_serves_as_well() {
    let ended = Cat::run("keygen").end();
    let public = ended.stdout[0].strip_prefix("public-key  ").unwrap();
    let secret = ended.stdout[1].strip_prefix("secret-key  ").unwrap();
    let (_rep, endpoint) = Cat::bind(&format!("-t REP --echo --mechanism curve --secret-key={secret}"));
    let args = format!("-t REQ --mechanism curve --server-key={public}");
    Cat::fed(&endpoint, &args, "hello\n").end().expect(0, &["hello"]);
}

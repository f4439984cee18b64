//! Certificates: as others write them, as we write them, and what is refused.
//!
//! `data/certificates` holds files as czmq 4.2.1 and pyzmq 27.3.0 wrote them, with keys that are used nowhere else.
//! `czmq-public.cert` is a certificate without a secret key that czmq saved nevertheless as a public and a secret file.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use zmtp_codec::keys::{Certificate, CertificateError, KeyError, KeyPair, SecretKey};

const PUBLIC: &str = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";
const SECRET: &str = "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6";
const ZEROS: &str = "0000000000000000000000000000000000000000";

fn pair() -> KeyPair {
    KeyPair::from_secret(SecretKey::from_z85(SECRET).unwrap())
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/certificates").join(name)
}

fn metadata(certificate: &Certificate) -> Vec<(&str, &str)> {
    certificate.metadata().collect()
}

/// The file that has the secret key beside the public one at `path`.
fn secret_of(path: &Path) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push("_secret");
    path.into()
}

/// Names of all files in `dir`, sorted.
fn files(dir: &TempDir) -> Vec<String> {
    let names = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[test]
fn certificates_of_czmq_are_read() {
    let certificate = Certificate::load(fixture("czmq.cert")).unwrap();
    assert_eq!(certificate.public_key().to_z85(), "uLyD}x*-xGldksbA1[%R]$)dbd}rp%fg%F4cdNFN");
    let secret = certificate.secret_key().unwrap();
    assert_eq!(&*secret.danger_to_z85(), "ZG7uT48(ujB}5gUVwwEaC=Es/n}iqHy-U=qlpmk@");
    let expected =
        [("site", "roof # 2"), ("name", "weather station"), ("said", "it's on"), ("email", "station@example.org")];
    assert_eq!(metadata(&certificate), expected);

    let public = Certificate::parse(&fs::read_to_string(fixture("czmq.cert")).unwrap()).unwrap();
    assert_eq!(public.public_key(), certificate.public_key());
    assert_eq!(public.secret_key(), None);
    assert_eq!(metadata(&public), expected);
}

#[test]
fn a_secret_key_of_zeros_which_czmq_writes_for_none_is_none() {
    let text = fs::read_to_string(fixture("czmq-public.cert_secret")).unwrap();
    assert!(text.contains(ZEROS));
    let certificate = Certificate::load(fixture("czmq-public.cert")).unwrap();
    assert_eq!(certificate.secret_key(), None);
    assert!(matches!(certificate.into_key_pair(), Err(CertificateError::NoSecretKey)));
    let only = format!("curve\n    secret-key = \"{ZEROS}\"\n");
    assert!(matches!(Certificate::parse(&only), Err(CertificateError::NoKey)));
}

#[test]
fn certificates_of_pyzmq_are_read() {
    for name in ["pyzmq.key", "pyzmq.key_secret"] {
        let certificate = Certificate::load(fixture(name)).unwrap();
        assert_eq!(certificate.public_key().to_z85(), "2FyNkBz*C=f.O8id6}P$>r>@fmbVBn{<TU@okYo7");
        let secret = certificate.secret_key().unwrap();
        assert_eq!(&*secret.danger_to_z85(), "8pobz@A&a%=rB<gAVSQIL00+wo]CPPdtuMmFp7wo");
        // pyzmq quotes no values of metadata, so the format takes what follows the # for a comment, and so does czmq.
        assert_eq!(
            metadata(&certificate),
            [("name", "weather station"), ("email", "station@example.org"), ("site", "roof")]
        );
    }
    let public = Certificate::parse(&fs::read_to_string(fixture("pyzmq.key")).unwrap()).unwrap();
    assert_eq!((public.secret_key(), public.metadata().len()), (None, 0));
}

/// Four spaces, quotation marks, and metadata before keys: what czmq insists on. The comments are ours.
#[test]
fn certificates_are_written_as_czmq_and_pyzmq_read_them() {
    let certificate = Certificate::new(pair())
        .with_metadata("name", "weather # \"2\"")
        .and_then(|certificate| certificate.with_metadata("said", "it's on"))
        .and_then(|certificate| certificate.with_metadata("empty", ""))
        .unwrap();
    let without_comments =
        |text: &str| text.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect();
    let public: String = without_comments(&certificate.to_public_text());
    let expected = format!(
        "\nmetadata\n    name = 'weather # \"2\"'\n    said = \"it's on\"\n    empty = \"\"\ncurve\n    public-key = \"{PUBLIC}\"\n"
    );
    assert_eq!(public, expected);
    let secret: String = without_comments(&certificate.danger_to_secret_text().unwrap());
    assert_eq!(secret, format!("{expected}    secret-key = \"{SECRET}\"\n"));

    assert_eq!(Certificate::parse(&certificate.danger_to_secret_text().unwrap()).unwrap(), certificate);
    let public = Certificate::parse(&certificate.to_public_text()).unwrap();
    assert_eq!(public.public_key(), certificate.public_key());
    assert_eq!(public.secret_key(), None);
    assert_eq!(metadata(&public), metadata(&certificate));
    assert!(matches!(public.danger_to_secret_text(), Err(CertificateError::NoSecretKey)));
    assert!(!certificate.to_public_text().contains(SECRET));
}

#[test]
fn hands_may_vary_the_text() {
    for text in [
        "curve\n    public-key = \"P\"\n    secret-key = \"S\"\n",
        "curve\r\n    public-key = \"P\"\r\n    secret-key = \"S\"\r\n",
        "\u{feff}curve\n\tpublic-key='P'\n\tsecret-key='S'",
        "# a\n\n  # b\ncurve # c\n  secret-key = \"S\" # d\n      \n  public-key = \"P\"",
        "curve\n    secret-key = \"S\"",
        "server\n    curve\n        public-key = \"0\"\n    public-key = \"0\"\ncurve\n    secret-key = \"S\"\n    since = 2024",
        "curve\n    old\n        secret-key = \"0\"\n    secret-key = \"S\"\nthen = \"x\"",
        "metadata\ncurve\n    secret-key = \"S\"\nother\n    public-key = \"0\"",
    ] {
        let certificate = Certificate::parse(&text.replace('P', PUBLIC).replace('S', SECRET))
            .unwrap_or_else(|error| panic!("{text:?}: {error}"));
        assert_eq!(certificate.public_key().to_z85(), PUBLIC, "{text:?}");
        assert_eq!(certificate.into_key_pair().unwrap(), pair(), "{text:?}");
    }
}

#[test]
fn keys_outside_their_section_are_no_keys() {
    for text in
        ["", "curve\n", "public-key = \"P\"", "curve\npublic-key = \"P\"", "other\n    public-key = \"P\"", "# P"]
    {
        let refused = Certificate::parse(&text.replace('P', PUBLIC));
        assert!(matches!(refused, Err(CertificateError::NoKey)), "{text:?}");
    }
}

#[test]
fn keys_that_do_not_belong_together_are_refused() {
    let text = fs::read_to_string(fixture("czmq.cert")).unwrap() + &format!("    secret-key = \"{SECRET}\"\n");
    assert!(matches!(Certificate::parse(&text), Err(CertificateError::Pair(KeyError::Mismatch))));
}

#[test]
fn names_given_twice_are_refused_even_with_the_same_value() {
    for (text, expected) in [
        ("curve\n    public-key = \"P\"\n    public-key = \"P\"", 3),
        ("curve\n    secret-key = \"S\"\n    secret-key = \"S\"", 3),
        ("curve\n    secret-key = \"Z\"\n    secret-key = \"S\"", 3),
        ("curve\n    public-key = \"P\"\nmetadata\ncurve\n    public-key = \"P\"", 5),
        ("metadata\n    a = 1\n    b = 2\n    a = 1\ncurve\n    public-key = \"P\"", 4),
    ] {
        match Certificate::parse(&text.replace('P', PUBLIC).replace('S', SECRET).replace('Z', ZEROS)) {
            Err(CertificateError::Duplicate { line }) => assert_eq!(line, expected, "{text:?}"),
            other => panic!("{text:?}: {other:?}"),
        }
    }
}

#[test]
fn broken_keys_are_told_by_line_and_name() {
    for (value, expected) in [
        ("\"\"", KeyError::Length { len: 0 }),
        (&format!("\"{}\"", &PUBLIC[1..]), KeyError::Length { len: 39 }),
        (&format!("\"{PUBLIC}0\""), KeyError::Length { len: 41 }),
        (&format!("\" {}\"", &PUBLIC[1..]), KeyError::Character { position: 0 }),
        (&format!("\"{}#####\"", &PUBLIC[5..]), KeyError::Chunk { position: 35 }),
        // Without quotation marks, a comment starts in the middle of the key.
        (&format!("{}#{}", &PUBLIC[..10], &PUBLIC[11..]), KeyError::Length { len: 10 }),
    ] {
        for key in ["public-key", "secret-key"] {
            match Certificate::parse(&format!("# comment\ncurve\n    {key} = {value}\n")) {
                Err(CertificateError::Key { line: 3, name, source }) => assert_eq!((name, source), (key, expected)),
                other => panic!("{value}: {other:?}"),
            }
        }
    }
    let zeros = Certificate::parse(&format!("curve\n    public-key = \"{ZEROS}\""));
    assert!(matches!(zeros, Err(CertificateError::Key { line: 2, name: "public-key", source: KeyError::LowOrder })));
}

#[test]
fn broken_lines_are_told_by_number() {
    for broken in ["name weather station", "name = \"weather", "\0", "= x", "{\"name\": 1}"] {
        let text = format!("metadata\n    {broken}\ncurve\n    public-key = \"{PUBLIC}\"\n");
        assert!(matches!(Certificate::parse(&text), Err(CertificateError::Syntax { line: 2, .. })), "{broken}");
    }
}

/// pyzmq looks at the start of every line, whatever its section.
#[test]
fn metadata_that_another_reader_takes_for_a_key_is_refused() {
    let text = format!("metadata\n    public-key = \"{PUBLIC}\"\ncurve\n    public-key = \"{PUBLIC}\"\n");
    assert!(matches!(Certificate::parse(&text), Err(CertificateError::Syntax { line: 2, .. })));
    for name in ["public-key", "secret-key", "public-key-of-old"] {
        let refused = Certificate::new(pair()).with_metadata(name, "x");
        assert!(matches!(refused, Err(CertificateError::MetadataName)), "{name}");
    }
}

#[test]
fn metadata_that_the_format_does_not_hold_is_refused() {
    let named = || Certificate::new(pair()).with_metadata("name", "x").unwrap();
    for name in ["", "two words", "a=b", "#a", "/a", "a/", "ä", "a\n", "name"] {
        assert!(matches!(named().with_metadata(name, "x"), Err(CertificateError::MetadataName)), "{name:?}");
    }
    for value in ["a\nb", "a\0", "\r", "'\"", "\" and ' #", " \"'"] {
        assert!(matches!(named().with_metadata("other", value), Err(CertificateError::MetadataValue)), "{value:?}");
    }
    for value in ["", " ", "a # b", "\"a\"", "it's", "a \"and\" 'b'", "ä\t"] {
        let certificate = named().with_metadata("other", value).unwrap();
        let read = Certificate::parse(&certificate.to_public_text()).unwrap();
        assert_eq!(read.metadata_value("other"), Some(value));
    }
}

#[test]
fn what_can_be_made_can_be_read() {
    let longest = (0..Certificate::MAX_LEN).rev().step_by(16);
    let certificate = longest
        .map(|len| Certificate::new(pair()).with_metadata("long", &"x".repeat(len)))
        .inspect(|made| assert!(matches!(made, Ok(_) | Err(CertificateError::TooLong { .. }))))
        .find_map(Result::ok)
        .unwrap();
    assert!(certificate.metadata_value("long").unwrap().len() > Certificate::MAX_LEN - 1024);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("long");
    certificate.save(&path).unwrap();
    assert_eq!(Certificate::load(&path).unwrap(), certificate);
}

#[test]
fn both_files_are_saved_and_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("server.key");
    let certificate = Certificate::new(pair()).with_metadata("name", "weather station").unwrap();
    certificate.save(&path).unwrap();
    assert_eq!(files(&dir), ["server.key", "server.key_secret"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), certificate.to_public_text());
    assert_eq!(fs::read_to_string(secret_of(&path)).unwrap(), &*certificate.danger_to_secret_text().unwrap());
    assert_eq!(Certificate::load(&path).unwrap(), certificate);
    assert_eq!(Certificate::load(secret_of(&path)).unwrap(), certificate);

    fs::remove_file(secret_of(&path)).unwrap();
    assert_eq!(Certificate::load(&path).unwrap().secret_key(), None);
}

#[cfg(unix)]
#[test]
fn the_secret_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("server.key");
    let plain = dir.path().join("plain");
    fs::write(&plain, "").unwrap();

    Certificate::new(pair()).save(&path).unwrap();
    assert_eq!(mode(&secret_of(&path)), 0o600);
    assert_eq!(mode(&path), mode(&plain), "the public file is created like any other");

    fs::set_permissions(secret_of(&path), fs::Permissions::from_mode(0o644)).unwrap();
    Certificate::new(pair()).save_overwriting(&path).unwrap();
    assert_eq!(mode(&secret_of(&path)), 0o600);
}

#[test]
fn a_secret_key_is_not_overwritten_unless_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("server.key");
    let old = Certificate::new(pair());
    old.save(&path).unwrap();
    let new = Certificate::new(KeyPair::generate().unwrap());

    match new.save(&path) {
        Err(CertificateError::SecretExists { path: in_the_way }) => assert_eq!(in_the_way, secret_of(&path)),
        other => panic!("{other:?}"),
    }
    assert_eq!(Certificate::load(&path).unwrap(), old);
    assert_eq!(fs::read_to_string(&path).unwrap(), old.to_public_text(), "the public file stays as well");

    new.save_overwriting(&path).unwrap();
    assert_eq!(Certificate::load(&path).unwrap(), new);
    assert_eq!(fs::read_to_string(&path).unwrap(), new.to_public_text());
    assert_eq!(files(&dir), ["server.key", "server.key_secret"]);
}

#[test]
fn a_public_certificate_is_saved_as_such_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("peer.key");
    let certificate = Certificate::public_only(*pair().public_key());
    assert!(matches!(certificate.save(&path), Err(CertificateError::NoSecretKey)));
    assert!(matches!(certificate.save_overwriting(&path), Err(CertificateError::NoSecretKey)));
    assert!(files(&dir).is_empty());
    for _ in 0..2 {
        certificate.save_public(&path).unwrap();
        assert_eq!(files(&dir), ["peer.key"]);
        assert_eq!(Certificate::load(&path).unwrap(), certificate);
    }
}

#[test]
fn what_cannot_be_saved_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("server.key");
    // A directory that is not empty cannot be replaced by a file.
    fs::create_dir_all(path.join("full")).unwrap();
    match Certificate::new(pair()).save(&path) {
        Err(CertificateError::Io { path: failed, .. }) => assert_eq!(failed, path),
        other => panic!("{other:?}"),
    }
    assert_eq!(files(&dir), ["server.key"]);
    let nowhere = dir.path().join("nowhere/server.key");
    assert!(matches!(Certificate::new(pair()).save(&nowhere), Err(CertificateError::Io { .. })));
}

#[test]
fn a_missing_file_is_told_by_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("server.key");
    match Certificate::load(&path).expect_err("missing") {
        error @ CertificateError::Io { .. } => assert!(error.to_string().contains("server.key\""), "{error}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_secret_file_that_cannot_be_read_is_not_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("server.key");
    Certificate::new(pair()).save_public(&path).unwrap();
    fs::write(secret_of(&path), "curve\n    secret-key = \"").unwrap();
    assert!(matches!(Certificate::load(&path), Err(CertificateError::Syntax { line: 2, .. })));
    fs::remove_file(secret_of(&path)).unwrap();
    fs::create_dir(secret_of(&path)).unwrap();
    match Certificate::load(&path) {
        Err(CertificateError::Io { source, .. }) => assert_ne!(source.kind(), io::ErrorKind::NotFound),
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_short_text_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("server.key");
    let with_len = |len: usize| {
        let keys = format!("curve\n    public-key = \"{PUBLIC}\"\n#");
        keys.clone() + &"x".repeat(len - keys.len())
    };
    for (len, fits) in [(Certificate::MAX_LEN, true), (Certificate::MAX_LEN + 1, false), (1 << 20, false)] {
        let text = with_len(len);
        fs::write(&path, &text).unwrap();
        for read in [Certificate::load(&path), Certificate::parse(&text)] {
            match read {
                Ok(_) => assert!(fits, "{len}"),
                Err(error) => assert!(!fits && matches!(error, CertificateError::TooLong { .. }), "{len}: {error}"),
            }
        }
    }
    fs::write(&path, b"curve\n\xff").unwrap();
    assert!(matches!(Certificate::load(&path), Err(CertificateError::Encoding { position: 6 })));
}

//! Requests and replies of ZAP (RFC 27): what libzmq sends, what goes out, and what is refused.
//!
//! `data/zap.json` holds requests that three builds of libzmq have sent to a ROUTER.
#![cfg(feature = "zap")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::Value;
use zmtp_connection::codec::{
    Admission, Claim, Credentials, ErrorReason, MechanismName, Properties, PropertyError, Refusal, Verdict,
};
use zmtp_connection::zap::{Envelope, ZapError, ZapReply, ZapRequest, ZapStatus};
use zmtp_connection::{AuthRequest, Message, PeerAddress, PlainCredentials};

fn message<P: AsRef<[u8]>>(frames: impl IntoIterator<Item = P>) -> Message {
    Message::from_parts(frames.into_iter().map(|frame| Bytes::copy_from_slice(frame.as_ref()))).unwrap()
}

fn peer(mechanism: MechanismName, credentials: Credentials) -> AuthRequest {
    AuthRequest::new(mechanism, Claim::new(credentials)).with_domain("dom")
}

fn plain(username: &str, password: &str) -> Credentials {
    Credentials::Plain(PlainCredentials::new(username, password).unwrap())
}

// Requests that libzmq has sent.

struct Capture {
    name: String,
    frames: Vec<Bytes>,
}

fn captures() -> Vec<Capture> {
    let vectors: Value = serde_json::from_str(include_str!("data/zap.json")).unwrap();
    let captures = vectors["captures"].as_array().unwrap().iter().map(|capture| Capture {
        name: format!("{} {}", capture["lib"].as_str().unwrap(), capture["name"].as_str().unwrap()),
        frames: capture["request_frames_seen_by_ROUTER"]
            .as_array()
            .unwrap()
            .iter()
            .map(|frame| hex::decode(frame.as_str().unwrap()).unwrap().into())
            .collect(),
    });
    captures.collect()
}

/// What the name of a capture says that the request has to say.
fn expected(name: &str) -> (MechanismName, &str, PeerAddress) {
    let mechanism = ["NULL", "PLAIN", "CURVE"].into_iter().find(|mechanism| name.contains(mechanism)).unwrap();
    let address = match name {
        name if name.contains("tcp4") => PeerAddress::Ip([127, 0, 0, 1].into()),
        name if name.contains("tcp6") => PeerAddress::Ip("::1".parse().unwrap()),
        name if name.contains("ipc") => PeerAddress::Other("localhost:0:0:8935".into()),
        _ => panic!("a capture of an unknown transport: {name}"),
    };
    (MechanismName::new(mechanism).unwrap(), if name.contains("empty domain") { "" } else { "dom" }, address)
}

#[test]
fn requests_of_libzmq_are_read_and_written_back_octet_for_octet() {
    let captures = captures();
    assert_eq!(captures.len(), 48);
    for Capture { name, frames } in captures {
        let (mechanism, domain, address) = expected(&name);
        let (envelope, request) = ZapRequest::decode(&message(&frames)).unwrap();
        assert_eq!(envelope.routing_ids(), &frames[..1], "{name}");
        assert_eq!(request.request_id(), "1", "{name}");
        assert_eq!((request.domain(), request.mechanism()), (domain, mechanism), "{name}");
        assert_eq!(request.address(), address.zap_text(), "{name}");
        // Its own routing id, which in these captures only the NULL socket has.
        assert_eq!(request.identity(), if mechanism == MechanismName::NULL { "server-id" } else { "" }, "{name}");
        assert_eq!(request.to_message().parts(), &frames[1..], "{name}");

        let asked = request.to_auth_request().unwrap();
        assert_eq!((asked.mechanism(), asked.domain(), asked.address()), (mechanism, domain, Some(&address)), "{name}");
        assert_eq!((asked.identity(), asked.properties()), (None, None), "{name}");
        match mechanism {
            MechanismName::NULL => assert_eq!(asked.credentials(), &Credentials::Anonymous, "{name}"),
            MechanismName::PLAIN => assert_eq!(asked.credentials(), &plain("admin", "secret"), "{name}"),
            _ => assert_eq!(asked.public_key().unwrap()[..], frames[8], "{name}"),
        }
    }
}

#[test]
fn a_request_of_libzmq_without_its_identity_is_what_we_would_have_asked() {
    for Capture { name, frames } in captures() {
        let (_, request) = ZapRequest::decode(&message(&frames)).unwrap();
        let ours = ZapRequest::new(&request.to_auth_request().unwrap(), "1").unwrap().to_message();
        for (index, (ours, libzmqs)) in ours.iter().zip(&frames[1..]).enumerate() {
            if index == 5 {
                assert_eq!(ours, "", "{name}");
            } else {
                assert_eq!(ours, libzmqs, "{name}, frame {index}");
            }
        }
        assert_eq!(ours.part_count(), frames.len() - 1, "{name}");
    }
}

// Envelopes.

const NULL_REQUEST: [&str; 6] = ["1.0", "7", "dom", "192.0.2.1", "", "NULL"];

#[test]
fn a_reply_goes_back_in_the_envelope_of_its_request() {
    let reply = ZapReply::new("7", &Verdict::accept()).unwrap();
    let body = ["1.0", "7", "200", "OK", "", ""];
    for envelope in [&[][..], &[""], &["session", ""], &["third", "second", "first", ""]] {
        let request = message(envelope.iter().chain(&NULL_REQUEST));
        let (back, request) = ZapRequest::decode(&request).unwrap();
        assert_eq!(back.routing_ids(), envelope.split_last().map_or(&[][..], |(_, ids)| ids));
        assert_eq!(back.is_bare(), envelope.is_empty());
        assert_eq!(request.address(), "192.0.2.1");
        assert_eq!(reply.to_message(&back), message(envelope.iter().chain(&body)));
    }
}

// What is no request.

fn decode<const N: usize>(frames: [&str; N]) -> Result<(Envelope, ZapRequest), ZapError> {
    ZapRequest::decode(&message(frames))
}

#[test]
fn a_request_without_delimiter_and_version_is_refused() {
    assert_eq!(decode(["hello"]).unwrap_err(), ZapError::NoDelimiter);
    assert_eq!(decode(["id", "1.0", "7", "dom", "::1", "x", "NULL"]).unwrap_err(), ZapError::NoDelimiter);
}

#[test]
fn a_request_of_another_version_is_refused() {
    for version in ["1.1", "2.0", "1", "1.0 ", ""] {
        let request = ["", version, "7", "dom", "::1", "", "NULL"];
        assert_eq!(decode(request).unwrap_err(), ZapError::Version { version: version.into() });
    }
    let long = decode(["", "\u{1b}[31m is no version", "7", "dom", "::1", "", "NULL"]).unwrap_err();
    assert_eq!(long.to_string(), r#"the version of a ZAP message is 1.0, this one says "\x1b[31m is""#);
}

#[test]
fn a_request_that_ends_before_its_mechanism_is_refused() {
    for frames in 1..7 {
        let request = ["", "1.0", "7", "dom", "::1", "", "NULL"];
        let refused = ZapRequest::decode(&message(&request[..frames])).unwrap_err();
        assert_eq!(refused, ZapError::Incomplete { frames });
    }
}

#[test]
fn strings_of_a_request_have_255_octets_at_most() {
    let (fits, long) = (&*"x".repeat(255), &*"x".repeat(256));
    let id = &*"i".repeat(1000);
    assert!(decode(["", "1.0", id, fits, fits, fits, "NULL"]).is_ok());
    for (field, index) in [("domain", 3), ("address", 4), ("identity", 5)] {
        let mut request = ["", "1.0", id, fits, fits, fits, "NULL"];
        request[index] = long;
        assert_eq!(decode(request).unwrap_err(), ZapError::TooLong { field, len: 256 });
    }
}

#[test]
fn domain_address_and_mechanism_are_text_and_the_identity_is_octets() {
    let request = [&b""[..], b"1.0", b"7", b"dom", b"::1", b"", b"NULL"];
    for (field, index) in [("domain", 3), ("address", 4), ("mechanism", 6)] {
        let mut request = request;
        request[index] = b"\xff";
        assert_eq!(ZapRequest::decode(&message(request)).unwrap_err(), ZapError::NotText { field });
    }
    let mut request = request;
    request[5] = b"\0\xff";
    assert_eq!(ZapRequest::decode(&message(request)).unwrap().1.identity()[..], *b"\0\xff");
}

#[test]
fn a_mechanism_has_a_name() {
    for name in ["", "null", "A-NAME-OF-21-OCTETS-X", "NULL\0"] {
        let refused = decode(["", "1.0", "7", "dom", "::1", "", name]).unwrap_err();
        assert!(matches!(refused, ZapError::MechanismName(_)), "{name:?}: {refused:?}");
    }
}

// Credentials.

fn credentials(mechanism: &str, frames: &[&[u8]]) -> Result<Credentials, ZapError> {
    let head = [&b""[..], b"1.0", b"7", b"dom", b"", b"", mechanism.as_bytes()];
    let (_, request) = ZapRequest::decode(&message(head.iter().chain(frames))).unwrap();
    request.to_auth_request().map(|request| request.credentials().clone())
}

#[test]
fn each_mechanism_has_its_own_credentials() {
    let key = [7; 32];
    assert_eq!(credentials("NULL", &[]), Ok(Credentials::Anonymous));
    assert_eq!(credentials("PLAIN", &[b"alice", b"secret"]), Ok(plain("alice", "secret")));
    assert_eq!(credentials("PLAIN", &[b"", b""]), Ok(plain("", "")));
    for mechanism in ["CURVE", "BLAKE3", "BLAKE3-CHACHAPOLY"] {
        assert_eq!(credentials(mechanism, &[&key]), Ok(Credentials::PublicKey(key)));
    }
}

#[test]
fn other_credentials_than_those_of_the_mechanism_never_become_anonymous() {
    let key = &[7; 32][..];
    let name = |mechanism| MechanismName::new(mechanism).unwrap();
    for (mechanism, frames) in [
        ("NULL", &[&b""[..]][..]),
        ("NULL", &[key]),
        ("PLAIN", &[]),
        ("PLAIN", &[b"alice"]),
        ("PLAIN", &[b"alice", b"secret", b""]),
        ("CURVE", &[]),
        ("CURVE", &[key, key]),
        ("BLAKE3", &[]),
        ("BLAKE3-CHACHAPOLY", &[key, b""]),
    ] {
        let error = ZapError::Credentials { mechanism: name(mechanism), frames: frames.len() };
        assert_eq!(credentials(mechanism, frames), Err(error), "{mechanism}");
    }
    for len in [0, 31, 33, 40] {
        let error = ZapError::KeyLength { mechanism: MechanismName::CURVE, len };
        assert_eq!(credentials("CURVE", &[&vec![7; len]]), Err(error));
    }
    for (mechanism, frames) in [("GSSAPI", &[&b"principal"[..]][..]), ("MINE", &[])] {
        assert_eq!(credentials(mechanism, frames), Err(ZapError::UnknownMechanism { mechanism: name(mechanism) }));
    }
    let long = [0; 256];
    let too_long = |field| Err(ZapError::TooLong { field, len: 256 });
    assert_eq!(credentials("PLAIN", &[&long, b""]), too_long("username"));
    assert_eq!(credentials("PLAIN", &[b"", &long]), too_long("password"));
}

#[test]
fn neither_requests_nor_errors_show_a_password() {
    let head = ["", "1.0", "7", "dom", "::1", "", "PLAIN", "admin", "hunter2", "hunter2"];
    let (_, request) = decode(head).unwrap();
    let shown = format!("{request:?} {0:?} {0}", request.to_auth_request().unwrap_err());
    assert!(shown.contains("[3 redacted]"), "{shown}");
    for secret in ["hunter2", "admin"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn what_is_no_address_is_none_and_what_is_no_ip_address_is_kept() {
    let address = |text| {
        let (_, request) = decode(["", "1.0", "7", "dom", text, "", "NULL"]).unwrap();
        request.to_auth_request().unwrap().address().cloned()
    };
    assert_eq!(address(""), None);
    assert_eq!(address("2001:db8::1"), Some(PeerAddress::Ip("2001:db8::1".parse().unwrap())));
    assert_eq!(address("127.1"), Some(PeerAddress::Other("127.1".into())));
    assert_eq!(address("::1%lo"), Some(PeerAddress::Other("::1%lo".into())));
}

// Requests of ours.

#[test]
fn what_is_known_of_a_peer_is_in_the_request() {
    let mut properties = Properties::new();
    properties.push(Properties::IDENTITY, "bob").unwrap();
    let claim = Claim::new(Credentials::PublicKey([7; 32])).with_properties(properties);
    let address: std::net::SocketAddr = "[::ffff:192.0.2.1]:5555".parse().unwrap();
    let peer = AuthRequest::new(MechanismName::CURVE, claim).with_domain("dom").with_address(address);
    let key = [7; 32];
    let asked = ZapRequest::new(&peer, "0001").unwrap().to_message();
    let frames = [&b""[..], b"1.0", b"0001", b"dom", b"192.0.2.1", b"bob", b"CURVE", &key];
    assert_eq!(asked, message(frames));
}

#[test]
fn what_does_not_fit_is_refused_and_not_cut() {
    let peer = || peer(MechanismName::NULL, Credentials::Anonymous);
    let refused = |peer: AuthRequest| ZapRequest::new(&peer, "1").unwrap_err();
    let long = "x".repeat(256);
    assert_eq!(refused(peer().with_domain(&*long)), ZapError::TooLong { field: "domain", len: 256 });
    let address = PeerAddress::Other(long.into());
    assert_eq!(refused(peer().with_address(address)), ZapError::TooLong { field: "address", len: 256 });
}

#[test]
fn a_client_of_plain_has_nothing_to_ask() {
    let about_the_server = peer(MechanismName::PLAIN, Credentials::Anonymous);
    let refused = ZapRequest::new(&about_the_server, "1").unwrap_err();
    assert_eq!(refused, ZapError::Credentials { mechanism: MechanismName::PLAIN, frames: 0 });
}

#[test]
fn a_mechanism_of_ones_own_can_be_asked_about() {
    let peer = peer(MechanismName::new("MINE").unwrap(), Credentials::PublicKey([7; 32]));
    let asked = ZapRequest::new(&peer, "1").unwrap().to_message();
    assert_eq!(asked.parts()[6..], [&b"MINE"[..], &[7; 32]]);
    let nameless = AuthRequest::new(MechanismName::from_wire([0xff; 20]), Claim::default());
    assert!(matches!(ZapRequest::new(&nameless, "1"), Err(ZapError::UnknownMechanism { .. })));
}

// Replies.

const REPLY: [&[u8]; 7] = [b"", b"1.0", b"7", b"200", b"OK", b"alice", b""];

/// The reply with one frame changed.
fn with(index: usize, frame: &[u8]) -> [&[u8]; 7] {
    let mut reply: [&[u8]; 7] = REPLY;
    reply[index] = frame;
    reply
}

fn reply<P: AsRef<[u8]>>(frames: impl IntoIterator<Item = P>) -> Result<ZapReply, ZapError> {
    ZapReply::decode(&message(frames), b"7")
}

/// The reply to this verdict as it arrives.
fn arriving(verdict: &Verdict) -> ZapReply {
    let sent = ZapReply::new("7", verdict).unwrap();
    let arriving = ZapReply::decode(&sent.to_message(&Envelope::direct()), b"7").unwrap();
    assert_eq!(arriving, sent);
    arriving
}

#[test]
fn each_verdict_has_its_status_and_comes_back_as_itself() {
    let attached = Admission::new().with_user_id("alice").with_property("X-Role", "admin").unwrap();
    for (verdict, status, code) in [
        (Verdict::accept(), ZapStatus::Success, 200),
        (Verdict::accept_as("alice"), ZapStatus::Success, 200),
        (Verdict::Accept(attached), ZapStatus::Success, 200),
        (Verdict::try_later(), ZapStatus::TemporaryError, 300),
        (Verdict::try_later().because("busy"), ZapStatus::TemporaryError, 300),
        (Verdict::deny(), ZapStatus::AuthenticationFailure, 400),
        (Verdict::deny().because("expired"), ZapStatus::AuthenticationFailure, 400),
        (Verdict::internal_error(), ZapStatus::InternalError, 500),
    ] {
        let reply = arriving(&verdict);
        assert_eq!((reply.status(), reply.status().code()), (status, code));
        assert_eq!(reply.status().to_string(), code.to_string());
        assert_eq!(reply.request_id(), "7");
        assert_eq!(reply.into_verdict(), verdict);
    }
}

#[test]
fn a_refusal_for_a_reason_of_its_own_is_a_400() {
    let verdict = Verdict::Refuse(Refusal::error(ErrorReason::new("no room").unwrap()));
    assert_eq!(arriving(&verdict).into_verdict(), Verdict::deny());
}

#[test]
fn a_status_text_is_255_printable_characters_at_most() {
    let text = |text: &str| arriving(&Verdict::deny().because(text)).status_text().into_owned();
    assert_eq!(text("a\nb\u{e9}c\0 ~"), "a?b?c? ~");
    assert_eq!(text(&"x".repeat(256)), "x".repeat(255));
    // Two octets each in the text, one each in the reply.
    assert_eq!(text(&"\u{e9}".repeat(255)), "?".repeat(255));
}

#[test]
fn a_user_id_of_255_octets_fits_and_a_longer_one_is_refused() {
    let verdict = |len| Verdict::accept_as(vec![b'u'; len]);
    assert_eq!(arriving(&verdict(255)).into_verdict(), verdict(255));
    assert_eq!(ZapReply::new("7", &verdict(256)), Err(ZapError::TooLong { field: "user id", len: 256 }));
}

#[test]
fn what_libzmq_would_check_is_not_in_the_metadata() {
    let mut admission = Admission::new();
    for name in ["Socket-Type", "X-Role", "identity", "X-Team"] {
        admission = admission.with_property(name, "x").unwrap();
    }
    let reply = arriving(&Verdict::Accept(admission));
    assert_eq!(reply.metadata().iter().map(|(name, _)| name).collect::<Vec<_>>(), ["X-Role", "X-Team"]);
}

#[test]
fn who_is_not_let_in_is_nobody() {
    let metadata = b"\x06X-Role\0\0\0\x05admin";
    for (status, verdict) in
        [("300", Verdict::try_later()), ("400", Verdict::deny()), ("500", Verdict::internal_error())]
    {
        let reply = reply([&b""[..], b"1.0", b"7", status.as_bytes(), b"why", b"alice", metadata]).unwrap();
        assert_eq!(reply.into_verdict(), verdict.because("why"));
    }
}

#[test]
fn an_empty_user_id_is_none() {
    assert_eq!(reply(with(5, b"")).unwrap().into_verdict(), Verdict::accept());
}

#[test]
fn a_user_id_is_any_octets_and_a_status_text_is_shown_as_far_as_it_is_text() {
    assert_eq!(reply(with(5, b"\xff\0")).unwrap().into_verdict(), Verdict::accept_as(&b"\xff\0"[..]));
    assert_eq!(reply(with(4, b"O\xffK")).unwrap().status_text(), "O\u{fffd}K");
}

// Z01
#[test]
fn a_reply_of_another_version_is_refused() {
    for version in ["", "1", "1.1", "2.0", "1.0 "] {
        assert_eq!(reply(with(1, version.as_bytes())), Err(ZapError::Version { version: version.into() }));
    }
}

// Z02
#[test]
fn a_reply_to_another_request_is_refused() {
    for id in ["", "8", "77", "7 "] {
        assert_eq!(reply(with(2, id.as_bytes())), Err(ZapError::RequestId));
    }
}

fn refused_status(status: &str) {
    assert_eq!(reply(with(3, status.as_bytes())), Err(ZapError::Status { status: status.into() }));
}

// Z03
#[test]
fn a_reply_with_status_100_is_refused() {
    refused_status("100");
}

// Z04
#[test]
fn a_reply_with_status_600_is_refused() {
    refused_status("600");
}

// Z05
#[test]
fn a_reply_with_status_201_is_refused() {
    refused_status("201");
}

// Z06
#[test]
fn a_reply_of_too_few_frames_is_refused() {
    for frames in 1..7 {
        assert_eq!(reply(&REPLY[..frames]), Err(ZapError::FrameCount { frames }));
    }
    // Without its delimiter, as from a handler that takes its DEALER for a REP.
    assert_eq!(reply(&REPLY[1..]), Err(ZapError::FrameCount { frames: 6 }));
}

// Z07
#[test]
fn a_reply_of_too_many_frames_is_refused() {
    let more = |frame: &'static [u8]| reply(REPLY.into_iter().chain([frame]));
    assert_eq!(more(b""), Err(ZapError::FrameCount { frames: 8 }));
    // With a routing id that should have been taken off on the way.
    let routed = reply([&b"id"[..]].into_iter().chain(REPLY));
    assert_eq!(routed, Err(ZapError::FrameCount { frames: 8 }));
}

// Z08
#[test]
fn a_reply_with_broken_metadata_is_refused() {
    for metadata in [&b"\x06X-Role"[..], b"\x06X-Role\0\0\0\x06admin", b"\0", b"\x01 \0\0\0\0", b"\x01x\x80\0\0\0"] {
        for status in [&b"200"[..], b"400"] {
            let mut frames = with(6, metadata);
            frames[3] = status;
            assert!(matches!(reply(frames), Err(ZapError::Metadata(_))), "{metadata:?}");
        }
    }
    let many: Vec<u8> = (b'0'..=b'z')
        .flat_map(|name| [1, if name.is_ascii_alphanumeric() { name } else { b'+' }, 0, 0, 0, 0])
        .collect();
    assert!(matches!(reply(with(6, &many)), Err(ZapError::Metadata(PropertyError::TooMany { max: 64, .. }))));
}

// Z09
#[test]
fn a_reply_with_an_empty_status_is_refused() {
    refused_status("");
}

#[test]
fn a_status_is_three_digits_and_nothing_else() {
    for status in ["2", "20", "2000", "200 ", " 200", "0200", "OK", "+200"] {
        refused_status(status);
    }
}

#[test]
fn a_reply_without_a_delimiter_is_refused() {
    assert_eq!(reply(with(0, b"x")), Err(ZapError::NoDelimiter));
}

#[test]
fn strings_of_a_reply_have_255_octets_at_most() {
    for (field, index) in [("status text", 4), ("user id", 5)] {
        assert!(reply(with(index, &[b'x'; 255])).is_ok());
        assert_eq!(reply(with(index, &[b'x'; 256])), Err(ZapError::TooLong { field, len: 256 }));
    }
}

// Whatever comes.

/// A good message with up to two frames replaced, and up to two put in or left out.
fn near(good: &[&[u8]]) -> impl Strategy<Value = Vec<Vec<u8>>> + use<> {
    let good: Vec<Vec<u8>> = good.iter().map(|frame| frame.to_vec()).collect();
    let known = prop::sample::select(vec!["", "1.0", "1", "200", "300", "PLAIN", "CURVE", "GSSAPI", "::1", "id"]);
    let frame = prop_oneof![
        2 => known.prop_map(|frame| frame.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..300),
        1 => Just(vec![7; 32]),
    ];
    let change = (any::<prop::sample::Index>(), prop_oneof![3 => Just(1), 1 => Just(0), 1 => Just(2)], frame);
    prop::collection::vec(change, 0..3).prop_map(move |changes| {
        let mut frames = good.clone();
        for (at, count, frame) in changes {
            let at = at.index(frames.len());
            // In the place of one frame: none, one or two.
            frames.splice(at..=at, std::iter::repeat_n(frame, count));
        }
        frames
    })
}

proptest! {
    #[test]
    fn no_request_panics_and_those_that_are_read_are_written_as_they_came(
        frames in near(&[b"id", b"", b"1.0", b"1", b"dom", b"::1", b"", b"PLAIN", b"alice", b"secret"])
    ) {
        if let Ok((envelope, request)) = ZapRequest::decode(&message(&frames)) {
            let head = envelope.routing_ids().len() + usize::from(!envelope.is_bare());
            let written = request.to_message();
            prop_assert_eq!(&written.parts()[1..], &frames[head..]);
            if let Ok(asked) = request.to_auth_request() {
                prop_assert_eq!(asked.credentials().plain().is_some(), request.mechanism() == MechanismName::PLAIN);
                let is_nobody = *asked.credentials() == Credentials::Anonymous;
                prop_assert_eq!(is_nobody, request.danger_credentials().is_empty());
            }
        }
    }

    #[test]
    fn no_reply_panics_and_those_that_are_read_are_written_as_they_came(frames in near(&REPLY)) {
        if let Ok(reply) = reply(&frames) {
            prop_assert_eq!(reply.to_message(&Envelope::direct()), message(&frames));
            prop_assert_eq!(matches!(reply.into_verdict(), Verdict::Accept(_)), frames[3] == b"200");
        }
    }
}

//! The handshake: who proves what to whom, what is sent when, and what ends it.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use support::scripted::{self, ScriptedClient, ScriptedServer, command, error, public};
use support::{
    CLIENT_SECRET, Pair, SERVER_SECRET, Step, answered, asked, begin, client, client_properties, completed,
    cryptographic, encoded, greeted, handle, initiated, judge, key_pair, let_in, listening, open, refused,
    scripted_client, seal, server, server_properties, unexpected, welcomed,
};
use zmtp_codec::{
    CommandError, Credentials, ErrorReason, FrameKind, Handshake, Mechanism, MechanismError, MechanismName, OpenError,
    Progress, Refusal, Role, Verdict,
};
use zmtp_mechanism_curve::{CurveClient, CurveServer, Entropy, ServerHandshake};

fn peer_error(reason: &str) -> MechanismError {
    MechanismError::PeerError { reason: ErrorReason::new(reason).unwrap() }
}

// ─── roles, sizes, what each learns ──────────────────────────────────────────────────────────────────────────────────

#[test]
fn both_sides_are_called_curve_and_have_their_roles() {
    assert_eq!((client().name(), client().role()), (MechanismName::CURVE, Role::Client));
    assert_eq!((server().name(), server().role()), (MechanismName::CURVE, Role::Server));
}

#[test]
fn both_sides_tell_the_keys_they_were_made_with() {
    assert_eq!(client().public_key().as_bytes(), &public(&CLIENT_SECRET));
    assert_eq!(client().server_key().as_bytes(), &public(&SERVER_SECRET));
    assert!(server().public_keys().map(|key| *key.as_bytes()).eq([public(&SERVER_SECRET)]));
}

#[test]
fn each_state_of_the_server_admits_the_sizes_of_its_command_only() {
    let handshake = listening(&server());
    assert_eq!(handshake.body_len(), 200..=200);
    let (handshake, welcome) = answered(handshake, &scripted_client().hello().body());
    assert_eq!(handshake.body_len(), 257..=u64::MAX);
    let (handshake, _) = asked(handshake, &scripted_client().initiate(&welcome, b"").body());
    assert_eq!(handshake.body_len(), 0..=0);
}

#[test]
fn each_state_of_the_client_admits_the_sizes_of_its_command_and_of_error() {
    let (handshake, _) = greeted(&client());
    assert_eq!(handshake.body_len(), 7..=262);
    assert_eq!(error("").len(), 7);
    assert_eq!(error(&"r".repeat(255)).len(), 262);
    let (handshake, _) = initiated(&client());
    assert_eq!(handshake.body_len(), 7..=u64::MAX);
}

#[test]
fn a_whole_handshake_lets_both_talk() {
    let mut pair = Pair::new(&client(), &server());
    assert_eq!((pair.hello.len(), pair.welcome.len()), (200, 168));
    assert_eq!(pair.initiate.len(), 257 + client_properties().encoded_len());
    assert_eq!(pair.ready.len(), 30 + server_properties().encoded_len());
    let body = seal(&mut pair.client.sealer, FrameKind::Last, b"question");
    assert_eq!(open(&mut pair.server.opener, &body), Ok((FrameKind::Last, b"question".to_vec())));
    let body = seal(&mut pair.server.sealer, FrameKind::Last, b"answer");
    assert_eq!(open(&mut pair.client.opener, &body), Ok((FrameKind::Last, b"answer".to_vec())));
}

#[test]
fn the_claim_holds_the_proven_key_and_the_properties_and_so_do_the_sessions() {
    let pair = Pair::new(&client(), &server());
    assert_eq!(pair.claim.credentials, Credentials::PublicKey(public(&CLIENT_SECRET)));
    assert_eq!(pair.claim.properties, Some(client_properties()));
    assert_eq!(pair.server.public_key, Some(public(&CLIENT_SECRET)));
    assert_eq!(pair.server.properties, client_properties());
    assert_eq!(pair.client.public_key, Some(public(&SERVER_SECRET)));
    assert_eq!(pair.client.properties, server_properties());
    assert!(pair.client.encrypted && pair.server.encrypted);
}

#[test]
fn our_client_satisfies_a_server_written_by_hand() {
    let server = ScriptedServer::new(SERVER_SECRET);
    let (handshake, hello) = greeted(&client());
    let their_transient = server.open_hello(&hello);
    assert_eq!(hello[112..120], 1_u64.to_be_bytes());
    let (handshake, initiate) = answered(handshake, &server.welcome(&their_transient).body());
    let introduced = server.open_initiate(&their_transient, &initiate);
    assert_eq!(introduced.key, public(&CLIENT_SECRET));
    assert_eq!(introduced.counter, 2);
    assert_eq!(introduced.metadata, encoded(&client_properties()));
    let ready = server.ready(&their_transient, 1, &encoded(&server_properties()));
    let session = completed(handshake, &ready);
    assert_eq!(session.properties, server_properties());
}

#[test]
fn our_server_satisfies_a_client_written_by_hand() {
    let (handshake, initiate) = welcomed(&server());
    let (handshake, claim) = asked(handshake, &initiate.body());
    assert_eq!(claim.credentials, Credentials::PublicKey(public(&scripted_client().secret)));
    let (_, ready) = let_in(handshake);
    assert_eq!(ready[..14], *b"\x05READY\0\0\0\0\0\0\0\x01");
    let opened = scripted::open(&initiate.salsa, b"CurveZMQREADY---\0\0\0\0\0\0\0\x01", &ready[14..]);
    assert_eq!(opened, Some(encoded(&server_properties())));
}

#[test]
fn two_connections_share_no_key_no_cookie_and_no_nonce() {
    let (client, server) = (
        CurveClient::new(*key_pair(SERVER_SECRET).public_key(), key_pair(CLIENT_SECRET)),
        CurveServer::new(key_pair(SERVER_SECRET)),
    );
    let (first, second) = (Pair::new(&client, &server), Pair::new(&client, &server));
    assert_ne!(first.hello[80..112], second.hello[80..112], "C'");
    assert_ne!(first.welcome[8..24], second.welcome[8..24], "WELCOME's nonce");
    assert_ne!(first.initiate[9..25], second.initiate[9..25], "the cookie's nonce");
    assert_ne!(first.initiate[25..105], second.initiate[25..105], "the cookie");
    assert_ne!(first.ready[14..], second.ready[14..], "the session's key");
}

#[test]
fn an_anonymous_client_has_a_key_of_its_own_each_time() {
    let server_key = *key_pair(SERVER_SECRET).public_key();
    let (one, other) = (CurveClient::anonymous(server_key).unwrap(), CurveClient::anonymous(server_key).unwrap());
    assert_ne!(one.public_key(), other.public_key());
    let pair = Pair::new(&one, &server());
    assert_eq!(pair.claim.credentials, Credentials::PublicKey(*one.public_key().as_bytes()));
}

// ─── randomness ──────────────────────────────────────────────────────────────────────────────────────────────────────

/// A device that is there and does not work.
fn zeros() -> Entropy {
    Entropy::danger_from_fn(|octets| octets.fill(0))
}

#[test]
fn a_client_without_randomness_says_nothing() {
    let (result, sent) = begin(&client().with_entropy(zeros()), &client_properties());
    assert!(matches!(result, Err(MechanismError::Local(_))), "{result:?}");
    assert!(sent.is_empty());
}

#[test]
fn a_server_without_randomness_welcomes_nobody() {
    let server = server().with_entropy(zeros());
    let error = refused(listening(&server), &scripted_client().hello().body());
    assert!(matches!(error, MechanismError::Local(_)), "{error:?}");
    assert_eq!(server.half_open(), 0);
}

// ─── the verdict ─────────────────────────────────────────────────────────────────────────────────────────────────────

fn judged(verdict: Verdict) -> Step<ServerHandshake> {
    let (handshake, initiate) = welcomed(&server());
    judge(asked(handshake, &initiate.body()).0, verdict)
}

#[test]
fn verdict_200_sends_ready_and_completes() {
    for verdict in [Verdict::accept(), Verdict::accept_as("alice")] {
        let (result, sent) = judged(verdict);
        assert!(matches!(result, Ok(Progress::Complete(_))), "{result:?}");
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0][..6], *b"\x05READY");
    }
}

#[test]
fn verdict_300_closes_in_silence() {
    let (result, sent) = judged(Verdict::try_later());
    assert_eq!(result.unwrap_err(), MechanismError::Refused(Refusal::silent()));
    assert!(sent.is_empty(), "{sent:02x?}");
}

#[test]
fn verdict_400_sends_its_error_in_the_clear() {
    let (result, sent) = judged(Verdict::deny());
    assert_eq!(result.unwrap_err(), MechanismError::Refused(Refusal::error(ErrorReason::AUTHENTICATION_FAILURE)));
    assert_eq!(sent, [b"\x05ERROR\x03400"]);
}

#[test]
fn verdict_500_sends_its_error_in_the_clear() {
    let (result, sent) = judged(Verdict::internal_error());
    assert_eq!(result.unwrap_err(), MechanismError::Refused(Refusal::error(ErrorReason::INTERNAL_ERROR)));
    assert_eq!(sent, [b"\x05ERROR\x03500"]);
}

#[test]
fn a_refused_client_of_ours_learns_the_reason() {
    let (client, hello) = greeted(&client());
    let (server, welcome) = answered(listening(&server()), &hello);
    let (client, initiate) = answered(client, &welcome);
    let (_, sent) = judge(asked(server, &initiate).0, Verdict::deny());
    assert_eq!(refused(client, &sent[0]), peer_error("400"));
}

// ─── which key ───────────────────────────────────────────────────────────────────────────────────────────────────────

const FOUR: [[u8; 32]; 4] = [[0x11; 32], [0x12; 32], [0x13; 32], [0x14; 32]];

#[test]
fn a_client_may_know_a_server_by_any_of_four_keys() {
    let server = CurveServer::with_keys(FOUR.map(key_pair)).unwrap();
    assert!(server.public_keys().map(|key| *key.as_bytes()).eq(FOUR.map(|secret| public(&secret))));
    for secret in FOUR {
        let client = CurveClient::new(*key_pair(secret).public_key(), key_pair(CLIENT_SECRET));
        let pair = Pair::new(&client, &server);
        assert_eq!(pair.client.public_key, Some(public(&secret)));
    }
}

#[test]
fn a_client_that_knows_none_of_the_four_keys_is_refused() {
    let server = CurveServer::with_keys(FOUR.map(key_pair)).unwrap();
    assert_eq!(refused(listening(&server), &scripted_client().hello().body()), cryptographic("HELLO"));
}

#[test]
fn a_server_has_neither_no_key_nor_five() {
    let error = CurveServer::with_keys([]).unwrap_err();
    assert_eq!(error.to_string(), "a server has 1 to 4 key pairs, not none");
    let error = CurveServer::with_keys((1..=5).map(|octet| key_pair([octet; 32]))).unwrap_err();
    assert_eq!(error.to_string(), "a server has 1 to 4 key pairs, not more");
}

#[test]
fn a_vouch_names_the_key_that_opened_the_hello_and_no_other_of_the_server() {
    let server = CurveServer::with_keys(FOUR.map(key_pair)).unwrap();
    for greeted in FOUR {
        for vouched in FOUR {
            let client = ScriptedClient::new(public(&greeted));
            let (handshake, welcome) = answered(listening(&server), &client.hello().body());
            let honest = client.initiate(&welcome, b"");
            let initiate = scripted::Initiate { vouched_server: public(&vouched), ..honest };
            if greeted == vouched {
                asked(handshake, &initiate.body());
            } else {
                assert_eq!(refused(handshake, &initiate.body()), cryptographic("INITIATE"));
            }
        }
    }
}

#[test]
fn a_client_with_a_wrong_server_key_is_refused_by_the_server() {
    let client = CurveClient::new(*key_pair([0x99; 32]).public_key(), key_pair(CLIENT_SECRET));
    let (_, hello) = greeted(&client);
    assert_eq!(refused(listening(&server()), &hello), cryptographic("HELLO"));
}

#[test]
fn a_server_with_another_key_is_refused_by_the_client() {
    let impostor = ScriptedServer::new([0x99; 32]);
    let (handshake, hello) = greeted(&client());
    let their_transient = hello[80..112].try_into().unwrap();
    assert_eq!(refused(handshake, &impostor.welcome(&their_transient).body()), cryptographic("WELCOME"));
}

#[test]
fn a_vouch_for_another_transient_key_is_refused() {
    let (handshake, honest) = welcomed(&server());
    let initiate = scripted::Initiate { vouched_transient: public(&[0x99; 32]), ..honest };
    assert_eq!(refused(handshake, &initiate.body()), cryptographic("INITIATE"));
}

#[test]
fn a_vouch_for_another_server_is_refused() {
    let (handshake, honest) = welcomed(&server());
    let initiate = scripted::Initiate { vouched_server: public(&[0x99; 32]), ..honest };
    assert_eq!(refused(handshake, &initiate.body()), cryptographic("INITIATE"));
}

#[test]
fn a_vouch_by_another_than_the_shown_key_is_refused() {
    let (handshake, honest) = welcomed(&server());
    let initiate = scripted::Initiate { shown: public(&[0x99; 32]), ..honest };
    assert_eq!(refused(handshake, &initiate.body()), cryptographic("INITIATE"));
}

// ─── half-open handshakes ────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_hello_beyond_the_limit_finds_the_server_busy() {
    let server = server().with_half_open_limit(2);
    let hello = scripted_client().hello().body();
    let first = answered(listening(&server), &hello);
    let _second = answered(listening(&server), &hello);
    assert_eq!(server.half_open(), 2);
    assert_eq!(refused(listening(&server), &hello), MechanismError::Busy);
    assert_eq!(server.half_open(), 2);
    drop(first);
    assert_eq!(server.half_open(), 1);
    answered(listening(&server), &hello);
}

#[test]
fn clones_of_a_server_count_together() {
    let server = server().with_half_open_limit(1);
    let hello = scripted_client().hello().body();
    let _held = answered(listening(&server.clone()), &hello);
    assert_eq!(refused(listening(&server.clone()), &hello), MechanismError::Busy);
}

#[test]
fn a_connection_without_hello_takes_no_place() {
    let server = server().with_half_open_limit(1);
    let _idle = [listening(&server), listening(&server)];
    assert_eq!(server.half_open(), 0);
}

#[test]
fn a_refused_hello_gives_its_place_back() {
    let server = server().with_half_open_limit(1);
    let bad = ScriptedClient::new(public(&[0x99; 32])).hello().body();
    for _ in 0..3 {
        assert_eq!(refused(listening(&server), &bad), cryptographic("HELLO"));
        assert_eq!(server.half_open(), 0);
    }
}

#[test]
fn a_handshake_dropped_before_initiate_gives_its_place_back() {
    let server = server();
    let (handshake, _) = welcomed(&server);
    assert_eq!(server.half_open(), 1);
    drop(handshake);
    assert_eq!(server.half_open(), 0);
}

#[test]
fn a_refused_initiate_gives_its_place_back() {
    let server = server();
    let (handshake, initiate) = welcomed(&server);
    refused(handshake, &scripted::Initiate { cookie: vec![0; 96], ..initiate }.body());
    assert_eq!(server.half_open(), 0);
}

#[test]
fn a_handshake_dropped_before_the_verdict_keeps_its_place_until_then() {
    let server = server();
    let (handshake, initiate) = welcomed(&server);
    let asking = asked(handshake, &initiate.body());
    assert_eq!(server.half_open(), 1);
    drop(asking);
    assert_eq!(server.half_open(), 0);
}

#[test]
fn a_verdict_of_either_kind_gives_the_place_back() {
    for verdict in [Verdict::accept(), Verdict::deny(), Verdict::try_later()] {
        let server = server();
        let (handshake, initiate) = welcomed(&server);
        let _outcome = judge(asked(handshake, &initiate.body()).0, verdict);
        assert_eq!(server.half_open(), 0, "an established session is half open no more");
    }
}

// ─── replay ──────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_recorded_connection_cannot_be_played_again() {
    let server = server();
    let mut pair = Pair::new(&client(), &server);
    let message = seal(&mut pair.client.sealer, FrameKind::Last, b"pay 100");
    open(&mut pair.server.opener, &message).unwrap();

    // HELLO is the same as before, and so is answered; the cookie of then has another connection's key.
    let (handshake, _) = answered(listening(&server), &pair.hello);
    assert_eq!(refused(handshake, &pair.initiate), cryptographic("INITIATE"));
    // Nor does the message alone mean anything to another session of the same two.
    let mut other = Pair::new(&client(), &server);
    assert_eq!(open(&mut other.server.opener, &message), Err(OpenError::Forged));
}

#[test]
fn a_cookie_of_another_connection_is_refused() {
    let server = server();
    let (first, initiate_to_first) = welcomed(&server);
    let (second, initiate_to_second) = welcomed(&server);
    let initiate = scripted::Initiate { cookie: initiate_to_second.cookie.clone(), ..initiate_to_first };
    assert_eq!(refused(first, &initiate.body()), cryptographic("INITIATE"));
    asked(second, &initiate_to_second.body());
}

#[test]
fn a_welcome_of_another_connection_is_refused() {
    let (server, client) = (server(), client());
    let (first, _) = greeted(&client);
    let (_, hello) = greeted(&client);
    let (_, welcome) = answered(listening(&server), &hello);
    assert_eq!(refused(first, &welcome), cryptographic("WELCOME"));
}

#[test]
fn a_ready_of_another_connection_is_refused() {
    let (server, client) = (server(), client());
    let recorded = Pair::new(&client, &server);
    let (handshake, hello) = greeted(&client);
    let (_, welcome) = answered(listening(&server), &hello);
    let (handshake, _) = answered(handshake, &welcome);
    assert_eq!(refused(handshake, &recorded.ready), cryptographic("READY"));
}

// ─── misuse by the caller ────────────────────────────────────────────────────────────────────────────────────────────

fn assert_misuse<H: Handshake>(step: Step<H>) {
    let (result, sent) = step;
    assert!(matches!(result, Err(MechanismError::Misuse(_))), "{result:?}");
    assert!(sent.is_empty());
}

#[test]
fn a_command_before_the_verdict_is_a_misuse() {
    let (handshake, initiate) = welcomed(&server());
    assert_misuse(handle(asked(handshake, &initiate.body()).0, &initiate.body()));
}

#[test]
fn a_verdict_that_a_server_did_not_ask_for_is_a_misuse() {
    for verdict in [Verdict::accept(), Verdict::deny(), Verdict::try_later()] {
        assert_misuse(judge(listening(&server()), verdict.clone()));
        assert_misuse(judge(welcomed(&server()).0, verdict));
    }
}

#[test]
fn a_verdict_for_a_client_is_a_misuse() {
    for verdict in [Verdict::accept(), Verdict::deny(), Verdict::try_later()] {
        assert_misuse(judge(greeted(&client()).0, verdict.clone()));
        assert_misuse(judge(initiated(&client()).0, verdict));
    }
}

// ─── ERROR ───────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn an_error_from_the_client_is_unexpected() {
    assert_eq!(refused(listening(&server()), &error("400")), unexpected("HELLO", "ERROR"));
    assert_eq!(refused(welcomed(&server()).0, &error("400")), unexpected("INITIATE", "ERROR"));
}

#[test]
fn an_error_in_place_of_welcome_tells_its_reason() {
    for reason in ["400", "", "no such server"] {
        let (handshake, _) = greeted(&client());
        assert!(handshake.body_len().contains(&(error(reason).len() as u64)));
        assert_eq!(refused(handshake, &error(reason)), peer_error(reason));
    }
}

#[test]
fn an_error_in_place_of_ready_tells_its_reason() {
    for reason in ["400", "", "Invalid socket type"] {
        let (handshake, _) = initiated(&client());
        assert!(handshake.body_len().contains(&(error(reason).len() as u64)));
        assert_eq!(refused(handshake, &error(reason)), peer_error(reason));
    }
}

#[test]
fn an_error_whose_reason_ends_early_is_malformed() {
    let cut = command("ERROR", &[b"\x04400"]);
    let truncated = MechanismError::Command(CommandError::ReasonTruncated { declared: 4, available: 3 });
    assert_eq!(refused(greeted(&client()).0, &cut), truncated);
    assert_eq!(refused(initiated(&client()).0, &cut), truncated);
    let empty = command("ERROR", &[]);
    let missing = MechanismError::Command(CommandError::ReasonLengthMissing);
    assert_eq!(refused(greeted(&client()).0, &empty), missing);
    assert_eq!(refused(initiated(&client()).0, &empty), missing);
}

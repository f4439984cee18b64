//! The handshake: who proves what to whom, what is sent when, and what ends it.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use support::scripted::{self, ScriptedClient, ScriptedServer, error, public};
use support::{
    CLIENT_SECRET, Pair, SERVER_SECRET, Step, Tested, answered, asked, begin, client, client_properties, completed,
    cryptographic, encoded, greeted, handle, initiated, judge, key_pair, let_in, listening, on_each_suite, open,
    refused, scripted_client, seal, server, server_properties, unexpected, welcomed,
};
use zmtp_codec::{
    CommandError, Credentials, ErrorReason, FrameKind, Handshake, Mechanism, MechanismError, Progress, Refusal, Role,
    Verdict,
};
use zmtp_mechanism_blake3::{Client, Entropy, Server, ServerHandshake};

fn peer_error(reason: &str) -> MechanismError {
    MechanismError::PeerError { reason: ErrorReason::new(reason).unwrap() }
}

// ─── roles, sizes, what each learns ──────────────────────────────────────────────────────────────────────────────────

on_each_suite![
    both_sides_have_the_name_of_the_suite_and_their_roles,
    both_sides_tell_the_keys_they_were_made_with,
    each_state_of_the_server_admits_the_sizes_of_its_command_only,
    each_state_of_the_client_admits_the_sizes_of_its_command_and_of_error,
    every_command_has_the_size_of_the_specification,
    a_welcome_is_smaller_than_the_hello_that_asked_for_it,
    a_whole_handshake_lets_both_talk,
    the_claim_holds_the_proven_key_and_the_properties_and_so_do_the_sessions,
    our_client_satisfies_a_server_written_by_hand,
    our_server_satisfies_a_client_written_by_hand,
    two_connections_share_no_key_and_no_cookie,
    two_connections_of_one_server_go_on_at_the_same_time,
    an_anonymous_client_has_a_key_of_its_own_each_time,
    a_client_without_randomness_says_nothing,
    a_server_without_randomness_welcomes_nobody,
    a_refused_hello_costs_the_server_no_randomness,
    verdict_200_sends_ready_and_completes,
    verdict_300_closes_in_silence,
    verdict_400_sends_its_error_in_the_clear,
    verdict_500_sends_its_error_in_the_clear,
    a_refused_client_of_ours_learns_the_reason,
    a_client_may_know_a_server_by_any_of_four_keys,
    a_client_that_knows_none_of_the_four_keys_is_refused,
    a_server_has_neither_no_key_nor_five,
    a_vouch_names_the_key_that_opened_the_hello_and_no_other_of_the_server,
    a_welcome_by_another_key_of_the_server_is_refused_by_the_client,
    a_client_with_a_wrong_server_key_is_refused_by_the_server,
    a_server_with_another_key_is_refused_by_the_client,
    a_vouch_for_another_transient_key_is_refused,
    a_vouch_for_another_server_is_refused,
    a_vouch_by_another_than_the_shown_key_is_refused,
    a_vouch_of_another_connection_is_refused,
    a_hello_beyond_the_limit_finds_the_server_busy,
    clones_of_a_server_count_together,
    a_connection_without_hello_takes_no_place,
    a_refused_hello_gives_its_place_back,
    a_handshake_dropped_before_initiate_gives_its_place_back,
    a_refused_initiate_gives_its_place_back,
    a_place_is_kept_until_the_verdict,
    a_welcome_of_another_connection_is_refused,
    a_ready_of_another_connection_is_refused,
    a_command_before_the_verdict_is_a_misuse,
    a_verdict_that_a_server_did_not_ask_for_is_a_misuse,
    a_verdict_for_a_client_is_a_misuse,
    an_error_from_the_client_is_unexpected,
    an_error_in_place_of_welcome_tells_its_reason,
    an_error_in_place_of_ready_tells_its_reason,
    an_error_whose_reason_ends_early_is_malformed,
    greetings_that_were_changed_on_the_way_are_noticed,
];

fn both_sides_have_the_name_of_the_suite_and_their_roles<S: Tested>() {
    assert_eq!((client::<S>().name(), client::<S>().role()), (S::MECHANISM, Role::Client));
    assert_eq!((server::<S>().name(), server::<S>().role()), (S::MECHANISM, Role::Server));
}

fn both_sides_tell_the_keys_they_were_made_with<S: Tested>() {
    assert_eq!(client::<S>().public_key().as_bytes(), &public(&CLIENT_SECRET));
    assert_eq!(client::<S>().server_key().as_bytes(), &public(&SERVER_SECRET));
    assert!(server::<S>().public_keys().map(|key| *key.as_bytes()).eq([public(&SERVER_SECRET)]));
}

/// K01 (a HELLO of another size): by these bounds a connection refuses it from its header.
fn each_state_of_the_server_admits_the_sizes_of_its_command_only<S: Tested>() {
    let [hello, _, initiate, _] = S::SIZES.map(|size| size as u64);
    let handshake = listening(&server::<S>());
    assert_eq!(handshake.body_len(), hello..=hello);
    let (handshake, honest) = welcomed(&server::<S>());
    assert_eq!(handshake.body_len(), initiate..=u64::MAX);
    let (handshake, _) = asked(handshake, &honest.body());
    assert_eq!(handshake.body_len(), 0..=0);
}

fn each_state_of_the_client_admits_the_sizes_of_its_command_and_of_error<S: Tested>() {
    let (handshake, _) = greeted(&client::<S>());
    assert_eq!(handshake.body_len(), 7..=262);
    assert_eq!(error("").len(), 7);
    assert_eq!(error(&"r".repeat(255)).len(), 262);
    let (handshake, _) = initiated(&client::<S>());
    assert_eq!(handshake.body_len(), 7..=u64::MAX);
}

fn every_command_has_the_size_of_the_specification<S: Tested>() {
    let pair = Pair::<S>::usual();
    let [hello, welcome, initiate, ready] = S::SIZES;
    assert_eq!((pair.hello.len(), pair.welcome.len()), (hello, welcome));
    assert_eq!(pair.initiate.len(), initiate + client_properties().encoded_len());
    assert_eq!(pair.ready.len(), ready + server_properties().encoded_len());
}

fn a_welcome_is_smaller_than_the_hello_that_asked_for_it<S: Tested>() {
    let hello = scripted_client::<S>().hello().body();
    let (_, welcome) = answered(listening(&server::<S>()), &hello);
    assert!(welcome.len() < hello.len(), "{} for {}", welcome.len(), hello.len());
}

fn assert_both_talk<S: Tested>(pair: &mut Pair<S>) {
    let frame = seal::<S>(&mut pair.client.sealer, FrameKind::Last, b"question");
    assert_eq!(open::<S>(&mut pair.server.opener, &frame), Ok((FrameKind::Last, b"question".to_vec())));
    let frame = seal::<S>(&mut pair.server.sealer, FrameKind::Last, b"answer");
    assert_eq!(open::<S>(&mut pair.client.opener, &frame), Ok((FrameKind::Last, b"answer".to_vec())));
}

fn a_whole_handshake_lets_both_talk<S: Tested>() {
    assert_both_talk(&mut Pair::<S>::usual());
}

fn the_claim_holds_the_proven_key_and_the_properties_and_so_do_the_sessions<S: Tested>() {
    let pair = Pair::<S>::usual();
    assert_eq!(pair.claim.credentials, Credentials::PublicKey(public(&CLIENT_SECRET)));
    assert_eq!(pair.claim.properties, Some(client_properties()));
    assert_eq!(pair.server.public_key, Some(public(&CLIENT_SECRET)));
    assert_eq!(pair.server.properties, client_properties());
    assert_eq!(pair.client.public_key, Some(public(&SERVER_SECRET)));
    assert_eq!(pair.client.properties, server_properties());
    assert!(pair.client.encrypted && pair.server.encrypted);
}

fn our_client_satisfies_a_server_written_by_hand<S: Tested>() {
    let server = ScriptedServer::<S>::new(SERVER_SECRET);
    let (handshake, hello) = greeted(&client::<S>());
    server.open_hello(&hello);
    let welcome = server.welcome(&hello).body();
    let (handshake, initiate) = answered(handshake, &welcome);
    let introduced = server.open_initiate(&hello, &welcome, &initiate);
    assert_eq!(introduced.key, public(&CLIENT_SECRET));
    assert_eq!(introduced.metadata, encoded(&client_properties()));
    let ready = server.ready([&hello, &welcome, &initiate], &encoded(&server_properties())).body();
    assert_eq!(completed(handshake, &ready).properties, server_properties());
}

fn our_server_satisfies_a_client_written_by_hand<S: Tested>() {
    let client = scripted_client::<S>();
    let hello = client.hello().body();
    let (handshake, welcome) = answered(listening(&server::<S>()), &hello);
    let honest = client.initiate(&hello, &welcome, b"");
    let initiate = honest.body();
    let (handshake, claim) = asked(handshake, &initiate);
    assert_eq!(claim.credentials, Credentials::PublicKey(public(&client.secret)));
    let (_, ready) = let_in(handshake);
    let opened = scripted::open_ready::<S>(&honest.dh2, [&hello, &welcome, &initiate], &ready);
    assert_eq!(opened, Some(encoded(&server_properties())));
}

fn two_connections_share_no_key_and_no_cookie<S: Tested>() {
    let client = Client::<S>::new(*key_pair(SERVER_SECRET).public_key(), key_pair(CLIENT_SECRET));
    let server = Server::<S>::new(key_pair(SERVER_SECRET));
    let (first, second) = (Pair::new(&client, &server), Pair::new(&client, &server));
    assert_ne!(first.hello[8..40], second.hello[8..40], "C'");
    assert_ne!(first.welcome[8..32], second.welcome[8..32], "WELCOME's nonce or S'");
    assert_ne!(first.initiate[9..33], second.initiate[9..33], "the cookie's nonce");
    assert_ne!(first.initiate[33..129], second.initiate[33..129], "the cookie");
    assert_ne!(first.ready[6..], second.ready[6..], "the session's key");
}

fn two_connections_of_one_server_go_on_at_the_same_time<S: Tested>() {
    let server = server::<S>();
    let clients = [CLIENT_SECRET, [0xc2; 32]]
        .map(|secret| Client::<S>::new(*key_pair(SERVER_SECRET).public_key(), key_pair(secret)));
    let [(client, hello), (other_client, other_hello)] = [greeted(&clients[0]), greeted(&clients[1])];
    let (at_server, at_other) = (listening(&server), listening(&server));
    let (at_other, other_welcome) = answered(at_other, &other_hello);
    let (at_server, welcome) = answered(at_server, &hello);
    assert_eq!(server.half_open(), 2);
    let (client, initiate) = answered(client, &welcome);
    let (other_client, other_initiate) = answered(other_client, &other_welcome);
    let (at_server, claim) = asked(at_server, &initiate);
    let (at_other, other_claim) = asked(at_other, &other_initiate);
    assert_eq!(claim.credentials, Credentials::PublicKey(public(&CLIENT_SECRET)));
    assert_eq!(other_claim.credentials, Credentials::PublicKey(public(&[0xc2; 32])));
    let (mut other_session, other_ready) = let_in(at_other);
    let (mut session, ready) = let_in(at_server);
    assert_eq!(server.half_open(), 0);
    let (mut client, mut other_client) = (completed(client, &ready), completed(other_client, &other_ready));
    for (client, session) in [(&mut client, &mut session), (&mut other_client, &mut other_session)] {
        let frame = seal::<S>(&mut client.sealer, FrameKind::Last, b"mine");
        assert_eq!(open::<S>(&mut session.opener, &frame), Ok((FrameKind::Last, b"mine".to_vec())));
    }
}

fn an_anonymous_client_has_a_key_of_its_own_each_time<S: Tested>() {
    let server_key = *key_pair(SERVER_SECRET).public_key();
    let (one, other) = (Client::<S>::anonymous(server_key).unwrap(), Client::<S>::anonymous(server_key).unwrap());
    assert_ne!(one.public_key(), other.public_key());
    let mut pair = Pair::new(&one, &server());
    assert_eq!(pair.claim.credentials, Credentials::PublicKey(*one.public_key().as_bytes()));
    assert_both_talk(&mut pair);
}

// ─── randomness ──────────────────────────────────────────────────────────────────────────────────────────────────────

/// A device that is there and does not work.
fn zeros() -> Entropy {
    Entropy::danger_from_fn(|octets| octets.fill(0))
}

fn a_client_without_randomness_says_nothing<S: Tested>() {
    let (result, sent) = begin(&client::<S>().with_entropy(zeros()), &client_properties());
    assert!(matches!(result, Err(MechanismError::Local(_))), "{result:?}");
    assert!(sent.is_empty());
}

fn a_server_without_randomness_welcomes_nobody<S: Tested>() {
    let server = server::<S>().with_entropy(zeros());
    let error = refused(listening(&server), &scripted_client::<S>().hello().body());
    assert!(matches!(error, MechanismError::Local(_)), "{error:?}");
    assert_eq!(server.half_open(), 0);
}

fn a_refused_hello_costs_the_server_no_randomness<S: Tested>() {
    let server = server::<S>().with_entropy(support::queued([]));
    let forged = scripted::Hello { text: [1; 64], ..scripted_client::<S>().hello() };
    assert_eq!(refused(listening(&server), &forged.body()), cryptographic("HELLO"));
}

// ─── the verdict ─────────────────────────────────────────────────────────────────────────────────────────────────────

fn judged<S: Tested>(verdict: Verdict) -> Step<ServerHandshake<S>> {
    let (handshake, initiate) = welcomed(&server::<S>());
    judge(asked(handshake, &initiate.body()).0, verdict)
}

fn verdict_200_sends_ready_and_completes<S: Tested>() {
    for verdict in [Verdict::accept(), Verdict::accept_as("alice")] {
        let (result, sent) = judged::<S>(verdict);
        assert!(matches!(result, Ok(Progress::Complete(_))), "{result:?}");
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0][..6], *b"\x05READY");
    }
}

fn verdict_300_closes_in_silence<S: Tested>() {
    let (result, sent) = judged::<S>(Verdict::try_later());
    assert_eq!(result.unwrap_err(), MechanismError::Refused(Refusal::silent()));
    assert!(sent.is_empty(), "{sent:02x?}");
}

fn verdict_400_sends_its_error_in_the_clear<S: Tested>() {
    let (result, sent) = judged::<S>(Verdict::deny());
    assert_eq!(result.unwrap_err(), MechanismError::Refused(Refusal::error(ErrorReason::AUTHENTICATION_FAILURE)));
    assert_eq!(sent, [b"\x05ERROR\x03400"]);
}

fn verdict_500_sends_its_error_in_the_clear<S: Tested>() {
    let (result, sent) = judged::<S>(Verdict::internal_error());
    assert_eq!(result.unwrap_err(), MechanismError::Refused(Refusal::error(ErrorReason::INTERNAL_ERROR)));
    assert_eq!(sent, [b"\x05ERROR\x03500"]);
}

fn a_refused_client_of_ours_learns_the_reason<S: Tested>() {
    let (client, hello) = greeted(&client::<S>());
    let (server, welcome) = answered(listening(&server::<S>()), &hello);
    let (client, initiate) = answered(client, &welcome);
    let (_, sent) = judge(asked(server, &initiate).0, Verdict::deny());
    assert_eq!(refused(client, &sent[0]), peer_error("400"));
}

// ─── which key ───────────────────────────────────────────────────────────────────────────────────────────────────────

const FOUR: [[u8; 32]; 4] = [[0x11; 32], [0x12; 32], [0x13; 32], [0x14; 32]];

fn server_of_four<S: Tested>() -> Server<S> {
    Server::with_keys(FOUR.map(key_pair)).unwrap()
}

fn a_client_may_know_a_server_by_any_of_four_keys<S: Tested>() {
    let server = server_of_four::<S>();
    assert!(server.public_keys().map(|key| *key.as_bytes()).eq(FOUR.map(|secret| public(&secret))));
    for secret in FOUR {
        let client = Client::<S>::new(*key_pair(secret).public_key(), key_pair(CLIENT_SECRET));
        let mut pair = Pair::new(&client, &server);
        assert_eq!(pair.client.public_key, Some(public(&secret)));
        assert_both_talk(&mut pair);
    }
}

fn a_client_that_knows_none_of_the_four_keys_is_refused<S: Tested>() {
    let server = server_of_four::<S>();
    assert_eq!(refused(listening(&server), &scripted_client::<S>().hello().body()), cryptographic("HELLO"));
    assert_eq!(server.half_open(), 0);
}

fn a_server_has_neither_no_key_nor_five<S: Tested>() {
    let error = Server::<S>::with_keys([]).unwrap_err();
    assert_eq!(error.to_string(), "a server has 1 to 4 key pairs, not none");
    let error = Server::<S>::with_keys((1..=5).map(|octet| key_pair([octet; 32]))).unwrap_err();
    assert_eq!(error.to_string(), "a server has 1 to 4 key pairs, not more");
}

fn a_vouch_names_the_key_that_opened_the_hello_and_no_other_of_the_server<S: Tested>() {
    let server = server_of_four::<S>();
    for greeted in FOUR {
        for vouched in FOUR {
            let client = ScriptedClient::<S>::new(public(&greeted));
            let hello = client.hello().body();
            let (handshake, welcome) = answered(listening(&server), &hello);
            let honest = client.initiate(&hello, &welcome, b"");
            let initiate = scripted::Initiate { vouched_server: public(&vouched), ..honest };
            if greeted == vouched {
                asked(handshake, &initiate.body());
            } else {
                assert_eq!(refused(handshake, &initiate.body()), cryptographic("INITIATE"));
            }
        }
    }
}

/// Also if all else of it is in order: it proves the key that the HELLO was for.
fn a_welcome_by_another_key_of_the_server_is_refused_by_the_client<S: Tested>() {
    let client = Client::<S>::new(*key_pair(FOUR[0]).public_key(), key_pair(CLIENT_SECRET));
    let (handshake, hello) = greeted(&client);
    let other = ScriptedServer::<S>::new(FOUR[1]);
    assert_eq!(refused(handshake, &other.welcome(&hello).body()), cryptographic("WELCOME"));
}

fn a_client_with_a_wrong_server_key_is_refused_by_the_server<S: Tested>() {
    let client = Client::<S>::new(*key_pair([0x99; 32]).public_key(), key_pair(CLIENT_SECRET));
    let (_, hello) = greeted(&client);
    assert_eq!(refused(listening(&server::<S>()), &hello), cryptographic("HELLO"));
}

fn a_server_with_another_key_is_refused_by_the_client<S: Tested>() {
    let impostor = ScriptedServer::<S>::new([0x99; 32]);
    let (handshake, hello) = greeted(&client::<S>());
    assert_eq!(refused(handshake, &impostor.welcome(&hello).body()), cryptographic("WELCOME"));
}

fn initiate_refused<S: Tested>(change: impl FnOnce(&mut scripted::Initiate<S>)) {
    let (handshake, mut initiate) = welcomed(&server::<S>());
    change(&mut initiate);
    assert_eq!(refused(handshake, &initiate.body()), cryptographic("INITIATE"));
}

/// K12 (a vouch for another C' or S): C'.
fn a_vouch_for_another_transient_key_is_refused<S: Tested>() {
    initiate_refused::<S>(|initiate| initiate.vouched_transient = public(&[0x99; 32]));
}

/// K12 (a vouch for another C' or S): S.
fn a_vouch_for_another_server_is_refused<S: Tested>() {
    initiate_refused::<S>(|initiate| initiate.vouched_server = public(&[0x99; 32]));
}

fn a_vouch_by_another_than_the_shown_key_is_refused<S: Tested>() {
    initiate_refused::<S>(|initiate| initiate.shown = public(&[0x99; 32]));
}

/// With C' and S in it as they must be; what differs is S', and the transcript in the suite that binds the vouch to it.
fn a_vouch_of_another_connection_is_refused<S: Tested>() {
    let (_, other) = welcomed(&server::<S>().with_entropy(support::counting(0x70)));
    initiate_refused::<S>(|initiate| (initiate.dh3, initiate.vouch_h2) = (other.dh3, other.vouch_h2));
}

// ─── half-open handshakes ────────────────────────────────────────────────────────────────────────────────────────────

fn a_hello_beyond_the_limit_finds_the_server_busy<S: Tested>() {
    let server = server::<S>().with_half_open_limit(2);
    let hello = scripted_client::<S>().hello().body();
    let first = answered(listening(&server), &hello);
    let _second = answered(listening(&server), &hello);
    assert_eq!(server.half_open(), 2);
    assert_eq!(refused(listening(&server), &hello), MechanismError::Busy);
    assert_eq!(server.half_open(), 2);
    drop(first);
    assert_eq!(server.half_open(), 1);
    answered(listening(&server), &hello);
}

fn clones_of_a_server_count_together<S: Tested>() {
    let server = server::<S>().with_half_open_limit(1);
    let hello = scripted_client::<S>().hello().body();
    let _held = answered(listening(&server.clone()), &hello);
    assert_eq!(refused(listening(&server.clone()), &hello), MechanismError::Busy);
}

fn a_connection_without_hello_takes_no_place<S: Tested>() {
    let server = server::<S>().with_half_open_limit(1);
    let _idle = [listening(&server), listening(&server)];
    assert_eq!(server.half_open(), 0);
}

fn a_refused_hello_gives_its_place_back<S: Tested>() {
    let server = server::<S>().with_half_open_limit(1);
    let bad = ScriptedClient::<S>::new(public(&[0x99; 32])).hello().body();
    for _ in 0..3 {
        assert_eq!(refused(listening(&server), &bad), cryptographic("HELLO"));
        assert_eq!(server.half_open(), 0);
    }
}

fn a_handshake_dropped_before_initiate_gives_its_place_back<S: Tested>() {
    let server = server::<S>();
    let (handshake, _) = welcomed(&server);
    assert_eq!(server.half_open(), 1);
    drop(handshake);
    assert_eq!(server.half_open(), 0);
}

fn a_refused_initiate_gives_its_place_back<S: Tested>() {
    let server = server::<S>();
    let (handshake, initiate) = welcomed(&server);
    refused(handshake, &scripted::Initiate { vouched_server: [0; 32], ..initiate }.body());
    assert_eq!(server.half_open(), 0);
}

fn a_place_is_kept_until_the_verdict<S: Tested>() {
    for verdict in [Verdict::accept(), Verdict::deny(), Verdict::try_later()] {
        let server = server::<S>();
        let (handshake, initiate) = welcomed(&server);
        let (handshake, _) = asked(handshake, &initiate.body());
        assert_eq!(server.half_open(), 1);
        let _session = judge(handshake, verdict);
        assert_eq!(server.half_open(), 0);
    }
}

// ─── commands of other connections ───────────────────────────────────────────────────────────────────────────────────

fn a_welcome_of_another_connection_is_refused<S: Tested>() {
    let client = client::<S>();
    let (first, _) = greeted(&client);
    let (_, hello) = greeted(&client);
    let (_, welcome) = answered(listening(&server::<S>()), &hello);
    assert_eq!(refused(first, &welcome), cryptographic("WELCOME"));
}

fn a_ready_of_another_connection_is_refused<S: Tested>() {
    let (server, client) = (server::<S>(), client::<S>());
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

fn a_command_before_the_verdict_is_a_misuse<S: Tested>() {
    let (handshake, initiate) = welcomed(&server::<S>());
    assert_misuse(handle(asked(handshake, &initiate.body()).0, &initiate.body()));
}

fn a_verdict_that_a_server_did_not_ask_for_is_a_misuse<S: Tested>() {
    for verdict in [Verdict::accept(), Verdict::deny(), Verdict::try_later()] {
        assert_misuse(judge(listening(&server::<S>()), verdict.clone()));
        assert_misuse(judge(welcomed(&server::<S>()).0, verdict));
    }
}

fn a_verdict_for_a_client_is_a_misuse<S: Tested>() {
    for verdict in [Verdict::accept(), Verdict::deny(), Verdict::try_later()] {
        assert_misuse(judge(greeted(&client::<S>()).0, verdict.clone()));
        assert_misuse(judge(initiated(&client::<S>()).0, verdict));
    }
}

// ─── ERROR ───────────────────────────────────────────────────────────────────────────────────────────────────────────

fn an_error_from_the_client_is_unexpected<S: Tested>() {
    assert_eq!(refused(listening(&server::<S>()), &error("400")), unexpected("HELLO", "ERROR"));
    assert_eq!(refused(welcomed(&server::<S>()).0, &error("400")), unexpected("INITIATE", "ERROR"));
}

/// K26 (ERROR, in the clear, during the handshake): in the place of WELCOME.
fn an_error_in_place_of_welcome_tells_its_reason<S: Tested>() {
    for reason in ["400", "", "no such server"] {
        let (handshake, _) = greeted(&client::<S>());
        assert!(handshake.body_len().contains(&(error(reason).len() as u64)));
        assert_eq!(refused(handshake, &error(reason)), peer_error(reason));
    }
}

/// K26 (ERROR, in the clear, during the handshake): in the place of READY.
fn an_error_in_place_of_ready_tells_its_reason<S: Tested>() {
    for reason in ["400", "", "client key not authorized"] {
        let (handshake, _) = initiated(&client::<S>());
        assert!(handshake.body_len().contains(&(error(reason).len() as u64)));
        assert_eq!(refused(handshake, &error(reason)), peer_error(reason));
    }
}

fn an_error_whose_reason_ends_early_is_malformed<S: Tested>() {
    let cut = scripted::command("ERROR", &[b"\x04400"]);
    let truncated = MechanismError::Command(CommandError::ReasonTruncated { declared: 4, available: 3 });
    assert_eq!(refused(greeted(&client::<S>()).0, &cut), truncated);
    assert_eq!(refused(initiated(&client::<S>()).0, &cut), truncated);
    let empty = scripted::command("ERROR", &[]);
    let missing = MechanismError::Command(CommandError::ReasonLengthMissing);
    assert_eq!(refused(greeted(&client::<S>()).0, &empty), missing);
    assert_eq!(refused(initiated(&client::<S>()).0, &empty), missing);
}

// ─── greetings ───────────────────────────────────────────────────────────────────────────────────────────────────────

/// Both greetings are in the transcript, octet for octet: also what nobody looks at.
fn greetings_that_were_changed_on_the_way_are_noticed<S: Tested>() {
    let sent = [Role::Client, Role::Server].map(|role| support::greeting_of(S::MECHANISM, role));
    for changed in 0..2 {
        for place in 0..64 {
            let mut seen = sent;
            seen[changed][place] ^= 1;
            // Each side knows what it sent itself.
            let at_client = support::begin_between(
                &client::<S>(),
                &client_properties(),
                &sent[0],
                &if changed == 1 { seen[1] } else { sent[1] },
            );
            let at_server = support::begin_between(&server::<S>(), &server_properties(), &sent[1], &seen[0]);
            let ((Ok(Progress::NeedCommand(client)), hello), (Ok(Progress::NeedCommand(server)), _)) =
                (at_client, at_server)
            else {
                panic!("neither looks at them")
            };
            let (server, welcome) = answered(server, &hello[0]);
            match handle(client, &welcome) {
                // The key of the WELCOME is made without the transcript in the suite that gives it a nonce.
                (Ok(Progress::NeedCommand(_)), initiate) if S::HAS_WELCOME_NONCE => {
                    assert_eq!(refused(server, &initiate[0]), cryptographic("INITIATE"), "octet {place}");
                }
                (Err(error), _) if !S::HAS_WELCOME_NONCE => assert_eq!(error, cryptographic("WELCOME")),
                (other, _) => panic!("{other:?}, octet {place}"),
            }
        }
    }
}

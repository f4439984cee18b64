//! Octets that are not what the specification says: none of what they carry is delivered, and the connection ends with an error
//! that says whose doing it was. The reference checks that we close, and say nothing more.

use std::sync::atomic::{AtomicUsize, Ordering};

use zmtp_connection::codec::{MechanismError, OpenError, Verdict};
use zmtp_connection::{Connection, DecodeError, Event, Message, RecvError, decide};

use crate::reference::{Meeting, the, within};
use crate::{Ours, Part, SERVER, SETTINGS, connect, dealer, failure, handshake, mechanism_error, meet};

/// All messages up to the error, and the error; after it, the connection stays as it is.
async fn received(ours: &mut Ours) -> (Vec<Vec<u8>>, DecodeError) {
    let mut messages = Vec::new();
    loop {
        match within("an event from the reference", ours.recv()).await {
            Ok(Some(Event::Message(message))) => messages.push(message.parts().concat()),
            Err(RecvError::Protocol(error)) => {
                let again = ours.recv().await.unwrap_err();
                assert!(matches!(again, RecvError::Protocol(DecodeError::Poisoned)), "{again:?}");
                return (messages, error);
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Whose doing it was.
fn kind(error: &DecodeError) -> &'static str {
    match error {
        DecodeError::Open(OpenError::Forged) => "forged",
        DecodeError::Open(OpenError::Malformed(_)) => "malformed",
        DecodeError::Frame(_) => "frame",
        DecodeError::Command(_) => "command",
        DecodeError::UnexpectedReady => "ready",
        DecodeError::PeerError { .. } => "error",
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn of_frames_that_were_changed_nothing_is_delivered() {
    const BEFORE: [&[u8]; 1] = [b"before"];
    let cases: [(&str, &str); 17] = [
        ("tag", "forged"),
        ("ciphertext", "forged"),
        ("more", "forged"),
        ("command", "forged"),
        ("drop", "forged"),
        ("swap", "forged"),
        ("replay", "forged"),
        ("part", "forged"),
        ("nonminimal", "malformed"),
        ("nonminimal-sealed", "malformed"),
        ("reserved", "frame"),
        ("command-more", "frame"),
        ("no-aad", "forged"),
        ("short", "malformed"),
        ("cut", "forged"),
        ("clear", "forged"),
        ("clear-ping", "forged"),
    ];
    for (tamper, due) in cases {
        for setting in SETTINGS {
            let (mut ours, theirs) = connect(setting, &dealer(), &format!("tamper --tamper {tamper}")).await;
            let (messages, error) = received(&mut ours).await;
            assert_eq!(kind(&error), due, "{tamper}, {setting:?}: {error:?}");
            // The frame that it repeats was an empty message at first.
            let delivered = if tamper == "replay" { &[BEFORE[0], b""][..] } else { &BEFORE };
            assert_eq!(messages, delivered, "{tamper}, {setting:?}");
            drop(ours);
            assert_eq!(the("closed", &theirs.success().await)["messages"], 0);
        }
    }
}

#[tokio::test]
async fn sealed_commands_that_break_their_grammar_end_the_connection() {
    let cases = [
        ("empty", "command"),
        ("no-name", "command"),
        ("name-past-end", "command"),
        ("ready", "ready"),
        ("error", "error"),
        ("ping-short", "command"),
        ("ping-long", "command"),
    ];
    for (tamper, due) in cases {
        for setting in SETTINGS {
            let (mut ours, theirs) = connect(setting, &dealer(), &format!("bad-command --tamper {tamper}")).await;
            let (messages, error) = received(&mut ours).await;
            assert_eq!(kind(&error), due, "{tamper}, {setting:?}: {error:?}");
            assert_eq!(messages, [b""; 0]);
            drop(ours);
            assert_eq!(the("closed", &theirs.success().await)["messages"], 0, "no PONG either");
        }
    }
}

#[tokio::test]
async fn a_handshake_ends_with_the_command_that_was_changed() {
    let cases =
        [(Part::Server, "HELLO"), (Part::Server, "INITIATE"), (Part::Client, "WELCOME"), (Part::Client, "READY")];
    for ((part, command), we_listen) in cases.into_iter().flat_map(|case| [(case, false), (case, true)]) {
        let scenario = format!("bad-handshake --tamper {}", command.to_lowercase());
        let (error, theirs) = failure((part, we_listen), &scenario).await;
        assert_eq!(mechanism_error(&error), &MechanismError::Cryptographic { command });
        let events = theirs.success().await;
        assert!(events.iter().all(|event| event["event"] != "error"), "we say nothing: {events:?}");
    }
}

// ─── replay ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/// The first connection, which is as it should be, and its message.
async fn recorded(part: Part, meeting: &Meeting) {
    let mut ours = handshake(part, meeting.stream().await, &dealer()).await.unwrap();
    let event = within("a message", ours.recv()).await.unwrap();
    assert_eq!(event, Some(Event::Message(Message::from("recorded"))));
}

/// The server is the same, with the keys of its cookies too.
#[tokio::test]
async fn a_recorded_client_is_refused_and_reaches_no_judge() {
    for we_listen in [false, true] {
        let (theirs, meeting) = meet((Part::Server, we_listen), "replay").await;
        recorded(Part::Server, &meeting).await;
        let (config, asked) = (dealer(), AtomicUsize::new(0));
        let judge = decide(|_| {
            asked.fetch_add(1, Ordering::Relaxed);
            Verdict::accept()
        });
        let ours = Connection::handshake_with(meeting.stream().await, &config, &*SERVER, &judge);
        let error = within("the handshake", ours).await.unwrap_err();
        println!("HELLO, INITIATE and a message played back on a new connection: {error}");
        assert_eq!(mechanism_error(&error), &MechanismError::Cryptographic { command: "INITIATE" });
        assert_eq!(asked.load(Ordering::Relaxed), 0);
        // It has seen that our WELCOME is another one.
        theirs.success().await;
    }
}

#[tokio::test]
async fn a_recorded_server_is_refused() {
    for we_listen in [false, true] {
        let (theirs, meeting) = meet((Part::Client, we_listen), "replay").await;
        recorded(Part::Client, &meeting).await;
        let error = handshake(Part::Client, meeting.stream().await, &dealer()).await.unwrap_err();
        println!("WELCOME, READY and a message played back on a new connection: {error}");
        assert_eq!(mechanism_error(&error), &MechanismError::Cryptographic { command: "WELCOME" });
        theirs.success().await;
    }
}

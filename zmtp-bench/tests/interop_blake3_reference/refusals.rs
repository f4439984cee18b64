//! Who is not let in, by either side, and what the other makes of it.

use zmtp_connection::codec::{ErrorReason, MechanismError, Refusal, Verdict};
use zmtp_connection::{Connection, HandshakeCause, Stage, decide};

use crate::reference::{hex, the, within};
use crate::{
    OTHER_SECRET, OUR_SECRET, Part, SERVER, THEIR_SECRET, dealer, failure, handshake, mechanism_error, meet, meet_with,
    public,
};

#[tokio::test]
async fn its_client_learns_from_us_that_it_is_refused() {
    let refused = |reason| Refusal::error(reason);
    let cases = [
        (Verdict::try_later(), Refusal::silent(), None),
        (Verdict::deny(), refused(ErrorReason::AUTHENTICATION_FAILURE), Some("400")),
        (Verdict::internal_error(), refused(ErrorReason::INTERNAL_ERROR), Some("500")),
    ];
    for we_listen in [false, true] {
        for (verdict, refusal, status) in cases.clone() {
            let scenario = if status.is_some() { "expect-error" } else { "expect-failure" };
            let (theirs, meeting) = meet((Part::Server, we_listen), scenario).await;
            let (config, judge) = (dealer(), decide(move |_| verdict.clone()));
            let ours = Connection::handshake_with(meeting.stream().await, &config, &*SERVER, &judge);
            let error = within("the handshake", ours).await.unwrap_err();
            assert_eq!((error.stage(), error.may_reconnect()), (Stage::Authorization, status.is_none()));
            assert_eq!(mechanism_error(&error), &MechanismError::Refused(refusal));
            let events = theirs.success().await;
            match status {
                Some(status) => assert_eq!(the("error", &events)["text"], status),
                None => assert_eq!(the("closed", &events)["where"], "handshake"),
            }
        }
    }
}

#[tokio::test]
async fn its_client_that_is_not_on_our_list_is_refused() {
    for we_listen in [false, true] {
        let keys = format!("--secret {} --server-key {}", hex(&OTHER_SECRET), hex(&public(OUR_SECRET)));
        let (theirs, meeting) = meet_with(&keys, (Part::Server, we_listen), "expect-error").await;
        let error = handshake(Part::Server, meeting.stream().await, &dealer()).await.unwrap_err();
        assert_eq!(error.stage(), Stage::Authorization);
        assert_eq!(the("error", &theirs.success().await)["text"], "400");
    }
}

#[tokio::test]
async fn we_learn_from_its_server_that_we_are_refused() {
    for we_listen in [false, true] {
        // Somebody else is on its list.
        let keys = format!("--secret {} --allow {}", hex(&THEIR_SECRET), hex(&public(OTHER_SECRET)));
        let (theirs, meeting) = meet_with(&keys, (Part::Client, we_listen), "expect-failure").await;
        let error = handshake(Part::Client, meeting.stream().await, &dealer()).await.unwrap_err();
        assert_eq!(error.peer_reason().unwrap().as_bytes(), "client key not authorized");
        assert_eq!((error.stage(), error.may_reconnect()), (Stage::Mechanism, false));
        assert_eq!(the("error", &theirs.success().await)["reason"], "not-authorised");
        // Whatever we send.
        for at in ["welcome", "ready"] {
            let scenario = format!("refuse --at {at} --reason 500");
            let (error, theirs) = failure((Part::Client, we_listen), &scenario).await;
            assert_eq!(error.peer_reason().map(ToString::to_string).as_deref(), Some("500"), "{at}");
            assert!(!error.may_reconnect());
            theirs.success().await;
        }
    }
}

#[tokio::test]
async fn a_wrong_server_key_is_noticed_by_the_server() {
    for we_listen in [false, true] {
        // Its key is another than we expect.
        let keys = format!("--secret {}", hex(&OTHER_SECRET));
        let (theirs, meeting) = meet_with(&keys, (Part::Client, we_listen), "expect-failure").await;
        let error = handshake(Part::Client, meeting.stream().await, &dealer()).await.unwrap_err();
        assert_eq!(error.stage(), Stage::Mechanism);
        assert!(matches!(error.cause(), HandshakeCause::Closed | HandshakeCause::Io(_)), "{error:?}");
        assert!(error.may_reconnect());
        assert_eq!(the("error", &theirs.success().await)["reason"], "hello-box");
        // Ours is another than it expects.
        let keys = format!("--server-key {}", hex(&public(OTHER_SECRET)));
        let (theirs, meeting) = meet_with(&keys, (Part::Server, we_listen), "expect-failure").await;
        let error = handshake(Part::Server, meeting.stream().await, &dealer()).await.unwrap_err();
        assert_eq!(mechanism_error(&error), &MechanismError::Cryptographic { command: "HELLO" });
        assert_eq!(the("closed", &theirs.success().await)["where"], "handshake", "not a word to it");
    }
}

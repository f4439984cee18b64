//! What every verdict is to both sides under every mechanism, as one table: `cargo test … -- --nocapture` prints it.
//!
//! The server is ours with a client of ours and one of libzmq's 4.3.5, and libzmq's (which asks a ZAP handler) with a client of
//! ours. NULL is there twice, since we can judge before our READY, as libzmq does it, or behind it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail tests")]

#[path = "interop_libzmq/events.rs"]
mod events;
#[path = "interop_libzmq/security_null.rs"]
#[expect(dead_code, reason = "the conversations use the rest")]
mod security;
#[path = "interop_libzmq/security_any.rs"]
mod security_any;
#[path = "interop_libzmq/theirs.rs"]
#[expect(dead_code, unused_imports, reason = "the conversations use the rest")]
mod theirs;
#[path = "interop_libzmq/zap_handler.rs"]
mod zap_handler;

use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use zmtp_bench::peers::libzmq::{EventKind, ProtocolError, SocketKind};
use zmtp_connection::codec::{AnyMechanism, SocketType, Verdict};
use zmtp_connection::{AllowAny, Authenticator, Connection, ConnectionConfig, HandshakeError, RecvError, decide};

use security_any::{ALL, Security, USER};
use theirs::{Role, Theirs, accept, within};
use zap_handler::{Answer, Handler};

/// A libzmq that is to come back does so after this long.
const RECONNECT_IVL: Duration = Duration::from_millis(10);
/// After the answer 300, libzmq closes when this has passed.
const HANDSHAKE_IVL: Duration = Duration::from_millis(300);

/// What a client makes of it, and whether it tries again, as far as it says so.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Outcome {
    says: String,
    again: Option<bool>,
}

impl Outcome {
    /// A client of ours; `refused` is whether one that thinks it is in learns better.
    async fn of_ours(result: Result<Connection<TcpStream, AnyMechanism>, HandshakeError>, refused: bool) -> Self {
        let mut connection = match result {
            Err(error) => return Self { says: shown(&error), again: Some(error.may_reconnect()) },
            Ok(_) if !refused => return Self { says: "it is in".to_owned(), again: None },
            Ok(connection) => connection,
        };
        let end = match within("the end", connection.recv()).await {
            Ok(None) => "the end of the stream".to_owned(),
            Err(RecvError::Protocol(error)) => error.to_string(),
            other => panic!("{other:?}"),
        };
        Self { says: format!("it is in, and then: {end}"), again: None }
    }
}

const HINTS: [&str; 2] = ["it may want us to come back later", "nothing proves that the peer said so"];

/// An error as it shows itself, with a mark in place of a hint.
fn shown(error: &HandshakeError) -> String {
    let mut text = error.to_string();
    if let Some(hint) = error.hint() {
        let number = HINTS.iter().position(|known| hint.starts_with(known)).unwrap();
        text = text.replace(&format!("; {hint}"), &format!(" [{}]", number + 1));
    }
    text.replace("handshake failed at the ", "")
}

/// A server of ours that has judged, and its client.
struct Judged {
    server_says: String,
    client: Outcome,
}

fn verdict(status: u16) -> Verdict {
    match status {
        200 => Verdict::accept_as(USER),
        300 => Verdict::try_later(),
        400 => Verdict::deny(),
        500 => Verdict::internal_error(),
        other => panic!("no verdict has the status {other}"),
    }
}

async fn judge(
    security: Security,
    status: u16,
    stream: TcpStream,
) -> Result<Connection<TcpStream, AnyMechanism>, HandshakeError> {
    let address = stream.peer_addr().unwrap();
    let judge = decide(move |_| verdict(status));
    let (config, mechanism) = (ConnectionConfig::new(SocketType::Pull), security.our_server());
    Connection::handshake_with(stream, &config, &mechanism, &judge.at(address)).await
}

fn server_says(result: &Result<Connection<TcpStream, AnyMechanism>, HandshakeError>) -> String {
    match result {
        Ok(connection) => format!("it is in as \"{}\"", connection.peer().user_id_str().unwrap()),
        Err(error) => shown(error),
    }
}

async fn ours_at_ours(security: Security, status: u16) -> Judged {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (config, mechanism) = (ConnectionConfig::new(SocketType::Push), security.our_client());
    let client = async {
        let result = Connection::handshake_with(stream, &config, &mechanism, &AllowAny).await;
        Outcome::of_ours(result, status != 200).await
    };
    let server = judge(security, status, accept(&listener).await);
    let (client, server) = within("the handshake", async { tokio::join!(client, server) }).await;
    Judged { server_says: server_says(&server), client }
}

async fn theirs_at_ours(security: Security, status: u16) -> Judged {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut theirs = Theirs::new(SocketKind::Push);
    theirs.socket().set_reconnect_ivl(RECONNECT_IVL).unwrap();
    security.equip_client(theirs.socket());
    theirs.connect_to(&listener);
    let server = within("the handshake", judge(security, status, accept(&listener).await)).await;
    let mut events = events::attempt(&mut theirs).await;
    if status != 200 && events.last() == Some(&EventKind::HandshakeSucceeded) {
        // It thought so.
        events.extend(events::attempt(&mut theirs).await);
    }
    let again = match events.last() {
        Some(EventKind::Disconnected) => Some(events::comes_back(&mut theirs).await),
        _ => None,
    };
    let client =
        Outcome { says: events.iter().filter_map(|kind| outcome(*kind)).collect::<Vec<_>>().join(", "), again };
    Judged { server_says: server_says(&server), client }
}

/// An event by its name in `zmq.h`; none for those that every attempt begins and ends with.
fn outcome(kind: EventKind) -> Option<String> {
    Some(match kind {
        EventKind::Connected | EventKind::Disconnected => return None,
        EventKind::HandshakeSucceeded => "`HANDSHAKE_SUCCEEDED`".to_owned(),
        // EPIPE, or ECONNRESET where we close before we have read its READY.
        EventKind::HandshakeFailedNoDetail(32 | 104) => "`HANDSHAKE_FAILED_NO_DETAIL`".to_owned(),
        EventKind::HandshakeFailedAuth(status) => format!("`HANDSHAKE_FAILED_AUTH {status}`"),
        EventKind::HandshakeFailedProtocol(ProtocolError::ZmtpUnexpectedCommand) => {
            "`HANDSHAKE_FAILED_PROTOCOL ZMTP_UNEXPECTED_COMMAND`".to_owned()
        }
        other => panic!("{other:?}"),
    })
}

async fn ours_at_theirs(security: Security, status: u16) -> Outcome {
    let mut theirs = Theirs::new(SocketKind::Pull);
    if status == 300 {
        theirs.socket().set_handshake_ivl(HANDSHAKE_IVL).unwrap();
    }
    security.equip_server(theirs.socket());
    let mut handler = Handler::start(theirs.socket().context(), move |_| match status {
        200 => Answer::user(USER),
        300 => Answer::status("300"),
        400 => Answer::status("400"),
        500 => Answer::status("500"),
        other => panic!("no verdict has the status {other}"),
    });
    let stream = theirs.meet(Role::WeConnect).await;
    let (config, mechanism) = (ConnectionConfig::new(SocketType::Push), security.our_client());
    let result = within("the handshake", Connection::handshake_with(stream, &config, &mechanism, &AllowAny)).await;
    assert_eq!(handler.asked().await[5..], security.shows());
    theirs
        .event(if status == 200 {
            EventKind::HandshakeSucceeded
        } else {
            EventKind::HandshakeFailedAuth(status.into())
        })
        .await;
    Outcome::of_ours(result, status != 200).await
}

const fn title(security: Security) -> &'static str {
    match security {
        Security::Null => "NULL, `with_authorization`",
        Security::NullLate => "NULL, `new`",
        Security::Plain => "PLAIN",
        Security::Curve => "CURVE",
    }
}

#[tokio::test]
async fn every_verdict_under_every_mechanism() {
    let mut rows = Vec::new();
    for security in ALL {
        for status in [200, 300, 400, 500] {
            rows.push(row(security, status).await);
        }
    }
    println!(
        "| mechanism | verdict | our server says | our client says | it may reconnect | libzmq's client says | it comes back |"
    );
    println!("|---|---|---|---|---|---|---|");
    println!("{}\n", rows.join("\n"));
    println!(
        "Texts of ours are shown without \"handshake failed at the\" in front. libzmq's client also says `CONNECTED` before"
    );
    println!(
        "and `DISCONNECTED` after what is shown. Our client adds: [1] \"{} ...\"; [2] \"{} ...\"",
        HINTS[0], HINTS[1]
    );
}

async fn row(security: Security, status: u16) -> String {
    let what = format!("{security:?} {status}");
    let Judged { server_says, client: ours } = ours_at_ours(security, status).await;
    let Judged { server_says: of_libzmq, client: theirs } = theirs_at_ours(security, status).await;
    // It is the verdict that the server reports, whoever the client is.
    assert_eq!(server_says, of_libzmq, "{what}");

    // A server of libzmq's is no different to our client, but that it never judges late.
    let late = security == Security::NullLate;
    let at_theirs = ours_at_theirs(security, status).await;
    assert_eq!(at_theirs.again, (status != 200).then_some(status == 300), "{what}");
    assert!(late || ours == at_theirs, "{what}: {ours:?}, and at libzmq's server {at_theirs:?}");

    // libzmq heeds an ERROR as long as its handshake is not complete.
    assert_eq!(theirs.again, (status != 200).then_some(status == 300 || late), "{what}");
    let due = match (security, status) {
        (_, 200) | (Security::NullLate, _) => "`HANDSHAKE_SUCCEEDED`".to_owned(),
        (_, 300) => "`HANDSHAKE_FAILED_NO_DETAIL`".to_owned(),
        // It is spelt right, which libzmq does not know.
        (Security::Plain, _) => "`HANDSHAKE_FAILED_PROTOCOL ZMTP_UNEXPECTED_COMMAND`".to_owned(),
        _ => format!("`HANDSHAKE_FAILED_AUTH {status}`"),
    };
    assert_eq!(theirs.says, due, "{what}");

    let yes = |again| match again {
        None => "",
        Some(true) => "yes",
        Some(false) => "no",
    };
    let Outcome { says: our_client, again: may } = ours;
    let Outcome { says: their_client, again: back } = theirs;
    let (may, back) = (yes(may), yes(back));
    format!("| {} | {status} | {server_says} | {our_client} | {may} | {their_client} | {back} |", title(security))
}

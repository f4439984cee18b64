//! Peers of ours at a server of ours that asks a handler of libzmq's.

use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use zmtp_bench::peers::libzmq::SocketKind;
use zmtp_connection::codec::{
    AnyMechanism, Claim, Credentials, MechanismError, MechanismName, Properties, Refusal, SocketType, Verdict,
};
use zmtp_connection::zap::ZapClient;
use zmtp_connection::{
    AuthRequest, Authenticator, Connection, ConnectionConfig, HandshakeCause, HandshakeError, Null, PlainCredentials,
};

use crate::security_any::{ALL, Security};
use crate::theirs::{Theirs, within};

type Frames = Vec<Vec<u8>>;

/// A handler of libzmq's, which is no PLAIN or CURVE socket itself unless it is made one.
struct Handler {
    socket: Theirs,
    endpoint: String,
}

impl Handler {
    fn new(kind: SocketKind) -> Self {
        Self::bound_to("tcp://127.0.0.1:*", Theirs::new(kind))
    }

    fn bound_to(endpoint: &str, socket: Theirs) -> Self {
        let endpoint = socket.socket().bind(endpoint).unwrap();
        Self { socket, endpoint }
    }

    fn client(&self) -> ZapClient {
        self.client_under(AnyMechanism::new(Null::new()))
    }

    fn client_under(&self, mechanism: AnyMechanism) -> ZapClient {
        let address = self.endpoint.strip_prefix("tcp://").unwrap().to_owned();
        ZapClient::new(mechanism, move || TcpStream::connect(address.clone()))
    }

    /// Answers one request, and returns it without what is in front of the version: a REP has taken that off, and a
    /// ROUTER gives it back.
    async fn answer(&mut self, reply: impl FnOnce(&[Vec<u8>]) -> Frames) -> Frames {
        let frames = self.socket.recv().await;
        let (envelope, request) = frames.split_at(frames.iter().position(|frame| frame == b"1.0").unwrap());
        self.socket.send(&[envelope, &reply(request)].concat()).await;
        request.to_vec()
    }
}

fn reply(request: &[Vec<u8>], status: &str, user: &str) -> Frames {
    let mut metadata = Vec::new();
    let mut properties = Properties::new();
    properties.push("X-Level", "3").unwrap();
    properties.encode(&mut metadata);
    [b"1.0", request[1].as_slice(), status.as_bytes(), b"so it is", user.as_bytes(), &metadata]
        .map(<[u8]>::to_vec)
        .to_vec()
}

type Ours = Connection<TcpStream, AnyMechanism>;

/// A client of ours at a server of ours that asks the judge: what the server gets.
async fn knock(security: Security, judge: &impl Authenticator) -> Result<Ours, HandshakeError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let client = async {
        let config = ConnectionConfig::builder(SocketType::Dealer).identity("the peer").build().unwrap();
        // Refused or let in, it leaves.
        drop(Connection::handshake(stream, &config, &security.our_client()).await);
    };
    let server = async {
        let (stream, address) = listener.accept().await.unwrap();
        let config = ConnectionConfig::builder(SocketType::Router).domain("tests").build().unwrap();
        Connection::handshake_with(stream, &config, &security.our_server(), &judge.at(address)).await
    };
    within("both handshakes", async { tokio::join!(client, server) }).await.1
}

#[track_caller]
fn refusal(result: Result<Ours, HandshakeError>) -> Refusal {
    match result.unwrap_err().cause() {
        HandshakeCause::Mechanism(MechanismError::Refused(refusal)) => refusal.clone(),
        other => panic!("{other:?}"),
    }
}

/// Every kind of handler, every kind of client, every mechanism, every status.
#[tokio::test]
async fn a_handler_of_libzmqs_decides_about_our_peers() {
    for kind in [SocketKind::Rep, SocketKind::Router] {
        let mut handler = Handler::new(kind);
        for client in [handler.client(), handler.client().as_dealer()] {
            for security in ALL {
                for status in ["200", "300", "400", "500"] {
                    let what = format!("{kind:?}, {client:?}, {security:?}, {status}");
                    let answer = handler.answer(|request| reply(request, status, "the user"));
                    let (result, request) = tokio::join!(knock(security, &client), answer);
                    // What a peer says of itself is known by now where the mechanism asks at the end.
                    let early = matches!(security, Security::Null | Security::Plain);
                    let identity = if early { "" } else { "the peer" };
                    let due = ["tests", "127.0.0.1", identity].map(|field| field.as_bytes().to_vec());
                    assert_eq!(request[2..], [due.to_vec(), security.shows()].concat(), "{what}");
                    if status == "200" {
                        let ours = result.unwrap();
                        assert_eq!(ours.peer().user_id_str(), Some("the user"), "{what}");
                        assert_eq!(ours.peer().auth_properties().get("X-Level").unwrap(), "3", "{what}");
                    } else {
                        let refusal = refusal(result);
                        assert_eq!(refusal.status_code().to_string(), status, "{what}");
                        assert_eq!(refusal.text(), Some("so it is"), "{what}");
                    }
                }
            }
        }
    }
}

/// A peer of PLAIN that is called this.
fn user(name: &str) -> AuthRequest {
    let shown = PlainCredentials::new(name, "secret").unwrap();
    AuthRequest::new(MechanismName::PLAIN, Claim::new(Credentials::Plain(shown)))
}

/// More questions than connections, and each gets its own answer.
#[tokio::test]
async fn twenty_questions_at_once_are_told_apart() {
    for kind in [SocketKind::Rep, SocketKind::Router] {
        let mut handler = Handler::new(kind);
        let client = handler.client().max_connections(4);
        let mut questions = JoinSet::new();
        for number in 0..20 {
            let client = client.clone();
            questions.spawn(async move {
                let name = format!("user {number}");
                let Verdict::Accept(admission) = client.ask(&user(&name)).await.unwrap() else { panic!("refused") };
                assert_eq!(admission.user_id_str(), Some(&*name));
            });
        }
        for _ in 0..20 {
            handler.answer(|request| reply(request, "200", std::str::from_utf8(&request[6]).unwrap())).await;
        }
        within("the answers", questions.join_all()).await;
    }
}

/// While it is away peers are sent away, for now; then the idle connection is found dead, and the question asked again.
#[tokio::test]
async fn a_handler_that_was_restarted_is_asked_again() {
    let mut handler = Handler::new(SocketKind::Rep);
    let client = handler.client();
    for _ in 0..3 {
        let (result, _) =
            tokio::join!(knock(Security::Plain, &client), handler.answer(|request| reply(request, "200", "the user")));
        assert_eq!(result.unwrap().peer().user_id_str(), Some("the user"));
        let Handler { socket, endpoint } = handler;
        drop(socket);
        let refusal = refusal(knock(Security::Plain, &client).await);
        assert!(refusal.is_silent());
        assert!(refusal.text().unwrap().starts_with("the ZAP handler cannot be reached: "), "{refusal}");
        handler = Handler::bound_to(&endpoint, Theirs::new(SocketKind::Rep));
    }
    // And once without a question in between.
    for _ in 0..2 {
        let Handler { socket, endpoint } = handler;
        drop(socket);
        handler = Handler::bound_to(&endpoint, Theirs::new(SocketKind::Rep));
        let (result, _) =
            tokio::join!(knock(Security::Plain, &client), handler.answer(|request| reply(request, "200", "the user")));
        assert_eq!(result.unwrap().peer().user_id_str(), Some("the user"));
    }
}

/// Nobody is let in by an answer that libzmq would not take either (what it reports is named with each), and the peer is
/// told nothing. The next question is answered as if nothing had been.
#[tokio::test]
async fn a_broken_answer_lets_in_nobody() {
    type Breaks = fn(&mut Frames);
    let broken: [(&str, Breaks); 9] = [
        ("the version", |reply| reply[0] = b"1.1".to_vec()), // ZAP_BAD_VERSION
        ("the request id", |reply| reply[1] = b"another".to_vec()), // ZAP_BAD_REQUEST_ID
        ("\"100\"", |reply| reply[2] = b"100".to_vec()),     // ZAP_INVALID_STATUS_CODE
        ("\"600\"", |reply| reply[2] = b"600".to_vec()),     // likewise
        ("\"201\"", |reply| reply[2] = b"201".to_vec()),     // likewise
        ("\"\"", |reply| reply[2] = Vec::new()),             // likewise
        ("has 6", |reply| drop(reply.pop())),                // ZAP_MALFORMED_REPLY
        ("has 8", |reply| reply.push(Vec::new())),           // likewise
        ("metadata", |reply| reply[5] = b"\x08X-Level\0\0\0\x09x".to_vec()), // ZAP_INVALID_METADATA
    ];
    for kind in [SocketKind::Rep, SocketKind::Router] {
        let mut handler = Handler::new(kind);
        let client = handler.client();
        for (names, breaks) in broken {
            let answer = handler.answer(|request| {
                let mut reply = reply(request, "200", "the user");
                breaks(&mut reply);
                reply
            });
            let (result, _) = tokio::join!(knock(Security::Plain, &client), answer);
            let refusal = refusal(result);
            assert!(refusal.is_silent(), "{names}: {refusal}");
            let text = refusal.text().unwrap();
            assert!(text.starts_with("the answer of the ZAP handler cannot be used: "), "{text}");
            assert!(text.contains(names.trim_start_matches("the ")), "{names}: {text}");
            let whole = handler.answer(|request| reply(request, "200", "the user"));
            let (result, _) = tokio::join!(knock(Security::Plain, &client), whole);
            assert_eq!(result.unwrap().peer().user_id_str(), Some("the user"), "after {names}");
        }
    }
}

/// A handler that says nothing: the peer is sent away in time, and an answer that comes later is nobody's.
#[tokio::test]
async fn an_answer_that_comes_too_late_is_nobodys() {
    let mut handler = Handler::new(SocketKind::Router);
    let client = handler.client().timeout(Duration::from_millis(100));
    let (result, frames) = tokio::join!(knock(Security::Plain, &client), handler.socket.recv());
    let refusal = refusal(result);
    assert!(refusal.is_silent());
    assert_eq!(refusal.text(), Some("no answer from the ZAP handler after 100ms"));
    handler.socket.send(&[&frames[..2], &reply(&frames[2..], "200", "somebody else")].concat()).await;
    let patient = client.timeout(Duration::from_secs(5));
    let answer = handler.answer(|request| reply(request, "200", "the user"));
    let (result, _) = tokio::join!(knock(Security::Plain, &patient), answer);
    assert_eq!(result.unwrap().peer().user_id_str(), Some("the user"));
}

/// Passwords on their way to a handler elsewhere: under CURVE.
#[tokio::test]
async fn a_handler_behind_curve_is_asked() {
    let socket = Theirs::new(SocketKind::Rep);
    Security::Curve.equip_server(socket.socket());
    let mut handler = Handler::bound_to("tcp://127.0.0.1:*", socket);
    let client = handler.client_under(Security::Curve.our_client());
    let answer = handler.answer(|request| reply(request, "200", "the user"));
    let (result, request) = tokio::join!(knock(Security::Plain, &client), answer);
    assert_eq!(result.unwrap().peer().user_id_str(), Some("the user"));
    assert_eq!(request[5..], Security::Plain.shows());
}

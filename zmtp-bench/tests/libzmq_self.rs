//! Proves the foreign peer itself: that libzmq is the version and build that results claim, and that the wrapper around
//! it works between two of its own sockets. Interoperability tests stand on this.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use zmtp_bench::peers::libzmq::{
    self, Context, EventKind, Message, Monitor, MonitorEvent, ProtocolError, Socket, SocketKind, SocketOption,
};

const ANY_PORT: &str = "tcp://127.0.0.1:*";
/// Long enough for a busy machine; nothing here waits that long when it works.
const LIMIT: Duration = Duration::from_secs(10);
/// For what must not come.
const SHORT: Duration = Duration::from_millis(100);

/// Two sockets, the first of them bound and the second connected to it over TCP.
fn pair(bound: SocketKind, connected: SocketKind) -> (Socket, Socket) {
    let context = Context::new().unwrap();
    let bound = context.socket(bound).unwrap();
    let connected = context.socket(connected).unwrap();
    connected.connect(&bound.bind(ANY_PORT).unwrap()).unwrap();
    (bound, connected)
}

fn wait_for(monitor: &Monitor, kind: EventKind) -> MonitorEvent {
    monitor.wait_for(|event| event.kind == kind, LIMIT).unwrap_or_else(|others| panic!("no {kind:?} but {others:?}"))
}

#[test]
fn the_library_is_the_one_that_results_name() {
    assert_eq!(libzmq::version(), (4, 3, 5));
    assert!(libzmq::has("curve"));
    assert!(libzmq::has("draft"));
    assert!(libzmq::has("ipc"));
    assert!(!libzmq::has("no such thing"));
}

#[test]
fn messages_cross_tcp_with_all_their_parts() {
    let (pull, push) = pair(SocketKind::Pull, SocketKind::Push);
    let large = vec![7; 1 << 20];
    push.send(&[b"one", b"", &large]).unwrap();
    push.send(&[b"two"]).unwrap();
    assert_eq!(pull.recv().unwrap(), [b"one".to_vec(), Vec::new(), large]);
    assert_eq!(pull.recv().unwrap(), [b"two"]);
}

#[test]
fn a_message_has_at_least_one_part() {
    let (_pull, push) = pair(SocketKind::Pull, SocketKind::Push);
    assert_eq!(push.send(&[]).unwrap_err().errno(), 0);
}

#[test]
fn receiving_nothing_ends_with_a_timeout() {
    let (pull, _push) = pair(SocketKind::Pull, SocketKind::Push);
    pull.set_rcvtimeo(SHORT).unwrap();
    let error = pull.recv().unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert!(!error.text().is_empty());
}

#[test]
fn an_unknown_peer_is_an_error_where_that_was_asked_for() {
    let (router, _dealer) = pair(SocketKind::Router, SocketKind::Dealer);
    router.set_router_mandatory(true).unwrap();
    let error = router.send(&[b"nobody", b"body"]).unwrap_err();
    assert!(error.is_unreachable(), "{error}");
}

#[test]
fn every_socket_type_can_be_made() {
    let context = Context::new().unwrap();
    for kind in [
        SocketKind::Pair,
        SocketKind::Pub,
        SocketKind::Sub,
        SocketKind::Req,
        SocketKind::Rep,
        SocketKind::Dealer,
        SocketKind::Router,
        SocketKind::Pull,
        SocketKind::Push,
        SocketKind::Xpub,
        SocketKind::Xsub,
        SocketKind::Stream,
        SocketKind::Server,
        SocketKind::Client,
        SocketKind::Radio,
        SocketKind::Dish,
        SocketKind::Gather,
        SocketKind::Scatter,
        SocketKind::Dgram,
        SocketKind::Peer,
        SocketKind::Channel,
    ] {
        let socket = context.socket(kind).unwrap();
        assert_eq!(socket.option_int(SocketOption::TYPE).unwrap(), kind as i32, "{kind:?}");
    }
}

#[test]
fn subscriptions_arrive_and_filter() {
    let (xpub, sub) = pair(SocketKind::Xpub, SocketKind::Sub);
    sub.subscribe(b"a").unwrap();
    assert_eq!(xpub.recv().unwrap(), [b"\x01a"]);
    xpub.send(&[b"b skipped"]).unwrap();
    xpub.send(&[b"a taken"]).unwrap();
    assert_eq!(sub.recv().unwrap(), [b"a taken"]);
    sub.unsubscribe(b"a").unwrap();
    assert_eq!(xpub.recv().unwrap(), [b"\x00a"]);
}

#[test]
fn groups_work_between_draft_sockets() {
    let context = Context::new().unwrap();
    let dish = context.socket(SocketKind::Dish).unwrap();
    let radio = context.socket(SocketKind::Radio).unwrap();
    // Longer than the 14 octets that libzmq keeps inside a message.
    let group = "a group with a long name";
    dish.join(group).unwrap();
    // Nothing tells a RADIO of a JOIN, so send until one arrives.
    dish.set_rcvtimeo(SHORT).unwrap();
    dish.connect(&radio.bind(ANY_PORT).unwrap()).unwrap();
    let mut message = Message::new();
    for _ in 0..100 {
        radio.send_group("another", b"skipped").unwrap();
        radio.send_group(group, b"taken").unwrap();
        if dish.recv_message(&mut message).is_ok() {
            break;
        }
    }
    assert_eq!(message.body(), b"taken");
    assert_eq!(message.group(), group);
    assert!(Message::for_group(&"g".repeat(256), b"").is_err());
}

#[test]
fn a_server_answers_by_routing_id() {
    let (server, client) = pair(SocketKind::Server, SocketKind::Client);
    client.send(&[b"question"]).unwrap();
    let mut request = Message::new();
    server.recv_message(&mut request).unwrap();
    assert_ne!(request.routing_id(), 0);
    let mut reply = Message::copied(b"answer").unwrap();
    reply.set_routing_id(request.routing_id()).unwrap();
    server.send_message(reply, false).unwrap();
    assert_eq!(client.recv().unwrap(), [b"answer"]);
}

#[test]
fn properties_of_the_peer_are_known_with_each_message() {
    let context = Context::new().unwrap();
    let router = context.socket(SocketKind::Router).unwrap();
    let dealer = context.socket(SocketKind::Dealer).unwrap();
    dealer.set_routing_id(b"the dealer").unwrap();
    dealer.set_metadata("X-Colour", "green").unwrap();
    dealer.connect(&router.bind(ANY_PORT).unwrap()).unwrap();
    dealer.send(&[b"body"]).unwrap();

    let mut part = Message::new();
    router.recv_message(&mut part).unwrap();
    assert_eq!(part.body(), b"the dealer");
    assert!(part.more());
    router.recv_message(&mut part).unwrap();
    assert!(!part.more());
    assert_eq!(part.property("Socket-Type").as_deref(), Some("DEALER"));
    assert_eq!(part.property("Identity").as_deref(), Some("the dealer"));
    assert_eq!(part.property("X-Colour").as_deref(), Some("green"));
    assert_eq!(part.property("Peer-Address").as_deref(), Some("127.0.0.1"));
    assert_eq!(part.property("X-None"), None);
}

#[test]
fn curve_connects_two_sockets_and_refuses_a_wrong_server_key() {
    let server_keys = libzmq::curve_keypair().unwrap();
    let client_keys = libzmq::curve_keypair().unwrap();
    assert_eq!(server_keys.public.len(), 40);
    assert_ne!(server_keys, client_keys);
    assert_eq!(libzmq::curve_public(&server_keys.secret).unwrap(), server_keys.public);
    assert!(libzmq::curve_public("too short").is_err());

    let context = Context::new().unwrap();
    let pull = context.socket(SocketKind::Pull).unwrap();
    pull.set_curve_server(true).unwrap();
    pull.set_curve_secretkey(&server_keys.secret).unwrap();
    let endpoint = pull.bind(ANY_PORT).unwrap();

    let push_expecting = |server_key: &str| {
        let push = context.socket(SocketKind::Push).unwrap();
        push.set_curve_serverkey(server_key).unwrap();
        push.set_curve_publickey(&client_keys.public).unwrap();
        push.set_curve_secretkey(&client_keys.secret).unwrap();
        push
    };
    let push = push_expecting(&server_keys.public);
    let monitor = push.monitor().unwrap();
    push.connect(&endpoint).unwrap();
    wait_for(&monitor, EventKind::HandshakeSucceeded);
    let body = vec![9; 100_000];
    push.send(&[b"sealed", &body]).unwrap();
    assert_eq!(pull.recv().unwrap(), [b"sealed".to_vec(), body]);

    let monitor = pull.monitor().unwrap();
    let stranger = push_expecting(&client_keys.public);
    stranger.connect(&endpoint).unwrap();
    wait_for(&monitor, EventKind::HandshakeFailedProtocol(ProtocolError::ZmtpCryptographic));
}

#[test]
fn monitors_report_the_life_of_a_connection() {
    let context = Context::new().unwrap();
    let bound = context.socket(SocketKind::Rep).unwrap();
    let at_bound = bound.monitor().unwrap();
    let endpoint = bound.bind(ANY_PORT).unwrap();
    assert_eq!(wait_for(&at_bound, EventKind::Listening).address, endpoint);
    let connected = context.socket(SocketKind::Req).unwrap();
    let at_connected = connected.monitor().unwrap();
    connected.connect(&endpoint).unwrap();

    wait_for(&at_connected, EventKind::Connected);
    wait_for(&at_connected, EventKind::HandshakeSucceeded);
    wait_for(&at_bound, EventKind::Accepted);
    wait_for(&at_bound, EventKind::HandshakeSucceeded);
    drop(connected);
    wait_for(&at_connected, EventKind::MonitorStopped);
    wait_for(&at_bound, EventKind::Disconnected);
    assert_eq!(at_bound.next(SHORT), None);
}

#[test]
fn a_mechanism_mismatch_is_reported_as_one() {
    let context = Context::new().unwrap();
    let server = context.socket(SocketKind::Pull).unwrap();
    server.set_plain_server(true).unwrap();
    let client = context.socket(SocketKind::Push).unwrap();
    let at_server = server.monitor().unwrap();
    client.connect(&server.bind(ANY_PORT).unwrap()).unwrap();
    wait_for(&at_server, EventKind::HandshakeFailedProtocol(ProtocolError::ZmtpMechanismMismatch));
}

/// What `ZMQ_MECHANISM` says: 0 for NULL, 1 for PLAIN, 2 for CURVE.
fn mechanism(socket: &Socket) -> i32 {
    socket.option_int(SocketOption::MECHANISM).unwrap()
}

#[test]
fn plain_options_are_what_was_set_and_nothing_that_cannot_be_sent() {
    let context = Context::new().unwrap();
    let client = context.socket(SocketKind::Push).unwrap();
    assert_eq!(mechanism(&client), 0);
    for len in [1, 255] {
        // Any octets, as the mechanism has it.
        let (username, password) = (vec![0xff; len], vec![0xfe; len]);
        client.set_plain_username(&username).unwrap();
        client.set_plain_password(&password).unwrap();
        // Both come back as strings of C.
        let read = |option| client.option_bytes(option).unwrap();
        assert_eq!(read(SocketOption::PLAIN_USERNAME), [username, vec![0]].concat());
        assert_eq!(read(SocketOption::PLAIN_PASSWORD), [password, vec![0]].concat());
    }
    for value in [vec![], vec![b'x'; 256]] {
        assert!(client.set_plain_username(&value).is_err(), "{} octets", value.len());
        assert!(client.set_plain_password(&value).is_err(), "{} octets", value.len());
    }
    assert_eq!(mechanism(&client), 1);
    assert_eq!(client.option_int(SocketOption::PLAIN_SERVER).unwrap(), 0);

    let server = context.socket(SocketKind::Pull).unwrap();
    server.set_plain_server(true).unwrap();
    assert_eq!((mechanism(&server), server.option_int(SocketOption::PLAIN_SERVER).unwrap()), (1, 1));
}

#[test]
fn a_plain_server_without_a_zap_handler_lets_in_nobody() {
    let context = Context::new().unwrap();
    let server = context.socket(SocketKind::Pull).unwrap();
    server.set_plain_server(true).unwrap();
    let client = context.socket(SocketKind::Push).unwrap();
    client.set_plain_username("alice").unwrap();
    client.set_plain_password("right").unwrap();
    let at_server = server.monitor().unwrap();
    client.connect(&server.bind(ANY_PORT).unwrap()).unwrap();
    let outcome = |event: &MonitorEvent| !matches!(event.kind, EventKind::Listening | EventKind::Accepted);
    let event = at_server.wait_for(outcome, LIMIT).unwrap();
    // EFAULT, which is what it says where nobody listens at the handler's address.
    assert_eq!(event.kind, EventKind::HandshakeFailedNoDetail(14));
}

#[test]
fn what_serves_in_the_background_ends_with_the_context() {
    let context = Context::new().unwrap();
    let service = context.background().socket(SocketKind::Rep).unwrap();
    service.set_option_int(SocketOption::RCVTIMEO, -1).unwrap();
    service.bind("inproc://service").unwrap();
    let service = thread::spawn(move || {
        loop {
            match service.recv() {
                Ok(question) => service.send(&[&question[0]]).unwrap(),
                Err(error) => return error,
            }
        }
    });
    let user = context.socket(SocketKind::Req).unwrap();
    drop(context);
    user.connect("inproc://service").unwrap();
    for question in [b"one", b"two"] {
        user.send(&[question]).unwrap();
        assert_eq!(user.recv().unwrap(), [question]);
    }
    drop(user);
    // Which has waited for it.
    let error = service.join().unwrap();
    assert!(error.is_terminated(), "{error}");
}

#[test]
fn a_proxy_carries_both_ways_until_the_context_ends() {
    let server = Context::new().unwrap().socket(SocketKind::Rep).unwrap();
    let endpoint = server.bind(ANY_PORT).unwrap();
    let context = Context::new().unwrap();
    let (front, back) =
        (context.background().socket(SocketKind::Router), context.background().socket(SocketKind::Dealer));
    let (front, back) = (front.unwrap(), back.unwrap());
    front.bind("inproc://front").unwrap();
    back.connect(&endpoint).unwrap();
    let proxy = thread::spawn(move || libzmq::proxy(&front, &back));
    let client = context.socket(SocketKind::Req).unwrap();
    drop(context);
    client.connect("inproc://front").unwrap();
    client.send(&[b"question", b"of two parts"]).unwrap();
    assert_eq!(server.recv().unwrap(), [b"question".as_slice(), b"of two parts"]);
    server.send(&[b"answer"]).unwrap();
    assert_eq!(client.recv().unwrap(), [b"answer"]);
    drop(client);
    let ended = proxy.join().unwrap();
    assert!(ended.is_terminated(), "{ended}");
}

#[test]
fn a_zap_handler_decides_about_plain_clients() {
    let context = Context::new().unwrap();
    let handler = context.socket(SocketKind::Rep).unwrap();
    handler.bind("inproc://zeromq.zap.01").unwrap();
    let server = context.socket(SocketKind::Pull).unwrap();
    server.set_plain_server(true).unwrap();
    server.set_zap_domain("tests").unwrap();
    let at_server = server.monitor().unwrap();
    let endpoint = server.bind(ANY_PORT).unwrap();

    let mut clients = Vec::new();
    for (password, status, user, outcome) in [
        ("right", "200", "alice in the handler's words", EventKind::HandshakeSucceeded),
        ("wrong", "400", "", EventKind::HandshakeFailedAuth(400)),
    ] {
        let client = context.socket(SocketKind::Push).unwrap();
        client.set_plain_username("alice").unwrap();
        client.set_plain_password(password).unwrap();
        client.connect(&endpoint).unwrap();
        // RFC 27: version, request id, domain, address, identity, mechanism, credentials.
        let request = handler.recv().unwrap();
        assert_eq!(request[2], b"tests");
        assert_eq!(request[5], b"PLAIN");
        assert_eq!(request[6..], [b"alice".to_vec(), password.into()]);
        handler.send(&[b"1.0", &request[1], status.as_bytes(), b"", user.as_bytes(), b""]).unwrap();
        wait_for(&at_server, outcome);
        clients.push(client);
    }

    clients[0].send(&[b"body"]).unwrap();
    let mut part = Message::new();
    server.recv_message(&mut part).unwrap();
    assert_eq!(part.property("User-Id").as_deref(), Some("alice in the handler's words"));
}

#[test]
fn a_shared_buffer_is_sent_uncopied_and_given_back() {
    /// Says when it was dropped.
    struct Lent(Vec<u8>, Arc<AtomicBool>);
    impl AsRef<[u8]> for Lent {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    impl Drop for Lent {
        fn drop(&mut self) {
            self.1.store(true, Ordering::SeqCst);
        }
    }

    // Over inproc, where the receiver gets the very buffer that was sent.
    let context = Context::new().unwrap();
    let pull = context.socket(SocketKind::Pull).unwrap();
    let push = context.socket(SocketKind::Push).unwrap();
    pull.bind("inproc://shared").unwrap();
    push.connect("inproc://shared").unwrap();
    let dropped = Arc::new(AtomicBool::new(false));
    let lent = Arc::new(Lent(vec![3; 1000], Arc::clone(&dropped)));
    let address = lent.0.as_ptr();
    push.send_zero_copy(lent, false).unwrap();
    let mut part = Message::new();
    pull.recv_message(&mut part).unwrap();
    assert_eq!(part.body(), [3; 1000]);
    assert_eq!(part.body().as_ptr(), address);
    assert!(!dropped.load(Ordering::SeqCst));
    drop(part);
    assert!(dropped.load(Ordering::SeqCst));
}

#[test]
fn raw_receives_tell_the_whole_length() {
    let (pull, push) = pair(SocketKind::Pull, SocketKind::Push);
    push.send_message(Message::from_static(b"static"), true).unwrap();
    push.send_raw(b"raw", false).unwrap();
    let mut buffer = [0; 4];
    assert_eq!(pull.recv_into(&mut buffer).unwrap(), 6);
    assert_eq!(&buffer, b"stat");
    assert!(pull.rcvmore().unwrap());
    assert_eq!(pull.recv_into(&mut buffer).unwrap(), 3);
    assert_eq!(&buffer[..3], b"raw");
    assert!(!pull.rcvmore().unwrap());
}

#[test]
fn nothing_hangs_whatever_is_dropped_first() {
    for round in 0..50 {
        let (pull, push) = pair(SocketKind::Pull, SocketKind::Push);
        let first = push.monitor().unwrap();
        let second = push.monitor().unwrap();
        wait_for(&first, EventKind::MonitorStopped);
        push.send(&[b"never read"]).unwrap();
        match round % 3 {
            0 => {
                drop(first);
                drop(push);
                drop(second);
            }
            1 => {
                // On other threads at the same time.
                let second = thread::spawn(move || drop(second));
                let push = thread::spawn(move || drop(push));
                drop(pull);
                second.join().unwrap();
                push.join().unwrap();
            }
            _ => {
                drop(second);
                // Unmonitored now, though the older monitor is still there.
                push.send(&[b"still works"]).unwrap();
                drop(first);
            }
        }
    }
}

//! The two ends of every test: a libzmq socket whose blocking calls run on their own threads, and our connection to it.

use std::future::Future;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use zmtp_bench::peers::libzmq::{
    Context, EventKind, Message, Monitor, MonitorEvent, Socket, SocketKind, SocketOption, ZmqError,
};
use zmtp_connection::codec::SocketType;
use zmtp_connection::{Connection, ConnectionConfig, Event, HandshakeError};

use crate::security;
pub(crate) use crate::security::{ROLES, Role};

pub(crate) type Ours = Connection<TcpStream, security::Mechanism>;

/// Long enough for a busy machine; nothing waits that long when it works.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// Fails the test instead of hanging.
pub(crate) async fn within<F: Future>(what: &str, future: F) -> F::Output {
    timeout(LIMIT, future).await.unwrap_or_else(|_| panic!("{what} took longer than {LIMIT:?}"))
}

/// A libzmq socket and its monitor. Each is away on a thread while one of its calls blocks.
#[derive(Debug)]
pub(crate) struct Theirs {
    socket: Option<Socket>,
    monitor: Option<Monitor>,
}

impl Theirs {
    /// A socket in a context of its own, not connected yet.
    pub(crate) fn new(kind: SocketKind) -> Self {
        let socket = Context::new().unwrap().socket(kind).unwrap();
        let monitor = socket.monitor().unwrap();
        Self { socket: Some(socket), monitor: Some(monitor) }
    }

    /// The socket, for calls that do not block: everything but sending and receiving.
    pub(crate) fn socket(&self) -> &Socket {
        self.socket.as_ref().unwrap()
    }

    /// Runs `work` with the socket on another thread. To be awaited to the end: the socket comes back with it.
    pub(crate) async fn run<R: Send + 'static>(&mut self, work: impl FnOnce(&Socket) -> R + Send + 'static) -> R {
        let socket = self.socket.take().unwrap();
        let (socket, result) = spawn_blocking(move || {
            let result = work(&socket);
            (socket, result)
        })
        .await
        .unwrap();
        self.socket = Some(socket);
        result
    }

    pub(crate) async fn send<P: AsRef<[u8]>>(&mut self, parts: &[P]) {
        let parts: Vec<_> = parts.iter().map(|part| part.as_ref().to_vec()).collect();
        self.run(move |socket| socket.send(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>())).await.unwrap();
    }

    pub(crate) async fn recv(&mut self) -> Vec<Vec<u8>> {
        self.try_recv().await.unwrap()
    }

    pub(crate) async fn try_recv(&mut self) -> Result<Vec<Vec<u8>>, ZmqError> {
        self.run(Socket::recv).await
    }

    /// One part with its metadata.
    pub(crate) async fn recv_part(&mut self) -> Message {
        self.run(|socket| {
            let mut part = Message::new();
            socket.recv_message(&mut part).map(|()| part)
        })
        .await
        .unwrap()
    }

    /// The next event of this kind; others are passed over.
    pub(crate) async fn event(&mut self, kind: EventKind) -> MonitorEvent {
        self.event_where(move |event| event.kind == kind)
            .await
            .unwrap_or_else(|others| panic!("no {kind:?} but {others:?}"))
    }

    pub(crate) async fn event_where(
        &mut self,
        wanted: impl FnMut(&MonitorEvent) -> bool + Send + 'static,
    ) -> Result<MonitorEvent, Vec<MonitorEvent>> {
        let monitor = self.monitor.take().unwrap();
        let (monitor, result) = spawn_blocking(move || {
            let result = monitor.wait_for(wanted, LIMIT);
            (monitor, result)
        })
        .await
        .unwrap();
        self.monitor = Some(monitor);
        result
    }

    /// The events so far that nobody waited for, without waiting.
    pub(crate) fn events_so_far(&self) -> Vec<EventKind> {
        let monitor = self.monitor.as_ref().unwrap();
        std::iter::from_fn(|| monitor.next(Duration::ZERO)).map(|event| event.kind).collect()
    }

    /// Asserts that the one connection there was is still the same one.
    #[track_caller]
    pub(crate) fn assert_still_connected(&self) {
        let events = self.events_so_far();
        assert_eq!(events, [], "something happened to the connection");
    }

    /// Has the socket take note of new connections. It does so only inside certain calls, reading its events being one and
    /// subscribing not: a SUB that does nothing else never tells a publisher that came, or came back, of its topics.
    pub(crate) fn look_up(&self) {
        self.socket().option_int(SocketOption::EVENTS).unwrap();
    }

    /// Meets in this role over TCP, without a handshake from our side, and without any security but what the socket has.
    pub(crate) async fn meet(&self, role: Role) -> TcpStream {
        let stream = if role.we_listen() {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            self.connect_to(&listener);
            accept(&listener).await
        } else {
            connect_to(&self.socket().bind("tcp://127.0.0.1:*").unwrap()).await
        };
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// Makes the socket connect to a listener of ours.
    pub(crate) fn connect_to(&self, listener: &TcpListener) {
        self.socket().connect(&format!("tcp://{}", listener.local_addr().unwrap())).unwrap();
    }

    /// Meets and shakes hands, whatever comes of it.
    pub(crate) async fn handshake(&self, role: Role, config: &ConnectionConfig) -> Result<Ours, HandshakeError> {
        security::equip(self.socket(), role);
        let stream = self.meet(role).await;
        within("the handshake", security::handshake(stream, config, role)).await
    }

    /// Our connection, ready; libzmq agrees that it is.
    pub(crate) async fn accept_as(&mut self, role: Role, config: &ConnectionConfig) -> Ours {
        let ours = self.handshake(role, config).await.unwrap();
        self.event(EventKind::HandshakeSucceeded).await;
        self.look_up();
        ours
    }
}

/// Connects to an endpoint of libzmq's.
pub(crate) async fn connect_to(endpoint: &str) -> TcpStream {
    within("connecting to libzmq", TcpStream::connect(endpoint.strip_prefix("tcp://").unwrap())).await.unwrap()
}

/// Accepts one call of libzmq's.
pub(crate) async fn accept(listener: &TcpListener) -> TcpStream {
    within("accepting libzmq", listener.accept()).await.unwrap().0
}

/// A libzmq socket and our connection to it.
pub(crate) async fn pair(ours: SocketType, theirs: SocketKind, role: Role) -> (Ours, Theirs) {
    let mut theirs = Theirs::new(theirs);
    let ours = theirs.accept_as(role, &ConnectionConfig::new(ours)).await;
    (ours, theirs)
}

/// The next event, which is there or comes soon.
pub(crate) async fn next(ours: &mut Ours) -> Event {
    within("an event from libzmq", ours.recv()).await.unwrap().unwrap()
}

/// The parts of the next message, which is due next.
pub(crate) async fn next_message(ours: &mut Ours) -> Vec<Vec<u8>> {
    match next(ours).await {
        Event::Message(message) => message.into_parts().into_iter().map(Vec::from).collect(),
        Event::Command(command) => panic!("a message was due, but {command:?}"),
    }
}

/// libzmq's name for a socket type.
pub(crate) fn kind_of(socket_type: SocketType) -> SocketKind {
    match socket_type {
        SocketType::Req => SocketKind::Req,
        SocketType::Rep => SocketKind::Rep,
        SocketType::Dealer => SocketKind::Dealer,
        SocketType::Router => SocketKind::Router,
        SocketType::Pub => SocketKind::Pub,
        SocketType::Xpub => SocketKind::Xpub,
        SocketType::Sub => SocketKind::Sub,
        SocketType::Xsub => SocketKind::Xsub,
        SocketType::Push => SocketKind::Push,
        SocketType::Pull => SocketKind::Pull,
        SocketType::Pair => SocketKind::Pair,
        SocketType::Client => SocketKind::Client,
        SocketType::Server => SocketKind::Server,
        SocketType::Radio => SocketKind::Radio,
        SocketType::Dish => SocketKind::Dish,
        SocketType::Scatter => SocketKind::Scatter,
        SocketType::Gather => SocketKind::Gather,
        SocketType::Peer => SocketKind::Peer,
        SocketType::Channel => SocketKind::Channel,
        other => panic!("{other} has no counterpart in libzmq yet"),
    }
}

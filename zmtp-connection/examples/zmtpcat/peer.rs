//! One peer: its handshake, its messages in both directions, its end.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::timeout;
use zmtp_connection::codec::{Command, Group, SocketType};
use zmtp_connection::{
    Authenticator, Connection, ConnectionConfig, Event, HandshakePermit, IntoSplit, Message, Peer, PushError, Receiver,
    Sender,
};

use crate::endpoint::{Remote, Stream};
use crate::events::{Events, Failed};
use crate::security::Security;

/// Messages that may wait for one peer.
const OUTBOX: usize = 16;
/// How long a peer may take to close after we have.
const FAREWELL: Duration = Duration::from_secs(1);

/// What every peer's task needs to know.
pub(crate) struct Common {
    pub(crate) config: ConnectionConfig,
    pub(crate) security: Security,
    pub(crate) subscriptions: Vec<String>,
    pub(crate) echo: bool,
    pub(crate) events: Events,
    pub(crate) inputs: mpsc::Sender<Input>,
    /// Told whenever an outbox has room again.
    pub(crate) room: Arc<Notify>,
    /// Becomes true when the program ends: finish sending, and go.
    pub(crate) finish: watch::Receiver<bool>,
}

/// What a peer's task tells the engine.
pub(crate) enum Input {
    Ready {
        id: u64,
        peer: Peer,
        address: String,
        outbox: mpsc::Sender<Outgoing>,
        /// To be told when this was taken note of.
        noted: oneshot::Sender<()>,
    },
    Event {
        id: u64,
        event: Event,
    },
    /// Nothing more comes; these messages were not sent.
    Gone {
        id: u64,
        end: End,
        unsent: Vec<Outgoing>,
    },
}

/// Something for a peer.
#[derive(Clone, Debug)]
pub(crate) enum Outgoing {
    Message(Message),
    Command(Command),
}

#[derive(Debug)]
pub(crate) enum End {
    /// The peer closed between two messages, or we did.
    Clean,
    /// Said in an event already.
    Failed { failed: Failed },
}

/// Runs one connection from its stream to its end. Who has connected to us shakes hands by a permit.
pub(crate) async fn run(id: u64, stream: Stream, remote: Remote, permit: Option<HandshakePermit>, common: Arc<Common>) {
    match stream {
        Stream::Tcp(stream) => talk(id, stream, &remote, permit, &common).await,
        #[cfg(unix)]
        Stream::Ipc(stream) => talk(id, stream, &remote, permit, &common).await,
    }
}

async fn talk<T>(id: u64, stream: T, remote: &Remote, permit: Option<HandshakePermit>, common: &Common)
where
    T: AsyncRead + AsyncWrite + IntoSplit + Unpin,
    T::Write: Send + 'static,
{
    let Security { mechanism, judge } = &common.security;
    let judge = judge.at(remote.address.clone());
    let handshake = Connection::handshake_with(stream, &common.config, mechanism, &judge);
    let connection = match permit {
        Some(permit) => permit.run(handshake).await.map_err(|error| Failed::limited(&error)),
        None => handshake.await.map_err(|error| Failed::handshake(&error)),
    };
    let (end, unsent) = match connection {
        Ok(connection) => exchange(id, connection, &remote.name, common).await,
        Err(failed) => (End::Failed { failed }, Vec::new()),
    };
    match &end {
        End::Clean => common.events.closed(&remote.name),
        End::Failed { failed } => common.events.failed(&remote.name, failed),
    }
    let _ = common.inputs.send(Input::Gone { id, end, unsent }).await;
}

/// Both directions, until one of them ends.
async fn exchange<T>(id: u64, mut connection: Connection<T>, address: &str, common: &Common) -> (End, Vec<Outgoing>)
where
    T: AsyncRead + AsyncWrite + IntoSplit + Unpin,
    T::Write: Send + 'static,
{
    let peer = connection.peer().clone();
    for command in greetings(common) {
        // A peer of ZMTP 3.0 knows no groups; then there is nothing to join.
        let _ = connection.feed_command(&command);
    }
    // So that a publisher has them, if it can, when others are told that we are ready; the rest follows later.
    poll_fn(|cx| {
        let _ = connection.poll_flush(cx);
        Poll::Ready(())
    })
    .await;
    let (receiver, sender) = connection.into_split();
    let (outbox, queue) = mpsc::channel(OUTBOX);
    // Weak: the engine ends the connection by dropping its outbox.
    let echo = common.echo.then(|| outbox.downgrade());
    let (noted, taken) = oneshot::channel();
    let ready = Input::Ready { id, peer, address: address.to_owned(), outbox, noted };
    if common.inputs.send(ready).await.is_err() || taken.await.is_err() {
        return (End::Clean, Vec::new());
    }
    let (stop, stopped) = oneshot::channel();
    let (written, finished) = oneshot::channel();
    let receiving = async {
        let end = receive(id, receiver, echo, finished, common).await;
        // The writer may be waiting for a peer that is gone.
        let _ = stop.send(());
        end
    };
    let sending = async {
        let sent = send(sender, queue, stopped, &common.room).await;
        let _ = written.send(());
        sent
    };
    let (end, (failed, unsent)) = tokio::join!(receiving, sending);
    match (end, failed) {
        (End::Clean, Some(failed)) => (End::Failed { failed }, unsent),
        (end, _) => (end, unsent),
    }
}

/// What is said to every peer first: what we want to hear.
fn greetings(common: &Common) -> Vec<Command> {
    let topics = common.subscriptions.iter();
    match common.config.socket_type() {
        SocketType::Sub if common.subscriptions.is_empty() => vec![Command::Subscribe("".into())],
        SocketType::Sub | SocketType::Xsub => topics.map(|topic| Command::Subscribe(topic.clone().into())).collect(),
        SocketType::Dish => topics.filter_map(|group| Group::new(group.clone()).ok()).map(Command::Join).collect(),
        _ => Vec::new(),
    }
}

async fn receive<R: AsyncRead + Unpin>(
    id: u64,
    mut receiver: Receiver<R>,
    echo: Option<mpsc::WeakSender<Outgoing>>,
    mut finished: oneshot::Receiver<()>,
    common: &Common,
) -> End {
    let mut finish = common.finish.clone();
    let mut finishing = false;
    loop {
        let received = tokio::select! {
            biased;
            () = told(&mut finish), if !finishing => {
                finishing = true;
                continue;
            }
            // Our direction is closed. The peer is read out until it closes as well.
            _ = &mut finished => return farewell(receiver).await,
            received = receiver.recv() => received,
        };
        let event = match received {
            Ok(Some(event)) => event,
            Ok(None) => return End::Clean,
            Err(error) => return End::Failed { failed: Failed::receiving(&error) },
        };
        if finishing {
            continue;
        }
        if let (Some(echo), Event::Message(message)) = (echo.as_ref().and_then(mpsc::WeakSender::upgrade), &event) {
            // Waits until the peer takes its echoes; only its own messages wait with it.
            tokio::select! {
                _ = echo.send(Outgoing::Message(message.clone())) => {}
                () = told(&mut finish) => {}
                _ = &mut finished => return farewell(receiver).await,
            }
        }
        if common.inputs.send(Input::Event { id, event }).await.is_err() {
            return End::Clean;
        }
    }
}

/// Waits until the program ends.
async fn told(finish: &mut watch::Receiver<bool>) {
    let _ = finish.wait_for(|finish| *finish).await;
}

/// Reads the peer out until it closes. Leaving unread octets behind would reset the connection, and a reset can
/// overtake what we have sent.
async fn farewell<R: AsyncRead + Unpin>(mut receiver: Receiver<R>) -> End {
    let _ = timeout(FAREWELL, async { while let Ok(Some(_)) = receiver.recv_ref().await {} }).await;
    End::Clean
}

/// Sends what comes through the queue, in as few writes as it comes; returns what was not sent.
async fn send<W: AsyncWrite + Unpin>(
    mut sender: Sender<W>,
    mut queue: mpsc::Receiver<Outgoing>,
    mut stopped: oneshot::Receiver<()>,
    room: &Notify,
) -> (Option<Failed>, Vec<Outgoing>) {
    let mut unsent = Vec::new();
    // Taken from the queue, but refused until more was flushed.
    let mut held = None;
    let failed = loop {
        // At first, these are the subscriptions.
        let flushed = tokio::select! {
            flushed = sender.flush() => flushed,
            _ = &mut stopped => break None,
        };
        if let Err(error) = flushed {
            break Some(Failed::sending(&error));
        }
        unsent.clear();
        room.notify_one();
        let mut next = match held.take() {
            Some(outgoing) => Some(outgoing),
            None => tokio::select! {
                next = queue.recv() => next,
                _ = &mut stopped => break None,
            },
        };
        if next.is_none() {
            let closed = tokio::select! {
                closed = sender.close() => closed,
                _ = &mut stopped => Ok(()),
            };
            return (closed.err().map(|error| Failed::sending(&error)), unsent);
        }
        while let Some(outgoing) = next.take() {
            let pushed = match &outgoing {
                Outgoing::Message(message) => sender.feed(message),
                Outgoing::Command(command) => sender.feed_command(command),
            };
            match pushed {
                Ok(()) => {
                    unsent.push(outgoing);
                    next = queue.try_recv().ok();
                }
                Err(PushError::Full { .. }) => held = Some(outgoing),
                // Lines were checked before, so this is for nobody: a group for a peer that knows none, perhaps.
                Err(_) => {}
            }
        }
    };
    unsent.extend(held);
    queue.close();
    while let Ok(outgoing) = queue.try_recv() {
        unsent.push(outgoing);
    }
    room.notify_one();
    (failed, unsent)
}

//! Being a ZAP handler.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::{Id, JoinError, JoinSet};
use zmtp_codec::{ErrorReason, Mechanism, Refusal, SocketType, Verdict};

use super::{Envelope, ZapReply, ZapRequest};
use crate::auth::{AuthRequest, Authenticator};
use crate::error::{RecvError, SendError};
use crate::event::Event;
use crate::message::Message;
use crate::net::Connection;
use crate::net::trace::zap_question_failed;

/// How many questions are judged at once on a connection. More than that are not read before one of these is answered.
const MOST_QUESTIONS: usize = 64;

/// Answers the ZAP requests (RFC 27) that come over this connection, by what `authenticator` says, until the peer closes.
///
/// The peer is who asks: a [`ZapClient`](super::ZapClient), or a proxy in a program with libzmq, whose ROUTER is bound to
/// `inproc://zeromq.zap.01` and whose DEALER is connected to us. It decides on our answers who is let in, and sends us
/// passwords if its sockets speak PLAIN: protect the way by CURVE unless it is a local one. Our side is a REP, a ROUTER or a
/// DEALER; which one makes no difference here, since each reply goes back in the envelope of its request.
///
/// Questions are judged at the same time, each in a task of its own, so that one which takes long delays no other, and one
/// that panics fails alone. At most 64 are open on one connection: while there are so many, nothing is read,
/// not even that the peer has gone. ZAP has no way to take a question back, so an authenticator has to limit its own time.
///
/// What is wrong on our side, a panic or a user id that does not fit into a reply, is answered with status 300: for now, since
/// a client of libzmq never comes back after an ERROR. A request that can never be judged (another version, credentials
/// that the mechanism does not have) is answered with status 500, and one without a way back is dropped. Each is an event
/// of the feature `tracing`.
///
/// A question is held until it is answered, and the [`Limits`](crate::Limits) of the connection say how large it may be: set
/// them low, as below, where the other side is not all yours.
///
/// The request shows the mechanism, domain, address and credentials that the other server reports, and neither properties
/// nor identity ([`ZapRequest::to_auth_request`]).
///
#[cfg_attr(feature = "null", doc = "```no_run")]
#[cfg_attr(not(feature = "null"), doc = "```ignore")]
/// use std::sync::Arc;
///
/// use tokio::net::TcpListener;
/// use zmtp_connection::codec::SocketType;
/// use zmtp_connection::{AllowList, Connection, ConnectionConfig, Limits, Null, zap};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let list = Arc::new(AllowList::new([[7; 32]]));
/// let limits = Limits::new().max_frame(4096).max_message(16 * 1024);
/// let config = ConnectionConfig::builder(SocketType::Rep).limits(limits).build()?;
/// let listener = TcpListener::bind("127.0.0.1:5556").await?;
/// loop {
///     let (stream, _) = listener.accept().await?;
///     let (config, list) = (config.clone(), Arc::clone(&list));
///     tokio::spawn(async move {
///         let connection = Connection::handshake(stream, &config, &Null::new()).await?;
///         zap::serve(connection, list).await?;
///         Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
///     });
/// }
/// # }
/// ```
///
/// # Errors
/// [`ServeError`] if the peer is of a socket type that does not ask, or the connection fails.
///
/// # Panics
/// Outside a tokio runtime.
///
/// # Cancel safety
/// Dropping the future closes the connection and drops the questions that are open; so does its end.
pub async fn serve<T, M, A>(connection: Connection<T, M>, authenticator: Arc<A>) -> Result<(), ServeError>
where
    T: AsyncRead + AsyncWrite + Unpin,
    M: Mechanism,
    A: Authenticator + Send + ?Sized + 'static,
{
    let theirs = connection.peer().socket_type();
    if !matches!(theirs, SocketType::Req | SocketType::Dealer | SocketType::Router) {
        return Err(ServeError::SocketType { theirs });
    }
    let open = Questions { tasks: JoinSet::new(), from: HashMap::new() };
    Service { connection, authenticator, open }.run().await
}

struct Service<T, M: Mechanism, A: ?Sized> {
    connection: Connection<T, M>,
    authenticator: Arc<A>,
    open: Questions,
}

/// What happens next.
enum Step {
    Received(Option<Event>),
    Judged(Message),
}

impl<T, M, A> Service<T, M, A>
where
    T: AsyncRead + AsyncWrite + Unpin,
    M: Mechanism,
    A: Authenticator + Send + ?Sized + 'static,
{
    async fn run(mut self) -> Result<(), ServeError> {
        loop {
            let reply = match poll_fn(|cx| self.poll_step(cx)).await? {
                Step::Received(None) => return Ok(()),
                Step::Received(Some(Event::Command(_))) => None,
                Step::Received(Some(Event::Message(message))) => self.take(&message),
                Step::Judged(reply) => Some(reply),
            };
            if let Some(reply) = reply {
                self.connection.send(&reply).await?;
            }
        }
    }

    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Result<Step, ServeError>> {
        if let Poll::Ready(reply) = self.open.poll_judged(cx) {
            return Poll::Ready(Ok(Step::Judged(reply)));
        }
        if self.open.tasks.len() == MOST_QUESTIONS {
            return Poll::Pending;
        }
        self.connection.poll_recv(cx).map(|received| Ok(Step::Received(received?)))
    }

    /// Has a request judged, or returns the reply to one that cannot be.
    fn take(&mut self, message: &Message) -> Option<Message> {
        let Some(from) = ReturnAddress::of(message) else {
            zap_question_failed(false, "it has no way back: no delimiter, or no request id");
            return None;
        };
        match ZapRequest::decode(message).and_then(|(_, request)| request.to_auth_request()) {
            Ok(request) => {
                self.open.judge(from, Arc::clone(&self.authenticator), request);
                None
            }
            Err(error) => {
                zap_question_failed(false, &error.to_string());
                Some(from.refusal(&Refusal::error(ErrorReason::INTERNAL_ERROR), &error.to_string()))
            }
        }
    }
}

/// The questions that are not answered yet.
struct Questions {
    tasks: JoinSet<Verdict>,
    from: HashMap<Id, ReturnAddress>,
}

impl Questions {
    fn judge<A>(&mut self, from: ReturnAddress, authenticator: Arc<A>, request: AuthRequest)
    where
        A: Authenticator + Send + ?Sized + 'static,
    {
        let task = self.tasks.spawn(async move { authenticator.authenticate(request).await });
        self.from.insert(task.id(), from);
    }

    /// The reply to one of them.
    fn poll_judged(&mut self, cx: &mut Context<'_>) -> Poll<Message> {
        while let Poll::Ready(Some(judged)) = self.tasks.poll_join_next_with_id(cx) {
            let id = judged.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
            if let Some(from) = self.from.remove(&id) {
                return Poll::Ready(from.reply(judged.map(|(_, verdict)| verdict)));
            }
        }
        Poll::Pending
    }
}

/// Where the reply to a request goes, and what it is the reply to.
struct ReturnAddress {
    envelope: Envelope,
    request_id: Bytes,
}

impl ReturnAddress {
    fn of(message: &Message) -> Option<Self> {
        match Envelope::split(message.parts())? {
            (envelope, [_version, request_id, ..]) => Some(Self { envelope, request_id: request_id.clone() }),
            _ => None,
        }
    }

    fn reply(&self, judged: Result<Verdict, JoinError>) -> Message {
        let reply = judged
            .map_err(|_| "the authenticator has panicked".to_owned())
            .and_then(|verdict| ZapReply::new(self.request_id.clone(), &verdict).map_err(|error| error.to_string()));
        match reply {
            Ok(reply) => reply.to_message(&self.envelope),
            Err(why) => {
                zap_question_failed(true, &why);
                self.refusal(&Refusal::silent(), &why)
            }
        }
    }

    fn refusal(&self, refusal: &Refusal, why: &str) -> Message {
        let refusal = refusal.clone().because(why);
        ZapReply::refusing(self.request_id.clone(), &refusal).to_message(&self.envelope)
    }
}

/// Why [`serve`] has ended before the peer has closed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The peer is of a type that asks nothing.
    #[error("a {theirs} asks no ZAP questions: that is for a REQ or DEALER, connected to a REP, ROUTER or DEALER")]
    SocketType {
        /// Its type.
        theirs: SocketType,
    },
    /// The connection failed while questions were awaited.
    #[error("the connection to the ZAP client has failed")]
    Receive(#[from] RecvError),
    /// A reply did not get through.
    #[error("a ZAP reply was not sent")]
    Send(#[from] SendError),
}

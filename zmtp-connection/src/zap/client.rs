//! Asking a ZAP handler.

use core::time::Duration;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use zmtp_codec::{AnyMechanism, Mechanism, SocketType, Verdict};

use super::{ZapError, ZapReply, ZapRequest};
use crate::auth::{AuthRequest, Authenticator};
use crate::config::{ConnectionConfig, Limits};
use crate::error::{Chain, HandshakeError, RecvError, SendError};
use crate::event::Event;
use crate::message::Message;
use crate::net::Connection;
use crate::net::trace::no_zap_answer;

/// An authenticator that leaves the decision to a ZAP handler at the other end of a connection (RFC 27).
///
/// It dials when it has a question and no idle connection, and keeps connections for the next question. A connection
/// carries one question at a time, as libzmq does it, and up to [`max_connections`](Self::max_connections) are open at once;
/// further questions wait for one of them. There is no background task. Clones share the connections.
///
/// Every failure refuses the peer by [`Verdict::try_later`], with the reason as its text for our own log: a handler that
/// does not answer, that answers another question or in another language, that closes in the middle. It is no ERROR, since
/// libzmq's clients give up for good on one. No credentials get into an error.
///
/// An idle connection that turns out to be dead, because the handler was restarted for example, is replaced by a new one,
/// and the question asked again, once. Nobody answers the PINGs of a handler on an idle connection; one that gives us up for
/// that is such a case.
///
/// To the handler this is a REQ socket, or a DEALER ([`as_dealer`](Self::as_dealer)); so it is a REP or ROUTER. It is for
/// the side that judges clients: a client of PLAIN that asks about its server gets no answer
/// ([`ZapError::Credentials`]), and under a mechanism with keys the handler would take the server's key for a client's.
///
#[cfg_attr(feature = "null", doc = "```no_run")]
#[cfg_attr(not(feature = "null"), doc = "```ignore")]
/// use std::time::Duration;
///
/// use tokio::net::{TcpListener, TcpStream};
/// use zmtp_connection::codec::SocketType;
/// use zmtp_connection::zap::ZapClient;
/// use zmtp_connection::{Authenticator, Connection, ConnectionConfig, Null};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let handler = ZapClient::new(Null::new(), || TcpStream::connect("127.0.0.1:5556")).timeout(Duration::from_secs(2));
///
/// let config = ConnectionConfig::builder(SocketType::Pull).domain("jobs").build()?;
/// let mechanism = Null::with_authorization();
/// let listener = TcpListener::bind("127.0.0.1:5555").await?;
/// loop {
///     let Ok((stream, address)) = listener.accept().await else { continue };
///     let (config, mechanism, handler) = (config.clone(), mechanism, handler.clone());
///     tokio::spawn(async move {
///         match Connection::handshake_with(stream, &config, &mechanism, &handler.at(address)).await {
///             Ok(connection) => println!("{:?} is in", connection.peer().user_id_str()),
///             Err(error) => eprintln!("{address}: {error}"),
///         }
///     });
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct ZapClient {
    config: ConnectionConfig,
    mechanism: AnyMechanism,
    dial: Arc<Dial>,
    timeout: Duration,
    pool: Arc<Pool>,
}

/// What is expected of a handler: replies, and they are small.
fn config(ours: SocketType) -> ConnectionConfig {
    let limits = Limits::new().max_frame(LARGEST_FRAME).max_message(2 * LARGEST_FRAME).max_parts(64);
    // Only extra properties and identities can be refused, and there are none.
    ConnectionConfig::builder(ours).limits(limits).build().unwrap_or_else(|_| ConnectionConfig::new(ours))
}

/// Most fields of a reply have 255 octets at most; the metadata has no limit in RFC 27.
const LARGEST_FRAME: usize = 64 << 10;

/// How to get to the handler, whatever the stream is.
type Dial = dyn Fn() -> Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send>> + Send + Sync;

/// The stream to the handler, whatever it is.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

type ToHandler = Connection<Box<dyn Stream>>;

impl ZapClient {
    /// How long a question may take, unless told otherwise. Below the 30 seconds that the peer's handshake may take, so that
    /// the one who is refused for it learns why.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

    /// How many connections there are at most, unless told otherwise.
    pub const DEFAULT_MAX_CONNECTIONS: usize = 8;

    /// A client that gets to the handler by `dial`, and is protected on the way by `mechanism`: NULL where nobody else can
    /// listen or answer (a local socket), CURVE elsewhere.
    ///
    /// Nothing happens before the first question. `dial` is called whenever there has to be another connection; for TCP,
    /// have it set `TCP_NODELAY`.
    pub fn new<F, Fut, T>(mechanism: impl Mechanism, dial: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = io::Result<T>> + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let dial = move || {
            let dialled = dial();
            let stream = async { dialled.await.map(|stream| Box::new(stream) as Box<dyn Stream>) };
            Box::pin(stream) as Pin<Box<dyn Future<Output = _> + Send>>
        };
        Self {
            config: config(SocketType::Req),
            mechanism: AnyMechanism::new(mechanism),
            dial: Arc::new(dial),
            timeout: Self::DEFAULT_TIMEOUT,
            pool: Arc::new(Pool::new(Self::DEFAULT_MAX_CONNECTIONS)),
        }
    }

    /// How long a question may take: waiting for a connection, dialling, the handshake with the handler, and the answer. It
    /// runs beside the handshake timeout of the peer that is judged, which should be longer.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How many connections there are at most, idle and busy together, and so how many questions are asked at once; at
    /// least one. Say so before cloning: what is cloned earlier keeps the connections it has.
    #[must_use]
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.pool = Arc::new(Pool::new(connections));
        self
    }

    /// Be a DEALER to the handler, for one that does not talk to a REQ. Say so before cloning.
    #[must_use]
    pub fn as_dealer(mut self) -> Self {
        self.config = config(SocketType::Dealer);
        self
    }

    /// Asks the handler about one peer. As an [`Authenticator`] this client does the same, and turns an error into
    /// [`Verdict::try_later`].
    ///
    /// Costs one round trip, and a connection with its handshake if none is idle.
    ///
    /// # Errors
    /// [`ZapClientError`]: there was no answer, or none that can be used.
    ///
    /// # Panics
    /// Outside a tokio runtime that has its timer enabled.
    ///
    /// # Cancel safety
    /// Dropping the future drops the connection that it has asked on: the handler may still judge, and no later question
    /// gets that answer.
    pub async fn ask(&self, request: &AuthRequest) -> Result<Verdict, ZapClientError> {
        let request_id = self.pool.next_question().to_string();
        let request = ZapRequest::new(request, request_id).map_err(ZapClientError::Request)?;
        match timeout(self.timeout, self.answer(&request)).await {
            Ok(answer) => answer,
            Err(_) => Err(ZapClientError::TimedOut { after: self.timeout }),
        }
    }

    async fn answer(&self, request: &ZapRequest) -> Result<Verdict, ZapClientError> {
        // The semaphore is never closed, so this is a permit.
        let _permit = self.pool.permits.acquire().await;
        if let Some(connection) = self.pool.take() {
            match self.answer_on(connection, request).await {
                // It has died while it was idle.
                Err(error) if error.is_loss() => {}
                answer => return answer,
            }
        }
        self.answer_on(self.connect().await?, request).await
    }

    /// The answer on this connection, which is kept only if nothing was wrong with it.
    async fn answer_on(&self, mut connection: ToHandler, request: &ZapRequest) -> Result<Verdict, ZapClientError> {
        connection.send(&request.to_message()).await.map_err(ZapClientError::Send)?;
        let message = next_message(&mut connection).await?;
        let reply = ZapReply::decode(&message, request.request_id()).map_err(ZapClientError::Reply)?;
        self.pool.give_back(connection);
        Ok(reply.into_verdict())
    }

    async fn connect(&self) -> Result<ToHandler, ZapClientError> {
        let stream = (self.dial)().await.map_err(ZapClientError::Dial)?;
        // No authenticator: a mechanism that asks whether this handler is the right one has nobody to answer it.
        let handshake = Connection::handshake_quietly(stream, &self.config, &self.mechanism);
        handshake.await.map_err(ZapClientError::Handshake)
    }
}

async fn next_message(connection: &mut ToHandler) -> Result<Message, ZapClientError> {
    loop {
        match connection.recv().await.map_err(ZapClientError::Receive)? {
            Some(Event::Message(message)) => return Ok(message),
            Some(Event::Command(_)) => {}
            None => return Err(ZapClientError::Closed),
        }
    }
}

impl Authenticator for ZapClient {
    async fn authenticate(&self, request: AuthRequest) -> Verdict {
        match self.ask(&request).await {
            Ok(verdict) => verdict,
            Err(error) => {
                no_zap_answer(&request, &error);
                Verdict::try_later().because(Chain(&error).to_string())
            }
        }
    }
}

impl fmt::Debug for ZapClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZapClient")
            .field("socket_type", &self.config.socket_type())
            .field("mechanism", &self.mechanism)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// The connections that a client and its clones share.
///
/// There are never more of them than permits: one is opened only by who holds a permit and has found none idle, when all
/// that exist are held by others with a permit.
struct Pool {
    idle: Mutex<Vec<ToHandler>>,
    permits: Semaphore,
    questions: AtomicU64,
}

impl Pool {
    fn new(connections: usize) -> Self {
        let permits = Semaphore::new(connections.clamp(1, Semaphore::MAX_PERMITS));
        Self { idle: Mutex::default(), permits, questions: AtomicU64::new(1) }
    }

    /// The one that was used last is the most likely to be alive.
    fn take(&self) -> Option<ToHandler> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn give_back(&self, connection: ToHandler) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }

    fn next_question(&self) -> u64 {
        self.questions.fetch_add(1, Ordering::Relaxed)
    }
}

/// Why a ZAP handler has given no answer that can be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ZapClientError {
    /// The question does not fit into ZAP. It was not asked.
    #[error("the ZAP handler cannot be asked about this peer")]
    Request(#[source] ZapError),
    /// There is no way to the handler.
    #[error("the ZAP handler cannot be reached")]
    Dial(#[source] io::Error),
    /// The handler speaks another mechanism, is no REP or ROUTER, or does not want us.
    #[error("no connection to the ZAP handler")]
    Handshake(#[source] HandshakeError),
    /// The question did not get through.
    #[error("the question to the ZAP handler was not sent")]
    Send(#[source] SendError),
    /// The answer did not get through.
    #[error("the answer of the ZAP handler was not received")]
    Receive(#[source] RecvError),
    /// The handler has closed instead of answering.
    #[error("the ZAP handler has closed the connection without an answer")]
    Closed,
    /// What it has answered is no reply to this question.
    #[error("the answer of the ZAP handler cannot be used")]
    Reply(#[source] ZapError),
    /// There was no answer in time, nor perhaps a connection.
    #[error("no answer from the ZAP handler after {after:?}")]
    TimedOut {
        /// The limit.
        after: Duration,
    },
}

impl ZapClientError {
    /// Whether a connection was lost before there was an answer, so that another connection may do better.
    const fn is_loss(&self) -> bool {
        matches!(
            self,
            Self::Closed
                | Self::Send(SendError::Io(_) | SendError::Expired(_) | SendError::Lost)
                | Self::Receive(RecvError::Io(_) | RecvError::Expired(_))
        )
    }
}

//! How many peers may shake hands at once, and who gives way when more come.

mod origin;
mod places;

use core::convert::Infallible;
use core::time::Duration;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use thiserror::Error;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use self::origin::Origin;
use self::places::{Places, Ticket};
use super::clock;
use super::trace::Begun;
use crate::auth::PeerAddress;

/// Keeps an accept loop open to honest peers while others connect and never finish their handshakes.
///
/// A peer that has connected and says no more costs a server a descriptor, a task and some memory until its handshake
/// times out, and a peer can connect often. So there is a limited number of *places* for handshakes, and a deadline for
/// each. Every accepted stream is [admitted](Self::admit) to a place, and [runs](HandshakePermit::run) its handshake in
/// it; the place is free again when the handshake is over, whichever way. Connected peers hold no place: how many of
/// those there may be is for the application to say.
///
/// **A newcomer always gets a place, at once. Where none is free, a pending handshake gives way to it:**
/// - if the newcomer's address has as many as one address may have, the oldest of that address;
/// - else, if all places are taken, the oldest of the address that has the most, the newcomer counted in. Of several
///   such addresses it is the one whose oldest came first.
///
/// An address here is an IPv4 address, the /64 network of an IPv6 address (one host may use all of it), or the words of
/// a [`PeerAddress::Other`]. Choose words that peers of one owner share, such as a user id: where each peer has words
/// of its own, as with a process id in them, the limit for one address limits nothing.
///
#[cfg_attr(feature = "null", doc = "```no_run")]
#[cfg_attr(not(feature = "null"), doc = "```ignore")]
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// use tokio::net::{TcpListener, TcpStream};
/// use zmtp_connection::codec::SocketType;
/// use zmtp_connection::{AllowAny, Authenticator, Connection, ConnectionConfig, HandshakeLimiter, Null};
///
/// async fn accept(listener: TcpListener) {
///     let config = Arc::new(ConnectionConfig::new(SocketType::Pull));
///     let judge = Arc::new(AllowAny);
///     let limiter = HandshakeLimiter::new();
///     loop {
///         let Ok((stream, address)) = listener.accept().await else {
///             // The peer has gone already; or there are no descriptors left, and one has to come back first.
///             limiter.make_room();
///             tokio::time::sleep(Duration::from_millis(1)).await;
///             continue;
///         };
///         let permit = limiter.admit(address);
///         let (config, judge) = (Arc::clone(&config), Arc::clone(&judge));
///         tokio::spawn(async move {
///             let _ = stream.set_nodelay(true);
///             let (null, judge) = (Null::new(), judge.at(address));
///             match permit.run(Connection::handshake_with(stream, &config, &null, &judge)).await {
///                 Ok(connection) => serve(connection).await,
///                 Err(error) => eprintln!("{address}: {error}"),
///             }
///         });
///         // Whoever had to give way is gone when its task has run.
///         tokio::task::yield_now().await;
///     }
/// }
///
/// async fn serve(mut connection: Connection<TcpStream, Null>) {
///     while let Ok(Some(event)) = connection.recv().await {
///         println!("{event:?}");
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let listener = TcpListener::bind("0.0.0.0:5555").await?;
/// tokio::spawn(accept(listener)).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Why nobody is refused
///
/// The usual rule is to refuse newcomers while all places are taken. Then a thousand silent connections, renewed at
/// each deadline, lock everybody out for good. But a handshake takes an honest peer a few round trips, while those of a
/// flood stay: what is oldest is the least likely to come to anything. So here the flood displaces itself, and what
/// counts is its rate and not its size:
/// - A handshake never gives way to one from an address that has more of them. So from one address nobody pushes out a
///   peer of another one, unless more are pending there than on his own.
/// - A peer that is alone on its address gives way only when each place is held by a different address, and all of those
///   came after it. To lock it out, a flood must bring as many connections as there are places (256 by default), each
///   from another address, within the time of one handshake, the authenticator's time included: 2,560 per second if
///   that is 100 ms. Who owns a few addresses cannot; who owns many, such as an IPv6 network of more than a /64, can.
/// - Peers that share an address, as behind a NAT, share its places, and one of them can push out the others.
///
/// It is no help against a flood that finishes its handshakes, nor against one that is too fast for the accept loop.
///
/// # The two deadlines
///
/// The [`deadline`](Self::deadline) here begins with the admission, and covers all that is done in the place, such as a
/// TLS handshake before ours. The [`handshake_timeout`](crate::ConfigBuilder::handshake_timeout) of a connection begins
/// with its own handshake, and its error says how far that had come. Both apply, and the shorter one comes first: by
/// default this one, 10 s against 30 s.
///
/// # Cost
///
/// Clones share their places. Admission and release take a lock for a time logarithmic in the number of places, and
/// never wait for anything else. Memory is less than 600 octets for each handshake that is pending, beside the
/// handshake itself; nothing more is kept for addresses. There is no task in the background.
///
/// A handshake that gives way is dropped, with its stream, when its task runs next. An accept loop that does not let
/// the others run in between accepts faster than that under a flood, and streams pile up that have no place any more.
/// So it is a task of its own, which yields after each admission: then the streams are hardly more than the places.
/// (The future that `block_on` and `#[tokio::main]` run is no such task: where there are several threads it yields to
/// nobody.)
#[derive(Clone)]
pub struct HandshakeLimiter {
    settings: Settings,
    table: Arc<Table>,
}

#[derive(Clone, Copy)]
struct Settings {
    total: usize,
    per_address: usize,
    deadline: Duration,
}

/// What all clones and their permits share.
struct Table {
    places: Mutex<Places<Origin, Holder>>,
    displaced: AtomicU64,
    timed_out: AtomicU64,
}

/// Stands for the permit that holds a place. To drop it is to tell the permit that it holds it no longer.
type Holder = oneshot::Sender<Infallible>;

impl Default for HandshakeLimiter {
    /// 256 places, 64 of them for one address, and 10 s for a handshake.
    fn default() -> Self {
        Self::with(Settings { total: 256, per_address: 64, deadline: Duration::from_secs(10) })
    }
}

impl HandshakeLimiter {
    /// A limiter with the default limits: 256 places, 64 of them for one address, and 10 s for a handshake.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many handshakes may be pending. Zero is taken as one.
    ///
    /// Together with all connections and files of the process they must stay below its limit on descriptors, which is often
    /// 1024: where those run out first, nobody is admitted any more, and so nobody gives way.
    ///
    /// Like the other settings this makes a new limiter, all of whose places are free: set it up first, then clone it.
    #[must_use]
    pub fn total(self, places: usize) -> Self {
        Self::with(Settings { total: places.max(1), ..self.settings })
    }

    /// How many handshakes may be pending from one address. Zero is taken as one; more than the total is the total.
    ///
    /// A low limit has a flood from few addresses cost little. A high one suits crowds behind one NAT, and costs others
    /// nothing: where places are short, the address with the most gives way first.
    #[must_use]
    pub fn per_address(self, places: usize) -> Self {
        Self::with(Settings { per_address: places.max(1), ..self.settings })
    }

    /// How long a handshake may take, from its admission on.
    #[must_use]
    pub fn deadline(self, deadline: Duration) -> Self {
        Self::with(Settings { deadline, ..self.settings })
    }

    fn with(settings: Settings) -> Self {
        let places = Mutex::new(Places::new(settings.total, settings.per_address));
        Self { settings, table: Arc::new(Table { places, displaced: AtomicU64::new(0), timed_out: AtomicU64::new(0) }) }
    }

    /// Gives a place to the peer that has just connected from `address`.
    ///
    /// It never waits and never refuses: if need be a pending handshake gives way, see [above](Self). The deadline runs
    /// from now on.
    pub fn admit(&self, address: impl Into<PeerAddress>) -> HandshakePermit {
        let address = address.into();
        let origin = Origin::from(&address);
        let (holder, displaced) = oneshot::channel();
        let (ticket, gives_way) = self.table.places().take(&origin, holder);
        // Its task is woken here, outside of the lock.
        if let Some(holder) = gives_way {
            self.table.displaced.fetch_add(1, Ordering::Relaxed);
            drop(holder);
        }
        HandshakePermit {
            address,
            after: self.settings.deadline,
            deadline: clock::instant(clock::now().saturating_add(self.settings.deadline)),
            displaced,
            place: Place { table: Arc::clone(&self.table), origin, ticket },
        }
    }

    /// Has the oldest handshake of the address that has the most give way, as if somebody had come from elsewhere: for an
    /// accept loop that has run out of descriptors, and would wait for a deadline otherwise. False if none is pending.
    #[expect(clippy::must_use_candidate, reason = "where there is nobody, there is nothing more to do")]
    pub fn make_room(&self) -> bool {
        let gives_way = self.table.places().displace();
        let found = gives_way.is_some();
        if found {
            self.table.displaced.fetch_add(1, Ordering::Relaxed);
        }
        // Its task is woken here, outside of the lock.
        drop(gives_way);
        found
    }

    /// How many handshakes are pending: how many permits hold their places. Never more than the total.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.table.places().held()
    }

    /// How many handshakes have given way to newer ones since the limiter was made. If this grows while nobody attacks,
    /// the limits are too low.
    #[must_use]
    pub fn displaced(&self) -> u64 {
        self.table.displaced.load(Ordering::Relaxed)
    }

    /// How many handshakes were not complete by the deadline since the limiter was made.
    #[must_use]
    pub fn timed_out(&self) -> u64 {
        self.table.timed_out.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for HandshakeLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandshakeLimiter")
            .field("total", &self.settings.total)
            .field("per_address", &self.settings.per_address)
            .field("deadline", &self.settings.deadline)
            .field("pending", &self.pending())
            .field("displaced", &self.displaced())
            .field("timed_out", &self.timed_out())
            .finish()
    }
}

impl Table {
    /// No code of anybody else runs under the lock, so a poisoned one is as good as any.
    fn places(&self) -> MutexGuard<'_, Places<Origin, Holder>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one peer, to shake hands in: from [`HandshakeLimiter::admit`].
///
/// Dropping it gives the place back.
#[derive(Debug)]
#[must_use = "a permit that is dropped gives its place back, and limits nothing"]
pub struct HandshakePermit {
    address: PeerAddress,
    after: Duration,
    deadline: Instant,
    displaced: oneshot::Receiver<Infallible>,
    place: Place,
}

impl HandshakePermit {
    /// The address that the peer was admitted from.
    #[must_use]
    pub const fn address(&self) -> &PeerAddress {
        &self.address
    }

    /// Runs `handshake` in this place: until it is done, the deadline is over, or it has to give way to a newer one.
    ///
    /// In the last two cases the handshake is dropped where it stands and its stream with it; the peer sees the
    /// stream end. That it may have failed already, and was only giving the peer time to read why, is not told then. It may be any future: one that accepts TLS and then shakes hands, for instance, is limited as a
    /// whole. A permit that has had to give way before is as good as none, and its handshake is not even begun.
    ///
    /// Dropping the future gives the place back, and drops the handshake as well.
    ///
    /// # Errors
    /// [`Limited::Failed`] with what the handshake failed of, [`Limited::TimedOut`], or [`Limited::Displaced`].
    ///
    /// # Panics
    /// When it is polled, if there is no tokio runtime with a timer around it.
    pub fn run<T, E>(
        mut self,
        handshake: impl Future<Output = Result<T, E>>,
    ) -> impl Future<Output = Result<T, Limited<E>>> {
        // On the heap, once, and for no longer than it lasts. The future itself would have room for it twice, as what is
        // given and as what is polled, and the task that goes on with the connection would keep that room.
        let mut handshake = Box::pin(handshake);
        let mut begun = Begun::default();
        async move {
            let mut in_time = pin!(timeout_at(self.deadline, handshake.as_mut()));
            let ended = poll_fn(|cx| match Pin::new(&mut self.displaced).poll(cx) {
                Poll::Ready(_) => Poll::Ready(None),
                Poll::Pending => begun.look_while(|| in_time.as_mut().poll(cx)).map(Some),
            });
            match ended.await {
                Some(Ok(finished)) => finished.map_err(Limited::Failed),
                Some(Err(_)) => {
                    let cause = "it was not complete by the deadline of its place";
                    begun.drop_because(&self.address, cause, || drop(handshake));
                    self.place.table.timed_out.fetch_add(1, Ordering::Relaxed);
                    Err(Limited::TimedOut { after: self.after })
                }
                None => {
                    let cause = "it gave way to that of a newer peer";
                    begun.drop_because(&self.address, cause, || drop(handshake));
                    Err(Limited::Displaced)
                }
            }
        }
    }
}

/// Gives itself back.
struct Place {
    table: Arc<Table>,
    origin: Origin,
    ticket: Ticket,
}

impl Drop for Place {
    fn drop(&mut self) {
        let holder = self.table.places().free(&self.origin, self.ticket);
        // It is ours, and freed outside of the lock.
        drop(holder);
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("ticket", &self.ticket).finish_non_exhaustive()
    }
}

/// Why a handshake in a place of a [`HandshakeLimiter`] did not end in a connection.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Limited<E> {
    /// The handshake itself failed.
    #[error(transparent)]
    Failed(E),
    /// The handshake was not complete by the deadline.
    #[error("the handshake was not complete {after:?} after the peer was admitted")]
    TimedOut {
        /// The deadline, counted from the admission.
        after: Duration,
    },
    /// The handshake gave way to that of a newer peer.
    #[error("the handshake gave way to that of a newer peer: all places of its address, or all there are, were taken")]
    Displaced,
}

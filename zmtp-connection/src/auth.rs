//! Who judges a peer, what the judge sees, and what it may attach to the peer.
//!
//! ```text
//! mechanism ──Claim──► AuthRequest ──► Authenticator ──► Verdict ─┬─► mechanism: READY, ERROR or silence
//!            + domain, address                                    └─► Peer: user id, properties, address
//! ```

mod address;
mod allow_list;
mod credential_list;
mod request;

use std::fmt;
use std::future::{Future, ready};
use std::sync::Arc;

use zmtp_codec::Verdict;

pub use address::PeerAddress;
pub use allow_list::AllowList;
pub use credential_list::CredentialList;
pub use request::AuthRequest;

/// Decides which peers are let in.
///
/// One authenticator serves any number of connections at once, by reference. It is asked once about every connection that
/// would come about, whatever the mechanism and on whichever side: after the peer has proven who it is, if the mechanism
/// has proofs, and before anybody gets the connection. What is there to choose from:
///
/// | to | use |
/// |---|---|
/// | let in the keys on a list that changes | [`AllowList`] |
/// | let in the usernames and passwords on a list that changes | [`CredentialList`] |
/// | decide at once | [`decide`] |
/// | ask a database or another service | a closure `async` in its body, or a type of your own |
/// | let in everybody | [`AllowAny`] |
///
/// A closure has to name the type of its argument. Where one type has to stand for any closure, a
/// `Box<dyn Fn(AuthRequest) -> Pin<Box<dyn Future<Output = Verdict> + Send>> + Send + Sync>` is a closure too. `&A` is
/// none and need not be: everything here takes an authenticator by reference.
///
/// ```
/// use zmtp_connection::codec::Verdict;
/// use zmtp_connection::{AuthRequest, Authenticator};
///
/// struct Users(/* a pool of connections to a database */);
///
/// impl Users {
///     async fn name_of(&self, key: &[u8; 32]) -> Result<Option<String>, std::io::Error> {
///         Ok((key == &[7; 32]).then(|| "alice".into()))
///     }
/// }
///
/// impl Authenticator for Users {
///     async fn authenticate(&self, request: AuthRequest) -> Verdict {
///         let Some(key) = request.public_key() else { return Verdict::deny() };
///         match self.name_of(key).await {
///             Ok(Some(name)) => Verdict::accept_as(name),
///             Ok(None) => Verdict::deny(),
///             Err(_) => Verdict::try_later(),
///         }
///     }
/// }
/// ```
pub trait Authenticator: Sync {
    /// Judges one peer.
    ///
    /// It may take its time, which counts against the handshake timeout of that one connection; nobody else waits. When
    /// the time is over, or the handshake is given up, the future is dropped where it stands. A panic unwinds the task
    /// of that one connection, and the peer is not let in.
    ///
    /// What cannot be decided should be refused: by [`Verdict::try_later`] if trying again may help, else by
    /// [`Verdict::internal_error`].
    fn authenticate(&self, request: AuthRequest) -> impl Future<Output = Verdict> + Send;

    /// Where the peer comes from, if this authenticator was told ([`at`](Self::at)). It becomes
    /// [`Peer::address`](crate::Peer::address).
    ///
    /// An authenticator that wraps another one passes the other's answer on.
    fn address(&self) -> Option<&PeerAddress> {
        None
    }

    /// This authenticator for a peer that comes from `address`: a connection knows no addresses by itself.
    ///
    /// ```
    /// # use std::net::SocketAddr;
    /// use zmtp_connection::{AllowAny, Authenticator};
    ///
    /// let address: SocketAddr = "192.0.2.1:5555".parse().unwrap(); // as from `accept`
    /// let judge = AllowAny.at(address);
    /// assert_eq!(judge.address().unwrap().to_string(), "192.0.2.1:5555");
    /// ```
    fn at(&self, address: impl Into<PeerAddress>) -> At<'_, Self> {
        At { judge: self, address: address.into() }
    }
}

/// Any function from the request to a future of the verdict.
impl<F, Fut> Authenticator for F
where
    F: Fn(AuthRequest) -> Fut + Sync + ?Sized,
    Fut: Future<Output = Verdict> + Send,
{
    fn authenticate(&self, request: AuthRequest) -> impl Future<Output = Verdict> + Send {
        self(request)
    }
}

impl<A: Authenticator + Send + ?Sized> Authenticator for Arc<A> {
    fn authenticate(&self, request: AuthRequest) -> impl Future<Output = Verdict> + Send {
        A::authenticate(self, request)
    }

    fn address(&self) -> Option<&PeerAddress> {
        A::address(self)
    }
}

/// Lets in every peer, and attaches nothing to it.
///
/// That is what a client wants under a mechanism which proves the server's key to it, and whoever speaks NULL to
/// everybody. Under a mechanism with keys this is, for a server, encryption without authentication of clients: a peer has
/// proven that it has some key, and any key will do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whatever it is told, its answer is the same")]
pub struct AllowAny;

impl Authenticator for AllowAny {
    fn authenticate(&self, _request: AuthRequest) -> impl Future<Output = Verdict> + Send {
        ready(Verdict::accept())
    }
}

/// An authenticator that decides at once.
///
/// ```
/// use zmtp_connection::codec::Verdict;
/// use zmtp_connection::{AuthRequest, decide};
///
/// let local = decide(|request| match request.address().and_then(|address| address.ip()) {
///     Some(ip) if ip.is_loopback() => Verdict::accept(),
///     _ => Verdict::deny(),
/// });
/// ```
///
/// `judge` runs on the task of the connection: what blocks (a file, a lock that is held for long) holds up the others
/// on its thread and belongs into an asynchronous one.
pub const fn decide<F>(judge: F) -> impl Authenticator
where
    F: Fn(&AuthRequest) -> Verdict + Sync,
{
    Decide(judge)
}

struct Decide<F>(F);

impl<F> Authenticator for Decide<F>
where
    F: Fn(&AuthRequest) -> Verdict + Sync,
{
    fn authenticate(&self, request: AuthRequest) -> impl Future<Output = Verdict> + Send {
        ready((self.0)(&request))
    }
}

/// An authenticator that was told where the peer comes from: see [`Authenticator::at`].
pub struct At<'a, A: ?Sized> {
    judge: &'a A,
    address: PeerAddress,
}

impl<A: Authenticator + ?Sized> Authenticator for At<'_, A> {
    fn authenticate(&self, request: AuthRequest) -> impl Future<Output = Verdict> + Send {
        // Of two addresses the outer one counts, here and in `address`.
        let told = request.address().is_some();
        self.judge.authenticate(if told { request } else { request.with_address(self.address.clone()) })
    }

    fn address(&self) -> Option<&PeerAddress> {
        Some(&self.address)
    }
}

impl<A: ?Sized> Clone for At<'_, A> {
    fn clone(&self) -> Self {
        Self { judge: self.judge, address: self.address.clone() }
    }
}

impl<A: ?Sized> fmt::Debug for At<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("At").field("address", &self.address).finish_non_exhaustive()
    }
}

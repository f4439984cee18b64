//! Streams in memory whose every octet the test decides about, and futures polled by hand.
#![allow(dead_code, reason = "every test file uses its own part of this")]

mod pipe;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use zmtp_connection::codec::{Mechanism, SocketType, Verdict};
use zmtp_connection::{AllowAny, AuthRequest, Authenticator, Connection, ConnectionConfig, Null, PeerAddress};

pub(crate) use pipe::{End, Pipe, ends};

use crate::support::wire;

/// Polls once, with a waker that does nothing.
pub(crate) fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Polls a future that can always go on, to its end.
pub(crate) fn drive<F: Future>(future: F) -> F::Output {
    complete_within(1_000_000, future).expect("a future that can go on does not finish")
}

/// Polls a future at most `polls` times, then drops it.
pub(crate) fn complete_within<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    (0..polls).find_map(|_| match poll_once(future.as_mut()) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    })
}

/// What a peer written by hand hears behind our greeting. Who is let in keeps the stream open, so it listens for half a
/// second of a paused clock; what it was sent is there by then.
pub(crate) async fn heard(peer: &mut End) -> Vec<u8> {
    let mut octets = vec![0; 64];
    peer.read_exact(&mut octets).await.unwrap();
    octets.clear();
    let _ = tokio::time::timeout(Duration::from_millis(500), peer.read_to_end(&mut octets)).await;
    octets
}

/// A waker that counts how often it is woken.
#[derive(Debug, Default)]
pub(crate) struct Bell(AtomicUsize);

impl Bell {
    pub(crate) fn new() -> (Arc<Self>, Waker) {
        let bell = Arc::new(Self::default());
        (Arc::clone(&bell), Waker::from(bell))
    }

    pub(crate) fn rung(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Two connections of ours over memory, and the pipes between them: from the first to the second, and back.
pub(crate) struct Pair<A: Mechanism, B: Mechanism> {
    pub(crate) a: Connection<End, A>,
    pub(crate) b: Connection<End, B>,
    pub(crate) a_to_b: Pipe,
    pub(crate) b_to_a: Pipe,
}

pub(crate) async fn pair<A: Mechanism, B: Mechanism>(
    a: (&ConnectionConfig, &A),
    b: (&ConnectionConfig, &B),
) -> Pair<A, B> {
    let (ours, theirs) = ends();
    let (a_to_b, b_to_a) = (theirs.incoming().clone(), ours.incoming().clone());
    let (a, b) = tokio::join!(
        Connection::handshake_with(ours, a.0, a.1, &AllowAny),
        Connection::handshake_with(theirs, b.0, b.1, &AllowAny),
    );
    Pair { a: a.unwrap(), b: b.unwrap(), a_to_b, b_to_a }
}

/// A NULL connection of ours with a peer written by hand at the other end, after the handshake.
pub(crate) async fn with_peer(config: &ConnectionConfig, peer: SocketType) -> (Connection<End, Null>, End) {
    with_peer_of(config, peer, wire::GREETING).await
}

/// As [`with_peer`], for a peer with this greeting.
pub(crate) async fn with_peer_of(
    config: &ConnectionConfig,
    peer: SocketType,
    greeting: [u8; 64],
) -> (Connection<End, Null>, End) {
    let (ours, theirs) = ends();
    theirs.put(&greeting);
    theirs.put(&wire::ready(peer.as_str()));
    let connection = Connection::handshake(ours, config, &Null::new()).await.unwrap();
    theirs.taken();
    (connection, theirs)
}

/// An authenticator that counts how often it is asked and leaves the answer to another one.
pub(crate) struct Counting<'a, A: ?Sized> {
    judge: &'a A,
    asked: AtomicUsize,
}

impl<'a, A: ?Sized> Counting<'a, A> {
    pub(crate) const fn new(judge: &'a A) -> Self {
        Self { judge, asked: AtomicUsize::new(0) }
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl<A: Authenticator + ?Sized> Authenticator for Counting<'_, A> {
    fn authenticate(&self, request: AuthRequest) -> impl Future<Output = Verdict> + Send {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.judge.authenticate(request)
    }

    fn address(&self) -> Option<&PeerAddress> {
        self.judge.address()
    }
}

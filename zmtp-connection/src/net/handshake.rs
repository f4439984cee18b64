//! The handshake on a stream: reading and writing at once, under one deadline.

use core::time::Duration;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use zeroize::Zeroizing;
use zmtp_codec::{Handshake, Mechanism, Sealer, Verdict};

use super::clock;
use super::linger::say_last_words;
use super::reader::poll_read_buf;
use super::trace::Watch;
use crate::auth::{AuthRequest, Authenticator};
use crate::config::ConnectionConfig;
use crate::error::{HandshakeCause, HandshakeError, Stage};
use crate::proto::{Authorize, Encoder, Establish, Established, Outcome};

type Ready<M> =
    Established<<<M as Mechanism>::Handshake as Handshake>::Sealer, <<M as Mechanism>::Handshake as Handshake>::Opener>;

/// Runs the handshake within the configured time. A peer that fails is told so, gently, and the stream is closed. An
/// operator is told as well, unless it is a `quiet` one.
pub(super) async fn run<T, M, A>(
    io: T,
    config: &ConnectionConfig,
    mechanism: &M,
    authenticator: Option<&A>,
    quiet: bool,
) -> Result<(T, Ready<M>), HandshakeError>
where
    T: AsyncRead + AsyncWrite + Unpin,
    M: Mechanism,
    A: Authenticator + ?Sized,
{
    // A runtime without a timer panics here, on every connection, rather than later when a peer announces a TTL.
    drop(tokio::time::sleep(Duration::ZERO));
    let address = authenticator.and_then(A::address);
    let watch = Watch::new(mechanism.name(), address);
    let mut watch = if quiet { watch.quiet() } else { watch };
    let mut driver = Driver { io, unflushed: false, broken: None };
    let finished = match config.handshake_timeout() {
        None => driver.drive(config, mechanism, authenticator, &mut watch).await,
        Some(after) => match timeout(after, driver.drive(config, mechanism, authenticator, &mut watch)).await {
            Ok(finished) => finished,
            Err(_) => Err((HandshakeError::new(watch.stage, HandshakeCause::TimedOut { after }), LastWords::default())),
        },
    };
    match finished {
        Ok(mut established) => {
            if let Some(address) = address {
                established.peer.set_address(address.clone());
            }
            watch.complete(&established.peer);
            Ok((driver.io, established))
        }
        Err((error, last_words)) => {
            watch.failed(&error);
            if !last_words.is_empty() {
                say_last_words(driver.io, &last_words).await;
            }
            Err(error)
        }
    }
}

struct Driver<T> {
    io: T,
    unflushed: bool,
    /// Writing has failed. What the peer sent before that (an ERROR perhaps) is still read.
    broken: Option<io::Error>,
}

/// A failure, and what the peer should hear of it.
type Failed = (HandshakeError, LastWords);

/// What was to be sent before is among them, and may have a password in it.
type LastWords = Zeroizing<Vec<u8>>;

impl<T: AsyncRead + AsyncWrite + Unpin> Driver<T> {
    async fn drive<M, A>(
        &mut self,
        config: &ConnectionConfig,
        mechanism: &M,
        authenticator: Option<&A>,
        watch: &mut Watch<'_>,
    ) -> Result<Ready<M>, Failed>
    where
        M: Mechanism,
        A: Authenticator + ?Sized,
    {
        let mut outcome = Establish::new(config, mechanism).advance(clock::now());
        loop {
            outcome = match outcome {
                Outcome::Pending(mut establish) => {
                    watch.stage = establish.stage();
                    let read = poll_fn(|cx| self.poll_exchange(&mut establish, cx)).await;
                    read.map_err(|cause| (HandshakeError::new(watch.stage, cause), LastWords::default()))?;
                    establish.advance(clock::now())
                }
                Outcome::Authorize(mut authorize) => {
                    let request = authorize.request();
                    watch.asks(&request);
                    let failed = |cause| (HandshakeError::new(Stage::Authorization, cause), LastWords::default());
                    // The peer is not kept waiting for what is already said.
                    let written = poll_fn(|cx| self.poll_write_all(&mut authorize, cx)).await;
                    written.map_err(|error| failed(HandshakeCause::Io(error)))?;
                    let authenticator = authenticator.ok_or_else(|| failed(HandshakeCause::NoAuthenticator))?;
                    let verdict = ask(authenticator, request).await;
                    authorize.decide(verdict, clock::now())
                }
                Outcome::Ready(mut established) => {
                    // The end of our handshake may still wait, and its time runs. If it cannot be written, the first
                    // to send or receive sees it.
                    let _ = poll_fn(|cx| self.poll_write_all(&mut established.encoder, cx)).await;
                    let Some(authenticator) = authenticator.filter(|_| !established.judged) else {
                        return Ok(established);
                    };
                    // The mechanism lets in whoever comes this far. Who has brought an authenticator is asked all the same.
                    let request = established.request(config);
                    watch.asks(&request);
                    let verdict = ask(authenticator, request).await;
                    return established
                        .decide(verdict)
                        .map_err(|failure| (failure.error, LastWords::new(failure.last_words)));
                }
                Outcome::Failed(failure) => return Err((failure.error, LastWords::new(failure.last_words))),
            };
        }
    }

    /// Writes what there is to write, and waits for octets. Both at once: two peers that each wrote first, over a
    /// stream with little memory of its own, would wait for each other.
    fn poll_exchange<M: Mechanism>(
        &mut self,
        establish: &mut Establish<'_, M>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), HandshakeCause>> {
        if self.broken.is_none()
            && let Poll::Ready(Err(error)) = self.poll_write_all(establish, cx)
        {
            self.broken = Some(error);
        }
        match poll_read_buf(&mut self.io, cx, &mut establish.receive_buffer()) {
            Poll::Ready(Ok(0)) => Poll::Ready(Err(match self.broken.take() {
                Some(error) => HandshakeCause::Io(error),
                None => HandshakeCause::Closed,
            })),
            Poll::Ready(Ok(_)) => Poll::Ready(Ok(())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(HandshakeCause::Io(error))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn poll_write_all(&mut self, source: &mut impl Transmit, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !source.transmit().is_empty() {
            let count = std::task::ready!(Pin::new(&mut self.io).poll_write(cx, source.transmit()))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            source.transmitted(count);
            self.unflushed = true;
        }
        if self.unflushed {
            std::task::ready!(Pin::new(&mut self.io).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }
}

/// Has the peer judged, by all that is known of it.
async fn ask<A: Authenticator + ?Sized>(authenticator: &A, request: AuthRequest) -> Verdict {
    let request = match authenticator.address() {
        Some(address) => request.with_address(address.clone()),
        None => request,
    };
    authenticator.authenticate(request).await
}

/// A state of the handshake that has octets to write.
trait Transmit {
    fn transmit(&self) -> &[u8];
    fn transmitted(&mut self, count: usize);
}

macro_rules! transmit {
    ($($kind:ident),*) => {$(
        impl<M: Mechanism> Transmit for $kind<'_, M> {
            fn transmit(&self) -> &[u8] {
                $kind::transmit(self)
            }

            fn transmitted(&mut self, count: usize) {
                $kind::transmitted(self, count);
            }
        }
    )*};
}
transmit!(Establish, Authorize);

impl<S: Sealer> Transmit for Encoder<S> {
    fn transmit(&self) -> &[u8] {
        self.chunks().next().unwrap_or_default()
    }

    fn transmitted(&mut self, count: usize) {
        self.advance(count);
    }
}

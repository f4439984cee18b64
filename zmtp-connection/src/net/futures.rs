//! Connections and halves as `Stream` and `Sink`, for combinators.
//!
//! One task drives a whole connection in both directions, since its stream remembers one waker. So `StreamExt::split`
//! is not for it: its own `split` and `into_split` make halves for two tasks.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_sink::Sink;
use tokio::io::{AsyncRead, AsyncWrite};
use zmtp_codec::Mechanism;

use super::api::Push;
use super::connection::Connection;
use super::split::{Receiver, Sender};
use crate::error::{DecodeError, RecvError, SendError};
use crate::event::Event;
use crate::message::AsMessage;

/// The stream ends after its first error, and at the end of the connection.
fn item(received: Result<Option<Event>, RecvError>) -> Option<Result<Event, RecvError>> {
    match received {
        Err(RecvError::Protocol(DecodeError::Poisoned)) => None,
        other => other.transpose(),
    }
}

// Sealers and openers are never pinned in place, whatever they are.
impl<T: Unpin, M: Mechanism> Unpin for Connection<T, M> {}
impl<R: Unpin, M: Mechanism> Unpin for Receiver<R, M> {}
impl<W: Unpin, M: Mechanism> Unpin for Sender<W, M> {}

macro_rules! streams {
    ($kind:ident<$io:ident: $($bound:path),+>) => {
        /// For a whole connection: one task drives `Stream` and `Sink`. Split it with its own methods, not with
        /// `StreamExt::split`.
        impl<$io: $($bound +)+ Unpin, M: Mechanism> Stream for $kind<$io, M> {
            type Item = Result<Event, RecvError>;

            fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
                self.get_mut().poll_recv(cx).map(item)
            }
        }
    };
}
streams!(Connection<T: AsyncRead, AsyncWrite>);
streams!(Receiver<R: AsyncRead>);

macro_rules! sinks {
    ($kind:ident<$io:ident: $($bound:path),+>) => {
        impl<$io: $($bound +)+ Unpin, M: Mechanism, X: AsMessage> Sink<X> for $kind<$io, M> {
            type Error = SendError;

            /// Ready while fewer octets wait than the high-water mark.
            fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
                let this = self.get_mut();
                if this.has_room() { Poll::Ready(Ok(())) } else { this.poll_flush(cx) }
            }

            fn start_send(self: Pin<&mut Self>, message: X) -> Result<(), SendError> {
                let this = self.get_mut();
                // Room that was promised is there, unless the other half has just taken it for the answer to a PING.
                let push = if this.has_room() { Push::Reserved(&message) } else { Push::Message(&message) };
                Ok(this.push(&push)?)
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
                $kind::poll_flush(self.get_mut(), cx)
            }

            /// Flushes and closes the sending direction.
            fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
                let this = self.get_mut();
                ready!($kind::poll_flush(this, cx))?;
                this.poll_shutdown(cx)
            }
        }
    };
}
sinks!(Connection<T: AsyncRead, AsyncWrite>);
sinks!(Sender<W: AsyncWrite>);

//! ZAP handlers: one by hand, which gives everybody the same answer, and the library's.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use zmtp_connection::codec::SocketType;
use zmtp_connection::{Authenticator, Connection, ConnectionConfig, Event, Null, zap};

use crate::cat::PATIENCE;
use crate::raw;

/// Version, status, status text, user id and metadata.
type Answer = [&'static str; 5];

pub(crate) const LET_IN: Answer = ["1.0", "200", "OK", "carol", ""];
pub(crate) const DENIED: Answer = ["1.0", "400", "no such user", "", ""];

/// A handler; gone when dropped.
pub(crate) struct Handler {
    pub(crate) endpoint: String,
    asked: Receiver<Vec<Vec<u8>>>,
    _runtime: Runtime,
}

impl Handler {
    /// Gives this answer to whatever it is asked over TCP.
    pub(crate) fn that_says(answer: Answer) -> Self {
        let (listener, endpoint) = raw::listener();
        let (asks, asked) = channel();
        let runtime = Runtime::new().unwrap();
        let listener = at(&runtime, listener);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(repeat(stream, answer, asks.clone()));
            }
        });
        Self { endpoint, asked, _runtime: runtime }
    }

    /// The same at a path.
    #[cfg(unix)]
    pub(crate) fn at_path(path: &std::path::Path, answer: Answer) -> Self {
        let (asks, asked) = channel();
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(async { tokio::net::UnixListener::bind(path) }).unwrap();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(repeat(stream, answer, asks.clone()));
            }
        });
        Self { endpoint: format!("ipc://{}", path.display()), asked, _runtime: runtime }
    }

    /// The library's own handler, with this judge.
    pub(crate) fn of(judge: impl Authenticator + Send + 'static) -> Self {
        let (listener, endpoint) = raw::listener();
        let runtime = Runtime::new().unwrap();
        let listener = at(&runtime, listener);
        let judge = Arc::new(judge);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let judge = Arc::clone(&judge);
                tokio::spawn(async move { zap::serve(shake_hands(stream).await, judge).await });
            }
        });
        Self { endpoint, asked: channel().1, _runtime: runtime }
    }

    /// The next question: version, domain, address, identity, mechanism, and the credentials.
    pub(crate) fn asked(&self) -> Vec<Vec<u8>> {
        let mut question = self.asked.recv_timeout(PATIENCE).unwrap();
        assert_eq!(question.remove(0), b"", "the delimiter");
        // Whatever the request id is.
        question.remove(1);
        question
    }
}

fn at(runtime: &Runtime, listener: std::net::TcpListener) -> TcpListener {
    listener.set_nonblocking(true).unwrap();
    let _inside = runtime.enter();
    TcpListener::from_std(listener).unwrap()
}

async fn shake_hands<T: AsyncRead + AsyncWrite + Unpin>(stream: T) -> Connection<T, Null> {
    Connection::handshake(stream, &ConnectionConfig::new(SocketType::Rep), &Null::new()).await.unwrap()
}

async fn repeat<T: AsyncRead + AsyncWrite + Unpin>(stream: T, answer: Answer, asks: Sender<Vec<Vec<u8>>>) {
    let mut connection = shake_hands(stream).await;
    while let Ok(Some(Event::Message(question))) = connection.recv().await {
        let parts: Vec<_> = question.parts().iter().map(|part| part.to_vec()).collect();
        let id = parts[2].clone();
        let [version, status, text, user, metadata] = answer.map(|part| part.as_bytes().to_vec());
        asks.send(parts).unwrap();
        connection.send(&vec![Vec::new(), version, id, status, text, user, metadata]).await.unwrap();
    }
}

//! A ZAP handler (RFC 27) in the context of a libzmq socket: a REP socket on a thread that ends with the context.

use std::convert::Infallible;

use tokio::sync::mpsc;
use zmtp_bench::peers::libzmq::{Context, Socket, SocketKind, SocketOption, ZmqError};

use crate::theirs::within;

/// A request: version, number, domain, address, identity, mechanism, and the credentials if there are any.
pub(crate) type Request = Vec<Vec<u8>>;

/// What a handler answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) status: &'static str,
    pub(crate) user: &'static str,
}

impl Answer {
    /// Lets in a user.
    pub(crate) const fn user(user: &'static str) -> Self {
        Self { status: "200", user }
    }

    /// A status alone, whatever it means.
    pub(crate) const fn status(status: &'static str) -> Self {
        Self { status, user: "" }
    }
}

/// What there is to see of a handler.
#[derive(Debug)]
pub(crate) struct Handler {
    requests: mpsc::UnboundedReceiver<Request>,
}

impl Handler {
    /// Answers every request of this context from now on.
    pub(crate) fn start(context: &Context, answer: impl FnMut(&Request) -> Answer + Send + 'static) -> Self {
        let socket = context.background().socket(SocketKind::Rep).unwrap();
        // For ever: the end of the context ends it.
        socket.set_option_int(SocketOption::RCVTIMEO, -1).unwrap();
        socket.bind("inproc://zeromq.zap.01").unwrap();
        let (asked, requests) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            let Err(error) = serve(&socket, answer, &asked);
            assert!(error.is_terminated(), "{error}");
        });
        Self { requests }
    }

    /// The next request that was answered.
    pub(crate) async fn asked(&mut self) -> Request {
        within("a request of libzmq's", self.requests.recv()).await.unwrap()
    }
}

fn serve(
    socket: &Socket,
    mut answer: impl FnMut(&Request) -> Answer,
    asked: &mpsc::UnboundedSender<Request>,
) -> Result<Infallible, ZmqError> {
    loop {
        let request = socket.recv()?;
        let Answer { status, user } = answer(&request);
        socket.send(&[b"1.0", &request[1], status.as_bytes(), b"", user.as_bytes(), b""])?;
        // Not everybody looks at what was asked.
        let _ = asked.send(request);
    }
}

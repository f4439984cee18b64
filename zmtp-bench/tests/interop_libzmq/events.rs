//! What libzmq's monitor tells of an attempt to connect, in order and to its end.

use std::sync::{Arc, Mutex};

use tokio::net::TcpListener;
use zmtp_bench::peers::libzmq::EventKind;

use crate::theirs::Theirs;

/// All that a connecting libzmq reports from one attempt to connect: the last of it is that the handshake has
/// succeeded, or that the connection is gone.
pub(crate) async fn attempt(theirs: &mut Theirs) -> Vec<EventKind> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&seen);
    let ended = theirs.event_where(move |event| {
        record.lock().unwrap().push(event.kind);
        matches!(event.kind, EventKind::HandshakeSucceeded | EventKind::Disconnected)
    });
    ended.await.unwrap_or_else(|events| panic!("no end but {events:?}"));
    let mut seen = std::mem::take(&mut *seen.lock().unwrap());
    // Whether connecting takes so long that it is reported depends on the system.
    seen.retain(|kind| *kind != EventKind::ConnectDelayed);
    seen
}

/// Whether a libzmq that was disconnected tries again.
///
/// It says so as soon as it has said that it is disconnected, in one turn of its I/O thread. So it is given another
/// place to connect to, and when it has got there, all it had to say of the first is said: nothing is waited for in vain.
pub(crate) async fn comes_back(theirs: &mut Theirs) -> bool {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    theirs.connect_to(&elsewhere);
    let other = format!("tcp://{}", elsewhere.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&seen);
    let connected = theirs.event_where(move |event| {
        record.lock().unwrap().push(event.clone());
        event.kind == EventKind::Connected && event.address == other
    });
    connected.await.unwrap_or_else(|events| panic!("not connected but {events:?}"));
    let seen = seen.lock().unwrap();
    seen.iter().any(|event| event.kind == EventKind::ConnectRetried)
}

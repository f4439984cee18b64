//! That passwords travel in the clear is said once in the life of a process, so this is a process of its own.
#![cfg(all(feature = "net", feature = "plain", feature = "tracing"))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use zmtp_connection::codec::{AnyMechanism, SocketType, Verdict};
use zmtp_connection::{
    Authenticator, Connection, ConnectionConfig, PlainClient, PlainCredentials, PlainServer, decide,
};

/// Writes down the warnings.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() == tracing::Level::WARN {
            let mut said = Fields(String::new());
            event.record(&mut said);
            self.0.lock().unwrap().push(said.0);
        }
    }
}

struct Fields(String);

impl tracing::field::Visit for Fields {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn Debug) {
        self.0 += &format!("{field}={value:?} ");
    }
}

async fn connect_from(address: &str, mechanism: &AnyMechanism) {
    let address: SocketAddr = address.parse().unwrap();
    let (ours, theirs) = tokio::io::duplex(1024);
    let client = PlainClient::new(PlainCredentials::new("alice", "hunter2").unwrap());
    let (pull, push) = (ConnectionConfig::new(SocketType::Pull), ConnectionConfig::new(SocketType::Push));
    let judge = decide(|_| Verdict::accept());
    let judge = judge.at(address);
    let (ours, theirs) = tokio::join!(
        Connection::handshake_with(ours, &pull, mechanism, &judge),
        Connection::handshake(theirs, &push, &client)
    );
    assert!(ours.is_ok() && theirs.is_ok());
}

#[tokio::test]
async fn passwords_in_the_clear_are_warned_of_once_and_not_on_this_machine() {
    let warnings = Warnings::default();
    let _guard = tracing_subscriber::registry().with(warnings.clone()).set_default();
    let plain = AnyMechanism::new(PlainServer::new());
    for local in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
        connect_from(local, &plain).await;
        assert!(warnings.0.lock().unwrap().is_empty(), "{local}");
    }
    for far in ["192.0.2.1:1", "192.0.2.2:1", "[2001:db8::1]:1"] {
        connect_from(far, &plain).await;
    }
    let said = warnings.0.lock().unwrap();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("passwords travel in the clear") && said[0].contains("address=192.0.2.1:1"), "{said:?}");
}

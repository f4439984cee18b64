//! Two peers in one process shake hands over loopback TCP and talk, with an account of what happens.
//!
//! ```text
//! cargo run -p zmtp-connection --example tour --features plain,curve,blake3
//! ```
//!
//! Without these features it leaves PLAIN, CURVE and BLAKE3 out.

use std::error::Error;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
#[cfg(any(feature = "plain", feature = "curve", feature = "blake3"))]
use zmtp_connection::codec::Mechanism;
use zmtp_connection::codec::{AnyMechanism, SocketType};
use zmtp_connection::{
    AllowAny, AsMessage, Authenticator, Connection, ConnectionConfig, EventRef, HeartbeatConfig, Null,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    println!("A tour of zmtp: a DEALER and a ROUTER, each mechanism in turn.\n");
    let null = || AnyMechanism::new(Null::new());
    println!("NULL");
    talk(null(), null(), AllowAny).await?;
    #[cfg(feature = "plain")]
    plain::show().await?;
    #[cfg(feature = "curve")]
    curve::show().await?;
    #[cfg(feature = "blake3")]
    blake3::show().await?;
    incompatible().await?;
    println!("\nThat was all of it: greeting, handshake, messages, heartbeats, goodbye.");
    Ok(())
}

/// A connection from its first octet to its last. The server lets in whom `judge` lets in.
async fn talk<A>(server: AnyMechanism, client: AnyMechanism, judge: A) -> Result<(), Box<dyn Error>>
where
    A: Authenticator + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    say("listening", format!("ROUTER on {address}"));

    let router = tokio::spawn(async move {
        let (stream, address) = listener.accept().await?;
        let config = ConnectionConfig::new(SocketType::Router);
        let mut router = Connection::handshake_with(stream, &config, &server, &judge.at(address)).await?;
        say("router", describe(&router));
        // Every message goes back as it came; here it is lent, so nothing is copied until it is queued again.
        while let Some(event) = router.recv_ref().await? {
            if let EventRef::Message(message) = event {
                let echo = message.to_message();
                router.send(&echo).await?;
            }
        }
        say("router", "the peer has closed, cleanly");
        Ok::<_, Box<dyn Error + Send + Sync>>(())
    });

    let config = ConnectionConfig::builder(SocketType::Dealer)
        .identity("tourist")
        .property("X-Purpose", "sightseeing")
        .heartbeat(HeartbeatConfig::every(Duration::from_millis(50)).ttl(Duration::from_secs(1)))
        .build()?;
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut dealer = Connection::handshake(stream, &config, &client).await?;
    say("dealer", describe(&dealer));

    round_trip(&mut dealer, "one part", "hello").await?;
    round_trip(&mut dealer, "three parts, one of them empty", &["envelope", "", "body"]).await?;
    round_trip(&mut dealer, "a large part", &vec![0x2a; 1 << 20]).await?;

    const BATCH: u32 = 10_000;
    let started = Instant::now();
    for number in 0..BATCH {
        dealer.feed(&number.to_be_bytes())?;
    }
    dealer.flush().await?;
    for _ in 0..BATCH {
        dealer.recv_ref().await?;
    }
    say("dealer", format!("{BATCH} messages fed, flushed in one go, and back after {:.0?}", started.elapsed()));

    // Heartbeats run while somebody receives; nothing will come, so this ends by its time.
    let _ = tokio::time::timeout(Duration::from_millis(120), dealer.recv()).await;
    match dealer.rtt() {
        Some(rtt) => say("dealer", format!("PING answered after {rtt:.0?}")),
        None => say("dealer", "no PING was answered"),
    }
    dealer.close().await?;
    router.await?.map_err(|error| error.to_string())?;
    Ok(())
}

/// What happens when the sockets do not fit together: the peer is told, and both sides know why.
async fn incompatible() -> Result<(), Box<dyn Error>> {
    println!("\nA PUB that connects to a PULL");
    let (ours, theirs) = tokio::io::duplex(1024);
    let (publisher, pull) = (ConnectionConfig::new(SocketType::Pub), ConnectionConfig::new(SocketType::Pull));
    let null = Null::new();
    let (publisher, pull) =
        tokio::join!(Connection::handshake(ours, &publisher, &null), Connection::handshake(theirs, &pull, &null));
    for (who, result) in [("publisher", publisher.err()), ("pull", pull.err())] {
        let Some(error) = result else { continue };
        say(who, format!("{error} (connecting again makes sense: {})", error.may_reconnect()));
    }
    Ok(())
}

/// What a server and a client say when the server does not let the client in.
#[cfg(any(feature = "plain", feature = "curve", feature = "blake3"))]
async fn refused<A: Authenticator>(
    server: &impl Mechanism,
    client: &impl Mechanism,
    guests: &A,
) -> Result<(), Box<dyn Error>> {
    let (ours, theirs) = tokio::io::duplex(1024);
    let (rep, req) = (ConnectionConfig::new(SocketType::Rep), ConnectionConfig::new(SocketType::Req));
    let (server, client) = tokio::join!(
        Connection::handshake_with(ours, &rep, server, guests),
        Connection::handshake(theirs, &req, client)
    );
    for (who, result) in [("server", server.err()), ("client", client.err())] {
        let error = result.ok_or("it was let in")?;
        say(who, format!("{error} (connecting again makes sense: {})", error.may_reconnect()));
    }
    Ok(())
}

async fn round_trip<M: AsMessage + ?Sized>(
    dealer: &mut Connection<TcpStream>,
    what: &str,
    message: &M,
) -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    dealer.send(message).await?;
    let Some(EventRef::Message(echo)) = dealer.recv_ref().await? else { return Err("no echo".into()) };
    let same = (0..message.part_count()).all(|index| echo.get(index) == Some(message.part(index).as_slice()));
    let verdict = if same && echo.part_count() == message.part_count() { "back unchanged" } else { "CHANGED" };
    say("dealer", format!("{what}: {echo:?}, {verdict} after {:.0?}", started.elapsed()));
    Ok(())
}

fn describe(connection: &Connection<TcpStream>) -> String {
    let peer = connection.peer();
    let extra: Vec<String> =
        peer.properties().iter().map(|(name, value)| format!("{name}={}", value.escape_ascii())).collect();
    let user = peer.user_id_str().map(|user| format!(", user {user}")).unwrap_or_default();
    format!(
        "ready: peer is a {} of ZMTP {}, mechanism {}, {}{user}; {}",
        peer.socket_type(),
        peer.version(),
        peer.mechanism(),
        if peer.is_encrypted() { "encrypted" } else { "in the clear" },
        extra.join(" "),
    )
}

fn say(who: &str, what: impl std::fmt::Display) {
    println!("  {who:<10} {what}");
}

/// A username and a password, and what it looks like when they are wrong.
#[cfg(feature = "plain")]
mod plain {
    use std::error::Error;

    use zmtp_connection::codec::AnyMechanism;
    use zmtp_connection::{CredentialList, PlainClient, PlainCredentials, PlainServer};

    use super::{refused, talk};

    pub(crate) async fn show() -> Result<(), Box<dyn Error>> {
        println!("\nPLAIN");
        let right = PlainCredentials::new("tourist", "open sesame")?;
        let guests = CredentialList::new([right.clone()]);
        let (server, client) = (PlainServer::new(), PlainClient::new(right));
        talk(AnyMechanism::new(server), AnyMechanism::new(client), guests.clone()).await?;

        println!("\nA PLAIN client with a wrong password");
        let wrong = PlainCredentials::new("tourist", "open barley")?;
        refused(&server, &PlainClient::new(wrong), &guests).await
    }
}

/// Keys on both sides, and what it looks like when they do not fit.
#[cfg(feature = "curve")]
mod curve {
    use std::error::Error;

    use zmtp_connection::codec::AnyMechanism;
    use zmtp_connection::{AllowList, CurveClient, CurveServer, KeyPair};

    use super::{refused, say, talk};

    pub(crate) async fn show() -> Result<(), Box<dyn Error>> {
        println!("\nCURVE");
        let (server_keys, client_keys) = (KeyPair::generate()?, KeyPair::generate()?);
        let (server_key, client_key) = (*server_keys.public_key(), *client_keys.public_key());
        say("keys", format!("server {server_key}"));
        say("keys", format!("client {client_key}"));
        let server = CurveServer::new(server_keys);
        let client = CurveClient::new(server_key, client_keys);
        let guests = AllowList::default();
        guests.insert_as(client_key, "tourist");
        talk(AnyMechanism::new(server.clone()), AnyMechanism::new(client.clone()), guests.clone()).await?;

        println!("\nA CURVE client that is not on the list");
        refused(&server, &CurveClient::anonymous(server_key)?, &guests).await?;
        println!("\nA CURVE client that expects another server");
        let other = *KeyPair::generate()?.public_key();
        refused(&server, &CurveClient::anonymous(other)?, &guests).await
    }
}

/// The same keys, under a mechanism of today's ciphers, where every frame is authenticated together with its place.
#[cfg(feature = "blake3")]
mod blake3 {
    use std::error::Error;

    use zmtp_connection::codec::AnyMechanism;
    use zmtp_connection::{AllowList, Blake3Client, Blake3Server, KeyPair};

    use super::{refused, say, talk};

    pub(crate) async fn show() -> Result<(), Box<dyn Error>> {
        println!("\nBLAKE3-CHACHAPOLY");
        let (server_keys, client_keys) = (KeyPair::generate()?, KeyPair::generate()?);
        let (server_key, client_key) = (*server_keys.public_key(), *client_keys.public_key());
        say("keys", format!("server {server_key}"));
        say("keys", format!("client {client_key}"));
        let server = Blake3Server::new(server_keys);
        let client = Blake3Client::new(server_key, client_keys);
        let guests = AllowList::default();
        guests.insert_as(client_key, "tourist");
        talk(AnyMechanism::new(server.clone()), AnyMechanism::new(client), guests.clone()).await?;

        println!("\nA BLAKE3-CHACHAPOLY client that is not on the list");
        refused(&server, &Blake3Client::anonymous(server_key)?, &guests).await?;
        println!("\nA BLAKE3-CHACHAPOLY client that expects another server");
        let other = *KeyPair::generate()?.public_key();
        refused(&server, &Blake3Client::anonymous(other)?, &guests).await
    }
}

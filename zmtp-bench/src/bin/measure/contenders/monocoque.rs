//! monocoque on tokio: sockets of one connection each, which the caller's task drives.

use super::{Contender, Kind};
use crate::drive::{End, Over};
use crate::job::{Job, Mechanism, Role, Scenario, Transport};
use crate::meeting::{Address, Meeting};
use anyhow::{Context as _, Result, bail, ensure};
use monocoque::rt::{LocalRuntime, TcpListener, TcpStream, spawn};
#[cfg(unix)]
use monocoque::rt::{UnixListener, UnixStream};
use monocoque::zmq::{DealerSocket, PubSocket, PullSocket, PushSocket, SubSocket, XPubSocket};
use monocoque::{Bytes, SocketOptions};
use std::future::Future;
use std::hint::black_box;
use std::io;
use std::slice;
use std::thread::available_parallelism;
use std::time::Instant;
use zmtp_connection::{KeyPair, SecretKey};

/// The most that one read asks for: as much as it can be told to.
const READ: usize = 64 * 1024;

pub(super) fn contenders() -> Vec<Contender> {
    // What is sent gathers in a buffer of 64 KiB until the caller flushes it; or each message is a write, which is the
    // default. Of two publishers one hands its messages to threads that write what waits, the other one writes each to
    // everybody in turn; they exist over TCP alone.
    let gathered = &[Scenario::Throughput, Scenario::RoundTrip, Scenario::Visits, Scenario::Idle][..];
    let modes = [
        ("coalescing", Kind::Batch, gathered, Transport::HERE, 1000),
        ("eager", Kind::Eager, &[Scenario::Throughput], Transport::HERE, 1000),
        ("pub", Kind::SelfFlushing, &[Scenario::FanOut], &[Transport::Tcp], 1000),
        // With more, everything takes longer than anybody would wait.
        ("xpub", Kind::Eager, &[Scenario::FanOut], &[Transport::Tcp], 100),
    ];
    let contender = |(mode, kind, scenarios, transports, connections)| Contender {
        peer: "monocoque",
        version: "0.4.2".to_owned(),
        mode,
        kind,
        scenarios,
        mechanisms: &[Mechanism::Null, Mechanism::Curve],
        transports,
        connections,
        open,
    };
    modes.into_iter().map(contender).collect()
}

fn open(job: &Job, mode: &'static str, role: Role, meeting: &Meeting) -> Result<End> {
    match (role, mode) {
        (Role::Publish, "pub") => return publisher(job, meeting),
        (Role::Publish, _) => return eager_publisher(job, meeting),
        _ => {}
    }
    match job.transport {
        Transport::Tcp => end::<TcpStream>(job, mode, role, meeting),
        #[cfg(unix)]
        Transport::Unix => end::<UnixStream>(job, mode, role, meeting),
        #[cfg(not(unix))]
        Transport::Unix => bail!("there are no Unix sockets here"),
    }
}

fn options(job: &Job, mode: &str, role: Role) -> Result<SocketOptions> {
    let options = SocketOptions::default().with_read_buffer_size(READ);
    // An answer must not wait for more: only a stream of messages is gathered.
    let options = options.with_write_coalescing(role == Role::Send && mode == "coalescing");
    let keys = |octet| Ok::<_, anyhow::Error>(KeyPair::from_secret(SecretKey::from_bytes([octet; 32])?));
    let with_keys = |octet: u8| {
        Ok::<_, anyhow::Error>(options.clone().with_curve_keypair(*keys(octet)?.public_key().as_bytes(), [octet; 32]))
    };
    match (job.mechanism, role.binds()) {
        (Mechanism::Null, _) => Ok(options),
        (Mechanism::Curve, true) => Ok(with_keys(1)?.with_curve_server(true)),
        (Mechanism::Curve, false) => Ok(with_keys(2)?.with_curve_serverkey(*keys(1)?.public_key().as_bytes())),
        (Mechanism::Blake3 | Mechanism::Blake3zmq, _) => bail!("monocoque does not know BLAKE3"),
    }
}

/// Its queues have no limit: at the limit a message is dropped, and there is no way to wait.
fn publisher(job: &Job, meeting: &Meeting) -> Result<End> {
    let Address::Tcp(address) = meeting.address() else { bail!("a publisher binds to TCP alone") };
    let options = options(job, "", Role::Publish)?.with_send_hwm(usize::MAX);
    // All cores but the one where the subscribers are.
    let threads = available_parallelism()?.get().max(2) - 1;
    let runtime = LocalRuntime::new()?;
    let mut socket = runtime.block_on(PubSocket::bind_with_workers_opts(address, threads, options))?;
    meeting.announce();
    // A subscriber gets everything before its subscriptions are known, so that nothing is missed.
    for _ in 0..job.connections {
        runtime.block_on(socket.accept_subscriber())?;
    }
    let payload = Bytes::from(vec![7; job.size]);
    Ok(Box::new(move |count, _: &Over| {
        runtime.block_on(async {
            for _ in 0..count {
                socket.send_frames(slice::from_ref(&payload)).await?;
            }
            ensure!(socket.drop_count() == 0, "messages were dropped");
            Ok(Vec::new())
        })
    }))
}

fn eager_publisher(job: &Job, meeting: &Meeting) -> Result<End> {
    let Address::Tcp(address) = meeting.address() else { bail!("a publisher binds to TCP alone") };
    // It tells of every subscription, not only of the first to something.
    let options = options(job, "", Role::Publish)?.with_xpub_verbose(true);
    let runtime = LocalRuntime::new()?;
    let mut socket = runtime.block_on(XPubSocket::bind_with_options(&address.to_string(), options))?;
    meeting.announce();
    runtime.block_on(async {
        for _ in 0..job.connections {
            socket.accept().await?;
        }
        let mut subscriptions = 0;
        while subscriptions < job.connections {
            subscriptions += usize::from(socket.recv_subscription().await?.is_some());
        }
        io::Result::Ok(())
    })?;
    let payload = Bytes::from(vec![7; job.size]);
    Ok(Box::new(move |count, _: &Over| {
        runtime.block_on(async {
            for _ in 0..count {
                socket.send(vec![payload.clone()]).await?;
            }
            Ok(Vec::new())
        })
    }))
}

fn end<S: Stream>(job: &Job, mode: &'static str, role: Role, meeting: &Meeting) -> Result<End> {
    let runtime = LocalRuntime::new()?;
    let payload = Bytes::from(vec![7; job.size]);
    let options = options(job, mode, role)?;
    let place = meeting.address().clone();
    let listener = if role.binds() { Some(runtime.block_on(S::bind(&place))?) } else { None };
    match &listener {
        Some(_) => meeting.announce(),
        None => meeting.wait(),
    }
    if let Role::Visit | Role::Host = role {
        return Ok(Box::new(move |count, _| {
            runtime.block_on(async {
                match &listener {
                    Some(listener) => host::<S>(listener, &options, count).await,
                    None => visit::<S>(&place, &options, &payload, count).await,
                }
            })
        }));
    }
    let stream = || async {
        match &listener {
            Some(listener) => S::accept(listener).await,
            None => S::connect(&place).await,
        }
    };
    let each = 0..job.connections;
    Ok(match role {
        Role::Send => {
            let open = async || S::push(stream().await?, options.clone()).await;
            let mut links = Links::new(runtime, each, open)?;
            Box::new(move |count, _: &Over| links.share(count, |link, count| send(link, payload.clone(), count)))
        }
        Role::Receive => {
            let open = async || S::pull(stream().await?, options.clone()).await;
            let mut links = Links::new(runtime, each, open)?;
            Box::new(move |count, _| links.share(count, receive))
        }
        Role::Subscribe => {
            let open = async || {
                let mut link = S::sub(stream().await?, options.clone()).await?;
                link.subscribe(b"").await?;
                Ok(link)
            };
            let mut links = Links::new(runtime, each, open)?;
            Box::new(move |count, _| links.each(|_| count, subscribe))
        }
        Role::Ask | Role::Echo => {
            let mut link = runtime.block_on(async { S::dealer(stream().await?, options.clone()).await })?;
            Box::new(move |count, _| {
                runtime.block_on(async {
                    match role {
                        Role::Ask => ask(&mut link, &payload, count).await,
                        _ => echo(&mut link, count).await,
                    }
                })
            })
        }
        Role::Publish | Role::Visit | Role::Host => bail!("{role:?} is done above"),
    })
}

/// Sockets of one connection each, and what drives them.
struct Links<L> {
    runtime: LocalRuntime,
    links: Vec<L>,
}

impl<L: 'static> Links<L> {
    fn new(runtime: LocalRuntime, each: std::ops::Range<usize>, open: impl AsyncFn() -> io::Result<L>) -> Result<Self> {
        let links = each.map(|_| runtime.block_on(open())).collect::<io::Result<_>>()?;
        Ok(Self { runtime, links })
    }

    /// Each connection moves its share of `count` messages.
    fn share<F>(&mut self, count: u64, work: impl Fn(L, u64) -> F) -> Result<Vec<u64>>
    where
        F: Future<Output = Result<L>> + 'static,
    {
        let others = self.links.len() as u64;
        self.each(|index| count / others + u64::from(index < count % others), work)
    }

    /// Each connection moves so many messages, on a task of its own.
    fn each<F>(&mut self, counts: impl Fn(u64) -> u64, work: impl Fn(L, u64) -> F) -> Result<Vec<u64>>
    where
        F: Future<Output = Result<L>> + 'static,
    {
        let links = std::mem::take(&mut self.links);
        self.links = self.runtime.block_on(async {
            let tasks: Vec<_> = (0..).zip(links).map(|(index, link)| spawn(work(link, counts(index)))).collect();
            let mut links = Vec::new();
            for task in tasks {
                links.push(task.await??);
            }
            anyhow::Ok(links)
        })?;
        Ok(Vec::new())
    }
}

async fn send<S: Stream>(mut link: PushSocket<S>, payload: Bytes, count: u64) -> Result<PushSocket<S>> {
    for _ in 0..count {
        link.send_one(payload.clone()).await?;
    }
    link.flush().await?;
    Ok(link)
}

/// Into a message that is used again, and without asking the runtime while there is something left of the last read.
async fn receive<S: Stream>(mut link: PullSocket<S>, count: u64) -> Result<PullSocket<S>> {
    let mut message = Vec::new();
    for _ in 0..count {
        if !link.try_recv_into(&mut message)? {
            ensure!(link.recv_into(&mut message).await?, "the other end is gone");
        }
        black_box(&message);
    }
    Ok(link)
}

async fn subscribe<S: Stream>(mut link: SubSocket<S>, count: u64) -> Result<SubSocket<S>> {
    let mut message = Vec::new();
    for _ in 0..count {
        if !link.try_recv_into(&mut message)? {
            ensure!(link.recv_into(&mut message).await?, "the other end is gone");
        }
        black_box(&message);
    }
    Ok(link)
}

async fn ask<S: Stream>(link: &mut DealerSocket<S>, payload: &Bytes, count: u64) -> Result<Vec<u64>> {
    let mut message = Vec::new();
    let mut took = Vec::new();
    for _ in 0..count {
        let begun = Instant::now();
        link.send(vec![payload.clone()]).await?;
        ensure!(link.recv_into(&mut message).await?, "the other end is gone");
        took.push(u64::try_from(begun.elapsed().as_nanos())?);
    }
    Ok(took)
}

async fn echo<S: Stream>(link: &mut DealerSocket<S>, count: u64) -> Result<Vec<u64>> {
    for _ in 0..count {
        let message = link.recv().await?.context("the other end is gone")?;
        link.send(message).await?;
    }
    Ok(Vec::new())
}

async fn host<S: Stream>(listener: &S::Listener, options: &SocketOptions, count: u64) -> Result<Vec<u64>> {
    for _ in 0..count {
        let mut link = S::dealer(S::accept(listener).await?, options.clone()).await?;
        echo(&mut link, 1).await?;
    }
    Ok(Vec::new())
}

async fn visit<S: Stream>(place: &Address, options: &SocketOptions, payload: &Bytes, count: u64) -> Result<Vec<u64>> {
    let mut took = Vec::new();
    for _ in 0..count {
        let begun = Instant::now();
        let mut link = S::dealer(S::connect(place).await?, options.clone()).await?;
        ask(&mut link, payload, 1).await?;
        took.push(u64::try_from(begun.elapsed().as_nanos())?);
    }
    Ok(took)
}

/// A stream over either transport, and the sockets that are made of it.
trait Stream: compio_io::AsyncRead + compio_io::AsyncWrite + Unpin + Sized + 'static {
    type Listener: 'static;

    async fn bind(place: &Address) -> Result<Self::Listener>;
    async fn accept(listener: &Self::Listener) -> io::Result<Self>;
    async fn connect(place: &Address) -> io::Result<Self>;
    async fn push(self, options: SocketOptions) -> io::Result<PushSocket<Self>>;
    async fn pull(self, options: SocketOptions) -> io::Result<PullSocket<Self>>;
    async fn dealer(self, options: SocketOptions) -> io::Result<DealerSocket<Self>>;
    async fn sub(self, options: SocketOptions) -> io::Result<SubSocket<Self>>;
}

macro_rules! stream {
    ($stream:ident, $listener:ident, $address:ident, $from:ident) => {
        impl Stream for $stream {
            type Listener = $listener;

            async fn bind(place: &Address) -> Result<$listener> {
                let Address::$address(place) = place else { bail!("{place:?} is of another transport") };
                Ok($listener::bind(place).await?)
            }

            async fn accept(listener: &$listener) -> io::Result<Self> {
                Ok(listener.accept().await?.0)
            }

            async fn connect(place: &Address) -> io::Result<Self> {
                let Address::$address(place) = place else { return Err(io::ErrorKind::InvalidInput.into()) };
                $stream::connect(place).await
            }

            async fn push(self, options: SocketOptions) -> io::Result<PushSocket<Self>> {
                PushSocket::$from(self, options).await
            }

            async fn pull(self, options: SocketOptions) -> io::Result<PullSocket<Self>> {
                PullSocket::$from(self, options).await
            }

            async fn dealer(self, options: SocketOptions) -> io::Result<DealerSocket<Self>> {
                DealerSocket::$from(self, options).await
            }

            async fn sub(self, options: SocketOptions) -> io::Result<SubSocket<Self>> {
                SubSocket::$from(self, options).await
            }
        }
    };
}

stream!(TcpStream, TcpListener, Tcp, from_tcp_with_options);
#[cfg(unix)]
stream!(UnixStream, UnixListener, Unix, from_unix_stream_with_options);

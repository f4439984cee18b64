//! This library: on a tokio runtime of one thread for each end.

use super::{Contender, Kind};
use crate::drive::{End, Over};
use crate::job::{Job, Mechanism as Chosen, Role, Scenario, Transport};
use crate::meeting::{Address, Meeting};
use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::iter::repeat_n;
use std::path::PathBuf;
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use zmtp_connection::codec::{Mechanism, SocketType};
use zmtp_connection::{
    AllowAny, Blake3Client, Blake3Server, Blake3ZmqClient, Blake3ZmqServer, Connection, ConnectionConfig, CurveClient,
    CurveServer, EncodedMessage, Event, EventRef, IntoSplit, KeyPair, Null, SecretKey,
};

pub(super) fn contenders() -> Vec<Contender> {
    // How messages are sent: all that are there in one go; one by one through an outbox, which lets those that wait leave
    // together; or each by itself. And how they are received: lent, or to keep.
    let modes = [
        ("batch,borrowed", Kind::Batch, Scenario::ALL),
        ("batch,owned", Kind::Batch, &[Scenario::Throughput]),
        ("feed,borrowed", Kind::SelfFlushing, &[Scenario::Throughput]),
        ("eager,borrowed", Kind::Eager, &[Scenario::Throughput]),
    ];
    let contender = |(mode, kind, scenarios)| Contender {
        peer: "zmtp",
        version: env!("CARGO_PKG_VERSION").to_owned(),
        mode,
        kind,
        scenarios,
        mechanisms: &[Chosen::Null, Chosen::Curve, Chosen::Blake3, Chosen::Blake3zmq],
        transports: Transport::HERE,
        connections: 1000,
        open,
    };
    modes.into_iter().map(contender).collect()
}

fn open(job: &Job, mode: &'static str, role: Role, meeting: &Meeting) -> Result<End> {
    match job.transport {
        Transport::Tcp => with_stream::<TcpStream>(job, mode, role, meeting),
        #[cfg(unix)]
        Transport::Unix => with_stream::<UnixStream>(job, mode, role, meeting),
        #[cfg(not(unix))]
        Transport::Unix => bail!("there are no Unix sockets here"),
    }
}

fn with_stream<S: Stream>(job: &Job, mode: &'static str, role: Role, meeting: &Meeting) -> Result<End> {
    let keys = |octet| Ok::<_, anyhow::Error>(KeyPair::from_secret(SecretKey::from_bytes([octet; 32])?));
    let (server, client) = (keys(1)?, keys(2)?);
    match (job.mechanism, role.binds()) {
        (Chosen::Null, _) => end::<S, _>(Null::new(), job, mode, role, meeting),
        (Chosen::Curve, true) => end::<S, _>(CurveServer::new(server), job, mode, role, meeting),
        (Chosen::Curve, false) => end::<S, _>(CurveClient::new(*server.public_key(), client), job, mode, role, meeting),
        (Chosen::Blake3, true) => end::<S, _>(Blake3Server::new(server), job, mode, role, meeting),
        (Chosen::Blake3, false) => {
            end::<S, _>(Blake3Client::new(*server.public_key(), client), job, mode, role, meeting)
        }
        (Chosen::Blake3zmq, true) => end::<S, _>(Blake3ZmqServer::new(server), job, mode, role, meeting),
        (Chosen::Blake3zmq, false) => {
            end::<S, _>(Blake3ZmqClient::new(*server.public_key(), client), job, mode, role, meeting)
        }
    }
}

/// An end with its runtime, its connections, and what it needs to make more.
struct Here<S, M: Mechanism> {
    runtime: Runtime,
    links: Vec<Connection<S, M>>,
    payload: &'static Bytes,
}

fn end<S: Stream, M: Mechanism + Clone>(
    mechanism: M,
    job: &Job,
    mode: &'static str,
    role: Role,
    meeting: &Meeting,
) -> Result<End> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let place = Place::of(meeting);
    // Shared, as what is sent on or to many is: large parts of it are not copied.
    let payload: &'static Bytes = Box::leak(Box::new(Bytes::from(vec![7; job.size])));
    let side = Side { config: ConnectionConfig::new(socket_type(role)), mechanism };
    let listener = if role.binds() { Some(runtime.block_on(S::bind(&place))?) } else { None };
    match &listener {
        Some(_) => meeting.announce(),
        None => meeting.wait(),
    }
    if let Role::Visit | Role::Host = role {
        return Ok(Box::new(move |count, _| {
            runtime.block_on(async {
                match &listener {
                    Some(listener) => side.host::<S>(listener, count).await,
                    None => side.visit::<S>(&place, payload, count).await,
                }
            })
        }));
    }
    let mut links = Vec::new();
    for _ in 0..job.connections {
        let link = runtime.block_on(async {
            let stream = match &listener {
                Some(listener) => S::accept(listener).await?,
                None => S::connect(&place).await?,
            };
            side.shake_hands(stream).await
        })?;
        links.push(link);
    }
    let mut here = Here { runtime, links, payload };
    if job.scenario == Scenario::Idle {
        return Ok(Box::new(move |count, _| {
            match role {
                Role::Send => here.share(count, send_eager)?,
                _ => here.share(count, receive_borrowed)?,
            };
            here.begin_to_wait()
        }));
    }
    Ok(match (role, mode.split(',').next()) {
        (Role::Send, Some("batch")) => Box::new(move |count, _: &Over| here.share(count, send_batch)),
        (Role::Send, Some("feed")) => here.into_feeding_end(),
        (Role::Send, Some("eager")) => Box::new(move |count, _| here.share(count, send_eager)),
        (Role::Receive, _) if mode.ends_with("owned") => Box::new(move |count, _| here.share(count, receive_owned)),
        (Role::Receive, _) => Box::new(move |count, _| here.share(count, receive_borrowed)),
        (Role::Subscribe, _) => Box::new(move |count, _| here.each(count, receive_borrowed)),
        (Role::Publish, _) => Box::new(move |count, _| here.publish(count)),
        (Role::Ask, _) => Box::new(move |count, _| here.ask(count)),
        (Role::Echo, _) => Box::new(move |count, _| here.echo(count)),
        _ => bail!("there is no mode {mode} to {role:?}"),
    })
}

const fn socket_type(role: Role) -> SocketType {
    match role {
        Role::Send => SocketType::Push,
        Role::Receive => SocketType::Pull,
        Role::Ask | Role::Echo | Role::Visit | Role::Host => SocketType::Dealer,
        Role::Publish => SocketType::Pub,
        Role::Subscribe => SocketType::Sub,
    }
}

impl<S: Stream, M: Mechanism> Here<S, M> {
    /// Each connection moves its share of `count` messages, on a task of its own where there are several.
    fn share<F>(&mut self, count: u64, work: impl Fn(Connection<S, M>, &'static Bytes, u64) -> F) -> Result<Vec<u64>>
    where
        F: Future<Output = Result<Connection<S, M>>> + Send + 'static,
    {
        let others = self.links.len() as u64;
        self.run(|index| share_of(count, index, others), work)
    }

    /// Each connection moves `count` messages.
    fn each<F>(&mut self, count: u64, work: impl Fn(Connection<S, M>, &'static Bytes, u64) -> F) -> Result<Vec<u64>>
    where
        F: Future<Output = Result<Connection<S, M>>> + Send + 'static,
    {
        self.run(|_| count, work)
    }

    /// Sends through an outbox for each connection, whose flusher runs beside it.
    fn into_feeding_end(self) -> End {
        let Self { runtime, links, payload } = self;
        let mut outboxes = Vec::new();
        for link in links {
            let (receiver, sender) = link.into_split();
            let (outbox, flusher) = sender.into_outbox();
            drop(runtime.spawn(flusher));
            outboxes.push((outbox, receiver));
        }
        Box::new(move |count, over| {
            runtime.block_on(async {
                let others = outboxes.len() as u64;
                let mut tasks: JoinSet<Result<()>> = JoinSet::new();
                for (index, (outbox, _)) in (0..).zip(&outboxes) {
                    let outbox = outbox.clone();
                    tasks.spawn(async move {
                        for _ in 0..share_of(count, index, others) {
                            outbox.send(payload).await?;
                        }
                        Ok(())
                    });
                }
                while let Some(sent) = tasks.join_next().await {
                    sent??;
                }
                // What waits still has to leave.
                over.wait().await;
                Ok(Vec::new())
            })
        })
    }

    fn run<F>(
        &mut self,
        counts: impl Fn(u64) -> u64,
        work: impl Fn(Connection<S, M>, &'static Bytes, u64) -> F,
    ) -> Result<Vec<u64>>
    where
        F: Future<Output = Result<Connection<S, M>>> + Send + 'static,
    {
        let links = std::mem::take(&mut self.links);
        let payload = self.payload;
        let links = self.runtime.block_on(async {
            let begin = |(index, link)| {
                let work = work(link, payload, counts(index));
                async move { Ok::<_, anyhow::Error>((index, work.await?)) }
            };
            let tasks: JoinSet<_> = (0..).zip(links).map(begin).collect();
            // Each in its place again: both ends count by it.
            let links: BTreeMap<u64, _> = tasks.join_all().await.into_iter().collect::<Result<_>>()?;
            anyhow::Ok(links.into_values().collect())
        })?;
        self.links = links;
        Ok(Vec::new())
    }

    /// Each connection waits for a message that does not come, as one does that has nothing to do, whether it sends or receives.
    fn begin_to_wait(&mut self) -> Result<Vec<u64>> {
        self.runtime.block_on(async {
            for link in &mut self.links {
                let mut waiting = pin!(link.recv_ref());
                if let Poll::Ready(event) = poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx))).await {
                    bail!("{event:?} while nobody sends");
                }
            }
            Ok(Vec::new())
        })
    }

    /// Each message is framed once, and goes to everybody; where frames are sealed, it is sealed for each.
    fn publish(&mut self, count: u64) -> Result<Vec<u64>> {
        let message = EncodedMessage::encode(self.payload).context("a message has a part")?;
        let most = u64::try_from(self.links[0].pending() + (64 << 10) / message.wire_len().max(1))?.max(1);
        self.runtime.block_on(async {
            let mut left = count;
            while left > 0 {
                let now = left.min(most);
                for _ in 0..now {
                    for link in &mut self.links {
                        link.feed_fan_out(&message)?;
                    }
                }
                for link in &mut self.links {
                    link.flush().await?;
                }
                left -= now;
            }
            Ok(Vec::new())
        })
    }

    fn ask(&mut self, count: u64) -> Result<Vec<u64>> {
        let link = &mut self.links[0];
        self.runtime.block_on(async {
            let mut took = Vec::new();
            for _ in 0..count {
                let begun = Instant::now();
                link.send(self.payload).await?;
                lent(link).await?;
                took.push(u64::try_from(begun.elapsed().as_nanos())?);
            }
            Ok(took)
        })
    }

    fn echo(&mut self, count: u64) -> Result<Vec<u64>> {
        let link = &mut self.links[0];
        self.runtime.block_on(async {
            for _ in 0..count {
                match link.recv().await? {
                    Some(Event::Message(message)) => link.send(&message).await?,
                    other => bail!("{other:?} in place of a message"),
                }
            }
            Ok(Vec::new())
        })
    }
}

/// How many of `count` messages fall to the connection at `index`.
const fn share_of(count: u64, index: u64, connections: u64) -> u64 {
    count / connections + (index < count % connections) as u64
}

/// What connections are made with.
struct Side<M> {
    config: ConnectionConfig,
    mechanism: M,
}

impl<M: Mechanism + Clone> Side<M> {
    async fn shake_hands<S: Stream>(&self, stream: S) -> Result<Connection<S, M>> {
        Ok(Connection::handshake_with(stream, &self.config, &self.mechanism, &AllowAny).await?)
    }

    async fn host<S: Stream>(&self, listener: &S::Listener, count: u64) -> Result<Vec<u64>> {
        for _ in 0..count {
            let mut link = self.shake_hands(S::accept(listener).await?).await?;
            match link.recv().await? {
                Some(Event::Message(message)) => link.send(&message).await?,
                other => bail!("{other:?} in place of a message"),
            }
        }
        Ok(Vec::new())
    }

    async fn visit<S: Stream>(&self, place: &Place, payload: &Bytes, count: u64) -> Result<Vec<u64>> {
        let mut took = Vec::new();
        for _ in 0..count {
            let begun = Instant::now();
            let mut link = self.shake_hands(S::connect(place).await?).await?;
            link.send(payload).await?;
            lent(&mut link).await?;
            took.push(u64::try_from(begun.elapsed().as_nanos())?);
        }
        Ok(took)
    }
}

async fn send_batch<S: Stream, M: Mechanism>(
    mut link: Connection<S, M>,
    payload: &'static Bytes,
    count: u64,
) -> Result<Connection<S, M>> {
    link.send_all(repeat_n(payload, usize::try_from(count)?)).await?;
    Ok(link)
}

async fn send_eager<S: Stream, M: Mechanism>(
    mut link: Connection<S, M>,
    payload: &'static Bytes,
    count: u64,
) -> Result<Connection<S, M>> {
    for _ in 0..count {
        link.send(payload).await?;
    }
    Ok(link)
}

async fn receive_borrowed<S: Stream, M: Mechanism>(
    mut link: Connection<S, M>,
    _: &'static Bytes,
    count: u64,
) -> Result<Connection<S, M>> {
    for _ in 0..count {
        match link.recv_ref().await? {
            Some(EventRef::Message(message)) => {
                black_box(message.first());
            }
            other => bail!("{other:?} in place of a message"),
        }
    }
    Ok(link)
}

async fn receive_owned<S: Stream, M: Mechanism>(
    mut link: Connection<S, M>,
    _: &'static Bytes,
    count: u64,
) -> Result<Connection<S, M>> {
    // One by one: an allocator that takes a block back before it gives the next has it in its cache.
    for _ in 0..count {
        match link.recv().await? {
            Some(Event::Message(message)) => {
                black_box(message.first());
            }
            other => bail!("{other:?} in place of a message"),
        }
    }
    Ok(link)
}

/// Looks at the next message.
#[inline]
async fn lent<S: Stream, M: Mechanism>(link: &mut Connection<S, M>) -> Result<()> {
    match link.recv_ref().await? {
        Some(EventRef::Message(message)) => {
            black_box(message.first());
            Ok(())
        }
        other => bail!("{other:?} in place of a message"),
    }
}

/// An address that outlives the meeting.
#[derive(Clone, Debug)]
struct Place(Address);

impl Place {
    fn of(meeting: &Meeting) -> Self {
        Self(meeting.address().clone())
    }

    fn path(&self) -> Result<&PathBuf> {
        match &self.0 {
            Address::Unix(path) => Ok(path),
            Address::Tcp(address) => bail!("{address} is no path"),
        }
    }
}

/// A stream over either transport.
trait Stream:
    AsyncRead + AsyncWrite + IntoSplit<Read: Send, Write: Send + 'static> + Unpin + Send + Sized + 'static
{
    type Listener: Send + 'static;

    async fn bind(place: &Place) -> Result<Self::Listener>;
    async fn accept(listener: &Self::Listener) -> Result<Self>;
    async fn connect(place: &Place) -> Result<Self>;
}

impl Stream for TcpStream {
    type Listener = TcpListener;

    async fn bind(place: &Place) -> Result<TcpListener> {
        match &place.0 {
            Address::Tcp(address) => Ok(TcpListener::bind(address).await?),
            Address::Unix(path) => bail!("{} is no TCP address", path.display()),
        }
    }

    async fn accept(listener: &TcpListener) -> Result<Self> {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn connect(place: &Place) -> Result<Self> {
        let Address::Tcp(address) = &place.0 else { bail!("no TCP address") };
        let stream = Self::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

#[cfg(unix)]
impl Stream for UnixStream {
    type Listener = UnixListener;

    async fn bind(place: &Place) -> Result<UnixListener> {
        Ok(UnixListener::bind(place.path()?)?)
    }

    async fn accept(listener: &UnixListener) -> Result<Self> {
        Ok(listener.accept().await?.0)
    }

    async fn connect(place: &Place) -> Result<Self> {
        Ok(Self::connect(place.path()?).await?)
    }
}

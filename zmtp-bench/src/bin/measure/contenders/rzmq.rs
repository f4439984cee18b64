//! rzmq, an implementation in Rust whose sockets and connections are tasks of tokio: on a runtime of one thread for each end,
//! without `io_uring`.

use super::{Contender, Kind};
use crate::drive::{End, Over};
use crate::job::{Job, Mechanism, Role, Scenario, Transport};
use crate::meeting::Meeting;
use anyhow::{Context as _, Result, bail};
use rzmq::socket::{
    ADAPTIVE_THROTTLE, AUTO_DELIMITER, CURVE_SECRET_KEY, CURVE_SERVER, CURVE_SERVER_KEY, LINGER, MonitorReceiver,
    RCVBATCH_COUNT, RCVHWM, SNDBATCH_COUNT, SNDHWM, SUBSCRIBE, SocketEvent, XPUB_NODROP,
};
use rzmq::{Context, Msg, Socket, SocketType};
use std::future::Future;
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use zmtp_connection::{KeyPair, SecretKey};

const SERVER_SECRET: [u8; 32] = [1; 32];
const CLIENT_SECRET: [u8; 32] = [2; 32];
/// Published until everybody has subscribed, and once more when all have.
const PROBE: &[u8] = b"?";
const LAST_PROBE: &[u8] = b"!";
/// How often: a thousand subscribers take some time for one.
const PROBE_INTERVAL: Duration = Duration::from_millis(20);
/// How many subscribers have seen a probe, and after that, how many more have seen the last one.
static SUBSCRIBED: AtomicUsize = AtomicUsize::new(0);

pub(super) fn contenders() -> Vec<Contender> {
    vec![Contender {
        peer: "rzmq",
        // Cargo.toml asks for exactly this one.
        version: "0.5.28".to_owned(),
        mode: "tokio",
        kind: Kind::SelfFlushing,
        scenarios: Scenario::ALL,
        mechanisms: &[Mechanism::Null, Mechanism::Curve],
        transports: Transport::HERE,
        // Each of its connections hears of every other one, so that 1000 take seconds to be made; as subscribers, which
        // it is not asked for, over a minute.
        connections: 1000,
        open,
    }]
}

fn open(job: &Job, _: &'static str, role: Role, meeting: &Meeting) -> Result<End> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let context = {
        let _inside = runtime.enter();
        Context::new()?
    };
    let payload: &'static [u8] = Vec::leak(vec![7; job.size]);
    if role == Role::Visit {
        meeting.wait();
        let (job, endpoint) = (job.clone(), meeting.endpoint());
        return Ok(Box::new(move |count, _| runtime.block_on(visit(&context, &job, &endpoint, payload, count))));
    }
    let sockets = runtime.block_on(async {
        if role.binds() {
            bind(&context, job, role, meeting).await
        } else {
            connect(&context, job, role, meeting).await
        }
    })?;
    let here = Here { runtime, _context: context, sockets, payload, role };
    Ok(Box::new(move |count, over| match role {
        Role::Send => here.share(count, over, send),
        Role::Publish => here.each(count, over, send),
        Role::Receive | Role::Subscribe => here.each(count, over, receive),
        Role::Ask => here.each(count, over, ask),
        Role::Echo => here.each(count, over, echo),
        Role::Host => here.each(count, over, host),
        Role::Visit => bail!("visits are made above"),
    }))
}

/// An end with its runtime and its sockets.
struct Here {
    runtime: Runtime,
    _context: Context,
    sockets: Vec<Socket>,
    payload: &'static [u8],
    role: Role,
}

impl Here {
    /// Each socket moves its share of `count` messages, on a task of its own.
    fn share<F>(&self, count: u64, over: &Over, work: impl Fn(Socket, &'static [u8], u64) -> F) -> Result<Vec<u64>>
    where
        F: Future<Output = Result<Vec<u64>>> + Send + 'static,
    {
        let others = self.sockets.len() as u64;
        self.run(over, |index| count / others + u64::from(index < count % others), work)
    }

    /// Each socket moves `count` messages.
    fn each<F>(&self, count: u64, over: &Over, work: impl Fn(Socket, &'static [u8], u64) -> F) -> Result<Vec<u64>>
    where
        F: Future<Output = Result<Vec<u64>>> + Send + 'static,
    {
        self.run(over, |_| count, work)
    }

    fn run<F>(
        &self,
        over: &Over,
        counts: impl Fn(u64) -> u64,
        work: impl Fn(Socket, &'static [u8], u64) -> F,
    ) -> Result<Vec<u64>>
    where
        F: Future<Output = Result<Vec<u64>>> + Send + 'static,
    {
        self.runtime.block_on(async {
            let begin = |(index, socket): (u64, &Socket)| work(socket.clone(), self.payload, counts(index));
            let mut tasks: JoinSet<_> = (0..).zip(&self.sockets).map(begin).collect();
            let mut took = Vec::new();
            while let Some(done) = tasks.join_next().await {
                took.extend(done??);
            }
            // The connections are tasks of this runtime: it has to go on until the other end has everything.
            if !self.role.finishes() {
                over.wait().await;
            }
            Ok(took)
        })
    }
}

async fn socket(context: &Context, job: &Job, role: Role) -> Result<Socket> {
    let kind = match role {
        Role::Send => SocketType::Push,
        Role::Receive => SocketType::Pull,
        Role::Ask | Role::Echo | Role::Visit => SocketType::Dealer,
        // It answers many: it has to know whom.
        Role::Host => SocketType::Router,
        Role::Publish => SocketType::Pub,
        Role::Subscribe => SocketType::Sub,
    };
    let socket = context.socket(kind)?;
    socket.set_option(LINGER, 0).await?;
    // Its advice where nothing can be starved. Its TCP_CORK would keep the end of a burst back for 200 ms.
    socket.set_option(ADAPTIVE_THROTTLE, 0).await?;
    if let Some(messages) = high_water_mark(job) {
        socket.set_option(SNDHWM, messages).await?;
        socket.set_option(RCVHWM, messages).await?;
        socket.set_option(SNDBATCH_COUNT, messages.min(2048)).await?;
        socket.set_option(RCVBATCH_COUNT, messages.min(2048)).await?;
    }
    match role {
        // It would add an empty part to each message, which nobody else does.
        Role::Ask | Role::Echo | Role::Visit | Role::Host => socket.set_option(AUTO_DELIMITER, false).await?,
        // It would drop what a subscriber has no room for.
        Role::Publish => socket.set_option(XPUB_NODROP, 1).await?,
        Role::Subscribe => socket.set_option(SUBSCRIBE, "").await?,
        Role::Send | Role::Receive => {}
    }
    if job.mechanism == Mechanism::Curve {
        if role.binds() {
            socket.set_option(CURVE_SERVER, true).await?;
            socket.set_option(CURVE_SECRET_KEY, &SERVER_SECRET).await?;
        } else {
            let server = KeyPair::from_secret(SecretKey::from_bytes(SERVER_SECRET)?);
            socket.set_option(CURVE_SERVER_KEY, server.public_key().as_bytes()).await?;
            socket.set_option(CURVE_SECRET_KEY, &CLIENT_SECRET).await?;
        }
    }
    Ok(socket)
}

/// How many messages may wait in one place, where many do: as many as there is room for in the processor's cache. It has room
/// made for all of them at once, and is much slower with the 256 that it has by itself, or with very many.
fn high_water_mark(job: &Job) -> Option<i32> {
    if !matches!(job.scenario, Scenario::Throughput | Scenario::FanOut) {
        return None;
    }
    let octets = ((4 << 20) / job.connections).clamp(32 << 10, 1 << 20);
    // Besides the message itself there is what describes it.
    i32::try_from(octets / (job.size + 32)).ok().map(|messages| messages.max(4))
}

async fn bind(context: &Context, job: &Job, role: Role, meeting: &Meeting) -> Result<Vec<Socket>> {
    let socket = socket(context, job, role).await?;
    // Several events for each connection, none of which may be lost.
    let events = socket.monitor(8 * job.connections).await?;
    socket.bind(&meeting.endpoint()).await?;
    meeting.announce();
    if role != Role::Host {
        ready(&events, job.connections).await?;
    }
    if role == Role::Publish {
        publish_probes(&socket, job.connections).await?;
    }
    Ok(vec![socket])
}

/// A socket for each connection: one that connects twice would share the work out.
async fn connect(context: &Context, job: &Job, role: Role, meeting: &Meeting) -> Result<Vec<Socket>> {
    meeting.wait();
    let mut sockets = Vec::new();
    for _ in 0..job.connections {
        let socket = socket(context, job, role).await?;
        let events = socket.monitor_default().await?;
        socket.connect(&meeting.endpoint()).await?;
        ready(&events, 1).await?;
        sockets.push(socket);
    }
    if role == Role::Subscribe {
        for expected in [PROBE, LAST_PROBE] {
            for socket in &sockets {
                while socket.recv().await?.data() != Some(expected) {}
                SUBSCRIBED.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
    Ok(sockets)
}

/// Waits for so many handshakes.
async fn ready(events: &MonitorReceiver, connections: usize) -> Result<()> {
    let mut missing = connections;
    while missing > 0 {
        match events.recv().await.context("the socket has ended")? {
            SocketEvent::HandshakeSucceeded { .. } => missing -= 1,
            SocketEvent::HandshakeFailed { error_msg, .. } => bail!("a handshake failed: {error_msg}"),
            _ => {}
        }
    }
    Ok(())
}

/// Returns when every subscriber has subscribed, which it does not say, and has nothing more to receive.
async fn publish_probes(socket: &Socket, connections: usize) -> Result<()> {
    while SUBSCRIBED.load(Ordering::SeqCst) < connections {
        socket.send(Msg::from_static(PROBE)).await?;
        tokio::time::sleep(PROBE_INTERVAL).await;
    }
    socket.send(Msg::from_static(LAST_PROBE)).await?;
    while SUBSCRIBED.load(Ordering::SeqCst) < 2 * connections {
        tokio::time::sleep(PROBE_INTERVAL).await;
    }
    Ok(())
}

async fn send(socket: Socket, payload: &'static [u8], count: u64) -> Result<Vec<u64>> {
    for _ in 0..count {
        socket.send(Msg::from_static(payload)).await?;
    }
    Ok(Vec::new())
}

async fn receive(socket: Socket, _: &'static [u8], count: u64) -> Result<Vec<u64>> {
    for _ in 0..count {
        black_box(socket.recv().await?.data());
    }
    Ok(Vec::new())
}

async fn ask(socket: Socket, payload: &'static [u8], count: u64) -> Result<Vec<u64>> {
    let mut took = Vec::new();
    for _ in 0..count {
        let begun = Instant::now();
        socket.send(Msg::from_static(payload)).await?;
        black_box(socket.recv().await?.data());
        took.push(u64::try_from(begun.elapsed().as_nanos())?);
    }
    Ok(took)
}

async fn echo(socket: Socket, _: &'static [u8], count: u64) -> Result<Vec<u64>> {
    for _ in 0..count {
        socket.send(socket.recv().await?).await?;
    }
    Ok(Vec::new())
}

async fn host(socket: Socket, _: &'static [u8], count: u64) -> Result<Vec<u64>> {
    for _ in 0..count {
        socket.send_multipart(socket.recv_multipart().await?).await?;
    }
    Ok(Vec::new())
}

async fn visit(context: &Context, job: &Job, endpoint: &str, payload: &'static [u8], count: u64) -> Result<Vec<u64>> {
    let mut took = Vec::new();
    for _ in 0..count {
        let begun = Instant::now();
        let socket = socket(context, job, Role::Visit).await?;
        socket.connect(endpoint).await?;
        socket.send(Msg::from_static(payload)).await?;
        black_box(socket.recv().await?.data());
        took.push(u64::try_from(begun.elapsed().as_nanos())?);
        socket.close().await?;
    }
    Ok(took)
}

//! omq on tokio: sockets whose connections are driven by tasks of their own.

use super::{Contender, Kind};
use crate::drive::{End, Over};
use crate::job::{Job, Mechanism, Role, Scenario, Transport};
use crate::meeting::Meeting;
use anyhow::{Result, bail, ensure};
use omq_tokio::message::MAX_INLINE_MESSAGE;
use omq_tokio::options::WorkloadProfile;
use omq_tokio::{
    Context, CurveKeypair, CurveSecretKey, Error, Message, Options, Socket, SocketType, TrySendError, exclusive,
};
use std::hint::black_box;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

/// How long connections may take to come about.
const PATIENCE: Duration = Duration::from_secs(20);
/// Messages that are taken in one go.
const BATCH: usize = 256;

pub(super) fn contenders() -> Vec<Contender> {
    // Sockets whose tasks run on the caller's thread, between his own; sockets whose tasks have a thread to themselves, at
    // each end; and a socket that has no task and is driven by its caller alone, which is made for round trips and knows
    // neither Unix sockets nor CURVE.
    let both = &[Mechanism::Null, Mechanism::Curve][..];
    let modes = [
        ("tasks", Kind::SelfFlushing, Scenario::ALL, both, Transport::HERE, 1000),
        ("io thread", Kind::SelfFlushing, &[Scenario::Throughput], both, Transport::HERE, 1000),
        ("exclusive", Kind::Eager, &[Scenario::RoundTrip], &[Mechanism::Null], &[Transport::Tcp], 1),
    ];
    let contender = |(mode, kind, scenarios, mechanisms, transports, connections)| Contender {
        peer: "omq-tokio",
        version: "0.33.0".to_owned(),
        mode,
        kind,
        scenarios,
        mechanisms,
        transports,
        connections,
        open,
    };
    modes.into_iter().map(contender).collect()
}

fn open(job: &Job, mode: &'static str, role: Role, meeting: &Meeting) -> Result<End> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    match (mode, role) {
        ("io thread", _) => behind(job, role, meeting),
        ("exclusive", _) => alone(job, role, meeting, runtime),
        (_, Role::Visit) => {
            meeting.wait();
            let (options, endpoint, message) = (options(job, role)?, meeting.endpoint(), Template::new(job.size));
            Ok(Box::new(move |count, _| runtime.block_on(visit(&options, &endpoint, &message, count))))
        }
        _ => between(job, role, meeting, runtime),
    }
}

fn options(job: &Job, role: Role) -> Result<Options> {
    // All of them may be on their way at a time.
    let mut options = Options::default().max_pending_handshakes(job.connections.max(128));
    // Rather wait than drop what a subscriber has no room for.
    options.xpub_nodrop = true;
    if let Role::Ask | Role::Echo | Role::Visit | Role::Host = role {
        options = options.workload_profile(WorkloadProfile::Latency);
    }
    let keys = |octet| {
        let secret = CurveSecretKey::from_bytes([octet; 32]);
        CurveKeypair { public: secret.derive_public(), secret }
    };
    match (job.mechanism, role.binds()) {
        (Mechanism::Null, _) => Ok(options),
        (Mechanism::Curve, true) => Ok(options.curve_server(keys(1))),
        (Mechanism::Curve, false) => Ok(options.curve_client(keys(2), keys(1).public)),
        (Mechanism::Blake3 | Mechanism::Blake3zmq, _) => bail!("omq-tokio does not know BLAKE3"),
    }
}

const fn socket_type(role: Role) -> SocketType {
    match role {
        Role::Send => SocketType::Push,
        Role::Receive => SocketType::Pull,
        Role::Ask | Role::Echo | Role::Visit => SocketType::Dealer,
        // It answers many: it has to know whom.
        Role::Host => SocketType::Router,
        Role::Publish => SocketType::Pub,
        Role::Subscribe => SocketType::Sub,
    }
}

/// Tasks on the caller's thread. Whoever does not finish a burst keeps its runtime going until the burst is over: what was
/// handed over is still to be written, by another task.
fn between(job: &Job, role: Role, meeting: &Meeting, runtime: Runtime) -> Result<End> {
    let sockets = runtime.block_on(sockets(job, role, meeting))?;
    let message = Template::new(job.size);
    Ok(match role {
        Role::Send => Box::new(move |count, over: &Over| {
            runtime.block_on(async {
                let shares = sockets.len() as u64;
                let share = |index| count / shares + u64::from(index < count % shares);
                each(&sockets, |index, socket| send(socket, message.clone(), share(index))).await?;
                over.wait().await;
                Ok(Vec::new())
            })
        }),
        Role::Publish => Box::new(move |count, over| {
            runtime.block_on(async {
                send(sockets[0].clone(), message.clone(), count).await?;
                over.wait().await;
                Ok(Vec::new())
            })
        }),
        Role::Receive => Box::new(move |count, _| {
            runtime.block_on(receive(sockets[0].clone(), count))?;
            Ok(Vec::new())
        }),
        Role::Subscribe => Box::new(move |count, _| {
            runtime.block_on(each(&sockets, |_, socket| receive(socket, count)))?;
            Ok(Vec::new())
        }),
        Role::Ask => Box::new(move |count, _| runtime.block_on(ask(&sockets[0], &message, count))),
        Role::Echo | Role::Host => Box::new(move |count, over| {
            runtime.block_on(async {
                for _ in 0..count {
                    let message = sockets[0].recv().await?;
                    sockets[0].send(message).await?;
                }
                over.wait().await;
                Ok(Vec::new())
            })
        }),
        Role::Visit => bail!("visits are made elsewhere"),
    })
}

/// One that binds, or one for each connection, and all of them ready.
async fn sockets(job: &Job, role: Role, meeting: &Meeting) -> Result<Vec<Socket>> {
    let mut sockets = Vec::new();
    if role.binds() {
        let socket = Socket::new(socket_type(role), options(job, role)?);
        socket.bind(meeting.endpoint()).await?;
        meeting.announce();
        match role {
            Role::Publish => drop(socket.wait_subscribed(u64::try_from(job.connections)?, PATIENCE).await?),
            Role::Host => {}
            _ => drop(socket.wait_connected(job.connections, PATIENCE).await?),
        }
        sockets.push(socket);
    } else {
        meeting.wait();
        for _ in 0..job.connections {
            let socket = Socket::new(socket_type(role), options(job, role)?);
            if role == Role::Subscribe {
                socket.subscribe("").await?;
            }
            socket.connect(meeting.endpoint()).await?;
            socket.wait_connected(1, PATIENCE).await?;
            sockets.push(socket);
        }
    }
    Ok(sockets)
}

/// A message to be sent again and again, in the cheapest way: a short one is copied, a long one is shared.
#[derive(Clone)]
struct Template {
    payload: &'static [u8],
    shared: Message,
}

impl Template {
    fn new(size: usize) -> Self {
        let payload: &'static [u8] = Vec::leak(vec![7; size]);
        Self { payload, shared: Message::single(payload) }
    }

    #[inline]
    fn message(&self) -> Message {
        if self.payload.len() <= MAX_INLINE_MESSAGE { Message::from_slice(self.payload) } else { self.shared.clone() }
    }
}

/// On a task for each, where there are several.
async fn each<F>(sockets: &[Socket], work: impl Fn(u64, Socket) -> F) -> Result<()>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    if let [socket] = sockets {
        return work(0, socket.clone()).await;
    }
    let mut tasks: JoinSet<_> = (0..).zip(sockets).map(|(index, socket)| work(index, socket.clone())).collect();
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

async fn send(socket: Socket, message: Template, count: u64) -> Result<()> {
    for _ in 0..count {
        match socket.try_send(message.message()) {
            Ok(()) => {}
            Err(TrySendError::Full(message)) => socket.send(message).await?,
            Err(error) => bail!("{error:?}"),
        }
    }
    Ok(())
}

async fn receive(socket: Socket, count: u64) -> Result<()> {
    let mut batch = Vec::with_capacity(BATCH);
    let mut missing = usize::try_from(count)?;
    while missing > 0 {
        missing -= socket.recv_many_into(missing.min(BATCH), &mut batch).await?;
        batch.drain(..).for_each(|message| drop(black_box(message)));
        tokio::task::coop::consume_budget().await;
    }
    Ok(())
}

async fn ask(socket: &Socket, message: &Template, count: u64) -> Result<Vec<u64>> {
    let mut took = Vec::new();
    for _ in 0..count {
        let begun = Instant::now();
        socket.send(message.message()).await?;
        black_box(socket.recv().await?);
        took.push(u64::try_from(begun.elapsed().as_nanos())?);
    }
    Ok(took)
}

async fn visit(options: &Options, endpoint: &str, message: &Template, count: u64) -> Result<Vec<u64>> {
    let mut took = Vec::new();
    for _ in 0..count {
        let begun = Instant::now();
        let socket = Socket::new(SocketType::Dealer, options.clone());
        socket.connect(endpoint).await?;
        ask(&socket, message, 1).await?;
        took.push(u64::try_from(begun.elapsed().as_nanos())?);
        socket.close().await?;
    }
    Ok(took)
}

/// Tasks on a thread of the library's own.
fn behind(job: &Job, role: Role, meeting: &Meeting) -> Result<End> {
    let context = Context::new();
    let message = Template::new(job.size);
    let socket = || Ok::<_, anyhow::Error>(context.blocking_socket(socket_type(role), options(job, role)?));
    match role {
        Role::Receive => {
            let socket = socket()?;
            socket.bind(meeting.endpoint())?;
            meeting.announce();
            socket.wait_connected(job.connections, PATIENCE)?;
            let mut batch = Vec::with_capacity(BATCH);
            Ok(Box::new(move |count, _| {
                let mut missing = usize::try_from(count)?;
                while missing > 0 {
                    missing -= socket.recv_many_into(missing.min(BATCH), &mut batch)?;
                    batch.drain(..).for_each(|message| drop(black_box(message)));
                }
                Ok(Vec::new())
            }))
        }
        Role::Send => {
            meeting.wait();
            let connect = |_| {
                let socket = socket()?;
                socket.connect(meeting.endpoint())?;
                socket.wait_connected(1, PATIENCE)?;
                Ok(socket)
            };
            let sockets = (0..job.connections).map(connect).collect::<Result<Vec<_>>>()?;
            Ok(Box::new(move |count, _| {
                for (socket, _) in sockets.iter().cycle().zip(0..count) {
                    socket.send(message.message())?;
                }
                Ok(Vec::new())
            }))
        }
        _ => bail!("with an I/O thread of its own nobody is asked to {role:?}"),
    }
}

/// No task at all.
fn alone(job: &Job, role: Role, meeting: &Meeting, runtime: Runtime) -> Result<End> {
    ensure!(job.mechanism == Mechanism::Null, "an exclusive socket knows no mechanism but NULL");
    let message = Template::new(job.size).message();
    let options = exclusive::Options::default();
    let mut socket = runtime.block_on(async {
        if role.binds() {
            let (mut socket, _) = exclusive::Socket::bind(SocketType::Dealer, meeting.endpoint(), options).await?;
            meeting.announce();
            socket.maintain().await?;
            Ok::<_, Error>(socket)
        } else {
            meeting.wait();
            exclusive::Socket::connect(SocketType::Dealer, meeting.endpoint(), options).await
        }
    })?;
    Ok(match role {
        Role::Ask => Box::new(move |count, _: &Over| {
            runtime.block_on(async {
                let mut took = Vec::new();
                for _ in 0..count {
                    let begun = Instant::now();
                    socket.send(&message).await?;
                    black_box(socket.recv().await?);
                    took.push(u64::try_from(begun.elapsed().as_nanos())?);
                }
                Ok(took)
            })
        }),
        Role::Echo => Box::new(move |count, _| {
            runtime.block_on(async {
                for _ in 0..count {
                    let message = socket.recv().await?;
                    socket.send(&message).await?;
                }
                Ok(Vec::new())
            })
        }),
        _ => bail!("an exclusive socket is not asked to {role:?}"),
    })
}

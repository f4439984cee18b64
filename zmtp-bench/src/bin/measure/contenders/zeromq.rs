//! zmq.rs, an implementation in Rust that writes on a task of tokio for each connection, and reads where it is asked for a
//! message: on a runtime of one thread for each end.

use super::{Contender, Kind};
use crate::drive::{End, Over};
use crate::job::{Job, Mechanism, Role, Scenario, Transport};
use crate::meeting::Meeting;
use anyhow::Result;
use std::future::Future;
use std::hint::black_box;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinSet, yield_now};
use tokio::time::sleep;
use zeromq::{
    DealerSocket, PullSocket, PushSocket, RouterSocket, Socket, SocketEvent, SocketRecv, SocketSend, SubSocket,
    XPubSocket, ZmqMessage,
};

/// Its queues take 100,000 messages before a sender has to wait: whoever lets the tasks that write have a turn before that,
/// finds them still in the processor's cache.
const TURN: u64 = 512;
/// How often the news of a socket are looked at, which there is nothing to wait for with.
const NEWS_INTERVAL: Duration = Duration::from_millis(1);

pub(super) fn contenders() -> Vec<Contender> {
    let modes = [
        (
            "tokio",
            Kind::SelfFlushing,
            &[Scenario::Throughput, Scenario::RoundTrip, Scenario::Visits, Scenario::Idle][..],
            1000,
        ),
        // Its PUB drops what a queue has no room for, and does not say so. Its XPUB waits, but writes each message by itself,
        // which takes very long for 1000 subscribers.
        ("tokio,XPUB", Kind::Eager, &[Scenario::FanOut], 100),
    ];
    let contender = |(mode, kind, scenarios, connections)| Contender {
        peer: "zmq.rs",
        // Cargo.toml asks for exactly this one.
        version: "0.7.0".to_owned(),
        mode,
        kind,
        scenarios,
        // It has no other.
        mechanisms: &[Mechanism::Null],
        transports: Transport::HERE,
        connections,
        open,
    };
    modes.into_iter().map(contender).collect()
}

fn open(job: &Job, _: &'static str, role: Role, meeting: &Meeting) -> Result<End> {
    Ok(match role {
        Role::Send => {
            let mut here = Here::<PushSocket>::open(job, role, meeting)?;
            Box::new(move |count, over| here.share(count, over, send))
        }
        Role::Receive => {
            let mut here = Here::<PullSocket>::open(job, role, meeting)?;
            Box::new(move |count, over| here.each(count, over, receive))
        }
        Role::Publish => {
            let mut here = Here::<XPubSocket>::open(job, role, meeting)?;
            here.runtime.block_on(take_subscriptions(&mut here.sockets[0], job.connections))?;
            Box::new(move |count, over| here.each(count, over, send))
        }
        Role::Subscribe => {
            let mut here = Here::<SubSocket>::open(job, role, meeting)?;
            here.runtime.block_on(subscribe(&mut here.sockets))?;
            Box::new(move |count, over| here.each(count, over, receive))
        }
        Role::Ask => {
            let mut here = Here::<DealerSocket>::open(job, role, meeting)?;
            Box::new(move |count, over| here.each(count, over, ask))
        }
        Role::Echo => {
            let mut here = Here::<DealerSocket>::open(job, role, meeting)?;
            Box::new(move |count, over| here.each(count, over, echo))
        }
        Role::Host => {
            // It answers many: it has to know whom.
            let mut here = Here::<RouterSocket>::open(job, role, meeting)?;
            Box::new(move |count, over| here.each(count, over, echo))
        }
        Role::Visit => {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let message = ZmqMessage::from(vec![7; job.size]);
            meeting.wait();
            let endpoint = meeting.endpoint();
            Box::new(move |count, _| runtime.block_on(visit(&endpoint, &message, count)))
        }
    })
}

/// An end with its runtime and its sockets.
struct Here<S> {
    runtime: Runtime,
    sockets: Vec<S>,
    message: ZmqMessage,
    role: Role,
}

impl<S: Socket + 'static> Here<S> {
    fn open(job: &Job, role: Role, meeting: &Meeting) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let sockets = runtime.block_on(async {
            if role.binds() { bind(job, role, meeting).await } else { connect(job, meeting).await }
        })?;
        Ok(Self { runtime, sockets, message: ZmqMessage::from(vec![7; job.size]), role })
    }

    /// Each socket moves its share of `count` messages, on a task of its own.
    fn share<F>(&mut self, count: u64, over: &Over, work: impl Fn(S, ZmqMessage, u64) -> F) -> Result<Vec<u64>>
    where
        F: Future<Output = Result<(S, Vec<u64>)>> + Send + 'static,
    {
        let others = self.sockets.len() as u64;
        self.run(over, |index| count / others + u64::from(index < count % others), work)
    }

    /// Each socket moves `count` messages.
    fn each<F>(&mut self, count: u64, over: &Over, work: impl Fn(S, ZmqMessage, u64) -> F) -> Result<Vec<u64>>
    where
        F: Future<Output = Result<(S, Vec<u64>)>> + Send + 'static,
    {
        self.run(over, |_| count, work)
    }

    fn run<F>(
        &mut self,
        over: &Over,
        counts: impl Fn(u64) -> u64,
        work: impl Fn(S, ZmqMessage, u64) -> F,
    ) -> Result<Vec<u64>>
    where
        F: Future<Output = Result<(S, Vec<u64>)>> + Send + 'static,
    {
        let sockets = std::mem::take(&mut self.sockets);
        self.runtime.block_on(async {
            let begin = |(index, socket)| work(socket, self.message.clone(), counts(index));
            let mut tasks: JoinSet<_> = (0..).zip(sockets).map(begin).collect();
            let mut all = Vec::new();
            while let Some(done) = tasks.join_next().await {
                let (socket, took) = done??;
                self.sockets.push(socket);
                all.extend(took);
            }
            // What is queued is written by tasks of this runtime: it has to go on until the other end has everything.
            if !self.role.finishes() {
                over.wait().await;
            }
            Ok(all)
        })
    }
}

async fn bind<S: Socket>(job: &Job, role: Role, meeting: &Meeting) -> Result<Vec<S>> {
    let mut socket = S::new();
    let mut news = socket.monitor();
    socket.bind(&meeting.endpoint()).await?;
    meeting.announce();
    let mut missing = if role == Role::Host { 0 } else { job.connections };
    while missing > 0 {
        match news.try_recv() {
            Ok(SocketEvent::Accepted(..)) => missing -= 1,
            Ok(SocketEvent::AcceptFailed(error)) => return Err(error.into()),
            Ok(_) => {}
            Err(_) => sleep(NEWS_INTERVAL).await,
        }
    }
    Ok(vec![socket])
}

/// A socket for each connection, as everybody has.
async fn connect<S: Socket>(job: &Job, meeting: &Meeting) -> Result<Vec<S>> {
    meeting.wait();
    let mut sockets = Vec::new();
    for _ in 0..job.connections {
        let mut socket = S::new();
        socket.connect(&meeting.endpoint()).await?;
        sockets.push(socket);
    }
    Ok(sockets)
}

async fn subscribe(sockets: &mut [SubSocket]) -> Result<()> {
    for socket in sockets {
        socket.subscribe("").await?;
    }
    Ok(())
}

/// Each subscription is one message, which takes effect when it is received.
async fn take_subscriptions(socket: &mut XPubSocket, count: usize) -> Result<()> {
    for _ in 0..count {
        socket.recv().await?;
    }
    Ok(())
}

async fn send<S: SocketSend>(mut socket: S, message: ZmqMessage, count: u64) -> Result<(S, Vec<u64>)> {
    for index in 1..=count {
        socket.send(message.clone()).await?;
        if index % TURN == 0 {
            yield_now().await;
        }
    }
    Ok((socket, Vec::new()))
}

async fn receive<S: SocketRecv>(mut socket: S, _: ZmqMessage, count: u64) -> Result<(S, Vec<u64>)> {
    for _ in 0..count {
        black_box(socket.recv().await?);
    }
    Ok((socket, Vec::new()))
}

async fn ask(mut socket: DealerSocket, message: ZmqMessage, count: u64) -> Result<(DealerSocket, Vec<u64>)> {
    let mut took = Vec::new();
    for _ in 0..count {
        let begun = Instant::now();
        socket.send(message.clone()).await?;
        black_box(socket.recv().await?);
        took.push(u64::try_from(begun.elapsed().as_nanos())?);
    }
    Ok((socket, took))
}

async fn echo<S: SocketRecv + SocketSend>(mut socket: S, _: ZmqMessage, count: u64) -> Result<(S, Vec<u64>)> {
    for _ in 0..count {
        let message = socket.recv().await?;
        socket.send(message).await?;
    }
    Ok((socket, Vec::new()))
}

async fn visit(endpoint: &str, message: &ZmqMessage, count: u64) -> Result<Vec<u64>> {
    let mut took = Vec::new();
    for _ in 0..count {
        let begun = Instant::now();
        let mut socket = DealerSocket::new();
        socket.connect(endpoint).await?;
        socket.send(message.clone()).await?;
        black_box(socket.recv().await?);
        took.push(u64::try_from(begun.elapsed().as_nanos())?);
    }
    Ok(took)
}

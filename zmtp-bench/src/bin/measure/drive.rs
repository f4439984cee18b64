//! Two threads that play their roles in bursts, and a stopwatch.

use crate::contenders::Contender;
use crate::job::{Job, Role, Scenario};
use crate::meeting::Meeting;
use crate::usage::{Usage, heap, stay_on_one_core};
use anyhow::{Context as _, Result, anyhow};
use serde::Serialize;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// One end of the conversation, which lives on a thread of its own: plays its part in a burst of so many messages. An
/// end that measures says how many nanoseconds each took.
///
/// Whoever has work going on behind the caller's back keeps it going until [`Over`].
pub(crate) type End = Box<dyn FnMut(u64, &Over) -> Result<Vec<u64>>>;

/// Tells the end that does not finish a burst that the other one has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Over(Arc<tokio::sync::Notify>);

impl Over {
    /// Waits for it; to be called at most once in a burst.
    pub(crate) async fn wait(&self) {
        self.0.notified().await;
    }

    fn declare(&self) {
        self.0.notify_one();
    }
}

/// What was measured, over the whole process.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    /// Messages that arrived (round trips, visits).
    messages: u64,
    seconds: f64,
    user_seconds: f64,
    system_seconds: f64,
    /// How often a thread had to wait for something.
    waits: i64,
    /// Nanoseconds, where each message was timed.
    #[serde(skip_serializing_if = "Option::is_none")]
    latency: Option<Latency>,
    /// Octets of heap for one connection, both ends together: with the connections idle.
    #[serde(skip_serializing_if = "Option::is_none")]
    heap_per_connection: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Latency {
    p50: u64,
    p90: u64,
    p99: u64,
}

pub(crate) fn measure(contender: &Contender, job: &Job) -> Result<Figures> {
    if job.one_core {
        stay_on_one_core()?;
    }
    let empty = heap();
    let mut pair = Pair::open(contender, job)?;
    if job.scenario == Scenario::Idle {
        return idle(&mut pair, job, empty);
    }
    let count = match job.messages {
        Some(count) => {
            pair.burst(count)?;
            count
        }
        None => pair.calibrate(job)?,
    };
    pair.burst(count)
}

/// Each connection carries one message, so that buffers which are made then are counted if they are kept.
fn idle(pair: &mut Pair, job: &Job, empty: Option<usize>) -> Result<Figures> {
    let connections = u64::try_from(job.connections)?;
    let figures = pair.burst(connections)?;
    let used = heap().zip(empty).map(|(now, before)| now.saturating_sub(before));
    #[expect(clippy::cast_precision_loss, reason = "a statistic")]
    let heap_per_connection = used.map(|used| used as f64 / job.connections as f64);
    Ok(Figures { heap_per_connection, ..figures })
}

/// The two ends on their threads.
struct Pair {
    finishes: Remote,
    follows: Remote,
    /// How many messages arrive for each that is counted in a burst.
    copies: u64,
}

impl Pair {
    fn open(contender: &Contender, job: &Job) -> Result<Self> {
        let meeting = Arc::new(Meeting::new(job.transport)?);
        let binding = Remote::start(contender, job, job.scenario.binding(), &meeting)?;
        let connecting = Remote::start(contender, job, job.scenario.connecting(), &meeting)?;
        let (finishes, follows) =
            if job.scenario.binding().finishes() { (binding, connecting) } else { (connecting, binding) };
        finishes.wait_until_open()?;
        follows.wait_until_open()?;
        let copies = if job.scenario == Scenario::FanOut { u64::try_from(job.connections)? } else { 1 };
        Ok(Self { finishes, follows, copies })
    }

    /// How many messages take about as long as is wanted. Warms everything up on the way.
    fn calibrate(&mut self, job: &Job) -> Result<u64> {
        // A published message is one for each connection already.
        let least = if job.scenario == Scenario::FanOut { 1 } else { u64::try_from(job.connections)? };
        let mut count = least;
        loop {
            let figures = self.burst(count)?;
            let took = Duration::from_secs_f64(figures.seconds);
            if took * 4 >= job.time() {
                let wanted = job.time().as_secs_f64() / took.as_secs_f64();
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_precision_loss,
                    clippy::cast_sign_loss,
                    reason = "a count of messages, of which some more or less do not matter"
                )]
                let count = (count as f64 * wanted) as u64;
                return Ok(count.max(least));
            }
            let factor = if took * 40 < job.time() { 8 } else { 2 };
            count *= factor;
        }
    }

    fn burst(&mut self, count: u64) -> Result<Figures> {
        let over = Over::default();
        let before = Usage::now()?;
        let begun = Instant::now();
        self.follows.begin(count, &over)?;
        self.finishes.begin(count, &over)?;
        // Who waits for one that has failed cannot say why.
        let mut latencies = self.finishes.end().map_err(|error| self.follows.failure().unwrap_or(error))?;
        let took = begun.elapsed();
        over.declare();
        self.follows.end()?;
        let used = Usage::now()? - before;
        Ok(Figures {
            messages: count * self.copies,
            seconds: took.as_secs_f64(),
            user_seconds: used.user,
            system_seconds: used.system,
            waits: used.waits,
            latency: Latency::of(&mut latencies),
            heap_per_connection: None,
        })
    }
}

impl Latency {
    fn of(nanoseconds: &mut [u64]) -> Option<Self> {
        nanoseconds.sort_unstable();
        let last = nanoseconds.len().checked_sub(1)?;
        let at = |percent: usize| nanoseconds[last * percent / 100];
        Some(Self { p50: at(50), p90: at(90), p99: at(99) })
    }
}

/// An end on another thread, where it was made and stays.
struct Remote {
    role: Role,
    orders: mpsc::Sender<(u64, Over)>,
    reports: mpsc::Receiver<Result<Vec<u64>>>,
}

impl Remote {
    fn start(contender: &Contender, job: &Job, role: Role, meeting: &Arc<Meeting>) -> Result<Self> {
        let (orders, todo) = mpsc::channel::<(u64, Over)>();
        let (done, reports) = mpsc::channel();
        let (open, job, meeting) = (contender.open, job.clone(), Arc::clone(meeting));
        let mode = contender.mode;
        let play = move || {
            let mut end = match open(&job, mode, role, &meeting) {
                Ok(end) => end,
                Err(error) => return drop(done.send(Err(error))),
            };
            if done.send(Ok(Vec::new())).is_err() {
                return;
            }
            while let Ok((count, over)) = todo.recv() {
                if done.send(end(count, &over)).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name(format!("{role:?}")).spawn(play)?;
        Ok(Self { role, orders, reports })
    }

    fn wait_until_open(&self) -> Result<()> {
        self.end().map(drop)
    }

    fn begin(&self, count: u64, over: &Over) -> Result<()> {
        self.orders.send((count, over.clone())).map_err(|_| anyhow!("the end that is to {:?} is gone", self.role))
    }

    fn failure(&self) -> Option<anyhow::Error> {
        self.reports.try_recv().ok()?.err()
    }

    fn end(&self) -> Result<Vec<u64>> {
        // Nothing here takes as long: who does not answer is stuck. (Whoever runs this gives up after 60.)
        let report = self.reports.recv_timeout(Duration::from_secs(40));
        report.with_context(|| format!("the end that is to {:?} does not come to an end", self.role))?
    }
}

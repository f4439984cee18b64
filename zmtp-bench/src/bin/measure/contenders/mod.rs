//! Who takes part. Each is a file, and behind a feature where it is foreign.

mod bare;
#[cfg(feature = "libzmq")]
mod libzmq;
#[cfg(feature = "monocoque")]
mod monocoque;
#[cfg(feature = "omq-tokio")]
mod omq_tokio;
#[cfg(feature = "rzmq")]
mod rzmq;
#[cfg(feature = "zeromq")]
mod zeromq;
mod zmtp;

use crate::drive::End;
use crate::job::{Job, Mechanism, Role, Scenario, Transport};
use crate::meeting::Meeting;
use anyhow::Result;
use clap::ValueEnum;
use serde_json::{Value, json};

/// One implementation, used in one way.
#[derive(Debug)]
pub(crate) struct Contender {
    /// As its users call it.
    pub(crate) peer: &'static str,
    pub(crate) version: String,
    pub(crate) mode: &'static str,
    pub(crate) kind: Kind,
    pub(crate) scenarios: &'static [Scenario],
    pub(crate) mechanisms: &'static [Mechanism],
    pub(crate) transports: &'static [Transport],
    /// The most connections that it is asked for.
    pub(crate) connections: usize,
    /// Makes an end, on the thread where it is to live. One that binds calls [`Meeting::announce`], one that connects
    /// [`Meeting::wait`] first. Both return when all connections are ready.
    pub(crate) open: fn(&Job, mode: &'static str, Role, &Meeting) -> Result<End>,
}

/// When a message leaves: only like is compared with like.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// No protocol at all: the floor.
    Bare,
    /// The caller says when what it has queued is to leave.
    Batch,
    /// Messages leave by themselves, those that wait together in one go.
    SelfFlushing,
    /// Each message is written by itself.
    Eager,
}

impl Contender {
    pub(crate) fn describe(&self) -> Value {
        json!({
            "peer": self.peer,
            "version": self.version,
            "mode": self.mode,
            "kind": match self.kind {
                Kind::Bare => "bare",
                Kind::Batch => "batch",
                Kind::SelfFlushing => "self-flushing",
                Kind::Eager => "eager",
            },
            "scenarios": names(self.scenarios),
            "mechanisms": names(self.mechanisms),
            "transports": names(self.transports),
            "connections": self.connections,
        })
    }
}

fn names<T: ValueEnum>(values: &[T]) -> Vec<String> {
    let possible = values.iter().filter_map(ValueEnum::to_possible_value);
    possible.map(|value| value.get_name().to_owned()).collect()
}

/// Everybody who was compiled in.
pub(crate) fn all() -> Vec<Contender> {
    let mut all = bare::contenders();
    all.extend(zmtp::contenders());
    #[cfg(feature = "libzmq")]
    all.extend(libzmq::contenders());
    #[cfg(feature = "monocoque")]
    all.extend(monocoque::contenders());
    #[cfg(feature = "omq-tokio")]
    all.extend(omq_tokio::contenders());
    #[cfg(feature = "rzmq")]
    all.extend(rzmq::contenders());
    #[cfg(feature = "zeromq")]
    all.extend(zeromq::contenders());
    all
}

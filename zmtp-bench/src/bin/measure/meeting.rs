//! Where the two ends meet, and when.

use crate::job::Transport;
use anyhow::{Context as _, Result};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};

/// An address that both ends know, and a signal that one of them listens there.
#[derive(Debug)]
pub(crate) struct Meeting {
    address: Address,
    bound: Mutex<bool>,
    changed: Condvar,
}

#[derive(Clone, Debug)]
pub(crate) enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Meeting {
    pub(crate) fn new(transport: Transport) -> Result<Self> {
        let address = match transport {
            // A port that was free a moment ago: not everybody can say which one he was given.
            Transport::Tcp => {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
                Address::Tcp(listener.local_addr()?)
            }
            Transport::Unix => {
                let name = format!("zmtp-bench-{}.sock", std::process::id());
                let path = std::env::temp_dir().join(name);
                let _ = std::fs::remove_file(&path);
                Address::Unix(path)
            }
        };
        Ok(Self { address, bound: Mutex::new(false), changed: Condvar::new() })
    }

    pub(crate) const fn address(&self) -> &Address {
        &self.address
    }

    /// As ZeroMQ writes it.
    #[cfg(any(feature = "libzmq", feature = "omq-tokio", feature = "rzmq", feature = "zeromq"))]
    pub(crate) fn endpoint(&self) -> String {
        match &self.address {
            Address::Tcp(address) => format!("tcp://{address}"),
            Address::Unix(path) => format!("ipc://{}", path.display()),
        }
    }

    pub(crate) fn path(&self) -> Option<&Path> {
        match &self.address {
            Address::Tcp(_) => None,
            Address::Unix(path) => Some(path),
        }
    }

    /// Says that somebody listens.
    pub(crate) fn announce(&self) {
        *self.bound.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Waits until somebody listens.
    pub(crate) fn wait(&self) {
        let bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.changed.wait_while(bound, |bound| !*bound).unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Meeting {
    fn drop(&mut self) {
        if let Some(path) = self.path() {
            let _ = std::fs::remove_file(path);
        }
    }
}

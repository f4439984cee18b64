//! What stands between two peers, and hears all that they say.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use crate::cat::PATIENCE;

/// Carries octets between who connects to it and an endpoint.
pub(crate) struct Relay {
    pub(crate) endpoint: String,
    stalled: Arc<AtomicBool>,
    heard: Receiver<(From, Vec<u8>)>,
}

/// Who has said it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum From {
    Connector,
    Binder,
}

impl Relay {
    pub(crate) fn to(endpoint: &str) -> Self {
        let target = endpoint.strip_prefix("tcp://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
        let stalled = Arc::new(AtomicBool::new(false));
        let (said, heard) = channel();
        let stall = Arc::clone(&stalled);
        thread::spawn(move || {
            for connector in listener.incoming() {
                let (connector, binder) = (connector.unwrap(), TcpStream::connect(&target).unwrap());
                let back = (binder.try_clone().unwrap(), connector.try_clone().unwrap());
                carry(From::Connector, connector, binder, &said, &stall);
                carry(From::Binder, back.0, back.1, &said, &stall);
            }
        });
        Self { endpoint, stalled, heard }
    }

    /// What is said next.
    pub(crate) fn hear(&self) -> (From, Vec<u8>) {
        self.heard.recv_timeout(PATIENCE).unwrap()
    }

    /// All that was said up to now and not heard yet.
    pub(crate) fn heard(&self) -> Vec<u8> {
        self.heard.try_iter().flat_map(|(_, octets)| octets).collect()
    }

    /// From now on nothing arrives any more, and nobody is told.
    pub(crate) fn stall(&self) {
        self.stalled.store(true, Ordering::SeqCst);
    }
}

fn carry(who: From, mut from: TcpStream, mut to: TcpStream, said: &Sender<(From, Vec<u8>)>, stalled: &Arc<AtomicBool>) {
    let (said, stalled) = (said.clone(), Arc::clone(stalled));
    thread::spawn(move || {
        let mut octets = [0; 65_536];
        while let Ok(len @ 1..) = from.read(&mut octets) {
            let _ = said.send((who, octets[..len].to_vec()));
            if !stalled.load(Ordering::SeqCst) && to.write_all(&octets[..len]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
}

//! What happens to a socket's connections, as libzmq reports it.

use core::ffi::c_void;
use core::ptr::{self, NonNull};
use core::time::Duration;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::error::{ZmqError, c_string, check};
use super::ffi;
use super::socket::{Socket, SocketKind};

/// The events of one socket, in order, until it is monitored anew or closed.
///
/// Events wait in memory until they are read, however many there are. Closing the socket ends its monitoring first, so the
/// last event then is [`EventKind::MonitorStopped`], and the ends of its own connections are not seen here.
#[derive(Debug)]
pub struct Monitor {
    events: Socket,
    watch: Arc<Mutex<Watch>>,
    number: u64,
}

impl Monitor {
    pub(super) fn new(socket: &Socket, watch: &Arc<Mutex<Watch>>) -> Result<Self, ZmqError> {
        /// Makes the names of endpoints unique within the process, and with it within every context.
        static NEXT: AtomicU64 = AtomicU64::new(1);

        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let endpoint = format!("inproc://zmtp-bench-monitor-{number}");
        let events = socket.context().socket(SocketKind::Pair)?;
        // Without a limit: libzmq's I/O thread would wait for a slow reader.
        events.set_rcvhwm(0)?;
        let c_endpoint = c_string("zmq_socket_monitor", &endpoint)?;
        let mut locked = watch.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the socket is alive, and the string ends in NUL.
        let result = unsafe { ffi::zmq_socket_monitor(socket.as_ptr(), c_endpoint.as_ptr(), ffi::EVENT_ALL) };
        check("zmq_socket_monitor", result)?;
        locked.monitored_by = Some(number);
        drop(locked);
        // The monitor exists from here on, so that a failure to connect ends the monitoring.
        let monitor = Self { events, watch: Arc::clone(watch), number };
        monitor.events.connect(&endpoint)?;
        Ok(monitor)
    }

    /// The next event, or `None` when none came in time.
    #[must_use]
    pub fn next(&self, timeout: Duration) -> Option<MonitorEvent> {
        self.events.set_rcvtimeo(timeout).ok()?;
        // Nothing but the timeout can fail: this end is connected, and it keeps its context alive.
        let parts = self.events.recv().ok()?;
        let [event, address] = parts.as_slice() else {
            return None;
        };
        // zmq_socket_monitor(3): 16 bits of event and 32 bits of value, both in the machine's own order.
        let (kind, value) = event.split_first_chunk::<2>()?;
        let value = i32::from_ne_bytes(*value.first_chunk::<4>()?);
        Some(MonitorEvent {
            kind: EventKind::new(u16::from_ne_bytes(*kind), value),
            value,
            address: String::from_utf8_lossy(address).into_owned(),
        })
    }

    /// Waits for the first event that `wanted` accepts, for `timeout` in all.
    ///
    /// # Errors
    /// The events that came instead, when it did not come in time.
    pub fn wait_for(
        &self,
        mut wanted: impl FnMut(&MonitorEvent) -> bool,
        timeout: Duration,
    ) -> Result<MonitorEvent, Vec<MonitorEvent>> {
        let start = Instant::now();
        let mut others = Vec::new();
        while let Some(event) = self.next(timeout.saturating_sub(start.elapsed())) {
            if wanted(&event) {
                return Ok(event);
            }
            others.push(event);
        }
        Err(others)
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        // Before our end of the pair is closed: libzmq's I/O thread would wait for a reader that never comes back.
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        if watch.monitored_by == Some(self.number) {
            watch.stop();
        }
    }
}

/// What a socket and its monitors share, so that each may be dropped first and on any thread.
#[derive(Debug)]
pub(super) struct Watch {
    /// The monitored socket; gone when it was closed.
    socket: Option<NonNull<c_void>>,
    /// The monitor that receives the events, if any.
    monitored_by: Option<u64>,
}

// SAFETY: the pointer is used for nothing but ending the monitoring, which libzmq guards by a lock of its own (socket_base.cpp,
// _monitor_sync) because its I/O threads do the same, and never after the socket was closed.
unsafe impl Send for Watch {}

impl Watch {
    pub(super) const fn new(socket: NonNull<c_void>) -> Self {
        Self { socket: Some(socket), monitored_by: None }
    }

    /// Ends the monitoring and forgets the socket, which its owner is about to close.
    pub(super) fn end(&mut self) {
        if self.monitored_by.is_some() {
            self.stop();
        }
        self.socket = None;
    }

    fn stop(&mut self) {
        self.monitored_by = None;
        if let Some(socket) = self.socket {
            // SAFETY: the socket is not closed yet, since `end` comes first. Null ends the monitoring. It cannot fail:
            // the context is alive as long as the socket.
            unsafe { ffi::zmq_socket_monitor(socket.as_ptr(), ptr::null(), 0) };
        }
    }
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MonitorEvent {
    /// What happened.
    pub kind: EventKind,
    /// What libzmq says with it: a file descriptor, an errno, a time in milliseconds, a code. The kinds that matter carry it decoded.
    pub value: i32,
    /// The endpoint of the connection or listener that it happened to.
    pub address: String,
}

/// What happened: `ZMQ_EVENT_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// The transport is connected; the handshake comes next.
    Connected,
    /// Connecting goes on in the background.
    ConnectDelayed,
    /// Connecting failed and is tried again after the value's milliseconds.
    ConnectRetried,
    /// The socket listens.
    Listening,
    /// Binding failed; the value is an errno.
    BindFailed,
    /// A connection came in; its handshake comes next.
    Accepted,
    /// A connection could not be accepted; the value is an errno.
    AcceptFailed,
    /// A listener or a connection attempt was closed.
    Closed,
    /// Closing failed; the value is an errno.
    CloseFailed,
    /// An established connection, or one in its handshake, ended.
    Disconnected,
    /// The last event: monitoring has ended.
    MonitorStopped,
    /// The handshake ended for want of a connection or of time, with this errno (often zero).
    HandshakeFailedNoDetail(i32),
    /// The handshake is done, and the peer is authenticated where the mechanism does that.
    HandshakeSucceeded,
    /// What the peer or the ZAP handler sent breaks the protocol.
    HandshakeFailedProtocol(ProtocolError),
    /// The ZAP handler refused the peer with this status: 300, 400 or 500. A client sees the status out of the ERROR.
    HandshakeFailedAuth(i32),
    /// An event that this version of the wrapper does not know.
    Other(u16),
}

impl EventKind {
    const fn new(event: u16, value: i32) -> Self {
        match event {
            ffi::EVENT_CONNECTED => Self::Connected,
            ffi::EVENT_CONNECT_DELAYED => Self::ConnectDelayed,
            ffi::EVENT_CONNECT_RETRIED => Self::ConnectRetried,
            ffi::EVENT_LISTENING => Self::Listening,
            ffi::EVENT_BIND_FAILED => Self::BindFailed,
            ffi::EVENT_ACCEPTED => Self::Accepted,
            ffi::EVENT_ACCEPT_FAILED => Self::AcceptFailed,
            ffi::EVENT_CLOSED => Self::Closed,
            ffi::EVENT_CLOSE_FAILED => Self::CloseFailed,
            ffi::EVENT_DISCONNECTED => Self::Disconnected,
            ffi::EVENT_MONITOR_STOPPED => Self::MonitorStopped,
            ffi::EVENT_HANDSHAKE_FAILED_NO_DETAIL => Self::HandshakeFailedNoDetail(value),
            ffi::EVENT_HANDSHAKE_SUCCEEDED => Self::HandshakeSucceeded,
            ffi::EVENT_HANDSHAKE_FAILED_PROTOCOL => Self::HandshakeFailedProtocol(ProtocolError::new(value)),
            ffi::EVENT_HANDSHAKE_FAILED_AUTH => Self::HandshakeFailedAuth(value),
            other => Self::Other(other),
        }
    }
}

/// How a handshake broke the protocol: `ZMQ_PROTOCOL_ERROR_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names are libzmq's own and say what there is to say")]
pub enum ProtocolError {
    ZmtpUnspecified,
    ZmtpUnexpectedCommand,
    ZmtpInvalidSequence,
    ZmtpKeyExchange,
    ZmtpMalformedCommandUnspecified,
    ZmtpMalformedCommandMessage,
    ZmtpMalformedCommandHello,
    ZmtpMalformedCommandInitiate,
    ZmtpMalformedCommandError,
    ZmtpMalformedCommandReady,
    ZmtpMalformedCommandWelcome,
    ZmtpInvalidMetadata,
    ZmtpCryptographic,
    ZmtpMechanismMismatch,
    ZapUnspecified,
    ZapMalformedReply,
    ZapBadRequestId,
    ZapBadVersion,
    ZapInvalidStatusCode,
    ZapInvalidMetadata,
    WsUnspecified,
    /// A code that this version of the wrapper does not know.
    Other(i32),
}

impl ProtocolError {
    const fn new(code: i32) -> Self {
        match code {
            0x1000_0000 => Self::ZmtpUnspecified,
            0x1000_0001 => Self::ZmtpUnexpectedCommand,
            0x1000_0002 => Self::ZmtpInvalidSequence,
            0x1000_0003 => Self::ZmtpKeyExchange,
            0x1000_0011 => Self::ZmtpMalformedCommandUnspecified,
            0x1000_0012 => Self::ZmtpMalformedCommandMessage,
            0x1000_0013 => Self::ZmtpMalformedCommandHello,
            0x1000_0014 => Self::ZmtpMalformedCommandInitiate,
            0x1000_0015 => Self::ZmtpMalformedCommandError,
            0x1000_0016 => Self::ZmtpMalformedCommandReady,
            0x1000_0017 => Self::ZmtpMalformedCommandWelcome,
            0x1000_0018 => Self::ZmtpInvalidMetadata,
            0x1100_0001 => Self::ZmtpCryptographic,
            0x1100_0002 => Self::ZmtpMechanismMismatch,
            0x2000_0000 => Self::ZapUnspecified,
            0x2000_0001 => Self::ZapMalformedReply,
            0x2000_0002 => Self::ZapBadRequestId,
            0x2000_0003 => Self::ZapBadVersion,
            0x2000_0004 => Self::ZapInvalidStatusCode,
            0x2000_0005 => Self::ZapInvalidMetadata,
            0x3000_0000 => Self::WsUnspecified,
            other => Self::Other(other),
        }
    }
}

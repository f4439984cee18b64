//! Socket options: the generic way, and a named one for those that tests and benches use.

use core::ffi::{c_int, c_void};
use core::time::Duration;

use super::error::{ZmqError, check};
use super::socket::Socket;
use super::{ffi, int};

/// A socket option by its number in `include/zmq.h`, under its name there less the `ZMQ_`.
///
/// Only the constants exist: an option such as `ZMQ_USE_FD` would hand a file descriptor of somebody else to the library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SocketOption(c_int);

#[expect(missing_docs, reason = "described in zmq_setsockopt(3) and zmq_getsockopt(3) under the same names")]
impl SocketOption {
    pub const AFFINITY: Self = Self(4);
    pub const ROUTING_ID: Self = Self(5);
    pub const SUBSCRIBE: Self = Self(6);
    pub const UNSUBSCRIBE: Self = Self(7);
    pub const SNDBUF: Self = Self(11);
    pub const RCVBUF: Self = Self(12);
    pub const RCVMORE: Self = Self(13);
    pub const EVENTS: Self = Self(15);
    pub const TYPE: Self = Self(16);
    pub const LINGER: Self = Self(17);
    pub const RECONNECT_IVL: Self = Self(18);
    pub const BACKLOG: Self = Self(19);
    pub const RECONNECT_IVL_MAX: Self = Self(21);
    pub const MAXMSGSIZE: Self = Self(22);
    pub const SNDHWM: Self = Self(23);
    pub const RCVHWM: Self = Self(24);
    pub const RCVTIMEO: Self = Self(27);
    pub const SNDTIMEO: Self = Self(28);
    pub const LAST_ENDPOINT: Self = Self(32);
    pub const ROUTER_MANDATORY: Self = Self(33);
    pub const IMMEDIATE: Self = Self(39);
    pub const XPUB_VERBOSE: Self = Self(40);
    pub const IPV6: Self = Self(42);
    pub const MECHANISM: Self = Self(43);
    pub const PLAIN_SERVER: Self = Self(44);
    pub const PLAIN_USERNAME: Self = Self(45);
    pub const PLAIN_PASSWORD: Self = Self(46);
    pub const CURVE_SERVER: Self = Self(47);
    pub const CURVE_PUBLICKEY: Self = Self(48);
    pub const CURVE_SECRETKEY: Self = Self(49);
    pub const CURVE_SERVERKEY: Self = Self(50);
    pub const PROBE_ROUTER: Self = Self(51);
    pub const REQ_CORRELATE: Self = Self(52);
    pub const REQ_RELAXED: Self = Self(53);
    pub const CONFLATE: Self = Self(54);
    pub const ZAP_DOMAIN: Self = Self(55);
    pub const ROUTER_HANDOVER: Self = Self(56);
    pub const CONNECT_ROUTING_ID: Self = Self(61);
    pub const HANDSHAKE_IVL: Self = Self(66);
    pub const XPUB_NODROP: Self = Self(69);
    pub const XPUB_MANUAL: Self = Self(71);
    pub const XPUB_WELCOME_MSG: Self = Self(72);
    pub const STREAM_NOTIFY: Self = Self(73);
    pub const INVERT_MATCHING: Self = Self(74);
    pub const HEARTBEAT_IVL: Self = Self(75);
    pub const HEARTBEAT_TTL: Self = Self(76);
    pub const HEARTBEAT_TIMEOUT: Self = Self(77);
    pub const XPUB_VERBOSER: Self = Self(78);
    pub const CONNECT_TIMEOUT: Self = Self(79);
    // Draft from here on.
    pub const ZAP_ENFORCE_DOMAIN: Self = Self(93);
    pub const METADATA: Self = Self(95);
    pub const ROUTER_NOTIFY: Self = Self(97);
    pub const IN_BATCH_SIZE: Self = Self(101);
    pub const OUT_BATCH_SIZE: Self = Self(102);
    pub const ONLY_FIRST_SUBSCRIBE: Self = Self(108);
    pub const RECONNECT_STOP: Self = Self(109);
    pub const HELLO_MSG: Self = Self(110);
    pub const DISCONNECT_MSG: Self = Self(111);
    pub const HICCUP_MSG: Self = Self(114);
    pub const XSUB_VERBOSE_UNSUBSCRIBE: Self = Self(115);
    pub const TOPICS_COUNT: Self = Self(116);
}

/// Each fails only when the socket type does not have the option, or the library refuses the value; `zmq_setsockopt(3)` says when.
#[expect(clippy::missing_errors_doc, reason = "said once for all of them above")]
impl Socket {
    /// Sets an option whose value is an `int`.
    pub fn set_option_int(&self, option: SocketOption, value: i32) -> Result<(), ZmqError> {
        self.set_option_bytes(option, &value.to_ne_bytes())
    }

    /// Sets an option whose value is an `int64_t`.
    pub fn set_option_int64(&self, option: SocketOption, value: i64) -> Result<(), ZmqError> {
        self.set_option_bytes(option, &value.to_ne_bytes())
    }

    /// Sets an option whose value is a string or octets.
    pub fn set_option_bytes(&self, option: SocketOption, value: &[u8]) -> Result<(), ZmqError> {
        // SAFETY: the socket is alive, and the library copies the value during the call.
        let result =
            unsafe { ffi::zmq_setsockopt(self.as_ptr(), option.0, value.as_ptr().cast::<c_void>(), value.len()) };
        check("zmq_setsockopt", result).map(drop)
    }

    /// Reads an option whose value is an `int`.
    pub fn option_int(&self, option: SocketOption) -> Result<i32, ZmqError> {
        let mut value = [0; size_of::<i32>()];
        self.read_option(option, &mut value)?;
        Ok(i32::from_ne_bytes(value))
    }

    /// Reads an option whose value is a string or octets, of at most 1,024.
    pub fn option_bytes(&self, option: SocketOption) -> Result<Vec<u8>, ZmqError> {
        let mut value = vec![0; 1024];
        let len = self.read_option(option, &mut value)?;
        value.truncate(len);
        Ok(value)
    }

    fn read_option(&self, option: SocketOption, value: &mut [u8]) -> Result<usize, ZmqError> {
        let mut len = value.len();
        // SAFETY: the socket is alive; the library writes at most `len` octets and then the number it wrote.
        let result =
            unsafe { ffi::zmq_getsockopt(self.as_ptr(), option.0, value.as_mut_ptr().cast::<c_void>(), &raw mut len) };
        check("zmq_getsockopt", result)?;
        Ok(len)
    }

    /// The endpoint that was bound or connected last.
    pub fn last_endpoint(&self) -> Result<String, ZmqError> {
        let mut endpoint = self.option_bytes(SocketOption::LAST_ENDPOINT)?;
        // The NUL that ends a string of C.
        endpoint.pop();
        Ok(String::from_utf8_lossy(&endpoint).into_owned())
    }

    /// Whether more parts follow the one that was received last.
    pub fn rcvmore(&self) -> Result<bool, ZmqError> {
        Ok(self.option_int(SocketOption::RCVMORE)? == 1)
    }

    /// Receives messages that begin with a prefix (SUB; an XSUB sends its own).
    pub fn subscribe(&self, prefix: &[u8]) -> Result<(), ZmqError> {
        self.set_option_bytes(SocketOption::SUBSCRIBE, prefix)
    }

    /// Takes back one [`subscribe`](Self::subscribe).
    pub fn unsubscribe(&self, prefix: &[u8]) -> Result<(), ZmqError> {
        self.set_option_bytes(SocketOption::UNSUBSCRIBE, prefix)
    }

    /// The `Identity` property sent to peers: 1 to 255 octets, the first not zero.
    pub fn set_routing_id(&self, id: &[u8]) -> Result<(), ZmqError> {
        self.set_option_bytes(SocketOption::ROUTING_ID, id)
    }

    /// How long a dropped socket still sends what is queued, and how long its context therefore may wait; zero in a new one.
    pub fn set_linger(&self, time: Duration) -> Result<(), ZmqError> {
        self.set_option_int(SocketOption::LINGER, milliseconds(time))
    }

    /// How long a send waits; [`DEFAULT_TIMEOUT`](super::DEFAULT_TIMEOUT) in a new socket, zero for not at all.
    pub fn set_sndtimeo(&self, time: Duration) -> Result<(), ZmqError> {
        self.set_option_int(SocketOption::SNDTIMEO, milliseconds(time))
    }

    /// How long a receive waits; [`DEFAULT_TIMEOUT`](super::DEFAULT_TIMEOUT) in a new socket, zero for not at all.
    pub fn set_rcvtimeo(&self, time: Duration) -> Result<(), ZmqError> {
        self.set_option_int(SocketOption::RCVTIMEO, milliseconds(time))
    }

    /// How many messages are queued per connection for sending; zero for no limit.
    pub fn set_sndhwm(&self, value: i32) -> Result<(), ZmqError> {
        self.set_option_int(SocketOption::SNDHWM, value)
    }

    /// How many messages are queued per connection before reading stops; zero for no limit.
    pub fn set_rcvhwm(&self, value: i32) -> Result<(), ZmqError> {
        self.set_option_int(SocketOption::RCVHWM, value)
    }

    /// The longest frame accepted, in octets; -1 for no limit. A longer one ends the connection.
    pub fn set_maxmsgsize(&self, octets: i64) -> Result<(), ZmqError> {
        self.set_option_int64(SocketOption::MAXMSGSIZE, octets)
    }

    /// How long a handshake may take; zero for no limit.
    pub fn set_handshake_ivl(&self, time: Duration) -> Result<(), ZmqError> {
        self.set_option_int(SocketOption::HANDSHAKE_IVL, milliseconds(time))
    }

    /// The time between PINGs; zero for none.
    pub fn set_heartbeat_ivl(&self, time: Duration) -> Result<(), ZmqError> {
        self.set_option_int(SocketOption::HEARTBEAT_IVL, milliseconds(time))
    }

    /// How long to wait for anything after a PING before the connection is given up.
    pub fn set_heartbeat_timeout(&self, time: Duration) -> Result<(), ZmqError> {
        self.set_option_int(SocketOption::HEARTBEAT_TIMEOUT, milliseconds(time))
    }

    /// The TTL put into PINGs, in steps of 100 ms, at most 6,553 s.
    pub fn set_heartbeat_ttl(&self, time: Duration) -> Result<(), ZmqError> {
        self.set_option_int(SocketOption::HEARTBEAT_TTL, milliseconds(time))
    }

    /// How long to wait before connecting again.
    pub fn set_reconnect_ivl(&self, time: Duration) -> Result<(), ZmqError> {
        self.set_option_int(SocketOption::RECONNECT_IVL, milliseconds(time))
    }

    /// How long connecting may take; zero for as long as the system tries.
    pub fn set_connect_timeout(&self, time: Duration) -> Result<(), ZmqError> {
        self.set_option_int(SocketOption::CONNECT_TIMEOUT, milliseconds(time))
    }

    /// Queues messages for completed connections only.
    pub fn set_immediate(&self, on: bool) -> Result<(), ZmqError> {
        self.set_option_int(SocketOption::IMMEDIATE, int(on))
    }

    /// Allows IPv6.
    pub fn set_ipv6(&self, on: bool) -> Result<(), ZmqError> {
        self.set_option_int(SocketOption::IPV6, int(on))
    }

    /// Passes every subscription up, not just new ones (XPUB).
    pub fn set_xpub_verbose(&self, on: bool) -> Result<(), ZmqError> {
        self.set_option_int(SocketOption::XPUB_VERBOSE, int(on))
    }

    /// Leaves it to the application which subscriptions count (XPUB).
    pub fn set_xpub_manual(&self, on: bool) -> Result<(), ZmqError> {
        self.set_option_int(SocketOption::XPUB_MANUAL, int(on))
    }

    /// Reports a message to an unknown peer as an error, not by silence (ROUTER).
    pub fn set_router_mandatory(&self, on: bool) -> Result<(), ZmqError> {
        self.set_option_int(SocketOption::ROUTER_MANDATORY, int(on))
    }

    /// Sends an empty message to every new peer.
    pub fn set_probe_router(&self, on: bool) -> Result<(), ZmqError> {
        self.set_option_int(SocketOption::PROBE_ROUTER, int(on))
    }

    /// Allows to send again before the reply came (REQ).
    pub fn set_req_relaxed(&self, on: bool) -> Result<(), ZmqError> {
        self.set_option_int(SocketOption::REQ_RELAXED, int(on))
    }

    /// Puts a number in front of every request and drops replies with another (REQ).
    pub fn set_req_correlate(&self, on: bool) -> Result<(), ZmqError> {
        self.set_option_int(SocketOption::REQ_CORRELATE, int(on))
    }

    /// Makes this the PLAIN server. It asks the ZAP handler (RFC 27) about every client, and without one lets in nobody.
    pub fn set_plain_server(&self, on: bool) -> Result<(), ZmqError> {
        self.set_option_int(SocketOption::PLAIN_SERVER, int(on))
    }

    /// The user that a PLAIN client is: 1 to 255 octets. Makes this a PLAIN client.
    pub fn set_plain_username(&self, value: impl AsRef<[u8]>) -> Result<(), ZmqError> {
        self.set_option_bytes(SocketOption::PLAIN_USERNAME, value.as_ref())
    }

    /// The password of a PLAIN client: 1 to 255 octets; an unset one is empty. Makes this a PLAIN client.
    pub fn set_plain_password(&self, value: impl AsRef<[u8]>) -> Result<(), ZmqError> {
        self.set_option_bytes(SocketOption::PLAIN_PASSWORD, value.as_ref())
    }

    /// Makes this the CURVE server.
    pub fn set_curve_server(&self, on: bool) -> Result<(), ZmqError> {
        self.set_option_int(SocketOption::CURVE_SERVER, int(on))
    }

    /// The public key of a CURVE client: 32 raw octets or 40 characters of Z85.
    pub fn set_curve_publickey(&self, key: impl AsRef<[u8]>) -> Result<(), ZmqError> {
        self.set_option_bytes(SocketOption::CURVE_PUBLICKEY, key.as_ref())
    }

    /// The secret key of a CURVE client or server: 32 raw octets or 40 characters of Z85.
    pub fn set_curve_secretkey(&self, key: impl AsRef<[u8]>) -> Result<(), ZmqError> {
        self.set_option_bytes(SocketOption::CURVE_SECRETKEY, key.as_ref())
    }

    /// The public key of the server that a CURVE client expects: 32 raw octets or 40 characters of Z85.
    pub fn set_curve_serverkey(&self, key: impl AsRef<[u8]>) -> Result<(), ZmqError> {
        self.set_option_bytes(SocketOption::CURVE_SERVERKEY, key.as_ref())
    }

    /// The domain in requests to the ZAP handler (RFC 27); setting it makes a NULL socket ask at all, on either side.
    pub fn set_zap_domain(&self, value: &str) -> Result<(), ZmqError> {
        self.set_option_bytes(SocketOption::ZAP_DOMAIN, value.as_bytes())
    }

    /// A property sent to peers (draft): the name begins with `X-` and holds no colon, the value is not empty.
    pub fn set_metadata(&self, name: &str, value: &str) -> Result<(), ZmqError> {
        self.set_option_bytes(SocketOption::METADATA, format!("{name}:{value}").as_bytes())
    }
}

/// Whole milliseconds, as many as an `int` holds.
fn milliseconds(time: Duration) -> i32 {
    i32::try_from(time.as_millis()).unwrap_or(i32::MAX)
}

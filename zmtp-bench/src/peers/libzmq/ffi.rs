//! Declarations of the functions of libzmq that are used, written by hand from `include/zmq.h` of 4.3.5.
//!
//! The only `extern "C"` of the workspace. Numbers are those of that header under the same names, less the `ZMQ_`.

use core::ffi::{c_char, c_int, c_void};

/// Octets of a Z85 key and the NUL behind it.
pub(super) const CURVE_KEY_Z85_SIZE: usize = 41;

/// zmq.h: "RADIO-DISH protocol".
pub(super) const GROUP_MAX_LENGTH: usize = 255;

// zmq.h: "Native 0MQ error codes", which start at ZMQ_HAUSNUMERO.
pub(super) const ETERM: c_int = 156_384_712 + 53;

// zmq.h: "Send/recv options".
pub(super) const SNDMORE: c_int = 2;

// zmq.h: "Socket transport events" and what follows.
pub(super) const EVENT_ALL: c_int = 0xFFFF;
pub(super) const EVENT_CONNECTED: u16 = 0x0001;
pub(super) const EVENT_CONNECT_DELAYED: u16 = 0x0002;
pub(super) const EVENT_CONNECT_RETRIED: u16 = 0x0004;
pub(super) const EVENT_LISTENING: u16 = 0x0008;
pub(super) const EVENT_BIND_FAILED: u16 = 0x0010;
pub(super) const EVENT_ACCEPTED: u16 = 0x0020;
pub(super) const EVENT_ACCEPT_FAILED: u16 = 0x0040;
pub(super) const EVENT_CLOSED: u16 = 0x0080;
pub(super) const EVENT_CLOSE_FAILED: u16 = 0x0100;
pub(super) const EVENT_DISCONNECTED: u16 = 0x0200;
pub(super) const EVENT_MONITOR_STOPPED: u16 = 0x0400;
pub(super) const EVENT_HANDSHAKE_FAILED_NO_DETAIL: u16 = 0x0800;
pub(super) const EVENT_HANDSHAKE_SUCCEEDED: u16 = 0x1000;
pub(super) const EVENT_HANDSHAKE_FAILED_PROTOCOL: u16 = 0x2000;
pub(super) const EVENT_HANDSHAKE_FAILED_AUTH: u16 = 0x4000;

/// `zmq_msg_t`: 64 opaque octets, aligned like a pointer.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Msg {
    _opaque: [usize; 64 / size_of::<usize>()],
}

impl Msg {
    /// Storage for a message. Not a message before one of the `zmq_msg_init` functions has succeeded.
    pub(super) const fn uninitialised() -> Self {
        Self { _opaque: [0; 64 / size_of::<usize>()] }
    }
}

/// `zmq_free_fn`: called once, from any thread, when the library no longer reads `data`.
pub(super) type FreeFn = unsafe extern "C" fn(data: *mut c_void, hint: *mut c_void);

unsafe extern "C" {
    pub(super) fn zmq_errno() -> c_int;
    pub(super) fn zmq_strerror(errnum: c_int) -> *const c_char;
    pub(super) fn zmq_version(major: *mut c_int, minor: *mut c_int, patch: *mut c_int);
    pub(super) fn zmq_has(capability: *const c_char) -> c_int;

    pub(super) fn zmq_ctx_new() -> *mut c_void;
    pub(super) fn zmq_ctx_shutdown(context: *mut c_void) -> c_int;
    pub(super) fn zmq_ctx_term(context: *mut c_void) -> c_int;

    pub(super) fn zmq_socket(context: *mut c_void, kind: c_int) -> *mut c_void;
    pub(super) fn zmq_close(socket: *mut c_void) -> c_int;
    pub(super) fn zmq_setsockopt(socket: *mut c_void, option: c_int, value: *const c_void, len: usize) -> c_int;
    pub(super) fn zmq_getsockopt(socket: *mut c_void, option: c_int, value: *mut c_void, len: *mut usize) -> c_int;
    pub(super) fn zmq_bind(socket: *mut c_void, endpoint: *const c_char) -> c_int;
    pub(super) fn zmq_connect(socket: *mut c_void, endpoint: *const c_char) -> c_int;
    pub(super) fn zmq_unbind(socket: *mut c_void, endpoint: *const c_char) -> c_int;
    pub(super) fn zmq_disconnect(socket: *mut c_void, endpoint: *const c_char) -> c_int;
    pub(super) fn zmq_socket_monitor(socket: *mut c_void, endpoint: *const c_char, events: c_int) -> c_int;

    pub(super) fn zmq_send(socket: *mut c_void, data: *const c_void, len: usize, flags: c_int) -> c_int;
    pub(super) fn zmq_recv(socket: *mut c_void, data: *mut c_void, len: usize, flags: c_int) -> c_int;

    pub(super) fn zmq_proxy(frontend: *mut c_void, backend: *mut c_void, capture: *mut c_void) -> c_int;

    pub(super) fn zmq_msg_init(message: *mut Msg) -> c_int;
    pub(super) fn zmq_msg_init_size(message: *mut Msg, len: usize) -> c_int;
    pub(super) fn zmq_msg_init_data(
        message: *mut Msg,
        data: *mut c_void,
        len: usize,
        free: Option<FreeFn>,
        hint: *mut c_void,
    ) -> c_int;
    pub(super) fn zmq_msg_send(message: *mut Msg, socket: *mut c_void, flags: c_int) -> c_int;
    pub(super) fn zmq_msg_recv(message: *mut Msg, socket: *mut c_void, flags: c_int) -> c_int;
    pub(super) fn zmq_msg_close(message: *mut Msg) -> c_int;
    pub(super) fn zmq_msg_data(message: *mut Msg) -> *mut c_void;
    pub(super) fn zmq_msg_size(message: *const Msg) -> usize;
    pub(super) fn zmq_msg_more(message: *const Msg) -> c_int;
    pub(super) fn zmq_msg_gets(message: *const Msg, property: *const c_char) -> *const c_char;

    pub(super) fn zmq_curve_keypair(public: *mut c_char, secret: *mut c_char) -> c_int;
    pub(super) fn zmq_curve_public(public: *mut c_char, secret: *const c_char) -> c_int;
}

// zmq.h: "DRAFT Socket methods" and "DRAFT Msg methods".
unsafe extern "C" {
    pub(super) fn zmq_join(socket: *mut c_void, group: *const c_char) -> c_int;
    pub(super) fn zmq_leave(socket: *mut c_void, group: *const c_char) -> c_int;
    pub(super) fn zmq_msg_set_routing_id(message: *mut Msg, routing_id: u32) -> c_int;
    pub(super) fn zmq_msg_routing_id(message: *mut Msg) -> u32;
    pub(super) fn zmq_msg_set_group(message: *mut Msg, group: *const c_char) -> c_int;
    pub(super) fn zmq_msg_group(message: *mut Msg) -> *const c_char;
}

//! Without security: what the conversations need to know of the mechanism NULL.

use std::time::Duration;

use tokio::net::TcpStream;
use zmtp_bench::peers::libzmq::Socket;
use zmtp_connection::codec::MechanismName;
use zmtp_connection::{Connection, ConnectionConfig, HandshakeError, Null};

pub(crate) type Mechanism = Null;

pub(crate) const NAME: MechanismName = MechanismName::NULL;

/// Octets by which a frame on the wire is longer than its payload.
pub(crate) const OVERHEAD: usize = 0;

/// For how long a peer is shown to stay content: many times the timeout of one that is not to lose patience.
pub(crate) const LONG: Duration = Duration::from_secs(3);

/// Who listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// libzmq binds, we connect.
    WeConnect,
    /// We bind, libzmq connects.
    WeAccept,
}

pub(crate) const ROLES: [Role; 2] = [Role::WeConnect, Role::WeAccept];

impl Role {
    pub(crate) const fn we_listen(self) -> bool {
        matches!(self, Self::WeAccept)
    }
}

/// Prepares a socket of libzmq's that is not bound or connected yet.
pub(crate) const fn equip(_socket: &Socket, _role: Role) {}

/// Our handshake with such a socket.
pub(crate) async fn handshake(
    stream: TcpStream,
    config: &ConnectionConfig,
    _role: Role,
) -> Result<Connection<TcpStream, Mechanism>, HandshakeError> {
    Connection::handshake(stream, config, &Null::new()).await
}

/// The key by which we are to know libzmq.
pub(crate) const fn their_key(_role: Role) -> Option<[u8; 32]> {
    None
}

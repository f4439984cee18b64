//! With security: what the conversations need to know of the mechanism CURVE.
//!
//! Each side has one long-term key pair, whichever part it plays, and each knows the other by its key: we as a server let in
//! that one client and nobody else.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::net::TcpStream;
use zmtp_bench::peers::libzmq::{CurveKeypair, Socket, curve_keypair};
use zmtp_connection::codec::{AnyMechanism, MechanismName};
use zmtp_connection::{
    AllowList, Connection, ConnectionConfig, CurveClient, CurveServer, HandshakeError, KeyPair, PublicKey, SecretKey,
};

/// One type for both parts.
pub(crate) type Mechanism = AnyMechanism;

pub(crate) const NAME: MechanismName = MechanismName::CURVE;

/// Octets by which a frame on the wire is longer than its payload: MESSAGE, counter, tag and inner flags.
pub(crate) const OVERHEAD: usize = 33;

/// For how long a peer is shown to stay content. Shorter than without security, where the same is shown of the same
/// heartbeats: what is new is that they travel encrypted, and once would show that.
pub(crate) const LONG: Duration = Duration::from_millis(1_500);

/// Who listens, and who is the CURVE server. The one has nothing to do with the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "each says what we do")]
pub(crate) enum Role {
    /// libzmq binds and is the server, we connect as a client.
    WeConnect,
    /// We bind and are the server, libzmq connects as a client.
    WeAccept,
    /// libzmq binds as a client, we connect and are the server.
    WeConnectAndServe,
    /// We bind as a client, libzmq connects and is the server.
    WeAcceptTheServer,
}

/// The usual ones first.
pub(crate) const ROLES: [Role; 4] = [Role::WeConnect, Role::WeAccept, Role::WeConnectAndServe, Role::WeAcceptTheServer];

impl Role {
    pub(crate) const fn we_listen(self) -> bool {
        matches!(self, Self::WeAccept | Self::WeAcceptTheServer)
    }

    pub(crate) const fn we_serve(self) -> bool {
        matches!(self, Self::WeAccept | Self::WeConnectAndServe)
    }
}

/// Keys of one side, as libzmq writes them and as we do.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) theirs: CurveKeypair,
    pub(crate) ours: Arc<KeyPair>,
}

impl Keys {
    /// New ones, made by libzmq.
    pub(crate) fn new() -> Self {
        let theirs = curve_keypair().unwrap();
        let ours = Arc::new(pair(&theirs));
        Self { theirs, ours }
    }

    pub(crate) fn public(&self) -> PublicKey {
        *self.ours.public_key()
    }

    pub(crate) fn octets(&self) -> [u8; 32] {
        *self.ours.public_key().as_bytes()
    }
}

/// A key pair of libzmq's as one of ours: its halves were found to belong together.
pub(crate) fn pair(keys: &CurveKeypair) -> KeyPair {
    let secret = SecretKey::from_z85(&keys.secret).unwrap();
    KeyPair::new(keys.public.parse().unwrap(), secret).unwrap()
}

/// Who we are in every conversation.
pub(crate) static WE: LazyLock<Keys> = LazyLock::new(Keys::new);
/// Who libzmq is in every conversation.
pub(crate) static THEY: LazyLock<Keys> = LazyLock::new(Keys::new);

static CLIENT: LazyLock<AnyMechanism> =
    LazyLock::new(|| AnyMechanism::new(CurveClient::new(THEY.public(), Arc::clone(&WE.ours))));
static SERVER: LazyLock<AnyMechanism> = LazyLock::new(|| AnyMechanism::new(CurveServer::new(pair(&WE.theirs))));

/// Makes a socket of libzmq's a CURVE server with these keys.
pub(crate) fn equip_server(socket: &Socket, keys: &Keys) {
    socket.set_curve_server(true).unwrap();
    socket.set_curve_secretkey(&keys.theirs.secret).unwrap();
}

/// Makes a socket of libzmq's a CURVE client with these keys, which expects this server.
pub(crate) fn equip_client(socket: &Socket, keys: &Keys, server: &Keys) {
    socket.set_curve_publickey(&keys.theirs.public).unwrap();
    socket.set_curve_secretkey(&keys.theirs.secret).unwrap();
    socket.set_curve_serverkey(&server.theirs.public).unwrap();
}

/// Prepares a socket of libzmq's that is not bound or connected yet.
pub(crate) fn equip(socket: &Socket, role: Role) {
    if role.we_serve() {
        equip_client(socket, &THEY, &WE);
    } else {
        equip_server(socket, &THEY);
    }
}

/// Our handshake with such a socket.
pub(crate) async fn handshake(
    stream: TcpStream,
    config: &ConnectionConfig,
    role: Role,
) -> Result<Connection<TcpStream, Mechanism>, HandshakeError> {
    if role.we_serve() {
        Connection::handshake_with(stream, config, &*SERVER, &AllowList::new([THEY.octets()])).await
    } else {
        Connection::handshake(stream, config, &*CLIENT).await
    }
}

/// The key by which we are to know libzmq.
pub(crate) fn their_key(_role: Role) -> Option<[u8; 32]> {
    Some(THEY.octets())
}

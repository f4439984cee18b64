//! With passwords: what the conversations need to know of the mechanism PLAIN.
//!
//! Each side has one username and password for when it is the client, and lets in nobody but the other when it is the
//! server: we by a list, libzmq by a ZAP handler, which its PLAIN server always asks.

use std::sync::LazyLock;
use std::time::Duration;

use tokio::net::TcpStream;
use zmtp_bench::peers::libzmq::Socket;
use zmtp_connection::codec::{AnyMechanism, MechanismName};
use zmtp_connection::{
    Connection, ConnectionConfig, CredentialList, HandshakeError, PlainClient, PlainCredentials, PlainServer,
};

use crate::zap_handler::{Answer, Handler, Request};

/// One type for both parts.
pub(crate) type Mechanism = AnyMechanism;

pub(crate) const NAME: MechanismName = MechanismName::PLAIN;

/// Octets by which a frame on the wire is longer than its payload.
pub(crate) const OVERHEAD: usize = 0;

/// For how long a peer is shown to stay content. Shorter than under NULL, whose session is the same.
pub(crate) const LONG: Duration = Duration::from_millis(1_500);

/// Who listens, and who is the PLAIN server. The one has nothing to do with the other.
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

/// A username and its password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct User(pub(crate) &'static str, pub(crate) &'static str);

/// Who we are in every conversation.
pub(crate) const WE: User = User("we", "our password, which is ours");
/// Who libzmq is in every conversation.
pub(crate) const THEY: User = User("libzmq", "its password, which is not ours");

impl User {
    pub(crate) fn credentials(self) -> PlainCredentials {
        PlainCredentials::new(self.0, self.1).unwrap()
    }

    pub(crate) fn client(self) -> PlainClient {
        PlainClient::new(self.credentials())
    }
}

static CLIENT: LazyLock<AnyMechanism> = LazyLock::new(|| AnyMechanism::new(WE.client()));
static SERVER: LazyLock<AnyMechanism> = LazyLock::new(|| AnyMechanism::new(PlainServer::new()));
static LIST: LazyLock<CredentialList> = LazyLock::new(|| CredentialList::new([THEY.credentials()]));

/// Makes a socket of libzmq's a PLAIN client that is this user.
pub(crate) fn equip_client(socket: &Socket, user: User) {
    socket.set_plain_username(user.0).unwrap();
    socket.set_plain_password(user.1).unwrap();
}

/// Makes a socket of libzmq's a PLAIN server, and starts the handler that it asks.
pub(crate) fn equip_server(socket: &Socket, judge: impl FnMut(&Request) -> Answer + Send + 'static) -> Handler {
    socket.set_plain_server(true).unwrap();
    Handler::start(socket.context(), judge)
}

/// Prepares a socket of libzmq's that is not bound or connected yet.
pub(crate) fn equip(socket: &Socket, role: Role) {
    if role.we_serve() {
        equip_client(socket, THEY);
    } else {
        let ours = [WE.0, WE.1].map(|field| field.as_bytes().to_vec());
        equip_server(socket, move |request| Answer::status(if request[6..] == ours { "200" } else { "400" }));
    }
}

/// Our handshake with such a socket.
pub(crate) async fn handshake(
    stream: TcpStream,
    config: &ConnectionConfig,
    role: Role,
) -> Result<Connection<TcpStream, Mechanism>, HandshakeError> {
    if role.we_serve() {
        Connection::handshake_with(stream, config, &*SERVER, &*LIST).await
    } else {
        Connection::handshake(stream, config, &*CLIENT).await
    }
}

/// The key by which we are to know libzmq: PLAIN has none.
pub(crate) const fn their_key(_role: Role) -> Option<[u8; 32]> {
    None
}

//! Every mechanism there is, on both sides: one user, who has a name, a password and a key.

use std::sync::{Arc, LazyLock};

use zmtp_bench::peers::libzmq::{CurveKeypair, Socket, curve_keypair};
use zmtp_connection::codec::AnyMechanism;
use zmtp_connection::{CurveClient, CurveServer, KeyPair, Null, PlainClient, PlainCredentials, PlainServer, SecretKey};

pub(crate) const USER: &str = "alice";
const PASSWORD: &str = "correct horse";

static SERVER_KEYS: LazyLock<CurveKeypair> = LazyLock::new(|| curve_keypair().unwrap());
static CLIENT_KEYS: LazyLock<CurveKeypair> = LazyLock::new(|| curve_keypair().unwrap());

fn pair(keys: &CurveKeypair) -> KeyPair {
    KeyPair::new(keys.public.parse().unwrap(), SecretKey::from_z85(&keys.secret).unwrap()).unwrap()
}

/// The mechanism of both sides, and when our server judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Security {
    /// Judged before our READY.
    Null,
    /// Judged behind our READY.
    NullLate,
    Plain,
    Curve,
}

pub(crate) const ALL: [Security; 4] = [Security::Null, Security::NullLate, Security::Plain, Security::Curve];

impl Security {
    /// The last frames of a ZAP request about the user: the mechanism and the credentials.
    pub(crate) fn shows(self) -> Vec<Vec<u8>> {
        match self {
            Self::Null | Self::NullLate => vec![b"NULL".to_vec()],
            Self::Plain => [b"PLAIN".as_slice(), USER.as_bytes(), PASSWORD.as_bytes()].map(<[u8]>::to_vec).to_vec(),
            Self::Curve => vec![b"CURVE".to_vec(), pair(&CLIENT_KEYS).public_key().as_bytes().to_vec()],
        }
    }

    pub(crate) fn our_server(self) -> AnyMechanism {
        match self {
            Self::Null => AnyMechanism::new(Null::with_authorization()),
            Self::NullLate => AnyMechanism::new(Null::new()),
            Self::Plain => AnyMechanism::new(PlainServer::new()),
            Self::Curve => AnyMechanism::new(CurveServer::new(pair(&SERVER_KEYS))),
        }
    }

    pub(crate) fn our_client(self) -> AnyMechanism {
        match self {
            Self::Null | Self::NullLate => AnyMechanism::new(Null::new()),
            Self::Plain => AnyMechanism::new(PlainClient::new(PlainCredentials::new(USER, PASSWORD).unwrap())),
            Self::Curve => {
                let server = *pair(&SERVER_KEYS).public_key();
                AnyMechanism::new(CurveClient::new(server, Arc::new(pair(&CLIENT_KEYS))))
            }
        }
    }

    /// Makes a socket of libzmq's a client that is the user.
    pub(crate) fn equip_client(self, socket: &Socket) {
        match self {
            Self::Null | Self::NullLate => {}
            Self::Plain => {
                socket.set_plain_username(USER).unwrap();
                socket.set_plain_password(PASSWORD).unwrap();
            }
            Self::Curve => {
                socket.set_curve_publickey(&CLIENT_KEYS.public).unwrap();
                socket.set_curve_secretkey(&CLIENT_KEYS.secret).unwrap();
                socket.set_curve_serverkey(&SERVER_KEYS.public).unwrap();
            }
        }
    }

    /// Makes a socket of libzmq's a server that asks its ZAP handler.
    pub(crate) fn equip_server(self, socket: &Socket) {
        socket.set_zap_domain("tests").unwrap();
        match self {
            Self::Null | Self::NullLate => {}
            Self::Plain => socket.set_plain_server(true).unwrap(),
            Self::Curve => {
                socket.set_curve_server(true).unwrap();
                socket.set_curve_secretkey(&SERVER_KEYS.secret).unwrap();
            }
        }
    }
}

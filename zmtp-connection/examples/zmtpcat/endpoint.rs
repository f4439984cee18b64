//! Endpoints: `tcp://HOST:PORT` and `ipc://PATH`.

use std::fmt;
use std::io;
use std::net::IpAddr;
#[cfg(unix)]
use std::path::PathBuf;

use tokio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};
use zmtp_connection::PeerAddress;

/// Where to bind or connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Tcp {
        host: String,
        port: u16,
    },
    #[cfg(unix)]
    Ipc(PathBuf),
}

impl Endpoint {
    pub(crate) fn parse(text: &str, bind: bool) -> Result<Self, String> {
        if let Some(address) = text.strip_prefix("tcp://") {
            return Self::tcp(address, bind).map_err(|problem| format!("{text}: {problem}"));
        }
        if let Some(path) = text.strip_prefix("ipc://") {
            if path.is_empty() {
                return Err(format!("{text}: the path is missing"));
            }
            #[cfg(unix)]
            return Ok(Self::Ipc(PathBuf::from(path)));
            #[cfg(not(unix))]
            return Err(format!("{text}: ipc is not built in on this system"));
        }
        Err(format!("{text} is no endpoint; write tcp://HOST:PORT or ipc://PATH"))
    }

    fn tcp(address: &str, bind: bool) -> Result<Self, String> {
        let (host, port) = address.rsplit_once(':').ok_or("the port is missing")?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let host = match host {
            "" => return Err("the host is missing".to_owned()),
            "*" if bind => "0.0.0.0",
            "*" => return Err("* can be bound, not connected to".to_owned()),
            host => host,
        };
        let port: u16 = match port {
            "*" if bind => 0,
            port => port.parse().map_err(|_| format!("{port:?} is no port"))?,
        };
        if port == 0 && !bind {
            return Err("port 0 can be bound, not connected to".to_owned());
        }
        Ok(Self::Tcp { host: host.to_owned(), port })
    }

    /// Whether what is said here stays on this machine. A name other than localhost may stand for any host.
    pub(crate) fn is_local(&self) -> bool {
        match self {
            Self::Tcp { host, .. } => {
                let ip = host.parse::<IpAddr>().map(|ip| ip.to_canonical());
                ip.map_or_else(|_| host.eq_ignore_ascii_case("localhost"), |ip| ip.is_loopback())
            }
            #[cfg(unix)]
            Self::Ipc(_) => true,
        }
    }

    /// Binds; [`remove`](Self::remove) undoes it.
    pub(crate) async fn listen(&self) -> io::Result<Listener> {
        match self {
            Self::Tcp { host, port } => {
                // Sets SO_REUSEADDR where that means "also while old connections linger".
                let listener = TcpListener::bind((host.as_str(), *port)).await?;
                Ok(Listener::Tcp(listener))
            }
            #[cfg(unix)]
            Self::Ipc(path) => {
                remove_stale(path);
                let listener = UnixListener::bind(path)?;
                Ok(Listener::Ipc { listener, name: self.to_string() })
            }
        }
    }

    /// Removes the file of a bound socket when the program is done with it.
    pub(crate) fn remove(&self) {
        #[cfg(unix)]
        if let Self::Ipc(path) = self {
            // It may be gone already.
            let _ = std::fs::remove_file(path);
        }
    }

    pub(crate) async fn connect(&self) -> io::Result<(Stream, Remote)> {
        let (stream, address) = match self {
            Self::Tcp { host, port } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                let address = stream.peer_addr()?.into();
                (Stream::Tcp(stream), address)
            }
            #[cfg(unix)]
            Self::Ipc(path) => {
                let stream = UnixStream::connect(path).await?;
                let address = local_process(&stream)?;
                (Stream::Ipc(stream), address)
            }
        };
        Ok((stream, Remote { name: self.to_string(), address }))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "tcp://[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
            #[cfg(unix)]
            Self::Ipc(path) => write!(f, "ipc://{}", path.display()),
        }
    }
}

/// A stream of either kind.
pub(crate) enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Ipc(UnixStream),
}

/// Who is at the other end of a stream.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    /// What the events call it.
    pub(crate) name: String,
    /// What it is judged by.
    pub(crate) address: PeerAddress,
}

impl Remote {
    /// Where it comes from, as far as it shares that with others: each process has a number of its own, and its user can
    /// start many.
    pub(crate) fn origin(&self) -> PeerAddress {
        match &self.address {
            PeerAddress::Other(words) => {
                let (owner, _) = words.rsplit_once(':').unwrap_or((words, ""));
                PeerAddress::Other(owner.into())
            }
            address => address.clone(),
        }
    }
}

pub(crate) enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Ipc {
        listener: UnixListener,
        name: String,
    },
}

impl Listener {
    /// The endpoint as it was bound, with its real port.
    pub(crate) fn endpoint(&self) -> io::Result<String> {
        match self {
            Self::Tcp(listener) => Ok(format!("tcp://{}", listener.local_addr()?)),
            #[cfg(unix)]
            Self::Ipc { name, .. } => Ok(name.clone()),
        }
    }

    /// The next stream, and who is at its other end.
    pub(crate) async fn accept(&self) -> io::Result<(Stream, Remote)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                // One that has gone already fails when it is read from.
                let _ = stream.set_nodelay(true);
                Ok((Stream::Tcp(stream), Remote { name: format!("tcp://{address}"), address: address.into() }))
            }
            #[cfg(unix)]
            Self::Ipc { listener, name } => {
                let (stream, _) = listener.accept().await?;
                let address = local_process(&stream).unwrap_or_else(|_| PeerAddress::Other("localhost".into()));
                Ok((Stream::Ipc(stream), Remote { name: name.clone(), address }))
            }
        }
    }
}

/// Whose process is at the other end, written as libzmq does for its ZAP handlers.
#[cfg(unix)]
fn local_process(stream: &UnixStream) -> io::Result<PeerAddress> {
    let peer = stream.peer_cred()?;
    // Not every system tells the process.
    let pid = peer.pid().map(|pid| pid.to_string()).unwrap_or_default();
    Ok(PeerAddress::Other(format!("localhost:{}:{}:{pid}", peer.uid(), peer.gid()).into()))
}

/// Removes a socket that nobody listens on any more, and nothing else.
#[cfg(unix)]
fn remove_stale(path: &std::path::Path) {
    use std::os::unix::fs::FileTypeExt;
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    if is_socket && std::os::unix::net::UnixStream::connect(path).is_err_and(refused) {
        let _ = std::fs::remove_file(path);
    }
}

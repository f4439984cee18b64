//! Endpoints: `tcp://HOST:PORT` and `ipc://PATH`.

use std::fmt;
use std::io;
#[cfg(unix)]
use std::path::PathBuf;

use tokio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};

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

    pub(crate) async fn connect(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp { host, port } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
            #[cfg(unix)]
            Self::Ipc(path) => Ok(Stream::Ipc(UnixStream::connect(path).await?)),
        }
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
    pub(crate) async fn accept(&self) -> io::Result<(Stream, String)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok((Stream::Tcp(stream), format!("tcp://{address}")))
            }
            #[cfg(unix)]
            Self::Ipc { listener, name } => {
                let (stream, _) = listener.accept().await?;
                Ok((Stream::Ipc(stream), name.clone()))
            }
        }
    }
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

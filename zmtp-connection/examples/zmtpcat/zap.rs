//! A ZAP handler as the judge of the peers.

use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use zmtp_connection::codec::Verdict;
use zmtp_connection::zap::ZapClient;
use zmtp_connection::{AuthRequest, Authenticator, Null};

use crate::endpoint::Endpoint;

/// The handler at an endpoint.
#[derive(Debug)]
pub(crate) struct Handler {
    endpoint: Endpoint,
    client: ZapClient,
}

impl Handler {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        let client = match endpoint.clone() {
            Endpoint::Tcp { host, port } => ZapClient::new(Null::new(), move || {
                let host = host.clone();
                async move {
                    let stream = TcpStream::connect((host.as_str(), port)).await?;
                    stream.set_nodelay(true)?;
                    Ok(stream)
                }
            }),
            #[cfg(unix)]
            Endpoint::Ipc(path) => ZapClient::new(Null::new(), move || UnixStream::connect(path.clone())),
        };
        Self { endpoint, client }
    }

    /// What is wrong with asking it, if it is somewhere else.
    pub(crate) fn warning(&self) -> Option<String> {
        let endpoint = &self.endpoint;
        (!endpoint.is_local()).then(|| {
            format!(
                "the ZAP handler is asked in the clear, and {endpoint} is no loopback address: \
                 whoever is on the path can read passwords, and can answer in its place"
            )
        })
    }
}

impl Authenticator for Handler {
    async fn authenticate(&self, request: AuthRequest) -> Verdict {
        self.client.authenticate(request).await
    }
}

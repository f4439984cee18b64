//! Where a peer comes from.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// Where a peer comes from, as the transport says. It is known only to who has opened or accepted the stream.
///
/// An address is what the network claims, not a proof of who is there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PeerAddress {
    /// The other end of a TCP connection.
    Tcp(SocketAddr),
    /// A host, where nothing is known of the port: what ZAP says of a peer.
    Ip(IpAddr),
    /// Anything else, in words of your own. libzmq writes `localhost:UID:GID:PID` for a peer over IPC.
    Other(Box<str>),
}

impl PeerAddress {
    /// The IP address, if there is one. An IPv4 address that is mapped into IPv6, as a socket for both shows it, is
    /// given as IPv4: so a host is the same host whatever kind of socket has accepted it.
    #[must_use]
    pub const fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(address) => Some(address.ip().to_canonical()),
            Self::Ip(ip) => Some(ip.to_canonical()),
            Self::Other(_) => None,
        }
    }

    /// What the address field of a ZAP request says (RFC 27): the [`ip`](Self::ip) without a port and without a zone, or the
    /// words as they are. ZAP takes 255 octets at most; longer words are not cut.
    ///
    /// Unlike here, libzmq writes a mapped IPv4 address as `::ffff:192.0.2.1`.
    #[must_use]
    pub fn zap_text(&self) -> Cow<'_, str> {
        match self {
            Self::Tcp(address) => Cow::Owned(address.ip().to_canonical().to_string()),
            Self::Ip(ip) => Cow::Owned(ip.to_canonical().to_string()),
            Self::Other(words) => Cow::Borrowed(words),
        }
    }
}

impl From<SocketAddr> for PeerAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl From<IpAddr> for PeerAddress {
    fn from(ip: IpAddr) -> Self {
        Self::Ip(ip)
    }
}

impl fmt::Display for PeerAddress {
    /// With the port, and a mapped IPv4 address as it is; of words, what cannot be seen is escaped: for the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Ip(ip) => ip.fmt(f),
            Self::Other(words) => words.escape_debug().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(address: &str) -> PeerAddress {
        address.parse::<SocketAddr>().unwrap().into()
    }

    #[test]
    fn zap_sees_the_ip_without_port_and_zone() {
        for (address, text) in [
            ("192.0.2.1:5555", "192.0.2.1"),
            ("[::1]:5555", "::1"),
            ("[fe80::1%3]:5555", "fe80::1"),
            ("[::ffff:192.0.2.1]:5555", "192.0.2.1"),
        ] {
            assert_eq!(tcp(address).zap_text(), text);
            assert_eq!(tcp(address).ip(), Some(text.parse().unwrap()));
        }
    }

    #[test]
    fn people_see_the_port_as_well() {
        assert_eq!(tcp("192.0.2.1:5555").to_string(), "192.0.2.1:5555");
        assert_eq!(tcp("[::ffff:192.0.2.1]:1").to_string(), "[::ffff:192.0.2.1]:1");
    }

    #[test]
    fn a_host_without_a_port_is_the_same_host() {
        let ip = PeerAddress::from("::ffff:192.0.2.1".parse::<IpAddr>().unwrap());
        assert_eq!(ip.ip(), tcp("192.0.2.1:5555").ip());
        assert_eq!(ip.zap_text(), "192.0.2.1");
        assert_eq!(ip.to_string(), "::ffff:192.0.2.1");
    }

    #[test]
    fn other_addresses_are_kept_as_they_are() {
        let address = PeerAddress::Other("localhost:0:0:8935".into());
        assert_eq!(address.to_string(), "localhost:0:0:8935");
        assert_eq!(address.zap_text(), "localhost:0:0:8935");
        assert_eq!(address.ip(), None);
        let two_lines = PeerAddress::Other("one\nERROR two".into());
        assert_eq!(two_lines.to_string(), "one\\nERROR two");
        assert_eq!(two_lines.zap_text(), "one\nERROR two");
    }
}

//! What counts as one address.

use std::net::IpAddr;
use std::sync::Arc;

use crate::auth::PeerAddress;

/// Whose places a peer shares: those of its IPv4 address, its IPv6 network, or its words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    V4([u8; 4]),
    /// The first 64 bits. A host is given a /64 at the least, and may come from any address in it.
    V6([u16; 4]),
    Other(Arc<str>),
}

impl From<&PeerAddress> for Origin {
    fn from(address: &PeerAddress) -> Self {
        match (address.ip(), address) {
            (Some(IpAddr::V4(ip)), _) => Self::V4(ip.octets()),
            (Some(IpAddr::V6(ip)), _) => {
                let [a, b, c, d, ..] = ip.segments();
                Self::V6([a, b, c, d])
            }
            (None, words) => Self::Other(words.zap_text().into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn tcp(address: &str) -> Origin {
        Origin::from(&PeerAddress::from(address.parse::<SocketAddr>().unwrap()))
    }

    fn other(words: &str) -> Origin {
        Origin::from(&PeerAddress::Other(words.into()))
    }

    #[test]
    fn an_ipv4_address_counts_whole_and_without_its_port() {
        assert_eq!(tcp("192.0.2.1:1"), tcp("192.0.2.1:2"));
        assert_ne!(tcp("192.0.2.1:1"), tcp("192.0.2.2:1"));
        let ip = PeerAddress::from("192.0.2.1".parse::<IpAddr>().unwrap());
        assert_eq!(tcp("192.0.2.1:1"), Origin::from(&ip));
    }

    #[test]
    fn an_ipv4_address_is_the_same_through_a_socket_for_both() {
        assert_eq!(tcp("[::ffff:192.0.2.1]:1"), tcp("192.0.2.1:1"));
        assert_ne!(tcp("[::ffff:192.0.2.1]:1"), tcp("[::ffff:192.0.2.2]:1"));
    }

    #[test]
    fn an_ipv6_address_counts_by_its_64_bit_prefix() {
        assert_eq!(tcp("[2001:db8:0:7::1]:1"), tcp("[2001:db8:0:7:ffff:ffff:ffff:ffff]:2"));
        assert_ne!(tcp("[2001:db8:0:7::1]:1"), tcp("[2001:db8:0:8::1]:1"));
    }

    #[test]
    fn other_addresses_count_by_their_words() {
        assert_eq!(other("uid 1000"), other("uid 1000"));
        assert_ne!(other("uid 1000"), other("uid 1001"));
        assert_ne!(other("192.0.2.1"), tcp("192.0.2.1:1"));
    }
}

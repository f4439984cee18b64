//! Keys, as the options take them.

use zmtp_connection::KeyPair;

/// A pair, and the mechanism that it is for.
pub(crate) struct Keys {
    mechanism: &'static str,
    pub(crate) public: String,
    pub(crate) secret: String,
}

impl Keys {
    /// A new pair for CURVE.
    #[cfg(feature = "curve")]
    pub(crate) fn new() -> Self {
        Self::under("curve")
    }

    /// This pair, for CURVE.
    #[cfg(feature = "curve")]
    pub(crate) fn of(pair: &KeyPair) -> Self {
        Self::with("curve", pair)
    }

    /// A new pair for this mechanism.
    pub(crate) fn under(mechanism: &'static str) -> Self {
        Self::with(mechanism, &KeyPair::generate().unwrap())
    }

    fn with(mechanism: &'static str, pair: &KeyPair) -> Self {
        let (public, secret) = (pair.public_key().to_z85(), pair.secret_key().danger_to_z85().to_string());
        Self { mechanism, public, secret }
    }

    /// The options of a server.
    pub(crate) fn server(&self) -> String {
        format!("--mechanism {} --secret-key={}", self.mechanism, self.secret)
    }

    /// The options of a client that has these keys.
    pub(crate) fn client_of(&self, server: &Self) -> String {
        format!("{} --secret-key={}", anonymous_client_of(server), self.secret)
    }
}

pub(crate) fn anonymous_client_of(server: &Keys) -> String {
    format!("--mechanism {} --server-key={}", server.mechanism, server.public)
}

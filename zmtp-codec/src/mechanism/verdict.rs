//! The pause for the application's judgement: what it is told, and what it may answer.

use alloc::borrow::Cow;
use alloc::boxed::Box;

use bytes::Bytes;

use super::Credentials;
use crate::{ErrorReason, Properties, PropertyError};

/// What a mechanism knows of a peer at the moment it asks for a verdict.
///
/// How much that is depends on the mechanism: NULL asks before anything was received, so both fields are empty and
/// only what the transport knows (the peer's address) can be judged; PLAIN asks when it has username and password, and the
/// properties come later; a mechanism with keys asks when the key is proven and the properties are decrypted.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Claim {
    /// Who the peer claims to be; proven where it is a public key.
    pub credentials: Credentials,
    /// The peer's properties, where they are known by now.
    pub properties: Option<Properties>,
}

impl Claim {
    /// A claim of a peer that shows `credentials`.
    #[must_use]
    pub const fn new(credentials: Credentials) -> Self {
        Self { credentials, properties: None }
    }

    /// Adds the properties that the peer sent.
    #[must_use]
    pub fn with_properties(mut self, properties: Properties) -> Self {
        self.properties = Some(properties);
        self
    }
}

/// The application's answer to a [`Claim`]. Each answer has a status code in ZAP (RFC 27), which is named here.
#[expect(clippy::exhaustive_enums, reason = "a mechanism must handle every verdict; a new one has to break it")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Let the peer in (status 200). The admission is for who drives the mechanism, which need not look at it.
    Accept(Admission),
    /// Turn the peer away.
    Refuse(Refusal),
}

impl Verdict {
    /// Lets the peer in and attaches nothing to it (status 200).
    #[must_use]
    pub const fn accept() -> Self {
        Self::Accept(Admission::new())
    }

    /// Lets the peer in as this user (status 200).
    #[must_use]
    pub fn accept_as(user_id: impl Into<Bytes>) -> Self {
        Self::Accept(Admission::new().with_user_id(user_id))
    }

    /// Turns the peer away for good (status 400): it receives an ERROR with the reason `400`, as from libzmq.
    ///
    /// libzmq takes an ERROR for what it is as long as its handshake is not complete. After that (under NULL, once our
    /// READY has gone out) it sees a plain close, and comes back.
    #[must_use]
    pub const fn deny() -> Self {
        Self::Refuse(Refusal::error(ErrorReason::AUTHENTICATION_FAILURE))
    }

    /// Turns the peer away for now (status 300): the connection is closed without a word, and the peer will try again.
    #[must_use]
    pub const fn try_later() -> Self {
        Self::Refuse(Refusal::silent())
    }

    /// Turns the peer away for good because no judgement could be made (status 500): it receives an ERROR with the
    /// reason `500`.
    ///
    /// A peer does not come back after an ERROR, as with [`deny`](Self::deny). If the trouble may pass (a database that
    /// does not answer), use [`try_later`](Self::try_later).
    #[must_use]
    pub const fn internal_error() -> Self {
        Self::Refuse(Refusal::error(ErrorReason::INTERNAL_ERROR))
    }

    /// Says why, to our own side alone: in errors, events and the status text of ZAP. The peer is told the status and no
    /// more, or it could ask which half of its credentials was wrong. Changes nothing about a peer that is let in.
    ///
    /// ```
    /// use zmtp_codec::Verdict;
    ///
    /// let verdict = Verdict::deny().because("the account has expired");
    /// let Verdict::Refuse(refusal) = verdict else { unreachable!() };
    /// assert_eq!(refusal.to_string(), "with the reason \"400\" (the account has expired)");
    /// ```
    #[must_use]
    pub fn because(self, text: impl Into<Box<str>>) -> Self {
        match self {
            Self::Refuse(refusal) => Self::Refuse(refusal.because(text)),
            accepted @ Self::Accept(_) => accepted,
        }
    }
}

/// What the application attaches to a peer that it lets in: what the reply of a ZAP handler carries (RFC 27).
///
/// Nothing of it is sent to the peer, and nothing that a peer sends gets in here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Admission {
    /// Who the peer is to the application. Any octets; those that go through ZAP are a text of 255 octets at most.
    pub user_id: Option<Bytes>,
    /// What else is known of the peer. Whatever the names are, they stand apart from the properties that the peer sent:
    /// a Socket-Type or Identity in here changes neither.
    pub properties: Properties,
}

impl Admission {
    /// Attaches nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { user_id: None, properties: Properties::new() }
    }

    /// Names the user.
    #[must_use]
    pub fn with_user_id(mut self, user_id: impl Into<Bytes>) -> Self {
        self.user_id = Some(user_id.into());
        self
    }

    /// Adds a property.
    ///
    /// # Errors
    /// A [`PropertyError`] as from [`Properties::push`]: the name breaks the grammar or is here already, or the value is
    /// too long.
    pub fn with_property(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Bytes>,
    ) -> Result<Self, PropertyError> {
        self.properties.push(name, value)?;
        Ok(self)
    }

    /// The user as text, if there is one and it is UTF-8.
    #[must_use]
    pub fn user_id_str(&self) -> Option<&str> {
        core::str::from_utf8(self.user_id.as_ref()?).ok()
    }
}

/// How a peer is turned away, with the status codes of ZAP (RFC 27) that lead to it.
///
/// A peer that receives an ERROR does not come back (libzmq never reconnects after one), so a temporary refusal must
/// be silent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    reason: Option<ErrorReason>,
    text: Option<Box<str>>,
}

impl Refusal {
    /// Temporary (status 300): the connection is closed without a word, and the peer will try again.
    #[must_use]
    pub const fn silent() -> Self {
        Self { reason: None, text: None }
    }

    /// Permanent: the peer receives an ERROR with this reason. It is `400` ([`ErrorReason::AUTHENTICATION_FAILURE`]) for
    /// status 400 and `500` ([`ErrorReason::INTERNAL_ERROR`]) for status 500; a peer treats any other text the same way.
    #[must_use]
    pub const fn error(reason: ErrorReason) -> Self {
        Self { reason: Some(reason), text: None }
    }

    /// Says why, to our own side alone: see [`Verdict::because`].
    #[must_use]
    pub fn because(mut self, text: impl Into<Box<str>>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// What the ERROR tells the peer; `None` if it is told nothing.
    #[must_use]
    pub const fn reason(&self) -> Option<&ErrorReason> {
        self.reason.as_ref()
    }

    /// Whether the peer is told nothing, and may come back.
    #[must_use]
    pub const fn is_silent(&self) -> bool {
        self.reason.is_none()
    }

    /// The status in ZAP: 300 if it is silent, 500 if the reason says so, and 400 for all others.
    #[must_use]
    pub fn status_code(&self) -> u16 {
        match &self.reason {
            None => 300,
            Some(reason) if *reason == ErrorReason::INTERNAL_ERROR => 500,
            Some(_) => 400,
        }
    }

    /// Why, in words for our own side.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match &self.reason {
            None => f.write_str("for now, without a reason to the peer")?,
            Some(reason) => write!(f, "with the reason \"{reason}\"")?,
        }
        match &self.text {
            None => Ok(()),
            // It may have come from another machine, and shall stay on its line.
            Some(text) => write!(f, " ({})", text.escape_debug()),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    #[test]
    fn every_refusal_has_the_reason_of_its_status() {
        let told = |verdict| match verdict {
            Verdict::Refuse(refusal) => (refusal.status_code(), refusal.reason().and_then(ErrorReason::status_code)),
            Verdict::Accept(_) => panic!("let in"),
        };
        assert_eq!(told(Verdict::deny()), (400, Some(400)));
        assert_eq!(told(Verdict::internal_error()), (500, Some(500)));
        assert_eq!(told(Verdict::try_later()), (300, None));
        let other = Refusal::error(ErrorReason::new("no room").unwrap());
        assert_eq!(told(Verdict::Refuse(other)), (400, None));
    }

    #[test]
    fn why_is_said_to_our_side_and_not_to_the_peer() {
        let Verdict::Refuse(refusal) = Verdict::deny().because("no such\nuser") else { panic!("let in") };
        assert_eq!(refusal.text(), Some("no such\nuser"));
        assert_eq!(refusal.reason(), Some(&ErrorReason::AUTHENTICATION_FAILURE));
        assert_eq!(refusal.to_string(), r#"with the reason "400" (no such\nuser)"#);
        let later = Refusal::silent().because("busy");
        assert!(later.is_silent());
        assert_eq!(later.to_string(), "for now, without a reason to the peer (busy)");
        assert_eq!(Verdict::accept_as("alice").because("of her key"), Verdict::accept_as("alice"));
    }

    #[test]
    fn a_user_id_is_any_octets_and_shown_as_text_where_it_is_text() {
        let user = |octets: &'static [u8]| Admission::new().with_user_id(octets);
        assert_eq!(user(b"alice").user_id_str(), Some("alice"));
        assert_eq!(user(b"").user_id_str(), Some(""));
        assert_eq!(user(b"\xff").user_id_str(), None);
        assert_eq!(user(b"\xff").user_id.as_deref(), Some(&b"\xff"[..]));
        assert_eq!(Admission::new().user_id_str(), None);
        assert_eq!(Verdict::accept_as("alice"), Verdict::Accept(user(b"alice")));
    }

    #[test]
    fn a_property_that_cannot_be_is_refused_when_it_is_attached() {
        let admission = Admission::new().with_property("X-Role", "admin").unwrap();
        assert_eq!(admission.properties.get("x-role").unwrap(), "admin");
        assert!(matches!(admission.with_property("x-ROLE", "root"), Err(PropertyError::Duplicate { .. })));
        assert!(matches!(Admission::new().with_property("", "x"), Err(PropertyError::EmptyName { .. })));
    }
}

//! The answer of ZAP.

use std::borrow::Cow;
use std::fmt;

use bytes::{Bytes, BytesMut};
use zmtp_codec::{Admission, Properties, Refusal, Verdict};

use super::error::{MAX_LEN, check_len, shown};
use super::{Envelope, VERSION, ZapError};
use crate::message::Message;

/// What a ZAP handler has decided (RFC 27).
#[expect(clippy::exhaustive_enums, reason = "RFC 27 has these four, and any other is refused")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ZapStatus {
    /// 200: the peer may come in.
    Success,
    /// 300: not now. The peer is told nothing, and may come back.
    TemporaryError,
    /// 400: these credentials are not good. The peer is told so.
    AuthenticationFailure,
    /// 500: the handler has failed. The peer is told so, and libzmq's do not come back.
    InternalError,
}

impl ZapStatus {
    const ALL: [Self; 4] = [Self::Success, Self::TemporaryError, Self::AuthenticationFailure, Self::InternalError];

    /// The number.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::Success => 200,
            Self::TemporaryError => 300,
            Self::AuthenticationFailure => 400,
            Self::InternalError => 500,
        }
    }

    /// The number as ZAP writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "200",
            Self::TemporaryError => "300",
            Self::AuthenticationFailure => "400",
            Self::InternalError => "500",
        }
    }

    /// The status of a reply.
    fn from_wire(octets: &[u8]) -> Result<Self, ZapError> {
        let known = Self::ALL.into_iter().find(|status| status.as_str().as_bytes() == octets);
        known.ok_or_else(|| ZapError::Status { status: shown(octets) })
    }

    /// The status that a refusal stands for.
    fn of(refusal: &Refusal) -> Self {
        match refusal.status_code() {
            300 => Self::TemporaryError,
            500 => Self::InternalError,
            _ => Self::AuthenticationFailure,
        }
    }
}

impl fmt::Display for ZapStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The reply of a ZAP handler (RFC 27).
///
/// ```text
/// envelope | "1.0" | request id | status | status text | user id | metadata
/// ```
///
/// ```
/// use zmtp_connection::codec::Verdict;
/// use zmtp_connection::zap::{Envelope, ZapReply, ZapStatus};
///
/// let reply = ZapReply::new("1", &Verdict::accept_as("alice"))?;
/// let message = reply.to_message(&Envelope::direct());
/// assert_eq!(message.parts(), ["", "1.0", "1", "200", "OK", "alice", ""]);
///
/// let reply = ZapReply::decode(&message, b"1")?;
/// assert_eq!(reply.status(), ZapStatus::Success);
/// assert_eq!(reply.into_verdict(), Verdict::accept_as("alice"));
/// # Ok::<(), zmtp_connection::zap::ZapError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZapReply {
    request_id: Bytes,
    status: ZapStatus,
    status_text: Bytes,
    user_id: Bytes,
    metadata: Properties,
}

impl ZapReply {
    /// Puts a verdict into the reply to the request with this id.
    ///
    /// The status is the refusal's [`status_code`](Refusal::status_code): ZAP has no room for another reason to give the
    /// peer. The text is [`Refusal::text`], which the requester may log: what is not printable ASCII in it becomes `?`, and
    /// what is longer than 255 characters is cut off. User id and metadata are there only if the peer is let in.
    ///
    /// Of the attached properties `Socket-Type` and `Identity` are left out: libzmq reads the metadata as if the peer had
    /// sent it, and would check them. The others become properties of every message from that peer in libzmq.
    ///
    /// # Errors
    /// [`ZapError::TooLong`] if the user id is longer than 255 octets.
    pub fn new(request_id: impl Into<Bytes>, verdict: &Verdict) -> Result<Self, ZapError> {
        let request_id = request_id.into();
        let admission = match verdict {
            Verdict::Accept(admission) => admission,
            Verdict::Refuse(refusal) => return Ok(Self::refusing(request_id, refusal)),
        };
        let user_id = admission.user_id.clone().unwrap_or_default();
        check_len("user id", user_id.len())?;
        let metadata = without_names_of_the_handshake(&admission.properties)?;
        let status_text = Bytes::from_static(b"OK");
        Ok(Self { request_id, status: ZapStatus::Success, status_text, user_id, metadata })
    }

    /// Puts a refusal into the reply to the request with this id: there is always room for that.
    pub(super) fn refusing(request_id: Bytes, refusal: &Refusal) -> Self {
        Self {
            request_id,
            status: ZapStatus::of(refusal),
            status_text: refusal.text().map(printable).unwrap_or_default(),
            user_id: Bytes::new(),
            metadata: Properties::new(),
        }
    }

    /// The reply as a message in the envelope of the request.
    #[must_use]
    pub fn to_message(&self, envelope: &Envelope) -> Message {
        let mut metadata = BytesMut::with_capacity(self.metadata.encoded_len());
        self.metadata.encode(&mut metadata);
        envelope.enclose([
            Bytes::from_static(VERSION),
            self.request_id.clone(),
            Bytes::from_static(self.status.as_str().as_bytes()),
            self.status_text.clone(),
            self.user_id.clone(),
            metadata.freeze(),
        ])
    }

    /// Reads the reply to the request with this id, as a REQ or DEALER has it on the wire: 7 frames, an empty one first.
    ///
    /// # Errors
    /// [`ZapError::FrameCount`], [`ZapError::NoDelimiter`], [`ZapError::Version`], [`ZapError::RequestId`] (it belongs to
    /// another request), [`ZapError::Status`], [`ZapError::TooLong`] (status text, user id), [`ZapError::Metadata`]. A peer
    /// is not let in on any of them.
    pub fn decode(message: &Message, request_id: &[u8]) -> Result<Self, ZapError> {
        let [delimiter, version, id, status, status_text, user_id, metadata] = message.parts() else {
            return Err(ZapError::FrameCount { frames: message.part_count() });
        };
        if !delimiter.is_empty() {
            return Err(ZapError::NoDelimiter);
        }
        if version != VERSION {
            return Err(ZapError::Version { version: shown(version) });
        }
        if id != request_id {
            return Err(ZapError::RequestId);
        }
        let status = ZapStatus::from_wire(status)?;
        check_len("status text", status_text.len())?;
        check_len("user id", user_id.len())?;
        let metadata = Properties::decode(metadata, Properties::DEFAULT_MAX_COUNT)?;
        // Copied, since a user id lives as long as its connection, and would keep a receive buffer alive.
        let (status_text, user_id) = (Bytes::copy_from_slice(status_text), Bytes::copy_from_slice(user_id));
        Ok(Self { request_id: id.clone(), status, status_text, user_id, metadata })
    }

    /// The id of the request that this is the reply to.
    #[must_use]
    pub const fn request_id(&self) -> &Bytes {
        &self.request_id
    }

    /// What the handler has decided.
    #[must_use]
    pub const fn status(&self) -> ZapStatus {
        self.status
    }

    /// Why, in the handler's words, for the log; may be empty. What is not UTF-8 is replaced.
    #[must_use]
    pub fn status_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.status_text)
    }

    /// Who the peer is; may be empty, and means nothing with another status than 200.
    #[must_use]
    pub const fn user_id(&self) -> &Bytes {
        &self.user_id
    }

    /// What else is known of the peer; means nothing with another status than 200.
    #[must_use]
    pub const fn metadata(&self) -> &Properties {
        &self.metadata
    }

    /// The reply as a verdict. An empty user id is none, and an empty text no text. User id and metadata that come with
    /// another status than 200 are dropped.
    #[must_use]
    pub fn into_verdict(self) -> Verdict {
        let verdict = match self.status {
            ZapStatus::Success => return Verdict::Accept(self.into_admission()),
            ZapStatus::TemporaryError => Verdict::try_later(),
            ZapStatus::AuthenticationFailure => Verdict::deny(),
            ZapStatus::InternalError => Verdict::internal_error(),
        };
        if self.status_text.is_empty() { verdict } else { verdict.because(self.status_text()) }
    }

    fn into_admission(self) -> Admission {
        let mut admission = Admission::new();
        admission.user_id = (!self.user_id.is_empty()).then_some(self.user_id);
        admission.properties = self.metadata;
        admission
    }
}

fn without_names_of_the_handshake(properties: &Properties) -> Result<Properties, ZapError> {
    let mut kept = Properties::new();
    for (name, value) in properties.iter() {
        let checked_by_libzmq = [Properties::SOCKET_TYPE, Properties::IDENTITY];
        if !checked_by_libzmq.iter().any(|checked| checked.eq_ignore_ascii_case(name)) {
            kept.push(name.to_owned(), value.clone())?;
        }
    }
    Ok(kept)
}

/// What is printable ASCII of a text, as far as it fits.
fn printable(text: &str) -> Bytes {
    let octets = text.chars().map(|character| if matches!(character, ' '..='~') { character } else { '?' });
    octets.take(MAX_LEN).collect::<String>().into()
}

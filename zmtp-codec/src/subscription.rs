//! Subscriptions in their two forms on the wire: a command since ZMTP 3.1, a message before.

use bytes::{BufMut, Bytes};

use crate::command::Command;

/// Whether a subscription begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "both forms on the wire can say two things, and always will")]
pub enum SubscriptionAction {
    /// Messages that start with the topic are wanted.
    Subscribe,
    /// They are no longer wanted.
    Cancel,
}

/// A SUB or XSUB peer's wish to receive, or no longer to receive, what starts with a topic (RFC 29).
///
/// A peer that announced 3.1 or newer is sent a command, an older one a message; whatever a peer announced, both forms are
/// to be understood from it. [`Version::has_subscription_commands`](crate::Version::has_subscription_commands) tells which
/// to send. The empty topic stands for everything. Topics have no length limit of their own: limit what is read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Subscription {
    /// Whether it begins or ends.
    pub action: SubscriptionAction,
    /// What the first part of a message has to start with.
    pub topic: Bytes,
}

impl Subscription {
    /// Makes a subscription to a topic.
    #[must_use]
    pub fn subscribe(topic: impl Into<Bytes>) -> Self {
        Self { action: SubscriptionAction::Subscribe, topic: topic.into() }
    }

    /// Makes the end of a subscription to a topic.
    #[must_use]
    pub fn cancel(topic: impl Into<Bytes>) -> Self {
        Self { action: SubscriptionAction::Cancel, topic: topic.into() }
    }

    /// Reads a SUBSCRIBE or CANCEL command (RFC 37); `None` for every other one. Shares the topic.
    #[must_use]
    pub fn from_command(command: &Command) -> Option<Self> {
        match command {
            Command::Subscribe(topic) => Some(Self::subscribe(topic.clone())),
            Command::Cancel(topic) => Some(Self::cancel(topic.clone())),
            _ => None,
        }
    }

    /// Reads the message form (RFC 23): a first octet of 1 subscribes, 0 cancels, the rest is the topic. Any other message,
    /// an empty one too, is `None`: ordinary data, which a PUB drops and an XPUB delivers. Shares the topic.
    ///
    /// Call this only with the body of a message of exactly **one** part. A part of a longer message is data, even if it
    /// starts with 0 or 1.
    #[must_use]
    pub fn from_message(body: &Bytes) -> Option<Self> {
        match body.first() {
            Some(1) => Some(Self::subscribe(body.slice(1..))),
            Some(0) => Some(Self::cancel(body.slice(1..))),
            _ => None,
        }
    }

    /// The command form, for a peer of 3.1 or newer, without copying.
    #[must_use]
    pub fn into_command(self) -> Command {
        match self.action {
            SubscriptionAction::Subscribe => Command::Subscribe(self.topic),
            SubscriptionAction::Cancel => Command::Cancel(self.topic),
        }
    }

    /// The length of the message form's body, in octets.
    #[must_use]
    pub fn message_body_len(&self) -> usize {
        1 + self.topic.len()
    }

    /// Writes the body of the message form, for a peer of 3.0. It is also what an XPUB shows to its application.
    ///
    /// # Panics
    /// If `out` has less room than [`message_body_len`](Self::message_body_len).
    pub fn encode_message_body(&self, out: &mut impl BufMut) {
        out.put_u8(match self.action {
            SubscriptionAction::Subscribe => 1,
            SubscriptionAction::Cancel => 0,
        });
        out.put_slice(&self.topic);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HeartbeatContext, Pong};
    use alloc::vec::Vec;

    fn message(body: &'static [u8]) -> Option<Subscription> {
        Subscription::from_message(&Bytes::from_static(body))
    }

    // S01
    #[test]
    fn the_message_form_is_read() {
        assert_eq!(message(b"\x01abc"), Some(Subscription::subscribe("abc")));
        assert_eq!(message(b"\x00abc"), Some(Subscription::cancel("abc")));
        assert_eq!(message(b"\x01"), Some(Subscription::subscribe("")));
        assert_eq!(message(b"\x00"), Some(Subscription::cancel("")));
    }

    // S05, S07, S13
    #[test]
    fn messages_with_another_first_octet_or_none_are_data() {
        assert_eq!(message(b""), None);
        assert_eq!(message(b"\x02abc"), None);
        assert_eq!(message(b"\xff"), None);
        assert_eq!(message(b"hello"), None);
    }

    // S09
    #[test]
    fn a_command_body_in_a_message_is_data() {
        assert_eq!(message(b"\x09SUBSCRIBEabc"), None);
    }

    // S02
    #[test]
    fn the_command_form_is_read() {
        let topic = Bytes::from_static(b"abc");
        assert_eq!(
            Subscription::from_command(&Command::Subscribe(topic.clone())),
            Some(Subscription::subscribe("abc"))
        );
        assert_eq!(Subscription::from_command(&Command::Cancel(topic)), Some(Subscription::cancel("abc")));
        assert_eq!(Subscription::from_command(&Command::Pong(Pong::new(HeartbeatContext::EMPTY))), None);
    }

    #[test]
    fn both_forms_round_trip() {
        for subscription in [Subscription::subscribe("t"), Subscription::cancel("t"), Subscription::subscribe("")] {
            let mut body = Vec::new();
            subscription.encode_message_body(&mut body);
            assert_eq!(body.len(), subscription.message_body_len());
            assert_eq!(Subscription::from_message(&body.into()).as_ref(), Some(&subscription));
            let command = subscription.clone().into_command();
            assert_eq!(Subscription::from_command(&command), Some(subscription));
        }
    }

    #[test]
    fn the_message_form_shares_the_topic() {
        let body = Bytes::from(Vec::from(*b"\x01topic"));
        let subscription = Subscription::from_message(&body).unwrap();
        assert_eq!(subscription.topic.as_ptr(), body[1..].as_ptr());
    }
}

//! What waits to be sent: one staging buffer, and large payloads linked into it by reference.
//!
//! ```text
//! staged   [ hdr body hdr body hdr │ hdr body hdr … ]      one allocation, reused for the life of the connection
//! links                            └─► Bytes               sent from where it lies
//! ```
//!
//! The staging buffer stays initialised up to its length, with `end` marking what is in use. So a sealer can write
//! its output in place without the buffer being zeroed for every frame, and without `unsafe`.

use std::collections::VecDeque;

use bytes::Bytes;
use zeroize::Zeroize as _;

/// A staging buffer of this size is small enough to be kept for ever.
const KEEP: usize = 4096;
/// The smallest one: an idle connection keeps it.
const STAGED_MIN: usize = 256;
/// One beyond this size is given back as soon as it is empty, since only a large message has made it so.
const KEEP_MOST: usize = 2 * 1024 * 1024;
/// A smaller one is given back once this many fillings in a row have used less than a quarter of it.
const SMALL_FILLINGS: u8 = 16;
/// How far sent octets may reach before the rest is moved to the front.
const COMPACT_FROM: usize = 64 * 1024;

/// Octets in sending order.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// Initialised memory; `start..end` of it waits to be sent.
    staged: Vec<u8>,
    start: usize,
    end: usize,
    /// Payloads that go out when `start` reaches their place in `staged`.
    links: VecDeque<Link>,
    /// Octets waiting in `links`.
    linked: usize,
    /// How many fillings in a row have used little of the staging buffer.
    small_fillings: u8,
    wipes: Wipes,
}

/// When the staging buffer is overwritten, since there may be a password in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Wipes {
    #[default]
    Never,
    /// The next time that nothing waits: a handshake is over, and the last of it is still here.
    Once,
    /// Whenever nothing waits: during a handshake.
    Always,
}

#[derive(Debug)]
struct Link {
    at: usize,
    octets: Bytes,
}

impl Queue {
    pub(crate) const fn new() -> Self {
        Self {
            staged: Vec::new(),
            start: 0,
            end: 0,
            links: VecDeque::new(),
            linked: 0,
            small_fillings: 0,
            wipes: Wipes::Never,
        }
    }

    /// One that leaves no trace of what it held: a PLAIN client's password may be part of that.
    pub(crate) const fn for_handshake() -> Self {
        let mut queue = Self::new();
        queue.wipes = Wipes::Always;
        queue
    }

    /// For what comes behind the handshake, once that has left.
    pub(crate) const fn end_of_handshake(mut self) -> Self {
        self.wipes = if self.is_empty() { Wipes::Never } else { Wipes::Once };
        self
    }

    /// Octets that wait.
    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.end - self.start + self.linked
    }

    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Room for `len` more staged octets, to be filled by the caller. Their old content is arbitrary.
    #[inline]
    pub(crate) fn stage(&mut self, len: usize) -> &mut [u8] {
        if self.staged.len() - self.end < len {
            self.grow(len);
        }
        let from = self.end;
        self.end += len;
        &mut self.staged[from..self.end]
    }

    /// Copies `octets` behind what waits.
    #[inline]
    pub(crate) fn extend(&mut self, octets: &[u8]) {
        self.stage(octets.len()).copy_from_slice(octets);
    }

    /// Appends `octets` by reference.
    pub(crate) fn link(&mut self, octets: Bytes) {
        if !octets.is_empty() {
            self.linked += octets.len();
            self.links.push_back(Link { at: self.end, octets });
        }
    }

    /// Appends all of `other` and leaves it empty. Where nothing waits here the buffers just change hands.
    pub(crate) fn append(&mut self, other: &mut Self) {
        if self.is_empty() {
            std::mem::swap(self, other);
            return;
        }
        while let Some(chunk) = other.chunks().next() {
            let len = chunk.len();
            match other.links.front() {
                Some(link) if link.at == other.start => self.link(link.octets.clone()),
                _ => self.extend(chunk),
            }
            other.advance(len);
        }
    }

    /// What waits, as slices in sending order, none of them empty.
    pub(crate) fn chunks(&self) -> Chunks<'_> {
        let mut links = self.links.iter();
        Chunks { staged: &self.staged[..self.end], at: self.start, link: links.next(), links }
    }

    /// Forgets the first `count` octets: they were sent.
    pub(crate) fn advance(&mut self, mut count: usize) {
        while count > 0 {
            match self.links.front_mut() {
                Some(link) if link.at == self.start => {
                    let taken = count.min(link.octets.len());
                    self.linked -= taken;
                    count -= taken;
                    if taken == link.octets.len() {
                        self.links.pop_front();
                    } else {
                        bytes::Buf::advance(&mut link.octets, taken);
                    }
                }
                Some(link) => {
                    let taken = count.min(link.at - self.start);
                    self.start += taken;
                    count -= taken;
                }
                None => {
                    let taken = count.min(self.end - self.start);
                    debug_assert_eq!(taken, count, "more was sent than waited");
                    self.start += taken;
                    break;
                }
            }
        }
        if self.is_empty() {
            self.clear();
        }
    }

    /// A heartbeat goes out, so the connection may be quiet: if this filling is small, a large staging buffer is given back with
    /// it.
    pub(crate) const fn expect_quiet(&mut self) {
        self.small_fillings = SMALL_FILLINGS;
    }

    /// A place to return to with [`rewind`](Self::rewind) when a message cannot be queued to its end.
    pub(crate) fn mark(&self) -> Mark {
        Mark { staged: self.end - self.start, links: self.links.len(), linked: self.linked }
    }

    /// Takes back everything since `mark`; nothing may have been sent in between.
    pub(crate) fn rewind(&mut self, mark: Mark) {
        self.end = self.start + mark.staged;
        self.links.truncate(mark.links);
        self.linked = mark.linked;
    }

    /// Drops what waits. A buffer that has been too large for a while is given back.
    fn clear(&mut self) {
        let used = self.end;
        self.start = 0;
        self.end = 0;
        self.linked = 0;
        self.links.clear();
        if self.wipes != Wipes::Never {
            self.wipe();
        }
        if self.staged.len() > KEEP_MOST {
            self.staged = Vec::new();
        }
        if self.staged.len() <= KEEP || used > self.staged.len() / 4 {
            self.small_fillings = 0;
        } else if self.small_fillings < SMALL_FILLINGS {
            self.small_fillings += 1;
        } else {
            self.small_fillings = 0;
            self.staged = Vec::new();
            self.links = VecDeque::new();
        }
    }

    /// Overwrites what was staged and sent. What a long command took is given back.
    #[cold]
    fn wipe(&mut self) {
        self.staged.as_mut_slice().zeroize();
        if self.staged.len() > STAGED_MIN {
            self.staged = Vec::new();
        }
        if self.wipes == Wipes::Once {
            self.wipes = Wipes::Never;
        }
    }

    /// Makes room for `len` more octets behind `end`.
    #[cold]
    fn grow(&mut self, len: usize) {
        // Sent octets at the front are dropped first, when there are enough of them that the move pays.
        if self.start >= COMPACT_FROM && self.start * 2 >= self.end {
            self.staged.copy_within(self.start..self.end, 0);
            for link in &mut self.links {
                link.at -= self.start;
            }
            self.end -= self.start;
            self.start = 0;
        }
        let needed = self.end + len;
        if needed > self.staged.len() {
            let mut larger = vec![0; needed.max(self.staged.len() * 2).max(STAGED_MIN)];
            larger[..self.end].copy_from_slice(&self.staged[..self.end]);
            if self.wipes != Wipes::Never {
                self.staged.as_mut_slice().zeroize();
            }
            self.staged = larger;
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    staged: usize,
    links: usize,
    linked: usize,
}

impl Drop for Queue {
    /// A handshake that is given up may leave a password in here that was never sent.
    fn drop(&mut self) {
        self.staged.as_mut_slice().zeroize();
    }
}

/// Slices in sending order, none of them empty: what a vectored write takes.
#[derive(Clone, Debug)]
pub struct Chunks<'a> {
    staged: &'a [u8],
    at: usize,
    link: Option<&'a Link>,
    links: std::collections::vec_deque::Iter<'a, Link>,
}

impl<'a> Iterator for Chunks<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let until = self.link.map_or(self.staged.len(), |link| link.at);
        if self.at < until {
            let chunk = &self.staged[self.at..until];
            self.at = until;
            return Some(chunk);
        }
        let link = self.link?;
        self.link = self.links.next();
        Some(&link.octets)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wire(queue: &Queue) -> Vec<u8> {
        queue.chunks().flatten().copied().collect()
    }

    #[test]
    fn chunks_come_in_the_order_in_which_they_were_queued() {
        let mut queue = Queue::new();
        queue.extend(b"ab");
        queue.link(Bytes::from_static(b"LINK"));
        queue.link(Bytes::from_static(b"MORE"));
        queue.extend(b"cd");
        assert_eq!(queue.chunks().collect::<Vec<_>>(), [&b"ab"[..], b"LINK", b"MORE", b"cd"]);
        assert_eq!(queue.len(), 12);
    }

    #[test]
    fn a_linked_payload_is_not_copied() {
        let large = Bytes::from(vec![1; 100]);
        let mut queue = Queue::new();
        queue.extend(b"header");
        queue.link(large.clone());
        assert_eq!(queue.chunks().nth(1).map(<[u8]>::as_ptr), Some(large.as_ptr()));
    }

    #[test]
    fn what_was_queued_since_a_mark_can_be_taken_back() {
        let mut queue = Queue::new();
        queue.extend(b"keep");
        let mark = queue.mark();
        queue.extend(&[0; 10_000]);
        queue.link(Bytes::from_static(b"gone"));
        queue.rewind(mark);
        assert_eq!(wire(&queue), b"keep");
        assert_eq!(queue.len(), 4);
    }

    #[test]
    fn a_staging_buffer_that_stays_almost_empty_is_given_back() {
        let mut queue = Queue::new();
        queue.extend(&[0; 100_000]);
        queue.advance(100_000);
        assert!(queue.staged.len() >= 100_000, "kept while it may be needed again");
        for _ in 0..=SMALL_FILLINGS {
            queue.extend(b"x");
            queue.advance(1);
        }
        assert_eq!(queue.staged.capacity(), 0);
    }

    #[test]
    fn a_quiet_connection_gives_a_large_staging_buffer_back_at_once() {
        let mut queue = Queue::new();
        queue.extend(&[0; 100_000]);
        queue.expect_quiet();
        queue.advance(100_000);
        assert!(queue.staged.len() >= 100_000, "it was not as quiet");
        queue.extend(b"PING");
        queue.expect_quiet();
        queue.advance(4);
        assert_eq!(queue.staged.capacity(), 0);
    }

    #[test]
    fn a_long_command_of_a_handshake_takes_no_memory_once_it_is_sent() {
        let mut queue = Queue::for_handshake();
        queue.extend(&[0; STAGED_MIN + 1]);
        queue.advance(STAGED_MIN + 1);
        assert_eq!(queue.staged.capacity(), 0);
    }

    #[test]
    fn what_was_staged_is_overwritten_once_all_of_it_is_sent() {
        let mut queue = Queue::for_handshake();
        for last in [false, true] {
            queue.extend(b"password");
            if last {
                queue = queue.end_of_handshake();
            }
            queue.advance(7);
            assert_eq!(wire(&queue), b"d", "what waits is left alone");
            queue.advance(1);
            assert!(queue.staged.iter().all(|&octet| octet == 0));
        }
        queue.extend(b"message");
        queue.advance(7);
        assert!(queue.staged.starts_with(b"message"), "a message costs no more than to be sent");
    }

    #[derive(Clone, Debug)]
    enum Op {
        Extend(Vec<u8>),
        Link(Vec<u8>),
        Advance(usize),
        Append(Vec<u8>, Vec<u8>),
    }

    fn op() -> impl Strategy<Value = Op> {
        let octets = || proptest::collection::vec(any::<u8>(), 0..300);
        prop_oneof![
            octets().prop_map(Op::Extend),
            octets().prop_map(Op::Link),
            (0..500usize).prop_map(Op::Advance),
            (octets(), octets()).prop_map(|(a, b)| Op::Append(a, b)),
            Just(Op::Extend(vec![9; 70_000])),
            Just(Op::Advance(60_000)),
        ]
    }

    proptest! {
        #[test]
        fn a_queue_is_a_string_of_octets_whatever_is_done_to_it(ops in proptest::collection::vec(op(), 0..40)) {
            let mut queue = Queue::new();
            let mut model: Vec<u8> = Vec::new();
            for op in ops {
                match op {
                    Op::Extend(octets) => {
                        queue.extend(&octets);
                        model.extend(octets);
                    }
                    Op::Link(octets) => {
                        queue.link(Bytes::from(octets.clone()));
                        model.extend(octets);
                    }
                    Op::Advance(count) => {
                        let count = count.min(model.len());
                        queue.advance(count);
                        model.drain(..count);
                    }
                    Op::Append(staged, linked) => {
                        let mut other = Queue::new();
                        other.extend(&staged);
                        other.link(Bytes::from(linked.clone()));
                        queue.append(&mut other);
                        prop_assert!(other.is_empty());
                        model.extend(staged);
                        model.extend(linked);
                    }
                }
                prop_assert_eq!(wire(&queue), model.clone());
                prop_assert_eq!(queue.len(), model.len());
                prop_assert!(queue.chunks().all(|chunk| !chunk.is_empty()));
            }
        }
    }
}

//! What was received of a handshake and not taken yet.

use bytes::BytesMut;
use bytes::buf::{BufMut, Limit};
use zeroize::Zeroize as _;

/// Octets of a handshake, of which a PLAIN client's password may be one part: they are overwritten wherever they are given
/// up, in a buffer that was outgrown and in a handshake that ends before it has taken them.
#[derive(Debug, Default)]
pub(super) struct Input(BytesMut);

impl Input {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Room for exactly `most` more octets.
    pub(super) fn room(&mut self, most: usize) -> Limit<&mut BytesMut> {
        self.reserve(most);
        (&mut self.0).limit(most)
    }

    pub(super) fn extend(&mut self, octets: &[u8]) {
        self.reserve(octets.len());
        self.0.extend_from_slice(octets);
    }

    /// The first `count` octets, which are then the caller's to overwrite.
    pub(super) fn take(&mut self, count: usize) -> BytesMut {
        self.0.split_to(count)
    }

    /// Gives back all memory but what these octets take.
    pub(super) fn shrink(&mut self) {
        self.move_to(self.0.len());
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// The octets, for who goes on with them when the handshake is over. If there are none there is no memory for them either,
    /// since that was made for the commands of the handshake.
    pub(super) fn into_rest(mut self) -> BytesMut {
        if self.0.is_empty() { BytesMut::new() } else { std::mem::take(&mut self.0) }
    }

    /// What `BytesMut` would do by itself, it would do without a trace being removed.
    fn reserve(&mut self, more: usize) {
        let len = self.0.len();
        if self.0.capacity() - len < more {
            self.move_to((len + more).max(2 * self.0.capacity()));
        }
    }

    fn move_to(&mut self, capacity: usize) {
        let mut moved = BytesMut::with_capacity(capacity);
        moved.extend_from_slice(&self.0);
        self.0.zeroize();
        self.0 = moved;
    }
}

impl std::ops::Deref for Input {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// That what is given up is overwritten can only be seen from the allocator: zmtp-bench looks there.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_stay_in_order_however_the_memory_changes() {
        let (mut input, mut model) = (Input::new(), Vec::new());
        for round in 0..100_usize {
            let octets = vec![u8::try_from(round).unwrap(); round * 7 % 300];
            if round % 2 == 0 {
                input.extend(&octets);
            } else {
                let mut room = input.room(octets.len());
                assert_eq!(room.remaining_mut(), octets.len());
                room.put_slice(&octets);
            }
            model.extend(octets);
            let count = model.len() / 3;
            assert_eq!(input.take(count), model.drain(..count).collect::<Vec<u8>>());
            if round % 10 == 0 {
                input.shrink();
                assert_eq!(input.capacity(), input.len());
            }
            assert_eq!(&input[..], model);
        }
        assert_eq!(input.into_rest(), model);
    }

    #[test]
    fn a_handshake_that_was_taken_whole_leaves_no_memory_behind() {
        let mut input = Input::new();
        input.extend(&[1; 500]);
        input.take(500);
        assert_eq!(input.into_rest().capacity(), 0);
    }
}

//! The look-ahead: one vector pass computes the key stream of this frame and of the next ones.

use alloc::boxed::Box;
use alloc::vec;
use core::fmt;

use fearless_simd::{Simd, SimdBase, u8x64};
use zeroize::Zeroize;

use super::blocks::{self, BLOCK, Block, MAX_LANES, StreamCipher};

/// Octets of block 0 that are the one-time Poly1305 key.
pub const KEY: usize = 32;

/// The key stream of one direction, and those blocks of it that are computed and not yet used.
///
/// A vector pass costs the same whether its lanes are used or not, and a small frame needs one or two blocks. Nonces
/// are counters, so the other lanes compute what the next frames will ask for, guessing that they are as long as this
/// one: with AVX-512 sixteen frames of up to 31 octets of payload share one pass, and no lane is wasted on a stream of
/// frames of 1 KiB, which need seventeen blocks each. The price: a lone small frame waits for a whole pass (0.3 µs all
/// in all, as long as libsodium takes), and key stream of frames yet to come lies in memory, beside the key that makes
/// it.
///
/// Every block has a name, the nonce counter and the block number, is found by that name alone, and is wiped as it is
/// used: a wrong guess costs time, and nothing else. (The stack and the registers of a pass cannot be wiped; nothing
/// in Rust can.)
///
/// A direction that carries nothing has no memory for blocks; from its first frame on it has that of one pass, 1 KiB with
/// AVX-512, 512 octets with AVX2, 256 octets elsewhere.
pub struct KeyStream<C> {
    /// In a place of its own, as the blocks are: the halves of a session are moved about, and what is moved is not wiped
    /// where it was.
    cipher: Box<C>,
    ahead: Ahead,
}

/// The blocks of the last pass in the order of their names, where no guess wrapped the counter.
struct Ahead {
    /// Empty before the first pass.
    blocks: Box<[Block]>,
    /// Those before are used and wiped.
    from: usize,
    /// The name of the first that is not used: what is asked for next, if the guess was right.
    next: Name,
    /// How many blocks each of the frames has, as was guessed.
    per_frame: u64,
}

/// The name of a block: the frame's nonce counter and the block's number in the frame.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    counter: u64,
    number: u64,
}

impl<C: StreamCipher> KeyStream<C> {
    /// The key stream of the direction that `cipher` is for; nothing of it is computed yet.
    #[must_use]
    pub fn new(cipher: Box<C>) -> Self {
        Self {
            cipher,
            ahead: Ahead { blocks: Box::default(), from: 0, next: Name { counter: 0, number: 0 }, per_frame: 1 },
        }
    }

    /// Starts the frame of `counter`, which has `len` octets without its tag: gives its one-time Poly1305 key. One of
    /// [`xor_first`](Self::xor_first) and [`skip_first`](Self::skip_first) comes next and uses up the block.
    #[inline(always)]
    pub fn one_time_key<S: Simd>(&mut self, simd: S, counter: u64, len: usize) -> [u8; KEY] {
        let block = self.block(simd, counter, 0, len);
        let mut key = [0; KEY];
        key.copy_from_slice(&block[..KEY]);
        key
    }

    /// Applies the rest of block 0 to the octets of the frame that it is for, at most [`FIRST`](StreamCipher::FIRST).
    #[inline(always)]
    pub fn xor_first(&mut self, data: &mut [u8]) {
        xor_octets(data, &self.ahead.blocks[self.ahead.from][KEY..]);
        self.ahead.wipe_first();
    }

    /// Drops the rest of block 0, where it encrypts nothing or the frame is refused.
    #[inline(always)]
    pub fn skip_first(&mut self) {
        self.ahead.wipe_first();
    }

    /// Applies the key stream of `counter`, from block `number` on, to `data`: to what it holds, or to what `from`
    /// holds, of the same length. The whole frame has `len` octets.
    #[inline(always)]
    pub fn xor<S: Simd>(
        &mut self,
        simd: S,
        counter: u64,
        number: u64,
        len: usize,
        from: Option<&[u8]>,
        data: &mut [u8],
    ) {
        let lanes = blocks::lanes(simd);
        let (mut number, mut from, mut data) = (number, from, data);
        while !data.is_empty() {
            if data.len() >= lanes * BLOCK && !self.ahead.starts_with(Name { counter, number }) {
                // All lanes are for this frame: no need to keep them.
                let (from, to) = cut(&mut from, &mut data, lanes * BLOCK);
                blocks::pass_along(simd, &*self.cipher, counter, number, from, to);
                number += lanes as u64;
                continue;
            }
            let block = self.block(simd, counter, number, len);
            let (from, to) = cut(&mut from, &mut data, BLOCK);
            if to.len() == BLOCK {
                let text = u8x64::from_slice(simd, from.unwrap_or(to));
                (text ^ u8x64::from_slice(simd, block)).store_slice(to);
            } else {
                if let Some(from) = from {
                    to.copy_from_slice(from);
                }
                xor_octets(to, block);
            }
            self.ahead.wipe_first();
            number += 1;
        }
    }

    /// The named block, first in what is ahead, computed if it is not there. A frame like this has `len` octets.
    #[inline(always)]
    fn block<S: Simd>(&mut self, simd: S, counter: u64, number: u64, len: usize) -> &Block {
        let name = Name { counter, number };
        if !self.ahead.starts_with(name) && !self.ahead.skip_to(name) {
            let per_frame = (BLOCK - C::FIRST + len).div_ceil(BLOCK) as u64;
            // A function of its own, by its own entry into the level's instructions, as it is large and has callers.
            simd.vectorize(
                #[inline(always)]
                || self.ahead.refill(simd, &*self.cipher, name, per_frame),
            );
        }
        &self.ahead.blocks[self.ahead.from]
    }
}

impl<C> fmt::Debug for KeyStream<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyStream").finish_non_exhaustive()
    }
}

impl Ahead {
    /// Computes the named block, the other ones of its frame, which has `per_frame`, and those of frames like it.
    #[inline(always)]
    fn refill<S: Simd, C: StreamCipher>(&mut self, simd: S, cipher: &C, first: Name, per_frame: u64) {
        let lanes = blocks::lanes(simd);
        if self.blocks.len() != lanes {
            // Before the first pass. Or a pass at another level, though nobody asks for that: blocks that it does not
            // compute must not be found.
            self.blocks.zeroize();
            self.blocks = vec![[0; BLOCK]; lanes].into_boxed_slice();
        }
        // Nothing is there until the pass is done.
        self.from = lanes;
        self.per_frame = per_frame;
        let (mut counters, mut numbers) = ([0; MAX_LANES], [0; MAX_LANES]);
        let mut name = first;
        for (counter, number) in counters.iter_mut().zip(&mut numbers) {
            (*counter, *number) = (name.counter, name.number);
            name = self.after(name);
        }
        blocks::pass(simd, cipher, &counters, &numbers, &mut self.blocks);
        (self.from, self.next) = (0, first);
    }

    #[inline(always)]
    fn starts_with(&self, name: Name) -> bool {
        self.from < self.blocks.len() && self.next == name
    }

    /// Wipes what is before the named block, and says whether that is there: a frame may be shorter than was guessed,
    /// and a peer may leave out counters.
    #[inline]
    fn skip_to(&mut self, name: Name) -> bool {
        while self.from < self.blocks.len() && self.next < name {
            self.wipe_first();
        }
        self.starts_with(name)
    }

    /// Wipes the first block and goes to the next one. The buffer lives on, so the compiler cannot leave this out.
    #[inline(always)]
    fn wipe_first(&mut self) {
        self.blocks[self.from].fill(0);
        self.from += 1;
        self.next = self.after(self.next);
    }

    /// The block behind this one, in its frame or in the next.
    #[inline(always)]
    fn after(&self, name: Name) -> Name {
        if name.number + 1 < self.per_frame {
            Name { number: name.number + 1, ..name }
        } else {
            Name { counter: name.counter.wrapping_add(1), number: 0 }
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.blocks.zeroize();
    }
}

/// Cuts the next octets, at most `len`, from the source, if there is one, and the destination.
#[inline(always)]
fn cut<'a, 'b>(from: &mut Option<&'a [u8]>, data: &mut &'b mut [u8], len: usize) -> (Option<&'a [u8]>, &'b mut [u8]) {
    let all = core::mem::take(data);
    let (to, later) = all.split_at_mut(len.min(all.len()));
    *data = later;
    let source = from.map(|octets| octets.split_at(to.len()));
    *from = source.map(|(_, later)| later);
    (source.map(|(now, _)| now), to)
}

/// Applies key stream to at most as many octets.
#[inline(always)]
fn xor_octets(octets: &mut [u8], key: &[u8]) {
    let (wide, rest) = octets.as_chunks_mut::<16>();
    let (wide_key, _) = key.as_chunks::<16>();
    for (octets, key) in wide.iter_mut().zip(wide_key) {
        *octets = (u128::from_ne_bytes(*octets) ^ u128::from_ne_bytes(*key)).to_ne_bytes();
    }
    if let Some(key) = wide_key.get(wide.len()) {
        for (octet, key) in rest.iter_mut().zip(key) {
            *octet ^= key;
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::prelude::rust_2024::*;

    use fearless_simd::{Level, dispatch};

    use super::super::tests::{Toy, levels};
    use super::*;

    fn key_stream<const FIRST: usize>() -> KeyStream<Toy<FIRST>> {
        KeyStream::new(Box::new(Toy))
    }

    /// Uses the key stream as a frame of `len` octets does, and gives it.
    fn frame<const FIRST: usize>(stream: &mut KeyStream<Toy<FIRST>>, counter: u64, len: usize) -> Vec<u8> {
        frame_at(Level::new(), stream, counter, len)
    }

    fn frame_at<const FIRST: usize>(
        level: Level,
        stream: &mut KeyStream<Toy<FIRST>>,
        counter: u64,
        len: usize,
    ) -> Vec<u8> {
        let mut data = vec![0; len];
        dispatch!(level, simd => {
            let key = stream.one_time_key(simd, counter, len);
            let first = len.min(FIRST);
            stream.xor_first(&mut data[..first]);
            stream.xor(simd, counter, 1, len, None, &mut data[first..]);
            [&key[..], &data].concat()
        })
    }

    fn lanes() -> usize {
        dispatch!(Level::new(), simd => blocks::lanes(simd))
    }

    fn is_wiped<C>(stream: &KeyStream<C>) -> bool {
        let ahead = &stream.ahead;
        ahead.blocks[..ahead.from].iter().flatten().all(|&octet| octet == 0)
    }

    #[test]
    fn a_direction_without_frames_has_no_memory_for_blocks() {
        let mut stream = key_stream::<32>();
        assert!(stream.ahead.blocks.is_empty());
        frame(&mut stream, 1, 10);
        assert_eq!(stream.ahead.blocks.len(), lanes());
    }

    #[test]
    fn what_was_used_is_wiped() {
        let mut stream = key_stream::<32>();
        for (counter, len) in [1, 40, 33, 300, 7, 5000, 0, 1025].into_iter().enumerate() {
            let whole = frame(&mut stream, counter as u64, len);
            assert!(whole[..32].iter().any(|&octet| octet != 0));
            assert!(is_wiped(&stream), "after {len} octets");
        }
    }

    #[test]
    fn frames_that_leave_out_the_rest_of_block_0_share_a_pass_in_pairs() {
        let mut stream = key_stream::<0>();
        for frames in 1..=lanes() / 2 {
            frame(&mut stream, 99 + frames as u64, 64);
            // One pass, as all blocks used so far are in it.
            assert_eq!(stream.ahead.from, 2 * frames);
        }
        assert!(is_wiped(&stream));
    }

    #[test]
    fn small_frames_share_a_pass() {
        let mut stream = key_stream::<32>();
        for used in 1..=lanes() {
            frame(&mut stream, 99 + used as u64, 32);
            // One more block of the same pass.
            assert_eq!(stream.ahead.from, used);
        }
        frame(&mut stream, 100 + lanes() as u64, 32);
        assert_eq!(stream.ahead.from, 1);
    }

    #[test]
    fn a_gap_goes_on_in_the_same_pass_and_wipes_what_was_left_out() {
        let mut stream = key_stream::<32>();
        let expected = frame(&mut key_stream::<32>(), 3, 10);
        frame(&mut stream, 1, 10);
        assert_eq!(frame(&mut stream, 3, 10), expected);
        assert_eq!(stream.ahead.from, 3);
        assert!(is_wiped(&stream));
    }

    #[test]
    fn levels_may_take_turns() {
        // Up and down: a pass of few blocks after one of many, and the other way round.
        let there = levels();
        let turns = there.iter().rev().chain(&there).cycle();
        let (mut stream, mut expected) = (key_stream::<32>(), key_stream::<32>());
        for (turn, level) in (0..40_usize).zip(turns) {
            // Longer than the last, so that a new pass is due.
            let (counter, len) = (turn as u64, 100 + 64 * turn);
            assert_eq!(frame_at(*level, &mut stream, counter, len), frame(&mut expected, counter, len), "{turn}");
            assert!(is_wiped(&stream));
        }
    }

    #[test]
    fn a_refused_frame_uses_up_its_block() {
        let mut stream = key_stream::<32>();
        dispatch!(Level::new(), simd => stream.one_time_key(simd, 1, 10));
        stream.skip_first();
        assert!(is_wiped(&stream));
        let expected = frame(&mut key_stream::<32>(), 1, 10);
        assert_eq!(frame(&mut stream, 1, 10), expected);
    }
}

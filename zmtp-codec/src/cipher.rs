//! What the ciphers of the mechanisms have in common: Poly1305, and key stream by vector passes, ahead of the frames.
//!
//! For the mechanism crates of this workspace alone. It is not part of the interface of this crate, and changes without
//! notice: a mechanism of another maker brings its own cipher.
//!
//! It is here and not in a mechanism crate since those do not know one another, and so that there is one Poly1305 to keep
//! right. Without the feature `cipher` nothing of it is compiled, nor anything that it depends on.
//!
//! # What it promises
//! - No branch and no index depends on a key, a plaintext or a tag.
//! - Keys, one-time keys and key stream are wiped from memory when they are used up or dropped. Copies in registers, and
//!   what the compiler spills of them to the stack, cannot be wiped from Rust.
//! - Nothing is allocated but at construction and with the first frame, and no length makes it panic.

#![expect(clippy::indexing_slicing, reason = "the bounds are those of fixed arrays, or were cut right before")]

mod blocks;
mod keystream;
mod poly1305;
#[cfg(test)]
mod tests;

pub use blocks::{BLOCK, Block, MAX_LANES, StreamCipher, key_words, lanes, pass, pass_along, rotate, split};
pub use keystream::{KEY, KeyStream};
pub use poly1305::Poly1305;

//! Z85 (RFC 32) of exactly one key.

use alloc::string::String;

use zeroize::Zeroizing;

use super::{KEY_LEN, KEY_TEXT_LEN, KeyError};

/// Decodes the text of a key into `key`: 40 characters, and a zero octet after them as C strings have it is let pass.
///
/// What is left in `key` after an error is unspecified; a caller with a secret wipes it. No other copy stays on the heap.
/// The z85 crate looks characters up in a table, so a process on the same machine that watches the cache may learn
/// something of a secret key while it is read from its text; libzmq does the same. Raw octets avoid it.
pub(super) fn decode(text: &[u8], key: &mut [u8; KEY_LEN]) -> Result<(), KeyError> {
    // The crate would pad other lengths, which Z85 does not know, so the length is settled before.
    let characters = match text {
        [characters @ .., 0] if text.len() == KEY_TEXT_LEN + 1 => characters,
        _ if text.len() == KEY_TEXT_LEN => text,
        _ => return Err(KeyError::Length { len: text.len() }),
    };
    // One chunk at a time: on an error further on, the crate would drop the octets decoded so far without wiping them.
    for (index, (chunk, octets)) in characters.chunks_exact(5).zip(key.chunks_exact_mut(4)).enumerate() {
        let position = index * 5;
        // Above 2^32 - 1 whatever follows, while the crate takes it for its padding.
        if chunk.first() == Some(&b'#') {
            return Err(KeyError::Chunk { position });
        }
        let decoded = Zeroizing::new(z85::decode(chunk).map_err(|error| match error {
            z85::DecodeError::InvalidByte(offset, _) => KeyError::Character { position: position + offset },
            _ => KeyError::Chunk { position },
        })?);
        if decoded.len() != octets.len() {
            return Err(KeyError::Chunk { position });
        }
        octets.copy_from_slice(&decoded);
    }
    Ok(())
}

/// Encodes a key, allocating once: a caller with a secret wipes the one buffer that is returned.
///
/// The crate looks characters up by the octets, see [`decode`].
pub(super) fn encode(key: &[u8; KEY_LEN]) -> String {
    z85::encode(key)
}

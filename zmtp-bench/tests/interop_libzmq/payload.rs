//! Octets that are told apart from one another and from themselves shifted.

/// `len` octets that depend on `seed` and on their place, the same on every machine (`SplitMix64`).
pub(crate) fn octets(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x2545_f491_4f6c_dd1d).wrapping_add(len as u64);
    let mut octets = Vec::with_capacity(len + 8);
    while octets.len() < len {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        octets.extend_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes());
    }
    octets.truncate(len);
    octets
}

/// A message with parts of these sizes.
pub(crate) fn message(seed: u64, sizes: &[usize]) -> Vec<Vec<u8>> {
    sizes.iter().zip(0..).map(|(&size, index)| octets(seed * 1000 + index, size)).collect()
}

/// Compares without printing megabytes.
#[track_caller]
pub(crate) fn assert_same<A: AsRef<[u8]>, B: AsRef<[u8]>>(received: &[A], sent: &[B], what: &str) {
    let sizes = |lens: Vec<usize>| format!("{lens:?}");
    assert_eq!(
        sizes(received.iter().map(|part| part.as_ref().len()).collect()),
        sizes(sent.iter().map(|part| part.as_ref().len()).collect()),
        "{what}: sizes of the parts",
    );
    for (index, (received, sent)) in received.iter().zip(sent).enumerate() {
        let differs = received.as_ref().iter().zip(sent.as_ref()).position(|(one, other)| one != other);
        assert_eq!(differs, None, "{what}: first octet of part {index} that differs");
    }
}

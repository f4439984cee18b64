//! NaCl's `crypto_box` as libsodium has it: what libzmq seals CURVE with, and so what ours is measured against.

use core::ffi::c_int;

use libsodium_sys as ffi;

/// Octets by which a box is longer than its contents.
pub const OVERHEAD: usize = 16;

/// The key of two parties, ready to seal and open.
#[derive(Clone)]
pub struct BoxKey([u8; 32]);

impl BoxKey {
    /// Agrees on a key: one scalar multiplication. `None` where the public key is a point of low order.
    #[must_use]
    pub fn new(public: &[u8; 32], secret: &[u8; 32]) -> Option<Self> {
        initialise();
        let mut key = [0; 32];
        // SAFETY: three pointers to 32 octets each, as the function asks for.
        let agreed = unsafe { ffi::crypto_box_beforenm(key.as_mut_ptr(), public.as_ptr(), secret.as_ptr()) };
        (agreed == 0).then_some(Self(key))
    }

    /// Seals `plain` into `boxed`.
    ///
    /// # Panics
    /// Unless `boxed` is [`OVERHEAD`] octets longer.
    pub fn seal(&self, nonce: &[u8; 24], plain: &[u8], boxed: &mut [u8]) {
        assert_eq!(boxed.len(), plain.len() + OVERHEAD);
        // SAFETY: both ranges are as long as the function takes them to be, the nonce has 24 octets and the key 32.
        let sealed = unsafe {
            ffi::crypto_box_easy_afternm(
                boxed.as_mut_ptr(),
                plain.as_ptr(),
                plain.len() as u64,
                nonce.as_ptr(),
                self.0.as_ptr(),
            )
        };
        assert_eq!(sealed, 0, "sealing fails for lengths beyond memory only");
    }

    /// Opens `boxed` into `plain`; false if it is not authentic.
    ///
    /// # Panics
    /// Unless `boxed` is [`OVERHEAD`] octets longer.
    #[must_use]
    pub fn open(&self, nonce: &[u8; 24], boxed: &[u8], plain: &mut [u8]) -> bool {
        assert_eq!(boxed.len(), plain.len() + OVERHEAD);
        // SAFETY: as in `seal`.
        let opened: c_int = unsafe {
            ffi::crypto_box_open_easy_afternm(
                plain.as_mut_ptr(),
                boxed.as_ptr(),
                boxed.len() as u64,
                nonce.as_ptr(),
                self.0.as_ptr(),
            )
        };
        opened == 0
    }
}

impl core::fmt::Debug for BoxKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("BoxKey(..)")
    }
}

/// Has libsodium look at the processor: without it, it takes the slow paths.
fn initialise() {
    // SAFETY: may be called at any time and from any thread.
    let initialised = unsafe { ffi::sodium_init() };
    assert!(initialised >= 0, "libsodium does not start");
}

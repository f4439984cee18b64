//! ZMTP codec.
#![no_std]

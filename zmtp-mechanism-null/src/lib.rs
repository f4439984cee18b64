//! NULL.
#![no_std]

//! The C ABI of NyroDB: `libnyro.so`, `libnyro.a`, `include/nyro.h`.
//!
//! ```text
//!   C program -> functions (this is what nyro.h declares)
//!                  -> boundary: null checks, lengths, no panic crosses, errors filled in
//!                  -> handles:  64-bit number -> open database; a stale number is an error
//!                  -> engine
//! ```
//!
//! `include/nyro.h` is written from this source by cbindgen (`make header`), and a test compares the two,
//! so the comments here are the manual of the C functions.

#![allow(non_camel_case_types, reason = "the names of the C API")]

mod boundary;
mod code;
mod functions;
mod handles;

#[cfg(test)]
mod tests;

pub use boundary::nyro_error;
pub use code::nyro_code;
pub use functions::*;

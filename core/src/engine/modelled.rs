//! The part of the engine that the model checker runs.

pub mod delta;
pub mod published;

#[cfg(test)]
mod loom_tests;

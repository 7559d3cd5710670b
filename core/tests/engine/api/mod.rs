//! What each public call promises, after reopening where that matters.

mod handles;
mod ids;
mod reading;
mod transactions;
mod verify;
mod writing;

//! The nyro program.
fn main() {}

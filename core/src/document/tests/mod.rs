//! Tests of the promises that documents make, against naive oracles where there is one.

mod identity;
mod json;
mod naive;
mod ordering;
mod random;
mod raw;
mod round_trip;
mod serde_types;
mod speed;
mod time;
mod validation;

/// The seed of this run: `NYRO_SEED`, or a fixed one. Tests name it when they fail.
fn seed() -> u64 {
    std::env::var("NYRO_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0x5eed)
}

/// Bytes from hexadecimal digits and spaces.
fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u32> = digits.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16).unwrap()).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

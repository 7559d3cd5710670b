#![no_main]

#[allow(dead_code)]
#[path = "../../safety/src/fuzz/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    targets::log(input);
});

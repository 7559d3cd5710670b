#![no_main]

#[allow(dead_code, reason = "each target needs one of these functions")]
#[path = "../../safety/src/fuzz/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    targets::run(input);
});

//! `include/nyro.h` is what cbindgen makes of `ffi/src`. `make header` writes it anew.

use std::fs;
use std::path::Path;

#[test]
fn the_committed_header_is_the_generated_one() {
    let ffi = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(ffi.join("cbindgen.toml")).expect("cbindgen.toml is well-formed");
    let mut generated = Vec::new();
    cbindgen::generate_with_config(ffi, config).expect("the source parses").write(&mut generated);
    let generated = for_c(&String::from_utf8(generated).expect("UTF-8"));

    let path = ffi.join("../include/nyro.h");
    if std::env::var_os("NYRO_WRITE_HEADER").is_some() {
        fs::write(&path, &generated).expect("the header can be written");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == generated, "include/nyro.h is not what the source says; run `make header`");
}

/// What Rust's comments put under a heading "Safety" is what a C caller has to see to. The functions that are inline
/// in C have no counterpart in Rust.
fn for_c(header: &str) -> String {
    let header = header.replace(" * # Safety\n *\n * ", " * Requires: ");
    let end = "#ifdef __cplusplus\n}  // extern \"C\"";
    let at = header.rfind(end).expect("the end of the C functions");
    format!("{}{}\n{}", &header[..at], include_str!("../src/inline.h"), &header[at..])
}

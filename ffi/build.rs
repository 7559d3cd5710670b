//! Gives the shared library its name for the loader: the number grows with what breaks programs linked to it. And once
//! loaded it stays: the threads of an open database run its code, so `dlclose` may not take it away.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libnyro.so.0");
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}

//! The C ABI of NyroDB.

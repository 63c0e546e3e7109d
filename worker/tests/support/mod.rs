//! What the tests of the worker's binary share.

use std::path::PathBuf;

/// The scripted server, which `cargo nextest run --workspace` builds; without it a test says so and passes.
pub(crate) fn fixture() -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_BIN_EXE_mcproxy-worker")).with_file_name("mcproxy-fixture");
    if path.exists() {
        return Some(path);
    }
    let mut err = std::io::stderr().lock();
    // Only a remark.
    let _ = std::io::Write::write_all(
        &mut err,
        b"skipped: mcproxy-fixture is not built (cargo build -p mcproxy-fixture)\n",
    );
    None
}

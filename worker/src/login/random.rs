//! Random numbers of the kernel.

use std::io;

/// So many random bytes.
///
/// # Errors
/// The kernel gives none.
pub(super) fn bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

/// A number from 0 to 1, to spread what would happen at the same moment.
pub(super) fn chance() -> f64 {
    bytes::<4>().map_or(0.5, |bytes| f64::from(u32::from_ne_bytes(bytes)) / f64::from(u32::MAX))
}

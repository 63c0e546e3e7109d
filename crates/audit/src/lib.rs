//! The audit file: one line of JSON for each call, which holds the hash of the line before. A line that was removed, changed or put in
//! shows, as the next one does not fit any more.
//!
//! The supervisor writes the lines, `mcproxy audit verify` reads them; both agree here.

mod chain;
mod files;
mod line;

pub use chain::{Broken, ChainHead, ChainReader};
pub use files::{FILE, file_number, rotated_name};
pub use line::{MAX_LINE, write_line};

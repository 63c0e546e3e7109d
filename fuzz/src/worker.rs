//! Modules of the worker.

#[path = "../../worker/src/lines.rs"]
pub(crate) mod lines;

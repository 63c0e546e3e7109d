//! The client dialects: the methods of sessions (2024-11-05 to 2025-11-25), and those of 2026-07-28.

pub(crate) mod session;
pub(crate) mod stateless;

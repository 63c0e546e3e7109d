//! Server dialects: how the small internal call protocol becomes what one era of MCP servers speaks.
//!
//! A dialect writes lines for the server and reads what is peculiar to its era. Which request is whose, timeouts, limits
//! and the catalogue are the session's and the same for all. The dialect of 2026-07-28 (`server/discover`, per-request
//! `_meta`, `input_required`) will be a module beside `legacy`, and the session will hold an enum of the two.

pub(crate) mod legacy;

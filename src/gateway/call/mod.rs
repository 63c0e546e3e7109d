//! One request under way: which server it is for, how it waits for that, its way there and back, and what the server asks meanwhile. The
//! same for clients of every dialect.

pub(crate) mod approval;
pub(crate) mod audit;
pub(crate) mod builtin_tools;
pub(crate) mod client_headers;
pub(crate) mod client_input;
pub(crate) mod forward;
pub(crate) mod incoming;
pub(crate) mod input_requests;
mod large_result;
pub(crate) mod lists;
pub(crate) mod progress;
pub(crate) mod request_context;
pub(crate) mod route;
pub(crate) mod skills;
mod tool_search;

//! The client dialects with `initialize`: what each method does, whatever transport it came by, and how a session ends.

pub(crate) mod lifetime;
pub(crate) mod methods;
pub(crate) mod task_requests;

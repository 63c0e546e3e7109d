//! What passes between a client and one server is changed only where the common endpoint's names or the client's
//! protocol version ask for it; every other byte stays.

pub(crate) mod down;
mod inbound;
mod naming;
mod outbound;
mod splice;
mod ui_refs;

pub(crate) use inbound::completion_ref;
pub(crate) use naming::Naming;
pub(crate) use outbound::{
    ResultRewrite, call_result, created_task, error, prompt_result, read_result, skill_result, task_outcome,
    task_result, unchanged, updated_params,
};
pub(crate) use splice::{Splices, span};
pub(crate) use ui_refs::{of_meta as ui_refs_of, own_meta};

//! Messages between a client and one server are changed only where the common endpoint's names or the client's
//! protocol version ask for it; every other byte stays.

pub(crate) mod downgrade;
mod inbound;
mod naming;
mod outbound;
mod splice;
mod ui_refs;

pub(crate) use self::inbound::completion_ref;
pub(crate) use self::naming::Naming;
pub(crate) use self::outbound::{
    ResultRewrite, call_result, created_task, error, prompt_result, read_result, skill_result, task_outcome,
    task_result, unchanged, updated_params,
};
pub(crate) use self::splice::{Splices, span};
pub(crate) use self::ui_refs::{of_meta as ui_refs_of, own_refs};

//! Approvals of single calls (docs/decisions/0198): the calls that wait at the gateway, and the answers that are kept.

mod held;
mod rules;

pub(crate) use self::{held::HeldList, rules::KeptApprovals};

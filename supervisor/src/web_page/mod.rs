//! What the supervisor does for the gateway's web page: acts of people, which it checks and may refuse, and answers that only it has
//! (docs/decisions/0184).

mod acts;
mod config_view;
mod entry;
mod log_lines;
mod socket_owner;
mod switch;

pub(crate) use self::{
    acts::{ActRequests, Asker},
    entry::entry,
    log_lines::{LogFeed, all_lines},
};

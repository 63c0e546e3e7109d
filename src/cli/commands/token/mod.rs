//! `mcproxy token`: tokens of clients (`auth.tokens`).

mod list;
mod new;

pub(crate) use self::{list::run as list, new::NewToken};

//! What a client of the legacy era sees of servers of that era, method by method.

mod asks;
mod asks_sse;
mod calls;
mod extensions;
mod fresh;
mod isolation;
mod kept;
mod lazy;
mod left;
mod lists;
mod notices;
mod passed_on;
mod progress;
mod resources;
mod skills;
mod starting;

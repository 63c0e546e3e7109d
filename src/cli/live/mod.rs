//! What happens in a running MCProxy, as it happens: servers and calls, from the gateway's event stream where it has one, else from the
//! supervisor.

mod feed;
mod model;

#[cfg(test)]
pub(crate) use self::model::LiveCall;
pub(crate) use self::{
    feed::LiveFeed,
    model::{LiveEvent, LiveModel, LiveServer, call_line, milliseconds, phases_line},
};

//! What the kernel and the supervisor enforce on the processes of MCProxy, seen from outside and from inside of them
//! (docs/decisions/0128).

mod bounds;
mod gateway;
mod hostile;
mod launcher;
mod phases;
mod servers;
pub(crate) mod users;

pub(crate) use self::{servers::give, users::range};

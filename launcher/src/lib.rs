//! `mcproxy-launch`: the process between a worker and its server.
//!
//! A worker does not exec its server itself: it starts this program, which asks the kernel to be killed when the worker dies, checks
//! that the worker still lives, asks for what keeps the server from its worker and for the server's limits, and then becomes the
//! server (exec(3), same process id). That needs no code between fork and exec, hence no `unsafe`
//! (docs/decisions/0008, 0144).
//!
//! It is a program of its own because it is started with every server: small, with one thread, and nothing that has to be set up.
//! What it is to do is a [`LaunchOrder`] in sealed memory. Why it could not do it, it writes into a pipe, which its worker reads when
//! the process has ended, and which the server does not inherit.

mod failure;
mod launch;
mod order;

pub use failure::LaunchFailure;
pub use launch::launch;
pub use order::LaunchOrder;

/// The name of the program, which lies beside the worker's.
pub const PROGRAM: &str = "mcproxy-launch";

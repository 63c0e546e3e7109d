//! What survives what: each test provokes a fault on real processes.

mod answers;
mod catalogues;
mod clock;
mod descriptors;
mod gateway;
mod install;
mod kills;
mod limits;
mod noise;
mod orphans;
mod parked;
mod phases;
mod queue;
mod reload;
mod runtime_dir;
mod service;
mod sinks;
mod starts;
mod state;
mod stops;
mod suspended;
mod swap;
mod trees;
mod vanished;
mod versions;
mod watch;

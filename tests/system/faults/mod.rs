//! What survives what: each test provokes a fault on real processes.

mod gateway;
mod kills;
mod noise;
mod orphans;
mod phases;
mod reload;
mod starts;
mod stops;

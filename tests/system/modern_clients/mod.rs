//! Clients of 2026-07-28: every request stands for itself.

mod calls;
mod input;
mod listen;
mod lists;
mod params;
mod sdk;
mod validation;

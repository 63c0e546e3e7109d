//! Fifty published servers that MCProxy's authors did not write, of many SDKs and years: what a client gets of each through
//! MCProxy is what it gets directly. They take minutes and some GiB of disk, so `tests/zoo/run` runs them, not the suite.

mod cold;
mod compare;
mod direct;
mod entry;

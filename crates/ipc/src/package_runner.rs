//! Command lines of package runners, for those who look for the package in them: the configuration, which shows it to people, and
//! the worker, which finds the package's entry in the runner's cache.

/// Flags of `npx` and `npm exec` that take the next word, besides those that name packages (`-p`) and the command (`-c`).
pub const NPX_FLAGS_WITH_VALUE: [&str; 9] = [
    "--registry",
    "--cache",
    "--userconfig",
    "--prefix",
    "--workspace",
    "-w",
    "--loglevel",
    "--node-options",
    "--script-shell",
];

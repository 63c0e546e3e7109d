//! How a worker reaches its server.
//!
//! To add a way: a variant of [`Reach`], and its arm in each method here. What else reads a reach asks these methods.

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::Secret;

/// How a worker reaches its server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reach {
    /// The worker starts this command and talks to its standard input and output.
    Command(LaunchSpec),
}

impl Reach {
    /// The command to start, if the server is started at all.
    pub fn command(&self) -> Option<&LaunchSpec> {
        match self {
            Self::Command(launch) => Some(launch),
        }
    }

    /// The values that the server's entry lists by name, which may be secrets: for a command, its variables.
    pub fn named_values(&self) -> &[(String, Secret)] {
        match self {
            Self::Command(launch) => &launch.env,
        }
    }

    /// Other values from MCProxy's environment: to be masked where the server says them.
    pub fn looked_up(&self) -> &[Secret] {
        match self {
            Self::Command(launch) => &launch.looked_up,
        }
    }

    /// The parts that make the server this one and no other. The values of variables are no part of it: they are renewed more often
    /// than they change what a server offers.
    pub fn identity(&self) -> Vec<Cow<'_, [u8]>> {
        match self {
            Self::Command(LaunchSpec { program, args, env, cwd, .. }) => {
                let mut parts: Vec<Cow<'_, [u8]>> =
                    vec![program.as_bytes().into(), args.len().to_be_bytes().to_vec().into()];
                parts.extend(args.iter().map(|arg| arg.expose().as_bytes().into()));
                parts.extend(env.iter().map(|(name, _)| name.as_bytes().into()));
                parts.push(cwd.as_deref().map_or(&[][..], |cwd| cwd.as_os_str().as_encoded_bytes()).into());
                parts
            }
        }
    }

    /// Makes relative paths start from this directory.
    pub fn resolve_paths(&mut self, base: &Path) {
        match self {
            Self::Command(launch) => {
                if let Some(cwd) = &mut launch.cwd {
                    *cwd = base.join(&*cwd);
                }
            }
        }
    }

    /// The lines that tell a person how the server is reached, with nothing masked. `quote` prepares a word for a shell.
    pub fn describe(&self, quote: impl Fn(&str) -> String) -> Vec<String> {
        match self {
            Self::Command(LaunchSpec { program, args, env, cwd, .. }) => {
                let words = std::iter::once(program.as_str()).chain(args.iter().map(Secret::expose));
                let words: Vec<String> = words.map(quote).collect();
                let mut lines = vec![format!("$ {}", words.join(" "))];
                if !env.is_empty() {
                    let names: Vec<&str> = env.iter().map(|(name, _)| name.as_str()).collect();
                    lines.push(format!("  with {}", names.join(", ")));
                }
                lines.extend(cwd.iter().map(|cwd| format!("  in {}", cwd.display())));
                lines
            }
        }
    }
}

/// A command, never a shell line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchSpec {
    /// Looked up in PATH unless it contains a `/`.
    pub program: String,
    /// Arguments; they may hold interpolated secrets.
    pub args: Vec<Secret>,
    /// The variables of the server's entry; the worker adds its small allow-list (PATH, HOME, …) and nothing else.
    pub env: Vec<(String, Secret)>,
    /// Working directory; the worker's own when absent.
    pub cwd: Option<PathBuf>,
    /// Values from MCProxy's environment in the command and its arguments: to be masked where the server says them.
    pub looked_up: Vec<Secret>,
}

impl LaunchSpec {
    /// The value of a variable that the server's entry sets.
    pub fn variable(&self, name: &str) -> Option<&Secret> {
        self.env.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value)
    }
}

//! What the kernel is asked to enforce on the processes of MCProxy (docs/decisions/0128): the user that each runs as, its
//! capabilities, which files and ports it may use (Landlock), which system calls it may make (seccomp), and its limits.
//!
//! The types say what is wanted; they are plain data, which the configuration fills and control messages carry. A process asks
//! the kernel for its own confinement and for nobody else's: the gateway and each worker when they begin, before they read
//! anything of strangers, and the launcher before it becomes a server.

#[cfg(debug_assertions)]
mod attempts;
mod confinement;
mod degradation;
mod descriptors;
mod domain;
mod file_refusal;
mod gateway;
mod hand_on;
mod hardening;
mod identity;
mod kernel;
mod limits;
mod network;
mod own_files;
mod privileges;
mod sandbox;
mod sealed_file;
mod sealed_memory;
mod server_files;
mod syscalls;
mod unsafe_calls;
mod user_capabilities;

#[cfg(debug_assertions)]
pub use attempts::{ATTEMPTS_VARIABLE, attempt_escapes};
pub use confinement::{Confinement, ResourceLimits, ServerConfinement};
pub use degradation::{Degradation, Protection};
pub use descriptors::{PassedDescriptor, close_on_exec, take_passed_descriptors};
pub use domain::{Domain, Entered, FileRules};
pub use file_refusal::FileRefusal;
pub use gateway::confine_gateway;
pub use hand_on::{hand_on, inherited};
pub use hardening::Hardening;
pub use identity::Identity;
pub use kernel::{Kernel, Landlock};
pub use network::leave_network;
pub use privileges::take_identity;
pub use sandbox::{Network, Reading, Sandbox};
pub use sealed_file::{is_sealed, sealed_file};
pub use sealed_memory::SealedMemory;
pub use server_files::ServerPlaces;
pub use syscalls::servers::{ServerCalls, deny_programs, deny_to_servers};
pub use user_capabilities::{keep_user_capabilities, may_change_users};

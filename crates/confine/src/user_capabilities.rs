//! The capabilities with which the supervisor starts others as other users (capabilities(7)), and without all others.

use std::io;

use rustix::{
    fs::Mode,
    io::Errno,
    process::{Resource, Rlimit, geteuid, setrlimit, umask},
    thread::{
        CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set, clear_ambient_capability_set,
        configure_capability_in_ambient_set, remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
    },
};

/// To become another user, to take its groups, to give up the bounding set, to signal what it started, and to give it files.
const FOR_USERS: CapabilitySet = CapabilitySet::SETUID
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::CHOWN);

/// To read files of other users, and if that does not do, to write them as well.
const FOR_FILES: [CapabilitySet; 2] = [CapabilitySet::DAC_READ_SEARCH, CapabilitySet::DAC_OVERRIDE];

/// Whether this process may start others as other users.
pub fn may_change_users() -> bool {
    capabilities(None).is_ok_and(|sets| sets.permitted.contains(FOR_USERS))
}

/// Keeps the five capabilities with which others are started as other users, if this process has them all, and gives up the rest
/// for good, and new ones through programs (`no_new_privs`), core dumps, and files that others may read (umask 077). `works` says,
/// with what is left in force, whether the files that this process needs can still be used; if not, it keeps what they need, and
/// returns the names of that. To be called before this process has more than one thread: each has capabilities of its own.
///
/// # Errors
/// Something could not be given up.
pub fn keep_user_capabilities(works: impl Fn() -> bool) -> io::Result<Vec<&'static str>> {
    umask(Mode::RWXG | Mode::RWXO);
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    let had = capabilities(None)?;
    let users = if had.permitted.contains(FOR_USERS) { FOR_USERS } else { CapabilitySet::empty() };
    if had.effective.contains(CapabilitySet::SETPCAP) {
        bound_by(users)?;
    }
    // Those that a process of root loses by itself when it becomes another user; others have to be handed down.
    let handed_down = if geteuid().is_root() { CapabilitySet::empty() } else { users };
    clear_ambient_capability_set().or_else(unknown)?;
    let mut kept = users;
    let mut extra = Vec::new();
    in_force(kept, had.permitted, handed_down)?;
    for capability in FOR_FILES {
        if works() {
            break;
        }
        if had.permitted.contains(capability) {
            kept |= capability;
            extra.push(name(capability));
            in_force(kept, had.permitted, handed_down)?;
        }
    }
    in_force(kept, kept, handed_down)?;
    for capability in handed_down {
        configure_capability_in_ambient_set(capability, true)?;
    }
    set_no_new_privs(true)?;
    Ok(extra)
}

fn in_force(effective: CapabilitySet, permitted: CapabilitySet, inheritable: CapabilitySet) -> rustix::io::Result<()> {
    set_capabilities(None, CapabilitySets { effective, permitted, inheritable })
}

/// Takes all others out of the bounding set.
fn bound_by(kept: CapabilitySet) -> rustix::io::Result<()> {
    for number in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        match capability_is_in_bounding_set(capability) {
            Ok(true) if !kept.contains(capability) => remove_capability_from_bounding_set(capability)?,
            Ok(_) => {}
            // The kernel knows no more of them.
            Err(Errno::INVAL) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Ambient capabilities are there since Linux 4.3; without them there are none to clear.
fn unknown(error: Errno) -> rustix::io::Result<()> {
    if error == Errno::INVAL { Ok(()) } else { Err(error) }
}

fn name(capability: CapabilitySet) -> &'static str {
    match capability {
        CapabilitySet::DAC_READ_SEARCH => "CAP_DAC_READ_SEARCH",
        CapabilitySet::DAC_OVERRIDE => "CAP_DAC_OVERRIDE",
        _ => "a capability",
    }
}

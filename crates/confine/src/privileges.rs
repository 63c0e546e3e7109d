//! What a process gives up when it begins: the user that started it, capabilities, and the ways to get others back.

use std::io;

use rustix::{
    fs::Mode,
    io::Errno,
    process::{Gid, Resource, Rlimit, Uid, getegid, geteuid, setrlimit, umask},
    thread::{
        CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set, clear_ambient_capability_set,
        remove_capability_from_bounding_set, set_capabilities, set_no_new_privs, set_thread_groups, set_thread_res_gid,
        set_thread_res_uid,
    },
};

use crate::Identity;

const NO_CAPABILITIES: CapabilitySets = CapabilitySets {
    effective: CapabilitySet::empty(),
    permitted: CapabilitySet::empty(),
    inheritable: CapabilitySet::empty(),
};

/// Becomes `identity`, if one is given, and gives up for good what this process does not need: all capabilities, in every set;
/// new ones through programs (`no_new_privs`); core dumps; files that others may read (umask 077). To be called first in `main`,
/// by a process that has one thread, because the kernel keeps all of that by thread.
///
/// A change of user makes the kernel forget the parent-death signal and what was said of memory dumps (prctl(2)). Both are to be
/// asked for afterwards.
///
/// # Errors
/// The process may not become this user, or something of it could not be given up. It must not go on then.
pub fn take_identity(identity: Option<&Identity>) -> io::Result<()> {
    umask(Mode::RWXG | Mode::RWXO);
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).map_err(doing("forbid core dumps"))?;
    // While there is the capability to do so, which goes with the user.
    empty_bounding_set().map_err(doing("empty the bounding set of capabilities"))?;
    if let Some(identity) = identity {
        become_user(identity)?;
    }
    set_no_new_privs(true).map_err(doing("set no_new_privs"))?;
    give_up_capabilities()
}

/// All capabilities, in every set.
pub(crate) fn give_up_capabilities() -> io::Result<()> {
    empty_bounding_set().map_err(doing("empty the bounding set of capabilities"))?;
    clear_ambient_capability_set().or_else(unknown_to_the_kernel).map_err(doing("clear the ambient capabilities"))?;
    set_capabilities(None, NO_CAPABILITIES).map_err(doing("give up all capabilities"))?;
    if capabilities(None)? != NO_CAPABILITIES {
        return Err(io::Error::other("capabilities are left after all were given up"));
    }
    Ok(())
}

/// Without the capability for this, the bounding set stays: `no_new_privs` makes it meaningless.
fn empty_bounding_set() -> rustix::io::Result<()> {
    if !capabilities(None)?.effective.contains(CapabilitySet::SETPCAP) {
        return Ok(());
    }
    for number in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        match capability_is_in_bounding_set(capability) {
            Ok(true) => remove_capability_from_bounding_set(capability)?,
            Ok(false) => {}
            // The kernel knows no more of them.
            Err(Errno::INVAL) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn become_user(identity: &Identity) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    let groups: Vec<Gid> = identity.groups.iter().copied().map(Gid::from_raw).collect();
    set_thread_groups(&groups).map_err(doing("set the supplementary groups"))?;
    set_thread_res_gid(gid, gid, gid).map_err(doing(&format!("become group {}", identity.gid)))?;
    set_thread_res_uid(uid, uid, uid).map_err(doing(&format!("become user {}", identity.uid)))?;
    if (geteuid(), getegid()) != (uid, gid) {
        return Err(io::Error::other(format!("this process is not user {} although the kernel said so", identity.uid)));
    }
    Ok(())
}

/// Ambient capabilities are there since Linux 4.3; without them there are none to clear.
fn unknown_to_the_kernel(error: Errno) -> rustix::io::Result<()> {
    if error == Errno::INVAL { Ok(()) } else { Err(error) }
}

/// Says what failed.
pub(crate) fn doing(what: &str) -> impl FnOnce(Errno) -> io::Error {
    move |error| {
        let error = io::Error::from(error);
        io::Error::new(error.kind(), format!("cannot {what}: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, fs};

    use super::*;

    /// What `/proc` says of a thread that has taken this identity.
    fn status_after(identity: Option<Identity>) -> HashMap<String, String> {
        let thread = std::thread::spawn(move || {
            take_identity(identity.as_ref()).expect("taken");
            fs::read_to_string("/proc/thread-self/status").expect("status")
        });
        let status = thread.join().expect("no panic");
        let pairs = status.lines().filter_map(|line| line.split_once(':'));
        pairs.map(|(key, value)| (key.to_owned(), value.trim().to_owned())).collect()
    }

    #[test]
    fn a_process_that_took_its_identity_has_no_way_back() {
        let status = status_after(None);
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert_eq!(status[set], "0000000000000000", "{set}");
        }
        assert_eq!(status["NoNewPrivs"], "1");
        if geteuid().is_root() {
            assert_eq!(status["CapBnd"], "0000000000000000");
        }
    }

    #[test]
    fn a_process_becomes_the_user_it_is_told_in_every_respect_or_fails() {
        let identity = Identity { uid: 61_234, gid: 61_235, groups: vec![7, 3] };
        if !geteuid().is_root() {
            assert!(take_identity(Some(&identity)).is_err(), "an ordinary user becomes nobody else");
            return;
        }
        let status = status_after(Some(identity));
        assert_eq!(status["Uid"], "61234\t61234\t61234\t61234");
        assert_eq!(status["Gid"], "61235\t61235\t61235\t61235");
        assert_eq!(status["Groups"], "3 7");
        assert_eq!(status["CapBnd"], "0000000000000000");
        let alone = status_after(Some(Identity { uid: 61_234, gid: 61_235, groups: Vec::new() }));
        assert_eq!(alone["Groups"], "");
    }
}

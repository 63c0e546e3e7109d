//! The gateway's own confinement: no file, no port, no signal to others, and only the system calls of a list.

use landlock::{ABI, Access as _, AccessFs, AccessNet, LandlockStatus, Ruleset, RulesetAttr as _, RulesetError, Scope};

use crate::{Degradation, Protection, syscalls};

/// What is asked of the kernel: all that this library knows, as nothing of it is needed.
const KNOWN: ABI = ABI::V10;

/// Confines this process for good. To be called by a process that has one thread, before it reads anything of strangers: the threads
/// that it starts then are confined as well. Whatever it works on has to be open or handed to it over a connection.
///
/// What this kernel lacks is left out, and said.
pub fn confine_gateway() -> Vec<Degradation> {
    let mut missing = enter_domain();
    if let Err(error) = syscalls::gateway::restrict(std::process::id()) {
        missing.push(Degradation {
            protection: Protection::SystemCalls,
            reason: format!("the kernel does not take a filter of system calls: {error}"),
            help: "use a kernel with seccomp filters (CONFIG_SECCOMP_FILTER)".to_owned(),
        });
    }
    missing
}

/// A Landlock domain without a single right. (It leaves open what there is in it already: connections, descriptors.)
fn enter_domain() -> Vec<Degradation> {
    match nothing_allowed() {
        Ok(LandlockStatus::Available { effective_abi, .. }) => [
            (effective_abi < ABI::V4).then(|| lacks(Protection::Ports, 4, "6.7")),
            (effective_abi < ABI::V6).then(|| lacks(Protection::Scopes, 6, "6.12")),
        ]
        .into_iter()
        .flatten()
        .collect(),
        Ok(LandlockStatus::NotEnabled) => without_landlock("Landlock is not enabled in this kernel"),
        Ok(LandlockStatus::NotImplemented) => without_landlock("this kernel has no Landlock"),
        Err(error) => without_landlock(&format!("Landlock refused: {error}")),
    }
}

fn nothing_allowed() -> Result<LandlockStatus, RulesetError> {
    let rules = Ruleset::default()
        .handle_access(AccessFs::from_all(KNOWN))?
        .handle_access(AccessNet::from_all(KNOWN))?
        .scope(Scope::from_all(KNOWN))?
        .create()?;
    let status = rules.restrict_self()?;
    Ok(status.landlock)
}

fn lacks(protection: Protection, abi: u8, linux: &str) -> Degradation {
    Degradation {
        protection,
        reason: format!("this kernel's Landlock is older than version {abi}"),
        help: format!("use Linux {linux} or newer"),
    }
}

fn without_landlock(reason: &str) -> Vec<Degradation> {
    let of = |protection| Degradation {
        protection,
        reason: reason.to_owned(),
        help: "use Linux 6.12 or newer and have Landlock among its security modules (`lsm=landlock,…`)".to_owned(),
    };
    [Protection::Files, Protection::Ports, Protection::Scopes].map(of).into()
}

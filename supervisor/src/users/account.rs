//! Accounts of this machine, by the system's own look-up (nsswitch.conf(5)). It may ask the network: nothing here is for the
//! main thread.

use std::{ffi::CString, path::PathBuf};

use mcproxy_confine::Identity;
use nix::{
    errno::Errno,
    unistd::{Gid, Group, Uid, User, getgrouplist},
};

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    /// Its login name.
    pub(super) name: String,
    /// User and groups.
    pub(super) identity: Identity,
    /// Its home.
    pub(super) home: PathBuf,
}

/// Why a server cannot run as an account.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum AccountError {
    /// There is none.
    #[error("there is no account {0:?} (`runAs`): create it, or name another one")]
    Unknown(String),
    /// It is root under another name.
    #[error("the account {0:?} (`runAs`) is root; who wants that has to write `\"runAs\": \"root\"`")]
    Root(String),
    /// The look-up failed.
    #[error("the account {name:?} (`runAs`) cannot be looked up: {why}")]
    LookUp { name: String, why: String },
}

impl Account {
    /// The account of this name. Root only under its own name (docs/decisions/0135).
    pub(super) fn named(name: &str) -> Result<Self, AccountError> {
        let failed = |error: nix::Error| AccountError::LookUp { name: name.to_owned(), why: error.to_string() };
        let user =
            found(User::from_name(name)).map_err(failed)?.ok_or_else(|| AccountError::Unknown(name.to_owned()))?;
        if user.uid.is_root() && name != "root" {
            return Err(AccountError::Root(name.to_owned()));
        }
        let c_name = CString::new(name).map_err(|_| AccountError::Unknown(name.to_owned()))?;
        let groups = getgrouplist(&c_name, user.gid).map_err(failed)?;
        let groups = groups.into_iter().map(Gid::as_raw).collect();
        let identity = Identity { uid: user.uid.as_raw(), gid: user.gid.as_raw(), groups };
        Ok(Self { name: user.name, identity, home: user.dir })
    }
}

/// The login name of a user.
pub(super) fn name_of(uid: u32) -> Option<String> {
    found(User::from_uid(Uid::from_raw(uid))).ok().flatten().map(|user| user.name)
}

/// Whether this is the id of an account or of a group. One that cannot be looked up counts as one: it is left alone.
pub(super) fn is_known(id: u32) -> bool {
    let user = found(User::from_uid(Uid::from_raw(id))).map(|user| user.is_some());
    let group = found(Group::from_gid(Gid::from_raw(id))).map(|group| group.is_some());
    user.unwrap_or(true) || group.unwrap_or(true)
}

/// A container without `/etc/passwd` has no accounts: these errors say no more than that there is none (getpwnam(3)).
fn found<T>(answer: Result<Option<T>, Errno>) -> Result<Option<T>, Errno> {
    match answer {
        Err(Errno::ENOENT | Errno::ESRCH | Errno::EBADF | Errno::EPERM) => Ok(None),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_found_with_their_groups_and_home_and_unknown_ones_are_not() {
        let root = Account::named("root").expect("everywhere");
        assert_eq!((root.identity.uid, root.identity.gid), (0, 0));
        assert!(root.home.is_absolute() && root.identity.groups.contains(&0));
        assert_eq!(Account::named("no-such-account"), Err(AccountError::Unknown("no-such-account".to_owned())));
        assert_eq!(Account::named("a\0b"), Err(AccountError::Unknown("a\0b".to_owned())));
        assert!(is_known(0) && name_of(0).as_deref() == Some("root"));
        assert!(!is_known(3_999_999_999) && name_of(3_999_999_999).is_none());
    }
}

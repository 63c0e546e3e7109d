//! The users that belong to nobody else: which server has which, and what is left of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use mcproxy_config::{UidRange, Uids};
use mcproxy_confine::Identity;
use mcproxy_ipc::{ServerName, disk::on_disk};

use super::{
    UsersParts, account,
    homes::{Homes, closed_to_others, is_executable_by_all},
    leftovers::{ProcessUsers, is_other_supervisor, kill_all_of},
    missing::Missing,
    namespace,
    uid_table::UidTable,
    uids_file::UidsFile,
};
use crate::children::Children;

/// The users that belong to nobody else.
#[derive(Debug)]
pub(super) struct OwnUsers {
    range: UidRange,
    file: UidsFile,
    given: Mutex<Given>,
}

#[derive(Debug)]
struct Given {
    table: UidTable,
    /// Since the supervisor was started.
    now: BTreeMap<String, u32>,
}

impl OwnUsers {
    /// Finds out which they are, and whether there are any.
    ///
    /// # Errors
    /// Why nobody has one, and what helps.
    pub(super) fn open(parts: &UsersParts<'_>, homes: &Homes, us: u32) -> Result<Self, Missing> {
        let range = match parts.uids {
            Uids::Range(range) => range,
            Uids::Reserved if us != 0 => {
                namespace::set_aside_for(account::name_of(us).as_deref(), us).unwrap_or(UidRange::DEFAULT)
            }
            Uids::Reserved | Uids::Off => UidRange::DEFAULT,
        };
        let UidRange { first, last } = range;
        if !namespace::is_mapped(range) {
            return Err(Missing::new(
                format!("there are no users {first}-{last} in this user namespace (a container's, most likely)"),
                "name a range that is mapped, `isolation: { \"uids\": \"first-last\" }` (see /proc/self/uid_map), or map one",
            ));
        }
        let gateway = UidTable::gateway(range);
        if account::is_known(gateway) {
            return Err(Missing::new(
                format!("{gateway}, the user of the gateway, is an account or a group of this machine"),
                "name another range: `isolation: { \"uids\": \"first-last\" }`",
            ));
        }
        if let Some((dir, mode)) = closed_to_others(homes.dir()) {
            return Err(Missing::new(
                format!(
                    "{} is closed to other users (mode {mode:o}), so none of them could reach its home in {}",
                    dir.display(),
                    homes.dir().display()
                ),
                "choose a state directory that lies where all users may pass (`--state-dir`), or let them pass (`chmod o+x`)",
            ));
        }
        // Each is started by the supervisor, so only its own mode counts, and not the directories above it.
        if let Some(program) = parts.programs.iter().find(|program| !is_executable_by_all(program)) {
            return Err(Missing::new(format!("other users may not execute {}", program.display()), "see `chmod o+rx`"));
        }
        let found = ProcessUsers::read(|uid| contains(range, uid));
        let other = |pid| is_other_supervisor(pid, |uid| contains(range, uid));
        if let Some(pid) = found.users().into_iter().find_map(|uid| found.keeper(uid, other)) {
            return Err(Missing::new(
                format!("the users {first}-{last} are those of another MCProxy (process {pid})"),
                "give each its own: `isolation: { \"uids\": \"first-last\" }`",
            ));
        }
        let file = UidsFile::of(homes.dir().parent().unwrap_or(Path::new("/")));
        let table = file.read().map_err(|error| {
            Missing::new(
                format!("nobody knows which user each server had: {} cannot be read: {error}", file.path().display()),
                "restore it, or remove it: then the owners of the homes count, and only ids of servers without a home are given anew",
            )
        })?;
        Ok(Self { range, file, given: Mutex::new(Given { table, now: BTreeMap::new() }) })
    }

    /// The gateway's.
    pub(super) fn gateway(&self) -> u32 {
        UidTable::gateway(self.range)
    }

    /// Every one that was given to a server or the gateway, by this supervisor or one before.
    pub(super) fn all(&self) -> BTreeSet<u32> {
        let mut all = self.lock().table.uids();
        all.insert(self.gateway());
        all
    }

    /// That of a server which was started since the supervisor was.
    pub(super) fn of_started(&self, name: &ServerName) -> Option<u32> {
        self.lock().now.get(name.as_str()).copied()
    }

    /// That of a server, which keeps it.
    ///
    /// # Errors
    /// Why it gets none, and what to do.
    pub(super) fn assign(&self, name: &ServerName, homes: &Homes) -> Result<u32, String> {
        let name = name.as_str();
        let mut given = self.lock();
        let owners = homes.owners().map_err(|error| format!("the homes of servers cannot be read: {error}"))?;
        let mut table = given.table.clone();
        let is_new = !owners.contains_key(name);
        let with_processes =
            if is_new { ProcessUsers::read(|uid| contains(self.range, uid)).users() } else { BTreeSet::new() };
        let is_taken = |uid| {
            given.now.iter().any(|(other, id)| other != name && *id == uid)
                || is_new && (with_processes.contains(&uid) || account::is_known(uid))
        };
        let uid = table.assign(name, self.range, &owners, is_taken).map_err(|error| error.to_string())?;
        if table != given.table {
            self.file
                .write(&table)
                .map_err(|error| format!("its user cannot be noted in {}: {error}", self.file.path().display()))?;
            given.table = table;
        }
        given.now.insert(name.to_owned(), uid);
        Ok(uid)
    }

    /// Kills what is left of a user that nobody looks after any more. Returns how many processes that were.
    ///
    /// # Errors
    /// Something is left that cannot be killed, or that may be somebody else's.
    pub(super) async fn sweep(&self, uid: u32, worker: &Path, children: &Children) -> io::Result<usize> {
        let found = self.processes().await;
        let count = found.count(uid);
        if count == 0 {
            return Ok(0);
        }
        if on_disk(move || account::is_known(uid)).await.unwrap_or(true) {
            return Err(io::Error::other(format!("{uid} is an account of this machine now")));
        }
        let range = self.range;
        let looks_after = |pid| children.contains(pid) || is_other_supervisor(pid, |uid| contains(range, uid));
        if let Some(keeper) = found.keeper(uid, looks_after) {
            return Err(io::Error::other(format!("process {keeper} looks after what runs as {uid}")));
        }
        kill_all_of(&only(uid), worker, children).await?;
        Ok(count)
    }

    /// The processes of all of them.
    pub(super) async fn processes(&self) -> ProcessUsers {
        let range = self.range;
        on_disk(move || ProcessUsers::read(|uid| contains(range, uid))).await.unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Given> {
        // A panic ends the process, so the lock is never poisoned.
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn contains(range: UidRange, uid: u32) -> bool {
    range.first <= uid && uid <= range.last
}

/// A user of the reserved range: a group of its own, and no other.
pub(super) fn only(uid: u32) -> Identity {
    Identity { uid, gid: uid, groups: Vec::new() }
}

//! The users that belong to nobody else: which server has which, and what is left of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
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
    shared_looks::SharedLooks,
    uid_table::{UidError, UidTable},
    uids_file::UidsFile,
};
use crate::children::Children;

/// How long a look at the processes of this machine says who is to get no user: it only keeps us away from those of others.
const STILL_TRUE: Duration = Duration::from_secs(2);

/// The users that belong to nobody else.
#[derive(Debug)]
pub(super) struct OwnUsers {
    range: UidRange,
    file: UidsFile,
    given: Mutex<Given>,
    /// Servers that will soon ask for theirs.
    expected: Mutex<Vec<ServerName>>,
    /// Those that had processes when this was opened, and when that was.
    users_at_start: BTreeSet<u32>,
    at_start: Instant,
    looks: SharedLooks,
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
        Ok(Self {
            range,
            file,
            given: Mutex::new(Given { table, now: BTreeMap::new() }),
            expected: Mutex::default(),
            users_at_start: found.users(),
            at_start: Instant::now(),
            looks: SharedLooks::default(),
        })
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

    /// These are about to be started. The first of them that asks for its user finds those of all: what that takes (a look at all
    /// processes, one at all homes, a file to write) is the same for one server and for a hundred.
    pub(super) fn expect(&self, names: impl IntoIterator<Item = ServerName>) {
        *locked(&self.expected) = names.into_iter().collect();
    }

    /// That of a server, which keeps it.
    ///
    /// # Errors
    /// Why it gets none, and what to do.
    pub(super) fn assign(&self, name: &ServerName, homes: &Homes) -> Result<u32, String> {
        let mut given = self.lock();
        // Who owns a home has it. What an operator did with other homes meanwhile is those servers' concern.
        if let Some(uid) = given.now.get(name.as_str()).copied()
            && homes.owner(name.as_str()).is_ok_and(|owner| owner == Some(uid))
        {
            return Ok(uid);
        }
        let mut owners = homes.owners().map_err(|error| format!("the homes of servers cannot be read: {error}"))?;
        let expected = std::mem::take(&mut *locked(&self.expected)).into_iter().map(String::from);
        let mut names: Vec<String> = expected.filter(|name| !given.now.contains_key(name)).collect();
        if !names.iter().any(|expected| expected == name.as_str()) {
            names.push(name.to_string());
        }
        let has_home = |name: &String| owners.contains_key(name);
        let with_processes = if names.iter().all(has_home) { BTreeSet::new() } else { self.with_processes() };
        let is_foreign = |uid| with_processes.contains(&uid) || account::is_known(uid);
        let mut table = given.table.clone();
        let mut found = table.assign_all(&names, self.range, &mut owners, &given.now, is_foreign);
        let uid = found.remove(name.as_str()).unwrap_or(Err(UidError::exhausted(self.range)));
        if table != given.table {
            self.file
                .write(&table)
                .map_err(|error| format!("its user cannot be noted in {}: {error}", self.file.path().display()))?;
            given.table = table;
        }
        // Why one of the others gets none is said when it asks.
        for (other, uid) in found.into_iter().filter_map(|(other, uid)| Some((other, uid.ok()?))) {
            if homes.home(&other, uid).is_ok() {
                given.now.insert(other, uid);
            }
        }
        let uid = uid.map_err(|error| error.to_string())?;
        given.now.insert(name.to_string(), uid);
        Ok(uid)
    }

    /// Users of the range that have processes. None of them is given to a new name.
    fn with_processes(&self) -> BTreeSet<u32> {
        if self.at_start.elapsed() < STILL_TRUE {
            self.users_at_start.clone()
        } else {
            ProcessUsers::read(|uid| contains(self.range, uid)).users()
        }
    }

    /// Kills what is left of a user that nobody looks after any more. Returns how many processes that were.
    ///
    /// # Errors
    /// Something is left that cannot be killed, or that may be somebody else's.
    pub(super) async fn sweep(&self, uid: u32, worker: &Path, children: &Children) -> io::Result<usize> {
        let range = self.range;
        let found = self.looks.look(move || ProcessUsers::read(|uid| contains(range, uid))).await;
        let count = found.count(uid);
        if count == 0 {
            return Ok(0);
        }
        if on_disk(move || account::is_known(uid)).await.unwrap_or(true) {
            return Err(io::Error::other(format!("{uid} is an account of this machine now")));
        }
        let looks_after = |pid| children.contains(pid) || is_other_supervisor(pid, |uid| contains(range, uid));
        if let Some(keeper) = found.keeper(uid, looks_after) {
            return Err(io::Error::other(format!("process {keeper} looks after what runs as {uid}")));
        }
        kill_all_of(&only(uid), worker, children).await?;
        Ok(count)
    }

    /// Those with processes that a supervisor before this one left. A process gets such a user from its parent, or from a supervisor: one
    /// that had none when this was opened has none now, as long as nothing was started.
    pub(super) fn left(&self) -> BTreeSet<u32> {
        self.users_at_start.intersection(&self.all()).copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Given> {
        locked(&self.given)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic ends the process, so no lock is ever poisoned.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn contains(range: UidRange, uid: u32) -> bool {
    range.first <= uid && uid <= range.last
}

/// A user of the reserved range: a group of its own, and no other.
pub(super) fn only(uid: u32) -> Identity {
    Identity { uid, gid: uid, groups: Vec::new() }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::MetadataExt as _};

    use super::*;

    fn name(text: &str) -> ServerName {
        ServerName::try_from(text).expect("valid")
    }

    #[test]
    fn the_first_server_that_asks_finds_the_users_of_all_that_are_expected_and_the_table_is_written_once() {
        if !rustix::process::geteuid().is_root() {
            return; // only root gives homes away
        }
        let state = tempfile::tempdir().expect("a directory");
        let homes = Homes::open(state.path(), true).expect("made");
        let range = UidRange { first: 3_000_000_000, last: 3_000_000_009 };
        let own = OwnUsers {
            range,
            file: UidsFile::of(state.path()),
            given: Mutex::new(Given { table: UidTable::default(), now: BTreeMap::new() }),
            expected: Mutex::default(),
            users_at_start: BTreeSet::from([range.first + 2]),
            at_start: Instant::now(),
            looks: SharedLooks::default(),
        };
        own.expect(["a", "b", "c"].map(name));
        assert_eq!(own.assign(&name("b"), &homes), Ok(range.first + 3), "after a, whose neighbour has processes");
        let table = fs::metadata(own.file.path()).expect("written").ino();
        assert_eq!(homes.owner("c").expect("a home"), Some(range.first + 4));
        assert_eq!(own.assign(&name("a"), &homes), Ok(range.first + 1));
        assert_eq!(own.assign(&name("c"), &homes), Ok(range.first + 4));
        assert_eq!(fs::metadata(own.file.path()).expect("still there").ino(), table, "it was not replaced");
        // Nobody expected this one.
        assert_eq!(own.assign(&name("d"), &homes), Ok(range.first + 5));
        assert_eq!(own.all().len(), 5);
        // A home that an operator gave away is not passed over.
        std::os::unix::fs::chown(homes.dir().join("a"), Some(1000), None).expect("given");
        assert!(own.assign(&name("a"), &homes).expect_err("not one of ours").contains("belongs to user 1000"));
    }
}

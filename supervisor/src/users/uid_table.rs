//! Which server has which user id. Pure: what is on the disk comes in as an argument.
//!
//! A user id stands for files. So what counts is who owns a server's home, and the table says which ids were given before: an
//! id is not given to another name as long as the home of the old one exists, and not before all others were given.

use std::collections::{BTreeMap, BTreeSet};

use mcproxy_config::UidRange;
use serde::{Deserialize, Serialize};

/// The homes that exist: the name of each server, and who owns it.
pub(super) type HomeOwners = BTreeMap<String, u32>;

/// Names and their ids, as they are kept in a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UidTable {
    /// The lowest id that was never given.
    next: u32,
    servers: BTreeMap<String, u32>,
}

/// Why a server gets no user id.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum UidError {
    /// Each has a home, or an account.
    #[error(
        "all user ids of {first}-{last} are in use: widen `isolation.uids`, or remove the homes of servers that are gone"
    )]
    Exhausted { first: u32, last: u32 },
    /// The home has an owner that cannot be this server's user.
    #[error(
        "its home belongs to user {owner}, which {why}: give the home to a free user id of {first}-{last} (`chown -R ID:ID`), or remove it"
    )]
    Home { owner: u32, why: &'static str, first: u32, last: u32 },
}

impl UidError {
    /// There is none left.
    pub(super) fn exhausted(UidRange { first, last }: UidRange) -> Self {
        Self::Exhausted { first, last }
    }
}

impl UidTable {
    /// The id of the gateway.
    pub(super) fn gateway(range: UidRange) -> u32 {
        range.first
    }

    /// The id of this server, in the table from now on. `is_taken`: ids that have an account, or that another server has got
    /// since the supervisor was started.
    pub(super) fn assign(
        &mut self,
        name: &str,
        range: UidRange,
        homes: &HomeOwners,
        is_taken: impl Fn(u32) -> bool,
    ) -> Result<u32, UidError> {
        let owners: BTreeSet<u32> = homes.iter().filter(|(home, _)| *home != name).map(|(_, owner)| *owner).collect();
        let is_ours = |uid: u32| range.first < uid && uid <= range.last;
        let is_free = |uid: u32| is_ours(uid) && !owners.contains(&uid) && !is_taken(uid);
        let uid = match homes.get(name) {
            Some(&owner) if is_free(owner) => owner,
            Some(&owner) => {
                let why = if is_ours(owner) { "is another's" } else { "is not one of `isolation.uids`" };
                return Err(UidError::Home { owner, why, first: range.first, last: range.last });
            }
            None => self
                .given(name, is_free)
                .or_else(|| self.new_uid(range, is_free))
                .or_else(|| {
                    self.forget_homeless(homes);
                    (range.first + 1..=range.last).find(|uid| is_free(*uid) && !self.is_given(*uid))
                })
                .ok_or(UidError::exhausted(range))?,
        };
        self.servers.retain(|other, given| other == name || *given != uid);
        self.servers.insert(name.to_owned(), uid);
        self.next = self.next.max(uid + 1);
        Ok(uid)
    }

    /// The ids of these servers, one after the other. `now`: those of servers that were started since the supervisor was; `is_foreign`:
    /// ids that have an account, or processes, and are given to no new name. Whoever gets one owns a home from now on.
    pub(super) fn assign_all(
        &mut self,
        names: &[String],
        range: UidRange,
        homes: &mut HomeOwners,
        now: &BTreeMap<String, u32>,
        is_foreign: impl Fn(u32) -> bool,
    ) -> BTreeMap<String, Result<u32, UidError>> {
        let mut found = BTreeMap::new();
        for name in names {
            let is_new = !homes.contains_key(name);
            let is_taken =
                |uid| now.iter().any(|(other, given)| other != name && *given == uid) || is_new && is_foreign(uid);
            let uid = self.assign(name, range, homes, is_taken);
            if let Ok(uid) = uid {
                homes.insert(name.clone(), uid);
            }
            found.insert(name.clone(), uid);
        }
        found
    }

    /// Every id that was given.
    pub(super) fn uids(&self) -> BTreeSet<u32> {
        self.servers.values().copied().collect()
    }

    fn given(&self, name: &str, is_free: impl Fn(u32) -> bool) -> Option<u32> {
        self.servers.get(name).copied().filter(|uid| is_free(*uid))
    }

    fn new_uid(&self, range: UidRange, is_free: impl Fn(u32) -> bool) -> Option<u32> {
        (self.next.max(range.first + 1)..=range.last).find(|uid| is_free(*uid) && !self.is_given(*uid))
    }

    fn is_given(&self, uid: u32) -> bool {
        self.servers.values().any(|given| *given == uid)
    }

    /// Servers without a home have no files of which we know, and are the first whose ids are given again.
    fn forget_homeless(&mut self, homes: &HomeOwners) {
        self.servers.retain(|name, _| homes.contains_key(name));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RANGE: UidRange = UidRange { first: 70_000, last: 70_006 };

    fn name(number: usize) -> String {
        format!("s{number}")
    }

    /// The disk, the table, and who runs, as the supervisor keeps them.
    #[derive(Default)]
    struct World {
        table: UidTable,
        homes: HomeOwners,
        running: BTreeMap<String, u32>,
    }

    impl World {
        fn start_all(&mut self, names: &[String], accounts: &[u32]) -> BTreeMap<String, Result<u32, UidError>> {
            let is_foreign = |uid| accounts.contains(&uid);
            let found = self.table.assign_all(names, RANGE, &mut self.homes, &self.running, is_foreign);
            for (name, uid) in &found {
                if let Ok(uid) = uid {
                    self.running.insert(name.clone(), *uid);
                }
            }
            found
        }

        fn start(&mut self, name: &str, accounts: &[u32]) -> Result<u32, UidError> {
            self.start_all(&[name.to_owned()], accounts).remove(name).expect("asked for")
        }

        fn restart_of_everything(&mut self, keeps_table: bool) {
            self.running.clear();
            let text = serde_json::to_string(&self.table).expect("it can be written");
            self.table = if keeps_table { serde_json::from_str(&text).expect("and read") } else { UidTable::default() };
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        /// These, in one pass.
        Start(Vec<usize>),
        RemoveHome(usize),
        Restart {
            keeps_table: bool,
        },
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => prop::collection::vec(0usize..9, 1..4).prop_map(Step::Start),
            3 => (0usize..9).prop_map(Step::RemoveHome),
            1 => any::<bool>().prop_map(|keeps_table| Step::Restart { keeps_table }),
        ]
    }

    proptest! {
        #[test]
        fn a_home_keeps_its_user_and_no_user_has_two_homes(steps in prop::collection::vec(step(), 1..200)) {
            let accounts = [70_003];
            let mut world = World::default();
            for step in steps {
                match step {
                    Step::Start(numbers) => {
                        let names: Vec<String> = numbers.into_iter().map(name).collect();
                        let before = world.homes.clone();
                        for (name, uid) in world.start_all(&names, &accounts) {
                            let before = before.get(&name).copied();
                            match uid {
                                Ok(uid) => {
                                    prop_assert!(before.is_none_or(|before| before == uid));
                                    prop_assert!(RANGE.first < uid && uid <= RANGE.last && !accounts.contains(&uid));
                                }
                                Err(error) => {
                                    prop_assert_eq!(error, UidError::exhausted(RANGE));
                                    prop_assert!(before.is_none());
                                    let used: BTreeSet<u32> =
                                        world.homes.values().chain(world.running.values()).copied().collect();
                                    prop_assert_eq!(used.len(), 5, "two of seven are not for servers");
                                }
                            }
                        }
                    }
                    // Of a server that does not run: the supervisor was not asked for it since it was started.
                    Step::RemoveHome(number) => {
                        if !world.running.contains_key(&name(number)) {
                            world.homes.remove(&name(number));
                        }
                    }
                    Step::Restart { keeps_table } => world.restart_of_everything(keeps_table),
                }
                let owners: BTreeSet<u32> = world.homes.values().copied().collect();
                prop_assert_eq!(owners.len(), world.homes.len());
            }
        }
    }

    #[test]
    fn an_id_is_given_again_only_when_all_others_were() {
        let mut world = World::default();
        assert_eq!(world.start("a", &[]), Ok(70_001));
        world.restart_of_everything(true);
        world.homes.clear();
        assert_eq!(world.start("b", &[]), Ok(70_002), "70001 was a's");
        assert_eq!(world.start("a", &[]), Ok(70_001), "and still is");
    }

    #[test]
    fn a_home_that_belongs_to_somebody_else_is_an_error_that_says_what_to_do() {
        let mut world = World::default();
        world.homes.insert("a".to_owned(), 1000);
        let error = world.start("a", &[]).expect_err("not ours").to_string();
        assert!(error.contains("belongs to user 1000") && error.contains("70000-70006"), "{error}");
        world.homes.insert("b".to_owned(), 70_004);
        world.homes.insert("a".to_owned(), 70_004);
        let error = world.start("a", &[]).expect_err("b's").to_string();
        assert!(error.contains("another's"), "{error}");
        world.homes.insert("a".to_owned(), 70_006);
        assert_eq!(world.start("a", &[]), Ok(70_006), "the operator gave it another user");
    }
}

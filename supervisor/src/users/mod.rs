//! The users that processes run as (docs/decisions/0134): the gateway and each server with its worker have one of their own, where
//! the supervisor may give users away; `runAs` names an account instead. What is here says who; each process becomes its user
//! itself.

mod account;
mod homes;
mod leftovers;
mod missing;
mod namespace;
mod own_users;
mod server_user;
mod shared_looks;
mod uid_table;
mod uids_file;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use mcproxy_config::{ServerConfig, Start, Uids};
use mcproxy_confine::{Degradation, Identity, Protection};
use mcproxy_ipc::ServerName;

pub(crate) use self::server_user::ServerUser;
use self::{
    account::Account,
    homes::{Homes, may_read},
    missing::Missing,
    own_users::{OwnUsers, only},
};
use crate::children::Children;

/// Who runs as which user. Shared by the tasks of all servers; never locked across an await.
#[derive(Debug, Clone)]
pub(crate) struct Users {
    us: u32,
    our_group: u32,
    /// Whether others can be started as other users.
    may_change: bool,
    /// Whether a server that lacks something is not to be started.
    strict: bool,
    homes: Option<Homes>,
    /// What no server may see.
    hidden: Arc<[PathBuf]>,
    own: Option<Arc<OwnUsers>>,
}

/// What is known when the supervisor begins.
pub(crate) struct UsersParts<'a> {
    /// What the configuration says.
    pub(crate) uids: Uids,
    /// Whether a server that lacks something is not to be started.
    pub(crate) strict: bool,
    /// Whether this process may give users away ([`mcproxy_confine::may_change_users`]).
    pub(crate) may_change: bool,
    /// The state directory; `None` also where nothing is to be enforced.
    pub(crate) state: Option<&'a Path>,
    /// The configuration and our directories.
    pub(crate) hidden: Vec<PathBuf>,
    /// Our other binaries, which other users must be able to start.
    pub(crate) programs: &'a [PathBuf],
}

impl Users {
    /// Finds out what there is, and makes the directories of the servers. Without users of their own, the second says why.
    pub(crate) fn open(parts: &UsersParts<'_>) -> (Self, Option<Degradation>) {
        let us = rustix::process::geteuid().as_raw();
        let wanted = parts.uids != Uids::Off && parts.may_change;
        let homes = parts.state.map(|state| Homes::open(state, wanted)).transpose();
        let own = match &homes {
            _ if parts.uids == Uids::Off => Ok(None),
            _ if !parts.may_change => Err(Missing::privileges(us)),
            Err(error) => Err(Missing::new(
                format!("the homes of servers cannot be made: {error}"),
                "see to it that the state directory can be written (`--state-dir`)",
            )),
            Ok(None) => Err(Missing::new(
                "there is no state directory for the homes of servers".to_owned(),
                "choose one with `--state-dir`",
            )),
            Ok(Some(homes)) => OwnUsers::open(parts, homes, us).map(Some),
        };
        let (own, missing) = match own {
            Ok(own) => (own, None),
            Err(missing) => (None, Some(missing.into_degradation())),
        };
        let homes = homes.ok().flatten();
        let our_group = rustix::process::getegid().as_raw();
        let hidden = parts.hidden.iter().flat_map(|path| [Some(path.clone()), path.canonicalize().ok()]);
        let mut hidden: Vec<PathBuf> = hidden.flatten().collect();
        hidden.sort_unstable();
        hidden.dedup();
        let hidden = hidden.into();
        let (may_change, strict, own) = (parts.may_change, parts.strict, own.map(Arc::new));
        (Self { us, our_group, may_change, strict, homes, hidden, own }, missing)
    }

    /// The gateway's user; `None`: the supervisor's.
    pub(crate) fn gateway(&self) -> Option<Identity> {
        self.own.as_ref().map(|own| only(own.gateway()))
    }

    /// These servers are about to be started: those that get a user of their own get it in one pass.
    pub(crate) fn expect<'a>(&self, servers: impl IntoIterator<Item = &'a ServerConfig>) {
        let Some(own) = &self.own else { return };
        // A lazy one asks when it is woken; until then its user may become somebody else's.
        let soon = |server: &&ServerConfig| {
            server.enabled && server.reach.is_ok() && server.start == Start::Eager && server.run_as.is_none()
        };
        own.expect(servers.into_iter().filter(soon).map(|server| server.name.clone()));
    }

    /// What a server runs as, with its directories made. It waits for disks and directories of accounts.
    ///
    /// # Errors
    /// Why it cannot be started, and what to do.
    pub(crate) fn of_server(&self, name: &ServerName, run_as: Option<&str>) -> Result<ServerUser, String> {
        match run_as {
            Some(account) => self.account(name, account),
            None => self.own(name),
        }
    }

    fn own(&self, name: &ServerName) -> Result<ServerUser, String> {
        let Some((own, homes)) = self.own.as_deref().zip(self.homes.as_ref()) else {
            let tmp = self.tmp(name, (self.us, self.our_group))?;
            return Ok(ServerUser { tmp, hidden: self.hidden_from(None), ..ServerUser::ours() });
        };
        let uid = own.assign(name, homes)?;
        let home = homes.home(name.as_str(), uid).map_err(|error| format!("its home cannot be made: {error}"))?;
        let identity = only(uid);
        Ok(ServerUser {
            name: Some(format!("mcproxy-{name}")),
            home: Some(home),
            tmp: self.tmp(name, (uid, uid))?,
            hidden: self.hidden_from(Some(&identity)),
            identity: Some(identity),
            degraded: None,
        })
    }

    fn account(&self, name: &ServerName, account: &str) -> Result<ServerUser, String> {
        let Account { name: login, identity, home } = Account::named(account).map_err(|error| error.to_string())?;
        let (uid, gid) = (identity.uid, identity.gid);
        if uid != self.us && !self.may_change {
            return Err(format!(
                "MCProxy may not run it as {account} (`runAs`): {}",
                Missing::privileges(self.us).help
            ));
        }
        let degraded = (uid == 0).then(|| Degradation {
            protection: Protection::Users,
            reason: format!("{name} runs as root (`runAs`), and so as MCProxy itself"),
            help: "leave `runAs` out, and the server gets a user of its own".to_owned(),
        });
        if let Some(Degradation { reason, help, .. }) = degraded.as_ref().filter(|_| self.strict) {
            return Err(format!("{reason}, which strict hardening forbids: {help}"));
        }
        Ok(ServerUser {
            name: Some(login),
            home: Some(home),
            tmp: self.tmp(name, (uid, gid))?,
            hidden: self.hidden_from(Some(&identity)),
            identity: self.may_change.then_some(identity),
            degraded,
        })
    }

    /// What this user could see of it, as far as modes of files tell.
    fn hidden_from(&self, identity: Option<&Identity>) -> Vec<PathBuf> {
        let is_visible = |path: &&PathBuf| identity.is_none_or(|identity| may_read(identity, path));
        self.hidden.iter().filter(is_visible).cloned().collect()
    }

    fn tmp(&self, name: &ServerName, owner: (u32, u32)) -> Result<Option<PathBuf>, String> {
        let tmp = self.homes.as_ref().map(|homes| homes.tmp(name.as_str(), owner)).transpose();
        tmp.map_err(|error| format!("its directory for temporary files cannot be made: {error}"))
    }

    /// Kills what is left of a server that had a user of its own, once nobody looks after it any more. Returns how many processes
    /// that were. To be called on the main thread.
    ///
    /// # Errors
    /// Something is left that cannot be killed, or that may be somebody else's.
    pub(crate) async fn sweep(&self, name: &ServerName, worker: &Path, children: &Children) -> io::Result<usize> {
        let Some(own) = &self.own else { return Ok(0) };
        match own.of_started(name) {
            Some(uid) => own.sweep(uid, worker, children).await,
            None => Ok(0),
        }
    }

    /// The same for all that an earlier supervisor may have left.
    pub(crate) async fn sweep_all(&self, worker: &Path, children: &Children) -> io::Result<usize> {
        let Some(own) = &self.own else { return Ok(0) };
        let mut killed = 0;
        for uid in own.left() {
            killed += own.sweep(uid, worker, children).await?;
        }
        Ok(killed)
    }

    /// Servers that have a home and are not among `names`: their files are kept.
    pub(crate) fn homes_without_server<'a>(&self, names: impl IntoIterator<Item = &'a ServerName>) -> Vec<PathBuf> {
        let Some(homes) = &self.homes else { return Vec::new() };
        let mut kept = homes.owners().unwrap_or_default();
        for name in names {
            kept.remove(name.as_str());
        }
        kept.into_keys().map(|name| homes.dir().join(name)).collect()
    }
}

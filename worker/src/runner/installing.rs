//! How a run deals with package runners: it waits for its turn to install, gives an installation that goes on more time, and
//! starts once more from a cache without the entry that was broken.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use mcproxy_ipc::{EndReason, LaunchSpec, WorkerSpec, control::WorkerToSupervisor};
use slog::{Logger, info, warn};
use tokio::{sync::mpsc, time::sleep};

use super::{Order, Runner, report, stage::RunStage};
use crate::{
    environment,
    install::{self, CacheEntry, InstallLock, LockWait},
    stderr,
    transport::Transport,
};

/// Time between two reports that the wait goes on.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// Waits until no other start installs the same package, or until then. An error: the run is to end before it has begun.
pub(super) async fn wait_for_lock(
    spec: &WorkerSpec,
    until: Instant,
    orders: &mut mpsc::Receiver<Order>,
    reports: &mpsc::Sender<WorkerToSupervisor>,
    log: &Logger,
) -> Result<Option<InstallLock>, EndReason> {
    let Some(launch) = spec.reach.command() else { return Ok(None) };
    let variable = variables(spec, launch);
    let mut said: Option<Instant> = None;
    loop {
        let again = match InstallLock::look(launch, &variable, until, Instant::now()) {
            LockWait::Over(lock) => return Ok(lock),
            LockWait::Again(again) => again,
        };
        if said.is_none() {
            info!(log, "another start installs the same package; this one follows it");
        }
        if said.is_none_or(|said| said.elapsed() >= REPORT_INTERVAL) {
            said = Some(Instant::now());
            // Where the reports of a second are not read, one more is no matter.
            let _ = reports.try_send(WorkerToSupervisor::Installing);
        }
        tokio::select! {
            () = sleep(again) => {}
            order = orders.recv() => match order {
                Some(Order::Stop | Order::Drain(_) | Order::Kill) | None => return Err(EndReason::Stopped),
                // Of a server that runs, which this one does not.
                Some(Order::Exceeded(_) | Order::Installing | Order::Serve(_)) => {}
            },
        }
    }
}

/// The variables that name a cache, as the server finds them.
fn variables(spec: &WorkerSpec, launch: &LaunchSpec) -> impl Fn(&str) -> Option<PathBuf> + use<> {
    let environment = environment::of_server(launch, &spec.confinement, "", std::env::vars_os());
    move |name| install::as_path(environment::lookup(&environment, name))
}

impl<T: Transport> Runner<T> {
    /// Watches what is installed below `root`.
    pub(super) fn watch_install(&mut self, root: u32) {
        let watch = install::watch(root, self.lock.take(), self.ports_orders.0.clone());
        if let Some(before) = self.install.replace(tokio::spawn(watch)) {
            before.abort();
        }
    }

    /// An installation has come further: from now on the server has its whole start timeout again.
    pub(super) fn goes_on_installing(&mut self, now: Instant) {
        let later = (now + self.spec.start_timeout).min(self.install_by);
        if self.session.extend_start(later) {
            report(&self.reports, &self.log, WorkerToSupervisor::Installing);
        }
    }

    /// The entry of a package runner's cache that kept the server from starting, if it may be removed.
    pub(super) fn broken_entry(&self, reason: &EndReason) -> Option<CacheEntry> {
        let by_itself = matches!(reason, EndReason::Exited { code: Some(code), .. } if *code != 0);
        if !by_itself || !self.spec.may_clear_cache || !self.session.is_starting() {
            return None;
        }
        let launch = self.spec.reach.command()?;
        install::broken_entry(launch, &self.stderr.tail(stderr::TAIL), &variables(&self.spec, launch))
    }

    /// Removes the broken entry, and starts the server again: its runner installs what is missing.
    pub(super) async fn start_from_clear_cache(&mut self) {
        let RunStage::Broken { entry, reason } = std::mem::replace(&mut self.stage, RunStage::Running) else { return };
        self.spec.may_clear_cache = false;
        if let Some(watch) = self.install.take() {
            watch.abort();
            // With it ends its turn.
            let _ = watch.await;
        }
        self.transport.clean_up(&self.spec).await;
        let path = entry.path();
        // Thousands of files take a while, and the supervisor's pings are answered meanwhile.
        let cleared = tokio::task::spawn_blocking(move || entry.clear()).await;
        match cleared {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) | Err(_) => return self.stage = RunStage::Over(reason),
            Ok(Err(error)) => {
                warn!(self.log, "broken entry of a package cache cannot be removed; remove it by hand";
                    "path" => %path.display(), "error" => %error);
                return self.stage = RunStage::Over(reason);
            }
        }
        warn!(self.log, "an interrupted installation had left a broken entry in a package cache; it was removed, and the server is started again";
            "path" => %path.display());
        report(&self.reports, &self.log, WorkerToSupervisor::CacheCleared);
        let until = self.install_by.checked_sub(self.spec.start_timeout).unwrap_or(self.install_by);
        let lock = wait_for_lock(&self.spec, until, &mut self.ports_orders.1, &self.reports, &self.log).await;
        let started = lock.and_then(|lock| self.transport.restart(&self.spec).map(|()| lock));
        match started {
            Ok(lock) => {
                self.lock = lock;
                self.begin_stage();
                let now = Instant::now();
                self.forget_stderr_of_question(now);
                self.stderr.forget();
                // The turn came in time for that, unless the first process took nearly all of it.
                self.session.begin_afresh(now + self.spec.start_timeout, now);
                report(&self.reports, &self.log, WorkerToSupervisor::Installing);
                self.begun();
            }
            Err(reason) => self.stage = RunStage::Over(reason),
        }
    }

    /// The server runs again.
    pub(super) fn begin_stage(&mut self) {
        self.suspicion = None;
        (self.asking, self.hung_up) = (false, false);
        self.stage = RunStage::Running;
        self.given_up.set(false);
    }
}

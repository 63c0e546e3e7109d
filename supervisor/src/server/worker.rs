//! One generation's worker: its process and its control connection.

use std::{
    ffi::OsString,
    io,
    path::PathBuf,
    process::ExitStatus,
    time::{Duration, Instant},
};

use mcproxy_config::ServerConfig;
use mcproxy_confine::{Confinement, Degradation};
use mcproxy_ipc::{
    DataEnd, Generation, InstanceCount, Instances, ListFailure, RunningInstances, SealedOrder, ServerDescription,
    WorkerSpec,
    control::{SupervisorToWorker, WorkerToSupervisor},
};

use slog::{o, warn};
use tokio::task::JoinSet;

use super::catalogue_keeper::{FilledRoom, WorkerCatalogue};
use crate::{
    cgroups::Cgroup,
    child::{Child, ChildEvent, ChildPlan},
    context::{Context, sleep_until},
    link::{ChildLink, LinkEvent},
    phases::{WorkerConduct, WorkerTerms},
    users::ServerUser,
};

/// A worker that broke off is most likely dying, and how it died says more than that it broke off.
const DYING: Duration = Duration::from_millis(500);

/// A worker that was spawned and not yet waited for.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) generation: Generation,
    pub(super) spawned: Instant,
    /// The server's process, once the worker reported it.
    pub(super) server_pid: Option<u32>,
    /// The server's description of itself when it was ready.
    pub(super) description: Option<ServerDescription>,
    /// The last line on stderr of a server that is not ready yet: what it is doing, most likely.
    pub(super) last_line: Option<String>,
    /// The lists that the server does not give, and since when that is known.
    pub(super) list_failures: Option<(Instant, Vec<ListFailure>)>,
    /// Protections that this server lacks.
    pub(super) degraded: Vec<Degradation>,
    /// When it was last seen to install its server.
    pub(super) installing: Option<Instant>,
    /// The server's processes, where each session has its own.
    pub(super) instances: Option<RunningInstances>,
    user: ServerUser,
    conduct: WorkerConduct,
    catalogue: WorkerCatalogue,
    /// Room on its way to the worker.
    rooms: JoinSet<()>,
    /// And nobody else has it.
    has_own_user: bool,
    child: Child,
    /// Of its server and all that starts. After the worker, so that it is emptied when the worker is gone.
    cgroup: Option<Cgroup>,
    link: ChildLink<WorkerToSupervisor, SupervisorToWorker>,
    /// The connection was lost: until when it may die of that, and why.
    lost: Option<(Instant, String)>,
}

/// An event of a worker.
#[derive(Debug)]
pub(super) enum WorkerEvent {
    /// It is there and waits to be told what to run.
    Hello,
    Said(WorkerToSupervisor),
    /// It does not read or does not answer.
    Silent,
    /// It broke off, or what it said cannot be read.
    Lost(String),
    /// It said something that it may not say now. Nothing more is heard of it.
    Violation(String),
    Line(String),
    Exited(ExitStatus),
}

impl Worker {
    /// Spawns the worker; it is told what to run when it calls.
    pub(super) fn spawn(
        context: &Context,
        config: &ServerConfig,
        generation: Generation,
        user: ServerUser,
    ) -> io::Result<Self> {
        let server = &config.name;
        let program = match &config.reach {
            Ok(reach) => context.programs.worker_for(reach)?,
            // It will be told nothing that it could run.
            Err(_) => context.programs.worker(),
        };
        // For `ps`, and for the next supervisor if this one is killed: it ends what carries the path of its own socket.
        let args: Vec<OsString> = vec![
            "--supervised".into(),
            "--server".into(),
            server.as_str().into(),
            "--generation".into(),
            generation.to_string().into(),
            "--socket".into(),
            context.paths.supervisor().into(),
        ];
        let cgroup = new_cgroup(context, config, generation, user.identity.as_ref().map(|identity| identity.uid));
        let confinement = Confinement { hardening: context.hardening, identity: user.identity.clone() };
        let plan = ChildPlan {
            program,
            args,
            environment: user.environment(std::env::vars_os()),
            order: Some(SealedOrder::create(&confinement)?),
        };
        let (child, connection) = Child::spawn(plan, &context.children)?;
        let whose = o!("server" => server.to_string(), "generation" => generation.0, "pid" => child.pid());
        let log = context.log.new(whose);
        if let Some(Err(error)) = cgroup.as_ref().map(|cgroup| cgroup.take_in(child.pid())) {
            warn!(log, "the server will not get into its cgroup"; "error" => %error);
        }
        let link = ChildLink::awaited(connection, log);
        let spawned = Instant::now();
        let (server_pid, description, last_line, list_failures) = (None, None, None, None);
        let (installing, instances, lost) = (None, None, None);
        Ok(Self {
            generation,
            spawned,
            server_pid,
            description,
            last_line,
            list_failures,
            degraded: user.degraded.iter().cloned().collect(),
            installing,
            instances,
            has_own_user: user.identity.is_some() && config.run_as.is_none(),
            user,
            conduct: WorkerConduct::default(),
            catalogue: WorkerCatalogue::new(None),
            rooms: JoinSet::new(),
            child,
            cgroup,
            link,
            lost,
        })
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// The server's process; of several, the eldest.
    pub(super) fn server_pid(&self) -> Option<u32> {
        self.server_pid.or_else(|| self.instances.as_ref()?.pids.first().copied())
    }

    /// How many processes the server has, where each session has its own.
    pub(super) fn instance_count(&self) -> Option<InstanceCount> {
        let instances = self.instances.as_ref()?;
        Some(InstanceCount { running: instances.running, max: instances.max })
    }

    /// As whom it runs.
    pub(super) fn user(&self) -> &ServerUser {
        &self.user
    }

    /// Tells it what to run, and whether what that offers is kept; to be done after its hello.
    pub(super) fn run(&mut self, mut spec: WorkerSpec, catalogue_file: Option<PathBuf>) {
        spec.keeps_catalogue = catalogue_file.is_some();
        self.catalogue = WorkerCatalogue::new(catalogue_file);
        self.user.describe(&mut spec);
        self.conduct.told(WorkerTerms {
            per_session: matches!(spec.instances, Instances::PerSession(_)),
            rests: spec.idle_timeout.is_some(),
            keeps_catalogue: spec.keeps_catalogue,
        });
        if self.has_own_user {
            // It counts all that this user runs: worker and server, and those that follow them, for a moment.
            spec.confinement.limits.processes = spec.limits.tasks(spec.instances.copies().saturating_mul(2));
        }
        spec.cgroup = self.cgroup.as_ref().map(|cgroup| cgroup.of_server().to_owned());
        self.link.open();
        self.link.send(SupervisorToWorker::Run(Box::new(spec)));
    }

    /// It has nothing to run: without a connection it ends.
    pub(super) fn dismiss(&mut self) {
        self.link.close();
    }

    /// Gives it its end of a connection to the gateway. A worker that cannot be told drops it, which the gateway sees.
    pub(super) fn serve(&self, end: DataEnd) {
        if let Some(link) = self.link.link() {
            link.send_along(SupervisorToWorker::Serve, end.into_descriptors());
        }
    }

    /// Gives it room for what its server offers.
    pub(super) fn make_room(&mut self) {
        let Some(link) = self.link.link() else { return };
        let (end, wait) = match self.catalogue.make_room(Instant::now()) {
            Ok(made) => made,
            Err(_) => {
                link.send(SupervisorToWorker::NoCatalogueRoom); // which the worker logs
                self.conduct.refused_room();
                return;
            }
        };
        if wait.is_zero() {
            link.send_along(SupervisorToWorker::CatalogueRoom, vec![end]);
            return;
        }
        let to = link.sender();
        self.rooms.spawn(async move {
            tokio::time::sleep(wait).await;
            let _ = to.send((SupervisorToWorker::CatalogueRoom, vec![end])).await; // it may have ended meanwhile
        });
    }

    /// What its server offers, as it says that it has filled it in.
    pub(super) fn filled_room(&mut self) -> Option<FilledRoom> {
        self.catalogue.filled()
    }

    /// Tells it to end. Before it has called, it has nothing to end in order.
    pub(super) fn stop(&self) {
        if !self.link.send(SupervisorToWorker::Stop) {
            self.kill();
        }
    }

    /// Tells it to end once the gateway has let go of it.
    pub(super) fn drain(&self, grace: Duration) {
        if !self.link.send(SupervisorToWorker::Drain { grace }) {
            self.kill();
        }
    }

    /// SIGKILL.
    pub(super) fn kill(&self) {
        self.child.kill();
    }

    /// The next thing that happens. Cancel safe.
    pub(super) async fn next(&mut self) -> WorkerEvent {
        loop {
            let dying_until = self.lost.as_ref().map(|(until, _)| *until);
            tokio::select! {
                news = self.link.next() => match news {
                    LinkEvent::Hello => return WorkerEvent::Hello,
                    LinkEvent::Message(message) => match (self.conduct.admit(&message), message) {
                        (Err(violation), _) => {
                            self.link.close();
                            return WorkerEvent::Violation(violation.to_string());
                        }
                        (Ok(()), WorkerToSupervisor::Pong(number)) => self.link.pong(number),
                        (Ok(()), message) => return WorkerEvent::Said(message),
                    },
                    LinkEvent::PingDue(number) => {
                        if !self.link.send(SupervisorToWorker::Ping(number)) {
                            return WorkerEvent::Silent;
                        }
                    }
                    LinkEvent::Silent => return WorkerEvent::Silent,
                    LinkEvent::Lost(why) => {
                        self.link.close();
                        self.lost = Some((Instant::now() + DYING, why));
                    }
                },
                () = sleep_until(dying_until) => {
                    let why = self.lost.take().map(|(_, why)| why);
                    return WorkerEvent::Lost(why.unwrap_or_default());
                }
                news = self.child.next() => return match news {
                    ChildEvent::Line(line) => WorkerEvent::Line(line),
                    ChildEvent::Exited(status) => WorkerEvent::Exited(status),
                },
            }
        }
    }

    /// The messages that it sent before it went.
    pub(super) async fn last_words(&mut self) -> Vec<WorkerToSupervisor> {
        let words = self.link.last_words().await.into_iter();
        words.take_while(|word| self.conduct.admit(word).is_ok()).collect()
    }
}

/// The cgroup of an incarnation with what bounds it, as far as they can be had.
fn new_cgroup(context: &Context, config: &ServerConfig, generation: Generation, user: Option<u32>) -> Option<Cgroup> {
    let log = context.log.new(o!("server" => config.name.to_string(), "generation" => generation.0));
    let created =
        context.cgroups.as_ref()?.create((&config.name, generation), (&config.limits, &config.instances), user);
    match created {
        Ok((cgroup, refused)) => {
            for error in refused {
                warn!(log, "a limit of this server is not enforced by the kernel"; "error" => %error);
            }
            Some(cgroup)
        }
        Err(error) => {
            warn!(log, "no cgroup for this server; its processes are found by their parents"; "error" => %error);
            None
        }
    }
}

//! `mcproxy login` and `mcproxy logout`: a worker of the server's own user does it, apart from the one that serves calls; this passes on
//! what it and the person say to each other. Afterwards the server is started anew.

use std::{ffi::OsString, io, time::Duration};

use mcproxy_confine::{Confinement, Degradation, Protection};
use mcproxy_ipc::{
    Receiver, SealedOrder, Sender, ServerName, WorkerSpec,
    control::{
        LoginTask, LoginToSupervisor, MAX_CALLBACK, OperatorToSupervisor, SupervisorToLogin, SupervisorToOperator,
    },
    disk::on_disk,
};
use slog::{Logger, debug, info, o, warn};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};

use crate::{
    bounded_text::{MAX_REASON, cut},
    child::{Child, ChildEvent, ChildPlan},
    context::Context,
    link::{ChildLink, LinkEvent},
    logging::one_line,
    operator::{find, restart, say},
    server::ServerCommand,
    users::ServerUser,
};

/// How long a person may take.
const PATIENCE: Duration = Duration::from_secs(600);

type OperatorPorts<'a> = (&'a mut Receiver<OperatorToSupervisor>, &'a mut Sender<SupervisorToOperator>);

/// Does it for one operator; returns a sentence for the person.
pub(crate) async fn serve(
    context: &Context,
    server: &ServerName,
    task: LoginTask,
    (receiver, sender): OperatorPorts<'_>,
) -> Result<String, String> {
    let Some(logins) = &context.logins else {
        return Err("there is no state directory to keep a login in; choose one with --state-dir".to_owned());
    };
    let busy = || format!("somebody else logs in or out at {server} just now");
    let _under_way = logins.begin(server).ok_or_else(busy)?;
    let what = if matches!(task, LoginTask::LogOut) { "logged out" } else { "logged in" };
    let conversation = LoginConversation::start(context, server, task).await?;
    let log = conversation.log.clone();
    let done = conversation.run(receiver, sender).await?;
    info!(log, "an operator logged in or out"; "outcome" => what);
    // It may be disabled, or on its way out.
    if let Err(why) = restart(context, server).await {
        debug!(log, "not started anew after a login"; "reason" => why);
    }
    Ok(done)
}

/// What is told to the worker that does it, and as whom that runs.
async fn order(context: &Context, server: &ServerName) -> Result<(WorkerSpec, ServerUser), String> {
    let handle = find(context, server)?;
    let (reply, answer) = oneshot::channel();
    let leaving = || format!("{server} is being removed");
    handle.commands.send(ServerCommand::DescribeWorker(reply)).await.map_err(|_| leaving())?;
    let (mut spec, run_as) = answer.await.map_err(|_| leaving())??;
    let (users, name) = (context.users.clone(), server.clone());
    // The look-up of an account may ask the network.
    let user = on_disk(move || users.of_server(&name, run_as.as_deref())).await;
    let user = user.map_err(|error| error.to_string())??;
    user.describe(&mut spec);
    context.place(&mut spec, &user).map_err(|error| format!("the login cannot be kept: {error}"))?;
    Ok((spec, user))
}

/// The worker that does it.
struct LoginConversation {
    child: Child,
    link: ChildLink<LoginToSupervisor, SupervisorToLogin>,
    /// What it is told first.
    order: Option<(WorkerSpec, LoginTask)>,
    log: Logger,
}

impl LoginConversation {
    async fn start(context: &Context, server: &ServerName, task: LoginTask) -> Result<Self, String> {
        let (spec, user) = order(context, server).await?;
        let args: Vec<OsString> = vec![
            "--login".into(),
            "--server".into(),
            server.as_str().into(),
            "--socket".into(),
            context.paths.supervisor().into(),
        ];
        let cannot = |error: io::Error| format!("cannot start the worker that logs in: {error}");
        let confinement = Confinement { hardening: context.hardening, identity: user.identity.clone() };
        let plan = ChildPlan {
            program: context.programs.worker_for(&spec.reach).map_err(cannot)?,
            args,
            environment: user.environment(std::env::vars_os()),
            order: Some(SealedOrder::create(&confinement).map_err(cannot)?),
        };
        let (child, connection) = Child::spawn(plan, &context.children).map_err(cannot)?;
        let log = context.log.new(o!("server" => server.to_string(), "pid" => child.pid()));
        let link = ChildLink::awaited(connection, log.clone());
        Ok(Self { child, link, order: Some((spec, task)), log })
    }

    /// Passes on what both say, until it is done, or the person has left.
    async fn run(
        mut self,
        receiver: &mut Receiver<OperatorToSupervisor>,
        sender: &mut Sender<SupervisorToOperator>,
    ) -> Result<String, String> {
        let until = Instant::now() + PATIENCE;
        loop {
            tokio::select! {
                event = self.link.next() => match event {
                    LinkEvent::Hello => {
                        self.link.open();
                        if let Some((spec, task)) = self.order.take() {
                            self.link.send(SupervisorToLogin::Begin(Box::new(spec), task));
                        }
                    }
                    LinkEvent::Message(LoginToSupervisor::Done(done)) => return Ok(done),
                    LinkEvent::Message(LoginToSupervisor::Failed(why)) => return Err(why),
                    LinkEvent::Message(LoginToSupervisor::Page(page)) => {
                        say(sender, SupervisorToOperator::Page(page)).await;
                    }
                    LinkEvent::Message(LoginToSupervisor::NotOurs(why)) => {
                        say(sender, SupervisorToOperator::NotOurs(why)).await;
                    }
                    LinkEvent::Message(LoginToSupervisor::Degraded(missing)) => {
                        for Degradation { protection, reason, .. } in missing.iter().take(Protection::ALL.len()) {
                            let reason = cut(one_line(reason).into_owned(), MAX_REASON);
                            warn!(self.log, "a protection is missing"; "protection" => protection.name(), "reason" => reason);
                        }
                    }
                    // It is not asked whether it lives: it has its own time limits, and a person to wait for.
                    LinkEvent::PingDue(_) | LinkEvent::Silent => {}
                    LinkEvent::Lost(why) => return Err(format!("the worker that logs in ended: {why}")),
                },
                event = self.child.next() => match event {
                    ChildEvent::Line(line) => warn!(self.log, "worker stderr"; "line" => line),
                    ChildEvent::Exited(status) => {
                        for word in self.link.last_words().await {
                            match word {
                                LoginToSupervisor::Done(done) => return Ok(done),
                                LoginToSupervisor::Failed(why) => return Err(why),
                                LoginToSupervisor::Page(_) | LoginToSupervisor::NotOurs(_) | LoginToSupervisor::Degraded(_) => {}
                            }
                        }
                        return Err(format!("the worker that logs in ended without a word ({status})"));
                    }
                },
                asked = receiver.next() => match asked {
                    Ok(Some((OperatorToSupervisor::Callback(query), _))) if query.len() <= MAX_CALLBACK => {
                        self.link.send(SupervisorToLogin::Callback(query));
                    }
                    Ok(Some(_)) => return Err("that does not belong to a login".to_owned()),
                    Ok(None) | Err(_) => return Err("the person has left".to_owned()),
                },
                () = sleep_until(until) => {
                    return Err(format!("nobody logged in within {} minutes", PATIENCE.as_secs() / 60));
                }
            }
        }
    }
}

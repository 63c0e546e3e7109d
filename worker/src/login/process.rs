//! A worker that only logs in or out: it serves no calls, and ends when that is done.

use std::{io, time::Duration};

use anyhow::{Context as _, bail};
use mcproxy_confine::Hardening;
use mcproxy_http::Url;
use mcproxy_ipc::{
    DescriptorHalf, Inherited, Reach, Receiver, Sender, WorkerSpec,
    control::{LoginTask, LoginToSupervisor, SupervisorToLogin},
    keep_memory_private,
};
use tokio::time::timeout;

use super::flow::{LoginError, LoginFlow, LoginPorts};
use crate::confinement;

/// Longest wait for the order.
const CONTROL_TIMEOUT: Duration = Duration::from_secs(5);

/// The supervisor, and the person behind it.
struct LoginSupervisor {
    orders: Receiver<SupervisorToLogin, DescriptorHalf>,
    sender: Sender<LoginToSupervisor>,
}

/// The whole life of such a worker.
pub(crate) async fn run(hardening: Hardening) -> anyhow::Result<()> {
    let connection = Inherited::from_stdin().context("started with --login, but not by a supervisor")?;
    keep_memory_private().context("cannot keep other processes out of this one's memory")?;
    let (mut orders, sender) = connection.introduce().await.context("cannot reach the supervisor")?;
    let (mut spec, task) =
        match timeout(CONTROL_TIMEOUT, orders.next()).await.context("the supervisor says nothing")?? {
            Some((SupervisorToLogin::Begin(spec, task), _)) => (*spec, task),
            Some(_) => bail!("the supervisor's first message is not what to do"),
            None => bail!("the supervisor hung up"),
        };
    spec.confinement.hardening = hardening;
    let mut supervisor = LoginSupervisor { orders, sender };
    // Before anything of strangers is read.
    let missing = confinement::of_login(&spec);
    let refused = confinement::refusal(hardening, &missing);
    if !missing.is_empty() {
        supervisor.sender.send(&LoginToSupervisor::Degraded(missing)).await?;
    }
    let done = match refused {
        Some(reason) => Err(reason.to_string()),
        None => supervisor.carry_out(&spec, task).await.map_err(|error| error.to_string()),
    };
    supervisor.sender.send(&done.map_or_else(LoginToSupervisor::Failed, LoginToSupervisor::Done)).await?;
    Ok(())
}

impl LoginSupervisor {
    async fn carry_out(&mut self, spec: &WorkerSpec, task: LoginTask) -> Result<String, LoginError> {
        let Reach::Http(http) = &spec.reach else {
            return Err(LoginError::NotHere("it is started and not reached over the network: there is no login"));
        };
        let flow = LoginFlow::new(&spec.server, http)?;
        match task {
            LoginTask::LogIn { redirect, scope } => flow.log_in(&redirect, scope.as_deref(), self).await,
            LoginTask::LogOut => flow.log_out().await,
        }
    }
}

impl LoginPorts for LoginSupervisor {
    async fn page(&mut self, page: &Url) -> io::Result<()> {
        self.sender.send(&LoginToSupervisor::Page(page.to_string())).await.map_err(io::Error::other)
    }

    async fn not_ours(&mut self, why: String) -> io::Result<()> {
        self.sender.send(&LoginToSupervisor::NotOurs(why)).await.map_err(io::Error::other)
    }

    async fn callback(&mut self) -> io::Result<String> {
        match self.orders.next().await.map_err(io::Error::other)? {
            Some((SupervisorToLogin::Callback(query), _)) => Ok(query),
            Some((SupervisorToLogin::Begin(..), _)) => Err(io::Error::other("a second order")),
            None => Err(io::Error::other("the supervisor hung up")),
        }
    }
}

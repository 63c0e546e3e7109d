//! `mcproxy login` and `mcproxy logout`.

mod browser;
mod callback;

use std::io::IsTerminal as _;

use mcproxy_ipc::{
    ServerName,
    control::{LoginTask, OperatorToSupervisor, SupervisorToOperator},
};
use serde_json::json;

use self::callback::Callbacks;
use crate::cli::{
    console::Console,
    error::CliError,
    exit::Exit,
    human::printable,
    supervisor::{SupervisorClient, tell_done},
};

/// How somebody logs in.
pub(crate) struct Login {
    pub(crate) server: String,
    pub(crate) scope: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) paste: bool,
    pub(crate) no_browser: bool,
}

impl Login {
    /// Shows the page, hands over what it leads back with, and says what came of it.
    pub(crate) async fn run(
        self,
        supervisor: &SupervisorClient,
        json: bool,
        console: &mut Console,
    ) -> Result<Exit, CliError> {
        let server = supervisor.known_server(&self.server).await?;
        let callbacks = Callbacks::listen(self.port).await;
        let mut callbacks = callbacks.map_err(|source| CliError::Callback { port: self.port, source })?;
        let task = LoginTask::LogIn { redirect: callbacks.redirect(), scope: self.scope.clone() };
        let request = OperatorToSupervisor::Login { server: server.clone(), task };
        let (mut answers, mut asks) = supervisor.converse(request).await?;
        loop {
            tokio::select! {
                answer = answers.next() => match answer?.map(|(message, _)| message) {
                    Some(SupervisorToOperator::Page(page)) => self.show(&page, &server, &callbacks, json, console)?,
                    Some(SupervisorToOperator::NotOurs(why)) => {
                        console.remark(format_args!("mcproxy: {}; still waiting", printable(&why)));
                    }
                    Some(SupervisorToOperator::Done(sentence)) => {
                        tell_done(&sentence, json, console)?;
                        return Ok(Exit::Ok);
                    }
                    Some(SupervisorToOperator::Failed(why)) => return Err(CliError::Refused(why)),
                    Some(_) => return Err(CliError::SupervisorAnswer),
                    None => return Err(CliError::SupervisorGone),
                },
                query = callbacks.next() => asks.send(&OperatorToSupervisor::Callback(query)).await?,
            }
        }
    }

    fn show(
        &self,
        page: &str,
        server: &ServerName,
        callbacks: &Callbacks,
        json: bool,
        console: &mut Console,
    ) -> Result<(), CliError> {
        if json {
            writeln!(console.out, "{}", json!({"page": page, "redirect": callbacks.redirect()}))?;
        } else {
            writeln!(console.out, "Open this page to log in to {server}:\n\n  {}\n", printable(page))?;
        }
        console.out.flush()?;
        let is_remote = std::env::var_os("SSH_CONNECTION").is_some();
        let opened = !self.no_browser && !self.paste && !is_remote && browser::open(page);
        if self.paste || std::io::stdin().is_terminal() {
            callbacks.read_pasted(std::mem::replace(&mut console.input, Box::new(std::io::empty())));
            if !opened {
                console.remark(
                    "In a browser of another machine it ends at an address that cannot be opened there: paste that address here.",
                );
            }
        }
        Ok(())
    }
}

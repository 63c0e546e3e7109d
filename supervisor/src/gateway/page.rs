//! What the gateway asks for its web page.

use std::time::{Duration, Instant};

use mcproxy_ipc::{
    ServerName,
    control::{Act, ActOutcome, ActingCaller, Answer, ShownConfig, SupervisorToGateway},
};
use slog::warn;
use tokio::sync::mpsc;

use super::{GatewayTask, questions::QUESTIONS};
use crate::{ask::ask, operator::OperatorRequest, web_page::Asker};

/// For an answer of the supervisor itself.
const LIMIT: Duration = Duration::from_secs(4);

impl GatewayTask {
    /// A person does something on the page: it is checked and done beside the task.
    pub(super) fn act(&mut self, id: u64, act: Act, by: ActingCaller) {
        let Some(link) = self.link.link() else { return };
        if !self.acts.admit(Instant::now()) || self.answers.len() >= QUESTIONS {
            warn!(self.log, "the web page acts too often; an act was refused"; "act" => act.as_str());
            let outcome = ActOutcome::Refused("too many acts in a short time; wait a moment".to_owned());
            return self.tell(SupervisorToGateway::Acted { id, outcome });
        }
        let asker = Asker::of(by, &self.settings);
        let (context, requests, out) = (self.context.clone(), self.requests.clone(), link.sender());
        self.answers.spawn(async move {
            let approved = match &act {
                Act::Approve(server) => Some(server.clone()),
                _ => None,
            };
            let outcome = asker.act(act, &context, &requests).await;
            if let (Some(server), ActOutcome::Done(_)) = (approved, &outcome) {
                let _ = out.send((SupervisorToGateway::Approved(server), Vec::new())).await; // as below
            }
            // The gateway may have ended meanwhile.
            let _ = out.send((SupervisorToGateway::Acted { id, outcome }, Vec::new())).await;
        });
    }
}

/// The configuration file, as the page shows it.
pub(super) async fn config_file(requests: &mpsc::Sender<OperatorRequest>) -> Answer {
    let shown: Option<ShownConfig> = ask(requests, LIMIT, OperatorRequest::DescribeFile).await;
    Answer::ConfigFile(Box::new(shown.unwrap_or_default()))
}

/// The entry of a server.
pub(super) async fn entry(requests: &mpsc::Sender<OperatorRequest>, server: ServerName) -> Answer {
    let entry = ask(requests, LIMIT, |reply| OperatorRequest::DescribeEntry { server, reply });
    match entry.await.flatten() {
        Some(entry) => Answer::Entry(entry),
        None => Answer::UnknownServer,
    }
}

//! What the gateway asks, answered beside the task: collecting takes a moment, disks are slow, and heartbeats go on.

use std::{fs::File, io, os::fd::OwnedFd, time::Instant};

use mcproxy_ipc::{
    CatalogueKey, ServerName,
    control::{Answer, Question, SupervisorToGateway},
    disk::on_disk,
    kept_file,
};
use slog::warn;

use super::{GatewayTask, page};
use crate::{
    server::ServerHandle,
    status,
    web_page::{Asker, all_lines},
};

/// Questions that are being answered at once.
pub(super) const QUESTIONS: usize = 64;

impl GatewayTask {
    /// Answers a question.
    pub(super) fn answer(&mut self, id: u64, question: Question) {
        let known = match &question {
            Question::StoredSession(key) => {
                Some(Answer::StoredSession(self.sessions.snapshots.of(key, Instant::now())))
            }
            Question::SessionKeys { after } => {
                let (keys, more) = self.sessions.snapshots.names(*after);
                Some(Answer::SessionKeys { keys, more })
            }
            Question::NewLogs => {
                let (lines, dropped) = self.log_feed.take(&self.context, Instant::now());
                Some(Answer::NewLogs { lines, dropped })
            }
            Question::Status
            | Question::Logs { .. }
            | Question::AllLogs { .. }
            | Question::ConfigFile
            | Question::Entry(_)
            | Question::MayAdminister(_) => None,
        };
        if let Some(answer) = known {
            // A gateway waits for few of these at once, so they do not fill the queue.
            return self.tell(SupervisorToGateway::Answer { id, answer: Box::new(answer) });
        }
        let Some(link) = self.link.link() else { return };
        if self.answers.len() >= QUESTIONS {
            warn!(self.log, "gateway asks too much; a question was dropped");
            return;
        }
        let (context, out, requests) = (self.context.clone(), link.sender(), self.requests.clone());
        let of_gateway = match question {
            Question::AllLogs { lines } => self.ring.last(lines),
            _ => Vec::new(),
        };
        let asker = match &question {
            Question::MayAdminister(by) => Some(Asker::of(by.clone(), &self.settings)),
            _ => None,
        };
        self.answers.spawn(async move {
            let answer = match question {
                Question::Status => Answer::Status(Box::new(status::report(&context).await)),
                Question::Logs { server, lines } => match context.server(server.as_str()) {
                    Some(server) => Answer::Logs(server.logs(lines).await),
                    None => Answer::UnknownServer,
                },
                Question::AllLogs { lines } => Answer::AllLogs(all_lines(&context, of_gateway, lines).await),
                Question::ConfigFile => page::config_file(&requests).await,
                Question::Entry(server) => page::entry(&requests, server).await,
                Question::MayAdminister(_) => match asker {
                    Some(asker) => Answer::MayAdminister(asker.check(&context.children).await.err()),
                    None => return,
                },
                Question::StoredSession(_) | Question::SessionKeys { .. } | Question::NewLogs => return, // answered above
            };
            // The gateway may have ended meanwhile.
            let _ = out.send((SupervisorToGateway::Answer { id, answer: Box::new(answer) }, Vec::new())).await;
        });
    }

    /// Opens what a server offered last, and hands it over; beside the task, as the disk may be slow.
    pub(super) fn open_catalogue(&mut self, id: u64, server: &ServerName, key: CatalogueKey) {
        let is_its = |server: &ServerHandle| server.snapshot.borrow().route.catalogue == Some(key);
        let known = self.context.server(server.as_str()).is_some_and(|server| is_its(&server));
        let file = self.context.catalogues.as_ref().filter(|_| known).map(|dir| dir.join(key.file_name(server)));
        self.hand_over(id, || file.map(|file| kept_file::open(&file)).transpose());
    }

    /// Hands over a file that is opened beside the task.
    pub(super) fn hand_over(&mut self, id: u64, open: impl FnOnce() -> io::Result<Option<File>> + Send + 'static) {
        let Some(link) = self.link.link() else { return };
        if self.answers.len() >= QUESTIONS {
            let reason = Some("the supervisor is asked for too much".to_owned());
            return self.tell(SupervisorToGateway::NoCatalogue { id, reason });
        }
        let out = link.sender();
        self.answers.spawn(async move {
            let opened = on_disk(open).await;
            let answer = match opened.map_err(io::Error::other).flatten() {
                Ok(Some(file)) => (SupervisorToGateway::Catalogue { id }, vec![OwnedFd::from(file)]),
                Ok(None) => (SupervisorToGateway::NoCatalogue { id, reason: None }, Vec::new()),
                Err(error) => {
                    let reason = (error.kind() != io::ErrorKind::NotFound).then(|| error.to_string());
                    (SupervisorToGateway::NoCatalogue { id, reason }, Vec::new())
                }
            };
            // The gateway may have ended meanwhile.
            let _ = out.send(answer).await;
        });
    }
}

//! The requests of servers to one client of a session that it has not answered yet, under ids of ours.

use std::{cell::RefCell, collections::HashMap};

use bytes::Bytes;
use mcproxy_mcp::{RawObject, RequestId, meta};
use tokio::sync::oneshot;

use crate::gateway::upstream::connection::ProgressReporter;

/// Most questions of servers that one client may have before it.
const MAX_QUESTIONS: usize = 1024;

/// A client's answer to one request.
#[derive(Debug, Clone)]
pub(crate) enum Response {
    /// The `result`.
    Result(Bytes),
    /// The `error` object.
    Error(Bytes),
}

/// The open requests to one client.
#[derive(Default)]
pub(crate) struct ClientRequests(RefCell<HashMap<RequestId, ClientRequest>>);

struct ClientRequest {
    answer: oneshot::Sender<Response>,
    /// Where the client's progress reports go.
    reporter: Option<ProgressReporter>,
}

impl ClientRequests {
    /// Takes up a question: under which id, and where the answer will be. `None`: there are too many.
    pub(super) fn ask(&self) -> Option<(RequestId, oneshot::Receiver<Response>)> {
        let mut questions = self.0.borrow_mut();
        if questions.len() >= MAX_QUESTIONS {
            return None;
        }
        // An answer to a question of an earlier gateway must find nothing here.
        let mut number = [0; 8];
        getrandom::fill(&mut number).ok()?;
        let text = mcproxy_mcp::json_string(&format!("ask-{:016x}", u64::from_be_bytes(number)));
        let id = RequestId::from_raw(&text).ok()?;
        let (sender, receiver) = oneshot::channel();
        questions.insert(id.clone(), ClientRequest { answer: sender, reporter: None });
        Some((id, receiver))
    }

    /// Takes the client's answer in; it may be late, to a question that is gone.
    pub(crate) fn answered(&self, id: &RequestId, response: Response) {
        let asked = self.0.borrow_mut().remove(id);
        if let Some(asked) = asked {
            let _ = asked.answer.send(response); // the call may have ended
        }
    }

    /// From now on the client's progress with this question is reported there.
    pub(crate) fn watch(&self, id: &RequestId, reporter: ProgressReporter) {
        if let Some(question) = self.0.borrow_mut().get_mut(id) {
            question.reporter = Some(reporter);
        }
    }

    /// The client says how far it is with a question: the params of its notification. The token is the question's id.
    pub(crate) fn progress(&self, mut params: RawObject<'_>) {
        let token = params.remove(meta::PROGRESS_TOKEN).and_then(|raw| RequestId::from_raw(raw).ok());
        let questions = self.0.borrow();
        let question = token.and_then(|token| questions.get(&token));
        if let Some(reporter) = question.and_then(|question| question.reporter.as_ref()) {
            let mut out = Vec::new();
            params.write(&mut out);
            reporter.report(out);
        }
    }

    /// Takes a question back; returns whether it was still open.
    pub(crate) fn take_back(&self, id: &RequestId) -> bool {
        self.0.borrow_mut().remove(id).is_some()
    }

    /// Drops all questions: none will be answered.
    pub(crate) fn drop_all(&self) {
        self.0.borrow_mut().clear();
    }
}

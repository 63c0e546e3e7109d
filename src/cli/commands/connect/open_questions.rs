//! Questions of a server of 2026-07-28 that the client has not answered.

use std::{cell::RefCell, collections::HashMap, time::Duration};

use mcproxy_mcp::{Outcome, RawObject, RawValue, RequestId, json_string, method, write_request};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use super::output::LineWriter;

/// How long the client, and the person before it, may take for the answers of one round.
const INPUT_TIMEOUT: Duration = Duration::from_secs(600);
/// Most questions of one round.
const MAX_QUESTIONS: usize = 64;

/// The questions to the client in the name of a server of 2026-07-28, which says with a result what it needs.
#[derive(Debug, Default)]
pub(super) struct OpenQuestions(RefCell<QuestionTable>);

#[derive(Debug, Default)]
struct QuestionTable {
    last: u64,
    waiting: HashMap<RequestId, oneshot::Sender<Result<Box<RawValue>, String>>>,
}

/// Takes questions off the list when their answers are not awaited any more.
struct Forget<'a>(&'a OpenQuestions, Vec<RequestId>);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        let mut open = self.0.0.borrow_mut();
        self.1.iter().for_each(|id| drop(open.waiting.remove(id)));
    }
}

impl OpenQuestions {
    /// Has the client answer all of `requests` (`inputRequests` of a result), side by side. Gives `inputResponses`; or
    /// why there are none.
    pub(super) async fn ask(&self, requests: &RawObject<'_>, output: &LineWriter) -> Result<Box<RawValue>, String> {
        let deadline = Instant::now() + INPUT_TIMEOUT;
        if requests.iter().count() > MAX_QUESTIONS {
            return Err(format!("the server asks for more than {MAX_QUESTIONS} things at once"));
        }
        let mut pending = Vec::new();
        let mut forget = Forget(self, Vec::new());
        for (key, request) in requests.iter() {
            let request = RawObject::from_raw(request).map_err(|_| format!("{key:?} is no request"))?;
            let of = request.get_string("method").ok_or_else(|| format!("{key:?} has no method"))?;
            let (id, answer) = self.open();
            forget.1.push(id.clone());
            pending.push((key.to_owned(), answer));
            let mut message = Vec::new();
            write_request(&mut message, &id, &of, &params(&of, &request, &id));
            output.line(&String::from_utf8_lossy(&message)).await;
        }
        let mut answers = Vec::new();
        for (key, answer) in pending {
            let answer =
                timeout_at(deadline, answer).await.map_err(|_| "the client did not answer in time".to_owned())?;
            let answer = answer.map_err(|_| "the client has left".to_owned())??;
            answers.push(format!("{}:{}", json_string(&key).get(), answer.get()));
        }
        RawValue::from_string(format!("{{{}}}", answers.join(","))).map_err(|e| e.to_string())
    }

    /// Takes in what the client answers.
    pub(super) fn answered(&self, id: &RequestId, outcome: Outcome<'_>) {
        if let Some(waiting) = self.0.borrow_mut().waiting.remove(id) {
            let _ = waiting.send(match outcome {
                Outcome::Result(result) => Ok(result.to_owned()),
                Outcome::Error(error) => {
                    let message = RawObject::from_raw(error).ok().and_then(|e| e.get_string("message").map(Into::into));
                    Err(message.unwrap_or_else(|| "it gave an error".to_owned()))
                }
            });
        }
    }

    fn open(&self) -> (RequestId, oneshot::Receiver<Result<Box<RawValue>, String>>) {
        let mut open = self.0.borrow_mut();
        open.last += 1;
        let id =
            RequestId::from_raw(&json_string(&format!("mcproxy-connect-ask-{}", open.last))).expect("a short string");
        let (sender, receiver) = oneshot::channel();
        open.waiting.insert(id.clone(), sender);
        (id, receiver)
    }
}

/// The params of a question. Earlier revisions give every page that is to be visited an id.
fn params(of: &str, request: &RawObject<'_>, id: &RequestId) -> String {
    let Some(raw) = request.get("params") else { return String::new() };
    let mut params = RawObject::from_raw(raw).unwrap_or_default();
    let is_page = of == method::ELICITATION && params.get_string("mode").as_deref() == Some("url");
    if !is_page || params.get("elicitationId").is_some() {
        return raw.get().to_owned();
    }
    let name = json_string(id.as_json().trim_matches('"'));
    params.set("elicitationId", &name);
    params.to_raw().get().to_owned()
}

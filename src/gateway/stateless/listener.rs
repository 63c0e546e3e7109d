//! One client that listens: what it wants to hear, and the queue to its stream.

use std::{
    cell::{Cell, RefCell},
    collections::HashSet,
    rc::Rc,
};

use bytes::Bytes;
use mcproxy_ipc::{ServerName, SessionKey};
use mcproxy_mcp::{
    ProtocolVersion, RawObject, RequestId, Subject, meta, method, object_body, one_line, write_notification,
};
use tokio::sync::mpsc;

use super::filter::Filter;
use crate::gateway::{
    catalogue::{Changes, View},
    rewrite,
    scope::Scope,
};

/// Messages that may wait for a client to read its stream; a client that lets them pile up loses the stream.
const QUEUE: usize = 256;

/// One `subscriptions/listen` under way: what it is told of, and its stream.
pub(crate) struct Listener {
    id: RequestId,
    scope: Scope,
    key: SessionKey,
    wants: Changes,
    subjects: RefCell<HashSet<(ServerName, Subject)>>,
    /// What became of its tasks before the acknowledgment, which may be all that there is to say of them.
    early: RefCell<Vec<Bytes>>,
    /// What its lists were when it was last told about them.
    seen: RefCell<Rc<View>>,
    /// Nothing is said before it.
    acknowledged: Cell<bool>,
    /// `None` once it is over.
    stream: RefCell<Option<mpsc::Sender<Bytes>>>,
}

impl Listener {
    /// A listener that has not been told anything yet, and its stream.
    pub(super) fn new(
        id: RequestId,
        scope: Scope,
        key: SessionKey,
        wants: Changes,
        view: Rc<View>,
    ) -> (Rc<Self>, mpsc::Receiver<Bytes>) {
        let (stream, messages) = mpsc::channel(QUEUE);
        let listener = Self {
            id,
            scope,
            key,
            wants,
            subjects: RefCell::default(),
            early: RefCell::default(),
            seen: RefCell::new(view),
            acknowledged: Cell::new(false),
            stream: RefCell::new(Some(stream)),
        };
        (Rc::new(listener), messages)
    }

    /// What its endpoint shows.
    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Whose instances it hears of, of servers that have one for each session.
    pub(crate) fn key(&self) -> SessionKey {
        self.key
    }

    /// It is to hear of this.
    pub(super) fn add(&self, server: ServerName, subject: Subject) {
        self.subjects.borrow_mut().insert((server, subject));
    }

    /// It will not hear of this: its server refuses.
    pub(super) fn remove(&self, server: &ServerName, subject: &Subject) {
        self.subjects.borrow_mut().remove(&(server.clone(), subject.clone()));
    }

    /// Whether it is to hear of this.
    pub(crate) fn is_subscribed(&self, server: &ServerName, subject: &Subject) -> bool {
        self.subjects.borrow().contains(&(server.clone(), subject.clone()))
    }

    /// All that it is to hear of, of lists apart.
    pub(crate) fn subscriptions(&self) -> Vec<(ServerName, Subject)> {
        self.subjects.borrow().iter().cloned().collect()
    }

    /// Says what it will hear of; everything else is said after that.
    pub(super) fn acknowledge(&self, honoured: &Filter, view: Rc<View>) {
        self.seen.replace(view);
        self.acknowledged.set(true);
        self.notify(method::LISTEN_ACKNOWLEDGED, &format!("{{\"notifications\":{}}}", honoured.to_json()));
        self.early.take().into_iter().for_each(|message| self.send(message));
    }

    /// This is what its lists are now: it is told which of them differ from what they were, or are said to.
    pub(crate) fn look_at(&self, view: &Rc<View>, said: Changes) {
        let before = self.seen.replace(view.clone());
        let changes = view.changes_since(&before).or(said);
        for (changed, method) in [
            (changes.tools && self.wants.tools, method::TOOLS_CHANGED),
            (changes.prompts && self.wants.prompts, method::PROMPTS_CHANGED),
            (changes.resources && self.wants.resources, method::RESOURCES_CHANGED),
        ] {
            if changed {
                self.notify(method, "{}");
            }
        }
    }

    /// A resource of its changed; `params` are the server's.
    pub(crate) fn updated(&self, server: &ServerName, params: &str) {
        let version = ProtocolVersion::V2026_07_28;
        let params = rewrite::updated_params(self.scope.naming(), server.as_str(), params, version);
        self.notify(method::RESOURCE_UPDATED, &one_line(&params));
    }

    /// A task of its stands otherwise; `params` are the server's.
    pub(crate) fn task_changed(&self, server: &ServerName, params: &str) {
        let version = ProtocolVersion::V2026_07_28;
        let params = rewrite::task_result(self.scope.naming(), server.as_str(), params, version);
        let message = self.notification(method::TASK_CHANGED, &one_line(&params));
        if self.acknowledged.get() {
            self.send(message);
        } else if self.early.borrow().len() < QUEUE {
            self.early.borrow_mut().push(message);
        }
    }

    fn notify(&self, method: &str, params: &str) {
        if self.acknowledged.get() {
            self.send(self.notification(method, params));
        }
    }

    fn notification(&self, method: &str, params: &str) -> Bytes {
        let mut message = Vec::new();
        write_notification(&mut message, method, &tagged(params, &self.id));
        message.into()
    }

    fn send(&self, message: Bytes) {
        let mut stream = self.stream.borrow_mut();
        // It does not keep up: it loses the stream, and may open another.
        if stream.as_ref().is_none_or(|stream| stream.try_send(message).is_err()) {
            stream.take();
        }
    }

    /// Ends it in order: with a result, which its client would miss if it broke off.
    pub(crate) fn finish(&self) {
        if let Some(stream) = self.stream.take() {
            let id = self.id.as_json();
            let key = meta::SUBSCRIPTION_ID;
            let result = format!("{{\"resultType\":\"complete\",\"_meta\":{{\"{key}\":{id}}}}}");
            let mut message = Vec::new();
            mcproxy_mcp::write_response(&mut message, &self.id, &result);
            let _ = stream.try_send(message.into()); // who does not keep up does not see the end, either
        }
    }
}

/// Params with the id of the request that they belong to in their `_meta`.
fn tagged(params: &str, id: &RequestId) -> String {
    let mut object = RawObject::from_text(params).unwrap_or_default();
    let theirs = object.remove("_meta").and_then(|raw| RawObject::from_raw(raw).ok()).map(|mut meta| {
        meta.remove(meta::SUBSCRIPTION_ID);
        text_of(&meta)
    });
    let inside = |text: &str| match object_body(text) {
        Some(body) if !body.is_empty() => format!(",{body}"),
        Some(_) | None => String::new(),
    };
    let more = theirs.as_deref().map(inside).unwrap_or_default();
    format!("{{\"_meta\":{{\"{}\":{}{more}}}{}}}", meta::SUBSCRIPTION_ID, id.as_json(), inside(&text_of(&object)))
}

fn text_of(object: &RawObject<'_>) -> String {
    let mut out = Vec::new();
    object.write(&mut out);
    String::from_utf8(out).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::catalogue::Naming;

    fn view() -> Rc<View> {
        Rc::new(View::build(Naming::Qualified, &[]))
    }

    fn listener() -> (Rc<Listener>, mpsc::Receiver<Bytes>) {
        let id = RequestId::from(7);
        Listener::new(id, Scope::All, SessionKey([0; 16]), Changes::ALL, view())
    }

    #[test]
    fn what_is_said_carries_the_id_and_keeps_what_was_there() {
        let id = RequestId::from(7);
        assert_eq!(tagged("{}", &id), r#"{"_meta":{"io.modelcontextprotocol/subscriptionId":7}}"#);
        assert_eq!(
            tagged(r#"{"uri":"a:b","_meta":{"x":1.50,"io.modelcontextprotocol/subscriptionId":1}}"#, &id),
            r#"{"_meta":{"io.modelcontextprotocol/subscriptionId":7,"x":1.50},"uri":"a:b"}"#
        );
    }

    #[test]
    fn nothing_is_said_before_the_acknowledgment_and_a_result_is_the_last() {
        let (listener, mut messages) = listener();
        listener.updated(&"a".try_into().expect("a name"), r#"{"uri":"x:y"}"#);
        listener.acknowledge(&Filter::default(), view());
        listener.updated(&"a".try_into().expect("a name"), r#"{"uri":"x:y"}"#);
        listener.finish();
        listener.updated(&"a".try_into().expect("a name"), r#"{"uri":"x:y"}"#);
        let all: Vec<Bytes> = std::iter::from_fn(|| messages.try_recv().ok()).collect();
        let text = |at: usize| std::str::from_utf8(&all[at]).expect("text");
        assert_eq!(all.len(), 3);
        assert!(text(0).contains("acknowledged") && text(1).contains(r#""uri":"a+x:y""#), "{all:?}");
        assert!(text(2).starts_with(r#"{"jsonrpc":"2.0","id":7,"result":{"resultType":"complete""#), "{}", text(2));
    }

    #[test]
    fn what_became_of_a_task_is_not_lost_before_the_acknowledgment() {
        let (listener, mut messages) = listener();
        let server = "a".try_into().expect("a name");
        listener.task_changed(&server, r#"{"taskId":"7","status":"completed"}"#);
        assert!(messages.try_recv().is_err());
        listener.acknowledge(&Filter::default(), view());
        let all: Vec<Bytes> = std::iter::from_fn(|| messages.try_recv().ok()).collect();
        assert_eq!(all.len(), 2);
        let text = std::str::from_utf8(&all[1]).expect("text");
        assert!(text.contains(method::TASK_CHANGED) && text.contains(r#""taskId":"a+7""#), "{text}");
    }

    #[test]
    fn a_client_that_does_not_keep_up_loses_its_stream() {
        let (listener, mut messages) = listener();
        listener.acknowledge(&Filter::default(), view());
        for _ in 0..2 * QUEUE {
            listener.updated(&"a".try_into().expect("a name"), r#"{"uri":"x:y"}"#);
        }
        let said = std::iter::from_fn(|| messages.try_recv().ok()).count();
        assert_eq!(said, QUEUE);
        assert!(matches!(messages.try_recv(), Err(mpsc::error::TryRecvError::Disconnected)));
    }
}

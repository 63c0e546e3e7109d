//! One client that listens: what it wants to hear, and the queue to its stream.

use std::{
    cell::{Cell, RefCell},
    collections::HashSet,
    rc::Rc,
};

use bytes::Bytes;
use mcproxy_ipc::{ServerName, SessionKey};
use mcproxy_mcp::{
    Level, ProtocolVersion, RawObject, RequestId, Subject, meta, method, object_body, one_line, write_notification,
};

use super::{
    listen_filter::Filter,
    mailbox::{Mail, Mailbox, NOTICES},
    notice::{Notice, topic},
    replay_buffer::Bounds,
};
use crate::gateway::{
    base::{
        budget::{Budget, Purpose},
        scope::Scope,
    },
    catalogue::{Changes, Outline},
    rewrite,
};

/// Queue capacity per subscribed subject. One server may use a quarter of a queue, so four leave room for one message per subject.
const SUBJECT_ROOM: usize = 4;
/// Bytes of what became of tasks that may wait for the acknowledgment; the rest is not told.
const EARLY: usize = 1 << 20;

/// One `subscriptions/listen` request: its subscriptions and its stream.
pub(crate) struct Listener {
    id: RequestId,
    scope: Scope,
    key: SessionKey,
    wants: Changes,
    subjects: RefCell<HashSet<(ServerName, Subject)>>,
    /// Task notifications before the acknowledgment, which may be all that there are.
    early: RefCell<Vec<Notice>>,
    /// Its lists at the last announcement.
    seen: Cell<Outline>,
    /// Whether the acknowledgment was sent; nothing is sent before it.
    acknowledged: Cell<bool>,
    stream: Rc<Mailbox>,
}

impl Listener {
    /// A listener that has not been told anything yet, and its stream.
    pub(crate) fn new(
        id: RequestId,
        scope: Scope,
        key: SessionKey,
        wants: Changes,
        seen: Outline,
        budget: &Budget,
    ) -> (Rc<Self>, Mail) {
        let (stream, mail) = Mailbox::new(budget, Purpose::Listeners);
        let listener = Self {
            id,
            scope,
            key,
            wants,
            subjects: RefCell::default(),
            early: RefCell::default(),
            seen: Cell::new(seen),
            acknowledged: Cell::new(false),
            stream,
        };
        (Rc::new(listener), mail)
    }

    /// The scope of its endpoint.
    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Whose instances it hears of, of servers that have one for each session.
    pub(crate) fn key(&self) -> SessionKey {
        self.key
    }

    /// Adds a subject.
    pub(crate) fn add(&self, server: ServerName, subject: Subject) {
        self.subjects.borrow_mut().insert((server, subject));
    }

    /// Removes a subject whose server refuses the subscription.
    pub(crate) fn remove(&self, server: &ServerName, subject: &Subject) {
        self.subjects.borrow_mut().remove(&(server.clone(), subject.clone()));
    }

    /// Whether it is subscribed to a subject.
    pub(crate) fn is_subscribed(&self, server: &ServerName, subject: &Subject) -> bool {
        self.subjects.borrow().contains(&(server.clone(), subject.clone()))
    }

    /// Its subjects; lists apart.
    pub(crate) fn subscriptions(&self) -> Vec<(ServerName, Subject)> {
        self.subjects.borrow().iter().cloned().collect()
    }

    /// Sends the acknowledgment; all other messages follow it.
    pub(crate) fn acknowledge(&self, honoured: &Filter, seen: Outline) {
        self.seen.set(seen);
        self.acknowledged.set(true);
        let params = format!("{{\"notifications\":{}}}", honoured.to_json());
        self.stream.answer(self.notification(method::LISTEN_ACKNOWLEDGED, &params));
        self.early.take().into_iter().for_each(|notice| self.say(notice));
    }

    /// This is what its lists are now: it is told which of them differ from what they were, or are said to. Whether it was told
    /// something.
    pub(crate) fn look_at(&self, now: Outline, said: Changes) -> bool {
        let changes = now.changes_since(self.seen.replace(now)).or(said);
        let mut told = false;
        for (changed, method) in [
            (changes.tools && self.wants.tools, method::TOOLS_CHANGED),
            (changes.prompts && self.wants.prompts, method::PROMPTS_CHANGED),
            (changes.resources && self.wants.resources, method::RESOURCES_CHANGED),
        ] {
            if changed && self.acknowledged.get() {
                self.say(Notice { message: self.notification(method, "{}"), ..Notice::of_ourselves(method) });
                told = true;
            }
        }
        told
    }

    /// A resource of its changed; `params` are the server's.
    pub(crate) fn updated(&self, server: &ServerName, uri: &str, params: &str) {
        if !self.acknowledged.get() {
            return;
        }
        let version = ProtocolVersion::V2026_07_28;
        let params = rewrite::updated_params(self.scope.naming(), server.as_str(), params, version);
        let message = self.notification(method::RESOURCE_UPDATED, &one_line(&params));
        let topic = Some(topic((method::RESOURCE_UPDATED, uri)));
        self.say(Notice { server: server.clone(), message, topic, level: Level::Warning });
    }

    /// The status of a task changed; `params` are the server's.
    pub(crate) fn task_changed(&self, server: &ServerName, id: &str, params: &str) {
        let version = ProtocolVersion::V2026_07_28;
        let params = rewrite::task_result(self.scope.naming(), server.as_str(), params, version);
        let message = self.notification(method::TASK_CHANGED, &one_line(&params));
        let topic = Some(topic((method::TASK_CHANGED, id)));
        let notice = Notice { server: server.clone(), message, topic, level: Level::Warning };
        if self.acknowledged.get() {
            return self.say(notice);
        }
        let mut early = self.early.borrow_mut();
        // How it stands by now is all that there is to say.
        early.retain(|before| before.topic != topic);
        let waiting: usize = early.iter().map(|notice| notice.message.len()).sum();
        if waiting + notice.message.len() <= EARLY {
            early.push(notice);
        }
    }

    /// A client that does not keep up misses what its servers say too often, never which of many things changed: there is room for
    /// one message of each.
    fn say(&self, notice: Notice) {
        let events = NOTICES.events.max(SUBJECT_ROOM * self.subjects.borrow().len());
        self.stream.notice_within(notice, Bounds { events, ..NOTICES });
    }

    fn notification(&self, method: &str, params: &str) -> Bytes {
        let mut message = Vec::new();
        write_notification(&mut message, method, &tagged(params, &self.id));
        message.into()
    }

    /// Ends it in order: with a result, which its client would miss if it broke off.
    pub(crate) fn finish(&self) {
        if self.stream.is_open() {
            let id = self.id.as_json();
            let key = meta::SUBSCRIPTION_ID;
            let result = format!("{{\"resultType\":\"complete\",\"_meta\":{{\"{key}\":{id}}}}}");
            let mut message = Vec::new();
            mcproxy_mcp::write_response(&mut message, &self.id, &result);
            self.stream.answer(message.into());
            self.stream.end();
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
    use futures_util::{FutureExt as _, StreamExt as _};

    use super::*;
    use crate::gateway::{catalogue::View, rewrite::Naming};

    fn outline() -> Outline {
        View::build(Naming::Qualified, &[]).outline()
    }

    fn listener() -> (Rc<Listener>, Mail) {
        let id = RequestId::from(7);
        Listener::new(id, Scope::all(), SessionKey([0; 16]), Changes::ALL, outline(), &Budget::new(1 << 20))
    }

    fn read(mail: &mut Mail) -> Vec<Bytes> {
        std::iter::from_fn(|| mail.next().now_or_never().flatten()).collect()
    }

    fn server() -> ServerName {
        "a".try_into().expect("a name")
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
        let (listener, mut mail) = listener();
        let updated = || listener.updated(&server(), "x:y", r#"{"uri":"x:y"}"#);
        updated();
        listener.acknowledge(&Filter::default(), outline());
        updated();
        listener.finish();
        updated();
        let all = read(&mut mail);
        let text = |at: usize| std::str::from_utf8(&all[at]).expect("text");
        assert_eq!(all.len(), 3);
        assert!(text(0).contains("acknowledged") && text(1).contains(r#""uri":"a+x:y""#), "{all:?}");
        assert!(text(2).starts_with(r#"{"jsonrpc":"2.0","id":7,"result":{"resultType":"complete""#), "{}", text(2));
    }

    #[test]
    fn what_became_of_a_task_is_not_lost_before_the_acknowledgment() {
        let (listener, mut mail) = listener();
        for status in ["working", "completed"] {
            listener.task_changed(&server(), "7", &format!(r#"{{"taskId":"7","status":"{status}"}}"#));
        }
        assert!(read(&mut mail).is_empty());
        listener.acknowledge(&Filter::default(), outline());
        let all = read(&mut mail);
        assert_eq!(all.len(), 2);
        let text = std::str::from_utf8(&all[1]).expect("text");
        assert!(text.contains(method::TASK_CHANGED) && text.contains(r#""taskId":"a+7""#), "{text}");
        assert!(text.contains("completed"), "{text}");
    }

    #[test]
    fn a_client_that_does_not_keep_up_hears_once_of_each_thing_that_changed() {
        let (listener, mut mail) = listener();
        let uris: Vec<String> = (0..1000).map(|n| format!("x:{n}")).collect();
        for uri in &uris {
            listener.add(server(), Subject::Resource(uri.clone()));
        }
        listener.acknowledge(&Filter::default(), outline());
        for uri in uris.iter().chain(&uris) {
            listener.updated(&server(), uri, &format!(r#"{{"uri":"{uri}"}}"#));
        }
        assert_eq!(read(&mut mail).len(), 1 + uris.len());
        assert!(listener.stream.is_open());
    }
}

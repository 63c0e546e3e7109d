//! Changes at a server of 2026-07-28, told to a client that begins with `initialize`: one `subscriptions/listen` that
//! is opened anew whenever its filter changes or it ends.

use std::{collections::BTreeSet, rc::Rc, time::Duration};

use mcproxy_mcp::{Message, RawObject, RawValue, json_string, meta, method, parse, write_notification, write_request};
use tokio::sync::watch;

use super::{emulation::Emulation, relay::Relay};
use crate::cli::endpoint::EndpointError;

const FIRST_RETRY: Duration = Duration::from_millis(500);
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// Most resources that a client may subscribe to.
const MAX_URIS: usize = 4096;

/// Which lists the server says it announces changes of: the key in the filter, and the notification.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Kinds(Vec<(&'static str, &'static str)>);

impl Kinds {
    /// Of these capabilities.
    pub(super) fn of(capabilities: &RawObject<'_>) -> Self {
        let all = [
            ("tools", "toolsListChanged", method::TOOLS_CHANGED),
            ("prompts", "promptsListChanged", method::PROMPTS_CHANGED),
            ("resources", "resourcesListChanged", method::RESOURCES_CHANGED),
        ];
        let declared = |key: &str| {
            let capability = capabilities.get_object(key).unwrap_or_default();
            capability.get("listChanged").is_some_and(|raw| raw.get() == "true")
        };
        Self(all.into_iter().filter(|(key, ..)| declared(key)).map(|(_, key, method)| (key, method)).collect())
    }
}

/// The subscriptions of the client.
#[derive(Debug, Clone, Default)]
struct ChangeFilter {
    ready: bool,
    kinds: Kinds,
    uris: BTreeSet<String>,
}

impl ChangeFilter {
    /// The params of the request; `None` when there is nothing to ask for.
    fn params(&self) -> Option<Box<RawValue>> {
        let mut members: Vec<String> = self.kinds.0.iter().map(|(key, _)| format!("\"{key}\":true")).collect();
        if !self.uris.is_empty() {
            let uris: Vec<String> = self.uris.iter().map(|uri| json_string(uri).get().to_owned()).collect();
            members.push(format!("\"resourceSubscriptions\":[{}]", uris.join(",")));
        }
        let is_any = self.ready && !members.is_empty();
        let text = format!("{{\"notifications\":{{{}}}}}", members.join(","));
        is_any.then(|| RawValue::from_string(text).expect("keys and strings are JSON"))
    }
}

/// The same, and who is told when it changes.
#[derive(Debug)]
pub(super) struct ChangeSubscription(watch::Sender<ChangeFilter>);

impl ChangeSubscription {
    /// Nothing, until the client is ready.
    pub(super) fn new(kinds: Kinds) -> Self {
        Self(watch::Sender::new(ChangeFilter { kinds, ..ChangeFilter::default() }))
    }

    /// The client may be told of changes from now on.
    pub(super) fn client_is_ready(&self) {
        self.0.send_modify(|filter| filter.ready = true);
    }

    /// Adds a resource or takes it away; `false` when there is no room for more.
    pub(super) fn subscribe(&self, uri: String, wanted: bool) -> bool {
        let has_room = !wanted || self.0.borrow().uris.len() < MAX_URIS;
        if has_room {
            self.0.send_if_modified(|filter| if wanted { filter.uris.insert(uri) } else { filter.uris.remove(&uri) });
        }
        has_room
    }
}

/// The next step when a stream is over.
enum AfterStream {
    Again,
    /// The server has no such thing.
    Rest,
}

/// Passes on what changes, from the client's `initialized` on.
pub(super) async fn follow(relay: Rc<Relay>, emulation: Rc<Emulation>) {
    let mut wanted = emulation.wanted.0.subscribe();
    let mut backoff = FIRST_RETRY;
    let mut missed = false;
    loop {
        let filter = wanted.borrow_and_update().clone();
        let listening = async {
            let Some(params) = filter.params() else { return std::future::pending().await };
            match listen(&relay, &emulation, &params, missed.then_some(&filter.kinds)).await {
                Ok(AfterStream::Again) => backoff = FIRST_RETRY,
                Ok(AfterStream::Rest) => return std::future::pending().await,
                Err(_) => backoff = (backoff * 2).min(LONGEST_RETRY),
            }
            missed = true;
            tokio::time::sleep(backoff).await;
        };
        tokio::select! {
            () = listening => {}
            changed = wanted.changed() => if changed.is_err() { return },
        }
    }
}

/// Listens until the stream ends. `missed`: these may have changed while no stream was open.
async fn listen(
    relay: &Relay,
    emulation: &Emulation,
    params: &RawValue,
    missed: Option<&Kinds>,
) -> Result<AfterStream, EndpointError> {
    let (id, stamped) = (emulation.next_id(), emulation.stamp(params));
    let mut text = Vec::new();
    write_request(&mut text, &id, method::LISTEN, stamped.get());
    let members = RawObject::from_raw(&stamped).unwrap_or_default();
    let mut stream = match emulation.stateless().post(relay, method::LISTEN, &members, &text).await {
        Ok(stream) => stream,
        Err(error) if error.status().is_some_and(|status| status.is_client_error() && status.as_u16() != 429) => {
            return Ok(AfterStream::Rest);
        }
        Err(error) => return Err(error),
    };
    let mut heard = false;
    while let Some(message) = stream.next().await? {
        match parse(message.as_bytes()) {
            Ok(Message::Notification { method, .. }) if method == method::LISTEN_ACKNOWLEDGED => {
                for (_, changed) in missed.into_iter().flat_map(|kinds| &kinds.0) {
                    relay.output.line(&notification(changed, None)).await;
                }
            }
            Ok(Message::Notification { method, params }) => relay.output.line(&notification(&method, params)).await,
            Ok(Message::Response { id: answered, .. }) if answered == id && !heard => return Ok(AfterStream::Rest),
            _ => {}
        }
        heard = true;
    }
    Ok(AfterStream::Again)
}

/// A notification without what says which stream it came on.
fn notification(of: &str, params: Option<&RawValue>) -> String {
    let params = params.and_then(|raw| RawObject::from_raw(raw).ok());
    let kept = params.as_ref().and_then(|params| params.get_object("_meta")).and_then(|mut meta| {
        meta.remove(meta::SUBSCRIPTION_ID);
        (!meta.is_empty()).then(|| meta.to_raw())
    });
    let params = params.map(|mut params| {
        match &kept {
            Some(meta) => params.set("_meta", meta),
            None => drop(params.remove("_meta")),
        }
        if params.is_empty() { String::new() } else { params.to_raw().get().to_owned() }
    });
    let mut message = Vec::new();
    write_notification(&mut message, of, &params.unwrap_or_default());
    String::from_utf8_lossy(&message).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_asks_for_what_is_declared_and_wanted_once_the_client_is_ready() {
        let capabilities = r#"{"tools":{"listChanged":true},"prompts":{"listChanged":false},"resources":{}}"#;
        let wanted = ChangeSubscription::new(Kinds::of(&RawObject::from_text(capabilities).expect("an object")));
        assert!(wanted.0.borrow().params().is_none());
        wanted.client_is_ready();
        let params = |wanted: &ChangeSubscription| {
            wanted.0.borrow().params().map(|raw| raw.get().to_owned()).unwrap_or_default()
        };
        assert_eq!(params(&wanted), r#"{"notifications":{"toolsListChanged":true}}"#);
        assert!(wanted.subscribe("a:\"b".into(), true));
        let both = r#"{"notifications":{"toolsListChanged":true,"resourceSubscriptions":["a:\"b"]}}"#;
        assert_eq!(params(&wanted), both);
        assert!(wanted.subscribe("a:\"b".into(), false) && !params(&wanted).contains("resource"));
        assert!((0..MAX_URIS).all(|n| wanted.subscribe(n.to_string(), true)));
        assert!(!wanted.subscribe("one more".into(), true));
    }

    #[test]
    fn a_client_is_not_told_which_stream_a_notification_came_on() {
        let of = |params: &str| notification("n", Some(&RawValue::from_string(params.to_owned()).expect("JSON")));
        let ours = r#""io.modelcontextprotocol/subscriptionId":"x""#;
        assert_eq!(
            of(&format!(r#"{{"uri":"a:b","_meta":{{{ours},"n":1}}}}"#)),
            r#"{"jsonrpc":"2.0","method":"n","params":{"uri":"a:b","_meta":{"n":1}}}"#
        );
        assert_eq!(of(&format!(r#"{{"_meta":{{{ours}}}}}"#)), r#"{"jsonrpc":"2.0","method":"n"}"#);
        assert_eq!(notification("n", None), r#"{"jsonrpc":"2.0","method":"n"}"#);
    }
}

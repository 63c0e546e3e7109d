//! `subscriptions/listen`: which subscriptions the gateway acknowledges and passes on to servers, and how a listener ends.

use std::{rc::Rc, time::Duration};

use bytes::Bytes;
use futures_util::{
    StreamExt as _,
    future::{join, join_all},
};
use mcproxy_ipc::ServerName;
use mcproxy_mcp::{ErrorCode, ErrorObject, RawObject, Subject, method};
use serde_json::json;

use crate::gateway::{
    base::reply::Reply,
    call::{incoming::Params, request_context::RequestContext, route},
    catalogue::{Changes, View},
    notify::subscriptions,
    sessions::{listen_filter::Filter, listener::Listener, mailbox::Mail, subscribers::Subscriber},
    state::Gateway,
    upstream::servers::Destination,
};

/// The acknowledgment waits this long for servers to confirm subscriptions; later ones are acknowledged unconfirmed.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(5);

/// The stream of one listener. Dropping it ends the subscriptions: the gateway unsubscribes at servers from what no other client wants.
pub(crate) struct Listening {
    gateway: Rc<Gateway>,
    listener: Rc<Listener>,
    mail: Mail,
}

impl Listening {
    /// Begins to listen. What servers do not offer or refuse is left out of the acknowledgment, which is the first message.
    pub(crate) async fn begin(context: &RequestContext, params: &Params<'_>) -> Result<Self, ErrorObject> {
        let asked = Filter::read(&params.members)?;
        if asked.tasks.as_ref().is_some_and(|ids| !ids.is_empty()) {
            takes_tasks(&context.downstream.capabilities())?;
        }
        let (gateway, view) = (context.gateway.clone(), context.view());
        let lists = offered(&view, asked.lists);
        let (scope, key) = (context.scope().clone(), context.downstream.key());
        let (listener, mail) = {
            let (id, seen) = (context.id().clone(), view.outline());
            Listener::new(id, scope, key, lists, seen, &gateway.budget)
        };
        gateway.listeners.add(listener.clone());
        let listening = Self { gateway, listener, mail };
        let resource = |uri: &str| match route::resource_named(context, uri) {
            Ok((server, own)) => {
                (context.view().subscribes(&server) != Some(false)).then_some((server, Subject::Resource(own)))
            }
            Err(_) => None,
        };
        let task =
            |id: &str| route::task_named(context, id).map(|(server, own)| (server, Subject::Task(own.to_owned())));
        let (resources, tasks) = join(
            listening.subscribe(context, asked.resources, resource),
            listening.subscribe(context, asked.tasks, task),
        )
        .await;
        listening.listener.acknowledge(&Filter { lists, resources, tasks }, context.view().outline());
        Ok(listening)
    }

    /// Which of these, as the client knows them, can be listened to; from then on they are.
    async fn subscribe(
        &self,
        context: &RequestContext,
        asked: Option<Vec<String>>,
        find: impl Fn(&str) -> Option<(ServerName, Subject)>,
    ) -> Option<Vec<String>> {
        let asked = asked?;
        let honoured = join_all(asked.iter().map(async |name| match find(name) {
            Some((server, subject)) => self.subscribe_to(context, server, subject).await,
            None => false,
        }))
        .await;
        Some(asked.into_iter().zip(honoured).filter(|(_, honoured)| *honoured).map(|(name, _)| name).collect())
    }

    /// Whether this can be listened to; from then on it is.
    async fn subscribe_to(&self, context: &RequestContext, server: ServerName, subject: Subject) -> bool {
        let gateway = &self.gateway;
        let held = subscriptions::is_held(gateway, &server, &subject);
        self.listener.add(server.clone(), subject.clone());
        gateway.subscribers.add(&server, &subject, Subscriber::listener(&self.listener));
        // A server that is not there yet is told when it is.
        if held || !matches!(gateway.servers.destination(server.as_str()), Destination::Connected(_)) {
            subscriptions::wake_for_listeners(gateway, &server);
            return true;
        }
        let told = route::subscription(context, method::RESOURCES_SUBSCRIBE, &server, &subject);
        let refused = matches!(tokio::time::timeout(CONFIRM_TIMEOUT, told).await, Ok(Some(Reply::Error(_))));
        if refused {
            self.listener.remove(&server, &subject);
            gateway.subscribers.remove(&server, &subject, &Subscriber::listener(&self.listener));
        }
        !refused
    }

    /// The next message; `None`: there are no more.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        self.mail.next().await
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.gateway.listeners.remove(&self.listener);
        subscriptions::release_listener(&self.gateway, &self.listener);
    }
}

/// Whether a client takes tasks; the error for one that does not (the tasks extension, task status notifications).
fn takes_tasks(capabilities: &str) -> Result<(), ErrorObject> {
    let extensions = RawObject::from_text(capabilities).ok().and_then(|all| all.get_object("extensions"));
    if extensions.is_some_and(|extensions| extensions.get(method::TASKS_EXTENSION).is_some()) {
        return Ok(());
    }
    let message = format!("the client has to declare the extension {} to hear of tasks", method::TASKS_EXTENSION);
    let required = json!({"extensions": {method::TASKS_EXTENSION: {}}});
    Err(ErrorObject::new(ErrorCode::MISSING_CLIENT_CAPABILITY, message).with("requiredCapabilities", required))
}

/// The lists that there are at an endpoint at all.
fn offered(view: &View, asked: Changes) -> Changes {
    let capabilities = RawObject::from_text(view.capabilities()).unwrap_or_default();
    let has = |key: &str| capabilities.get(key).is_some();
    Changes {
        tools: asked.tools && has("tools"),
        prompts: asked.prompts && has("prompts"),
        resources: asked.resources && has("resources"),
    }
}

//! The methods of the legacy era, the same for each transport.

use std::{rc::Rc, time::Instant};

use bytes::Bytes;
use mcproxy_mcp::{ErrorCode, ErrorObject, Level, ProtocolVersion, RawObject, RequestId, Subject, json_string, method};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{lifetime, task_requests};
use crate::gateway::{
    base::{client_declaration::Declaration, client_info::Client, pieces::Pieces, reply::Reply},
    call::{
        incoming::{Params, Request, read_members},
        lists,
        request_context::{Related, RequestContext},
        route, skills,
    },
    catalogue::{ListKind, View},
    downstream::{Downstream, request_meta, tasks},
    notify::{custom_notifications, subscriptions},
    sessions::{client_requests::Response, session::Session},
    state::Gateway,
};

/// Answers one request with a whole JSON-RPC response. `None`: the client cancelled it and wants none.
pub(crate) async fn answer(
    gateway: Rc<Gateway>,
    session: Rc<Session>,
    request: Request,
    related: Related,
) -> Option<Pieces> {
    let downstream = Downstream::Session(session.clone());
    let reply = match RequestContext::begin(gateway, downstream, related, &request, Instant::now()) {
        Ok(context) => reply(&context, &session, &request).await?,
        Err(refused) => refused.to_error().into(),
    };
    Some(reply.into_response(&request.id))
}

async fn reply(context: &RequestContext, session: &Rc<Session>, request: &Request) -> Option<Reply> {
    let params = match Params::read(&request.params) {
        Ok(params) if request_meta::names_version(params.meta.as_ref()) => return Some(of_another_dialect().into()),
        Ok(params) => params,
        Err(error) => return Some(error.into()),
    };
    let page = |(_, page): (Rc<View>, Bytes)| Reply::Page(Bytes::new(), page);
    let done = match request.method.as_str() {
        method::TOOLS_CALL => return route::tool(context, params).await,
        method::PROMPTS_GET => return route::prompt(context, params).await,
        method::RESOURCES_READ => return route::read(context, params).await,
        method::COMPLETE => return route::complete(context, params).await,
        method::TOOLS_LIST => lists::page(context, ListKind::Tools, &params).await.map(page),
        method::PROMPTS_LIST => lists::page(context, ListKind::Prompts, &params).await.map(page),
        method::RESOURCES_LIST => lists::page(context, ListKind::Resources, &params).await.map(page),
        method::TEMPLATES_LIST => lists::page(context, ListKind::Templates, &params).await.map(page),
        method::RESOURCES_SUBSCRIBE => return Some(subscribe(context, session, &params).await),
        method::RESOURCES_UNSUBSCRIBE => return Some(unsubscribe(context, session, &params).await),
        method::SET_LEVEL => set_level(context, session, &params),
        method::PING => Ok("{}".into()),
        method::INITIALIZE => initialize(context, session, &params).await,
        method::TASKS_GET if has_tasks(context, session) => {
            return task_requests::answer(context, session, method::TASKS_GET, params).await;
        }
        method::TASKS_RESULT if has_tasks(context, session) => {
            return task_requests::answer(context, session, method::TASKS_RESULT, params).await;
        }
        method::TASKS_CANCEL if has_tasks(context, session) => {
            return task_requests::answer(context, session, method::TASKS_CANCEL, params).await;
        }
        method::TASKS_LIST if has_tasks(context, session) => {
            return task_requests::answer(context, session, method::TASKS_LIST, params).await;
        }
        known if skills::is_method(known) && context.view().has_skills() => {
            return skills::answer(context, known, params).await;
        }
        unknown => match route::extension_method(context, unknown, params).await {
            Ok(reply) => return reply,
            Err(()) => {
                Err(ErrorObject::new(ErrorCode::METHOD_NOT_FOUND, format_args!("there is no method {unknown:?}")))
            }
        },
    };
    Some(done.unwrap_or_else(Reply::from))
}

/// The headers of such a request, and the session, say something else than its body.
fn of_another_dialect() -> ErrorObject {
    let message = "the `_meta` of the request names its protocol version, as in 2026-07-28, but its Mcp-Protocol-Version header does not";
    ErrorObject::new(ErrorCode::HEADER_MISMATCH, message)
}

fn has_tasks(context: &RequestContext, session: &Session) -> bool {
    tasks::may_be_asked_about(session, &context.view())
}

/// The params of `initialize`.
pub(crate) struct InitializeParams {
    /// The negotiated version.
    pub(crate) version: ProtocolVersion,
    /// Name and version of the client.
    pub(crate) client: Client,
    /// The same, as servers are told.
    pub(crate) declaration: Declaration,
}

impl InitializeParams {
    /// Reads the params of `initialize`.
    pub(crate) fn read(params: &Params<'_>) -> Result<Self, ErrorObject> {
        let version = ProtocolVersion::negotiate(&params.required("protocolVersion")?);
        let client = Client::read(&params.members);
        let declaration = Declaration::read(&params.members, &client);
        Ok(Self { version, client, declaration })
    }
}

/// Opens the conversation: versions, capabilities and instructions, all from what the gateway knows at this moment; it
/// never waits for a server.
pub(crate) fn welcome(gateway: &Gateway, session: &Session) -> Reply {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct ServerInfo {
        name: &'static str,
        title: &'static str,
        version: &'static str,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct InitializeResult<'a> {
        protocol_version: &'a str,
        capabilities: &'a RawValue,
        server_info: ServerInfo,
        #[serde(skip_serializing_if = "Option::is_none")]
        instructions: Option<&'a str>,
    }
    let view = gateway.servers.view(session.scope());
    session.begin_lists(view.outline());
    let capabilities =
        RawValue::from_string(view.session_capabilities().to_owned()).expect("a view's capabilities are JSON");
    session.tasks.set_offered(tasks::are_offered(session, &view));
    let with_tasks = tasks::are_offered(session, &view).then(|| {
        let tasks = RawValue::from_string(tasks::CAPABILITY.to_owned()).expect("it is JSON");
        let mut all = RawObject::from_raw(&capabilities).unwrap_or_default();
        all.set("tasks", &tasks);
        all.to_raw()
    });
    let capabilities = with_tasks.unwrap_or(capabilities);
    let result = InitializeResult {
        protocol_version: session.version().as_str(),
        capabilities: &capabilities,
        server_info: ServerInfo { name: "mcproxy", title: "MCProxy", version: env!("CARGO_PKG_VERSION") },
        instructions: view.instructions(),
    };
    Reply::Result(serde_json::to_vec(&result).expect("strings and raw JSON are JSON").into())
}

/// The 2024-11-05 transport opens the session before it says who it is; elsewhere this is a client that repeats itself.
async fn initialize(context: &RequestContext, session: &Session, params: &Params<'_>) -> Result<Reply, ErrorObject> {
    let InitializeParams { version, client, declaration } = InitializeParams::read(params)?;
    session.set_version(version);
    session.set_features(client.features);
    session.set_declaration(declaration);
    context.gateway.servers.looked_up(session.scope()).await;
    Ok(welcome(&context.gateway, session))
}

fn set_level(context: &RequestContext, session: &Rc<Session>, params: &Params<'_>) -> Result<Reply, ErrorObject> {
    let text = params.required("level")?;
    let level = Level::parse(&text)
        .ok_or_else(|| ErrorObject::new(ErrorCode::INVALID_PARAMS, format_args!("there is no log level {text:?}")))?;
    context.gateway.sessions.set_level(session, level);
    lifetime::remember(&context.gateway, session);
    // A shared server is asked for the most verbose level; each session is filtered by its own.
    let Gateway { servers, sessions, .. } = &*context.gateway;
    for (server, connection) in servers.connections(session.scope()) {
        if connection.is_per_session() {
            let params = format!("{{\"level\":{}}}", json_string(level.as_str()).get());
            tokio::task::spawn_local(connection.tell(method::SET_LEVEL, params, Some(session.key())));
            continue;
        }
        let level_of_all = sessions.most_verbose(|scope| servers.shows(scope, &server));
        tokio::task::spawn_local(connection.tell_level(level_of_all.unwrap_or(level)));
    }
    Ok("{}".into())
}

async fn subscribe(context: &RequestContext, session: &Session, params: &Params<'_>) -> Reply {
    let (server, uri) = match route::resource(context, params) {
        Ok(target) => target,
        Err(error) => return error.into(),
    };
    let subject = Subject::Resource(uri.clone());
    let held = subscriptions::is_held(&context.gateway, &server, &subject);
    if !subscriptions::add(&context.gateway, session, &server, &uri) {
        return ErrorObject::new(
            ErrorCode::INVALID_PARAMS,
            "too many subscriptions in this session, or of all (limits.totalBuffered), or a URI of more than 8 KiB",
        )
        .into();
    }
    if held {
        lifetime::remember(&context.gateway, session);
        return "{}".into();
    }
    match route::subscription(context, method::RESOURCES_SUBSCRIBE, &server, &subject).await {
        Some(reply @ Reply::Result(_)) => {
            lifetime::remember(&context.gateway, session);
            reply
        }
        Some(error) => {
            subscriptions::remove(&context.gateway, session, &server, &uri);
            error
        }
        None => "{}".into(),
    }
}

async fn unsubscribe(context: &RequestContext, session: &Session, params: &Params<'_>) -> Reply {
    let (server, uri) = match route::resource(context, params) {
        Ok(target) => target,
        Err(error) => return error.into(),
    };
    let had = subscriptions::remove(&context.gateway, session, &server, &uri);
    lifetime::remember(&context.gateway, session);
    let subject = Subject::Resource(uri);
    if !had || subscriptions::is_held(&context.gateway, &server, &subject) {
        return "{}".into();
    }
    let reply = route::subscription(context, method::RESOURCES_UNSUBSCRIBE, &server, &subject).await;
    reply.unwrap_or_else(|| "{}".into())
}

/// Takes in the answer to a question of ours.
pub(crate) fn answered(session: &Session, id: &RequestId, response: Response) {
    session.touch(Instant::now());
    session.client_requests.answered(id, response);
}

/// Takes note of a notification.
pub(crate) fn notice(gateway: &Gateway, session: &Session, notification: &str, params: &[u8]) {
    session.touch(Instant::now());
    if notification == method::CANCELLED
        && let Ok(params) = read_members(params)
        && let Some(id) = params.get("requestId").and_then(|raw| RequestId::from_raw(raw).ok())
    {
        session.pending_requests.cancel(&id, params.get_string("reason").map(|r| r.chars().take(1024).collect()));
    }
    if notification == method::ROOTS_CHANGED {
        // That is all that a server which others share could be told, and it would ask one of them.
        for (_, connection) in gateway.servers.connections(session.scope()) {
            if connection.is_per_session() {
                connection.roots_changed(session.key());
            }
        }
    }
    if notification == method::PROGRESS
        && let Ok(params) = read_members(params)
    {
        session.client_requests.progress(params);
    }
    if method::is_custom_notification(notification) {
        custom_notifications::to_server(gateway, session.scope(), session.key(), notification, params);
    }
    // `initialized` needs nothing of us.
}

//! The methods that go to a server: which one, and under what name there.

use mcproxy_ipc::ServerName;
use mcproxy_mcp::{
    ErrorCode, ErrorObject, RawObject, RawValue, Subject, json_string, method, split_name, split_task, split_uri,
};

use super::{
    approval::NeededApproval,
    audit::{AuditedCall, AuditedRequest, Called},
    builtin_tools,
    forward::{Forward, wait_for},
    incoming::Params,
    large_result,
    request_context::RequestContext,
    tool_search::{self, CallTarget},
};
use crate::gateway::{
    base::{metrics::OutcomeLabel, reply::Reply, scope::EndpointScope},
    builtin,
    catalogue::ListKind,
    downstream::tasks::no_such_task,
    rewrite::{self, Naming, ResultRewrite},
    state::kept_results::is_result,
};

/// Most characters of a name that there is not that are recorded.
const MAX_UNKNOWN: usize = 256;

/// `tools/call`
pub(crate) async fn tool(context: &RequestContext, mut params: Params<'_>) -> Option<Reply> {
    drop_null_arguments(&mut params);
    let headers = match tool_search::step(context, &mut params).await {
        CallTarget::Answered(reply) => return Some(reply),
        // Its client knows of no headers of this tool.
        CallTarget::Unwrapped => Headers::NotOfTool,
        CallTarget::Plain => Headers::OfTool,
    };
    let (server, name) = match find(context, ListKind::Tools, &params, headers).await {
        Ok(target) => target,
        Err(error) => return Some(not_called(context, method::TOOLS_CALL, &params, error)),
    };
    if server.as_str() == builtin::NAME {
        let arguments = params.members.get("arguments").map(RawValue::get);
        // At its own endpoint it speaks of all that the client may use.
        let shows = |server: &ServerName| match &context.scope().endpoint {
            EndpointScope::Server(own) if own.as_str() == builtin::NAME => {
                context.gateway.servers.reaches(&context.scope().holder, server)
            }
            _ => context.gateway.servers.shows(context.scope(), server),
        };
        let request = AuditedRequest::of(context, method::TOOLS_CALL, &params.members);
        let called = Called { server: builtin::NAME, method: method::TOOLS_CALL.into(), name: &name, definition: None };
        let audited = match AuditedCall::begin(context, request, called) {
            Ok(audited) => audited,
            Err(error) => return Some(error.into()),
        };
        let is_limited = context.gateway.servers.is_limited(&context.scope().holder);
        let reply = builtin_tools::run(context, shows, is_limited, &name, arguments).await;
        if let Some(audited) = audited {
            audited.end(OutcomeLabel::Result.as_str(), Some(&reply));
        }
        return Some(reply);
    }
    let definition = definition(context, &params);
    let approval = NeededApproval::of(context, &params, &server, &name);
    let own = json_string(&name);
    params.members.set("name", &own);
    let own_refs = own_refs(context, &server, &params);
    params.set_meta(&own_refs);
    let makes_task =
        params.members.get("task").is_some() && context.downstream.makes_tasks_at(&server, &context.view());
    let (rewrite, owner): (ResultRewrite, _) =
        if makes_task { (rewrite::created_task, Some(server.clone())) } else { (rewrite::call_result, None) };
    let call = Forward::new(context, method::TOOLS_CALL, server.clone(), params);
    let mut call = call.named(name).defined(definition).needing(approval);
    let reply = call.run(rewrite).await;
    if let (Some(owner), Some(Reply::Result(result))) = (&owner, &reply)
        && let Err(error) = context.downstream.remember_task(&context.gateway.task_owners, owner, result)
    {
        return Some(error.into());
    }
    Some(large_result::bound(context, &server, reply?).await)
}

/// Records a call that went to no server: of what there is not, or not for this client, or not now.
fn not_called(context: &RequestContext, called: &'static str, params: &Params<'_>, error: ErrorObject) -> Reply {
    let reply = Reply::from(error);
    let request = AuditedRequest::of(context, called, &params.members);
    let name: String = params.members.get_string("name").unwrap_or_default().chars().take(MAX_UNKNOWN).collect();
    let called = Called { server: "", method: called.into(), name: &name, definition: None };
    // It is not made, whether it can be recorded or not.
    if let Ok(Some(audited)) = AuditedCall::begin(context, request, called) {
        audited.end("not_called", Some(&reply));
    }
    reply
}

/// The digest of the definition of the tool that params name, where calls are recorded.
fn definition(context: &RequestContext, params: &Params<'_>) -> Option<[u8; 32]> {
    let name = params.members.get_string("name").filter(|_| context.gateway.audit.is_on())?;
    context.view().tool_digest(&name)
}

/// `prompts/get`
pub(crate) async fn prompt(context: &RequestContext, mut params: Params<'_>) -> Option<Reply> {
    drop_null_arguments(&mut params);
    let (server, name) = match find(context, ListKind::Prompts, &params, Headers::OfTool).await {
        Ok(target) => target,
        Err(error) => return Some(not_called(context, method::PROMPTS_GET, &params, error)),
    };
    let own = json_string(&name);
    params.members.set("name", &own);
    let own_refs = own_refs(context, &server, &params);
    params.set_meta(&own_refs);
    Forward::new(context, method::PROMPTS_GET, server, params).named(name).run(rewrite::prompt_result).await
}

/// Some clients write all members that they know of, and servers refuse arguments that are no object. (`_meta` travels apart, and
/// only as an object.)
fn drop_null_arguments(params: &mut Params<'_>) {
    for member in ["arguments", "task"] {
        if params.members.get(member).is_some_and(|value| value.get() == "null") {
            params.members.remove(member);
        }
    }
}

/// `resources/read`
pub(crate) async fn read(context: &RequestContext, mut params: Params<'_>) -> Option<Reply> {
    if let Some(uri) = params.members.get_string("uri").filter(|uri| is_result(uri)) {
        return Some(large_result::resource(context, &uri));
    }
    let (server, uri) = match resource(context, &params) {
        Ok(target) => target,
        Err(error) => return Some(error.into()),
    };
    let own = json_string(&uri);
    params.members.set("uri", &own);
    let own_refs = own_refs(context, &server, &params);
    params.set_meta(&own_refs);
    Forward::new(context, method::RESOURCES_READ, server, params).run(rewrite::read_result).await
}

/// `completion/complete`
pub(crate) async fn complete(context: &RequestContext, mut params: Params<'_>) -> Option<Reply> {
    let view = context.view();
    let prompt = |name: &str| match view.prompt(name) {
        Some(target) => Some((target.server.clone(), target.name.to_owned())),
        None => unlisted(context, ListKind::Prompts, name),
    };
    let resource = |uri: &str| resource_named(context, uri).ok();
    let (server, reference) = match rewrite::completion_ref(&params.members, prompt, resource) {
        Ok(target) => target,
        Err(error) => return Some(error.into()),
    };
    params.members.set("ref", &reference);
    Forward::new(context, method::COMPLETE, server, params).run(rewrite::unchanged).await
}

/// `tasks/get`, `tasks/update`, `tasks/cancel` (the tasks extension of 2026-07-28, and tasks of 2025-11-25) and `tasks/result`
pub(crate) async fn task(context: &RequestContext, method: &'static str, mut params: Params<'_>) -> Option<Reply> {
    let id = match params.required("taskId") {
        Ok(id) => id,
        Err(error) => return Some(error.into()),
    };
    let Some((server, own)) = task_named(context, &id) else {
        return Some(no_such_task(&id).into());
    };
    let own = json_string(own);
    params.members.set("taskId", &own);
    if method == method::TASKS_RESULT {
        let outcome = Forward::new(context, method, server.clone(), params).run(rewrite::task_outcome).await?;
        return Some(large_result::bound(context, &server, outcome).await);
    }
    Forward::new(context, method, server, params).run(rewrite::task_result).await
}

/// Which server a task belongs to, if it has tasks, and the task's id there.
pub(crate) fn task_named<'i>(context: &RequestContext, id: &'i str) -> Option<(ServerName, &'i str)> {
    let (server, own) = match context.naming() {
        Naming::Own => (known_server(context, None)?, id),
        Naming::Qualified => {
            let (server, own) = split_task(id)?;
            (known_server(context, Some(server))?, own)
        }
    };
    // A session has made the tasks that it asks for.
    let has_tasks = context.downstream.owns_tasks() || context.view().has_tasks(&server);
    has_tasks.then_some((server, own))
}

/// A method that no revision knows: it goes to the one server of the endpoint that declares the extension it belongs to,
/// with its params as they are. `Err`: there is no such server, or several. `Ok(None)`: the client cancelled the call.
pub(crate) async fn extension_method(
    context: &RequestContext,
    method: &str,
    params: Params<'_>,
) -> Result<Option<Reply>, ()> {
    let server = context.view().owner_of(method).cloned().ok_or(())?;
    Ok(Forward::new(context, method.to_owned(), server, params).run(rewrite::unchanged).await)
}

/// A method that names what is listened to and nothing else.
pub(crate) async fn subscription(
    context: &RequestContext,
    method: &'static str,
    server: &ServerName,
    subject: &Subject,
) -> Option<Reply> {
    let params = subject.params();
    let params = Params::of(RawObject::from_text(&params).unwrap_or_default());
    Forward::new(context, method, server.clone(), params).run(rewrite::unchanged).await
}

/// Which server the resource belongs to that the params name, and its URI there.
pub(crate) fn resource(context: &RequestContext, params: &Params<'_>) -> Result<(ServerName, String), ErrorObject> {
    resource_named(context, &params.required("uri")?)
}

/// The same of a resource.
pub(crate) fn resource_named(context: &RequestContext, uri: &str) -> Result<(ServerName, String), ErrorObject> {
    if let Some(target) = context.view().resource(uri) {
        return Ok(target);
    }
    // Not shown at this moment: the server may be starting, or down with an error worth telling.
    let target = match context.naming() {
        Naming::Own => known_server(context, None).map(|server| (server, uri.to_owned())),
        Naming::Qualified => {
            split_uri(uri).and_then(|(server, own)| Some((known_server(context, Some(&*server))?, own)))
        }
    };
    let servers = &context.gateway.servers;
    target.filter(|(server, _)| servers.shows_all_of(context.scope(), server)).ok_or_else(|| {
        ErrorObject::new(ErrorCode::RESOURCE_NOT_FOUND, format_args!("there is no resource {uri:?}")).with("uri", uri)
    })
}

/// The members of a request's `_meta` that refer to resources, with the server's own URIs.
fn own_refs(context: &RequestContext, server: &ServerName, params: &Params<'_>) -> Vec<(&'static str, Box<RawValue>)> {
    match (&params.meta, context.naming()) {
        (Some(meta), Naming::Qualified) => rewrite::own_refs(server.as_str(), meta),
        (None, _) | (_, Naming::Own) => Vec::new(),
    }
}

/// Whether a request's headers repeat arguments of the tool that it calls.
#[derive(Debug, Clone, Copy)]
enum Headers {
    /// They do, where the tool wants that.
    OfTool,
    /// They are those of another tool.
    NotOfTool,
}

/// Which server a tool or prompt belongs to, and its name there; waits for the server if it is starting. What a server has
/// not listed it may know all the same.
async fn find(
    context: &RequestContext,
    kind: ListKind,
    params: &Params<'_>,
    headers: Headers,
) -> Result<(ServerName, String), ErrorObject> {
    let name = params.required("name")?;
    if params.members.get("task").is_some() && !context.downstream.may_want_task(&context.view()) {
        return Err(ErrorObject::new(ErrorCode::INVALID_PARAMS, "tasks are not supported here"));
    }
    let look_up = || {
        let view = context.view();
        let target = if kind == ListKind::Tools { view.tool(&name) } else { view.prompt(&name) }?;
        let agreed = match headers {
            Headers::OfTool => context.downstream.check_headers(target.mirrored, params.members.get("arguments")),
            Headers::NotOfTool => Ok(()),
        };
        Some(agreed.map(|()| (target.server.clone(), target.name.to_owned())))
    };
    if let Some(found) = look_up() {
        return found;
    }
    // Not shown at this moment. If its server is known, that server's state is the answer.
    let Some((server, own)) = unlisted(context, kind, &name) else {
        return Err(unknown_name(context, kind, &name));
    };
    wait_for(context, &server, params.progress_token()).await?;
    look_up().unwrap_or(Ok((server, own)))
}

/// The server that a name points to, though it is in no list, and what it is called there. Its tool rules hold as for what is
/// listed.
fn unlisted(context: &RequestContext, kind: ListKind, name: &str) -> Option<(ServerName, String)> {
    let (server, shown) = match context.naming() {
        Naming::Own => (known_server(context, None)?, name),
        Naming::Qualified => {
            let (server, shown) = split_name(name)?;
            (known_server(context, Some(server))?, shown)
        }
    };
    let own = context.gateway.servers.unlisted(context.scope(), &server, kind, shown)?;
    Some((server, own))
}

/// The server of that name, or the only one of the endpoint, if it is configured and shown there.
fn known_server(context: &RequestContext, name: Option<&str>) -> Option<ServerName> {
    let scope = context.scope();
    let name = match (&scope.endpoint, name) {
        (_, Some(name)) => ServerName::try_from(name).ok()?,
        (EndpointScope::Server(server), None) => server.clone(),
        (EndpointScope::All | EndpointScope::Group(_) | EndpointScope::Search(_), None) => return None,
    };
    let servers = &context.gateway.servers;
    (servers.shows(scope, &name) && servers.route(name.as_str()).is_some()).then_some(name)
}

fn unknown_name(context: &RequestContext, kind: ListKind, name: &str) -> ErrorObject {
    let shown: String = name.chars().take(128).collect();
    let message = match kind {
        ListKind::Tools => match context.view().nearest_tool(name) {
            Some(near) => format!("Unknown tool: {shown}; did you mean {near}?"),
            None => format!("Unknown tool: {shown}"),
        },
        _ => format!("Unknown prompt: {shown}"),
    };
    ErrorObject::new(ErrorCode::INVALID_PARAMS, message)
}

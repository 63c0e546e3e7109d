//! The methods of this dialect.

use mcproxy_mcp::{ErrorCode, ErrorObject, ProtocolVersion, json_string, meta, method};

use super::{cache_hints, method_names::list_of};
use crate::gateway::{
    base::reply::Reply,
    call::{incoming::Params, lists, request_context::RequestContext, route, skills},
    catalogue::{CacheHints, ListKind},
};

/// Answers a request that is valid, see [`super::validate`].
pub(crate) async fn answer(context: &RequestContext, method: &str, params: Params<'_>) -> Reply {
    if let Some(kind) = list_of(method) {
        return list(context, kind, &params).await.unwrap_or_else(Reply::from);
    }
    let done = match method {
        method::DISCOVER => {
            context.gateway.servers.looked_up(context.scope()).await;
            Some(discover(context))
        }
        method::TOOLS_CALL => route::tool(context, params).await,
        method::PROMPTS_GET => route::prompt(context, params).await,
        method::RESOURCES_READ => route::read(context, params).await,
        method::COMPLETE => route::complete(context, params).await,
        method::TASKS_GET => route::task(context, method::TASKS_GET, params).await,
        method::TASKS_UPDATE => route::task(context, method::TASKS_UPDATE, params).await,
        method::TASKS_CANCEL => route::task(context, method::TASKS_CANCEL, params).await,
        known if skills::is_method(known) && context.view().has_skills() => {
            skills::answer(context, known, params).await
        }
        unknown => route::extension_method(context, unknown, params).await.unwrap_or_default(),
    };
    // A client cancels by closing the stream; then there is no response.
    done.unwrap_or_else(|| ErrorObject::new(ErrorCode::INTERNAL_ERROR, "there is no answer to this request").into())
}

/// Versions, capabilities and instructions, from what is known at this moment: it never waits for a server.
fn discover(context: &RequestContext) -> Reply {
    let view = context.view();
    let versions = ProtocolVersion::ALL.map(|version| json_string(version.as_str()).get().to_owned()).join(",");
    let mut out = format!("{{\"supportedVersions\":[{versions}],\"capabilities\":{}", view.capabilities());
    if let Some(instructions) = view.instructions() {
        out.push_str(",\"instructions\":");
        out.push_str(json_string(instructions).get());
    }
    // The result changes when any list does.
    let caching =
        ListKind::ALL.map(|kind| cache_hints::of_list(context, &view, kind)).into_iter().reduce(CacheHints::and);
    out.push(',');
    out.push_str(&caching.expect("there are four lists").to_members());
    out.push(',');
    out.push_str(&own_meta());
    out.push('}');
    Reply::Result(out.into())
}

async fn list(context: &RequestContext, kind: ListKind, params: &Params<'_>) -> Result<Reply, ErrorObject> {
    let (view, page) = lists::page(context, kind, params).await?;
    let caching = cache_hints::of_list(context, &view, kind);
    let before = format!("{{{},{},", caching.to_members(), own_meta());
    // A page is an object with at least one member.
    Ok(Reply::Page(before.into(), page.slice(1..)))
}

/// The `_meta` of results that are our own.
fn own_meta() -> String {
    let info = format!("{{\"name\":\"mcproxy\",\"title\":\"MCProxy\",\"version\":\"{}\"}}", env!("CARGO_PKG_VERSION"));
    format!("\"_meta\":{{\"{}\":{info}}}", meta::SERVER_INFO)
}

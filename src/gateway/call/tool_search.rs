//! Calls at an endpoint where tools are found instead of listed.

use mcproxy_ipc::MAX_EMBED_TEXT;
use mcproxy_mcp::{RawObject, RawValue};
use mcproxy_search::Hit;

use super::{incoming::Params, request_context::RequestContext};
use crate::gateway::{
    base::{offload::offload, reply::Reply, scope::EndpointScope},
    builtin::{
        render::render_error,
        search_tools::{self, ToolQuery, read_names, read_search, render_described, render_found},
    },
    catalogue::{Meaning, View},
    state::Gateway,
};

/// Longest schema that goes into the answer to wrong arguments, in bytes.
const MAX_SCHEMA: usize = 4096;

/// What is to be done about a `tools/call`.
pub(super) enum CallTarget {
    /// The gateway has answered it.
    Answered(Reply),
    /// It is another tool's, which the params now name.
    Unwrapped,
    /// It is what it says.
    Plain,
}

/// Answers a call of one of the tools that find others, and takes a call out of `call_tool`: from there on it is a direct one, so
/// that it keeps all that such a call has.
pub(super) async fn step(context: &RequestContext, params: &mut Params<'_>) -> CallTarget {
    if !matches!(context.scope().endpoint, EndpointScope::Search(_)) {
        return CallTarget::Plain;
    }
    let Some(name) = params.members.get_string("name") else { return CallTarget::Plain };
    let arguments = params.members.get("arguments").map(RawValue::get);
    let answer = match &*name {
        search_tools::FIND => match read_search(arguments) {
            Ok(search) => found(context, search).await,
            Err(why) => render_error(&why),
        },
        search_tools::DESCRIBE => match read_names(arguments) {
            Ok(names) => described(context, &names),
            Err(why) => render_error(&why),
        },
        search_tools::CALL => match unwrap(params, &context.view()) {
            Ok(()) => return CallTarget::Unwrapped,
            Err(why) => render_error(&why),
        },
        _ => return CallTarget::Plain,
    };
    CallTarget::Answered(Reply::Result(answer.into()))
}

/// The tools of a view that fit a query, best first, of one server or of all. Many are searched on another thread.
pub(super) async fn find(gateway: &Gateway, view: &View, query: &str, of: Option<&str>) -> Vec<Hit> {
    let meaning = meaning(gateway, query).await;
    let finder = view.finder();
    if !view.is_large() {
        return finder.find(query, of, meaning.as_ref());
    }
    let (query, of) = (query.to_owned(), of.map(str::to_owned));
    offload(move || finder.find(&query, of.as_deref(), meaning.as_ref())).await.unwrap_or_default()
}

/// What a query means, beside what tools mean; `None`: that is not known, or not in time. Then the words alone decide.
async fn meaning(gateway: &Gateway, query: &str) -> Option<Meaning> {
    let embedder = &gateway.embedder;
    if embedder.vectors().is_empty() {
        return None;
    }
    let text = query[..query.floor_char_boundary(MAX_EMBED_TEXT)].to_owned();
    let (of, vectors) = embedder.embed(vec![text], false, gateway.settings().search_timeout).await?;
    let query = vectors.into_iter().next()?;
    Some(Meaning { vectors: embedder.vectors_like(of, &query)?, query })
}

async fn found(context: &RequestContext, search: ToolQuery) -> String {
    let view = context.view();
    let hits = find(&context.gateway, &view, &search.query, search.server.as_deref()).await;
    let mut tools: Vec<_> = hits.iter().filter_map(|hit| view.found(hit)).collect();
    let all = tools.len();
    tools.truncate(search.limit);
    render_found(&search, all, &tools)
}

fn described(context: &RequestContext, names: &[String]) -> String {
    let view = context.view();
    let readers = context.downstream.readers();
    render_described(names.iter().map(|name| view.tool_json(name, readers).ok_or_else(|| unknown(&view, name))))
}

/// Puts the name and the arguments of the tool that is to be called in the place of `call_tool`'s.
fn unwrap(params: &mut Params<'_>, view: &View) -> Result<(), String> {
    let wrapped = params.members.get("arguments").map(RawObject::from_raw);
    let Some(Ok(wrapped)) = wrapped else { return Err("`arguments` of call_tool must be an object".into()) };
    let (Some(name), Some(own)) = (wrapped.get("name"), wrapped.get_string("name")) else {
        return Err("`name` must be the name of a tool; find_tools finds it".into());
    };
    if matches!(&*own, search_tools::FIND | search_tools::DESCRIBE | search_tools::CALL) {
        return Err(format!("call {own} itself, not by call_tool"));
    }
    let arguments = wrapped.get("arguments").filter(|arguments| arguments.get() != "null");
    if arguments.is_some_and(|arguments| !arguments.get().starts_with('{')) {
        return Err(format!("`arguments` must be an object: those of {own}"));
    }
    if !own.contains("__") && view.tool(&own).is_none() {
        return Err(unknown(view, &own));
    }
    let mistakes = view.mistakes(&own, arguments.map_or("{}", RawValue::get));
    if !mistakes.is_empty() {
        return Err(wrong_arguments(&own, &mistakes, view.input_schema(&own)));
    }
    params.members.set("name", name);
    match arguments {
        Some(arguments) => params.members.set("arguments", arguments),
        None => drop(params.members.remove("arguments")),
    }
    Ok(())
}

/// What a model needs to call it rightly.
fn wrong_arguments(name: &str, mistakes: &[String], schema: Option<&str>) -> String {
    let schema = schema.filter(|schema| schema.len() <= MAX_SCHEMA);
    let schema =
        schema.map_or_else(|| "describe_tools shows its schema.".to_owned(), |schema| format!("Its schema: {schema}"));
    format!("{name} was not called, its arguments are wrong:\n- {}\n{schema}", mistakes.join("\n- "))
}

fn unknown(view: &View, name: &str) -> String {
    let shown: String = name.chars().take(128).collect();
    let near = view.nearest_tool(name).map(|near| format!(" Did you mean {near}?")).unwrap_or_default();
    format!("There is no tool {shown:?}.{near} find_tools finds what there is.")
}

//! Results that are larger than `limits.maxResult` of their server: the client gets the beginning, and reads on where it wants to.

mod part;
mod shorten;

use std::{rc::Rc, time::Instant};

use bytes::Bytes;
use mcproxy_ipc::ServerName;
use mcproxy_mcp::{ErrorCode, ErrorObject, ProtocolVersion};
use serde_json::json;

pub(super) use self::part::ResultPart;
use self::shorten::{Shortened, shorten};
use super::request_context::RequestContext;
use crate::gateway::{
    base::{budget::Purpose, offload::offload, reply::Reply},
    builtin,
    state::kept_results::{KeptResult, ResultReader},
};

/// A result of more bytes than this is shortened on another thread.
const LARGE: usize = 256 * 1024;

/// Shortens the result of a tool where it is larger than its server may show.
pub(super) async fn bound(context: &RequestContext, server: &ServerName, reply: Reply) -> Reply {
    let most = context.gateway.servers.result_bytes(server.as_str());
    match (reply, most) {
        (Reply::Result(result), Some(most)) if result.len() > most => shown(context, most, result).await,
        (reply, _) => reply,
    }
}

/// The beginning of a result; the whole is kept.
async fn shown(context: &RequestContext, most: usize, result: Bytes) -> Reply {
    let bytes = result.clone();
    let work = move || shorten(std::str::from_utf8(&bytes).ok()?, most);
    let shortened = if result.len() > LARGE { offload(work).await.flatten() } else { work() };
    let Some(shortened) = shortened else { return Reply::Result(result) };
    drop(result);
    answer(context, keep(context, most, shortened))
}

/// A result of ours, where there is room for it.
fn answer(context: &RequestContext, text: String) -> Reply {
    match context.gateway.budget.guard_large(Purpose::Answers, text.into()) {
        Ok(result) => Reply::Result(result),
        Err(full) => ErrorObject::new(ErrorCode::INTERNAL_ERROR, full).into(),
    }
}

fn keep(context: &RequestContext, most: usize, mut shortened: Shortened) -> String {
    let whole = shortened.take_whole();
    let (all, offset) = (whole.text.len(), whole.shown);
    let begin = format!("This is the beginning of a result of {all} bytes (limits.maxResult of its server is {most}).");
    let gateway = &context.gateway;
    let kept = gateway.kept_results.keep(&gateway.budget, reader(context), whole.mime_type, whole.text, Instant::now());
    match kept {
        Ok(uri) => {
            let tool = builtin::qualified(builtin::READ_RESULT);
            let how = match context.view().tool(&tool) {
                Some(_) => format!("call {tool} with {}", json!({"uri": uri, "offset": offset})),
                None => format!("read the resource {uri}?offset={offset}&length={}", ResultPart::DEFAULT_LENGTH),
            };
            let links = context.downstream.version() >= ProtocolVersion::V2025_06_18;
            shortened.into_result(&format!("{begin} To read on, {how}."), links.then_some((&uri, all)))
        }
        Err(why) => shortened.into_result(&format!("{begin} The rest was not kept: {why}."), None),
    }
}

/// A result that was kept for this client. `Err`: why there is none.
pub(super) fn read(context: &RequestContext, uri: &str) -> Result<Rc<KeptResult>, ErrorObject> {
    context.gateway.kept_results.read(uri, &reader(context), Instant::now()).ok_or_else(|| {
        let message = format!(
            "there is no result {uri:?}: it was not kept for this session, or is not any more; call the tool again"
        );
        ErrorObject::new(ErrorCode::RESOURCE_NOT_FOUND, message).with("uri", uri)
    })
}

/// `resources/read` of a result that was kept, or of a part of it.
pub(super) fn resource(context: &RequestContext, uri: &str) -> Reply {
    let (plain, part) = match ResultPart::of_uri(uri) {
        Ok(asked) => asked,
        Err(why) => return ErrorObject::new(ErrorCode::INVALID_PARAMS, why).into(),
    };
    match read(context, plain) {
        Ok(kept) => {
            let text = &kept.text[part.range(&kept.text)];
            answer(context, json!({"contents": [{"uri": uri, "mimeType": kept.mime_type, "text": text}]}).to_string())
        }
        Err(error) => error.into(),
    }
}

fn reader(context: &RequestContext) -> ResultReader {
    ResultReader { principal: context.downstream.principal().clone(), key: context.downstream.key() }
}

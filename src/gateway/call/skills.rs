//! The skills extension (SEP-2640), `io.modelcontextprotocol/skills`: skills of many servers in one list, and what names a
//! skill or a directory by its URI goes to the server that the URI is of.

use std::{cell::Cell, fmt::Write as _, time::Duration};

use futures_util::future::join_all;
use mcproxy_ipc::ServerName;
use mcproxy_mcp::{ErrorCode, ErrorObject, RawArray, RawObject, RawValue, json_string, meta, method};
use tokio::time::timeout;

use super::{forward::Forward, incoming::Params, request_context::RequestContext, route};
use crate::gateway::{
    base::reply::Reply,
    catalogue::CacheHints,
    rewrite::{self, Naming},
};

/// Most pages that are read of one server.
const MAX_PAGES: usize = 100;
/// Most bytes of all entries together, from the first page that is read on; skills that find no room are left out, and the list
/// is then true for no time.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// How long one server may take, its start included; the list does not wait longer for it.
const SERVER_TIMEOUT: Duration = Duration::from_secs(10);

/// Whether a method is of this extension.
pub(crate) fn is_method(name: &str) -> bool {
    matches!(name, method::SKILLS_LIST | method::SKILLS_GET | method::DIRECTORY_READ)
}

/// Whether the results of a method say how long they may be kept.
pub(crate) fn is_cacheable(name: &str) -> bool {
    matches!(name, method::SKILLS_LIST | method::SKILLS_GET)
}

/// Answers one of its methods. `None`: the client cancelled the call.
pub(crate) async fn answer(context: &RequestContext, of: &str, params: Params<'_>) -> Option<Reply> {
    match of {
        method::SKILLS_LIST if context.naming() == Naming::Qualified => Some(list(context, &params).await),
        method::SKILLS_LIST => {
            let server = context.view().skill_servers().into_iter().next()?;
            Forward::new(context, method::SKILLS_LIST, server, params).run(rewrite::skill_result).await
        }
        method::SKILLS_GET => by_uri(context, method::SKILLS_GET, params).await,
        _ => by_uri(context, method::DIRECTORY_READ, params).await,
    }
}

async fn by_uri(context: &RequestContext, of: &'static str, mut params: Params<'_>) -> Option<Reply> {
    let (server, uri) = match route::resource(context, &params) {
        Ok(target) => target,
        // The extension has one code for all that is not there.
        Err(error) => return Some(ErrorObject { code: ErrorCode::INVALID_PARAMS, ..error }.into()),
    };
    let own = json_string(&uri);
    params.members.set("uri", &own);
    Forward::new(context, of, server, params).run(rewrite::skill_result).await
}

/// The skills of one server.
#[derive(Debug, Default, PartialEq, Eq)]
struct Shelf {
    /// Its entries, with commas between them.
    entries: String,
    /// The strictest that its pages say.
    hints: Option<CacheHints>,
    /// The server may have more.
    partial: bool,
}

/// The bytes that skills may still take, of all servers together.
#[derive(Debug)]
struct SkillBudget(Cell<usize>);

impl SkillBudget {
    fn new(bytes: usize) -> Self {
        Self(Cell::new(bytes))
    }

    /// Whether there was so much, which is taken.
    fn take(&self, bytes: usize) -> bool {
        let left = self.0.get().checked_sub(bytes);
        // Nothing follows what found no room: all pages after it would be read for nothing.
        self.0.set(left.unwrap_or(0));
        left.is_some()
    }

    fn is_spent(&self) -> bool {
        self.0.get() == 0
    }
}

/// All skills in one page: a client that does not turn pages sees them all. Servers that are down are left out, unless all are.
async fn list(context: &RequestContext, params: &Params<'_>) -> Reply {
    if params.members.get("cursor").is_some_and(|cursor| cursor.get() != "null") {
        return ErrorObject::new(ErrorCode::INVALID_PARAMS, "this list has one page and no cursors").into();
    }
    let mut meta = params.meta.clone().unwrap_or_default();
    meta.remove(meta::PROGRESS_TOKEN);
    let servers = context.view().skill_servers();
    let room = SkillBudget::new(MAX_BYTES);
    let shelves = join_all(servers.iter().map(async |server| {
        let read = timeout(SERVER_TIMEOUT, read(context, server, &meta, &room)).await;
        read.unwrap_or_else(|_| Err(late(server)))
    }))
    .await;
    let private = !context.downstream.principal().is_anonymous();
    merge(shelves, private, context.downstream.reads_cache_hints())
}

fn late(server: &ServerName) -> Reply {
    let message = format!("server `{server}` did not list its skills within {} s", SERVER_TIMEOUT.as_secs());
    ErrorObject::about_server(ErrorCode::TIMEOUT, message, server.as_str(), "timeout").into()
}

/// Turns the pages of one server, while there is room.
async fn read(
    context: &RequestContext,
    server: &ServerName,
    meta: &RawObject<'_>,
    room: &SkillBudget,
) -> Result<Shelf, Reply> {
    let mut shelf = Shelf::default();
    let mut cursor: Option<Box<RawValue>> = None;
    for _ in 0..MAX_PAGES {
        let mut params = Params { members: RawObject::default(), meta: Some(meta.clone()) };
        if let Some(cursor) = &cursor {
            params.members.set("cursor", cursor);
        }
        let mut call = Forward::new(context, method::SKILLS_LIST, server.clone(), params).until_dropped();
        let page = match call.run(rewrite::skill_result).await {
            Some(Reply::Result(page)) => page,
            Some(error) => return Err(error),
            None => break,
        };
        let Ok(page) = RawObject::from_slice(&page) else { break };
        cursor = shelf.add(&page, room);
        if cursor.is_none() {
            return Ok(shelf);
        }
        if room.is_spent() {
            break;
        }
    }
    Ok(Shelf { partial: true, ..shelf })
}

impl Shelf {
    /// Takes in a page, as far as there is room; says where the next one begins.
    fn add(&mut self, page: &RawObject<'_>, room: &SkillBudget) -> Option<Box<RawValue>> {
        // A server that says nothing promises nothing.
        let said = CacheHints::read(page).unwrap_or(CacheHints { ttl_ms: 0, private: true });
        self.hints = Some(self.hints.map_or(said, |before| before.and(said)));
        let skills = page.get("skills").and_then(|raw| RawArray::from_raw(raw).ok()).unwrap_or_default();
        for entry in skills.0.into_iter().map(RawValue::get).filter(|entry| entry.starts_with('{')) {
            if !room.take(entry.len() + 1) {
                self.partial = true;
                return None;
            }
            self.entries.push_str(if self.entries.is_empty() { "" } else { "," });
            self.entries.push_str(entry);
        }
        page.get("nextCursor").filter(|cursor| cursor.get().starts_with('"')).map(ToOwned::to_owned)
    }
}

/// One result of many. `with_caching`: for clients that are told how long it is true.
fn merge(shelves: Vec<Result<Shelf, Reply>>, private: bool, with_caching: bool) -> Reply {
    let mut out = String::from("{\"skills\":[");
    let (mut hints, mut failure, mut any, mut partial) = (None::<CacheHints>, None, shelves.is_empty(), false);
    for shelf in shelves {
        let shelf = match shelf {
            Ok(shelf) => shelf,
            Err(error) => {
                failure = failure.or(Some(error));
                continue;
            }
        };
        any = true;
        partial |= shelf.partial;
        hints = match (hints, shelf.hints) {
            (Some(before), Some(said)) => Some(before.and(said)),
            (before, said) => before.or(said),
        };
        if !shelf.entries.is_empty() {
            out.push_str(if out.ends_with('[') { "" } else { "," });
            out.push_str(&shelf.entries);
        }
    }
    if let Some(failure) = failure.take_if(|_| !any) {
        return failure;
    }
    out.push(']');
    if with_caching {
        // Skills that are missing, of a server that is down or for lack of room, may be there the next time.
        let ttl = if partial || failure.is_some() { 0 } else { hints.map_or(0, |hints| hints.ttl_ms) };
        let scope = if private || hints.is_none_or(|hints| hints.private) { "private" } else { "public" };
        // Writing to a String cannot fail.
        let _ = write!(out, ",\"ttlMs\":{ttl},\"cacheScope\":\"{scope}\"");
    }
    out.push('}');
    Reply::Result(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shelf(pages: &[&str]) -> Result<Shelf, Reply> {
        shelf_in(&SkillBudget::new(MAX_BYTES), pages)
    }

    fn shelf_in(room: &SkillBudget, pages: &[&str]) -> Result<Shelf, Reply> {
        let mut shelf = Shelf::default();
        for page in pages {
            shelf.add(&RawObject::from_text(page).expect("an object"), room);
        }
        Ok(shelf)
    }

    fn text(reply: Reply) -> String {
        match reply {
            Reply::Result(text) => String::from_utf8_lossy(&text).into_owned(),
            Reply::Error(error) => String::from_utf8_lossy(&error.raw).into_owned(),
            Reply::Page(..) => panic!("no page of a list"),
        }
    }

    #[test]
    fn skills_of_all_servers_are_one_list_that_is_true_as_long_as_the_strictest_says() {
        let a = || {
            shelf(&[
                r#"{"skills":[{"n":1.50}],"ttlMs":5,"cacheScope":"public","nextCursor":"2"}"#,
                r#"{"skills":[{"n":2},7],"ttlMs":9,"cacheScope":"public"}"#,
            ])
        };
        let b = || shelf(&[r#"{"skills":[{"n":3}],"ttlMs":7,"cacheScope":"public"}"#]);
        let all = r#"{"skills":[{"n":1.50},{"n":2},{"n":3}]"#;
        assert_eq!(text(merge(vec![a(), b()], false, true)), format!(r#"{all},"ttlMs":5,"cacheScope":"public"}}"#));
        assert_eq!(text(merge(vec![a(), b()], true, true)), format!(r#"{all},"ttlMs":5,"cacheScope":"private"}}"#));
        assert_eq!(text(merge(vec![a(), b()], false, false)), format!("{all}}}"), "sessions know no such hints");
        assert_eq!(text(merge(vec![], false, false)), r#"{"skills":[]}"#);
    }

    #[test]
    fn no_more_is_held_of_all_servers_together_than_there_is_room_for_and_such_a_list_is_true_for_no_time() {
        let room = SkillBudget::new(2 * r#"{"n":1},"#.len());
        let page = r#"{"skills":[{"n":1}],"ttlMs":5,"cacheScope":"public","nextCursor":"2"}"#;
        let (a, b) = (shelf_in(&room, &[page]), shelf_in(&room, &[page, page]));
        assert!(room.is_spent());
        let c = shelf_in(&room, &[page]);
        let held = |shelf: &Result<Shelf, Reply>| {
            shelf.as_ref().map_or(None, |shelf| Some((shelf.entries.len(), shelf.partial)))
        };
        assert_eq!([held(&a), held(&b), held(&c)], [Some((7, false)), Some((7, true)), Some((0, true))]);
        let all = r#"{"skills":[{"n":1},{"n":1}],"ttlMs":0,"cacheScope":"public"}"#;
        assert_eq!(text(merge(vec![a, b, c], false, true)), all);
    }

    #[test]
    fn a_server_that_is_down_takes_nothing_from_the_others() {
        let down = || Err(ErrorObject::new(ErrorCode::SERVER_UNAVAILABLE, "down").into());
        let up = shelf(&[r#"{"skills":[{"n":1}],"ttlMs":5,"cacheScope":"public"}"#]);
        assert_eq!(
            text(merge(vec![down(), up], false, true)),
            r#"{"skills":[{"n":1}],"ttlMs":0,"cacheScope":"public"}"#
        );
        assert!(text(merge(vec![down(), down()], false, true)).contains("31002"));
    }
}

//! Pages that users of sessions were asked to visit: whom to tell when one has served its purpose (2025-11-25, elicitation,
//! completion notifications).

use std::{cell::RefCell, collections::VecDeque};

use mcproxy_ipc::{ServerName, SessionKey};
use mcproxy_mcp::{RawObject, required_elicitations};

use crate::gateway::base::web_pages::PAGE_ID;

/// Most pages that are remembered; the oldest is forgotten first.
const MAX_PAGES: usize = 1024;
/// Longest name of a page that is remembered, in bytes.
const MAX_ID: usize = 256;

#[derive(Debug)]
struct UrlElicitation {
    server: ServerName,
    id: Box<str>,
    session: SessionKey,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct UrlElicitations(RefCell<VecDeque<UrlElicitation>>);

impl UrlElicitations {
    /// A session was asked to let its user visit this page of a server.
    pub(crate) fn remember(&self, server: &ServerName, id: &str, session: SessionKey) {
        if id.len() > MAX_ID {
            return;
        }
        let mut pages = self.0.borrow_mut();
        pages.retain(|page| page.server != *server || *page.id != *id);
        if pages.len() == MAX_PAGES {
            pages.pop_front();
        }
        pages.push_back(UrlElicitation { server: server.clone(), id: id.into(), session });
    }

    /// The same for all pages that an error of the server names (URL elicitation required).
    pub(crate) fn remember_refusal(&self, server: &ServerName, error: &[u8], session: SessionKey) {
        for page in required_elicitations(error) {
            if let Some(id) = RawObject::from_raw(page).ok().and_then(|page| page.get_string(PAGE_ID)) {
                self.remember(server, &id, session);
            }
        }
    }

    /// Whose user was asked to visit it. It is told once.
    pub(crate) fn take(&self, server: &ServerName, id: &str) -> Option<SessionKey> {
        let mut pages = self.0.borrow_mut();
        let at = pages.iter().position(|page| page.server == *server && *page.id == *id)?;
        pages.remove(at).map(|page| page.session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_asked_is_told_once_and_the_oldest_pages_are_forgotten() {
        let (pages, a, b) = (UrlElicitations::default(), server("a"), server("b"));
        let key = |n: u8| SessionKey([n; 16]);
        pages.remember(&a, "p", key(1));
        pages.remember(&b, "p", key(2));
        pages.remember(&a, "p", key(3));
        assert_eq!((pages.take(&a, "p"), pages.take(&a, "p"), pages.take(&b, "p")), (Some(key(3)), None, Some(key(2))));
        pages.remember(&a, &"x".repeat(MAX_ID + 1), key(1));
        assert!(pages.0.borrow().is_empty());
        for n in 0..=MAX_PAGES {
            pages.remember(&a, &n.to_string(), key(1));
        }
        assert_eq!((pages.take(&a, "0"), pages.take(&a, "1")), (None, Some(key(1))));
    }

    #[test]
    fn pages_are_named_by_the_error_that_wants_them_visited() {
        let (pages, a, key) = (UrlElicitations::default(), server("a"), SessionKey([1; 16]));
        let error = |code: i64| {
            format!(
                r#"{{"code":{code},"message":"-32042","data":{{"elicitations":[{{"elicitationId":"x"}},{{}},3]}}}}"#
            )
        };
        pages.remember_refusal(&a, error(-32603).as_bytes(), key);
        assert_eq!(pages.take(&a, "x"), None);
        pages.remember_refusal(&a, error(-32042).as_bytes(), key);
        assert_eq!(pages.take(&a, "x"), Some(key));
    }

    fn server(name: &str) -> ServerName {
        ServerName::try_from(name).expect("a name")
    }
}

//! What a server offers: read from its worker, shown to clients, and found again by the names shown.

use std::sync::Arc;

use mcproxy_ipc::{ServerName, ToolRules};
use mcproxy_mcp::{RawArray, RawObject, RawValue, is_deeper_than};

use crate::gateway::{
    catalogue::{ListKind, Readers, ServerCatalogue, View},
    rewrite::Naming,
};

pub(crate) fn target(data: &[u8]) {
    if is_deeper_than(data, 512) {
        return;
    }
    let name = ServerName::try_from("srv").expect("a name");
    let Ok((catalogue, _)) = ServerCatalogue::read(&name, data, &ToolRules::default()) else { return };
    let part = (name, Arc::new(catalogue));
    for naming in [Naming::Qualified, Naming::Own] {
        let view = View::build(naming, std::slice::from_ref(&part));
        for kind in ListKind::ALL {
            for entry in entries(&view, kind) {
                found_again(&view, kind, &entry);
            }
        }
        assert!(RawObject::from_text(view.capabilities()).is_ok());
        assert!(view.instructions().is_none_or(|text| !text.is_empty()));
    }
}

/// The names or URIs of a list, over all its pages.
fn entries(view: &View, kind: ListKind) -> Vec<String> {
    let (member, field) =
        (kind.member(), if matches!(kind, ListKind::Tools | ListKind::Prompts) { "name" } else { "uri" });
    let (mut names, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let page = view.list(kind, cursor.as_deref(), Readers::Stateless).expect("a cursor of this list");
        assert!(!page.contains(&b'\n'), "a list on two lines");
        let page = RawObject::from_slice(&page).expect("a list is JSON");
        let list = page.get(member).map(RawValue::get).expect("a list");
        for raw in RawArray::from_text(list).expect("an array").0 {
            let entry = RawObject::from_raw(raw).expect("an entry");
            // A template is no URI that could be found.
            names.extend(entry.get_string(field).map(|name| name.into_owned()));
        }
        match page.get_string("nextCursor") {
            Some(next) => cursor = Some(next.into_owned()),
            None => return names,
        }
    }
}

fn found_again(view: &View, kind: ListKind, shown: &str) {
    let found = match kind {
        ListKind::Tools => view.tool(shown).is_some(),
        ListKind::Prompts => view.prompt(shown).is_some(),
        ListKind::Resources | ListKind::Templates => view.resource(shown).is_some(),
    };
    assert!(found, "{shown:?} is listed and cannot be called");
    assert!(!shown.chars().any(char::is_control), "{shown:?} is shown");
}

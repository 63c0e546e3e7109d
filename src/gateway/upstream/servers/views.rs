//! The views of the endpoints: the catalogues of their servers, merged.

use std::rc::Rc;

use mcproxy_ipc::{ServerName, SessionKey};

use super::{Servers, own_catalogues::Own};
use crate::gateway::{
    base::scope::Scope,
    builtin::search_tools,
    catalogue::{NamedCatalogue, View},
};

impl Servers {
    /// The merged view of an endpoint; built once per change.
    pub(crate) fn view(&self, scope: &Scope) -> Rc<View> {
        let revision = self.revision.get();
        if let Some((built, view)) = self.views.borrow().get(scope)
            && *built == revision
        {
            return view.clone();
        }
        let parts = self.parts(scope, &Own::new());
        let before = self.views.borrow_mut().remove(scope).map(|(_, view)| view);
        let view = match before {
            Some(view) if view.is_of(&parts) => view,
            Some(before) => Rc::new(View::build_after(&before, &parts)),
            None => Rc::new(self.build(scope, &parts)),
        };
        self.views.borrow_mut().insert(scope.clone(), (revision, view.clone()));
        view
    }

    /// The same for one session, whose own instances may offer something else.
    pub(crate) fn view_of(&self, scope: &Scope, session: SessionKey) -> Rc<View> {
        let own = self.own.borrow().of(session, |server| self.shows(scope, server));
        if own.is_empty() {
            return self.view(scope);
        }
        let revision = self.revision.get();
        let known = self.own.borrow().view(scope, &own, revision);
        known.unwrap_or_else(|| {
            let view = Rc::new(self.build(scope, &self.parts(scope, &own)));
            self.own.borrow_mut().keep_view(scope, &own, revision, &view);
            view
        })
    }

    /// The catalogues that an endpoint shows.
    fn parts(&self, scope: &Scope, own: &Own) -> Vec<NamedCatalogue> {
        let own_of = |name: &ServerName| own.iter().find(|(server, _)| server == name).map(|(_, own)| &own.catalogue);
        let servers = self.servers.borrow();
        let listed = servers.iter().filter(|(name, _)| self.shows(scope, name));
        let listed = listed.filter_map(|(name, s)| Some((name, own_of(name).or_else(|| s.listed())?)));
        let builtin = self.shows(scope, &self.builtin.0).then_some((&self.builtin.0, &self.builtin.1));
        let parts = listed.chain(builtin);
        match scope.group() {
            Some(group) => parts
                .map(|(name, offered)| (name.clone(), self.groups.borrow_mut().shown(group, name, offered)))
                .collect(),
            None => parts.map(|(name, offered)| (name.clone(), offered.clone())).collect(),
        }
    }

    fn build(&self, scope: &Scope, parts: &[NamedCatalogue]) -> View {
        match scope {
            Scope::Search(_) => View::build_for_search(parts, search_tools::definitions(), &self.pinned.borrow()),
            Scope::All | Scope::Server(_) | Scope::Group(_) => View::build(scope.naming(), parts),
        }
    }
}

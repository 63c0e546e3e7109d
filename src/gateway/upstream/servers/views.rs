//! The views of the endpoints: the catalogues of their servers, merged.

use std::{rc::Rc, sync::Arc};

use mcproxy_ipc::{ServerName, SessionKey};

use super::{Servers, own_catalogues::Own, server::Server};
use crate::gateway::{
    base::{
        principal::Principal,
        scope::{EndpointScope, Scope},
    },
    builtin::search_tools,
    catalogue::{NamedCatalogue, ServerCatalogue, View},
};

impl Servers {
    /// The merged view of an endpoint; built once per change.
    pub(crate) fn view(&self, scope: &Scope) -> Rc<View> {
        let (revision, grant) = (self.revision.get(), self.grants.borrow().of(&scope.holder));
        if let Some(view) = self.views.borrow_mut().get(grant, &scope.endpoint, revision) {
            return view;
        }
        let parts = self.parts(scope, &Own::new());
        let before = self.views.borrow_mut().take(grant, &scope.endpoint);
        let view = match before {
            Some(view) if view.is_of(&parts) => view,
            Some(before) => Rc::new(View::build_after(&before, &parts)),
            None => Rc::new(self.build(scope, &parts)),
        };
        self.views.borrow_mut().put(grant, &scope.endpoint, revision, &view);
        view
    }

    /// All tools, in each form in which some endpoint shows them: of all servers, and of groups, which may describe them anew. (What
    /// a token may use is a part of that.)
    pub(crate) fn all_views(&self) -> Vec<Rc<View>> {
        let groups = self.groups.borrow().names();
        let scopes = groups.into_iter().map(|group| Scope { endpoint: EndpointScope::Group(group), ..Scope::all() });
        std::iter::once(Scope::all()).chain(scopes).map(|scope| self.view(&scope)).collect()
    }

    /// The same for one session, whose own instances may offer something else.
    pub(crate) fn view_of(&self, scope: &Scope, session: SessionKey) -> Rc<View> {
        let own = self.own.borrow().of(session, |server| self.shows(scope, server));
        if own.is_empty() {
            return self.view(scope);
        }
        let revision = self.revision.get();
        let place = (self.grants.borrow().of(&scope.holder), scope.endpoint.clone());
        let known = self.own.borrow().view(&place, &own, revision);
        known.unwrap_or_else(|| {
            let view = Rc::new(self.build(scope, &self.parts(scope, &own)));
            self.own.borrow_mut().keep_view(place, &own, revision, &view);
            view
        })
    }

    /// What a server offers to a principal at this moment, as the common endpoint lists it.
    pub(crate) fn listed(&self, holder: &Principal, server: &ServerName) -> Option<Arc<ServerCatalogue>> {
        let servers = self.servers.borrow();
        let offered = servers.get(server).and_then(Server::listed)?;
        let mut grants = self.grants.borrow_mut();
        let grant = grants.of(holder);
        Some(grants.shown(grant, server, offered, false))
    }

    /// The catalogues that an endpoint shows.
    fn parts(&self, scope: &Scope, own: &Own) -> Vec<NamedCatalogue> {
        let own_of = |name: &ServerName| own.iter().find(|(server, _)| server == name).map(|(_, own)| &own.catalogue);
        let servers = self.servers.borrow();
        let listed = servers.iter().filter(|(name, _)| self.shows(scope, name));
        let listed = listed.filter_map(|(name, s)| Some((name, own_of(name).or_else(|| s.listed())?)));
        let (builtin, catalogue) = (&self.builtin.0, &self.builtin.1);
        let catalogue = if self.keeps_results.get() { &self.builtin_reader } else { catalogue };
        let builtin = self.shows(scope, builtin).then_some((builtin, catalogue));
        let parts: Vec<_> = listed.chain(builtin).collect();
        let mut grants = self.grants.borrow_mut();
        let grant = grants.of(&scope.holder);
        let shown = |(name, offered): (&ServerName, &Arc<ServerCatalogue>)| {
            let is_own = own_of(name).is_some();
            // The rules of a grant know tools by their names at the common endpoint, so they come before those of a group.
            let granted = grants.shown(grant, name, offered, is_own);
            let shown = match scope.group() {
                Some(group) => self.groups.borrow_mut().shown((group, grant), name, &granted, is_own),
                None => granted,
            };
            (name.clone(), shown)
        };
        parts.into_iter().map(shown).collect()
    }

    fn build(&self, scope: &Scope, parts: &[NamedCatalogue]) -> View {
        match scope.endpoint {
            EndpointScope::Search(_) => {
                View::build_for_search(parts, search_tools::definitions(), &self.pinned.borrow())
            }
            EndpointScope::All | EndpointScope::Server(_) | EndpointScope::Group(_) => {
                View::build(scope.naming(), parts)
            }
        }
    }
}

//! The views that were built, by who sees them and where. Those that everybody sees are as many as there are endpoints; those of
//! grants can be as many as endpoints and tokens together, and the least used make room.

use std::{collections::HashMap, rc::Rc};

use super::grants::GrantId;
use crate::gateway::{base::scope::EndpointScope, catalogue::View};

/// Views of grants that are kept, and their bytes; others are built when they are asked for.
const VIEWS: usize = 1024;
const BYTES: usize = 64 << 20;

struct BuiltView {
    revision: u64,
    view: Rc<View>,
    used: u64,
}

/// All views, by the number of the grant and the endpoint.
#[derive(Default)]
pub(super) struct ViewCache {
    by_grant: HashMap<GrantId, HashMap<EndpointScope, BuiltView>>,
    /// Grows with each use.
    clock: u64,
}

impl ViewCache {
    /// The view of this revision, if it is there.
    pub(super) fn get(&mut self, grant: GrantId, endpoint: &EndpointScope, revision: u64) -> Option<Rc<View>> {
        self.clock += 1;
        let built = self.by_grant.get_mut(&grant)?.get_mut(endpoint).filter(|built| built.revision == revision)?;
        built.used = self.clock;
        Some(built.view.clone())
    }

    /// Takes out the view of an earlier revision.
    pub(super) fn take(&mut self, grant: GrantId, endpoint: &EndpointScope) -> Option<Rc<View>> {
        Some(self.by_grant.get_mut(&grant)?.remove(endpoint)?.view)
    }

    pub(super) fn put(&mut self, grant: GrantId, endpoint: &EndpointScope, revision: u64, view: &Rc<View>) {
        self.clock += 1;
        let built = BuiltView { revision, view: view.clone(), used: self.clock };
        self.by_grant.entry(grant).or_default().insert(endpoint.clone(), built);
        self.make_room();
    }

    pub(super) fn clear(&mut self) {
        self.by_grant.clear();
    }

    fn limited(&self) -> impl Iterator<Item = (GrantId, &EndpointScope, &BuiltView)> {
        let limited = self.by_grant.iter().filter(|(grant, _)| **grant != GrantId::EVERYTHING);
        limited.flat_map(|(grant, views)| views.iter().map(|(endpoint, built)| (*grant, endpoint, built)))
    }

    fn make_room(&mut self) {
        let mut count = self.limited().count();
        let mut bytes: usize = self.limited().map(|(.., built)| built.view.bytes()).sum();
        while count > VIEWS || (bytes > BYTES && count > 1) {
            let least = self.limited().min_by_key(|(.., built)| built.used);
            let Some((grant, endpoint)) = least.map(|(grant, endpoint, _)| (grant, endpoint.clone())) else { return };
            count -= 1;
            bytes -= self.take(grant, &endpoint).map_or(0, |view| view.bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::rewrite::Naming;

    #[test]
    fn views_of_grants_make_room_for_each_other_and_never_for_those_of_all() {
        let mut cache = ViewCache::default();
        let view = Rc::new(View::build(Naming::Qualified, &[]));
        let endpoint = |n: usize| EndpointScope::Group(n.to_string());
        let limited = GrantId::numbered(2);
        for n in 0..VIEWS + 10 {
            cache.put(GrantId::EVERYTHING, &endpoint(n), 1, &view);
            cache.put(limited, &endpoint(n), 1, &view);
            assert!(cache.get(limited, &endpoint(0), 1).is_some(), "it is used all the time");
        }
        assert_eq!(cache.limited().count(), VIEWS);
        assert!(cache.get(limited, &endpoint(1), 1).is_none(), "it was not");
        assert!(cache.get(limited, &endpoint(VIEWS + 9), 1).is_some());
        assert!((0..VIEWS + 10).all(|n| cache.get(GrantId::EVERYTHING, &endpoint(n), 1).is_some()));
        assert!(cache.get(GrantId::EVERYTHING, &endpoint(0), 2).is_none(), "it is of an earlier revision");
    }
}

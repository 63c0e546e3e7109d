//! The scopes that a session came to after it was opened, because its client got a token with more of them (step-up). What was there
//! before stays where it is, so that it can be borrowed for as long as the session lives.

use std::cell::OnceCell;

use crate::gateway::base::{principal::Principal, scope::Scope};

/// A session is raised so often at most; after that its client opens another.
const MOST: usize = 16;

/// The scopes after the first, the last of which counts.
#[derive(Debug, Default)]
pub(super) struct RaisedScopes(OnceCell<Box<Raise>>);

#[derive(Debug)]
struct Raise {
    holder: (Scope, Principal),
    next: RaisedScopes,
}

impl RaisedScopes {
    /// The last; `None`: those that the session was opened with.
    pub(super) fn last(&self) -> Option<&(Scope, Principal)> {
        let mut last = self.0.get()?;
        while let Some(next) = last.next.0.get() {
            last = next;
        }
        Some(&last.holder)
    }

    /// Adds others; `false`: there are too many.
    pub(super) fn add(&self, scope: Scope, principal: Principal) -> bool {
        let mut place = self;
        for _ in 0..MOST {
            match place.0.get() {
                Some(raise) => place = &raise.next,
                None => {
                    let raise = Raise { holder: (scope, principal), next: Self::default() };
                    return place.0.set(Box::new(raise)).is_ok();
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_counts_and_there_are_not_too_many() {
        let raised = RaisedScopes::default();
        assert!(raised.last().is_none());
        for number in 0..MOST {
            let principal = Principal::with_scopes("ann", &number.to_string());
            assert!(raised.add(Scope::all(), principal.clone()));
            assert_eq!(raised.last().map(|(_, last)| last), Some(&principal));
        }
        assert!(!raised.add(Scope::all(), Principal::default()));
    }
}

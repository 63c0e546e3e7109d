//! The tokens of authorization servers that were verified, by their digests: so a request with one costs a look-up. They are forgotten
//! when they expire, and then what they admitted ends.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashMap},
    rc::{Rc, Weak},
    time::{Duration, Instant, SystemTime},
};

use tokio::sync::Notify;

use super::token_worth::TokenWorth;
use crate::gateway::base::principal::Principal;

/// The SHA-256 of a token.
pub(crate) type TokenDigest = [u8; 32];

/// Most tokens that are remembered; the one that expires first makes room.
const MOST_TOKENS: usize = 8192;
/// Most of one principal: so nobody who collects tokens pushes out those of others.
const MOST_OF_ONE: usize = 64;
/// Most tokens that are remembered as none.
const MOST_REFUSED: usize = 4096;
/// What an authorization server said of a token is asked again after this time.
pub(crate) const ASKED_AGAIN: Duration = Duration::from_secs(60);
/// Dead entries are cleared out when there are so many at least.
const LEAST_WATCHED: usize = 1024;

/// A token that was verified.
#[derive(Debug)]
pub(crate) struct AccessToken {
    digest: TokenDigest,
    worth: TokenWorth,
    /// When its authorization server is to be asked again; `None`: it is signed, and is what it is.
    ask_at: Cell<Option<Instant>>,
    is_over: Cell<bool>,
}

impl AccessToken {
    /// Whose it is.
    pub(crate) fn principal(&self) -> &Principal {
        &self.worth.principal
    }

    /// Whether it is for the endpoint at this path.
    pub(crate) fn is_for(&self, endpoint: &str) -> bool {
        self.worth.endpoints.as_ref().is_none_or(|endpoints| endpoints.iter().any(|one| **one == *endpoint))
    }

    /// Whether it is accepted no more.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.get()
    }
}

/// All of them. Lives on the HTTP thread.
#[derive(Debug, Default)]
pub(crate) struct AccessTokens {
    known: RefCell<HashMap<TokenDigest, Rc<AccessToken>>>,
    /// What an authorization server said no to, until when.
    refused: RefCell<HashMap<TokenDigest, Instant>>,
    /// Tokens by their ends, those included that are known no more but admitted something that is under way.
    ends: RefCell<BTreeMap<(SystemTime, u64), Weak<AccessToken>>>,
    number: Cell<u64>,
    clear_at: Cell<usize>,
    /// Rung when the next end is another one.
    pub(crate) next_changed: Notify,
}

impl AccessTokens {
    /// A token that was verified, if it is still to be believed.
    pub(crate) fn find(&self, digest: &TokenDigest) -> Option<Rc<AccessToken>> {
        let known = self.known.borrow();
        let token = known.get(digest)?;
        let is_fresh = token.ask_at.get().is_none_or(|at| Instant::now() < at);
        is_fresh.then(|| token.clone())
    }

    /// Remembers a token. `is_asked_again`: what it is worth was asked, and may be something else soon.
    pub(crate) fn add(&self, digest: TokenDigest, worth: TokenWorth, is_asked_again: bool, now: Instant) {
        let ask_at = is_asked_again.then(|| now + ASKED_AGAIN);
        let mut known = self.known.borrow_mut();
        if let Some(before) = known.remove(&digest) {
            // What it admitted before goes on if it is worth the same.
            if before.worth.is_no_more_than(&worth) {
                before.ask_at.set(ask_at);
                known.insert(digest, before);
                return;
            }
            before.is_over.set(true);
        }
        let soonest = |known: &HashMap<TokenDigest, Rc<AccessToken>>, of: Option<&Principal>| {
            let candidates = known.values().filter(|token| of.is_none_or(|of| token.principal().name() == of.name()));
            candidates.min_by_key(|token| token.worth.expires).map(|token| token.digest)
        };
        let own = known.values().filter(|token| token.principal().name() == worth.principal.name()).count();
        let leaving = match (own >= MOST_OF_ONE, known.len() >= MOST_TOKENS) {
            (true, _) => soonest(&known, Some(&worth.principal)),
            (false, true) => soonest(&known, None),
            (false, false) => None,
        };
        if let Some(token) = leaving.and_then(|digest| known.remove(&digest)) {
            token.is_over.set(true);
        }
        let token = Rc::new(AccessToken { digest, worth, ask_at: Cell::new(ask_at), is_over: Cell::new(false) });
        self.watch(&token);
        known.insert(digest, token);
    }

    fn watch(&self, token: &Rc<AccessToken>) {
        let mut ends = self.ends.borrow_mut();
        if ends.len() >= self.clear_at.get().max(LEAST_WATCHED) {
            ends.retain(|_, token| token.strong_count() > 0);
            self.clear_at.set(2 * ends.len());
        }
        let before = ends.first_key_value().map(|((end, _), _)| *end);
        self.number.set(self.number.get() + 1);
        ends.insert((token.worth.expires, self.number.get()), Rc::downgrade(token));
        if before.is_none_or(|before| token.worth.expires < before) {
            self.next_changed.notify_one();
        }
    }

    /// Forgets a token that its authorization server says no to. Whether it was accepted until now.
    pub(crate) fn refuse(&self, digest: TokenDigest, now: Instant) -> bool {
        let mut refused = self.refused.borrow_mut();
        if refused.len() >= MOST_REFUSED {
            refused.retain(|_, until| now < *until);
        }
        if refused.len() < MOST_REFUSED {
            refused.insert(digest, now + ASKED_AGAIN);
        }
        let before = self.known.borrow_mut().remove(&digest);
        before.is_some_and(|before| !before.is_over.replace(true))
    }

    /// Whether its authorization server said no to it a moment ago.
    pub(crate) fn is_refused(&self, digest: &TokenDigest, now: Instant) -> bool {
        self.refused.borrow().get(digest).is_some_and(|until| now < *until)
    }

    /// All are to be looked at anew: what they are worth may have changed. What they admitted is looked at by itself.
    pub(crate) fn forget(&self) {
        self.known.borrow_mut().clear();
        self.refused.borrow_mut().clear();
    }

    /// When the next one ends.
    pub(crate) fn next_end(&self) -> Option<SystemTime> {
        self.ends.borrow().first_key_value().map(|((end, _), _)| *end)
    }

    /// Forgets those whose time is over; whether there were any.
    pub(crate) fn sweep(&self, now: SystemTime) -> bool {
        let mut ended = false;
        let mut ends = self.ends.borrow_mut();
        while let Some(entry) = ends.first_entry()
            && entry.key().0 <= now
        {
            let Some(token) = entry.remove().upgrade() else { continue };
            token.is_over.set(true);
            ended = true;
            let mut known = self.known.borrow_mut();
            if known.get(&token.digest).is_some_and(|known| Rc::ptr_eq(known, &token)) {
                known.remove(&token.digest);
            }
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worth(name: &str, expires: u64) -> TokenWorth {
        TokenWorth {
            principal: Principal::with_scopes(name, "a"),
            expires: SystemTime::UNIX_EPOCH + Duration::from_secs(expires),
            endpoints: None,
        }
    }

    fn digest(number: usize) -> TokenDigest {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&number.to_be_bytes());
        digest
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_token_is_known_until_it_ends_and_what_it_admitted_learns_that() {
        let (tokens, now) = (AccessTokens::default(), Instant::now());
        tokens.add(digest(1), worth("ann", 10), false, now);
        tokens.add(digest(2), worth("bob", 5), false, now);
        let ann = tokens.find(&digest(1)).expect("known");
        assert_eq!(tokens.next_end(), Some(at(5)));
        assert!(!tokens.sweep(at(4)) && tokens.sweep(at(5)) && !tokens.sweep(at(5)));
        assert!(tokens.find(&digest(2)).is_none() && !ann.is_over());
        tokens.forget();
        assert!(tokens.find(&digest(1)).is_none());
        assert!(tokens.sweep(at(10)) && ann.is_over(), "what it admitted before ends with it");
        assert_eq!(tokens.next_end(), None);
    }

    #[test]
    fn nobody_pushes_out_the_tokens_of_others() {
        let (tokens, now) = (AccessTokens::default(), Instant::now());
        tokens.add(digest(0), worth("bob", 1), false, now);
        for number in 1..=200 {
            tokens.add(digest(number), worth("ann", 1000 + number as u64), false, now);
        }
        assert!(tokens.find(&digest(0)).is_some() && tokens.find(&digest(1)).is_none());
        assert_eq!(tokens.known.borrow().len(), MOST_OF_ONE + 1);
        for number in 1000..1000 + MOST_TOKENS {
            tokens.add(digest(number), worth(&number.to_string(), 5000), false, now);
        }
        assert_eq!(tokens.known.borrow().len(), MOST_TOKENS);
        assert!(tokens.ends.borrow().len() <= 2 * MOST_TOKENS + LEAST_WATCHED);
    }

    #[test]
    fn what_was_asked_is_asked_again_and_a_no_is_remembered() {
        let tokens = AccessTokens::default();
        let long_ago = Instant::now().checked_sub(ASKED_AGAIN).expect("the clock has run");
        tokens.add(digest(1), worth("ann", 10), true, long_ago);
        assert!(tokens.find(&digest(1)).is_none());
        tokens.add(digest(1), worth("ann", 10), true, Instant::now());
        let token = tokens.find(&digest(1)).expect("known");
        assert!(tokens.refuse(digest(1), Instant::now()) && token.is_over());
        assert!(tokens.is_refused(&digest(1), Instant::now()) && !tokens.refuse(digest(1), Instant::now()));
        for number in 0..2 * MOST_REFUSED {
            tokens.refuse(digest(number), Instant::now());
        }
        assert_eq!(tokens.refused.borrow().len(), MOST_REFUSED);
    }
}

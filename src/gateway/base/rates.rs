//! Rates: how often something may be done, and how often at once. Nothing waits here: what is too much is refused at once, with the time
//! after which it would not be.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    time::{Duration, Instant},
};

use mcproxy_ipc::{RateLimit, TokenBucket, control::TokenHash};
use mcproxy_mcp::ErrorObject;

/// It would be too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RateExceeded {
    /// Too often; after this time once more.
    #[error("more requests than its rate allows (rate.perSecond, rate.burst)")]
    TooOften(Duration),
    /// So many are under way.
    #[error("{0} requests under way at once, as many as its rate allows (rate.concurrent)")]
    TooMany(u32),
}

impl RateExceeded {
    /// After what time it is worth another try; of what is under way nobody knows.
    pub(crate) fn wait(self) -> Duration {
        match self {
            Self::TooOften(wait) => wait,
            Self::TooMany(_) => Duration::from_secs(1),
        }
    }

    /// The same error with what a program needs to come back in time.
    pub(crate) fn tell(self, error: ErrorObject) -> ErrorObject {
        let millis = u64::try_from(self.wait().as_millis()).unwrap_or(u64::MAX);
        error.with("reason", "rate_limited").with("retryAfterMs", millis)
    }
}

/// One rate and what was done under it.
#[derive(Debug)]
pub(crate) struct Limiter {
    rate: RateLimit,
    bucket: RefCell<Option<TokenBucket>>,
    under_way: Cell<u32>,
}

/// One of those that are under way, until it is dropped.
#[derive(Debug)]
pub(crate) struct RateTicket(Rc<Limiter>);

impl Drop for RateTicket {
    fn drop(&mut self) {
        self.0.under_way.set(self.0.under_way.get().saturating_sub(1));
    }
}

impl Limiter {
    /// Nothing was done yet.
    pub(crate) fn new(rate: RateLimit, now: Instant) -> Rc<Self> {
        let full =
            |interval: Duration| TokenBucket::full(1.0 / interval.as_secs_f64(), f64::from(rate.burst.max(1)), now);
        let bucket = rate.interval.filter(|interval| !interval.is_zero()).map(full);
        Rc::new(Self { rate, bucket: RefCell::new(bucket), under_way: Cell::new(0) })
    }

    /// The same, unless the rate is another.
    pub(crate) fn kept(self: &Rc<Self>, rate: RateLimit, now: Instant) -> Rc<Self> {
        if self.rate == rate { self.clone() } else { Self::new(rate, now) }
    }

    fn wait(&self, now: Instant) -> Duration {
        self.bucket.borrow_mut().as_mut().map_or(Duration::ZERO, |bucket| bucket.wait(1.0, now))
    }

    fn under_way(self: &Rc<Self>) -> RateTicket {
        self.under_way.set(self.under_way.get() + 1);
        RateTicket(self.clone())
    }

    fn spend(&self) {
        if let Some(bucket) = &mut *self.bucket.borrow_mut() {
            bucket.spend(1.0);
        }
    }

    fn room(&self) -> Result<(), RateExceeded> {
        match self.rate.concurrent {
            Some(most) if self.under_way.get() >= most => Err(RateExceeded::TooMany(most)),
            Some(_) | None => Ok(()),
        }
    }

    /// Once more; whether that is not too often.
    pub(crate) fn admit(&self, now: Instant) -> Result<(), RateExceeded> {
        let wait = self.wait(now);
        if !wait.is_zero() {
            return Err(RateExceeded::TooOften(wait));
        }
        self.spend();
        Ok(())
    }

    /// One begins; whether there are not too many.
    pub(crate) fn begin(self: &Rc<Self>) -> Result<RateTicket, RateExceeded> {
        self.room()?;
        Ok(self.under_way())
    }
}

/// Something that began, and rests: it is not under way meanwhile.
#[derive(Debug)]
pub(crate) struct RestingTickets(Vec<Rc<Limiter>>);

impl RestingTickets {
    /// It was under way with these.
    pub(crate) fn of(tickets: Vec<RateTicket>) -> Self {
        Self(tickets.iter().map(|ticket| ticket.0.clone()).collect())
    }

    /// It goes on, if there are not too many now. That it began is counted already.
    pub(crate) fn resume(self) -> Result<Vec<RateTicket>, RateExceeded> {
        self.0.iter().try_for_each(|limiter| limiter.room())?;
        Ok(self.0.iter().map(Limiter::under_way).collect())
    }
}

/// Begins one under each of these, or under none, and then says which it is too much for.
pub(crate) fn begin_all(limiters: &[Rc<Limiter>], now: Instant) -> Result<Vec<RateTicket>, (usize, RateExceeded)> {
    for (at, limiter) in limiters.iter().enumerate() {
        limiter.room().map_err(|error| (at, error))?;
        let wait = limiter.wait(now);
        if !wait.is_zero() {
            return Err((at, RateExceeded::TooOften(wait)));
        }
    }
    limiters.iter().for_each(|limiter| limiter.spend());
    Ok(limiters.iter().filter_map(|limiter| limiter.begin().ok()).collect())
}

/// The rates of principals whose tokens have one.
#[derive(Default)]
pub(crate) struct PrincipalRates {
    named: RefCell<HashMap<Box<str>, Rc<Limiter>>>,
    /// That of all requests without a token together.
    anonymous: RefCell<Option<Rc<Limiter>>>,
}

impl PrincipalRates {
    /// Takes over the rates of tokens. What was done under one that stays is not forgotten.
    pub(crate) fn set(&self, tokens: &[TokenHash], anonymous: Option<RateLimit>, now: Instant) {
        let before = self.anonymous.take();
        *self.anonymous.borrow_mut() = anonymous.map(|rate| match before {
            Some(known) => known.kept(rate, now),
            None => Limiter::new(rate, now),
        });
        let mut known = self.named.borrow_mut();
        let limited = tokens.iter().filter_map(|token| Some((token.name.as_str(), token.rate?)));
        *known = limited
            .map(|(name, rate)| {
                let limiter = known.get(name).map_or_else(|| Limiter::new(rate, now), |known| known.kept(rate, now));
                (name.into(), limiter)
            })
            .collect();
    }

    /// That of a principal; `None`: that of all who have no name.
    pub(crate) fn of(&self, name: Option<&str>) -> Option<Rc<Limiter>> {
        match name {
            Some(name) => self.named.borrow().get(name).cloned(),
            None => self.anonymous.borrow().clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use mcproxy_ipc::control::TokenAccess;
    use proptest::prelude::*;

    use super::*;

    fn rate(per_second: Option<f64>, burst: u32, concurrent: Option<u32>) -> RateLimit {
        RateLimit { interval: per_second.map(|rate| Duration::from_secs_f64(1.0 / rate)), burst, concurrent }
    }

    #[test]
    fn a_burst_passes_and_then_the_rate_does() {
        let now = Instant::now();
        let limiter = Limiter::new(rate(Some(4.0), 2, None), now);
        assert!(limiter.admit(now).is_ok() && limiter.admit(now).is_ok());
        let Err(RateExceeded::TooOften(wait)) = limiter.admit(now) else { panic!("it is too often") };
        assert_eq!(wait, Duration::from_millis(250));
        assert!(limiter.admit(now + wait / 2).is_err() && limiter.admit(now + wait).is_ok());
    }

    #[test]
    fn one_that_ends_makes_room_for_the_next() {
        let now = Instant::now();
        let limiter = Limiter::new(rate(None, 1, Some(1)), now);
        let ticket = limiter.begin().expect("there is room");
        assert_eq!(limiter.begin().err(), Some(RateExceeded::TooMany(1)));
        drop(ticket);
        assert!(limiter.begin().is_ok());
    }

    #[test]
    fn one_that_rests_is_not_under_way_and_goes_on_when_there_is_room() {
        let now = Instant::now();
        let limiter = Limiter::new(rate(Some(1.0), 1, Some(1)), now);
        let resting = RestingTickets::of(begin_all(std::slice::from_ref(&limiter), now).expect("there is room"));
        let other = limiter.begin().expect("the other one rests");
        assert_eq!(resting.resume().err(), Some(RateExceeded::TooMany(1)));
        let resting = RestingTickets::of(vec![other]);
        assert_eq!(resting.resume().map(|tickets| tickets.len()), Ok(1));
    }

    #[test]
    fn what_one_rate_refuses_costs_the_others_nothing() {
        let now = Instant::now();
        let (all, tool) = (Limiter::new(rate(Some(1.0), 2, None), now), Limiter::new(rate(Some(1.0), 1, None), now));
        let both = [all.clone(), tool];
        assert_eq!(begin_all(&both, now).expect("it fits").len(), 2);
        assert_eq!(begin_all(&both, now).err().map(|(at, _)| at), Some(1));
        assert!(all.admit(now).is_ok(), "only one was taken of its two");
    }

    #[test]
    fn a_reload_fills_no_bucket() {
        let now = Instant::now();
        let token = |rate| TokenHash {
            name: "ann".to_owned(),
            sha256: [0; 32],
            expires: None,
            access: TokenAccess::default(),
            rate,
            may_administer: false,
        };
        let rates = PrincipalRates::default();
        rates.set(&[token(Some(rate(Some(1.0), 1, None)))], None, now);
        let admits = || rates.of(Some("ann")).is_none_or(|limiter| limiter.admit(now).is_ok());
        assert!(admits() && !admits());
        rates.set(&[token(Some(rate(Some(1.0), 1, None)))], None, now);
        assert!(!admits(), "the same rate");
        rates.set(&[token(Some(rate(Some(2.0), 1, None)))], None, now);
        assert!(admits(), "another one");
        rates.set(&[token(None)], None, now);
        assert!(rates.of(Some("ann")).is_none() && rates.of(None).is_none());
        rates.set(&[], Some(rate(Some(1.0), 1, None)), now);
        let admits = || rates.of(None).is_none_or(|limiter| limiter.admit(now).is_ok());
        assert!(admits() && !admits());
        rates.set(&[token(None)], Some(rate(Some(1.0), 1, None)), now);
        assert!(!admits() && rates.of(Some("ann")).is_none(), "it is of those without a name");
    }

    proptest! {
        #[test]
        fn over_time_no_more_pass_than_the_burst_and_the_rate(
            per_second in 1_u32..50, burst in 1_u32..20, gaps in prop::collection::vec(0_u64..200, 1..200),
        ) {
            let start = Instant::now();
            let limiter = Limiter::new(rate(Some(f64::from(per_second)), burst, None), start);
            let (mut now, mut passed) = (start, 0_u32);
            for gap in gaps {
                now += Duration::from_millis(gap);
                passed += u32::from(limiter.admit(now).is_ok());
            }
            let most = f64::from(burst) + (now - start).as_secs_f64() * f64::from(per_second);
            prop_assert!(f64::from(passed) <= most + 0.001, "{passed} of {most}");
        }
    }
}

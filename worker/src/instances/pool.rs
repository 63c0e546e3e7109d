//! Which instance belongs to which session, which ones are started, and which have to go. Pure: the time is an argument.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use mcproxy_ipc::{ClientFeatures, InstanceRules, SessionKey};

use super::faults::Faults;

/// Counts up with every instance of a worker, so that a number never means two of them.
pub(crate) type Number = u32;

/// Starts in a row that may fail before the server itself is held to be broken.
const HOPELESS: u32 = 3;
/// Before the start that follows a failed one; doubled for each further one in a row.
const RETRY: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);

/// New sessions in a row that a spare instance may be no use for before another takes its place.
const MISSES: u32 = 1;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Start this one, and tell it that its client can do this.
    Start(Number, ClientFeatures),
    /// This one belongs to the session from now on.
    Bound(Number, SessionKey),
    /// End this one in order.
    Stop(Number),
}

/// What a session can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Its instance, which is ready.
    At(Number),
    /// An instance, soon.
    Wait,
    /// None: all are in use by other sessions.
    Full,
}

/// How an instance ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// As we wanted.
    Wanted,
    /// By a fault; whether it was ready before, and whose it was.
    Fault { was_ready: bool, owner: Option<SessionKey> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Starting,
    Ready,
    Ending,
}

#[derive(Debug)]
struct Instance {
    phase: Phase,
    /// What it was told that its client can do; `None`: it is told with each call.
    told: Option<ClientFeatures>,
    /// Sessions that it was no use for, because they can do something else.
    missed: u32,
    owner: Option<SessionKey>,
    /// Calls in flight.
    calls: usize,
    last_used: Instant,
}

impl Instance {
    fn is_live(&self) -> bool {
        self.phase != Phase::Ending
    }

    /// Whether it may be the instance of a session whose client can do this.
    fn fits(&self, features: ClientFeatures) -> bool {
        self.told.is_none_or(|told| told == features)
    }

    fn idle_at(&self, idle: Option<Duration>) -> Option<Instant> {
        let unused = self.phase == Phase::Ready && self.owner.is_some() && self.calls == 0;
        idle.filter(|_| unused).map(|idle| self.last_used + idle)
    }
}

/// All instances of one server.
#[derive(Debug)]
pub(crate) struct Pool {
    rules: InstanceRules,
    instances: BTreeMap<Number, Instance>,
    /// Sessions without an instance that want one, the one that waits for longest first, and what their clients can do.
    wanting: VecDeque<(SessionKey, ClientFeatures)>,
    /// What clients of new sessions are expected to be able to do: the same as the last one.
    expected: ClientFeatures,
    faults: Faults,
    last: Number,
    /// Starts that failed in a row, and when the next may be.
    failed: u32,
    retry_at: Option<Instant>,
    closed: bool,
}

impl Pool {
    /// With the first instance, which everybody waits for. `expected`: what clients can do, as far as that is known.
    pub(crate) fn new(rules: InstanceRules, expected: ClientFeatures, now: Instant) -> (Self, Number) {
        let mut pool = Self {
            rules,
            instances: BTreeMap::new(),
            wanting: VecDeque::new(),
            expected,
            faults: Faults::default(),
            last: 0,
            failed: 0,
            retry_at: None,
            closed: false,
        };
        let first = pool.add(expected, now);
        (pool, first)
    }

    /// The session calls, whose client can do this.
    pub(crate) fn place(
        &mut self,
        session: SessionKey,
        features: ClientFeatures,
        now: Instant,
        actions: &mut Vec<Action>,
    ) -> Place {
        if self.owned_by(session).is_none() && self.wanting.iter().all(|(wanting, _)| *wanting != session) {
            // First those go that are beyond their time, so that nobody is refused because of them.
            self.settle(now, actions);
            let taken = self.instances.values().filter(|i| i.is_live() && i.owner.is_some()).count();
            if self.closed || taken + self.wanting.len() >= self.rules.max {
                return Place::Full;
            }
            self.wanting.push_back((session, features));
            self.expect(features);
            self.settle(now, actions);
        }
        match self.owned_by(session) {
            Some((number, instance)) if instance.phase == Phase::Ready => {
                instance.last_used = now;
                Place::At(number)
            }
            Some(_) | None => Place::Wait,
        }
    }

    /// What has become due: instances for the sessions that want one, spare ones, the end of unused ones.
    pub(crate) fn settle(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if self.closed {
            return;
        }
        for (number, instance) in &mut self.instances {
            if instance.idle_at(self.rules.idle).is_some_and(|at| at <= now) {
                instance.phase = Phase::Ending;
                actions.push(Action::Stop(*number));
            }
        }
        self.faults.forget_old(now);
        let mut left = VecDeque::new();
        for (session, features) in std::mem::take(&mut self.wanting) {
            let is_due = self.faults.until(&session).is_none_or(|at| at <= now);
            let found = is_due.then(|| self.spare(features)).flatten();
            let number = match found {
                Some(number) => number,
                None if is_due && self.may_start(now) => {
                    let number = self.add(features, now);
                    actions.push(Action::Start(number, features));
                    number
                }
                None => {
                    left.push_back((session, features));
                    continue;
                }
            };
            if let Some(instance) = self.instances.get_mut(&number) {
                (instance.owner, instance.last_used) = (Some(session), now);
                actions.push(Action::Bound(number, session));
            }
        }
        self.wanting = left;
        self.end_useless(now, actions);
        while self.spares() < self.rules.prewarm && self.may_start(now) {
            actions.push(Action::Start(self.add(self.expected, now), self.expected));
        }
    }

    /// Ends spare instances that stand in the way of sessions which have no use for them, and those that turned out to be
    /// of no use.
    fn end_useless(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let waiting = self.wanting.iter().filter(|(session, _)| self.faults.until(session).is_none_or(|at| at <= now));
        let ending = self.instances.values().filter(|instance| !instance.is_live()).count();
        let full = self.instances.len() >= self.rules.max;
        let mut in_the_way = if full { waiting.count().saturating_sub(ending) } else { 0 };
        let mut surplus = self.spares().saturating_sub(self.rules.prewarm);
        for (number, instance) in self.instances.iter_mut().filter(|(_, instance)| Self::is_spare(instance)) {
            let is_useless = instance.missed > MISSES || (instance.missed > 0 && surplus > 0);
            if in_the_way == 0 && !is_useless {
                continue;
            }
            in_the_way = in_the_way.saturating_sub(1);
            surplus = surplus.saturating_sub(1);
            instance.phase = Phase::Ending;
            actions.push(Action::Stop(*number));
        }
    }

    /// A new session has a client that can do this, and the next one is expected to be like it.
    fn expect(&mut self, features: ClientFeatures) {
        self.expected = features;
        for instance in self.instances.values_mut().filter(|instance| Self::is_spare(instance)) {
            instance.missed = if instance.fits(features) { 0 } else { instance.missed.saturating_add(1) };
        }
    }

    /// It hears with each call what its client can do, so it may be anybody's.
    pub(crate) fn suits_all(&mut self, number: Number) {
        if let Some(instance) = self.instances.get_mut(&number) {
            instance.told = None;
        }
    }

    /// An instance answers.
    pub(crate) fn ready(&mut self, number: Number, now: Instant) {
        (self.failed, self.retry_at) = (0, None);
        if let Some(instance) = self.instances.get_mut(&number).filter(|i| i.phase == Phase::Starting) {
            (instance.phase, instance.last_used) = (Phase::Ready, now);
        }
    }

    /// It takes no further call; it is gone later.
    pub(crate) fn given_up(&mut self, number: Number, now: Instant) -> Option<End> {
        let instance = self.instances.get_mut(&number)?;
        let was_ready = match std::mem::replace(&mut instance.phase, Phase::Ending) {
            Phase::Ending => return Some(End::Wanted),
            Phase::Starting => false,
            Phase::Ready => true,
        };
        let owner = instance.owner.take();
        if !was_ready {
            self.failed = self.failed.saturating_add(1);
            let delay = RETRY.saturating_mul(1 << (self.failed - 1).min(16)).min(RETRY_MAX);
            self.retry_at = Some(now + delay);
        } else if let Some(owner) = owner {
            self.faults.note(owner, now);
        }
        Some(End::Fault { was_ready, owner })
    }

    /// An instance is gone. Says how, of one that was not given up before.
    pub(crate) fn ended(&mut self, number: Number, now: Instant) -> End {
        let end = self.given_up(number, now).unwrap_or(End::Wanted);
        self.instances.remove(&number);
        end
    }

    /// A call was handed to it.
    pub(crate) fn begun(&mut self, number: Number) {
        if let Some(instance) = self.instances.get_mut(&number) {
            instance.calls += 1;
        }
    }

    /// A call of it is over.
    pub(crate) fn over(&mut self, number: Number, now: Instant) {
        if let Some(instance) = self.instances.get_mut(&number) {
            (instance.calls, instance.last_used) = (instance.calls.saturating_sub(1), now);
        }
    }

    /// A session ended: nobody needs its instance, and nobody else may have it.
    pub(crate) fn release(&mut self, session: SessionKey, actions: &mut Vec<Action>) {
        self.wanting.retain(|(wanting, _)| *wanting != session);
        self.faults.forget(&session);
        if let Some((number, instance)) = self.owned_by(session) {
            instance.phase = Phase::Ending;
            actions.push(Action::Stop(number));
        }
    }

    /// Nothing is started any more, and everything ends.
    pub(crate) fn close(&mut self, actions: &mut Vec<Action>) {
        self.closed = true;
        self.wanting.clear();
        for (number, instance) in self.instances.iter_mut().filter(|(_, instance)| instance.is_live()) {
            instance.phase = Phase::Ending;
            actions.push(Action::Stop(*number));
        }
    }

    /// Whether starts fail so often that nothing can be expected of further ones.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.failed >= HOPELESS && !self.instances.values().any(Instance::is_live)
    }

    /// Whether any session has an instance, or waits for one.
    pub(crate) fn is_used(&self) -> bool {
        !self.wanting.is_empty() || self.instances.values().any(|i| i.is_live() && i.owner.is_some())
    }

    /// Whether it answers calls.
    pub(crate) fn is_ready(&self, number: Number) -> bool {
        self.instances.get(&number).is_some_and(|instance| instance.phase == Phase::Ready)
    }

    /// Whose instance this is.
    pub(crate) fn owner(&self, number: Number) -> Option<SessionKey> {
        self.instances.get(&number)?.owner
    }

    /// The instance that a session calls at present, if it has one.
    pub(crate) fn instance_of(&self, session: SessionKey) -> Option<Number> {
        let mut live = self.instances.iter().filter(|(_, instance)| instance.is_live());
        live.find(|(_, instance)| instance.owner == Some(session)).map(|(number, _)| *number)
    }

    /// When [`Pool::settle`] should be called next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        if self.closed {
            return None;
        }
        let idle = self.instances.values().filter_map(|instance| instance.idle_at(self.rules.idle));
        let has_room = self.instances.len() < self.rules.max;
        let wanting = self.wanting.iter().filter_map(|(session, features)| match self.faults.until(session) {
            until if self.spare(*features).is_some() => until,
            until if has_room => until.max(self.retry_at),
            // The end of an instance is what this one waits for.
            _ => None,
        });
        let lacking = has_room && self.spares() < self.rules.prewarm;
        idle.chain(wanting).chain(self.retry_at.filter(|_| lacking)).min()
    }

    fn owned_by(&mut self, session: SessionKey) -> Option<(Number, &mut Instance)> {
        let number = self.instance_of(session)?;
        self.instances.get_mut(&number).map(|instance| (number, instance))
    }

    fn may_start(&self, now: Instant) -> bool {
        self.instances.len() < self.rules.max && self.retry_at.is_none_or(|at| at <= now)
    }

    fn is_spare(instance: &Instance) -> bool {
        instance.is_live() && instance.owner.is_none()
    }

    fn spares(&self) -> usize {
        self.instances.values().filter(|instance| Self::is_spare(instance)).count()
    }

    /// A spare instance for such a client, one that is ready if possible.
    fn spare(&self, features: ClientFeatures) -> Option<Number> {
        let is_one = |instance: &Instance| Self::is_spare(instance) && instance.fits(features);
        let spares = || self.instances.iter().filter(|(_, instance)| is_one(instance));
        let ready = spares().find(|(_, instance)| instance.phase == Phase::Ready);
        ready.or_else(|| spares().next()).map(|(number, _)| *number)
    }

    fn add(&mut self, features: ClientFeatures, now: Instant) -> Number {
        self.last += 1;
        let instance =
            Instance { phase: Phase::Starting, told: Some(features), missed: 0, owner: None, calls: 0, last_used: now };
        self.instances.insert(self.last, instance);
        self.last
    }
}

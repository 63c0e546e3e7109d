//! Which instance belongs to which session, which ones are started, and which have to go. Pure: the time is an argument.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use mcproxy_ipc::{InstanceRules, SessionKey, data::ServerEra};

use super::{
    client_profile::{ClientProfile, Eras},
    faults::Faults,
    instance::{Instance, InstancePhase},
};

/// Counts up with every instance of a worker, so that a number never means two of them.
pub(crate) type Number = u32;

/// Starts in a row that may fail before the server itself is held to be broken.
const HOPELESS: u32 = 3;
/// Before the start that follows a failed one; doubled for each further one in a row.
const RETRY: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);

/// New sessions in a row that a spare instance may be no use for before another takes its place.
const MISSES: u32 = 1;

/// A step to take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PoolAction {
    /// Start this one, which is to be like this.
    Start(Number, ClientProfile),
    /// This one belongs to the session from now on.
    Bound(Number, SessionKey),
    /// End this one in order.
    Stop(Number),
}

/// The answer to a session that needs an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placement {
    /// Its instance, which is ready.
    At(Number),
    /// An instance, soon.
    Wait,
    /// None: all are in use by other sessions.
    Full,
}

/// How an instance ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InstanceEnd {
    /// As we wanted.
    Wanted,
    /// By a fault; whether it was ready before, and whose it was, unless that session waits for another now.
    Fault { was_ready: bool, owner: Option<SessionKey> },
}

/// All instances of one server.
#[derive(Debug)]
pub(crate) struct Pool {
    rules: InstanceRules,
    instances: BTreeMap<Number, Instance>,
    /// Sessions without an instance that want one, the one that waits for longest first, and what it is to be like.
    wanting: VecDeque<(SessionKey, ClientProfile)>,
    /// The profile that new sessions are expected to want: that of the last one.
    expected: ClientProfile,
    eras: Eras,
    faults: Faults,
    last: Number,
    /// Starts that failed in a row, and when the next may be.
    failed: u32,
    retry_at: Option<Instant>,
    closed: bool,
}

impl Pool {
    /// With the first instance, which all calls wait for, and what that is to be like.
    pub(crate) fn new(rules: InstanceRules, eras: Eras, now: Instant) -> (Self, Number, ClientProfile) {
        let first = eras.common();
        let mut pool = Self {
            rules,
            instances: BTreeMap::new(),
            wanting: VecDeque::new(),
            expected: first.clone(),
            eras,
            faults: Faults::default(),
            last: 0,
            failed: 0,
            retry_at: None,
            closed: false,
        };
        let number = pool.add(first.clone(), now);
        (pool, number, first)
    }

    /// The session calls, and wants an instance that is like this.
    pub(crate) fn place(
        &mut self,
        session: SessionKey,
        client_profile: &ClientProfile,
        now: Instant,
        actions: &mut Vec<PoolAction>,
    ) -> Placement {
        if self.owned_by(session).is_none() && self.wanting.iter().all(|(wanting, _)| *wanting != session) {
            // First those go that are beyond their time, so that no session is refused because of them.
            self.settle(now, actions);
            let taken = self.instances.values().filter(|i| i.is_live() && i.owner.is_some()).count();
            if self.closed || taken + self.wanting.len() >= self.rules.max {
                return Placement::Full;
            }
            self.wanting.push_back((session, client_profile.clone()));
            self.expect(client_profile);
            self.settle(now, actions);
        }
        match self.owned_by(session) {
            Some((number, instance)) if instance.phase == InstancePhase::Ready => {
                instance.last_used = now;
                Placement::At(number)
            }
            Some(_) | None => Placement::Wait,
        }
    }

    /// The steps that are due: instances for the sessions that want one, spare ones, the end of unused ones.
    pub(crate) fn settle(&mut self, now: Instant, actions: &mut Vec<PoolAction>) {
        if self.closed {
            return;
        }
        for (number, instance) in &mut self.instances {
            if instance.idle_at(self.rules.idle).is_some_and(|at| at <= now) {
                instance.phase = InstancePhase::Ending;
                actions.push(PoolAction::Stop(*number));
            }
        }
        self.faults.forget_old(now);
        let mut left = VecDeque::new();
        for (session, wanted) in std::mem::take(&mut self.wanting) {
            let is_due = self.faults.until(&session).is_none_or(|at| at <= now);
            let client_profile = self.eras.fitting(&wanted);
            let found = is_due.then(|| self.spare(&client_profile)).flatten();
            let number = match found {
                Some(number) => number,
                None if is_due && self.may_start(now) => {
                    let number = self.add(client_profile.clone(), now);
                    actions.push(PoolAction::Start(number, client_profile));
                    number
                }
                None => {
                    left.push_back((session, wanted));
                    continue;
                }
            };
            if let Some(instance) = self.instances.get_mut(&number) {
                (instance.owner, instance.last_used) = (Some(session), now);
                actions.push(PoolAction::Bound(number, session));
            }
        }
        self.wanting = left;
        self.end_useless(now, actions);
        while self.spares() < self.rules.prewarm && self.may_start(now) {
            let client_profile = self.eras.fitting(&self.expected);
            actions.push(PoolAction::Start(self.add(client_profile.clone(), now), client_profile));
        }
    }

    /// Ends spare instances that stand in the way of sessions which have no use for them, and those that turned out to be
    /// of no use.
    fn end_useless(&mut self, now: Instant, actions: &mut Vec<PoolAction>) {
        let waiting = self.wanting.iter().filter(|(session, _)| self.faults.until(session).is_none_or(|at| at <= now));
        let ending = self.instances.values().filter(|instance| !instance.is_live()).count();
        let full = self.instances.len() >= self.rules.max;
        let mut in_the_way = if full { waiting.count().saturating_sub(ending) } else { 0 };
        let mut surplus = self.spares().saturating_sub(self.rules.prewarm);
        for (number, instance) in self.instances.iter_mut().filter(|(_, instance)| instance.is_spare()) {
            let is_useless = instance.missed > MISSES || (instance.missed > 0 && surplus > 0);
            if in_the_way == 0 && !is_useless {
                continue;
            }
            in_the_way = in_the_way.saturating_sub(1);
            surplus = surplus.saturating_sub(1);
            instance.phase = InstancePhase::Ending;
            actions.push(PoolAction::Stop(*number));
        }
    }

    /// A new session wants an instance that is like this, and the next one is expected to want the same.
    fn expect(&mut self, wanted: &ClientProfile) {
        self.expected = wanted.clone();
        let client_profile = self.eras.fitting(wanted);
        for instance in self.instances.values_mut().filter(|instance| instance.is_spare()) {
            instance.missed =
                if instance.client_profile == client_profile { 0 } else { instance.missed.saturating_add(1) };
        }
    }

    /// A session wants to know what an instance that is like this offers. Whether there is one that will say so, started for
    /// that if there is room; the session's first call finds it.
    pub(crate) fn show(
        &mut self,
        session: SessionKey,
        client_profile: &ClientProfile,
        now: Instant,
        actions: &mut Vec<PoolAction>,
    ) -> bool {
        let client_profile = self.eras.fitting(client_profile);
        if self.closed {
            return false;
        }
        if self.spare(&client_profile).is_some() {
            return true;
        }
        let owned = self.instances.values().filter(|i| i.is_live() && i.owner.is_some()).count();
        if !self.may_start(now) || owned + self.wanting.len() >= self.rules.max {
            return false;
        }
        let number = self.add(client_profile.clone(), now);
        if let Some(instance) = self.instances.get_mut(&number) {
            instance.shown_to = Some(session);
        }
        actions.push(PoolAction::Start(number, client_profile));
        true
    }

    /// An instance turned out to speak this.
    pub(crate) fn learn(&mut self, number: Number, era: ServerEra) {
        if let Some(instance) = self.instances.get_mut(&number) {
            instance.client_profile = self.eras.learn(&instance.client_profile, era);
        }
    }

    /// Whether an instance that is like this is on its way.
    pub(crate) fn is_starting(&self, client_profile: &ClientProfile) -> bool {
        self.instances
            .values()
            .any(|instance| instance.phase == InstancePhase::Starting && instance.client_profile == *client_profile)
    }

    /// It was found out too late for the instance that was asked that the server speaks this.
    pub(crate) fn correct(&mut self, era: ServerEra) {
        self.eras.correct(era);
    }

    /// The eras that the server is known to speak.
    pub(crate) fn eras(&self) -> &Eras {
        &self.eras
    }

    /// The profile of an instance.
    pub(crate) fn client_profile(&self, number: Number) -> Option<&ClientProfile> {
        self.instances.get(&number).map(|instance| &instance.client_profile)
    }

    /// An instance answers.
    pub(crate) fn ready(&mut self, number: Number, now: Instant) {
        (self.failed, self.retry_at) = (0, None);
        if let Some(instance) = self.instances.get_mut(&number).filter(|i| i.phase == InstancePhase::Starting) {
            (instance.phase, instance.last_used) = (InstancePhase::Ready, now);
        }
    }

    /// It takes no further call; it is gone later.
    pub(crate) fn given_up(&mut self, number: Number, now: Instant) -> Option<InstanceEnd> {
        let instance = self.instances.get_mut(&number)?;
        let was_ready = match std::mem::replace(&mut instance.phase, InstancePhase::Ending) {
            InstancePhase::Ending => return Some(InstanceEnd::Wanted),
            InstancePhase::Starting => false,
            InstancePhase::Ready => true,
        };
        let owner = instance.owner.take();
        if !was_ready && self.eras.give_up(&instance.client_profile) {
            // It is not broken, but spoken to in the wrong era.
            if let Some(owner) = owner {
                self.wanting.push_front((owner, ClientProfile::Modern));
            }
            return Some(InstanceEnd::Fault { was_ready: true, owner: None });
        }
        if !was_ready {
            self.failed = self.failed.saturating_add(1);
            let delay = RETRY.saturating_mul(1 << (self.failed - 1).min(16)).min(RETRY_MAX);
            self.retry_at = Some(now + delay);
        } else if let Some(owner) = owner {
            self.faults.note(owner, now);
        }
        Some(InstanceEnd::Fault { was_ready, owner })
    }

    /// An instance is gone. Says how, of one that was not given up before.
    pub(crate) fn ended(&mut self, number: Number, now: Instant) -> InstanceEnd {
        let end = self.given_up(number, now).unwrap_or(InstanceEnd::Wanted);
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

    /// A session ended: it needs its instance no longer, and no other session may have it.
    pub(crate) fn release(&mut self, session: SessionKey, actions: &mut Vec<PoolAction>) {
        self.wanting.retain(|(wanting, _)| *wanting != session);
        self.faults.forget(&session);
        if let Some((number, instance)) = self.owned_by(session) {
            instance.phase = InstancePhase::Ending;
            actions.push(PoolAction::Stop(number));
        }
        // An instance that it never called is of no use to it any more.
        let surplus = self.spares().saturating_sub(self.rules.prewarm);
        let shown = self.instances.iter_mut().filter(|(_, i)| i.shown_to == Some(session) && i.is_spare());
        for (number, instance) in shown.take(surplus) {
            instance.phase = InstancePhase::Ending;
            actions.push(PoolAction::Stop(*number));
        }
    }

    /// Nothing is started any more, and everything ends.
    pub(crate) fn close(&mut self, actions: &mut Vec<PoolAction>) {
        self.closed = true;
        self.wanting.clear();
        for (number, instance) in self.instances.iter_mut().filter(|(_, instance)| instance.is_live()) {
            instance.phase = InstancePhase::Ending;
            actions.push(PoolAction::Stop(*number));
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
        self.instances.get(&number).is_some_and(|instance| instance.phase == InstancePhase::Ready)
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
        let wanting = self.wanting.iter().filter_map(|(session, client_profile)| match self.faults.until(session) {
            until if self.spare(&self.eras.fitting(client_profile)).is_some() => until,
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

    fn spares(&self) -> usize {
        self.instances.values().filter(|instance| instance.is_spare()).count()
    }

    /// A spare instance that is like this, one that is ready if possible.
    fn spare(&self, client_profile: &ClientProfile) -> Option<Number> {
        let is_one = |instance: &Instance| instance.is_spare() && instance.client_profile == *client_profile;
        let spares = || self.instances.iter().filter(|(_, instance)| is_one(instance));
        let ready = spares().find(|(_, instance)| instance.phase == InstancePhase::Ready);
        ready.or_else(|| spares().next()).map(|(number, _)| *number)
    }

    fn add(&mut self, client_profile: ClientProfile, now: Instant) -> Number {
        self.last += 1;
        let instance = Instance::new(client_profile, now);
        self.instances.insert(self.last, instance);
        self.last
    }
}

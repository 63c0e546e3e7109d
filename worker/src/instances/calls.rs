//! Messages of the gateway, and which instance each is for.

use std::{borrow::Cow, rc::Rc, time::Instant};

use bytes::Bytes;
use mcproxy_ipc::{
    ClientDeclaration, EndReason, Ended, SessionKey,
    data::{CallContext, GatewayToWorker, Outcome, ServerEra, WorkerToGateway},
};
use mcproxy_mcp::{ErrorCode, ErrorObject, json_string, method};

use super::{
    call_number::{OWN, of_gateway, of_host},
    client_profile::ClientProfile,
    host::{InstanceHost, RunningInstance, UNIT},
    pool::{Number, Placement},
    waiting::{Due, WaitingCall},
};
use crate::{
    link::Handed,
    session::{TAIL_IN_ERRORS, allowed},
};

impl InstanceHost {
    /// A message of the gateway.
    pub(super) fn frame(&mut self, message: GatewayToWorker, payload: Bytes, now: Instant) {
        match message {
            GatewayToWorker::Call { id, method, meta_at, mut context } => {
                self.used(now);
                let Some(session) = context.session else {
                    let message =
                        format!("server `{}` is called for a session, and this call names none", self.spec.server);
                    return self.refuse(id, ErrorCode::SERVER_UNAVAILABLE, message, "no_session");
                };
                let number = of_host(id, self.epoch);
                // One that has its instance needs no other.
                let client_profile = self.pool.instance_of(session).is_none().then(|| self.client_profile(&context));
                if let (Some(listed), Some(can)) = (self.spec.features, &mut context.client_capabilities) {
                    *can = allowed(can, listed);
                }
                let (level, wants_progress) = (context.log_level.clone(), context.wants_progress);
                let message = GatewayToWorker::Call { id: number, method: method.clone(), meta_at, context };
                let handed = Handed { message, payload, room: None };
                let (begun, until) = (now, now + self.spec.timeouts.idle);
                let call = WaitingCall { id, number, method, handed, level, wants_progress, begun, until, signs: 0 };
                self.call(session, &client_profile.unwrap_or(ClientProfile::Modern), call, meta_at, now);
            }
            GatewayToWorker::Meet { id, context } => self.meet(id, &context, now),
            GatewayToWorker::Resume { id, handle, context } => self.resume(id, handle, context, payload, now),
            GatewayToWorker::Abandon { handle } => self.abandon(handle, now),
            GatewayToWorker::Cancel { id, reason } => self.cancel(id, reason, now),
            GatewayToWorker::RootsChanged { session } => self.roots_changed(session),
            GatewayToWorker::InputProgress { handle, key } => self.input_progress(handle, key, payload),
            GatewayToWorker::Notify { method, session } => self.notify(method, session, payload),
            GatewayToWorker::CheckList { method, session } => self.check_list(method, session),
            GatewayToWorker::Release { session } => self.release(session),
        }
    }

    /// The profile that a session's instance has to have. Clients that are different each time are told apart when they are asked.
    pub(super) fn client_profile(&self, context: &CallContext) -> ClientProfile {
        match &context.client_capabilities {
            Some(capabilities) if context.client.is_some() => ClientProfile::Legacy(Rc::new(ClientDeclaration {
                capabilities: self
                    .spec
                    .features
                    .map_or_else(|| capabilities.clone(), |listed| allowed(capabilities, listed)),
                // Spare instances are started before it is known whose they will be.
                info: context.client_info.clone().filter(|_| self.rules.prewarm == 0),
            })),
            Some(_) | None => ClientProfile::Modern,
        }
    }

    fn call(
        &mut self,
        session: SessionKey,
        client_profile: &ClientProfile,
        mut call: WaitingCall,
        meta_at: usize,
        now: Instant,
    ) {
        let id = call.id;
        if self.is_ending() {
            let message = format!("server `{}` is being stopped", self.spec.server);
            return self.refuse(id, ErrorCode::SERVER_UNAVAILABLE, message, "stopping");
        }
        let payload = &call.handed.payload;
        let params = payload.slice(..meta_at.min(payload.len()));
        match &*call.method {
            method::RESOURCES_SUBSCRIBE => self.subscription_memory.note(session, &params),
            method::RESOURCES_UNSUBSCRIBE => self.subscription_memory.forget(session, &params),
            _ => {}
        }
        // Nothing that an instance would have to be started for: the next one is told what is in force then.
        let is_wish = matches!(&*call.method, method::SET_LEVEL | method::RESOURCES_UNSUBSCRIBE);
        if is_wish && self.pool.instance_of(session).is_none() {
            let done = WorkerToGateway::Done { id, outcome: Outcome::Result, era: ServerEra::Legacy };
            return self.tell(done, Bytes::from_static(b"{}"));
        }
        let units = u32::try_from(payload.len() / UNIT + 1).unwrap_or(u32::MAX);
        let Ok(room) = self.room.clone().try_acquire_many_owned(units) else {
            let message = format!("too many bytes of calls wait for server `{}` to read them", self.spec.server);
            return self.refuse(id, ErrorCode::SERVER_UNAVAILABLE, message, "too_many_calls");
        };
        call.handed.room = Some(room);
        if let Some(instance) = self.pool.instance_of(session)
            && self.running.get(&instance).is_some_and(|running| running.handle.is_given_up())
        {
            self.pool.given_up(instance, now);
        }
        let mut actions = Vec::new();
        let place = self.pool.place(session, client_profile, now, &mut actions);
        self.perform(actions);
        match place {
            Placement::At(instance) => self.hand(instance, session, call),
            Placement::Wait => {
                if !self.waiting.hold(session, call, self.spec.limits.concurrent_calls) {
                    self.refuse_crowd(id);
                }
            }
            Placement::Full => {
                let max = self.max();
                let message = format!(
                    "all {max} instances of server `{}` belong to other sessions (maxInstances); end a session, or try again later",
                    self.spec.server
                );
                let error = self.about(ErrorCode::SERVER_UNAVAILABLE, message, "too_many_instances");
                self.fail(id, &error.with("maxInstances", max));
            }
        }
    }

    /// The calls that waited for this instance.
    pub(super) fn hand_over(&mut self, instance: Number, session: SessionKey) {
        if !self.pool.is_ready(instance) {
            return;
        }
        for call in self.waiting.take(session) {
            self.hand(instance, session, call);
        }
    }

    fn hand(&mut self, instance: Number, session: SessionKey, call: WaitingCall) {
        let wishes = self.wishes(instance, session, &call);
        let Some(running) = self.running.get_mut(&instance) else { return };
        running.touched = true;
        for wish in wishes {
            // An instance that has no room for it will be full for the call as well.
            let _ = running.handle.calls.try_send(wish);
        }
        if running.handle.calls.try_send(call.handed).is_err() {
            return self.refuse_crowd(call.id);
        }
        running.flights.insert(call.number);
        self.flights.insert(call.number, instance);
        self.pool.begun(instance);
    }

    /// Tells an instance, before the call of a session, what an earlier instance of the session was told.
    fn wishes(&mut self, instance: Number, session: SessionKey, call: &WaitingCall) -> Vec<Handed> {
        let Some(running) = self.running.get_mut(&instance) else { return Vec::new() };
        let mut wishes = Vec::new();
        if let Some(level) = &call.level
            && running.level.as_ref() != Some(level)
        {
            running.level = Some(level.clone());
            let params = format!("{{\"level\":{}}}", json_string(level).get());
            wishes.push(own_call(method::SET_LEVEL, params.into()));
        }
        if !running.touched && call.method != method::RESOURCES_SUBSCRIBE {
            let params = self.subscription_memory.of(session);
            wishes.extend(params.into_iter().map(|params| own_call(method::RESOURCES_SUBSCRIBE, params)));
        }
        wishes
    }

    fn cancel(&mut self, id: u64, reason: Option<String>, now: Instant) {
        self.list_waits.retain(|wait| wait.id != id);
        if self.waiting.cancel(id) {
            return;
        }
        let number = of_host(id, self.epoch);
        if let Some(instance) = self.close_flight(number, now)
            && let Some(running) = self.running.get(&instance)
        {
            let message = GatewayToWorker::Cancel { id: number, reason };
            // One that reads so little that there is no room will not miss it.
            let _ = running.handle.calls.try_send(Handed { message, payload: Bytes::new(), room: None });
        }
    }

    /// A call is over. Says which instance had it; `None` for one that is not, or no longer, in flight.
    pub(super) fn close_flight(&mut self, number: u64, now: Instant) -> Option<Number> {
        let instance = self.flights.remove(&number)?;
        if let Some(running) = self.running.get_mut(&instance) {
            running.flights.remove(&number);
        }
        self.pool.over(instance, now);
        Some(instance)
    }

    fn release(&mut self, session: SessionKey) {
        self.subscription_memory.release(session);
        self.offers.release(session);
        self.forget_list_waits(session);
        self.refuse_gone(session);
        let mut actions = Vec::new();
        self.pool.release(session, &mut actions);
        self.perform(actions);
    }

    /// For the instance of a session, if it has one: another is told of nothing, and asks.
    fn roots_changed(&self, session: SessionKey) {
        let instance = self.pool.instance_of(session).and_then(|instance| self.running.get(&instance));
        if let Some(running) = instance {
            let message = GatewayToWorker::RootsChanged { session };
            // One that reads so little that there is no room has worse to worry about.
            let _ = running.handle.calls.try_send(Handed { message, payload: Bytes::new(), room: None });
        }
    }

    /// For the instance of a session, if it has one.
    fn notify(&self, method: String, session: Option<SessionKey>, payload: Bytes) {
        let instance = session.and_then(|session| self.pool.instance_of(session));
        if let Some(running) = instance.and_then(|instance| self.running.get(&instance)) {
            let message = GatewayToWorker::Notify { method, session };
            // One that reads so little that there is no room misses it.
            let _ = running.handle.calls.try_send(Handed { message, payload, room: None });
        }
    }

    /// Asks the session's own instance, or one whose lists count for all.
    fn check_list(&mut self, method: Cow<'static, str>, session: Option<SessionKey>) {
        let own = session.and_then(|session| self.pool.instance_of(session));
        let own = own.and_then(|instance| self.running.get(&instance));
        let measure = || self.running.iter().find(|(number, _)| self.is_measure(**number)).map(|(_, running)| running);
        let asked = own.or_else(measure);
        let message = GatewayToWorker::CheckList { method: method.clone(), session };
        let handed = Handed { message, payload: Bytes::new(), room: None };
        if asked.is_none_or(|running| running.handle.calls.try_send(handed).is_err()) {
            self.tell(WorkerToGateway::ListChecked { method }, Bytes::new());
        }
    }

    /// The gateway is gone, and no client waits for its calls.
    pub(super) fn give_up_calls(&mut self, now: Instant) {
        self.waiting.take_all();
        self.list_waits.clear();
        for handle in self.parked.handles() {
            self.abandon(handle, now);
        }
        for number in self.flights.keys().copied().collect::<Vec<_>>() {
            let Some(instance) = self.close_flight(number, now) else { continue };
            let Some(running) = self.running.get(&instance) else { continue };
            let message = GatewayToWorker::Cancel { id: number, reason: Some("the client is gone".to_owned()) };
            // As above.
            let _ = running.handle.calls.try_send(Handed { message, payload: Bytes::new(), room: None });
        }
    }

    // --- answers of our own -----------------------------------------------------------------------------------------

    /// Calls that waited for too long, and those whose clients should hear of us.
    pub(super) fn answer_due(&mut self, now: Instant) {
        for due in self.waiting.due(now) {
            match due {
                Due::Late { id } => {
                    let (server, limit) = (&self.spec.server, self.spec.timeouts.idle.as_secs_f64());
                    let message = format!("no instance of server `{server}` was ready within {limit} s");
                    self.refuse(id, ErrorCode::TIMEOUT, message, "timeout");
                }
                Due::Sign { id } => {
                    let message = json_string(&format!("an instance of {} is starting", self.spec.server));
                    self.tell(WorkerToGateway::Starting { id }, message.get().to_owned().into());
                }
            }
        }
    }

    /// The instance that a session waited for did not become ready.
    pub(super) fn refuse_waiting(&mut self, session: SessionKey, ended: &Ended) {
        for call in self.waiting.take(session) {
            let message = format!("an instance of server `{}` did not start: {}", self.spec.server, ended.reason);
            let error = self.about(ErrorCode::SERVER_UNAVAILABLE, message, "instance_failed");
            self.fail(call.id, &error.with("stderrTail", tail(ended)));
        }
    }

    /// Nothing is started any more.
    pub(super) fn refuse_all_waiting(&mut self) {
        for call in self.waiting.take_all() {
            let message = format!("server `{}` was stopped before the call reached it", self.spec.server);
            self.refuse(call.id, ErrorCode::SERVER_UNAVAILABLE, message, "stopping");
        }
    }

    fn refuse_gone(&mut self, session: SessionKey) {
        for call in self.waiting.take(session) {
            let message = "the session ended before the call reached the server".to_owned();
            self.refuse(call.id, ErrorCode::SERVER_UNAVAILABLE, message, "stopping");
        }
    }

    /// Answers what an instance that is gone left without an answer.
    pub(super) fn answer_for(&mut self, running: &RunningInstance, ended: &Ended) {
        for number in &running.flights {
            self.flights.remove(number);
            let Some(id) = of_gateway(*number, self.epoch) else { continue };
            let why = if ended.reason == EndReason::Stopped { "server_stopped" } else { "server_exited" };
            let message = format!("server `{}` ended during the call: {}", self.spec.server, ended.reason);
            let error = self.about(ErrorCode::SERVER_ENDED, message, why);
            let error = error.with("exit", ended.reason.to_string()).with("stderrTail", tail(ended));
            self.fail(id, &error);
        }
    }

    pub(super) fn refuse_crowd(&mut self, id: u64) {
        let message = format!("too many calls in flight (limit {})", self.spec.limits.concurrent_calls);
        self.refuse(id, ErrorCode::SERVER_UNAVAILABLE, message, "too_many_calls");
    }

    fn refuse(&mut self, id: u64, code: ErrorCode, message: String, reason: &str) {
        let error = self.about(code, message, reason);
        self.fail(id, &error);
    }

    fn about(&self, code: ErrorCode, message: String, reason: &str) -> ErrorObject {
        ErrorObject::about_server(code, message, self.spec.server.as_str(), reason)
    }

    pub(super) fn fail(&mut self, id: u64, error: &ErrorObject) {
        let payload = Bytes::copy_from_slice(error.to_raw().get().as_bytes());
        self.tell(WorkerToGateway::Done { id, outcome: Outcome::Error, era: ServerEra::Legacy }, payload);
    }
}

fn own_call(method: &'static str, params: Bytes) -> Handed {
    let call = GatewayToWorker::Call {
        id: OWN,
        method: method.into(),
        meta_at: params.len(),
        context: CallContext::default(),
    };
    Handed { message: call, payload: params, room: None }
}

fn tail(ended: &Ended) -> &str {
    let text = &ended.stderr_tail;
    &text[text.ceil_char_boundary(text.len().saturating_sub(TAIL_IN_ERRORS))..]
}

//! Which control message is allowed from whom in which phase of its life (docs/decisions/0133). Pure.
//!
//! Frames are bounded and decoded before they come here; what comes here says something at a time when, or of a server of which,
//! no gateway or worker of ours says it. Its sender is not ours any more, and is killed.

use mcproxy_ipc::control::{GatewayToSupervisor, WorkerToSupervisor};

/// A message that is not allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{message}` is not allowed {when}")]
pub(crate) struct Violation {
    message: &'static str,
    when: &'static str,
}

/// The phases of a gateway, between its hello and its end.
///
/// | message | starting | serving |
/// |---|---|---|
/// | `Listening` | once, which ends the phase | – |
/// | all others | – | yes |
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum GatewayPhase {
    /// It is being told what it begins with.
    #[default]
    Starting,
    /// It accepts requests. A gateway that drains may say what it might before.
    Serving,
}

impl GatewayPhase {
    /// Takes one message of the gateway.
    pub(crate) fn admit(&mut self, message: &GatewayToSupervisor) -> Result<(), Violation> {
        use GatewayToSupervisor as Say;
        let (name, phase, next) = match message {
            Say::Listening { .. } => ("Listening", Self::Starting, Self::Serving),
            Say::Log(_) => ("Log", Self::Serving, Self::Serving),
            Say::Pong(_) => ("Pong", Self::Serving, Self::Serving),
            Say::Wake(_) => ("Wake", Self::Serving, Self::Serving),
            Say::Connect { .. } => ("Connect", Self::Serving, Self::Serving),
            Say::OpenCatalogue { .. } => ("OpenCatalogue", Self::Serving, Self::Serving),
            Say::OpenPins { .. } => ("OpenPins", Self::Serving, Self::Serving),
            Say::Ask { .. } => ("Ask", Self::Serving, Self::Serving),
            Say::Act { .. } => ("Act", Self::Serving, Self::Serving),
            Say::Shown { .. } => ("Shown", Self::Serving, Self::Serving),
            Say::StoreSnapshot { .. } => ("StoreSnapshot", Self::Serving, Self::Serving),
            Say::Forget(_) => ("Forget", Self::Serving, Self::Serving),
            Say::TokensUsed(_) => ("TokensUsed", Self::Serving, Self::Serving),
            Say::Audit { .. } => ("Audit", Self::Serving, Self::Serving),
            Say::Held(_) => ("Held", Self::Serving, Self::Serving),
            Say::HoldEnded { .. } => ("HoldEnded", Self::Serving, Self::Serving),
            Say::KeepApproval(_) => ("KeepApproval", Self::Serving, Self::Serving),
        };
        if *self != phase {
            return Err(Violation { message: name, when: self.when() });
        }
        *self = next;
        Ok(())
    }

    fn when(self) -> &'static str {
        match self {
            Self::Starting => "from a gateway that does not accept requests yet",
            Self::Serving => "from a gateway that accepts requests",
        }
    }
}

/// What a worker was told that has to do with what it may say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct WorkerTerms {
    /// Each session has a process of its own.
    pub(crate) per_session: bool,
    /// The server is ended when there is nothing to do.
    pub(crate) rests: bool,
    /// What it offers is kept.
    pub(crate) keeps_catalogue: bool,
}

/// The phases of a worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum WorkerPhase {
    /// It has not been told what to run.
    #[default]
    Untold,
    /// The server is being started.
    Starting,
    /// It has said what the server offers.
    Ready,
    /// It has said its last word.
    Over,
}

/// The life of one worker, as far as it is seen in its messages.
///
/// | message | starting | ready |
/// |---|---|---|
/// | `Log`, `Pong`, `Installing`, `CacheCleared`, `ListFailures`, `EraLearned`, `Counts`, `Degraded` | yes | yes |
/// | `Spawned` | not of a server with a process for each session | – |
/// | `Instances` | of a server with a process for each session | the same |
/// | `StartedAgain` | once | – |
/// | `Ready` | once, which ends the phase | – |
/// | `WantCatalogueRoom` | – | if catalogues are kept, and it has none |
/// | `CatalogueFilled` | – | if it was given room |
/// | `NothingToDo`, `Work` | – | of a server that rests when it is not called |
/// | `Ended` | the last | the last |
///
/// Before it is told what to run it says nothing at all, and after `Ended` neither.
#[derive(Debug, Clone, Default)]
pub(crate) struct WorkerConduct {
    terms: WorkerTerms,
    phase: WorkerPhase,
    started_again: bool,
    /// It has asked for room and not said that it is filled.
    has_room: bool,
}

impl WorkerConduct {
    /// It was told what to run.
    pub(crate) fn told(&mut self, terms: WorkerTerms) {
        *self = Self { terms, phase: WorkerPhase::Starting, started_again: false, has_room: false };
    }

    /// It was refused the room that it asked for.
    pub(crate) fn refused_room(&mut self) {
        self.has_room = false;
    }

    /// Takes one message of the worker.
    pub(crate) fn admit(&mut self, message: &WorkerToSupervisor) -> Result<(), Violation> {
        use WorkerToSupervisor as Say;
        let terms = self.terms;
        let (starts, ready) = (self.phase == WorkerPhase::Starting, self.phase == WorkerPhase::Ready);
        let lives = starts || ready;
        let (name, allowed) = match message {
            Say::Log(_) => ("Log", lives),
            Say::Pong(_) => ("Pong", lives),
            Say::CacheCleared => ("CacheCleared", lives),
            Say::ListFailures(_) => ("ListFailures", lives),
            Say::EraLearned(_) => ("EraLearned", lives),
            Say::Counts(_) => ("Counts", lives),
            Say::Degraded(_) => ("Degraded", lives),
            Say::Spawned { .. } => ("Spawned", starts && !terms.per_session),
            Say::Instances(_) => ("Instances", lives && terms.per_session),
            Say::StartedAgain => ("StartedAgain", starts && !self.started_again),
            // What watches the installation may be a moment late.
            Say::Installing => ("Installing", lives),
            Say::Ready(_) => ("Ready", starts),
            Say::WantCatalogueRoom => ("WantCatalogueRoom", ready && terms.keeps_catalogue && !self.has_room),
            Say::CatalogueFilled => ("CatalogueFilled", ready && self.has_room),
            Say::NothingToDo => ("NothingToDo", ready && terms.rests),
            Say::Work => ("Work", ready && terms.rests),
            Say::Ended(_) => ("Ended", lives),
        };
        if !allowed {
            return Err(Violation { message: name, when: self.phase.when() });
        }
        match message {
            Say::StartedAgain => self.started_again = true,
            Say::Ready(_) => self.phase = WorkerPhase::Ready,
            Say::WantCatalogueRoom => self.has_room = true,
            Say::CatalogueFilled => self.has_room = false,
            Say::Ended(_) => self.phase = WorkerPhase::Over,
            _ => {}
        }
        Ok(())
    }
}

impl WorkerPhase {
    fn when(self) -> &'static str {
        match self {
            Self::Untold => "from a worker that was not told what to run",
            Self::Starting => "from a worker whose server starts",
            Self::Ready => "from a worker whose server is ready, or not of such a server",
            Self::Over => "from a worker that has said its last word",
        }
    }
}

#[cfg(test)]
mod tests {
    use mcproxy_ipc::{
        CatalogueCounts, EndReason, Ended, EraEvidence, RunningInstances, ServerDescription, ServerName,
        control::{Act, ActingCaller},
        data::ServerEra,
    };
    use proptest::prelude::*;

    use super::*;

    fn ready() -> WorkerToSupervisor {
        WorkerToSupervisor::Ready(ServerDescription {
            era: ServerEra::Legacy,
            evidence: EraEvidence::Answer,
            probe: String::new(),
            protocol_version: String::new(),
            name: "n".to_owned(),
            version: "1".to_owned(),
            counts: CatalogueCounts::default(),
        })
    }

    fn ended() -> WorkerToSupervisor {
        WorkerToSupervisor::Ended(Ended { reason: EndReason::Stopped, stderr_tail: String::new() })
    }

    fn words() -> Vec<WorkerToSupervisor> {
        use WorkerToSupervisor as Say;
        vec![
            Say::Spawned { pid: 1 },
            Say::Instances(RunningInstances { running: 0, pids: Vec::new(), max: 1 }),
            ready(),
            Say::StartedAgain,
            Say::EraLearned(ServerEra::Modern),
            Say::Installing,
            Say::CacheCleared,
            Say::Counts(CatalogueCounts::default()),
            Say::WantCatalogueRoom,
            Say::CatalogueFilled,
            Say::ListFailures(Vec::new()),
            Say::NothingToDo,
            Say::Work,
            Say::Pong(1),
            ended(),
        ]
    }

    fn terms() -> impl Strategy<Value = WorkerTerms> {
        (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(per_session, rests, keeps_catalogue)| WorkerTerms {
            per_session,
            rests,
            keeps_catalogue,
        })
    }

    proptest! {
        #[test]
        fn what_is_admitted_is_a_life_that_a_worker_can_have(
            terms in terms(),
            said in prop::collection::vec(prop::sample::select(words()), 0..60),
        ) {
            use WorkerToSupervisor as Say;
            let mut conduct = WorkerConduct::default();
            conduct.told(terms);
            let admitted: Vec<_> = said.into_iter().filter(|word| conduct.admit(word).is_ok()).collect();
            let count = |what: fn(&Say) -> bool| admitted.iter().filter(|word| what(word)).count();
            prop_assert!(count(|word| matches!(word, Say::Ready(_))) <= 1);
            prop_assert!(count(|word| matches!(word, Say::StartedAgain)) <= 1);
            prop_assert!(terms.per_session || count(|word| matches!(word, Say::Instances(_))) == 0);
            let spawned = count(|word| matches!(word, Say::Spawned { .. }));
            prop_assert!(!terms.per_session || spawned == 0);
            prop_assert!(terms.rests || count(|word| matches!(word, Say::NothingToDo | Say::Work)) == 0);
            let (wants, fills) = (count(|word| *word == Say::WantCatalogueRoom), count(|word| *word == Say::CatalogueFilled));
            prop_assert!(terms.keeps_catalogue || wants == 0);
            prop_assert!(fills <= wants && wants <= fills + 1);
            let last = admitted.iter().position(|word| matches!(word, Say::Ended(_)));
            prop_assert!(last.is_none_or(|last| last + 1 == admitted.len()), "nothing comes after the last word");
            let is_ready = admitted.iter().position(|word| matches!(word, Say::Ready(_))).unwrap_or(admitted.len());
            let early = |word: &Say| matches!(word, Say::WantCatalogueRoom | Say::CatalogueFilled | Say::NothingToDo | Say::Work);
            let late = |word: &Say| matches!(word, Say::Spawned { .. } | Say::StartedAgain);
            prop_assert!(!admitted[..is_ready].iter().any(early));
            prop_assert!(!admitted[is_ready..].iter().any(late));
        }
    }

    #[test]
    fn a_worker_that_was_told_nothing_has_nothing_to_say() {
        for word in words() {
            WorkerConduct::default().admit(&word).expect_err("not allowed");
        }
    }

    #[test]
    fn a_worker_that_was_refused_room_may_ask_again() {
        let mut conduct = WorkerConduct::default();
        conduct.told(WorkerTerms { keeps_catalogue: true, ..WorkerTerms::default() });
        conduct.admit(&ready()).expect("ready");
        conduct.admit(&WorkerToSupervisor::WantCatalogueRoom).expect("it has none");
        conduct.admit(&WorkerToSupervisor::WantCatalogueRoom).expect_err("it has some");
        conduct.refused_room();
        conduct.admit(&WorkerToSupervisor::WantCatalogueRoom).expect("it has none");
    }

    #[test]
    fn a_gateway_says_first_and_once_that_it_accepts_requests() {
        let server = ServerName::try_from("a").expect("a name");
        let listening = GatewayToSupervisor::Listening { missing: Vec::new() };
        let (wake, pong) = (GatewayToSupervisor::Wake(server), GatewayToSupervisor::Pong(1));
        let mut phase = GatewayPhase::default();
        let by = ActingCaller { principal: None, peer: None };
        let act = GatewayToSupervisor::Act { id: 1, act: Act::Reload, by };
        for early in [&wake, &pong, &act, &GatewayToSupervisor::Forget(Vec::new())] {
            phase.admit(early).expect_err("it does not serve yet");
        }
        phase.admit(&listening).expect("once");
        phase.admit(&act).expect("it serves");
        phase.admit(&wake).expect("it serves");
        let error = phase.admit(&listening).expect_err("twice");
        assert_eq!(error.to_string(), "`Listening` is not allowed from a gateway that accepts requests");
    }
}

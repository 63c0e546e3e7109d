//! What goes wrong, and in which order: a pure function of the seed.

use std::time::Duration;

use super::dice::Dice;

/// How many servers there are; clients call all of them all the time.
pub(super) const SERVERS: usize = 10;

/// The first of them have clients at endpoints of their own, and stay configured: an endpoint goes with its server.
pub(super) const OWN_ENDPOINTS: usize = 2;

/// The one that is started by its first call, and rests when nobody calls.
pub(super) const LAZY: usize = 6;

/// The one of which each session has a process.
pub(super) const PER_SESSION: usize = 7;

/// A process that something happens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Victim {
    Server(usize),
    Worker(usize),
    Gateway,
}

/// What a server does wrong by itself: a tool of the fixture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misdeed {
    Crash,
    Abort,
    CloseStdout,
    Garbage,
    StderrFlood,
    OversizeLine,
    UnknownId,
    DoubleAnswer,
    BadAnswer,
    /// Log lines by the thousand.
    Flood,
    /// Leaves a process behind in a session of its own, and dies.
    Daemon,
}

/// What a person does to the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edit {
    /// Another argument for one server.
    Change(usize),
    /// One server is removed, and comes back.
    Remove(usize),
    /// A further server comes, or goes if it is there.
    Extra,
    /// A file that cannot be read, for a while.
    Break,
    /// The same content again, many times.
    Touch,
    /// The token of some clients is taken out, and comes back.
    Revoke,
}

/// One thing that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// SIGKILL.
    Kill(Victim),
    /// SIGSTOP, and SIGCONT after that time.
    Suspend(Victim, Duration),
    Misbehave(usize, Misdeed),
    Edit(Edit),
    /// `mcproxy restart`
    Restart(usize),
    /// SIGHUP.
    Reload,
    /// So many clients leave in the middle of a call.
    HangUp(u64),
    /// So many clients ask for large answers and streams and never read.
    NeverRead(u64),
    /// So many clients leave as much as they may with the supervisor, and then the gateway is killed.
    Notes(u64),
    /// The list of a server changes again and again.
    Churn(usize),
}

impl Fault {
    /// Its name in the report.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Kill(Victim::Server(_)) => "server killed",
            Self::Kill(Victim::Worker(_)) => "worker killed",
            Self::Kill(Victim::Gateway) => "gateway killed",
            Self::Suspend(Victim::Server(_), _) => "server suspended",
            Self::Suspend(Victim::Worker(_), _) => "worker suspended",
            Self::Suspend(Victim::Gateway, _) => "gateway suspended",
            Self::Misbehave(_, Misdeed::Crash | Misdeed::Abort | Misdeed::CloseStdout | Misdeed::Daemon) => {
                "server ends itself"
            }
            Self::Misbehave(_, Misdeed::Flood) => "server floods listeners",
            Self::Misbehave(..) => "server writes rubbish",
            Self::Edit(Edit::Change(_)) => "server changed in the file",
            Self::Edit(Edit::Remove(_)) => "server removed and added",
            Self::Edit(Edit::Extra) => "server added or removed",
            Self::Edit(Edit::Break) => "file broken",
            Self::Edit(Edit::Touch) => "file touched",
            Self::Edit(Edit::Revoke) => "token revoked",
            Self::Restart(_) => "mcproxy restart",
            Self::Reload => "SIGHUP",
            Self::HangUp(_) => "clients hang up",
            Self::NeverRead(_) => "clients never read",
            Self::Notes(_) => "gateway killed under notes",
            Self::Churn(_) => "list changes all the time",
        }
    }

    /// What it takes from all clients at once: the connections.
    pub(super) fn breaks_connections(self) -> bool {
        matches!(self, Self::Kill(Victim::Gateway) | Self::Suspend(Victim::Gateway, _) | Self::Notes(_))
    }
}

/// Faults that strike at once, after a pause in which all was well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) pause: Duration,
    pub(super) faults: Vec<Fault>,
}

/// An endless sequence of steps.
#[derive(Debug)]
pub(super) struct Plan(Dice);

impl Plan {
    pub(super) fn of(seed: u64) -> Self {
        Self(Dice::of(seed))
    }

    fn server(&mut self) -> usize {
        self.0.within(0..SERVERS as u64) as usize
    }

    fn fault(&mut self) -> Fault {
        let (server, brief) = (self.server(), self.0.millis(100..2500));
        match self.0.choose(&[(30, 0), (15, 1), (25, 2), (18, 3), (5, 4), (2, 5), (5, 6), (5, 7), (3, 8), (3, 9)]) {
            0 => Fault::Kill(self.victim(server)),
            1 => Fault::Suspend(self.victim(server), brief),
            2 => Fault::Misbehave(server, self.misdeed()),
            3 => Fault::Edit(self.edit(server)),
            4 => Fault::Restart(server),
            5 => Fault::Reload,
            6 => Fault::HangUp(self.0.within(1..10)),
            7 => Fault::NeverRead(self.0.within(1..6)),
            8 => Fault::Notes(self.0.within(5..30)),
            _ => Fault::Churn(server),
        }
    }

    fn victim(&mut self, server: usize) -> Victim {
        self.0.choose(&[(3, Victim::Server(server)), (3, Victim::Worker(server)), (4, Victim::Gateway)])
    }

    fn misdeed(&mut self) -> Misdeed {
        self.0.choose(&[
            (1, Misdeed::Crash),
            (1, Misdeed::Abort),
            (1, Misdeed::CloseStdout),
            (1, Misdeed::Daemon),
            (1, Misdeed::Garbage),
            (1, Misdeed::StderrFlood),
            (1, Misdeed::OversizeLine),
            (1, Misdeed::UnknownId),
            (1, Misdeed::DoubleAnswer),
            (1, Misdeed::BadAnswer),
            (2, Misdeed::Flood),
        ])
    }

    fn edit(&mut self, server: usize) -> Edit {
        self.0.choose(&[
            (4, Edit::Change(server)),
            (2, Edit::Remove(server.max(OWN_ENDPOINTS))),
            (2, Edit::Extra),
            (2, Edit::Break),
            (1, Edit::Touch),
            (2, Edit::Revoke),
        ])
    }
}

impl Iterator for Plan {
    type Item = Step;

    /// Mostly one fault, so that its recovery can be told; now and then several, because they come together in life too.
    fn next(&mut self) -> Option<Step> {
        let count = self.0.choose(&[(7, 1), (2, 2), (1, 3)]);
        let pause = self.0.millis(50..1000);
        let mut faults: Vec<Fault> = Vec::new();
        while faults.len() < count {
            let fault = self.fault();
            // Two editors of one file would only undo each other.
            if !matches!(fault, Fault::Edit(_)) || !faults.iter().any(|other| matches!(other, Fault::Edit(_))) {
                faults.push(fault);
            }
        }
        Some(Step { pause, faults })
    }
}

#[test]
fn a_seed_repeats_its_faults_and_another_has_others() {
    let of = |seed| Plan::of(seed).take(50).collect::<Vec<_>>();
    assert_eq!(of(7), of(7));
    assert_ne!(of(7), of(8));
}

#[test]
fn every_kind_of_fault_happens() {
    let kinds: std::collections::BTreeSet<&str> =
        Plan::of(1).take(500).flat_map(|step| step.faults).map(Fault::kind).collect();
    assert_eq!(kinds.len(), 21, "{kinds:?}");
}

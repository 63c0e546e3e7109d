//! The page of Prometheus, in its text format (<https://prometheus.io/docs/instrumenting/exposition_formats/>): what was counted, and
//! what the state says at this moment.

use std::sync::atomic::AtomicU64;

use mcproxy_confine::Protection;
use mcproxy_ipc::{ConfigSource, ProcessStatus, ServerState, StatusReport};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use crate::gateway::{
    base::{budget::Purpose, metrics::ServerLabel},
    state::Gateway,
};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProcessLabel {
    process: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProtectionLabel {
    protection: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PurposeLabel {
    purpose: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    server: String,
    state: String,
}

/// The whole page. `report`: what the supervisor knows of processes, when it answered.
pub(super) fn render(gateway: &Gateway, report: Option<&StatusReport>) -> String {
    gateway.forget_removed_servers();
    let mut registry = Registry::with_prefix("mcproxy");
    gateway.metrics.register(&mut registry);
    gateway.refusals.register(&mut registry);
    gateway.held_calls.register(&mut registry);
    of_servers(gateway, &mut registry);
    of_clients(gateway, &mut registry);
    of_memory(gateway, &mut registry);
    if let Some(report) = report {
        of_processes(report, &mut registry);
    }
    let mut page = String::new();
    // Writing to a String cannot fail; a label that cannot be encoded would cut the page short, never panic.
    let _ = encode(&mut page, &registry);
    page
}

fn of_servers(gateway: &Gateway, registry: &mut Registry) {
    let states: Family<StateLabels, Gauge> = Family::default();
    let generations: Family<ServerLabel, Gauge> = Family::default();
    for route in gateway.servers.routes() {
        let server = route.server.to_string();
        generations.get_or_create(&ServerLabel { server: server.clone() }).set(gauged(route.generation.0));
        for state in ServerState::ALL {
            let labels = StateLabels { server: server.clone(), state: state.to_string() };
            states.get_or_create(&labels).set(i64::from(route.state == state));
        }
    }
    registry.register("server_state", "1 for the state that a server is in", states);
    registry.register("server_generation", "Generation of a server; grows with each start", generations);
    let unapproved: Family<ServerLabel, Gauge> = Family::default();
    for (server, count) in gateway.servers.unapproved() {
        unapproved.get_or_create(&ServerLabel { server: server.to_string() }).set(gauged(count));
    }
    registry.register("server_tools_unapproved", "Tools that are not as they were pinned", unapproved);
    let in_flight: Family<ServerLabel, Gauge> = Family::default();
    let queued: Family<ServerLabel, Gauge> = Family::default();
    for (server, load) in gateway.servers.load() {
        let label = ServerLabel { server: server.to_string() };
        in_flight.get_or_create(&label).set(gauged(load.calls));
        queued.get_or_create(&label).set(gauged(load.queued_bytes));
    }
    registry.register("calls_in_flight", "Calls that wait for their server's answer", in_flight);
    let help = "What waits for a server's worker to read it";
    registry.register_with_unit("queued", help, Unit::Bytes, queued);
}

fn of_clients(gateway: &Gateway, registry: &mut Registry) {
    let gauge = |value: usize| {
        let gauge: Gauge = Gauge::default();
        gauge.set(gauged(value));
        gauge
    };
    let counter = |value: u64| {
        let counter: Counter<u64, AtomicU64> = Counter::default();
        counter.inc_by(value);
        counter
    };
    registry.register("sessions", "Sessions that are open", gauge(gateway.sessions.len()));
    let streams = gateway.sessions.all().iter().map(|session| session.streams_read()).sum();
    registry.register("streams", "Streams of sessions that a client reads", gauge(streams));
    let kept = gateway.replay_budget.bytes();
    registry.register("streams_kept_bytes", "What streams keep for clients that come back", gauge(kept));
    registry.register("sessions_opened", "Sessions ever opened", counter(gateway.sessions.opened()));
    let help = "Log records of the gateway that found no room on their way to the supervisor";
    registry.register("log_records_dropped", help, counter(gateway.supervisor.dropped_records()));
    let help = "Calls that are not in the audit, because records could not be written fast enough";
    registry.register("audit_records_dropped", help, counter(gateway.audit.dropped()));
}

fn of_memory(gateway: &Gateway, registry: &mut Registry) {
    let budget = &gateway.budget;
    let held: Family<PurposeLabel, Gauge> = Family::default();
    let refused: Family<PurposeLabel, Counter> = Family::default();
    for purpose in Purpose::ALL {
        let label = PurposeLabel { purpose: purpose.as_str() };
        held.get_or_create(&label).set(gauged(budget.held(purpose)));
        refused.get_or_create(&label).inc_by(budget.refused(purpose));
    }
    registry.register_with_unit(
        "held",
        "What is held for clients and servers (limits.totalBuffered)",
        Unit::Bytes,
        held,
    );
    let total: Gauge = Gauge::default();
    total.set(gauged(budget.total()));
    registry.register_with_unit("held_limit", "limits.totalBuffered", Unit::Bytes, total);
    registry.register("held_refused", "How often there was no room in limits.totalBuffered", refused);
    let gave_way: Counter<u64, AtomicU64> = Counter::default();
    gave_way.inc_by(budget.gave_way());
    let help = "Slow clients that lost their connection because limits.totalBuffered was exhausted";
    registry.register("held_given_way", help, gave_way);
}

fn of_processes(report: &StatusReport, registry: &mut Registry) {
    let dropped: Counter<u64, AtomicU64> = Counter::default();
    dropped.inc_by(report.log_dropped);
    registry.register("log_records_lost", "Log records that syslog or standard output was too slow for", dropped);
    let notes: Counter<u64, AtomicU64> = Counter::default();
    notes.inc_by(report.notes_dropped);
    let help = "What sessions wanted kept for the next gateway, and there was no room for";
    registry.register("session_notes_dropped", help, notes);
    let flag = |is_so: bool| {
        let gauge: Gauge = Gauge::default();
        gauge.set(i64::from(is_so));
        gauge
    };
    let help = "1 while the configuration file is not in force, or not all of it, because of mistakes in it";
    registry.register("config_error", help, flag(report.config_error.is_some()));
    let help = "1 while what was in force before the last start is used, because the file cannot be";
    registry.register("config_last_good", help, flag(report.config_source == ConfigSource::LastGood));
    let missing: Family<ProtectionLabel, Gauge> = Family::default();
    for protection in Protection::ALL {
        let is_missing = report.degraded.iter().any(|missing| missing.protection == protection);
        let label = ProtectionLabel { protection: protection.name() };
        missing.get_or_create(&label).set(i64::from(is_missing));
    }
    registry.register("degraded", "1 for a protection that is wanted and missing", missing);
    let lacking: Family<ServerLabel, Gauge> = Family::default();
    for server in &report.servers {
        let label = ServerLabel { server: server.name.to_string() };
        lacking.get_or_create(&label).set(gauged(server.degraded.len()));
    }
    registry.register("server_degraded", "Protections that a server lacks and others have", lacking);
    let restarts: Family<ServerLabel, Counter> = Family::default();
    let resident: Family<ServerLabel, Gauge> = Family::default();
    for server in &report.servers {
        let label = ServerLabel { server: server.name.to_string() };
        restarts.get_or_create(&label).inc_by(server.restarts);
        resident.get_or_create(&label).set(gauged(server.rss_bytes));
    }
    registry.register("server_restarts", "How often a server was started again", restarts);
    let help = "Memory of a server with its worker and all it started";
    registry.register_with_unit("server_resident", help, Unit::Bytes, resident);
    let restarts: Family<ProcessLabel, Counter> = Family::default();
    let resident: Family<ProcessLabel, Gauge> = Family::default();
    let add = |process: &'static str, status: &ProcessStatus| {
        restarts.get_or_create(&ProcessLabel { process }).inc_by(status.restarts);
        resident.get_or_create(&ProcessLabel { process }).set(gauged(status.rss_bytes));
    };
    add("supervisor", &report.supervisor);
    report.gateway.iter().for_each(|gateway| add("gateway", gateway));
    registry.register("process_restarts", "How often a process of MCProxy was started again", restarts);
    registry.register_with_unit("process_resident", "Memory of a process of MCProxy", Unit::Bytes, resident);
}

/// Prometheus' gauges are signed.
fn gauged(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}

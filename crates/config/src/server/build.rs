//! From an entry as it is written to its checked type.

use std::time::Duration;

use mcproxy_confine::{ResourceLimits, ServerConfinement};
use mcproxy_ipc::{CallTimeouts, HttpDialect, InstanceRules, Instances, Reach, ServerLimits, ServerName};

use super::checks::ServerChecks;
use super::{Blocked, Era, OnChange, RestartPolicy, ServerConfig, Start, reach};
use super::{package, sandbox};
use crate::approvals;
use crate::client_features;
use crate::rate;
use crate::raw::{RawEra, RawInstances, RawOnChange, RawServer, RawServerLimits, RawStart};
use crate::report::Report;
use crate::size::{self, MAX_SERVER_BYTES};
use crate::tool_rules;
use crate::tree::Node;

/// `node` is the entry with the defaults merged in, `raw` the same as serde read it; `blocked` is what is known already to
/// keep it from being started.
pub(crate) fn build(
    name: ServerName,
    raw: RawServer,
    node: &Node,
    blocked: Option<Blocked>,
    report: &mut Report,
) -> ServerConfig {
    let mut checks = ServerChecks { node, report };
    let enabled = checks.enabled(&raw);
    // Of these nothing is left that could be checked.
    if !matches!(blocked, Some(Blocked::Kind(_) | Blocked::Mistake(_))) {
        reach::check(&raw, &mut checks);
    }
    checks.order("timeout", raw.settings.timeout, &["maxTimeout"], raw.settings.max_timeout);
    let restart = &raw.settings.restart;
    checks.order("initialDelay", restart.initial_delay, &["restart", "maxDelay"], restart.max_delay);
    checks.milliseconds(&raw.settings);
    checks.spare_instances(&raw);
    checks.client_features();
    checks.tools(&raw.settings.tools);
    checks.sandbox(&raw.settings);
    let tools = tool_rules::of_server(&raw.settings.tools);
    let rates = rate::of_server(&raw.settings.rate);
    let approvals = approvals::of_server(&raw.settings);
    let bytes = size::of_server(&raw, &tools) + size::of_rates(&rates) + size::of_approvals(&approvals);
    if let Some(message) = size::complaint("command, arguments, environment and tool rules", bytes, MAX_SERVER_BYTES) {
        checks.problem(&[], message);
    }
    let reach = blocked.map_or_else(|| Ok(reach::read(&raw, node)), Err);
    let is_sse = matches!(&reach, Ok(Reach::Http(http)) if http.dialect == HttpDialect::Sse);
    let settings = raw.settings;
    let confinement = ServerConfinement {
        sandbox: sandbox::sandbox(&settings),
        limits: ResourceLimits {
            files: settings.limits.max_files,
            file_bytes: settings.limits.max_file_size,
            ..ResourceLimits::default()
        },
        ..ServerConfinement::default()
    };
    let (features, extensions) = settings.client_features.as_deref().map(client_features::read).unzip();
    ServerConfig {
        name,
        enabled,
        command: reach::written(node),
        package: package::of(node),
        reach,
        start_timeout: Duration::from_secs_f64(settings.start_timeout),
        start: match settings.start {
            RawStart::Eager => Start::Eager,
            RawStart::Lazy => Start::Lazy { idle_timeout: settings.idle_timeout.map(Duration::from_secs_f64) },
        },
        timeouts: CallTimeouts {
            idle: Duration::from_secs_f64(settings.timeout),
            total: Duration::from_secs_f64(settings.max_timeout.max(settings.timeout)),
            input: Duration::from_secs_f64(settings.input_timeout),
        },
        features,
        extensions: extensions.unwrap_or_default(),
        era: match settings.era {
            // That transport had gone before there was 2026-07-28.
            RawEra::Auto if is_sse => Era::Legacy,
            RawEra::Auto => Era::Auto,
            RawEra::Legacy => Era::Legacy,
            RawEra::Modern => Era::Modern,
        },
        list_ttl: settings.list_ttl.filter(|seconds| *seconds > 0.0).map(Duration::from_secs_f64),
        on_change: match settings.on_change {
            RawOnChange::Swap => OnChange::Swap,
            RawOnChange::Restart => OnChange::Restart,
        },
        instances: match settings.instances {
            RawInstances::Shared => Instances::Shared,
            RawInstances::PerSession => Instances::PerSession(InstanceRules {
                max: settings.max_instances as usize,
                prewarm: settings.prewarm as usize,
                idle: settings.idle_timeout.map(Duration::from_secs_f64),
            }),
        },
        restart: RestartPolicy {
            initial_delay: Duration::from_secs_f64(settings.restart.initial_delay),
            max_delay: Duration::from_secs_f64(settings.restart.max_delay.max(settings.restart.initial_delay)),
            healthy_after: Duration::from_secs_f64(settings.restart.healthy_after),
            max_attempts: settings.restart.max_attempts,
        },
        tools,
        limits: server_limits(&settings.limits),
        rates,
        approvals,
        result_bytes: settings.limits.max_result.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
        confinement,
        run_as: settings.run_as,
    }
}

fn server_limits(raw: &RawServerLimits) -> ServerLimits {
    // The schema bounds all of them far below `usize::MAX` of any platform.
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    ServerLimits {
        line_bytes: size(raw.max_line),
        tools: size(raw.max_tools),
        catalogue_bytes: size(raw.max_catalogue),
        concurrent_calls: size(raw.max_concurrent),
        memory_bytes: raw.max_memory,
        processes: raw.max_processes,
        cpu_millis: raw.cpu.map(|processors| (processors * 1000.0).round() as u32),
        pages: size(raw.max_pages),
        garbage_lines: raw.max_garbage,
        stderr_lines: raw.max_stderr,
        write_timeout: Duration::from_secs_f64(raw.write_timeout),
    }
}

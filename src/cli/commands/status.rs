//! `mcproxy status`.

use std::io::{self, Write};

use mcproxy_ipc::{
    ChangeStatus, ConfigSource, ListFailure, ProcessStatus, ServerStatus, StartStatus, StatusReport, moment,
};
use mcproxy_search::too_much;
use serde_json::json;
use unicode_width::UnicodeWidthStr;

use crate::{
    cli::{
        console::Console,
        error::CliError,
        exit::Exit,
        human::{bytes, duration, one_line, printable, wrapped},
        names,
        style::{Paint, Style},
        supervisor::SupervisorClient,
        table::Table,
    },
    status_view::{ServerView, StatusView, endpoint_url},
};

/// Warnings of the configuration that are shown; a table of servers follows.
const MAX_WARNINGS: usize = 5;

/// Shows how everything is, or all about one server.
pub(crate) async fn run(
    supervisor: &SupervisorClient,
    server: Option<&str>,
    json: bool,
    console: &mut Console,
) -> Result<Exit, CliError> {
    let report = supervisor.status().await?;
    match server {
        None if json => writeln!(console.out, "{}", json!(StatusView::of(&report)))?,
        None => overview(&report, &mut console.out, console.width, console.style)?,
        Some(name) => {
            let found = report.servers.iter().find(|s| s.name.as_str() == name);
            let known = report.servers.iter().map(|s| s.name.as_str());
            let server = found.ok_or_else(|| names::unknown_server(name, known))?;
            if json {
                writeln!(console.out, "{}", json!(ServerView::of(server)))?;
            } else {
                details(server, &mut console.out, console.width)?;
            }
        }
    }
    Ok(Exit::Ok)
}

fn overview(report: &StatusReport, out: &mut dyn Write, width: Option<usize>, style: Style) -> io::Result<()> {
    let process = |p: &ProcessStatus| {
        let again = match p.restarts {
            0 => String::new(),
            1 => ", restarted once".to_owned(),
            n => format!(", restarted {n} times"),
        };
        format!("pid {}, up {}, {}{again}", p.pid, duration(p.uptime), bytes(p.rss_bytes))
    };
    let gateway = report.gateway.as_ref().map_or_else(|| "not running".to_owned(), process);
    writeln!(out, "mcproxy {}  {}", report.version, endpoint_url(report))?;
    let line = format!("supervisor ({})  gateway ({gateway})", process(&report.supervisor));
    let fits = width.is_none_or(|width| line.width() <= width);
    writeln!(out, "{}", if fits { line } else { line.replace("  gateway", "\ngateway") })?;
    writeln!(out, "configuration {}", printable(&report.config_path))?;
    writeln!(out, "{}", wrapped(&hardening(report), width, "  "))?;
    if let Some(error) = &report.config_error {
        let what = match report.config_source {
            ConfigSource::File => "the file on disk is not in force, or not all of it, because of mistakes in it:",
            ConfigSource::LastGood => {
                "DEGRADED: the file cannot be used, and MCProxy was started with what was in force before. Mend the file; it is read when it changes:"
            }
        };
        writeln!(out, "{}\n{}", wrapped(what, width, "  "), printable(error).trim_end())?;
    }
    let warnings = &report.config_warnings;
    for warning in warnings.iter().take(MAX_WARNINGS) {
        writeln!(out, "{}", wrapped(&one_line(warning), width, "  "))?;
    }
    if let Some(more @ 1..) = warnings.len().checked_sub(MAX_WARNINGS) {
        writeln!(out, "… and {more} more warnings: `mcproxy check FILE` shows all")?;
    }
    writeln!(out)?;
    if report.servers.is_empty() {
        return writeln!(out, "no servers are configured");
    }
    let whole = table(report, false).styled(style);
    match width.filter(|width| !whole.fits(*width)) {
        None => whole.write(out, None)?,
        Some(width) => table(report, true).styled(style).write_folded(out, width)?,
    }
    if let Some(cost) = cost(report) {
        writeln!(out, "\n{}", wrapped(&cost, width, "  "))?;
    }
    match suspicious(report) {
        Some(suspicious) => writeln!(out, "\n{}", wrapped(&suspicious, width, "  ")),
        None => Ok(()),
    }
}

/// Whose tools have texts that try to give orders to a model. `None`: nobody's.
fn suspicious(report: &StatusReport) -> Option<String> {
    let of = |server: &ServerStatus| {
        let count = server.description.as_ref().map_or(0, |about| about.counts.suspicious);
        (count > 0).then(|| format!("{} ({count})", server.name))
    };
    let servers: Vec<String> = report.servers.iter().filter_map(of).collect();
    (!servers.is_empty()).then(|| {
        format!(
            "suspicious texts of tools: {}; the log says what is suspicious, `mcproxy tools --server NAME` shows the texts (tools.suspicious)",
            servers.join(", ")
        )
    })
}

/// What the list of all tools costs a model. `None`: there are none.
fn cost(report: &StatusReport) -> Option<String> {
    let counts = report.servers.iter().filter_map(|server| server.description.as_ref()).map(|about| about.counts);
    let (tools, tokens) = counts.fold((0, 0), |(tools, tokens), of| (tools + of.tools, tokens + of.tool_tokens));
    let all = (tokens > 0).then(|| format!("{tools} tools, about {tokens} tokens to list them"))?;
    Some(match too_much(tools, tokens) {
        Some(why) => format!("{all}; {why}. `mcproxy tools --cost` shows what costs what"),
        None => all,
    })
}

/// What the kernel enforces, and what not.
fn hardening(report: &StatusReport) -> String {
    let mut missing: Vec<&str> = report.degraded.iter().map(|missing| missing.protection.name()).collect();
    missing.dedup();
    let level = report.hardening.name();
    match &missing[..] {
        [] => format!("hardening {level}"),
        names => format!("hardening {level}, without {}: see `mcproxy doctor security`", names.join(", ")),
    }
}

/// A row per server. `folded`: what is long is all in the last column.
fn table(report: &StatusReport, folded: bool) -> Table {
    let headings = ["SERVER", "STATE", "SINCE", "RESTARTS", "TOOLS", "RSS", "LAST ERROR"];
    let mut table = Table::new(&headings, &[3, 4, 5]);
    for server in &report.servers {
        let error = saying(server).or_else(|| trouble(server));
        let (state, last) = match note(server).filter(|_| folded) {
            Some(note) => (server.state.to_string(), [Some(note), error].into_iter().flatten().collect()),
            None => (state(server), Vec::from_iter(error)),
        };
        table.row(vec![
            server.name.to_string(),
            state,
            duration(server.since),
            server.restarts.to_string(),
            server.description.as_ref().map_or_else(|| "-".into(), |d| d.counts.tools.to_string()),
            bytes(server.rss_bytes),
            last.join("; "),
        ]);
        table.paint(1, Paint::of_state(&server.state.to_string()));
    }
    table
}

fn state(server: &ServerStatus) -> String {
    note(server).map_or_else(|| server.state.to_string(), |note| format!("{} ({note})", server.state))
}

/// The text for a state.
fn note(server: &ServerStatus) -> Option<String> {
    Some(match (server.retry_in, &server.start, &server.change) {
        (Some(wait), _, _) => format!("retry in {}", duration(wait)),
        (None, Some(start), _) => progress(start),
        (None, None, Some(ChangeStatus::Starting(start))) => format!("change: {}", progress(start)),
        (None, None, Some(ChangeStatus::Failed(_))) => "change failed".to_owned(),
        (None, None, None) => {
            let count = server.instances?;
            format!("{}/{} instances", count.running, count.max)
        }
    })
}

fn progress(start: &StartStatus) -> String {
    match start.elapsed {
        Some(elapsed) if start.installing => format!("installing, {}", duration(elapsed)),
        Some(elapsed) => format!("{} of {}", duration(elapsed), duration(start.limit)),
        None => "waits for others that are starting".to_owned(),
    }
}

/// What a server that is starting wrote last: what it is doing, most likely.
fn saying(server: &ServerStatus) -> Option<String> {
    let line = server.start.as_ref()?.last_line.as_deref()?;
    Some(one_line(line)).filter(|line| !line.is_empty()).map(|line| format!("says: {line}"))
}

/// A server that is starting, in a few words.
pub(crate) fn start_line(server: &ServerStatus) -> String {
    let said = saying(server).map(|said| format!(" ({said})")).unwrap_or_default();
    let how = server.start.as_ref().map_or_else(|| server.state.to_string(), progress);
    format!("{}: {how}{said}", server.name)
}

/// Why a server is not as it should be, in one line: a list that it does not give is what people miss.
fn trouble(server: &ServerStatus) -> Option<String> {
    let list = server.list_failures.first().map(refused);
    list.or_else(|| server.last_error.as_deref().and_then(first_line))
}

fn refused(failure: &ListFailure) -> String {
    let ListFailure { method, error, retry_in, .. } = failure;
    format!("{method} failed: {}; next try in {}", one_line(error), duration(*retry_in))
}

fn first_line(text: &str) -> Option<String> {
    text.lines().map(one_line).find(|line| !line.is_empty())
}

fn details(server: &ServerStatus, out: &mut dyn Write, width: Option<usize>) -> io::Result<()> {
    let mut fact = |key: &str, value: String| writeln!(out, "{key:<12} {value}");
    fact("server", server.name.to_string())?;
    fact("state", state(server))?;
    fact("wanted", if server.wanted { "up" } else { "down" }.to_owned())?;
    fact("since", duration(server.since))?;
    fact("generation", server.generation.to_string())?;
    fact("restarts", server.restarts.to_string())?;
    let pid = |pid: Option<u32>| pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
    fact("pids", format!("worker {}, server {}", pid(server.worker_pid), pid(server.server_pid)))?;
    fact("memory", bytes(server.rss_bytes))?;
    if let Some(d) = &server.description {
        fact("runs", format!("{} {}", one_line(&d.name), one_line(&d.version)))?;
        fact("protocol", format!("{} ({} era: {})", one_line(&d.protocol_version), d.era, one_line(&d.probe)))?;
        let c = d.counts;
        let offers = format!(
            "{} tools, {} prompts, {} resources, {} resource templates",
            c.tools, c.prompts, c.resources, c.templates
        );
        fact("offers", offers)?;
        if c.tool_tokens > 0 {
            fact("costs", format!("about {} tokens for the list of its tools", c.tool_tokens))?;
        }
    }
    for missing in &server.degraded {
        fact("lacks", format!("{}: {}", missing.protection.name(), one_line(&missing.reason)))?;
        fact("", one_line(&missing.help))?;
    }
    for failure in &server.list_failures {
        fact("no list", format!("{} (asked {} times)", refused(failure), failure.attempts))?;
    }
    if server.stale {
        fact("listed", "as it offered it last; not confirmed since".to_owned())?;
    }
    let start = match (&server.start, &server.change) {
        (Some(start), _) | (None, Some(ChangeStatus::Starting(start))) => Some(start),
        (None, _) => None,
    };
    if let Some(line) = start.and_then(|start| start.last_line.as_deref()) {
        fact("says", one_line(line))?;
    }
    if let Some(ChangeStatus::Failed(error)) = &server.change {
        paragraph(out, "changed configuration does not work, the old one is in force", error)?;
    }
    if let Some(error) = &server.last_error {
        paragraph(out, "last error", error)?;
    }
    if !server.events.is_empty() {
        writeln!(out, "\nhistory")?;
        let mut table = Table::new(&["  WHEN", "GENERATION", "FROM", "TO", "WHY"], &[1]);
        for event in &server.events {
            table.row(vec![
                format!("  {}", moment(event.at_ms)),
                event.generation.to_string(),
                event.from.to_string(),
                event.to.to_string(),
                one_line(&event.reason),
            ]);
        }
        match width.filter(|width| !table.fits(*width)) {
            None => table.write(out, None)?,
            Some(width) => table.write_folded(out, width)?,
        }
    }
    Ok(())
}

fn paragraph(out: &mut dyn Write, heading: &str, text: &str) -> io::Result<()> {
    writeln!(out, "\n{heading}")?;
    printable(text).trim_end().lines().try_for_each(|line| writeln!(out, "  {line}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mcproxy_confine::{Degradation, Protection};
    use mcproxy_ipc::{CatalogueCounts, Generation, LifecycleEvent, ServerDescription, ServerState, data::ServerEra};

    use super::*;

    fn server(name: &str, state: ServerState) -> ServerStatus {
        ServerStatus {
            name: name.try_into().expect("a name"),
            wanted: true,
            state,
            generation: Generation(1),
            since: Duration::from_secs(62),
            restarts: 0,
            retry_in: None,
            stale: false,
            description: None,
            start: None,
            change: None,
            transport: mcproxy_ipc::ServerTransport::Stdio,
            worker_pid: Some(4),
            server_pid: Some(5),
            instances: None,
            list_failures: Vec::new(),
            rss_bytes: 50 << 20,
            last_error: None,
            degraded: Vec::new(),
            events: Vec::new(),
        }
    }

    fn report() -> StatusReport {
        let mut time = server("time", ServerState::Ready);
        time.description = Some(ServerDescription {
            era: ServerEra::Legacy,
            evidence: mcproxy_ipc::EraEvidence::Answer,
            probe: "server/discover was refused with -32601".into(),
            protocol_version: "2025-11-25".into(),
            name: "mcp-time".into(),
            version: "1.2".into(),
            counts: CatalogueCounts { tools: 2, ..CatalogueCounts::default() },
        });
        let mut broken = server("playwright", ServerState::Backoff);
        broken.retry_in = Some(Duration::from_secs(8));
        broken.restarts = 12;
        broken.last_error = Some("the server exited with code 1\nError: \u{1b}[31mboom\u{1b}[0m".into());
        broken.events = vec![LifecycleEvent {
            at_ms: 0,
            generation: Generation(1),
            from: ServerState::Ready,
            to: ServerState::Backoff,
            reason: "the server exited with code 1".into(),
        }];
        let process = ProcessStatus { pid: 1, uptime: Duration::from_secs(3), rss_bytes: 4 << 20, restarts: 0 };
        StatusReport {
            version: "0.1.0".into(),
            config_path: "/etc/mcproxy/mcp-servers.json".into(),
            config_source: ConfigSource::File,
            config_error: None,
            config_warnings: Vec::new(),
            listen: "0.0.0.0:12009".into(),
            hardening: mcproxy_confine::Hardening::BestEffort,
            degraded: [Protection::Users, Protection::Cgroups]
                .map(|protection| Degradation { protection, reason: "not here".into(), help: "elsewhere".into() })
                .into(),
            log_dropped: 0,
            notes_dropped: 0,
            supervisor: process.clone(),
            gateway: Some(ProcessStatus { pid: 2, ..process }),
            servers: vec![time, broken],
        }
    }

    #[test]
    fn the_overview_is_a_table_under_a_heading() {
        let mut out = Vec::new();
        overview(&report(), &mut out, None, Style::default()).expect("a Vec takes everything");
        let expected = "\
mcproxy 0.1.0  http://127.0.0.1:12009/mcp
supervisor (pid 1, up 3s, 4 MiB)  gateway (pid 2, up 3s, 4 MiB)
configuration /etc/mcproxy/mcp-servers.json
hardening best-effort, without users, cgroups: see `mcproxy doctor security`

SERVER      STATE                  SINCE  RESTARTS  TOOLS     RSS  LAST ERROR
time        ready                  1m 2s         0      2  50 MiB
playwright  backoff (retry in 8s)  1m 2s        12      -  50 MiB  the server exited with code 1
";
        assert_eq!(String::from_utf8(out).expect("text"), expected);
    }

    #[test]
    fn the_overview_fits_a_terminal_of_eighty_columns() {
        let mut report = report();
        let mut starting = server("sequential-thinking", ServerState::Starting);
        let limit = Duration::from_secs(60);
        starting.start = Some(StartStatus { elapsed: None, limit, installing: false, last_line: None });
        report.servers.push(starting);
        report.servers.push(server(&"n".repeat(32), ServerState::Ready));
        report.servers[1].last_error = Some(format!("{} module 天気 is not there", "no ".repeat(30)));
        report.gateway.as_mut().expect("it runs").restarts = 3;
        for width in [64, 80, 100] {
            let mut out = Vec::new();
            overview(&report, &mut out, Some(width), Style::default()).expect("a Vec takes everything");
            let text = String::from_utf8(out).expect("text");
            assert!(text.lines().all(|line| line.width() <= width), "{text}");
            assert!(text.contains("\n  retry in 8s; no no"), "{text}");
            assert!(text.replace("\n  ", " ").contains("天気 is not there\n"), "{text}");
            assert!(text.contains("sequential-thinking ") && text.contains("\n  waits for others"), "{text}");
        }
    }

    #[test]
    fn the_details_fit_a_terminal_of_eighty_columns_and_say_why_below_each_step() {
        let mut server = report().servers.remove(1);
        server.events[0].reason = "the server exited with code 1, and said nothing about it on stderr".into();
        let mut out = Vec::new();
        details(&server, &mut out, Some(80)).expect("a Vec takes everything");
        let text = String::from_utf8(out).expect("text");
        assert!(text.lines().all(|line| line.width() <= 80), "{text}");
        assert!(text.contains("\n  the server exited with code 1, and said"), "{text}");
    }

    #[test]
    fn what_all_tools_cost_is_said_and_when_it_is_much() {
        let mut report = report();
        assert_eq!(cost(&report), None, "nobody has counted");
        let counted = |tools, tool_tokens| CatalogueCounts { tools, tool_tokens, ..CatalogueCounts::default() };
        let mut set = |counts| {
            report.servers[0].description.as_mut().expect("it is ready").counts = counts;
            cost(&report)
        };
        assert_eq!(set(counted(2, 310)).as_deref(), Some("2 tools, about 310 tokens to list them"));
        let much = set(counted(150, 9000)).expect("a line");
        assert!(much.contains("128 tools at most") && much.contains("mcproxy tools --cost"), "{much}");
    }

    #[test]
    fn a_list_that_is_refused_is_why_there_are_no_tools() {
        let mut server = server("net", ServerState::Ready);
        server.last_error = Some("an old one".into());
        server.list_failures = vec![ListFailure {
            method: "tools/list".into(),
            error: "{\"code\":-32603,\"message\":\"fetch failed\"}".into(),
            attempts: 3,
            retry_in: Duration::from_secs(4),
        }];
        let line = "tools/list failed: {\"code\":-32603,\"message\":\"fetch failed\"}; next try in 4s";
        assert_eq!(trouble(&server).as_deref(), Some(line));
        let mut out = Vec::new();
        details(&server, &mut out, None).expect("a Vec takes everything");
        let text = String::from_utf8(out).expect("text");
        assert!(text.contains(&format!("no list      {line} (asked 3 times)\n")), "{text}");
    }

    #[test]
    fn the_details_show_the_whole_error_and_the_history() {
        let mut out = Vec::new();
        details(&report().servers[1], &mut out, None).expect("a Vec takes everything");
        let text = String::from_utf8(out).expect("text");
        assert!(text.contains("\nlast error\n  the server exited with code 1\n  Error: boom\n"), "{text}");
        assert!(text.contains("1970-01-01T00:00:00.000Z           1  ready  backoff  the server exited"), "{text}");
    }
}

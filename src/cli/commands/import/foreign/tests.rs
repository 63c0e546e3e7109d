//! Files as people have them, from their bytes to the configuration that they come to.

use mcproxy_config::Config;

use super::*;

/// The files of `tests/clients`, and whose they are.
const FILES: [(ClientProgram, &str, &str); 12] = [
    (
        ClientProgram::ClaudeDesktop,
        "claude_desktop_config.json",
        include_str!("../../../../../tests/clients/claude_desktop_config.json"),
    ),
    (ClientProgram::ClaudeCode, ".claude.json", include_str!("../../../../../tests/clients/claude.json")),
    (ClientProgram::Cursor, ".cursor/mcp.json", include_str!("../../../../../tests/clients/cursor-mcp.json")),
    (ClientProgram::VsCode, "User/mcp.json", include_str!("../../../../../tests/clients/vscode-mcp.json")),
    (
        ClientProgram::Windsurf,
        "windsurf/mcp_config.json",
        include_str!("../../../../../tests/clients/windsurf-mcp_config.json"),
    ),
    (ClientProgram::Zed, "zed/settings.json", include_str!("../../../../../tests/clients/zed-settings.json")),
    (ClientProgram::Codex, "config.toml", include_str!("../../../../../tests/clients/codex-config.toml")),
    (ClientProgram::Gemini, ".gemini/settings.json", include_str!("../../../../../tests/clients/gemini-settings.json")),
    (ClientProgram::OpenCode, "opencode.jsonc", include_str!("../../../../../tests/clients/opencode.jsonc")),
    (ClientProgram::McpHub, "mcp_settings.json", include_str!("../../../../../tests/clients/mcphub-mcp_settings.json")),
    (
        ClientProgram::McpproxyGo,
        ".mcpproxy/mcp_config.json",
        include_str!("../../../../../tests/clients/mcpproxy-go-mcp_config.json"),
    ),
    (ClientProgram::OneMcp, "1mcp/mcp.json", include_str!("../../../../../tests/clients/1mcp-mcp.json")),
];

struct Outcome {
    merged: Merged,
    secrets: SecretFile,
    report: ImportReport,
}

impl Outcome {
    /// The entry on one line.
    fn entry(&self, name: &str) -> String {
        let found = self.merged.new.iter().find(|(known, _)| known.as_str() == name);
        let (_, entry) = found.unwrap_or_else(|| panic!("no `{name}` in {:?}", self.names()));
        let file = EditableConfig::of_file(b"{}").expect("JSON");
        let text = file.with_server(&"x".try_into().expect("a name"), entry).expect("added");
        let text = text.strip_prefix(r#"{"mcpServers": {"x": "#).and_then(|text| text.strip_suffix("}}"));
        text.expect("what was added").to_owned()
    }

    fn names(&self) -> Vec<&str> {
        self.merged.new.iter().map(|(name, _)| name.as_str()).collect()
    }

    fn said(&self, weight: Weight) -> String {
        self.report.of(weight).join("\n")
    }
}

fn file_of(program: ClientProgram) -> ForeignFile {
    let (_, name, text) = FILES.iter().find(|(of, ..)| *of == program).expect("a file");
    assert_eq!(ClientProgram::of_path(Path::new(name)), Some(program), "known by its name");
    let file = file::read(Some(program), &Path::new("/somewhere").join(name), text.as_bytes()).expect("a file");
    ForeignFile { folder: None, ..file }
}

fn import(programs: &[ClientProgram], plan: &MergePlan<'_>) -> Outcome {
    let files: Vec<ForeignFile> = programs.iter().map(|program| file_of(*program)).collect();
    let (mut secrets, mut report) = (SecretFile::of(None, "another program"), ImportReport::default());
    let merged = merge(&files, plan, &mut secrets, &mut report);
    Outcome { merged, secrets, report }
}

const PLAIN: MergePlan<'_> = MergePlan { present: &[], select: &[], moves_secrets: false, own_port: None };
const MOVED: MergePlan<'_> = MergePlan { moves_secrets: true, ..PLAIN };

fn of(program: ClientProgram) -> Outcome {
    import(&[program], &PLAIN)
}

#[test]
fn every_file_comes_to_a_configuration_that_is_taken() {
    for (program, ..) in FILES {
        for plan in [&PLAIN, &MOVED] {
            let outcome = import(&[program], plan);
            let mut file = EditableConfig::of_file(b"{}").expect("JSON");
            let mut text = String::new();
            for (name, entry) in &outcome.merged.new {
                text = file.with_server(name, entry).expect("added");
                file = EditableConfig::of_file(text.as_bytes()).expect("JSON");
            }
            let config =
                Config::parse(&text, &|_| Some("set".to_owned())).unwrap_or_else(|error| panic!("{error}\n{text}"));
            let is_known = |message: &str| message.contains("workspaceFolder");
            let good = config.problems.list().iter().all(|problem| is_known(&problem.message));
            assert!(good, "{}: {}\n{text}", program.title(), config.problems);
            let blocked: Vec<_> = config.servers.iter().filter_map(|server| server.blocked()).collect();
            assert!(blocked.is_empty(), "{}: {blocked:?}", program.title());
            assert!(config.server("echo").is_some_and(|server| server.enabled), "{}", program.title());
            let has_secret = text.contains("hunter2");
            assert!(!(has_secret && plan.moves_secrets), "{}: {text}", program.title());
            assert_eq!(
                outcome.merged.literal_secrets.is_empty(),
                !has_secret || plan.moves_secrets,
                "{}",
                program.title()
            );
        }
    }
}

#[test]
fn claude_desktop() {
    let outcome = of(ClientProgram::ClaudeDesktop);
    assert_eq!(outcome.names(), ["filesystem", "brave-search", "windows-files", "echo"]);
    let windows = outcome.entry("windows-files");
    assert_eq!(
        windows,
        r#"{"command": "npx", "args": ["-y", "@modelcontextprotocol/server-filesystem", "C:\\Users\\me\\Documents"]}"#
    );
    assert!(outcome.said(Weight::Note).contains("this is MCProxy itself"), "{:?}", outcome.report);
    assert!(outcome.said(Weight::Lost).contains("called `windows-files`"), "{:?}", outcome.report);
    let moved = import(&[ClientProgram::ClaudeDesktop], &MOVED);
    assert!(moved.entry("brave-search").contains(r#""BRAVE_API_KEY": "${BRAVE_API_KEY}""#));
    assert!(moved.secrets.text().expect("secrets").contains("\nBRAVE_API_KEY=BSAhunter2hunter2hunter2\n"));
}

#[test]
fn claude_code_with_its_projects() {
    let outcome = of(ClientProgram::ClaudeCode);
    assert_eq!(outcome.names(), ["context7", "linear", "github", "echo", "postgres", "echo-project", "sentry"]);
    assert!(outcome.entry("postgres").ends_with(r#""cwd": "/home/me/src/shop"}"#), "{}", outcome.entry("postgres"));
    assert_eq!(outcome.entry("linear"), r#"{"type": "sse", "url": "https://mcp.linear.app/sse"}"#);
    assert!(outcome.entry("sentry").contains(r#""disabled": true"#));
    assert!(outcome.entry("github").contains("${GITHUB_TOKEN:-none}"));
    let moved = import(&[ClientProgram::ClaudeCode], &MOVED);
    assert!(!moved.entry("postgres").contains("hunter2") && !moved.entry("context7").contains("hunter2"));
}

#[test]
fn cursor() {
    let outcome = of(ClientProgram::Cursor);
    assert_eq!(outcome.names(), ["playwright", "notion", "local-api", "scripts", "echo"]);
    assert!(outcome.entry("local-api").contains(r#""Bearer ${LOCAL_API_TOKEN}""#), "{}", outcome.entry("local-api"));
    assert_eq!(outcome.entry("notion"), r#"{"url": "https://mcp.notion.com/mcp"}"#);
    assert!(outcome.entry("scripts").contains(r#""disabled": true"#));
    assert!(outcome.said(Weight::Lost).contains("`envFile` is ignored"), "{:?}", outcome.report);
    assert!(outcome.said(Weight::ToDo).contains("write a path"), "{:?}", outcome.report);
}

#[test]
fn vs_code_and_what_it_asks_for() {
    let outcome = of(ClientProgram::VsCode);
    let entry = outcome.entry("perplexity");
    assert!(entry.contains(r#""PERPLEXITY_API_KEY": "${PERPLEXITY_KEY}", "REGION": "${REGION:-eu}""#), "{entry}");
    assert!(
        outcome.said(Weight::ToDo).contains(
            "set the variable PERPLEXITY_KEY where MCProxy runs: the editor asked for \"Perplexity API Key\""
        )
    );
    assert_eq!(outcome.entry("github"), r#"{"type": "http", "url": "https://api.githubcopilot.com/mcp/"}"#);
    assert!(outcome.said(Weight::Lost).contains("`dev` is not a key"), "{:?}", outcome.report);
    let moved = import(&[ClientProgram::VsCode], &MOVED);
    let text = moved.secrets.text().expect("a file");
    assert!(text.contains("\n#PERPLEXITY_KEY=\n") && moved.secrets.value("PERPLEXITY_KEY").is_none(), "{text}");
}

#[test]
fn windsurf_and_zed() {
    let outcome = of(ClientProgram::Windsurf);
    assert_eq!(
        outcome.entry("figma"),
        r#"{"url": "https://mcp.figma.com/mcp", "headers": {"X-Figma-Token": "${FIGMA_TOKEN}"}}"#
    );
    assert!(outcome.entry("postgres").contains(r#""tools": {"deny": ["query"]}"#), "{}", outcome.entry("postgres"));
    let outcome = of(ClientProgram::Zed);
    assert_eq!(outcome.names(), ["time", "older", "docs", "echo"]);
    assert_eq!(outcome.entry("time"), r#"{"command": "uvx", "args": ["mcp-server-time"]}"#);
    assert_eq!(
        outcome.entry("older"),
        r#"{"command": "node", "args": ["/home/me/mcp/index.js"], "env": {"LOG": "1"}}"#
    );
    assert!(outcome.said(Weight::Lost).contains("mcp-server-github: an extension of Zed"), "{:?}", outcome.report);
}

#[test]
fn codex() {
    let outcome = of(ClientProgram::Codex);
    assert_eq!(outcome.names(), ["context7", "figma", "old", "echo"]);
    let context = outcome.entry("context7");
    assert!(
        context.contains(r#""env": {"CONTEXT7_API_KEY": "${CONTEXT7_API_KEY}"}"#)
            && context.contains(r#""startTimeout": 20"#),
        "{context}"
    );
    let figma = outcome.entry("figma");
    assert!(
        figma.contains(r#""bearerToken": "${FIGMA_OAUTH_TOKEN}""#) && figma.contains(r#""timeout": 45.5"#),
        "{figma}"
    );
    let echo = outcome.entry("echo");
    assert!(echo.contains(r#""env": {"LEVEL": "debug"}"#) && echo.contains(r#""allow": ["echo"]"#), "{echo}");
    assert!(outcome.entry("old").contains(r#""disabled": true"#));
}

#[test]
fn gemini_and_opencode() {
    let outcome = of(ClientProgram::Gemini);
    assert_eq!(outcome.names(), ["github", "python", "events", "echo"], "`mcp` is not servers");
    let github = outcome.entry("github");
    assert!(
        github.contains(r#""Authorization": "Bearer ${GITHUB_TOKEN}""#) && github.contains(r#""timeout": 5"#),
        "{github}"
    );
    assert!(outcome.entry("python").contains(r#""timeout": 15"#));
    assert!(outcome.said(Weight::ToDo).contains("write the whole path"), "{:?}", outcome.report);
    assert!(outcome.entry("events").contains(r#""deny": ["drop"]"#));
    let outcome = of(ClientProgram::OpenCode);
    let entry = outcome.entry("everything");
    assert!(entry.contains(r#""env": {"KEY": "${EVERYTHING_KEY}"}"#) && entry.contains(r#""timeout": 8"#), "{entry}");
    assert!(outcome.entry("sentry").contains(r#""disabled": true"#));
}

#[test]
fn other_gateways() {
    let outcome = of(ClientProgram::McpHub);
    assert_eq!(outcome.names(), ["amap", "remote", "echo"]);
    let amap = outcome.entry("amap");
    assert!(amap.contains(r#""deny": ["maps_geo"]"#) && amap.contains(r#""timeout": 90"#), "{amap}");
    assert!(outcome.said(Weight::Lost).contains("petstore: it makes tools of an OpenAPI"), "{:?}", outcome.report);
    let outcome = of(ClientProgram::McpproxyGo);
    assert_eq!(outcome.names(), ["everything", "new-one", "github", "echo"]);
    assert!(outcome.entry("everything").contains(r#""cwd": "/home/me""#));
    assert!(outcome.entry("new-one").contains(r#""disabled": true"#));
    assert!(outcome.entry("github").contains("Bearer ${GITHUB_TOKEN}"));
    let outcome = of(ClientProgram::OneMcp);
    let python = outcome.entry("python");
    assert!(python.contains(r#""env": {"HOME": "${HOME}", "PY_ENV": "production"}"#), "{python}");
    assert!(outcome.entry("context7").contains(r#""timeout": 60"#));
}

#[test]
fn the_same_server_of_several_programs_is_one_and_another_of_its_name_gets_a_number() {
    let all: Vec<ClientProgram> = FILES.iter().map(|(program, ..)| *program).collect();
    let outcome = import(&all, &PLAIN);
    let echoes = outcome.names().into_iter().filter(|name| name.starts_with("echo")).collect::<Vec<_>>();
    assert_eq!(echoes, ["echo", "echo-project"], "{:?}", outcome.names());
    let postgres: Vec<_> = outcome.names().into_iter().filter(|name| name.starts_with("postgres")).collect();
    assert_eq!(postgres, ["postgres", "postgres-2"]);
    let present = ForeignEntry::all(br#"{"mcpServers": {"clock": {"command": "uvx", "args": ["mcp-server-time"]}}}"#)
        .expect("JSON");
    let outcome = import(&[ClientProgram::Zed], &MergePlan { present: &present, ..PLAIN });
    assert!(
        !outcome.names().contains(&"time") && outcome.said(Weight::Note).contains("as `clock`"),
        "{:?}",
        outcome.report
    );
}

#[test]
fn servers_of_a_project_run_in_it() {
    let (_, _, text) = FILES.iter().find(|(of, ..)| *of == ClientProgram::Cursor).expect("a file");
    let file = file::read(None, Path::new("/srv/app/.cursor/mcp.json"), text.as_bytes()).expect("a file");
    let (mut secrets, mut report) = (SecretFile::of(None, "Cursor"), ImportReport::default());
    let merged = merge(&[file], &PLAIN, &mut secrets, &mut report);
    let outcome = Outcome { merged, secrets, report };
    let scripts = outcome.entry("scripts");
    assert!(scripts.contains(r#""command": "/srv/app/scripts/mcp.sh", "cwd": "/srv/app""#), "{scripts}");
    assert!(outcome.said(Weight::Note).contains("of the project /srv/app"), "{:?}", outcome.report);
    assert!(!outcome.entry("notion").contains("cwd"), "nothing is started");
}

#[test]
fn what_was_selected_is_imported_and_what_leads_back_is_not() {
    let select = ["echo*".to_owned(), "windows-files".to_owned()];
    let outcome = import(&[ClientProgram::ClaudeDesktop], &MergePlan { select: &select, ..PLAIN });
    assert_eq!(outcome.names(), ["windows-files", "echo"]);
    let outcome = import(&[ClientProgram::Cursor], &MergePlan { own_port: Some(3000), ..PLAIN });
    assert!(!outcome.names().contains(&"local-api"), "its URL is ours");
}

#[test]
fn a_report_of_all_of_them_is_eighty_columns_wide() {
    let all: Vec<ClientProgram> = FILES.iter().map(|(program, ..)| *program).collect();
    let outcome = import(&all, &MOVED);
    let (mut console, out) = crate::cli::tests::buffers();
    outcome.report.write(&mut console).expect("written");
    assert!(out.text().lines().all(|line| line.chars().count() <= 80), "{}", out.text());
    assert!(!out.text().contains("hunter2"), "{}", out.text());
}

//! How people get in: servers added, taken over from other programs, and linked, while everything runs.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

use crate::support::{DEADLINE, Finished, Proxy, binary, eventually, fixture, names, within};

/// Each file of a client or of another gateway, and the word for its program.
const FILES: [(&str, &str, &str); 12] = [
    ("claude-desktop", "claude_desktop_config.json", include_str!("../clients/claude_desktop_config.json")),
    ("claude-code", ".claude.json", include_str!("../clients/claude.json")),
    ("cursor", "mcp.json", include_str!("../clients/cursor-mcp.json")),
    ("vscode", "mcp.json", include_str!("../clients/vscode-mcp.json")),
    ("windsurf", "mcp_config.json", include_str!("../clients/windsurf-mcp_config.json")),
    ("zed", "settings.json", include_str!("../clients/zed-settings.json")),
    ("codex", "config.toml", include_str!("../clients/codex-config.toml")),
    ("gemini", "settings.json", include_str!("../clients/gemini-settings.json")),
    ("opencode", "opencode.jsonc", include_str!("../clients/opencode.jsonc")),
    ("mcphub", "mcp_settings.json", include_str!("../clients/mcphub-mcp_settings.json")),
    ("mcpproxy-go", "mcp_config.json", include_str!("../clients/mcpproxy-go-mcp_config.json")),
    ("1mcp", "mcp.json", include_str!("../clients/1mcp-mcp.json")),
];

fn ok(finished: &Finished) -> &str {
    assert_eq!(finished.code, Some(0), "{finished:?}");
    &finished.stdout
}

/// The configuration as a person writes it, with one server.
fn commented(proxy: &Proxy) -> String {
    let text = fs::read_to_string(config(proxy)).expect("the configuration");
    let value: Value = serde_json::from_str(&text).expect("JSON");
    let servers = value["servers"].as_array().expect("servers");
    let listen = &value["listen"];
    format!(
        "// Mine.\r\n{{\r\n  \"listen\": {listen}, // the port\r\n  \"servers\": [\r\n    // The first.\r\n    {}\r\n  ],\r\n}}\r\n",
        servers[0]
    )
}

fn config(proxy: &Proxy) -> PathBuf {
    proxy.dir().join("mcp-servers.json")
}

fn read(path: &Path) -> String {
    String::from_utf8(fs::read(path).expect("a file")).expect("text")
}

#[tokio::test]
async fn a_server_is_added_switched_and_removed_while_mcproxy_runs_and_the_file_is_as_it_was() {
    let proxy = Proxy::of(&["a"]).await;
    let before = commented(&proxy);
    proxy.write_config(&before);
    let fixture = binary("mcproxy-fixture").display().to_string();

    let preview = proxy.cli(&["add", "b", "--dry-run", "--", &fixture, "--name", "b"]).await;
    assert!(ok(&preview).contains("+ ") && preview.stdout.contains("\"name\": \"b\""), "{preview:?}");
    assert_eq!(read(&config(&proxy)), before, "nothing is written");

    let added = proxy.cli(&["add", "b", "--env", "LEVEL=1", "--", &fixture, "--name", "b"]).await;
    assert!(ok(&added).contains("added `b`"), "{added:?}");
    let more = read(&config(&proxy));
    assert!(more.starts_with("// Mine.\r\n") && more.contains("// The first.\r\n"), "{more}");
    assert_eq!(read(&proxy.dir().join("mcp-servers.json.bak")), before);
    proxy.server_until("it runs", "b", |server| server.state == "ready").await;
    let tools = proxy.cli(&["tools", "--server", "b", "--json"]).await;
    assert!(names(&serde_json::from_str(ok(&tools)).expect("JSON")).contains(&"b__echo".to_owned()), "{tools:?}");

    ok(&proxy.cli(&["disable", "b"]).await);
    proxy.server_until("it is off", "b", |server| server.state == "stopped").await;
    ok(&proxy.cli(&["enable", "b"]).await);
    assert_eq!(read(&config(&proxy)), more);
    proxy.server_until("it runs again", "b", |server| server.state == "ready").await;

    ok(&proxy.cli(&["remove", "b"]).await);
    assert_eq!(read(&config(&proxy)), before, "byte for byte");
    assert!(proxy.status().await.servers.iter().all(|server| server.name != "b"));
}

#[tokio::test]
async fn what_would_be_wrong_is_refused_and_nothing_is_written() {
    let proxy = Proxy::of(&["a"]).await;
    let before = read(&config(&proxy));
    for (args, code, says) in [
        (&["add", "a", "--", "x"][..], 64, "there is a server `a` already"),
        (&["add", "b__c", "--", "x"], 64, "is no name"),
        (&["add", "mcproxy", "--", "x"], 64, "the built-in server"),
        (&["add", "b", "npx"], 64, "mcproxy add b -- npx"),
        (&["add", "b", "http://x/", "--header", "Bad Name: x"], 64, "nothing was written"),
        (&["remove", "bb"], 64, "there is no server `bb`"),
        (&["enable", "b", "--config", "/nonexistent/f.json"], 64, "no configuration at"),
    ] {
        let refused = proxy.cli(args).await;
        assert_eq!(refused.code, Some(code), "{args:?}: {refused:?}");
        assert!(refused.stderr.contains(says), "{args:?}: {refused:?}");
    }
    assert_eq!(read(&config(&proxy)), before);
    let broken = format!("{before} }}");
    proxy.write_config(&broken);
    let refused = proxy.cli(&["add", "b", "--", "x"]).await;
    assert_eq!(refused.code, Some(78), "{refused:?}");
    assert!(refused.stderr.contains("nothing was written"), "{refused:?}");
    assert_eq!(read(&config(&proxy)), broken);
}

/// The file with a command that can be started here, and addresses at which nobody is asked anything.
fn startable(text: &str) -> String {
    text.replace("FIXTURE", &binary("mcproxy-fixture").display().to_string()).replace("https://", "http://127.0.0.1:9/")
}

#[tokio::test]
async fn the_servers_of_every_client_are_imported_into_an_installation_that_runs() {
    for (program, name, text) in FILES {
        // Without the runners of packages, whose servers are somebody else's.
        let proxy = Proxy::launch_with(json!({"servers": []}), |command| {
            command.env("PATH", "/nonexistent");
        })
        .await;
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join(name);
        let original = startable(text);
        proxy.until_ready().await;
        fs::write(&file, &original).expect("written");
        let path = file.display().to_string();

        let shown = proxy.cli(&["import", program, &path, "--dry-run"]).await;
        assert!(ok(&shown).contains("+ ") && shown.stdout.contains("Nothing was written"), "{program}: {shown:?}");
        assert!(
            shown
                .stdout
                .lines()
                .filter(|line| !line.starts_with(['+', '-', ' ']))
                .all(|line| line.chars().count() <= 100)
        );
        assert!(!read(&config(&proxy)).contains("echo"), "{program}");

        let env = proxy.dir().join("secrets.env").display().to_string();
        let done = proxy.cli(&["import", program, &path, "--env-file", &env, "--json"]).await;
        let report: Value = serde_json::from_str(ok(&done)).expect("JSON");
        assert_eq!(report["written"], true, "{program}: {report}");
        assert!(report["added"].as_array().expect("names").contains(&json!("echo")), "{program}: {report}");
        proxy.server_until("it runs", "echo", |server| server.state == "ready").await;
        let said = proxy.cli(&["call", "echo__echo", "--args", r#"{"text": "hello"}"#]).await;
        assert_eq!(ok(&said).trim_end(), "hello", "{program}");
        assert_eq!(fs::read_to_string(&file).expect("the file"), original, "{program}: only read");
        let config = read(&config(&proxy));
        assert!(!config.contains("hunter2"), "{program}: {config}");
        if Path::new(&env).exists() {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&env).expect("a file").permissions().mode() & 0o777, 0o600, "{program}");
        }

        let again = proxy.cli(&["import", program, &path, "--env-file", &env]).await;
        assert!(ok(&again).contains("Nothing to import"), "{program}: {again:?}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_clients_is_refused_with_its_place_and_nothing_is_written() {
    let proxy = Proxy::start(json!({"servers": []})).await;
    let before = read(&config(&proxy));
    let dir = tempfile::tempdir().expect("a directory");
    for (name, content, says) in [
        ("cut.json", &b"{\"mcpServers\": {\n  \"a\": {\"command\": "[..], "line 2, column"),
        ("latin.json", b"{\"mcpServers\": {\"caf\xe9\": {}}}", "UTF-8"),
        ("config.toml", b"[mcp_servers.a\ncommand = 'hunter2'\n", "not TOML"),
        ("list.json", b"[1, 2]", "no file of MCP servers"),
        ("empty.json", b"", "the file is empty"),
    ] {
        let path = dir.path().join(name);
        fs::write(&path, content).expect("written");
        let refused = proxy.cli(&["import", "auto", &path.display().to_string()]).await;
        assert_eq!(refused.code, Some(1), "{name}: {refused:?}");
        assert!(refused.stderr.contains(says) && !refused.stderr.contains("hunter2"), "{name}: {refused:?}");
    }
    let missing = proxy.cli(&["import", "cursor", "/nonexistent/mcp.json"]).await;
    assert!(missing.code != Some(0) && missing.stderr.contains("/nonexistent/mcp.json"), "{missing:?}");
    let mut nothing = proxy.cli_command(&["import"]);
    nothing.env("HOME", dir.path()).env("XDG_CONFIG_HOME", dir.path());
    let nothing = crate::support::run(&mut nothing, "").await;
    assert!(nothing.code == Some(64) && nothing.stderr.contains("no file of a known client"), "{nothing:?}");
    assert_eq!(read(&config(&proxy)), before);
}

/// Linkable programs with their files below HOME, and what these have.
const HOMES: [(&str, &str, &str); 9] = [
    (
        "claude-desktop",
        ".config/Claude/claude_desktop_config.json",
        include_str!("../clients/claude_desktop_config.json"),
    ),
    ("claude-code", ".claude.json", include_str!("../clients/claude.json")),
    ("cursor", ".cursor/mcp.json", include_str!("../clients/cursor-mcp.json")),
    ("vscode", ".config/Code/User/mcp.json", include_str!("../clients/vscode-mcp.json")),
    ("windsurf", ".codeium/windsurf/mcp_config.json", include_str!("../clients/windsurf-mcp_config.json")),
    ("zed", ".config/zed/settings.json", include_str!("../clients/zed-settings.json")),
    ("codex", ".codex/config.toml", include_str!("../clients/codex-config.toml")),
    ("gemini", ".gemini/settings.json", include_str!("../clients/gemini-settings.json")),
    ("opencode", ".config/opencode/opencode.jsonc", include_str!("../clients/opencode.jsonc")),
];

/// `mcproxy` of somebody whose HOME this is.
async fn at_home(proxy: &Proxy, home: &Path, args: &[&str]) -> Finished {
    let mut command = proxy.cli_command(args);
    command.env("HOME", home).env_remove("XDG_CONFIG_HOME");
    crate::support::run(&mut command, "").await
}

/// All files below a directory, with what is in them.
fn tree(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut left = vec![dir.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                left.push(path);
            } else {
                found.insert(path.clone(), fs::read(&path).expect("a file"));
            }
        }
    }
    found
}

#[tokio::test]
async fn every_client_is_linked_and_unlinked_without_a_trace() {
    let proxy = Proxy::of(&["a"]).await;
    let home = tempfile::tempdir().expect("a directory");
    for (_, path, text) in HOMES {
        let path = home.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        // Its own entry for MCProxy would be in the way.
        let text = text.replace("\"mcproxy\": {", "\"other\": {");
        fs::write(path, text).expect("written");
    }
    let before = tree(home.path());
    let preview = at_home(&proxy, home.path(), &["link", "all", "--dry-run"]).await;
    assert!(ok(&preview).contains("+ ") && preview.stdout.contains("Nothing was written"), "{preview:?}");
    assert_eq!(tree(home.path()), before);

    ok(&at_home(&proxy, home.path(), &["link", "all"]).await);
    let listed = at_home(&proxy, home.path(), &["link", "--json"]).await;
    let listed: Value = serde_json::from_str(ok(&listed)).expect("JSON");
    assert_eq!(listed.as_array().expect("clients").len(), HOMES.len());
    assert!(listed.as_array().expect("clients").iter().all(|client| client["state"] == "linked"), "{listed}");
    for (program, path, _) in HOMES {
        let text = read(&home.path().join(path));
        let address =
            if program == "claude-desktop" { "\"connect\"".to_owned() } else { format!("{}/mcp", proxy.base) };
        assert!(text.contains(&address), "{program}: {text}");
    }
    ok(&at_home(&proxy, home.path(), &["link", "all"]).await);
    ok(&at_home(&proxy, home.path(), &["unlink", "all"]).await);
    assert_eq!(tree(home.path()), before, "byte for byte, and nothing beside");
    ok(&at_home(&proxy, home.path(), &["unlink", "all"]).await);
    assert_eq!(tree(home.path()), before);

    // A client that had no file has none again, and one that changed its own keeps that.
    let (zed, cursor) = (home.path().join(HOMES[5].1), home.path().join(HOMES[2].1));
    fs::remove_file(&zed).expect("removed");
    ok(&at_home(&proxy, home.path(), &["link", "zed", "cursor"]).await);
    let changed = read(&cursor).replace("servers for all projects", "changed by Cursor");
    fs::write(&cursor, &changed).expect("written");
    let refused = at_home(&proxy, home.path(), &["unlink", "zed", "cursor"]).await;
    assert!(refused.code == Some(1) && refused.stderr.contains("--keep-changes"), "{refused:?}");
    assert!(zed.exists() && read(&cursor) == changed, "all or none");
    ok(&at_home(&proxy, home.path(), &["unlink", "zed", "cursor", "--keep-changes"]).await);
    assert!(!zed.exists());
    let kept = read(&cursor);
    assert!(kept.contains("changed by Cursor") && !kept.contains(&proxy.base), "{kept}");
}

#[tokio::test]
async fn a_file_that_cannot_be_linked_stays_as_it_is_and_so_do_all_others() {
    let proxy = Proxy::of(&["a"]).await;
    let home = tempfile::tempdir().expect("a directory");
    for folder in [".cursor", ".codeium/windsurf", ".gemini"] {
        fs::create_dir_all(home.path().join(folder)).expect("made");
    }
    fs::write(home.path().join(".cursor/mcp.json"), "{\"mcpServers\": {}}").expect("written");
    fs::write(home.path().join(".codeium/windsurf/mcp_config.json"), "{\"mcpServers\": ").expect("written");
    fs::write(
        home.path().join(".gemini/settings.json"),
        "{\"mcpServers\": {\"mcproxy\": {\"url\": \"http://else/\"}}}",
    )
    .expect("written");
    let before = tree(home.path());
    for (client, says) in
        [("windsurf", "windsurf/mcp_config.json"), ("gemini", "already to http://else/"), ("emacs", "no client")]
    {
        let refused = at_home(&proxy, home.path(), &["link", "cursor", client]).await;
        assert!(matches!(refused.code, Some(1 | 64)) && refused.stderr.contains(says), "{client}: {refused:?}");
        assert_eq!(tree(home.path()), before, "{client}");
    }
}

/// Stops what `mcproxy init` started, also when a test fails.
struct Started<'t>(&'t Path);

impl Drop for Started<'_> {
    fn drop(&mut self) {
        let _ = std::process::Command::new(env!("CARGO_BIN_EXE_mcproxy"))
            .args(["stop", "--runtime-dir"])
            .arg(self.0.join("run"))
            .output();
    }
}

#[tokio::test]
async fn init_takes_over_the_servers_of_clients_starts_and_ends_with_a_call() {
    let dir = tempfile::tempdir().expect("a directory");
    let home = dir.path().join("home");
    for (path, text) in [(HOMES[2].1, HOMES[2].2), (HOMES[6].1, HOMES[6].2)] {
        fs::create_dir_all(home.join(path).parent().expect("a folder")).expect("made");
        fs::write(home.join(path), startable(text)).expect("written");
    }
    fs::create_dir_all(home.join(".gemini")).expect("made");
    fs::write(home.join(".gemini/settings.json"), "{\"mcpServers\": ").expect("written");
    let before = tree(&home);
    let config = dir.path().join("config.json");
    fs::write(&config, "{\n  // Mine.\n  \"listen\": \"127.0.0.1:0\"\n}\n").expect("written");
    let init = async |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mcproxy"));
        command.args(["init", "--yes", "--background", "--config"]).arg(&config).args(more);
        command.env_clear().env("HOME", &home).env("PATH", "/nonexistent");
        command.env("MCPROXY_RUNTIME_DIR", dir.path().join("run")).env("STATE_DIRECTORY", dir.path().join("state"));
        crate::support::run(&mut command, "").await
    };
    let _started = Started(dir.path());

    let first = init(&["--no-start"]).await;
    assert!(ok(&first).contains("mcproxy-supervisor --log --config"), "{first:?}");
    assert!(
        first.stderr.contains("passed over: cannot import") && first.stderr.contains(".gemini/settings.json"),
        "{first:?}"
    );
    let text = read(&config);
    assert!(text.contains("// Mine.") && text.contains("\"echo\"") && text.contains("\"context7\""), "{text}");

    let second = init(&[]).await;
    let said = ok(&second);
    assert!(said.contains("echo: ready") && said.contains("context7: blocked"), "{second:?}");
    assert!(said.contains("$ mcproxy call echo__") || said.contains("$ mcproxy call mcproxy__status"), "{second:?}");
    assert!(said.contains("(answered in ") && said.contains("mcproxy link"), "{second:?}");
    assert_eq!(tree(&home), before, "clients are not linked unasked");
    assert!(said.lines().filter(|line| !line.starts_with(['+', '-', ' '])).all(|line| line.chars().count() <= 200));

    let third = init(&["--link"]).await;
    assert!(ok(&third).contains("MCProxy runs already"), "{third:?}");
    assert!(read(&home.join(HOMES[2].1)).contains("/mcp\""), "Cursor is linked");
}

#[tokio::test]
async fn calls_and_changes_are_told_as_they_happen() {
    let proxy = Proxy::of(&["a", "b"]).await;
    let mut trace = proxy.cli_command(&["trace", "a"]);
    let mut watch = proxy.cli_command(&["watch"]);
    let reader = |command: &mut Command| {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("started");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        (child, lines)
    };
    let (_trace, mut traced) = reader(&mut trace);
    let (_watch, mut watched) = reader(&mut watch);
    // It tells how all are when it has begun to look.
    let first = within("watch begins", DEADLINE, watched.next_line()).await.expect("text").expect("a line");
    assert_eq!(first, "a: ready");
    // The stream of the other may begin later: calls are made until one is told.
    let line = eventually("a call is traced", DEADLINE, async || {
        ok(&proxy.cli(&["call", "b__echo", "--args", r#"{"text": "no"}"#]).await);
        ok(&proxy.cli(&["call", "a__echo", "--args", r#"{"text": "yes"}"#]).await);
        tokio::time::timeout(Duration::from_secs(2), traced.next_line()).await.ok()?.expect("text")
    })
    .await;
    assert!(line.contains(" a__echo ok "), "only calls of the server that was named: {line}");
    let mut off = fixture("b", &[]);
    off["enabled"] = json!(false);
    proxy.write_config(&json!({"servers": [fixture("a", &[]), off]}).to_string());
    within("watch tells of both", DEADLINE, async {
        let (mut call, mut change) = (false, false);
        while !(call && change) {
            let line = watched.next_line().await.expect("text").expect("a line");
            call |= line.contains("b__echo ok");
            change |= line.starts_with("b: ") && !line.contains("b: ready");
        }
    })
    .await;
}

#[tokio::test]
async fn without_the_page_nobody_tells_of_calls_and_changes_are_told_all_the_same() {
    let proxy = Proxy::start(json!({"servers": [fixture("b", &[])], "ui": false})).await;
    let refused = proxy.cli(&["trace"]).await;
    assert!(refused.code == Some(1) && refused.stderr.contains("mcproxy logs -f"), "{refused:?}");
    let mut watch = proxy.cli_command(&["watch"]);
    let mut child = watch.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("started");
    let mut watched = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let first = within("watch begins", DEADLINE, watched.next_line()).await.expect("text").expect("a line");
    assert_eq!(first, "b: ready");
    proxy.cli(&["restart", "b"]).await;
    let next = within("watch tells of it", DEADLINE, watched.next_line()).await.expect("text").expect("a line");
    assert!(next.starts_with("b: "), "{next}");
}

#[tokio::test]
async fn doctor_names_what_keeps_a_server_from_running_and_mends_modes() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut config = json!({"servers": [fixture("a", &[]), {"name": "b", "command": "nowhere-to-be-found"}]});
    config["servers"][0]["env"] = json!({"API_KEY": "hunter2-hunter2"});
    let proxy = Proxy::launch(config).await;
    proxy.server_until("it runs", "a", |server| server.state == "ready").await;
    let path = proxy.dir().join("mcp-servers.json");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("changed");
    let found = proxy.cli(&["doctor"]).await;
    assert_eq!(found.code, Some(1), "{found:?}");
    assert!(
        found.stdout.contains("b: as seen from here: command not found") && found.stdout.contains("→ chmod 640"),
        "{found:?}"
    );
    assert!(found.stdout.lines().all(|line| line.chars().count() <= 80), "{}", found.stdout);
    assert!(!found.stdout.contains("hunter2") && !found.stdout.contains('\u{1b}'), "{found:?}");
    let mended = proxy.cli(&["doctor", "--fix", "--json"]).await;
    let mended: Value = serde_json::from_str(&mended.stdout).expect("JSON");
    let secrets = mended["findings"].as_array().expect("findings").iter().find(|finding| finding["about"] == "secrets");
    assert_eq!(secrets.expect("the file")["mended"], true, "{mended}");
    assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o640);
}

#[tokio::test]
async fn manual_pages_are_written_for_every_command_and_program() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcproxy"));
    let written = crate::support::run(command.arg("man").arg(dir.path()), "").await;
    assert!(ok(&written).contains("pages in"), "{written:?}");
    for page in ["mcproxy", "mcproxy-add", "mcproxy-service-install", "mcproxy-supervisor", "mcproxy-worker"] {
        let text = read(&dir.path().join(format!("{page}.1")));
        assert!(text.contains(".SH NAME"), "{page}: {text}");
    }
}

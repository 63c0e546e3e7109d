//! What an operator does with MCProxy besides its servers: asks whether it is healthy, where its files are, makes it a service.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::support::{Finished, Proxy, binary, fixture, run, signal};

fn mcproxy(args: &[&str]) -> Command {
    let mut command = Command::new(binary("mcproxy"));
    command.args(args).env_remove("MCPROXY_TOKEN").env_remove("MCPROXY_RUNTIME_DIR");
    command
}

#[tokio::test]
async fn health_says_in_one_line_and_by_its_exit_code_whether_clients_are_served() {
    let servers = json!({"servers": [fixture("a", &[]), {"name": "b", "command": "/nowhere/at/all"}]});
    let mut proxy = Proxy::launch(servers).await;
    proxy.server_until("ready", "a", |server| server.is_ready()).await;
    proxy.server_until("failed", "b", |server| server.last_error.is_some()).await;
    let healthy = proxy.cli(&["health"]).await;
    assert_eq!(healthy.code, Some(0), "{healthy:?}");
    assert_eq!(healthy.stdout.lines().count(), 1, "{healthy:?}");
    assert!(healthy.stdout.starts_with(&format!("healthy: {} answers; 1 of 2", proxy.base)), "{healthy:?}");
    let unready = proxy.cli(&["health", "--ready"]).await;
    assert!(unready.code == Some(69) && unready.stderr.contains("not ready: b is "), "{unready:?}");
    assert_eq!(unready.stderr.lines().count(), 1, "{unready:?}");
    let as_json: Value = serde_json::from_str(&proxy.cli(&["health", "--json"]).await.stdout).expect("JSON");
    assert_eq!((&as_json["healthy"], &as_json["url"]), (&json!(true), &json!(proxy.base)));
    let by_url = run(&mut mcproxy(&["--url", &proxy.base, "health"]), "").await;
    assert_eq!(by_url.code, Some(0), "{by_url:?}");

    let gateway = proxy.status().await.gateway.expect("a gateway").pid;
    signal(gateway, rustix::process::Signal::STOP);
    let hangs = proxy.cli(&["health", "--timeout", "1"]).await;
    signal(gateway, rustix::process::Signal::CONT);
    assert!(hangs.code == Some(69) && hangs.stderr.contains("no answer within 1 s"), "{hangs:?}");
    proxy.terminate();
    proxy.exit_code(crate::support::DEADLINE).await;
    let gone = proxy.cli(&["health"]).await;
    assert!(gone.code == Some(69) && gone.stderr.contains("no supervisor"), "{gone:?}");
}

#[tokio::test]
async fn health_with_tokens_needs_none_and_names_no_server_to_those_who_have_none() {
    let auth = json!({"tokens": [{"name": "me", "token": "0123456789abcdef0123456789abcdef"}]});
    let proxy = Proxy::launch(json!({"auth": auth, "servers": [{"name": "b", "command": "/nowhere/at/all"}]})).await;
    assert_eq!(proxy.cli(&["health"]).await.code, Some(0));
    let by_url = run(&mut mcproxy(&["--url", &proxy.base, "health", "--ready"]), "").await;
    assert!(by_url.code == Some(69) && by_url.stderr.contains("MCPROXY_TOKEN"), "{by_url:?}");
    assert!(!by_url.stderr.contains("b is"), "{by_url:?}");
}

#[tokio::test]
async fn paths_are_those_of_the_running_supervisor() {
    let proxy = Proxy::of(&["a"]).await;
    let paths: Value = serde_json::from_str(&proxy.cli(&["paths", "--json"]).await.stdout).expect("JSON");
    assert_eq!(paths["config"], json!(proxy.dir().join("mcp-servers.json")));
    assert_eq!(paths["mcproxy"], json!(binary("mcproxy")));
    assert_eq!(paths["socket"], json!(proxy.dir().join("run/supervisor.sock")));
    let text = proxy.cli(&["paths"]).await.stdout;
    assert!(text.lines().any(|line| line.starts_with("config ")), "{text}");
}

/// A home in which `systemctl` only writes down what it is asked.
struct Home {
    dir: TempDir,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let systemctl = dir.path().join("bin/systemctl");
        fs::create_dir(dir.path().join("bin")).expect("created");
        fs::create_dir(dir.path().join("run")).expect("created");
        fs::write(dir.path().join("run/bus"), "").expect("written");
        fs::write(&systemctl, "#!/bin/sh\necho \"$@\" >> \"$HOME/asked\"\n").expect("written");
        fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o755)).expect("set");
        Self { dir }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    async fn service(&self, args: &[&str]) -> Finished {
        let search = format!("{}:/usr/bin:/bin", self.path("bin").display());
        let args = [&["service"], args].concat();
        let mut command = mcproxy(&args);
        command.env("HOME", self.dir.path()).env("XDG_RUNTIME_DIR", self.path("run"));
        run(command.env_remove("XDG_CONFIG_HOME").env("PATH", search), "").await
    }
}

#[tokio::test]
async fn a_service_of_ones_own_is_installed_and_removed_and_each_step_is_shown() {
    let home = Home::new();
    let installed = home.service(&["install", "--user"]).await;
    assert_eq!(installed.code, Some(0), "{installed:?}");
    let unit = home.read(".config/systemd/user/mcproxy.service");
    let config = home.path(".config/mcproxy/mcp-servers.json");
    let start = format!("ExecStart={} --config {} ", binary("mcproxy-supervisor").display(), config.display());
    assert!(unit.contains(&start), "{unit}");
    assert_eq!(fs::metadata(&config).expect("there").permissions().mode() & 0o777, 0o640);
    let checked = run(&mut mcproxy(&["check", config.to_str().expect("text")]), "").await;
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert_eq!(home.read("asked"), "--user daemon-reload\n--user enable --now mcproxy\n");
    assert!(installed.stdout.contains("$ systemctl --user enable --now mcproxy"), "{installed:?}");

    fs::write(&config, r#"{"mcpServers": {"a": {"command": "x"}}}"#).expect("written");
    assert_eq!(home.service(&["install", "--user"]).await.code, Some(0), "again");
    assert!(fs::read_to_string(&config).expect("there").contains("\"a\""), "what is configured stays");
    let removed = home.service(&["uninstall", "--user"]).await;
    assert_eq!(removed.code, Some(0), "{removed:?}");
    assert!(home.read("asked").ends_with("--user disable --now mcproxy\n--user daemon-reload\n"));
    assert!(config.exists() && !home.path(".config/systemd/user/mcproxy.service").exists());
    assert_eq!(home.service(&["uninstall", "--user"]).await.code, Some(1), "there is none");
}

#[tokio::test]
async fn without_a_service_manager_of_ones_own_nothing_is_asked_of_it_and_the_files_go() {
    let home = Home::new();
    assert_eq!(home.service(&["install", "--user"]).await.code, Some(0));
    let units = home.path(".config/systemd/user");
    let link = units.join("default.target.wants/mcproxy.service");
    fs::create_dir_all(link.parent().expect("a directory")).expect("created");
    std::os::unix::fs::symlink(units.join("mcproxy.service"), &link).expect("linked");
    fs::remove_file(home.path("run/bus")).expect("removed");
    fs::remove_file(home.path("asked")).expect("removed");
    let removed = home.service(&["uninstall", "--user"]).await;
    assert_eq!(removed.code, Some(0), "{removed:?}");
    assert!(
        !units.join("mcproxy.service").exists() && fs::symlink_metadata(&link).is_err() && !home.path("asked").exists()
    );
    let installed = home.service(&["install", "--user"]).await;
    assert!(installed.code == Some(69) && installed.stderr.contains("loginctl enable-linger"), "{installed:?}");
    assert!(units.join("mcproxy.service").exists() && !home.path("asked").exists());
}

#[tokio::test]
async fn completion_offers_the_names_of_what_runs() {
    let proxy = Proxy::of(&["a"]).await;
    let asked = async |words: &[&str]| {
        let dir = proxy.dir().join("run");
        let mut all = vec!["--", "mcproxy", "--runtime-dir", dir.to_str().expect("text")];
        all.extend(words);
        run(mcproxy(&all).env("MCPROXY_COMPLETE", "fish"), "").await.stdout
    };
    for command in [&["restart", ""][..], &["status", ""], &["logs", "-f", ""], &["tools", "--server", ""]] {
        let lines = asked(command).await;
        assert!(lines.lines().any(|line| line == "a\tready"), "{command:?}: {lines}");
    }
    let tools = asked(&["call", "a__ec"]).await;
    assert!(tools.lines().all(|line| line.starts_with("a__ec")) && tools.contains("a__echo\t"), "{tools}");
    let script = proxy.cli(&["completions", "bash"]).await;
    assert!(script.code == Some(0) && script.stdout.contains("MCPROXY_COMPLETE=\"bash\""), "{script:?}");
}

#[tokio::test]
async fn without_a_configuration_one_is_told_how_to_begin() {
    let dir = tempfile::tempdir().expect("a directory");
    let checked = run(mcproxy(&["check"]).current_dir(dir.path()), "").await;
    assert!(checked.code == Some(78) && checked.stderr.contains("write a file with one server"), "{checked:?}");
    let mut supervisor = Command::new(binary("mcproxy-supervisor"));
    let (runtime, state) = (dir.path().join("run"), dir.path().join("state"));
    supervisor.arg("--log").arg("--runtime-dir").arg(runtime).arg("--state-dir").arg(state).current_dir(dir.path());
    let started = run(&mut supervisor, "").await;
    let said = started.stdout + &started.stderr;
    assert!(started.code == Some(78) && said.contains("mcp-server-time") && said.contains("--config FILE"), "{said}");
}

#[tokio::test]
async fn a_unit_of_somebody_else_is_left_alone_and_an_images_files_are_written_below_its_root() {
    let home = Home::new();
    let unit = home.path(".config/systemd/user/mcproxy.service");
    fs::create_dir_all(unit.parent().expect("a directory")).expect("created");
    fs::write(&unit, "[Service]\n").expect("written");
    for action in ["install", "uninstall"] {
        let refused = home.service(&[action, "--user"]).await;
        assert!(refused.code == Some(1) && refused.stderr.contains("was not written by this command"), "{refused:?}");
    }
    assert_eq!(fs::read_to_string(&unit).expect("there"), "[Service]\n");

    let image = home.path("image");
    let root = image.to_str().expect("text");
    let written = home.service(&["install", "--root", root]).await;
    assert_eq!(written.code, Some(0), "{written:?}");
    let text = fs::read_to_string(image.join("etc/systemd/system/mcproxy.service")).expect("the unit");
    assert!(text.contains(&format!("ExecStart={} ", binary("mcproxy-supervisor").display())), "{text}");
    assert!(image.join("etc/mcproxy/mcp-servers.json").exists() && !home.path("asked").exists());
    let printed = home.service(&["install", "--root", root, "--print"]).await;
    assert_eq!(printed.stdout, text);
    assert_eq!(home.service(&["uninstall", "--root", root]).await.code, Some(0));
    assert!(!Path::new(root).join("etc/systemd/system/mcproxy.service").exists());
}

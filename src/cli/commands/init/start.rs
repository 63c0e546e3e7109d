//! How MCProxy is started from here.

use std::{
    fs::OpenOptions,
    os::unix::{fs::OpenOptionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::cli::{
    args::ServiceAction, commands::service, console::Console, error::CliError, human::printable,
    supervisor::SupervisorClient,
};

/// Longest wait for the supervisor's first answer.
const ANSWER: Duration = Duration::from_secs(20);
/// Between two looks.
const POLL: Duration = Duration::from_millis(100);
/// Bytes of the log that are shown when it does not start.
const TAIL: usize = 2000;

/// How it is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StartWay {
    /// As a service of the user, by systemd.
    UserService,
    /// As a service of the system, by systemd.
    SystemService,
    /// As a process of its own that nobody looks after.
    Background,
}

impl StartWay {
    /// The one that fits here; `background`: a service is not wanted.
    pub(super) fn here(background: bool) -> Self {
        if background {
            return Self::Background;
        }
        match (rustix::process::geteuid().is_root(), service::has_user_manager()) {
            (true, _) if Path::new("/run/systemd/system").is_dir() => Self::SystemService,
            (false, true) => Self::UserService,
            (_, _) => Self::Background,
        }
    }

    pub(super) fn question(self) -> String {
        match self {
            Self::UserService => "Start it now and whenever you log in, as a service of yours (systemd)?",
            Self::SystemService => "Start it now and with the machine, as a service (systemd)?",
            Self::Background => "Start it now, in the background?",
        }
        .to_owned()
    }
}

/// Starts it and waits until it answers.
pub(super) async fn start(
    way: StartWay,
    config: &Path,
    supervisor: &SupervisorClient,
    console: &mut Console,
) -> Result<(), CliError> {
    let log = match way {
        StartWay::UserService | StartWay::SystemService => {
            let user = way == StartWay::UserService;
            let config = Some(config.to_owned());
            service::run(ServiceAction::Install { user, config, root: None, print: false }, console)?;
            None
        }
        StartWay::Background => Some(in_background(config, console)?),
    };
    let begun = Instant::now();
    let answers = async {
        while supervisor.status().await.is_err() {
            if begun.elapsed() > ANSWER {
                return false;
            }
            tokio::time::sleep(POLL).await;
        }
        true
    };
    if console.waiting("waiting for MCProxy", answers).await {
        return Ok(());
    }
    let said = log.and_then(|log| std::fs::read_to_string(log).ok()).unwrap_or_default();
    let tail = said.get(said.floor_char_boundary(said.len().saturating_sub(TAIL))..).unwrap_or_default();
    console.remark(tail.trim_end());
    Err(CliError::NotUp(format!("MCProxy did not answer within {} s", ANSWER.as_secs())))
}

/// A process in a session of its own, so that it outlives the terminal.
fn in_background(config: &Path, console: &mut Console) -> Result<PathBuf, CliError> {
    let failed = |what, path: &Path| {
        let path = path.to_owned();
        move |source| CliError::Service { what, path, source }
    };
    let program =
        std::env::current_exe().map_err(failed("find", Path::new("mcproxy")))?.with_file_name("mcproxy-supervisor");
    let dir = mcproxy_ipc::default_state_dir().unwrap_or_else(std::env::temp_dir);
    std::fs::create_dir_all(&dir).map_err(failed("create", &dir))?;
    let log = dir.join("mcproxy.log");
    let out = OpenOptions::new().create(true).append(true).mode(0o600).open(&log).map_err(failed("write", &log))?;
    let err = out.try_clone().map_err(failed("write", &log))?;
    let mut command = Command::new(&program);
    command.arg("--log").arg("--config").arg(config).stdin(Stdio::null()).stdout(out).stderr(err).process_group(0);
    command.spawn().map_err(failed("start", &program))?;
    writeln!(
        console.out,
        "started {}; it logs to {} and ends with the machine, or with `mcproxy stop`",
        printable(&program.display().to_string()),
        printable(&log.display().to_string())
    )?;
    Ok(log)
}

//! `mcproxy service`: a unit of systemd for those who have no package.

mod unit;

use std::{
    fs, io,
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::Command,
};

use self::unit::{MARK, SYSTEM_CONFIG, SYSTEM_USER, ServiceScope, UnitPlan};
use crate::cli::{args::ServiceAction, console::Console, error::CliError, exit::Exit, user_dirs::user_config_dir};

const UNIT: &str = "mcproxy.service";
const NO_MANAGER: &str = "no service manager of yours runs here, so the service was not started. Log in as this user (`su` and `sudo -u` are \
                          no login), or have root run `loginctl enable-linger USER`; then run this again";
const EMPTY_CONFIG: &str = "{\n  \"mcpServers\": {}\n}\n";

/// Installs or removes it, and says each step.
pub(crate) fn run(action: ServiceAction, console: &mut Console) -> Result<Exit, CliError> {
    match action {
        ServiceAction::Install { user, config, root, print } => {
            let scope = scope(user);
            let place = ServicePlace::of(scope, root)?;
            let programs = programs()?;
            let config = match config {
                Some(config) => std::path::absolute(&config).map_err(failed("find", &config))?,
                None => place.default_config.clone(),
            };
            let plan = UnitPlan { scope, programs, config };
            let text = plan.text().map_err(|error| CliError::Usage(error.to_string()))?;
            if print {
                write!(console.out, "{text}")?;
                return Ok(Exit::Ok);
            }
            place.install(&plan, &text, console)
        }
        ServiceAction::Uninstall { user, root } => ServicePlace::of(scope(user), root)?.uninstall(console),
    }
}

fn scope(user: bool) -> ServiceScope {
    if user { ServiceScope::User } else { ServiceScope::System }
}

/// The directory of the programs: `mcproxy-supervisor` has to lie beside this one.
fn programs() -> Result<PathBuf, CliError> {
    let us = std::env::current_exe().map_err(failed("find", Path::new("mcproxy")))?;
    if !us.with_file_name("mcproxy-supervisor").is_file() {
        let text = format!("there is no mcproxy-supervisor beside {}; install the programs first", us.display());
        return Err(CliError::Usage(text));
    }
    Ok(us.parent().unwrap_or_else(|| Path::new("/")).to_owned())
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CliError {
    let path = path.to_owned();
    move |source| CliError::Service { what, path, source }
}

/// Where a service belongs.
struct ServicePlace {
    scope: ServiceScope,
    units: PathBuf,
    default_config: PathBuf,
    /// Files are written below it, and nothing is started: it is another system's.
    root: Option<PathBuf>,
}

impl ServicePlace {
    fn of(scope: ServiceScope, root: Option<PathBuf>) -> Result<Self, CliError> {
        let (units, default_config) = match scope {
            ServiceScope::System => ("/etc/systemd/system".into(), SYSTEM_CONFIG.into()),
            ServiceScope::User => {
                let config = user_config_dir().ok_or_else(|| {
                    CliError::Usage("neither XDG_CONFIG_HOME nor HOME says where your configuration belongs".to_owned())
                })?;
                (config.join("systemd/user"), config.join("mcproxy/mcp-servers.json"))
            }
        };
        if scope == ServiceScope::System && root.is_none() && !rustix::process::geteuid().is_root() {
            let text = "a service of the system is root's to install: `sudo mcproxy service install`; `--user` makes one of your own";
            return Err(CliError::Usage(text.to_owned()));
        }
        Ok(Self { scope, units, default_config, root })
    }

    /// Where a path of the service is written.
    fn on_disk(&self, path: &Path) -> PathBuf {
        match &self.root {
            Some(root) => root.join(path.strip_prefix("/").unwrap_or(path)),
            None => path.to_owned(),
        }
    }

    fn unit(&self) -> PathBuf {
        self.on_disk(&self.units.join(UNIT))
    }

    fn install(&self, plan: &UnitPlan, text: &str, console: &mut Console) -> Result<Exit, CliError> {
        let unit = self.unit();
        match fs::read_to_string(&unit) {
            Ok(there) if !there.starts_with(MARK) => return Err(not_ours(&unit)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed("read", &unit)(error)),
        }
        if self.scope == ServiceScope::System && self.root.is_none() {
            make_account(console)?;
        }
        self.write_config(&self.on_disk(&plan.config), console)?;
        fs::create_dir_all(self.on_disk(&self.units)).map_err(failed("create", &self.units))?;
        write_whole(&unit, text.as_bytes(), 0o644)?;
        writeln!(console.out, "wrote {}", unit.display())?;
        if self.root.is_some() {
            return Ok(Exit::Ok);
        }
        if !self.has_manager() {
            return Err(CliError::NotUp(NO_MANAGER.to_owned()));
        }
        self.systemctl(&["daemon-reload"], console)?;
        self.systemctl(&["enable", "--now", "mcproxy"], console)?;
        let (flag, status) = match self.scope {
            ServiceScope::System => ("", "sudo mcproxy status"),
            ServiceScope::User => (" --user", "mcproxy status"),
        };
        writeln!(
            console.out,
            "mcproxy runs: `{status}`, `journalctl{flag} -u mcproxy`. Servers belong into {}, which is watched.",
            plan.config.display()
        )?;
        if self.scope == ServiceScope::User {
            writeln!(console.out, "It ends when you log out, unless you run `loginctl enable-linger` once.")?;
        }
        Ok(Exit::Ok)
    }

    /// One without servers, where there is none.
    fn write_config(&self, config: &Path, console: &mut Console) -> Result<(), CliError> {
        if config.exists() {
            return Ok(());
        }
        if let Some(dir) = config.parent() {
            fs::create_dir_all(dir).map_err(failed("create", dir))?;
        }
        write_whole(config, EMPTY_CONFIG.as_bytes(), 0o640)?;
        if self.scope == ServiceScope::System && self.root.is_none() {
            // Secrets may be written there: its readers are root and the service.
            let group = group_of(SYSTEM_USER);
            chown(config, None, group).map_err(failed("give a group to", config))?;
        }
        writeln!(console.out, "wrote {}, which names no server yet", config.display())?;
        Ok(())
    }

    fn uninstall(&self, console: &mut Console) -> Result<Exit, CliError> {
        let unit = self.unit();
        match fs::read_to_string(&unit) {
            Ok(there) if there.starts_with(MARK) => {}
            Ok(_) => return Err(not_ours(&unit)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(CliError::Refused(format!("there is no {}", unit.display())));
            }
            Err(error) => return Err(failed("read", &unit)(error)),
        }
        let has_manager = self.root.is_none() && self.has_manager();
        if has_manager {
            self.systemctl(&["disable", "--now", "mcproxy"], console)?;
        } else {
            self.remove_link(console)?;
        }
        fs::remove_file(&unit).map_err(failed("remove", &unit))?;
        writeln!(console.out, "removed {}", unit.display())?;
        if has_manager {
            self.systemctl(&["daemon-reload"], console)?;
        }
        let kept = match self.scope {
            ServiceScope::System => {
                "/etc/mcproxy, /var/lib/mcproxy, /var/cache/mcproxy and the account mcproxy".to_owned()
            }
            ServiceScope::User => format!("{} and ~/.local/state/mcproxy", self.default_config.display()),
        };
        writeln!(console.out, "kept {kept}; remove them if nothing in them is needed any more")?;
        Ok(Exit::Ok)
    }

    /// Whether there is a service manager to talk to. One's own ends with the last session of its user, and all its services with it.
    fn has_manager(&self) -> bool {
        self.scope == ServiceScope::System || own_manager().is_some()
    }

    /// What `systemctl disable` removes, where no service manager is there to do it.
    fn remove_link(&self, console: &mut Console) -> Result<(), CliError> {
        let wanted_by = match self.scope {
            ServiceScope::System => "multi-user.target.wants",
            ServiceScope::User => "default.target.wants",
        };
        let link = self.on_disk(&self.units.join(wanted_by).join(UNIT));
        match fs::remove_file(&link) {
            Ok(()) => writeln!(console.out, "removed {}", link.display())?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed("remove", &link)(error)),
        }
        Ok(())
    }

    fn systemctl(&self, args: &[&str], console: &mut Console) -> Result<(), CliError> {
        let mut words: Vec<&str> = vec!["systemctl"];
        words.extend((self.scope == ServiceScope::User).then_some("--user"));
        words.extend(args);
        let dir = own_manager().filter(|_| self.scope == ServiceScope::User);
        step(&words, dir.map(|dir| ("XDG_RUNTIME_DIR", dir)), console)
    }
}

/// Whether a service manager of this user runs.
pub(crate) fn has_user_manager() -> bool {
    own_manager().is_some()
}

/// Where the service manager of this user is reached, if it runs: the directory with its bus, or its own socket.
fn own_manager() -> Option<PathBuf> {
    // Unset where one became this user without a login (`sudo -u`).
    let dir = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let dir = dir.unwrap_or_else(|| format!("/run/user/{}", rustix::process::geteuid()).into());
    ["bus", "systemd/private"].iter().any(|socket| dir.join(socket).exists()).then_some(dir)
}

fn not_ours(unit: &Path) -> CliError {
    let text =
        format!("{} is there and was not written by this command; remove it first, or use it as it is", unit.display());
    CliError::Refused(text)
}

/// The account of the service, if there is none yet.
fn make_account(console: &mut Console) -> Result<(), CliError> {
    let accounts = fs::read_to_string("/etc/passwd").map_err(failed("read", Path::new("/etc/passwd")))?;
    if accounts.lines().any(|line| line.split(':').next() == Some(SYSTEM_USER)) {
        return Ok(());
    }
    let words = [
        "useradd",
        "--system",
        "--user-group",
        "--home-dir",
        "/var/cache/mcproxy",
        "--shell",
        "/usr/sbin/nologin",
        SYSTEM_USER,
    ];
    step(&words, None, console)
}

fn group_of(user: &str) -> Option<u32> {
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let line = accounts.lines().find(|line| line.split(':').next() == Some(user))?;
    line.split(':').nth(3)?.parse().ok()
}

/// Runs a command of the system, and shows it; `variable` is one more of its environment.
fn step(words: &[&str], variable: Option<(&str, PathBuf)>, console: &mut Console) -> Result<(), CliError> {
    let line = words.join(" ");
    writeln!(console.out, "$ {line}")?;
    let status =
        Command::new(words[0]).args(&words[1..]).envs(variable).status().map_err(failed("run", Path::new(words[0])))?;
    if status.success() {
        Ok(())
    } else {
        Err(CliError::Refused(format!("`{line}` failed ({status}); what it wrote says why")))
    }
}

/// Puts a file in place as a whole.
fn write_whole(path: &Path, content: &[u8], mode: u32) -> Result<(), CliError> {
    mcproxy_ipc::kept_file::replace(path, content).map_err(failed("write", path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(failed("set the mode of", path))
}

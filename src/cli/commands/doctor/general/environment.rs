//! What is around: the port, the clock, proxies, the kernel.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::Path,
    time::{Duration, SystemTime},
};

use mcproxy_config::Config;
use rustix::process::{Resource, getrlimit};
use url::Url;

use super::finding::DoctorFinding;

/// A clock this far behind our own programs is wrong.
const CLOCK_SLACK: Duration = Duration::from_secs(24 * 3600);
/// Fewer open files than this are soon used up.
const FEW_FILES: u64 = 1024;
/// Addresses that no proxy should be asked for.
const LOCAL: [&str; 2] = ["localhost", "127.0.0.1"];

/// Looks at all of it.
pub(super) fn look(config: Option<&Config>, is_running: bool) -> Vec<DoctorFinding> {
    let mut findings = Vec::new();
    findings.extend(config.map(|config| port(config.listen, is_running)));
    findings.extend(std::env::current_exe().ok().and_then(|us| clock(&us, SystemTime::now())));
    findings.extend(proxies(&|name| std::env::var(name).ok()));
    findings.extend(kernel());
    findings.extend(files(getrlimit(Resource::Nofile).current));
    findings
}

fn port(listen: SocketAddr, is_running: bool) -> DoctorFinding {
    if is_running {
        return DoctorFinding::good("port", format!("MCProxy listens on {listen}"));
    }
    match TcpListener::bind(listen) {
        Ok(_) => DoctorFinding::good("port", format!("{listen} is free; MCProxy does not run with this configuration")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            let help = format!("`ss -ltnp 'sport = :{}'` says who; or write another `listen`", listen.port());
            DoctorFinding::bad("port", format!("{listen} is in use by another program"), help)
        }
        Err(error) => DoctorFinding::bad(
            "port",
            format!("{listen} cannot be listened at: {error}"),
            "write another `listen` into the configuration",
        ),
    }
}

/// A clock that is behind what was built is wrong, and certificates are not valid to it.
fn clock(us: &Path, now: SystemTime) -> Option<DoctorFinding> {
    let built = fs::metadata(us).and_then(|found| found.modified()).ok()?;
    let behind = built.duration_since(now).ok().filter(|behind| *behind > CLOCK_SLACK)?;
    let days = behind.as_secs() / 86_400;
    Some(DoctorFinding::bad(
        "clock",
        format!(
            "it is {days} days behind MCProxy's own files, so certificates of servers look as if they were not valid yet"
        ),
        "set it: `timedatectl set-ntp true`",
    ))
}

fn proxies(variable: &dyn Fn(&str) -> Option<String>) -> Vec<DoctorFinding> {
    let of =
        |name: &str| variable(name).or_else(|| variable(&name.to_ascii_lowercase())).filter(|value| !value.is_empty());
    let mut findings = Vec::new();
    let mut has_proxy = false;
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        let Some(value) = of(name) else { continue };
        has_proxy = true;
        let with_scheme = if value.contains("://") { value.clone() } else { format!("http://{value}") };
        // Never the value: it may have a password.
        match Url::parse(&with_scheme)
            .ok()
            .and_then(|url| Some((url.host_str()?.to_owned(), url.port_or_known_default())))
        {
            Some((host, port)) => {
                let port = port.map(|port| format!(":{port}")).unwrap_or_default();
                findings
                    .push(DoctorFinding::good("proxy", format!("{name} leads to {host}{port}; servers see it, too")));
            }
            None => findings.push(DoctorFinding::bad(
                "proxy",
                format!("{name} is no address of a proxy"),
                format!("write {name}=http://HOST:PORT"),
            )),
        }
    }
    let excepted = of("NO_PROXY").unwrap_or_default();
    let is_excepted = |host: &str| excepted.split([',', ' ']).any(|entry| entry.trim() == host || entry.trim() == "*");
    if has_proxy && !LOCAL.iter().all(|host| is_excepted(host)) {
        findings.push(DoctorFinding::hint(
            "proxy",
            "NO_PROXY does not name this machine, so clients may ask the proxy for MCProxy",
            "export NO_PROXY=localhost,127.0.0.1",
        ));
    }
    findings
}

/// Features that MCProxy uses, as far as they can be seen without trying.
fn kernel() -> Vec<DoctorFinding> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let mut findings = Vec::new();
    let release = read("/proc/sys/kernel/osrelease");
    let missing = missing_features(
        &read("/sys/kernel/security/lsm"),
        Path::new("/sys/fs/cgroup/cgroup.controllers").exists(),
        Path::new("/proc/self/seccomp").exists() || read("/proc/self/status").contains("Seccomp:"),
    );
    match &missing[..] {
        [] => findings.push(DoctorFinding::good("kernel", format!("{} has what MCProxy uses", release.trim()))),
        missing => findings.push(DoctorFinding::hint(
            "kernel",
            format!("{} lacks {}", release.trim(), missing.join(", ")),
            "`mcproxy doctor security` says what that leaves open",
        )),
    }
    findings
}

fn missing_features(lsm: &str, has_cgroups: bool, has_seccomp: bool) -> Vec<&'static str> {
    // Without securityfs nothing is known of it.
    let has_landlock = lsm.is_empty() || lsm.split(',').any(|module| module.trim() == "landlock");
    [(has_landlock, "Landlock"), (has_cgroups, "cgroups of version 2"), (has_seccomp, "filters of system calls")]
        .into_iter()
        .filter_map(|(has, name)| (!has).then_some(name))
        .collect()
}

fn files(limit: Option<u64>) -> Option<DoctorFinding> {
    let few = limit.filter(|limit| *limit < FEW_FILES)?;
    let help = "`ulimit -n 65536`, or LimitNOFILE= of the unit";
    Some(DoctorFinding::hint(
        "open files",
        format!("a process may have {few} files open; each server and client takes some"),
        help,
    ))
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Gravity, *};

    #[test]
    fn a_port_that_somebody_else_has_is_named() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = taken.local_addr().expect("an address");
        assert_eq!(port(address, false).gravity, Gravity::Bad);
        assert_eq!(port(address, true).gravity, Gravity::Good);
        drop(taken);
        assert_eq!(port(address, false).gravity, Gravity::Good);
    }

    #[test]
    fn a_clock_in_the_past_is_named() {
        let us = std::env::current_exe().expect("a program");
        assert!(clock(&us, SystemTime::now()).is_none());
        let found = clock(&us, SystemTime::UNIX_EPOCH).expect("it is wrong");
        assert!(found.message.contains("days behind"), "{found:?}");
    }

    #[test]
    fn proxies_are_told_without_their_passwords() {
        let of = |pairs: &'static [(&str, &str)]| {
            proxies(&|name| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
        };
        assert!(of(&[]).is_empty());
        let found = of(&[("https_proxy", "http://me:hunter2@proxy.example:3128")]);
        assert!(
            found.len() == 2
                && found[0].message.contains("proxy.example:3128")
                && !format!("{found:?}").contains("hunter2")
        );
        assert_eq!(of(&[("HTTP_PROXY", "proxy:1"), ("NO_PROXY", "localhost, 127.0.0.1")]).len(), 1);
        assert_eq!(of(&[("HTTP_PROXY", "http://"), ("no_proxy", "*")])[0].gravity, Gravity::Bad);
    }

    #[test]
    fn features_that_are_missing_are_named() {
        assert!(missing_features("lockdown,capability,landlock,yama", true, true).is_empty());
        assert_eq!(missing_features("capability,yama", false, true), ["Landlock", "cgroups of version 2"]);
        assert!(missing_features("", true, true).is_empty());
        assert!(files(Some(256)).is_some() && files(Some(65_536)).is_none() && files(None).is_none());
    }
}

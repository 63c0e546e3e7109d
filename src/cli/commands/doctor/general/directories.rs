//! Directories and files: whether they are there, whose they are, and who reads them.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use rustix::fs::{Access, access, statvfs};

use super::{
    ReadConfig,
    finding::{DoctorFinding, Repair},
};

/// Less room than this is too little for packages.
const LITTLE_ROOM: u64 = 500 << 20;
/// What a file with secrets should have.
const PRIVATE: u32 = 0o600;

/// Looks at those that MCProxy writes, and at the configuration.
pub(super) fn look(read: &ReadConfig, runtime_dir: Option<&Path>) -> Vec<DoctorFinding> {
    let mut findings = Vec::new();
    let runtime = runtime_dir.map_or_else(|| mcproxy_ipc::runtime_dirs().remove(0), Path::to_owned);
    findings.push(directory("runtime directory", &runtime, true));
    if let Some(state) = mcproxy_ipc::default_state_dir() {
        findings.push(directory("state directory", &state, false));
        findings.extend(room(&state));
    }
    findings.extend(secrets(&read.path, !read.literal_secrets.is_empty()));
    for name in ["env", "mcproxy.env"] {
        findings.extend(secrets(&read.path.with_file_name(name), true));
    }
    if let Some(parent) = read.path.parent().filter(|parent| parent.is_dir() && !is_writable(parent)) {
        let help = "commands that edit it (`mcproxy add`, `import`) need `sudo`, or another user";
        findings.push(DoctorFinding::hint(
            "configuration",
            format!("{} cannot be written by you", parent.display()),
            help,
        ));
    }
    findings
}

/// A directory of MCProxy's own. One that is not there is made by the supervisor, where it may.
fn directory(about: &str, path: &Path, is_shared: bool) -> DoctorFinding {
    let shown = path.display();
    let Ok(found) = fs::metadata(path) else {
        let parent = path.ancestors().skip(1).find(|parent| parent.exists());
        return match parent.is_some_and(is_writable) {
            true => DoctorFinding::good(about, format!("{shown} (MCProxy makes it)")),
            false => DoctorFinding::bad(
                about,
                format!("{shown} is not there, and cannot be made by you"),
                format!("make it, for the user that MCProxy runs as: sudo install -d -o USER -m 700 {shown}"),
            ),
        };
    };
    let us = rustix::process::geteuid().as_raw();
    if found.uid() != us && us != 0 {
        return DoctorFinding::hint(
            about,
            format!("{shown} belongs to another user ({})", found.uid()),
            "run this as the user that MCProxy runs as, or with `sudo`",
        );
    }
    if !is_writable(path) {
        return DoctorFinding::bad(about, format!("{shown} cannot be written"), format!("chmod u+rwx {shown}"))
            .with_repair(Repair::Mode(path.to_owned(), 0o700));
    }
    let mode = found.permissions().mode() & 0o777;
    if is_shared && mode & 0o022 != 0 {
        let finding = DoctorFinding::bad(
            about,
            format!("{shown} can be written by others (mode {mode:o})"),
            format!("chmod 700 {shown}"),
        );
        return finding.with_repair(Repair::Mode(path.to_owned(), 0o700));
    }
    DoctorFinding::good(about, shown.to_string())
}

/// A file whose secrets others could read.
fn secrets(path: &Path, has_secrets: bool) -> Option<DoctorFinding> {
    let mode = fs::metadata(path).ok().filter(|found| found.is_file())?.permissions().mode() & 0o777;
    let shown = path.display();
    (has_secrets && mode & 0o077 != 0).then(|| {
        // Those of a group may be meant to read it, such as the service's.
        let wanted = if mode & 0o007 == 0 { return None } else { mode & 0o770 & !0o030 };
        let wanted = if wanted & 0o040 == 0 { PRIVATE } else { wanted & 0o660 };
        let finding = DoctorFinding::bad(
            "secrets",
            format!("{shown} has secrets, and every user may read it (mode {mode:o})"),
            format!("chmod {wanted:o} {shown}"),
        );
        Some(finding.with_repair(Repair::Mode(path.to_owned(), wanted)))
    })?
}

fn room(path: &Path) -> Option<DoctorFinding> {
    let existing = path.ancestors().find(|path| path.exists())?;
    let found = statvfs(existing).ok()?;
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let shown = existing.display();
    (free < LITTLE_ROOM).then(|| {
        DoctorFinding::bad(
            "disk",
            format!("{} MiB are free at {shown}", free >> 20),
            "make room: servers that are fetched, and their logs, need some",
        )
    })
}

/// Whether this user may write there.
pub(super) fn is_writable(path: &Path) -> bool {
    access(path, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use super::super::finding::Gravity;
    use super::*;

    #[test]
    fn secrets_that_every_user_reads_are_named_and_can_be_closed() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("env");
        fs::write(&path, "A=b\n").expect("written");
        for (mode, wanted) in
            [(0o600, None), (0o640, None), (0o644, Some(0o640)), (0o666, Some(0o640)), (0o604, Some(0o600))]
        {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("changed");
            let repair = secrets(&path, true).and_then(|finding| finding.repair);
            assert_eq!(repair, wanted.map(|wanted| Repair::Mode(path.clone(), wanted)), "{mode:o}");
        }
        assert_eq!(secrets(&path, false), None);
    }

    #[test]
    fn a_directory_of_ours_that_others_write_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).expect("changed");
        assert_eq!(directory("d", dir.path(), true).gravity, Gravity::Bad);
        assert_eq!(directory("d", dir.path(), false).gravity, Gravity::Good);
        assert_eq!(directory("d", &dir.path().join("new/er"), true).gravity, Gravity::Good);
    }
}

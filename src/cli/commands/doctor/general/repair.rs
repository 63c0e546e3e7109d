//! Mending what can be mended without asking.

use std::{fs, os::unix::fs::PermissionsExt as _};

use super::finding::{DoctorFinding, Gravity, Repair};

/// Does what a finding proposes, and says how that went.
pub(super) fn mend(finding: &mut DoctorFinding) {
    let Some(repair) = &finding.repair else { return };
    let Repair::Mode(path, mode) = repair;
    match fs::set_permissions(path, fs::Permissions::from_mode(*mode)) {
        Ok(()) => {
            finding.is_mended = true;
            finding.gravity = Gravity::Good;
        }
        Err(error) => finding.message = format!("{}; it could not be mended: {error}", finding.message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_mended_is_and_what_cannot_says_why() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("f");
        fs::write(&file, "").expect("written");
        let mut mode = DoctorFinding::bad("a", "b", "c").with_repair(Repair::Mode(file.clone(), 0o600));
        mend(&mut mode);
        assert!(mode.is_mended && fs::metadata(&file).expect("a file").permissions().mode() & 0o777 == 0o600);
        let mut impossible = DoctorFinding::bad("a", "b", "c").with_repair(Repair::Mode(file.join("x"), 0o600));
        mend(&mut impossible);
        assert!(!impossible.is_mended && impossible.message.contains("could not be mended"));
    }
}

//! SIGHUP means "read the configuration again" to a service, and "your terminal is gone" to what runs on one.

use std::fs::{self, File};

/// The terminal that we were started on.
#[derive(Debug)]
pub(crate) struct Terminal {
    controls_us: bool,
}

impl Terminal {
    /// As it is now. To be called before SIGHUP gets a handler: `nohup` shows in the disposition that it had before.
    pub(crate) fn at_start() -> Self {
        Self {
            controls_us: exists() && !hangup_is_ignored(&fs::read_to_string("/proc/self/status").unwrap_or_default()),
        }
    }

    /// Whether it was closed under us.
    pub(crate) fn is_gone(&self) -> bool {
        self.controls_us && !exists()
    }
}

fn exists() -> bool {
    File::open("/dev/tty").is_ok()
}

/// SIGHUP is the lowest bit of the mask (proc(5)).
fn hangup_is_ignored(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nohup_is_recognised() {
        assert!(hangup_is_ignored("Name:\tx\nSigIgn:\t0000000000001001\n"));
        assert!(!hangup_is_ignored("Name:\tx\nSigIgn:\t0000000000001000\n"));
        assert!(!hangup_is_ignored(""));
    }
}

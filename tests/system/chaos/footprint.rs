use std::fs;

/// What a process holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Footprint {
    pub(super) rss_kib: u64,
    pub(super) descriptors: usize,
}

impl Footprint {
    /// Of a process that is alive.
    pub(super) fn of(pid: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a resident size");
        let rss_kib = rss.trim().trim_end_matches(" kB").parse().expect("a number");
        Self { rss_kib, descriptors: fs::read_dir(format!("/proc/{pid}/fd")).expect("it is ours").count() }
    }

    /// Whether it holds no more than `before` and a margin.
    pub(super) fn within(self, before: Self, rss_kib: u64, descriptors: usize) -> bool {
        self.rss_kib <= before.rss_kib + rss_kib && self.descriptors <= before.descriptors + descriptors
    }
}

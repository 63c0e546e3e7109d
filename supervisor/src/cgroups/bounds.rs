//! What the kernel is told of a server's limits: which file of its cgroup gets which value.

use mcproxy_ipc::{Instances, ServerLimits};

/// Controllers that bound what servers use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Controller {
    Memory,
    Pids,
    Cpu,
}

impl Controller {
    pub(super) const ALL: [Self; 3] = [Self::Memory, Self::Pids, Self::Cpu];

    /// As the kernel calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Cpu => "cpu",
        }
    }
}

/// The period of `cpu.max` in microseconds, and the smallest part of it that the kernel takes.
const CPU_PERIOD: u64 = 100_000;
const SMALLEST_QUOTA: u64 = 1000;

/// File and value, for each limit that there is.
pub(super) fn bounds(limits: &ServerLimits, instances: &Instances) -> Vec<(Controller, &'static str, String)> {
    // With a process for each session the limits are each one's own. The worker looks at each, and the cgroup bounds the sum.
    let copies = instances.copies();
    let is_one = !matches!(instances, Instances::PerSession(_));
    let mut bounds = Vec::new();
    if let Some(bytes) = limits.memory_bytes {
        bounds.push((Controller::Memory, "memory.max", bytes.saturating_mul(copies).to_string()));
        // What does not fit would go to the disk, slowly, for as long as there is room.
        bounds.push((Controller::Memory, "memory.swap.max", "0".to_owned()));
        if is_one {
            // A server without one of its processes is no server.
            bounds.push((Controller::Memory, "memory.oom.group", "1".to_owned()));
        }
    }
    if let Some(tasks) = limits.tasks(copies) {
        bounds.push((Controller::Pids, "pids.max", tasks.to_string()));
    }
    if let Some(millis) = limits.cpu_millis {
        let quota = (u64::from(millis) * CPU_PERIOD / 1000).max(SMALLEST_QUOTA);
        bounds.push((Controller::Cpu, "cpu.max", format!("{quota} {CPU_PERIOD}")));
    }
    bounds
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mcproxy_ipc::InstanceRules;

    use super::*;

    fn limits(memory_bytes: Option<u64>, processes: Option<u64>) -> ServerLimits {
        ServerLimits {
            line_bytes: 1,
            tools: 1,
            catalogue_bytes: 1,
            concurrent_calls: 1,
            memory_bytes,
            processes,
            cpu_millis: None,
            pages: 1,
            garbage_lines: 1,
            stderr_lines: 1,
            write_timeout: Duration::from_secs(1),
        }
    }

    fn files(limits: &ServerLimits, instances: Instances) -> Vec<(&'static str, String)> {
        bounds(limits, &instances).into_iter().map(|(_, file, value)| (file, value)).collect()
    }

    #[test]
    fn without_a_limit_nothing_is_written() {
        assert_eq!(files(&limits(None, None), Instances::Shared), []);
    }

    #[test]
    fn memory_is_bounded_as_a_whole_and_tasks_with_room_for_threads() {
        let found = files(&limits(Some(1 << 28), Some(50)), Instances::Shared);
        let expected =
            [("memory.max", "268435456"), ("memory.swap.max", "0"), ("memory.oom.group", "1"), ("pids.max", "1600")];
        assert_eq!(found, expected.map(|(file, value)| (file, value.to_owned())));
        assert_eq!(files(&limits(None, Some(1)), Instances::Shared), [("pids.max", "256".to_owned())]);
        assert_eq!(files(&limits(None, Some(4 << 20)), Instances::Shared), [("pids.max", "4194304".to_owned())]);
    }

    #[test]
    fn processor_time_is_a_part_of_each_period() {
        for (millis, expected) in [(1500, "150000 100000"), (250, "25000 100000"), (1, "1000 100000")] {
            let limits = ServerLimits { cpu_millis: Some(millis), ..limits(None, None) };
            assert_eq!(files(&limits, Instances::Shared), [("cpu.max", expected.to_owned())]);
        }
    }

    #[test]
    fn with_a_process_for_each_session_the_sum_is_bounded_and_one_may_be_killed_alone() {
        let rules = InstanceRules { max: 4, prewarm: 0, idle: None };
        let found = files(&limits(Some(1 << 20), Some(10)), Instances::PerSession(rules));
        let expected = [("memory.max", "4194304"), ("memory.swap.max", "0"), ("pids.max", "1280")];
        assert_eq!(found, expected.map(|(file, value)| (file, value.to_owned())));
        let rules = InstanceRules { max: usize::MAX, ..rules };
        assert_eq!(files(&limits(Some(u64::MAX), None), Instances::PerSession(rules))[0].1, u64::MAX.to_string());
    }
}

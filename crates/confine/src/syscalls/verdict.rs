//! What the kernel makes of filters, so that tests can ask about calls that no test may make. (The classic BPF of seccomp(2), as far
//! as `seccompiler` writes it.)

use seccompiler::BpfProgram;

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allow,
    Errno(i32),
    /// The end of the process, or another answer.
    Other(u32),
}

/// What filters that are all in force answer to one call on this machine; the last one is the newest.
pub(crate) fn verdict(filters: &[BpfProgram], call: i64, arguments: &[u64]) -> Verdict {
    let answers = filters.iter().rev().map(|filter| run(filter, call, arguments));
    // The kernel takes the strictest, of equals the newest.
    let action = |answer: u32| (answer & 0xffff_0000).cast_signed();
    match answers.min_by_key(|answer| action(*answer)) {
        Some(0x7fff_0000) => Verdict::Allow,
        Some(answer) if answer >> 16 == 5 => Verdict::Errno((answer & 0xffff).cast_signed()),
        other => Verdict::Other(other.unwrap_or_default()),
    }
}

fn run(filter: &BpfProgram, call: i64, arguments: &[u64]) -> u32 {
    const ARCH: u32 = if cfg!(target_arch = "x86_64") { 0xc000_003e } else { 0xc000_00b7 };
    let load = |offset: u32| match offset {
        0 => u32::try_from(call).expect("a number of a call"),
        4 => ARCH,
        // seccomp_data: number, architecture, instruction pointer, six arguments, in little endian.
        16.. => {
            let argument = arguments.get((offset as usize - 16) / 8).copied().unwrap_or_default();
            if offset.is_multiple_of(8) { argument as u32 } else { (argument >> 32) as u32 }
        }
        _ => panic!("nothing that a filter needs is at {offset}"),
    };
    let (mut accumulator, mut next) = (0u32, 0usize);
    loop {
        let step = &filter[next];
        next += 1;
        let jump = |taken: bool| usize::from(if taken { step.jt } else { step.jf });
        match step.code {
            0x20 => accumulator = load(step.k),
            0x54 => accumulator &= step.k,
            0x05 => next += step.k as usize,
            0x15 => next += jump(accumulator == step.k),
            0x25 => next += jump(accumulator > step.k),
            0x35 => next += jump(accumulator >= step.k),
            0x06 => return step.k,
            other => panic!("an instruction that is not known here: {other:#x}"),
        }
    }
}

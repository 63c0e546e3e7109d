//! Which system calls a process may make (seccomp(2)).

pub(crate) mod gateway;
pub(crate) mod servers;
#[cfg(test)]
pub(crate) mod verdict;

use std::io;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

/// What applies to a call whose arguments are as said.
type Rules = Vec<(i64, Vec<SeccompRule>)>;

/// All these conditions.
fn all(conditions: Vec<SeccompCondition>) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(conditions)
}

/// The argument of this number is that.
fn is(argument: u8, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, value)
}

/// The same of an argument that the kernel takes for 32 bits.
fn is_word(argument: u8, value: u32) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value.into())
}

/// Of the bits in `mask`, the argument has these.
fn has_bits(argument: u8, mask: u64, bits: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(mask), bits)
}

/// Compiled for this machine: one answer for the calls of `rules`, another for all others. A call of another architecture (32 bits)
/// ends the process; x32 has numbers of its own, which are on no list.
fn compile(rules: Rules, matching: SeccompAction, others: SeccompAction) -> Result<BpfProgram, BackendError> {
    SeccompFilter::new(rules.into_iter().collect(), others, matching, std::env::consts::ARCH.try_into()?)?.try_into()
}

/// Puts a filter in force for this process, in addition to those before; the threads that it starts get it, too.
fn apply(filter: &BpfProgram) -> io::Result<()> {
    seccompiler::apply_filter(filter).map_err(io::Error::other)
}

/// Whether the kernel takes a filter at all: one that allows everything. It stays in force for the calling thread.
pub(crate) fn takes_filters() -> bool {
    let everything = seccompiler::sock_filter { code: 0x06, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW };
    apply(&vec![everything]).is_ok()
}

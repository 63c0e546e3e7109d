//! One program for all targets: `MCPROXY_FUZZ_TARGET` says which. The arguments are libFuzzer's.

#![no_main]

use std::{env, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use mcproxy_fuzz::{TARGETS, Target, target};

static CHOSEN: LazyLock<Target> = LazyLock::new(|| {
    let name = env::var("MCPROXY_FUZZ_TARGET").unwrap_or_default();
    target(&name).unwrap_or_else(|| panic!("MCPROXY_FUZZ_TARGET={name:?} is none of {:?}", TARGETS.map(|(name, _)| name)))
});

fuzz_target!(|data: &[u8]| CHOSEN(data));

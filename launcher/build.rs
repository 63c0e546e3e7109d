//! Links the launcher statically where the C library of this machine can be had so: the dynamic linker would be most of what a start of
//! it costs (docs/decisions/0144). Stable cargo knows no flags of the compiler for one package, so this does for the linker what
//! `-C target-feature=+crt-static` would: in the folder that is searched first, each library of the C runtime is its archive.
//!
//! Nothing depends on it. Where another linker is set, for another machine, or with `MCPROXY_DYNAMIC_LAUNCHER=1`, the program is
//! linked as all others are.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::Command,
};

/// What the standard library asks the linker for, and the archives that take its place.
const LIBRARIES: [(&str, &[&str]); 7] = [
    ("gcc_s", &["libgcc_eh.a", "libgcc.a", "libc.a"]),
    ("c", &["libc.a", "libgcc_eh.a", "libgcc.a"]),
    ("m", &["libm.a"]),
    ("pthread", &["libpthread.a"]),
    ("dl", &["libdl.a"]),
    ("rt", &["librt.a"]),
    ("util", &["libutil.a"]),
];

fn main() {
    println!("cargo::rerun-if-env-changed=MCPROXY_DYNAMIC_LAUNCHER");
    println!("cargo::rerun-if-changed=build.rs");
    let folder = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    if is_possible() && shadow(&folder).is_ok_and(|found| found) {
        // Not as a folder of libraries, which whoever depends on this package would search as well.
        for argument in [&*format!("-L{}", folder.display()), "-static", "-no-pie"] {
            println!("cargo::rustc-link-arg-bin=mcproxy-launch={argument}");
        }
    }
}

/// Whether the linker is the compiler of this machine, for this machine.
fn is_possible() -> bool {
    let variable = |name: &str| env::var(name).unwrap_or_default();
    variable("HOST") == variable("TARGET")
        && variable("CARGO_CFG_TARGET_OS") == "linux"
        && variable("CARGO_CFG_TARGET_ENV") == "gnu"
        && variable("CARGO_ENCODED_RUSTFLAGS").is_empty()
        && variable("RUSTC_LINKER").is_empty()
        && variable("MCPROXY_DYNAMIC_LAUNCHER") != "1"
}

/// Writes a script of the linker for each library. False: an archive is not installed.
fn shadow(folder: &Path) -> io::Result<bool> {
    for (library, archives) in LIBRARIES {
        let mut paths = Vec::new();
        for archive in archives {
            let Some(path) = find(archive)? else { return Ok(false) };
            paths.push(path);
        }
        fs::write(folder.join(format!("lib{library}.a")), format!("GROUP ( {} )\n", paths.join(" ")))?;
    }
    Ok(true)
}

/// Where the compiler has an archive; it repeats the name of one that it has not.
fn find(archive: &str) -> io::Result<Option<String>> {
    let output = Command::new("cc").arg(format!("-print-file-name={archive}")).output()?;
    let path = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(Path::new(&path).is_absolute().then_some(path).filter(|path| !path.contains(' ')))
}

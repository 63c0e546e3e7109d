//! Where another program of MCProxy is.

use std::{
    io,
    path::{Path, PathBuf},
};

/// The worker of a server that is a command.
pub const WORKER: &str = "mcproxy-worker";
/// The worker of a server that is reached over the network.
pub const REMOTE_WORKER: &str = "mcproxy-remote";

/// Where packages put programs that people do not call (Filesystem Hierarchy Standard, 4.7).
const PACKAGED: [&str; 2] = ["/usr/libexec/mcproxy", "/usr/lib/mcproxy"];

/// The program of this name: beside the running one, in `libexec/mcproxy` or `lib/mcproxy` of the same prefix, or of `/usr`.
///
/// # Errors
/// It is in none of these places, which the text names.
pub fn our_program(name: &str) -> io::Result<PathBuf> {
    let exe = std::env::current_exe()?;
    let places = places(&exe);
    let found = places.iter().map(|place| place.join(name)).find(|program| program.is_file());
    found.ok_or_else(|| {
        let places: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
        let why = format!("{name} is not installed; it belongs into one of {}", places.join(", "));
        io::Error::new(io::ErrorKind::NotFound, why)
    })
}

fn places(exe: &Path) -> Vec<PathBuf> {
    let beside = exe.parent().unwrap_or(Path::new("/"));
    let prefix = beside.parent().unwrap_or(Path::new("/"));
    let ours = [beside.to_owned(), prefix.join("libexec/mcproxy"), prefix.join("lib/mcproxy")];
    let mut places: Vec<PathBuf> = Vec::new();
    for place in ours.into_iter().chain(PACKAGED.map(PathBuf::from)) {
        if !places.contains(&place) {
            places.push(place);
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_programs_are_beside_us_or_where_packages_put_them() {
        let of = |exe: &str| places(Path::new(exe)).iter().map(|place| place.display().to_string()).collect::<Vec<_>>();
        assert_eq!(of("/usr/bin/mcproxy-worker"), ["/usr/bin", "/usr/libexec/mcproxy", "/usr/lib/mcproxy"]);
        let local = ["/usr/local/bin", "/usr/local/libexec/mcproxy", "/usr/local/lib/mcproxy"];
        assert_eq!(of("/usr/local/bin/mcproxy-worker"), [&local[..], &PACKAGED].concat());
        let missing = our_program("mcproxy-nothing").expect_err("there is none").to_string();
        assert!(missing.contains("mcproxy-nothing is not installed") && missing.contains(PACKAGED[0]), "{missing}");
    }
}

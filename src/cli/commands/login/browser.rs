//! Opens a page in a person's browser, where there is one.

use std::process::{Command, Stdio};

/// Opens it; `false`: there is no browser here. Nobody waits for it.
pub(super) fn open(page: &str) -> bool {
    let is_of_the_web = page.starts_with("https://") || page.starts_with("http://");
    let has_screen = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some());
    let is_mac = cfg!(target_os = "macos");
    if !is_of_the_web || !(has_screen || is_mac) {
        return false;
    }
    let program = if is_mac { "open" } else { "xdg-open" };
    let mut command = Command::new(program);
    command.arg(page).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().is_ok()
}

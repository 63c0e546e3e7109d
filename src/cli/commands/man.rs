//! `mcproxy man`: manual pages, of this program and its commands, and of the programs beside it by what they say of themselves.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command as Process, Stdio},
};

use clap::{Command, CommandFactory as _};
use clap_mangen::{
    Man,
    roff::{Roff, roman},
};

use crate::cli::{args::Cli, console::Console, error::CliError, exit::Exit};

/// The programs that people start, besides this one.
const OTHERS: [&str; 2] = ["mcproxy-supervisor", "mcproxy-worker"];

/// Writes the page of this program, or with a directory all pages.
pub(crate) fn run(dir: Option<&Path>, console: &mut Console) -> Result<Exit, CliError> {
    let mut command = Cli::command();
    command.build();
    let Some(dir) = dir else {
        Man::new(command).render(&mut console.out)?;
        return Ok(Exit::Ok);
    };
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| CliError::Service { what: "write", path, source }
    };
    fs::create_dir_all(dir).map_err(failed(dir))?;
    let mut written = Vec::new();
    let mut pages: Vec<(String, Vec<u8>)> = pages(&command)?;
    let beside = std::env::current_exe().ok().and_then(|us| us.parent().map(Path::to_owned)).unwrap_or_default();
    pages.extend(
        OTHERS
            .iter()
            .filter_map(|program| Some(((*program).to_owned(), of_help(program, &help(&beside.join(program))?)))),
    );
    for (name, page) in pages {
        let path: PathBuf = dir.join(format!("{name}.1"));
        fs::write(&path, page).map_err(failed(&path))?;
        written.push(name);
    }
    writeln!(console.out, "{} pages in {}", written.len(), dir.display())?;
    Ok(Exit::Ok)
}

/// The page of a command, and of all below it, by their names.
fn pages(command: &Command) -> Result<Vec<(String, Vec<u8>)>, CliError> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).replace(' ', "-");
    let mut page = Vec::new();
    Man::new(command.clone()).title(name.clone()).render(&mut page)?;
    let mut pages = vec![(name, page)];
    for below in command.get_subcommands().filter(|below| below.get_name() != "help" && !below.is_hide_set()) {
        pages.extend(self::pages(below)?);
    }
    Ok(pages)
}

/// What a program says of itself; `None`: it is not there.
fn help(program: &Path) -> Option<String> {
    let said = Process::new(program).arg("--help").stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    String::from_utf8(said.stdout).ok().filter(|text| said.status.success() && !text.trim().is_empty())
}

/// A page of such a text, as it is laid out.
fn of_help(program: &str, help: &str) -> Vec<u8> {
    let about = help.lines().next().unwrap_or_default().trim_end_matches('.');
    let mut page = Roff::new();
    page.control("TH", [program, "1", "", concat!("MCProxy ", env!("CARGO_PKG_VERSION"))]);
    page.control("SH", ["NAME"]);
    page.text([roman(format!("{program} - {about}"))]);
    page.control("SH", ["DESCRIPTION"]);
    page.control("nf", []);
    for line in help.lines().skip(1).skip_while(|line| line.is_empty()) {
        page.text([roman(line)]);
    }
    page.control("fi", []);
    page.render().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_and_so_have_the_other_programs() {
        let mut command = Cli::command();
        command.build();
        let pages = pages(&command).expect("written");
        let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
        for name in ["mcproxy", "mcproxy-status", "mcproxy-service-install", "mcproxy-import"] {
            assert!(names.contains(&name), "{names:?}");
        }
        for (name, page) in &pages {
            let text = String::from_utf8_lossy(page);
            assert!(text.contains(".SH NAME") && text.contains(".SH SYNOPSIS"), "{name}: {text}");
        }
        let page = String::from_utf8(of_help("x", "Does it.\n\nUsage: x\n.hidden\n")).expect("text");
        assert!(page.contains("x \\- Does it") && page.contains("Usage: x"), "{page}");
        assert!(!page.lines().any(|line| line.starts_with(".hidden")), "no line is taken for a request: {page}");
    }
}

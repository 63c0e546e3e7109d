//! Suggestions for names that were mistyped.

use mcproxy_config::nearest;
use mcproxy_mcp::split_name;

use super::{error::CliError, human::printable};

/// The error for a server that does not exist.
pub(crate) fn unknown_server<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> CliError {
    let advice = match nearest(name, known.clone()) {
        Some(near) => format!("did you mean `{}`?", printable(near)),
        None => list("the servers are", known),
    };
    CliError::Usage(format!("there is no server `{}`; {advice}", printable(name)))
}

/// The error for a tool that does not exist.
pub(crate) fn unknown_tool(name: &str, known: &[String]) -> CliError {
    let advice = match nearest_tool(name, known) {
        Some(near) => format!("did you mean `{}`?", printable(near)),
        None => "see `mcproxy tools`".to_owned(),
    };
    CliError::Usage(format!("there is no tool `{}`; {advice}", printable(name)))
}

/// By the whole name; else the server may be right and the tool is looked for among its own; else the server was left
/// out or is wrong, and the tool's own name decides.
fn nearest_tool<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    let all = || known.iter().map(String::as_str);
    let (server, own) = match split_name(name) {
        Some((server, own)) => (Some(server), own),
        None => (None, name),
    };
    let owns = |of: Option<&str>| -> Option<&'a str> {
        let of_server: Vec<(&str, &str)> = all()
            .filter_map(|full| {
                split_name(full).filter(|(s, _)| of.is_none_or(|of| of == *s)).map(|(_, own)| (own, full))
            })
            .collect();
        let near = nearest(own, of_server.iter().map(|(own, _)| *own))?;
        of_server.iter().find(|(own, _)| *own == near).map(|(_, full)| *full)
    };
    server.and_then(|s| owns(Some(s))).or_else(|| nearest(name, all())).or_else(|| owns(None))
}

fn list<'a>(intro: &str, names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.map(printable).collect();
    if names.is_empty() { "there is none".into() } else { format!("{intro}: {}", names.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_tool_finds_the_nearest_one() {
        let known = ["echo__say", "time__get_current_time", "time__convert_time"].map(str::to_owned);
        let near = |name| nearest_tool(name, &known);
        assert_eq!(near("echo__sai"), Some("echo__say"));
        assert_eq!(near("ecko__say"), Some("echo__say"));
        assert_eq!(near("say"), Some("echo__say"));
        assert_eq!(near("time__get_curent_time"), Some("time__get_current_time"));
        assert_eq!(near("clock__convert_time"), Some("time__convert_time"));
        assert_eq!(near("entirely_different"), None);
    }

    #[test]
    fn an_unknown_server_is_told_the_nearest_or_all() {
        let known = ["playwright", "time"];
        assert!(unknown_server("playright", known.into_iter()).to_string().contains("did you mean `playwright`?"));
        assert!(unknown_server("xyz", known.into_iter()).to_string().contains("playwright, time"));
        assert!(unknown_server("xyz", [].into_iter()).to_string().contains("there is none"));
    }
}

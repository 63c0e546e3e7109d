//! How much of a model's context a list of tools takes.

/// More tools than this are refused by some clients (OpenAI's API, VS Code), or cut (Cursor at 80).
const MANY_TOOLS: usize = 128;
/// A list of more tokens than this leaves a model little room.
const MANY_TOKENS: usize = 20_000;

/// Why a list of so many tools and tokens is more than some clients or models cope with, and what to do; `None`: it is not.
pub fn too_much(tools: usize, tokens: usize) -> Option<String> {
    let why = why_too_much(tools, tokens)?;
    Some(format!(
        "{why}: `tools.allow` of a server or a group chooses among them, /search/mcp lists three that find all others"
    ))
}

/// The first half of it: why.
pub fn why_too_much(tools: usize, tokens: usize) -> Option<String> {
    match (tools > MANY_TOOLS, tokens > MANY_TOKENS) {
        (true, _) => Some(format!("some clients take {MANY_TOOLS} tools at most")),
        (false, true) => Some("that is much for a list".to_owned()),
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_much_is_said_with_what_to_do() {
        assert_eq!(too_much(128, 20_000), None);
        assert!(too_much(129, 10).is_some_and(|why| why.contains("128 tools") && why.contains("tools.allow")));
        assert!(too_much(5, 20_001).is_some_and(|why| why.contains("much for a list")));
    }
}

//! The refusal for a server that asks for something which the client of a call did not declare, and how its words are known again
//! in what it makes of them.

use memchr::memmem;

const WORDS: &str = "the client of this call has not declared `";

/// The text of the refusal. `capability`: as in `clientFeatures`, for example `elicitation.url`.
pub fn refusal(capability: &str) -> String {
    format!("{WORDS}{capability}`")
}

/// The capabilities that such refusals in a JSON text name, each once.
pub fn refused_in(json: &[u8]) -> Vec<&str> {
    let mut found: Vec<&str> = Vec::new();
    for at in memmem::find_iter(json, WORDS) {
        let rest = &json[at + WORDS.len()..];
        let name = rest.split(|byte| *byte == b'`').next().and_then(|name| std::str::from_utf8(name).ok());
        if let Some(name) = name.filter(|name| is_capability(name) && !found.contains(name)) {
            found.push(name);
        }
    }
    found
}

fn is_capability(name: &str) -> bool {
    let mut parts = name.split('.');
    let is_word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    parts.clone().count() <= 2 && parts.all(is_word)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_refusal_is_known_again_within_what_a_server_makes_of_it() {
        let text = format!(
            r#"{{"text":"MCP error -32601: {}; {} and {}"}}"#,
            refusal("sampling"),
            refusal("elicitation.url"),
            refusal("sampling")
        );
        assert_eq!(refused_in(text.as_bytes()), ["sampling", "elicitation.url"]);
        for other in
            ["", "the client of this call has not declared `", "the client of this call has not declared `a b`"]
        {
            assert!(refused_in(other.as_bytes()).is_empty(), "{other}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_searched(bytes in prop::collection::vec(any::<u8>(), 0..60), words in "(the client of this call has not declared `)?", name in "[a-z.`]{0,6}") {
            let text = [words.as_bytes(), name.as_bytes(), &bytes].concat();
            let _ = refused_in(&text);
        }
    }
}

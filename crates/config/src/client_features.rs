//! The words of `clientFeatures`.

use mcproxy_ipc::ClientFeatures;

use crate::nearest::did_you_mean;

/// The capabilities that can be listed. A word with a `/` is the identifier of an extension instead.
const CAPABILITIES: [&str; 6] =
    ["sampling", "sampling.tools", "sampling.context", "elicitation", "elicitation.url", "roots"];
/// Most words in a list.
pub(crate) const MOST: usize = 64;
/// Longest identifier of an extension.
const LONGEST: usize = 200;

/// The complaint about a word.
pub(crate) fn complaint(word: &str) -> Option<String> {
    if CAPABILITIES.contains(&word) || is_extension(word) {
        return None;
    }
    let known = CAPABILITIES.map(|word| format!("`{word}`")).join(", ");
    Some(format!(
        "expected {known} or the identifier of an extension (such as `io.modelcontextprotocol/ui`), found another string{}",
        did_you_mean(word, CAPABILITIES)
    ))
}

/// The capabilities, and the identifiers of extensions.
pub(crate) fn read(words: &[String]) -> (ClientFeatures, Vec<String>) {
    let has = |word: &str| words.iter().any(|listed| listed == word);
    let features = ClientFeatures {
        sampling: has("sampling") || has("sampling.tools") || has("sampling.context"),
        sampling_tools: has("sampling.tools"),
        sampling_context: has("sampling.context"),
        form: has("elicitation"),
        url: has("elicitation.url"),
        roots: has("roots"),
        roots_changed: false,
    };
    let mut extensions: Vec<String> = words.iter().filter(|word| is_extension(word)).cloned().collect();
    extensions.sort_unstable();
    extensions.dedup();
    (features, extensions)
}

/// `{vendor-prefix}/{extension-name}` (SEP-2133).
fn is_extension(word: &str) -> bool {
    let fits = |part: &str| {
        let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        part.bytes().all(inner) && part.starts_with(|c: char| c.is_ascii_alphanumeric())
    };
    word.len() <= LONGEST && word.split_once('/').is_some_and(|(vendor, name)| fits(vendor) && fits(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_a_capability_or_an_extension_and_a_typo_names_the_nearest() {
        for word in CAPABILITIES.into_iter().chain(["io.modelcontextprotocol/ui", "com.example-1/my_ext"]) {
            assert_eq!(complaint(word), None, "{word}");
        }
        for word in ["", "elicitaton", "/ui", "a/", "a/b/c", "a b/c", "ä/b"] {
            assert!(complaint(word).is_some(), "{word}");
        }
        assert!(complaint("elicitaton").is_some_and(|text| text.contains("did you mean `elicitation`")));
    }

    #[test]
    fn a_part_of_sampling_is_sampling_and_an_extension_counts_once() {
        let words = ["sampling.tools", "x.y/b", "x.y/a", "x.y/b"].map(str::to_owned);
        let (features, extensions) = read(&words);
        assert!(features.sampling && features.sampling_tools && !features.sampling_context && !features.form);
        assert_eq!(extensions, ["x.y/a", "x.y/b"]);
    }
}

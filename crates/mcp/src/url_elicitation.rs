//! Calls that are refused until a user has visited pages (MCP 2025-11-25, elicitation, URL elicitation required error).

use memchr::memmem;
use serde_json::value::RawValue;

use crate::{ErrorCode, RawArray, RawObject};

/// The pages that an error wants visited, as the server lists them; none when it says something else, which is decided without a
/// parse where its code occurs nowhere.
pub fn required_elicitations(error: &[u8]) -> Vec<&RawValue> {
    let code = ErrorCode::URL_ELICITATION_REQUIRED.0;
    let read = || {
        memmem::find(error, code.to_string().as_bytes())?;
        let error = RawObject::from_slice(error).ok()?;
        if error.get("code")?.get().parse() != Ok(code) {
            return None;
        }
        RawArray::from_raw(error.get_object("data")?.get("elicitations")?).ok()
    };
    read().map(|pages| pages.0).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_error_wants_pages_visited() {
        let error =
            |code: &str| format!(r#"{{"code":{code},"message":"-32042","data":{{"elicitations":[{{"url":"x"}},2]}}}}"#);
        let texts = |error: &str| {
            required_elicitations(error.as_bytes()).iter().map(|page| page.get().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(texts(&error("-32042")), [r#"{"url":"x"}"#, "2"]);
        for other in
            [error("-32041"), error("\"-32042\""), r#"{"code":-32042,"message":"x"}"#.to_owned(), "-32042".to_owned()]
        {
            assert!(texts(&other).is_empty(), "{other}");
        }
    }
}

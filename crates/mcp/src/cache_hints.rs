//! The hints of a result about how long it stays true (2026-07-28, caching).

use crate::RawObject;

/// How long a result stays true, and for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheHints {
    /// For so many milliseconds.
    pub ttl_ms: u64,
    /// For the one who asked only.
    pub private: bool,
}

impl CacheHints {
    /// The stricter of two.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { ttl_ms: self.ttl_ms.min(other.ttl_ms), private: self.private || other.private }
    }

    /// The hints of a result, or of what the worker says of a list; `None`: there are none that can be read. What is left out is taken
    /// for the strictest.
    pub fn read(result: &RawObject<'_>) -> Option<Self> {
        let ttl_ms = result.get("ttlMs").map(|raw| raw.get().parse().unwrap_or(0))?;
        Some(Self { ttl_ms, private: result.get_string("cacheScope").as_deref() != Some("public") })
    }

    /// As members of an object, without its braces.
    pub fn to_members(self) -> String {
        let scope = if self.private { "private" } else { "public" };
        format!("\"ttlMs\":{},\"cacheScope\":\"{scope}\"", self.ttl_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<CacheHints> {
        CacheHints::read(&RawObject::from_text(text).expect("an object"))
    }

    #[test]
    fn what_is_not_said_is_taken_for_the_strictest() {
        assert_eq!(read(r#"{"ttlMs":5000,"cacheScope":"public"}"#), Some(CacheHints { ttl_ms: 5000, private: false }));
        assert_eq!(read(r#"{"ttlMs":-1,"cacheScope":"all"}"#), Some(CacheHints { ttl_ms: 0, private: true }));
        assert_eq!(read(r#"{"ttlMs":7}"#), Some(CacheHints { ttl_ms: 7, private: true }));
        assert_eq!(read("{}"), None);
    }

    #[test]
    fn what_is_written_is_read_as_it_was() {
        for hints in [CacheHints { ttl_ms: 0, private: true }, CacheHints { ttl_ms: u64::MAX, private: false }] {
            assert_eq!(read(&format!("{{{}}}", hints.to_members())), Some(hints));
        }
    }
}

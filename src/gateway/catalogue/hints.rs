use mcproxy_mcp::RawObject;

/// How long what was said stays true, and for whom (2026-07-28, caching).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hints {
    /// For so many milliseconds.
    pub(crate) ttl_ms: u64,
    /// For the one who asked only.
    pub(crate) private: bool,
}

impl Hints {
    /// The stricter of two.
    pub(crate) fn and(self, other: Self) -> Self {
        Self { ttl_ms: self.ttl_ms.min(other.ttl_ms), private: self.private || other.private }
    }

    /// What a server said of a list; `None` when it said nothing that can be read. What it left out is taken for the
    /// strictest.
    pub(crate) fn read(said: &RawObject<'_>) -> Option<Self> {
        let ttl_ms = said.get("ttlMs").map(|raw| raw.get().parse().unwrap_or(0))?;
        Some(Self { ttl_ms, private: said.get_string("cacheScope").as_deref() != Some("public") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_taken_for_the_strictest() {
        let read = |text| Hints::read(&RawObject::from_text(text).expect("an object"));
        assert_eq!(read(r#"{"ttlMs":5000,"cacheScope":"public"}"#), Some(Hints { ttl_ms: 5000, private: false }));
        assert_eq!(read(r#"{"ttlMs":-1,"cacheScope":"all"}"#), Some(Hints { ttl_ms: 0, private: true }));
        assert_eq!(read(r#"{"ttlMs":7}"#), Some(Hints { ttl_ms: 7, private: true }));
        assert_eq!(read("{}"), None);
    }
}

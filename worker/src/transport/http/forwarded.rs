//! Headers that clients send along with their calls (`forwardHeaders`): which of them are taken, and for how long. Pure.

use std::collections::HashMap;

use mcproxy_http::{HeaderMap, HeaderName};
use mcproxy_ipc::Secret;
use mcproxy_mcp::RequestId;

use super::headers::secret_value;

/// Headers of clients, by the requests that they go with, until those are over.
#[derive(Debug)]
pub(super) struct ForwardedHeaders {
    /// The names that the entry lists. Whatever the gateway says, no others are taken.
    allowed: Vec<HeaderName>,
    by_request: HashMap<u64, HeaderMap>,
}

impl ForwardedHeaders {
    pub(super) fn new(names: &[String]) -> Self {
        let allowed = names.iter().filter_map(|name| HeaderName::try_from(name.as_str()).ok()).collect();
        Self { allowed, by_request: HashMap::new() }
    }

    /// A request is going to be sent that these belong to.
    pub(super) fn keep(&mut self, request: u64, headers: &[(String, Secret)]) {
        let mut kept = HeaderMap::new();
        for (name, value) in headers {
            let name = self.allowed.iter().find(|allowed| allowed.as_str() == name);
            if let (Some(name), Some(value)) = (name, secret_value(value)) {
                kept.append(name.clone(), value);
            }
        }
        match kept.is_empty() {
            true => self.by_request.remove(&request),
            false => self.by_request.insert(request, kept),
        };
    }

    /// Those of a request.
    pub(super) fn of(&self, request: &RequestId) -> Option<&HeaderMap> {
        self.by_request.get(&request.as_u64()?)
    }

    /// The request is over.
    pub(super) fn forget(&mut self, request: &RequestId) {
        if let Some(number) = request.as_u64().filter(|_| !self.by_request.is_empty()) {
            self.by_request.remove(&number);
        }
    }

    /// All are.
    pub(super) fn clear(&mut self) {
        self.by_request.clear();
    }
}

/// Puts the client's headers in the place of those of the entry.
pub(super) fn put_over(own: &mut HeaderMap, forwarded: &HeaderMap) {
    for name in forwarded.keys() {
        own.remove(name);
    }
    for (name, value) in forwarded {
        own.append(name.clone(), value.clone());
    }
}

#[cfg(test)]
mod tests {
    use mcproxy_http::HeaderValue;

    use super::*;

    #[test]
    fn only_what_the_entry_lists_is_taken_and_it_goes_before_the_entrys_own() {
        let mut forwarded = ForwardedHeaders::new(&["authorization".to_owned(), "x-tenant".to_owned()]);
        let sent = [("authorization", "Bearer a"), ("x-tenant", "1"), ("x-tenant", "2"), ("host", "evil")];
        forwarded.keep(7, &sent.map(|(name, value)| (name.to_owned(), Secret::new(value))));
        let of_request = forwarded.of(&7.into()).expect("kept");
        assert!(of_request.values().all(HeaderValue::is_sensitive), "they are masked in traces");
        let mut own = HeaderMap::new();
        own.insert("authorization", HeaderValue::from_static("Bearer own"));
        own.insert("x-other", HeaderValue::from_static("stays"));
        put_over(&mut own, of_request);
        let mut all: Vec<String> = own.iter().map(|(n, v)| format!("{n}: {}", v.to_str().expect("text"))).collect();
        all.sort_unstable();
        assert_eq!(all, ["authorization: Bearer a", "x-other: stays", "x-tenant: 1", "x-tenant: 2"]);
        forwarded.forget(&7.into());
        assert!(forwarded.of(&7.into()).is_none());
        forwarded.keep(8, &[("cookie".to_owned(), Secret::new("c"))]);
        assert!(forwarded.of(&8.into()).is_none());
    }
}

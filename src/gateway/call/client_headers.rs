//! Headers of a client's request that servers may be told (`forwardHeaders`).

use std::rc::Rc;

use mcproxy_ipc::{Secret, ServerName, control::HeaderForwarding};

/// The most bytes of those headers in one request, names and values together.
pub(crate) const MAX_FORWARDED: usize = 16 * 1024;

/// Headers of a client's request that servers may be told: those that some server is to be told, and no others.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClientHeaders(Option<Rc<[(String, Secret)]>>);

/// They are more than is passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the headers that are to be passed on to servers (`forwardHeaders`) are longer than {MAX_FORWARDED} bytes")]
pub(crate) struct TooManyHeaders;

impl ClientHeaders {
    /// Takes what any of these servers is to be told. `values`: of the header with this name, in lower case.
    ///
    /// # Errors
    /// They are too many.
    pub(crate) fn of<'h, V: Iterator<Item = &'h str>>(
        forwarding: &[HeaderForwarding],
        values: impl Fn(&str) -> V,
    ) -> Result<Self, TooManyHeaders> {
        let mut taken: Vec<(String, Secret)> = Vec::new();
        let mut bytes = 0;
        for name in forwarding.iter().flat_map(|of| &of.headers) {
            if taken.iter().any(|(other, _)| other == name) {
                continue;
            }
            for value in values(name) {
                bytes += name.len() + value.len();
                if bytes > MAX_FORWARDED {
                    return Err(TooManyHeaders);
                }
                taken.push((name.clone(), Secret::new(value)));
            }
        }
        Ok(Self((!taken.is_empty()).then(|| taken.into())))
    }

    /// What this server is to be told of them.
    pub(crate) fn for_server(&self, forwarding: &[HeaderForwarding], server: &ServerName) -> Vec<(String, Secret)> {
        let Some(headers) = &self.0 else { return Vec::new() };
        let Some(of) = forwarding.iter().find(|of| of.server == *server) else { return Vec::new() };
        headers.iter().filter(|(name, _)| of.headers.contains(name)).cloned().collect()
    }

    /// How many bytes they are.
    pub(crate) fn bytes(&self) -> usize {
        self.0.iter().flat_map(|headers| &headers[..]).map(|(name, value)| name.len() + value.expose().len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forwarding(server: &str, headers: &[&str]) -> HeaderForwarding {
        let headers = headers.iter().map(|name| (*name).to_owned()).collect();
        HeaderForwarding { server: ServerName::try_from(server).expect("a name"), headers }
    }

    fn of(rules: &[HeaderForwarding], headers: &[(&str, &str)]) -> Result<ClientHeaders, TooManyHeaders> {
        ClientHeaders::of(rules, |name| {
            let name = name.to_owned();
            headers.iter().filter(move |(other, _)| *other == name).map(|(_, value)| *value)
        })
    }

    #[test]
    fn a_server_is_told_what_it_is_named_and_nothing_else() {
        let rules = [forwarding("a", &["authorization", "x-tenant"]), forwarding("b", &["x-tenant"])];
        let sent = [("authorization", "Bearer one"), ("x-tenant", "1"), ("x-tenant", "2"), ("cookie", "c")];
        let headers = of(&rules, &sent).expect("few");
        let told = |server: &str| {
            let told = headers.for_server(&rules, &ServerName::try_from(server).expect("a name")).into_iter();
            told.map(|(name, value)| format!("{name}: {}", value.expose())).collect::<Vec<_>>()
        };
        assert_eq!(told("a"), ["authorization: Bearer one", "x-tenant: 1", "x-tenant: 2"]);
        assert_eq!(told("b"), ["x-tenant: 1", "x-tenant: 2"]);
        assert_eq!(told("c"), [""; 0]);
        assert!(!format!("{headers:?}").contains("one"), "values are secrets");
    }

    #[test]
    fn headers_that_are_too_long_are_refused() {
        let (rules, long) = ([forwarding("a", &["x"])], "v".repeat(MAX_FORWARDED));
        assert!(of(&rules, &[("x", &long)]).is_err());
        let headers = of(&rules, &[("x", &long[1..])]).expect("just fits");
        assert_eq!(headers.bytes(), MAX_FORWARDED);
    }
}

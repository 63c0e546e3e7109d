//! The progress of one request as its client sees it: it only ever grows (MCP, progress), whether the server or the gateway reports it.

use std::cell::Cell;

use bytes::Bytes;
use mcproxy_mcp::{RawObject, RawValue, meta, method, object_body, one_line, write_notification};

/// The progress that a request's client was told.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Signs of life of our own so far.
    signs: Cell<u32>,
    /// The most that was reported.
    highest: Cell<Option<f64>>,
    /// The server's reports must be more than that: it was reported before the server had the call, or had it again.
    floor: Cell<Option<f64>>,
}

impl Progress {
    /// The value of a sign of life of our own, before the server has the call. Servers begin at 0 or above, so these come from
    /// below towards 0 and never reach it: -1, -1/2, -1/3 … `None`: the server has reported already.
    pub(crate) fn sign(&self) -> Option<f64> {
        let signs = self.signs.get().saturating_add(1);
        let value = -1.0 / f64::from(signs);
        if self.highest.get().is_some_and(|highest| highest >= value) {
            return None;
        }
        self.signs.set(signs);
        self.highest.set(Some(value));
        self.floor.set(Some(value));
        Some(value)
    }

    /// The server gets the call once more, and counts from its beginning.
    pub(crate) fn begin_run(&self) {
        self.floor.set(self.highest.get());
    }

    /// Whether the client is to be told what the server reports: the params of its notification. Within one run it is told
    /// whatever the server says.
    pub(crate) fn admits(&self, params: &[u8]) -> bool {
        let value: Option<f64> =
            RawObject::from_slice(params).ok().and_then(|params| params.get("progress")?.get().parse().ok());
        let Some(value) = value else { return true };
        if self.floor.get().is_some_and(|floor| value <= floor) {
            return false;
        }
        self.highest.set(Some(self.highest.get().map_or(value, |highest| highest.max(value))));
        true
    }
}

/// A `notifications/progress` under the client's own token.
pub(crate) fn notification(token: &RawValue, params: &str) -> Bytes {
    let body = object_body(params).unwrap_or_default();
    let comma = if body.is_empty() { "" } else { "," };
    let params = format!("{{\"{}\":{}{comma}{}}}", meta::PROGRESS_TOKEN, token.get(), one_line(body));
    let mut out = Vec::new();
    write_notification(&mut out, method::PROGRESS, &params);
    out.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn report(value: f64) -> String {
        format!("{{\"progress\":{value},\"total\":100}}")
    }

    #[test]
    fn our_own_signs_stay_below_where_a_server_begins() {
        let progress = Progress::default();
        assert_eq!((progress.sign(), progress.sign()), (Some(-1.0), Some(-0.5)));
        assert!(progress.admits(report(0.0).as_bytes()) && progress.admits(report(1.0).as_bytes()));
        assert_eq!(progress.sign(), None, "the server has begun");
        assert!(progress.admits(b"{\"progress\":\"odd\"}") && progress.admits(b"nonsense"), "that is the server's own");
    }

    #[test]
    fn a_run_that_begins_again_says_nothing_until_it_is_further() {
        let progress = Progress::default();
        assert!(progress.admits(report(1.0).as_bytes()) && progress.admits(report(2.0).as_bytes()));
        assert!(progress.admits(report(1.0).as_bytes()), "within one run it is the server's word");
        progress.begin_run();
        for (value, admitted) in [(0.0, false), (2.0, false), (3.0, true)] {
            assert_eq!(progress.admits(report(value).as_bytes()), admitted, "{value}");
        }
    }

    proptest! {
        #[test]
        fn with_servers_that_count_up_a_client_sees_it_grow(steps in prop::collection::vec((0u8..3, 0u32..5), 0..50)) {
            let progress = Progress::default();
            let (mut last, mut server) = (f64::NEG_INFINITY, 0.0);
            for (what, more) in steps {
                let seen = match what {
                    0 => progress.sign(),
                    1 => {
                        progress.begin_run();
                        server = 0.0;
                        None
                    }
                    _ => {
                        server += f64::from(more) + 0.5;
                        progress.admits(report(server).as_bytes()).then_some(server)
                    }
                };
                if let Some(seen) = seen {
                    prop_assert!(seen > last, "{seen} after {last}");
                    last = seen;
                }
            }
        }
    }
}

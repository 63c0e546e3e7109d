//! The worker's own requests that the server has not answered, and the numbers of all requests. Pure: time is an argument.

use std::time::Instant;

use mcproxy_mcp::ListKind;

use super::catalogue::Gathering;

/// The question of a request of our own.
#[derive(Debug)]
pub(super) enum OwnRequest {
    /// Which era the server speaks; under an id that is a text.
    Probe,
    /// The same, of a server of the legacy era.
    Initialize,
    /// A page of a list.
    Page { gathering: Gathering, until: Instant },
    /// Whether it lives.
    Ping,
    /// To tell what changes; answered when that is over.
    Listen,
}

/// All that are open.
#[derive(Debug, Default)]
pub(super) struct OwnRequests {
    last: u64,
    open: Vec<(u64, OwnRequest)>,
}

impl OwnRequests {
    /// A number for a request to the server, of our own or for a call.
    pub(super) fn next_number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Opens a request under a new number.
    pub(super) fn open(&mut self, request: OwnRequest) -> u64 {
        let number = self.next_number();
        self.open.push((number, request));
        number
    }

    /// Takes out the request that an answer with a number as its id is to. The answer to the probe carries the other kind of id.
    pub(super) fn take(&mut self, number: u64) -> Option<OwnRequest> {
        self.take_if(number, |request| !matches!(request, OwnRequest::Probe))
    }

    /// Takes out one of the two questions about what the server speaks.
    pub(super) fn take_question(&mut self, number: u64) -> Option<OwnRequest> {
        self.take_if(number, |_| true)
    }

    /// Takes out the page of a list.
    pub(super) fn take_page(&mut self, number: u64) -> Option<Gathering> {
        match self.take_if(number, |request| matches!(request, OwnRequest::Page { .. }))? {
            OwnRequest::Page { gathering, .. } => Some(gathering),
            OwnRequest::Probe | OwnRequest::Initialize | OwnRequest::Ping | OwnRequest::Listen => None,
        }
    }

    /// Takes out the pages whose time is over.
    pub(super) fn take_pages(&mut self, is_over: impl Fn(Instant) -> bool) -> Vec<(u64, Gathering)> {
        let is_late =
            |(_, request): &mut (u64, OwnRequest)| matches!(request, OwnRequest::Page { until, .. } if is_over(*until));
        let late = self.open.extract_if(.., is_late);
        late.filter_map(|(number, request)| match request {
            OwnRequest::Page { gathering, .. } => Some((number, gathering)),
            OwnRequest::Probe | OwnRequest::Initialize | OwnRequest::Ping | OwnRequest::Listen => None,
        })
        .collect()
    }

    /// Forgets a request: its answer would be to nothing.
    pub(super) fn forget(&mut self, number: u64) {
        self.open.retain(|(open, _)| *open != number);
    }

    /// Forgets pings that were not answered: the next one counts.
    pub(super) fn forget_pings(&mut self) {
        self.open.retain(|(_, request)| !matches!(request, OwnRequest::Ping));
    }

    /// Forgets all questions but the probe of a server of the legacy era: a late answer to that says what is spoken at its next start.
    pub(super) fn forget_questions(&mut self, keeps_probe: bool) {
        self.open.retain(|(_, request)| keeps_probe && matches!(request, OwnRequest::Probe));
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.open.clear();
    }

    /// Whether this is the number of a probe.
    pub(super) fn is_probe(&self, number: u64) -> bool {
        self.open.iter().any(|(open, request)| *open == number && matches!(request, OwnRequest::Probe))
    }

    /// Whether this is the number of an `initialize`.
    pub(super) fn is_initialize(&self, number: u64) -> bool {
        self.open.iter().any(|(open, request)| *open == number && matches!(request, OwnRequest::Initialize))
    }

    /// The number of the one question about what the server speaks, if nothing else is open.
    pub(super) fn only_question(&self) -> Option<u64> {
        match self.open[..] {
            [(number, OwnRequest::Probe | OwnRequest::Initialize)] => Some(number),
            _ => None,
        }
    }

    /// Whether a page of this list is asked for.
    pub(super) fn is_listing(&self, kind: ListKind) -> bool {
        self.open.iter().any(|(_, r)| matches!(r, OwnRequest::Page { gathering, .. } if gathering.kind() == kind))
    }

    /// Whether a page of any list is asked for.
    pub(super) fn is_listing_any(&self) -> bool {
        self.open.iter().any(|(_, request)| matches!(request, OwnRequest::Page { .. }))
    }

    /// When the pages that were asked for should be there.
    pub(super) fn page_deadlines(&self) -> impl Iterator<Item = Instant> {
        self.open.iter().filter_map(|(_, request)| match request {
            OwnRequest::Page { until, .. } => Some(*until),
            OwnRequest::Probe | OwnRequest::Initialize | OwnRequest::Ping | OwnRequest::Listen => None,
        })
    }

    /// How many are open besides pings.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.open.iter().filter(|(_, request)| !matches!(request, OwnRequest::Ping)).count()
    }

    fn take_if(&mut self, number: u64, is_meant: impl Fn(&OwnRequest) -> bool) -> Option<OwnRequest> {
        let at = self.open.iter().position(|(open, request)| *open == number && is_meant(request))?;
        Some(self.open.swap_remove(at).1)
    }
}

//! How often one server may be called.

use std::{rc::Rc, time::Instant};

use mcproxy_ipc::ServerRates;

use crate::gateway::{
    base::rates::{Limiter, RateExceeded, RateTicket, begin_all},
    catalogue::fits,
};

/// The rates of a server's calls, with what was called under them.
#[derive(Default)]
pub(super) struct CallRates {
    all: Option<Rc<Limiter>>,
    /// By pattern.
    tools: Vec<(Box<str>, Rc<Limiter>)>,
}

/// A call that is too much.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RateRefusal {
    /// For tools that fit this pattern; `None`: for the server.
    pub(crate) of: Option<Box<str>>,
    /// In which way.
    pub(crate) exceeded: RateExceeded,
}

impl CallRates {
    /// These rates in the place of the ones before; what was called under one that stays is not forgotten.
    pub(super) fn after(self, rates: &ServerRates, now: Instant) -> Self {
        let known = |pattern: &str| self.tools.iter().find(|(known, _)| **known == *pattern).map(|(_, known)| known);
        let tools = rates.tools.iter().map(|(pattern, rate)| {
            let limiter = known(pattern).map_or_else(|| Limiter::new(*rate, now), |known| known.kept(*rate, now));
            (pattern.as_str().into(), limiter)
        });
        let all = rates.all.map(|rate| match &self.all {
            Some(known) => known.kept(rate, now),
            None => Limiter::new(rate, now),
        });
        Self { tools: tools.collect(), all }
    }

    /// One more call; of this tool, by the server's own name.
    pub(super) fn begin(&self, tool: Option<&str>, now: Instant) -> Result<Vec<RateTicket>, RateRefusal> {
        let of_tool = self.tools.iter().filter(|(pattern, _)| tool.is_some_and(|tool| fits(pattern, tool)));
        let of_all = self.all.iter().map(|limiter| (None, limiter));
        let concerned: Vec<_> = of_tool.map(|(pattern, limiter)| (Some(pattern), limiter)).chain(of_all).collect();
        let limiters: Vec<Rc<Limiter>> = concerned.iter().map(|(_, limiter)| (*limiter).clone()).collect();
        begin_all(&limiters, now)
            .map_err(|(at, exceeded)| RateRefusal { of: concerned.get(at).and_then(|(of, _)| of.cloned()), exceeded })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mcproxy_ipc::RateLimit;

    use super::*;

    #[test]
    fn each_pattern_is_a_rate_of_its_own_and_that_of_the_server_holds_for_all() {
        let rate = |burst| RateLimit { interval: Some(Duration::from_secs(10)), burst, concurrent: None };
        let tools = vec![("write_*".to_owned(), rate(1)), ("*_file".to_owned(), rate(2))];
        let now = Instant::now();
        let rates = CallRates::default().after(&ServerRates { all: Some(rate(4)), tools }, now);
        let refused = |tool| rates.begin(tool, now).err().map(|refusal| refusal.of);
        assert_eq!(refused(Some("write_file")), None);
        assert_eq!(refused(Some("write_file")), Some(Some("write_*".into())));
        assert_eq!(refused(Some("read_file")), None);
        assert_eq!(refused(Some("read_file")), Some(Some("*_file".into())));
        assert_eq!([refused(Some("other")), refused(None)], [None, None]);
        assert_eq!(refused(None), Some(None), "the server had four");
    }
}

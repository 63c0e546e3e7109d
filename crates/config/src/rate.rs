//! Rates, from what is written to what the gateway follows.

use std::time::Duration;

use mcproxy_ipc::{RateLimit, ServerRates};

use crate::raw::{RawRate, RawServerRate};

/// A rate. Without `burst`, as many may come at once as in a second.
pub(crate) fn of(raw: &RawRate) -> RateLimit {
    let burst = raw.burst.unwrap_or_else(|| raw.per_second.map_or(1, |rate| rate.ceil().max(1.0) as u32));
    RateLimit {
        interval: raw.per_second.map(|rate| Duration::from_secs_f64(1.0 / rate)),
        burst,
        concurrent: raw.concurrent,
    }
}

/// The rates of a server.
pub(crate) fn of_server(raw: &RawServerRate) -> ServerRates {
    let RawServerRate { per_second, burst, concurrent, tools } = raw;
    let all = RawRate { per_second: *per_second, burst: *burst, concurrent: *concurrent };
    let says_something = per_second.is_some() || concurrent.is_some();
    ServerRates {
        all: says_something.then(|| of(&all)),
        tools: tools.iter().map(|(pattern, rate)| (pattern.clone(), of(rate))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_without_a_burst_is_one_second_of_it() {
        let rate = |per_second, burst| of(&RawRate { per_second, burst, concurrent: None });
        assert_eq!(rate(Some(2.5), None).burst, 3);
        assert_eq!(
            rate(Some(0.1), None),
            RateLimit { interval: Some(Duration::from_secs(10)), burst: 1, concurrent: None }
        );
        assert_eq!(rate(Some(4.0), Some(1)).burst, 1);
        assert_eq!(rate(None, None).interval, None);
    }
}

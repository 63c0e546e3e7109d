//! Notifications of a server that sends more of them than any client could read: the newest is dropped and counted here, in
//! the process that belongs to this server alone, so that the gateway does not even have to look at it.

use std::time::{Duration, Instant};

use mcproxy_ipc::TokenBucket;
use mcproxy_mcp::{Level, RawObject, RawValue, json_string};

/// Messages a second, and how many may come at once after a quiet time.
const RATE: f64 = 2_000.0;
const BURST: f64 = 4_000.0;
/// Bytes of them a second, and at once.
const BYTE_RATE: f64 = 16e6;
const BYTE_BURST: f64 = 64e6;
/// Clients are told of the loss after so long.
const TELL: Duration = Duration::from_secs(1);

/// How much one server may still send, and how much it sent beyond that.
#[derive(Debug)]
pub(super) struct Flood {
    messages: TokenBucket,
    bytes: TokenBucket,
    lost: u64,
    /// Of the most severe of them, so that all are told who would have heard one.
    level: Level,
    tell_at: Option<Instant>,
}

impl Flood {
    /// Nothing was said yet.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            messages: TokenBucket::full(RATE, BURST, now),
            bytes: TokenBucket::full(BYTE_RATE, BYTE_BURST, now),
            lost: 0,
            level: Level::Warning,
            tell_at: None,
        }
    }

    /// Whether a message of that size is passed on; `params`: what is to be known of it if it is not.
    pub(super) fn admits(&mut self, bytes: usize, params: Option<&RawValue>, now: Instant) -> bool {
        if self.messages.left(now) >= 1.0 && self.bytes.left(now) > 0.0 {
            self.messages.spend(1.0);
            self.bytes.spend(bytes as f64);
            return true;
        }
        self.lost += 1;
        self.level = self.level.max(level_of(params));
        self.tell_at.get_or_insert(now + TELL);
        false
    }

    /// When clients are told next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.tell_at
    }

    /// The params of the log line that tells them, once its time has come.
    pub(super) fn tell(&mut self, server: &str, now: Instant) -> Option<String> {
        self.tell_at.take_if(|at| *at <= now)?;
        let (lost, level) = (std::mem::take(&mut self.lost), std::mem::replace(&mut self.level, Level::Warning));
        let messages = if lost == 1 { "message" } else { "messages" };
        let text = format!("{lost} {messages} of server `{server}` were dropped: it sends more than can be passed on");
        let (level, text) = (level.as_str(), json_string(&text));
        Some(format!("{{\"level\":\"{level}\",\"logger\":\"mcproxy\",\"data\":{}}}", text.get()))
    }
}

/// Of a log line its own; the loss of anything else is worth a warning.
fn level_of(params: Option<&RawValue>) -> Level {
    let level = params.and_then(|raw| Level::parse(&RawObject::from_raw(raw).ok()?.get_string("level")?));
    level.unwrap_or(Level::Warning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_to_its_rate_and_what_is_lost_is_told_once_at_its_level() {
        let start = Instant::now();
        let mut flood = Flood::new(start);
        let params = RawValue::from_string(r#"{"level":"error","data":1}"#.to_owned()).expect("JSON");
        // 10,000 lines a second for a second.
        let passed =
            (0..10_000).filter(|n| flood.admits(100, Some(&params), start + Duration::from_micros(100 * n))).count();
        assert!((5_900..=6_100).contains(&passed), "{passed}");
        assert_eq!(flood.tell("a", start), None);
        let end = start + Duration::from_secs(3);
        assert!(flood.deadline().is_some_and(|at| at < end));
        let told = flood.tell("a", end).expect("something was lost");
        assert!(
            told.starts_with(&format!(
                "{{\"level\":\"error\",\"logger\":\"mcproxy\",\"data\":\"{} messages",
                10_000 - passed
            )),
            "{told}"
        );
        assert_eq!((flood.tell("a", end), flood.deadline()), (None, None));
        assert!(flood.admits(100, None, end));
    }

    #[test]
    fn large_messages_are_bounded_by_their_bytes() {
        let start = Instant::now();
        let mut flood = Flood::new(start);
        let passed = |flood: &mut Flood, at: Instant| (0..100).filter(|_| flood.admits(8_000_000, None, at)).count();
        assert_eq!(passed(&mut flood, start), 8);
        assert_eq!(passed(&mut flood, start + Duration::from_secs(1)), 2);
    }
}

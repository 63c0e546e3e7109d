//! Records of other processes, written again as if they were ours.

use std::{cell::RefCell, collections::HashSet};

use mcproxy_ipc::{LogRecord, LogSource};
use slog::{BorrowedKV, KV, Logger, Record, RecordLocation, RecordStatic, Serializer, info, warn};

use super::escape::one_line;

/// slog wants keys that live for ever; so many different ones are kept, further ones share a name.
const MAX_KEYS: usize = 256;
const LONGEST_KEY: usize = 64;
/// The name that they share.
const OTHER_KEY: &str = "other";

/// Writes a record of a worker or of the gateway. What it says is escaped; its keys and values are kept.
pub(crate) fn emit(log: &Logger, record: &LogRecord) {
    if record.dropped > 0 {
        warn!(log, "log records were dropped because their queue was full"; "dropped" => record.dropped);
    }
    match record.source {
        LogSource::Stderr => {
            info!(log, "server stderr"; "line" => %one_line(&record.message), RecordFields(&record.fields));
        }
        LogSource::Own => {
            const HERE: RecordLocation =
                RecordLocation { file: file!(), line: line!(), column: 0, function: "", module: module_path!() };
            let stat = RecordStatic { location: &HERE, tag: "", level: record.level.to_slog() };
            let fields = RecordFields(&record.fields);
            log.log(&Record::new(&stat, &format_args!("{}", one_line(&record.message)), BorrowedKV(&fields)));
        }
    }
}

struct RecordFields<'a>(&'a [(String, String)]);

impl KV for RecordFields<'_> {
    fn serialize(&self, _: &Record<'_>, serializer: &mut dyn Serializer) -> slog::Result {
        for (key, value) in self.0 {
            serializer.emit_str(kept(key), &one_line(value))?;
        }
        Ok(())
    }
}

fn kept(key: &str) -> &'static str {
    thread_local! { static KEYS: RefCell<HashSet<&'static str>> = RefCell::default(); }
    KEYS.with_borrow_mut(|keys| match keys.get(key) {
        Some(known) => known,
        None if keys.len() < MAX_KEYS && key.len() <= LONGEST_KEY => {
            let fresh: &'static str = Box::leak(one_line(key).into_owned().into_boxed_str());
            keys.insert(fresh);
            fresh
        }
        None => OTHER_KEY,
    })
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex},
    };

    use mcproxy_ipc::LogLevel;
    use slog::{Drain, o};

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);
    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("one thread").write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(record: &LogRecord) -> String {
        let page = Page::default();
        let sink = Mutex::new(slog_json::Json::new(page.clone()).add_default_keys().build());
        let log = Logger::root(sink.map(slog::Fuse), o!("server" => "time", "generation" => 3));
        emit(&log, record);
        let bytes = page.0.lock().expect("one thread").clone();
        String::from_utf8(bytes).expect("JSON is UTF-8")
    }

    #[test]
    fn a_workers_record_keeps_its_fields_and_gains_the_server() {
        let fields = vec![("attempt".to_owned(), "2".to_owned()), ("evil\n".to_owned(), "\u{1b}[2J".to_owned())];
        let record = LogRecord { fields, level: LogLevel::Warn, ..LogRecord::stderr("it failed".to_owned()) };
        let text = written(&LogRecord { source: LogSource::Own, ..record });
        let value: serde_json::Value = serde_json::from_str(&text).expect("one JSON object");
        assert_eq!(value["msg"], "it failed");
        assert_eq!(value["level"], "WARN");
        assert_eq!(value["attempt"], "2");
        assert_eq!(value["server"], "time");
        assert_eq!(value["generation"], 3);
        assert_eq!(value["evil\\n"], "\\u{1b}[2J");
    }

    #[test]
    fn a_servers_line_is_a_value_and_never_the_message() {
        let value: serde_json::Value =
            serde_json::from_str(&written(&LogRecord::stderr("x\r".to_owned()))).expect("one JSON object");
        assert_eq!((&value["msg"], &value["line"]), (&"server stderr".into(), &"x\\r".into()));
    }

    #[test]
    fn endless_new_keys_do_not_grow_memory() {
        for n in 0..10 * MAX_KEYS {
            kept(&format!("key{n}"));
        }
        assert_eq!(kept("one more"), OTHER_KEY);
    }
}

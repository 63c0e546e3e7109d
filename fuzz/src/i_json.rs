//! JSON that every reader takes.

use mcproxy_mcp::i_json::{self, Repairs};

/// An object that is repaired is one for the strictest reader, and needs no further repair.
pub(crate) fn target(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let readable = i_json::readable(text);
    let mut repairs = i_json::repairs(text);
    let is_object =
        serde_json::from_str::<Box<serde_json::value::RawValue>>(text).is_ok_and(|raw| raw.get().starts_with('{'));
    if !is_object {
        return;
    }
    repairs.edits.sort_by_key(|(range, _)| (range.start, range.end));
    let (mut out, mut at) = (String::new(), 0);
    for (range, with) in repairs.edits {
        if let Some(between) = text.get(at..range.start) {
            out.push_str(between);
            out.push_str(with);
            at = range.end;
        }
    }
    out.push_str(&text[at..]);
    assert!(serde_json::from_str::<serde_json::Value>(&out).is_ok(), "{out}");
    assert_eq!(i_json::repairs(&out), Repairs::default());
    if let Ok(readable) = readable {
        assert!(serde_json::from_str::<serde_json::Value>(&readable).is_ok(), "{readable}");
    }
}

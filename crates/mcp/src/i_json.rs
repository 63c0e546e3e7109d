//! JSON that every reader takes (I-JSON, RFC 7493). What is valid JSON may still not be read: `serde_json` gives up beyond
//! 127 levels and at numbers that no double holds, Python at integers of 4,300 digits, both at half a surrogate pair; and
//! of a key that occurs twice some take the first value, some the last, some none. A client that cannot read a message
//! never answers it, so what passes here is checked first.

use std::{borrow::Cow, fmt, ops::Range};

use memchr::memchr2;

/// Most levels of one value that is put into a message. The message around it has up to four of its own, and the strictest
/// reader (`serde_json`) allows 127 of all.
pub const MAX_LEVELS: usize = 120;
/// Longest number, in bytes. A double needs no more than 770 digits to be written out exactly.
const MAX_NUMBER: usize = 1000;
/// Up to here every number is held by a double, whatever its digits are.
const SHORT_NUMBER: usize = 15;
/// The replacement for half a surrogate pair: as many bytes.
const REPLACEMENT: &str = "\\ufffd";
/// Most repairs of one value that are told of; all are made.
const MAX_TOLD: usize = 20;

/// A value that a reader cannot take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// More levels than [`MAX_LEVELS`].
    Deep,
    /// A number that is over a double's range.
    Number,
    /// Half a surrogate pair.
    Surrogate,
    /// A key that occurs again in the same object.
    Duplicate,
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deep => "is nested in more than 120 levels",
            Self::Number => "holds a number that is too large for a double",
            Self::Surrogate => "holds half a surrogate pair",
            Self::Duplicate => "occurs twice",
        })
    }
}

/// The first thing in a text that a reader cannot take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what begins at byte {at} {kind}")]
pub struct Fault {
    /// Its kind.
    pub kind: FaultKind,
    /// Where it begins, counted from 0.
    pub at: usize,
}

/// A JSON value as every reader takes it: halves of surrogate pairs are replaced by U+FFFD, which changes no length.
/// Repeated keys are left alone: readers that matter here take the last. Costs one pass that skips strings.
pub fn readable(json: &str) -> Result<Cow<'_, str>, Fault> {
    let mut halves = Vec::new();
    let mut levels = 0_usize;
    let bytes = json.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' | b'[' if levels == MAX_LEVELS => return Err(Fault { kind: FaultKind::Deep, at }),
            b'{' | b'[' => levels += 1,
            b'}' | b']' => levels = levels.saturating_sub(1),
            b'"' => {
                at = string_end(bytes, at + 1, &mut |half| halves.push(half));
                continue;
            }
            b'-' | b'0'..=b'9' => {
                let end = number_end(bytes, at);
                if !is_double(&json[at..end]) {
                    return Err(Fault { kind: FaultKind::Number, at });
                }
                at = end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    if halves.is_empty() {
        return Ok(Cow::Borrowed(json));
    }
    let mut out = String::with_capacity(json.len());
    let mut kept = 0;
    for half in halves {
        out.push_str(&json[kept..half]);
        out.push_str(REPLACEMENT);
        kept = half + REPLACEMENT.len();
    }
    out.push_str(&json[kept..]);
    Ok(Cow::Owned(out))
}

/// The edits to a JSON value after which every reader takes it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Repairs {
    /// The replacements with their places. Of two that overlap the one that begins first counts.
    pub edits: Vec<(Range<usize>, &'static str)>,
    /// The places of the faults, as JSON pointers (RFC 6901); some of them, when there are many.
    pub told: Vec<(String, FaultKind)>,
}

/// The repairs of a valid JSON value that is an object: of what cannot be read the nearest member around it goes, of a
/// key that occurs twice all but the last, and half a surrogate pair becomes U+FFFD.
pub fn repairs(json: &str) -> Repairs {
    Scan { json, frames: Vec::new(), surplus: 0, repairs: Repairs::default() }.run()
}

/// One object or array that is open.
#[derive(Default)]
struct OpenContainer {
    opened: usize,
    is_object: bool,
    /// The key that was read last, and its element's or member's number.
    key: Range<usize>,
    count: usize,
    /// The next string is a key.
    expects_key: bool,
    members: Vec<ObjectMember>,
}

struct ObjectMember {
    key: Range<usize>,
    /// Behind its value.
    end: usize,
    /// Behind the comma that follows it; where the object has no more members, behind the value.
    comma: usize,
    gone: bool,
}

struct Scan<'a> {
    json: &'a str,
    frames: Vec<OpenContainer>,
    /// Open levels beyond those that may stay; nothing is kept of them.
    surplus: usize,
    repairs: Repairs,
}

impl Scan<'_> {
    fn run(mut self) -> Repairs {
        let bytes = self.json.as_bytes();
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            let start = at;
            at += 1;
            match byte {
                b'{' | b'[' if self.frames.len() == MAX_LEVELS => {
                    self.gone(FaultKind::Deep);
                    self.surplus += 1;
                }
                b'}' | b']' if self.surplus > 0 => self.surplus -= 1,
                b'"' if self.surplus > 0 => at = string_end(bytes, at, &mut |_| {}),
                _ if self.surplus > 0 => {}
                b'{' | b'[' => {
                    let is_object = *byte == b'{';
                    self.frames.push(OpenContainer {
                        opened: start,
                        is_object,
                        expects_key: is_object,
                        ..OpenContainer::default()
                    });
                }
                b'}' | b']' => {
                    if let Some(frame) = self.frames.pop() {
                        self.close(frame, start);
                    }
                }
                b',' => {
                    if let Some(frame) = self.frames.last_mut() {
                        frame.count += 1;
                        frame.expects_key = frame.is_object;
                        if let Some(member) = frame.members.last_mut() {
                            member.end = start;
                            member.comma = at;
                        }
                    }
                }
                b'"' => {
                    let mut halves = Vec::new();
                    at = string_end(bytes, at, &mut |half| halves.push(half));
                    self.string(start..at, &halves);
                }
                b'-' | b'0'..=b'9' => {
                    at = number_end(bytes, start);
                    if !is_double(&self.json[start..at]) {
                        self.gone(FaultKind::Number);
                    }
                }
                _ => {}
            }
        }
        self.repairs
    }

    fn string(&mut self, range: Range<usize>, halves: &[usize]) {
        if let Some(frame) = self.frames.last_mut().filter(|frame| frame.expects_key) {
            frame.expects_key = false;
            frame.key = range.clone();
            frame.members.push(ObjectMember { key: range, end: 0, comma: 0, gone: false });
        }
        if !halves.is_empty() {
            self.tell(FaultKind::Surrogate);
            self.repairs.edits.extend(halves.iter().map(|at| (*at..at + REPLACEMENT.len(), REPLACEMENT)));
        }
    }

    /// The nearest member around here has to go.
    fn gone(&mut self, kind: FaultKind) {
        let member = self.frames.iter_mut().rev().find_map(|frame| frame.members.last_mut());
        if let Some(member) = member.filter(|member| !member.gone) {
            member.gone = true;
            self.tell(kind);
        }
    }

    fn tell(&mut self, kind: FaultKind) {
        if self.repairs.told.len() < MAX_TOLD {
            let pointer = self.pointer();
            self.repairs.told.push((pointer, kind));
        }
    }

    fn pointer(&self) -> String {
        let mut out = String::new();
        for frame in self.frames.iter().take(MAX_LEVELS) {
            if frame.is_object {
                push_segment(&mut out, &decoded(&self.json[frame.key.clone()]));
            } else {
                push_segment(&mut out, &frame.count.to_string());
            }
        }
        out
    }

    /// An object or array is over.
    fn close(&mut self, mut frame: OpenContainer, end: usize) {
        if let Some(last) = frame.members.last_mut() {
            last.end = end;
            last.comma = end;
        }
        if frame.members.len() > 1 {
            self.drop_duplicates(&mut frame);
        }
        // Where the leading run of members that go ends, and where the last one that stays does.
        let (mut leading, mut kept) = (None, None);
        for member in &frame.members {
            match (member.gone, kept) {
                (false, _) => {
                    if let Some(until) = leading.take() {
                        self.repairs.edits.push((frame.opened + 1..until, ""));
                    }
                    kept = Some(member.end);
                }
                (true, None) => leading = Some(member.comma),
                (true, Some(from)) => {
                    self.repairs.edits.push((from..member.end, ""));
                    kept = Some(member.end);
                }
            }
        }
        if let Some(until) = leading {
            self.repairs.edits.push((frame.opened + 1..until, ""));
        }
    }

    fn drop_duplicates(&mut self, frame: &mut OpenContainer) {
        let json = self.json;
        let mut keys: Vec<(Cow<'_, str>, usize)> =
            frame.members.iter().enumerate().map(|(at, member)| (decoded(&json[member.key.clone()]), at)).collect();
        keys.sort_unstable();
        for pair in keys.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
            let member = &mut frame.members[pair[0].1];
            if !member.gone {
                member.gone = true;
                if self.repairs.told.len() < MAX_TOLD {
                    let mut pointer = self.pointer();
                    push_segment(&mut pointer, &pair[0].0);
                    self.repairs.told.push((pointer, FaultKind::Duplicate));
                }
            }
        }
    }
}

/// Adds one reference token to a JSON pointer.
pub fn push_segment(pointer: &mut String, segment: &str) {
    pointer.push('/');
    for c in segment.chars() {
        match c {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            c => pointer.push(c),
        }
    }
}

/// A key's text, with halves of surrogate pairs replaced.
fn decoded(raw: &str) -> Cow<'_, str> {
    let plain = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')).unwrap_or(raw);
    if !plain.contains('\\') {
        return Cow::Borrowed(plain);
    }
    let whole = readable(raw).unwrap_or(Cow::Borrowed(raw));
    Cow::Owned(serde_json::from_str(&whole).unwrap_or_else(|_| plain.to_owned()))
}

/// Where a string that began before `at` is over; says where halves of surrogate pairs stand in it.
fn string_end(json: &[u8], mut at: usize, half: &mut dyn FnMut(usize)) -> usize {
    while let Some(found) = json.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found;
        if json[at] == b'"' {
            return at + 1;
        }
        let Some(unit) = escaped_unit(json, at) else {
            at += 2; // the backslash, and what it escapes
            continue;
        };
        let low = |unit: u16| (0xdc00..0xe000).contains(&unit);
        let pair = || (0xd800..0xdc00).contains(&unit) && escaped_unit(json, at + 6).is_some_and(low);
        match unit {
            0xd800..0xe000 if pair() => at += 12,
            0xd800..0xe000 => {
                half(at);
                at += 6;
            }
            _ => at += 6,
        }
    }
    json.len()
}

/// The code unit of an escape `\uXXXX` that begins here.
fn escaped_unit(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn number_end(json: &[u8], at: usize) -> usize {
    let part_of = |byte: &u8| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
    at + json[at..].iter().take_while(|byte| part_of(byte)).count()
}

fn is_double(number: &str) -> bool {
    let plain = number.len() <= SHORT_NUMBER && !number.bytes().any(|byte| matches!(byte, b'e' | b'E'));
    plain || (number.len() <= MAX_NUMBER && number.parse::<f64>().is_ok_and(f64::is_finite))
}

#[cfg(test)]
mod tests;

//! The required members of a list's entries, as tables: for each the strictest of what the TypeScript SDK (1.x and
//! 2.x), the Python SDK (1.x and 2.x) and rmcp accept. A client that refuses one entry refuses its whole list.

use crate::gateway::catalogue::ListKind;

/// The required shape of a JSON value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// A string.
    Text,
    /// `true` or `false`.
    Flag,
    /// A whole number from 0 up (rmcp reads 64 bits).
    Size,
    /// A number from 0 to 1.
    Share,
    /// A date and time of ISO 8601 with its offset (the TypeScript SDK).
    Instant,
    /// One of these strings.
    OneOf(&'static [&'static str]),
    /// An object, in which these members have a shape; others may be anything.
    Object(&'static [Member]),
    /// An object whose values all have this shape.
    Map(&'static Self),
    /// An array whose elements all have this shape.
    List(&'static Self),
    /// The schema of one property: the TypeScript SDK 1.x takes no boolean there.
    Schema,
    /// The type of a schema that is of an object.
    ObjectType,
}

/// A member of an object that has a shape.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    pub(super) key: &'static str,
    pub(super) shape: Shape,
    pub(super) absent: Absent,
}

/// The consequence of a member that is not there, or had to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absent {
    /// Nothing.
    Fine,
    /// Its object has to go.
    Fatal,
    /// It is added in front, with this value. A wrong one is fatal.
    First(&'static str),
    /// It is added at the end, with this value. A wrong one is fatal.
    Last(&'static str),
}

const fn may(key: &'static str, shape: Shape) -> Member {
    Member { key, shape, absent: Absent::Fine }
}

const fn must(key: &'static str, shape: Shape) -> Member {
    Member { key, shape, absent: Absent::Fatal }
}

impl Shape {
    /// The shape of one entry of a list. Names and URIs are checked where they are read.
    pub(super) fn of(kind: ListKind) -> &'static [Member] {
        match kind {
            ListKind::Tools => TOOL,
            ListKind::Prompts => PROMPT,
            ListKind::Resources => RESOURCE,
            ListKind::Templates => TEMPLATE,
        }
    }

    /// For a warning: `… is not a string`.
    pub(super) fn noun(&self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Flag => "a boolean",
            Self::Size => "a whole number",
            Self::Share => "a number from 0 to 1",
            Self::Instant => "a date and time of ISO 8601",
            Self::OneOf(_) => "one of the values that it may have",
            Self::Object(_) | Self::Map(_) => "an object",
            Self::List(_) => "an array",
            Self::Schema => "a JSON object (a schema)",
            Self::ObjectType => "`\"object\"`",
        }
    }
}

const TOOL: &[Member] = &[
    may("title", Shape::Text),
    may("description", Shape::Text),
    Member { key: "inputSchema", shape: Shape::Object(INPUT_SCHEMA), absent: Absent::Last(r#"{"type":"object"}"#) },
    may("outputSchema", Shape::Object(OUTPUT_SCHEMA)),
    may("annotations", Shape::Object(TOOL_ANNOTATIONS)),
    may("execution", Shape::Object(EXECUTION)),
    may("icons", Shape::List(&Shape::Object(ICON))),
    may("_meta", Shape::Object(&[])),
];

const PROMPT: &[Member] = &[
    may("title", Shape::Text),
    may("description", Shape::Text),
    may("arguments", Shape::List(&Shape::Object(ARGUMENT))),
    may("icons", Shape::List(&Shape::Object(ICON))),
    may("_meta", Shape::Object(&[])),
];

const RESOURCE: &[Member] = &[
    may("name", Shape::Text),
    may("title", Shape::Text),
    may("description", Shape::Text),
    may("mimeType", Shape::Text),
    may("size", Shape::Size),
    may("annotations", Shape::Object(ANNOTATIONS)),
    may("icons", Shape::List(&Shape::Object(ICON))),
    may("_meta", Shape::Object(&[])),
];

const TEMPLATE: &[Member] = &[
    may("name", Shape::Text),
    may("title", Shape::Text),
    may("description", Shape::Text),
    may("mimeType", Shape::Text),
    may("annotations", Shape::Object(ANNOTATIONS)),
    may("icons", Shape::List(&Shape::Object(ICON))),
    may("_meta", Shape::Object(&[])),
];

const INPUT_SCHEMA: &[Member] = &[
    may("$schema", Shape::Text),
    Member { key: "type", shape: Shape::ObjectType, absent: Absent::First(r#""object""#) },
    may("properties", Shape::Map(&Shape::Schema)),
    may("required", Shape::List(&Shape::Text)),
];

/// Its `type` is not looked at: where it is not `object`, clients of earlier revisions do not see the schema at all.
const OUTPUT_SCHEMA: &[Member] = &[
    may("$schema", Shape::Text),
    may("properties", Shape::Map(&Shape::Schema)),
    may("required", Shape::List(&Shape::Text)),
];

const TOOL_ANNOTATIONS: &[Member] = &[
    may("title", Shape::Text),
    may("readOnlyHint", Shape::Flag),
    may("destructiveHint", Shape::Flag),
    may("idempotentHint", Shape::Flag),
    may("openWorldHint", Shape::Flag),
];

const EXECUTION: &[Member] = &[may("taskSupport", Shape::OneOf(&["forbidden", "optional", "required"]))];

const ANNOTATIONS: &[Member] = &[
    may("audience", Shape::List(&Shape::OneOf(&["user", "assistant"]))),
    may("priority", Shape::Share),
    may("lastModified", Shape::Instant),
];

const ARGUMENT: &[Member] = &[
    must("name", Shape::Text),
    may("title", Shape::Text),
    may("description", Shape::Text),
    may("required", Shape::Flag),
];

const ICON: &[Member] = &[
    must("src", Shape::Text),
    may("mimeType", Shape::Text),
    may("sizes", Shape::List(&Shape::Text)),
    may("theme", Shape::OneOf(&["light", "dark"])),
];

/// The required shape of capabilities (`initialize`, `server/discover`).
pub(super) const CAPABILITIES: &[Member] = &[
    may("experimental", Shape::Map(&Shape::Object(&[]))),
    may("extensions", Shape::Map(&Shape::Object(&[]))),
    may("logging", Shape::Object(&[])),
    may("completions", Shape::Object(&[])),
    may("prompts", Shape::Object(&[may("listChanged", Shape::Flag)])),
    may("resources", Shape::Object(&[may("subscribe", Shape::Flag), may("listChanged", Shape::Flag)])),
    may("tools", Shape::Object(&[may("listChanged", Shape::Flag)])),
];

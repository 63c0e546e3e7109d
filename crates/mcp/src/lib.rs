//! The knowledge of MCP that gateway and worker share: the JSON-RPC envelope, protocol versions, methods, error codes, and
//! the rules that make the names of many servers unique at one endpoint.
//!
//! Payloads are never parsed into values here. A message is read as a shallow [`RawObject`]: its members stay the bytes
//! that the peer sent, so unknown fields, big numbers and key order survive (`docs/decisions/0004-raw-json.md`).

mod cache_hints;
mod client_capabilities;
mod depth;
mod envelope;
mod error;
pub mod header_value;
pub mod i_json;
mod level;
mod list_kind;
pub mod meta;
pub mod method;
mod mirror;
pub mod mirrored;
mod object;
mod own_keys;
mod qualified;
mod request_id;
mod resource_uri;
mod subject;
pub mod undeclared;
mod url_elicitation;
mod version;
mod write;

pub use cache_hints::CacheHints;
pub use client_capabilities::ClientCapabilities;
pub use depth::is_deeper_than;
pub use envelope::{EnvelopeError, Message, Outcome, parse};
pub use error::{ErrorCode, ErrorObject, error_object};
pub use level::Level;
pub use list_kind::ListKind;
pub use mirror::{BadTool, Mirror, ToolsPage, is_among, name_of, without};
pub use object::{ObjectError, RawArray, RawObject};
pub use own_keys::{OwnKeyHasher, OwnKeyMap};
pub use qualified::{qualify_name, qualify_task, split_name, split_task};
pub use request_id::{RequestId, RequestIdError, meant_u64};
pub use resource_uri::{is_uri, percent_decoded, qualify_template, qualify_uri, split_uri};
pub use subject::Subject;
pub use url_elicitation::required_elicitations;
pub use version::{LATEST, ProtocolVersion};
pub use write::{
    ObjectBuilder, json_string, object_body, one_line, write_error_response, write_notification, write_request,
    write_response,
};

pub use serde_json::value::RawValue;

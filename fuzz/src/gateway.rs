//! Modules of the gateway.

pub(crate) mod base {
    pub(crate) use super::{client_info, endpoint_scope, json_digest};
}
pub(crate) mod sessions {
    pub(crate) use super::session_id;
}

#[path = "../../src/gateway/catalogue/mod.rs"]
pub(crate) mod catalogue;
#[path = "../../src/gateway/base/client_info.rs"]
pub(crate) mod client_info;
#[path = "../../src/gateway/base/endpoint_scope.rs"]
pub(crate) mod endpoint_scope;
#[path = "../../src/gateway/http/framing.rs"]
pub(crate) mod framing;
#[path = "../../src/gateway/base/json_digest.rs"]
pub(crate) mod json_digest;
#[path = "../../src/gateway/rewrite/mod.rs"]
pub(crate) mod rewrite;
#[path = "../../src/gateway/sessions/session_id.rs"]
pub(crate) mod session_id;

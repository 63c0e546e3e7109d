//! Modules of the gateway.

#[path = "../../src/gateway/catalogue/mod.rs"]
pub(crate) mod catalogue;
#[path = "../../src/gateway/client.rs"]
pub(crate) mod client;
#[path = "../../src/gateway/http/framing.rs"]
pub(crate) mod framing;
#[path = "../../src/gateway/rewrite/mod.rs"]
pub(crate) mod rewrite;
#[path = "../../src/gateway/same_call.rs"]
pub(crate) mod same_call;
#[path = "../../src/gateway/scope.rs"]
pub(crate) mod scope;
#[path = "../../src/gateway/seal.rs"]
pub(crate) mod seal;

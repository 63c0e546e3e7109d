//! tmp
mod raw; mod schema; mod tree; mod report; mod problem; mod text; mod interpolate; mod nearest; mod glob;
pub use schema::schema;
#[cfg(test)] mod t { #[test] fn p(){ std::fs::write("/tmp/schema.json", serde_json::to_string_pretty(&crate::schema()).unwrap()).unwrap(); } }

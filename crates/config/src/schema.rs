//! The JSON Schema of the file, generated from the types it is read into.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::raw::RawConfig;

/// The JSON Schema (2020-12) of `mcp-servers.json`, for editors and for `mcproxy schema`.
pub fn schema() -> Value {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<RawConfig>().to_value();
    close(&mut schema);
    plain_names(&mut schema);
    schema
}

/// Every object with named keys has no others. (Serde's own refusal cannot be combined with flattened parts.)
/// Number formats such as `double` mean nothing to those who write the file.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.get("properties").is_some_and(|names| names.get("type").is_none_or(Value::is_object))
                && object.get("type").is_some_and(|kind| kind == "object")
            {
                object.insert("additionalProperties".into(), false.into());
            }
            if object.get("format").is_some_and(Value::is_string) {
                object.remove("format");
            }
            object.values_mut().for_each(close);
        }
        Value::Array(elements) => elements.iter_mut().for_each(close),
        _ => {}
    }
}

/// `RawServer` is our name for it; readers of the schema see `Server`.
fn plain_names(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::Object(definitions)) = object.get_mut("$defs") {
                *definitions = std::mem::take(definitions)
                    .into_iter()
                    .map(|(name, definition)| (name.trim_start_matches("Raw").to_owned(), definition))
                    .collect();
            }
            if let Some(Value::String(reference)) = object.get_mut("$ref") {
                *reference = reference.replace("/Raw", "/");
            }
            object.values_mut().for_each(plain_names);
        }
        Value::Array(elements) => elements.iter_mut().for_each(plain_names),
        _ => {}
    }
}

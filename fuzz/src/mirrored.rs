//! Schemas of tools that name arguments for headers, what headers say, and what makes two requests the same one.

use std::collections::BTreeSet;

use mcproxy_mcp::{
    RawObject, RawValue, header_value, is_deeper_than, mirrored::mirrored_params, undeclared::refused_in,
};

use crate::gateway::base::json_digest::digest;

pub(crate) fn target(data: &[u8]) {
    let before = digest(data);
    refused_in(data);
    let Ok(text) = std::str::from_utf8(data) else { return };
    let header = header_value::encode(text);
    assert!(header.bytes().all(|b| matches!(b, b' '..=b'~')), "{header:?}");
    assert_eq!(header_value::decode(&header).as_deref(), Some(text));
    let _ = header_value::decode(text);
    if is_deeper_than(data, 512) {
        return;
    }
    let Ok(raw) = serde_json::from_str::<&RawValue>(text) else { return };
    let (params, bad) = mirrored_params(raw);
    let mut headers = BTreeSet::new();
    for param in &params {
        assert!(headers.insert(param.header().to_ascii_lowercase()), "{} twice", param.header());
        let _ = param.value_in(raw);
    }
    for annotation in bad {
        assert!(!annotation.why.is_empty() && RawObject::from_raw(annotation.schema).is_ok());
    }
    // Written anew it is the same request.
    if let Ok(object) = RawObject::from_raw(raw) {
        assert_eq!(digest(object.to_raw().get().as_bytes()), before);
    }
}

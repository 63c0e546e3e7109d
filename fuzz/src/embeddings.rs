//! The answers of models that embed texts.

use mcproxy_search::{Vector, read_embeddings};

use crate::split_choice;

pub(crate) fn target(data: &[u8]) {
    let (texts, body) = split_choice(data);
    let texts = usize::from(texts % 4);
    if let Ok(vectors) = read_embeddings(body, texts) {
        assert_eq!(vectors.len(), texts);
        for vector in &vectors {
            assert_eq!(vector.dimension(), vectors[0].dimension());
            let likeness = vector.similarity(&vectors[0]);
            assert!((-1.001..=1.001).contains(&likeness), "{likeness}");
            assert_eq!(Vector::from_bytes(&vector.to_bytes()).as_ref(), Some(vector));
        }
    }
    if let Some(vector) = Vector::from_bytes(body) {
        assert!((vector.similarity(&vector) - 1.0).abs() < 0.001);
    }
}

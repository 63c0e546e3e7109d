//! The answer of a model that embeds texts, in the form that OpenAI's is the pattern of.

use serde::Deserialize;

use crate::Vector;

/// Why an answer has no embeddings.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddingsError {
    /// It is something else.
    #[error("its answer is no `{{\"data\": [{{\"embedding\": [0.1, …]}}]}}`")]
    Form(#[source] serde_json::Error),
    /// Another number of embeddings than texts.
    #[error("it has {found} embeddings for {texts} texts")]
    Count {
        /// So many were sent.
        texts: usize,
        /// So many came.
        found: usize,
    },
    /// An `index` that is none of a text, or is there twice.
    #[error("the embeddings in its answer have wrong indices")]
    Index,
    /// No vector, or one that is too long.
    #[error("an embedding in its answer is empty, too long, or has numbers that are none")]
    Numbers,
    /// Vectors of several lengths.
    #[error("the embeddings in its answer have different lengths")]
    Dimensions,
}

#[derive(Deserialize)]
struct EmbeddingsAnswer {
    data: Vec<AnsweredEmbedding>,
}

#[derive(Deserialize)]
struct AnsweredEmbedding {
    #[serde(default)]
    index: Option<usize>,
    embedding: Vec<f32>,
}

/// Reads the embeddings of so many texts, in the order of the texts. All have the same dimension.
///
/// # Errors
/// The answer is not that.
pub fn read_embeddings(body: &[u8], texts: usize) -> Result<Vec<Vector>, EmbeddingsError> {
    let EmbeddingsAnswer { data } = serde_json::from_slice(body).map_err(EmbeddingsError::Form)?;
    if data.len() != texts {
        return Err(EmbeddingsError::Count { texts, found: data.len() });
    }
    let mut vectors: Vec<Option<Vector>> = vec![None; texts];
    for (at, AnsweredEmbedding { index, embedding }) in data.into_iter().enumerate() {
        let place = vectors.get_mut(index.unwrap_or(at)).filter(|place| place.is_none());
        *place.ok_or(EmbeddingsError::Index)? = Some(Vector::from_numbers(&embedding).ok_or(EmbeddingsError::Numbers)?);
    }
    let vectors: Vec<Vector> = vectors.into_iter().flatten().collect();
    match vectors.windows(2).all(|pair| pair[0].dimension() == pair[1].dimension()) {
        true => Ok(vectors),
        false => Err(EmbeddingsError::Dimensions),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(body: &str, texts: usize) -> Result<Vec<Vector>, String> {
        read_embeddings(body.as_bytes(), texts).map_err(|error| error.to_string())
    }

    #[test]
    fn embeddings_come_in_the_order_of_their_texts() {
        let body =
            r#"{"object":"list","data":[{"index":1,"embedding":[0,1]},{"index":0,"embedding":[1e-3,0]}],"model":"m"}"#;
        let expected = [[1.0, 0.0], [0.0, 1.0]].map(|numbers| Vector::from_numbers(&numbers).expect("a direction"));
        assert_eq!(read(body, 2).expect("it fits"), expected);
        let unnumbered = r#"{"data":[{"embedding":[1,0]},{"embedding":[0,1]}]}"#;
        assert_eq!(read(unnumbered, 2).expect("it fits"), expected);
    }

    #[test]
    fn an_answer_that_is_none_says_why() {
        for (body, texts, expected) in [
            ("<html>", 1, "no `{\"data\""),
            (r#"{"embeddings":[[1]]}"#, 1, "no `{\"data\""),
            (r#"{"data":[{"embedding":"aGk="}]}"#, 1, "no `{\"data\""),
            (r#"{"data":[]}"#, 1, "0 embeddings for 1 texts"),
            (r#"{"data":[{"embedding":[1]},{"embedding":[1]}]}"#, 1, "2 embeddings for 1 texts"),
            (r#"{"data":[{"index":1,"embedding":[1]}]}"#, 1, "wrong indices"),
            (r#"{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}]}"#, 2, "wrong indices"),
            (r#"{"data":[{"embedding":[]}]}"#, 1, "is empty"),
            (r#"{"data":[{"embedding":[1e300]}]}"#, 1, "no `{\"data\""),
            (r#"{"data":[{"embedding":[0.0]}]}"#, 1, "is empty"),
            (r#"{"data":[{"embedding":[1]},{"embedding":[1,2]}]}"#, 2, "different lengths"),
        ] {
            let error = read(body, texts).expect_err(body);
            assert!(error.contains(expected), "{body}: {error}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_as_many_vectors_of_one_dimension(body in ".{0,80}", texts in 0usize..4) {
            if let Ok(vectors) = read_embeddings(body.as_bytes(), texts) {
                prop_assert_eq!(vectors.len(), texts);
            }
        }
    }
}

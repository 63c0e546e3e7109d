//! The subjects of a server that are listened to one by one.

use crate::{RawObject, json_string};

/// A resource or a task.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// By its URI.
    Resource(String),
    /// By its id (the tasks extension of 2026-07-28).
    Task(String),
}

impl Subject {
    /// The params for a worker that is to listen: those of `resources/subscribe`, which has `taskId` for a task there.
    pub fn params(&self) -> String {
        let (key, value) = match self {
            Self::Resource(uri) => ("uri", uri),
            Self::Task(id) => ("taskId", id),
        };
        format!("{{\"{key}\":{}}}", json_string(value).get())
    }

    /// From such params.
    pub fn read(params: &RawObject<'_>) -> Option<Self> {
        let resource = params.get_string("uri").map(|uri| Self::Resource(uri.into_owned()));
        resource.or_else(|| params.get_string("taskId").map(|id| Self::Task(id.into_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_read_as_it_is_written() {
        for subject in [Subject::Resource("a:\"b".to_owned()), Subject::Task("a:\"b".to_owned())] {
            let params = subject.params();
            assert_eq!(Subject::read(&RawObject::from_text(&params).expect("an object")), Some(subject));
        }
        assert_eq!(Subject::read(&RawObject::default()), None);
    }
}

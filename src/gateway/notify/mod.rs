//! Notifications to clients that belong to no request of theirs.

pub(crate) mod broadcast;
pub(crate) mod custom_notifications;
pub(crate) mod elicitation_complete;
pub(crate) mod list_changed;
pub(crate) mod log;
pub(crate) mod subscriptions;
pub(crate) mod task_status;

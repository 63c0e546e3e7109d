//! A question to another task, with a limit to the wait.

use std::time::Duration;

use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

/// Sends a message that carries where its answer goes, and waits for that. `None`: the task has no time for it, or is gone.
pub(crate) async fn ask<M, T>(
    task: &mpsc::Sender<M>,
    limit: Duration,
    message: impl FnOnce(oneshot::Sender<T>) -> M,
) -> Option<T> {
    let (reply, answer) = oneshot::channel();
    let ask = async {
        task.send(message(reply)).await.ok()?;
        answer.await.ok()
    };
    timeout(limit, ask).await.ok().flatten()
}

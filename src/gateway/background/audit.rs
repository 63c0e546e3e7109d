//! Sends records of calls to the supervisor, those of a moment in one message.

use std::{rc::Rc, time::Duration};

use tokio::time::sleep;

use crate::gateway::state::Gateway;

/// Records of this time go together. A crash of this process loses no more.
const TOGETHER: Duration = Duration::from_millis(50);

/// Sends what is recorded.
pub(super) async fn send(gateway: Rc<Gateway>) {
    loop {
        gateway.audit.news.notified().await;
        sleep(TOGETHER).await;
        while let Some((records, dropped)) = gateway.audit.batch() {
            if let Err((records, dropped)) = gateway.supervisor.audit(records, dropped) {
                gateway.audit.put_back(records, dropped);
                gateway.audit.news.notify_one();
                break;
            }
        }
    }
}

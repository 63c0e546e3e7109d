//! `POST /ui/api/capture`: what is said in calls is kept for a while, redacted. Somebody has to want it, and the log says who.

use std::time::Instant;

use actix_web::{HttpRequest, HttpResponse, web};
use mcproxy_ipc::control::{Act, ActOutcome};
use serde::Deserialize;

use super::{act, answer, caller::Caller, capture_state::CaptureState};
use crate::gateway::base::calls::CaptureWindow;

#[derive(Deserialize)]
struct CaptureOrder {
    seconds: u64,
}

pub(super) async fn post(request: HttpRequest, caller: Caller, payload: web::Payload) -> HttpResponse {
    let order: CaptureOrder = match act::order(&request, payload, &caller, "capture what is said in calls").await {
        Ok(order) => order,
        Err(refusal) => return refusal,
    };
    match act::ask(&caller, Act::Capture { seconds: order.seconds }).await {
        Ok(ActOutcome::Done(_)) => {
            let by = caller.principal.name().unwrap_or("this machine");
            let window = CaptureWindow::of_seconds(order.seconds, by, Instant::now());
            caller.gateway.calls.set_capture(window);
            answer::json(&CaptureState::of(&caller.gateway.calls, Instant::now()))
        }
        Ok(outcome) => act::told(outcome),
        Err(refusal) => refusal,
    }
}

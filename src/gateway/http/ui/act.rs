//! `POST /ui/api/act`: what a person does. This process only asks: the supervisor checks who it is, does it, and logs it.

use std::{rc::Rc, time::Instant};

use actix_web::{HttpRequest, HttpResponse, ResponseError, http::StatusCode, web};
use mcproxy_ipc::{
    ApprovalDecision, HoldEnd, ServerName,
    control::{Act, ActOutcome, ActingCaller},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{answer, caller::Caller, sessions};
use crate::gateway::{
    dialect::session::lifetime,
    http::body::{self, Bound},
    sessions::session::Session,
    state::held_calls::ApprovalVerdict,
};

/// What is wanted.
#[derive(Deserialize)]
struct ActOrder {
    act: String,
    server: Option<String>,
    session: Option<String>,
    /// What is held, as it was shown: the server that it is of.
    approval: Option<String>,
    /// A call that waits for approval, as it was shown.
    held: Option<String>,
    /// For how long that it is allowed counts: `session`, `always`; for this call without it.
    remember: Option<String>,
}

/// It was done.
#[derive(Serialize)]
struct DoneAct {
    done: bool,
    text: String,
}

pub(super) async fn post(request: HttpRequest, caller: Caller, payload: web::Payload) -> HttpResponse {
    let wanted: ActOrder = match order(&request, payload, &caller, "act here").await {
        Ok(order) => order,
        Err(refusal) => return refusal,
    };
    let session = wanted.session.as_deref().and_then(|id| sessions::of_digest(&caller.gateway, id));
    let act = match read(&wanted, session.as_ref()) {
        Ok(act) => act,
        Err(why) => return answer::error(StatusCode::BAD_REQUEST, why, None),
    };
    let decided = match &act {
        Act::Decide { held, decision } => Some((held.clone(), *decision)),
        _ => None,
    };
    match ask(&caller, act).await {
        Ok(ActOutcome::Done(_)) if decided.is_some() => match decided {
            Some((held, decision)) => told(decide(&caller, &held, decision)),
            None => answer::busy(),
        },
        Ok(ActOutcome::Done(text)) => match session {
            Some(session) => {
                caller.gateway.sessions.close(session.id());
                lifetime::release(&caller.gateway, &session);
                told(ActOutcome::Done("the session is ended; its client has to begin a new one".to_owned()))
            }
            None => told(ActOutcome::Done(text)),
        },
        Ok(outcome) => told(outcome),
        Err(refusal) => refusal,
    }
}

/// Decides on a call that waits; the supervisor has said that this caller may.
fn decide(caller: &Caller, held: &str, decision: ApprovalDecision) -> ActOutcome {
    let gateway = &caller.gateway;
    if decision.remembered() > gateway.settings().approvals.remember {
        let why = "this answer may not count for so long; set `approvals.remember` in the configuration";
        return ActOutcome::Failed(why.to_owned());
    }
    let by = caller.principal.name().map_or_else(|| "page".to_owned(), |name| format!("page:{name}"));
    match gateway.held_calls.decide(held, ApprovalVerdict { decision, by }, Instant::now()) {
        Some(HoldEnd::Refused) => ActOutcome::Done("the call is refused".to_owned()),
        Some(_) => ActOutcome::Done("the call is allowed".to_owned()),
        None => ActOutcome::Failed("this call does not wait any more".to_owned()),
    }
}

fn read(order: &ActOrder, session: Option<&Rc<Session>>) -> Result<Act, &'static str> {
    let server = || {
        let name = order.server.as_deref().or(order.approval.as_deref()).ok_or("`server` is missing")?;
        ServerName::try_from(name).map_err(|_| "`server` is no name of a server")
    };
    match &*order.act {
        "restart" => Ok(Act::Restart(server()?)),
        "enable" => Ok(Act::Enable(server()?)),
        "disable" => Ok(Act::Disable(server()?)),
        "approve" => Ok(Act::Approve(server()?)),
        "allow" | "refuse" if order.held.is_some() => {
            let decision = match (&*order.act, order.remember.as_deref()) {
                ("refuse", None) => ApprovalDecision::Refuse,
                ("allow", None) => ApprovalDecision::Once,
                ("allow", Some("session")) => ApprovalDecision::Session,
                ("allow", Some("always")) => ApprovalDecision::Always,
                _ => return Err("`remember` is `session` or `always`, and goes with `allow`"),
            };
            let held = order.held.clone().unwrap_or_default();
            Ok(Act::Decide { held, decision })
        }
        "allow" => Err("`held` is missing"),
        "refuse" => Err("what is held stays held until it is approved; nothing has to be refused"),
        "reload" => Ok(Act::Reload),
        "endSession" => match (&order.session, session) {
            (Some(id), Some(_)) => Ok(Act::EndSession { session: id.clone() }),
            (Some(_), None) => Err("there is no such session any more"),
            (None, _) => Err("`session` is missing"),
        },
        _ => Err("`act` is none of restart, enable, disable, approve, allow, refuse, reload, endSession"),
    }
}

/// What a request wants, from a caller that may want something.
pub(super) async fn order<T: DeserializeOwned>(
    request: &HttpRequest,
    payload: web::Payload,
    caller: &Caller,
    what: &str,
) -> Result<T, HttpResponse> {
    if !caller.may_administer {
        return Err(caller.refused(what));
    }
    let body = body::read(request, payload, &caller.gateway, async || Bound::WithoutSession).await;
    let body = body.map_err(|error| answer::error(error.status_code(), &error.to_string(), None))?;
    serde_json::from_slice(&body).map_err(|error| {
        answer::error(StatusCode::BAD_REQUEST, &format!("the body is not as it has to be: {error}"), None)
    })
}

/// Asks the supervisor, which may refuse.
pub(super) async fn ask(caller: &Caller, act: Act) -> Result<ActOutcome, HttpResponse> {
    let by = ActingCaller { principal: caller.principal.name().map(str::to_owned), peer: caller.peer };
    caller.gateway.supervisor.act(act, by).await.ok_or_else(answer::busy)
}

/// The answer to an act.
pub(super) fn told(outcome: ActOutcome) -> HttpResponse {
    match outcome {
        ActOutcome::Done(text) => answer::json(&DoneAct { done: true, text }),
        ActOutcome::Failed(why) => answer::error(StatusCode::CONFLICT, &why, None),
        ActOutcome::Refused(why) => answer::error(StatusCode::FORBIDDEN, &why, None),
    }
}

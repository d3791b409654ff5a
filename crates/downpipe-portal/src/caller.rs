//! Who a request is from: the person that a token names, and the app that signed it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::{AUTHORIZATION, ORIGIN};
use axum::http::request::Parts;
use downpipe_core::catalog::Definition;
use downpipe_core::job::Job;
use downpipe_core::requester::Requester;
use serde_json::value::RawValue;

use crate::peer::Peer;
use crate::portal::{Portal, Ports};
use crate::problem::Problem;
use crate::token::{self, Verified};

/// A person, as an app has sent them.
#[derive(Debug)]
pub(crate) struct Caller {
    /// The person.
    pub(crate) requester: Requester,
    /// The app.
    pub(crate) app: String,
    /// The exports that the token allows.
    exports: Vec<String>,
    /// Parameters that the token fixes.
    pub(crate) params: BTreeMap<String, Box<RawValue>>,
    /// Whether the person sees and cancels every job.
    pub(crate) is_operator: bool,
    /// Where the request came from: the address of the connection. A header would be the sender's own word.
    pub(crate) address: Option<String>,
}

impl Caller {
    /// Returns whether the person may ask for this export.
    pub(crate) fn may_request(&self, definition: &Definition) -> bool {
        self.has_export(&definition.name) && definition.access.allows(&self.requester)
    }

    /// Returns whether the person may see this job, and cancel it: their own, of an export that the token allows.
    pub(crate) fn may_see(&self, job: &Job) -> bool {
        self.has_export(&job.export) && (self.is_operator || job.requested_by == self.requester)
    }

    fn has_export(&self, name: &str) -> bool {
        self.exports.iter().any(|export| export == name)
    }
}

impl<P: Ports> FromRequestParts<Arc<Portal<P>>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, portal: &Arc<Portal<P>>) -> Result<Self, Problem> {
        let token = bearer_token(parts).ok_or_else(Problem::unauthenticated)?;
        let secret = portal.secrets.current().await;
        let Verified { app, requester, exports, params } = token::verify(token, &secret, &portal.url)
            .map_err(|invalid| Problem::invalid_token(invalid.0))?;
        if let Some(origin) = parts.headers.get(ORIGIN) {
            let listed = secret.app(&app).map(|app| app.origins.as_slice()).unwrap_or_default();
            if !listed.iter().any(|listed| listed.as_bytes() == origin.as_bytes()) {
                return Err(Problem::foreign_origin());
            }
        }
        portal.limits.count(requester.as_str()).map_err(Problem::too_many_requests)?;
        let is_operator = portal.operators.contains(&requester);
        let Ok(Peer(address)) = Peer::from_request_parts(parts, portal).await;
        Ok(Self { requester, app, exports, params, is_operator, address })
    }
}

/// Returns the token of the header `Authorization`.
fn bearer_token(parts: &Parts) -> Option<&str> {
    let value = parts.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

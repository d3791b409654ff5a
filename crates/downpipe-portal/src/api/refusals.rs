//! What every route may answer instead, for the document.

use utoipa::IntoResponses;

use crate::problem::ProblemBody;

/// Refusals of every route that needs a token.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only the document has it")]
pub(crate) enum Refusals {
    /// There is no token, or it is no good.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthenticated(ProblemBody),
    /// The page that sent the token is of an origin that its app does not list.
    #[response(status = 403, content_type = "application/problem+json")]
    ForeignOrigin(ProblemBody),
    /// The answer is of a kind that the header Accept leaves out.
    #[response(status = 406, content_type = "application/problem+json")]
    NotAcceptable(ProblemBody),
    /// There were more than ten requests of this person within a second.
    #[response(status = 429, content_type = "application/problem+json")]
    TooManyRequests(ProblemBody),
    /// A part of the portal did not answer. Nothing is lost; Retry-After says when to try again.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(ProblemBody),
}

/// The refusal of what does not exist, or is not the caller's. The two cannot be told apart.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only the document has it")]
pub(crate) enum Missing {
    /// There is nothing of the caller's here.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(ProblemBody),
}

/// Refusals of values, each wrong one named.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only the document has it")]
pub(crate) enum Wrong {
    /// The request cannot be read.
    #[response(status = 400, content_type = "application/problem+json")]
    Malformed(ProblemBody),
    /// Values are wrong: `errors` names every one.
    #[response(status = 422, content_type = "application/problem+json")]
    Values(ProblemBody),
}

/// The refusal of a job in another state.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only the document has it")]
pub(crate) enum Conflict {
    /// The job has ended already, has not ended yet, or ended without a file.
    #[response(status = 409, content_type = "application/problem+json")]
    State(ProblemBody),
}

/// Refusals of a body.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only the document has it")]
pub(crate) enum BadBody {
    /// The body has more than 64 KiB.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(ProblemBody),
    /// The body is no JSON, or compressed.
    #[response(status = 415, content_type = "application/problem+json")]
    OtherKind(ProblemBody),
}

/// The refusal of a file that is not there any more.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only the document has it")]
pub(crate) enum Gone {
    /// The file was deleted after its retention, or before by its requester.
    #[response(status = 410, content_type = "application/problem+json")]
    Deleted(ProblemBody),
}

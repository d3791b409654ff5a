//! A query that is ready to run.

use jiff::tz::TimeZone;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::throttle_time::ThrottleTime;
use crate::catalog::{QuoteModes, SqlPiece, Throttle};
use crate::job::JobAttempt;

/// A query that is ready to run.
#[derive(Debug, Clone)]
pub struct Query {
    /// SQL with its values in place.
    pub sql: Vec<SqlPiece>,
    /// The time zone in which it is evaluated, and on whose clock instants come.
    pub time_zone: TimeZone,
    /// The modes in which a server reads it as the definition's author meant it.
    pub modes: QuoteModes,
    /// When it must have ended. A query still running then is killed.
    pub deadline: Instant,
    /// Cancels it before that.
    pub cancellation: CancellationToken,
    /// The attempt at a job that it is read for. The database's administrators see it, and a later attempt finds the query that
    /// this one has left running.
    pub token: Option<JobAttempt>,
    /// The definition's throttle. The export keeps the rates of rows and bytes, and the source watches the server's load.
    pub throttle: Throttle,
    /// How long the throttle has held it back.
    pub waits: ThrottleTime,
}

impl Query {
    /// A query that nothing cancels, evaluated in UTC, read for no job and without a throttle.
    #[must_use]
    pub fn new(sql: Vec<SqlPiece>, deadline: Instant) -> Self {
        let (cancellation, throttle, waits) =
            (CancellationToken::new(), Throttle::default(), ThrottleTime::default());
        let modes = QuoteModes::any();
        Self { sql, time_zone: TimeZone::UTC, modes, deadline, cancellation, token: None, throttle, waits }
    }
}

//! Running a prepared query and pushing its rows into the sink.

use downpipe_core::catalog::SqlPiece;
use downpipe_core::login::LoginSource;
use downpipe_core::source::{Query, RowSink, SinkState, Snapshot, SourceError};
use futures_util::TryStreamExt as _;
use sqlx::mysql::{MySqlColumn, MySqlConnection, MySqlRow};
use sqlx::{Connection as _, Either, Executor as _, Row as _, Statement as _};
use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::{NoSubscriber, with_default};

use super::columns::{self, WireType};
use super::prepare::prepare;
use super::session::Session;
use super::threads::Thread;
use super::{cells, statement};
use crate::connection::error::{TABLE_CHANGED, is_table_changed, of_bound_query, of_query};
use crate::connection::timeouts::{ROUND_TRIP_TIMEOUT, within};

/// Rows that are read before other tasks get their turn. While the socket has more rows, the driver never waits, and neither
/// the deadline, a cancellation nor the server's load would be seen.
const ROWS_PER_YIELD: u64 = 1024;

/// How many snapshots are taken for one query.
const MAX_SNAPSHOTS: u32 = 3;

/// Pushes every row into the sink, and returns how many there were.
///
/// A snapshot cannot read a table that was changed after it was taken. A query that waited behind such a change gets a new
/// snapshot, as long as it has sent no row.
pub(super) async fn read_rows<L: LoginSource, S: RowSink>(
    connection: &mut MySqlConnection,
    thread: &Thread<'_, L>,
    session: &mut Session,
    query: &Query,
    sink: &mut S,
) -> Result<u64, SourceError> {
    session.check_quotes(query)?;
    for taken in 1..=MAX_SNAPSHOTS {
        if let Some(rows) = read_snapshot(connection, thread, &session.snapshot, query, sink).await? {
            return Ok(rows);
        }
        if taken < MAX_SNAPSHOTS {
            tracing::info!("a table was changed before the query could read it; taking a new snapshot");
            // So that the query is prepared anew: the table may have other columns.
            connection.clear_cached_statements().await.map_err(of_query)?;
            within(ROUND_TRIP_TIMEOUT, session.renew_snapshot(connection)).await?;
        }
    }
    Err(SourceError::Busy { code: TABLE_CHANGED })
}

/// Reads the query once; `None` when a table was changed after the snapshot was taken and before the first row came.
async fn read_snapshot<L: LoginSource, S: RowSink>(
    connection: &mut MySqlConnection,
    thread: &Thread<'_, L>,
    snapshot: &Snapshot,
    query: &Query,
    sink: &mut S,
) -> Result<Option<u64>, SourceError> {
    let text = statement::text(query);
    let prepared = prepare(connection, thread, query, &text).await?;
    sink.accept(&prepared.columns().iter().map(|column| columns::describe(column).0).collect::<Vec<_>>())?;
    // The driver enters the current span twice for every row, so it begins where there is none. (`fetch` adds a layer around
    // every row.)
    let mut stream = with_default(NoSubscriber::default(), || {
        connection.fetch_many(statement::bind_all(text, &query.sql))
    });
    let mut next = stream.try_next().with_subscriber(NoSubscriber::default()).await;
    if next.as_ref().is_err_and(is_table_changed) {
        return Ok(None);
    }
    let mut plan = RowPlan::default();
    let mut rows = 0_u64;
    // Without a value, none can be at fault.
    let is_bound = query.sql.iter().any(|piece| matches!(piece, SqlPiece::Value(_)));
    let of_error = if is_bound { of_bound_query } else { of_query };
    while let Some(step) = next.map_err(of_error)? {
        // What is no row says that the result has ended.
        if let Either::Right(row) = step {
            if rows == 0 {
                plan = start(sink, row.columns(), snapshot)?;
            }
            rows += 1;
            if push_row(&row, &plan, sink)? == SinkState::Full {
                sink.flush().await?;
            }
            if rows.is_multiple_of(ROWS_PER_YIELD) {
                tokio::task::yield_now().await;
            }
        }
        next = stream.try_next().await;
    }
    if rows == 0 {
        // sqlx shows a result's columns only with its rows.
        start(sink, prepared.columns(), snapshot)?;
    }
    Ok(Some(rows))
}

/// What the sink takes of a row: places, and how the values there lie on the wire.
#[derive(Default)]
struct RowPlan {
    cells: Vec<(usize, WireType)>,
    key: Option<(usize, WireType)>,
}

fn push_row<S: RowSink>(row: &MySqlRow, plan: &RowPlan, sink: &mut S) -> Result<SinkState, SourceError> {
    for (index, wire) in &plan.cells {
        sink.cell(cells::read(row, *index, *wire)?);
    }
    if let Some((index, wire)) = plan.key {
        sink.key(cells::read(row, index, wire)?)?;
    }
    Ok(sink.end_row()?)
}

/// Describes the columns to the sink, and returns which of them it takes.
fn start<S: RowSink>(
    sink: &mut S,
    columns: &[MySqlColumn],
    snapshot: &Snapshot,
) -> Result<RowPlan, SourceError> {
    let (columns, wires): (Vec<_>, Vec<_>) = columns.iter().map(columns::describe).unzip();
    let wanted = sink.start(&columns, snapshot)?;
    let with_wire = |index| (index, wires[index]);
    Ok(RowPlan { cells: wanted.cells.into_iter().map(with_wire).collect(), key: wanted.key.map(with_wire) })
}

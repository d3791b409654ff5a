//! Tracks from where another run could resume a file, and makes the checkpoint that says so.

use downpipe_format::{Cell, Column, ColumnChanges, ColumnKind, RowEncoder, fixed_offset, zone_name};

use super::key_order::KeyOrderCheck;
use super::object_writer::UploadPosition;
use super::plan::ExportPlan;
use crate::job::{Checkpoint, CompletedFile, Key, RowPosition};
use crate::source::{SinkError, Snapshot};

/// Tracks keys and positions of the rows of one export.
pub(crate) struct CheckpointTracker<'a> {
    plan: &'a ExportPlan<'a>,
    /// Whether another run may resume the file.
    is_resumable: bool,
    /// Where this run resumes.
    from: Option<&'a Checkpoint>,
    /// The columns' labels and the snapshot, once rows come.
    header: Option<(Vec<String>, Snapshot)>,
    /// The order of the rows' keys, if the definition names a resume column.
    keys: Option<KeyOrderCheck>,
    /// The key of the last row that the file takes, once that has come.
    last_key_of_file: Option<Key>,
    /// The end of the file before this one, if another run could resume there.
    position_at_file_end: Option<RowPosition>,
}

impl<'a> CheckpointTracker<'a> {
    /// Tracks an export from its first row.
    pub(crate) fn new(plan: &'a ExportPlan<'a>) -> Self {
        Self {
            plan,
            is_resumable: plan.is_resumable(),
            from: None,
            header: None,
            keys: plan.resume_column().map(|_| KeyOrderCheck::default()),
            last_key_of_file: None,
            position_at_file_end: None,
        }
    }

    /// Tracks an export from where an earlier run stopped.
    pub(crate) fn resume(plan: &'a ExportPlan<'a>, from: &'a Checkpoint) -> Self {
        Self {
            from: Some(from),
            keys: Some(KeyOrderCheck::after(&from.key)),
            // A checkpoint without an upload is one between two files.
            position_at_file_end: from.upload.is_none().then(|| from.row_position()),
            ..Self::new(plan)
        }
    }

    /// Whether another run may resume the file.
    pub(crate) fn is_resumable(&self) -> bool {
        self.is_resumable
    }

    /// Returns the checkpoint from which this run resumes.
    pub(crate) fn resumed_from(&self) -> Option<&'a Checkpoint> {
        self.from
    }

    /// Returns the moment of the snapshot that the first run has read.
    pub(crate) fn as_of(&self) -> Option<jiff::Timestamp> {
        self.from.map(|from| from.as_of).or_else(|| self.header.as_ref().map(|(_, snapshot)| snapshot.as_of))
    }

    /// Returns where the resume column stands in the query, if the definition names one.
    pub(crate) fn key_column(&self, columns: &[Column]) -> Result<Option<usize>, SinkError> {
        let Some(name) = self.plan.resume_column() else { return Ok(None) };
        let Some(position) = columns.iter().position(|column| column.name.eq_ignore_ascii_case(name)) else {
            return Err(SinkError::NoResumeColumn { column: name.to_owned() });
        };
        let is_instant = matches!(columns[position].kind, ColumnKind::Timestamp { .. });
        let zone = &self.plan.query.time_zone;
        if is_instant && fixed_offset(zone).is_none() {
            let (column, zone) = (name.to_owned(), zone_name(zone).to_owned());
            return Err(SinkError::NotOneInstant { column, zone });
        }
        Ok(Some(position))
    }

    /// Notes labels and snapshot, and holds them against those with which an earlier run has begun the file.
    pub(crate) fn start(&mut self, labels: Vec<String>, snapshot: &Snapshot) -> Result<(), SinkError> {
        if let Some(from) = self.from {
            from.session.compare(&snapshot.session).map_err(SinkError::SessionChanged)?;
            if from.columns != labels {
                return Err(SinkError::ColumnsChanged { expected: from.columns.clone(), actual: labels });
            }
        }
        self.header = Some((labels, snapshot.clone()));
        Ok(())
    }

    /// Holds the key of this row (from 1) against the one before.
    pub(crate) fn check_key(&mut self, key: Cell<'_>, row: u64) -> Result<(), SinkError> {
        let Some(keys) = &mut self.keys else { return Ok(()) };
        keys.check_next(key).map_err(|reason| SinkError::Key {
            row,
            column: self.plan.resume_column().unwrap_or_default().to_owned(),
            reason,
        })
    }

    /// Whether another run could not resume after the last row's key.
    pub(crate) fn has_unusable_key(&self) -> bool {
        self.keys.as_ref().is_some_and(KeyOrderCheck::last_key_not_resumable)
    }

    /// Notes that the last row is the last that the file takes.
    pub(crate) fn note_last_row_of_file(&mut self) {
        self.last_key_of_file = self.keys.as_ref().and_then(KeyOrderCheck::last);
    }

    /// Notes that a file is full, with so many rows in it and those before.
    pub(crate) fn note_file_end(&mut self, rows: u64, changes: Vec<ColumnChanges>) {
        let key = self.last_key_of_file.take().filter(|_| self.is_resumable);
        self.position_at_file_end = key.map(|key| RowPosition { key, rows, rows_in_file: 0, changes });
    }

    /// Returns the end of the file before this one, if another run could resume there.
    pub(crate) fn position_at_file_end(&self) -> Option<&RowPosition> {
        self.position_at_file_end.as_ref()
    }

    /// Returns the position after the last row, if another run could resume there.
    pub(crate) fn position_after(&self, rows: &RowEncoder) -> Option<RowPosition> {
        let keys = self.keys.as_ref().filter(|_| self.is_resumable)?;
        Some(RowPosition {
            key: keys.last()?,
            rows: rows.rows(),
            rows_in_file: rows.rows_in_file(),
            changes: rows.column_changes(),
        })
    }

    /// Makes a checkpoint of a position in the upload that `attempt` has begun, with the files before it. `None` before rows come.
    pub(crate) fn checkpoint(
        &self,
        position: UploadPosition,
        attempt: u32,
        files: Vec<CompletedFile>,
    ) -> Option<Checkpoint> {
        let (columns, Snapshot { session, .. }) = self.header.clone()?;
        let as_of = self.as_of()?;
        let UploadPosition { upload, object_key, parts, bytes, digests, row } = position;
        let RowPosition { key, rows, rows_in_file, changes } = row;
        let (sha256, crc64nvme) = digests.state();
        Some(Checkpoint {
            upload,
            object_key,
            attempt,
            parts,
            key,
            rows,
            rows_in_file,
            bytes,
            sha256,
            crc64nvme,
            files,
            changes,
            columns,
            definition_sha256: self.plan.definition().version(),
            session,
            as_of,
            seconds: self.plan.seconds_taken(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::test_plan::with_plan;
    use crate::job::KeyError;
    use crate::store::NewObject;
    use crate::testing::ScriptedSource;

    const RESUMABLE: &str = "title = 'T'\nsql = 'SELECT id FROM t WHERE id > :after ORDER BY id'
        [resume]\ncolumn = 'id'\nstart = 0\n";

    fn columns() -> Vec<Column> {
        vec![Column {
            name: "ID".to_owned(),
            kind: ColumnKind::Integer { bits: 64, unsigned: false, zerofill: 0 },
        }]
    }

    /// An encoder that has taken a row of each of these keys.
    fn encoder(plan: &ExportPlan<'_>, tracker: &mut CheckpointTracker<'_>, keys: &[i64]) -> RowEncoder {
        let mut rows =
            RowEncoder::start(plan.style().clone(), &plan.definition().layout, &columns()).unwrap();
        tracker.start(rows.labels(), &ScriptedSource::snapshot()).unwrap();
        for key in keys {
            rows.cell(Cell::Int(*key));
            tracker.check_key(Cell::Int(*key), rows.rows() + 1).unwrap();
            rows.end_row().unwrap();
        }
        rows
    }

    fn before(plan: &ExportPlan<'_>, row: RowPosition) -> UploadPosition {
        UploadPosition::before(&NewObject::known_by("key", plan.object.token.clone()), row)
    }

    #[test]
    fn checkpoint_of_last_row_has_its_key_and_what_must_stay_the_same() {
        with_plan(RESUMABLE, |plan| {
            let mut tracker = CheckpointTracker::new(plan);
            let rows = encoder(plan, &mut tracker, &[3, 7]);
            let position = tracker.position_after(&rows).unwrap();
            let checkpoint = tracker.checkpoint(before(plan, position), 1, Vec::new()).unwrap();
            assert_eq!((checkpoint.key, checkpoint.rows, checkpoint.rows_in_file), (Key::Integer(7), 2, 2));
            assert_eq!((checkpoint.columns, checkpoint.as_of), (rows.labels(), ScriptedSource::AS_OF));
            assert_eq!(checkpoint.session, ScriptedSource::snapshot().session);
            assert_eq!(checkpoint.definition_sha256, plan.definition().version());
        });
    }

    #[test]
    fn key_that_does_not_ascend_names_row_and_column() {
        with_plan(RESUMABLE, |plan| {
            let mut tracker = CheckpointTracker::new(plan);
            let rows = encoder(plan, &mut tracker, &[3]);
            let error = tracker.check_key(Cell::Int(3), rows.rows() + 1).unwrap_err();
            let SinkError::Key { row, column, reason } = error else { panic!("{error:?}") };
            assert_eq!((row, column.as_str(), reason), (2, "id", KeyError::NotAscending));
        });
    }

    #[test]
    fn plan_without_resume_column_has_no_position() {
        with_plan("title = 'T'\nsql = 'SELECT id FROM t'", |plan| {
            let mut tracker = CheckpointTracker::new(plan);
            assert_eq!(tracker.key_column(&columns()).unwrap(), None);
            let rows = encoder(plan, &mut tracker, &[7, 3]);
            assert_eq!(tracker.position_after(&rows), None);
            tracker.note_last_row_of_file();
            tracker.note_file_end(2, Vec::new());
            assert_eq!(tracker.position_at_file_end(), None);
        });
    }

    #[test]
    fn full_file_is_a_position_with_the_key_of_its_last_row() {
        with_plan(RESUMABLE, |plan| {
            let mut tracker = CheckpointTracker::new(plan);
            assert_eq!(tracker.key_column(&columns()).unwrap(), Some(0));
            encoder(plan, &mut tracker, &[3]);
            tracker.note_last_row_of_file();
            // The first row of the next file has come when the full one is taken.
            tracker.check_key(Cell::Int(4), 2).unwrap();
            tracker.note_file_end(1, Vec::new());
            let position = tracker.position_at_file_end().unwrap();
            assert_eq!((&position.key, position.rows, position.rows_in_file), (&Key::Integer(3), 1, 0));
        });
    }

    #[test]
    fn resumed_file_with_other_columns_or_settings_is_refused() {
        with_plan(RESUMABLE, |plan| {
            let mut tracker = CheckpointTracker::new(plan);
            let rows = encoder(plan, &mut tracker, &[3]);
            let position = tracker.position_after(&rows).unwrap();
            let from = tracker.checkpoint(before(plan, position), 1, Vec::new()).unwrap();
            let mut resumed = CheckpointTracker::resume(plan, &from);
            assert_eq!(resumed.position_at_file_end().map(|position| position.rows), Some(1));
            let renamed = resumed.start(vec!["number".to_owned()], &ScriptedSource::snapshot());
            assert!(matches!(renamed, Err(SinkError::ColumnsChanged { .. })), "{renamed:?}");
            let session = [("sql_mode".to_owned(), "ANSI_QUOTES".to_owned())].into_iter().collect();
            let changed = resumed.start(rows.labels(), &Snapshot { session, ..ScriptedSource::snapshot() });
            assert!(matches!(changed, Err(SinkError::SessionChanged(_))), "{changed:?}");
            resumed.start(rows.labels(), &ScriptedSource::snapshot()).unwrap();
            let repeated = resumed.check_key(Cell::Int(3), 2);
            assert!(matches!(repeated, Err(SinkError::Key { row: 2, .. })), "{repeated:?}");
        });
    }
}

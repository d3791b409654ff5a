//! The sink of an export: cells become bytes, bytes become files, files become objects in the store.

use downpipe_format::{Cell, Changes, Column, EncodeError, FinishedFile, RowEncoder};

use super::checkpoint_tracker::CheckpointTracker;
use super::hasher::Digests;
use super::object_pipeline::ObjectPipeline;
use super::object_writer::{ObjectWriter, UploadPosition};
use super::output_files::{OutputFiles, WrittenFile};
use super::plan::ExportPlan;
use super::progress::Progress;
use crate::catalog::Limits;
use crate::job::{Checkpoint, Key};
use crate::source::{EndOfResult, RowSink, SinkError, SinkState, Snapshot, Wanted};
use crate::store::{ObjectStore, ResumableStore, StoreError};

/// Writes the files of one export into a store: one, unless a spreadsheet has more rows than a sheet takes.
pub(crate) struct FileWriter<'a, S: ObjectStore, P: Progress> {
    store: &'a S,
    progress: &'a P,
    plan: &'a ExportPlan<'a>,
    limits: &'a Limits,
    /// The rows that a sheet takes, if the file is a spreadsheet.
    rows_per_file: Option<u64>,
    /// `None` before the columns are known, and when the last row has been written.
    rows: Option<RowEncoder>,
    /// The object that is being written.
    object: ObjectPipeline<'a, S>,
    files: OutputFiles<'a>,
    tracker: CheckpointTracker<'a>,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) rows: u64,
    pub(crate) files: Vec<WrittenFile>,
    pub(crate) columns: Vec<String>,
    pub(crate) changes: Changes,
    pub(crate) load_data: Option<String>,
}

impl<'a, S: ObjectStore, P: Progress> FileWriter<'a, S, P> {
    /// Begins with the first row.
    pub(crate) fn new(store: &'a S, progress: &'a P, plan: &'a ExportPlan<'a>) -> Self {
        let files = OutputFiles::new(plan, store.holds_several());
        let object = ObjectPipeline::new(store, files.current_object(), plan.style().compression());
        Self::of(store, progress, object, files, CheckpointTracker::new(plan), plan)
    }

    fn of(
        store: &'a S,
        progress: &'a P,
        object: ObjectPipeline<'a, S>,
        files: OutputFiles<'a>,
        tracker: CheckpointTracker<'a>,
        plan: &'a ExportPlan<'a>,
    ) -> Self {
        let (limits, rows_per_file) = (&plan.definition().limits, plan.style().rows_per_file());
        Self { store, progress, plan, limits, rows_per_file, rows: None, object, files, tracker }
    }

    /// Returns the rows that earlier runs have written.
    pub(crate) fn rows_before(&self) -> u64 {
        self.tracker.resumed_from().map_or(0, |from| from.rows)
    }

    /// Returns the moment of the snapshot that the first run has read.
    pub(crate) fn as_of(&self) -> Option<jiff::Timestamp> {
        self.tracker.as_of()
    }

    /// Returns the key after which this run reads on.
    pub(crate) fn resumed_after(&self) -> Option<&'a Key> {
        self.tracker.resumed_from().map(|from| &from.key)
    }

    /// Whether another run could not resume after the last row's key.
    pub(crate) fn has_unusable_key(&self) -> bool {
        self.tracker.has_unusable_key()
    }

    /// Whether a file before the last has been completed, or may have been: an answer can be lost.
    pub(crate) fn has_several(&self) -> bool {
        self.files.has_several()
    }

    /// Returns the rows written so far.
    pub(crate) fn rows(&self) -> u64 {
        self.rows.as_ref().map_or(0, RowEncoder::rows)
    }

    /// Makes a checkpoint of what is in the store, if another run could resume there.
    fn checkpoint(&mut self) -> Option<Checkpoint> {
        let between_files = || {
            let row = self.tracker.position_at_file_end()?.clone();
            Some(UploadPosition::before(&self.files.staged_object(), row))
        };
        let position = self.object.position().or_else(between_files)?;
        let files = self.files.holding(position.row.rows - position.row.rows_in_file)?;
        self.tracker.checkpoint(position, self.files.attempt(), files)
    }

    /// Stops, and leaves what is in the store to the run that resumes from the checkpoint. `None` when no run can; then
    /// [`Progress::save_checkpoint`] has heard of no checkpoint either.
    pub(crate) async fn pause(&mut self) -> Option<Checkpoint> {
        if !self.tracker.is_resumable() {
            return None;
        }
        self.object.pause().await;
        self.checkpoint().or_else(|| self.tracker.resumed_from().cloned())
    }

    /// Stores what is left and gives the files their names. Only to be called for a result that is proven whole.
    pub(crate) async fn complete(&mut self, end: &EndOfResult) -> Result<Written, SinkError> {
        let Some(rows) = self.rows.take() else {
            unreachable!("a source that has come to its end has said what the columns are")
        };
        let mut written = Written {
            rows: rows.rows(),
            files: Vec::new(),
            columns: rows.labels(),
            changes: rows.changes(),
            load_data: rows.load_data(),
        };
        let changed: u64 = written.changes.iter().map(|(_, changes)| changes.total()).sum();
        let last = self.files.finish(vec![
            ("downpipe-as-of", end.snapshot.as_of.to_string()),
            ("downpipe-changed", changed.to_string()),
        ]);
        // Nothing of a workbook has been sent yet, so it goes to its own key from the start.
        self.object.readdress(last);
        self.end_file(rows.into_file()).await?;
        // What was waiting for a compressor, or to become a workbook, has its size only now.
        self.check_limits(written.rows, 0)?;
        self.files.verify_rows(written.rows)?;
        // The last moment to learn that another worker has the job now.
        self.progress.on_progress(written.rows, self.bytes()).await?;
        self.progress.ensure_lease_held().await?;
        self.complete_object().await?;
        written.files = self.files.rename(self.store).await?;
        Ok(written)
    }

    /// Aborts the object that is being written and leaves nothing of it behind.
    pub(crate) async fn abort(self) -> Result<(), StoreError> {
        self.object.abort().await
    }

    /// Goes on in another file, as the sheet is full and there are more rows. That file is another object or, in an archive, a
    /// part of the same.
    async fn next_file(&mut self, full: FinishedFile) -> Result<(), SinkError> {
        self.files.ensure_another_fits(full.rows)?;
        let changes = full.changes.clone();
        self.end_file(full).await?;
        self.files.begin_next();
        if self.files.are_objects() {
            self.complete_object().await?;
            self.tracker.note_file_end(self.files.rows(), changes);
            let compression = self.plan.style().compression();
            self.object = ObjectPipeline::new(self.store, self.files.current_object(), compression);
        }
        Ok(self.object.begin_file(&self.files.name_in_archive())?)
    }

    async fn end_file(
        &mut self,
        FinishedFile { mut encoder, rows, .. }: FinishedFile,
    ) -> Result<(), SinkError> {
        // A workbook takes seconds to put together, and the lease must be renewed meanwhile.
        let finished = tokio::task::spawn_blocking(move || encoder.finish().map(|()| encoder)).await;
        let mut encoder = finished.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        self.object.send(&mut *encoder, None).await?;
        self.files.note_file_end(rows);
        self.object.end_file().await
    }

    async fn complete_object(&mut self) -> Result<(), SinkError> {
        let stored = self.object.complete(self.files.rows_in_object()).await?;
        self.files.note_completed(stored);
        Ok(())
    }

    /// Returns the bytes in the store, on their way there, or ready to go.
    fn bytes(&self) -> u64 {
        self.files.bytes() + self.object.bytes()
    }

    fn check_limits(&self, rows: u64, waiting: usize) -> Result<(), SinkError> {
        // What is still in front of a compressor is not counted: it will be less.
        let bytes = || self.bytes() + if self.object.compresses() { 0 } else { waiting as u64 };
        match (self.limits.rows, self.limits.bytes) {
            (Some(most), _) if rows > most => Err(SinkError::Limit { what: "rows", most }),
            (_, Some(most)) if bytes() > most => Err(SinkError::Limit { what: "bytes", most }),
            _ => Ok(()),
        }
    }
}

impl<'a, S: ResumableStore, P: Progress> FileWriter<'a, S, P> {
    /// Resumes where an earlier run stopped. `None` when that is not possible any more: its upload is gone, or another worker has
    /// written to it.
    pub(crate) async fn resume(
        store: &'a S,
        progress: &'a P,
        plan: &'a ExportPlan<'a>,
        from: &'a Checkpoint,
    ) -> Result<Option<Self>, StoreError> {
        let Some(digests) = Digests::in_state(&from.sha256, from.crc64nvme) else { return Ok(None) };
        let files = OutputFiles::resume(plan, store.holds_several(), from);
        let (object, compression) = (files.current_object(), plan.style().compression());
        let object = match &from.upload {
            None => ObjectPipeline::new(store, object, compression),
            Some(upload) => {
                let Some(upload) = store.resume_upload(&object, upload, &from.parts).await? else {
                    return Ok(None);
                };
                ObjectPipeline::resume(
                    store,
                    ObjectWriter::resume(object, upload, from, digests),
                    compression,
                )
            }
        };
        let tracker = CheckpointTracker::resume(plan, from);
        Ok(Some(Self::of(store, progress, object, files, tracker, plan)))
    }
}

impl<S: ObjectStore, P: Progress> RowSink for FileWriter<'_, S, P> {
    fn accept(&self, columns: &[Column]) -> Result<(), SinkError> {
        self.tracker.key_column(columns)?;
        let layout = &self.plan.definition().layout;
        Ok(RowEncoder::accept(self.plan.style(), layout, columns).map_err(EncodeError::Layout)?)
    }

    fn start(&mut self, columns: &[Column], snapshot: &Snapshot) -> Result<Wanted, SinkError> {
        let key = self.tracker.key_column(columns)?;
        let layout = &self.plan.definition().layout;
        let mut rows = RowEncoder::start(self.plan.style().clone(), layout, columns)?;
        let from = self.tracker.resumed_from();
        // In the middle of an upload, the file has begun already.
        if from.is_none_or(|from| from.upload.is_none()) {
            self.object.begin_file(&self.files.name_in_archive())?;
        }
        self.tracker.start(rows.labels(), snapshot)?;
        let cells = rows.sources();
        if let Some(from) = from {
            rows.resume(from.rows, from.rows_in_file, &from.changes)?;
        }
        self.rows = Some(rows);
        Ok(Wanted { cells, key })
    }

    #[inline(always)]
    fn cell(&mut self, cell: Cell<'_>) {
        if let Some(rows) = &mut self.rows {
            rows.cell(cell);
        }
    }

    fn key(&mut self, key: Cell<'_>) -> Result<(), SinkError> {
        let Some(rows) = &self.rows else { return Ok(()) };
        self.tracker.check_key(key, rows.rows() + 1)?;
        if self.rows_per_file == Some(rows.rows_in_file() + 1) {
            self.tracker.note_last_row_of_file();
        }
        Ok(())
    }

    fn end_row(&mut self) -> Result<SinkState, SinkError> {
        let chunk_bytes = self.object.chunk_bytes();
        let Some(rows) = &mut self.rows else { return Ok(SinkState::Ready) };
        rows.end_row()?;
        let waiting = rows.buffered();
        let full = rows.has_full() || waiting >= chunk_bytes;
        let rows = rows.rows();
        self.check_limits(rows, waiting)?;
        Ok(if full { SinkState::Full } else { SinkState::Ready })
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        // Taken out for as long as it is lent to a file of its own.
        let Some(mut rows) = self.rows.take() else { return Ok(()) };
        if let Some(full) = rows.take_full() {
            self.next_file(full).await?;
        }
        let position = self.tracker.position_after(&rows);
        self.object.send(rows.file(), position).await?;
        let written = rows.rows();
        self.rows = Some(rows);
        if self.tracker.is_resumable()
            && self.progress.wants_checkpoint()
            && let Some(checkpoint) = self.checkpoint()
        {
            self.progress.save_checkpoint(checkpoint);
        }
        Ok(self.progress.on_progress(written, self.bytes()).await?)
    }
}

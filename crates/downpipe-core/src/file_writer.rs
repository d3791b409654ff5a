//! The sink of an export: cells become bytes, bytes become files, files become objects in the store.

use downpipe_format::{Cell, Changes, Column, Compression, EncodeError, Encoder, FullFile, RowEncoder};

use crate::checkpoint::{self, Checkpoint};
use crate::digests::Digests;
use crate::object_writer::{ObjectWriter, Point, RowMark, StoredObject};
use crate::packing::Packing;
use crate::pipeline::{Order, Progress};
use crate::resume::{Ascent, Key};
use crate::source::{EndOfResult, RowSink, SinkError, SinkState, Wanted};
use crate::split;
use crate::store::{NewObject, ObjectStore, StoreError};

/// Bytes that go to a compressor at once; a part of the upload is made of many of these.
const CHUNK_BYTES: usize = 1 << 20;

/// Writes the files of one export into a store: one, unless a spreadsheet has more rows than a sheet takes.
pub(crate) struct FileWriter<'a, S: ObjectStore, P: Progress> {
    store: &'a S,
    progress: &'a P,
    order: &'a Order,
    /// `None` before the columns are known, and when the last row has been written.
    rows: Option<RowEncoder>,
    packing: Packing,
    /// The object that is being written.
    object: ObjectWriter<'a, S>,
    /// Rows in the files of it that have ended.
    object_rows: u64,
    /// Objects that are full, under names that are not theirs yet.
    staged: Vec<WrittenFile>,
    /// The file that is being written, from 1. In an archive, all files are one object.
    number: u32,
    /// What the metadata of an object says besides, once the result is at its end.
    facts: Vec<(&'static str, String)>,
    /// The object under its final name, with the token of the attempt that began it.
    target: NewObject,
    /// Where this run goes on, until the columns are known.
    from: Option<&'a Checkpoint>,
    /// The keys of the rows, if others could go on after them.
    keys: Option<Ascent>,
    /// The key of the last row that the file takes, when it has come.
    last_of_file: Option<Key>,
    /// How far the rows were when the file before was full, if that is somewhere from where others could go on.
    between: Option<RowMark>,
    /// How far the rows are that have gone to the packer, if that is somewhere from where others could go on.
    packed: Option<RowMark>,
    /// The headings, and the snapshot that is read, once rows come.
    begun: Option<(Vec<String>, jiff::Timestamp)>,
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

/// An object with the rows in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WrittenFile {
    pub(crate) stored: StoredObject,
    pub(crate) rows: u64,
}

impl<'a, S: ObjectStore, P: Progress> FileWriter<'a, S, P> {
    pub(crate) fn new(store: &'a S, progress: &'a P, order: &'a Order) -> Self {
        let target = order.object.clone();
        Self {
            object: ObjectWriter::new(first_object(&target, order, store)),
            packing: Packing::new(order.style.compression()),
            store,
            progress,
            order,
            rows: None,
            object_rows: 0,
            staged: Vec::new(),
            number: 1,
            facts: Vec::new(),
            target,
            from: None,
            keys: order.resume_column.as_ref().map(|_| Ascent::default()),
            last_of_file: None,
            between: None,
            packed: None,
            begun: None,
        }
    }

    /// Goes on where an earlier run stopped. `None` when that is not possible any more: its upload is gone, or somebody else has
    /// written to it.
    pub(crate) async fn go_on(
        store: &'a S,
        progress: &'a P,
        order: &'a Order,
        from: &'a Checkpoint,
    ) -> Result<Option<Self>, StoreError> {
        let Some(digests) = Digests::in_state(&from.sha256, from.crc64nvme) else { return Ok(None) };
        let mut file = Self::new(store, progress, order);
        file.target.token.attempt = from.attempt;
        file.number = u32::try_from(from.files.len()).unwrap_or(u32::MAX).saturating_add(1);
        let mut object = first_object(&file.target, order, store);
        if object.is_staged() {
            object = file.target.staged(file.number);
        }
        if let Some(upload) = &from.upload {
            let Some(upload) = store.go_on(&object, upload, &from.parts).await? else { return Ok(None) };
            file.object = ObjectWriter::go_on(object, upload, from, digests);
            file.packing = Packing::go_on(order.style.compression());
        } else {
            file.object = ObjectWriter::new(object);
            file.between = Some(from.row_mark());
        }
        for (number, full) in (1..).zip(&from.files) {
            let checkpoint::FullFile { total, sha256, rows } = full.clone();
            let stored = StoredObject { object: file.target.staged(number), total, sha256 };
            file.staged.push(WrittenFile { stored, rows });
        }
        file.keys = Some(Ascent::after(&from.key));
        file.from = Some(from);
        Ok(Some(file))
    }

    /// Rows that earlier runs wrote.
    pub(crate) fn rows_before(&self) -> u64 {
        self.from.map_or(0, |from| from.rows)
    }

    /// The snapshot that the first run read.
    pub(crate) fn as_of(&self) -> Option<jiff::Timestamp> {
        self.from.map(|from| from.as_of).or_else(|| self.begun.as_ref().map(|(_, as_of)| *as_of))
    }

    /// From where another run could go on.
    pub(crate) fn checkpoint(&mut self) -> Option<Checkpoint> {
        let as_of = self.as_of()?;
        let (columns, _) = self.begun.clone()?;
        let between = || self.between.clone().map(|row| Point::before(&self.target.staged(self.number), row));
        let Point { upload, object_key, parts, bytes, digests, row } =
            self.object.point().or_else(between)?;
        let (sha256, crc64nvme) = digests.state();
        let full = |WrittenFile { stored, rows }: &WrittenFile| checkpoint::FullFile {
            total: stored.total,
            sha256: stored.sha256.clone(),
            rows: *rows,
        };
        let RowMark { key, rows, rows_in_file, changes } = row;
        Some(Checkpoint {
            upload,
            object_key,
            attempt: self.target.token.attempt,
            parts,
            key,
            rows,
            rows_in_file,
            bytes,
            sha256,
            crc64nvme,
            files: self.staged.iter().map(full).collect(),
            changes,
            columns,
            definition_sha256: self.order.definition_sha256.clone(),
            as_of,
            seconds: self.order.seconds_taken(),
        })
    }

    /// Stops, and leaves what is in the store to whoever goes on from the checkpoint. `None` when nobody can; then nothing was
    /// told to [`Progress::reached`] either.
    pub(crate) async fn pause(&mut self) -> Option<Checkpoint> {
        if !self.order.continuable {
            return None;
        }
        self.object.pause().await;
        self.checkpoint().or_else(|| self.from.cloned())
    }

    /// The key after which this run goes on.
    pub(crate) fn resumed_after(&self) -> Option<&'a Key> {
        self.from.map(|from| &from.key)
    }

    /// Whether rows have come after the last of which nobody could go on.
    pub(crate) fn has_unusable_key(&self) -> bool {
        self.keys.as_ref().is_some_and(Ascent::is_unusable)
    }

    /// Rows written so far.
    pub(crate) fn rows(&self) -> u64 {
        self.rows.as_ref().map_or(0, RowEncoder::rows)
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
        self.facts =
            vec![("downpipe-as-of", end.as_of.to_string()), ("downpipe-changed", changed.to_string())];
        // Nothing of a workbook has been sent yet, so it goes to its own key from the start.
        let of = if self.is_archive() { 1 } else { self.number };
        self.object.readdress(self.named(of, of));
        self.end_file(rows.into_file()).await?;
        // What was waiting for a compressor, or to become a workbook, has its size only now.
        self.check_limits(written.rows, 0)?;
        // The last moment to learn that the job is somebody else's now.
        self.progress.advanced(written.rows, self.bytes()).await?;
        self.progress.confirmed().await?;
        self.complete_object().await?;
        for (number, WrittenFile { stored, rows }) in (1..).zip(std::mem::take(&mut self.staged)) {
            let object = self.named(number, of);
            let file = WrittenFile { stored: rename(self.store, stored, object, rows).await?, rows };
            written.files.push(file);
        }
        Ok(written)
    }

    /// Whether a file before the last has been completed, or may have been: an answer can be lost.
    pub(crate) fn has_several(&self) -> bool {
        self.number > 1
    }

    /// Gives up the object that is being written and leaves nothing of it behind.
    pub(crate) async fn abandon(self) -> Result<(), StoreError> {
        self.object.abandon().await
    }

    /// The sheet is full and there are more rows: they go into another file, and that into another object or, in an archive,
    /// into the same.
    async fn next_file(&mut self, full: FullFile) -> Result<(), SinkError> {
        if !self.is_archive() && !self.store.holds_several() {
            return Err(SinkError::SheetFull { most: full.rows });
        }
        let changes = full.changes.clone();
        self.end_file(full).await?;
        self.number += 1;
        if !self.is_archive() {
            self.complete_object().await?;
            let rows = self.staged.iter().map(|file| file.rows).sum();
            let key = self.last_of_file.take().filter(|_| self.order.continuable);
            self.between = key.map(|key| RowMark { key, rows, rows_in_file: 0, changes });
            self.packing = Packing::new(self.order.style.compression());
            self.object = ObjectWriter::new(self.target.staged(self.number));
        }
        Ok(self.begin_file()?)
    }

    fn begin_file(&mut self) -> Result<(), EncodeError> {
        let name = split::in_archive(&self.order.object, &self.order.style, self.number);
        self.packing.begin_file(&name)
    }

    async fn end_file(&mut self, FullFile { mut encoder, rows, .. }: FullFile) -> Result<(), SinkError> {
        // A workbook takes seconds to put together, and the lease must be renewed meanwhile.
        let finished = tokio::task::spawn_blocking(move || encoder.finish().map(|()| encoder)).await;
        let mut encoder = finished.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        self.send(&mut *encoder, None).await?;
        self.object_rows += rows;
        Ok(self.packing.end_file().await?)
    }

    /// Takes what the file has so far, and sends as many parts as there are. All rows up to the mark are in it.
    async fn send(&mut self, file: &mut dyn Encoder, mark: Option<RowMark>) -> Result<(), SinkError> {
        while file.buffered() > 0 {
            if self.packing.compresses() {
                // What came of the chunk before. Nobody waits for this one: it is compressed while the next rows are read.
                self.send_part().await?;
                self.pack(file, &mark).await?;
            } else {
                // What is taken now travels at once. First there must be room for it, because what has arrived by then leaves
                // its buffer to the rows that come next.
                file.reuse(self.object.room().await?);
                self.pack(file, &mark).await?;
                self.send_part().await?;
            }
        }
        Ok(())
    }

    async fn pack(&mut self, file: &mut dyn Encoder, mark: &Option<RowMark>) -> Result<(), SinkError> {
        self.packing.push(file.take(self.chunk_bytes())?).await?;
        // What is left of a chunk has rows of its own, of which nobody has taken note.
        self.packed = if file.buffered() == 0 { mark.clone() } else { None };
        Ok(())
    }

    /// How far the rows are, if others could go on from here.
    fn mark(&self, rows: &RowEncoder) -> Option<RowMark> {
        let keys = self.keys.as_ref().filter(|_| self.order.continuable)?;
        Some(RowMark {
            key: keys.last()?,
            rows: rows.rows(),
            rows_in_file: rows.rows_in_file(),
            changes: rows.column_changes(),
        })
    }

    /// Sends what is packed, if it is enough for a part.
    async fn send_part(&mut self) -> Result<(), SinkError> {
        if self.packing.has(self.object.part_bytes()).await? {
            let buffer = self.object.room().await?;
            let part = self.packing.take_part(buffer).await?;
            let mark = self.packed.take();
            self.object.part(self.store, part, mark).await?;
        }
        Ok(())
    }

    async fn complete_object(&mut self) -> Result<(), SinkError> {
        let rest = self.packing.finish().await?;
        let rows = std::mem::take(&mut self.object_rows);
        let stored = self.object.complete(self.store, rest, rows).await?;
        self.staged.push(WrittenFile { stored, rows });
        Ok(())
    }

    /// The object that holds file `number` of so many.
    fn named(&self, number: u32, of: u32) -> NewObject {
        let (object, style) = (&self.target, &self.order.style);
        let mut named =
            if of == 1 { object.clone() } else { split::numbered(object, &style.extension(), number, of) };
        named.metadata.extend(self.facts.iter().cloned());
        named
    }

    fn is_archive(&self) -> bool {
        self.order.style.compression() == Compression::Zip
    }

    /// Bytes in the store, on their way there, or ready to go.
    fn bytes(&self) -> u64 {
        let stored: u64 = self.staged.iter().map(|file| file.stored.total.bytes).sum();
        stored + self.object.bytes() + self.packing.buffered() as u64
    }

    fn check_limits(&self, rows: u64, waiting: usize) -> Result<(), SinkError> {
        // What is still in front of a compressor is not counted: it will be less.
        let bytes = || self.bytes() + if self.packing.compresses() { 0 } else { waiting as u64 };
        let limits = &self.order.limits;
        match (limits.rows, limits.bytes) {
            (Some(most), _) if rows > most => Err(SinkError::Limit { what: "rows", most }),
            (_, Some(most)) if bytes() > most => Err(SinkError::Limit { what: "bytes", most }),
            _ => Ok(()),
        }
    }

    fn chunk_bytes(&self) -> usize {
        if self.packing.compresses() { CHUNK_BYTES } else { self.object.part_bytes() }
    }
}

impl<S: ObjectStore, P: Progress> RowSink for FileWriter<'_, S, P> {
    fn accept(&self, columns: &[Column]) -> Result<(), SinkError> {
        if let Some(column) =
            self.order.resume_column.as_ref().filter(|name| position(columns, name).is_none())
        {
            return Err(SinkError::NoResumeColumn { column: column.clone() });
        }
        Ok(self.order.layout.accept(columns).map_err(EncodeError::Layout)?)
    }

    fn start(&mut self, columns: &[Column], as_of: jiff::Timestamp) -> Result<Wanted, SinkError> {
        let mut rows = RowEncoder::start(self.order.style.clone(), &self.order.layout, columns)?;
        self.begun = Some((rows.labels(), as_of));
        let cells = rows.sources();
        match self.from {
            None => self.begin_file()?,
            Some(from) => {
                if from.upload.is_none() {
                    self.begin_file()?;
                }
                let (expected, actual) = (&from.columns, rows.labels());
                if *expected != actual {
                    return Err(SinkError::ColumnsChanged { expected: expected.clone(), actual });
                }
                rows.go_on(from.rows, from.rows_in_file, &from.changes)?;
            }
        }
        self.rows = Some(rows);
        let resume_column = self.order.resume_column.as_ref();
        Ok(Wanted { cells, key: resume_column.and_then(|column| position(columns, column)) })
    }

    #[inline(always)]
    fn cell(&mut self, cell: Cell<'_>) {
        if let Some(rows) = &mut self.rows {
            rows.cell(cell);
        }
    }

    fn key(&mut self, key: Cell<'_>) -> Result<(), SinkError> {
        let (Some(keys), Some(rows)) = (&mut self.keys, &self.rows) else { return Ok(()) };
        keys.follow(key).map_err(|reason| SinkError::Key {
            row: rows.rows() + 1,
            column: self.order.resume_column.clone().unwrap_or_default(),
            reason,
        })?;
        if self.order.style.rows_per_file() == Some(rows.rows_in_file() + 1) {
            self.last_of_file = keys.last();
        }
        Ok(())
    }

    fn end_row(&mut self) -> Result<SinkState, SinkError> {
        let chunk_bytes = self.chunk_bytes();
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
        let mark = self.mark(&rows);
        self.send(rows.file(), mark).await?;
        let written = rows.rows();
        self.rows = Some(rows);
        if self.order.continuable
            && self.progress.wants_checkpoint()
            && let Some(checkpoint) = self.checkpoint()
        {
            self.progress.reached(checkpoint);
        }
        Ok(self.progress.advanced(written, self.bytes()).await?)
    }
}

/// What to write to at first. Where there may be more files than one, nobody knows the first one's name before the last is full.
fn first_object<S: ObjectStore>(target: &NewObject, order: &Order, store: &S) -> NewObject {
    let most = order.style.rows_per_file().filter(|most| order.limits.rows.is_none_or(|rows| rows > *most));
    let split = most.is_some() && order.style.compression() != Compression::Zip && store.holds_several();
    if split { target.staged(1) } else { target.clone() }
}

/// Where a column of this name stands in the query.
fn position(columns: &[Column], name: &str) -> Option<usize> {
    columns.iter().position(|column| column.name.eq_ignore_ascii_case(name))
}

/// Gives an object its final name, if it has not got it yet.
async fn rename<S: ObjectStore>(
    store: &S,
    stored: StoredObject,
    to: NewObject,
    rows: u64,
) -> Result<StoredObject, StoreError> {
    if stored.object.key == to.key {
        return Ok(stored);
    }
    let object = stored.proven(to, rows);
    store.rename(&stored.object, &object, stored.total).await?;
    Ok(StoredObject { object, ..stored })
}

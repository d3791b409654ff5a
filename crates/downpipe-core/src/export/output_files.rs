//! The files of one export: their objects, numbers, metadata and final names.

use downpipe_format::Compression;

use super::object_writer::StoredObject;
use super::plan::ExportPlan;
use crate::job::{Checkpoint, CompletedFile};
use crate::source::SinkError;
use crate::store::{NewObject, ObjectStore, StoreError, keys};

/// The files of one export: one, unless a spreadsheet has more rows than a sheet takes.
pub(crate) struct OutputFiles<'a> {
    plan: &'a ExportPlan<'a>,
    packaging: Packaging,
    /// The object under its final name, with the token of the attempt that has begun it.
    target: NewObject,
    /// The file that is being written, from 1.
    number: u32,
    /// Rows in the files of the current object that have ended.
    rows_in_object: u64,
    /// Objects that are complete, in order, under staged names.
    completed: Vec<WrittenFile>,
    /// Metadata that is known at the end of the result.
    final_metadata: Vec<(&'static str, String)>,
}

/// An object with the rows in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WrittenFile {
    pub(crate) stored: StoredObject,
    pub(crate) rows: u64,
}

/// How the files of an export become objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packaging {
    /// There is one file, for which the object's final name is right from the start.
    OneFile,
    /// The store takes one object only, and a second file fails the export.
    OneObject,
    /// All files go into one archive.
    Archive,
    /// Each file is an object. How many there are is known at the end, so their names are staged until then.
    Staged,
}

impl Packaging {
    fn of(plan: &ExportPlan<'_>, store_holds_several: bool) -> Self {
        let most_rows = plan.definition().limits.rows;
        let may_be_several =
            plan.style().rows_per_file().is_some_and(|sheet| most_rows.is_none_or(|rows| rows > sheet));
        match (may_be_several, plan.style().compression()) {
            (_, Compression::Zip) => Self::Archive,
            (true, _) if store_holds_several => Self::Staged,
            (true, _) => Self::OneObject,
            (false, _) => Self::OneFile,
        }
    }
}

impl<'a> OutputFiles<'a> {
    /// Begins with the first file.
    pub(crate) fn new(plan: &'a ExportPlan<'a>, store_holds_several: bool) -> Self {
        Self {
            plan,
            packaging: Packaging::of(plan, store_holds_several),
            target: plan.object.clone(),
            number: 1,
            rows_in_object: 0,
            completed: Vec::new(),
            final_metadata: Vec::new(),
        }
    }

    /// Continues with the file that an earlier run has left unfinished, after those that it has completed.
    pub(crate) fn resume(plan: &'a ExportPlan<'a>, store_holds_several: bool, from: &Checkpoint) -> Self {
        let mut files = Self::new(plan, store_holds_several);
        files.target.token.attempt = from.attempt;
        for (number, CompletedFile { total, sha256, rows }) in (1..).zip(from.files.iter().cloned()) {
            let stored = StoredObject { object: files.target.staged(number), total, sha256 };
            files.completed.push(WrittenFile { stored, rows });
            files.number = number + 1;
        }
        files
    }

    /// Returns the attempt that has begun the objects.
    pub(crate) fn attempt(&self) -> u32 {
        self.target.token.attempt
    }

    /// Returns the object to write the current file to.
    pub(crate) fn current_object(&self) -> NewObject {
        if self.packaging == Packaging::Staged { self.staged_object() } else { self.target.clone() }
    }

    /// Returns the object of the current file under its staged name.
    pub(crate) fn staged_object(&self) -> NewObject {
        self.target.staged(self.number)
    }

    /// Returns the name of the current file in an archive.
    pub(crate) fn name_in_archive(&self) -> String {
        keys::in_archive(&self.plan.object, self.plan.style(), self.number)
    }

    /// Whether a file before the last has been completed, or may have been: an answer can be lost.
    pub(crate) fn has_several(&self) -> bool {
        self.number > 1
    }

    /// Whether each file is an object of its own.
    pub(crate) fn are_objects(&self) -> bool {
        self.packaging != Packaging::Archive
    }

    /// Makes sure that there can be another file after one of so many rows.
    pub(crate) fn ensure_another_fits(&self, rows: u64) -> Result<(), SinkError> {
        match self.packaging {
            Packaging::OneObject => Err(SinkError::SheetFull { most: rows }),
            Packaging::OneFile | Packaging::Archive | Packaging::Staged => Ok(()),
        }
    }

    /// Notes the end of the current file, which has so many rows.
    pub(crate) fn note_file_end(&mut self, rows: u64) {
        self.rows_in_object += rows;
    }

    /// Continues with the next file.
    pub(crate) fn begin_next(&mut self) {
        self.number += 1;
    }

    /// Returns the rows of the object that is to be completed.
    pub(crate) fn rows_in_object(&self) -> u64 {
        self.rows_in_object
    }

    /// Notes that the current object is complete.
    pub(crate) fn note_completed(&mut self, stored: StoredObject) {
        let rows = std::mem::take(&mut self.rows_in_object);
        self.completed.push(WrittenFile { stored, rows });
    }

    /// Returns the rows of all complete objects.
    pub(crate) fn rows(&self) -> u64 {
        self.completed.iter().map(|file| file.rows).sum()
    }

    /// Makes sure that all objects together hold so many rows, before the last one is completed: the receipt will say so.
    pub(crate) fn verify_rows(&self, rows: u64) -> Result<(), StoreError> {
        let held = self.rows() + self.rows_in_object;
        if held == rows {
            return Ok(());
        }
        let source = format!("expected {rows} rows in all files, got {held}").into();
        Err(StoreError::Refused { operation: "completing the files", source })
    }

    /// Returns the bytes of all complete objects.
    pub(crate) fn bytes(&self) -> u64 {
        self.completed.iter().map(|file| file.stored.total.bytes).sum()
    }

    /// Returns the complete objects that hold exactly the first rows, so many, as a checkpoint keeps them. `None` when no objects
    /// do. A checkpoint with other files would lose rows or write them twice.
    pub(crate) fn holding(&self, rows: u64) -> Option<Vec<CompletedFile>> {
        let mut files = Vec::new();
        let mut held = 0;
        for WrittenFile { stored, rows: in_file } in &self.completed {
            if held == rows {
                break;
            }
            held += in_file;
            files.push(CompletedFile { total: stored.total, sha256: stored.sha256.clone(), rows: *in_file });
        }
        (held == rows).then_some(files)
    }

    /// Makes the current file the last one, and returns its object under the final name. Every object gets this metadata.
    pub(crate) fn finish(&mut self, final_metadata: Vec<(&'static str, String)>) -> NewObject {
        self.final_metadata = final_metadata;
        self.final_object(self.objects())
    }

    /// Gives every object its final name. If one rename fails, the next attempt needs all objects under their staged names, so the
    /// list stays as it is.
    pub(crate) async fn rename<S: ObjectStore>(&self, store: &S) -> Result<Vec<WrittenFile>, StoreError> {
        let mut named = Vec::new();
        for (number, WrittenFile { stored, rows }) in (1..).zip(self.completed.clone()) {
            let stored = rename(store, stored, self.final_object(number), rows).await?;
            named.push(WrittenFile { stored, rows });
        }
        Ok(named)
    }

    /// Returns how many objects there are, counting the current one.
    fn objects(&self) -> u32 {
        if self.are_objects() { self.number } else { 1 }
    }

    /// Returns the object of this number under its final name.
    fn final_object(&self, number: u32) -> NewObject {
        let mut object = match self.objects() {
            1 => self.target.clone(),
            of => keys::numbered(&self.target, &self.plan.style().extension(), number, of),
        };
        object.metadata.extend(self.final_metadata.iter().cloned());
        object
    }
}

/// Gives an object its final name, unless it has that already.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::test_plan::with_plan;
    use crate::job::ObjectDigest;
    use crate::testing::MemoryStore;

    const SHEETS: &str = "title = 'T'\nsql = 'SELECT 1'\n[output]\nprofile = 'excel'\n";

    /// Completes the current file with one row and these bytes.
    async fn complete(files: &mut OutputFiles<'_>, store: &MemoryStore, body: &'static str) {
        let crc64nvme = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, body.as_bytes());
        let total = ObjectDigest { bytes: body.len() as u64, crc64nvme };
        let object = files.current_object();
        store.put(&object, body.into(), total).await.unwrap();
        files.note_file_end(1);
        files.note_completed(StoredObject { object, total, sha256: "ab".to_owned() });
    }

    fn block_on(future: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future);
    }

    #[test]
    fn single_file_has_its_final_name_from_the_start() {
        with_plan("title = 'T'\nsql = 'SELECT 1'", |plan| {
            let mut files = OutputFiles::new(plan, true);
            assert_eq!(files.current_object(), plan.object);
            let last = files.finish(vec![("downpipe-changed", "0".to_owned())]);
            assert_eq!(
                (last.key, last.metadata["downpipe-changed"].as_str()),
                (plan.object.key.clone(), "0")
            );
        });
    }

    #[test]
    fn several_files_are_staged_and_numbered_at_the_end() {
        with_plan(SHEETS, |plan| {
            block_on(async {
                let store = MemoryStore::new();
                let mut files = OutputFiles::new(plan, true);
                complete(&mut files, &store, "one").await;
                files.ensure_another_fits(1).unwrap();
                files.begin_next();
                assert!(store.keys().iter().all(|key| key.ends_with(".partial")), "{:?}", store.keys());
                assert_eq!(files.finish(Vec::new()).key, "folder/t-2-of-2.csv");
                complete(&mut files, &store, "two!").await;
                assert_eq!((files.rows(), files.bytes()), (2, 7));
                let held = [0, 1, 2, 3].map(|rows| files.holding(rows).map(|files| files.len()));
                assert_eq!(held, [Some(0), Some(1), Some(2), None]);
                files.verify_rows(2).unwrap();
                assert!(matches!(files.verify_rows(3), Err(StoreError::Refused { .. })));
                let named = files.rename(&store).await.unwrap();
                assert_eq!(store.keys(), ["folder/t-1-of-2.csv", "folder/t-2-of-2.csv"]);
                assert_eq!(named[0].stored.object.metadata["downpipe-rows"], "1");
            });
        });
    }

    #[test]
    fn second_file_in_a_store_of_one_object_is_refused() {
        with_plan(SHEETS, |plan| {
            let files = OutputFiles::new(plan, false);
            assert_eq!(files.current_object(), plan.object);
            let refused = files.ensure_another_fits(5);
            assert!(matches!(refused, Err(SinkError::SheetFull { most: 5 })), "{refused:?}");
        });
    }

    #[test]
    fn archive_of_several_files_is_one_object() {
        let archive = format!("{SHEETS}format = 'xlsx'\ncompression = 'zip'\n");
        with_plan(&archive, |plan| {
            let mut files = OutputFiles::new(plan, true);
            assert_eq!(files.name_in_archive(), "t.xlsx");
            files.ensure_another_fits(5).unwrap();
            files.begin_next();
            assert_eq!(files.name_in_archive(), "t-2.xlsx");
            assert!(files.has_several() && !files.are_objects());
            assert_eq!(files.finish(Vec::new()).key, plan.object.key);
        });
    }
}

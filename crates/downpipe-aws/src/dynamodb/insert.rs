//! Inserting a job: with its active fingerprint in one transaction, or as an alias of the job that has the fingerprint.

use downpipe_core::job::JobId;
use downpipe_core::ledger::{Entry, Inserted, LedgerError};
use jiff::Timestamp;

use super::documents::places;
use super::errors::Written;
use super::item::{Item, constants, documents, job_key, named_job, text, time, variables};
use super::jobs::related_aliases;
use super::links::active_key;
use super::schema::{RELATED, TABLE_KEY};
use super::writes::item_of;
use super::{DynamoJobTable, at, new_write};

/// How often an entry is inserted whose place is taken, by a job that has ended when it is looked for.
const MAX_INSERTS: u32 = 5;

impl DynamoJobTable {
    /// See [`JobTable::insert`](downpipe_core::ledger::JobTable::insert).
    pub(super) async fn insert_entry(&self, entry: &Entry) -> Result<Inserted, LedgerError> {
        let id = &entry.job.id;
        for _ in 0..MAX_INSERTS {
            // Asked before the write: many who follow would meet in transactions on the item of the lead.
            let is_led = self.is_led_by_another(entry).await?;
            if !is_led && let Some(now) = self.try_insert(entry).await? {
                return Ok(Inserted::New(now));
            }
            if let Some(item) = self.item(id).await? {
                match named_job(&item, "alias_of")? {
                    None => return Ok(Inserted::Known),
                    Some(job) if self.item(&job).await?.is_some() => return Ok(Inserted::SameAs(job)),
                    // DynamoDB has deleted the job, and not its aliases. The id is free.
                    Some(job) => {
                        let delete = self.table.delete_named(job_key(id), "alias_of", job.as_str())?;
                        self.table.write(vec![delete]).await?;
                        continue;
                    }
                }
            }
            if let Some(active) = active_key(entry)
                && let Some(job) = self.add_alias(id, active).await?
            {
                return Ok(Inserted::SameAs(job));
            }
            if is_led {
                return Ok(Inserted::LeadTaken);
            }
        }
        Err(LedgerError::Unavailable("the job's place was taken and left again and again".into()))
    }

    /// Inserts an entry, and returns the time of the write. `None` when its id, its active fingerprint or its lead is taken.
    async fn try_insert(&self, entry: &Entry) -> Result<Option<Timestamp>, LedgerError> {
        let now = self.table.time().await?;
        let written = at(now, entry);
        let (id, write) = (&entry.job.id, new_write());
        let mut item = item_of(constants(&written));
        item.extend(item_of(variables(&written, 0, &write, self.retention)));
        for (document, text) in documents(&written.job, None) {
            if let Some(text) = text {
                item.insert(document.to_owned(), self.documents.keep(id, &write, text).await?);
            }
        }
        let stored: Vec<_> = places(&item).collect();
        let mut writes = vec![self.table.put_new(item)?];
        writes.extend(self.beside(None, Some((&written, now)))?);
        let answer = self.table.write(writes).await;
        if self.confirmed(id, &write, answer).await? == Written::Done {
            return Ok(Some(now.earliest));
        }
        self.discard(id, stored).await?;
        Ok(None)
    }

    /// Makes the id an alias of the job that has this unique item, and returns that job's id. `None` when the item or the id has
    /// changed hands meanwhile.
    async fn add_alias(&self, id: &JobId, unique: String) -> Result<Option<JobId>, LedgerError> {
        let Some(taken) = self.table.read(&unique, &[]).await? else { return Ok(None) };
        let Some(job) = named_job(&taken, "job")? else { return Ok(None) };
        let alias = Item::from([
            (TABLE_KEY.to_owned(), text(job_key(id))),
            ("alias_of".to_owned(), text(job.as_str())),
            (RELATED.hash.to_owned(), text(related_aliases(&job))),
            (RELATED.range.to_owned(), time(self.table.time_of_answer()?.earliest)),
        ]);
        let writes = vec![self.table.check(unique, "job", text(job.as_str()))?, self.table.put_new(alias)?];
        let written = self.table.write(writes).await?;
        Ok(Some(job).filter(|_| written == Written::Done))
    }
}

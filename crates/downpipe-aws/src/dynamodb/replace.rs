//! Replacing a job's entry: one conditional write, or a transaction where a fingerprint changes hands.

use downpipe_core::job::{Job, JobId};
use downpipe_core::ledger::{Entry, LedgerError, Replaced, Stored};
use jiff::Timestamp;

use super::documents::{MAX_INLINE, Place, places};
use super::errors::Written;
use super::item::{self, Attribute, documents, job_key, variables};
use super::{DynamoJobTable, at, new_write};

impl DynamoJobTable {
    /// See [`JobTable::replace`](downpipe_core::ledger::JobTable::replace).
    pub(super) async fn replace_entry(&self, read: &Stored, entry: &Entry) -> Result<Replaced, LedgerError> {
        let takes_lead = entry.lead_fingerprint() != read.entry.lead_fingerprint();
        // Asked before the write: many who follow would meet in transactions on the item of the lead.
        if takes_lead && let Some(refused) = self.refused_lead(read, entry).await? {
            return Ok(refused);
        }
        match self.try_replace(read, entry).await? {
            Some(now) => Ok(Replaced::At(now)),
            None if takes_lead => Ok(self.refused_lead(read, entry).await?.unwrap_or(Replaced::Outdated)),
            None => Ok(Replaced::Outdated),
        }
    }

    /// Returns why an entry cannot take the lead. `None` if no other job has it.
    async fn refused_lead(&self, read: &Stored, entry: &Entry) -> Result<Option<Replaced>, LedgerError> {
        if !self.is_led_by_another(entry).await? {
            return Ok(None);
        }
        let item = self.table.read(&job_key(&entry.job.id), &["version"]).await?;
        let is_read = item.as_ref().map(item::version).transpose()? == Some(read.version);
        Ok(Some(if is_read { Replaced::LeadTaken } else { Replaced::Outdated }))
    }

    /// Replaces an entry, and returns the time of the write. `None` when it has another version, or its lead is taken.
    async fn try_replace(&self, read: &Stored, entry: &Entry) -> Result<Option<Timestamp>, LedgerError> {
        let now = self.table.time().await?;
        let written = at(now, entry);
        let (id, write) = (&entry.job.id, new_write());
        let Some(replaced) = self.replaced_places(read, &written.job).await? else { return Ok(None) };
        let mut attributes: Vec<Attribute> =
            variables(&written, read.version + 1, &write, self.retention).into();
        let mut stored = Vec::new();
        for (document, text) in documents(&written.job, Some(&read.entry.job)) {
            let kept = match text {
                Some(text) => Some(self.documents.keep(id, &write, text).await?),
                None => None,
            };
            stored.extend(kept.as_ref().and_then(Place::of));
            attributes.push((document, kept));
        }
        let mut writes = vec![self.table.update(job_key(id), read.version, attributes)?];
        writes.extend(self.beside(Some(&read.entry), Some((&written, now)))?);
        let answer = self.table.write(writes).await;
        if self.confirmed(id, &write, answer).await? == Written::Refused {
            self.discard(id, stored).await?;
            return Ok(None);
        }
        for place in replaced {
            self.documents.remove(id, &place).await;
        }
        Ok(Some(now.earliest))
    }

    /// Deletes the documents of a write that was refused, unless the item names them: the write may have taken place, lost its answer,
    /// and been followed by another one.
    pub(super) async fn discard(&self, id: &JobId, stored: Vec<Place>) -> Result<(), LedgerError> {
        if stored.is_empty() {
            return Ok(());
        }
        let item = self.item(id).await?.unwrap_or_default();
        let named: Vec<Place> = places(&item).collect();
        for place in stored.iter().filter(|place| !named.contains(place)) {
            self.documents.remove(id, place).await;
        }
        Ok(())
    }

    /// Returns the places of long documents that this write replaces. `None` if the item does not have the version that was read.
    async fn replaced_places(&self, read: &Stored, after: &Job) -> Result<Option<Vec<Place>>, LedgerError> {
        let before = &read.entry.job;
        let mut replaced = documents(before, Some(after));
        replaced.retain(|(_, text)| text.as_ref().is_some_and(|text| text.len() > MAX_INLINE));
        if replaced.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let Some(item) = self.item(&before.id).await? else { return Ok(None) };
        if item::version(&item)? != read.version {
            return Ok(None);
        }
        let places = replaced.iter().filter_map(|(document, _)| item.get(*document).and_then(Place::of));
        Ok(Some(places.collect()))
    }
}

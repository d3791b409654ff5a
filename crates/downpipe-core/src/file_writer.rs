//! The sink of an export: cells become bytes, bytes become parts, parts go on their way.

use bytes::Bytes;
use crc_fast::{CrcAlgorithm, Digest as Crc};
use downpipe_format::{Cell, Changes, Column, CsvEncoder};
use sha2::{Digest as _, Sha256};

use crate::job::hex;
use crate::parts::{PartUploads, part_bytes};
use crate::pipeline::{Order, Progress};
use crate::source::{RowSink, SinkError, SinkState};
use crate::store::{ObjectStore, StoreError, Total};

/// Writes one file into a store.
pub(crate) struct FileWriter<'a, S: ObjectStore, P: Progress> {
    store: &'a S,
    progress: &'a P,
    order: &'a Order,
    encoder: CsvEncoder,
    /// Bytes that have left the encoder.
    bytes: u64,
    sha256: Sha256,
    crc64nvme: Crc,
    /// Begun with the first full part: most results are smaller than that, and one request stores them.
    uploads: Option<PartUploads<S::Upload>>,
}

/// What a finished file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) rows: u64,
    pub(crate) total: Total,
    pub(crate) sha256: String,
    pub(crate) columns: Vec<String>,
    pub(crate) changes: Changes,
}

impl<'a, S: ObjectStore, P: Progress> FileWriter<'a, S, P> {
    pub(crate) fn new(store: &'a S, progress: &'a P, order: &'a Order) -> Self {
        Self {
            store,
            progress,
            order,
            encoder: CsvEncoder::new(order.profile, order.layout.clone()),
            bytes: 0,
            sha256: Sha256::new(),
            crc64nvme: Crc::new(CrcAlgorithm::Crc64Nvme),
            uploads: None,
        }
    }

    pub(crate) fn rows(&self) -> u64 {
        self.encoder.rows()
    }

    /// Stores what is left and completes the file. Only to be called for a result that is proven whole.
    pub(crate) async fn complete(&mut self) -> Result<Written, SinkError> {
        let rest = self.take();
        // The last moment to learn that the job is somebody else's now.
        self.progress.advanced(self.encoder.rows(), self.bytes).await?;
        let total = Total { bytes: self.bytes, crc64nvme: self.crc64nvme.finalize() };
        match &mut self.uploads {
            None => self.store.put(&self.order.object, Bytes::from(rest), total).await?,
            Some(uploads) => {
                if !rest.is_empty() {
                    uploads.send(rest).await?;
                }
                uploads.complete(total).await?;
            }
        }
        Ok(Written {
            rows: self.encoder.rows(),
            total,
            sha256: hex(&std::mem::take(&mut self.sha256).finalize()),
            columns: self.encoder.labels(),
            changes: self.encoder.changes(),
        })
    }

    /// Gives up and leaves nothing behind.
    pub(crate) async fn abandon(self) -> Result<(), StoreError> {
        match self.uploads {
            Some(uploads) => uploads.abort().await,
            None => Ok(()),
        }
    }

    /// Takes the encoded bytes, counted and hashed in the order in which the file has them.
    fn take(&mut self) -> Vec<u8> {
        let body = self.encoder.take();
        self.bytes += body.len() as u64;
        self.sha256.update(&body);
        self.crc64nvme.update(&body);
        body
    }

    fn check_limits(&self) -> Result<(), SinkError> {
        let rows = self.encoder.rows();
        let bytes = self.bytes + self.encoder.buffered() as u64;
        let limits = [
            ("rows", rows, self.order.limits.rows),
            ("bytes", bytes, self.order.limits.bytes),
            ("rows in one sheet", rows, self.order.profile.max_rows()),
        ];
        match limits
            .into_iter()
            .find_map(|(what, has, most)| most.filter(|most| has > *most).map(|most| (what, most)))
        {
            Some((what, most)) => Err(SinkError::Limit { what, most }),
            None => Ok(()),
        }
    }

    fn part_bytes(&self) -> usize {
        part_bytes(self.uploads.as_ref().map_or(1, PartUploads::next_number))
    }
}

impl<S: ObjectStore, P: Progress> RowSink for FileWriter<'_, S, P> {
    fn start(&mut self, columns: &[Column]) -> Result<(), SinkError> {
        Ok(self.encoder.start(columns)?)
    }

    fn cell(&mut self, cell: Cell<'_>) {
        self.encoder.cell(cell);
    }

    fn end_row(&mut self) -> Result<SinkState, SinkError> {
        self.encoder.end_row();
        self.check_limits()?;
        Ok(if self.encoder.buffered() >= self.part_bytes() { SinkState::Full } else { SinkState::Ready })
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        if self.uploads.is_none() {
            self.uploads = Some(PartUploads::new(self.store.begin(&self.order.object).await?));
        }
        let body = self.take();
        if let Some(uploads) = &mut self.uploads {
            uploads.send(body).await?;
        }
        Ok(self.progress.advanced(self.encoder.rows(), self.bytes).await?)
    }
}

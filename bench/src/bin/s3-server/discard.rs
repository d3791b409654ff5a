//! Implements an S3 that keeps only size, checksum and metadata of an object. It costs next to
//! nothing, so that the measured program has two processors. It receives uploads and checks them
//! against their checksums, as S3 does.
//!
//! Operations that uploads do not need are missing: reading and listing.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use crc_fast::{CrcAlgorithm, Digest, checksum_combine};
use futures_util::TryStreamExt as _;
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, ChecksumType, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CopyPartResult, CopySource, CreateMultipartUploadInput,
    CreateMultipartUploadOutput, DeleteObjectInput, DeleteObjectOutput, ETag, HeadBucketInput,
    HeadBucketOutput, HeadObjectInput, HeadObjectOutput, ListPartsInput, ListPartsOutput, Metadata,
    PutObjectInput, PutObjectOutput, StreamingBlob, UploadPartCopyInput, UploadPartCopyOutput,
    UploadPartInput, UploadPartOutput,
};
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};

/// The store.
#[derive(Default)]
pub(crate) struct Discard {
    objects: Mutex<HashMap<String, Object>>,
    uploads: Mutex<HashMap<String, Upload>>,
    begun: AtomicU64,
}

/// The size and checksum of received bytes.
#[derive(Clone, Copy, Default)]
struct Content {
    bytes: u64,
    crc64nvme: u64,
}

struct Object {
    content: Content,
    metadata: Option<Metadata>,
}

struct Upload {
    parts: BTreeMap<i32, Content>,
    metadata: Option<Metadata>,
}

impl Content {
    /// Receives a body to its end.
    async fn receive(body: Option<StreamingBlob>, expected_crc64nvme: Option<&String>) -> S3Result<Self> {
        let mut body = body.ok_or_else(|| s3_error!(IncompleteBody))?;
        let (mut bytes, mut digest) = (0, Digest::new(CrcAlgorithm::Crc64Nvme));
        while let Some(chunk) = body.try_next().await.map_err(|_| s3_error!(IncompleteBody))? {
            bytes += chunk.len() as u64;
            digest.update(&chunk);
        }
        let content = Self { bytes, crc64nvme: digest.finalize() };
        content.check(expected_crc64nvme)?;
        Ok(content)
    }

    fn check(self, expected_crc64nvme: Option<&String>) -> S3Result<()> {
        match expected_crc64nvme {
            Some(expected) if *expected != self.checksum() => {
                Err(s3_error!(BadDigest, "expected CRC64NVME {expected}, got {}", self.checksum()))
            }
            _ => Ok(()),
        }
    }

    fn followed_by(self, next: Self) -> Self {
        Self {
            bytes: self.bytes + next.bytes,
            crc64nvme: checksum_combine(CrcAlgorithm::Crc64Nvme, self.crc64nvme, next.crc64nvme, next.bytes),
        }
    }

    /// Returns the checksum in S3's notation.
    fn checksum(self) -> String {
        BASE64_STANDARD.encode(self.crc64nvme.to_be_bytes())
    }

    fn e_tag(self) -> ETag {
        ETag::Strong(format!("{:016x}", self.crc64nvme))
    }
}

impl Discard {
    /// Stores an object, unless it must be new and is not.
    fn store(&self, bucket: &str, key: &str, object: Object, only_new: bool) -> S3Result<()> {
        let mut objects = lock(&self.objects);
        let name = name(bucket, key);
        if only_new && objects.contains_key(&name) {
            return Err(s3_error!(PreconditionFailed, "the object is there already"));
        }
        objects.insert(name, object);
        Ok(())
    }

    fn add_part(&self, upload_id: &str, number: i32, part: Content) -> S3Result<()> {
        let mut uploads = lock(&self.uploads);
        let upload = uploads.get_mut(upload_id).ok_or_else(|| s3_error!(NoSuchUpload))?;
        upload.parts.insert(number, part);
        Ok(())
    }
}

#[async_trait::async_trait]
impl S3 for Discard {
    async fn head_bucket(&self, _: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        Ok(S3Response::new(HeadBucketOutput::default()))
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let input = request.input;
        let content = Content::receive(input.body, input.checksum_crc64nvme.as_ref()).await?;
        let object = Object { content, metadata: input.metadata };
        self.store(&input.bucket, &input.key, object, input.if_none_match.is_some())?;
        Ok(S3Response::new(PutObjectOutput {
            e_tag: Some(content.e_tag()),
            checksum_crc64nvme: Some(content.checksum()),
            ..Default::default()
        }))
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = request.input;
        let upload_id = format!("upload-{}", self.begun.fetch_add(1, Ordering::Relaxed));
        let upload = Upload { parts: BTreeMap::new(), metadata: input.metadata };
        lock(&self.uploads).insert(upload_id.clone(), upload);
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(upload_id),
            checksum_algorithm: input.checksum_algorithm,
            checksum_type: input.checksum_type,
            ..Default::default()
        }))
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let input = request.input;
        let part = Content::receive(input.body, input.checksum_crc64nvme.as_ref()).await?;
        self.add_part(&input.upload_id, input.part_number, part)?;
        Ok(S3Response::new(UploadPartOutput {
            e_tag: Some(part.e_tag()),
            checksum_crc64nvme: Some(part.checksum()),
            ..Default::default()
        }))
    }

    /// Copies a whole object. A range cannot be copied, because the bytes are gone.
    async fn upload_part_copy(
        &self,
        request: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        let input = request.input;
        let (CopySource::Bucket { bucket, key, .. }, None) = (&input.copy_source, &input.copy_source_range)
        else {
            return Err(s3_error!(NotImplemented));
        };
        let part = lock(&self.objects).get(&name(bucket, key)).map(|object| object.content);
        let part = part.ok_or_else(|| s3_error!(NoSuchKey))?;
        self.add_part(&input.upload_id, input.part_number, part)?;
        let copied = CopyPartResult {
            e_tag: Some(part.e_tag()),
            checksum_crc64nvme: Some(part.checksum()),
            ..Default::default()
        };
        Ok(S3Response::new(UploadPartCopyOutput { copy_part_result: Some(copied), ..Default::default() }))
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = request.input;
        let Upload { parts, metadata } =
            lock(&self.uploads).remove(&input.upload_id).ok_or_else(|| s3_error!(NoSuchUpload))?;
        let asked = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let asked = asked.iter().map(|part| part.part_number).collect::<Option<Vec<_>>>();
        if asked != Some(parts.keys().copied().collect()) {
            return Err(s3_error!(InvalidPart, "expected the parts {:?}, got {asked:?}", parts.keys()));
        }
        let content = parts.into_values().reduce(Content::followed_by).unwrap_or_default();
        content.check(input.checksum_crc64nvme.as_ref())?;
        self.store(&input.bucket, &input.key, Object { content, metadata }, input.if_none_match.is_some())?;
        Ok(S3Response::new(CompleteMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(content.e_tag()),
            checksum_crc64nvme: Some(content.checksum()),
            checksum_type: input.checksum_type,
            ..Default::default()
        }))
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        lock(&self.uploads).remove(&request.input.upload_id).ok_or_else(|| s3_error!(NoSuchUpload))?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    /// Answers that the upload does not exist. Clients ask after an abort.
    async fn list_parts(&self, _: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
        Err(s3_error!(NoSuchUpload))
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let objects = lock(&self.objects);
        let object = objects.get(&name(&request.input.bucket, &request.input.key));
        let Object { content, metadata } = object.ok_or_else(|| s3_error!(NoSuchKey))?;
        Ok(S3Response::new(HeadObjectOutput {
            content_length: i64::try_from(content.bytes).ok(),
            metadata: metadata.clone(),
            e_tag: Some(content.e_tag()),
            checksum_crc64nvme: Some(content.checksum()),
            checksum_type: Some(ChecksumType::from_static(ChecksumType::FULL_OBJECT)),
            ..Default::default()
        }))
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        lock(&self.objects).remove(&name(&request.input.bucket, &request.input.key));
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }
}

fn name(bucket: &str, key: &str) -> String {
    format!("{bucket}/{key}")
}

/// Locks a mutex. No code panics while it holds the lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

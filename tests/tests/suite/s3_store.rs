//! Tests the S3 store on LocalStack, which checks what AWS checks, and on MiniStack, on which
//! functions run.

use bytes::Bytes;
use downpipe_aws::S3Store;
use downpipe_core::testing::contracts::{
    rename_contract, resume_contract, shared_store_contract, store_refuses_wrong_checksums,
};
use downpipe_tests::aws;

#[tokio::test]
async fn s3_store_on_localstack_keeps_the_store_contracts() {
    let config = aws::localstack().await;
    let bucket = aws::bucket(&config).await;
    let store = S3Store::new(&config, &bucket);
    shared_store_contract(&store, "contract", async |key| aws::object(&config, &bucket, key).await).await;
    rename_contract(&store, "renamed", async |key| aws::seen(&config, &bucket, key).await).await;
    resume_contract(&store, "resume", async |key| aws::object(&config, &bucket, key).await).await;
    store_refuses_wrong_checksums(&store, "wrong", async |key| aws::object(&config, &bucket, key).await)
        .await;
    assert_eq!(aws::open_uploads(&config, &bucket).await, 0, "no upload stays behind");
}

#[tokio::test]
async fn s3_store_on_ministack_keeps_the_store_contracts() {
    let config = aws::ministack().await;
    let bucket = aws::bucket(&config).await;
    let store = S3Store::new(&config, &bucket);
    shared_store_contract(&store, "contract", async |key| aws::object(&config, &bucket, key).await).await;
    rename_contract(&store, "renamed", async |key| aws::seen(&config, &bucket, key).await).await;
    resume_contract(&store, "resume", async |key| aws::object(&config, &bucket, key).await).await;
    assert_eq!(aws::open_uploads(&config, &bucket).await, 0, "no upload stays behind");
}

mod objects {
    //! Tests what an object has besides its bytes.

    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use aws_sdk_s3::types::{ChecksumMode, ChecksumType};
    use downpipe_core::job::JobAttempt;
    use downpipe_core::job::JobId;
    use downpipe_core::job::ObjectDigest;
    use downpipe_core::store::NewObject;
    use downpipe_core::store::ObjectStore as _;
    use downpipe_core::store::Part;
    use downpipe_core::store::ResumableStore as _;
    use downpipe_core::store::Retention;
    use downpipe_core::store::StoreError;
    use downpipe_core::store::Upload as _;

    use super::{Bytes, S3Store, aws};
    use downpipe_tests::faults::http_proxy::{HttpProxy, Moment};
    use downpipe_tests::{STACK, eventually, localstack_url};

    fn object(key: &str) -> NewObject {
        NewObject {
            key: key.to_owned(),
            file_name: "注文 1.csv".to_owned(),
            content_type: "text/csv; charset=utf-8; header=present".to_owned(),
            token: JobAttempt { job: JobId::of_unreadable("test", key), attempt: 3 },
            retention: Retention::Days30,
            metadata: BTreeMap::from([("downpipe-rows", "2".to_owned())]),
        }
    }

    fn total(bodies: &[&Bytes]) -> ObjectDigest {
        let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Nvme);
        bodies.iter().for_each(|body| digest.update(body));
        ObjectDigest {
            bytes: bodies.iter().map(|body| body.len() as u64).sum(),
            crc64nvme: digest.finalize(),
        }
    }

    #[tokio::test]
    async fn object_stored_in_any_way_has_the_same_properties() {
        let config = aws::localstack().await;
        let bucket = aws::bucket(&config).await;
        let store = S3Store::new(&config, &bucket);
        let (small, large) = (object("a/small.csv"), object("a/large.csv"));
        let body = Bytes::from_static(b"id\n1\n");
        store.put(&small, body.clone(), total(&[&body])).await.unwrap();
        let first = Bytes::from(vec![b'x'; 6 << 20]);
        let upload = store.begin(&large).await.unwrap();
        // Stores the second part before the first.
        let b = upload.part(Part { number: 2, offset: 6 << 20, body: body.clone() }).await.unwrap();
        let a = upload.part(Part { number: 1, offset: 0, body: first.clone() }).await.unwrap();
        let all = total(&[&first, &body]);
        upload.complete(vec![a, b], all).await.unwrap();
        // Repeats the completion, as after a lost answer.
        upload.complete(Vec::new(), all).await.unwrap();

        let renamed = object("a/注文 renamed.csv");
        let plain =
            NewObject { file_name: "staged".to_owned(), retention: Retention::Days1, ..renamed.staged(1) };
        store.put(&plain, body.clone(), total(&[&body])).await.unwrap();
        store.rename(&plain, &renamed, total(&[&body])).await.unwrap();

        let client = aws::s3(&config);
        for (object, total) in [(small, total(&[&body])), (large, all), (renamed, total(&[&body]))] {
            let head =
                client.head_object().bucket(&bucket).key(&object.key).checksum_mode(ChecksumMode::Enabled);
            let head = head.send().await.unwrap();
            assert_eq!(head.content_length().unwrap().unsigned_abs(), total.bytes);
            assert_eq!(head.checksum_type(), Some(&ChecksumType::FullObject), "{}", object.key);
            assert_eq!(head.checksum_crc64_nvme(), Some(total.crc64nvme_base64().as_str()));
            assert_eq!(head.content_type(), Some("text/csv; charset=utf-8; header=present"));
            let disposition = head.content_disposition().unwrap();
            assert!(disposition.ends_with("filename*=UTF-8''%E6%B3%A8%E6%96%87%201.csv"), "{disposition}");
            let metadata = head.metadata().unwrap();
            assert_eq!(metadata["downpipe-job"], object.token.job.as_str());
            assert_eq!(metadata["downpipe-attempt"], "3");
            assert_eq!((metadata.len(), metadata["downpipe-rows"].as_str()), (3, "2"));
            let tags = client.get_object_tagging().bucket(&bucket).key(&object.key).send().await.unwrap();
            let tags: Vec<_> = tags.tag_set().iter().map(|tag| (tag.key(), tag.value())).collect();
            assert_eq!(tags, [("downpipe-retention", "30d")], "{}", object.key);
        }
    }

    #[tokio::test]
    async fn forgotten_upload_is_aborted() {
        for config in [aws::localstack().await, aws::ministack().await] {
            let bucket = aws::bucket(&config).await;
            let store = S3Store::new(&config, &bucket);
            let body = Bytes::from(vec![b'x'; 1 << 20]);
            let forgotten = object("job/a.csv");
            store.begin(&forgotten).await.unwrap();
            let part = Part { number: 1, offset: 0, body: body.clone() };
            store.begin(&forgotten.staged(1)).await.unwrap().part(part.clone()).await.unwrap();
            let beside = object("job2/a.csv");
            let other = store.begin(&beside).await.unwrap();
            store.abort_job_uploads(&object("job/b.csv")).await.unwrap();
            assert_eq!(aws::open_uploads(&config, &bucket).await, 1, "that of another job stays");

            // A completed upload to the same key also aborts the others, and leaves other keys
            // alone.
            store.begin(&beside).await.unwrap();
            let staged = store.begin(&beside.staged(1)).await.unwrap();
            let stored = other.part(part).await.unwrap();
            other.complete(vec![stored], total(&[&body])).await.unwrap();
            assert_eq!(aws::open_uploads(&config, &bucket).await, 1, "that to another key stays");
            staged.abort().await.unwrap();
            assert_eq!(aws::open_uploads(&config, &bucket).await, 0);

            // An aborted upload also aborts earlier ones to the same key, whose answer was lost.
            store.begin(&forgotten).await.unwrap();
            store.begin(&forgotten).await.unwrap().abort().await.unwrap();
            assert_eq!(aws::open_uploads(&config, &bucket).await, 0);
        }
    }

    #[tokio::test]
    async fn rename_cancelled_at_any_moment_loses_nothing_and_leaves_no_upload() {
        for config in [aws::localstack().await, aws::ministack().await] {
            let bucket = aws::bucket(&config).await;
            let store = S3Store::new(&config, &bucket);
            let body = Bytes::from(vec![b'x'; 1 << 20]);
            let all = total(&[&body]);
            let mut was_in_time = false;
            for milliseconds in (0..).map(|step| 2 + step * 10) {
                let to = object(&format!("{milliseconds}/注文.csv"));
                let from = to.staged(1);
                store.put(&from, body.clone(), all).await.unwrap();
                let given = Duration::from_millis(milliseconds);
                let renamed = tokio::time::timeout(given, store.rename(&from, &to, all)).await;
                eventually("the upload is aborted", async || {
                    (aws::open_uploads(&config, &bucket).await == 0).then_some(())
                })
                .await;
                let mut whole = 0;
                for key in aws::keys(&config, &bucket).await {
                    assert!([&from.key, &to.key].contains(&&key), "{key}");
                    // The deletion of the old object may still be under way.
                    if let Some(found) = aws::object(&config, &bucket, &key).await {
                        assert!(found == body, "{key} has {} bytes", found.len());
                        whole += 1;
                    }
                }
                assert!(whole > 0, "given {given:?}, the file is nowhere");
                // Completes every other rename, and deletes the rest.
                if milliseconds % 4 == 0 {
                    store.rename(&from, &to, all).await.unwrap();
                    assert_eq!(aws::keys(&config, &bucket).await, [to.key.as_str()]);
                }
                store.delete_job_objects(&to).await.unwrap();
                assert_eq!(aws::keys(&config, &bucket).await, [""; 0]);
                // Ends after two renames in time, so that both branches above have run.
                match renamed {
                    Ok(_) if was_in_time => break,
                    Ok(renamed) => {
                        renamed.unwrap();
                        was_in_time = true;
                    }
                    Err(_) => {}
                }
            }
            eventually("the last upload is aborted", async || {
                (aws::open_uploads(&config, &bucket).await == 0).then_some(())
            })
            .await;
        }
    }

    /// XML cannot carry every character. One such key must not hide other objects.
    #[tokio::test]
    async fn key_that_xml_cannot_carry_hides_no_other() {
        for config in [aws::localstack().await, aws::ministack().await] {
            let bucket = aws::bucket(&config).await;
            let store = S3Store::new(&config, &bucket);
            let body = Bytes::from_static(b"id\n1\n");
            let ours = [object("job/a\u{ffff}b.csv"), object("job/a+b c%2B.csv"), object("job/注文.csv")];
            for object in &ours {
                let object = NewObject { token: ours[0].token.clone(), ..object.clone() };
                store.put(&object, body.clone(), total(&[&body])).await.unwrap();
            }
            // Starts no upload to the first key, because the answer could not be read. LocalStack
            // lists keys of uploads unencoded.
            for object in &ours[1..] {
                store.begin(object).await.unwrap();
            }
            let open = store.open_uploads("job/", jiff::Timestamp::MAX, 10).await.unwrap();
            let mut keys: Vec<&str> = open.iter().map(|upload| upload.key.as_str()).collect();
            let mut expected: Vec<&str> = ours[1..].iter().map(|object| object.key.as_str()).collect();
            keys.sort_unstable();
            expected.sort_unstable();
            assert_eq!(keys, expected);
            store.abort_job_uploads(&ours[0]).await.unwrap();
            store.delete_job_objects(&ours[0]).await.unwrap();
            for object in &ours {
                assert_eq!(aws::object(&config, &bucket, &object.key).await, None, "{}", object.key);
            }
            assert!(store.open_uploads("job/", jiff::Timestamp::MAX, 10).await.unwrap().is_empty());
        }
    }

    /// Between HEAD and DELETE, a worker presumed dead is replaced, and its successor stores the
    /// file.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn object_replaced_between_head_and_delete_stays() {
        for endpoint in [localstack_url(), &STACK.aws_endpoint_url] {
            let config = aws::config(endpoint).await;
            let bucket = aws::bucket(&config).await;
            let first = object("job/orders.csv");
            let token = JobAttempt { attempt: first.token.attempt + 1, ..first.token.clone() };
            let later = NewObject { token, ..first.clone() };
            let (old, new) = (Bytes::from_static(b"old"), Bytes::from_static(b"later"));
            let direct = S3Store::new(&config, &bucket);
            direct.put(&first, old.clone(), total(&[&old])).await.unwrap();

            let proxy = HttpProxy::start(endpoint).await;
            let runtime = tokio::runtime::Handle::current();
            let (client, successor, replaced) = (aws::s3(&config), direct.clone(), AtomicBool::new(false));
            let (at, put) = (bucket.clone(), later.clone());
            proxy.watch(move |request, moment| {
                let is_head = request.operation == "HeadObject" && moment == Moment::Executed;
                if is_head && !replaced.swap(true, Ordering::Relaxed) {
                    let replace = async {
                        client.delete_object().bucket(&at).key(&put.key).send().await.unwrap();
                        successor.put(&put, new.clone(), total(&[&new])).await.unwrap();
                    };
                    tokio::task::block_in_place(|| runtime.block_on(replace));
                }
            });
            let store = S3Store::new(&aws::config(&proxy.endpoint()).await, &bucket);
            let error = store.delete_job_objects(&first).await.unwrap_err();
            assert!(matches!(error, StoreError::Exists { .. }), "{error:?}");
            let left = aws::object(&config, &bucket, &later.key).await;
            assert_eq!(left.as_deref(), Some(b"later".as_slice()), "{endpoint}");
        }
    }
}

//! Files in S3, on LocalStack (which checks what AWS checks) and on MiniStack (on which functions run).

use bytes::Bytes;
use downpipe_aws::S3Store;
use downpipe_core::testing::contracts::{
    go_on_contract, rename_contract, store_contract, store_refuses_wrong_checksums,
};
use downpipe_tests::aws;

#[tokio::test]
async fn it_keeps_the_rules_of_every_store_on_localstack() {
    let config = aws::localstack().await;
    let bucket = aws::bucket(&config).await;
    let store = S3Store::new(&config, &bucket);
    store_contract(&store, "contract", async |key| aws::object(&config, &bucket, key).await).await;
    rename_contract(&store, "renamed", async |key| aws::seen(&config, &bucket, key).await).await;
    go_on_contract(&store, "go on", async |key| aws::object(&config, &bucket, key).await).await;
    store_refuses_wrong_checksums(&store, "wrong", async |key| aws::object(&config, &bucket, key).await)
        .await;
    assert_eq!(aws::open_uploads(&config, &bucket).await, 0, "no upload stays behind");
}

#[tokio::test]
async fn it_keeps_the_rules_of_every_store_on_ministack() {
    let config = aws::ministack().await;
    let bucket = aws::bucket(&config).await;
    let store = S3Store::new(&config, &bucket);
    store_contract(&store, "contract", async |key| aws::object(&config, &bucket, key).await).await;
    rename_contract(&store, "renamed", async |key| aws::seen(&config, &bucket, key).await).await;
    go_on_contract(&store, "go on", async |key| aws::object(&config, &bucket, key).await).await;
    assert_eq!(aws::open_uploads(&config, &bucket).await, 0, "no upload stays behind");
}

mod objects {
    //! What an object carries besides its bytes.

    use std::collections::BTreeMap;
    use std::time::Duration;

    use aws_sdk_s3::types::{ChecksumMode, ChecksumType};
    use downpipe_core::definition::Retention;
    use downpipe_core::job::JobId;
    use downpipe_core::store::{NewObject, ObjectStore as _, Part, Total, Upload as _, WriteToken};

    use super::{Bytes, S3Store, aws};
    use downpipe_tests::eventually;

    fn object(key: &str) -> NewObject {
        NewObject {
            key: key.to_owned(),
            file_name: "注文 1.csv".to_owned(),
            content_type: "text/csv; charset=utf-8; header=present".to_owned(),
            token: WriteToken { job: JobId::of_unreadable("test", key), attempt: 3 },
            retention: Retention::Days30,
            metadata: BTreeMap::from([("downpipe-rows", "2".to_owned())]),
        }
    }

    fn total(bodies: &[&Bytes]) -> Total {
        let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Nvme);
        bodies.iter().for_each(|body| digest.update(body));
        Total { bytes: bodies.iter().map(|body| body.len() as u64).sum(), crc64nvme: digest.finalize() }
    }

    #[tokio::test]
    async fn all_ways_of_storing_say_the_same_of_the_object() {
        let config = aws::localstack().await;
        let bucket = aws::bucket(&config).await;
        let store = S3Store::new(&config, &bucket);
        let (small, large) = (object("a/small.csv"), object("a/large.csv"));
        let body = Bytes::from_static(b"id\n1\n");
        store.put(&small, body.clone(), total(&[&body])).await.unwrap();
        let first = Bytes::from(vec![b'x'; 6 << 20]);
        let upload = store.begin(&large).await.unwrap();
        // The second part arrives before the first.
        let b = upload.part(Part { number: 2, offset: 6 << 20, body: body.clone() }).await.unwrap();
        let a = upload.part(Part { number: 1, offset: 0, body: first.clone() }).await.unwrap();
        let all = total(&[&first, &body]);
        upload.complete(vec![a, b], all).await.unwrap();
        // An answer that was lost is asked for again.
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
    async fn an_upload_of_which_nobody_knows_is_aborted() {
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
            store.clear_uploads(&object("job/b.csv")).await.unwrap();
            assert_eq!(aws::open_uploads(&config, &bucket).await, 1, "that of another job stays");

            // Another upload to the same key ends it too, and leaves alone what is in the same folder.
            store.begin(&beside).await.unwrap();
            let staged = store.begin(&beside.staged(1)).await.unwrap();
            let stored = other.part(part).await.unwrap();
            other.complete(vec![stored], total(&[&body])).await.unwrap();
            assert_eq!(aws::open_uploads(&config, &bucket).await, 1, "that to another key stays");
            staged.abort().await.unwrap();
            assert_eq!(aws::open_uploads(&config, &bucket).await, 0);

            // One that is given up takes along what was begun before it, as when an answer was lost.
            store.begin(&forgotten).await.unwrap();
            store.begin(&forgotten).await.unwrap().abort().await.unwrap();
            assert_eq!(aws::open_uploads(&config, &bucket).await, 0);
        }
    }

    #[tokio::test]
    async fn a_rename_that_is_given_up_at_any_moment_loses_nothing_and_leaves_no_upload() {
        for config in [aws::localstack().await, aws::ministack().await] {
            let bucket = aws::bucket(&config).await;
            let store = S3Store::new(&config, &bucket);
            let body = Bytes::from(vec![b'x'; 1 << 20]);
            let all = total(&[&body]);
            let mut in_time = false;
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
                    // The removal of the old one may still be on its way.
                    if let Some(found) = aws::object(&config, &bucket, &key).await {
                        assert!(found == body, "{key} has {} bytes", found.len());
                        whole += 1;
                    }
                }
                assert!(whole > 0, "given {given:?}, the file is nowhere");
                // Every other one is finished, the rest cleared away.
                if milliseconds % 4 == 0 {
                    store.rename(&from, &to, all).await.unwrap();
                    assert_eq!(aws::keys(&config, &bucket).await, [to.key.as_str()]);
                }
                store.clear(&to).await.unwrap();
                assert_eq!(aws::keys(&config, &bucket).await, [""; 0]);
                // Twice in time, so that either of these has come after one that was.
                match renamed {
                    Ok(_) if in_time => break,
                    Ok(renamed) => {
                        renamed.unwrap();
                        in_time = true;
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
}

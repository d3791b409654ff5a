//! Tests the names of objects.

use std::collections::BTreeMap;

use downpipe_core::job::{JobAttempt, JobId, Receipt};
use downpipe_core::store::{NewObject, Retention, is_receipt};

fn object(key: &str) -> NewObject {
    NewObject {
        key: key.to_owned(),
        file_name: "orders.csv".to_owned(),
        content_type: "text/csv".to_owned(),
        token: JobAttempt { job: JobId::of_unreadable("key", "body"), attempt: 2 },
        retention: Retention::default(),
        metadata: BTreeMap::from([("downpipe-rows", "7".to_owned())]),
    }
}

#[test]
fn staged_object_is_hidden_in_the_same_folder() {
    for (key, folder) in [("a/注文/orders.csv", "a/注文/"), ("orders.csv", ""), ("a/", "a/")] {
        let object = object(key);
        assert_eq!(object.folder(), folder);
        let staged = object.staged(3);
        assert_eq!(staged.key, format!("{folder}.downpipe-{}-2-3.partial", object.token.job));
        assert_eq!((staged.token, staged.metadata.len()), (object.token, 0));
    }
}

#[test]
fn object_staged_by_another_attempt_is_not_staged() {
    let ours = object("a/orders.csv");
    assert!(ours.staged(1).is_staged());
    assert!(!ours.is_staged());
    let key = ours.staged(1).key;
    let token = JobAttempt { attempt: 3, ..ours.token };
    assert!(!NewObject { token, ..object(&key) }.is_staged(), "another attempt's");
    assert!(!object("a/.downpipe-1.partial").is_staged(), "a person's");
}

#[test]
fn receipt_is_recognized_by_its_key() {
    assert!(is_receipt(&Receipt::key_of("a/orders.csv")));
    assert!(!is_receipt("a/orders.csv"));
}

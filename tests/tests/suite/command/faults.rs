//! Injects each fault of whole workers a few times. It is here because it runs the command's
//! processes.

use crate::faults::assert_faults_do_no_harm;

// Uses several threads, so that reading a file does not delay the proxies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn job_under_worker_faults_gives_one_file_and_one_email() {
    assert_faults_do_no_harm("worker-").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn job_whose_cache_is_broken_gives_the_same_file_and_one_email() {
    assert_faults_do_no_harm("cache-").await;
}

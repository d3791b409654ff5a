//! What can happen to whole workers, a few times each: processes, and so beside the other commands.

use crate::faults::all_are_well;

// With threads: whoever looks at a file must not keep proxies waiting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_to_a_worker_there_is_one_right_file_and_one_email_and_nothing_left() {
    all_are_well("worker-").await;
}

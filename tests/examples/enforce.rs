//! Tries the permissions of the worker's role, and prints each finding as a line of JSON. `cargo
//! xtask enforce` runs this program.
//!
//! `enforce HOW`: `all`, or `quick` without removing each action in turn.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "another program reads the output, and a failure must stop this one"
)]

use downpipe_tests::enforced::try_permissions;

#[tokio::main]
async fn main() {
    let removals = std::env::args().nth(1).as_deref() != Some("quick");
    try_permissions(removals, &mut |finding| {
        println!("{}", serde_json::to_string(&finding).unwrap());
    })
    .await;
}

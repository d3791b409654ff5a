//! Loads time zone tables into a private server: the stack's servers have none.

use xtask::stack::{Client, Paths};

use crate::private_server::PrivateServer;

/// Loads a zone's rules into a server, from the output of the server's own program.
///
/// When the program or the server fails.
pub async fn load(server: &PrivateServer, zone: &str) {
    let mut command = Client::time_zone_tables(&Paths::of_workspace(), zone).unwrap();
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{zone}: {}", String::from_utf8_lossy(&output.stderr));
    // `Offset` is a reserved word in MariaDB.
    let sql = String::from_utf8(output.stdout).unwrap().replace(" Offset,", " `Offset`,");
    execute(server, &sql).await;
}

/// Deletes every clock change after a moment, as in tables made from "slim" files of tzdata. A
/// session that has already used the zone keeps the old rules.
pub async fn cut_off(server: &PrivateServer, after: i64) {
    execute(server, &format!("DELETE FROM time_zone_transition WHERE Transition_time > {after}")).await;
}

/// Sets the default time zone of sessions.
pub async fn set_default(server: &PrivateServer, zone: &str) {
    execute(server, &format!("SET GLOBAL time_zone = '{zone}'")).await;
}

async fn execute(server: &PrivateServer, sql: &str) {
    crate::database::execute(&format!("{}/mysql", server.url()), sql).await;
}

//! Tests the table's clock: it is that of DynamoDB's answers, whatever the worker's machine believes.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use downpipe_aws::{DynamoJobTable, LocalClock, LocalTime};
use downpipe_core::ledger::{Claim, Ledger, StaleFilter};
use downpipe_tests::dynamodb::{LedgerTable, settle};
use jiff::Timestamp;

use super::{granted, new_job, wait};

const TEN_MINUTES: i64 = 600;

/// Returns a machine's clock that is wrong by so many seconds.
fn wrong_by(seconds: i64) -> LocalClock {
    let began = Instant::now();
    Arc::new(move || {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let skew = Duration::from_secs(seconds.unsigned_abs());
        LocalTime {
            // A monotonic clock begins anywhere.
            monotonic: began.elapsed() + Duration::from_secs(TEN_MINUTES.unsigned_abs()) + skew,
            wall: if seconds < 0 { wall - skew } else { wall + skew },
        }
    })
}

async fn ledger_wrong_by(table: &LedgerTable, seconds: i64) -> Ledger<DynamoJobTable> {
    let adapter = DynamoJobTable::with_clock(&table.config, &table.ledger, wrong_by(seconds));
    settle(&adapter).await;
    Ledger::new(adapter)
}

#[tokio::test]
async fn workers_whose_clocks_are_wrong_by_ten_minutes_agree_on_leases_and_ages() {
    let table = LedgerTable::new().await;
    let (slow, fast) =
        tokio::join!(ledger_wrong_by(&table, -TEN_MINUTES), ledger_wrong_by(&table, TEN_MINUTES));
    let lease = Duration::from_secs(4);
    for (name, first, second) in [("slow first", &slow, &fast), ("fast first", &fast, &slow)] {
        let job = new_job(name, Some("a"));
        let accepted = Timestamp::now();
        first.accept(&job).await.unwrap();
        let held = granted(first, &job.id, lease).await;
        let created_at = first.find(&job.id).await.unwrap().unwrap().created_at;
        let age = created_at.duration_since(accepted).abs();
        assert!(age.unsigned_abs() < Duration::from_secs(2), "{name}: {age:?}");
        match second.claim(&job.id, "other", lease).await.unwrap() {
            Claim::Busy(_, left) => assert!(left <= lease + Duration::from_secs(2), "{name}: {left:?}"),
            other => panic!("{name}: {other:?}"),
        }
        let idle = StaleFilter::LeaseExpired(Duration::ZERO);
        assert_eq!(second.stale_jobs(idle, 10).await.unwrap(), [], "{name}");
        wait(lease).await;
        let found = second.stale_jobs(idle, 10).await.unwrap();
        assert_eq!(found.iter().map(|job| &job.id).collect::<Vec<_>>(), [&job.id], "{name}");
        let taken = granted(second, &job.id, lease).await;
        assert_eq!((held.attempt(), taken.attempt()), (1, 2), "{name}");
        second.hand_over(&taken).await.unwrap();
        second.cancel(&job.id).await.unwrap();
    }
}

/// The first write of a process has the server's time as well.
#[tokio::test]
async fn first_write_of_a_process_has_the_servers_time() {
    let table = LedgerTable::new().await;
    for skew in [-TEN_MINUTES, TEN_MINUTES] {
        let adapter = DynamoJobTable::with_clock(&table.config, &table.ledger, wrong_by(skew));
        let ledger = Ledger::new(adapter);
        let job = new_job(&format!("first {skew}"), None);
        let before = Timestamp::now();
        let claim = ledger.accept_and_claim(&job, None, "worker", Duration::from_secs(60)).await.unwrap();
        let Claim::Granted(_, job) = claim else { panic!("{claim:?}") };
        let off = job.created_at.duration_since(before).abs();
        assert!(off.unsigned_abs() < Duration::from_secs(2), "{skew}: {off:?}");
    }
}

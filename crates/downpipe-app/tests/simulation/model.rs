//! What must be true at every moment, and what must be true in the end.

use std::collections::{BTreeMap, BTreeSet};

use downpipe_app::worker::MAX_ATTEMPTS;
use downpipe_core::job::{Job, JobId, JobState, Receipt};
use downpipe_core::ledger::{Entry, JobTable as _, LedgerError};
use downpipe_core::requester::Requester;
use downpipe_core::store::is_receipt;

use crate::exports;
use crate::world::{SCENARIO, SimWorld};

/// What a requester asked for.
pub(crate) struct Asked {
    pub(crate) id: JobId,
    pub(crate) requested_by: Requester,
    /// Whether it could be read.
    pub(crate) good: bool,
}

/// Objects that were looked at before.
pub(crate) type Seen = BTreeSet<(String, usize)>;

/// What is true at every moment.
pub(crate) fn check(world: &SimWorld, seen: &mut Seen) {
    check_objects(world, seen);
    let (mut open, mut leading) = (BTreeMap::new(), BTreeMap::new());
    let entries = world.entries();
    for entry in entries.iter() {
        let job = &entry.job;
        if let Some(fingerprint) = entry.active_fingerprint()
            && let Some(other) = open.insert(fingerprint.to_owned(), job.id.clone())
        {
            world.violated(format!("{} and {other} are the same, and both are open", job.id));
        }
        if let Some(fingerprint) = entry.lead_fingerprint()
            && let Some(other) = leading.insert(fingerprint.to_owned(), job.id.clone())
        {
            world.violated(format!("{} and {other} both lead", job.id));
        }
        if job.notified_at.is_some() && !job.state.is_terminal() {
            world.violated(format!("{}: told before its end", job.id));
        }
        match job.state {
            JobState::Ready => check_ready(world, job),
            JobState::Failed => check_failed(world, &entries, entry),
            _ => {}
        }
    }
}

/// An object at a final key is complete, and the only one of its job.
fn check_objects(world: &SimWorld, seen: &mut Seen) {
    let mut folders = BTreeSet::new();
    for key in world.store.keys() {
        let (folder, name) = key.rsplit_once('/').unwrap();
        if is_receipt(&key) || name.starts_with(".downpipe-") {
            continue;
        }
        if !folders.insert(folder.to_owned()) {
            world.violated(format!("{folder} has two files"));
        }
        let pieces = world.store.pieces(&key);
        if !seen.insert((key.clone(), pieces.first().map_or(0, |piece| piece.as_ptr() as usize))) {
            continue;
        }
        let export = exports::named(key.split('/').nth(1).unwrap()).unwrap();
        let mut rest = export.file().bytes.as_slice();
        let matches = pieces.iter().all(|piece| match rest.strip_prefix(&piece[..]) {
            Some(left) => {
                rest = left;
                true
            }
            None => false,
        });
        if !matches || !rest.is_empty() || export.fails.is_some() {
            world.violated(format!("{key} is wrong or short"));
        }
    }
}

/// Who is told that a file is ready can get it, and its receipt says what it is.
fn check_ready(world: &SimWorld, job: &Job) {
    let Some(receipt) = &job.receipt else { return world.violated(format!("{}: no receipt", job.id)) };
    let expected = exports::named(&job.export).unwrap().file();
    let is_right = |receipt: &Receipt| {
        receipt.rows == expected.rows
            && receipt.bytes == expected.bytes.len() as u64
            && receipt.files.len() == 1
            && receipt.files[0].sha256 == expected.sha256
    };
    if !is_right(receipt) || (job.rows, job.bytes) != (receipt.rows, receipt.bytes) {
        world.violated(format!("{}: the receipt in the ledger is wrong", job.id));
    }
    let Some(file) = receipt.files.first() else { return };
    let key = file.address.strip_prefix("memory://").unwrap();
    if world.store.token(key).is_none() {
        world.violated(format!("{}: ready without a file", job.id));
    }
    let beside = [key.to_owned(), key.replace("-1-of-1", "")]
        .iter()
        .find_map(|key| world.store.get(&Receipt::key_of(key)));
    let beside = beside.and_then(|json| serde_json::from_slice::<Receipt>(&json).ok());
    if !beside.is_some_and(|beside| is_right(&beside) && beside.job_id == receipt.job_id) {
        world.violated(format!("{}: the receipt beside the file is missing or wrong", job.id));
    }
}

fn check_failed(world: &SimWorld, entries: &[Entry], entry: &Entry) {
    let job = &entry.job;
    let Some(failure) = &job.failure else {
        return world.violated(format!("{}: failed for nothing", job.id));
    };
    // Receives are spent without an attempt, too. Only attempts that came no further end a job whose cause may pass.
    let passing = ["database_unavailable", "storage", "crashed", "short_result", "ledger"];
    // A follower fails as its leader did.
    let shares = |other: &Entry| {
        other.shared_fingerprint == entry.shared_fingerprint
            && other.job.state == JobState::Failed
            && other.job.attempts_since_progress >= MAX_ATTEMPTS
    };
    let follows = entry.shared_fingerprint.is_some() && entries.iter().any(shares);
    if !follows && passing.contains(&failure.code.as_str()) && job.attempts_since_progress < MAX_ATTEMPTS {
        world.violated(format!(
            "{}: failed as {:?} after {} tries",
            job.id, failure.code, job.attempts_since_progress
        ));
    }
    let own = exports::named(&job.export).and_then(|export| export.fails);
    let codes = ["rejected", "too_large", "resume_key"];
    if codes.contains(&failure.code.as_str()) && own.is_some_and(|own| own != failure.code) {
        world.violated(format!("{}: failed as {:?}", job.id, failure.code));
    }
}

/// What is true when everything has calmed down. In a calm scenario nothing went wrong at all.
pub(crate) fn check_end(world: &SimWorld, asked: &[Asked], calm: bool) {
    let entries = world.entries().clone();
    check_table(world, &entries);
    for entry in &entries {
        let job = &entry.job;
        if !job.state.is_terminal() || job.notified_at.is_none() {
            let told = job.notified_at.is_some();
            world.violated(format!("{}: in the end {:?}, told: {told}", job.id, job.state));
        }
        let folder = format!("/{}/", job.id);
        // A worker that was frozen may complete a file under a hidden name after the job was ready. It must not touch the folder,
        // where others may have gone on with its upload: what is hidden there goes when the file's time is over.
        let hides = |key: &str| job.state == JobState::Ready && key.contains("/.downpipe-");
        let is_file = |key: &&String| key.contains(&folder) && !is_receipt(key) && !hides(key);
        let files: Vec<String> = world.store.keys().iter().filter(is_file).cloned().collect();
        let own = job.receipt.as_ref().is_some_and(|receipt| receipt.job_id == job.id.as_str());
        let allowed = usize::from(job.state == JobState::Ready && own);
        if files.len() != allowed {
            world.violated(format!("{}: in the end {:?}, with the files {files:?}", job.id, job.state));
        }
        let told = world.lock().publishes.iter().filter(|publish| publish.job == job.id.as_str()).count();
        if told == 0 || (calm && told > 1) {
            world.violated(format!("{}: told {told} times", job.id));
        }
        if calm && !ends_well(job) {
            world.violated(format!("{}: in a calm scenario {:?}, {:?}", job.id, job.state, job.failure));
        }
    }
    for Asked { id, requested_by, good } in asked {
        let found = at_once(world.table.of(SCENARIO).get(id));
        match found.map(|stored| stored.entry.job) {
            None => world.violated(format!("{id}: accepted from {requested_by}, and forgotten")),
            Some(job) if job.requested_by != *requested_by => {
                world.violated(format!("{id}: {requested_by} was given the job of {}", job.requested_by));
            }
            Some(job) if !good && !matches!(job.state, JobState::Failed | JobState::Cancelled) => {
                world.violated(format!("{id}: {:?}, and it had to be refused", job.state));
            }
            Some(_) => {}
        }
    }
    check_uploads(world);
}

/// Checks that the table has what was read after the writes, and finds all of it in its order.
fn check_table(world: &SimWorld, entries: &[Entry]) {
    let newest = at_once(world.table.of(SCENARIO).all());
    let by_id = |jobs: &mut Vec<Job>| jobs.sort_by(|a, b| a.id.cmp(&b.id));
    if !newest.is_sorted_by(|a, b| a.created_at >= b.created_at) {
        world.violated("the newest jobs are not in their order");
    }
    let (mut found, mut known) = (newest, entries.iter().map(|entry| entry.job.clone()).collect());
    by_id(&mut found);
    by_id(&mut known);
    if found != known {
        world.violated(format!("the table has {found:?}, and what was written to it is {known:?}"));
    }
}

/// Returns the answer of a table that takes no time of the simulation.
fn at_once<T>(answer: impl Future<Output = Result<T, LedgerError>>) -> T {
    futures_util::FutureExt::now_or_never(answer).unwrap().unwrap()
}

/// Whether a job ended as its export does when nothing goes wrong, or was cancelled.
fn ends_well(job: &Job) -> bool {
    let code = job.failure.as_ref().map_or("", |failure| failure.code.as_str());
    match exports::named(&job.export) {
        _ if job.state == JobState::Cancelled => true,
        Some(export) if job.fingerprint.is_some() => {
            let too_long = code == "timed_out" && !export.is_resumable();
            job.state == JobState::Ready && export.fails.is_none() || export.fails == Some(code) || too_long
        }
        _ => code == "rejected",
    }
}

/// What the ledger knew of is closed, and so is what was begun by workers for whom nothing went wrong.
fn check_uploads(world: &SimWorld) {
    let state = world.lock();
    let left = |(name, begun): (&String, &crate::world::Begun)| {
        let troubles = state.invocations[begun.by].troubles;
        (begun.open && (begun.recorded || troubles == 0)).then(|| (name.clone(), begun.recorded, begun.by))
    };
    let left: Vec<_> = state.uploads.iter().filter_map(left).collect();
    let open = state.uploads.values().filter(|begun| begun.open).count();
    drop(state);
    for (name, recorded, by) in left {
        world.violated(format!("upload {name} of worker {by} is open in the end; in the ledger: {recorded}"));
    }
    if open != world.store.open_uploads() {
        world.violated(format!("{} uploads are open, and {open} known", world.store.open_uploads()));
    }
}

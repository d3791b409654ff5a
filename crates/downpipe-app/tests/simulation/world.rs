//! What all workers of a simulation share, and how each reaches it: slowly, and not always.

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use downpipe_core::job::{Checkpoint, JobId};
use downpipe_core::ledger::Entry;
use downpipe_core::testing::{MemoryCache, MemoryStore};
use tokio::time::{Instant, sleep_until};

use crate::ledger::{SharedTable, SimTable};
use crate::queue::Messages;

/// Every worker acts at milliseconds of its own, so that no two act at once and a seed gives the same scenario every time. Number 0
/// is the scenario's own. All the product's times are multiples of this.
pub(crate) const TIME_SLOTS: u64 = 8;

/// How many of the last events a violation shows.
const SHOWN: usize = 80;

/// The number of the scenario itself, which cancels and sweeps. It is never slow, and no call fails for it.
pub(crate) const SCENARIO: usize = 0;

pub(crate) struct SimWorld {
    pub(crate) table: SharedTable,
    /// What the table has, the newest last, as it was read after each write.
    entries: Mutex<Vec<Entry>>,
    pub(crate) store: MemoryStore,
    pub(crate) cache: MemoryCache,
    state: Mutex<State>,
    origin: Instant,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) messages: Messages,
    pub(crate) invocations: Vec<Invocation>,
    pub(crate) faults: Vec<Planned>,
    /// How often a call fails that nothing is planned for.
    pub(crate) background_error_rate: f64,
    /// Milliseconds that a row takes.
    pub(crate) row_time: u64,
    /// How many of the next rows make their worker panic.
    pub(crate) panics: u32,
    pub(crate) publishes: Vec<Publish>,
    pub(crate) uploads: BTreeMap<String, Begun>,
    pub(crate) violations: Vec<String>,
    pub(crate) counts: BTreeMap<String, u64>,
    events: VecDeque<String>,
    /// How far the ledger's clock has come.
    ledger_at: Duration,
}

/// A worker with a message in hand.
pub(crate) struct Invocation {
    pub(crate) time_slot: u64,
    pub(crate) rng: fastrand::Rng,
    pub(crate) frozen_until: Option<Instant>,
    pub(crate) dead: bool,
    /// What it has claimed last, and the checkpoint from which it resumes.
    pub(crate) lease: Option<(JobId, u32)>,
    pub(crate) after: Option<Checkpoint>,
    pub(crate) attempts_since_progress: u32,
    /// Whether its job was to be cancelled when it was claimed.
    pub(crate) unwanted: bool,
    /// How often something went wrong for it, and how often that was when it took the notify lease.
    pub(crate) troubles: u32,
    pub(crate) troubles_at_notice: u32,
}

/// A notice that went out.
pub(crate) struct Publish {
    pub(crate) job: String,
    pub(crate) by: usize,
    /// Whether the ledger has recorded it.
    pub(crate) recorded: bool,
    /// Whether something went wrong before it could be recorded.
    pub(crate) excused: bool,
}

/// An upload that was begun.
pub(crate) struct Begun {
    pub(crate) by: usize,
    pub(crate) open: bool,
    /// Whether an object came of it.
    pub(crate) completed: bool,
    /// Whether a checkpoint in the ledger has named it, so that it can be found.
    pub(crate) recorded: bool,
}

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The call does not arrive.
    CallLost,
    /// The call is done, and its answer is lost.
    AnswerLost,
    /// The call takes longer than its timeout.
    Slow,
    /// The worker freezes before the call, for longer than its lease.
    Freeze,
    /// The worker dies before the call.
    DeathBefore,
    /// The call is done, and the worker dies.
    DeathAfter,
}

/// A fault of the next calls whose names begin so.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) call: &'static str,
    pub(crate) fault: Fault,
    pub(crate) times: u32,
}

/// A worker's ports, each of which may fail.
#[derive(Clone)]
pub(crate) struct FaultyPorts {
    pub(crate) world: Arc<SimWorld>,
    pub(crate) number: usize,
}

impl SimWorld {
    pub(crate) fn new() -> Arc<Self> {
        let world = Self {
            table: SharedTable::new(),
            entries: Mutex::default(),
            store: MemoryStore::new(),
            cache: MemoryCache::default(),
            state: Mutex::default(),
            origin: Instant::now(),
        };
        world.lock().invocations.push(Invocation::new(0, 0));
        Arc::new(world)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Returns the first moment from then on that is in this time slot.
    pub(crate) fn aligned(&self, at: Instant, time_slot: u64) -> Instant {
        let since = u64::try_from((at - self.origin).as_nanos().div_ceil(1_000_000)).unwrap();
        self.origin
            + Duration::from_millis(since + (time_slot + TIME_SLOTS - since % TIME_SLOTS) % TIME_SLOTS)
    }

    pub(crate) fn age(&self) -> Duration {
        self.origin.elapsed()
    }

    pub(crate) fn note(&self, event: impl AsRef<str>) {
        let age = self.age().as_millis();
        self.lock().note(age, event.as_ref());
    }

    pub(crate) fn violated(&self, what: impl AsRef<str>) {
        self.note(format!("VIOLATION: {}", what.as_ref()));
        self.lock().violations.push(what.as_ref().to_owned());
    }

    pub(crate) fn events(&self) -> String {
        self.lock().events.iter().cloned().collect::<Vec<_>>().join("\n")
    }

    /// Returns every entry of the table, the newest last.
    pub(crate) fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap()
    }

    pub(crate) fn entry(&self, id: &JobId) -> Option<Entry> {
        self.entries().iter().find(|entry| entry.job.id == *id).cloned()
    }

    /// Records what the table has after a write.
    pub(crate) fn wrote(&self, entry: Entry) {
        let mut entries = self.entries();
        match entries.iter_mut().find(|known| known.job.id == entry.job.id) {
            Some(known) => *known = entry,
            None => entries.push(entry),
        }
    }

    /// Moves the ledger's clock to the simulation's.
    pub(crate) fn wind_clock(&self) {
        let age = self.age();
        let mut state = self.lock();
        let passed = age - std::mem::replace(&mut state.ledger_at, age);
        drop(state);
        self.table.pass(passed);
    }
}

impl State {
    fn note(&mut self, at: u128, event: &str) {
        self.events.push_back(format!("{:>10}.{:03} {event}", at / 1000, at % 1000));
        if self.events.len() > SHOWN {
            self.events.pop_front();
        }
    }

    pub(crate) fn count(&mut self, what: impl Into<String>) {
        *self.counts.entry(what.into()).or_default() += 1;
    }

    /// Records that something went wrong for an invocation: what it has not recorded yet may happen once more.
    pub(crate) fn trouble(&mut self, number: usize) {
        self.invocations[number].troubles += 1;
        for publish in self.publishes.iter_mut().filter(|publish| publish.by == number && !publish.recorded) {
            publish.excused = true;
        }
    }

    pub(crate) fn fault(&mut self, number: usize, call: &str) -> Option<Fault> {
        let planned = self.faults.iter_mut().find(|planned| call.starts_with(planned.call));
        let fault = match planned {
            Some(planned) => {
                planned.times -= 1;
                Some(planned.fault)
            }
            None if self.background_error_rate > 0.0
                && self.invocations[number].rng.f64() < self.background_error_rate =>
            {
                let kinds = [Fault::CallLost, Fault::AnswerLost, Fault::Slow];
                self.invocations[number].rng.choice(kinds)
            }
            None => None,
        };
        self.faults.retain(|planned| planned.times > 0);
        if let Some(fault) = fault {
            self.trouble(number);
            self.count(format!("{fault:?} {}", call.split('.').next().unwrap_or_default()));
        }
        fault
    }
}

impl Invocation {
    pub(crate) fn new(time_slot: u64, seed: u64) -> Self {
        Self {
            time_slot,
            rng: fastrand::Rng::with_seed(seed),
            frozen_until: None,
            dead: false,
            lease: None,
            after: None,
            attempts_since_progress: 0,
            unwanted: false,
            troubles: 0,
            troubles_at_notice: 0,
        }
    }
}

impl FaultyPorts {
    pub(crate) fn table(&self) -> SimTable<'_> {
        self.world.table.of(self.number)
    }

    pub(crate) fn me<R>(&self, act: impl FnOnce(&mut Invocation) -> R) -> R {
        act(&mut self.world.lock().invocations[self.number])
    }

    pub(crate) fn is_story(&self) -> bool {
        self.number == SCENARIO
    }

    pub(crate) fn note(&self, event: impl AsRef<str>) {
        self.world.note(format!("worker {}: {}", self.number, event.as_ref()));
    }

    pub(crate) fn draw(&self, range: RangeInclusive<u64>) -> u64 {
        self.me(|me| me.rng.u64(range))
    }

    /// Waits so many milliseconds and then for this worker's time slot; longer if the worker is frozen by then.
    pub(crate) async fn nap(&self, milliseconds: u64) {
        if self.is_story() {
            return;
        }
        let mut until = Instant::now() + Duration::from_millis(milliseconds);
        loop {
            let time_slot = self.me(|me| me.time_slot);
            sleep_until(self.world.aligned(until, time_slot)).await;
            match self.me(|me| me.frozen_until).filter(|thaw| *thaw > Instant::now()) {
                Some(thaw) => until = thaw,
                None => return,
            }
        }
    }

    /// Freezes the worker for a time, without its knowledge.
    pub(crate) fn freeze(&self, time: Duration) {
        let time_slot = self.me(|me| me.time_slot);
        let until = self.world.aligned(Instant::now() + time, time_slot);
        self.note(format!("is frozen for {} s", time.as_secs()));
        let mut state = self.world.lock();
        state.trouble(self.number);
        state.count("is frozen");
        state.invocations[self.number].frozen_until = Some(until);
    }

    pub(crate) async fn die<T>(&self) -> T {
        self.me(|me| me.dead = true);
        std::future::pending().await
    }

    /// Makes a call over a network, where call and answer take time or are lost.
    pub(crate) async fn call<T, E>(
        &self,
        name: &str,
        act: impl Future<Output = Result<T, E>>,
        broken: impl FnOnce() -> E,
    ) -> Result<T, E> {
        let (there, back) = (self.draw(1..=120), self.draw(1..=120));
        self.call_taking(there, back, name, act, broken).await
    }

    pub(crate) async fn call_taking<T, E>(
        &self,
        there: u64,
        back: u64,
        name: &str,
        act: impl Future<Output = Result<T, E>>,
        broken: impl FnOnce() -> E,
    ) -> Result<T, E> {
        if self.is_story() {
            return act.await;
        }
        self.nap(there).await;
        let fault = self.world.lock().fault(self.number, name);
        if let Some(fault) = fault {
            self.note(format!("{name}: {fault:?}"));
        }
        match fault {
            Some(Fault::CallLost) => {
                self.nap(back).await;
                return Err(broken());
            }
            Some(Fault::Slow) => self.nap(20_000 + 700 * there).await,
            Some(Fault::Freeze) => {
                self.freeze(Duration::from_secs(61 + 7 * (there % 100)));
                self.nap(0).await;
            }
            Some(Fault::DeathBefore) => self.die().await,
            Some(Fault::AnswerLost | Fault::DeathAfter) | None => {}
        }
        let done = act.await;
        if fault == Some(Fault::DeathAfter) {
            return self.die().await;
        }
        self.nap(back).await;
        if fault == Some(Fault::AnswerLost) { Err(broken()) } else { done }
    }
}

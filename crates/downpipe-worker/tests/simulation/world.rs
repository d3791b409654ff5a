//! What all workers of a simulation share, and how each of them reaches it: slowly, and not always.

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use downpipe_core::checkpoint::Checkpoint;
use downpipe_core::entry::Entry;
use downpipe_core::job::JobId;
use downpipe_core::testing::{MemoryLedger, MemoryStore};
use tokio::time::{Instant, sleep_until};

use crate::queue::Messages;

/// Every worker acts at milliseconds of its own, so that no two act at once and a seed gives the same story every time. Number 0
/// is the story's own. All the product's times are multiples of this.
pub(crate) const LANES: u64 = 8;

/// How many of the last events a violation shows.
const SHOWN: usize = 80;

/// Who tells the story: cancels, sweeps, looks. It is never slow, and nothing fails for it.
pub(crate) const STORY: usize = 0;

pub(crate) struct World {
    pub(crate) ledger: MemoryLedger,
    pub(crate) store: MemoryStore,
    state: Mutex<State>,
    origin: Instant,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) messages: Messages,
    pub(crate) invocations: Vec<Invocation>,
    pub(crate) faults: Vec<Planned>,
    /// How often a call fails that nothing is planned for.
    pub(crate) weather: f64,
    /// Milliseconds that a row takes.
    pub(crate) row_time: u64,
    /// How many rows to come make their worker panic.
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
    pub(crate) lane: u64,
    pub(crate) rng: fastrand::Rng,
    pub(crate) frozen_until: Option<Instant>,
    pub(crate) dead: bool,
    /// What it has claimed last, and where the ledger told it to go on.
    pub(crate) lease: Option<(JobId, u32)>,
    pub(crate) after: Option<Checkpoint>,
    pub(crate) tries: u32,
    /// Whether its job was to be cancelled when it claimed it.
    pub(crate) unwanted: bool,
    /// How often something went wrong for it, and how often that was when it took the right to tell.
    pub(crate) troubles: u32,
    pub(crate) troubles_at_notice: u32,
}

/// A notice that went out.
pub(crate) struct Publish {
    pub(crate) job: String,
    pub(crate) by: usize,
    /// Whether the ledger knows.
    pub(crate) recorded: bool,
    /// Whether something went wrong before it could know.
    pub(crate) excused: bool,
}

/// An upload that was begun.
pub(crate) struct Begun {
    pub(crate) by: usize,
    pub(crate) open: bool,
    /// Whether an object came of it.
    pub(crate) completed: bool,
    /// Whether a checkpoint in the ledger has named it: then somebody can find it.
    pub(crate) recorded: bool,
}

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It does not arrive.
    CallLost,
    /// It is done, and the answer is lost.
    AnswerLost,
    /// It takes longer than anybody waits.
    Slow,
    /// The worker freezes before it, for longer than its lease.
    Freeze,
    /// The worker dies before it.
    DeathBefore,
    /// It is done, and the worker dies.
    DeathAfter,
}

/// What is to go wrong with the next calls of a name, or of all whose names begin so.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) call: &'static str,
    pub(crate) fault: Fault,
    pub(crate) times: u32,
}

/// A worker's way to everything around it. It is every port.
#[derive(Clone)]
pub(crate) struct Hand {
    pub(crate) world: Arc<World>,
    pub(crate) number: usize,
}

impl World {
    pub(crate) fn new() -> Arc<Self> {
        let world = Self {
            ledger: MemoryLedger::new(),
            store: MemoryStore::new(),
            state: Mutex::default(),
            origin: Instant::now(),
        };
        world.lock().invocations.push(Invocation::new(0, 0));
        Arc::new(world)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The first moment from then on that is this lane's.
    pub(crate) fn aligned(&self, at: Instant, lane: u64) -> Instant {
        let since = u64::try_from((at - self.origin).as_nanos().div_ceil(1_000_000)).unwrap();
        self.origin + Duration::from_millis(since + (lane + LANES - since % LANES) % LANES)
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

    pub(crate) fn entry(&self, id: &JobId) -> Option<Entry> {
        self.ledger.entries().into_iter().find(|entry| entry.job.id == *id)
    }

    /// The ledger's clock goes as ours does.
    pub(crate) fn wind_clock(&self) {
        let age = self.age();
        let mut state = self.lock();
        let passed = age - std::mem::replace(&mut state.ledger_at, age);
        drop(state);
        self.ledger.pass(passed);
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

    /// Something has gone wrong for an invocation: what it has not recorded yet may happen once more.
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
            None if self.weather > 0.0 && self.invocations[number].rng.f64() < self.weather => {
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
    pub(crate) fn new(lane: u64, seed: u64) -> Self {
        Self {
            lane,
            rng: fastrand::Rng::with_seed(seed),
            frozen_until: None,
            dead: false,
            lease: None,
            after: None,
            tries: 0,
            unwanted: false,
            troubles: 0,
            troubles_at_notice: 0,
        }
    }
}

impl Hand {
    pub(crate) fn me<R>(&self, act: impl FnOnce(&mut Invocation) -> R) -> R {
        act(&mut self.world.lock().invocations[self.number])
    }

    pub(crate) fn is_story(&self) -> bool {
        self.number == STORY
    }

    pub(crate) fn note(&self, event: impl AsRef<str>) {
        self.world.note(format!("worker {}: {}", self.number, event.as_ref()));
    }

    pub(crate) fn draw(&self, range: RangeInclusive<u64>) -> u64 {
        self.me(|me| me.rng.u64(range))
    }

    /// Waits so many milliseconds and then for this worker's turn; longer, if the worker is frozen by then.
    pub(crate) async fn nap(&self, milliseconds: u64) {
        if self.is_story() {
            return;
        }
        let mut until = Instant::now() + Duration::from_millis(milliseconds);
        loop {
            let lane = self.me(|me| me.lane);
            sleep_until(self.world.aligned(until, lane)).await;
            match self.me(|me| me.frozen_until).filter(|thaw| *thaw > Instant::now()) {
                Some(thaw) => until = thaw,
                None => return,
            }
        }
    }

    /// The worker does nothing for a time, and does not know.
    pub(crate) fn freeze(&self, time: Duration) {
        let lane = self.me(|me| me.lane);
        let until = self.world.aligned(Instant::now() + time, lane);
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

    /// A call over a network: it takes time to arrive and for its answer to come back, if they do.
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

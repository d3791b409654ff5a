//! A scenario: what happens to the workers, step by step, all of it drawn from a seed.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use downpipe_app::config::LEDGER_RETENTION;
use downpipe_app::deliver::deliver;
use downpipe_app::ports::Ports;
use downpipe_app::sweep::MAX_DURATION;
use downpipe_app::worker::{LEASE, Outcome, Worker};
use downpipe_core::cache::{JobCache, ReceiptKeys};
use downpipe_core::catalog::Catalog;
use downpipe_core::job::NewJob;
use downpipe_core::language::Language;
use downpipe_core::ledger::Ledger;
use downpipe_core::message::Message as Body;
use downpipe_core::queue::Queue as _;
use tokio::time::{Instant, sleep_until};

use crate::exports::{self, EXPORTS};
use crate::model::{self, Asked, Seen};
use crate::queue::{Message, VISIBILITY};
use crate::real_panics;
use crate::world::{Fault, FaultyPorts, Invocation, Planned, SCENARIO, SimWorld, TIME_SLOTS};

/// Workers that the queue is allowed to start at once. Frozen ones come on top.
const AT_ONCE: usize = 3;

/// Rounds in which everything has to come to rest.
const ROUNDS: usize = 500;

/// A worker with a message in hand.
struct Running {
    number: usize,
    time_slot: u64,
    ends_at: Instant,
    handling: Pin<Box<dyn Future<Output = ()>>>,
}

pub(crate) struct Scenario {
    pub(crate) world: Arc<SimWorld>,
    rng: fastrand::Rng,
    seed: u64,
    catalog: Catalog,
    running: Vec<Running>,
    sent: Vec<String>,
    asked: Vec<Asked>,
    seen: Seen,
    /// How long Lambda gives a run.
    run: Duration,
    calm: bool,
}

impl Scenario {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let world = SimWorld::new();
        let calm = rng.u8(0..5) == 0;
        let run = Duration::from_secs(rng.choice([120, 300, 900]).unwrap());
        {
            let mut state = world.lock();
            state.messages.max_receives =
                rng.choice([None, Some(1), Some(2), Some(5), Some(5), Some(5)]).unwrap();
            state.row_time = rng.choice([100, 2_000, 9_000, 20_000]).unwrap();
            state.background_error_rate =
                if calm { 0.0 } else { rng.choice([0.0, 0.0, 0.005, 0.03]).unwrap() };
        }
        let catalog = exports::catalog();
        let (running, sent, asked, seen) = (Vec::new(), Vec::new(), Vec::new(), Seen::new());
        Self { world, rng, seed, catalog, running, sent, asked, seen, run, calm }
    }

    /// Runs so many steps and the end, up to the first violation. Fails with the step of that.
    pub(crate) async fn run(&mut self, steps: usize) -> Result<(), usize> {
        for step in 1..=steps {
            self.step(step).await;
            let a_moment = self.rng.u64(0..1500);
            self.pass(Duration::from_millis(a_moment)).await;
            self.check(step)?;
        }
        self.calm_down(steps).await?;
        model::check_end(&self.world, &self.asked, self.calm);
        self.check(steps)
    }

    fn check(&mut self, step: usize) -> Result<(), usize> {
        model::check(&self.world, &mut self.seen);
        if self.world.lock().violations.is_empty() { Ok(()) } else { Err(step) }
    }

    async fn step(&mut self, step: usize) {
        let (mut draw, calm) = (self.rng.u32(0..100), self.calm);
        // In a calm scenario, half of all things do not happen.
        if calm && draw >= 58 {
            draw = 0;
        }
        self.world.note(format!("--- step {step}"));
        match draw {
            0..25 => self.let_time_pass().await,
            25..38 => self.ask(),
            38..43 => self.click_again(),
            43..46 => self.send_again(),
            46..49 => self.ask_wrongly(),
            49..53 => self.ask_to_continue(),
            53..55 => drop(self.world.lock().messages.duplicate(&mut self.rng)),
            55..58 => drop(self.sweep().await),
            58..63 => self.cancel().await,
            63..70 => self.kill(),
            70..77 => self.freeze(),
            77..80 => self.world.lock().panics += 1,
            _ => self.plan_fault(),
        }
    }

    async fn let_time_pass(&mut self) {
        let seconds = match self.rng.u32(0..10) {
            0..3 => self.rng.u64(1..5),
            3..6 => self.rng.u64(5..60),
            6..8 => self.rng.u64(60..600),
            8 => self.rng.u64(600..3600),
            _ => self.rng.u64(3600..20_000),
        };
        self.pass(Duration::from_secs(seconds)).await;
    }

    /// A requester clicks.
    fn ask(&mut self) {
        let export = self.rng.choice(EXPORTS.iter()).map(|export| export.name).unwrap();
        let who = self.rng.choice(["ann@x", "bob@x", "cem@x"]).unwrap();
        let key = if self.rng.bool() {
            format!(r#","request_id":"click-{}""#, self.rng.u32(..))
        } else {
            String::new()
        };
        self.send(format!(r#"{{"export":"{export}","requested_by":"{who}"{key}}}"#));
    }

    /// A requester clicks again, or another one makes the same request.
    fn click_again(&mut self) {
        let Some(before) = self.rng.choice(self.sent.iter()) else { return };
        let Ok(Body::Export(mut message)) = Body::parse(before) else { return };
        message.request_id = Some(format!("again-{}", self.rng.u32(..)));
        if self.rng.bool() {
            message.requested_by = self.rng.choice(["ann@x", "bob@x", "cem@x"]).unwrap().parse().unwrap();
        }
        self.send(message.to_json());
    }

    /// Sends the same body in another message.
    fn send_again(&mut self) {
        if let Some(before) = self.rng.choice(self.sent.iter()).cloned() {
            self.send(before);
        }
    }

    fn ask_wrongly(&mut self) {
        let wrong =
            ["test", r#"{"export":"nothing"}"#, r#"{"export":"small","color":"red"}"#, r#"{"continue":"x"}"#];
        let body = self.rng.choice(wrong).unwrap();
        self.send(body.to_owned());
    }

    fn ask_to_continue(&mut self) {
        let id = self.rng.choice(self.world.entries().iter()).map(|entry| entry.job.id.clone());
        if let Some(id) = id {
            self.world.send(&Body::Continue(id).to_json());
        }
    }

    fn send(&mut self, body: String) {
        let id = self.world.send(&body);
        let message = Body::parse(&body);
        let job = NewJob::of(&message, &id, &body).unwrap();
        self.asked.push(Asked { id: job.id, requested_by: job.requested_by, good: message.is_ok() });
        self.sent.push(body);
    }

    async fn cancel(&mut self) {
        let id = self.rng.choice(self.world.entries().iter()).map(|entry| entry.job.id.clone());
        let Some(id) = id else { return };
        let cancel = Ledger::new(self.ports(SCENARIO)).cancel(&id).await.unwrap();
        self.world.note(format!("{id} is cancelled: {:?}", std::mem::discriminant(&cancel)));
    }

    fn kill(&mut self) {
        if !self.running.is_empty() {
            let at = self.rng.usize(0..self.running.len());
            self.end(at, "is killed");
        }
    }

    fn end(&mut self, at: usize, how: &str) {
        let number = self.running.remove(at).number;
        self.world.note(format!("worker {number} {how}"));
        let mut state = self.world.lock();
        state.trouble(number);
        state.count(how);
    }

    fn freeze(&mut self) {
        let time = Duration::from_secs(self.rng.u64(10..900));
        if let Some(number) = self.rng.choice(self.running.iter()).map(|running| running.number) {
            self.ports(number).freeze(time);
        }
    }

    fn plan_fault(&mut self) {
        let calls = [
            "ledger.",
            "ledger.",
            "ledger.get",
            "ledger.status",
            "ledger.replace",
            "ledger.replace",
            "ledger.insert",
            "store.put",
            "store.begin",
            "store.resume",
            "store.part",
            "store.part",
            "store.complete",
            "store.complete",
            "store.discard",
            "store.find_receipt",
            "store.holds",
            "ledger.last_led",
            "ledger.followers",
            "cache.",
            "cache.",
            "store.put_receipt",
            "store.put_receipt",
            "store.rename",
            "store.clear",
            "store.clear",
            "store.abort",
            "notifier.",
            "notifier.",
            "queue.send",
            "queue.send",
            "queue.return",
            "queue.max_receives",
            "queue.delete",
            "source.connect",
            "source.row",
            "source.row",
        ];
        let call = self.rng.choice(calls).unwrap();
        let faults = [
            Fault::CallLost,
            Fault::AnswerLost,
            Fault::Slow,
            Fault::Freeze,
            Fault::DeathBefore,
            Fault::DeathAfter,
        ];
        let fault = self.rng.choice(faults).unwrap();
        // An outage, or an accident.
        let times = match fault {
            Fault::CallLost | Fault::AnswerLost if self.rng.u8(0..4) == 0 => self.rng.u32(10..60),
            Fault::CallLost | Fault::AnswerLost | Fault::Slow => self.rng.u32(1..5),
            Fault::Freeze | Fault::DeathBefore | Fault::DeathAfter => 1,
        };
        self.world.note(format!("{times} times {fault:?} at {call}"));
        self.world.lock().faults.push(Planned { call, fault, times });
    }

    /// Sweeps as the product does, and returns how much there was to repair.
    async fn sweep(&mut self) -> usize {
        let worker = worker(&self.ports(SCENARIO), self.catalog.clone());
        // Boxed: the scenario and a whole sweep in one future would be too deep for a test's stack.
        let report = Box::pin(worker.sweep(Instant::now() + MAX_DURATION, false)).await;
        for finding in &report.findings {
            self.world.note(format!("the sweep finds {}: {:?}", finding.job, finding.kind));
        }
        if !report.not_looked_for.is_empty() {
            self.world.violated(format!("the sweep could not look for everything: {report:?}"));
        }
        report.findings.len()
    }

    /// Stops all faults, and lets time pass until nothing is left to do.
    async fn calm_down(&mut self, step: usize) -> Result<(), usize> {
        self.world.note("--- calm");
        {
            let mut state = self.world.lock();
            state.faults.clear();
            (state.background_error_rate, state.panics) = (0.0, 0);
        }
        for _ in 0..ROUNDS {
            self.pass(Duration::from_secs(900)).await;
            self.check(step)?;
            let (swept, redriven) = (self.sweep().await, self.world.lock().messages.redrive());
            if swept + redriven == 0 && self.running.is_empty() && self.world.lock().messages.is_empty() {
                let open = self.world.entries().iter().any(|entry| !entry.job.state.is_terminal());
                if !open {
                    let mut state = self.world.lock();
                    let died = state.messages.died;
                    *state.counts.entry("dead letters".to_owned()).or_default() += died;
                    return Ok(());
                }
            }
        }
        self.world.violated("it does not come to rest");
        Err(step)
    }

    fn ports(&self, number: usize) -> FaultyPorts {
        FaultyPorts { world: Arc::clone(&self.world), number }
    }

    /// Lets workers work for a time.
    async fn pass(&mut self, time: Duration) {
        let until = self.world.aligned(Instant::now() + time, 0);
        loop {
            self.dispatch();
            let now = Instant::now();
            let next_message = self.world.lock().messages.next_visible().filter(|at| *at > now);
            let next_end = self.running.iter().map(|running| self.ends_at(running)).min();
            let next = [next_message, next_end].into_iter().flatten().fold(until, Instant::min);
            self.work_until(self.world.aligned(next, 0).min(until)).await;
            let now = Instant::now();
            while let Some(at) = self.running.iter().position(|running| self.ends_at(running) <= now) {
                self.end(at, "runs out of time");
            }
            if now >= until {
                return;
            }
        }
    }

    /// Returns when a worker's time is up. One that was frozen has some time left when it wakes.
    fn ends_at(&self, running: &Running) -> Instant {
        let thaw = self.world.lock().invocations[running.number].frozen_until;
        thaw.map_or(running.ends_at, |thaw| running.ends_at.max(thaw + Duration::from_secs(40)))
    }

    /// Lets workers work until this moment, or until one is done.
    async fn work_until(&mut self, until: Instant) {
        let (world, running) = (&self.world, &mut self.running);
        let mut timer = pin!(sleep_until(until));
        poll_fn(|context| {
            let mut done = false;
            let now = Instant::now();
            running.retain_mut(|running| {
                let frozen =
                    || world.lock().invocations[running.number].frozen_until.is_some_and(|until| until > now);
                let dead = || world.lock().invocations[running.number].dead;
                let ended =
                    dead() || !frozen() && (running.handling.as_mut().poll(context).is_ready() || dead());
                done |= ended;
                !ended
            });
            if done { Poll::Ready(()) } else { timer.as_mut().poll(context) }
        })
        .await;
    }

    /// Starts workers for what is in the queue.
    fn dispatch(&mut self) {
        loop {
            let now = Instant::now();
            let awake = |running: &&Running| {
                self.world.lock().invocations[running.number].frozen_until.is_none_or(|until| until <= now)
            };
            let time_slot = (1..TIME_SLOTS)
                .find(|time_slot| self.running.iter().all(|running| running.time_slot != *time_slot));
            let Some(time_slot) = time_slot.filter(|_| self.running.iter().filter(awake).count() < AT_ONCE)
            else {
                return;
            };
            let Some(message) = self.world.lock().messages.receive(&mut self.rng, VISIBILITY) else { return };
            let number = {
                let mut state = self.world.lock();
                let number = state.invocations.len();
                state.invocations.push(Invocation::new(time_slot, self.seed << 20 | number as u64));
                number
            };
            self.world
                .note(format!("worker {number} receives {}, for the {}. time", message.id, message.receives));
            let handling = Box::pin(invoke(self.ports(number), self.catalog.clone(), message, self.run));
            self.running.push(Running { number, time_slot, ends_at: now + self.run, handling });
        }
    }
}

/// Names the ports of the simulation.
enum SimPorts {}

impl Ports for SimPorts {
    type Table = FaultyPorts;
    type Source = FaultyPorts;
    type Store = FaultyPorts;
    type Notifier = FaultyPorts;
    type Queue = FaultyPorts;
    type Cache = FaultyPorts;
}

fn worker(ports: &FaultyPorts, catalog: Catalog) -> Worker<SimPorts> {
    Worker {
        catalog,
        ledger: Ledger::new(ports.clone()),
        source: ports.clone(),
        store: ports.clone(),
        notifier: ports.clone(),
        queue: ports.clone(),
        cache: JobCache::new(ports.clone(), Some(ReceiptKeys::new([7; 32], Vec::new()))),
        lease: LEASE,
        ledger_retention: LEDGER_RETENTION,
        prefix: "files".to_owned(),
        language: Language::En,
        links: None,
    }
}

/// Delivers a message as Lambda does, which deletes it when it is handled.
async fn invoke(ports: FaultyPorts, catalog: Catalog, message: Message, run: Duration) {
    ports.nap(1).await;
    let (worker, delivery) = (worker(&ports, catalog), message.delivery());
    let panics = real_panics();
    let outcome = deliver(&worker, &delivery, Instant::now() + run).await;
    if real_panics() > panics {
        ports.world.violated(format!("worker {} panicked by itself", ports.number));
    }
    match outcome {
        Outcome::Done => drop(ports.delete(&delivery.receipt_handle).await),
        Outcome::RetryAfter(delay) => {
            ports.note(format!("wants its message back in {} s", delay.as_secs()));
        }
    }
}

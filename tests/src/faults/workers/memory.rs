//! Lets the kernel kill a worker that exceeds the memory of its control group.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use xtask::faults::Outcome;

use super::scene::{ExportOptions, WorkerScene};
use crate::faults::fault_run::{FaultRun, Plan};
use crate::faults::http_proxy::Moment;
use crate::test_stack::WorkerProcess;
use crate::{eventually_within, unique};

/// The memory that the worker gets in addition when its upload begins: less than one more part.
const EXTRA_BYTES: u64 = 2 << 20;

/// The mount points of the memory controller's two versions.
const V1: &str = "/sys/fs/cgroup/memory";
const V2: &str = "/sys/fs/cgroup";

/// A control group, which is removed when it is dropped.
struct ControlGroup {
    folder: PathBuf,
    limit: &'static str,
    usage: &'static str,
}

impl ControlGroup {
    /// Creates a control group in which memory can be limited.
    ///
    /// When the machine has no memory controller, or the user may not use it.
    fn new() -> io::Result<Self> {
        let v1 = fs::exists(format!("{V1}/memory.limit_in_bytes"))?;
        let (root, limit, usage) = if v1 {
            (V1, "memory.limit_in_bytes", "memory.usage_in_bytes")
        } else {
            (V2, "memory.max", "memory.current")
        };
        let group = Self { folder: PathBuf::from(root).join(unique("downpipe")), limit, usage };
        fs::create_dir(&group.folder)?;
        // In version 2 the file exists only where the parent folder enables the controller.
        fs::metadata(group.folder.join(limit))?;
        Ok(group)
    }

    /// Wraps a command so that it runs in this group.
    fn wrap(&self, command: &Command) -> Command {
        let mut inside = Command::new("sh");
        inside.args(["-c", "echo $$ > \"$0\"; exec \"$@\""]).arg(self.folder.join("cgroup.procs"));
        inside.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        inside
    }

    /// Limits the group to its current memory and so many bytes more.
    fn limit_growth(&self, bytes: u64) {
        let usage = fs::read_to_string(self.folder.join(self.usage)).unwrap();
        let usage: u64 = usage.trim().parse().unwrap();
        fs::write(self.folder.join(self.limit), (usage + bytes).to_string()).unwrap();
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        drop(fs::remove_dir(&self.folder));
    }
}

/// Lets the kernel kill a worker during an upload. Another worker with enough memory completes the
/// job.
pub async fn exhausted(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    const NAME: &str = "worker: out of memory";
    if let Err(error) = ControlGroup::new() {
        let outcome = format!("not tried: no control group for memory here ({error})");
        return Outcome { fault: NAME.to_owned(), outcome, skipped: true, ..Outcome::default() };
    }
    let harness = fault_run.harness().await;
    fault_run
        .inject(NAME, plan.times, 2, async |k| {
            let options = ExportOptions::few_parts(k % 2 == 0);
            harness.undisturbed(options).await;
            let scene = WorkerScene::new(harness, options).await;
            let job = scene.send_request().await;
            let group = Arc::new(ControlGroup::new().unwrap());
            let limited = Arc::clone(&group);
            scene.aws.watch(move |request, moment| {
                if (request.operation.as_str(), moment) == ("CreateMultipartUpload", Moment::Received) {
                    limited.limit_growth(EXTRA_BYTES);
                }
            });
            let mut first = WorkerProcess::start(&mut group.wrap(&scene.command(&[])));
            let worker = std::cell::RefCell::new(&mut first);
            let max = Duration::from_secs(60);
            let status =
                eventually_within(max, "the worker is killed", async || worker.borrow_mut().status()).await;
            scene.aws.watch(|_, _| {});
            let killed = std::os::unix::process::ExitStatusExt::signal(&status) == Some(9);
            let mut second = scene.worker(&[]);
            scene.wait_for_success(&mut second).await;
            let run = scene.inspect(&job, u32::from(killed), 1..=1).await.must_be_ready();
            run.wrong_if(!killed, format!("the kernel has not killed it: {status}"))
        })
        .await
}

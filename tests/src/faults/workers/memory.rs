//! A worker that the kernel kills because there is not enough memory: in a control group of its own.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use xtask::faults::Outcome;

use super::scene::{Ask, WorkerScene};
use crate::faults::http_proxy::Moment;
use crate::faults::lab::{Lab, Plan};
use crate::site::WorkerProcess;
use crate::{eventually_within, unique};

/// What the worker gets on top of what it has when its upload begins: less than one more part.
const MORE: u64 = 2 << 20;

/// Linux's memory controller, in its two versions.
const V1: &str = "/sys/fs/cgroup/memory";
const V2: &str = "/sys/fs/cgroup";

/// A control group, gone with this.
struct Group {
    folder: PathBuf,
    limit: &'static str,
    usage: &'static str,
}

impl Group {
    /// One in which memory can be limited.
    ///
    /// # Errors
    /// When this machine, or this user, has none.
    fn new() -> io::Result<Self> {
        let v1 = fs::exists(format!("{V1}/memory.limit_in_bytes"))?;
        let (root, limit, usage) = if v1 {
            (V1, "memory.limit_in_bytes", "memory.usage_in_bytes")
        } else {
            (V2, "memory.max", "memory.current")
        };
        let group = Self { folder: PathBuf::from(root).join(unique("downpipe")), limit, usage };
        fs::create_dir(&group.folder)?;
        // In version 2 it is there only where whoever owns the folder above has asked for it.
        fs::metadata(group.folder.join(limit))?;
        Ok(group)
    }

    /// The same command, begun in this group.
    fn around(&self, command: &Command) -> Command {
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

    /// Nothing more than so many bytes on top of what it has.
    fn close(&self, more: u64) {
        let usage = fs::read_to_string(self.folder.join(self.usage)).unwrap();
        let usage: u64 = usage.trim().parse().unwrap();
        fs::write(self.folder.join(self.limit), (usage + more).to_string()).unwrap();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        drop(fs::remove_dir(&self.folder));
    }
}

/// Killed by the kernel in the middle of an upload; another worker, which has enough, ends what it began.
pub async fn exhausted(lab: &Lab, plan: &Plan) -> Outcome {
    const NAME: &str = "worker: out of memory";
    if let Err(error) = Group::new() {
        let outcome = format!("not tried: no control group for memory here ({error})");
        return Outcome { fault: NAME.to_owned(), outcome, skipped: true, ..Outcome::default() };
    }
    let works = lab.works().await;
    lab.inject(NAME, plan.times, 2, async |k| {
        let ask = if k % 2 == 0 { Ask::FEW_PARTS } else { Ask::FEW_PARTS.once() };
        works.undisturbed(ask).await;
        let scene = WorkerScene::set(works, ask).await;
        let job = scene.ask().await;
        let group = Arc::new(Group::new().unwrap());
        let limited = Arc::clone(&group);
        scene.aws.watch(move |request, moment| {
            if (request.operation.as_str(), moment) == ("CreateMultipartUpload", Moment::Came) {
                limited.close(MORE);
            }
        });
        let mut first = WorkerProcess::start(&mut group.around(&scene.command(&[])));
        let worker = std::cell::RefCell::new(&mut first);
        let most = Duration::from_secs(60);
        let status =
            eventually_within(most, "the worker is killed", async || worker.borrow_mut().status()).await;
        scene.aws.watch(|_, _| {});
        let killed = std::os::unix::process::ExitStatusExt::signal(&status) == Some(9);
        let mut second = scene.worker(&[]);
        scene.ended(&mut second).await;
        let run = scene.look(&job, u32::from(killed), 1..=1).await.must_be_ready();
        run.wrong_if(!killed, format!("the kernel has not killed it: {status}"))
    })
    .await
}

//! The stack, and what is built meanwhile.

use std::thread;

use anyhow::{Result, anyhow};

use crate::{
    cargo::{self, Executables},
    stack::{self, Paths, Purpose, StackEnv, Steps},
};

/// Brings the stack up while cargo builds with these arguments: neither needs the other.
pub(crate) fn stack_and_build(
    paths: &Paths,
    purpose: Purpose,
    args: &[&str],
) -> Result<(StackEnv, Executables)> {
    let steps = Steps::start();
    let (env, built) = thread::scope(|scope| {
        let env = scope.spawn(|| stack::up(paths, purpose));
        let built = cargo::build(args, &steps);
        (env.join(), built)
    });
    let env = env.map_err(|_| anyhow!("the stack's thread panicked; its message is above"))?;
    Ok((env?, built?))
}

/// Does work that may bring the stack up, and stops the stack again if it was started for this.
pub(crate) fn with_stack<T>(work: impl FnOnce(&Paths) -> Result<T>) -> Result<T> {
    let paths = Paths::of_workspace();
    let was_running = stack::status(&paths)?.parts.iter().any(|part| part.pid.is_some());
    let done = work(&paths);
    if was_running {
        return done;
    }
    let stopped = stack::down(&paths);
    // An error of the work is reported before one of stopping.
    done.and_then(|done| stopped.map(|()| done))
}

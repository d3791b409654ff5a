//! The local stack: a real MySQL, two stand-ins for AWS, and for the tests a real MariaDB, without Docker and
//! without root where possible.
//!
//! Two stand-ins, because neither is enough alone: MiniStack runs Lambda functions natively and deploys SAM
//! templates; LocalStack delivers SNS e-mail to a mailbox that can be read, and checks S3 checksums as AWS
//! does.
//!
//! Everything lives under `target/stack`: programs, data, logs, and an `env` file for shells. [`up`] is safe
//! to call at any time and from several processes at once; it starts only what is not healthy.

mod apt;
mod aws;
mod database;
mod env;
mod health;
mod install;
mod lock;
mod log;
mod part;
mod paths;
mod port;
mod process;
mod readers;
mod record;
mod status;
mod step;
mod tools;
mod venv;

use std::{path::PathBuf, thread};

use anyhow::{Context, Result, anyhow};

pub(crate) use self::{
    apt::install as install_packages, env::quote, install::find_program, step::Steps,
    venv::ensure_in as ensure_venv,
};
use self::{
    aws::{LocalStack, MiniStack},
    database::External,
    lock::StackLock,
    part::Part,
};
pub use self::{
    database::{Client, Server},
    env::{ForTests, StackEnv},
    paths::Paths,
    status::{PartStatus, State, Status},
};

/// What the stack is wanted for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// The servers that Downpipe itself needs.
    Demo,
    /// Also what only the tests need: MariaDB, and programs that read files back.
    Tests,
}

/// Brings the stack up and says how to reach it.
///
/// A part that cannot be started does not stop the others, so the next call has less to do; the error names
/// every part that failed.
pub fn up(paths: &Paths, purpose: Purpose) -> Result<StackEnv> {
    let _lock = StackLock::acquire(paths)?;
    let steps = Steps::start();
    let (database, ministack, localstack, for_tests) = thread::scope(|scope| {
        let database = scope.spawn(|| database_url(Server::MySql, paths, &steps));
        let ministack = scope.spawn(|| part::bring_up(&MiniStack, paths, &steps));
        let localstack = scope.spawn(|| part::bring_up(&LocalStack, paths, &steps));
        let for_tests = scope.spawn(|| for_tests(paths, &steps, purpose));
        (joined(database), joined(ministack), joined(localstack), joined(for_tests))
    });

    let errors = [
        database.as_ref().err(),
        ministack.as_ref().err(),
        localstack.as_ref().err(),
        for_tests.as_ref().err(),
    ];
    let failures: Vec<String> = errors.into_iter().flatten().map(|err| format!("{err:#}")).collect();
    if !failures.is_empty() {
        // What an earlier start wrote there is not true any more.
        install::remove_file(&paths.env_file())?;
        return Err(anyhow!("the stack is not up\n\n{}", failures.join("\n\n")));
    }

    tools::install(paths)?;
    let database_ca = match External::from_env(Server::MySql)? {
        Some(_) => External::ca_from_env(),
        None => Some(paths.database_ca()),
    };
    let env = StackEnv::new(paths, database?, database_ca, ministack?, localstack?, for_tests?);
    env.save(paths)?;
    Ok(env)
}

/// Installs the AWS CLI and cfn-lint without starting anything, and returns their folder.
pub fn install_tools(paths: &Paths) -> Result<PathBuf> {
    let _lock = StackLock::acquire(paths)?;
    LocalStack.install(paths, &Steps::start())?;
    tools::install(paths)?;
    Ok(paths.bin())
}

/// Stops what [`up`] started, and nothing else. Databases and logs stay.
pub fn down(paths: &Paths) -> Result<()> {
    let _lock = StackLock::acquire(paths)?;
    stop_all(paths)
}

/// [`down`], and then deletes databases, state and logs. Installed programs stay, so the next start is quick.
pub fn purge(paths: &Paths) -> Result<()> {
    let _lock = StackLock::acquire(paths)?;
    stop_all(paths)?;
    let databases = [Server::MySql, Server::MariaDb].map(|server| server.data_dirs(paths));
    for dir in databases.into_iter().flatten().chain([paths.run(), paths.logs(), paths.state()]) {
        install::remove_dir(&dir)?;
    }
    Ok(())
}

/// Says what is running now. Starts nothing and waits for nobody.
pub fn status(paths: &Paths) -> Result<Status> {
    Ok(Status::new([
        database_status(Server::MySql, paths)?,
        status::of_part(&MiniStack, paths)?,
        status::of_part(&LocalStack, paths)?,
        database_status(Server::MariaDb, paths)?,
    ]))
}

fn database_status(server: Server, paths: &Paths) -> Result<PartStatus> {
    let external = match External::from_env(server)? {
        None if !record::exists(paths, server.name()) => {
            let env = StackEnv::read(paths).ok();
            let url = env.as_ref().and_then(|env| env.url(server));
            url.map(External::parse).transpose()?
        }
        given => given,
    };
    match external {
        Some(external) => Ok(status::of_external(server, &external)),
        None => status::of_part(&server, paths),
    }
}

fn database_url(server: Server, paths: &Paths, steps: &Steps) -> Result<String> {
    let Some(external) = External::from_env(server)? else {
        if server == Server::MySql && !paths.database_ca().exists() {
            // An earlier version of this program may have started it, without a certificate.
            part::take_down(&server, paths, steps)?;
        }
        return Ok(Server::url(part::bring_up(&server, paths, steps)?));
    };
    // Two databases would leave it unclear which one a test has seen.
    part::take_down(&server, paths, steps)?;
    record::forget(paths, server.name())?;
    external
        .check(server)
        .with_context(|| format!("{} is set, but no such server answers there", server.url_variable()))?;
    steps.say(server.name(), "uses the given server");
    Ok(external.url)
}

fn for_tests(paths: &Paths, steps: &Steps, purpose: Purpose) -> Result<Option<ForTests>> {
    if purpose == Purpose::Demo {
        // What the tests use may be there from an earlier time, and stays usable.
        return Ok(StackEnv::read(paths).ok().and_then(|env| env.for_tests));
    }
    let (mariadb_url, python) = thread::scope(|scope| {
        let mariadb = scope.spawn(|| database_url(Server::MariaDb, paths, steps));
        let readers = scope.spawn(|| readers::ensure(paths, steps));
        (joined(mariadb), joined(readers))
    });
    match (mariadb_url, python) {
        (Err(mariadb), Err(readers)) => Err(anyhow!("{mariadb:#}\n\n{readers:#}")),
        (mariadb_url, python) => Ok(Some(ForTests { mariadb_url: mariadb_url?, python: python? })),
    }
}

fn stop_all(paths: &Paths) -> Result<()> {
    let steps = Steps::start();
    // The env file goes first: who reads it must not be sent to servers that are about to stop.
    install::remove_file(&paths.env_file())?;
    thread::scope(|scope| {
        let parts: [&dyn Part; 4] = [&Server::MySql, &MiniStack, &LocalStack, &Server::MariaDb];
        let stopping = parts.map(|part| {
            let steps = &steps;
            scope.spawn(move || part::take_down(part, paths, steps))
        });
        stopping.into_iter().map(joined).collect::<Result<Vec<()>>>().map(|_| ())
    })
}

/// A panic in a part's thread becomes that part's error, so that the other parts are still reported.
fn joined<T>(handle: thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    handle.join().unwrap_or_else(|_| Err(anyhow!("a part of the stack panicked; its message is above")))
}

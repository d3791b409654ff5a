//! The local stack: a real MySQL and a stand-in for AWS, and for the tests a real MariaDB, real caches and another stand-in,
//! without Docker and without root where possible.
//!
//! Two stand-ins, because neither is enough alone: MiniStack runs Lambda functions natively and deploys SAM
//! templates; LocalStack delivers SNS e-mail to a mailbox that can be read, and checks S3 checksums as AWS
//! does. A third, Moto, is there for its DynamoDB: where it and MiniStack agree, a test believes them.
//!
//! Everything lives under `target/stack`: programs, data, logs, and an `env` file for shells. [`up`] is safe
//! to call at any time and from several processes at once; it starts only what is not healthy.

mod apt;
mod aws;
mod cache;
mod caches;
mod certificate;
mod database;
mod enforcing;
mod env;
mod health;
mod held;
mod home;
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
    apt::install as install_packages, env::quote, health::http_get, install::find_program, step::Steps,
    venv::ensure_in as ensure_venv,
};
use self::{
    aws::{LocalStack, MiniStack, Moto},
    cache::{Judge, Memcached, Servers, Valkey},
    database::External,
    lock::StackLock,
    part::Part,
};
pub use self::{
    cache::{ACL as CACHE_ACL, CacheJudge, JudgeOptions, PrivateValkey},
    caches::Caches,
    database::{Client, PrivateServer, Server},
    enforcing::{Decision, EnforcingAws},
    env::{ForTests, StackEnv},
    paths::Paths,
    status::{PartStatus, State, Status},
};

/// What the stack is wanted for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// The servers that Downpipe itself needs.
    Demo,
    /// Also the caches.
    DemoWithCache,
    /// Also what only the tests need: MariaDB, caches, and programs that read files back.
    Tests,
}

/// Brings the stack up and says how to reach it.
///
/// A part that cannot be started does not stop the others, so the next call has less to do; the error names
/// every part that failed.
pub fn up(paths: &Paths, purpose: Purpose) -> Result<StackEnv> {
    let _lock = StackLock::acquire(paths)?;
    let steps = Steps::start();
    let (database, ministack, aws_cli, servers, for_tests) = thread::scope(|scope| {
        let database = scope.spawn(|| database_url(Server::MySql, paths, &steps));
        let ministack = scope.spawn(|| part::bring_up(&MiniStack, paths, &steps));
        let aws_cli = scope.spawn(|| tools::install_aws_cli(paths, &steps));
        let servers = scope.spawn(|| match purpose {
            Purpose::Demo => Ok(Servers::earlier(paths)),
            Purpose::DemoWithCache | Purpose::Tests => Servers::start(paths, &steps),
        });
        let for_tests = scope.spawn(|| for_tests(paths, &steps, purpose));
        (joined(database), joined(ministack), joined(aws_cli), joined(servers), joined(for_tests))
    });
    // The judge needs what MiniStack has brought.
    let caches =
        servers.and_then(|servers| if ministack.is_ok() { servers.judged(paths, &steps) } else { Ok(None) });

    let errors = [
        database.as_ref().err(),
        ministack.as_ref().err(),
        aws_cli.as_ref().err(),
        caches.as_ref().err(),
        for_tests.as_ref().err(),
    ];
    if let Some(failures) = joined_errors(&errors) {
        // What an earlier start wrote there is not true any more.
        install::remove_file(&paths.env_file())?;
        return Err(anyhow!("the stack is not up\n\n{failures}"));
    }

    let database_ca = match External::from_env(Server::MySql)? {
        Some(_) => External::ca_from_env(),
        None => Some(paths.database_ca()),
    };
    let env = StackEnv::new(paths, (database?, database_ca), ministack?, caches?, for_tests?);
    env.save(paths)?;
    Ok(env)
}

/// Installs cfn-lint without starting anything, and returns its path.
pub fn install_cfn_lint(paths: &Paths) -> Result<PathBuf> {
    let _lock = StackLock::acquire(paths)?;
    LocalStack.install(paths, &Steps::start())?;
    Ok(venv::program(paths, LocalStack.name(), "cfn-lint")?.into())
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
    let data = databases.into_iter().flatten().chain(Valkey::folders(paths));
    for dir in data.chain([paths.run(), paths.logs(), paths.state()]) {
        install::remove_dir(&dir)?;
    }
    Ok(())
}

/// Returns the state of every part. Starts nothing and does not wait.
pub fn status(paths: &Paths) -> Result<Status> {
    Ok(Status::new([
        database_status(Server::MySql, paths)?,
        status::of_part(&MiniStack, paths)?,
        status::of_part(&LocalStack, paths)?,
        status::of_part(&Moto, paths)?,
        database_status(Server::MariaDb, paths)?,
        status::of_part(&Valkey::of(paths), paths)?,
        status::of_part(&Judge::of(paths, 0), paths)?,
        status::of_part(&Memcached, paths)?,
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
    if purpose != Purpose::Tests {
        // What the tests use may be there from an earlier time, and stays usable.
        return Ok(StackEnv::read(paths).ok().and_then(|env| env.for_tests));
    }
    let (mariadb_url, localstack, moto, python) = thread::scope(|scope| {
        let mariadb = scope.spawn(|| database_url(Server::MariaDb, paths, steps));
        let localstack = scope.spawn(|| part::bring_up(&LocalStack, paths, steps));
        let moto = scope.spawn(|| part::bring_up(&Moto, paths, steps));
        let readers = scope.spawn(|| readers::ensure(paths, steps));
        (joined(mariadb), joined(localstack), joined(moto), joined(readers))
    });
    let errors =
        [mariadb_url.as_ref().err(), localstack.as_ref().err(), moto.as_ref().err(), python.as_ref().err()];
    if let Some(failures) = joined_errors(&errors) {
        return Err(anyhow!(failures));
    }
    let localstack_endpoint_url = format!("http://{}", part::address(localstack?));
    let moto_endpoint_url = format!("http://{}", part::address(moto?));
    let (mariadb_url, python) = (mariadb_url?, python?);
    Ok(Some(ForTests { mariadb_url, localstack_endpoint_url, moto_endpoint_url, python }))
}

fn stop_all(paths: &Paths) -> Result<()> {
    let steps = Steps::start();
    // The env file goes first, so that its readers are not sent to servers that are about to stop.
    install::remove_file(&paths.env_file())?;
    let (valkey, judge) = (Valkey::of(paths), Judge::of(paths, 0));
    thread::scope(|scope| {
        let parts: [&dyn Part; 8] =
            [&Server::MySql, &MiniStack, &LocalStack, &Moto, &Server::MariaDb, &judge, &valkey, &Memcached];
        let stopping = parts.map(|part| {
            let steps = &steps;
            scope.spawn(move || part::take_down(part, paths, steps))
        });
        stopping.into_iter().map(joined).collect::<Result<Vec<()>>>().map(|_| ())
    })
}

/// Returns the errors of the parts in one text, if there are any.
fn joined_errors(errors: &[Option<&anyhow::Error>]) -> Option<String> {
    let failures: Vec<String> = errors.iter().flatten().map(|err| format!("{err:#}")).collect();
    (!failures.is_empty()).then(|| failures.join("\n\n"))
}

/// Joins a part's thread. A panic becomes the part's error, so that the other parts are still reported.
fn joined<T>(handle: thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    handle.join().unwrap_or_else(|_| Err(anyhow!("a part of the stack panicked; its message is above")))
}

//! The programs that are compared, and how each is prepared and run.

use std::{path::Path, process::Command, rc::Rc};

use anyhow::{Context, Result, bail};

use super::{
    contender::{Check, Contender, MakeCommand},
    install::{debian, interpreter, into_file, script},
    lab::{Lab, Query},
    results::{Absent, Results},
    s3::{BUCKET, S3},
    server::USER,
    tables::DATABASE,
};
use crate::stack::{Client, Server};

/// The program that all others are compared with.
pub(super) const FLOOR: &str = "floor: read and throw away";
/// Downpipe's name when it writes to a file.
pub(super) const OURS: &str = "Downpipe";
/// Downpipe's name when it writes to S3 as the article's program does.
pub(super) const OURS_TO_S3: &str = "Downpipe to S3";
/// Downpipe's name with everything on.
pub(super) const WHOLE_EXPORT: &str = "Downpipe, TLS, to S3";
/// The article's program in its simplest form, to S3.
pub(super) const NAIVE: &str = "SQLAlchemy + PyMySQL, all at once, to S3";
/// The object that the article's program writes.
const KEY: &str = "article.csv";

/// Returns whether this is a program of another project that does the whole work.
pub(super) fn is_peer(name: &str) -> bool {
    name != FLOOR && !name.starts_with(OURS)
}

type Prepare<'a> = Box<dyn FnOnce(&'a Lab, &'a Query) -> Result<MakeCommand<'a>> + 'a>;

/// A program that may be there.
pub(super) struct Program<'a> {
    pub(super) name: &'static str,
    /// Takes about a minute where the others take seconds.
    is_slow: bool,
    extension: &'static str,
    check: Check,
    prepare: Prepare<'a>,
}

impl<'a> Program<'a> {
    fn new(
        name: &'static str,
        extension: &'static str,
        check: Check,
        prepare: impl FnOnce(&'a Lab, &'a Query) -> Result<MakeCommand<'a>> + 'a,
    ) -> Self {
        Self { name, is_slow: false, extension, check, prepare: Box::new(prepare) }
    }

    fn slow(self) -> Self {
        Self { is_slow: true, ..self }
    }

    /// Installs what is missing; the error says why it cannot.
    fn prepare(self, lab: &'a Lab, query: &'a Query, slow_rounds: u32) -> Result<Contender<'a>> {
        let command = (self.prepare)(lab, query)?;
        let rounds = if self.is_slow { slow_rounds } else { u32::MAX };
        let (name, extension, check) = (self.name.to_owned(), self.extension, self.check);
        Ok(Contender { name, extension, rounds, command, check })
    }
}

/// Returns the programs that can run; slow ones take part in so many rounds at most. The results keep why the others cannot run.
pub(super) fn ready<'a>(
    lab: &'a Lab,
    query: &'a Query,
    programs: impl IntoIterator<Item = Program<'a>>,
    slow_rounds: u32,
    results: &mut Results,
) -> Vec<Contender<'a>> {
    let mut contenders = Vec::new();
    for program in programs {
        let name = program.name.to_owned();
        match program.prepare(lab, query, slow_rounds) {
            Ok(contender) => contenders.push(contender),
            Err(error) => {
                lab.steps.say(&query.name, &format!("{name} is not there: {error:#}"));
                // What is behind the first cause may name this machine's folders.
                results.absent.push(Absent {
                    query: query.name.clone(),
                    program: name,
                    why: error.to_string(),
                });
            }
        }
    }
    contenders
}

/// Returns all programs that write the rows to a file.
pub(super) fn to_files<'a>() -> Vec<Program<'a>> {
    vec![
        floor(),
        ours_to_file(OURS, "csv", false, &[]),
        ours_to_file("Downpipe, TLS", "csv", true, &[]),
        ours_to_stdout(),
        mysql_client(),
        Program::new("mydumper", "dumped", Check::Size, mydumper),
        Program::new("mariadb-dump", "sql", Check::Size, mariadb_dump),
        Program::new("chDB", "csv", Check::Records, |lab, query| python(lab, "chdb_csv.py", table(query)?)),
        Program::new("DuckDB + mysql", "csv", Check::Records, |lab, query| {
            python(lab, "duckdb_csv.py", table(query)?)
        }),
        Program::new("ConnectorX + pyarrow", "csv", Check::Records, |lab, query| {
            python(lab, "connectorx_csv.py", &query.sql)
        }),
        Program::new("Sling", "csv", Check::Records, sling).slow(),
        article("SQLAlchemy + PyMySQL, streamed", "streamed").slow(),
        article("SQLAlchemy + PyMySQL, all at once", "naive").slow(),
    ]
}

/// Servers for S3. A missing server is the reason of each program that needs it.
pub(super) struct Stores {
    /// Takes almost no time, so that it does not count in the measurement.
    pub(super) discarding: Result<Rc<S3>>,
    /// Writes what it is sent into files, by the crate `s3s-fs`.
    pub(super) keeping: Result<Rc<S3>>,
    pub(super) local_stack: Result<Rc<S3>>,
}

/// Returns Downpipe and the article's program, to S3.
pub(super) fn to_s3(stores: &Stores) -> Vec<Program<'_>> {
    let mut programs = vec![floor()];
    programs.push(ours_to_s3(OURS_TO_S3, false, &stores.discarding));
    programs.push(ours_to_s3(WHOLE_EXPORT, true, &stores.discarding));
    programs.push(ours_to_s3("Downpipe, TLS, to s3s-fs", true, &stores.keeping));
    programs.push(ours_to_s3("Downpipe, TLS, to LocalStack", true, &stores.local_stack));
    for (name, way) in [("SQLAlchemy + PyMySQL, streamed, to S3", "streamed"), (NAIVE, "naive")] {
        programs.push(with_s3(name, &stores.discarding, |s3| {
            let check = Check::ObjectIn(Rc::clone(s3), KEY);
            Program::new(name, "none", check, move |lab, query| {
                let python = interpreter(lab)?;
                Ok(Box::new(move |_| {
                    let mut command = script(lab, &python, "article.py");
                    s3.apply_to(&mut command);
                    command.args([way, &lab.server.address, USER, DATABASE, &query.sql]);
                    command.arg(format!("s3://{BUCKET}/{KEY}"));
                    Ok(command)
                }))
            })
            .slow()
        }));
    }
    programs
}

/// Returns the floor.
pub(super) fn floor<'a>() -> Program<'a> {
    Program::new(FLOOR, "none", Check::Printed, |lab, query| Ok(Box::new(|_| Ok(lab.drain(query)))))
}

/// Downpipe with more options, to a file.
pub(super) fn ours_to_file<'a>(
    name: &'static str,
    extension: &'static str,
    tls: bool,
    options: &'static [&'static str],
) -> Program<'a> {
    Program::new(name, extension, Check::Receipt, move |lab, query| {
        Ok(Box::new(move |out| {
            let out = out.to_str().context("a path that is no text")?;
            lab.downpipe(query, out, tls, options)
        }))
    })
}

/// Returns Downpipe to standard output, and from there to a file. With `--to FILE` it waits for the disk at the end, as no other
/// program does.
fn ours_to_stdout<'a>() -> Program<'a> {
    Program::new("Downpipe to standard output", "csv", Check::Records, |lab, query| {
        Ok(Box::new(|out| Ok(into_file(&lab.downpipe(query, "-", false, &[])?, out))))
    })
}

/// Downpipe to one of the servers for S3.
pub(super) fn ours_to_s3<'a>(name: &'static str, tls: bool, s3: &'a Result<Rc<S3>>) -> Program<'a> {
    with_s3(name, s3, |s3| {
        Program::new(name, "none", Check::ReceiptIn(Rc::clone(s3)), move |lab, query| {
            Ok(Box::new(move |_| {
                let mut command = lab.downpipe(query, &format!("s3://{BUCKET}/exports"), tls, &[])?;
                // It names the stack's own database, too.
                s3.apply_to(&mut command).env("DATABASE_URL", lab.database_url(tls));
                Ok(command)
            }))
        })
    })
}

/// MySQL's own client. Line breaks in its values look like ends of rows, so they cannot be counted.
pub(super) fn mysql_client<'a>() -> Program<'a> {
    Program::new("mysql --quick --batch --raw", "tsv", Check::Size, |lab, query| {
        let client = Client::find(&lab.paths, Server::MySql)?;
        Ok(Box::new(move |out| {
            let mut command = client.command(&lab.server.url())?;
            command.args(["--quick", "--batch", "--raw", "--ssl-mode=DISABLED", "--execute", &query.sql]);
            Ok(into_file(&command, out))
        }))
    })
}

/// Returns pandas, in the format of the extension.
pub(super) fn pandas<'a>(name: &'static str, extension: &'static str) -> Program<'a> {
    Program::new(name, extension, Check::Printed, |lab, query| python(lab, "pandas_file.py", &query.sql))
        .slow()
}

fn with_s3<'a>(
    name: &'static str,
    s3: &'a Result<Rc<S3>>,
    program: impl FnOnce(&'a Rc<S3>) -> Program<'a>,
) -> Program<'a> {
    match s3 {
        Ok(s3) => program(s3),
        Err(error) => Program::new(name, "none", Check::Printed, move |lab, _| {
            lab.steps.say("s3", &format!("{error:#}"));
            bail!("its S3 server does not run")
        }),
    }
}

fn mydumper<'a>(lab: &'a Lab, query: &'a Query) -> Result<MakeCommand<'a>> {
    let (program, table) = (debian(lab, "mydumper", "mydumper")?, table(query)?);
    Ok(Box::new(move |out| {
        let mut command = Command::new(&program);
        let (host, port) = host_and_port(lab)?;
        command.args(["--host", host, "--port", port, "--user", USER, "--database", DATABASE]);
        command.args(["--tables-list", table, "--threads", "1", "--no-locks", "--no-schemas", "--outputdir"]);
        command.arg(out);
        Ok(command)
    }))
}

fn mariadb_dump<'a>(lab: &'a Lab, query: &'a Query) -> Result<MakeCommand<'a>> {
    let (program, table) = (debian(lab, "mariadb-dump", "mariadb-client")?, table(query)?);
    Ok(Box::new(move |out| {
        let mut command = Command::new(&program);
        let (host, port) = host_and_port(lab)?;
        command.args(["--no-defaults", "--protocol=TCP", "--host", host, "--port", port, "--user", USER]);
        command.args([
            "--quick",
            "--skip-lock-tables",
            "--no-create-info",
            "--no-tablespaces",
            DATABASE,
            table,
        ]);
        Ok(into_file(&command, out))
    }))
}

fn sling<'a>(lab: &'a Lab, query: &'a Query) -> Result<MakeCommand<'a>> {
    const PACKAGE: &str = "import sling_linux_amd64 as sling; print(sling.__path__[0])";
    let mut ask = Command::new(interpreter(lab)?);
    let output = ask.args(["-c", PACKAGE]).output().context("cannot run Python")?;
    let folder = String::from_utf8(output.stdout).context("a path that is no text")?;
    let program = Path::new(folder.trim()).join("bin/sling-linux-amd64");
    Ok(Box::new(move |out| {
        let mut command = Command::new(&program);
        command.args(["run", "--src-conn", &lab.server.url(), "--src-stream", &query.sql]);
        command.arg("--tgt-object").arg(format!("file://{}", out.display()));
        // It keeps its state in a folder, and would otherwise look for news and say who it is.
        command.env("SLING_HOME_DIR", lab.folder.join("sling")).env("SLING_DISABLE_TELEMETRY", "true");
        Ok(command)
    }))
}

/// Returns the article's way, to a file.
fn article<'a>(name: &'static str, way: &'static str) -> Program<'a> {
    Program::new(name, "csv", Check::Records, move |lab, query| {
        let python = interpreter(lab)?;
        Ok(Box::new(move |out| {
            let mut command = script(lab, &python, "article.py");
            command.args([way, &lab.server.address, USER, DATABASE, &query.sql]).arg(out);
            Ok(command)
        }))
    })
}

/// One of the scripts in `bench/peers` that take what to read and a file.
fn python<'a>(lab: &'a Lab, name: &'static str, what: &'a str) -> Result<MakeCommand<'a>> {
    let python = interpreter(lab)?;
    Ok(Box::new(move |out| {
        let mut command = script(lab, &python, name);
        command.args([&lab.server.address, USER, DATABASE, what]).arg(out);
        Ok(command)
    }))
}

fn table(query: &Query) -> Result<&str> {
    query.table.with_context(|| "it reads whole tables only")
}

fn host_and_port(lab: &Lab) -> Result<(&str, &str)> {
    lab.server.address.rsplit_once(':').context("an address without a port")
}

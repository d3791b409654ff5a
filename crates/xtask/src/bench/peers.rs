//! `cargo xtask bench peers`: Downpipe beside other programs, with the same rows from the same server over one connection.

use std::rc::Rc;

use anyhow::Result;

use super::{
    budget::{Goal, Verdict},
    lab::{Lab, Query},
    plot,
    programs::{self, Program, Stores},
    report::{Report, cost_table, not_there},
    results::{self, Figure, Results, Sample},
    s3::S3,
};

const NAME: &str = "peers";
/// Figures of those who write to S3 are kept under a name of their own.
const TO_S3: &str = "orders-to-s3";

/// Which programs run, and how often.
pub(super) struct PeersOptions<'a> {
    pub(super) rounds: u32,
    /// Rounds of programs that take a minute.
    pub(super) slow_rounds: u32,
    /// Only programs whose names contain one of these; the floor is always there. All when it is empty.
    pub(super) only: &'a [String],
}

/// Runs all programs and keeps the figures. With `--only` they are shown and not kept, so that the others' figures stay.
pub(super) fn run(lab: &Lab, options: &PeersOptions<'_>) -> Result<()> {
    let query = Query::of_table("orders", lab.orders);
    let mut results = Results::new(lab.machine()?, lab.orders);
    let files = wanted(programs::to_files(), options.only);
    let contenders = programs::ready(lab, &query, files, options.slow_rounds, &mut results);
    lab.rounds(&query, contenders, options.rounds, &mut results)?;

    let query = Query { name: TO_S3.to_owned(), ..query };
    let server = lab.tools.join("s3-server");
    let stores = Stores {
        discarding: S3::discarding(&lab.env, &server, 0).map(Rc::new),
        keeping: S3::start(&lab.env, &server, &lab.folder.join("s3")).map(Rc::new),
        local_stack: S3::local_stack(&lab.env).map(Rc::new),
    };
    let objects = wanted(programs::to_s3(&stores), options.only);
    let contenders = programs::ready(lab, &query, objects, options.slow_rounds, &mut results);
    lab.rounds(&query, contenders, options.rounds, &mut results)?;
    if options.only.is_empty() {
        return results::save(NAME, &results);
    }
    println!("{}", write(&results).shown());
    Ok(())
}

/// Returns the programs that are wanted; the floor always is.
fn wanted<'a>(programs: Vec<Program<'a>>, only: &'a [String]) -> impl Iterator<Item = Program<'a>> {
    programs.into_iter().filter(move |program| {
        let is_named = || only.iter().any(|name| program.name.contains(&name[..]));
        only.is_empty() || program.name == programs::FLOOR || is_named()
    })
}

/// Returns the report; none when it was never measured.
pub(super) fn report() -> Result<Option<Report>> {
    Ok(results::load(NAME)?.map(|results| write(&results)))
}

fn write(results: &Results) -> Report {
    let mut report = Report::new(NAME, &results.machine, results.orders);
    for (section, query, plot_name, title) in [
        ("peers", "orders", "peers", "Seconds for the same rows into a file"),
        ("s3", TO_S3, "s3", "Seconds for the same rows into S3"),
    ] {
        let table = cost_table(results, query, programs::FLOOR);
        let picture = format!("![{title}](performance/{plot_name}.svg)\n\n");
        report.section(section, format!("{picture}{}{}", table.to_markdown(), not_there(results, query)));
        let bars: Vec<(String, f64)> = results
            .programs(query)
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), results.spread(query, name, Sample::wall)?.median)))
            .collect();
        report.plot(plot_name, plot::bars(title, "s", &bars));
        report.show(title, &table);
    }
    report.verdicts.extend(verdicts(results));
    report
}

fn verdicts(results: &Results) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    if let Some(ratio) = results.ratio(TO_S3, programs::WHOLE_EXPORT, programs::FLOOR, Sample::wall) {
        verdicts.push(Verdict::new(Goal::Wall, format!("{ratio} ×"), ratio.median <= 0.85));
    }
    let naive = |figure: Figure| {
        let ratio = results.ratio(TO_S3, programs::NAIVE, programs::OURS_TO_S3, figure);
        ratio.map(|ratio| ratio.median)
    };
    if let (Some(wall), Some(cpu), Some(memory)) =
        (naive(Sample::wall), naive(Sample::cpu), naive(Sample::peak_mib))
    {
        let measured = format!("{wall:.1} × faster, {cpu:.1} × less CPU, {memory:.0} × less memory");
        verdicts.push(Verdict::new(Goal::Article, measured, wall >= 15.0 && cpu >= 25.0 && memory >= 80.0));
    }
    verdicts.extend(against_all(results));
    let speed = |sample: &Sample| sample.megabytes() / sample.cpu();
    if let (Some(cpu), Some(speed)) = (
        results.spread(TO_S3, programs::WHOLE_EXPORT, Sample::cpu),
        results.spread(TO_S3, programs::WHOLE_EXPORT, speed),
    ) {
        let measured = format!("{:.2} s over TLS to S3, {:.0} MB/s a core", cpu.median, speed.median);
        verdicts.push(Verdict::new(Goal::ClientCpu, measured, speed.median >= 267.0));
    }
    verdicts
}

/// Compares Downpipe to a file with every program that writes the same rows to a file.
fn against_all(results: &Results) -> Option<Verdict> {
    let figures: [(&str, Figure); 3] =
        [("time", Sample::wall), ("CPU", Sample::cpu), ("memory", Sample::peak_mib)];
    let others: Vec<&str> =
        results.programs("orders").into_iter().filter(|name| programs::is_peer(name)).collect();
    results.of("orders", programs::OURS).next()?;
    let mut ahead = Vec::new();
    for name in &others {
        let takes_less = |figure: Figure| {
            let ratio = results.ratio("orders", name, programs::OURS, figure);
            ratio.is_some_and(|ratio| ratio.median <= 1.0)
        };
        let less = figures.iter().filter(|(_, figure)| takes_less(*figure));
        let less: Vec<&str> = less.map(|(what, _)| *what).collect();
        if !less.is_empty() {
            ahead.push(format!("{name} takes less {}", less.join(", ")));
        }
    }
    let measured = match (&others[..], &ahead[..]) {
        ([], _) => return None,
        (_, []) => format!("ahead of all {} in all three", others.len()),
        _ => ahead.join("; "),
    };
    Some(Verdict::new(Goal::Peers, measured, ahead.is_empty()))
}

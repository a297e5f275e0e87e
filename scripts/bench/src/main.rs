//! `cargo run --release -p bench`: measures this project beside CPython, peer crates and the system's own limits.

mod case;
mod contest;
mod groups;
mod report;
mod workers;

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::{env, fs, io, thread};

use anyhow::{Context, Result, bail};
use clap::Parser;
use clap::error::ErrorKind;
use multiproc::{init, target, task};
use serde_json::{Value, json};
use smoke::supervise;

use crate::case::{Case, Contestant, Group, How};
use crate::report::{COLUMNS, Figures, line};

/// Measures this project beside CPython, peer crates and the system's own limits.
#[derive(Parser)]
#[command(name = "bench")]
struct Arguments {
    /// Three short rounds instead of seven: less than a minute for everything, and rough figures
    #[arg(long)]
    quick: bool,
    /// Write all figures of all rounds to this file; by default to bench.json in the target folder
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// List the groups and their cases without measuring
    #[arg(long)]
    list: bool,
    /// Measure only these groups
    #[arg(value_name = "GROUP")]
    groups: Vec<String>,
}

fn main() -> ExitCode {
    init([
        target(groups::start::nothing),
        target(groups::pipe::answer),
        task(groups::pool::add_one),
        task(groups::pool::calculation),
    ]);
    let mut args = env::args_os().skip(1);
    let done = match args.next() {
        Some(first) if first == supervise::ARGUMENT => return supervise::main(args),
        Some(first) if first == contest::ARGUMENT => contestant(args.collect()),
        _ => match arguments(env::args_os()) {
            Ok((args, groups)) => run(&args, &groups),
            Err(usage) => {
                eprintln!("bench: {usage}");
                return ExitCode::from(2);
            }
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Writing fails only if stderr is closed.
            writeln!(io::stderr(), "bench: {error:#}").ok();
            ExitCode::FAILURE
        }
    }
}

/// Parses the arguments. Returns them with the groups that they name (without a name, all groups), or a one-line error.
fn arguments(
    args: impl Iterator<Item = OsString>,
) -> Result<(Arguments, Vec<&'static Group>), String> {
    let names: Vec<&str> = groups::ALL.iter().map(|group| group.name).collect();
    let known = format!("the groups are {}", names.join(", "));
    let args = Arguments::try_parse_from(args).map_err(|error| {
        if matches!(
            error.kind(),
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
        ) {
            error.exit();
        }
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        format!("{}; {known}", first.trim_start_matches("error: "))
    })?;
    if let Some(name) = args
        .groups
        .iter()
        .find(|name| !names.contains(&name.as_str()))
    {
        return Err(format!("unknown group '{name}'; {known}"));
    }
    let named = |group: &&Group| {
        args.groups.is_empty() || args.groups.iter().any(|name| name == group.name)
    };
    let groups = groups::ALL.iter().filter(named).collect();
    Ok((args, groups))
}

/// Runs this program as a contestant: `GROUP CASE NAME COUNT`.
fn contestant(args: Vec<OsString>) -> Result<()> {
    let args: Vec<&str> = args.iter().filter_map(|arg| arg.to_str()).collect();
    let [group, case, name, count] = args[..] else {
        bail!("expected GROUP CASE CONTESTANT COUNT");
    };
    let groups = groups::ALL.iter().filter(|of| of.name == group);
    let mut contestants = groups
        .flat_map(|group| group.cases)
        .filter(|of| of.name == case)
        .flat_map(|case| case.contestants)
        .filter(|of| of.name == name);
    let Some(How::Rust(run)) = contestants.next().map(|contestant| contestant.how) else {
        bail!("unknown contestant {group}, {case}, {name}");
    };
    println!("{}", run(count.parse().context("the count")?)?);
    Ok(())
}

fn run(args: &Arguments, groups: &[&Group]) -> Result<()> {
    if args.list {
        for group in groups {
            say(&format!("{:14}{}", group.name, group.title))?;
            for case in group.cases {
                let names: Vec<&str> = case.contestants.iter().map(|one| one.name).collect();
                say(&format!("  {:21}{}", case.name, names.join(", ")))?;
                for contestant in case.contestants {
                    let goals = contestant.goals.iter();
                    let goals = goals.map(|goal| format!("{goal} {}", goal.against()));
                    let goals: Vec<String> = goals.collect();
                    if !goals.is_empty() {
                        say(&format!(
                            "    goal of {}: {}",
                            contestant.name,
                            goals.join(", ")
                        ))?;
                    }
                }
            }
        }
        return Ok(());
    }
    let python = python();
    let rounds = if args.quick { 3 } else { 7 };
    let profile = match cfg!(debug_assertions) {
        true => "debug, whose figures mean nothing: use --release",
        false => "release",
    };
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get());
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').take(3).collect::<Vec<_>>().join(" ");
    say(&match &python {
        Ok(version) => version.clone(),
        Err(reason) => format!("The columns of CPython stay empty: {reason}"),
    })?;
    say(&format!(
        "Rust profile {profile} · {cores} cores · load average {load} · medians of {rounds} rounds (least..most)"
    ))?;
    let path = match &args.json {
        Some(path) => path.clone(),
        None => target_folder()?.join("bench.json"),
    };
    let mut json = json!({
        "python": python.as_ref().ok(),
        "profile": profile,
        "cores": cores,
        "load": load,
        "rounds": rounds,
        "quick": args.quick,
        "groups": {},
    });
    // The file is written after each case. Writing it now reports a wrong path before the first measurement.
    save(&path, &json)?;
    let (mut met, mut missed) = (0, vec![]);
    for group in groups {
        say(&format!("\n{}: {}", group.name, group.title))?;
        say(&line(&COLUMNS.map(|(name, _)| name)))?;
        let mut cases = vec![];
        for case in group.cases {
            let figures = measure(group, case, rounds, args.quick, python.is_ok())?;
            for cells in figures.lines() {
                say(&line(&cells))?;
            }
            let goals = figures.goals_met();
            met += goals.0;
            missed.extend(goals.1.iter().map(|goal| format!("{} {goal}", group.name)));
            cases.push(figures.json());
            json["groups"][group.name] = Value::Array(cases.clone());
            save(&path, &json)?;
        }
    }
    say(&format!(
        "\nGoals met: {met} of {}. All figures: {}",
        met + missed.len(),
        path.display()
    ))?;
    missed
        .iter()
        .try_for_each(|goal| say(&format!("  missed: {goal}")))
}

/// Runs the contestants of a case in turn. Each round begins with a different contestant.
fn measure<'c>(
    group: &Group,
    case: &'c Case,
    rounds: usize,
    quick: bool,
    python: bool,
) -> Result<Figures<'c>> {
    let count = case.contestants.len();
    let mut rows = vec![vec![]; count];
    let runs = |contestant: &Contestant| match (contestant.how, contestant.module) {
        (_, Some(module)) => python && can_import(module),
        (How::Python(_), None) => python,
        (How::Rust(_), None) => true,
    };
    let runs: Vec<bool> = case.contestants.iter().map(runs).collect();
    for round in 0..rounds {
        for place in (0..count).map(|place| (place + round) % count) {
            let contestant = &case.contestants[place];
            if !runs[place] {
                continue;
            }
            let count = if quick {
                contestant.count.div_ceil(8)
            } else {
                contestant.count
            };
            let figure = contest::run(group, case, contestant, count).with_context(|| {
                format!(
                    "{} {}, {}, round {}",
                    group.name,
                    case.name,
                    contestant.name,
                    round + 1
                )
            })?;
            rows[place].push(figure);
        }
    }
    Ok(Figures { case, rows })
}

/// Returns the version of python3, or why it cannot be used.
fn python() -> Result<String, String> {
    const ASK: &str = "import platform, sysconfig
print(platform.python_implementation(), platform.python_version(), end=', ')
options = sysconfig.get_config_var('CONFIG_ARGS') or ''
print('with' if '--enable-optimizations' in options else 'without', 'PGO')";
    let asked = Command::new("python3")
        .args(["-P", "-c", ASK])
        .stderr(Stdio::null())
        .output();
    let said = asked.map_err(|error| format!("python3 cannot be started: {error}"))?;
    match String::from_utf8(said.stdout) {
        Ok(text) if said.status.success() => Ok(text.trim().to_owned()),
        _ => Err("python3 is not Python 3.11 or newer".into()),
    }
}

/// Returns whether a Python module is installed, such as uvloop.
fn can_import(module: &str) -> bool {
    let mut import = Command::new("python3");
    import.args(["-P", "-c", &format!("import {module}")]);
    let imported = import.stderr(Stdio::null()).status();
    imported.is_ok_and(|status| status.success())
}

/// Finds the target folder. This program is in the folder of its profile.
fn target_folder() -> Result<PathBuf> {
    let this = env::current_exe().context("find this program's file")?;
    let target = this.ancestors().nth(2).map(Path::to_owned);
    target.context("find the target folder")
}

fn save(path: &Path, json: &Value) -> Result<()> {
    let mut text = serde_json::to_string_pretty(json).context("write JSON")?;
    text.push('\n');
    fs::write(path, text).with_context(|| format!("write {}", path.display()))
}

/// Prints a line. A closed pipe (`| head -1`) ends the program quietly.
fn say(line: &str) -> Result<()> {
    match writeln!(io::stdout(), "{line}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        written => written.context("print"),
    }
}

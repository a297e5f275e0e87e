//! `cargo run -p smoke`: runs examples against their traces, and makes what is derived from them.

use std::env;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;
use std::{hint, io, thread};

use anyhow::{Result, bail, ensure};
use clap::{Args, Parser, Subcommand};
use smoke::faults::{FAULTS, Verdict};
use smoke::suite::{self, Check, Passed};
use smoke::workspace::{self, Example};
use smoke::{bless, fresh, readme, supervise};

/// Runs every example and compares its output with its trace.
#[derive(Parser)]
#[command(name = "smoke", args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Task>,
    #[command(flatten)]
    selection: Selection,
    /// List the examples and their titles, and run nothing
    #[arg(long)]
    list: bool,
    /// Do only these checks
    #[arg(long, value_enum, value_name = "CHECK")]
    only: Vec<Check>,
    /// Do every check this many times; stops at the first failure
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// Keep every core busy beside the checks
    #[arg(long)]
    load: bool,
    /// Write a first draft of the selected examples' missing traces from one run each, to be edited by a person
    #[arg(long, conflicts_with_all = ["list", "only", "repeat", "load"])]
    bless: bool,
}

/// Which examples.
#[derive(Args)]
struct Selection {
    /// All examples of a crate (pipe_demo), or one of them (pipe_demo poll, or pipe_demo::poll); by default all
    #[arg(value_name = "CRATE [EXAMPLE]", num_args = 0..=2)]
    names: Vec<String>,
}

#[derive(Subcommand)]
enum Task {
    /// Make a new crate from one example: its file, its building blocks and the manifest in its header
    Copy {
        /// The crate that the example is in, such as pipe_demo
        package: String,
        /// The example, such as poll
        example: String,
        /// A folder that is not there yet, or is empty; its name becomes that of the crate
        folder: PathBuf,
    },
    /// Build, format-check and run examples as crates of their own, outside the workspace
    Fresh(Selection),
    /// Kill, exhaust and interrupt CPython's multiprocessing and ours, side by side, and print what came of it
    Faults {
        /// Only these; by default all
        #[arg(value_name = "FAULT")]
        names: Vec<String>,
        /// So many rounds of each
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        rounds: Option<u32>,
        /// Without CPython
        #[arg(long)]
        only_ours: bool,
    },
    /// Write the table of examples into README.md and README.zh-CN.md
    Readme {
        /// Only compare, and fail if the tables are out of date
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    let mut args = env::args_os().skip(1);
    if args
        .next()
        .is_some_and(|first| first == supervise::ARGUMENT)
    {
        return supervise::main(args);
    }
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("smoke: {error:#}");
            ExitCode::from(if error.is::<Usage>() { 2 } else { 1 })
        }
    }
}

/// An error of the command line, not of an example.
#[derive(Debug)]
struct Usage(String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

fn run(args: Arguments) -> Result<()> {
    match args.command {
        Some(Task::Copy {
            package,
            example,
            folder,
        }) => {
            let selected = select(&[package, example])?;
            fresh::copy(&selected[0], &folder)?;
            return say(&format!(
                "{} is ready: cd {0} && cargo run",
                folder.display()
            ));
        }
        Some(Task::Fresh(selection)) => {
            let selected = select(&selection.names)?;
            return each(&selected, &["fresh"], |example, _| fresh::gate(example));
        }
        Some(Task::Faults {
            names,
            rounds,
            only_ours,
        }) => return table(&names, rounds, only_ours),
        Some(Task::Readme { check: true }) => return readme::check(&workspace::examples()?),
        Some(Task::Readme { check: false }) => return readme::write(&workspace::examples()?),
        None => {}
    }
    let selected = select(&args.selection.names)?;
    if args.list {
        return selected.iter().try_for_each(|example| {
            say(&format!(
                "{:32} {}",
                example.full_name(),
                example.header.title
            ))
        });
    }
    if args.bless {
        return selected
            .iter()
            .try_for_each(|example| say(&bless::bless(example)?));
    }
    let checks = if args.only.is_empty() {
        Check::ALL.to_vec()
    } else {
        args.only
    };
    if args.load {
        for _ in 0..thread::available_parallelism().map_or(2, |cores| cores.get()) {
            // Until the program ends.
            thread::spawn(|| {
                loop {
                    hint::spin_loop();
                }
            });
        }
    }
    (0..args.repeat).try_for_each(|_| {
        each(&selected, &checks, |example, check| {
            suite::check(example, *check)
        })
    })
}

/// Does every check of every example and prints a line for each.
fn each<C: Name>(
    examples: &[Example],
    checks: &[C],
    check: impl Fn(&Example, &C) -> Result<Passed>,
) -> Result<()> {
    let (mut passed, mut failed, mut ignored) = (0, 0, 0);
    for (example, kind) in examples
        .iter()
        .flat_map(|example| checks.iter().map(move |kind| (example, kind)))
    {
        let start = Instant::now();
        let (word, detail) = match check(example, kind) {
            Ok(Passed::Checked) => {
                passed += 1;
                ("ok     ", String::new())
            }
            Ok(Passed::Ignored(reason)) => {
                ignored += 1;
                ("ignored", format!(": {reason}"))
            }
            Err(error) => {
                failed += 1;
                ("FAILED ", format!("\n{error:#}\n"))
            }
        };
        say(&format!(
            "{word} {} ({:.1} s){detail}",
            kind.of(example),
            start.elapsed().as_secs_f64()
        ))?;
    }
    say(&format!(
        "{passed} passed, {failed} failed, {ignored} ignored"
    ))?;
    match failed {
        0 => Ok(()),
        1 => bail!("a check failed"),
        _ => bail!("{failed} checks failed"),
    }
}

/// Runs faults and prints a table, a row as soon as it is known.
fn table(names: &[String], rounds: Option<u32>, only_ours: bool) -> Result<()> {
    if let Some(unknown) = names
        .iter()
        .find(|name| !FAULTS.iter().any(|fault| fault.name == **name))
    {
        let known: Vec<&str> = FAULTS.iter().map(|fault| fault.name).collect();
        let known = known.join("\n  ");
        bail!(Usage(format!(
            "there is no fault {unknown:?}, only:\n  {known}"
        )));
    }
    let python = match only_ours {
        true => Err("it was not asked for"),
        false => workspace::python(),
    };
    let row = |what: &str, rounds: &str, theirs: &str, ours: &str| {
        say(&format!(
            "| {what:39} | {rounds:>6} | {theirs:66} | {ours} |"
        ))
    };
    row("fault", "rounds", "CPython", "ours")?;
    row(&"-".repeat(39), "-----:", &"-".repeat(66), "---")?;
    let mut broken = 0;
    for fault in FAULTS
        .iter()
        .filter(|fault| names.is_empty() || names.iter().any(|name| name == fault.name))
    {
        let rounds = rounds.unwrap_or(fault.rounds);
        let mut theirs = match python {
            Ok(python) => fault.cpython(python, rounds)?.text,
            Err(_) => "-".to_owned(),
        };
        for form in fault.forms {
            let ours = fault.ours(form, rounds)?;
            broken += u32::from(ours.verdict == Verdict::Broken);
            row(&fault.title(form), &rounds.to_string(), &theirs, &ours.text)?;
            if python.is_ok() {
                theirs = "the same".to_owned();
            }
        }
    }
    if let Err(reason) = python {
        say(&format!("\nWithout CPython: {reason}."))?;
    }
    ensure!(broken == 0, "{broken} of ours did not hold");
    Ok(())
}

trait Name {
    fn of(&self, example: &Example) -> String;
}

impl Name for Check {
    fn of(&self, example: &Example) -> String {
        self.name(example)
    }
}

impl Name for &str {
    fn of(&self, example: &Example) -> String {
        format!("{}::{self}", example.full_name())
    }
}

/// The examples with these names: none, `crate`, `crate example` or `crate::example`.
fn select(names: &[String]) -> Result<Vec<Example>> {
    let words: Vec<&str> = names.iter().flat_map(|name| name.split("::")).collect();
    let all = workspace::examples()?;
    let selected: Vec<Example> = all
        .iter()
        .filter(|example| match words[..] {
            [] => true,
            [package] => example.package == package,
            [package, name] => example.package == package && example.name == name,
            _ => false,
        })
        .cloned()
        .collect();
    let known = || {
        // Those of the package, if there is one of that name.
        let here = |example: &&Example| words.first() == Some(&&*example.package);
        let here: Vec<_> = all.iter().filter(here).map(Example::full_name).collect();
        let known = || all.iter().map(Example::full_name).collect();
        let names: Vec<_> = if here.is_empty() { known() } else { here };
        names.join("\n  ")
    };
    ensure!(
        !selected.is_empty(),
        Usage(format!(
            "there is no example {:?}, only:\n  {}",
            names.join(" "),
            known()
        ))
    );
    Ok(selected)
}

/// Prints a line; a reader that has gone (`| head -1`) ends the program quietly.
fn say(line: &str) -> Result<()> {
    match writeln!(io::stdout(), "{line}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        written => Ok(written?),
    }
}

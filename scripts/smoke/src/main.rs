//! `cargo run -p smoke`: checks examples against their traces, copies them, and writes the pages that list them.

use std::env;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;
use std::{hint, io, thread};

use anyhow::{Result, bail, ensure};
use clap::{Args, Parser, Subcommand};
use smoke::copy::{self, Item};
use smoke::faults::{FAULTS, Verdict};
use smoke::suite::{self, Check, Passed};
use smoke::workspace::{self, Example};
use smoke::{bless, examples, fresh, supervise};

/// Runs every example and compares its output with its trace.
#[derive(Parser)]
#[command(name = "smoke", args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Task>,
    #[command(flatten)]
    selection: Selection,
    /// List the examples and their titles without running them
    #[arg(long)]
    list: bool,
    /// Run only these checks
    #[arg(long, value_enum, value_name = "CHECK")]
    only: Vec<Check>,
    /// Run every check this many times; stop at the first failure
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// Keep every core busy during the checks
    #[arg(long)]
    load: bool,
    /// Draft the missing traces of the selected examples from one run each; edit the drafts
    #[arg(long, conflicts_with_all = ["list", "only", "repeat", "load"])]
    bless: bool,
}

/// Selects examples.
#[derive(Args)]
struct Selection {
    /// All examples of a crate (pipe_demo), or one of them (pipe_demo poll, or pipe_demo::poll); by default all
    #[arg(value_name = "CRATE [EXAMPLE]", num_args = 0..=2)]
    names: Vec<String>,
}

#[derive(Subcommand)]
enum Task {
    /// Make a new crate from an example or a one-file block
    Copy {
        /// The crate that the example or block is in, such as pool_demo
        package: String,
        /// The example or block, such as map
        example: String,
        /// A new or empty folder, whose name becomes the name of the crate
        folder: PathBuf,
    },
    /// Copy examples and blocks to new crates; build, test and run them there
    Fresh(Selection),
    /// Kill, exhaust and interrupt CPython's multiprocessing and ours, and print both outcomes
    Faults {
        /// Only these; by default all
        #[arg(value_name = "FAULT")]
        names: Vec<String>,
        /// Run each fault this many times
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        rounds: Option<u32>,
        /// Without CPython
        #[arg(long)]
        only_ours: bool,
    },
    /// Write EXAMPLES.md and EXAMPLES.zh-CN.md from the headers and the index of Python names
    Examples {
        /// Only compare, and fail if a file is out of date
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
    let done = match Arguments::try_parse() {
        Ok(arguments) => run(arguments),
        Err(error) if error.use_stderr() => Err(Usage(one_line(&error)).into()),
        Err(help) => help.exit(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("smoke: {error:#}");
            ExitCode::from(if error.is::<Usage>() { 2 } else { 1 })
        }
    }
}

/// Clap's error and hints, without the usage.
fn one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:"))
        .map(|line| {
            line.trim_start_matches("error: ")
                .trim_start_matches("tip: ")
        })
        .filter(|line| !line.is_empty() && !line.starts_with("For more information"))
        .collect();
    format!("{} (see --help)", lines.join("; ").replace(":;", ":"))
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
            let item = &select_items(&[package, example])?[0];
            return say(&copy::copy(item, &folder)?);
        }
        Some(Task::Fresh(selection)) => return fresh::fresh(&select_items(&selection.names)?, say),
        Some(Task::Faults {
            names,
            rounds,
            only_ours,
        }) => return table(&names, rounds, only_ours),
        Some(Task::Examples { check: true }) => return examples::check(&workspace::examples()?),
        Some(Task::Examples { check: false }) => {
            return examples::write(&workspace::examples()?, say);
        }
        None => {}
    }
    let mut selected = select(&args.selection.names)?;
    if args.list {
        return selected.iter().try_for_each(|example| {
            say(&format!(
                "{:32} {}",
                example.full_name(),
                example.header.title
            ))
        });
    }
    workspace::build_examples(&mut selected)?;
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
            // Runs until the program ends.
            thread::spawn(|| {
                loop {
                    hint::spin_loop();
                }
            });
        }
    }
    (0..args.repeat).try_for_each(|_| each(&selected, &checks))
}

/// Runs every check of every example and prints a line for each.
fn each(examples: &[Example], checks: &[Check]) -> Result<()> {
    let (mut passed, mut failed, mut ignored) = (0, 0, 0);
    for (example, kind) in examples
        .iter()
        .flat_map(|example| checks.iter().map(move |kind| (example, *kind)))
    {
        let start = Instant::now();
        let (word, detail) = match suite::check(example, kind) {
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
            kind.name(example),
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

/// Runs faults and prints a table, each row as soon as it is complete.
fn table(names: &[String], rounds: Option<u32>, only_ours: bool) -> Result<()> {
    if let Some(unknown) = names
        .iter()
        .find(|name| !FAULTS.iter().any(|fault| fault.name == **name))
    {
        let names = FAULTS.iter().map(|fault| fault.name);
        bail!(Usage(match demo::nearest(unknown, names.clone()) {
            Some(near) => format!("unknown fault '{unknown}'; did you mean '{near}'?"),
            None => {
                let names: Vec<&str> = names.collect();
                format!("unknown fault '{unknown}', not one of {}", names.join(", "))
            }
        }));
    }
    let programs = workspace::build(&["faults"].into())?;
    let faults = &programs["faults"];
    let python = match only_ours {
        true => Err("--only-ours leaves it out"),
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
        let theirs = match python {
            Ok(python) => fault.cpython(faults, python, rounds)?.text,
            Err(_) => "-".to_owned(),
        };
        let ours = fault.ours(faults, rounds)?;
        broken += u32::from(ours.verdict == Verdict::Broken);
        row(fault.what, &rounds.to_string(), &theirs, &ours.text)?;
    }
    if let Err(reason) = python {
        say(&format!("\nWithout CPython: {reason}."))?;
    }
    ensure!(broken == 0, "{broken} of ours did not hold");
    Ok(())
}

/// The examples with these names.
fn select(names: &[String]) -> Result<Vec<Example>> {
    let name = |example: &Example| (example.package.clone(), example.name.clone());
    pick(workspace::examples()?, names, "example", name)
}

/// The examples and blocks with these names.
fn select_items(names: &[String]) -> Result<Vec<Item>> {
    let all = Item::all()?;
    let examples: Vec<(String, String)> = all
        .iter()
        .filter(|item| matches!(item, Item::Example(_)))
        .map(|item| (item.package().to_owned(), item.name().to_owned()))
        .collect();
    let name = |item: &Item| {
        let (package, name) = (item.package().to_owned(), item.name().to_owned());
        match item {
            // `condition` is an example, `condition.rs` the block.
            Item::Block(_) if examples.contains(&(package.clone(), name.clone())) => {
                (package, name + ".rs")
            }
            _ => (package, name),
        }
    };
    pick(all, names, "example or block", name)
}

/// Selects items by `crate`, `crate example` or `crate::example`; without a name, selects all.
fn pick<T>(
    all: Vec<T>,
    names: &[String],
    kind: &str,
    name: impl Fn(&T) -> (String, String),
) -> Result<Vec<T>> {
    let unknown = |kind: &str, word: &str, names: Vec<String>| {
        let near = demo::nearest(word, names.iter().map(String::as_str));
        Usage(match near {
            Some(near) => format!("unknown {kind} '{word}'; did you mean '{near}'?"),
            None => format!("unknown {kind} '{word}' (--list prints the examples)"),
        })
    };
    let words: Vec<&str> = names.iter().flat_map(|name| name.split("::")).collect();
    let (package, own) = match words[..] {
        [] => return Ok(all),
        [package] => (package, None),
        [package, own] => (package, Some(own)),
        _ => bail!(Usage(
            "name one crate and one example, such as pipe_demo poll".to_owned()
        )),
    };
    let packages: Vec<String> = all.iter().map(|item| name(item).0).collect();
    if !packages.iter().any(|name| name == package) {
        bail!(unknown("crate", package, packages));
    }
    let here: Vec<T> = all
        .into_iter()
        .filter(|item| name(item).0 == package)
        .collect();
    let Some(own) = own else { return Ok(here) };
    let known: Vec<String> = here.iter().map(|item| name(item).1).collect();
    if !known.iter().any(|name| name == own) {
        bail!(unknown(kind, own, known));
    }
    Ok(here
        .into_iter()
        .filter(|item| name(item).1 == own)
        .collect())
}

/// Prints a line. A closed stdout (`| head -1`) ends the program quietly.
fn say(line: &str) -> Result<()> {
    match writeln!(io::stdout(), "{line}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        written => Ok(written?),
    }
}

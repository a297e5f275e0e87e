//! The command line that all demo crates share.
//!
//! A crate's `lib.rs` lists its examples with `demo::examples![ping_pong, poll]`, and its `main.rs` passes the list to
//! [`run`].

use std::process::{self, Command, ExitCode};
use std::{env, io, io::Write, os::unix::process::CommandExt, panic};

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};

/// An example: one file whose `main` the dispatcher runs.
///
/// The example takes arguments if its header has a line `Usage:`. If it has a line `Serves:`, the example runs until it
/// is stopped, so the dispatcher runs it only by name.
#[derive(Clone, Copy)]
pub struct Example {
    pub name: &'static str,
    /// The file, relative to the crate's folder.
    pub path: &'static str,
    pub source: &'static str,
    pub main: fn() -> Result<()>,
}

/// Makes `EXAMPLES` from the modules of a crate, one example each: `[a, b]`, or in folders `{ x { a } y { b } }`.
#[macro_export]
macro_rules! examples {
    ($($name:ident),+ $(,)?) => { $crate::examples!(@ $("", $name / $name;)+); };
    ($($dir:ident { $($name:ident),+ $(,)? })+) => {
        $crate::examples!(@ $($(concat!(stringify!($dir), "/"), $name / $dir $name;)+)+);
    };
    (@ $($dir:expr, $name:ident / $($path:ident)+;)+) => {
        /// The examples of this crate, in the order in which the dispatcher runs them.
        pub const EXAMPLES: &[$crate::Example] = &[$($crate::Example {
            name: stringify!($name),
            path: concat!("src/", $dir, stringify!($name), ".rs"),
            source: include_str!(concat!($dir, stringify!($name), ".rs")),
            main: $($path)::+::main,
        }),+];
    };
}

/// Runs the example that the command line names, or all of them, each in a process of its own.
///
/// The exit code is 1 if an example failed, and 2 if the command line is wrong.
pub fn run(program: &str, examples: &[Example]) -> ExitCode {
    exit_quietly_without_reader();
    let args: Vec<_> = env::args_os().skip(1).collect();
    let args: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
    let args: Vec<_> = args.iter().map(|arg| &**arg).collect();
    let action = match parse(examples, &args) {
        Ok(action) => action,
        Err(usage) => return fail(program, &usage, 2),
    };
    match perform(action, program, examples) {
        Ok(code) => code,
        Err(_) if stdout_closed() => ExitCode::SUCCESS,
        Err(error) => fail(program, &format!("{error:#}"), 1),
    }
}

fn perform(action: Action, program: &str, examples: &[Example]) -> Result<ExitCode> {
    match action {
        Action::RunAll => return run_all(program, examples),
        Action::Run(example) => (example.main)()?,
        Action::Header(example) => print!("{}", example.help(program)),
        Action::List => println!("{}", list(examples).trim_start()),
        Action::Help => print!("{}", help(program, examples)),
    }
    Ok(ExitCode::SUCCESS)
}

fn fail(program: &str, error: &str, code: u8) -> ExitCode {
    // One write keeps the line whole beside other processes' lines.
    io::stderr()
        .write_all(format!("{program}: {error}\n").as_bytes())
        .ok();
    ExitCode::from(code)
}

#[derive(Debug, PartialEq)]
enum Action<'a> {
    RunAll,
    Run(&'a Example),
    Header(&'a Example),
    List,
    Help,
}

impl PartialEq for Example {
    fn eq(&self, other: &Example) -> bool {
        self.path == other.path
    }
}

impl std::fmt::Debug for Example {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// The error says in one line what is wrong with the command line.
fn parse<'a>(examples: &'a [Example], args: &[&str]) -> Result<Action<'a>, String> {
    let Some((&first, rest)) = args.split_first() else {
        return Ok(Action::RunAll);
    };
    let extra = rest.first();
    let alone = |action| match extra {
        Some(extra) => Err(format!(
            "unexpected argument '{extra}': '{first}' takes none"
        )),
        None => Ok(action),
    };
    let options = ["--list", "--help"];
    match first {
        "--list" => return alone(Action::List),
        "--help" | "-h" => return alone(Action::Help),
        _ => {}
    }
    if let Some(example) = examples.iter().find(|example| example.name == first) {
        let usage = example.key("Usage");
        let variants = usage.map(variants).unwrap_or_default();
        return match extra {
            None => Ok(Action::Run(example)),
            Some(extra) if variants.contains(extra) => Ok(Action::Run(example)),
            // It reads its own arguments.
            Some(_) if usage.is_some() && variants.is_empty() => Ok(Action::Run(example)),
            Some(&("--help" | "-h")) => Ok(Action::Header(example)),
            Some(_) if variants.is_empty() => alone(Action::Run(example)),
            Some(extra) => Err(format!(
                "unexpected argument '{extra}': '{first}' takes {}",
                variants.join(" or ")
            )),
        };
    }
    let is_option = first.starts_with('-');
    let names = examples.iter().map(|example| example.name);
    let near = match is_option {
        true => nearest(first, options.into_iter()),
        false => nearest(first, names),
    };
    let kind = if is_option { "option" } else { "example" };
    Err(match near {
        Some(near) => format!("unknown {kind} '{first}'; did you mean '{near}'?"),
        None => format!("unknown {kind} '{first}' (--list prints the examples)"),
    })
}

/// Returns the most similar name, if it differs by no more than a typing error or by missing words.
pub fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let near = names
        .clone()
        .map(|name| (strsim::damerau_levenshtein(word, name), name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name);
    near.or_else(|| {
        let mut names = names;
        names.find(|name| word.len() > 2 && name.contains(word))
    })
}

impl Example {
    /// The comment at the top of the file, without the manifest.
    fn header(&self) -> impl Iterator<Item = &'static str> {
        let mut fenced = false;
        self.source
            .lines()
            .map_while(|line| line.strip_prefix("//!"))
            .map(|line| line.strip_prefix(' ').unwrap_or(line))
            .filter(move |line| {
                let fence = line.starts_with("```");
                fenced ^= fence;
                !fenced && !fence
            })
    }

    /// The first line of the value of a key of the header.
    fn key(&self, key: &str) -> Option<&'static str> {
        self.header()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
    }

    fn title(&self) -> &'static str {
        self.header().next().unwrap_or_default()
    }

    fn help(&self, program: &str) -> String {
        let lines: Vec<&str> = self.header().collect();
        let text = lines.join("\n");
        let (name, path) = (self.name, self.path);
        format!(
            "{}\n\nRun:     cargo run -p {program} -- {name}\nSource:  {program}/{path}\n",
            text.trim_end()
        )
    }
}

/// Returns the arguments that a header lists as `Usage: NAME [a | b]`, and nothing for any other usage.
pub fn variants(usage: &str) -> Vec<&str> {
    let list = usage.trim().split_once(" [");
    let list = list.filter(|(name, _)| !name.contains(' '));
    let list = list.and_then(|(_, rest)| rest.split_once(']'));
    let words: Vec<&str> = list.map_or(vec![], |(list, _)| list.split(" | ").collect());
    let is_word = |word: &&str| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.chars().all(|c| c.is_ascii_lowercase() || c == '-')
    };
    match words.iter().all(is_word) {
        true => words,
        false => vec![],
    }
}

fn list(examples: &[Example]) -> String {
    let line = |example: &Example| format!("\n{:20} {}", example.name, example.title());
    examples.iter().map(line).collect()
}

fn help(program: &str, examples: &[Example]) -> String {
    format!(
        "Usage: {program} [EXAMPLE | --list | --help]

Runs one example, or all of them one after the other.
`{program} EXAMPLE --help` prints what an example shows.
{}
",
        list(examples)
    )
}

/// Runs all examples; fails if one of them fails.
fn run_all(program: &str, examples: &[Example]) -> Result<ExitCode> {
    let (executable, this) = (env::current_exe().context("find this program")?, getpid());
    let (serving, bounded): (Vec<&Example>, Vec<_>) = examples
        .iter()
        .partition(|example| example.key("Serves").is_some());
    let mut failed = Vec::new();
    for example in &bounded {
        if stdout_closed() {
            return Ok(ExitCode::SUCCESS);
        }
        eprintln!("== {}: {}", example.name, example.title());
        let mut command = Command::new(&executable);
        let end_with_parent = move || {
            set_parent_process_death_signal(Some(Signal::TERM))?;
            let alive = getppid() == Some(this); // The parent may have ended before the call above.
            alive.then_some(()).ok_or(io::ErrorKind::BrokenPipe.into())
        };
        // SAFETY: between fork and exec the closure makes two system calls, without heap or lock.
        unsafe { command.pre_exec(end_with_parent) };
        let status = command
            .arg(example.name)
            .status()
            .with_context(|| format!("start the example {}", example.name))?;
        failed.extend((!status.success()).then(|| format!("{} ({status})", example.name)));
        eprintln!();
    }
    for example in serving {
        let name = example.name;
        eprintln!(
            "left out: {name}, which runs until it is stopped (cargo run -p {program} -- {name})"
        );
    }
    let (total, bad) = (bounded.len(), failed.len());
    let s = if total == 1 { "" } else { "s" };
    let count = format!(
        "{total} example{s}, {} succeeded, {bad} failed",
        total - bad
    );
    if failed.is_empty() {
        eprintln!("{count}");
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("{count}: {}", failed.join(", "));
    Ok(ExitCode::FAILURE)
}

/// Makes a failing `println!` end the program with a line on stderr instead of a panic, and with success if the reader
/// of stdout has left (`| head -1`).
fn exit_quietly_without_reader() {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        match info.payload().downcast_ref::<String>() {
            _ if stdout_closed() => process::exit(0),
            Some(text) if text.starts_with("failed printing to") => {
                writeln!(io::stderr(), "{text}").ok();
                process::exit(1)
            }
            _ => hook(info),
        }
    }));
}

fn stdout_closed() -> bool {
    let stdout = rustix::stdio::stdout();
    let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
    poll(&mut fds, Some(&Timespec::default())).is_ok() && fds[0].revents().contains(PollFlags::ERR)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn example(name: &'static str, source: &'static str) -> Example {
        Example {
            name,
            path: name,
            source,
            main: || Ok(()),
        }
    }

    const EXAMPLES: &[Example] = &[
        example(
            "map",
            "//! Map.\n//!\n//! Python: `map`\n//!\n//! ```cargo\n//! x\n//! ```\n\nuse x;\n",
        ),
        example(
            "serve",
            "//! Serve.\n//!\n//! Usage: serve [--port P]\n//! Serves: until Ctrl-C\n",
        ),
        example(
            "peers",
            "//! Peers.\n//!\n//! Usage: peers [a | b], by default c\n",
        ),
    ];

    fn error(args: &[&str]) -> String {
        parse(EXAMPLES, args).unwrap_err()
    }

    #[test]
    fn options_and_examples() {
        let [map, serve, peers] = EXAMPLES else {
            panic!("three examples")
        };
        let of = |args: &[&str]| parse(EXAMPLES, args).unwrap();
        assert_eq!(of(&[]), Action::RunAll);
        assert_eq!(of(&["--list"]), Action::List);
        assert_eq!(of(&["-h"]), Action::Help);
        assert_eq!(of(&["--help"]), Action::Help);
        assert_eq!(of(&["map"]), Action::Run(map));
        assert_eq!(of(&["map", "-h"]), Action::Header(map));
        assert_eq!(of(&["peers", "--help"]), Action::Header(peers));
        assert_eq!(of(&["peers", "b"]), Action::Run(peers));
        // It reads its own arguments, `--help` included.
        assert_eq!(of(&["serve", "--help"]), Action::Run(serve));
        assert_eq!(of(&["serve", "--port", "1"]), Action::Run(serve));
    }

    #[test]
    fn a_wrong_command_line_is_one_line_that_says_what_would_be_right() {
        assert_eq!(
            error(&["mpa"]),
            "unknown example 'mpa'; did you mean 'map'?"
        );
        assert_eq!(
            error(&["--lst"]),
            "unknown option '--lst'; did you mean '--list'?"
        );
        assert_eq!(
            error(&["elephant"]),
            "unknown example 'elephant' (--list prints the examples)"
        );
        assert_eq!(
            error(&["map", "x"]),
            "unexpected argument 'x': 'map' takes none"
        );
        assert_eq!(
            error(&["peers", "c"]),
            "unexpected argument 'c': 'peers' takes a or b"
        );
    }

    #[test]
    fn variants_stand_in_the_usage() {
        assert_eq!(variants(" f [a | b-c], by default a"), ["a", "b-c"]);
        for usage in [
            "f",
            "f --key F [a]",
            "f [--key F]",
            "f [COMMAND [ARGUMENT]...]",
        ] {
            assert!(variants(usage).is_empty(), "{usage}");
        }
    }

    #[test]
    fn an_example_explains_itself_without_its_manifest() {
        let help =
            "Map.\n\nPython: `map`\n\nRun:     cargo run -p x_demo -- map\nSource:  x_demo/map\n";
        assert_eq!(EXAMPLES[0].help("x_demo"), help);
    }
}

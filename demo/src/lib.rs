//! The command line that all demo crates share: `demo::examples![ping_pong, poll]` makes `main`.

use std::process::{self, Command, ExitCode};
use std::{env, io, io::Write, os::unix::process::CommandExt, panic};

use anyhow::{Context, Result, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};

/// Name, text and `main` of an example. A `Usage:` in its header allows arguments. One with a `Serves:` runs until it is
/// told to stop, and so only when it is named.
pub type Example = (&'static str, &'static str, fn() -> Result<()>);

/// Makes `main` from the modules of a crate, one example each: `[a, b]`, or in folders `{ x { a } y { b } }`.
#[macro_export]
macro_rules! examples {
    ($($name:ident),+ $(,)?) => { $crate::examples!(@ $("", $name / $name;)+); };
    ($($dir:ident { $($name:ident),+ $(,)? })+) => {
        $crate::examples!(@ $($(concat!(stringify!($dir), "/"), $name / $dir $name;)+)+);
    };
    (@ $($dir:expr, $name:ident / $($path:ident)+;)+) => {
        fn main() -> ::std::process::ExitCode {
            $crate::run(env!("CARGO_PKG_NAME"), &[$((
                stringify!($name), include_str!(concat!($dir, stringify!($name), ".rs")), $($path)::+::main,
            )),+])
        }
    };
}

/// Runs the example that is named, or all, each in a process of its own. Exit code 2 is for usage.
pub fn run(program: &str, examples: &[Example]) -> ExitCode {
    // `println!` panics when it fails. That nobody reads any more (`| head -1`) is the reader's wish.
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
    let (line, code) = match dispatch(program, examples) {
        Ok(Some(usage)) => (format!("{program}: {usage}\n"), 2),
        Err(error) if !stdout_closed() => (format!("{program}: {error:#}\n"), 1),
        _ => return ExitCode::SUCCESS,
    };
    io::stderr().write_all(line.as_bytes()).ok(); // In one write, so that it is whole.
    ExitCode::from(code)
}

/// Returns what is wrong with the command line, if anything is.
fn dispatch(program: &str, examples: &[Example]) -> Result<Option<String>> {
    let line = |(name, text, _): &Example| format!("\n{name:20}{}", title(text));
    let list: String = examples.iter().map(line).collect();
    let args: Vec<_> = env::args_os().skip(1).collect();
    let args: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
    let name = args.first().map(|name| &**name);
    let example = examples.iter().find(|example| Some(example.0) == name);
    let extra = args.iter().skip(1).find(|arg| !arg.starts_with("--role="));
    match (name, example, extra) {
        (None, ..) => run_all(examples)?,
        (Some("--list"), _, None) => println!("{}", list.trim_start()),
        (Some("--help"), _, None) => println!("Usage: {program} [--list | EXAMPLE]{list}"),
        (_, Some(e), _) if extra.is_none_or(|extra| takes(e.1, extra)) => e.2()?,
        (Some(name @ ("--list" | "--help")), _, Some(extra))
        | (Some(name), Some(_), Some(extra)) => {
            return Ok(Some(format!("{name} takes no argument {extra:?}")));
        }
        (Some(name), ..) => return Ok(Some(format!("there is no example {name:?}, only:{list}"))),
    }
    Ok(None)
}

fn run_all(examples: &[Example]) -> Result<()> {
    let (program, this) = (env::current_exe().context("find this program")?, getpid());
    let mut failed = Vec::new();
    let bounded = |example: &&Example| !example.1.contains("\n//! Serves:");
    for (name, text, _) in examples
        .iter()
        .filter(bounded)
        .take_while(|_| !stdout_closed())
    {
        eprintln!("== {name}:{}", title(text));
        let mut command = Command::new(&program);
        let end_with_parent = move || {
            set_parent_process_death_signal(Some(Signal::TERM))?;
            let alive = getppid() == Some(this); // It may have ended before the call above.
            alive.then_some(()).ok_or(io::ErrorKind::BrokenPipe.into())
        };
        // SAFETY: between fork and exec the closure makes two system calls, without heap or lock.
        unsafe { command.pre_exec(end_with_parent) };
        let status = command.arg(name).status().context("start an example")?;
        failed.extend((!status.success()).then(|| format!("{name} ({status})")));
    }
    ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    Ok(())
}

/// Whether the header says `Usage:`, and `Variants:`, if it has that too, names the argument.
fn takes(text: &str, argument: &str) -> bool {
    let variants = text
        .lines()
        .find_map(|line| line.strip_prefix("//! Variants:"));
    let variant = |variants: &str| {
        variants
            .split(',')
            .any(|variant| variant.trim() == argument)
    };
    text.contains("\n//! Usage:") && variants.is_none_or(variant)
}

fn title(s: &str) -> &str {
    s.lines().next().unwrap_or("").trim_start_matches("//!")
}

fn stdout_closed() -> bool {
    let stdout = rustix::stdio::stdout();
    let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
    poll(&mut fds, Some(&Timespec::default())).is_ok() && fds[0].revents().contains(PollFlags::ERR)
}

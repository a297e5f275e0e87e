//! The checks that every example has to pass.

use std::ffi::OsString;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::run::{self, Interrupt, Job, Problem, Run};
use crate::trace::{End, Trace, mutate, signal_name};
use crate::workspace::{self, Example};

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Check {
    /// The example satisfies its trace and leaves nothing behind.
    Run,
    /// The Python twin satisfies the same trace.
    Twin,
    /// The trace rejects every mistake put into a correct run.
    Mutants,
    /// Ctrl-C, and a SIGKILL to the parent, leave nothing behind.
    Interrupt,
}

impl Check {
    pub const ALL: [Check; 4] = [Check::Run, Check::Twin, Check::Mutants, Check::Interrupt];

    /// The name of a check of an example, such as `pipe_demo::poll::twin`.
    pub fn name(self, example: &Example) -> String {
        let name = example.full_name();
        match self {
            Check::Run => name,
            Check::Twin => format!("{name}::twin"),
            Check::Mutants => format!("{name}::mutants"),
            Check::Interrupt => format!("{name}::interrupt"),
        }
    }
}

/// The outcome of a check that found no error.
pub enum Passed {
    Checked,
    /// It cannot run on this machine, for this reason.
    Ignored(String),
}

/// How long a Python twin's helpers, such as the resource tracker, may outlive it, and orphans may outlive their killed
/// parent.
const GRACE: Duration = Duration::from_secs(1);

/// Runs one check. The error is a readable report.
pub fn check(example: &Example, check: Check) -> Result<Passed> {
    let trace = parse(example)?;
    if let (true, Err(reason)) = (example.needs_python(None), workspace::python()) {
        return Ok(Passed::Ignored(reason.to_owned()));
    }
    match check {
        Check::Run => {
            run_and_check(&trace, example.command())?;
            let mut ignored = None;
            for variant in example.header.variants() {
                if let (true, Err(reason)) =
                    (example.needs_python(Some(variant)), workspace::python())
                {
                    ignored = Some(format!("as `{} {variant}`: {reason}", example.name));
                    continue;
                }
                let mut command = example.command();
                command.push(variant.into());
                run_and_check(&trace, command)
                    .with_context(|| format!("as `{} {variant}`", example.name))?;
            }
            if let Some(reason) = ignored {
                return Ok(Passed::Ignored(reason));
            }
        }
        Check::Twin => {
            let python = match workspace::python() {
                Ok(python) => python,
                Err(reason) => return Ok(Passed::Ignored(reason.to_owned())),
            };
            let Some(twin) = example.twin() else {
                return Ok(Passed::Ignored(format!(
                    "Python: {}",
                    example.header.python()
                )));
            };
            ensure!(twin.exists(), "{} is missing", twin.display());
            // Keep the twin's folder out of the module path: a twin `queue.py` would hide the standard library's `queue`.
            let command = vec![python.into(), "-P".into(), twin.into_os_string()];
            let run = run::run(&Job {
                trace: &trace,
                command,
                terminal: true,
                grace: 2 * GRACE,
                interrupt: None,
                patience: None,
            })?;
            judge(&trace, &run)?;
        }
        Check::Mutants => {
            let run = run_and_check(&trace, example.command())?;
            let output = run.output();
            let matched = trace.check(output)?;
            let mutants = mutate::mutants(&trace, output, &matched);
            ensure!(!mutants.is_empty(), "the run has nothing to mutate");
            let total = mutants.len();
            let survivors: Vec<String> = mutants
                .into_iter()
                .filter(|mutant| mutant.survives(&trace, output))
                .map(|mutant| mutant.what)
                .collect();
            ensure!(
                survivors.is_empty(),
                "{} accepts {} of {total} wrong runs:\n  {}",
                trace.file,
                survivors.len(),
                survivors.join("\n  ")
            );
        }
        Check::Interrupt => {
            let (interrupt, kill) = (
                Interrupt {
                    signal: 2,
                    group: true,
                },
                Interrupt {
                    signal: 9,
                    group: false,
                },
            );
            for interrupt in [interrupt, kill] {
                let command = example.command();
                let job = Job {
                    trace: &trace,
                    command,
                    terminal: false,
                    grace: GRACE,
                    interrupt: Some(interrupt),
                    patience: None,
                };
                let run = run::run(&job)?;
                let name = signal_name(interrupt.signal).unwrap_or("?");
                ensure!(
                    run.problems.is_empty(),
                    "after SIG{name}:\n  {}",
                    run.wrong().join("\n  ")
                );
                // An example that has printed everything may end before the signal reaches it.
                let ended = run.ends[0];
                ensure!(
                    ended == Some(End::Signal(interrupt.signal)) || ended == Some(End::Exit(0)),
                    "SIG{name} ended the program with {}",
                    show(ended)
                );
            }
        }
    }
    Ok(Passed::Checked)
}

/// Runs a command once and checks it against a trace.
pub fn run_and_check(trace: &Trace, command: Vec<OsString>) -> Result<Run> {
    // A killed orphan closes its files before it is reaped, so it may briefly outlive the program.
    let grace = if trace.orphans_any {
        GRACE
    } else {
        Duration::ZERO
    };
    let mut run = run::run(&Job {
        trace,
        command,
        terminal: false,
        grace,
        interrupt: None,
        patience: None,
    })?;
    if !trace.orphans_any {
        let unwaited = std::mem::take(&mut run.unwaited).into_iter();
        run.problems.extend(
            unwaited
                .map(|child| format!("the program ended without waiting for its child {child}"))
                .map(Problem::Other),
        );
    }
    judge(trace, &run)?;
    Ok(run)
}

/// Reads an example's trace.
pub fn parse(example: &Example) -> Result<Trace> {
    let path = example.trace();
    let root = workspace::root();
    let shown = path.strip_prefix(&root).unwrap_or(&path);
    let text = workspace::read(&path)?;
    Ok(Trace::parse(&shown.to_string_lossy(), &text)?)
}

/// Checks a run against its trace. Every program must succeed.
fn judge(trace: &Trace, run: &Run) -> Result<()> {
    let mut wrong = run.wrong();
    for (program, ended) in trace.programs.iter().zip(&run.ends) {
        if *ended != Some(End::Exit(0)) {
            let (name, ended) = (&program.name, show(*ended));
            wrong.push(format!(
                "program {name} ended with {ended} instead of exit code 0"
            ));
        }
    }
    wrong.extend(trace.check(run.output()).err().map(|mismatch| mismatch.0));
    match wrong.is_empty() {
        true => Ok(()),
        false => bail!("{}", wrong.join("\n")),
    }
}

pub fn show(end: Option<End>) -> String {
    match end {
        Some(End::Exit(code)) => format!("exit code {code}"),
        Some(End::Signal(signal)) => format!(
            "SIG{}",
            signal_name(signal).map_or(signal.to_string(), str::to_owned)
        ),
        None => "nothing".to_owned(),
    }
}

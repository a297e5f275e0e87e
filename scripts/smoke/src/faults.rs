//! Injects faults into CPython and into our libraries, side by side, and reports the outcomes.
//!
//! A fault is a program of the crate `faults` and the same program in Python. A program prints a line `round N: ...`
//! after each round, and `held: ...` or `broken: ...` at the end. This module detects every other outcome: the program
//! hangs, ends in another way, or leaves something behind.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::run::{self, Interrupt, Job, Problem, Run};
use crate::suite;
use crate::trace::{End, Stream, Trace};
use crate::workspace;

/// A fault, and how to cause it.
#[derive(Clone, Copy)]
pub struct Fault {
    pub name: &'static str,
    pub what: &'static str,
    /// The number of rounds for the table, and for a test.
    pub rounds: u32,
    pub short: u32,
    how: How,
}

#[derive(Clone, Copy)]
enum How {
    /// By the program itself.
    Itself,
    /// By a signal after the program's first line; each round is a run of its own.
    Signal(Interrupt),
    /// By mounting a file system on `/dev/shm`; the text is the argument of `faults --shm`.
    Shm(&'static str),
}

const CTRL_C: Interrupt = Interrupt {
    signal: 2,
    group: true,
};
const KILL: Interrupt = Interrupt {
    signal: 9,
    group: false,
};

pub const FAULTS: &[Fault] = &[
    fault(
        "worker_killed_in_task",
        "Pool's worker killed in a task",
        [100, 10],
        How::Itself,
    ),
    fault(
        "worker_killed_idle",
        "Pool's worker killed while idle",
        [100, 10],
        How::Itself,
    ),
    fault(
        "producer_killed",
        "producer killed in `put`",
        [300, 10],
        How::Itself,
    ),
    fault(
        "consumer_killed",
        "consumer killed in `get`",
        [300, 20],
        How::Itself,
    ),
    fault(
        "lock_holder_killed",
        "Lock's holder killed",
        [100, 10],
        How::Itself,
    ),
    fault(
        "rlock_holder_killed",
        "RLock's holder killed",
        [100, 10],
        How::Itself,
    ),
    fault(
        "pipe_peer_killed",
        "Pipe's peer killed",
        [50, 4],
        How::Itself,
    ),
    fault("parent_killed", "parent killed", [20, 1], How::Signal(KILL)),
    fault(
        "fork_beside_thread",
        "fork beside a printing thread",
        [60, 10],
        How::Itself,
    ),
    fault(
        "descriptor_limit",
        "descriptor limit reached",
        [10, 1],
        How::Itself,
    ),
    fault(
        "remote_worker_killed",
        "remote queue's workers killed, Rust's and Python's",
        [10, 2],
        How::Itself,
    ),
    fault(
        "manager_lock_holder_killed",
        "manager's client killed holding a Lock",
        [30, 3],
        How::Itself,
    ),
    fault(
        "manager_rlock_holder_killed",
        "manager's client killed holding an RLock",
        [30, 3],
        How::Itself,
    ),
    fault(
        "manager_getter_killed",
        "manager's client killed in `get`",
        [30, 3],
        How::Itself,
    ),
    fault(
        "manager_acquirer_killed",
        "manager's client killed in `acquire`",
        [30, 3],
        How::Itself,
    ),
    fault(
        "manager_server_killed",
        "manager's server killed",
        [30, 3],
        How::Itself,
    ),
    fault(
        "manager_wrong_key",
        "manager, wrong key",
        [30, 3],
        How::Itself,
    ),
    fault(
        "manager_garbage",
        "manager, garbage bytes and pickles",
        [10, 2],
        How::Itself,
    ),
    fault(
        "manager_connections",
        "manager, 10 000 silent connections",
        [3, 1],
        How::Itself,
    ),
    fault(
        "manager_reader_stops",
        "manager's client stops reading",
        [5, 1],
        How::Itself,
    ),
    fault(
        "manager_unknown_class",
        "manager, an unknown class in a value",
        [30, 3],
        How::Itself,
    ),
    fault("shm_full", "`/dev/shm` full", [10, 2], How::Shm("full")),
    fault(
        "shm_read_only",
        "`/dev/shm` not writable",
        [10, 2],
        How::Shm("read_only"),
    ),
    fault(
        "interrupted",
        "SIGINT to all during `map`",
        [20, 1],
        How::Signal(CTRL_C),
    ),
];

const fn fault(
    name: &'static str,
    what: &'static str,
    [rounds, short]: [u32; 2],
    how: How,
) -> Fault {
    Fault {
        name,
        what,
        rounds,
        short,
        how,
    }
}

/// The outcome of a fault, in a few words.
pub struct Outcome {
    pub text: String,
    pub verdict: Verdict,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Held,
    Broken,
    /// This machine does not allow the fault.
    NotPossible,
}

/// How long the processes of a killed program may take to end by themselves.
const GRACE: Duration = Duration::from_secs(1);

impl Fault {
    /// Injects the fault into our libraries. `faults` is the program of the crate `faults`.
    pub fn ours(&self, faults: &Path, rounds: u32) -> Result<Outcome> {
        let limits = [Duration::from_secs(20), Duration::ZERO];
        let program = [faults.as_os_str(), self.name.as_ref()];
        self.run(faults, &program, rounds, limits)
    }

    /// Injects the fault into CPython, whose helper processes may outlive it a little longer.
    pub fn cpython(&self, faults: &Path, python: &str, rounds: u32) -> Result<Outcome> {
        let script = workspace::root().join("scripts/faults/python");
        let script = script.join(format!("{}.py", self.name));
        ensure!(script.exists(), "{} is missing", script.display());
        let program = [python.as_ref(), "-P".as_ref(), script.as_os_str()];
        let limits = [Duration::from_secs(5), Duration::from_secs(2)];
        self.run(faults, &program, rounds, limits)
    }

    /// Runs a program. It hangs if it prints nothing for `patience`; its processes must end within `grace` after it.
    fn run(
        &self,
        faults: &Path,
        program: &[&OsStr],
        rounds: u32,
        [patience, grace]: [Duration; 2],
    ) -> Result<Outcome> {
        let (in_a_run, interrupt) = match self.how {
            How::Signal(interrupt) => (1, Some(interrupt)),
            _ => (rounds, None),
        };
        let mut command: Vec<OsString> = vec![];
        if let How::Shm(what) = self.how {
            command.extend([faults.into(), "--shm".into(), what.into()]);
        }
        command.extend(program.iter().map(OsString::from));
        command.push(in_a_run.to_string().into());
        let any = Trace::parse("any", "within 3600s\nlane any\n  | {:text}")?;
        let job = Job {
            trace: &any,
            command,
            terminal: false,
            grace: if interrupt.is_some() { GRACE } else { grace },
            interrupt,
            patience: Some(patience),
        };
        for before in (0..rounds).step_by(in_a_run as usize) {
            let outcome = judge(&run::run(&job)?, before, rounds, interrupt);
            if interrupt.is_none() || outcome.verdict != Verdict::Held {
                return Ok(outcome);
            }
        }
        Ok(Outcome {
            text: format!("{rounds} of {rounds} rounds: nothing is left"),
            verdict: Verdict::Held,
        })
    }
}

/// Judges a run that starts after `before` of the `rounds`. If a signal was sent, it must kill the program, and all other
/// processes must end too.
fn judge(run: &Run, before: u32, rounds: u32, interrupt: Option<Interrupt>) -> Outcome {
    let of = |stream| run.lines.iter().filter(move |line| line.stream == stream);
    let done = of(Stream::Stdout).filter(|line| line.text.starts_with("round "));
    let (done, rounds) = (before as usize + done.count(), rounds as usize);
    let last = of(Stream::Stdout).next_back().map_or("", |line| &line.text);
    let left = |problem: &&Problem| matches!(problem, Problem::Left(_));
    let left = run.problems.iter().filter(left).count();
    let other = run.problems.iter().filter_map(|problem| match problem {
        Problem::Other(what) => Some(what.as_str()),
        _ => None,
    });
    let late = |problem: &Problem| matches!(problem, Problem::Late(_));
    let end = run.ends[0];
    let (mut verdict, mut text) = (Verdict::Broken, String::new());
    match (last.split_once(": "), end) {
        // The supervisor has killed everything, so nothing else can be reported as left behind.
        _ if run.problems.iter().any(late) => {
            text = format!("hangs in round {} of {rounds}", done + 1);
            return Outcome { text, verdict };
        }
        (Some(("not possible here", _)), _) => {
            (verdict, text) = (Verdict::NotPossible, last.to_owned());
        }
        (Some(("held", what)), Some(End::Exit(0))) if done == rounds && interrupt.is_none() => {
            verdict = Verdict::Held;
            text = format!("{done} of {rounds} rounds: {what}");
        }
        (Some(("broken", what)), Some(End::Exit(1))) => text = what.to_owned(),
        (_, Some(End::Signal(signal))) if interrupt.is_some_and(|sent| sent.signal == signal) => {
            verdict = Verdict::Held;
        }
        _ => {
            let error = of(Stream::Stderr).next_back();
            let at = run.lines.last().map_or(0.0, |line| line.at.as_secs_f64());
            let error = error.map_or(String::new(), |line| format!(": {}", line.text));
            text = format!("{} after {at:.1} s{error}", suite::show(end));
        }
    }
    let left = match left {
        0 => None,
        1 => Some("leaves a process behind".to_owned()),
        left => Some(format!("leaves {left} processes behind")),
    };
    for wrong in left.iter().map(String::as_str).chain(other) {
        verdict = Verdict::Broken;
        text = if text.is_empty() {
            wrong.to_owned()
        } else {
            format!("{text}; {wrong}")
        };
    }
    Outcome { text, verdict }
}

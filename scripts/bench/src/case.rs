//! Groups of cases to measure. A case has a few contestants, and goals for this project's contestants.

use std::fmt;
use std::time::Duration;

use anyhow::Result;

pub struct Group {
    pub name: &'static str,
    pub title: &'static str,
    pub cases: &'static [Case],
}

/// Contestants that do the same work. They run in turn in each round, so that a ratio compares runs close in time.
pub struct Case {
    pub name: &'static str,
    pub unit: Unit,
    pub contestants: &'static [Contestant],
}

/// The meaning of a contestant's figure.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds for an operation; less is better.
    Time,
    /// How many times faster two workers are than one; more is better.
    SpeedUp,
}

pub struct Contestant {
    pub kind: Kind,
    pub name: &'static str,
    /// The number of operations in a full run.
    pub count: u64,
    pub how: How,
    pub goals: &'static [Goal],
    /// The Python module that the contestant needs. Without the module, the contestant is left out.
    pub module: Option<&'static str>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Python,
    Peer,
    Ours,
    Limit,
}

#[derive(Clone, Copy)]
pub enum How {
    /// A case of the group's program in `python/`.
    Python(&'static str),
    /// Takes the count and returns the figure. The function runs in a process of its own, and checks its result.
    Rust(fn(u64) -> Result<f64>),
}

/// A goal for a contestant, as a ratio of figures of the same round.
#[derive(Clone, Copy)]
pub enum Goal {
    /// At least this many times better than the contestant of this name.
    Over(&'static str, f64),
    /// At most this many times the time of the limit of this name.
    Within(&'static str, f64),
}

impl Goal {
    pub fn against(self) -> &'static str {
        let (Goal::Over(name, _) | Goal::Within(name, _)) = self;
        name
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Goal::Over(_, least) => write!(f, "≥{least}"),
            Goal::Within(_, most) => write!(f, "≤{most}"),
        }
    }
}

/// A program in Python. The other contestants are compared with the first one of the case, and with its first limit.
pub const fn python(name: &'static str, case: &'static str, count: u64) -> Contestant {
    contestant(Kind::Python, name, count, How::Python(case), &[])
}

/// A program in Python whose other end is a function here.
pub const fn served(
    name: &'static str,
    module: &'static str,
    count: u64,
    run: fn(u64) -> Result<f64>,
) -> Contestant {
    contestant(Kind::Python, name, count, How::Rust(run), &[]).of(module)
}

pub const fn peer(name: &'static str, count: u64, run: fn(u64) -> Result<f64>) -> Contestant {
    contestant(Kind::Peer, name, count, How::Rust(run), &[])
}

pub const fn ours(
    name: &'static str,
    count: u64,
    run: fn(u64) -> Result<f64>,
    goals: &'static [Goal],
) -> Contestant {
    contestant(Kind::Ours, name, count, How::Rust(run), goals)
}

pub const fn limit(name: &'static str, count: u64, run: fn(u64) -> Result<f64>) -> Contestant {
    contestant(Kind::Limit, name, count, How::Rust(run), &[])
}

impl Contestant {
    pub const fn of(mut self, module: &'static str) -> Contestant {
        self.module = Some(module);
        self
    }

    /// Makes a program in Python a peer, so that the others are not compared with it.
    pub const fn among_peers(mut self) -> Contestant {
        self.kind = Kind::Peer;
        self
    }
}

const fn contestant(
    kind: Kind,
    name: &'static str,
    count: u64,
    how: How,
    goals: &'static [Goal],
) -> Contestant {
    Contestant {
        kind,
        name,
        count,
        how,
        goals,
        module: None,
    }
}

/// Returns the figure of `count` operations that took this time together.
pub fn nanoseconds(elapsed: Duration, count: u64) -> f64 {
    elapsed.as_secs_f64() * 1e9 / count as f64
}

//! Traces: what the output of a concurrent program must satisfy, whatever the interleaving.
//!
//! [`Trace::parse`] reads the language of `scripts/README.md`, [`Trace::check`] matches a run against it, and
//! [`mutate::mutants`] makes the wrong runs that a good trace must reject.

mod expr;
mod matcher;
pub mod mutate;
mod parse;
mod pattern;
mod report;
mod rules;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

pub use expr::{Comparison, Expr};
pub use matcher::{Matched, Step};
pub use parse::{TraceError, signal_name};
pub use pattern::{Bindings, Kind, Pattern, Piece};

/// A place in a trace file; lines and columns count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

/// Index into [`Trace::names`].
pub type NameId = usize;
/// Index into [`Trace::labels`].
pub type LabelId = usize;
/// Index into [`Trace::patterns`].
pub type PatternId = usize;
/// Index into [`Trace::scopes`].
pub type ScopeId = usize;

/// A parsed trace file.
#[derive(Debug)]
pub struct Trace {
    /// The file's name for error messages.
    pub file: String,
    /// The programs to start; the first needs no `after`.
    pub programs: Vec<Program>,
    pub sends: Vec<Send>,
    /// How long the whole run may take.
    pub within: Duration,
    /// Whether standard error may hold anything.
    pub stderr_any: bool,
    /// Whether the program may leave killed grandchildren to be reaped by others.
    pub orphans_any: bool,
    pub lanes: Vec<Lane>,
    pub patterns: Vec<Pattern>,
    pub names: Vec<Name>,
    pub labels: Vec<Label>,
    pub scopes: Vec<Scope>,
    pub rules: Vec<(Position, Rule)>,
}

/// One program of a run, which must end with exit code 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Program {
    pub name: String,
    pub args: Vec<Pattern>,
    /// The program starts when a line with this label is read, or at once if `None`.
    pub after: Option<LabelId>,
}

/// How a program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Exit(i32),
    Signal(i32),
}

/// A signal that a program gets when a line with a label is read.
#[derive(Debug, Clone, PartialEq)]
pub struct Send {
    pub signal: i32,
    /// Index into [`Trace::programs`].
    pub program: usize,
    pub after: LabelId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// A sequence of lines in a fixed order. Lines of different lanes may interleave.
#[derive(Debug)]
pub struct Lane {
    pub name: String,
    /// How many instances of the lane there are.
    pub count: Count,
    pub stream: Stream,
    pub body: Vec<Op>,
    /// The scope of the lane's `each` names.
    pub scope: Option<ScopeId>,
    pub position: Position,
}

/// From `min` to `max` times; without a limit if `max` is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    pub min: u32,
    pub max: Option<u32>,
}

impl Count {
    pub const ONCE: Count = Count {
        min: 1,
        max: Some(1),
    };

    pub fn is_fixed(self) -> bool {
        self.max == Some(self.min)
    }

    fn allows_more(self, count: u32) -> bool {
        self.max.is_none_or(|max| count < max)
    }
}

/// A step of a lane. Repeats nest; `start` and `end` point at each other.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    Line(PatternId),
    Repeat {
        count: Count,
        end: usize,
        scope: Option<ScopeId>,
    },
    End {
        start: usize,
    },
}

/// The names after `each`, with new bindings for every instance of a lane or round of a repeat.
#[derive(Debug)]
pub struct Scope {
    pub parent: Option<ScopeId>,
    pub names: Vec<NameId>,
}

/// A named hole.
#[derive(Debug)]
pub struct Name {
    pub text: String,
    pub kind: Kind,
    /// `None`: the name has one value everywhere.
    pub scope: Option<ScopeId>,
    pub position: Position,
    /// The number of places in the file that use the name, including rules.
    pub uses: usize,
}

#[derive(Debug)]
pub struct Label {
    pub text: String,
    pub pattern: PatternId,
}

#[derive(Debug)]
pub enum Rule {
    /// Every line of the first label comes before every line of the second.
    Before(LabelId, LabelId),
    /// The k-th line of the first label comes before the k-th of the second.
    BeforeEach(LabelId, LabelId),
    /// The values of all these names differ.
    Distinct(Vec<NameId>),
    /// The values of a name are exactly these, each as often as listed.
    Set(NameId, Vec<String>),
    /// The values of a name rise in every instance, by exactly this step if given.
    Rising(NameId, Option<f64>),
    Check(Comparison),
}

/// A line of output.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    pub text: String,
    pub stream: Stream,
    /// When it was read, from the start of the run.
    pub at: Duration,
}

/// The output to check, and the pids of the process that printed it.
#[derive(Debug, Clone, Copy)]
pub struct Output<'a> {
    pub lines: &'a [Line],
    /// The pid of the first program, for `{name:self}`.
    pub pid: u32,
    /// Its parent's pid, for `{name:parent}`.
    pub parent: u32,
}

impl Trace {
    /// Matches a run's output. The error says which line fits nowhere, and why.
    pub fn check<'a>(&self, output: Output<'a>) -> Result<Matched<'a>, Mismatch> {
        matcher::search(self, output)
            .map_err(|failure| Mismatch(report::explain(self, output, &failure)))
    }
}

/// A readable report of why a run does not satisfy a trace.
#[derive(Debug)]
pub struct Mismatch(pub String);

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Mismatch {}

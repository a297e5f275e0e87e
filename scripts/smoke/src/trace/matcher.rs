//! The search for an assignment of a run's lines to the lanes of a trace.
//!
//! The search is depth first: it assigns each line to the first lane that accepts it. If a later line fits nowhere, the
//! search backtracks and tries the next lane. It remembers states that failed. In practice pids and names leave one choice
//! for a line, so the search is linear. Where they do not, a limit on the number of steps ends it.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;

use super::pattern::{Bindings, Captures};
use super::*;

/// The search gives up after trying this many lines, counted over all lanes.
const STEPS: usize = 200_000;

/// An assignment of a run's lines to lanes.
#[derive(Debug)]
pub struct Matched<'a> {
    /// One place for every line of the run.
    pub steps: Vec<Step<'a>>,
    /// How many lines the search has tried; without backtracking, the number of lines.
    pub tried: usize,
}

/// The place of one line.
#[derive(Debug, Clone)]
pub struct Step<'a> {
    /// Which instance took it, numbered in the order of their first lines.
    pub instance: usize,
    pub lane: usize,
    pub pattern: PatternId,
    /// The scopes that this line opens: a new instance's or a new round's.
    pub fresh: Vec<ScopeId>,
    /// The values of its named holes.
    pub captures: Captures<'a>,
}

/// Why no assignment exists, with the longest prefix that the search has matched.
pub struct Failure<'a> {
    /// The lines before the one that fits nowhere.
    pub steps: Vec<Step<'a>>,
    pub state: State<'a>,
    pub reason: Reason,
}

pub enum Reason {
    /// The next line fits nowhere, or the run has ended and a lane has not.
    Stuck,
    /// All lines fit, but a rule does not hold.
    Rule(Position, String),
    /// The search reached its limit.
    GaveUp,
}

/// The progress of every lane.
#[derive(Clone, Hash)]
pub struct State<'a> {
    pub instances: Vec<Rc<Instance<'a>>>,
    /// The values of the names without a scope.
    pub values: Vec<Option<&'a str>>,
    /// How many lines each label has had.
    pub seen: Vec<u32>,
}

/// One instance of a lane.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Instance<'a> {
    pub lane: usize,
    /// The next step of the lane's body.
    pub next: usize,
    /// The current round of every open repeat, the outermost first.
    pub rounds: Vec<u32>,
    pub values: Vec<(NameId, &'a str)>,
}

/// A line that an instance could take next.
pub struct Candidate<'a> {
    pub instance: usize,
    pub pattern: PatternId,
    pub after: Instance<'a>,
    pub fresh: Vec<ScopeId>,
}

impl<'a> State<'a> {
    fn start(trace: &Trace) -> State<'a> {
        State {
            instances: vec![],
            values: vec![None; trace.names.len()],
            seen: vec![0; trace.labels.len()],
        }
    }

    /// All lines that could come next on `stream`, those of started instances first.
    pub fn candidates(&self, trace: &Trace, stream: Stream) -> Vec<Candidate<'a>> {
        let mut found = vec![];
        for (number, instance) in self.instances.iter().enumerate() {
            if trace.lanes[instance.lane].stream == stream {
                next_lines(trace, number, (**instance).clone(), vec![], &mut found);
            }
        }
        for (lane, description) in trace.lanes.iter().enumerate() {
            let started = self
                .instances
                .iter()
                .filter(|instance| instance.lane == lane)
                .count() as u32;
            if description.stream == stream && description.count.allows_more(started) {
                let instance = Instance {
                    lane,
                    next: 0,
                    rounds: vec![],
                    values: vec![],
                };
                let fresh = description.scope.into_iter().collect();
                next_lines(trace, self.instances.len(), instance, fresh, &mut found);
            }
        }
        found
    }

    /// The instances and unstarted lanes that still need a line.
    pub fn unfinished(&self, trace: &Trace) -> Vec<usize> {
        let ends = |instance: &Instance| {
            let mut found = vec![];
            next_lines(trace, 0, instance.clone(), vec![], &mut found)
        };
        let lane_unfinished = |lane: usize| {
            let started: Vec<_> = self
                .instances
                .iter()
                .filter(|instance| instance.lane == lane)
                .collect();
            let missing = (started.len() as u32) < trace.lanes[lane].count.min;
            let unstarted = Instance {
                lane,
                next: 0,
                rounds: vec![],
                values: vec![],
            };
            started.iter().any(|instance| !ends(instance)) || missing && !ends(&unstarted)
        };
        (0..trace.lanes.len())
            .filter(|lane| lane_unfinished(*lane))
            .collect()
    }

    /// Returns the place of a `before` rule that forbids a line with this label now.
    pub fn forbidden(&self, trace: &Trace, label: LabelId) -> Option<Position> {
        let broken = |rule: &Rule| match *rule {
            Rule::Before(first, second) => first == label && self.seen[second] > 0,
            Rule::BeforeEach(first, second) => {
                second == label && self.seen[first] <= self.seen[second]
            }
            _ => false,
        };
        trace
            .rules
            .iter()
            .find(|(_, rule)| broken(rule))
            .map(|(position, _)| *position)
    }

    /// The values of the candidate's holes, if the line fits.
    pub fn fit(
        &self,
        trace: &Trace,
        candidate: &Candidate<'a>,
        line: &'a str,
        pids: &(String, String),
    ) -> Option<Captures<'a>> {
        let value = |name: NameId| match trace.names[name].scope {
            None => self.values[name],
            Some(_) => candidate
                .after
                .values
                .iter()
                .find(|(id, _)| *id == name)
                .map(|(_, value)| *value),
        };
        let bindings = Bindings {
            value: &value,
            own_pid: &pids.0,
            parent_pid: &pids.1,
        };
        trace.patterns[candidate.pattern].fit(line, &bindings)
    }

    fn apply(&self, trace: &Trace, candidate: Candidate<'a>, captures: &Captures<'a>) -> State<'a> {
        let mut state = self.clone();
        let mut instance = candidate.after;
        for (name, value) in captures {
            match trace.names[*name].scope {
                None => state.values[*name] = Some(value),
                Some(_) if instance.values.iter().any(|(id, _)| id == name) => {}
                Some(_) => instance.values.push((*name, value)),
            }
        }
        if let Some(label) = trace.patterns[candidate.pattern].label {
            state.seen[label] += 1;
        }
        match state.instances.get_mut(candidate.instance) {
            Some(place) => *place = Rc::new(instance),
            None => state.instances.push(Rc::new(instance)),
        }
        state
    }
}

/// Adds every line that can come next in `instance`; returns whether its lane may also end here.
fn next_lines<'a>(
    trace: &Trace,
    number: usize,
    mut instance: Instance<'a>,
    fresh: Vec<ScopeId>,
    found: &mut Vec<Candidate<'a>>,
) -> bool {
    let body = &trace.lanes[instance.lane].body;
    let begin_round =
        |instance: &mut Instance<'a>, fresh: &mut Vec<ScopeId>, scope: Option<ScopeId>| {
            if let Some(scope) = scope {
                instance
                    .values
                    .retain(|(name, _)| trace.names[*name].scope != Some(scope));
                fresh.push(scope);
            }
        };
    loop {
        match body.get(instance.next) {
            None => return true,
            Some(&Op::Line(pattern)) => {
                instance.next += 1;
                found.push(Candidate {
                    instance: number,
                    pattern,
                    after: instance,
                    fresh,
                });
                return false;
            }
            Some(&Op::Repeat { count, end, scope }) => {
                let mut round = instance.clone();
                let mut fresh_round = fresh.clone();
                round.rounds.push(1);
                round.next += 1;
                begin_round(&mut round, &mut fresh_round, scope);
                // Every round has at least one line, so the lane cannot end inside a round.
                next_lines(trace, number, round, fresh_round, found);
                if count.min > 0 {
                    return false;
                }
                instance.next = end + 1;
            }
            Some(&Op::End { start }) => {
                let (Op::Repeat { count, scope, .. }, Some(rounds)) =
                    (&body[start], instance.rounds.pop())
                else {
                    return false;
                };
                if count.allows_more(rounds) {
                    let mut round = instance.clone();
                    let mut fresh_round = fresh.clone();
                    round.rounds.push(rounds + 1);
                    round.next = start + 1;
                    begin_round(&mut round, &mut fresh_round, *scope);
                    next_lines(trace, number, round, fresh_round, found);
                }
                if rounds < count.min {
                    return false;
                }
                begin_round(&mut instance, &mut vec![], *scope);
                instance.next += 1;
            }
        }
    }
}

/// A line of the run on the current path, and its untried candidates.
struct Frame<'a> {
    state: State<'a>,
    choices: std::vec::IntoIter<(Candidate<'a>, Captures<'a>)>,
    /// Whether a path through here reached the end and broke a rule: another history may reach the same state and pass.
    reached_end: bool,
    key: u64,
}

pub fn search<'a>(trace: &Trace, output: Output<'a>) -> Result<Matched<'a>, Box<Failure<'a>>> {
    let pids = (output.pid.to_string(), output.parent.to_string());
    let hasher = RandomState::new();
    let mut dead: HashSet<(usize, u64)> = HashSet::new();
    let mut tried = 0;
    let mut deepest: Option<Failure> = None;
    let mut broken_rule: Option<Failure> = None;
    let mut path: Vec<Step> = vec![];

    let open = |state: State<'a>, line: usize| {
        let mut choices = vec![];
        if let Some(line) = output.lines.get(line) {
            for candidate in state.candidates(trace, line.stream) {
                let label = trace.patterns[candidate.pattern].label;
                if label.is_some_and(|label| state.forbidden(trace, label).is_some()) {
                    continue;
                }
                if let Some(captures) = state.fit(trace, &candidate, &line.text, &pids) {
                    choices.push((candidate, captures));
                }
            }
        }
        let key = hasher.hash_one(&state);
        Frame {
            state,
            choices: choices.into_iter(),
            reached_end: false,
            key,
        }
    };

    let mut stack = vec![open(State::start(trace), 0)];
    while let Some(frame) = stack.last_mut() {
        let line = path.len();
        if line == output.lines.len() && frame.state.unfinished(trace).is_empty() {
            match rules::hold(trace, &path) {
                Ok(()) => return Ok(Matched { steps: path, tried }),
                Err((position, text)) => {
                    frame.reached_end = true;
                    broken_rule.get_or_insert_with(|| Failure {
                        steps: path.clone(),
                        state: frame.state.clone(),
                        reason: Reason::Rule(position, text),
                    });
                }
            }
        } else if let Some((candidate, captures)) = frame.choices.next() {
            tried += 1;
            if tried > STEPS {
                break;
            }
            let step = Step {
                instance: candidate.instance,
                lane: candidate.after.lane,
                pattern: candidate.pattern,
                fresh: candidate.fresh.clone(),
                captures: captures.clone(),
            };
            let next = open(frame.state.apply(trace, candidate, &captures), line + 1);
            if !dead.contains(&(line + 1, next.key)) {
                path.push(step);
                stack.push(next);
            }
            continue;
        } else if deepest
            .as_ref()
            .is_none_or(|failure| failure.steps.len() < line)
        {
            deepest = Some(Failure {
                steps: path.clone(),
                state: frame.state.clone(),
                reason: Reason::Stuck,
            });
        }
        // Nothing is left to try here.
        if let Some(done) = stack.pop() {
            if !done.reached_end {
                dead.insert((line, done.key));
            }
            if let Some(previous) = stack.last_mut() {
                previous.reached_end |= done.reached_end;
            }
        }
        path.pop();
    }
    let mut failure = broken_rule.or(deepest).unwrap_or_else(|| Failure {
        steps: vec![],
        state: State::start(trace),
        reason: Reason::Stuck,
    });
    if tried > STEPS {
        failure.reason = Reason::GaveUp;
    }
    Err(Box::new(failure))
}

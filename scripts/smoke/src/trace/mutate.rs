//! Wrong runs, made from a correct one, that show whether a trace rejects what it should.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// The most lines of a run that get mistakes, and the most pairs of processes that get the same pid.
const SAMPLE: usize = 50;

/// Each mutant is matched as a whole, so a long run gets fewer mutants: at most this many lines in all.
const WORK: usize = 5_000;

/// One mistake. A trace must reject at least one of its variants. A number may be bounded on one side only, so its variants
/// are "far too big" and "far too small".
pub struct Mutant {
    /// The description of the change to the run.
    pub what: String,
    pub variants: Vec<Vec<Line>>,
}

impl Mutant {
    /// Whether the trace accepts the mistake.
    pub fn survives(&self, trace: &Trace, output: Output) -> bool {
        self.variants
            .iter()
            .all(|lines| trace.check(Output { lines, ..output }).is_ok())
    }
}

/// Returns every mistake that a trace must notice in this run. Lines that may legally be missing or repeated are left
/// alone, unless a `set` fixes how often they come.
pub fn mutants(trace: &Trace, output: Output, matched: &Matched) -> Vec<Mutant> {
    let run = Run {
        trace,
        pid: output.pid,
        parent: output.parent,
        lines: output.lines,
        steps: &matched.steps,
    };
    let mut mutants = vec![];
    run.lines_lost_and_found(&mut mutants);
    run.order(&mut mutants);
    run.bindings(&mut mutants);
    run.pids(&mut mutants);
    run.numbers(&mut mutants);
    mutants
}

struct Run<'t, 'a> {
    trace: &'t Trace,
    pid: u32,
    parent: u32,
    lines: &'t [Line],
    steps: &'t [Step<'a>],
}

/// The place of a hole's value in the output.
#[derive(Clone, Copy, PartialEq)]
struct Place<'a> {
    line: usize,
    value: &'a str,
    start: usize,
}

impl<'t, 'a> Run<'t, 'a> {
    /// The run with its lines in another order; the times stay in ascending order.
    fn reordered(&self, order: &[usize]) -> Vec<Line> {
        order
            .iter()
            .zip(self.lines)
            .map(|(&from, line)| Line {
                at: line.at,
                ..self.lines[from].clone()
            })
            .collect()
    }

    /// The lines that get mistakes, one per mutant: all lines, or a sample of a long run.
    fn sample(&self) -> impl Iterator<Item = (usize, &Line)> {
        self.lines.iter().enumerate().step_by(self.step())
    }

    fn step(&self) -> usize {
        self.lines.len().div_ceil(self.most()).max(1)
    }

    fn most(&self) -> usize {
        (WORK / self.lines.len().max(1)).clamp(5, SAMPLE)
    }

    fn moved(&self, from: usize, to: usize) -> Vec<Line> {
        let mut order: Vec<usize> = (0..self.lines.len()).collect();
        let line = order.remove(from);
        order.insert(to, line);
        self.reordered(&order)
    }

    /// The run reordered so that every instance reaches its first line with this label before any instance continues.
    fn all_begin_first(&self, label: LabelId) -> Vec<Line> {
        let begins = self.places(label);
        let goes_on = |line: usize| {
            let own = |begin: &&usize| self.steps[**begin].instance == self.steps[line].instance;
            begins.iter().find(own).is_some_and(|begin| line > *begin)
        };
        let mut order: Vec<usize> = (0..self.lines.len()).collect();
        order.sort_by_key(|line| goes_on(*line));
        self.reordered(&order)
    }

    fn with_text(&self, line: usize, text: String) -> Vec<Line> {
        let mut lines = self.lines.to_vec();
        lines[line].text = text;
        lines
    }

    fn replaced(&self, place: Place, by: &str) -> Vec<Line> {
        let mut text = self.lines[place.line].text.clone();
        text.replace_range(place.start..place.start + place.value.len(), by);
        self.with_text(place.line, text)
    }

    fn show(&self, line: usize) -> String {
        format!("line {} ({})", line + 1, self.lines[line].text)
    }

    fn lines_lost_and_found(&self, mutants: &mut Vec<Mutant>) {
        for (number, line) in self.sample() {
            let pattern = self.steps[number].pattern;
            if !self.trace.patterns[pattern].elastic || self.is_counted(pattern) {
                let mut lines = self.lines.to_vec();
                lines.remove(number);
                mutants.push(Mutant {
                    what: format!("{} lost", self.show(number)),
                    variants: vec![lines],
                });
                let mut lines = self.lines.to_vec();
                lines.insert(number, line.clone());
                mutants.push(Mutant {
                    what: format!("{} doubled", self.show(number)),
                    variants: vec![lines],
                });
            }
            let middle = line.text.char_indices().nth(line.text.chars().count() / 2);
            if let Some((middle, _)) = middle.filter(|(middle, _)| *middle > 0) {
                let mut lines = self.with_text(number, line.text[..middle].to_owned());
                lines.insert(
                    number + 1,
                    Line {
                        text: line.text[middle..].to_owned(),
                        ..line.clone()
                    },
                );
                mutants.push(Mutant {
                    what: format!("{} torn", self.show(number)),
                    variants: vec![lines],
                });
            }
        }
        for place in BTreeSet::from([0, self.lines.len() / 2, self.lines.len()]) {
            for stream in [Stream::Stdout, Stream::Stderr] {
                let text = "a line that no example prints".to_owned();
                let mut lines = self.lines.to_vec();
                lines.insert(
                    place,
                    Line {
                        text,
                        stream,
                        at: Duration::ZERO,
                    },
                );
                let what = format!("an extra line on {stream:?} after line {place}");
                if stream == Stream::Stdout || !self.trace.stderr_any {
                    mutants.push(Mutant {
                        what,
                        variants: vec![lines],
                    });
                }
            }
        }
    }

    /// Whether a rule fixes how often a line comes.
    fn is_counted(&self, pattern: PatternId) -> bool {
        let pattern = &self.trace.patterns[pattern];
        self.trace.rules.iter().any(|(_, rule)| match rule {
            Rule::Set(name, _) => pattern.names().any(|other| other == *name),
            _ => false,
        })
    }

    fn order(&self, mutants: &mut Vec<Mutant>) {
        let mut last: BTreeMap<usize, usize> = BTreeMap::new();
        for (number, step) in self.steps.iter().enumerate() {
            if let Some(before) = last.insert(step.instance, number)
                && number % self.step() == 0
                && self.steps[before].pattern != step.pattern
                && self.lines[before].text != self.lines[number].text
            {
                let what = format!("{} before {}", self.show(number), self.show(before));
                mutants.push(Mutant {
                    what,
                    variants: vec![self.moved(number, before)],
                });
            }
        }
        let mut by_instance: Vec<usize> = (0..self.lines.len()).collect();
        by_instance.sort_by_key(|line| (self.steps[*line].lane, self.steps[*line].instance));
        let one_after_the_other = self.reordered(&by_instance);
        for (_, rule) in &self.trace.rules {
            match rule {
                Rule::Before(first, second) | Rule::BeforeEach(first, second) => {
                    let (firsts, seconds) = (self.places(*first), self.places(*second));
                    let first = if matches!(rule, Rule::Before(..)) {
                        firsts.last()
                    } else {
                        firsts.first()
                    };
                    if let (Some(&first), Some(&second)) = (first, seconds.first())
                        && first < second
                    {
                        let what = format!("{} before {}", self.show(second), self.show(first));
                        mutants.push(Mutant {
                            what,
                            variants: vec![self.moved(second, first)],
                        });
                    }
                }
                Rule::Check(comparison) => {
                    for first in active(comparison) {
                        let variants =
                            vec![one_after_the_other.clone(), self.all_begin_first(first)];
                        mutants.push(Mutant {
                            what: "more or fewer active at once".into(),
                            variants,
                        });
                    }
                }
                _ => {}
            }
        }
    }

    /// Changes one of several places that hold the same value. In a lane that may have one more instance this could be legal.
    fn bindings(&self, mutants: &mut Vec<Mutant>) {
        for ((name, ..), places) in &self.places_of_values() {
            let [first, .., last] = places[..] else {
                continue;
            };
            let lane = &self.trace.lanes[self.steps[first.line].lane];
            if self.trace.names[*name].scope.is_some() && !lane.count.is_fixed() {
                continue;
            }
            for place in [first, last] {
                let by = different(place.value);
                let what = format!(
                    "{} says {by} instead of {}",
                    self.show(place.line),
                    place.value
                );
                mutants.push(Mutant {
                    what,
                    variants: vec![self.replaced(place, &by)],
                });
            }
        }
    }

    /// The places of every value: one entry for each name, and for each scope of an `each` name.
    fn places_of_values(&self) -> BTreeMap<(NameId, usize, usize), Vec<Place<'a>>> {
        let mut rounds: BTreeMap<(usize, ScopeId), usize> = BTreeMap::new();
        let mut values: BTreeMap<_, Vec<Place>> = BTreeMap::new();
        for (line, step) in self.steps.iter().enumerate() {
            for &scope in &step.fresh {
                *rounds.entry((step.instance, scope)).or_default() += 1;
            }
            for &(name, value) in &step.captures {
                let (instance, round) = match self.trace.names[name].scope {
                    None => (0, 0),
                    Some(scope) => (
                        step.instance,
                        rounds.get(&(step.instance, scope)).copied().unwrap_or(0),
                    ),
                };
                let start = value.as_ptr().addr() - self.lines[line].text.as_ptr().addr();
                values
                    .entry((name, instance, round))
                    .or_default()
                    .push(Place { line, value, start });
            }
        }
        values
    }

    /// Gives two processes the same pid. Skips names that a check allows to have fewer different values.
    fn pids(&self, mutants: &mut Vec<Mutant>) {
        let may_fall_together = |name: NameId| {
            self.trace.rules.iter().any(|(_, rule)| match rule {
                Rule::Check(comparison) => comparison.allows_fewer(name),
                _ => false,
            })
        };
        let mut places: BTreeMap<&str, (NameId, Vec<Place>)> = BTreeMap::new();
        for ((name, ..), found) in self.places_of_values() {
            let elastic =
                |place: &Place| self.trace.patterns[self.steps[place.line].pattern].elastic;
            if self.trace.names[name].kind.is_pid() && !found.iter().any(elastic) {
                places
                    .entry(found[0].value)
                    .or_insert((name, vec![]))
                    .1
                    .extend(found);
            }
        }
        let pids: Vec<&str> = places.keys().copied().collect();
        let pairs = pids
            .iter()
            .flat_map(|first| pids.iter().map(move |second| (*first, *second)));
        let pairs = pairs
            .filter(|(first, second)| first < second)
            .filter(|(first, second)| {
                places[first].0 != places[second].0 || !may_fall_together(places[first].0)
            });
        for (first, second) in pairs.take(self.most()) {
            let lines = self.replaced_everywhere(&places[first].1, second);
            mutants.push(Mutant {
                what: format!("process {first} has the pid {second} too"),
                variants: vec![lines],
            });
        }
        self.anonymous_pids(mutants);
    }

    /// Reports a `{:pid}` that holds the program's own pid in this run: the trace would accept any other pid there.
    fn anonymous_pids(&self, mutants: &mut Vec<Mutant>) {
        for (number, step) in self.steps.iter().enumerate() {
            let pattern = &self.trace.patterns[step.pattern];
            let mut own = pattern.clone();
            for piece in &mut own.pieces {
                if let Piece::Hole {
                    name: None,
                    kind: kind @ Kind::Pid,
                } = piece
                {
                    *kind = Kind::OwnPid;
                }
            }
            let value = |name| {
                step.captures
                    .iter()
                    .find(|(id, _)| *id == name)
                    .map(|(_, value)| *value)
            };
            let pid = self.pid.to_string();
            let bindings = Bindings {
                value: &value,
                own_pid: &pid,
                parent_pid: &self.parent.to_string(),
            };
            if own != *pattern && own.fit(&self.lines[number].text, &bindings).is_some() {
                let what = format!(
                    "{} may name any process, though {{:pid}} is the program's own",
                    self.show(number)
                );
                mutants.push(Mutant {
                    what,
                    variants: vec![self.lines.to_vec()],
                });
            }
        }
    }

    /// The run with several values replaced.
    fn replaced_everywhere(&self, places: &[Place], by: &str) -> Vec<Line> {
        let mut lines = self.lines.to_vec();
        let mut places = places.to_vec();
        // Replace from the end of each line, so that the earlier places stay valid.
        places.sort_by_key(|place| std::cmp::Reverse(place.start));
        for place in places {
            lines[place.line]
                .text
                .replace_range(place.start..place.start + place.value.len(), by);
        }
        lines
    }

    /// Makes numbers that occur in rules far too big and far too small.
    fn numbers(&self, mutants: &mut Vec<Mutant>) {
        let judged = (0..self.trace.names.len()).filter(|name| {
            self.trace.rules.iter().any(|(_, rule)| match rule {
                Rule::Set(other, _) | Rule::Rising(other, _) => other == name,
                Rule::Check(comparison) => comparison.judges(*name),
                _ => false,
            })
        });
        let judged: Vec<NameId> = judged.collect();
        let values = self.places_of_values();
        for name in judged
            .into_iter()
            .filter(|name| self.trace.names[*name].kind.is_number())
        {
            let mut found = values
                .iter()
                .filter(|(key, _)| key.0 == name)
                .map(|(_, places)| places);
            let Some(places) = found.next() else { continue };
            // A single value always rises.
            let only_rises = self.trace.rules.iter().all(|(_, rule)| match rule {
                Rule::Set(other, _) => *other != name,
                Rule::Check(comparison) => !comparison.judges(name),
                _ => true,
            });
            if only_rises && found.next().is_none() {
                continue;
            }
            let small = if self.trace.names[name].kind == Kind::Secs {
                "0"
            } else {
                "-99999999"
            };
            let what = format!(
                "{} says anything instead of {}",
                self.show(places[0].line),
                places[0].value
            );
            let variants = ["99999999", small]
                .map(|by| self.replaced_everywhere(places, by))
                .to_vec();
            mutants.push(Mutant { what, variants });
        }
    }

    fn places(&self, label: LabelId) -> Vec<usize> {
        let pattern = self.trace.labels[label].pattern;
        (0..self.steps.len())
            .filter(|line| self.steps[*line].pattern == pattern)
            .collect()
    }
}

/// The first labels of the `active` calls in a check.
fn active(comparison: &Comparison) -> Vec<LabelId> {
    let mut found = vec![];
    for expr in comparison.exprs() {
        expr.walk(&mut |expr| {
            if let Expr::Active(first, _) = expr {
                found.push(*first);
            }
        });
    }
    found
}

/// Another value of the same type.
fn different(value: &str) -> String {
    match value.parse::<i64>() {
        Ok(number) => (number + 1_000_000).to_string(),
        Err(_) if value.parse::<f64>().is_ok() => format!("1{value}"),
        Err(_) => format!("{value}x"),
    }
}

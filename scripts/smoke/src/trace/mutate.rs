//! Wrong runs, made from a right one, to prove that a trace rejects what it should.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// Pairs of processes that are given one pid, per run.
const MERGES: usize = 40;

/// One mistake. A trace must reject at least one of its variants; where a number is checked on one side only, the
/// variants are "far too big" and "far too small".
pub struct Mutant {
    /// What was done to the run.
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

/// Every mistake that a trace must notice in this run. Lines that may legally be missing or repeated are left alone,
/// unless a `set` or `count` pins how often they come.
pub fn mutants(trace: &Trace, output: Output, matched: &Matched) -> Vec<Mutant> {
    let run = Run {
        trace,
        lines: output.lines,
        steps: &matched.steps,
    };
    let mut mutants = vec![];
    run.lines_lost_and_found(&mut mutants);
    run.order(&mut mutants);
    run.bindings(&mut mutants);
    run.pids(&mut mutants);
    run.numbers(&mut mutants);
    run.times(&mut mutants);
    mutants
}

struct Run<'t, 'a> {
    trace: &'t Trace,
    lines: &'t [Line],
    steps: &'t [Step<'a>],
}

/// Where in the output a hole's value stands.
#[derive(Clone, Copy, PartialEq)]
struct Place<'a> {
    line: usize,
    value: &'a str,
    start: usize,
}

impl<'t, 'a> Run<'t, 'a> {
    /// The run with its lines in another order; the times of reading stay in theirs.
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

    fn moved(&self, from: usize, to: usize) -> Vec<Line> {
        let mut order: Vec<usize> = (0..self.lines.len()).collect();
        let line = order.remove(from);
        order.insert(to, line);
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
        for (number, line) in self.lines.iter().enumerate() {
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

    /// Whether a rule pins how often a line comes.
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
        by_instance.sort_by_key(|line| self.steps[*line].instance);
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
                Rule::Overlap(first, second) => {
                    let lane = |lane: usize| &self.trace.lanes[lane].name;
                    let what =
                        format!("{} and {} one after the other", lane(*first), lane(*second));
                    mutants.push(Mutant {
                        what,
                        variants: vec![one_after_the_other.clone()],
                    });
                }
                Rule::Check(comparison) => {
                    for (first, second) in active(comparison) {
                        let mut variants = vec![one_after_the_other.clone()];
                        let firsts = self.places(first);
                        // The next to begin does so before the one before it has ended.
                        variants.extend(self.places(second).iter().find_map(|end| {
                            let begin = firsts.iter().find(|begin| *begin > end)?;
                            Some(self.moved(*begin, *end))
                        }));
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

    /// Changes one of several places that hold the same value.
    fn bindings(&self, mutants: &mut Vec<Mutant>) {
        for places in self.places_of_values().values() {
            let [first, .., last] = places[..] else {
                continue;
            };
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

    /// The places of every value: one entry for each name and each time that it begins anew.
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

    /// Gives two processes one pid.
    fn pids(&self, mutants: &mut Vec<Mutant>) {
        let mut places: BTreeMap<&str, Vec<Place>> = BTreeMap::new();
        for ((name, ..), found) in self.places_of_values() {
            let elastic =
                |place: &Place| self.trace.patterns[self.steps[place.line].pattern].elastic;
            if self.trace.names[name].kind.is_pid() && !found.iter().any(elastic) {
                places.entry(found[0].value).or_default().extend(found);
            }
        }
        let pids: Vec<&str> = places.keys().copied().collect();
        let pairs = pids
            .iter()
            .flat_map(|first| pids.iter().map(move |second| (*first, *second)));
        for (first, second) in pairs.filter(|(first, second)| first < second).take(MERGES) {
            let mut lines = self.lines.to_vec();
            let mut found = places[first].clone();
            // From the end of each line, so that the places before stay where they are.
            found.sort_by_key(|place| std::cmp::Reverse(place.start));
            for place in found {
                lines[place.line]
                    .text
                    .replace_range(place.start..place.start + place.value.len(), second);
            }
            mutants.push(Mutant {
                what: format!("process {first} has the pid {second} too"),
                variants: vec![lines],
            });
        }
    }

    /// Makes numbers that rules speak of far too big and far too small.
    fn numbers(&self, mutants: &mut Vec<Mutant>) {
        let mut judged: BTreeSet<NameId> = BTreeSet::new();
        for (_, rule) in &self.trace.rules {
            match rule {
                Rule::Set(name, _) | Rule::Rising(name, _) => judged.extend([*name]),
                Rule::Check(comparison) => comparison.exprs().for_each(|expr| {
                    expr.walk(&mut |expr| {
                        if let Expr::Name(name)
                        | Expr::Sum(name)
                        | Expr::Min(name)
                        | Expr::Max(name) = expr
                        {
                            judged.extend([*name]);
                        }
                    })
                }),
                _ => {}
            }
        }
        let values = self.places_of_values();
        for name in judged
            .into_iter()
            .filter(|name| self.trace.names[*name].kind.is_number())
        {
            let Some(place) = values
                .iter()
                .find(|(key, _)| key.0 == name)
                .map(|(_, places)| places[0])
            else {
                continue;
            };
            let small = if self.trace.names[name].kind == Kind::Secs {
                "0"
            } else {
                "-99999999"
            };
            let what = format!(
                "{} says anything instead of {}",
                self.show(place.line),
                place.value
            );
            let variants = vec![
                self.replaced(place, "99999999"),
                self.replaced(place, small),
            ];
            mutants.push(Mutant { what, variants });
        }
    }

    /// Lets the lines come all at once, and far too slowly.
    fn times(&self, mutants: &mut Vec<Mutant>) {
        let mut gaps = false;
        for (_, rule) in &self.trace.rules {
            if let Rule::Check(comparison) = rule {
                comparison
                    .exprs()
                    .for_each(|expr| expr.walk(&mut |expr| gaps |= matches!(expr, Expr::Gap(..))));
            }
        }
        if gaps {
            let scaled = |factor: u32| {
                self.lines
                    .iter()
                    .map(|line| Line {
                        at: line.at * factor,
                        ..line.clone()
                    })
                    .collect()
            };
            mutants.push(Mutant {
                what: "all at once, or far too slow".into(),
                variants: vec![scaled(0), scaled(1000)],
            });
        }
    }

    fn places(&self, label: LabelId) -> Vec<usize> {
        let pattern = self.trace.labels[label].pattern;
        (0..self.steps.len())
            .filter(|line| self.steps[*line].pattern == pattern)
            .collect()
    }
}

fn active(comparison: &Comparison) -> Vec<(LabelId, LabelId)> {
    let mut found = vec![];
    for expr in comparison.exprs() {
        expr.walk(&mut |expr| {
            if let Expr::Active(first, second) = expr {
                found.push((*first, *second));
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

//! Explains why a run does not satisfy its trace.

use std::fmt::Write;

use super::matcher::{Failure, Reason, State};
use super::*;

/// How many lines to show before the one that does not fit, and how many waiting lanes.
const SHOWN: usize = 40;

pub fn explain(trace: &Trace, output: Output, failure: &Failure) -> String {
    let mut text = String::new();
    let place =
        |position: Position| format!("{}:{}:{}", trace.file, position.line, position.column);
    let stuck = failure.steps.len();
    let headline = match &failure.reason {
        Reason::Rule(position, what) => {
            format!("{}: the rule does not hold: {what}", place(*position))
        }
        Reason::GaveUp => format!(
            "{}: the search gave up: too many lanes could take the same lines; name a value that tells them apart, such as a pid",
            trace.file
        ),
        Reason::Stuck => match output.lines.get(stuck) {
            Some(line) => format!(
                "{}: line {} fits nowhere: {}",
                trace.file,
                stuck + 1,
                shown(line)
            ),
            None => format!("{}: the output ends too early", trace.file),
        },
    };
    push(&mut text, headline);
    push(&mut text, "  the run, each line with its lane:");
    let skipped = stuck.saturating_sub(SHOWN);
    if skipped > 0 {
        push(&mut text, format!("       ... {skipped} lines that fit"));
    }
    let names: Vec<String> = (0..failure.state.instances.len())
        .map(|number| instance_name(trace, &failure.state, number))
        .collect();
    let width = names
        .iter()
        .map(|name| name.chars().count())
        .max()
        .unwrap_or(0)
        .max(1);
    for (number, (line, step)) in output
        .lines
        .iter()
        .zip(&failure.steps)
        .enumerate()
        .skip(skipped)
    {
        let lane = &names[step.instance];
        push(
            &mut text,
            format!("  {:4}  {lane:width$}  {}", number + 1, shown(line)),
        );
    }
    if matches!(failure.reason, Reason::Rule(..)) {
        return text;
    }
    for (number, line) in output.lines.iter().enumerate().skip(stuck).take(SHOWN / 4) {
        let mark = if number == stuck { '>' } else { ' ' };
        push(
            &mut text,
            format!("{mark} {:4}  {:width$}  {}", number + 1, "?", shown(line)),
        );
    }
    waiting(trace, output, &failure.state, stuck, &mut text);
    text
}

/// The line that each lane waits for, and why it did not take this one.
fn waiting(trace: &Trace, output: Output, state: &State, stuck: usize, text: &mut String) {
    let pids = (output.pid.to_string(), output.parent.to_string());
    let line = output.lines.get(stuck);
    let unfinished = state.unfinished(trace);
    push(text, "  the lanes wait for:");
    let mut shown = 0;
    for stream in [Stream::Stdout, Stream::Stderr] {
        for candidate in state.candidates(trace, stream) {
            let lane = candidate.after.lane;
            // At the end show only lines that must still come.
            if line.is_none() && !unfinished.contains(&lane) {
                continue;
            }
            shown += 1;
            if shown > SHOWN {
                continue;
            }
            let name = match state.instances.get(candidate.instance) {
                Some(_) => instance_name(trace, state, candidate.instance),
                None => format!("{} (not begun)", trace.lanes[lane].name),
            };
            let pattern = &trace.patterns[candidate.pattern];
            let value = |id: NameId| match trace.names[id].scope {
                None => state.values[id].map(str::to_owned),
                Some(_) => candidate
                    .after
                    .values
                    .iter()
                    .find(|(name, _)| *name == id)
                    .map(|(_, value)| (*value).to_owned()),
            };
            let mut entry = format!(
                "    {name}: {}:{}  {}",
                trace.file,
                pattern.position.line,
                pattern.render(value)
            );
            if let Some(line) = line
                && line.stream == stream
                && state.fit(trace, &candidate, &line.text, &pids).is_some()
                && let Some(rule) = pattern
                    .label
                    .and_then(|label| state.forbidden(trace, label))
            {
                let place = format!("{}:{}:{}", trace.file, rule.line, rule.column);
                entry += &format!("\n      which fits, but {place} forbids this order");
            }
            push(text, entry);
        }
    }
    if shown == 0 {
        push(text, "    nothing: every lane is at its end");
    } else if shown > SHOWN {
        push(text, format!("    ... and {} more", shown - SHOWN));
    }
    let bound: Vec<String> = trace
        .names
        .iter()
        .zip(&state.values)
        .filter_map(|(name, value)| Some(format!("{} = {}", name.text, (*value)?)))
        .collect();
    if !bound.is_empty() {
        push(text, format!("  bound: {}", bound.join(", ")));
    }
}

/// A lane's name, numbered if it has several instances, with its own bindings.
fn instance_name(trace: &Trace, state: &State, number: usize) -> String {
    let instance = &state.instances[number];
    let lane = &trace.lanes[instance.lane];
    if lane.count == Count::ONCE {
        return lane.name.clone();
    }
    let nth = state.instances[..=number]
        .iter()
        .filter(|other| other.lane == instance.lane)
        .count();
    let values: Vec<String> = instance
        .values
        .iter()
        .map(|(name, value)| format!("{}={value}", trace.names[*name].text))
        .collect();
    match values.is_empty() {
        true => format!("{}#{nth}", lane.name),
        false => format!("{}#{nth} {}", lane.name, values.join(" ")),
    }
}

fn shown(line: &Line) -> String {
    match line.stream {
        Stream::Stdout => line.text.clone(),
        Stream::Stderr => format!("(stderr) {}", line.text),
    }
}

fn push(text: &mut String, line: impl AsRef<str>) {
    // Writing to a String cannot fail.
    writeln!(text, "{}", line.as_ref()).unwrap_or_default();
}

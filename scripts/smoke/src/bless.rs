//! A first draft of a trace, from one run: pids become holes, the lines of each process a lane.
//!
//! The draft describes one run only. A person then adds the rules: the order of lines, which lanes are instances of one
//! lane, and the bounds of the numbers.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::run::{self, Job};
use crate::trace::{Line, Stream, Trace};
use crate::workspace::Example;

/// Writes the draft and returns a report. Fails if the trace already exists.
pub fn bless(example: &Example) -> Result<String> {
    let path = example.trace();
    ensure!(
        !path.exists(),
        "{} already exists; to draft it again, remove it first",
        path.display()
    );
    // A run needs a trace for its time limit and programs; this one is never compared.
    let any = Trace::parse("any", "lane any\n  | {:text}")?;
    let command = example.command();
    let run = run::run(&Job {
        trace: &any,
        command,
        terminal: false,
        grace: Duration::ZERO,
        interrupt: None,
        patience: None,
    })?;
    ensure!(run.problems.is_empty(), "{}", run.wrong().join("\n"));
    let text = draft(&run.lines, run.pid);
    Trace::parse("draft", &text)
        .context("parse the draft")?
        .check(run.output())
        .context("match the run against its draft")?;
    fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    Ok(format!(
        "{}: drafted; now add the rules that every run must satisfy",
        path.display()
    ))
}

fn draft(lines: &[Line], own: u32) -> String {
    // Pids are this program's own, and every number after a word like "pid".
    let mut names = BTreeMap::from([(own.to_string(), "main".to_owned())]);
    for line in lines {
        let words = words(&line.text);
        for (place, word) in words.iter().enumerate() {
            let is_number =
                word.bytes().all(|byte| byte.is_ascii_digit()) && !word.starts_with('0');
            let behind = &words[place.saturating_sub(2)..place];
            if is_number
                && behind
                    .iter()
                    .any(|word| ["pid", "ppid", "process"].contains(&word.to_lowercase().as_str()))
            {
                let name = format!("p{}", names.len());
                names.entry((*word).to_owned()).or_insert(name);
            }
        }
    }
    // A line goes to the lane of the first pid in it.
    let mut lanes: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for line in lines {
        let mut text = line.text.replace('{', "{{").replace('}', "}}");
        let pids: Vec<&str> = words(&line.text)
            .into_iter()
            .filter(|word| names.contains_key(*word))
            .collect();
        for pid in &pids {
            text = text.replacen(pid, &format!("{{{}}}", names[*pid]), 1);
        }
        let lane = match (line.stream, pids.first()) {
            (Stream::Stderr, _) => "errors stderr",
            (Stream::Stdout, Some(pid)) => &names[*pid],
            (Stream::Stdout, None) => "main",
        };
        lanes.entry(lane).or_default().push(text);
    }
    let mut trace =
        String::from("# A draft from one run: add the rules that every run must satisfy.\n");
    for (lane, lines) in lanes {
        trace += &format!("\nlane {lane}\n");
        trace.extend(lines.into_iter().map(|line| format!("  | {line}\n")));
    }
    // A hole has its type where its name is used first. A name that is used once is dropped.
    for (pid, name) in &names {
        let (hole, kind) = (
            format!("{{{name}}}"),
            if *pid == own.to_string() {
                "self"
            } else {
                "pid"
            },
        );
        let name = if trace.matches(&hole).count() == 1 {
            ""
        } else {
            name.as_str()
        };
        trace = trace.replacen(&hole, &format!("{{{name}:{kind}}}"), 1);
    }
    trace
}

fn words(text: &str) -> Vec<&str> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pids_become_holes_and_lanes() {
        let line = |text: &str| Line {
            text: text.into(),
            stream: Stream::Stdout,
            at: Duration::ZERO,
        };
        let lines = [
            line("main pid is 100"),
            line("child pid is 7, ppid is 100"),
            line("{7} of 8: pid 9"),
        ];
        let expected = "\nlane main\n  | main pid is {main:self}\n\nlane p1\n  | child pid is {p1:pid}, ppid is {main}\n  | {{{p1}}} of 8: pid {:pid}\n";
        assert_eq!(
            draft(&lines, 100).split_once("satisfy.\n").unwrap().1,
            expected
        );
    }
}

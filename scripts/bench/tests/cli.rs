//! The command line: an error is reported before anything is measured.

use std::collections::BTreeSet;
use std::io;
use std::process::{Command, Output};

fn bench(args: &[&str]) -> io::Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
    command.args(args).output()
}

#[test]
fn what_is_unknown_is_an_error_of_one_line_that_lists_the_groups() {
    for args in [&["quee"][..], &["--quik"], &["--json"], &["start", "pip"]] {
        let output = bench(args).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let error = str::from_utf8(&output.stderr).unwrap();
        assert!(error.contains("the groups are start, queue, "), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn groups_are_listed_in_their_order() {
    let output = bench(&["--quick", "--list", "pipe", "start"]).unwrap();
    assert_eq!(output.status.code(), Some(0));
    let text = str::from_utf8(&output.stdout).unwrap();
    let groups = text.lines().filter(|line| !line.starts_with(' '));
    let groups: Vec<&str> = groups.filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(groups, ["start", "pipe"]);
}

/// A contestant's process finds its function by name, and goals find their contestants by name.
#[test]
fn names_are_unique_and_goals_name_contestants() {
    let output = bench(&["--list"]).unwrap();
    let mut cases = BTreeSet::new();
    let (mut group, mut names) = ("", BTreeSet::new());
    for line in str::from_utf8(&output.stdout).unwrap().lines() {
        if let Some(goals) = line.strip_prefix("    goal of ") {
            let (ours, goals) = goals.split_once(": ").unwrap();
            assert!(names.contains(ours), "{line}");
            for goal in goals.split(", ") {
                let (_, name) = goal.split_once(' ').unwrap();
                assert!(names.contains(name), "{line}");
            }
        } else if let Some(case) = line.strip_prefix("  ") {
            let (case, list) = case.split_at(21);
            assert!(cases.insert((group, case)), "{line}");
            names = list.split(", ").collect();
            assert_eq!(names.len(), list.split(", ").count(), "{line}");
        } else {
            group = line.split(' ').next().unwrap();
        }
    }
    assert!(cases.len() > 10);
}

#[test]
fn what_cannot_be_written_is_told_before_anything_is_measured() {
    let output = bench(&["--json", "/nowhere/at/all", "pipe"]).unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = str::from_utf8(&output.stderr).unwrap();
    assert!(
        error.starts_with("bench: write /nowhere/at/all: "),
        "{error}"
    );
}

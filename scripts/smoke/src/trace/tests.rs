use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn line(text: &str) -> Line {
    Line {
        text: text.to_owned(),
        stream: Stream::Stdout,
        at: Duration::ZERO,
    }
}

fn parse(text: &str) -> Trace {
    Trace::parse("t.trace", text).unwrap()
}

/// Checks lines of stdout; the program's pid is 100, its parent's 99.
fn check(trace: &str, run: &str) -> Result<(), String> {
    let lines: Vec<Line> = run.lines().map(|text| line(text.trim())).collect();
    check_lines(&parse(trace), &lines)
}

fn check_lines(trace: &Trace, lines: &[Line]) -> Result<(), String> {
    trace
        .check(Output {
            lines,
            pid: 100,
            parent: 99,
        })
        .map(|_| ())
        .map_err(|mismatch| mismatch.0)
}

fn error(trace: &str) -> String {
    Trace::parse("t.trace", trace).unwrap_err().to_string()
}

const FORK: &str = "
lane main
  start | main pid is {main:self}
        | main receive child pid is {child:pid}
lane child
  born  | child pid is {child}, ppid is {main}
before start < born
distinct main child
";

#[test]
fn lanes_interleave_freely() {
    check(
        FORK,
        "main pid is 100\n child pid is 7, ppid is 100\n main receive child pid is 7",
    )
    .unwrap();
    check(
        FORK,
        "main pid is 100\n main receive child pid is 7\n child pid is 7, ppid is 100",
    )
    .unwrap();
}

#[test]
fn before_keeps_order_across_lanes() {
    let wrong = check(
        FORK,
        "child pid is 7, ppid is 100\n main pid is 100\n main receive child pid is 7",
    )
    .unwrap_err();
    assert!(wrong.contains("t.trace:7:8 forbids this order"), "{wrong}");
}

#[test]
fn the_same_name_is_the_same_text() {
    let wrong = check(
        FORK,
        "main pid is 100\n main receive child pid is 7\n child pid is 8, ppid is 100",
    )
    .unwrap_err();
    assert!(
        wrong.contains("line 3 fits nowhere: child pid is 8, ppid is 100"),
        "{wrong}"
    );
    assert!(
        wrong.contains("child (not begun): t.trace:6  child pid is 7, ppid is 100"),
        "{wrong}"
    );
    assert!(wrong.contains("bound: main = 100, child = 7"), "{wrong}");
}

#[test]
fn own_and_parent_pid_are_known() {
    assert!(
        check(
            FORK,
            "main pid is 101\n child pid is 7, ppid is 101\n main receive child pid is 7"
        )
        .is_err()
    );
    check("lane m\n  | {:self} under {:parent}", "100 under 99").unwrap();
    assert!(check("lane m\n  | {:self} under {:parent}", "100 under 98").is_err());
}

#[test]
fn distinct_names_differ() {
    let wrong = check(
        FORK,
        "main pid is 100\n child pid is 100, ppid is 100\n main receive child pid is 100",
    )
    .unwrap_err();
    assert!(
        wrong.contains(
            "t.trace:8:1: the rule does not hold: 100 is the value of {main} and of {child}"
        ),
        "{wrong}"
    );
}

#[test]
fn extra_lost_doubled_and_torn_lines_fail() {
    for wrong in [
        "main pid is 100\n main receive child pid is 7",
        "main pid is 100\n main receive child pid is 7\n child pid is 7, ppid is 100\n child pid is 7, ppid is 100",
        "main pid is 100\n main receive child pid is 7\n child pid\n is 7, ppid is 100",
        "",
    ] {
        assert!(check(FORK, wrong).is_err(), "{wrong}");
    }
    let early = check(FORK, "main pid is 100\n main receive child pid is 7").unwrap_err();
    assert!(early.contains("the output ends too early"), "{early}");
}

#[test]
fn equal_lanes_have_bindings_of_their_own() {
    let trace = "lane child x3 each c\n  | {c:pid} starts\n  | {c} ends\ncheck distinct(c) == 3";
    check(
        trace,
        "1 starts\n2 starts\n1 ends\n3 starts\n3 ends\n2 ends",
    )
    .unwrap();
    assert!(check(trace, "1 starts\n2 starts\n1 ends\n2 ends").is_err());
    assert!(
        check(
            trace,
            "1 starts\n2 starts\n1 ends\n3 starts\n3 ends\n3 ends"
        )
        .is_err()
    );
}

#[test]
fn repeats_count() {
    let fixed = "lane m\n  repeat 2\n    | a\n    repeat 1+\n      | b\n  | c";
    check(fixed, "a\nb\na\nb\nb\nc").unwrap();
    assert!(check(fixed, "a\nb\nc").is_err());
    assert!(check(fixed, "a\na\nb\nc").is_err());
    let range = "lane m\n  repeat 2..3\n    | a\n  | b";
    for (run, fits) in [
        ("a\nb", false),
        ("a\na\nb", true),
        ("a\na\na\nb", true),
        ("a\na\na\na\nb", false),
    ] {
        assert_eq!(check(range, run).is_ok(), fits, "{run}");
    }
}

#[test]
fn a_repeat_ends_where_its_next_line_begins() {
    // The last `x` belongs to the line after the repeat; only a search finds this.
    check(
        "lane m\n  repeat 0+\n    | x\n  last | x\n  | y",
        "x\nx\nx\ny",
    )
    .unwrap();
}

#[test]
fn rounds_have_bindings_of_their_own() {
    let trace = "lane m\n  repeat 3 each n\n    | get {n:int}\n    | done {n}\nset n = 0..2";
    check(trace, "get 1\ndone 1\nget 0\ndone 0\nget 2\ndone 2").unwrap();
    assert!(check(trace, "get 1\ndone 1\nget 0\ndone 1\nget 2\ndone 2").is_err());
    let wrong = check(trace, "get 1\ndone 1\nget 1\ndone 1\nget 2\ndone 2").unwrap_err();
    assert!(wrong.contains("{n} is 0 0 times instead of 1"), "{wrong}");
}

#[test]
fn numbers_rise() {
    let trace = "lane m x2 each p\n  repeat 1+ each n\n    | {p:pid} {n:int}\nrising n by 1\ncheck distinct(p) == 2";
    check(trace, "5 1\n6 1\n5 2\n6 2\n6 3").unwrap();
    assert!(check(trace, "5 1\n6 1\n5 3").is_err());
}

#[test]
fn checks_calculate() {
    let trace =
        |rule: &str| format!("lane m\n  repeat 3 each n\n    tick | {{n:int}}\ncheck {rule}");
    for (rule, holds) in [
        ("sum(n) == 6", true),
        ("sum(n) == 7", false),
        ("min(n) < max(n)", true),
        ("1 <= n <= 3", true),
        ("1 <= n < 3", false),
        ("count(tick) * 2 - 1 == max(n) + 2", true),
        ("distinct(n) == 3", true),
    ] {
        assert_eq!(check(&trace(rule), "1\n2\n3").is_ok(), holds, "{rule}");
    }
}

#[test]
fn checks_hold_for_each_round() {
    let trace = "lane m\n  repeat 2 each asked t\n    | asked {asked:secs}\n    | took {t:secs}\ncheck asked <= t <= asked + 1";
    check(trace, "asked 1\ntook 1.5\nasked 0.5\ntook 0.50").unwrap();
    assert!(check(trace, "asked 1\ntook 1.5\nasked 1.5\ntook 1.2").is_err());
}

#[test]
fn active_counts_what_has_begun_and_not_ended() {
    let trace = "lane w x3 each p\n  in | {p:pid} in\n  out | {p} out\ncheck active(in, out) <= 2\ndistinct p";
    check(trace, "1 in\n2 in\n1 out\n3 in\n2 out\n3 out").unwrap();
    assert!(check(trace, "1 in\n2 in\n3 in\n1 out\n2 out\n3 out").is_err());
}

#[test]
fn before_each_pairs_the_lines() {
    let trace = "lane p\n  repeat 3\n    put | put\nlane c\n  repeat 3\n    got | got\nbefore each put < got";
    check(trace, "put\ngot\nput\nput\ngot\ngot").unwrap();
    assert!(check(trace, "put\ngot\ngot\nput\nput\ngot").is_err());
}

#[test]
fn streams_are_apart() {
    let trace = parse("lane m\n  | out\nlane e stderr\n  | oops");
    let oops = Line {
        stream: Stream::Stderr,
        ..line("oops")
    };
    check_lines(&trace, &[oops.clone(), line("out")]).unwrap();
    assert!(check_lines(&trace, &[line("oops"), line("out")]).is_err());
    assert!(check_lines(&parse("lane m\n  | out"), &[line("out"), oops]).is_err());
}

#[test]
fn holes_are_typed() {
    for (kind, fits, not) in [
        ("pid", vec!["1", "4194304"], vec!["0", "-1", "x", "1.5", ""]),
        ("int", vec!["0", "-12", "007"], vec!["1.0", "--1", "-"]),
        (
            "float",
            vec!["3.1415927", "-0.5", "2", "1e-9", "inf"],
            vec![".", "1.", "e5", "1.2.3"],
        ),
        ("secs", vec!["0.10", "3"], vec!["-1", "1e3", "inf"]),
        (
            "addr",
            vec!["127.0.0.1:80", "[::1]:8081", "('127.0.0.1', 5000)"],
            vec!["localhost:80", "127.0.0.1", "1.2.3.4:99999"],
        ),
        ("word", vec!["a-b", "中文"], vec!["a b", ""]),
        ("text", vec!["a b", "中 文"], vec![""]),
    ] {
        let trace = format!("lane m\n  | <{{:{kind}}}>");
        for text in &fits {
            check(&trace, &format!("<{text}>")).unwrap();
        }
        for text in &not {
            assert!(
                check(&trace, &format!("<{text}>")).is_err(),
                "{kind} accepts {text:?}"
            );
        }
    }
}

#[test]
fn braces_are_doubled() {
    check("lane m\n  | {{1: '1', 0.25: None}}", "{1: '1', 0.25: None}").unwrap();
}

#[test]
fn a_search_that_could_go_on_for_ever_gives_up() {
    let trace: String = (0..12)
        .map(|n| format!("lane l{n}\n  | x\n  | x\n  | y{n}\n"))
        .collect();
    let run = "x\n".repeat(24) + "z";
    let wrong = check(&trace, &run).unwrap_err();
    assert!(
        wrong.contains("the search gave up") || wrong.contains("line 25 fits nowhere"),
        "{wrong}"
    );
}

#[test]
fn a_hundred_lanes_match_in_one_pass() {
    let trace = parse(
        "lane child x100 each p\n  repeat 0+ each n\n    | Child process {p:pid} count {n:int}\nset n = 0..999\ndistinct p",
    );
    let lines: Vec<Line> = (0..1000)
        .map(|n| line(&format!("Child process {} count {n}", 1000 + n * 7 % 100)))
        .collect();
    let output = Output {
        lines: &lines,
        pid: 1,
        parent: 2,
    };
    let start = std::time::Instant::now();
    let matched = trace.check(output).unwrap();
    // No line was tried twice. The time limit is a hundred times the usual time.
    assert_eq!(matched.tried, 1000);
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn bad_trace_files_say_where_and_what() {
    for (trace, expected) in [
        (
            "lane m\n  | a\nfrobnicate x",
            "t.trace:3:1: expected lane, before, distinct, set, rising, check, program, send, within, stderr or orphans, found \"frobnicate\"",
        ),
        (
            "lane m\n  | pid {p}",
            "t.trace:2:9: {p} has no type at its first use; write {p:TYPE} with pid, self, parent, int, float, secs, addr, word, text",
        ),
        (
            "lane m\n  | pid {:pod}",
            "t.trace:2:9: unknown hole type \"pod\"; the types are pid, self, parent, int, float, secs, addr, word, text",
        ),
        (
            "lane m\n  a | a\nbefore a < b",
            "t.trace:3:12: no line has the label b; a label stands before the `|` of its line",
        ),
        (
            "lane m\n  a | a\n  b | b\nbefore b < a",
            "t.trace:4:8: a cycle: b must come before a, which the rules above and the lanes put first",
        ),
        (
            "lane m\n  a | a\nlane n\n  b | b\nbefore a < b, b < a",
            "t.trace:5:15: a cycle: b must come before a, which the rules above and the lanes put first",
        ),
        (
            "lane m\n  a | a\n  b | b\nbefore each b < a",
            "t.trace:4:13: a cycle: b must come before a, which the rules above and the lanes put first",
        ),
        (
            "lane m\n  repeat 2\n    a | a\n    b | b\nbefore b < a",
            "t.trace:5:8: a cycle: b must come before a, which the rules above and the lanes put first",
        ),
        (
            "lane m x0\n  | a",
            "t.trace:1:8: a lane needs at least one instance, not x0",
        ),
        (
            "lane m\n  repeat 2 each w\n    | {w:word}\nset w = anna, bert",
            "t.trace:4:13: values are separated by spaces",
        ),
        (
            "lane m\n  a | a\nlane e stderr\n  b | b\ncheck active(a, b) > 1",
            "t.trace:5:1: the order of lines on stdout and on stderr is not known",
        ),
        (
            "lane m\n  | {n:int}\nrising n",
            "t.trace:3:8: one value does not rise; `rising` takes an `each` name",
        ),
        (
            "lane m\n  | {x:pid}{y:pid}",
            "t.trace:2:12: two holes need text between them",
        ),
        (
            "lane m\n  | a } b",
            "t.trace:2:7: a single } opens or closes a hole; write }} for the character",
        ),
        (
            "lane m\n  | {x:int}",
            "t.trace:2:5: {x:int} is used once, so nothing is compared with it; write {:int}, or use it in a rule",
        ),
        (
            "lane m\n  | {x:int} {x:pid}",
            "t.trace:2:13: {x} is of type int above",
        ),
        (
            "lane m x",
            "t.trace:1:8: expected `each`, `stderr` or the end of the line, found \"x\"",
        ),
        ("lane m\n", "t.trace:1:6: lane m has no lines"),
        (
            "  | a",
            "t.trace:1:3: an indented line belongs to a lane, and no lane is open here",
        ),
        (
            "lane m\n  repeat 0+\n    repeat 0+\n      | a",
            "t.trace:1:6: a repeat in lane m has no line that every round prints",
        ),
        (
            "lane m\n  | a\ncheck 1 + 1",
            "t.trace:3:12: expected ==, !=, <, <=, > or >=",
        ),
        (
            "lane m\n  a | a\nsend FOO to main after a",
            "t.trace:3:6: unknown signal \"FOO\"; the signals are HUP, INT, QUIT, KILL, PIPE, TERM",
        ),
        (
            "lane m\n  a | a\nlane e stderr\n  b | b\nbefore a < b",
            "t.trace:5:8: the order of lines on stdout and on stderr is not known",
        ),
        (
            "lane c x2 each p\n  | {p:pid} {p}\nlane m\n  | {p}",
            "t.trace:4:5: {p} has a value of its own for `each` of its lanes or rounds, none here",
        ),
        ("", "t.trace:1:1: a trace needs at least one lane"),
        (
            "lane m\n  | a\nset n = 0..9",
            "t.trace:3:5: no line has a hole {n:...}",
        ),
        (
            "lane m\n  a | a\n  a | b",
            "t.trace:3:3: label a is already used above",
        ),
    ] {
        assert_eq!(error(trace), expected, "{trace}");
    }
}

#[test]
fn numbers_are_compared_as_they_are() {
    let trace = |rule: &str| format!("lane m\n  repeat 1+ each t\n    | {{t:float}}\ncheck {rule}");
    for (rule, run, holds) in [
        ("t == 5", "inf", false),
        ("t <= 10", "inf", false),
        ("t >= 10", "inf", true),
        ("max(t) < 5", "nan\n1", false),
        ("min(t) < 5", "nan\n1", false),
        ("t == 1000000000", "1000000001", false),
        ("1000000000 < t", "1000000001", true),
        ("t == 0.3", "0.30000000000000004", true),
        ("min(t) <= 5 < 2", "1", false),
    ] {
        assert_eq!(check(&trace(rule), run).is_ok(), holds, "{rule} {run}");
    }
    let none = "lane m\n  repeat 0+ each t\n    | {t:int}\n  | end\ncheck min(t) < 5";
    assert!(check(none, "end").unwrap_err().contains("{t} has no value"));
}

#[test]
fn many_text_holes_do_not_take_for_ever() {
    let trace = "lane m\n  | {:text} {:text} {:text} {:text} {:text} {:text} {:text} {:text} end";
    assert!(check(trace, &"a ".repeat(500)).is_err());
    check(trace, &("a ".repeat(500) + "end")).unwrap();
}

#[test]
fn numbers_in_trace_files_are_bounded() {
    for (directive, expected) in [
        (
            "within 1e300",
            "3:8: a run of more than 3600 s is too long for a smoke test",
        ),
        (
            "set n = 0..99999999999",
            "3:9: a range of more than 1000000 values",
        ),
        (
            "set n = -9223372036854775808..9223372036854775807",
            "3:9: a range of more than 1000000 values",
        ),
    ] {
        assert_eq!(
            error(&format!("lane m\n  | {{n:int}}\n{directive}")),
            format!("t.trace:{expected}")
        );
    }
}

#[test]
fn programs_and_signals() {
    let trace = parse(
        "program server serve --addr \"127.0.0.1:0\"\nprogram client ask {at} after up\nsend INT to server after bye\nwithin 2500ms\nlane s\n  up | up at {at:addr}\nlane c\n  bye | bye {at}",
    );
    assert_eq!(trace.within, Duration::from_millis(2500));
    assert_eq!(trace.programs[0].args.len(), 3);
    assert_eq!(
        (trace.programs[1].after, trace.sends[0].after),
        (Some(0), 1)
    );
}

#[test]
fn a_weak_trace_lets_mutants_live() {
    let run = "main pid is 100\nmain receive child pid is 7\nchild pid is 7, ppid is 100";
    assert_eq!(survivors(FORK, run), [""; 0]);
    let no_distinct = FORK.replace("distinct main child", "");
    let one = survivors(&no_distinct.replace(":self", ":pid"), run);
    assert_eq!(one, ["process 100 has the pid 7 too"]);
    let anything = "lane m\n  repeat 1+\n    | {:text}";
    assert!(
        survivors(anything, run)
            .iter()
            .any(|what| what.contains("torn"))
    );
}

/// The mistakes in a correct run that a trace accepts.
fn survivors(trace: &str, run: &str) -> Vec<String> {
    let trace = parse(trace);
    let lines: Vec<Line> = run
        .lines()
        .enumerate()
        .map(|(n, text)| Line {
            at: Duration::from_millis(n as u64),
            ..line(text)
        })
        .collect();
    let output = Output {
        lines: &lines,
        pid: 100,
        parent: 99,
    };
    let matched = trace.check(output).unwrap();
    let mutants = mutate::mutants(&trace, output, &matched);
    mutants
        .into_iter()
        .filter(|mutant| mutant.survives(&trace, output))
        .map(|mutant| mutant.what)
        .collect()
}

#[test]
fn legal_runs_are_no_mutants() {
    // Whether two are active at once or one after the other, the limit holds.
    let active = "lane w x3 each p\n  in | {p:pid} in\n  out | {p} out\ncheck active(in, out) <= 2\ndistinct p";
    assert_eq!(
        survivors(active, "1 in\n1 out\n2 in\n2 out\n3 in\n3 out"),
        [""; 0]
    );
    assert_eq!(
        survivors(active, "1 in\n2 in\n1 out\n3 in\n3 out\n2 out"),
        [""; 0]
    );
    // Five tasks on at most four workers may run on fewer.
    let workers = "lane t x5 each p\n  | task on {p:pid}\ncheck distinct(p) <= 4";
    assert_eq!(
        survivors(
            workers,
            "task on 1\ntask on 2\ntask on 3\ntask on 4\ntask on 1"
        ),
        [""; 0]
    );
    // One of two children may get nothing, so the other child's last line could come from it.
    let children = "lane c x1..2 each p\n  repeat 1+ each n\n    | {p:pid} got {n:int}\ndistinct p\nset n = 0..2";
    assert_eq!(survivors(children, "7 got 0\n7 got 1\n7 got 2"), [""; 0]);
    let rising = "lane m\n  repeat 1+ each n\n    | {n:int}\nrising n";
    assert_eq!(survivors(rising, "7"), [""; 0]);
}

#[test]
fn checks_of_numbers_that_stand_twice_are_proved() {
    let trace = |rule: &str| format!("lane m\n  | asked {{t:secs}}\n  | took {{t}}\n{rule}");
    assert_eq!(survivors(&trace("check t < 5"), "asked 1\ntook 1"), [""; 0]);
}

#[test]
fn a_pid_without_a_name_must_not_be_the_own_one() {
    let found = survivors(
        "lane m\n  | main is {:self}\n  | ppid is {:pid}",
        "main is 100\nppid is 100",
    );
    assert!(
        found[0].contains("line 2 (ppid is 100) may name any process"),
        "{found:?}"
    );
}

/// A random lane: its instances, its lines, and the line that repeats.
#[derive(Debug, Clone)]
struct RandomLane {
    instances: usize,
    lines: usize,
    /// The line that repeats, whether its count is open, and how often each instance prints it.
    repeat: Option<(usize, bool, usize)>,
    /// Whether only the pid tells its lines from those of other lanes. Never with a repeat: then another lane could legally
    /// take a line that a mutation adds.
    alike: bool,
}

fn random_lane() -> impl Strategy<Value = RandomLane> {
    let repeat = proptest::option::of((0usize..4, any::<bool>(), 1usize..4));
    (1usize..4, 1usize..5, repeat, any::<bool>()).prop_map(|(instances, lines, repeat, alike)| {
        RandomLane {
            instances,
            lines,
            repeat: repeat.map(|(line, open, times)| (line % lines, open, times)),
            alike: alike && repeat.is_none(),
        }
    })
}

/// Writes the trace of the lanes, and a legal run of it that `picks` interleaves.
fn trace_and_run(
    lanes: &[RandomLane],
    picks: &[usize],
    befores: &[(usize, usize)],
) -> (String, Vec<Line>) {
    let mut trace = String::new();
    let mut queues: Vec<Vec<(String, String)>> = vec![];
    let mut pid = 200;
    for (number, lane) in lanes.iter().enumerate() {
        let word = if lane.alike {
            "step".to_owned()
        } else {
            format!("lane{number}")
        };
        writeln!(trace, "lane l{number} x{} each p{number}", lane.instances).unwrap();
        for step in 0..lane.lines {
            let times = lane.repeat.filter(|(line, ..)| *line == step);
            let hole = if step == 0 {
                format!("{{p{number}:pid}}")
            } else {
                format!("{{p{number}}}")
            };
            let indent = match times {
                Some((_, true, _)) => {
                    writeln!(trace, "  repeat 1+").unwrap();
                    "    "
                }
                Some((_, false, times)) => {
                    writeln!(trace, "  repeat {times}").unwrap();
                    "    "
                }
                None => "  ",
            };
            writeln!(trace, "{indent}s{number}_{step} | {word} {step} of {hole}").unwrap();
        }
        for _ in 0..lane.instances {
            pid += 1;
            let mut queue = vec![];
            for step in 0..lane.lines {
                let times = lane
                    .repeat
                    .filter(|(line, ..)| *line == step)
                    .map_or(1, |(_, _, times)| times);
                queue.extend(vec![
                    (
                        format!("s{number}_{step}"),
                        format!("{word} {step} of {pid}")
                    );
                    times
                ]);
            }
            queue.reverse();
            queues.push(queue);
        }
    }
    let names: Vec<String> = (0..lanes.len())
        .map(|number| format!("p{number}"))
        .collect();
    writeln!(trace, "distinct {}", names.join(" ")).unwrap();
    let (mut lines, mut places) = (vec![], BTreeMap::<String, Vec<usize>>::new());
    for pick in picks.iter().cycle() {
        queues.retain(|queue| !queue.is_empty());
        if queues.is_empty() {
            break;
        }
        let which = pick % queues.len();
        if let Some((label, text)) = queues[which].pop() {
            places.entry(label).or_default().push(lines.len());
            lines.push(line(&text));
        }
    }
    // Any rule that holds for this run. Between lanes with the same lines it could apply to either, so the mutant may be legal.
    let labels: Vec<&String> = places.keys().collect();
    for (first, second) in befores {
        let (first, second) = (labels[first % labels.len()], labels[second % labels.len()]);
        let unlike = |label: &str| !lanes[label[1..2].parse::<usize>().unwrap()].alike;
        if unlike(first) && unlike(second) && places[first].last() < places[second].first() {
            writeln!(trace, "before {first} < {second}").unwrap();
        }
    }
    (trace, lines)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn legal_interleavings_pass_and_mutants_fail(
        lanes in prop::collection::vec(random_lane(), 1..5),
        picks in prop::collection::vec(0usize..100, 1..60),
        befores in prop::collection::vec((0usize..20, 0usize..20), 0..4),
    ) {
        let (text, lines) = trace_and_run(&lanes, &picks, &befores);
        let trace = parse(&text);
        let output = Output { lines: &lines, pid: 100, parent: 99 };
        let matched = trace.check(output);
        prop_assert!(matched.is_ok(), "{text}\n{}", matched.unwrap_err());
        for mutant in mutate::mutants(&trace, output, &matched.unwrap()) {
            prop_assert!(!mutant.survives(&trace, output), "{text}\nsurvives: {}\n{lines:#?}", mutant.what);
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "(lane|repeat|before|check|set|each|x2|\\||\\{|\\}|:pid|a|<|=|\\(|\\)|0\\.\\.|5s|é| |\n){0,40}") {
        Trace::parse("t.trace", &text).ok();
    }
}

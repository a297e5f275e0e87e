//! Reads trace files. Every error names file, line and column, and says what was expected.

use std::fmt;
use std::time::Duration;

use super::expr::Operator;
use super::*;

/// What is wrong with a trace file, and where.
#[derive(Debug, PartialEq)]
pub struct TraceError {
    pub file: String,
    pub position: Position,
    pub message: String,
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TraceError {
            file,
            position,
            message,
        } = self;
        write!(f, "{file}:{}:{}: {message}", position.line, position.column)
    }
}

impl std::error::Error for TraceError {}

type Failure = (Position, String);
type Parsed<T> = Result<T, Failure>;

const DIRECTIVES: &str =
    "lane, before, distinct, set, rising, check, program, send, within, stderr or orphans";

/// The longest time limit of a run, in seconds.
const LONGEST: f64 = 3600.0;

/// The most terms of a sum or product, and the deepest nesting of repeats.
const MOST_TERMS: usize = 50;
const DEEPEST: usize = 16;

/// The most values of a `set` range.
const MOST_VALUES: u64 = 1_000_000;

/// The signals that a trace may name.
const SIGNALS: [(&str, i32); 6] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("KILL", 9),
    ("PIPE", 13),
    ("TERM", 15),
];

pub fn signal_name(number: i32) -> Option<&'static str> {
    SIGNALS
        .iter()
        .find(|(_, signal)| *signal == number)
        .map(|(name, _)| *name)
}

impl Trace {
    /// Parses the text of a trace file; `file` is its name for messages.
    pub fn parse(file: &str, text: &str) -> Result<Trace, TraceError> {
        let error = |(position, message)| TraceError {
            file: file.to_owned(),
            position,
            message,
        };
        let mut parser = Parser {
            trace: Trace {
                file: file.to_owned(),
                programs: vec![],
                sends: vec![],
                within: Duration::from_secs(10),
                stderr_any: false,
                orphans_any: false,
                lanes: vec![],
                patterns: vec![],
                names: vec![],
                labels: vec![],
                scopes: vec![],
                rules: vec![],
            },
            around: vec![],
        };
        parser
            .lanes(text)
            .and_then(|()| parser.directives(text))
            .and_then(|()| parser.finish())
            .map_err(error)?;
        Ok(parser.trace)
    }
}

struct Parser {
    trace: Trace,
    /// The lane that is being read and the repeats around the line, the outermost first: the scope of each, and
    /// whether it comes more than once.
    around: Vec<(Option<ScopeId>, bool)>,
}

/// A repeat whose lines are being read.
struct OpenRepeat {
    indent: usize,
    op: usize,
}

impl Parser {
    /// First pass: reads the lanes, because rules may stand above the lanes whose labels and names they use.
    fn lanes(&mut self, text: &str) -> Parsed<()> {
        let mut lane: Option<Lane> = None;
        let mut open: Vec<OpenRepeat> = vec![];
        for (number, line) in text.lines().enumerate() {
            let mut words = Words::new(line, number + 1);
            if words.at_end() || words.rest().starts_with('#') {
                continue;
            }
            if words.column() == 1 {
                self.close_lane(lane.take(), &mut open)?;
                let word = words.peek();
                if !DIRECTIVES
                    .split([',', ' '])
                    .any(|directive| directive == word)
                    || word == "or"
                {
                    return Err((
                        words.position(),
                        format!("expected {DIRECTIVES}, found {word:?}"),
                    ));
                }
                if word == "lane" {
                    words.word("lane")?;
                    lane = Some(self.lane_header(&mut words)?);
                }
            } else if let Some(lane) = &mut lane {
                self.lane_line(lane, &mut open, &mut words)?;
            } else {
                return Err((
                    words.position(),
                    "an indented line belongs to a lane, and no lane is open here".into(),
                ));
            }
        }
        self.close_lane(lane, &mut open)
    }

    fn lane_header(&mut self, words: &mut Words) -> Parsed<Lane> {
        let position = words.position();
        let name = words.name("the lane's name")?;
        if self.trace.lanes.iter().any(|lane| lane.name == name) {
            return Err((position, format!("lane {name} is already defined above")));
        }
        let mut lane = Lane {
            name,
            count: Count::ONCE,
            stream: Stream::Stdout,
            body: vec![],
            scope: None,
            position,
        };
        if let Some(count) = words
            .peek()
            .strip_prefix('x')
            .filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        {
            let (count, position) = (count.to_owned(), words.position());
            lane.count =
                parse_count(&count).ok_or((position, "expected x6, x2..5 or x1+".to_owned()))?;
            if lane.count.max == Some(0) {
                return Err((
                    position,
                    "a lane needs at least one instance, not x0".into(),
                ));
            }
            words.word("a count")?;
        }
        if words.peek() == "stderr" {
            words.word("stderr")?;
            lane.stream = Stream::Stderr;
        }
        lane.scope = self.each(words, None)?;
        words.end("`each`, `stderr` or the end of the line")?;
        Ok(lane)
    }

    /// `each a b c`: a new scope.
    fn each(&mut self, words: &mut Words, parent: Option<ScopeId>) -> Parsed<Option<ScopeId>> {
        if words.peek() != "each" {
            return Ok(None);
        }
        words.word("each")?;
        let scope = self.trace.scopes.len();
        self.trace.scopes.push(Scope {
            parent,
            names: vec![],
        });
        loop {
            let position = words.position();
            let text = words.name("a hole's name")?;
            if self.trace.names.iter().any(|name| name.text == text) {
                return Err((
                    position,
                    format!("{{{text}}} is used above, so it cannot begin anew here"),
                ));
            }
            let name = self.trace.names.len();
            self.trace.scopes[scope].names.push(name);
            // The first use decides the kind; while `uses` is 0, `Text` is a placeholder.
            self.trace.names.push(Name {
                text,
                kind: Kind::Text,
                scope: Some(scope),
                position,
                uses: 0,
            });
            if words.at_end() {
                return Ok(Some(scope));
            }
        }
    }

    fn lane_line(
        &mut self,
        lane: &mut Lane,
        open: &mut Vec<OpenRepeat>,
        words: &mut Words,
    ) -> Parsed<()> {
        let indent = words.column();
        while open.last().is_some_and(|repeat| indent <= repeat.indent) {
            close_repeat(lane, open)?;
        }
        if words.peek() == "repeat" {
            let position = words.position();
            words.word("repeat")?;
            let at = words.position();
            let count = words.word("how often: 3, 2..5 or 1+")?;
            let count = parse_count(&count).ok_or((
                at,
                format!("expected how often: 3, 2..5 or 1+, found {count:?}"),
            ))?;
            let parent = open
                .iter()
                .rev()
                .find_map(|repeat| match lane.body[repeat.op] {
                    Op::Repeat { scope, .. } => scope,
                    _ => None,
                });
            let scope = self.each(words, parent.or(lane.scope))?;
            words.end("`each` or the end of the line")?;
            if count.max == Some(0) {
                return Err((position, "a repeat needs at least one round, not 0".into()));
            }
            if open.len() == DEEPEST {
                return Err((
                    position,
                    format!("more than {DEEPEST} repeats inside each other"),
                ));
            }
            open.push(OpenRepeat {
                indent,
                op: lane.body.len(),
            });
            // `end` is set where the repeat ends.
            lane.body.push(Op::Repeat {
                count,
                end: 0,
                scope,
            });
            return Ok(());
        }
        let label = match words.peek().starts_with('|') {
            true => None,
            false => Some((
                words.position(),
                words.name("`|`, a label before it, or `repeat`")?,
            )),
        };
        let position = words.position();
        let text = words.rest();
        let Some(text) = text.strip_prefix('|') else {
            return Err((position, "expected `|` and the line's text".into()));
        };
        let (text, column) = match text.strip_prefix(' ') {
            Some(text) => (text, position.column + 2),
            None => (text, position.column + 1),
        };
        let repeats = open.iter().filter_map(|repeat| match lane.body[repeat.op] {
            Op::Repeat { scope, .. } => Some((scope, true)),
            _ => None,
        });
        self.around = [(lane.scope, lane.count != Count::ONCE)]
            .into_iter()
            .chain(repeats)
            .collect();
        let scopes: Vec<ScopeId> = self.around.iter().filter_map(|(scope, _)| *scope).collect();
        let pieces = self.pieces(
            text,
            Position {
                line: position.line,
                column,
            },
            Some(&scopes),
        )?;
        let elastic = !lane.count.is_fixed()
            || open.iter().any(|repeat| matches!(lane.body[repeat.op], Op::Repeat { count, .. } if !count.is_fixed()));
        let pattern = self.trace.patterns.len();
        let label = match label {
            None => None,
            Some((position, text)) => {
                if self.trace.labels.iter().any(|label| label.text == text) {
                    return Err((position, format!("label {text} is already used above")));
                }
                self.trace.labels.push(Label { text, pattern });
                Some(self.trace.labels.len() - 1)
            }
        };
        self.trace.patterns.push(Pattern {
            text: text.to_owned(),
            pieces,
            position,
            label,
            elastic,
        });
        lane.body.push(Op::Line(pattern));
        Ok(())
    }

    /// Splits a line at its holes. With `scopes` (those of a lane's line) a hole may be new; otherwise it must exist.
    fn pieces(
        &mut self,
        text: &str,
        start: Position,
        scopes: Option<&[ScopeId]>,
    ) -> Parsed<Vec<Piece>> {
        let mut pieces: Vec<Piece> = vec![];
        let mut literal = String::new();
        let mut rest = text;
        while let Some(found) = rest.find(['{', '}']) {
            let at = Position {
                line: start.line,
                column: start.column + text[..text.len() - rest.len() + found].chars().count(),
            };
            literal += &rest[..found];
            let brace = &rest[found..found + 1];
            rest = &rest[found + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                literal += brace;
                rest = after;
                continue;
            }
            let close = rest.find('}').filter(|_| brace == "{");
            let Some(close) = close else {
                return Err((
                    at,
                    format!(
                        "a single {brace} opens or closes a hole; write {brace}{brace} for the character"
                    ),
                ));
            };
            let hole = &rest[..close];
            rest = &rest[close + 1..];
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            } else if matches!(pieces.last(), Some(Piece::Hole { .. })) {
                return Err((at, "two holes need text between them".into()));
            }
            pieces.push(self.hole(hole, at, scopes)?);
        }
        literal += rest;
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Ok(pieces)
    }

    fn hole(&mut self, hole: &str, at: Position, scopes: Option<&[ScopeId]>) -> Parsed<Piece> {
        let (name, kind) = match hole.split_once(':') {
            Some((name, kind)) => (name, Some(kind)),
            None => (hole, None),
        };
        let kinds = || Kind::ALL.map(|(name, _)| name).join(", ");
        let kind = match kind {
            None => None,
            Some(text) => Some(
                Kind::ALL
                    .iter()
                    .find(|(name, _)| *name == text)
                    .ok_or((
                        at,
                        format!("unknown hole type {text:?}; the types are {}", kinds()),
                    ))?
                    .1,
            ),
        };
        if name.is_empty() {
            let kind = kind.ok_or((at, format!("a hole needs a name or a type: {}", kinds())))?;
            return Ok(Piece::Hole { name: None, kind });
        }
        if !is_name(name) {
            return Err((
                at,
                format!("{name:?} is not a name; a hole is {{name}}, {{name:type}} or {{:type}}"),
            ));
        }
        let known = self.trace.names.iter().position(|known| known.text == name);
        let first_use = known.is_none_or(|id| self.trace.names[id].uses == 0);
        if first_use && (kind.is_none() || scopes.is_none()) {
            return Err((
                at,
                format!(
                    "{{{name}}} has no type at its first use; write {{{name}:TYPE}} with {}",
                    kinds()
                ),
            ));
        }
        let id = known.unwrap_or(self.trace.names.len());
        if known.is_none() {
            let kind = kind.unwrap_or(Kind::Text);
            self.trace.names.push(Name {
                text: name.to_owned(),
                kind,
                scope: None,
                position: at,
                uses: 0,
            });
        }
        let entry = &mut self.trace.names[id];
        if first_use {
            entry.kind = kind.unwrap_or(entry.kind);
            entry.position = at;
        }
        if kind.is_some_and(|kind| kind != entry.kind) {
            return Err((
                at,
                format!("{{{name}}} is of type {} above", entry.kind.name()),
            ));
        }
        let visible = |scope: ScopeId| scopes.is_some_and(|scopes| scopes.contains(&scope));
        if entry.scope.is_some_and(|scope| !visible(scope)) {
            return Err((
                at,
                format!(
                    "{{{name}}} has a value of its own for `each` of its lanes or rounds, none here"
                ),
            ));
        }
        // In a line that repeats, a name is compared with itself, so one place counts as two uses.
        let inside = match entry.scope {
            None => &self.around[..],
            Some(scope) => self
                .around
                .iter()
                .position(|(other, _)| *other == Some(scope))
                .map_or(&[][..], |at| &self.around[at + 1..]),
        };
        entry.uses += 1 + usize::from(inside.iter().any(|(_, again)| *again));
        Ok(Piece::Hole {
            name: Some(id),
            kind: entry.kind,
        })
    }

    fn close_lane(&mut self, lane: Option<Lane>, open: &mut Vec<OpenRepeat>) -> Parsed<()> {
        let Some(mut lane) = lane else { return Ok(()) };
        while !open.is_empty() {
            close_repeat(&mut lane, open)?;
        }
        if lane.body.is_empty() {
            return Err((lane.position, format!("lane {} has no lines", lane.name)));
        }
        self.trace.lanes.push(lane);
        Ok(())
    }

    /// Second pass: reads everything except lanes.
    fn directives(&mut self, text: &str) -> Parsed<()> {
        for (number, line) in text.lines().enumerate() {
            let mut words = Words::new(line, number + 1);
            if words.at_end() || words.rest().starts_with('#') || words.column() != 1 {
                continue;
            }
            let position = words.position();
            match words.word("a directive")?.as_str() {
                "lane" => continue,
                "before" => self.before(&mut words)?,
                "distinct" => {
                    let mut names = vec![self.name(&mut words)?];
                    while !words.at_end() {
                        names.push(self.name(&mut words)?);
                    }
                    if names.len() == 1 && self.trace.names[names[0]].scope.is_none() {
                        return Err((
                            position,
                            "one name has one value; `distinct` takes several, or an `each` name"
                                .into(),
                        ));
                    }
                    self.trace.rules.push((position, Rule::Distinct(names)));
                }
                "set" => self.set(&mut words, position)?,
                "rising" => {
                    let at = words.position();
                    let name = self.number_name(&mut words)?;
                    if self.trace.names[name].scope.is_none() {
                        return Err((
                            at,
                            "one value does not rise; `rising` takes an `each` name".into(),
                        ));
                    }
                    let step = match words.at_end() {
                        true => None,
                        false => {
                            words.expect("by")?;
                            Some(words.number("by how much")?)
                        }
                    };
                    self.trace.rules.push((position, Rule::Rising(name, step)));
                }
                "check" => {
                    let comparison = self.comparison(&mut words)?;
                    self.trace.rules.push((position, Rule::Check(comparison)));
                }
                "program" => self.program(&mut words)?,
                "send" => self.send(&mut words)?,
                "within" => {
                    let at = words.position();
                    let seconds = words.number("a time, such as 5s")?;
                    if seconds > LONGEST {
                        return Err((
                            at,
                            format!("a run of more than {LONGEST} s is too long for a smoke test"),
                        ));
                    }
                    self.trace.within = Duration::from_secs_f64(seconds);
                }
                "stderr" => {
                    words.expect("any")?;
                    self.trace.stderr_any = true;
                }
                "orphans" => {
                    words.expect("any")?;
                    self.trace.orphans_any = true;
                }
                other => return Err((position, format!("expected {DIRECTIVES}, found {other:?}"))),
            }
            words.end("the end of the line")?;
        }
        Ok(())
    }

    /// `before a < b < c, each d < e`
    fn before(&mut self, words: &mut Words) -> Parsed<()> {
        loop {
            let each = words.peek() == "each";
            if each {
                words.word("each")?;
            }
            let position = words.position();
            let mut left = self.label(words)?;
            words.expect("<")?;
            loop {
                let right = self.label(words)?;
                let rule = if each {
                    Rule::BeforeEach(left, right)
                } else {
                    Rule::Before(left, right)
                };
                self.trace.rules.push((position, rule));
                left = right;
                if words.peek() != "<" {
                    break;
                }
                words.expect("<")?;
            }
            if words.at_end() {
                return Ok(());
            }
            words.expect(",")?;
        }
    }

    /// `set n = 0..999` or `set who = a b c`
    fn set(&mut self, words: &mut Words, position: Position) -> Parsed<()> {
        let name = self.name(words)?;
        words.expect("=")?;
        let mut values = vec![];
        while !words.at_end() {
            let at = words.position();
            let word = words.word("a value or a range such as 0..999")?;
            if word == "," {
                return Err((at, "values are separated by spaces".into()));
            }
            match word.split_once("..") {
                None => values.push(word),
                Some((first, last)) => match (first.parse::<i64>(), last.parse::<i64>()) {
                    (Ok(first), Ok(last)) if first <= last => {
                        if last.abs_diff(first) >= MOST_VALUES {
                            return Err((at, format!("a range of more than {MOST_VALUES} values")));
                        }
                        values.extend((first..=last).map(|n| n.to_string()))
                    }
                    _ => {
                        return Err((
                            at,
                            format!("expected a range such as 0..999, found {word:?}"),
                        ));
                    }
                },
            }
        }
        if values.is_empty() {
            return Err((words.position(), "expected the values".into()));
        }
        values.sort_unstable();
        self.trace.rules.push((position, Rule::Set(name, values)));
        Ok(())
    }

    /// `program server serve --addr 127.0.0.1:0 after ready`
    fn program(&mut self, words: &mut Words) -> Parsed<()> {
        let position = words.position();
        let name = words.name("the program's name")?;
        if self
            .trace
            .programs
            .iter()
            .any(|program| program.name == name)
        {
            return Err((position, format!("program {name} is already defined above")));
        }
        let mut args = vec![];
        let mut after = None;
        while !words.at_end() {
            if words.peek() == "after" {
                words.word("after")?;
                after = Some(self.label(words)?);
                break;
            }
            let position = words.position();
            let text = words.argument()?;
            let pieces = self.pieces(&text, position, None)?;
            args.push(Pattern {
                text,
                pieces,
                position,
                label: None,
                elastic: false,
            });
        }
        match (self.trace.programs.is_empty(), after) {
            (true, Some(_)) => Err((
                position,
                "the first program starts at once, not after a line".into(),
            )),
            (false, None) => Err((
                position,
                "a program that is not the first starts `after` a label".into(),
            )),
            _ => {
                self.trace.programs.push(Program { name, args, after });
                Ok(())
            }
        }
    }

    /// `send INT to server after done`
    fn send(&mut self, words: &mut Words) -> Parsed<()> {
        let at = words.position();
        let signal = signal(&words.name("a signal")?, at)?;
        words.expect("to")?;
        let at = words.position();
        let name = words.name("a program")?;
        let program = self.program_named(&name, at)?;
        words.expect("after")?;
        let after = self.label(words)?;
        self.trace.sends.push(Send {
            signal,
            program,
            after,
        });
        Ok(())
    }

    fn program_named(&mut self, name: &str, at: Position) -> Parsed<usize> {
        let found = self
            .trace
            .programs
            .iter()
            .position(|program| program.name == name);
        found.ok_or((at, format!("no `program {name}` stands above")))
    }

    fn finish(&mut self) -> Parsed<()> {
        if self.trace.programs.is_empty() {
            self.trace.programs.push(Program {
                name: "main".into(),
                args: vec![],
                after: None,
            });
        }
        if self.trace.lanes.is_empty() {
            return Err((
                Position { line: 1, column: 1 },
                "a trace needs at least one lane".into(),
            ));
        }
        for name in &self.trace.names {
            if name.uses == 0 {
                return Err((
                    name.position,
                    format!(
                        "{{{}}} is named after `each`, but no line uses it",
                        name.text
                    ),
                ));
            }
            if name.uses == 1 && !matches!(name.kind, Kind::OwnPid | Kind::ParentPid) {
                let (text, kind) = (&name.text, name.kind.name());
                return Err((
                    name.position,
                    format!(
                        "{{{text}:{kind}}} is used once, so nothing is compared with it; write {{:{kind}}}, or use it in a rule"
                    ),
                ));
            }
        }
        self.check_streams()?;
        self.check_cycles()
    }

    /// Standard output and error are read from two pipes, so the order of lines across them is not known.
    fn check_streams(&self) -> Parsed<()> {
        for (position, rule) in &self.trace.rules {
            let mut across = false;
            match rule {
                Rule::Before(a, b) | Rule::BeforeEach(a, b) => {
                    across = self.stream(*a) != self.stream(*b)
                }
                Rule::Check(comparison) => comparison.exprs().for_each(|expr| {
                    expr.walk(&mut |expr| {
                        if let Expr::Active(a, b) = expr {
                            across |= self.stream(*a) != self.stream(*b);
                        }
                    })
                }),
                _ => {}
            }
            if across {
                return Err((
                    *position,
                    "the order of lines on stdout and on stderr is not known".into(),
                ));
            }
        }
        Ok(())
    }

    fn stream(&self, label: LabelId) -> Option<Stream> {
        let pattern = self.trace.labels[label].pattern;
        self.trace
            .lanes
            .iter()
            .find(|lane| lane.body.contains(&Op::Line(pattern)))
            .map(|lane| lane.stream)
    }

    /// `before` and the order inside lanes must not contradict each other.
    fn check_cycles(&self) -> Parsed<()> {
        let patterns = self.trace.patterns.len();
        let mut edges: Vec<(usize, usize)> = vec![];
        // A rule about all lines, or about the k-th of each, also holds for the first ones. Inside a lane or repeat, the first
        // occurrences of the lines come in the order of the file.
        for lane in &self.trace.lanes {
            let lines: Vec<PatternId> = lane
                .body
                .iter()
                .filter_map(|op| match op {
                    Op::Line(pattern) => Some(*pattern),
                    _ => None,
                })
                .collect();
            edges.extend(lines.windows(2).map(|pair| (pair[0], pair[1])));
        }
        for (position, rule) in &self.trace.rules {
            let (Rule::Before(first, second) | Rule::BeforeEach(first, second)) = rule else {
                continue;
            };
            let (first, second) = (
                self.trace.labels[*first].pattern,
                self.trace.labels[*second].pattern,
            );
            let mut reached = vec![false; patterns];
            let mut queue = vec![second];
            while let Some(pattern) = queue.pop() {
                if pattern == first {
                    let name = |pattern: PatternId| match self.trace.patterns[pattern].label {
                        Some(label) => self.trace.labels[label].text.clone(),
                        None => format!("line {}", self.trace.patterns[pattern].position.line),
                    };
                    let message = format!(
                        "a cycle: {} must come before {}, which the rules above and the lanes put first",
                        name(first),
                        name(second)
                    );
                    return Err((*position, message));
                }
                if !std::mem::replace(&mut reached[pattern], true) {
                    queue.extend(
                        edges
                            .iter()
                            .filter(|(from, _)| *from == pattern)
                            .map(|(_, to)| *to),
                    );
                }
            }
            edges.push((first, second));
        }
        Ok(())
    }

    fn label(&mut self, words: &mut Words) -> Parsed<LabelId> {
        let at = words.position();
        let text = words.name("a label")?;
        let found = self
            .trace
            .labels
            .iter()
            .position(|label| label.text == text);
        found.ok_or((
            at,
            format!("no line has the label {text}; a label stands before the `|` of its line"),
        ))
    }

    fn name(&mut self, words: &mut Words) -> Parsed<NameId> {
        let at = words.position();
        let text = words.name("a hole's name")?;
        self.known_name(&text, at)
    }

    fn known_name(&mut self, text: &str, at: Position) -> Parsed<NameId> {
        let found = self.trace.names.iter().position(|name| name.text == text);
        let id = found.ok_or((at, format!("no line has a hole {{{text}:...}}")))?;
        self.trace.names[id].uses += 1;
        Ok(id)
    }

    fn number_name(&mut self, words: &mut Words) -> Parsed<NameId> {
        let at = words.position();
        let id = self.name(words)?;
        match self.trace.names[id].kind.is_number() {
            true => Ok(id),
            false => Err((
                at,
                format!("{{{}}} is not a number", self.trace.names[id].text),
            )),
        }
    }

    fn comparison(&mut self, words: &mut Words) -> Parsed<Comparison> {
        let text = words.rest().to_owned();
        let at = words.position();
        let first = self.sum(words)?;
        let mut rest = vec![];
        while !words.at_end() {
            let at = words.position();
            let found = words.word("a comparison")?;
            let operator = Operator::ALL.iter().find(|(text, _)| *text == found);
            let (_, operator) = operator.ok_or((
                at,
                format!("expected ==, !=, <, <=, > or >=, found {found:?}"),
            ))?;
            rest.push((*operator, self.sum(words)?));
        }
        if rest.is_empty() {
            return Err((words.position(), "expected ==, !=, <, <=, > or >=".into()));
        }
        let comparison = Comparison {
            text: text.trim_end().to_owned(),
            first,
            rest,
        };
        let mut of_the_run = false;
        comparison
            .exprs()
            .for_each(|expr| expr.walk(&mut |expr| of_the_run |= is_of_the_run(expr)));
        if !of_the_run {
            return Err((at, "this check does not depend on the run".into()));
        }
        self.one_chain_of_scopes(&comparison, at)?;
        Ok(comparison)
    }

    /// A check with `each` names is evaluated for each of their values, so their scopes must be nested.
    fn one_chain_of_scopes(&self, comparison: &Comparison, at: Position) -> Parsed<()> {
        let mut scopes = vec![];
        for expr in comparison.exprs() {
            expr.walk(&mut |expr| {
                if let Expr::Name(name) = expr {
                    scopes.extend(self.trace.names[*name].scope);
                }
            });
        }
        let chain = |mut scope: ScopeId| {
            let mut chain = vec![scope];
            while let Some(parent) = self.trace.scopes[scope].parent {
                chain.push(parent);
                scope = parent;
            }
            chain
        };
        let longest = scopes
            .iter()
            .map(|scope| chain(*scope))
            .max_by_key(Vec::len)
            .unwrap_or_default();
        match scopes.iter().all(|scope| longest.contains(scope)) {
            true => Ok(()),
            false => Err((at, "these `each` names belong to different lanes or repeats; use sum, min or max of them".into())),
        }
    }

    fn sum(&mut self, words: &mut Words) -> Parsed<Expr> {
        let mut left = self.product(words)?;
        for _ in 0..MOST_TERMS {
            left = match words.peek() {
                "+" => Expr::Add(Box::new(left), {
                    words.word("+")?;
                    Box::new(self.product(words)?)
                }),
                "-" => Expr::Subtract(Box::new(left), {
                    words.word("-")?;
                    Box::new(self.product(words)?)
                }),
                _ => return Ok(left),
            };
        }
        Err((
            words.position(),
            format!("a sum of more than {MOST_TERMS} terms"),
        ))
    }

    fn product(&mut self, words: &mut Words) -> Parsed<Expr> {
        let mut left = self.operand(words)?;
        for terms in 0.. {
            if words.peek() != "*" {
                break;
            }
            if terms == MOST_TERMS {
                return Err((
                    words.position(),
                    format!("a product of more than {MOST_TERMS} terms"),
                ));
            }
            words.word("*")?;
            left = Expr::Multiply(Box::new(left), Box::new(self.operand(words)?));
        }
        Ok(left)
    }

    fn operand(&mut self, words: &mut Words) -> Parsed<Expr> {
        let at = words.position();
        if words.peek().starts_with(|c: char| c.is_ascii_digit()) {
            return Ok(Expr::Number(words.number("a number")?));
        }
        let word = words.name("a number, a hole's name or a function")?;
        if words.peek() != "(" {
            let name = self.known_name(&word, at)?;
            return match self.trace.names[name].kind {
                Kind::Addr | Kind::Word | Kind::Text => {
                    Err((at, format!("{{{word}}} is not a number")))
                }
                _ => Ok(Expr::Name(name)),
            };
        }
        words.expect("(")?;
        let expr = match word.as_str() {
            "sum" => Expr::Sum(self.number_name(words)?),
            "min" => Expr::Min(self.number_name(words)?),
            "max" => Expr::Max(self.number_name(words)?),
            "count" => Expr::Count(self.label(words)?),
            "distinct" => {
                let mut names = vec![self.name(words)?];
                while words.peek() == "," {
                    words.expect(",")?;
                    names.push(self.name(words)?);
                }
                Expr::Distinct(names)
            }
            "active" => {
                let first = self.label(words)?;
                words.expect(",")?;
                let second = self.label(words)?;
                Expr::Active(first, second)
            }
            _ => {
                return Err((
                    at,
                    format!("expected sum, min, max, count, distinct or active, found {word:?}"),
                ));
            }
        };
        words.expect(")")?;
        Ok(expr)
    }
}

/// Whether an expression is more than a number or arithmetic.
fn is_of_the_run(expr: &Expr) -> bool {
    !matches!(
        expr,
        Expr::Number(_) | Expr::Add(..) | Expr::Subtract(..) | Expr::Multiply(..)
    )
}

fn close_repeat(lane: &mut Lane, open: &mut Vec<OpenRepeat>) -> Parsed<()> {
    let Some(OpenRepeat { op, .. }) = open.pop() else {
        return Ok(());
    };
    let end = lane.body.len();
    let mut depth = 0;
    // A repeat whose rounds may be empty would never end.
    let mandatory = lane.body[op + 1..].iter().any(|op| match op {
        Op::Repeat { count, .. } => {
            depth += (depth > 0 || count.min == 0) as usize;
            false
        }
        Op::End { .. } => {
            depth = depth.saturating_sub(1);
            false
        }
        Op::Line(_) => depth == 0,
    });
    if !mandatory {
        return Err((
            lane.position,
            format!(
                "a repeat in lane {} has no line that every round prints",
                lane.name
            ),
        ));
    }
    if let Op::Repeat { end: target, .. } = &mut lane.body[op] {
        *target = end;
    }
    lane.body.push(Op::End { start: op });
    Ok(())
}

fn parse_count(text: &str) -> Option<Count> {
    if let Some(min) = text.strip_suffix('+') {
        return Some(Count {
            min: min.parse().ok()?,
            max: None,
        });
    }
    let (min, max) = text.split_once("..").unwrap_or((text, text));
    let count = Count {
        min: min.parse().ok()?,
        max: Some(max.parse().ok()?),
    };
    count
        .max
        .is_some_and(|max| count.min <= max)
        .then_some(count)
}

fn signal(name: &str, at: Position) -> Parsed<i32> {
    let found = SIGNALS
        .iter()
        .find(|(signal, _)| *signal == name)
        .map(|(_, number)| *number);
    found.ok_or_else(|| {
        (
            at,
            format!(
                "unknown signal {name:?}; the signals are {}",
                SIGNALS.map(|(name, _)| name).join(", ")
            ),
        )
    })
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// Splits a line of the file into words. Names and numbers end at white space or punctuation.
struct Words<'t> {
    line: &'t str,
    number: usize,
    /// The byte offset of the next word, after white space.
    next: usize,
}

impl<'t> Words<'t> {
    fn new(line: &'t str, number: usize) -> Words<'t> {
        let mut words = Words {
            line,
            number,
            next: 0,
        };
        words.skip_space();
        words
    }

    fn skip_space(&mut self) {
        let rest = &self.line[self.next..];
        self.next += rest.len() - rest.trim_start().len();
    }

    fn rest(&self) -> &'t str {
        &self.line[self.next..]
    }

    fn at_end(&self) -> bool {
        self.rest().is_empty()
    }

    fn column(&self) -> usize {
        self.line[..self.next].chars().count() + 1
    }

    fn position(&self) -> Position {
        Position {
            line: self.number,
            column: self.column(),
        }
    }

    /// The next word; empty at the end of the line.
    fn peek(&self) -> &'t str {
        let rest = self.rest();
        const OPERATORS: [&str; 12] = [
            "==", "!=", "<=", ">=", "<", ">", "(", ")", ",", "+", "*", "=",
        ];
        if let Some(operator) = OPERATORS
            .iter()
            .find(|operator| rest.starts_with(**operator))
        {
            return &rest[..operator.len()];
        }
        let end = rest
            .find(|c: char| c.is_whitespace() || "<>()=,*!".contains(c))
            .unwrap_or(rest.len());
        // Any other character is a word of its own, so that messages can show it.
        &rest[..end.max(rest.chars().next().map_or(0, char::len_utf8))]
    }

    fn word(&mut self, what: &str) -> Parsed<String> {
        let word = self.peek();
        if word.is_empty() {
            return Err((
                self.position(),
                format!("expected {what}, found the end of the line"),
            ));
        }
        self.next += word.len();
        self.skip_space();
        Ok(word.to_owned())
    }

    fn name(&mut self, what: &str) -> Parsed<String> {
        let at = self.position();
        let word = self.word(what)?;
        if is_name(&word) {
            Ok(word)
        } else {
            Err((at, format!("expected {what}, found {word:?}")))
        }
    }

    fn expect(&mut self, expected: &str) -> Parsed<()> {
        let at = self.position();
        let word = self.word(&format!("{expected:?}"))?;
        if word == expected {
            Ok(())
        } else {
            Err((at, format!("expected {expected:?}, found {word:?}")))
        }
    }

    /// A number, in seconds if it has a unit: `5`, `0.25`, `5s`, `20ms`.
    fn number(&mut self, what: &str) -> Parsed<f64> {
        let at = self.position();
        let word = self.word(what)?;
        let (digits, unit) = match (word.strip_suffix("ms"), word.strip_suffix('s')) {
            (Some(digits), _) => (digits, 1e-3),
            (None, Some(digits)) => (digits, 1.0),
            (None, None) => (word.as_str(), 1.0),
        };
        let number = digits
            .parse::<f64>()
            .ok()
            .filter(|n| n.is_finite() && *n >= 0.0);
        number
            .map(|number| number * unit)
            .ok_or((at, format!("expected {what}, found {word:?}")))
    }

    /// A word of a command line; double quotes keep white space.
    fn argument(&mut self) -> Parsed<String> {
        let at = self.position();
        let rest = self.rest();
        let (text, length) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let end = quoted
                    .find('"')
                    .ok_or((at, "the closing \" is missing".to_owned()))?;
                (&quoted[..end], end + 2)
            }
            None => {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                (&rest[..end], end)
            }
        };
        self.next += length;
        self.skip_space();
        Ok(text.to_owned())
    }

    fn end(&self, what: &str) -> Parsed<()> {
        match self.at_end() {
            true => Ok(()),
            false => Err((
                self.position(),
                format!("expected {what}, found {:?}", self.peek()),
            )),
        }
    }
}

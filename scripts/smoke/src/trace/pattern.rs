//! One line of a lane: literal text and typed holes.

use std::collections::HashSet;

use super::{LabelId, NameId, Position};

#[derive(Debug, Clone, PartialEq)]
pub struct Pattern {
    /// The text in the trace file.
    pub text: String,
    pub pieces: Vec<Piece>,
    pub position: Position,
    pub label: Option<LabelId>,
    /// Whether the line may be missing or repeated: it stands in a repeat or lane of variable count.
    pub elastic: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    Literal(String),
    Hole { name: Option<NameId>, kind: Kind },
}

/// What a hole accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A process id: a positive decimal number.
    Pid,
    /// The pid of the program that the harness started.
    OwnPid,
    /// The pid of that program's parent.
    ParentPid,
    Int,
    Float,
    /// Seconds: a number without a sign.
    Secs,
    /// `127.0.0.1:8081`, `[::1]:8081` or Python's `('127.0.0.1', 8081)`.
    Addr,
    /// Characters without white space.
    Word,
    /// Any text of at least one character.
    Text,
}

impl Kind {
    pub const ALL: [(&str, Kind); 9] = [
        ("pid", Kind::Pid),
        ("self", Kind::OwnPid),
        ("parent", Kind::ParentPid),
        ("int", Kind::Int),
        ("float", Kind::Float),
        ("secs", Kind::Secs),
        ("addr", Kind::Addr),
        ("word", Kind::Word),
        ("text", Kind::Text),
    ];

    pub fn name(self) -> &'static str {
        Kind::ALL
            .iter()
            .find(|(_, kind)| *kind == self)
            .map_or("", |(name, _)| name)
    }

    pub fn is_pid(self) -> bool {
        matches!(self, Kind::Pid | Kind::OwnPid | Kind::ParentPid)
    }

    pub fn is_number(self) -> bool {
        matches!(self, Kind::Int | Kind::Float | Kind::Secs)
    }

    /// The possible lengths of the prefix of `text` that the hole may take, the longest first.
    fn lengths(self, text: &str) -> Vec<usize> {
        match self {
            Kind::Pid | Kind::OwnPid | Kind::ParentPid => {
                let digits = digits(text);
                // Linux has no pid above 4194304.
                if (1..=7).contains(&digits) && !text.starts_with('0') {
                    vec![digits]
                } else {
                    vec![]
                }
            }
            Kind::Int => {
                let sign = text.starts_with('-') as usize;
                match digits(&text[sign..]) {
                    0 => vec![],
                    digits => vec![sign + digits],
                }
            }
            Kind::Float => {
                let sign = text.starts_with('-') as usize;
                decimal(&text[sign..], true)
                    .map(|length| sign + length)
                    .into_iter()
                    .collect()
            }
            Kind::Secs => decimal(text, false).into_iter().collect(),
            Kind::Addr => prefixes(text, text.len())
                .filter(|&end| is_address(&text[..end]))
                .collect(),
            Kind::Word => {
                prefixes(text, text.find(char::is_whitespace).unwrap_or(text.len())).collect()
            }
            Kind::Text => prefixes(text, text.len()).collect(),
        }
    }
}

fn prefixes(text: &str, longest: usize) -> impl Iterator<Item = usize> {
    (1..=longest)
        .rev()
        .filter(|&end| text.is_char_boundary(end))
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// The length of a number at the start of `text`: digits, a fraction, and an exponent or `inf` and `nan` if allowed.
fn decimal(text: &str, scientific: bool) -> Option<usize> {
    if let Some(word) = ["inf", "nan", "NaN"]
        .iter()
        .find(|word| text.starts_with(**word))
    {
        return scientific.then_some(word.len());
    }
    let mut length = digits(text);
    if length == 0 {
        return None;
    }
    if let Some(fraction) = text[length..]
        .strip_prefix('.')
        .map(digits)
        .filter(|&digits| digits > 0)
    {
        length += 1 + fraction;
    }
    if let Some(rest) = text[length..].strip_prefix('e').filter(|_| scientific) {
        let sign = rest.starts_with(['-', '+']) as usize;
        length += Some(digits(&rest[sign..]))
            .filter(|&digits| digits > 0)
            .map_or(0, |digits| 1 + sign + digits);
    }
    Some(length)
}

fn is_address(text: &str) -> bool {
    let python = || {
        let (host, port) = text
            .strip_prefix("('")?
            .strip_suffix(')')?
            .split_once("', ")?;
        Some(host.parse::<std::net::IpAddr>().is_ok() && port.parse::<u16>().is_ok())
    };
    text.parse::<std::net::SocketAddr>().is_ok() || python().unwrap_or(false)
}

/// The values of a line's holes, in order.
pub type Captures<'a> = Vec<(NameId, &'a str)>;

/// The values that holes must have.
pub struct Bindings<'a, 'b> {
    /// The value of a name, if it is bound.
    pub value: &'b dyn Fn(NameId) -> Option<&'a str>,
    pub own_pid: &'b str,
    pub parent_pid: &'b str,
}

impl Pattern {
    /// Matches the whole `line`; bound names must repeat their values. Returns the value of each named hole.
    pub fn fit<'a>(&self, line: &'a str, bindings: &Bindings<'a, '_>) -> Option<Captures<'a>> {
        let mut names: Vec<NameId> = self.names().collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        let mut fit = Fit {
            bindings,
            captures: Vec::new(),
            failed: HashSet::new(),
            remember: names.len() == all,
        };
        fit.rest(&self.pieces, line).then_some(fit.captures)
    }

    pub fn names(&self) -> impl Iterator<Item = NameId> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Hole { name, .. } => *name,
            Piece::Literal(_) => None,
        })
    }

    /// The line with the known values filled in and the others as `{type}`.
    pub fn render(&self, value: impl Fn(NameId) -> Option<String>) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Literal(text) => text.clone(),
            Piece::Hole { name, kind } => name
                .and_then(&value)
                .unwrap_or_else(|| format!("{{{}}}", kind.name())),
        };
        self.pieces.iter().map(piece).collect()
    }
}

/// The search for the value of each hole.
struct Fit<'a, 'b> {
    bindings: &'b Bindings<'a, 'b>,
    captures: Captures<'a>,
    /// The numbers of pieces and bytes left at which a hole did not fit. Without them a line with many text holes would take
    /// exponential time.
    failed: HashSet<(usize, usize)>,
    /// Unused if a name occurs twice in the line: then the result also depends on the value of the first.
    remember: bool,
}

impl<'a> Fit<'a, '_> {
    fn rest(&mut self, pieces: &[Piece], rest: &'a str) -> bool {
        match pieces.split_first() {
            None => rest.is_empty(),
            Some((Piece::Literal(text), behind)) => rest
                .strip_prefix(text.as_str())
                .is_some_and(|rest| self.rest(behind, rest)),
            Some((Piece::Hole { name, kind }, behind)) => self.hole(*name, *kind, behind, rest),
        }
    }

    fn hole(&mut self, name: Option<NameId>, kind: Kind, behind: &[Piece], rest: &'a str) -> bool {
        let place = (behind.len(), rest.len());
        if self.failed.contains(&place) {
            return false;
        }
        let captured = |id| {
            self.captures
                .iter()
                .find(|(name, _)| *name == id)
                .map(|(_, value)| *value)
        };
        let bound = name.and_then(|id| captured(id).or_else(|| (self.bindings.value)(id)));
        let fixed = match kind {
            Kind::OwnPid => Some(self.bindings.own_pid),
            Kind::ParentPid => Some(self.bindings.parent_pid),
            _ => bound,
        };
        let lengths = kind.lengths(rest);
        for &end in &lengths {
            let (value, rest) = rest.split_at(end);
            if fixed.is_some_and(|fixed| fixed != value) {
                continue;
            }
            self.captures.extend(name.map(|id| (id, value)));
            if self.rest(behind, rest) {
                return true;
            }
            if name.is_some() {
                self.captures.pop();
            }
        }
        if self.remember && lengths.len() > 1 {
            self.failed.insert(place);
        }
        false
    }
}

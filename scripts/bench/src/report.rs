//! The table and the JSON of the figures of a case.

use serde_json::{Value, json};

use crate::case::{Case, Contestant, Goal, Kind, Unit};

/// The columns of the table, and their widths.
pub const COLUMNS: [(&str, usize); 7] = [
    ("case", 19),
    ("CPython", 20),
    ("peer crates", 33),
    ("ours", 28),
    ("faster than CPython", 37),
    ("× limit's time", 30),
    ("OS limit", 0),
];

/// The median, minimum and maximum of some numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

/// Returns `None` if there are no numbers.
pub fn spread(numbers: impl IntoIterator<Item = f64>) -> Option<Spread> {
    let mut numbers: Vec<f64> = numbers.into_iter().collect();
    numbers.sort_by(f64::total_cmp);
    let (low, high) = (numbers.len().checked_sub(1)? / 2, numbers.len() / 2);
    Some(Spread {
        median: (numbers[low] + numbers[high]) / 2.0,
        least: numbers[0],
        most: *numbers.last()?,
    })
}

/// The figures of a case: a row for each contestant, a column for each round. A contestant that did not run has an
/// empty row.
pub struct Figures<'c> {
    pub case: &'c Case,
    pub rows: Vec<Vec<f64>>,
}

impl Figures<'_> {
    fn named(&self, name: &str) -> Option<usize> {
        let mut contestants = self.case.contestants.iter();
        contestants.position(|contestant| contestant.name == name)
    }

    fn of_kind(&self, kind: Kind) -> impl Iterator<Item = (usize, &Contestant)> {
        let contestants = self.case.contestants.iter().enumerate();
        contestants.filter(move |(_, contestant)| contestant.kind == kind)
    }

    /// Returns the figures of `above` divided by those of `below`, round by round.
    fn ratio(&self, above: usize, below: usize) -> Option<Spread> {
        let pairs = self.rows[above].iter().zip(&self.rows[below]);
        spread(pairs.map(|(above, below)| above / below))
    }

    /// Returns how many times better `this` is than `other`.
    fn factor(&self, this: usize, other: usize) -> Option<Spread> {
        match self.case.unit {
            Unit::Time => self.ratio(other, this),
            Unit::SpeedUp => self.ratio(this, other),
        }
    }

    /// Returns the ratio to show between one of our contestants and another: how many times better ours is, or for a
    /// limit, our figure as a multiple of the limit's.
    fn compared(&self, this: usize, other: usize) -> Option<Spread> {
        match self.case.contestants[other].kind {
            Kind::Limit => self.ratio(this, other),
            _ => self.factor(this, other),
        }
    }

    /// Returns each goal of one of our contestants, the ratio reached, and whether it meets the goal. Leaves out goals
    /// against a contestant that did not run.
    fn goals(&self, this: usize) -> impl Iterator<Item = (Goal, f64, bool)> {
        let goals = self.case.contestants[this].goals.iter();
        goals.filter_map(move |goal| {
            let reached = self.compared(this, self.named(goal.against())?)?.median;
            let met = match *goal {
                Goal::Over(_, least) => reached >= least,
                Goal::Within(_, most) => reached <= most,
            };
            Some((*goal, reached, met))
        })
    }

    /// Returns text like `12.1× (11.0..13.5) ≥10 ✓`, or `-` if one of the two did not run.
    fn comparison(&self, this: usize, other: usize) -> String {
        let Some(Spread {
            median,
            least,
            most,
        }) = self.compared(this, other)
        else {
            return "-".into();
        };
        let shown = format!(
            "{}× ({}..{})",
            significant(median),
            significant(least),
            significant(most)
        );
        let name = self.case.contestants[other].name;
        match self.goals(this).find(|(goal, ..)| goal.against() == name) {
            None => shown,
            Some((goal, _, met)) => format!("{shown} {goal} {}", if met { '✓' } else { '✗' }),
        }
    }

    fn named_figure(&self, row: usize) -> String {
        let Contestant { name, module, .. } = self.case.contestants[row];
        let figure = match (spread(self.rows[row].iter().copied()), self.case.unit) {
            (None, _) => module.map_or("-".into(), |module| format!("- (no module {module})")),
            (Some(spread), Unit::Time) => time(spread.median),
            (Some(spread), Unit::SpeedUp) => format!("{}×", significant(spread.median)),
        };
        format!("{name} {figure}")
    }

    /// Returns the case's lines of the table, a cell for each of [`COLUMNS`].
    pub fn lines(&self) -> Vec<[String; COLUMNS.len()]> {
        let rows = |kind| self.of_kind(kind).map(|(row, _)| row).collect::<Vec<_>>();
        let (python, limits) = (rows(Kind::Python), rows(Kind::Limit));
        let mut columns: [Vec<String>; COLUMNS.len()] = Default::default();
        let [name, pythons, peers, ours, faster, slower, limit] = &mut columns;
        name.push(self.case.name.into());
        pythons.extend(python.iter().map(|row| self.named_figure(*row)));
        for row in rows(Kind::Peer) {
            let factor = python.first().and_then(|python| self.factor(row, *python));
            let factor = factor.map(|factor| format!(", {}×", significant(factor.median)));
            peers.push(self.named_figure(row) + &factor.unwrap_or_default());
        }
        for row in rows(Kind::Ours) {
            ours.push(self.named_figure(row));
            faster.extend(python.first().map(|python| self.comparison(row, *python)));
            slower.extend(limits.first().map(|limit| self.comparison(row, *limit)));
            // Goals against contestants that are not the first of their kind.
            for (goal, ..) in self.goals(row) {
                let other = self.named(goal.against());
                let first = [python.first(), limits.first()];
                if let Some(other) = other.filter(|other| !first.contains(&Some(other))) {
                    let text = format!("{}: {}", goal.against(), self.comparison(row, other));
                    faster.push(text);
                }
            }
            let height = ours.len().max(faster.len()).max(slower.len());
            for column in [&mut *ours, &mut *faster, &mut *slower] {
                column.resize(height, String::new());
            }
        }
        limit.extend(limits.iter().map(|row| self.named_figure(*row)));
        let height = columns.iter().map(Vec::len).max().unwrap_or_default();
        let cell = |column: &Vec<String>, line: usize| match column.get(line) {
            Some(text) => text.clone(),
            None if line == 0 => "-".into(),
            None => String::new(),
        };
        (0..height)
            .map(|line| columns.each_ref().map(|column| cell(column, line)))
            .collect()
    }

    /// Returns how many goals were met, and a line for each that was missed.
    pub fn goals_met(&self) -> (usize, Vec<String>) {
        let (mut met, mut missed) = (0, vec![]);
        for (row, contestant) in self.of_kind(Kind::Ours) {
            for (goal, reached, is_met) in self.goals(row) {
                if is_met {
                    met += 1;
                    continue;
                }
                missed.push(format!(
                    "{}, {}: {}× {}, the goal is {goal}",
                    self.case.name,
                    contestant.name,
                    significant(reached),
                    goal.against()
                ));
            }
        }
        (met, missed)
    }

    pub fn json(&self) -> Value {
        let contestants = self.case.contestants.iter().zip(&self.rows);
        let contestants = contestants.map(|(contestant, row)| {
            let goals = contestant
                .goals
                .iter()
                .map(|goal| json!({ "against": goal.against(), "goal": goal.to_string() }));
            json!({
                "name": contestant.name,
                "kind": format!("{:?}", contestant.kind).to_lowercase(),
                "goals": goals.collect::<Vec<_>>(),
                "rounds": row,
            })
        });
        let unit = match self.case.unit {
            Unit::Time => "nanoseconds",
            Unit::SpeedUp => "speed-up",
        };
        json!({ "case": self.case.name, "unit": unit, "contestants": contestants.collect::<Vec<_>>() })
    }
}

/// Returns three significant digits, or all digits before the point.
fn significant(number: f64) -> String {
    let digits = match number {
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    format!("{number:.digits$}")
}

fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        ..1e3 => format!("{} ns", significant(nanoseconds)),
        ..1e6 => format!("{} µs", significant(nanoseconds / 1e3)),
        _ => format!("{} ms", significant(nanoseconds / 1e6)),
    }
}

/// Joins cells to a line.
pub fn line(cells: &[impl AsRef<str>; COLUMNS.len()]) -> String {
    let cells = cells.iter().zip(COLUMNS);
    let line: String = cells
        .map(|(cell, (_, width))| format!("{:width$}  ", cell.as_ref()))
        .collect();
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use anyhow::Result;

    use super::*;
    use crate::case::{limit, ours, python};

    fn run(_: u64) -> Result<f64> {
        Ok(1.0)
    }

    const CASE: Case = Case {
        name: "case",
        unit: Unit::Time,
        contestants: &[
            python("CPython", "case", 1),
            ours(
                "ours",
                1,
                run,
                &[Goal::Over("CPython", 10.0), Goal::Within("limit", 2.0)],
            ),
            limit("limit", 1, run),
        ],
    };

    #[test]
    fn the_median_is_in_the_middle() {
        let of = |numbers: &[f64]| spread(numbers.iter().copied()).map(|spread| spread.median);
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[3.0]), Some(3.0));
        assert_eq!(of(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(of(&[4.0, 1.0, 2.0, 9.0]), Some(3.0));
        let spread = spread([9.0, 1.0, 2.0]).unwrap();
        assert_eq!((spread.least, spread.most), (1.0, 9.0));
    }

    /// The ratio of the medians would be 50. It would compare different rounds, and some were slow for all contestants.
    #[test]
    fn ratios_are_of_one_round() {
        let rows = vec![
            vec![100.0, 600.0, 10.0],
            vec![1.0, 60.0, 2.0],
            vec![1.0, 20.0, 1.0],
        ];
        let figures = Figures { case: &CASE, rows };
        assert_eq!(figures.factor(1, 0).unwrap().median, 10.0);
        assert_eq!(figures.ratio(1, 2).unwrap().median, 2.0);
        assert_eq!(figures.goals_met(), (2, vec![]));
        let cells = &figures.lines()[0];
        assert_eq!(cells[4], "10.0× (5.00..100) ≥10 ✓");
        assert_eq!(cells[5], "2.00× (1.00..3.00) ≤2 ✓");
    }

    #[test]
    fn a_missed_goal_is_told_and_what_is_unknown_is_not() {
        let rows = vec![vec![], vec![3.0], vec![1.0]];
        let figures = Figures { case: &CASE, rows };
        let (met, missed) = figures.goals_met();
        assert_eq!(met, 0);
        assert_eq!(missed, ["case, ours: 3.00× limit, the goal is ≤2"]);
        let cells = &figures.lines()[0];
        assert_eq!(
            (cells[1].as_str(), cells[2].as_str(), cells[4].as_str()),
            ("CPython -", "-", "-")
        );
    }

    #[test]
    fn what_is_left_out_says_why_and_its_goals_are_no_goals() {
        const CASE: Case = Case {
            name: "case",
            unit: Unit::Time,
            contestants: &[
                python("uvloop", "case", 1).of("uvloop").among_peers(),
                ours("ours", 1, run, &[Goal::Over("uvloop", 1.0)]),
            ],
        };
        let rows = vec![vec![], vec![3.0]];
        let figures = Figures { case: &CASE, rows };
        assert_eq!(figures.goals_met(), (0, vec![]));
        assert_eq!(figures.lines().len(), 1);
        assert_eq!(figures.lines()[0][2], "uvloop - (no module uvloop)");
    }

    #[test]
    fn times_have_units() {
        let times = [0.284, 12.34, 999.0, 1234.0, 2.5e6].map(time);
        assert_eq!(
            times,
            ["0.28 ns", "12.3 ns", "999 ns", "1.23 µs", "2.50 ms"]
        );
    }
}

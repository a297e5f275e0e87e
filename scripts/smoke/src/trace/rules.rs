//! The rules that are checked after every line has its place.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// The values that names have in one scope. A scope is one instance of a lane, or one round of a repeat.
struct Record<'a> {
    scope: ScopeId,
    /// The record of the enclosing scope.
    parent: Option<usize>,
    instance: usize,
    values: BTreeMap<NameId, &'a str>,
}

struct Run<'t, 'a> {
    trace: &'t Trace,
    steps: &'t [Step<'a>],
    globals: BTreeMap<NameId, &'a str>,
    records: Vec<Record<'a>>,
}

/// Returns the first rule that does not hold, with its place and the reason.
pub fn hold(trace: &Trace, steps: &[Step]) -> Result<(), (Position, String)> {
    let run = Run::new(trace, steps);
    for (position, rule) in &trace.rules {
        run.holds(rule).map_err(|text| (*position, text))?;
    }
    Ok(())
}

impl<'t, 'a> Run<'t, 'a> {
    fn new(trace: &'t Trace, steps: &'t [Step<'a>]) -> Run<'t, 'a> {
        let mut globals = BTreeMap::new();
        let mut records: Vec<Record> = vec![];
        // The open record of every scope, by instance.
        let mut open: BTreeMap<(usize, ScopeId), usize> = BTreeMap::new();
        for step in steps {
            for &scope in &step.fresh {
                let parent = trace.scopes[scope]
                    .parent
                    .and_then(|parent| open.get(&(step.instance, parent)).copied());
                open.insert((step.instance, scope), records.len());
                records.push(Record {
                    scope,
                    parent,
                    instance: step.instance,
                    values: BTreeMap::new(),
                });
            }
            for &(name, value) in &step.captures {
                match trace.names[name]
                    .scope
                    .and_then(|scope| open.get(&(step.instance, scope)))
                {
                    Some(&record) => records[record].values.insert(name, value),
                    None => globals.insert(name, value),
                };
            }
        }
        Run {
            trace,
            steps,
            globals,
            records,
        }
    }

    fn holds(&self, rule: &Rule) -> Result<(), String> {
        match rule {
            // The search already enforces these.
            Rule::Before(..) | Rule::BeforeEach(..) => Ok(()),
            Rule::Distinct(names) => self.distinct(names),
            Rule::Set(name, expected) => self.set(*name, expected),
            Rule::Rising(name, by) => self.rising(*name, *by),
            Rule::Check(comparison) => self.check(comparison),
        }
    }

    fn name(&self, name: NameId) -> &str {
        &self.trace.names[name].text
    }

    /// All values of a name, with the instance that holds each.
    fn values(&self, name: NameId) -> Vec<(usize, &'a str)> {
        match self.trace.names[name].scope {
            None => self
                .globals
                .get(&name)
                .map(|value| (0, *value))
                .into_iter()
                .collect(),
            Some(scope) => {
                let records = self.records.iter().filter(|record| record.scope == scope);
                records
                    .filter_map(|record| Some((record.instance, *record.values.get(&name)?)))
                    .collect()
            }
        }
    }

    fn numbers(&self, name: NameId) -> Vec<f64> {
        self.values(name)
            .into_iter()
            .filter_map(|(_, value)| value.parse().ok())
            .collect()
    }

    /// The least or greatest value of a name; NaN if a value is NaN.
    fn extreme(&self, name: NameId, choose: fn(f64, f64) -> f64) -> Result<f64, String> {
        let numbers = self.numbers(name);
        if numbers.iter().any(|number| number.is_nan()) {
            return Ok(f64::NAN);
        }
        numbers
            .into_iter()
            .reduce(choose)
            .ok_or_else(|| format!("{{{}}} has no value", self.name(name)))
    }

    fn distinct(&self, names: &[NameId]) -> Result<(), String> {
        let mut owner: BTreeMap<&str, &str> = BTreeMap::new();
        for &name in names {
            for (_, value) in self.values(name) {
                if let Some(other) = owner.insert(value, self.name(name)) {
                    return Err(format!(
                        "{value} is the value of {{{other}}} and of {{{}}}",
                        self.name(name)
                    ));
                }
            }
        }
        Ok(())
    }

    fn set(&self, name: NameId, expected: &[String]) -> Result<(), String> {
        let mut values: Vec<&str> = self
            .values(name)
            .into_iter()
            .map(|(_, value)| value)
            .collect();
        values.sort_unstable();
        if values == expected {
            return Ok(());
        }
        let count =
            |values: &[&str], value: &str| values.iter().filter(|other| **other == value).count();
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        let wrong = expected
            .iter()
            .chain(&values)
            .find(|value| count(&values, value) != count(&expected, value));
        let wrong = wrong.copied().unwrap_or_default();
        Err(format!(
            "{{{}}} is {wrong} {} times instead of {}",
            self.name(name),
            count(&values, wrong),
            count(&expected, wrong)
        ))
    }

    fn rising(&self, name: NameId, by: Option<f64>) -> Result<(), String> {
        let mut last: BTreeMap<usize, f64> = BTreeMap::new();
        for (instance, value) in self.values(name) {
            let Ok(number) = value.parse::<f64>() else {
                continue;
            };
            if let Some(before) = last.insert(instance, number) {
                let rises = match by {
                    Some(by) => expr::Operator::Equal.holds(number, before + by),
                    None => number > before,
                };
                if !rises {
                    return Err(format!(
                        "{{{}}} goes from {before} to {number}",
                        self.name(name)
                    ));
                }
            }
        }
        Ok(())
    }

    fn check(&self, comparison: &Comparison) -> Result<(), String> {
        let mut scoped: BTreeSet<ScopeId> = BTreeSet::new();
        for expr in comparison.exprs() {
            expr.walk(&mut |expr| {
                if let Expr::Name(name) = expr {
                    scoped.extend(self.trace.names[*name].scope);
                }
            });
        }
        // Scopes are numbered from the outside in.
        let Some(innermost) = scoped.last() else {
            return self.compare(comparison, None);
        };
        for (number, record) in self.records.iter().enumerate() {
            if record.scope == *innermost {
                self.compare(comparison, Some(number))?;
            }
        }
        Ok(())
    }

    fn compare(&self, comparison: &Comparison, record: Option<usize>) -> Result<(), String> {
        let mut left = self.value(&comparison.first, record)?;
        for (operator, right) in &comparison.rest {
            let right = self.value(right, record)?;
            // If this round lacks a line, there is nothing to compare.
            if let (Some(a), Some(b)) = (left, right)
                && !operator.holds(a, b)
            {
                let values: Vec<String> = comparison
                    .exprs()
                    .filter(|expr| !matches!(expr, Expr::Number(_)))
                    .map(|expr| {
                        Ok(self
                            .value(expr, record)?
                            .map_or("?".to_owned(), |value| value.to_string()))
                    })
                    .collect::<Result<_, String>>()?;
                return Err(format!("the values are {}", values.join(" and ")));
            }
            left = right;
        }
        Ok(())
    }

    fn value(&self, expr: &Expr, record: Option<usize>) -> Result<Option<f64>, String> {
        let both = |left: &Expr, right: &Expr, f: fn(f64, f64) -> f64| -> Result<_, String> {
            Ok(self
                .value(left, record)?
                .zip(self.value(right, record)?)
                .map(|(left, right)| f(left, right)))
        };
        Ok(match expr {
            Expr::Number(number) => Some(*number),
            Expr::Name(name) => self
                .value_of(*name, record)
                .and_then(|value| value.parse().ok()),
            Expr::Sum(name) => Some(self.numbers(*name).iter().sum()),
            Expr::Min(name) => Some(self.extreme(*name, f64::min)?),
            Expr::Max(name) => Some(self.extreme(*name, f64::max)?),
            Expr::Distinct(names) => {
                let values: BTreeSet<_> = names
                    .iter()
                    .flat_map(|name| self.values(*name))
                    .map(|(_, value)| value)
                    .collect();
                Some(values.len() as f64)
            }
            Expr::Count(label) => Some(self.places(*label).len() as f64),
            Expr::Active(first, second) => {
                let (first, second) = (self.places(*first), self.places(*second));
                let active = |place: usize| {
                    let until = |places: &[usize]| {
                        places.iter().filter(|other| **other <= place).count() as f64
                    };
                    until(&first) - until(&second)
                };
                first
                    .iter()
                    .map(|place| active(*place))
                    .reduce(f64::max)
                    .or(Some(0.0))
            }
            Expr::Add(left, right) => both(left, right, |left, right| left + right)?,
            Expr::Subtract(left, right) => both(left, right, |left, right| left - right)?,
            Expr::Multiply(left, right) => both(left, right, |left, right| left * right)?,
        })
    }

    /// A name's value in a record or those around it.
    fn value_of(&self, name: NameId, record: Option<usize>) -> Option<&'a str> {
        let mut next = record;
        while let Some(number) = next {
            if let Some(value) = self.records[number].values.get(&name) {
                return Some(value);
            }
            next = self.records[number].parent;
        }
        self.globals.get(&name).copied()
    }

    /// The lines with a label.
    fn places(&self, label: LabelId) -> Vec<usize> {
        let pattern = self.trace.labels[label].pattern;
        let steps = self.steps.iter().enumerate();
        steps
            .filter(|(_, step)| step.pattern == pattern)
            .map(|(place, _)| place)
            .collect()
    }
}

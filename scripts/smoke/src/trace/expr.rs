//! Arithmetic in `check` rules: `check sum(n) == 4950`, `check 0.2 <= t < total`.

use super::{LabelId, NameId};

#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    Number(f64),
    /// The value of a name. For an `each` name the check must hold for each value.
    Name(NameId),
    Sum(NameId),
    Min(NameId),
    Max(NameId),
    /// How many different values the names have.
    Distinct(Vec<NameId>),
    /// How many lines have the label.
    Count(LabelId),
    /// The most lines of the first label, at any time, that no line of the second label has followed yet.
    Active(LabelId, LabelId),
    Add(Box<Expr>, Box<Expr>),
    Subtract(Box<Expr>, Box<Expr>),
    Multiply(Box<Expr>, Box<Expr>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Operator {
    pub const ALL: [(&str, Operator); 6] = [
        ("==", Operator::Equal),
        ("!=", Operator::NotEqual),
        ("<=", Operator::LessOrEqual),
        (">=", Operator::GreaterOrEqual),
        ("<", Operator::Less),
        (">", Operator::Greater),
    ];

    /// Decimal fractions are not exact in binary, so two within a billionth of each other are equal. Whole numbers are
    /// compared exactly. With NaN every comparison except `!=` is false.
    pub fn holds(self, left: f64, right: f64) -> bool {
        let fractions =
            left.is_finite() && right.is_finite() && (left.fract() != 0.0 || right.fract() != 0.0);
        let near = (left - right).abs() <= 1e-12 * left.abs().max(right.abs()).max(1.0);
        let equal = left == right || fractions && near;
        match self {
            Operator::Equal => equal,
            Operator::NotEqual => !equal,
            Operator::Less => left < right && !equal,
            Operator::LessOrEqual => left < right || equal,
            Operator::Greater => left > right && !equal,
            Operator::GreaterOrEqual => left > right || equal,
        }
    }
}

/// `first op second op third ...`: every neighbouring pair must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    pub text: String,
    pub first: Expr,
    pub rest: Vec<(Operator, Expr)>,
}

impl Comparison {
    pub fn exprs(&self) -> impl Iterator<Item = &Expr> {
        std::iter::once(&self.first).chain(self.rest.iter().map(|(_, expr)| expr))
    }
}

impl Comparison {
    /// Whether the values of a name are compared.
    pub fn judges(&self, name: NameId) -> bool {
        self.has(|expr| match expr {
            Expr::Name(other) | Expr::Sum(other) | Expr::Min(other) | Expr::Max(other) => {
                *other == name
            }
            _ => false,
        })
    }

    /// Whether this is only an upper bound on the number of different values of a name.
    pub fn allows_fewer(&self, name: NameId) -> bool {
        let counts =
            self.has(|expr| matches!(expr, Expr::Distinct(names) if names.contains(&name)));
        counts
            && self
                .rest
                .iter()
                .all(|(operator, _)| matches!(operator, Operator::Less | Operator::LessOrEqual))
    }

    fn has(&self, wanted: impl Fn(&Expr) -> bool) -> bool {
        let mut found = false;
        self.exprs()
            .for_each(|expr| expr.walk(&mut |expr| found |= wanted(expr)));
        found
    }
}

impl Expr {
    /// Calls `visit` with this expression and every part of it.
    pub fn walk<'e>(&'e self, visit: &mut dyn FnMut(&'e Expr)) {
        visit(self);
        if let Expr::Add(left, right) | Expr::Subtract(left, right) | Expr::Multiply(left, right) =
            self
        {
            left.walk(visit);
            right.walk(visit);
        }
    }
}

//! The file of limits, and what is measured beside them.

use std::fmt;

use anyhow::{Context, Result, bail};

/// Measured numbers, in the order in which they are shown.
pub type Measured = Vec<(String, u64)>;

/// What the file begins with.
const HEAD: &str = "\
# The limits of `cargo xtask budget`; docs/performance.md explains them.
# `cargo xtask budget --update` writes this file.
";

/// A group of limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Instructions of a call: they may differ by some percent.
    Instructions,
    /// Calls of a request: exact.
    Calls,
}

impl Group {
    /// Both, in the order of the file.
    pub const ALL: [Self; 2] = [Self::Instructions, Self::Calls];

    fn name(self) -> &'static str {
        match self {
            Self::Instructions => "instructions",
            Self::Calls => "calls",
        }
    }

    fn tolerance_percent(self) -> f64 {
        match self {
            // The C library copies memory by other instructions on other machines, which moves a
            // whole request by 2%, and another build moves it by 1%.
            Self::Instructions => 5.0,
            Self::Calls => 0.0,
        }
    }
}

/// The limits of both groups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    instructions: Measured,
    calls: Measured,
}

impl Limits {
    /// Limits of what was measured.
    pub fn of(instructions: Measured, calls: Measured) -> Self {
        Self {
            instructions,
            calls,
        }
    }

    fn of_group(&self, group: Group) -> &Measured {
        match group {
            Group::Instructions => &self.instructions,
            Group::Calls => &self.calls,
        }
    }

    /// Reads the file: sections with lines `name = number`.
    pub fn parse(text: &str) -> Result<Self> {
        let mut limits = Self::default();
        let mut group = None;
        for (index, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
                let known = Group::ALL.into_iter().find(|group| group.name() == name);
                group = Some(known.with_context(|| {
                    format!("line {}: expected [instructions] or [calls]", index + 1)
                })?);
                continue;
            }
            let read = || {
                let (name, number) = line.split_once('=')?;
                Some((name.trim().to_owned(), number.trim().parse().ok()?))
            };
            let limit = read().with_context(|| {
                let line = index + 1;
                format!("line {line}: expected `name = number`")
            })?;
            match group {
                Some(Group::Instructions) => limits.instructions.push(limit),
                Some(Group::Calls) => limits.calls.push(limit),
                None => bail!("line {}: expected a section before it", index + 1),
            }
        }
        Ok(limits)
    }

    /// Compares what was measured with these limits.
    pub fn compare(&self, measured: &Self) -> Comparison {
        let mut rows = Vec::new();
        for group in Group::ALL {
            let (limits, found) = (self.of_group(group), measured.of_group(group));
            let number_in =
                |list: &Measured, name: &str| Some(list.iter().find(|(n, _)| n == name)?.1);
            for (name, number) in found {
                rows.push(Row {
                    group,
                    name: name.clone(),
                    measured: Some(*number),
                    limit: number_in(limits, name),
                });
            }
            for (name, limit) in limits {
                if number_in(found, name).is_none() {
                    rows.push(Row {
                        group,
                        name: name.clone(),
                        measured: None,
                        limit: Some(*limit),
                    });
                }
            }
        }
        Comparison(rows)
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{HEAD}")?;
        for group in Group::ALL {
            writeln!(f, "\n[{}]", group.name())?;
            for (name, number) in self.of_group(group) {
                writeln!(f, "{name} = {number}")?;
            }
        }
        Ok(())
    }
}

/// One number beside its limit.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    group: Group,
    name: String,
    measured: Option<u64>,
    limit: Option<u64>,
}

impl Row {
    /// By how much it is above the limit.
    fn difference_percent(&self) -> Option<f64> {
        let (measured, limit) = (self.measured? as f64, self.limit? as f64);
        match limit {
            0.0 if measured == 0.0 => Some(0.0),
            _ => Some((measured - limit) / limit * 100.0),
        }
    }

    /// What is wrong with it.
    fn verdict(&self) -> Verdict {
        match self.difference_percent() {
            None => Verdict::Unpaired,
            Some(percent) if percent > self.group.tolerance_percent() => Verdict::Above,
            Some(percent) if percent < -self.group.tolerance_percent() => Verdict::Below,
            Some(_) => Verdict::Held,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Held,
    Above,
    Below,
    /// It has no limit, or a limit has nothing that is measured.
    Unpaired,
}

/// All numbers beside their limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison(Vec<Row>);

impl Comparison {
    /// Fails where a limit is exceeded, or a name is in one list alone.
    pub fn check(&self) -> Result<()> {
        let of = |verdict: Verdict| {
            let rows = self.0.iter().filter(|row| row.verdict() == verdict);
            rows.map(|row| row.name.as_str()).collect::<Vec<_>>()
        };
        let (above, unpaired) = (of(Verdict::Above), of(Verdict::Unpaired));
        if !above.is_empty() {
            bail!(
                "these are above their limits: {}. Make the change cheaper; where it is worth what \
                 it costs, run `cargo xtask budget --update`, commit budget.toml, and give the \
                 reason in the message of the commit",
                above.join(", ")
            );
        }
        if !unpaired.is_empty() {
            bail!(
                "these are measured or have a limit, not both: {}. Run `cargo xtask budget \
                 --update` and commit budget.toml",
                unpaired.join(", ")
            );
        }
        Ok(())
    }

    /// Whether a number is so far below its limit that the limit hides an increase.
    pub fn has_loose_limits(&self) -> bool {
        self.0.iter().any(|row| row.verdict() == Verdict::Below)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |number: Option<u64>| number.map_or("none".to_owned(), |n| n.to_string());
        writeln!(
            f,
            "{:<32} {:>10} {:>10} {:>11}",
            "instructions or calls", "measured", "limit", "difference"
        )?;
        for row in &self.0 {
            let difference = row
                .difference_percent()
                .map_or(String::new(), |percent| format!("{percent:+.1} %"));
            let remark = match row.verdict() {
                Verdict::Held => "",
                Verdict::Above => "  ABOVE",
                Verdict::Below => "  below",
                Verdict::Unpaired => "  UNPAIRED",
            };
            let (measured, limit) = (number(row.measured), number(row.limit));
            writeln!(
                f,
                "{:<32} {measured:>10} {limit:>10} {difference:>11}{remark}",
                row.name
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn limits(instructions: &[(&str, u64)], calls: &[(&str, u64)]) -> Limits {
        let owned =
            |list: &[(&str, u64)]| list.iter().map(|(n, v)| ((*n).to_owned(), *v)).collect();
        Limits::of(owned(instructions), owned(calls))
    }

    #[test]
    fn the_file_is_read_as_it_is_written() {
        let written = limits(
            &[("checkout", 50_000), ("purchase", 90_000)],
            &[("commands", 0)],
        );
        assert_eq!(Limits::parse(&written.to_string()).unwrap(), written);
    }

    #[test]
    fn a_wrong_line_is_refused_with_its_number() {
        for (text, message) in [
            ("checkout = 1", "line 1: expected a section"),
            ("[calls]\nx = many", "line 2: expected `name = number`"),
            ("\n[call]", "line 2: expected [instructions] or [calls]"),
        ] {
            let error = Limits::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }

    #[test]
    fn instructions_may_differ_by_five_percent_and_calls_by_nothing() {
        let limit = limits(&[("checkout", 1_000)], &[("commands", 2)]);
        let check = |instructions, calls| {
            let found = limits(&[("checkout", instructions)], &[("commands", calls)]);
            let comparison = limit.compare(&found);
            let error = comparison.check().err().map(|error| error.to_string());
            (error.unwrap_or_default(), comparison.has_loose_limits())
        };
        assert_eq!(check(1_050, 2), (String::new(), false));
        assert_eq!(check(950, 2), (String::new(), false));
        assert_eq!(check(949, 2), (String::new(), true));
        assert_eq!(check(1_000, 1), (String::new(), true));
        let (error, _) = check(1_051, 2);
        assert!(
            error.starts_with("these are above their limits: checkout."),
            "{error}"
        );
        let (error, _) = check(1_000, 3);
        assert!(
            error.starts_with("these are above their limits: commands."),
            "{error}"
        );
        assert!(error.contains("cargo xtask budget --update"), "{error}");
    }

    #[test]
    fn a_limit_of_nothing_is_exceeded_by_one() {
        let limit = limits(&[], &[("operations", 0)]);
        assert!(limit.compare(&limit).check().is_ok());
        let found = limits(&[], &[("operations", 1)]);
        assert!(limit.compare(&found).check().is_err());
    }

    #[test]
    fn a_case_without_a_limit_and_a_limit_without_a_case_fail() {
        let (some, none) = (limits(&[("checkout", 1)], &[]), limits(&[], &[]));
        for (limit, found) in [(&some, &none), (&none, &some)] {
            let error = limit.compare(found).check().unwrap_err().to_string();
            assert!(error.contains("not both: checkout."), "{error}");
        }
    }
}

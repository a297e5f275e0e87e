//! The table of examples in the READMEs, made from the headers.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use similar::TextDiff;

use crate::workspace::{self, Example};

const FILES: [&str; 2] = ["README.md", "README.zh-CN.md"];
const BEGIN: &str = "<!-- examples: made by `cargo run -p smoke -- readme` -->\n";
const END: &str = "<!-- end of examples -->";

/// Writes the table into every README.
pub fn write(examples: &[Example]) -> Result<()> {
    for (path, _, new) in updated(examples)? {
        fs::write(&path, new).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

/// Fails if a table is not what the headers say.
pub fn check(examples: &[Example]) -> Result<()> {
    for (path, old, new) in updated(examples)? {
        let diff = TextDiff::from_lines(&old, &new);
        let diff = diff
            .unified_diff()
            .context_radius(1)
            .header("as it is", "as the headers say")
            .to_string();
        ensure!(
            old == new,
            "{} is out of date; cargo run -p smoke -- readme\n{diff}",
            path.display()
        );
    }
    Ok(())
}

/// Every README with its text and what the text should be.
fn updated(examples: &[Example]) -> Result<Vec<(PathBuf, String, String)>> {
    let table = table(examples)?;
    let update = |name: &str| {
        let path = workspace::root().join(name);
        let old = workspace::read(&path)?;
        let parts = old
            .split_once(BEGIN)
            .and_then(|(head, rest)| Some((head, rest.split_once(END)?.1)));
        let (head, tail) = parts
            .with_context(|| format!("{name}: the lines {BEGIN:?} and {END:?} are missing"))?;
        let new = format!("{head}{BEGIN}\n{table}\n{END}{tail}");
        Ok((path, old, new))
    };
    FILES.iter().map(|name| update(name)).collect()
}

/// A section for each crate: what its list of examples says at its top, and a row for each of them.
fn table(examples: &[Example]) -> Result<String> {
    let mut table = String::new();
    let mut section = "";
    for example in examples {
        let Example {
            package,
            name,
            folder,
            path,
            header,
        } = example;
        if package != section {
            section = package;
            let main = workspace::read(&folder.join("src/lib.rs"))?;
            let title = main.lines().next().unwrap_or_default();
            let title = title.trim_start_matches("//! ");
            let lead = if table.is_empty() { "" } else { "\n" };
            table += &format!(
                "{lead}### {package}\n\n{title}\n\n| Python | example | command |\n|---|---|---|\n"
            );
        }
        let python = header.python.replace('|', "\\|");
        let title = header.title.trim_end_matches('.');
        table += &format!(
            "| {python} | [{title}]({package}/{path}) | `cargo run -p {package} -- {name}` |\n"
        );
    }
    Ok(table)
}

//! The comment at the top of an example or one-file block, and its rules.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};

use crate::files;

/// The keys that any header may have.
const KEYS: &[&str] = &["Python", "Differs", "Order", "Needs", "Platform"];

/// The keys for running an example: its arguments, and whether it runs until it is stopped.
const PROGRAM_KEYS: &[&str] = &["Usage", "Serves"];

/// The key for what `by_hand` lacks and the library adds.
const BY_HAND_KEY: &str = "Lacks";

/// The length of a title.
const TITLE: usize = 80;

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Header {
    pub title: String,
    keys: BTreeMap<String, String>,
    /// The manifest between the fences, without `[package]`.
    pub manifest: String,
    /// What breaks the rules, with line numbers.
    wrong: Vec<(usize, String)>,
}

impl Header {
    pub fn read(path: &Path) -> Result<Header> {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        Ok(Header::parse(&name, &files::read(path)?))
    }

    /// Parses the header of the file with this name. Mistakes are kept for [`Header::check`].
    pub fn parse(name: &str, source: &str) -> Header {
        let mut header = Header::default();
        let (mut fenced, mut last) = (false, None);
        for (line, number) in comment(source).zip(1..) {
            match line {
                title if number == 1 => header.title = title.to_owned(),
                "```cargo" => fenced = true,
                "```" if fenced => fenced = false,
                line if fenced => header.manifest += &format!("{line}\n"),
                line => match (key(line), &last) {
                    (Some((key, value)), _) => {
                        header.add(name, number, key, value);
                        last = Some(key.to_owned());
                    }
                    (None, Some(key)) if line.starts_with(' ') => {
                        let value = header.keys.entry(key.clone()).or_default();
                        *value = format!("{value} {}", line.trim());
                    }
                    _ => last = None,
                },
            }
        }
        if !header.title.ends_with('.') {
            let wrong = "the first line is not a title, a sentence with a full stop";
            header.wrong.push((1, wrong.to_owned()));
        }
        let length = header.title.chars().count();
        if length > TITLE {
            let wrong = format!("the title has {length} characters; at most {TITLE} fit a table");
            header.wrong.push((1, wrong));
        }
        if header.python().is_empty() {
            header
                .wrong
                .push((1, "the key Python is missing".to_owned()));
        }
        if !header.manifest.starts_with("[dependencies]") {
            let wrong = "a ```cargo block that begins with [dependencies] is missing";
            header.wrong.push((1, wrong.to_owned()));
        }
        header
    }

    fn add(&mut self, name: &str, number: usize, key: &str, value: &str) {
        let by_hand = name.starts_with("by_hand");
        let known = [KEYS, PROGRAM_KEYS].concat().contains(&key);
        let mut wrong = vec![];
        if !(known || by_hand && key == BY_HAND_KEY) {
            let mut keys = [KEYS, PROGRAM_KEYS].concat();
            keys.extend(by_hand.then_some(BY_HAND_KEY));
            wrong.push(format!(
                "unknown key {key}; a header has {}",
                keys.join(", ")
            ));
        }
        if key == "Needs" && !value.strip_suffix(".rs").is_some_and(is_file) {
            let rule = "Needs names one file of this section, such as popen.rs";
            wrong.push(format!("{rule}, not '{value}'; share more as a library"));
        }
        if self.keys.insert(key.to_owned(), value.to_owned()).is_some() {
            wrong.push(format!("a second {key}"));
        }
        self.wrong
            .extend(wrong.into_iter().map(|wrong| (number, wrong)));
    }

    /// The value of a key with its lines joined, or an empty string.
    pub fn key(&self, key: &str) -> &str {
        self.keys.get(key).map_or("", String::as_str)
    }

    pub fn python(&self) -> &str {
        self.key("Python")
    }

    /// The block that it uses, such as `popen`.
    pub fn needs(&self) -> Vec<&str> {
        self.key("Needs").strip_suffix(".rs").into_iter().collect()
    }

    /// The alternative arguments of `Usage: NAME [a | b]`; the trace is the same for all.
    pub fn variants(&self) -> Vec<&str> {
        demo::variants(self.key("Usage"))
    }

    /// Whether it runs until it is stopped.
    pub fn serves(&self) -> bool {
        self.keys.contains_key("Serves")
    }

    /// Whether it starts Python programs: its `Platform` names python3.
    pub fn needs_python(&self) -> bool {
        self.key("Platform").contains("python3")
    }

    /// The dependencies of the manifest, with their versions and features.
    pub fn dependencies(&self) -> Result<toml::Table> {
        let manifest: toml::Table = self.manifest.parse().context("the ```cargo block")?;
        match manifest.get("dependencies") {
            Some(toml::Value::Table(table)) => Ok(table.clone()),
            None => Ok(toml::Table::new()),
            Some(_) => bail!("[dependencies] is not a table"),
        }
    }

    /// Returns a line `file:line: what` for each broken rule. `versions` is `[workspace.dependencies]`.
    pub fn check(&self, file: &str, versions: &toml::Table) -> Vec<String> {
        let wrong = self.wrong.iter();
        let mut wrong: Vec<String> = wrong
            .map(|(line, what)| format!("{file}:{line}: {what}"))
            .collect();
        match self.dependencies() {
            Err(error) => wrong.push(format!("{file}:1: {error:#}")),
            Ok(dependencies) => wrong.extend(
                dependencies
                    .iter()
                    .filter_map(|(name, value)| same_version(name, value, versions).err())
                    .map(|error| format!("{file}:1: {error:#}")),
            ),
        }
        wrong
    }
}

/// Whether it is the name of a module.
fn is_file(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// The lines of the comment at the top of a file.
fn comment(source: &str) -> impl Iterator<Item = &str> {
    source
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
}

/// Splits `Key: value`.
fn key(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(':')?;
    let capital = key.starts_with(|c: char| c.is_ascii_uppercase());
    let word = key.chars().all(|c| c.is_ascii_alphabetic());
    let ends = value.is_empty() || value.starts_with(' ');
    (capital && word && ends).then_some((key, value.trim()))
}

fn same_version(name: &str, value: &toml::Value, versions: &toml::Table) -> Result<()> {
    let version = |value: &toml::Value| {
        let version = value.get("version").unwrap_or(value).as_str();
        version.map(str::to_owned)
    };
    let workspace = versions
        .get(name)
        .ok_or_else(|| anyhow!("{name} is not in [workspace.dependencies]"))?;
    match (version(value), version(workspace)) {
        (here, there) if here == there => Ok(()),
        (here, there) => {
            let show = |version: Option<String>| version.unwrap_or("without a version".to_owned());
            bail!(
                "{name} is {} here and {} in the workspace",
                show(here),
                show(there)
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "//! Two go.
//!
//! Python:  `x()`
//!          and `y()`
//! Differs: not at all.
//! Needs:   pipe.rs
//!
//! Prose.
//!
//! ```cargo
//! [dependencies]
//! anyhow = \"1\"
//! ```

use x;
";

    fn wrong(name: &str, line: &str) -> Vec<String> {
        let source = SOURCE.replace("//! Differs: not at all.", line);
        let versions: toml::Table = "anyhow = \"1\"\ntokio = { version = \"1.2\" }"
            .parse()
            .unwrap();
        Header::parse(name, &source).check("f.rs", &versions)
    }

    #[test]
    fn headers_are_read() {
        let header = Header::parse("f", SOURCE);
        assert_eq!(header.title, "Two go.");
        assert_eq!(header.python(), "`x()` and `y()`");
        assert_eq!(header.needs(), ["pipe"]);
        assert_eq!(header.manifest, "[dependencies]\nanyhow = \"1\"\n");
        assert!(wrong("f", "//! Differs: not at all.").is_empty());
    }

    #[test]
    fn other_keys_are_refused_with_their_place() {
        let keys = "a header has Python, Differs, Order, Needs, Platform, Usage, Serves";
        assert_eq!(
            wrong("f", "//! Colour: red"),
            [format!("f.rs:5: unknown key Colour; {keys}")]
        );
        assert_eq!(
            wrong("f", "//! Lacks: all"),
            [format!("f.rs:5: unknown key Lacks; {keys}")]
        );
        assert!(wrong("by_hand", "//! Lacks: all").is_empty());
        assert!(wrong("f", "//! `a::B`: prose").is_empty());
    }

    #[test]
    fn versions_are_those_of_the_workspace() {
        let with = |line: &str| {
            let source = SOURCE.replace("//! anyhow = \"1\"", line);
            let versions = "anyhow = \"1\"\ntokio = { version = \"1.2\" }"
                .parse()
                .unwrap();
            Header::parse("f", &source).check("f.rs", &versions)
        };
        assert!(with("//! tokio = { version = \"1.2\", features = [\"rt\"] }").is_empty());
        assert_eq!(
            with("//! anyhow = \"2\""),
            ["f.rs:1: anyhow is 2 here and 1 in the workspace"]
        );
        assert_eq!(
            with("//! other = \"2\""),
            ["f.rs:1: other is not in [workspace.dependencies]"]
        );
    }

    #[test]
    fn python_is_a_matter_of_the_platform() {
        let header = |line| Header::parse("f", &SOURCE.replace("Differs: not at all", line));
        assert!(!header("Platform: Linux").needs_python());
        assert!(header("Platform: Linux; starts python3").needs_python());
    }
}

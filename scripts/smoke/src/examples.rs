//! EXAMPLES.md and EXAMPLES.zh-CN.md: every example by section, and an index of Python names.
//!
//! The sections come from the headers and crate docs, the index from `index.toml`, the Chinese texts from `zh.toml`.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use similar::TextDiff;
use toml::{Table, Value};

use crate::workspace::{self, Example};

/// A page's language: its words, and the texts that replace the English ones.
struct Language {
    file: &'static str,
    other: &'static str,
    title: &'static str,
    intro: &'static str,
    example: &'static str,
    colon: &'static str,
    index: &'static str,
    index_intro: &'static str,
    /// `[sections]`, `[titles]` and `[index]`; `None` for the English page.
    texts: Option<Table>,
}

/// An entry of the index.
struct Entry {
    name: String,
    see: Vec<String>,
    text: String,
}

/// Writes the pages, and says which texts they lack.
pub fn write(examples: &[Example], say: impl Fn(&str) -> Result<()>) -> Result<()> {
    let mut missing = vec![];
    for (path, text) in pages(examples, &mut missing)? {
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        say(&format!("wrote {}", path.display()))?;
    }
    missing
        .iter()
        .try_for_each(|name| say(&format!("zh.toml lacks {name}")))
}

/// Fails if a page is out of date, or lacks a text.
pub fn check(examples: &[Example]) -> Result<()> {
    let mut missing = vec![];
    for (path, new) in pages(examples, &mut missing)? {
        let old = fs::read_to_string(&path).unwrap_or_default();
        let diff = TextDiff::from_lines(&old, &new);
        let diff = diff
            .unified_diff()
            .context_radius(1)
            .header("as committed", "as generated")
            .to_string();
        let path = path.display();
        ensure!(
            old == new,
            "{path} is out of date; run `cargo run -p smoke -- examples`\n{diff}"
        );
    }
    ensure!(
        missing.is_empty(),
        "zh.toml lacks:\n  {}",
        missing.join("\n  ")
    );
    Ok(())
}

/// Returns the two pages, and adds the names of the texts without a translation to `missing`.
fn pages(examples: &[Example], missing: &mut Vec<String>) -> Result<[(PathBuf, String); 2]> {
    let english = Language {
        file: "EXAMPLES.md",
        other: "[中文](EXAMPLES.zh-CN.md)",
        title: "Examples",
        intro: "Every example by section, then an [index of Python names](#index-of-python-names). `cargo run -p pool_demo` \
                runs a section, `cargo run -p pool_demo -- map` one example.",
        example: "example",
        colon: ": ",
        index: "Index of Python names",
        index_intro: "Each name leads to an example that shows it in Rust, or to what replaces it.",
        texts: None,
    };
    let folder = workspace::root().join("scripts/smoke");
    let chinese = Language {
        file: "EXAMPLES.zh-CN.md",
        other: "[English](EXAMPLES.md)",
        title: "示例",
        intro: "先按章节列出全部示例，再是 [Python 名称索引](#python-名称索引)。`cargo run -p pool_demo` 运行一节，\
                `cargo run -p pool_demo -- map` 运行一个示例。",
        example: "示例",
        colon: "：",
        index: "Python 名称索引",
        index_intro: "每个名称指向对应的 Rust 示例，或说明改用什么。",
        texts: Some(workspace::manifest(&folder.join("zh.toml"))?),
    };
    let index = read_index(workspace::manifest(&folder.join("index.toml"))?, examples)?;
    if let Some(texts) = &chinese.texts {
        check_names(texts, examples, &index)?;
    }
    let root = workspace::root();
    let page = |language: &Language, missing: &mut Vec<String>| -> Result<_> {
        Ok((
            root.join(language.file),
            page(language, examples, &index, missing)?,
        ))
    };
    Ok([page(&english, &mut vec![])?, page(&chinese, missing)?])
}

/// Fails if `zh.toml` translates a text that does not exist: it is left over, or its name is misspelt.
fn check_names(texts: &Table, examples: &[Example], index: &[Entry]) -> Result<()> {
    for (table, texts) in texts {
        for name in texts.as_table().into_iter().flat_map(Table::keys) {
            let known = match table.as_str() {
                "sections" => examples.iter().any(|example| example.package == *name),
                "titles" => examples.iter().any(|example| example.full_name() == *name),
                "index" => index
                    .iter()
                    .any(|entry| entry.name == *name && !entry.text.is_empty()),
                _ => false,
            };
            ensure!(
                known,
                "zh.toml: [{table}] has {name:?}, which has no English text"
            );
        }
    }
    Ok(())
}

impl Language {
    /// The text in this language, or in English if there is no translation.
    fn text(&self, table: &str, name: &str, english: &str, missing: &mut Vec<String>) -> String {
        let Some(texts) = &self.texts else {
            return english.to_owned();
        };
        let text = texts.get(table).and_then(|table| table.get(name));
        match text.and_then(Value::as_str) {
            Some(text) => text.to_owned(),
            None => {
                missing.push(format!("[{table}] {name:?}: {english}"));
                english.to_owned()
            }
        }
    }
}

fn page(
    language: &Language,
    examples: &[Example],
    index: &[Entry],
    missing: &mut Vec<String>,
) -> Result<String> {
    let Language {
        other,
        title,
        intro,
        colon,
        ..
    } = language;
    let mut page = format!(
        "<!-- Made by `cargo run -p smoke -- examples`; change the headers, index.toml or zh.toml instead. -->\n\n\
         # {title}\n\n{other}\n\n{intro}\n"
    );
    for section in examples.chunk_by(|one, other| one.package == other.package) {
        let package = &section[0].package;
        let english = intro_of(&section[0])?;
        let intro = language.text("sections", package, &english, missing);
        page += &format!(
            "\n## {package}\n\n{intro}\n\n| Python | {} | |\n|---|---|---|\n",
            language.example
        );
        for example in section {
            let english = example.header.title.trim_end_matches('.');
            let title = language.text("titles", &example.full_name(), english, missing);
            let python = example.header.python().replace('|', "\\|");
            let name = &example.name;
            let mut links = format!("[Rust]({package}/{})", example.path);
            if example.twin().is_some() {
                links += &format!(" · [Python]({package}/python/{name}.py)");
            }
            links += &format!(" · [trace]({package}/traces/{name}.trace)");
            page += &format!(
                "| {python} | **{name}**{colon}{} | {links} |\n",
                title.replace('|', "\\|")
            );
        }
    }
    page += &format!("\n## {}\n\n{}\n", language.index, language.index_intro);
    let mut letter = None;
    for entry in index {
        let first = entry
            .name
            .chars()
            .find(|c| c.is_alphanumeric())
            .unwrap_or('?');
        let first = first.to_ascii_uppercase();
        if letter != Some(first) {
            page += &format!("\n### {first}\n\n| Python | Rust |\n|---|---|\n");
            letter = Some(first);
        }
        let text = match entry.text.as_str() {
            "" => String::new(),
            text => language.text("index", &entry.name, text, missing),
        };
        let links = entry.see.iter().filter_map(|name| {
            let example = examples
                .iter()
                .find(|example| example.full_name() == *name)?;
            let (package, path) = (&example.package, &example.path);
            Some(format!("[{package}/{}]({package}/{path})", example.name))
        });
        let links = links.collect::<Vec<_>>().join(", ");
        let parts = [text, links].into_iter().filter(|part| !part.is_empty());
        let row = parts.collect::<Vec<_>>().join(colon).replace('|', "\\|");
        page += &format!("| `{}` | {row} |\n", entry.name);
    }
    Ok(page)
}

/// The first paragraph of the crate docs.
fn intro_of(example: &Example) -> Result<String> {
    let docs = workspace::read(&example.folder.join("src/lib.rs"))?;
    let lines = docs.lines().map_while(|line| line.strip_prefix("//! "));
    Ok(lines.collect::<Vec<_>>().join(" "))
}

/// The entries in alphabetical order. The TOML parser itself rejects duplicate names.
fn read_index(table: Table, examples: &[Example]) -> Result<Vec<Entry>> {
    let mut entries = BTreeMap::new();
    let mut wrong = vec![];
    for (name, value) in table {
        let (see, text) = match &value {
            Value::Table(fields) => {
                if let Some(field) = fields
                    .keys()
                    .find(|field| !["see", "text"].contains(&field.as_str()))
                {
                    wrong.push(format!("{name:?}: unknown field {field}, not see or text"));
                }
                (
                    fields.get("see"),
                    fields.get("text").and_then(Value::as_str),
                )
            }
            see => (Some(see), None),
        };
        let see = match see {
            Some(Value::String(see)) => vec![see.clone()],
            Some(Value::Array(list)) => list
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            _ => vec![],
        };
        let is_example =
            |name: &&String| examples.iter().any(|example| example.full_name() == **name);
        if let Some(unknown) = see.iter().find(|name| !is_example(name)) {
            wrong.push(format!("{name:?}: there is no example {unknown}"));
        }
        let text = text.unwrap_or_default().to_owned();
        if see.is_empty() && text.is_empty() {
            wrong.push(format!("{name:?} has neither an example nor a text"));
        }
        // Names that differ only in case sort next to each other.
        let key = (name.trim_start_matches('_').to_lowercase(), name.clone());
        entries.insert(key, Entry { name, see, text });
    }
    if !wrong.is_empty() {
        bail!("index.toml:\n  {}", wrong.join("\n  "));
    }
    Ok(entries.into_values().collect())
}

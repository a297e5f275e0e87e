//! Makes a crate of its own from an example or a one-file block.
//!
//! The crate contains the file, the block and the library crates that it uses, a test, licences, and a manifest that
//! does not depend on this workspace.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context, Result, bail, ensure};
use toml::{Table, Value};

use crate::header::Header;
use crate::workspace::{self, Example};

/// What can be copied.
#[derive(Debug, Clone)]
pub enum Item {
    Example(Example),
    Block(Block),
}

/// A type in one file, which examples of its section use.
#[derive(Debug, Clone)]
pub struct Block {
    pub package: String,
    pub name: String,
    pub path: PathBuf,
    pub header: Header,
}

/// Features that the example does not use, but a program grown from it soon will.
const NEXT: &[(&str, &[&str])] = &[
    ("serde", &["derive"]),
    ("tokio", &["macros", "rt-multi-thread", "time"]),
];

/// The files of a crate, by their paths below its folder.
pub type Files = BTreeMap<PathBuf, String>;

impl Item {
    /// Everything that can be copied: the examples, then the blocks.
    pub fn all() -> Result<Vec<Item>> {
        let examples = workspace::examples()?;
        let blocks = blocks(&examples)?.into_iter().map(Item::Block);
        Ok(examples
            .into_iter()
            .map(Item::Example)
            .chain(blocks)
            .collect())
    }

    pub fn package(&self) -> &str {
        match self {
            Item::Example(example) => &example.package,
            Item::Block(block) => &block.package,
        }
    }

    pub fn name(&self) -> &str {
        match self {
            Item::Example(example) => &example.name,
            Item::Block(block) => &block.name,
        }
    }

    pub fn header(&self) -> &Header {
        match self {
            Item::Example(example) => &example.header,
            Item::Block(block) => &block.header,
        }
    }

    fn source(&self) -> PathBuf {
        match self {
            Item::Example(example) => example.source(),
            Item::Block(block) => block.path.clone(),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Item::Example(_) => "example",
            Item::Block(_) => "block",
        }
    }

    /// The file in the new crate.
    pub fn root(&self) -> &'static str {
        match self {
            Item::Example(_) => "src/main.rs",
            Item::Block(_) => "src/lib.rs",
        }
    }

    /// The blocks that it uses, with their files.
    fn needs(&self) -> Vec<(String, PathBuf)> {
        match self {
            Item::Example(example) => example.blocks(),
            Item::Block(block) => {
                workspace::blocks(&workspace::root().join(&block.package), &block.header)
            }
        }
    }
}

/// The one-file blocks of the demo crates: files with a header that are not examples.
fn blocks(examples: &[Example]) -> Result<Vec<Block>> {
    let mut blocks = vec![];
    for folder in workspace::demo_folders()? {
        let package = folder.file_name().unwrap_or_default().to_string_lossy();
        let source = folder.join("src");
        let entries =
            fs::read_dir(&source).with_context(|| format!("read {}", source.display()))?;
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            let name = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let is_example = examples.iter().any(|example| example.source() == path);
            let is_source = path.extension().is_some_and(|extension| extension == "rs");
            if is_source && !is_example && !["lib", "main"].contains(&&*name) {
                let header = Header::read(&path)?;
                let package = package.clone().into_owned();
                blocks.push(Block {
                    package,
                    name,
                    path,
                    header,
                });
            }
        }
    }
    Ok(blocks)
}

/// The parts of the workspace's manifest that copies need.
pub struct Workspace {
    root: PathBuf,
    package: Table,
    dependencies: Table,
    lints: Table,
    project: String,
}

impl Workspace {
    pub fn read() -> Result<Workspace> {
        let root = workspace::root();
        let mut manifest = workspace::manifest(&root.join("Cargo.toml"))?;
        let Some(Value::Table(mut workspace)) = manifest.remove("workspace") else {
            bail!("Cargo.toml has no [workspace]");
        };
        let mut table = |name| match workspace.remove(name) {
            Some(Value::Table(table)) => Ok(table),
            _ => bail!("Cargo.toml has no [workspace.{name}]"),
        };
        let readme = workspace::read(&root.join("README.md"))?;
        let project = readme.lines().find_map(|line| line.strip_prefix("# "));
        Ok(Workspace {
            package: table("package")?,
            dependencies: table("dependencies")?,
            lints: table("lints")?,
            project: project.unwrap_or("this project").to_owned(),
            root,
        })
    }

    /// The folder of a library crate, relative to the workspace's root; `None` for a crate from the registry.
    fn library(&self, name: &str) -> Option<&str> {
        let path = self.dependencies.get(name)?.get("path")?.as_str()?;
        path.starts_with("crates/").then_some(path)
    }

    /// The library crates among these dependencies, and those that they depend on.
    fn libraries(&self, dependencies: &Table) -> Result<BTreeSet<String>> {
        let mut found = BTreeSet::new();
        let mut open: Vec<String> = dependencies.keys().cloned().collect();
        while let Some(name) = open.pop() {
            if let Some(path) = self.library(&name)
                && found.insert(name)
            {
                let manifest = workspace::manifest(&self.root.join(path).join("Cargo.toml"))?;
                if let Some(Value::Table(dependencies)) = manifest.get("dependencies") {
                    open.extend(dependencies.keys().cloned());
                }
            }
        }
        Ok(found)
    }

    /// The files of a new crate without its libraries, which are in the folder `libraries`, relative to the crate.
    pub fn files(&self, item: &Item, name: &str, libraries: &str) -> Result<Files> {
        let mut files = Files::new();
        files.insert(".gitignore".into(), "/target\n".to_owned());
        for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
            files.insert(licence.into(), workspace::read(&self.root.join(licence))?);
        }
        let needs = item.needs();
        let modules: Vec<&str> = needs.iter().map(|(name, _)| name.as_str()).collect();
        let source = workspace::read(&item.source())?;
        let mut tests = split_tests(&source).tests;
        let source = self.with_origin(&source, item.kind(), item.package(), item.name());
        files.insert(item.root().into(), with_modules(&source, modules));
        for (name, path) in &needs {
            for (below, text) in sources(path)? {
                tests += &split_tests(&text).tests;
                let text = self.with_origin(&text, "block", item.package(), name);
                let path = match below.as_os_str().is_empty() {
                    true => Path::new("src").join(name).with_extension("rs"),
                    false => Path::new("src").join(name).join(below),
                };
                files.insert(path, text);
            }
        }
        let manifest = self.manifest(item, name, libraries)? + &self.for_tests(item, &tests)?;
        files.insert("Cargo.toml".into(), manifest);
        if let Item::Example(example) = item {
            files.insert("tests/run.rs".into(), test(name, example.header.serves()));
        }
        Ok(files)
    }

    fn manifest(&self, item: &Item, name: &str, libraries: &str) -> Result<String> {
        let manifest: Table = item
            .header()
            .manifest
            .parse()
            .context("the ```cargo block")?;
        let key = |key| {
            self.package
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let mut text = format!(
            "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"{}\"\nrust-version = \"{}\"\n",
            key("edition"),
            key("rust-version")
        );
        for (table, value) in manifest {
            let Value::Table(mut values) = value else {
                bail!("the ```cargo block: {table} is not a table");
            };
            for (name, value) in &mut values {
                let mut fields = fields(value);
                if let Some((_, features)) = NEXT.iter().find(|(next, _)| next == name) {
                    add_features(&mut fields, features);
                }
                if let Some(path) = self.library(name) {
                    let path = path.strip_prefix("crates").unwrap_or(path);
                    fields.insert("path".to_owned(), format!("{libraries}{path}").into());
                }
                *value = fields.into();
            }
            text += &print_table(&table, &values);
        }
        Ok(text)
    }

    /// The dependencies that only the files' tests use, with the section's features.
    fn for_tests(&self, item: &Item, tests: &str) -> Result<String> {
        let path = self.root.join(item.package()).join("Cargo.toml");
        let manifest = workspace::manifest(&path)?;
        let own = item.header().dependencies()?;
        let mut table = Table::new();
        for dependencies in ["dependencies", "dev-dependencies"] {
            let dependencies = manifest.get(dependencies).and_then(Value::as_table);
            for (name, value) in dependencies.into_iter().flatten() {
                let here = value.get("features").is_none() && own.contains_key(name);
                if uses(tests, name) && !here {
                    table.insert(name.clone(), self.inherit(name, value)?);
                }
            }
        }
        Ok(match table.is_empty() {
            true => String::new(),
            false => print_table("dev-dependencies", &table),
        })
    }

    /// The source of a file, with a line about its origin in place of the manifest.
    fn with_origin(&self, source: &str, kind: &str, package: &str, name: &str) -> String {
        let version = self
            .package
            .get("version")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let licence = self
            .package
            .get("license")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let project = &self.project;
        let origin = format!(
            "//! From \"{project}\", {kind} {package}/{name}, version {version}, {licence}.\n"
        );
        let (before, rest) = match source.split_once("//! ```cargo\n") {
            Some((before, rest)) => (
                before,
                rest.split_once("//! ```\n").map_or("", |(_, rest)| rest),
            ),
            None => ("", source),
        };
        format!("{before}{origin}{rest}")
    }

    /// The files of all library crates that the item uses, below the folder of the libraries, without their tests and
    /// dev-dependencies.
    pub fn library_files(&self, item: &Item) -> Result<Files> {
        let mut files = Files::new();
        for name in self.libraries(&item.header().dependencies()?)? {
            let Some(path) = self.library(&name) else {
                continue;
            };
            let folder = self.root.join(path);
            let home = Path::new(path)
                .strip_prefix("crates")
                .unwrap_or(Path::new(path));
            let mut absent = vec![];
            for (below, text) in sources(&folder.join("src"))? {
                let Split {
                    source, modules, ..
                } = split_tests(&text);
                let path = home.join("src").join(&below);
                // `mod` lines refer to the file's own folder, or for `ring.rs` to the folder `ring`.
                let stem = below.file_stem().unwrap_or_default();
                let inside = match ["lib", "main", "mod"].iter().any(|name| stem == *name) {
                    true => path.parent().unwrap_or(Path::new("")).to_owned(),
                    false => path.with_extension(""),
                };
                absent.extend(modules.iter().map(|module| inside.join(module)));
                files.insert(path, source);
            }
            // The files of `#[cfg(test)] mod name;`.
            files.retain(|path, _| {
                let is = |module: &PathBuf| {
                    path.starts_with(module) || *path == module.with_extension("rs")
                };
                !absent.iter().any(is)
            });
            for name in ["README.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT"] {
                if let Ok(text) = fs::read_to_string(folder.join(name)) {
                    files.insert(home.join(name), text);
                }
            }
            let manifest = workspace::manifest(&folder.join("Cargo.toml"))?;
            files.insert(home.join("Cargo.toml"), self.library_manifest(manifest)?);
        }
        Ok(files)
    }

    /// The manifest of a library crate with the values that it inherits from the workspace.
    fn library_manifest(&self, mut manifest: Table) -> Result<String> {
        let mut text = String::new();
        if let Some(Value::Table(package)) = manifest.get_mut("package") {
            for (key, value) in package.iter_mut() {
                if value.get("workspace").is_some() {
                    let inherited = self.package.get(key);
                    *value = inherited
                        .with_context(|| format!("no {key} to inherit"))?
                        .clone();
                }
            }
            text = print_table("package", package).trim_start().to_owned();
        }
        if let Some(features) = manifest.get("features").and_then(Value::as_table) {
            text += &print_table("features", features);
        }
        if let Some(Value::Table(dependencies)) = manifest.get("dependencies") {
            let inherit =
                |(name, value): (&String, &Value)| Ok((name.clone(), self.inherit(name, value)?));
            let dependencies: Table = dependencies.iter().map(inherit).collect::<Result<_>>()?;
            text += &print_table("dependencies", &dependencies);
        }
        for (tool, lints) in &self.lints {
            if let Value::Table(lints) = lints {
                text += &print_table(&format!("lints.{tool}"), lints);
            }
        }
        Ok(text)
    }

    /// A dependency with `workspace = true` replaced by the workspace's fields.
    fn inherit(&self, name: &str, value: &Value) -> Result<Value> {
        if value.get("workspace").is_none() {
            return Ok(value.clone());
        }
        let inherited = self.dependencies.get(name);
        let mut inherited = fields(inherited.with_context(|| format!("no {name} to inherit"))?);
        for (key, value) in value.as_table().into_iter().flatten() {
            match (key.as_str(), value) {
                ("workspace", _) => {}
                ("features", Value::Array(features)) => {
                    let features: Vec<&str> = features.iter().filter_map(Value::as_str).collect();
                    add_features(&mut inherited, &features);
                }
                _ => {
                    inherited.insert(key.clone(), value.clone());
                }
            }
        }
        if let Some(path) = self.library(name) {
            let path = path.strip_prefix("crates").unwrap_or(path);
            inherited.insert("path".to_owned(), format!("..{path}").into());
        }
        Ok(inherited.into())
    }
}

/// The fields of a dependency: `"1"` is `{ version = "1" }`.
fn fields(dependency: &Value) -> Table {
    match dependency {
        Value::Table(table) => table.clone(),
        version => Table::from_iter([("version".to_owned(), version.clone())]),
    }
}

fn add_features(fields: &mut Table, more: &[&str]) {
    let features = fields.get("features").and_then(Value::as_array);
    let names = features.into_iter().flatten().filter_map(Value::as_str);
    let names: BTreeSet<&str> = names.chain(more.iter().copied()).collect();
    let names: Vec<&str> = names.into_iter().collect();
    fields.insert("features".to_owned(), names.into());
}

/// A table of a manifest, each value on one line.
fn print_table(name: &str, values: &Table) -> String {
    let mut text = format!("\n[{name}]\n");
    let mut values: Vec<_> = values.iter().collect();
    // By convention a package's name and version come first.
    let first = ["name", "version"];
    values.sort_by_key(|(key, _)| {
        first
            .iter()
            .position(|first| key == first)
            .unwrap_or(first.len())
    });
    for (key, value) in values {
        let value = match value {
            Value::Table(fields) => match fields.get("version") {
                Some(version) if fields.len() == 1 => version.to_string(),
                _ => {
                    let mut fields: Vec<_> = fields.iter().collect();
                    fields.sort_by_key(|(key, _)| *key != "version");
                    let fields = fields.iter().map(|(key, value)| format!("{key} = {value}"));
                    format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
                }
            },
            value => value.to_string(),
        };
        text += &format!("{key} = {value}\n");
    }
    text
}

/// A file, or the files of a folder, with their paths below it.
fn sources(path: &Path) -> Result<Vec<(PathBuf, String)>> {
    if !path.is_dir() {
        return Ok(vec![(PathBuf::new(), workspace::read(path)?)]);
    }
    let mut files = vec![];
    for entry in fs::read_dir(path).with_context(|| format!("read {}", path.display()))? {
        let entry = entry.with_context(|| format!("read {}", path.display()))?;
        for (below, text) in sources(&entry.path())? {
            let name = Path::new(&entry.file_name()).to_owned();
            let below = if below.as_os_str().is_empty() {
                name
            } else {
                name.join(below)
            };
            files.push((below, text));
        }
    }
    Ok(files)
}

/// A source without its test modules.
struct Split {
    source: String,
    tests: String,
    /// The names of the test modules that are separate files.
    modules: Vec<String>,
}

/// Removes the modules marked `#[cfg(test)]`. Relies on rustfmt: a module ends with a `}` in the first column.
fn split_tests(text: &str) -> Split {
    let (mut source, mut tests, mut modules) = (String::new(), String::new(), vec![]);
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let module = lines.peek().and_then(|next| next.strip_prefix("mod "));
        let is_for_tests = line == "#[cfg(test)]" || line.starts_with("#[cfg(all(test,");
        let (true, Some(module)) = (is_for_tests, module) else {
            source += &format!("{line}\n");
            continue;
        };
        if let Some(name) = module.strip_suffix(';') {
            modules.push(name.to_owned());
            lines.next();
        } else {
            let body = lines.by_ref().take_while(|line| *line != "}");
            tests.extend(body.map(|line| format!("{line}\n")));
        }
    }
    source.truncate(source.trim_end().len());
    source.push('\n');
    Split {
        source,
        tests,
        modules,
    }
}

/// Whether a source uses a crate: it contains `name::` as a whole word.
fn uses(source: &str, name: &str) -> bool {
    let path = name.replace('-', "_") + "::";
    source.match_indices(&path).any(|(at, _)| {
        let before = source[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
    })
}

/// Inserts a `mod` line for each block after the header.
fn with_modules(source: &str, mut blocks: Vec<&str>) -> String {
    if blocks.is_empty() {
        return source.to_owned();
    }
    let header = source.lines().take_while(|line| line.starts_with("//!"));
    let (header, rest) = source.split_at(header.map(|line| line.len() + 1).sum());
    blocks.sort_unstable();
    let modules: String = blocks
        .iter()
        .map(|block| {
            format!("#[allow(dead_code)] // It has more than this program uses.\nmod {block};\n")
        })
        .collect();
    format!("{header}\n{modules}{rest}")
}

/// The test of the new crate.
fn test(name: &str, serves: bool) -> String {
    let (what, arguments) = match serves {
        true => ("prints its options", ".arg(\"--help\")"),
        false => ("succeeds", ""),
    };
    format!(
        "//! Runs the program and checks that it {what}.

use std::process::Command;

const PROGRAM: &str = env!(\"CARGO_BIN_EXE_{name}\");

#[test]
fn program_succeeds() {{
    let output = Command::new(PROGRAM){arguments}.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), \"{{}}\\n{{stderr}}\", output.status);
}}
"
    )
}

/// Copies an example or block to a new folder; returns what was written and what to change first.
pub fn copy(item: &Item, folder: &Path) -> Result<String> {
    let workspace = Workspace::read()?;
    let folder = std::path::absolute(folder).context("find the folder")?;
    let name = folder
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    check_name(&name, &item.header().dependencies()?)?;
    match fs::read_dir(&folder) {
        Ok(mut entries) => {
            let empty = entries.next().is_none();
            ensure!(
                empty,
                "{} is not empty; name a new folder",
                folder.display()
            );
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("read {}", folder.display())),
    }
    let mut above = folder
        .ancestors()
        .skip(1)
        .filter_map(|parent| parent.canonicalize().ok());
    if let (Some(parent), Ok(root)) = (above.next(), workspace.root.canonicalize()) {
        let outside = !parent.starts_with(root);
        let folder = folder.display();
        ensure!(
            outside,
            "{folder} is inside this workspace; name a folder outside"
        );
    }
    let files = workspace.files(item, &name, "crates")?;
    let libraries = workspace.library_files(item)?;
    for (path, text) in &files {
        write(&folder.join(path), text)?;
    }
    for (path, text) in &libraries {
        write(&folder.join("crates").join(path), text)?;
    }
    let mut report = format!("{} is now an independent crate:\n", folder.display());
    let mut row = |path: &str, what: &str| {
        report += &format!("{}\n", format!("  {path:22} {what}").trim_end())
    };
    row(
        item.root(),
        &format!("{} {}/{}", item.kind(), item.package(), item.name()),
    );
    for (block, _) in item.needs() {
        row(&format!("src/{block}.rs"), "the block that it uses");
    }
    if files.contains_key(Path::new("tests/run.rs")) {
        row("tests/run.rs", "a test that runs the program");
    }
    for name in workspace.libraries(&item.header().dependencies()?)? {
        row(
            &format!("crates/{name}"),
            "a library that it stands on, without its tests",
        );
    }
    row("Cargo.toml", "its dependencies");
    row("LICENSE-*, .gitignore", "");
    let own = own_names(&files[Path::new(item.root())]);
    if matches!(item, Item::Example(_)) && !own.is_empty() {
        report += &format!("To adapt it, change in {}: {own}.\n", item.root());
    }
    let run = match item {
        Item::Example(example) if example.header.serves() => "cargo run -- --help",
        Item::Example(_) => "cargo run",
        Item::Block(_) => "cargo test",
    };
    Ok(format!("{}Now: cd {} && {run}", report, folder.display()))
}

/// The constants, functions and types of a source, as `const ROUNDS, fn child`.
fn own_names(source: &str) -> String {
    let Split { source, .. } = split_tests(source);
    let mut names = vec![];
    for line in source.lines() {
        let line = line.strip_prefix("pub ").unwrap_or(line);
        let line = line.strip_prefix("async ").unwrap_or(line);
        let kinds = ["const ", "static ", "struct ", "enum ", "fn "];
        for kind in kinds {
            let name = line.strip_prefix(kind).unwrap_or_default();
            let name = name
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .next()
                .unwrap_or_default();
            if !name.is_empty() && name != "main" && name != "SECOND" {
                names.push((
                    kinds.iter().position(|other| *other == kind),
                    format!("{kind}{name}"),
                ));
            }
        }
    }
    names.sort_by_key(|(kind, _)| *kind);
    names
        .into_iter()
        .map(|(_, name)| name)
        .collect::<Vec<_>>()
        .join(", ")
}

fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    }
    fs::write(path, text).with_context(|| format!("write {}", path.display()))
}

/// The names that cargo or rustc reserve.
const RESERVED: &str = "abstract alloc as async await become box break build const continue core crate deps do dyn else enum \
    examples extern false final fn for gen if impl in incremental let loop macro match mod move mut override priv proc_macro pub ref return \
    self static std struct super test trait true try type typeof unsafe unsized use virtual where while yield";

/// Returns the crate's name, which is the folder's.
fn check_name(name: &str, dependencies: &Table) -> Result<()> {
    let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    ensure!(
        name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(valid),
        "the folder's name becomes that of the crate, and '{name}' is not a name for a crate: use lower-case letters, \
         digits, - and _, a letter first"
    );
    let reserved = RESERVED.split_whitespace().any(|word| word == name);
    ensure!(
        !reserved,
        "'{name}' cannot name a crate, because Rust reserves it; name another folder"
    );
    ensure!(
        !dependencies.contains_key(name),
        "the crate depends on '{name}', so it cannot have that name itself; name another folder"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_stand_behind_the_header() {
        let source = "//! Title.\n//!\n//! From.\n\nuse std::io;\n";
        let line = "#[allow(dead_code)] // It has more than this program uses.\n";
        let expected = format!(
            "//! Title.\n//!\n//! From.\n\n{line}mod lock;\n{line}mod pipe;\n\nuse std::io;\n"
        );
        assert_eq!(with_modules(source, vec!["pipe", "lock"]), expected);
        assert_eq!(with_modules(source, vec![]), source);
    }

    #[test]
    fn tests_can_be_left_behind() {
        let source = "use x;\n\n#[cfg(test)]\nmod files;\n\nfn f() {}\n\n#[cfg(test)]\nmod tests {\n    use tokio::y;\n}\n";
        let split = split_tests(source);
        assert_eq!(split.source, "use x;\n\n\nfn f() {}\n");
        assert_eq!(
            (split.tests.as_str(), split.modules),
            ("mod tests {\n    use tokio::y;\n", vec!["files".to_owned()])
        );
        assert!(uses("use tokio::x", "tokio") && uses("#[tokio::test]", "tokio"));
        assert!(!uses("my_tokio::x a::tokio::y", "tokio"));
    }

    #[test]
    fn a_dependency_inherits_and_gains_what_is_needed_next() {
        let workspace = Workspace {
            root: PathBuf::new(),
            package: "edition = \"2024\"\nrust-version = \"1.95\"\nversion = \"0.1.0\""
                .parse()
                .unwrap(),
            dependencies:
                "rustix = { version = \"1\", default-features = false, features = [\"std\"] }
                pickle-value = { version = \"0.1\", path = \"crates/pickle-value\" }"
                    .parse()
                    .unwrap(),
            lints: "rust = { unsafe_op_in_unsafe_fn = \"deny\" }"
                .parse()
                .unwrap(),
            project: "us".to_owned(),
        };
        let library = "[package]\nname = \"x\"\nedition.workspace = true\n[dependencies]\npickle-value.workspace = true
            rustix = { workspace = true, features = [\"net\"] }\n[dev-dependencies]\nrustix = \"1\"\n[lints]\nworkspace = true";
        let expected = "[package]
name = \"x\"
edition = \"2024\"

[dependencies]
pickle-value = { version = \"0.1\", path = \"../pickle-value\" }
rustix = { version = \"1\", default-features = false, features = [\"net\", \"std\"] }

[lints.rust]
unsafe_op_in_unsafe_fn = \"deny\"
";
        assert_eq!(
            workspace
                .library_manifest(library.parse().unwrap())
                .unwrap(),
            expected
        );
        let header = "//! A.\n//! ```cargo\n//! [dependencies]\n//! anyhow = \"1\"\n//! pickle-value = \"0.1\"\n//! serde = \"1\"\n//! ```\n";
        let block = Block {
            package: "p".to_owned(),
            name: "b".to_owned(),
            path: PathBuf::new(),
            header: Header::parse("b", header),
        };
        let expected = "[package]
name = \"mine\"
version = \"0.1.0\"
edition = \"2024\"
rust-version = \"1.95\"

[dependencies]
anyhow = \"1\"
pickle-value = { version = \"0.1\", path = \"crates/pickle-value\" }
serde = { version = \"1\", features = [\"derive\"] }
";
        assert_eq!(
            workspace
                .manifest(&Item::Block(block), "mine", "crates")
                .unwrap(),
            expected
        );
    }

    #[test]
    fn the_name_must_fit_cargo() {
        let dependencies: Table = "tokio = \"1\"".parse().unwrap();
        for name in ["a", "word-count_2"] {
            check_name(name, &dependencies).unwrap();
        }
        for name in ["", "2048", "Word", "a b", "wörter", "test", "fn", "tokio"] {
            assert!(check_name(name, &dependencies).is_err(), "{name}");
        }
    }

    #[test]
    fn what_to_change_is_the_example_s_own() {
        let source =
            "const SECOND: u8 = 1;\npub fn main() {}\nasync fn child() {}\nconst ROUNDS: u8 = 3;\n";
        assert_eq!(own_names(source), "const ROUNDS, fn child");
    }
}

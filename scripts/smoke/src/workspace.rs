//! Finds the examples of this workspace and reads their headers.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, bail, ensure};
use proc_macro2::{TokenStream, TokenTree};

pub use crate::files::{manifest, read};
use crate::header::Header;

/// An example: one file, with its trace and its Python twin beside it.
#[derive(Debug, Clone)]
pub struct Example {
    pub package: String,
    pub name: String,
    /// The folder of the package.
    pub folder: PathBuf,
    /// Its source relative to that folder, such as `src/ping_pong.rs` or `src/tasks/gather.rs`.
    pub path: String,
    pub header: Header,
    /// The built program of the package; empty before [`build`].
    pub program: PathBuf,
}

impl Example {
    pub fn full_name(&self) -> String {
        format!("{}::{}", self.package, self.name)
    }

    /// Whether it needs Python, always or in this variant: the name of such a variant begins with `python`.
    pub fn needs_python(&self, variant: Option<&str>) -> bool {
        variant.is_some_and(|variant| variant.starts_with("python")) || self.header.needs_python()
    }

    /// The command that runs it.
    pub fn command(&self) -> Vec<OsString> {
        vec![self.program.clone().into(), self.name.clone().into()]
    }

    pub fn source(&self) -> PathBuf {
        self.folder.join(&self.path)
    }

    pub fn trace(&self) -> PathBuf {
        self.folder
            .join("traces")
            .join(format!("{}.trace", self.name))
    }

    /// The Python program with the same output; `None` if the header says `Python: none`.
    pub fn twin(&self) -> Option<PathBuf> {
        let path = self.folder.join("python").join(format!("{}.py", self.name));
        (!self.header.python().starts_with("none")).then_some(path)
    }

    /// The names and files of the blocks that it needs.
    pub fn blocks(&self) -> Vec<(String, PathBuf)> {
        blocks(&self.folder, &self.header)
    }
}

/// The names and files of the blocks that a header in this package names.
pub fn blocks(folder: &Path, header: &Header) -> Vec<(String, PathBuf)> {
    let block = |name: &str| {
        let path = match name.split_once('/') {
            Some((package, name)) => root().join(package).join("src").join(name),
            None => folder.join("src").join(name),
        };
        let file = path.with_extension("rs");
        let name = name.rsplit('/').next().unwrap_or(name);
        (name.to_owned(), if path.is_dir() { path } else { file })
    };
    header.needs().into_iter().map(block).collect()
}

/// The root of the workspace.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// The examples of all demo crates, in the order of the workspace and of each crate's list.
pub fn examples() -> Result<Vec<Example>> {
    let mut examples = vec![];
    for folder in demo_folders()? {
        for path in listed(&folder)? {
            examples.push(example(&folder, &path, Path::new(""))?);
        }
    }
    Ok(examples)
}

/// The example in this file of a package, such as `src/tasks/gather.rs`.
pub fn example(folder: &Path, path: &str, program: &Path) -> Result<Example> {
    let name = |path: &Path| {
        let name = path.file_stem().unwrap_or_default();
        name.to_string_lossy().into_owned()
    };
    Ok(Example {
        package: name(folder),
        name: name(Path::new(path)),
        folder: folder.to_owned(),
        path: path.to_owned(),
        header: Header::read(&folder.join(path))?,
        program: program.to_owned(),
    })
}

/// The folders of the demo crates: the members that depend on `demo`, and on this harness for their tests.
pub fn demo_folders() -> Result<Vec<PathBuf>> {
    let root = root();
    let members = manifest(&root.join("Cargo.toml"))?;
    let members = members["workspace"]["members"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let mut folders = vec![];
    for member in members.iter().filter_map(|member| member.as_str()) {
        let folder = root.join(member);
        let manifest = manifest(&folder.join("Cargo.toml"))?;
        let has = |table, name| {
            manifest
                .get(table)
                .and_then(|table| table.get(name))
                .is_some()
        };
        if has("dependencies", "demo") && has("dev-dependencies", "smoke") {
            folders.push(folder);
        }
    }
    Ok(folders)
}

/// The files that a crate's `demo::examples![...]` lists.
pub fn listed(folder: &Path) -> Result<Vec<String>> {
    let lib = folder.join("src/lib.rs");
    let text = read(&lib)?;
    let tokens: TokenStream = text
        .parse()
        .map_err(|error| anyhow!("{}: {error}", lib.display()))?;
    list(tokens).with_context(|| format!("{}: no demo::examples![...]", lib.display()))
}

fn list(tokens: TokenStream) -> Option<Vec<String>> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let list = tokens.windows(3).find_map(|window| match window {
        [
            TokenTree::Ident(name),
            TokenTree::Punct(_),
            TokenTree::Group(list),
        ] => (name == "examples").then(|| list.stream()),
        _ => None,
    })?;
    let (mut paths, mut folder) = (vec![], String::new());
    for token in list {
        match token {
            TokenTree::Ident(name) => folder = name.to_string(),
            TokenTree::Group(names) => {
                for token in names.stream() {
                    if let TokenTree::Ident(name) = token {
                        paths.push(format!("src/{folder}/{name}.rs"));
                    }
                }
                folder.clear();
            }
            _ => paths.push(format!("src/{}.rs", std::mem::take(&mut folder))),
        }
    }
    if !folder.is_empty() {
        paths.push(format!("src/{folder}.rs"));
    }
    Some(paths)
}

/// Builds the programs of these packages, with cargo's progress on stderr, and returns their paths.
pub fn build(packages: &BTreeSet<&str>) -> Result<BTreeMap<String, PathBuf>> {
    let mut command = cargo();
    command.args([
        "build",
        "--bins",
        "--message-format=json-render-diagnostics",
    ]);
    for package in packages {
        command.args(["--package", package]);
    }
    let built = command
        .current_dir(root())
        .stderr(Stdio::inherit())
        .output()
        .context("start cargo")?;
    ensure!(built.status.success(), "cargo build failed");
    let mut programs = BTreeMap::new();
    for message in String::from_utf8_lossy(&built.stdout).lines() {
        let message: serde_json::Value =
            serde_json::from_str(message).context("understand cargo's messages")?;
        if let (Some(name), Some(path)) = (
            message["target"]["name"].as_str(),
            message["executable"].as_str(),
        ) {
            programs.insert(name.to_owned(), PathBuf::from(path));
        }
    }
    match packages
        .iter()
        .find(|package| !programs.contains_key(**package))
    {
        Some(package) => bail!("cargo built no program {package}"),
        None => Ok(programs),
    }
}

/// Builds the programs of the examples.
pub fn build_examples(examples: &mut [Example]) -> Result<()> {
    let packages = examples.iter().map(|example| &*example.package).collect();
    let mut programs = build(&packages)?;
    for example in examples {
        example.program = programs.entry(example.package.clone()).or_default().clone();
    }
    Ok(())
}

/// The cargo that runs this program, or the `cargo` in the path.
pub fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or("cargo".into()))
}

/// The Python that runs the twins, or why it cannot run.
pub fn python() -> Result<&'static str, &'static str> {
    static FOUND: OnceLock<Result<&str, String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let asked = Command::new("python3")
            .args(["-c", "import sys; print(*sys.version_info[:2])"])
            .stderr(Stdio::null())
            .output();
        let version = asked.map_err(|error| format!("no python3: {error}"))?;
        let version = String::from_utf8_lossy(&version.stdout);
        let numbers: Vec<u32> = version
            .split_whitespace()
            .filter_map(|number| number.parse().ok())
            .collect();
        if numbers.is_empty() {
            return Err("python3 does not run".into());
        }
        if numbers < vec![3, 11] {
            return Err(format!(
                "the twins need Python 3.11 or newer; python3 is {}",
                version.trim().replace(' ', ".")
            ));
        }
        Ok("python3")
    });
    found.as_ref().copied().map_err(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_flat_or_in_folders() {
        let paths = |text: &str| list(text.parse().unwrap());
        let flat = paths("mod a; // examples!\ndemo::examples![a, b];\nfn f() {}").unwrap();
        assert_eq!(flat, ["src/a.rs", "src/b.rs"]);
        let folders =
            paths("demo::examples! {\n    x {\n        a,\n        b,\n    }\n    y { c }\n}\n");
        assert_eq!(folders.unwrap(), ["src/x/a.rs", "src/x/b.rs", "src/y/c.rs"]);
        assert_eq!(paths("mod examples;"), None);
    }

    #[test]
    fn an_example_or_a_variant_can_need_python() {
        let example = |line: &str| Example {
            package: "a".to_owned(),
            name: "b".to_owned(),
            folder: PathBuf::new(),
            path: String::new(),
            header: Header::parse("b", &format!("//! Two go.\n//! {line}\n")),
            program: PathBuf::new(),
        };
        let variants = example("Usage: b [python-client]");
        assert!(!variants.needs_python(None));
        assert!(variants.needs_python(Some("python-client")));
        assert!(example("Platform: Linux; starts python3").needs_python(None));
    }
}

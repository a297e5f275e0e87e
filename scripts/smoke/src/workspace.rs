//! Finds the examples of this workspace, and what their files say of themselves.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::{env, fs};

use anyhow::{Context, Result, bail, ensure};

/// An example: one file, with its trace and its Python twin beside it.
#[derive(Debug, Clone)]
pub struct Example {
    pub package: String,
    pub name: String,
    /// The folder of the package.
    pub folder: PathBuf,
    /// Where its source is below that, `src/ping_pong.rs` or `src/tasks/gather.rs`.
    pub path: String,
    pub header: Header,
}

/// What the comment at the top of an example or building block says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Header {
    pub title: String,
    /// The Python it replaces.
    pub python: String,
    /// The building blocks it uses, such as `pipe`, or `fork_demo/multiprocessing` of another package.
    pub needs: Vec<String>,
    /// Arguments that make it run in another way, with the same trace.
    pub variants: Vec<String>,
    /// The programs beside it that it cannot do without: `python3`.
    pub requires: Vec<String>,
    /// The part of the manifest between the fences.
    pub manifest: String,
}

impl Example {
    pub fn full_name(&self) -> String {
        format!("{}::{}", self.package, self.name)
    }

    /// Whether it needs Python to run at all, or in this variant: one whose name begins with `python`.
    pub fn needs_python(&self, variant: Option<&str>) -> bool {
        let example = || self.header.requires.iter().any(|name| name == "python3");
        variant.is_some_and(|variant| variant.starts_with("python")) || example()
    }

    pub fn source(&self) -> PathBuf {
        self.folder.join(&self.path)
    }

    pub fn trace(&self) -> PathBuf {
        self.folder
            .join("traces")
            .join(format!("{}.trace", self.name))
    }

    /// The Python program that prints the same; there is none where the header says `Python: none` and why.
    pub fn twin(&self) -> Option<PathBuf> {
        let path = self.folder.join("python").join(format!("{}.py", self.name));
        (!self.header.python.starts_with("none")).then_some(path)
    }

    /// The names and files of the building blocks it needs; one of several files is a folder.
    pub fn blocks(&self) -> Vec<(String, PathBuf)> {
        let block = |block: &String| {
            let (folder, name) = match block.split_once('/') {
                Some((package, name)) => (root().join(package), name),
                None => (self.folder.clone(), block.as_str()),
            };
            let path = folder.join("src").join(name);
            let file = path.with_extension("rs");
            (name.to_owned(), if path.is_dir() { path } else { file })
        };
        self.header.needs.iter().map(block).collect()
    }
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
        let package = folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        for (group, name) in listed(&folder.join("src/lib.rs"))? {
            let path = format!("src/{group}{name}.rs");
            let header = Header::read(&folder.join(&path))?;
            examples.push(Example {
                package: package.clone(),
                name,
                folder: folder.clone(),
                path,
                header,
            });
        }
    }
    Ok(examples)
}

/// The folders of the members that use the dispatcher.
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
        if manifest(&folder.join("Cargo.toml"))?
            .get("dependencies")
            .is_some_and(|d| d.get("demo").is_some())
        {
            folders.push(folder);
        }
    }
    Ok(folders)
}

pub fn manifest(path: &Path) -> Result<toml::Table> {
    read(path)?
        .parse()
        .with_context(|| format!("understand {}", path.display()))
}

pub fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
}

/// The names in a crate's `demo::examples![...]`, each behind the folder of its group, such as `tasks/`, or nothing.
fn listed(main: &Path) -> Result<Vec<(String, String)>> {
    let text = read(main)?;
    let list = text.split_once("examples!").map(|(_, list)| list);
    let list = list.with_context(|| format!("{}: no demo::examples!", main.display()))?;
    Ok(names(list))
}

fn names(list: &str) -> Vec<(String, String)> {
    let (mut names, mut group, mut depth) = (vec![], String::new(), 0);
    for part in list.split_inclusive(['[', ']', '{', '}', ',']) {
        let (name, sign) = part.split_at(part.len().saturating_sub(1));
        let name = name.trim();
        match sign {
            "{" if depth > 0 => group = format!("{name}/"),
            _ if !name.is_empty() => names.push((group.clone(), name.to_owned())),
            _ => {}
        }
        match sign {
            "{" | "[" => depth += 1,
            "}" | "]" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

impl Header {
    pub fn read(path: &Path) -> Result<Header> {
        Header::parse(&read(path)?).with_context(|| format!("the header of {}", path.display()))
    }

    fn parse(source: &str) -> Result<Header> {
        let comment = source
            .lines()
            .map_while(|line| line.strip_prefix("//!"))
            .map(|line| line.strip_prefix(' ').unwrap_or(line));
        let mut header = Header::default();
        let mut fenced = false;
        for (number, line) in comment.enumerate() {
            match line {
                title if number == 0 => header.title = title.to_owned(),
                "```cargo" => fenced = true,
                "```" => fenced = false,
                line if fenced => header.manifest += &format!("{line}\n"),
                line => {
                    if let Some(python) = line.strip_prefix("Python:") {
                        header.python = python.trim().to_owned();
                    } else if let Some(variants) = line.strip_prefix("Variants:") {
                        header.variants = list(variants);
                    } else if let Some(requires) = line.strip_prefix("Requires:") {
                        header.requires = list(requires);
                    } else if let Some(needs) = line.strip_prefix("Needs:") {
                        header.needs.extend(
                            needs
                                .split(',')
                                .map(|block| block.trim().trim_end_matches(".rs").to_owned()),
                        );
                    }
                }
            }
        }
        ensure!(
            header.requires.iter().all(|program| program == "python3"),
            "nothing but python3 can be looked for"
        );
        ensure!(
            header.title.ends_with('.'),
            "the first line is no title, a sentence with a full stop"
        );
        ensure!(!header.python.is_empty(), "a line \"Python:\" is missing");
        ensure!(
            header.manifest.starts_with("[dependencies]"),
            "a ```cargo block with the dependencies is missing"
        );
        Ok(header)
    }
}

fn list(names: &str) -> Vec<String> {
    let names = names.split(',').map(|name| name.trim().to_owned());
    names.collect()
}

/// Builds the demo crates and the faults, once, and returns each one's program.
pub fn programs() -> Result<&'static BTreeMap<String, PathBuf>> {
    static PROGRAMS: OnceLock<Result<BTreeMap<String, PathBuf>, String>> = OnceLock::new();
    match PROGRAMS.get_or_init(|| build().map_err(|error| format!("{error:#}"))) {
        Ok(programs) => Ok(programs),
        Err(error) => bail!("{error}"),
    }
}

fn build() -> Result<BTreeMap<String, PathBuf>> {
    let mut command = cargo();
    command
        .args([
            "build",
            "--bins",
            "--message-format=json-render-diagnostics",
        ])
        .current_dir(root());
    for folder in demo_folders()? {
        command
            .arg("--package")
            .arg(folder.file_name().unwrap_or_default());
    }
    command.args(["--package", "faults"]);
    let built = command
        .stderr(Stdio::piped())
        .output()
        .context("start cargo")?;
    ensure!(
        built.status.success(),
        "cargo build failed:\n{}",
        String::from_utf8_lossy(&built.stderr)
    );
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
    Ok(programs)
}

/// The cargo that runs this program, or the one in the path.
pub fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or("cargo".into()))
}

/// The program of a package.
pub fn program(package: &str) -> Result<&'static Path> {
    let program = programs()?.get(package);
    let program = program.with_context(|| format!("cargo built no program {package}"))?;
    Ok(program)
}

/// The command that runs an example behind its crate's dispatcher.
pub fn command(example: &Example) -> Result<Vec<OsString>> {
    Ok(vec![
        program(&example.package)?.into(),
        example.name.clone().into(),
    ])
}

/// The Python that runs the twins, or why there is none.
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
        let of = |group: &str, name: &str| (group.to_owned(), name.to_owned());
        assert_eq!(names("[a, b];\nfn f() {}"), [of("", "a"), of("", "b")]);
        let folders = " {\n    x {\n        a,\n        b,\n    }\n    y { c }\n}\nfn f() {}\n";
        assert_eq!(
            names(folders),
            [of("x/", "a"), of("x/", "b"), of("y/", "c")]
        );
    }

    #[test]
    fn headers_are_read() {
        let source = "//! Two go.\n//!\n//! Python:  `x()`\n//! Needs:   pipe.rs, lock.rs\n//!\n//! ```cargo\n//! [dependencies]\n//! anyhow = \"1\"\n//! ```\n\nuse x;\n";
        let header = Header::parse(source).unwrap();
        assert_eq!(
            (header.title.as_str(), header.python.as_str()),
            ("Two go.", "`x()`")
        );
        assert_eq!(header.needs, ["pipe", "lock"]);
        assert_eq!(header.manifest, "[dependencies]\nanyhow = \"1\"\n");
        assert!(Header::parse("//! No Python here.\n").is_err());
    }

    #[test]
    fn an_example_or_a_variant_can_need_python() {
        let example = |lines: &str| {
            let source = format!(
                "//! Two go.\n//! Python: x\n{lines}//! ```cargo\n//! [dependencies]\n//! ```\n"
            );
            Header::parse(&source).map(|header| Example {
                package: "a".to_owned(),
                name: "b".to_owned(),
                folder: PathBuf::new(),
                path: String::new(),
                header,
            })
        };
        let variants = example("//! Variants: ring, python-client\n").unwrap();
        assert!(!variants.needs_python(None));
        assert!(!variants.needs_python(Some("ring")));
        assert!(variants.needs_python(Some("python-client")));
        assert!(
            example("//! Requires: python3\n")
                .unwrap()
                .needs_python(None)
        );
        assert!(example("//! Requires: perl\n").is_err());
    }
}

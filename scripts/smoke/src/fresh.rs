//! The promise that an example can be copied: it becomes a crate of its own, which must build, run and fit its trace.

use std::path::Path;
use std::process::Command;
use std::{fs, io};

use anyhow::{Context, Result, ensure};

use crate::suite::{self, Passed};
use crate::workspace::{self, Example};

/// Makes a crate from an example: its file as `src/main.rs`, its building blocks, the manifest from its header.
pub fn copy(example: &Example, folder: &Path) -> Result<()> {
    match fs::read_dir(folder) {
        Ok(mut entries) => ensure!(
            entries.next().is_none(),
            "{} is not empty",
            folder.display()
        ),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("look into {}", folder.display())),
    }
    let parent = folder
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    if let (Ok(parent), Ok(root)) = (parent.canonicalize(), workspace::root().canonicalize()) {
        let outside = !parent.starts_with(root);
        ensure!(
            outside,
            "{} lies in this workspace, where cargo takes no crate of its own",
            folder.display()
        );
    }
    let source = folder.join("src");
    fs::create_dir_all(&source).with_context(|| format!("make {}", source.display()))?;
    let write = |path: &Path, text: String| {
        fs::write(path, text).with_context(|| format!("write {}", path.display()))
    };
    let name = folder.file_name().and_then(|name| name.to_str());
    let package = format!(
        "[package]\nname = \"{}\"\nedition = \"2024\"\n\n",
        name.filter(|name| is_package_name(name))
            .unwrap_or(&example.name)
    );
    write(
        &folder.join("Cargo.toml"),
        package + &example.header.manifest,
    )?;
    let blocks = example.blocks();
    let names: Vec<&str> = blocks.iter().map(|(name, _)| name.as_str()).collect();
    write(
        &source.join("main.rs"),
        with_modules(&workspace::read(&example.source())?, names),
    )?;
    for (name, path) in &blocks {
        let extension = if path.is_dir() { "" } else { "rs" };
        copy_all(path, &source.join(name).with_extension(extension))?;
    }
    Ok(())
}

/// Copies a file, or a folder with what is in it.
fn copy_all(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        fs::create_dir(to).with_context(|| format!("make {}", to.display()))?;
        for entry in fs::read_dir(from).with_context(|| format!("look into {}", from.display()))? {
            let entry = entry.with_context(|| format!("look into {}", from.display()))?;
            copy_all(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    // Its text alone: not its date, by which cargo would take it for built.
    fs::write(to, workspace::read(from)?).with_context(|| format!("write {}", to.display()))
}

/// Whether cargo takes it, as far as that can be told from the letters.
fn is_package_name(name: &str) -> bool {
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(valid)
}

/// Puts a `mod` line for each building block behind the header. A block has methods that one example does not call.
fn with_modules(source: &str, mut blocks: Vec<&str>) -> String {
    if blocks.is_empty() {
        return source.to_owned();
    }
    let header = source.lines().take_while(|line| line.starts_with("//!"));
    let (header, rest) = source.split_at(header.map(|line| line.len() + 1).sum());
    blocks.sort_unstable();
    let modules: String = blocks
        .iter()
        .map(|block| format!("#[allow(dead_code)]\nmod {block};\n"))
        .collect();
    format!("{header}\n{modules}{rest}")
}

/// Copies an example to a temporary folder and has it built without a warning, formatted, run and compared.
pub fn gate(example: &Example) -> Result<Passed> {
    let trace = suite::parse(example)?;
    let folder = tempfile::Builder::new()
        .prefix("fresh-")
        .tempdir()
        .context("make a temporary folder")?;
    // Its name becomes the program's.
    let home = folder.path().join(&example.name);
    copy(example, &home)?;
    // The versions that the workspace was tested with; the reader's own crate takes the newest that fit.
    fs::copy(
        workspace::root().join("Cargo.lock"),
        home.join("Cargo.lock"),
    )
    .context("copy Cargo.lock")?;
    // One for all of them, so that each dependency is built once.
    let target = workspace::root().join("target/fresh");
    let mut build = workspace::cargo();
    build
        .args(["build", "--quiet"])
        .current_dir(&home)
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("RUSTFLAGS", "-Dwarnings");
    succeeds(&mut build, "cargo build")?;
    let mut format = Command::new("rustfmt");
    format
        .args(["--check", "--edition", "2024", "src/main.rs"])
        .current_dir(&home);
    succeeds(&mut format, "rustfmt --check")?;
    let passed = match workspace::python() {
        Err(reason) if example.needs_python(None) => Passed::Ignored(reason.to_owned()),
        _ => {
            let program = target.join("debug").join(&example.name);
            suite::run_and_check(&trace, vec![program.into()])?;
            Passed::Checked
        }
    };
    folder.close().context("remove the temporary folder")?;
    Ok(passed)
}

fn succeeds(command: &mut Command, what: &str) -> Result<()> {
    let output = command.output().with_context(|| format!("start {what}"))?;
    let said = [output.stdout, output.stderr].concat();
    ensure!(
        output.status.success(),
        "{what} failed:\n{}",
        String::from_utf8_lossy(&said)
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_stand_behind_the_header() {
        let source = "//! Title.\n//!\n//! ```\n\nuse std::io;\n";
        let modules = "#[allow(dead_code)]\nmod lock;\n#[allow(dead_code)]\nmod pipe;\n";
        let expected = format!("//! Title.\n//!\n//! ```\n\n{modules}\nuse std::io;\n");
        assert_eq!(with_modules(source, vec!["pipe", "lock"]), expected);
        assert_eq!(with_modules(source, vec![]), source);
    }
}

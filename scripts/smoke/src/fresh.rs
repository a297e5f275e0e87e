//! Checks that everything can be copied: each example and block becomes an independent crate, which must build
//! without a warning, be formatted, pass `cargo test` and satisfy its trace.
//!
//! The crates are members of one workspace outside this one, so that they share the library crates. Cargo is called once
//! for all crates with the same dependencies, so each is built with only its own features. A few more are copied exactly
//! as a reader copies them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Instant;
use std::{env, thread};

use anyhow::{Context, Result, bail, ensure};

use crate::copy::{self, Files, Item, Workspace};
use crate::suite::{self, Passed};
use crate::workspace;

/// An item as a member of the workspace of copies.
struct Member {
    item: Item,
    /// The name of its crate.
    name: String,
    folder: PathBuf,
    /// Whether there are tests in its files.
    has_tests: bool,
}

/// What cargo has built for a member.
#[derive(Default, Clone)]
struct Built {
    program: Option<PathBuf>,
    tests: Vec<PathBuf>,
}

/// Copies, builds, tests and runs the items, and prints a line for each.
pub fn fresh(items: &[Item], say: impl Fn(&str) -> Result<()> + Sync) -> Result<()> {
    let home = target().join("fresh");
    fs::create_dir_all(&home).with_context(|| format!("make {}", home.display()))?;
    let lock = File::create(home.join("lock")).context("make a lock file")?;
    lock.lock().context("wait for another run of fresh")?;
    let (members, groups) = write_workspace(items, &home)?;
    let (mut passed, mut ignored) = (0, 0);
    let failures = Mutex::new(vec![]);
    let (work, jobs) = mpsc::channel::<(usize, Built)>();
    let jobs = Mutex::new(jobs);
    let counts = Mutex::new((&mut passed, &mut ignored));
    let report = |name: &str, start: Instant, result: Result<Passed>| {
        let took = start.elapsed().as_secs_f64();
        let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(Passed::Checked) => {
                *counts.0 += 1;
                say(&format!("ok      {name} ({took:.1} s)"))
            }
            Ok(Passed::Ignored(reason)) => {
                *counts.1 += 1;
                say(&format!("ignored {name} ({took:.1} s): {reason}"))
            }
            Err(error) => {
                let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
                failures.push(name.to_owned());
                say(&format!("FAILED  {name} ({took:.1} s)\n{error:#}\n"))
            }
        }
    };
    thread::scope(|scope| -> Result<()> {
        let work = work; // Dropping it ends the runners, also after an error.
        let (start, formatted) = (Instant::now(), check_format(&members, &home));
        report("rustfmt", start, formatted)?;
        let run = || -> Result<()> {
            loop {
                let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok((index, built)) = job else {
                    return Ok(());
                };
                let member = &members[index];
                let start = Instant::now();
                report(&full_name(member), start, check(member, &built))?;
            }
        };
        let cores = thread::available_parallelism().map_or(2, |cores| cores.get());
        let runners: Vec<_> = (0..cores).map(|_| scope.spawn(run)).collect();
        for group in groups {
            let start = Instant::now();
            let names = group.iter().map(|index| &*members[*index].name);
            match build(&home, &members, &group) {
                Ok(built) => {
                    for (index, name) in group.iter().zip(names) {
                        let built = built.get(name).cloned().unwrap_or_default();
                        work.send((*index, built)).unwrap_or_default();
                    }
                }
                Err(error) => {
                    let names: Vec<&str> = names.collect();
                    report(&names.join(", "), start, Err(error))?;
                }
            }
        }
        drop(work);
        for runner in runners {
            match runner.join() {
                Ok(done) => done?,
                Err(_) => bail!("a runner panicked"),
            }
        }
        for member in standalone(&members)? {
            let start = Instant::now();
            let name = format!("{} as a reader copies it", full_name(member));
            report(&name, start, copy_and_test(member))?;
        }
        Ok(())
    })?;
    let failures = failures
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    let failed = failures.len();
    say(&format!(
        "{passed} passed, {failed} failed, {ignored} ignored"
    ))?;
    ensure!(failed == 0, "failed: {}", failures.join(", "));
    Ok(())
}

fn full_name(member: &Member) -> String {
    format!("{}::{}::fresh", member.item.package(), member.item.name())
}

/// The target folder of this workspace: cargo reuses what it has built here with the same features.
fn target() -> PathBuf {
    let root = workspace::root();
    let target = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    root.join(target.unwrap_or("target".into()))
}

fn cargo(folder: &Path) -> Command {
    let mut cargo = workspace::cargo();
    cargo
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target())
        // As in this workspace.
        .env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only");
    cargo
}

/// Writes the workspace. Returns its members, grouped by dependencies and features: cargo builds a group in one call, and
/// no member gets a feature from another.
fn write_workspace(items: &[Item], home: &Path) -> Result<(Vec<Member>, Vec<Vec<usize>>)> {
    let workspace = Workspace::read()?;
    let (mut files, mut members) = (Files::new(), vec![]);
    let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for item in items {
        let kind = match item {
            Item::Example(_) => "",
            Item::Block(_) => "block-",
        };
        let name = format!("{}-{kind}{}", item.package(), item.name());
        let own = workspace.files(item, &name, "../crates")?;
        let manifest = own.get(Path::new("Cargo.toml")).map_or("", String::as_str);
        let dependencies = manifest.split_once("\n\n").map_or("", |(_, rest)| rest);
        let has_tests = own
            .iter()
            .any(|(path, text)| path.starts_with("src") && text.contains("#[cfg(test)]"));
        let group = groups
            .entry(format!("{kind:?} {has_tests} {dependencies}"))
            .or_default();
        group.push(members.len());
        files.extend(
            own.into_iter()
                .map(|(path, text)| (Path::new(&name).join(path), text)),
        );
        let libraries = workspace.library_files(item)?;
        files.extend(
            libraries
                .into_iter()
                .map(|(path, text)| (Path::new("crates").join(path), text)),
        );
        let folder = home.join(&name);
        members.push(Member {
            item: item.clone(),
            name,
            folder,
            has_tests,
        });
    }
    let list: BTreeSet<String> = files
        .keys()
        .filter(|path| path.ends_with("Cargo.toml"))
        .filter_map(|path| path.parent())
        .map(|folder| format!("{:?}", folder.display().to_string()))
        .collect();
    let list: Vec<String> = list.into_iter().collect();
    let manifest = format!(
        "[workspace]\nresolver = \"3\"\nmembers = [{}]\n",
        list.join(", ")
    );
    files.insert("Cargo.toml".into(), manifest);
    // Use the versions that this workspace was tested with. A reader's crate takes the newest compatible ones.
    let lock = workspace::read(&workspace::root().join("Cargo.lock"))?;
    files.insert("Cargo.lock".into(), lock);
    remove_others(home, Path::new(""), &files)?;
    for (path, text) in &files {
        // Writing an unchanged file would make cargo build it again.
        let path = home.join(path);
        if fs::read_to_string(&path).is_ok_and(|old| old == *text) {
            continue;
        }
        let folder = path.parent().unwrap_or(home);
        fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    }
    Ok((members, groups.into_values().collect()))
}

/// Removes the files of an earlier run from the folder.
fn remove_others(home: &Path, below: &Path, files: &Files) -> Result<()> {
    let folder = home.join(below);
    for entry in fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))? {
        let entry = entry.with_context(|| format!("read {}", folder.display()))?;
        let path = below.join(entry.file_name());
        let kept = files.keys().any(|file| file.starts_with(&path)) || path == Path::new("lock");
        let removed = match entry.path().is_dir() {
            true if kept => {
                remove_others(home, &path, files)?;
                Ok(())
            }
            true => fs::remove_dir_all(entry.path()),
            false if kept => Ok(()),
            false => fs::remove_file(entry.path()),
        };
        removed.with_context(|| format!("remove {}", entry.path().display()))?;
    }
    Ok(())
}

fn check_format(members: &[Member], home: &Path) -> Result<Passed> {
    let roots = members
        .iter()
        .map(|member| member.folder.join(member.item.root()));
    let tests = members
        .iter()
        .map(|member| member.folder.join("tests/run.rs"));
    let output = Command::new("rustfmt")
        .args(["--check", "--edition", "2024"])
        .args(roots)
        .args(tests.filter(|path| path.exists()))
        .current_dir(home)
        .output()
        .context("start rustfmt")?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "rustfmt --check failed:\n{said}");
    Ok(Passed::Checked)
}

/// Builds a group; a warning is an error.
fn build(home: &Path, members: &[Member], group: &[usize]) -> Result<BTreeMap<String, Built>> {
    let members: Vec<&Member> = group.iter().map(|index| &members[*index]).collect();
    let packages = members
        .iter()
        .flat_map(|member| ["--package", &member.name]);
    let packages: Vec<&str> = packages.collect();
    let mut built = BTreeMap::new();
    match members[0].item {
        Item::Block(_) => {
            // First without its tests, which may add features that the crate itself lacks.
            cargo_build(home, &packages, &["--lib"], &mut built)?;
            cargo_build(home, &packages, &["--tests"], &mut built)?;
            let mut test = cargo(home);
            test.args(["test", "--quiet", "--doc"]).args(&packages);
            succeeds(&mut test, "cargo test --doc")?;
        }
        Item::Example(_) if members[0].has_tests => {
            cargo_build(home, &packages, &["--bins"], &mut built)?;
            cargo_build(home, &packages, &["--tests"], &mut built)?;
        }
        Item::Example(_) => cargo_build(home, &packages, &["--bins", "--test", "run"], &mut built)?,
    }
    Ok(built)
}

fn cargo_build(
    home: &Path,
    packages: &[&str],
    targets: &[&str],
    built: &mut BTreeMap<String, Built>,
) -> Result<()> {
    let output = cargo(home)
        .args(["build", "--quiet", "--message-format=json"])
        .args(packages)
        .args(targets)
        .stderr(Stdio::piped())
        .output()
        .context("start cargo")?;
    let mut said = String::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let message: serde_json::Value =
            serde_json::from_str(line).context("understand cargo's messages")?;
        if let Some(text) = message["message"]["rendered"].as_str() {
            said += text;
        }
        let manifest = Path::new(message["manifest_path"].as_str().unwrap_or_default());
        let folder = manifest.parent().and_then(Path::file_name);
        if let (Some(folder), Some(path)) = (folder, message["executable"].as_str()) {
            let built = built
                .entry(folder.to_string_lossy().into_owned())
                .or_default();
            match message["profile"]["test"] == true {
                true => built.tests.push(path.into()),
                false => built.program = Some(path.into()),
            }
        }
    }
    ensure!(
        output.status.success() && said.is_empty(),
        "cargo build failed or warned:\n{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// Runs the tests of a member, and checks an example against its trace.
fn check(member: &Member, built: &Built) -> Result<Passed> {
    if let (Item::Example(example), Err(reason)) = (&member.item, workspace::python())
        && example.needs_python(None)
    {
        return Ok(Passed::Ignored(reason.to_owned()));
    }
    if let Item::Example(example) = &member.item {
        let program = built.program.as_ref().context("cargo built no program")?;
        suite::run_and_check(&suite::parse(example)?, vec![program.into()])?;
        ensure!(!built.tests.is_empty(), "cargo built no test");
    }
    for test in &built.tests {
        succeeds(Command::new(test).current_dir(&member.folder), "cargo test")?;
    }
    Ok(Passed::Checked)
}

/// One item for each set of library crates, one example with a block, and one block.
fn standalone(members: &[Member]) -> Result<Vec<&Member>> {
    let workspace = Workspace::read()?;
    let mut seen = BTreeSet::new();
    let mut chosen = vec![];
    for member in members {
        let libraries = workspace.library_files(&member.item)?.into_keys();
        let libraries: BTreeSet<PathBuf> = libraries
            .filter_map(|path| path.iter().next().map(PathBuf::from))
            .collect();
        let needs = !member.item.header().needs().is_empty();
        let is_block = matches!(member.item, Item::Block(_));
        if seen.insert((libraries, needs, is_block)) {
            chosen.push(member);
        }
    }
    Ok(chosen)
}

/// Copies it to a folder of its own and runs `cargo test` there.
fn copy_and_test(member: &Member) -> Result<Passed> {
    if let Err(reason) = workspace::python()
        && member.item.header().needs_python()
    {
        return Ok(Passed::Ignored(reason.to_owned()));
    }
    let folder = tempfile::Builder::new()
        .prefix("fresh-")
        .tempdir()
        .context("make a temporary folder")?;
    let home = folder.path().join("a-copy");
    copy::copy(&member.item, &home)?;
    fs::copy(
        workspace::root().join("Cargo.lock"),
        home.join("Cargo.lock"),
    )
    .context("copy Cargo.lock")?;
    succeeds(cargo(&home).args(["test", "--quiet"]), "cargo test")?;
    folder.close().context("remove the temporary folder")?;
    Ok(Passed::Checked)
}

/// Runs a command, which must succeed without a rustc warning.
fn succeeds(command: &mut Command, what: &str) -> Result<()> {
    let output = command.output().with_context(|| format!("start {what}"))?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let warned = said.lines().any(|line| line.starts_with("warning:"));
    ensure!(
        output.status.success() && !warned,
        "{what} failed or warned:\n{said}"
    );
    Ok(())
}

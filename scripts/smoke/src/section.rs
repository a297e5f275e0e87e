//! The tests of one demo crate or of the faults: the `main` of a `tests/*.rs` with `harness = false`.

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::faults::{FAULTS, Verdict};
use crate::header::Header;
use crate::suite::{self, Check, Passed};
use crate::supervise;
use crate::workspace::{self, Example};

/// Runs every check of every example of a demo crate as a test: `pipe_demo::poll::twin`.
///
/// `folder` is the crate's `CARGO_MANIFEST_DIR`, `program` its `CARGO_BIN_EXE_...`.
pub fn section(folder: &str, program: &str, list: &[demo::Example]) -> ExitCode {
    run(|| trials(Path::new(folder), Path::new(program), list))
}

/// Runs every fault against our blocks as a test. `program` is `CARGO_BIN_EXE_faults`.
pub fn faults(program: &str) -> ExitCode {
    run(|| {
        let trial = |fault| fault_trial(fault, Path::new(program));
        Ok(FAULTS.iter().map(trial).collect())
    })
}

/// Runs the tests, or the supervisor, which is the same program.
fn run(trials: impl FnOnce() -> Result<Vec<Trial>>) -> ExitCode {
    let mut args = env::args_os().skip(1);
    if args
        .next()
        .is_some_and(|first| first == supervise::ARGUMENT)
    {
        return supervise::main(args);
    }
    match trials() {
        Ok(trials) => libtest_mimic::run(&Arguments::from_args(), trials).exit_code(),
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn failed(error: anyhow::Error) -> Failed {
    format!("{error:#}").into()
}

fn trials(folder: &Path, program: &Path, list: &[demo::Example]) -> Result<Vec<Trial>> {
    let examples: Vec<Example> = list
        .iter()
        .map(|example| workspace::example(folder, example.path, program))
        .collect::<Result<_>>()?;
    let package = folder.file_name().unwrap_or_default().display();
    let (name, home, all) = (
        format!("{package}::consistency"),
        folder.to_owned(),
        examples.clone(),
    );
    let consistency = move || consistency(&home, &all).map_err(failed);
    let mut trials = vec![Trial::test(name, consistency)];
    for example in examples {
        for check in Check::ALL {
            let (name, example) = (check.name(&example), example.clone());
            trials.push(Trial::ignorable_test(name, move || {
                match suite::check(&example, check).map_err(failed)? {
                    Passed::Checked => Ok(Completion::Completed),
                    Passed::Ignored(reason) => Ok(Completion::ignored_with(reason)),
                }
            }));
        }
    }
    Ok(trials)
}

fn fault_trial(fault: &'static crate::faults::Fault, program: &Path) -> Trial {
    let program = program.to_owned();
    Trial::ignorable_test(format!("faults::{}", fault.name), move || {
        let outcome = fault.ours(&program, fault.short).map_err(failed)?;
        match outcome.verdict {
            Verdict::Held => Ok(Completion::Completed),
            Verdict::Broken => Err(outcome.text.into()),
            Verdict::NotPossible => Ok(Completion::ignored_with(outcome.text)),
        }
    })
}

/// Checks that each example of a section has a trace and a twin, that each trace and twin has an example, and that each
/// header keeps the rules.
fn consistency(folder: &Path, examples: &[Example]) -> Result<()> {
    let manifest = workspace::manifest(&workspace::root().join("Cargo.toml"))?;
    let versions = manifest["workspace"]["dependencies"].as_table();
    let versions = versions.context("no [workspace.dependencies]")?;
    let listed = |stem: &str| examples.iter().any(|example| example.name == stem);
    let mut wrong = vec![];
    for (part, extension) in [("src", "rs"), ("traces", "trace"), ("python", "py")] {
        for path in files(&folder.join(part), extension)? {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            if part == "src" && ["lib", "main"].contains(&&*stem) {
                continue;
            }
            let text = workspace::read(&path)?;
            let is_example = part != "src"
                || text.contains("\npub fn main(")
                || text.contains("\npub async fn main(");
            let shown = shown(&path);
            if is_example && !listed(&stem) {
                wrong.push(format!("{shown}: src/lib.rs lists no example {stem}"));
            }
            if part == "src" {
                wrong.extend(Header::parse(&stem, &text).check(&shown, versions));
            }
        }
    }
    for example in examples {
        let trace = Some(example.trace());
        for path in trace.into_iter().chain(example.twin()) {
            if !path.exists() {
                wrong.push(format!("{} is missing", shown(&path)));
            }
        }
        for (_, path) in example.blocks() {
            if !path.exists() {
                let (file, block) = (shown(&example.source()), shown(&path));
                wrong.push(format!(
                    "{file}: its header needs {block}, which is missing"
                ));
            }
        }
    }
    let paths: Vec<&str> = examples.iter().map(|example| &*example.path).collect();
    let read = workspace::listed(folder)?;
    if read != paths {
        wrong.push(format!(
            "smoke reads {read:?} from src/lib.rs, not {paths:?}"
        ));
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// A path relative to the root of the workspace.
fn shown(path: &Path) -> String {
    let root = workspace::root();
    path.strip_prefix(&root)
        .unwrap_or(path)
        .display()
        .to_string()
}

/// The files in a folder and its subfolders. A module of several files counts once, as its `mod.rs`.
fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    let mut paths = vec![];
    for path in entries.flatten().map(|entry| entry.path()) {
        let module = path.join("mod.rs");
        if module.is_file() {
            paths.push(module);
        } else if path.is_dir() {
            paths.append(&mut files(&path, extension)?);
        } else if path.extension().is_some_and(|other| other == extension) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

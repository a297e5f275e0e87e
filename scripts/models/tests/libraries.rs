//! Runs the loom models of the library crates. They need a separate build: `--cfg loom` replaces std's types by loom's.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

#[test]
fn models_of_the_library_crates() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap();
    let mut packages = vec![];
    for folder in fs::read_dir(root.join("crates")).into_iter().flatten() {
        let folder = folder.unwrap().path();
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
        let has_models = folder.join("tests/loom.rs").exists();
        let package = folder.file_name().unwrap().to_str().unwrap().to_owned();
        assert_eq!(
            has_models,
            manifest.contains("cfg(loom)"),
            "{package}: loom, or tests/loom.rs, is missing"
        );
        packages.extend(has_models.then_some(package));
    }
    if packages.is_empty() {
        return; // Without `--package`, `cargo test` would test everything.
    }
    let target = env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
    let flags = env::var("RUSTFLAGS").unwrap_or_default() + " --cfg loom";
    let status = Command::new(env!("CARGO"))
        .args(["test", "--test", "loom"])
        .args(packages.iter().flat_map(|package| ["--package", package]))
        .current_dir(root)
        .env("RUSTFLAGS", flags)
        // Other flags give other build files. A separate folder keeps those of the usual build.
        .env("CARGO_TARGET_DIR", root.join(target).join("loom"))
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
}

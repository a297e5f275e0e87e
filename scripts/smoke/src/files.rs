//! Files as text, with errors that name them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

pub fn manifest(path: &Path) -> Result<toml::Table> {
    read(path)?
        .parse()
        .with_context(|| format!("understand {}", path.display()))
}

pub fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
}

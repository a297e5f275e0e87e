#!/bin/sh
# Builds, format-checks and runs each example as a crate of its own; takes a crate and an example.
exec cargo run --quiet --manifest-path "$(dirname "$0")/../Cargo.toml" -p smoke -- fresh "$@"

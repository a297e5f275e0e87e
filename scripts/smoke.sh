#!/bin/sh
# Runs every example against its trace; takes the arguments of `cargo run -p smoke --`.
exec cargo run --quiet --manifest-path "$(dirname "$0")/../Cargo.toml" -p smoke -- "$@"

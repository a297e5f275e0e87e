#!/bin/sh
# Runs every example against its trace; takes the arguments of `cargo run -p smoke --`.
cd "$(dirname "$0")/.." && exec cargo run --quiet -p smoke -- "$@"

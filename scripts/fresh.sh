#!/bin/sh
# Builds, format-checks and runs each example as a crate of its own; takes a crate and an example.
cd "$(dirname "$0")/.." && exec cargo run --quiet -p smoke -- fresh "$@"

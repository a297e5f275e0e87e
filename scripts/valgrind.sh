#!/bin/sh
# Runs the tests of the rings, the robust mutex and shared memory under valgrind: no invalid access, no use of
# uninitialised memory. (Leaks are not looked for: where a lock's owner dies, its memory must stay.) Needs valgrind;
# takes a minute or two.
set -eu
cd "$(dirname "$0")/.."

command -v valgrind >/dev/null || { echo "valgrind.sh: valgrind is not installed (apt-get install valgrind)" >&2; exit 1; }

CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="valgrind --quiet --error-exitcode=9 --fair-sched=yes"
CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER=$CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER
export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER

cargo test -p shm_demo --lib -- --test-threads=1
# What takes minutes under valgrind and touches no other code: large items, and processes killed at random times.
cargo test -p queue_demo --lib -- --test-threads=1 --skip full --skip every_size --skip killed

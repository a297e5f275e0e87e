#!/bin/sh
# Runs the tests of multiproc's shared memory under valgrind: no invalid access, no use of uninitialised memory. Leaks do
# not count: where a lock's owner dies, its memory must stay mapped. Needs valgrind; takes a minute or two.
set -eu
cd "$(dirname "$0")/.."

command -v valgrind >/dev/null || { echo "valgrind.sh: valgrind is not installed (apt-get install valgrind)" >&2; exit 1; }

CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="valgrind --quiet --error-exitcode=9 --fair-sched=yes"
CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER=$CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER
export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER

# Left out: tests that take minutes under valgrind and touch no other code (large items, single steps), and measured times.
cargo test -p multiproc --lib -- --test-threads=1 --skip killed_anywhere --skip full --skip prompt
cargo test -p multiproc --test queues -- --test-threads=1 --skip full --skip every_size

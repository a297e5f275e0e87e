//! The traces of this section: every example and its Python twin, mutants of a run, interrupts.

fn main() -> std::process::ExitCode {
    smoke::section(
        env!("CARGO_MANIFEST_DIR"),
        env!("CARGO_BIN_EXE_subprocess_demo"),
        subprocess_demo::EXAMPLES,
    )
}

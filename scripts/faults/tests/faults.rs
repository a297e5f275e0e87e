//! Runs the faults against this project's libraries, with fewer rounds than `cargo run -p smoke -- faults`.

fn main() -> std::process::ExitCode {
    smoke::fault_tests(env!("CARGO_BIN_EXE_faults"))
}

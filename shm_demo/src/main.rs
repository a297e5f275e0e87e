fn main() -> std::process::ExitCode {
    demo::run(env!("CARGO_PKG_NAME"), shm_demo::EXAMPLES)
}

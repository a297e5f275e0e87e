fn main() -> std::process::ExitCode {
    demo::run(env!("CARGO_PKG_NAME"), context_demo::EXAMPLES)
}

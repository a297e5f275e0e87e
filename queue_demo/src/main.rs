fn main() -> std::process::ExitCode {
    demo::run(env!("CARGO_PKG_NAME"), queue_demo::EXAMPLES)
}

fn main() -> std::process::ExitCode {
    demo::run(env!("CARGO_PKG_NAME"), pool_demo::EXAMPLES)
}

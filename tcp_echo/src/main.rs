fn main() -> std::process::ExitCode {
    demo::run(env!("CARGO_PKG_NAME"), tcp_echo::EXAMPLES)
}

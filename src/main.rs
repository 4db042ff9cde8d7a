//! The `af-db` program.

fn main() -> std::process::ExitCode {
    af_db::cli::main()
}

use clap::Parser;
#[derive(Parser)]
struct W {
    #[command(flatten)]
    args: limpid::cli::zoo::ZooArgs,
}
fn main() {
    if let Err(e) = limpid::cli::zoo::run(&W::parse().args) {
        eprintln!("{e}");
        std::process::exit(1)
    }
}

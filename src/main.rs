//! The program. A desk's own program is the same line with its strategies registered: see `examples/own_strategy.rs`.

use std::process::ExitCode;

fn main() -> ExitCode {
    linchpin::program::main(linchpin::program::Registry::built_in())
}

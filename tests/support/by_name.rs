//! Tests of a program without a harness: each is a name on the command line, as with one.

use std::process::ExitCode;

/// Runs those whose names are asked for, all where none is; a test that fails panics.
pub fn run(tests: &[(&str, fn())]) -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let list = std::env::args().any(|word| word == "--list");
    let mut passed = 0;
    for (name, test) in tests {
        if !names.is_empty() && !names.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        if list {
            println!("{name}: test");
            continue;
        }
        test();
        println!("test {name} ... ok");
        passed += 1;
    }
    println!("\ntest result: ok. {passed} passed; 0 failed");
    ExitCode::SUCCESS
}

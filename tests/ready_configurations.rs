//! The configurations that a desk starts from: each is a whole one, in the mode and with the hosts of its name.

mod support;

use std::path::Path;

use support::{Running, linchpin};

const FILES: [(&str, &str); 6] = [
    ("binance-usdm-testnet", "TESTNET"),
    ("binance-usdm-live", "LIVE"),
    ("binance-usdm-dry-run", "DRY_RUN"),
    ("binance-spot-testnet", "TESTNET"),
    ("binance-spot-live", "LIVE"),
    ("binance-spot-dry-run", "DRY_RUN"),
];

fn path(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("configs/{name}.toml")).display().to_string()
}

#[test]
fn each_ready_configuration_passes_the_check_in_its_mode() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, mode) in FILES {
        let mut command = linchpin(folder.path(), &["check", &path(name)]);
        if mode == "LIVE" {
            command.env("LINCHPIN_MODE", "LIVE");
        }
        let told = Running::start(command).ended().expect_code(0);
        told.says(&format!("mode {mode}, 1 venue(s), 1 instrument(s), 1 strategy(ies)"));
    }
}

#[test]
fn a_live_one_does_not_pass_without_the_word_in_the_environment() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, _) in FILES.iter().filter(|(_, mode)| *mode == "LIVE") {
        let told = support::run(folder.path(), &["check", &path(name)]).expect_code(2);
        told.complains(&["LINCHPIN_MODE"]);
    }
}

#[test]
fn no_file_of_the_folder_is_forgotten_and_each_names_its_dialect() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    let mut found: Vec<String> = std::fs::read_dir(folder)
        .expect("it is in the repository")
        .filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_str()?.to_owned()))
        .collect();
    found.sort();
    let mut known: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
    known.sort_unstable();
    assert_eq!(found, known);
    for name in known {
        let text = std::fs::read_to_string(path(name)).expect("readable");
        let dialect = name.rsplitn(2, if name.ends_with("dry-run") { "-dry" } else { "-" }).last();
        assert!(text.contains(&format!("dialect = \"{}\"", dialect.expect("a name"))), "{name}");
    }
}

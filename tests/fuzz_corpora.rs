//! Every committed fuzz corpus through its target, on stable, in every test run; and mutations of each by the thousand.
//!
//! The targets' promises are in `fuzz/harness.rs`. A file that ends in `.hex` stands for the bytes that it spells.
#![cfg(feature = "embedded-venue")]

use std::path::{Path, PathBuf};

#[path = "fuzz/harness.rs"]
mod harness;

use harness::{TARGETS, Target};

/// Of each target's corpus; LINCHPIN_FUZZ_ROUNDS says otherwise.
const MUTATIONS: usize = 400;

#[test]
fn every_corpus_holds_its_targets_promises() {
    for (name, target) in TARGETS {
        for (path, bytes) in corpus(name) {
            run(*target, &bytes, &path.display().to_string());
        }
    }
}

#[test]
fn mutations_of_every_corpus_hold_the_same_promises() {
    let rounds = std::env::var("LINCHPIN_FUZZ_ROUNDS")
        .map_or(MUTATIONS, |rounds| rounds.parse().expect("LINCHPIN_FUZZ_ROUNDS is a number"));
    for (name, target) in TARGETS {
        let seeds: Vec<Vec<u8>> = corpus(name).into_iter().map(|(_, bytes)| bytes).collect();
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
        for round in 0..rounds {
            let mut bytes = seeds[round % seeds.len()].clone();
            for _ in 0..=dice.below(3) {
                mutate(&mut bytes, &seeds, &mut dice);
            }
            run(*target, &bytes, &format!("{name}, mutation {round}"));
        }
    }
}

/// With LINCHPIN_FUZZ_SEEDS=folder it writes the corpora there as cargo-fuzz wants them. Without, it only reads them.
#[test]
fn seeds_are_laid_out() {
    let folder = std::env::var_os("LINCHPIN_FUZZ_SEEDS").map(PathBuf::from);
    for (name, _) in TARGETS {
        let seeds = corpus(name);
        let Some(folder) = &folder else { continue };
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder).expect("the seeds folder can be made");
        for (at, (_, bytes)) in seeds.iter().enumerate() {
            std::fs::write(folder.join(format!("{at:03}")), bytes).expect("a seed can be written");
        }
    }
}

#[test]
fn every_target_has_its_file_and_no_file_is_forgotten() {
    let listed = |folder: &str| -> Vec<String> {
        let entries = std::fs::read_dir(home().join(folder)).expect("it is in the repository");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("readable").path())
            .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
            .collect();
        names.sort();
        names.dedup();
        names
    };
    let mut known: Vec<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    known.sort();
    assert_eq!(listed("fuzz_targets"), known);
    assert_eq!(listed("corpus"), known);
}

fn run(target: Target, bytes: &[u8], what: &str) {
    let outcome = std::panic::catch_unwind(|| target(bytes));
    assert!(outcome.is_ok(), "{what}: {}", bytes.escape_ascii());
}

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz")
}

/// The files of `corpus/<target>/`, and the lines of `corpus/<target>.txt`, whose first word is a label.
fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let mut seeds = Vec::new();
    let lines = home().join(format!("corpus/{target}.txt"));
    if let Ok(text) = std::fs::read_to_string(&lines) {
        let inputs = text.lines().filter_map(|line| Some(line.split_once(' ')?.1));
        seeds.extend(inputs.map(|input| (lines.clone(), input.as_bytes().to_vec())));
    }
    for entry in std::fs::read_dir(home().join("corpus").join(target)).into_iter().flatten().flatten() {
        let path = entry.path();
        let bytes = std::fs::read(&path).expect("a corpus file is readable");
        let bytes = if path.extension().is_some_and(|extension| extension == "hex") {
            spelled(&bytes)
        } else {
            bytes
        };
        seeds.push((path, bytes));
    }
    seeds.sort();
    assert!(!seeds.is_empty(), "target {target} has no corpus");
    seeds
}

fn spelled(hex: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(hex).expect("hex is text");
    text.split_whitespace().map(|pair| u8::from_str_radix(pair, 16).expect("two hex digits")).collect()
}

/// One change of the kinds that a fuzzer makes.
fn mutate(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], dice: &mut Dice) {
    const TELLING: &[u8] = b"\"{}[]:,.-0189eE\\ \n\x00\x7f\x80\xff";
    let at = dice.below(bytes.len() + 1);
    match dice.below(6) {
        0 => bytes.truncate(at),
        1 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
        2 if at < bytes.len() => bytes[at] = TELLING[dice.below(TELLING.len())],
        3 => bytes.insert(at, TELLING[dice.below(TELLING.len())]),
        4 if at < bytes.len() => {
            let end = at + dice.below(bytes.len() - at + 1);
            bytes.drain(at..end);
        }
        _ => {
            let other = &seeds[dice.below(seeds.len())];
            let from = dice.below(other.len() + 1);
            bytes.splice(at..at, other[from..].iter().copied());
        }
    }
}

/// The same mutations in every run: splitmix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound.max(1) as u64) as usize
    }
}

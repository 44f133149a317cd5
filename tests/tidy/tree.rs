//! The files that the project tracks, read once, and what a breach of a rule looks like.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::source::Source;

pub struct Tree {
    /// Text files, in the order of their paths.
    pub files: Vec<Source>,
    /// Every tracked file with its size in bytes, texts and others.
    pub sizes: Vec<(String, u64)>,
    /// Folders, for links that point to one.
    folders: BTreeSet<String>,
}

/// A rule that does not hold, and where.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Breach {
    pub path: String,
    pub line: usize,
    pub what: String,
}

impl Breach {
    pub fn at(source: &Source, offset: usize, what: impl Into<String>) -> Self {
        Self { path: source.path.clone(), line: source.line_of(offset), what: what.into() }
    }
    pub fn of_file(path: &str, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: 1, what: what.into() }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

impl Tree {
    /// What git tracks, or would with the next `git add`; without git, whatever is here but build output.
    pub fn of_the_project() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let paths = tracked(root).unwrap_or_else(|| walk(root));
        let mut sizes = Vec::new();
        let mut texts = Vec::new();
        for path in paths {
            // A file that git still lists and that is gone from the disk is on its way out.
            let Ok(bytes) = std::fs::read(root.join(&path)) else { continue };
            sizes.push((path.clone(), bytes.len() as u64));
            if let Ok(text) = String::from_utf8(bytes) {
                texts.push((path, text));
            }
        }
        assert!(sizes.len() > 50, "found {} files: this is not the project", sizes.len());
        Self { sizes, ..Self::of(texts.iter().map(|(path, text)| (path.as_str(), text.as_str()))) }
    }

    /// A tree from memory: what the cheat tests break on purpose.
    pub fn of<'a>(texts: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut files: Vec<Source> = texts.into_iter().map(|(path, text)| Source::new(path, text)).collect();
        files.sort_by(|one, other| one.path.cmp(&other.path));
        let sizes = files.iter().map(|file| (file.path.clone(), file.text.len() as u64)).collect();
        let mut folders = BTreeSet::new();
        for file in &files {
            let mut folder = Path::new(&file.path);
            while let Some(parent) = folder.parent() {
                folders.insert(parent.to_string_lossy().into_owned());
                folder = parent;
            }
        }
        let mut tree = Self { files, sizes, folders };
        tree.mark_test_files();
        tree
    }

    pub fn rust(&self) -> impl Iterator<Item = &Source> {
        self.files.iter().filter(|file| file.is_rust())
    }

    pub fn file(&self, path: &str) -> Option<&Source> {
        self.files.iter().find(|file| file.path == path)
    }

    pub fn has(&self, path: &str) -> bool {
        self.folders.contains(path) || self.sizes.iter().any(|(file, _)| file == path)
    }

    /// A file behind `#[cfg(test)] mod x;` is a test, and so is all that it declares.
    fn mark_test_files(&mut self) {
        let mut doors: BTreeSet<String> = self.rust().flat_map(Source::test_children).collect();
        let folders: Vec<String> = doors
            .iter()
            .filter_map(|path| path.strip_suffix("/mod.rs").or(path.strip_suffix(".rs")))
            .map(|folder| format!("{folder}/"))
            .collect();
        doors.retain(|path| self.files.iter().any(|file| &file.path == path));
        for file in &mut self.files {
            file.only_for_tests |=
                doors.contains(&file.path) || folders.iter().any(|folder| file.path.starts_with(folder));
        }
    }
}

fn tracked(root: &Path) -> Option<Vec<String>> {
    let listing = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8(listing.stdout).ok()?;
    Some(text.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect())
}

fn walk(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name();
            if path.is_dir() {
                if !["target", "var", ".git"].iter().any(|skipped| name == *skipped) {
                    open.push(path);
                }
            } else if let Ok(inside) = path.strip_prefix(root) {
                found.push(inside.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    found.sort();
    found
}

//! The Rust code of a tree, read once for all rules.

use std::collections::HashMap;

use crate::finding::{Finding, Rule};
use crate::modules::{ModuleId, Modules, Place};
use crate::packages::{self, Package};
use crate::references::{Reference, ReferenceKind};
use crate::syntax::{self, Syntax};
use crate::tree::{File, Tree};

pub struct Code<'t> {
    pub tree: &'t Tree,
    pub packages: Vec<Package>,
    pub modules: Modules,
    /// By index in the tree.
    pub syntax: HashMap<usize, Syntax>,
}

/// A reference of a file, and where it leads.
pub struct Link<'c> {
    pub file: usize,
    pub from: ModuleId,
    pub reference: &'c Reference,
    pub place: Place,
    /// In tests, or in a module for tests.
    pub test: bool,
}

impl<'t> Code<'t> {
    /// Parses everything; what cannot be read is a finding.
    pub fn read(tree: &'t Tree) -> (Self, Vec<Finding>) {
        let (packages, mut findings) = packages::read(tree);
        let mut parsed = HashMap::new();
        for (index, file) in tree.files.iter().enumerate() {
            if !file.is("rs") {
                continue;
            }
            match syn::parse_file(&file.text) {
                Ok(syntax) => {
                    parsed.insert(index, syntax);
                }
                Err(error) => {
                    let line = error.span().start().line;
                    let text = format!("expected Rust: {error}");
                    findings.push(Finding::new(Rule::Module, &file.path, line, text));
                }
            }
        }
        let (modules, unreached) = Modules::build(tree, &packages, &parsed);
        findings.extend(unreached);
        let syntax = parsed
            .iter()
            .map(|(index, file)| (*index, syntax::read(file)))
            .collect();
        let code = Self {
            tree,
            packages,
            modules,
            syntax,
        };
        (code, findings)
    }

    pub fn file(&self, index: usize) -> &File {
        &self.tree.files[index]
    }

    /// The path of the file that holds a module.
    pub fn path_of(&self, module: ModuleId) -> &str {
        &self.file(self.modules.all[module].file).path
    }

    /// All references of a file; of the first target where several contain it.
    pub fn links(&self, file: usize) -> impl Iterator<Item = Link<'_>> {
        let module = self.modules.of_file(file).first().copied();
        let references = self.syntax.get(&file).map(|syntax| &syntax.references);
        references
            .into_iter()
            .flatten()
            .filter_map(move |reference| {
                let from = self.modules.inner(module?, &reference.scope)?;
                let place = match reference.kind {
                    ReferenceKind::Method => Place::Outside(reference.segments.clone()),
                    _ => self.modules.resolve(from, &reference.segments),
                };
                let test = reference.test || self.modules.all[from].test;
                Some(Link {
                    file,
                    from,
                    reference,
                    place,
                    test,
                })
            })
    }

    /// The module that a reference makes its own file depend on. A name of another module that
    /// is only bound, or handed on from a child, makes none: its use does.
    pub fn target(&self, link: &Link<'_>) -> Option<ModuleId> {
        let is_glob = link
            .reference
            .segments
            .last()
            .is_some_and(|last| last == "*");
        let target = match (&link.place, &link.reference.kind) {
            (Place::Outside(_), _) | (_, ReferenceKind::Method) => return None,
            (Place::Module(module), ReferenceKind::Use | ReferenceKind::Reexport) => {
                (is_glob && self.modules.defines_items(*module)).then_some(*module)?
            }
            (Place::Module(module) | Place::Item(module), _) => *module,
        };
        let hands_on = link.reference.kind == ReferenceKind::Reexport
            && self.modules.is_below(target, link.from);
        (!hands_on).then_some(target)
    }
}

//! The modules of all targets: which file holds which, and to which file a path leads.
//!
//! A path leads to the file of the deepest module on it that is a module of the workspace.
//! A name that a module hands on with `use` is followed to the file that defines it, so a
//! parent that only declares and re-exports its children stands between nobody.

use std::collections::{HashMap, HashSet};

use crate::finding::{Finding, Rule};
use crate::packages::{Kind, Package};
use crate::syntax::is_for_tests;
use crate::tree::Tree;

pub type ModuleId = usize;

/// Re-exports that lead to re-exports; a longer chain is a circle of names.
const LONGEST_CHAIN: usize = 16;

#[derive(Debug)]
pub struct Module {
    /// Index of its file in the tree.
    pub file: usize,
    /// Index of its package.
    pub package: usize,
    pub parent: Option<ModuleId>,
    /// The module of the target's root file.
    pub root: ModuleId,
    /// Compiled for tests alone.
    pub test: bool,
    children: HashMap<String, ModuleId>,
    items: HashSet<String>,
    /// Names that `use` binds, with the path as it is written.
    imports: HashMap<String, Vec<String>>,
    globs: Vec<Vec<String>>,
}

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A module itself.
    Module(ModuleId),
    /// A name that a module defines.
    Item(ModuleId),
    /// Out of the workspace, or to a local name: the path with its imports written out.
    Outside(Vec<String>),
}

/// All modules of the workspace.
#[derive(Debug, Default)]
pub struct Modules {
    pub all: Vec<Module>,
    /// Root modules of libraries, by the name that `use` knows them by.
    libraries: HashMap<String, ModuleId>,
    /// The modules of a file that stand at its top: a file may belong to several targets.
    by_file: HashMap<usize, Vec<ModuleId>>,
}

/// The parsed files, by index in the tree.
pub type Parsed = HashMap<usize, syn::File>;

impl Modules {
    /// Follows the `mod` declarations from the roots of all targets.
    pub fn build(tree: &Tree, packages: &[Package], parsed: &Parsed) -> (Self, Vec<Finding>) {
        let mut modules = Self::default();
        for (number, package) in packages.iter().enumerate() {
            for root in &package.roots {
                let Some(file) = tree.index(&root.path) else {
                    continue;
                };
                let test = root.kind == Kind::Test;
                let id = modules.add(file, number, None, test);
                if root.kind == Kind::Library {
                    modules.libraries.insert(package.library.clone(), id);
                }
                modules.by_file.entry(file).or_default().push(id);
                if let Some(syntax) = parsed.get(&file) {
                    let mut builder = Builder {
                        tree,
                        parsed,
                        modules: &mut modules,
                    };
                    let folder = folder_of(&root.path).to_owned();
                    builder.items(id, &syntax.items, &folder, &folder);
                }
            }
        }
        let findings = modules.unreached(tree);
        (modules, findings)
    }

    fn add(
        &mut self,
        file: usize,
        package: usize,
        parent: Option<ModuleId>,
        test: bool,
    ) -> ModuleId {
        let id = self.all.len();
        let root = parent.map_or(id, |parent| self.all[parent].root);
        self.all.push(Module {
            file,
            package,
            parent,
            root,
            test,
            children: HashMap::new(),
            items: HashSet::new(),
            imports: HashMap::new(),
            globs: Vec::new(),
        });
        id
    }

    fn unreached(&self, tree: &Tree) -> Vec<Finding> {
        let files = tree.files.iter().enumerate();
        files
            .filter(|(index, file)| file.is("rs") && !self.by_file.contains_key(index))
            .map(|(_, file)| {
                let text =
                    "no target of a package contains this file; declare it with `mod` or delete it";
                Finding::new(Rule::Module, &file.path, 1, text)
            })
            .collect()
    }

    /// The modules that a file is the top of.
    pub fn of_file(&self, file: usize) -> &[ModuleId] {
        self.by_file.get(&file).map_or(&[], Vec::as_slice)
    }

    /// The inline module at a path below a module.
    pub fn inner(&self, module: ModuleId, scope: &[String]) -> Option<ModuleId> {
        scope
            .iter()
            .try_fold(module, |at, name| self.all[at].children.get(name).copied())
    }

    /// Whether the module defines something itself beside its children.
    pub fn defines_items(&self, module: ModuleId) -> bool {
        !self.all[module].items.is_empty()
    }

    /// Whether a module lies within another one.
    pub fn is_below(&self, module: ModuleId, ancestor: ModuleId) -> bool {
        let mut at = self.all[module].parent;
        while let Some(parent) = at {
            if parent == ancestor {
                return true;
            }
            at = self.all[parent].parent;
        }
        false
    }

    /// Follows a path that is written in a module.
    pub fn resolve(&self, from: ModuleId, path: &[String]) -> Place {
        self.follow(from, path, LONGEST_CHAIN)
            .unwrap_or_else(|| Place::Outside(path.to_vec()))
    }

    /// `None`: the path begins with a name that nothing here binds.
    fn follow(&self, from: ModuleId, path: &[String], chain: usize) -> Option<Place> {
        let chain = chain.checked_sub(1)?;
        let (first, rest) = path.split_first()?;
        let module = &self.all[from];
        match first.as_str() {
            "crate" => self.descend(module.root, rest, chain),
            "self" => self.descend(from, rest, chain),
            "super" => {
                let parent = module.parent?;
                match rest.first().map(String::as_str) {
                    Some("super") => self.follow(parent, rest, chain),
                    _ => self.descend(parent, rest, chain),
                }
            }
            name => self
                .named(from, name, rest, chain)
                .or_else(|| self.descend(*self.libraries.get(name)?, rest, chain)),
        }
    }

    /// Follows the rest of a path from a module.
    fn descend(&self, module: ModuleId, rest: &[String], chain: usize) -> Option<Place> {
        let Some((first, rest)) = rest.split_first() else {
            return Some(Place::Module(module));
        };
        match first.as_str() {
            "*" => Some(Place::Module(module)),
            // A name that a macro defines stands in the module all the same.
            name => self
                .named(module, name, rest, chain)
                .or(Some(Place::Item(module))),
        }
    }

    /// What a name means in a module, with the rest of the path after it.
    fn named(&self, at: ModuleId, name: &str, rest: &[String], chain: usize) -> Option<Place> {
        let module = &self.all[at];
        if let Some(child) = module.children.get(name) {
            return self.descend(*child, rest, chain);
        }
        if module.items.contains(name) {
            return Some(Place::Item(at));
        }
        if let Some(import) = module.imports.get(name) {
            let path = [import.as_slice(), rest].concat();
            // `use anyhow::anyhow` takes the library's name, not the one that it binds.
            if import[0] == name {
                return Some(match self.libraries.get(name) {
                    Some(library) => self.descend(*library, &path[1..], chain)?,
                    None => Place::Outside(path),
                });
            }
            return Some(
                self.follow(at, &path, chain)
                    .unwrap_or(Place::Outside(path)),
            );
        }
        module.globs.iter().find_map(|glob| {
            let chain = chain.checked_sub(1)?;
            match self.follow(at, glob, chain)? {
                Place::Module(of) if of != at => self.named(of, name, rest, chain),
                _ => None,
            }
        })
    }
}

struct Builder<'t> {
    tree: &'t Tree,
    parsed: &'t Parsed,
    modules: &'t mut Modules,
}

impl Builder<'_> {
    /// `folder` is where the module's children are, `beside` where its file is.
    fn items(&mut self, id: ModuleId, items: &[syn::Item], folder: &str, beside: &str) {
        for item in items {
            match item {
                syn::Item::Mod(item) => self.child(id, item, folder, beside),
                syn::Item::Use(item) => self.import(id, &item.tree, &[]),
                syn::Item::Fn(item) => self.item(id, &item.sig.ident),
                syn::Item::Struct(item) => self.item(id, &item.ident),
                syn::Item::Enum(item) => self.item(id, &item.ident),
                syn::Item::Union(item) => self.item(id, &item.ident),
                syn::Item::Trait(item) => self.item(id, &item.ident),
                syn::Item::TraitAlias(item) => self.item(id, &item.ident),
                syn::Item::Type(item) => self.item(id, &item.ident),
                syn::Item::Const(item) => self.item(id, &item.ident),
                syn::Item::Static(item) => self.item(id, &item.ident),
                syn::Item::Macro(item) => {
                    if let Some(name) = &item.ident {
                        self.item(id, name);
                    }
                }
                _ => {}
            }
        }
    }

    fn item(&mut self, id: ModuleId, name: &syn::Ident) {
        self.modules.all[id].items.insert(name.to_string());
    }

    fn child(&mut self, id: ModuleId, item: &syn::ItemMod, folder: &str, beside: &str) {
        let name = item.ident.to_string();
        let (package, test) = (self.modules.all[id].package, self.modules.all[id].test);
        let test = test || is_for_tests(&item.attrs);
        let inner = format!("{folder}/{name}");
        if let Some((_, items)) = &item.content {
            let file = self.modules.all[id].file;
            let child = self.modules.add(file, package, Some(id), test);
            self.modules.all[id].children.insert(name, child);
            self.items(child, items, &inner, &inner);
            return;
        }
        let candidates = match path_attribute(&item.attrs) {
            Some(path) => vec![normal(&format!("{beside}/{path}"))],
            None => vec![format!("{inner}.rs"), format!("{inner}/mod.rs")],
        };
        let Some((path, file)) = candidates
            .into_iter()
            .find_map(|path| Some((path.clone(), self.tree.index(&path)?)))
        else {
            return;
        };
        let child = self.modules.add(file, package, Some(id), test);
        self.modules.all[id].children.insert(name, child);
        self.modules.by_file.entry(file).or_default().push(child);
        if let Some(syntax) = self.parsed.get(&file) {
            let beside = folder_of(&path).to_owned();
            let is_folders_own = path.ends_with("/mod.rs") || path_attribute(&item.attrs).is_some();
            let folder = if is_folders_own {
                beside.clone()
            } else {
                inner
            };
            self.items(child, &syntax.items, &folder, &beside);
        }
    }

    fn import(&mut self, id: ModuleId, tree: &syn::UseTree, before: &[String]) {
        let with = |name: &syn::Ident| {
            let mut path = before.to_vec();
            if name != "self" || path.is_empty() {
                path.push(name.to_string());
            }
            path
        };
        let module = &mut self.modules.all[id];
        match tree {
            syn::UseTree::Path(path) => self.import(id, &path.tree, &with(&path.ident)),
            syn::UseTree::Name(name) => {
                let path = with(&name.ident);
                if let Some(bound) = path.last().cloned() {
                    module.imports.insert(bound, path);
                }
            }
            syn::UseTree::Rename(rename) => {
                let path = with(&rename.ident);
                module.imports.insert(rename.rename.to_string(), path);
            }
            syn::UseTree::Glob(_) => module.globs.push(before.to_vec()),
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(id, tree, before);
                }
            }
        }
    }
}

fn path_attribute(attributes: &[syn::Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| {
        let value = &attribute.meta.require_name_value().ok()?.value;
        match value {
            syn::Expr::Lit(syn::ExprLit {
                lit: syn::Lit::Str(path),
                ..
            }) if attribute.path().is_ident("path") => Some(path.value()),
            _ => None,
        }
    })
}

fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// A path without `.` and `..`.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

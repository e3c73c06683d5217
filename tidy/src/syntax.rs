//! What the rules need of one parsed Rust file: references by path, names that it defines,
//! and where its functions begin and end.

use proc_macro2::{Span, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, spanned::Spanned};

use crate::references::{Reference, ReferenceKind, begins_upper, plain};
use crate::tokens;

/// A name that a file defines.
#[derive(Debug, Clone)]
pub struct Definition {
    pub line: usize,
    pub name: String,
}

/// A function with a body.
#[derive(Debug, Clone)]
pub struct Function {
    pub name: String,
    pub first_line: usize,
    /// From the signature to the closing brace.
    pub lines: usize,
}

/// All of it.
#[derive(Debug, Default)]
pub struct Syntax {
    pub references: Vec<Reference>,
    pub definitions: Vec<Definition>,
    pub functions: Vec<Function>,
}

/// Reads a parsed file.
pub fn read(file: &syn::File) -> Syntax {
    let mut reader = Reader::default();
    reader.visit_file(file);
    reader.found
}

/// Whether an attribute makes its item a part of the tests.
pub fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let path = attribute.path();
        if path.is_ident("cfg") {
            let condition = attribute
                .meta
                .require_list()
                .map(|list| list.tokens.to_string());
            return condition.is_ok_and(|text| text.contains("test") && !text.contains("not"));
        }
        is_test_function(attribute)
    })
}

/// `#[test]`, `#[tokio::test]`.
fn is_test_function(attribute: &Attribute) -> bool {
    attribute
        .path()
        .segments
        .last()
        .is_some_and(|last| last.ident == "test")
}

#[derive(Default)]
struct Reader {
    found: Syntax,
    scope: Vec<String>,
    /// How many items for tests are around.
    tests: usize,
}

impl Reader {
    fn refer(&mut self, span: Span, segments: Vec<String>, kind: ReferenceKind) {
        self.found.references.push(Reference {
            line: span.start().line,
            scope: self.scope.clone(),
            segments,
            kind,
            test: self.tests > 0,
        });
    }

    fn define(&mut self, name: &syn::Ident) {
        self.found.definitions.push(Definition {
            line: name.span().start().line,
            name: plain(name),
        });
    }

    /// The name of a test is a sentence, not an identifier that somebody uses.
    fn function(
        &mut self,
        attributes: &[Attribute],
        signature: &syn::Signature,
        block: Option<&syn::Block>,
    ) {
        if !attributes.iter().any(is_test_function) {
            self.define(&signature.ident);
        }
        if let Some(block) = block {
            let first_line = signature.span().start().line;
            self.found.functions.push(Function {
                name: plain(&signature.ident),
                first_line,
                lines: block.span().end().line + 1 - first_line,
            });
        }
    }

    fn inside_tests(&mut self, attributes: &[Attribute], visit: impl FnOnce(&mut Self)) {
        let tests = usize::from(is_for_tests(attributes));
        self.tests += tests;
        visit(self);
        self.tests -= tests;
    }

    fn use_tree(&mut self, tree: &syn::UseTree, before: &[String], kind: &ReferenceKind) {
        let with = |name: &syn::Ident| {
            let mut segments = before.to_vec();
            // `use a::{self}` names `a`.
            if name != "self" || segments.is_empty() {
                segments.push(plain(name));
            }
            segments
        };
        match tree {
            syn::UseTree::Path(path) => self.use_tree(&path.tree, &with(&path.ident), kind),
            syn::UseTree::Name(name) => {
                self.refer(name.ident.span(), with(&name.ident), kind.clone());
            }
            syn::UseTree::Rename(rename) => {
                self.define(&rename.rename);
                self.refer(rename.ident.span(), with(&rename.ident), kind.clone());
            }
            syn::UseTree::Glob(glob) => {
                let mut segments = before.to_vec();
                segments.push("*".to_owned());
                self.refer(glob.span(), segments, kind.clone());
            }
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.use_tree(tree, before, kind);
                }
            }
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes: &[Attribute] = match item {
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Impl(item) => &item.attrs,
            syn::Item::Mod(item) => &item.attrs,
            syn::Item::Use(item) => &item.attrs,
            syn::Item::Struct(item) => &item.attrs,
            syn::Item::Enum(item) => &item.attrs,
            _ => &[],
        };
        self.inside_tests(attributes, |reader| visit::visit_item(reader, item));
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.define(&item.ident);
        self.scope.push(plain(&item.ident));
        visit::visit_item_mod(self, item);
        self.scope.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let kind = match item.vis {
            syn::Visibility::Inherited => ReferenceKind::Use,
            _ => ReferenceKind::Reexport,
        };
        self.use_tree(&item.tree, &[], &kind);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.attrs, &item.sig, Some(&item.block));
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.attrs, &item.sig, Some(&item.block));
        self.inside_tests(&item.attrs, |reader| {
            visit::visit_impl_item_fn(reader, item);
        });
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        self.function(&item.attrs, &item.sig, item.default.as_ref());
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        // The names in an implementation of a trait are the trait's; those of a trait of the
        // repository are found where it is defined.
        let defined = self.found.definitions.len();
        visit::visit_item_impl(self, item);
        if item.trait_.is_some() {
            let names: Vec<String> = item
                .items
                .iter()
                .filter_map(|member| match member {
                    syn::ImplItem::Fn(function) => Some(plain(&function.sig.ident)),
                    syn::ImplItem::Type(alias) => Some(plain(&alias.ident)),
                    syn::ImplItem::Const(constant) => Some(plain(&constant.ident)),
                    _ => None,
                })
                .collect();
            let inner = self.found.definitions.split_off(defined);
            let own = inner.into_iter().filter(|d| !names.contains(&d.name));
            self.found.definitions.extend(own);
        }
    }

    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {
        // `pub(crate)` uses nothing of the crate's root.
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|s| plain(&s.ident)).collect();
        self.refer(path.span(), segments, ReferenceKind::Path);
        visit::visit_path(self, path);
    }

    fn visit_expr_path(&mut self, expression: &'ast syn::ExprPath) {
        // A variable; what is called comes by `visit_expr_call`.
        let variable = expression
            .path
            .get_ident()
            .is_some_and(|name| !begins_upper(&name.to_string()));
        if !variable {
            visit::visit_expr_path(self, expression);
        }
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        if let syn::Expr::Path(function) = call.func.as_ref()
            && let Some(name) = function.path.get_ident()
        {
            self.refer(name.span(), vec![plain(name)], ReferenceKind::Path);
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if call.args.is_empty() {
            let name = vec![plain(&call.method)];
            self.refer(call.method.span(), name, ReferenceKind::Method);
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        visit::visit_path(self, &call.path);
        for shape in tokens::read(&call.tokens) {
            self.refer(shape.span, shape.segments, shape.kind);
        }
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        // `#[serde(with = "crate::a")]`
        if let syn::Meta::List(list) = &attribute.meta {
            for token in list.tokens.clone() {
                let TokenTree::Literal(literal) = token else {
                    continue;
                };
                let text = literal.to_string();
                let path = text.trim_matches('"');
                if path.contains("::")
                    && path
                        .chars()
                        .all(|c| c.is_alphanumeric() || "_:".contains(c))
                {
                    let segments = path.split("::").map(str::to_owned).collect();
                    self.refer(literal.span(), segments, ReferenceKind::Path);
                }
            }
        }
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.define(&item.ident);
        visit::visit_item_struct(self, item);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.define(&item.ident);
        visit::visit_item_enum(self, item);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.define(&item.ident);
        visit::visit_item_trait(self, item);
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.define(&item.ident);
        visit::visit_item_type(self, item);
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.define(&item.ident);
        visit::visit_item_const(self, item);
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        self.define(&item.ident);
        visit::visit_item_static(self, item);
    }

    fn visit_impl_item_const(&mut self, item: &'ast syn::ImplItemConst) {
        self.define(&item.ident);
        visit::visit_impl_item_const(self, item);
    }

    fn visit_item_macro(&mut self, item: &'ast syn::ItemMacro) {
        if let Some(name) = &item.ident {
            self.define(name);
        }
        visit::visit_item_macro(self, item);
    }

    fn visit_variant(&mut self, variant: &'ast syn::Variant) {
        self.define(&variant.ident);
        visit::visit_variant(self, variant);
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        if let Some(name) = &field.ident {
            self.define(name);
        }
        visit::visit_field(self, field);
    }

    fn visit_field_pat(&mut self, pattern: &'ast syn::FieldPat) {
        // `Type { field }` takes the field's name, which its type has defined.
        if pattern.colon_token.is_some() {
            visit::visit_field_pat(self, pattern);
        }
    }

    fn visit_pat_ident(&mut self, pattern: &'ast syn::PatIdent) {
        // Upper case: a constant or a variant that the pattern matches.
        if !begins_upper(&pattern.ident.to_string()) {
            self.define(&pattern.ident);
        }
        visit::visit_pat_ident(self, pattern);
    }
}

//! Which source file of a crate uses which others, read from the sources: `use` and every path in the code, each followed through
//! re-exports to the file that defines what is named. Tests do not count, nor does a folder's re-export of what lies in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use syn::{
    Attribute, Item, ItemMod, ItemUse, Meta, UseTree, Visibility,
    visit::{self, Visit},
};

/// The names of modules from the root of a crate on.
type ModulePath = Vec<String>;

/// How far re-exports are followed: those that lead in a circle lead nowhere.
const MOST_REEXPORTS: usize = 16;

/// The source files of one crate, each with those that it uses.
#[derive(Debug)]
pub(crate) struct Imports {
    /// By file, relative to the folder of the crate's root, without the ending: `gateway/state/mod`.
    pub(crate) files: BTreeMap<String, BTreeSet<String>>,
    /// The types that each file defines, in the same way.
    pub(crate) types: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Debug, Default)]
struct Module {
    file: String,
    defined: BTreeSet<String>,
    /// Those of them that are types, and types within functions.
    types: BTreeSet<String>,
    /// What `use` brings in, by the name that it has here.
    imported: BTreeMap<String, Import>,
    /// Modules of which all is brought in.
    globs: Vec<Import>,
    /// Paths in the code.
    named: Vec<Vec<String>>,
}

#[derive(Debug, Clone)]
struct Import {
    path: Vec<String>,
    public: bool,
}

type Modules = BTreeMap<ModulePath, Module>;

impl Imports {
    /// Reads a crate from its root, a `lib.rs` or `main.rs`.
    pub(crate) fn read(root: &Path) -> Self {
        let folder = root.parent().expect("a root lies in a folder");
        let text = |file: &Path| fs::read_to_string(file).ok();
        let mut modules = Modules::new();
        load(&text, folder, root.to_owned(), folder.to_owned(), Vec::new(), &mut modules);
        Self::of(&modules)
    }

    fn of(modules: &Modules) -> Self {
        let mut files: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut types: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (at, module) in modules {
            types.entry(module.file.clone()).or_default().extend(module.types.iter().cloned());
            let used = files.entry(module.file.clone()).or_default();
            let imports = module.imported.values().chain(&module.globs);
            let paths =
                imports.map(|import| (&import.path, import.public)).chain(module.named.iter().map(|p| (p, false)));
            for (path, public) in paths {
                let Some(found) = resolve(modules, at, path, true, 0) else { continue };
                // The face of a folder shows what lies in it.
                let is_face = public && found.len() > at.len() && found.starts_with(at);
                let file = &modules[&found].file;
                if !is_face && *file != module.file {
                    used.insert(file.clone());
                }
            }
        }
        Self { files, types }
    }

    /// The circles, each sorted, the largest first: files that use each other, directly or by way of others.
    pub(crate) fn circles(&self) -> Vec<Vec<&str>> {
        let reach: BTreeMap<&str, BTreeSet<&str>> =
            self.files.keys().map(|from| (from.as_str(), self.reach(from))).collect();
        let mut seen = BTreeSet::new();
        let mut circles = Vec::new();
        for (from, reached) in &reach {
            let circle: Vec<&str> = reached.iter().copied().filter(|to| reach[to].contains(from)).collect();
            if circle.len() > 1 && !seen.contains(from) {
                seen.extend(circle.iter().copied());
                circles.push(circle);
            }
        }
        circles.sort_by_key(|circle| std::cmp::Reverse(circle.len()));
        circles
    }

    fn reach<'i>(&'i self, from: &'i str) -> BTreeSet<&'i str> {
        let (mut reached, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(next) = open.pop() {
            let used = self.files.get(next).into_iter().flatten().map(String::as_str);
            open.extend(used.filter(|to| reached.insert(*to)));
        }
        reached
    }
}

/// Reads one file and the modules that it declares. `children`: where their files lie.
fn load(
    text: &impl Fn(&Path) -> Option<String>,
    root: &Path,
    file: PathBuf,
    children: PathBuf,
    at: ModulePath,
    modules: &mut Modules,
) {
    let source = text(&file).unwrap_or_else(|| panic!("there is no {}", file.display()));
    let parsed = syn::parse_file(&source).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let name = file.strip_prefix(root).expect("it lies below the root").with_extension("");
    read_items(text, root, &parsed.items, name.to_str().expect("text"), &children, at, modules);
}

fn read_items(
    text: &impl Fn(&Path) -> Option<String>,
    root: &Path,
    items: &[Item],
    file: &str,
    children: &Path,
    at: ModulePath,
    modules: &mut Modules,
) {
    let mut module = Module { file: file.to_owned(), ..Module::default() };
    for item in items.iter().filter(|item| !is_of_tests(attributes(item))) {
        if let Some(name) = defined_by(item) {
            module.defined.insert(name);
        }
        match item {
            Item::Use(used) => take_use(used, &mut module),
            Item::Mod(child) => {
                let path = [at.as_slice(), &[child.ident.to_string()]].concat();
                read_module(text, root, child, file, children, path, modules);
            }
            other => {
                let mut paths = Paths { module: &mut module };
                paths.visit_item(other);
            }
        }
    }
    modules.insert(at, module);
}

fn read_module(
    text: &impl Fn(&Path) -> Option<String>,
    root: &Path,
    child: &ItemMod,
    file: &str,
    children: &Path,
    path: ModulePath,
    modules: &mut Modules,
) {
    let folder = children.join(child.ident.to_string());
    match &child.content {
        Some((_, items)) => read_items(text, root, items, file, &folder, path, modules),
        None => {
            let beside = children.join(format!("{}.rs", child.ident));
            let own = if text(&beside).is_some() { beside } else { folder.join("mod.rs") };
            load(text, root, own, folder, path, modules);
        }
    }
}

/// The paths in the code of one item.
struct Paths<'m> {
    module: &'m mut Module,
}

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            self.module.named.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        }
        visit::visit_path(self, path);
    }

    fn visit_item(&mut self, item: &'ast Item) {
        if !is_of_tests(attributes(item)) {
            self.module.types.extend(type_of(item));
            visit::visit_item(self, item);
        }
    }

    // `pub(super)` uses nothing.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_item_use(&mut self, used: &'ast ItemUse) {
        take_use(used, self.module);
    }
}

fn take_use(used: &ItemUse, module: &mut Module) {
    let public = !matches!(used.vis, Visibility::Inherited);
    let mut leaves = Vec::new();
    expand(&used.tree, Vec::new(), &mut leaves);
    for (path, name) in leaves {
        match name {
            Some(name) => {
                module.imported.insert(name, Import { path, public });
            }
            None => module.globs.push(Import { path, public }),
        }
    }
}

/// Each path that a `use` names, with the name that it has from then on; of a glob there is none.
fn expand(tree: &UseTree, before: Vec<String>, leaves: &mut Vec<(Vec<String>, Option<String>)>) {
    let with = |name: &syn::Ident| [before.as_slice(), &[name.to_string()]].concat();
    match tree {
        UseTree::Path(path) => expand(&path.tree, with(&path.ident), leaves),
        UseTree::Group(group) => group.items.iter().for_each(|tree| expand(tree, before.clone(), leaves)),
        UseTree::Glob(_) => leaves.push((before, None)),
        UseTree::Name(name) if name.ident == "self" => {
            let last = before.last().cloned();
            leaves.push((before, last));
        }
        UseTree::Name(name) => leaves.push((with(&name.ident), Some(name.ident.to_string()))),
        UseTree::Rename(rename) if rename.ident == "self" => leaves.push((before, Some(rename.rename.to_string()))),
        UseTree::Rename(rename) => leaves.push((with(&rename.ident), Some(rename.rename.to_string()))),
    }
}

/// The module that defines what a path names, seen from a module; `None`: another crate, or a name of the code itself.
/// `inside`: private names of that module count, too.
fn resolve(modules: &Modules, at: &ModulePath, path: &[String], inside: bool, depth: usize) -> Option<ModulePath> {
    let module = modules.get(at)?;
    let Some((first, rest)) = path.split_first() else { return Some(at.clone()) };
    if depth > MOST_REEXPORTS {
        return None;
    }
    let follow = |at: ModulePath, inside| resolve(modules, &at, rest, inside, depth + 1);
    match first.as_str() {
        "crate" if inside => return follow(Vec::new(), true),
        "self" if inside => return follow(at.clone(), true),
        "super" if inside => return follow(at[..at.len().checked_sub(1)?].to_vec(), true),
        _ => {}
    }
    let child = [at.as_slice(), std::slice::from_ref(first)].concat();
    if modules.contains_key(&child) {
        return follow(child, false);
    }
    if module.defined.contains(first) {
        return Some(at.clone());
    }
    let through = |import: &Import, rest: &[String]| {
        // `use x::x` names another `x`: what a path of `use` begins with is never what that `use` brings in.
        let path = [import.path.as_slice(), rest].concat();
        let begins_with_itself = import.path.first() == Some(first) && import.path.len() > 1;
        (!begins_with_itself).then(|| resolve(modules, at, &path, true, depth + 1)).flatten()
    };
    match module.imported.get(first) {
        Some(import) => through(import, rest),
        None => module.globs.iter().find_map(|glob| through(glob, path)),
    }
}

fn defined_by(item: &Item) -> Option<String> {
    Some(match item {
        Item::Const(item) => item.ident.to_string(),
        Item::Enum(item) => item.ident.to_string(),
        Item::Fn(item) => item.sig.ident.to_string(),
        Item::Static(item) => item.ident.to_string(),
        Item::Struct(item) => item.ident.to_string(),
        Item::Trait(item) => item.ident.to_string(),
        Item::Type(item) => item.ident.to_string(),
        Item::Union(item) => item.ident.to_string(),
        _ => return None,
    })
}

/// The type that an item defines: what a reader finds who searches for the name.
fn type_of(item: &Item) -> Option<String> {
    let is_type = matches!(item, Item::Enum(_) | Item::Struct(_) | Item::Trait(_) | Item::Type(_) | Item::Union(_));
    defined_by(item).filter(|_| is_type)
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Whether it is compiled for tests only.
fn is_of_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => list.tokens.to_string() == "test",
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imports(files: &[(&str, &str)]) -> Imports {
        let text = |file: &Path| {
            let name = file.strip_prefix("/src").expect("below the root").to_str().expect("text");
            files.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned())
        };
        let (mut modules, root) = (Modules::new(), Path::new("/src"));
        load(&text, root, root.join("lib.rs"), root.to_owned(), Vec::new(), &mut modules);
        Imports::of(&modules)
    }

    fn used<'i>(imports: &'i Imports, file: &str) -> Vec<&'i str> {
        imports.files[file].iter().map(String::as_str).collect()
    }

    #[test]
    fn what_is_used_is_found_in_the_file_that_defines_it_whatever_shows_it() {
        let imports = imports(&[
            ("lib.rs", "mod a; mod b; pub use a::Inner as Shown;"),
            ("a/mod.rs", "mod inner; mod other; pub(crate) use self::inner::{Inner, deep}; pub(crate) use other::*;"),
            ("a/inner.rs", "pub(crate) struct Inner; pub(crate) fn deep() {}"),
            ("a/other.rs", "pub(crate) struct Other; use super::inner; fn f() { inner::deep() }"),
            (
                "b.rs",
                "use crate::{Shown, a::{self, Other as O}}; use std::fmt; fn f() { a::deep(); crate::a::inner::deep(); }",
            ),
        ]);
        assert_eq!(used(&imports, "b"), ["a/inner", "a/mod", "a/other"]);
        assert_eq!(used(&imports, "a/other"), ["a/inner"]);
        assert!(used(&imports, "a/mod").is_empty() && used(&imports, "lib").is_empty(), "faces use nothing");
    }

    #[test]
    fn tests_and_other_crates_do_not_count_and_modules_within_a_file_do() {
        let imports = imports(&[
            ("lib.rs", "mod a; mod b; mod c;"),
            ("a.rs", "#[cfg(test)] mod tests { use crate::b::B; } #[cfg(test)] use crate::b::B; use a::b;"),
            ("b.rs", "pub(crate) struct B; mod inner { use super::super::c::C; }"),
            ("c.rs", "pub(crate) struct C;"),
        ]);
        assert!(used(&imports, "a").is_empty());
        assert_eq!(used(&imports, "b"), ["c"]);
    }

    #[test]
    fn types_are_found_by_file_with_those_in_functions_and_without_those_of_tests() {
        let imports = imports(&[
            ("lib.rs", "mod a; type L = u8;"),
            (
                "a.rs",
                "pub(crate) enum E { V } fn f() { struct Inner; } impl E { fn g() { enum InMethod {} } } \
                 #[cfg(test)] mod tests { struct T; } mod inner { trait Deep { type Associated; } }",
            ),
        ]);
        assert_eq!(imports.types["lib"].iter().collect::<Vec<_>>(), ["L"]);
        assert_eq!(imports.types["a"].iter().collect::<Vec<_>>(), ["Deep", "E", "InMethod", "Inner"]);
    }

    #[test]
    fn circles_are_found_once_and_whole() {
        let imports = imports(&[
            ("lib.rs", "mod a; mod b; mod c; mod d;"),
            ("a.rs", "pub(crate) struct A(crate::b::B);"),
            ("b.rs", "pub(crate) struct B; use crate::c;"),
            ("c.rs", "use super::a::A; use crate::d::D;"),
            ("d.rs", "pub(crate) struct D;"),
        ]);
        assert_eq!(imports.circles(), [vec!["a", "b", "c"]]);
    }
}

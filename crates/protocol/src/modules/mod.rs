//! The kernel's module index (modules.dep, .alias, .softdep, .builtin): what the image-builder puts into
//! /lib/modules of an initrd and the agent reads there.

pub mod glob;

use glob::normalise;
use std::collections::{BTreeMap, BTreeSet};

/// The texts of the index files; one that is absent is empty.
#[derive(Debug, Clone, Copy, Default)]
pub struct IndexFiles<'a> {
    /// modules.dep
    pub dep: &'a str,
    /// modules.alias
    pub alias: &'a str,
    /// modules.softdep
    pub softdep: &'a str,
    /// modules.builtin
    pub builtin: &'a str,
}

/// Modules by name (`-` written as `_`), what they need and what they drive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModuleIndex {
    modules: BTreeMap<String, Module>,
    aliases: Vec<(String, String)>,
    soft: BTreeMap<String, SoftDeps>,
    builtin: BTreeSet<String>,
}

/// A module that is a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Module {
    /// Relative to /lib/modules/VERSION: `kernel/fs/ext4/ext4.ko`.
    pub path: String,
    /// Names of the modules it cannot do without.
    pub needs: Vec<String>,
}

/// What should be loaded around a module, where it is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct SoftDeps {
    pre: Vec<String>,
    post: Vec<String>,
}

/// A name that stands for nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownModule(pub String);

impl std::fmt::Display for UnknownModule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "no module {}", self.0)
    }
}

impl std::error::Error for UnknownModule {}

/// The module's name of a path: `kernel/x/virtio-rng.ko.xz` is `virtio_rng`.
pub fn name_of(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    normalise(file.split(".ko").next().unwrap_or(file))
}

impl ModuleIndex {
    /// Reads the index; lines that are not understood are passed over, as modprobe does.
    pub fn parse(files: IndexFiles<'_>) -> Self {
        let modules = files.dep.lines().filter_map(dep_line).collect();
        let aliases = files.alias.lines().filter_map(alias_line).collect();
        let soft = files.softdep.lines().filter_map(softdep_line).collect();
        let builtin = files.builtin.lines().map(str::trim).filter(|line| !line.is_empty()).map(name_of).collect();
        Self { modules, aliases, soft, builtin }
    }

    /// Every module that is a file, by name.
    pub fn modules(&self) -> &BTreeMap<String, Module> {
        &self.modules
    }

    /// Part of the kernel itself.
    pub fn is_builtin(&self, name: &str) -> bool {
        self.builtin.contains(&normalise(name))
    }

    /// The modules that a name, an alias or a modalias stands for.
    pub fn resolve(&self, wanted: &str) -> Vec<&str> {
        let wanted = normalise(wanted);
        if let Some((name, _)) = self.modules.get_key_value(&wanted) {
            return vec![name];
        }
        let mut found: Vec<&str> = Vec::new();
        for (pattern, module) in &self.aliases {
            if self.modules.contains_key(module) && glob::matches(pattern, &wanted) && !found.contains(&module.as_str())
            {
                found.push(module);
            }
        }
        found
    }

    /// These modules with all that they need, each behind what it needs.
    ///
    /// # Errors
    /// A hard dependency that the index does not have.
    pub fn load_order<'a>(&'a self, names: &[&'a str]) -> Result<Vec<&'a str>, UnknownModule> {
        let mut walk = Walk { index: self, seen: BTreeSet::new(), order: Vec::new() };
        for name in names {
            walk.hard(name)?;
        }
        Ok(walk.order)
    }

    /// The index files for these modules alone: modules.dep, .alias and .softdep.
    pub fn reduced(&self, keep: &BTreeSet<&str>) -> ReducedFiles {
        let mut files = ReducedFiles::default();
        for (name, module) in self.modules.iter().filter(|(name, _)| keep.contains(name.as_str())) {
            let needs = module.needs.iter().filter_map(|need| self.modules.get(need));
            let needs: String = needs.map(|need| format!(" {}", need.path)).collect();
            files.dep.push_str(&format!("{}:{needs}\n", module.path));
            if let Some(soft) = self.soft.get(name) {
                files.softdep.push_str(&soft.line(name));
            }
        }
        for (pattern, module) in self.aliases.iter().filter(|(_, module)| keep.contains(module.as_str())) {
            files.alias.push_str(&format!("alias {pattern} {module}\n"));
        }
        files
    }

    /// The same index with its modules stored under other paths.
    #[must_use]
    pub fn with_paths(mut self, rename: impl Fn(&str) -> String) -> Self {
        for module in self.modules.values_mut() {
            module.path = rename(&module.path);
        }
        self
    }
}

/// What [`ModuleIndex::reduced`] makes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct ReducedFiles {
    pub dep: String,
    pub alias: String,
    pub softdep: String,
}

impl SoftDeps {
    fn line(&self, name: &str) -> String {
        let part = |label: &str, names: &[String]| {
            if names.is_empty() { String::new() } else { format!(" {label}: {}", names.join(" ")) }
        };
        format!("softdep {name}{}{}\n", part("pre", &self.pre), part("post", &self.post))
    }
}

struct Walk<'a> {
    index: &'a ModuleIndex,
    seen: BTreeSet<&'a str>,
    order: Vec<&'a str>,
}

impl<'a> Walk<'a> {
    fn hard(&mut self, name: &str) -> Result<(), UnknownModule> {
        let Some((name, module)) = self.index.modules.get_key_value(name) else {
            let known = self.index.builtin.contains(name);
            return if known { Ok(()) } else { Err(UnknownModule(name.to_owned())) };
        };
        if !self.seen.insert(name) {
            return Ok(());
        }
        let soft = self.index.soft.get(name);
        self.soft(soft.map_or(&[], |soft| &soft.pre));
        // depmod lists the dependency that must come first last.
        for need in module.needs.iter().rev() {
            self.hard(need)?;
        }
        self.order.push(name);
        self.soft(soft.map_or(&[], |soft| &soft.post));
        Ok(())
    }

    fn soft(&mut self, names: &[String]) {
        for name in names {
            for module in self.index.resolve(name) {
                // What a soft dependency lacks is no reason to give up the module.
                let _ = self.hard(module);
            }
        }
    }
}

fn dep_line(line: &str) -> Option<(String, Module)> {
    let (path, needs) = line.split_once(':')?;
    let needs = needs.split_whitespace().map(name_of).collect();
    Some((name_of(path.trim()), Module { path: path.trim().to_owned(), needs }))
}

fn alias_line(line: &str) -> Option<(String, String)> {
    let mut words = line.split_whitespace();
    (words.next() == Some("alias")).then_some(())?;
    Some((normalise(words.next()?), normalise(words.next()?)))
}

fn softdep_line(line: &str) -> Option<(String, SoftDeps)> {
    let mut words = line.split_whitespace();
    (words.next() == Some("softdep")).then_some(())?;
    let name = normalise(words.next()?);
    let mut soft = SoftDeps::default();
    // Some modules name theirs without saying when; before is when they are needed.
    let mut post = false;
    for word in words {
        match word {
            "pre:" => post = false,
            "post:" => post = true,
            module if post => soft.post.push(normalise(module)),
            module => soft.pre.push(normalise(module)),
        }
    }
    Some((name, soft))
}

#[cfg(test)]
mod tests;

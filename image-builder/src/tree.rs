//! The content of an initrd as a tree in memory: sorted, without owners, times or anything of this machine.

use std::collections::BTreeMap;

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A directory with its mode.
    Directory(u32),
    /// A file with its mode and content.
    File(u32, Vec<u8>),
    /// A symbolic link and where it leads.
    Symlink(String),
    /// A character device: mode, major and minor number.
    Device(u32, u32, u32),
}

/// Paths (relative, without `.` or `..`) and what stands there. Parents are made as they are needed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    nodes: BTreeMap<String, Node>,
}

impl Tree {
    /// Puts a node at a path, over whatever stood there.
    pub fn add(&mut self, path: &str, node: Node) {
        let path = path.trim_matches('/');
        for (end, _) in path.match_indices('/') {
            self.nodes.entry(path[..end].to_owned()).or_insert(Node::Directory(0o755));
        }
        self.nodes.insert(path.to_owned(), node);
    }

    /// Puts a file that may be executed.
    pub fn program(&mut self, path: &str, content: Vec<u8>) {
        self.add(path, Node::File(0o755, content));
    }

    /// Puts a file that may only be read.
    pub fn file(&mut self, path: &str, content: impl Into<Vec<u8>>) {
        self.add(path, Node::File(0o644, content.into()));
    }

    /// Every path in order; a directory comes before what is in it.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.nodes.iter().map(|(path, node)| (path.as_str(), node))
    }

    /// All of another tree, over whatever stood at its paths.
    pub fn merge(&mut self, other: Tree) {
        for (path, node) in other.nodes {
            match node {
                Node::Directory(_) => _ = self.nodes.entry(path).or_insert(node),
                _ => self.add(&path, node),
            }
        }
    }

    /// What another tree does not have, with the directories it stands in.
    #[must_use]
    pub fn without(self, other: &Tree) -> Tree {
        let mut rest = Tree::default();
        for (path, node) in self.nodes {
            if !matches!(node, Node::Directory(_)) && !other.nodes.contains_key(&path) {
                rest.add(&path, node);
            }
        }
        rest
    }

    /// Bytes of the files below a path.
    pub fn bytes_below(&self, prefix: &str) -> u64 {
        let sizes = self.iter().filter(|(path, _)| path.starts_with(prefix)).map(|(_, node)| match node {
            Node::File(_, content) => content.len() as u64,
            _ => 0,
        });
        sizes.sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_brings_its_directories_and_stands_behind_them() {
        let mut tree = Tree::default();
        tree.file("/etc/centra/trust.json", "{}");
        let paths: Vec<&str> = tree.iter().map(|(path, _)| path).collect();
        assert_eq!(paths, ["etc", "etc/centra", "etc/centra/trust.json"]);
        assert_eq!(tree.bytes_below("etc/"), 2);
    }

    #[test]
    fn what_is_beside_another_tree_makes_the_whole_with_it_again() {
        let mut base = Tree::default();
        base.file("lib/a", "base");
        let mut whole = Tree::default();
        for path in ["lib/a", "lib/b", "bin/c"] {
            whole.file(path, "base");
        }
        let rest = whole.clone().without(&base);
        let paths: Vec<&str> = rest.iter().map(|(path, _)| path).collect();
        assert_eq!(paths, ["bin", "bin/c", "lib", "lib/b"]);
        base.merge(rest);
        assert_eq!(base, whole);
    }

    #[test]
    fn a_directory_keeps_its_mode_when_a_file_is_put_into_it() {
        let mut tree = Tree::default();
        tree.add("tmp", Node::Directory(0o1777));
        tree.file("tmp/x", "");
        assert_eq!(tree.iter().next(), Some(("tmp", &Node::Directory(0o1777))));
    }
}

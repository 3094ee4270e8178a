//! A netrc file: user names and passwords by host, as curl and Nix's `netrc-file` read it.

use super::url::basic;
use hyper::header::HeaderValue;
use protocol::{Code, Failure, failure::Result};
use std::{fs::File, io::Read, path::Path};

/// No netrc file is larger, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// The entries of the file, in its order. It does not print its passwords.
#[derive(Clone, Default)]
pub struct Netrc {
    entries: Vec<Entry>,
}

#[derive(Clone, Default)]
struct Entry {
    /// None for `default`, which is for every host.
    machine: Option<String>,
    login: String,
    password: String,
}

impl Netrc {
    /// Reads the file.
    ///
    /// # Errors
    /// `E-CONFIG` with the path, and the line where something in it is wrong; never with what the line says.
    pub fn read(path: &Path) -> Result<Self> {
        let refused = |why: String| Failure::new(Code::Config, format!("reading {}: {why}", path.display()));
        let mut text = String::new();
        let file = File::open(path).map_err(|error| refused(error.to_string()))?;
        file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(|error| refused(error.to_string()))?;
        if text.len() as u64 > MAX_BYTES {
            return Err(refused("it is larger than 1 MiB".to_owned()));
        }
        Self::parse(&text).map_err(|(line, what)| refused(format!("line {line}: {what}")))
    }

    /// What to send to this host: the first entry that is for it.
    pub fn authorization(&self, host: &str) -> Option<HeaderValue> {
        let is_for = |entry: &&Entry| entry.machine.as_ref().is_none_or(|machine| machine.eq_ignore_ascii_case(host));
        let entry = self.entries.iter().find(is_for)?;
        basic(&entry.login, &entry.password)
    }

    /// The line that is wrong, and what is wrong there.
    fn parse(text: &str) -> Result<Self, (usize, &'static str)> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut words = Words { text, line: 1 };
        while let Some(word) = words.keyword()? {
            let line = words.line;
            let mut value = |what| words.word().and_then(|value| value.ok_or((line, what)));
            let entry = entries.last_mut().ok_or((line, "login or password comes before the first machine"));
            match word.as_str() {
                "machine" => {
                    let machine = Some(value("machine has no name")?);
                    entries.push(Entry { machine, ..Entry::default() });
                }
                "default" => entries.push(Entry::default()),
                "login" => entry?.login = value("login has no name")?,
                "password" => entry?.password = value("password has none")?,
                "account" => drop(value("account has no name")?),
                "macdef" => words.skip_macro(),
                // As curl and Nix: `protocol https`, say. What is left out is told of, and never quoted.
                _ => tracing::warn!("netrc: line {line} has a word that means nothing here"),
            }
        }
        Ok(Self { entries })
    }
}

/// Words between white space; comments from `#`, and words in quotes as curl has them.
struct Words<'a> {
    text: &'a str,
    line: usize,
}

impl Words<'_> {
    /// The next word that is in no comment.
    fn keyword(&mut self) -> Result<Option<String>, (usize, &'static str)> {
        self.skip_space();
        while self.text.starts_with('#') {
            self.advance(self.text.find('\n').unwrap_or(self.text.len()));
            self.skip_space();
        }
        self.word()
    }

    fn word(&mut self) -> Result<Option<String>, (usize, &'static str)> {
        self.skip_space();
        if self.text.starts_with('"') {
            return self.quoted().map(Some);
        }
        let word = self.text.split(char::is_whitespace).next().unwrap_or_default().to_owned();
        self.advance(word.len());
        Ok(Some(word).filter(|word| !word.is_empty()))
    }

    fn skip_space(&mut self) {
        self.advance(self.text.len() - self.text.trim_start().len());
    }

    fn quoted(&mut self) -> Result<String, (usize, &'static str)> {
        let (mut word, mut escaped) = (String::new(), false);
        for (at, letter) in self.text.char_indices().skip(1) {
            match letter {
                '"' if !escaped => {
                    self.advance(at + 1);
                    return Ok(word);
                }
                '\\' if !escaped => escaped = true,
                '\n' => break,
                letter => {
                    word.push(letter);
                    escaped = false;
                }
            }
        }
        Err((self.line, "the quote does not end"))
    }

    /// A macro of ftp: to the next empty line.
    fn skip_macro(&mut self) {
        self.advance(self.text.find("\n\n").unwrap_or(self.text.len()));
    }

    fn advance(&mut self, count: usize) {
        let (passed, rest) = self.text.split_at(count);
        self.line += passed.matches('\n').count();
        self.text = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(netrc: &Netrc, host: &str) -> Option<String> {
        let value = netrc.authorization(host)?;
        let value = value.to_str().unwrap().strip_prefix("Basic ").unwrap().to_owned();
        Some(String::from_utf8(data_encoding::BASE64.decode(value.as_bytes()).unwrap()).unwrap())
    }

    #[test]
    fn the_first_entry_for_the_host_counts_and_default_is_for_the_rest() {
        let text = "# caches\nmachine a login ann password \"p \\\"q\\\"\"\nmacdef init\nmachine x\n\nmachine b\n  login ben\n\
            \taccount y\n  password #hash\nmachine A login no password no\ndefault login any password thing\n";
        let netrc = Netrc::parse(text).unwrap_or_default();
        assert_eq!(plain(&netrc, "A").as_deref(), Some("ann:p \"q\""));
        assert_eq!(plain(&netrc, "x").as_deref(), Some("any:thing"));
        assert_eq!(Netrc::default().authorization("a"), None);
    }

    #[test]
    fn words_that_mean_nothing_here_are_passed_over() {
        let netrc =
            Netrc::parse("machine a login ann password p protocol https\nport 443 machine b login ben password q");
        let netrc = netrc.unwrap_or_default();
        assert_eq!((plain(&netrc, "a"), plain(&netrc, "b")), (Some("ann:p".into()), Some("ben:q".into())));
    }

    #[test]
    fn a_mistake_is_named_by_its_line_and_never_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("netrc");
        for (text, line) in [
            ("machine a\nlogin ann\npassword", 3),
            ("\nlogin ann password secret\n", 2),
            ("machine a password \"secret\n", 1),
        ] {
            std::fs::write(&path, text).unwrap();
            let failure = Netrc::read(&path).err().unwrap();
            assert!(failure.cause.contains(&format!("line {line}:")), "{failure}");
            assert!(!failure.cause.contains("secret") && !failure.cause.contains("ann"), "{failure}");
        }
        std::fs::write(&path, vec![b' '; MAX_BYTES as usize + 1]).unwrap();
        assert!(Netrc::read(&path).err().unwrap().cause.contains("larger"));
        assert!(Netrc::read(&folder.path().join("none")).is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(?s)[machinelogpswdfut\"\\\\# \n\\PC]{0,200}") {
            let _ = Netrc::parse(&text);
        }
    }
}

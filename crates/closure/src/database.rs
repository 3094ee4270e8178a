//! The Nix database of the target: which store paths are valid, and what they refer to.

use nix_store::narinfo::{self, NarInfo};
use protocol::{
    Code, Failure,
    encoding::Sha256,
    failure::{OrFail, Result},
    names::StorePath,
};
use rusqlite::{Connection, OptionalExtension, params};
use std::{collections::BTreeSet, fs, io::Write, path::Path, sync::Arc};

/// The number in `db/schema` of every Nix since 2.0.
const SCHEMA: &str = "10";

/// The tables as Nix 2.8 makes them, to the letter; newer releases migrate them on first use.
const TABLES: &str = "
create table if not exists ValidPaths (
    id               integer primary key autoincrement not null,
    path             text unique not null,
    hash             text not null,
    registrationTime integer not null,
    deriver          text,
    narSize          integer,
    ultimate         integer, -- null implies \"false\"
    sigs             text, -- space-separated
    ca               text -- if not null, an assertion that the path is content-addressed; see ValidPathInfo
);

create table if not exists Refs (
    referrer  integer not null,
    reference integer not null,
    primary key (referrer, reference),
    foreign key (referrer) references ValidPaths(id) on delete cascade,
    foreign key (reference) references ValidPaths(id) on delete restrict
);

create index if not exists IndexReferrer on Refs(referrer);
create index if not exists IndexReference on Refs(reference);

create trigger if not exists DeleteSelfRefs before delete on ValidPaths
  begin
    delete from Refs where referrer = old.id and reference = old.id;
  end;

create table if not exists DerivationOutputs (
    drv  integer not null,
    id   text not null, -- symbolic output id, usually \"out\"
    path text not null,
    primary key (drv, id),
    foreign key (drv) references ValidPaths(id) on delete cascade
);

create index if not exists IndexDerivationOutputs on DerivationOutputs(path);
";

/// What the database says of the content of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Its NAR's SHA-256; none where the row holds something else, which nothing can match.
    pub nar_hash: Option<Sha256>,
    /// Its NAR's size, where the row has it.
    pub nar_size: Option<u64>,
}

/// An open database; nobody else has it, as the store is locked.
pub struct Database {
    connection: Connection,
}

fn failed(error: &rusqlite::Error, activity: &str) -> Failure {
    let full = error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull);
    let code = if full { Code::NoSpace } else { Code::DiskIo };
    Failure::from_error(code, format_args!("{activity} in the target's Nix database"), error)
}

impl Database {
    /// Opens the database in `folder` (`nix/var/nix/db`), or makes an empty one.
    ///
    /// # Errors
    /// `E-CONFIG` for another schema than 10; `E-DISK-IO` or `E-NO-SPACE`.
    pub fn open(folder: &Path) -> Result<Self> {
        check_schema(folder)?;
        let file = folder.join("db.sqlite");
        let open = || -> rusqlite::Result<Connection> {
            let connection = Connection::open(&file)?;
            connection.pragma_update(None, "journal_mode", "wal")?;
            // Durable at each commit: what is registered is never fetched again.
            connection.pragma_update(None, "synchronous", "full")?;
            connection.pragma_update(None, "foreign_keys", true)?;
            connection.execute_batch(TABLES)?;
            Ok(connection)
        };
        let connection = open().map_err(|error| failed(&error, "opening the tables"))?;
        write_schema(folder)?;
        Ok(Self { connection })
    }

    /// What `path` refers to besides itself, if it is registered.
    ///
    /// # Errors
    /// `E-DISK-IO`.
    pub fn references(&self, path: &StorePath) -> Result<Option<BTreeSet<StorePath>>> {
        let read = || -> rusqlite::Result<Option<Vec<String>>> {
            let mut valid = self.connection.prepare_cached("select id from ValidPaths where path = ?")?;
            let Some(id) = valid.query_row([path.as_str()], |row| row.get::<_, i64>(0)).optional()? else {
                return Ok(None);
            };
            let sql = "select path from Refs join ValidPaths on id = reference where referrer = ?1 and reference != ?1";
            let mut references = self.connection.prepare_cached(sql)?;
            let rows = references.query_map([id], |row| row.get(0))?;
            rows.collect::<rusqlite::Result<_>>().map(Some)
        };
        let Some(paths) = read().map_err(|error| failed(&error, "looking up a path"))? else { return Ok(None) };
        let parsed = paths.into_iter().map(StorePath::try_from).collect::<std::result::Result<_, _>>();
        parsed
            .map(Some)
            .or_fail(Code::DiskIo, || format!("reading the references of {path} in the target's Nix database"))
    }

    /// What is registered of the content of `path`, which is registered.
    ///
    /// # Errors
    /// `E-DISK-IO`.
    pub fn content(&self, path: &StorePath) -> Result<Registered> {
        let read = || -> rusqlite::Result<(String, Option<i64>)> {
            let sql = "select hash, narSize from ValidPaths where path = ?";
            self.connection.prepare_cached(sql)?.query_row([path.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        };
        let (hash, size) = read().map_err(|error| failed(&error, "looking up a path"))?;
        Ok(Registered { nar_hash: narinfo::parse_hash(&hash), nar_size: size.and_then(|size| size.try_into().ok()) })
    }

    /// Whether a path is registered; false also where that cannot be read, as registering will say why.
    pub fn is_registered(&self, path: &StorePath) -> bool {
        let statement = self.connection.prepare_cached("select 1 from ValidPaths where path = ?");
        statement.and_then(|mut valid| valid.exists([path.as_str()])).unwrap_or(false)
    }

    /// Registers paths in one transaction. All they refer to must be registered, or among them.
    ///
    /// # Errors
    /// `E-DISK-IO` or `E-NO-SPACE`; then none of them is registered.
    pub fn register(&mut self, paths: &[Arc<NarInfo>], now: i64) -> Result<()> {
        let mut write = || -> rusqlite::Result<()> {
            let transaction = self.connection.transaction()?;
            for info in paths {
                insert_path(&transaction, info, now)?;
            }
            for info in paths {
                insert_references(&transaction, info)?;
            }
            transaction.commit()
        };
        write().map_err(|error| failed(&error, "registering paths"))
    }

    /// Writes everything to the main file and closes it, so that it needs no -wal beside it.
    ///
    /// # Errors
    /// `E-DISK-IO` or `E-NO-SPACE`.
    pub fn close(self) -> Result<()> {
        self.connection.close().map_err(|(_, error)| failed(&error, "closing the file"))
    }
}

fn insert_path(transaction: &rusqlite::Transaction<'_>, info: &NarInfo, now: i64) -> rusqlite::Result<()> {
    // A path whose files were lost is registered already, and others refer to its id.
    let sql = "insert into ValidPaths (path, hash, registrationTime, deriver, narSize, ultimate, sigs, ca)
        values (?1, ?2, ?3, ?4, ?5, null, ?6, ?7) on conflict (path) do update set hash = excluded.hash,
        registrationTime = excluded.registrationTime, deriver = excluded.deriver, narSize = excluded.narSize,
        ultimate = null, sigs = excluded.sigs, ca = excluded.ca";
    let signatures: Vec<&str> = info.signatures.iter().map(String::as_str).collect();
    transaction.prepare_cached(sql)?.execute(params![
        info.path.as_str(),
        format!("sha256:{}", info.nar_hash),
        now,
        info.deriver.as_ref().map(StorePath::as_str),
        info.nar_size as i64,
        signatures.join(" "),
        info.ca,
    ])?;
    Ok(())
}

fn insert_references(transaction: &rusqlite::Transaction<'_>, info: &NarInfo) -> rusqlite::Result<()> {
    // A reference that is not registered selects null, which the table refuses.
    let sql = "insert or replace into Refs (referrer, reference) values
        ((select id from ValidPaths where path = ?1), (select id from ValidPaths where path = ?2))";
    let mut statement = transaction.prepare_cached(sql)?;
    for reference in &info.references {
        statement.execute([info.path.as_str(), reference.as_str()])?;
    }
    Ok(())
}

fn check_schema(folder: &Path) -> Result<()> {
    let file = folder.join("schema");
    match fs::read_to_string(&file) {
        Ok(text) if text.trim() == SCHEMA => Ok(()),
        Ok(text) => {
            let cause = format!("{}: schema {:?}, this agent writes {SCHEMA}", file.display(), text.trim());
            let remedy = "use Nix itself on this store, or another --root";
            Err(Failure::new(Code::Config, cause).with_remedy(remedy))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Failure::from_error(Code::DiskIo, format!("reading {}", file.display()), &error)),
    }
}

fn write_schema(folder: &Path) -> Result<()> {
    let file = folder.join("schema");
    if file.exists() {
        return Ok(());
    }
    let write = || {
        let temporary = folder.join(".schema.new");
        let mut handle = fs::File::create(&temporary)?;
        handle.write_all(SCHEMA.as_bytes())?;
        handle.sync_all()?;
        fs::rename(&temporary, &file)
    };
    write().or_fail(Code::DiskIo, || format!("writing {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix_store::narinfo;

    const HASH: &str = "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";

    fn info(name: char, references: &str) -> NarInfo {
        let base = |name: char| format!("{}-{name}", "0".repeat(32));
        let references: Vec<String> = references.chars().map(base).collect();
        narinfo::parse(&format!(
            "StorePath: /nix/store/{}\nURL: x\nCompression: none\nNarHash: sha256:{HASH}\nNarSize: 120\nReferences: {}\n",
            base(name),
            references.join(" ")
        ))
        .unwrap()
    }

    #[test]
    fn references_are_found_again_after_it_was_closed_and_no_wal_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (info('a', "ab"), info('b', ""));
        let mut database = Database::open(folder.path()).unwrap();
        database.register(&[Arc::new(a.clone()), Arc::new(b.clone())], 5).unwrap();
        database.close().unwrap();
        assert!(!folder.path().join("db.sqlite-wal").exists());
        assert_eq!(fs::read(folder.path().join("schema")).unwrap(), b"10");
        let database = Database::open(folder.path()).unwrap();
        assert_eq!(database.references(&a.path).unwrap(), Some(BTreeSet::from([b.path.clone()])));
        assert_eq!(database.references(&b.path).unwrap(), Some(BTreeSet::new()));
        assert_eq!(database.references(&info('c', "").path).unwrap(), None);
    }

    #[test]
    fn a_path_with_a_reference_that_is_not_registered_registers_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut database = Database::open(folder.path()).unwrap();
        assert!(database.register(&[Arc::new(info('a', "")), Arc::new(info('b', "c"))], 5).is_err());
        assert_eq!(database.references(&info('a', "").path).unwrap(), None);
    }

    #[test]
    fn another_schema_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("schema"), "11").unwrap();
        assert_eq!(Database::open(folder.path()).map(drop).unwrap_err().code, Code::Config);
        assert!(!folder.path().join("db.sqlite").exists());
    }
}

//! Overlays from a server on loopback, merged into folders that stand for the root.

use super::*;
use axum::{Router, http::StatusCode, response::IntoResponse, routing::get};
use host::http::{Client, Trust};
use nix_store::nar::{Sink, Writer};
use proptest::prelude::*;
use protocol::encoding::Sha256;
use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

/// A blob of the archive that `write` makes in its root folder.
fn blob(write: impl FnOnce(&mut Writer<Vec<u8>>) -> io::Result<()>) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new()).unwrap();
    writer.enter(b"").unwrap();
    write(&mut writer).unwrap();
    writer.leave().unwrap();
    zstd::encode_all(&writer.into_inner()[..], 3).unwrap()
}

fn file(writer: &mut Writer<Vec<u8>>, name: &str, executable: bool, content: &[u8]) -> io::Result<()> {
    writer.open(name.as_bytes(), executable, content.len() as u64)?;
    writer.write(content)?;
    writer.close()
}

fn tools() -> Vec<u8> {
    blob(|writer| {
        writer.enter(b"bin")?;
        file(writer, "lvm", true, b"a program")?;
        writer.symlink(b"thin_check", b"lvm")?;
        writer.leave()?;
        writer.enter(b"lib")?;
        file(writer, "libshared.so", true, b"the overlay's")?;
        file(writer, "libtool.so", false, b"a library")?;
        writer.leave()
    })
}

fn describe(bytes: &[u8]) -> Artefact {
    Artefact { sha256: Sha256::of(bytes), size: bytes.len() as u64 }
}

/// Every path of a folder with what is there; a link with where it leads.
fn content(root: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(root: &Path, folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            let kind = path.symlink_metadata().unwrap();
            if kind.is_dir() {
                found.insert(name, vec![]);
                walk(root, &path, found);
            } else if kind.is_symlink() {
                found.insert(name, fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes());
            } else {
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(root, root, &mut found);
    found
}

/// A server that gives these answers one after the other, the last one again and again.
struct Server {
    server: BootServer,
    asked: Arc<AtomicU32>,
}

async fn server(answers: Vec<(StatusCode, Vec<u8>)>) -> Server {
    let asked = Arc::new(AtomicU32::new(0));
    let count = asked.clone();
    let answer = move || {
        let index = count.fetch_add(1, Ordering::Relaxed) as usize;
        let answer = answers.get(index).or(answers.last()).unwrap().clone().into_response();
        async { answer }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, Router::new().route("/v1/artefacts/{hash}", get(answer))).await });
    let client = Client::new(&Trust::Roots(vec![]), None, std::time::SystemTime::UNIX_EPOCH).unwrap();
    Server { server: BootServer { api: host::api::Api::new(client, &url) }, asked }
}

async fn obtained(answers: Vec<(StatusCode, Vec<u8>)>, overlay: &Artefact, root: &Path) -> (Result<()>, u32) {
    let Server { server, asked } = server(answers).await;
    let done = obtain(&server, ToolSet::Lvm, overlay, root, Duration::ZERO).await;
    (done, asked.load(Ordering::Relaxed))
}

#[tokio::test]
async fn an_overlay_is_merged_and_changes_nothing_that_is_there() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("lib")).unwrap();
    fs::write(root.path().join("lib/libshared.so"), "the image's").unwrap();
    fs::create_dir_all(root.path().join(".overlay-lvm/tree/of/a/run/before")).unwrap();
    let tools = tools();
    let (done, asked) = obtained(vec![(StatusCode::OK, tools.clone())], &describe(&tools), root.path()).await;
    assert_eq!((done, asked), (Ok(()), 1));
    let expected = [
        ("bin", ""),
        ("bin/lvm", "a program"),
        ("bin/thin_check", "lvm"),
        ("lib", ""),
        ("lib/libshared.so", "the image's"),
        ("lib/libtool.so", "a library"),
    ];
    let expected: BTreeMap<_, _> = expected.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec())).into();
    assert_eq!(content(root.path()), expected);
    assert_eq!(missing_program(ToolSet::Lvm, root.path().join("bin").as_os_str()), None);
    let (again, _) = obtained(vec![(StatusCode::OK, tools.clone())], &describe(&tools), root.path()).await;
    assert_eq!((again, content(root.path())), (Ok(()), expected));
}

#[tokio::test]
async fn what_is_not_what_the_image_lists_leaves_nothing() {
    let tools = tools();
    let (mut changed, longer, shorter) = (tools.clone(), [&tools[..], b"!"].concat(), tools[1..].to_vec());
    changed[tools.len() / 2] ^= 1;
    for (sent, word) in [(changed, "SHA-256"), (longer, "more than"), (shorter, "bytes came"), (vec![], "0 of")] {
        let root = tempfile::tempdir().unwrap();
        let (done, asked) = obtained(vec![(StatusCode::OK, sent)], &describe(&tools), root.path()).await;
        let failure = done.unwrap_err();
        assert_eq!((failure.code, asked), (Code::Tools, fetch::ATTEMPTS), "{failure}");
        assert!(failure.cause.contains(word) && failure.cause.contains("fetching the lvm tools"), "{failure}");
        assert_eq!(content(root.path()), BTreeMap::new());
    }
}

#[tokio::test]
async fn a_transfer_that_fails_is_tried_again() {
    let (root, tools) = (tempfile::tempdir().unwrap(), tools());
    let answers = vec![
        (StatusCode::SERVICE_UNAVAILABLE, vec![]),
        (StatusCode::OK, tools[..9].to_vec()),
        (StatusCode::OK, tools.clone()),
    ];
    assert_eq!(obtained(answers, &describe(&tools), root.path()).await, (Ok(()), 3));
}

#[tokio::test]
async fn a_server_with_another_image_is_not_asked_twice() {
    let root = tempfile::tempdir().unwrap();
    let failure = serde_json::to_vec(&Failure::new(Code::NotFound, "looking for an artefact")).unwrap();
    let (done, asked) = obtained(vec![(StatusCode::NOT_FOUND, failure)], &describe(b"x"), root.path()).await;
    let failure = done.unwrap_err();
    assert_eq!((failure.code, asked), (Code::Tools, 1));
    assert!(failure.remedy.contains("restart it"), "{failure:?}");
}

#[tokio::test]
async fn an_absurd_size_is_not_even_asked_for() {
    let root = tempfile::tempdir().unwrap();
    let overlay = Artefact { size: u64::MAX, ..describe(b"x") };
    let (done, asked) = obtained(vec![(StatusCode::OK, b"x".to_vec())], &overlay, root.path()).await;
    assert_eq!((done.unwrap_err().code, asked), (Code::Tools, 0));
    assert_eq!(content(root.path()), BTreeMap::new());
}

/// Merges a blob that has the right hash.
fn merged(bytes: &[u8], root: &Path) -> Result<()> {
    let staging = Staging::make(root, ToolSet::Lvm)?;
    fs::write(staging.0.join("blob"), bytes).unwrap();
    Merge { set: ToolSet::Lvm, staging: &staging.0, root }.blob(&staging.0.join("blob"))
}

#[test]
fn nothing_lands_outside_the_root() {
    let outer = tempfile::tempdir().unwrap();
    let root = outer.path().join("root");
    for name in ["..", ".", "../evil", "/evil", "a/evil", ""] {
        fs::create_dir(&root).unwrap();
        let failure = merged(&blob(|writer| file(writer, name, true, b"evil")), &root).unwrap_err();
        assert_eq!(failure.code, Code::Tools, "{name:?}: {failure}");
        assert_eq!(content(outer.path()).into_keys().collect::<Vec<_>>(), ["root"], "{name:?}");
        fs::remove_dir(&root).unwrap();
    }
    fs::create_dir_all(outer.path().join("outside")).unwrap();
    fs::create_dir(&root).unwrap();
    std::os::unix::fs::symlink("../outside", root.join("lib")).unwrap();
    assert!(merged(&tools(), &root).unwrap_err().cause.contains("is no folder"));
    assert_eq!(fs::read_dir(outer.path().join("outside")).unwrap().count(), 0);
    assert!(!root.join("bin/lvm").exists(), "the programs come last");
}

#[test]
fn an_archive_that_is_one_file_is_no_overlay() {
    let root = tempfile::tempdir().unwrap();
    let mut writer = Writer::new(Vec::new()).unwrap();
    file(&mut writer, "", true, b"evil").unwrap();
    let bytes = zstd::encode_all(&writer.into_inner()[..], 3).unwrap();
    assert!(merged(&bytes, root.path()).is_err());
    assert_eq!(content(root.path()), BTreeMap::new());
}

#[test]
fn sets_that_are_there_need_no_list_and_the_others_an_overlay() {
    let root = tempfile::tempdir().unwrap();
    merged(&tools(), root.path()).unwrap();
    let path = root.path().join("bin").into_os_string();
    let no_list = || panic!("the list is not needed");
    assert_eq!(wanted(&[ToolSet::Lvm].into(), &path, no_list), Ok(vec![(ToolSet::Lvm, None)]));
    let overlay = describe(b"x");
    let list = || Ok(OverlayList::from([(ToolSet::Xfs, describe(b"x"))]));
    let both = wanted(&[ToolSet::Lvm, ToolSet::Xfs].into(), &path, list);
    assert_eq!(both, Ok(vec![(ToolSet::Lvm, None), (ToolSet::Xfs, Some(overlay))]));
    let failure = wanted(&[ToolSet::Xfs, ToolSet::Zfs].into(), &path, list).unwrap_err();
    assert_eq!(failure.code, Code::Tools);
    assert!(failure.cause.contains("zfs") && failure.remedy.contains("zfsutils-linux"), "{failure:?}");
}

#[test]
fn a_list_is_absent_or_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("overlays.json");
    assert_eq!(read_list(&path), Ok(OverlayList::new()));
    let list = OverlayList::from([(ToolSet::Lvm, describe(b"x"))]);
    fs::write(&path, serde_json::to_vec(&list).unwrap()).unwrap();
    assert_eq!(read_list(&path), Ok(list));
    fs::write(&path, vec![b' '; 2 * LARGEST_LIST as usize]).unwrap();
    assert_eq!(read_list(&path).unwrap_err().code, Code::Image);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn bytes_that_are_no_overlay_leave_the_root_as_it_was(
        bytes in prop::collection::vec(any::<u8>(), 0..200), cut in any::<prop::sample::Index>(), flip in any::<bool>()
    ) {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("init"), "the image's").unwrap();
        let before = content(root.path());
        let mut damaged = tools();
        let at = cut.index(damaged.len());
        if flip { damaged[at] ^= 0x10 } else { damaged.truncate(at) }
        let damage_is_seen = zstd::decode_all(&damaged[..]).is_err();
        for blob in [zstd::encode_all(&bytes[..], 1).unwrap(), bytes] {
            prop_assert!(merged(&blob, root.path()).is_err());
            prop_assert_eq!(&content(root.path()), &before);
        }
        prop_assert!(!damage_is_seen || merged(&damaged, root.path()).is_err());
        if damage_is_seen {
            prop_assert_eq!(&content(root.path()), &before);
        }
    }

    #[test]
    fn an_overlay_adds_exactly_what_was_not_there(
        image in prop::collection::btree_map("[a-c]{1,2}", "[a-z]{0,5}", 0..6),
        overlay in prop::collection::btree_map("[a-c]{1,2}", "[a-z]{0,5}", 0..6),
    ) {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in &image {
            fs::write(root.path().join(name), text).unwrap();
        }
        let bytes = blob(|writer| overlay.iter().try_for_each(|(name, text)| file(writer, name, false, text.as_bytes())));
        prop_assert_eq!(merged(&bytes, root.path()), Ok(()));
        let both = overlay.into_iter().chain(image).map(|(name, text)| (name, text.into_bytes()));
        prop_assert_eq!(content(root.path()), both.collect::<BTreeMap<_, _>>());
    }
}

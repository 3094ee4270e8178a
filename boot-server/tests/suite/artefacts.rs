//! What deployed images name, by hash.

use super::{
    lab::{Caller, Lab},
    machine::Machine,
};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{Method, StatusCode};
use protocol::{artefact::Artefact, encoding::Sha256, image::ImageIndex, overlay::ToolSet};
use std::{fs, path::PathBuf};

const MAC: &str = "52:54:00:00:00:01";

fn images(lab: &Lab) -> PathBuf {
    lab.dir().join("images")
}

/// An image of one initrd and one overlay.
fn deploy(lab: &Lab, profile: &str, initrd: &[u8], overlay: &[u8]) {
    fs::create_dir_all(images(lab).join("blobs")).unwrap();
    let put = |bytes: &[u8]| {
        let sha256 = Sha256::of(bytes);
        fs::write(images(lab).join(format!("blobs/{sha256}")), bytes).unwrap();
        Artefact { sha256, size: bytes.len() as u64 }
    };
    let index = ImageIndex {
        format: 1,
        profile: profile.parse().unwrap(),
        kernel: "6.1".into(),
        agent_version: "0".into(),
        ca_spki_sha256: vec![],
        artefacts: [("initrd".to_owned(), put(initrd))].into(),
        overlays: [(ToolSet::Lvm, put(overlay))].into(),
    };
    fs::write(images(lab).join(format!("{profile}.json")), serde_json::to_vec(&index).unwrap()).unwrap();
}

fn address(bytes: &[u8]) -> String {
    format!("/v1/artefacts/{}", Sha256::of(bytes))
}

async fn read(caller: &Caller, path: &str, headers: &[(&str, &str)]) -> (StatusCode, Bytes) {
    let answer = caller.send(Method::GET, path, headers, Bytes::new()).await;
    let (status, length) = (answer.status(), answer.headers().get("content-length").cloned());
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(length.unwrap().to_str().unwrap(), body.len().to_string(), "{path}");
    (status, body)
}

#[tokio::test]
async fn every_blob_of_every_image_is_handed_out_with_and_without_a_certificate() {
    let lab = Lab::open();
    let overlay: Vec<u8> = (0..700_000u32).flat_map(u32::to_le_bytes).collect();
    deploy(&lab, "vm", b"an initrd", &overlay);
    deploy(&lab, "metal", b"another initrd", b"other tools");
    lab.apply("n1", MAC);
    let node = Machine::new(MAC, "run-1").admitted(&lab).await;
    for caller in [&node.caller, &lab.nobody()] {
        for bytes in [&overlay[..], b"an initrd", b"another initrd", b"other tools"] {
            assert_eq!(read(caller, &address(bytes), &[]).await, (StatusCode::OK, Bytes::copy_from_slice(bytes)));
        }
    }
    let (status, part) = read(&lab.nobody(), &address(&overlay), &[("range", "bytes=4-7")]).await;
    assert_eq!((status, &part[..]), (StatusCode::PARTIAL_CONTENT, &overlay[4..8]));
}

#[tokio::test]
async fn what_no_deployed_image_names_is_not_found() {
    let lab = Lab::open();
    let nobody = lab.nobody();
    assert_eq!(nobody.get(&address(b"x")).await.0, StatusCode::NOT_FOUND, "no image at all");
    deploy(&lab, "vm", b"old", b"old tools");
    deploy(&lab, "vm", b"new", b"new tools");
    assert_eq!(read(&nobody, &address(b"new tools"), &[]).await.0, StatusCode::OK);
    assert!(images(&lab).join(format!("blobs/{}", Sha256::of(b"old tools"))).exists());
    for path in [
        address(b"old tools"),
        "/v1/artefacts/vm.json".to_owned(),
        "/v1/artefacts/..%2Fvm.json".to_owned(),
        "/v1/artefacts/".to_owned() + &"0".repeat(63),
    ] {
        let (status, failure) = nobody.get(&path).await;
        assert_eq!((status, failure["code"].as_str()), (StatusCode::NOT_FOUND, Some("E-NOT-FOUND")), "{path}");
    }
}

#[tokio::test]
async fn a_broken_image_or_blob_is_said_to_be_and_hides_no_other() {
    let lab = Lab::open();
    deploy(&lab, "vm", b"an initrd", b"tools");
    fs::write(images(&lab).join("broken.json"), "{").unwrap();
    assert_eq!(read(&lab.nobody(), &address(b"tools"), &[]).await.0, StatusCode::OK);
    let (status, failure) = lab.nobody().get(&address(b"x")).await;
    assert_eq!((status, failure["code"].as_str()), (StatusCode::INTERNAL_SERVER_ERROR, Some("E-IMAGE")));
    fs::write(images(&lab).join(format!("blobs/{}", Sha256::of(b"an initrd"))), "cut").unwrap();
    let (status, failure) = lab.nobody().get(&address(b"an initrd")).await;
    assert_eq!((status, failure["code"].as_str()), (StatusCode::INTERNAL_SERVER_ERROR, Some("E-IMAGE")));
}

//! Where a sealed key stands among the actions, and of which devices there is one.

use super::{
    tests::{GIB, disk, left, of, plan_beside},
    *,
};
use layout::examples::with_root;
use protocol::spec::WipePolicy;
use serde_json::{Value, json};

fn layout(options: &Value) -> Value {
    with_root(json!({"type": "luks", "name": "c", "passwordFile": "/k", "settings": {"crypttabExtraOpts": options},
        "additionalKeyFiles": ["/l"], "content": {"type": "filesystem", "format": "ext4", "mountpoint": "/"}}))
}

/// The actions of a disk that is empty, or that carries this layout and is treated so.
fn actions(layout: &Value, change: Option<&dyn Fn(&mut Disks)>) -> Vec<String> {
    let disks = [disk("vda", "A", 4 * GIB)];
    let stack = Stack::default();
    let mut wanted = of(layout.clone());
    let first = plan_beside("n1", &wanted, &disks, &[], &stack, None).unwrap();
    let plan = change.map_or(first.clone(), |change| {
        let mut content = left(&first, true);
        content.signatures[0].kind = "crypto_LUKS".to_owned();
        change(&mut wanted);
        plan_beside("n1", &wanted, &disks, &[("vda", content)], &stack, None).unwrap()
    });
    let sealed = plan.sealings().count();
    let actions: Vec<String> = plan.actions.iter().map(ToString::to_string).collect();
    assert_eq!(sealed, actions.iter().filter(|action| action.starts_with("seal")).count());
    assert!(!plan.open.iter().any(|action| matches!(action, Action::Seal { .. })));
    actions
}

#[test]
fn a_new_device_has_a_key_sealed_behind_those_of_the_operator() {
    for (options, pcrs) in [
        (json!(["tpm2-device=auto"]), "PCR 7"),
        (json!(["tpm2-device=auto,tpm2-pcrs=7+14"]), "PCR 7+14"),
        (json!(["tpm2-device=auto", "tpm2-pcrs="]), "no PCR"),
    ] {
        let actions = actions(&layout(&options), None);
        let at = |word: &str| actions.iter().position(|action| action.contains(word)).unwrap();
        let seal = at(&format!("seal a key of /dev/vda3 to the TPM ({pcrs})"));
        assert!(at("luksFormat") < seal && at("luksAddKey") < seal, "{actions:#?}");
    }
    assert!(!actions(&layout(&json!(["discard"])), None).iter().any(|action| action.starts_with("seal")));
}

#[test]
fn a_device_that_is_kept_has_its_key_sealed_anew_and_a_disk_that_is_kept_whole_is_left_alone() {
    let layout = layout(&json!(["tpm2-device=auto"]));
    let kept = actions(&layout, Some(&|wanted| wanted.keep = vec!["/".to_owned()]));
    let opened = kept.iter().position(|action| action.starts_with("cryptsetup open")).unwrap();
    let sealed = kept.iter().position(|action| action.starts_with("seal a key of /dev/vda3")).unwrap();
    assert!(opened < sealed && !kept.iter().any(|action| action.contains("luksFormat")), "{kept:#?}");
    let policy = [("main".to_owned(), WipePolicy::Keep)];
    let whole = actions(&layout, Some(&|wanted| wanted.wipe = policy.clone().into_iter().collect()));
    assert!(!whole.iter().any(|action| action.starts_with("seal")), "{whole:#?}");
    assert!(whole.iter().any(|action| action.starts_with("cryptsetup open")), "{whole:#?}");
}

//! Swap space on a device.

use super::{
    builder::{Builder, Mode},
    facts::SwapSpace,
    sizes,
};
use crate::action::{Action, Device};
use layout::{Swap, words};

/// Swap space, made anew wherever something is written at all.
pub fn make(builder: &mut Builder<'_>, at: &str, device: &Device, one: &Swap, mode: Mode) {
    let extra = words(&one.extra_args).unwrap_or_default();
    let given =
        |names: [&str; 2]| extra.chunks(2).find(|pair| names.contains(&pair[0].as_str())).and_then(|pair| pair.get(1));
    let uuid = given(["-U", "--uuid"]).and_then(|text| text.parse().ok()).unwrap_or_else(|| builder.own.guid(at));
    let label = given(["-L", "--label"]).cloned();
    builder.identify((!one.random_encryption).then(|| uuid.to_string()).as_deref(), "swap space");
    sizes::swap(&mut builder.sizes, at, device);
    // What is in swap is of no use to the next system.
    if mode != Mode::Open && !one.random_encryption {
        builder.wipe_again(device, mode);
        builder.actions.push(Action::Swap { device: device.clone(), uuid, label });
    }
    builder.swaps.push(SwapSpace {
        device: Some(device.clone()),
        path: device.to_string(),
        uuid: (!one.random_encryption).then(|| uuid.to_string()),
        priority: one.priority,
        discard: one.discard_policy,
        options: one.mount_options.clone(),
        random_encryption: one.random_encryption,
        resume: one.resume_device,
    });
}

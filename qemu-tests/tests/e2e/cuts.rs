//! A short campaign of power cuts; `cargo run -p qemu-tests --bin power-cuts` has long ones.

use qemu_tests::{campaign::Campaign, lab, power_cut::Random, server::Admission};

const CUTS: u32 = 12;

#[test]
fn after_12_power_cuts_every_registered_path_is_whole_and_the_end_is_the_same() {
    lab::test("cuts", Admission::OpenLab, |lab| {
        let mut random = Random::of_this_run("cuts")?;
        let campaign = Campaign::prepare(lab)?;
        let whole_run = campaign.a_disk_that_forgets_its_flushes_is_caught(&mut random)?;
        campaign.cut(CUTS, whole_run, &mut random)
    });
}

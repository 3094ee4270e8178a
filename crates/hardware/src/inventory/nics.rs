//! Network cards that stand on a bus.

use super::sysfs::Dir;
use protocol::{inventory::Nic, names::Mac};

/// `type` of an Ethernet device (ARPHRD_ETHER).
const ETHERNET: u64 = 1;

/// Every Ethernet card, in the order of names. Bridges, bonds and tunnels stand on no bus.
pub fn read(sys: &Dir) -> Vec<Nic> {
    sys.join("class/net").entries().iter().filter_map(nic).collect()
}

fn nic(dir: &Dir) -> Option<Nic> {
    let real = dir.has("device") && dir.number("type") == Some(ETHERNET);
    real.then_some(())?;
    Some(Nic {
        name: dir.name(),
        mac: mac(dir)?,
        bus: dir.join("device").link_name("subsystem"),
        driver: dir.join("device").link_name("driver"),
        link: dir.flag("carrier"),
        speed: dir.number("speed").filter(|speed| *speed > 0).and_then(|speed| u32::try_from(speed).ok()),
    })
}

/// The card's own address: in a bond, `address` is the bond's.
fn mac(dir: &Dir) -> Option<Mac> {
    let text = dir.text("bonding_slave/perm_hwaddr").or_else(|| dir.text("address"))?;
    text.parse::<Mac>().ok().filter(|mac| mac.as_str() != "00:00:00:00:00:00")
}

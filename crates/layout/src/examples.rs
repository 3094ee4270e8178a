//! Layouts that tests here and elsewhere begin with.

use serde_json::{Value, json};

/// ESP, BIOS boot partition and root, as disko evaluates it.
pub fn hybrid_boot() -> Value {
    json!({"disk": {"main": {"type": "disk", "device": "/dev/vda", "content": {"type": "gpt", "partitions": {
        "ESP": {"type": "EF00", "size": "64M", "end": "+64M", "start": "0", "priority": 1000, "label": "disk-main-ESP",
                "content": {"type": "filesystem", "format": "vfat", "mountpoint": "/boot", "mountOptions": ["umask=0077"]}},
        "boot": {"type": "EF02", "size": "1M", "end": "+1M", "priority": 100, "label": "disk-main-boot", "attributes": [0]},
        "root": {"type": "8300", "size": "100%", "end": "-0", "priority": 9001, "label": "disk-main-root",
                 "content": {"type": "filesystem", "format": "ext4", "mountpoint": "/", "mountOptions": ["defaults"]}},
    }}}}})
}

/// The same with other content in the root partition.
pub fn with_root(content: Value) -> Value {
    let mut layout = hybrid_boot();
    layout["disk"]["main"]["content"]["partitions"]["root"]["content"] = content;
    layout
}

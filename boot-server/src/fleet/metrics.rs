//! What a monitoring system reads, in the text format of OpenMetrics, which Prometheus reads.

use host::certificate::Certificate;
use prometheus_client::{
    encoding::text,
    metrics::{family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};
use protocol::{
    Code, Timestamp,
    admin::{NodeState, NodeSummary},
    failure::{OrFail, Result},
};

/// How the text is labelled.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Gauges = Family<[(&'static str, String); 1], Gauge>;

/// The nodes by state, and how long certificates last: of the nodes that have one, and of the CA.
///
/// # Errors
/// None that is known.
pub fn openmetrics(nodes: &[NodeSummary], ca: &[Certificate], now: Timestamp) -> Result<String> {
    let (states, of_nodes, of_ca) = (Gauges::default(), Gauges::default(), Gauges::default());
    let set = |gauges: &Gauges, label: &'static str, value: String, to: i64| {
        gauges.get_or_create(&[(label, value)]).set(to);
    };
    for state in NodeState::ALL {
        let count = nodes.iter().filter(|node| node.state == state).count();
        set(&states, "state", state.to_string(), count as i64);
    }
    for node in nodes.iter().filter(|node| node.state != NodeState::Retired) {
        if let Some(ends) = node.certificate_ends {
            set(&of_nodes, "node", node.name.clone(), (ends - now).whole_seconds());
        }
    }
    for (place, one) in ca.iter().enumerate() {
        let is = match (one.is_self_issued(), place) {
            (true, _) => "root".to_owned(),
            (false, 0) => "issuing".to_owned(),
            (false, place) => format!("between-{place}"),
        };
        set(&of_ca, "certificate", is, (one.until - now).whole_seconds());
    }
    let mut registry = Registry::with_prefix("centra");
    registry.register("nodes", "Nodes and machines that wait, by state", states);
    let until = "Until the certificate of a node ends";
    registry.register_with_unit("node_certificate_left", until, Unit::Seconds, of_nodes);
    let until = "Until a certificate of the CA ends";
    registry.register_with_unit("ca_certificate_left", until, Unit::Seconds, of_ca);
    let mut page = String::new();
    text::encode(&mut page, &registry).or_fail(Code::Internal, || "writing the metrics")?;
    Ok(page)
}

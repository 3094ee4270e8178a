//! Every call of the boot-server's HTTPS API: method, path, what goes in, what comes out, and who may. The server routes
//! and authorises by this list; the agent, the command line and the page call by it.

use crate::{
    admin::{
        Applied, ApplyRequest, ApprovePlan, ApproveRequest, Approved, JournalEntry, KeyRevoked, NodeDetail,
        NodeSummary, Reinstalling,
    },
    arbiter::{RestartTurn, Turn, TurnRequest},
    audit::{AuditEntry, AuditQuery, AuditVerdict, FromAnchor},
    closures::{ClosureList, GcReport, GcRequest, VerifyReport, VerifyRequest},
    enrol::{EnrolReply, EnrolRequest, HelloReply, HelloRequest},
    enrol_token::{EnrolTokenMade, EnrolTokenRequest, EnrolTokenSummary},
    manifest::{ManifestRequest, SecretBundle, SignedManifest},
    operations::{
        ClusterMembers, ClusterSummary, ForeignRequest, ForgetRequest, Forgotten, OperateRequest, PowerRequest,
        ReinstallRequest, Verification,
    },
    rejection::{RejectRequest, Rejection, Unrejected},
    renewal::{RenewRequest, Renewed},
    report::{HealthReport, InstalledReply, InstalledReport, PlanReply, PlanReport, ReadyReport, WipedReport},
    secrets::{SealedAnew, SecretKept, SecretRequest, SecretSummary},
    telemetry::{Telemetry, TelemetryAck},
    tokens::{CertificateRequest, Scope, TokenMade, TokenRequest, TokenSummary},
    tpm::{QuoteRequest, QuoteWanted, StartQuote, TpmProof},
    trust::{Believe, Believed},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The method of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Changes nothing; what is asked for is in the query.
    Get,
    /// Does something; what is to be done is in the body.
    Post,
    /// Ends something.
    Delete,
}

/// Who may make a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Who {
    /// Whoever reaches the port: what such a call may do is bounded by what it is.
    Anyone,
    /// A node by its certificate, or a machine by the session of its enrolment, which is in the body.
    Machine,
    /// A node by its certificate, looked up at every call.
    Node,
    /// Whoever shows a certificate that was a node's, revoked or not: the one report that revokes it may be repeated.
    FormerNode,
    /// Somebody with a token, or the page's cookie, whose scope allows at least to look.
    Viewer,
    /// The same, whose scope allows to approve.
    Approver,
    /// The same, whose scope allows to operate.
    Operator,
    /// The same, whose scope allows everything.
    Admin,
}

impl Who {
    /// The scope that is needed, where it is for people.
    pub fn scope(self) -> Option<Scope> {
        match self {
            Who::Viewer => Some(Scope::View),
            Who::Approver => Some(Scope::Approve),
            Who::Operator => Some(Scope::Operate),
            Who::Admin => Some(Scope::Admin),
            Who::Anyone | Who::Machine | Who::Node | Who::FormerNode => None,
        }
    }
}

/// In what form the answer comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// One JSON value.
    Json,
    /// [`crate::closures::Line`]s of JSON, the last with the answer.
    Lines,
    /// Server-sent events, from `Last-Event-ID` on.
    Events,
    /// The bytes of a file.
    File,
    /// For a browser: it is led on to another address, or shown a page that says why not.
    Page,
}

/// A call.
pub trait Call {
    /// Its method.
    const METHOD: Method;
    /// Its path; what stands in braces is an argument.
    const PATH: &'static str;
    /// Who may make it.
    const WHO: Who;
    /// In what form it answers.
    const FORM: Form;
    /// The query of a GET, the body of a POST.
    type Request: Serialize + DeserializeOwned + Send + Sync;
    /// What comes back.
    type Answer: Serialize + DeserializeOwned + Send;

    /// The path with its arguments, each percent-encoded, in the order of the braces.
    fn path(arguments: &[&str]) -> String {
        filled(Self::PATH, arguments)
    }
}

/// A call as data: for lists, documents and the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Description {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub summary: &'static str,
    /// As [`Call::METHOD`].
    pub method: Method,
    /// As [`Call::PATH`].
    pub path: &'static str,
    /// As [`Call::WHO`].
    pub who: Who,
    /// As [`Call::FORM`].
    pub form: Form,
    /// The type of the query or body.
    pub request: &'static str,
    /// The type of the answer.
    pub answer: &'static str,
}

macro_rules! calls {
    ($(#[doc = $summary:literal] $name:ident: $method:ident $path:literal, $who:ident, $form:ident, $request:ty => $answer:ty;)*) => {
        $(
            #[doc = $summary]
            #[derive(Debug, Clone, Copy)]
            pub struct $name;

            impl Call for $name {
                const METHOD: Method = Method::$method;
                const PATH: &'static str = $path;
                const WHO: Who = Who::$who;
                const FORM: Form = Form::$form;
                type Request = $request;
                type Answer = $answer;
            }
        )*

        /// All of them.
        pub const ALL: &[Description] = &[$(Description {
            name: stringify!($name),
            summary: $summary.trim_ascii_start(),
            method: Method::$method,
            path: $path,
            who: Who::$who,
            form: Form::$form,
            request: stringify!($request),
            answer: stringify!($answer),
        }),*];
    };
}

calls! {
    /// Commits to a key; the nonce and the signed time of the server come back.
    Hello: Post "/v1/enrol/hello", Anyone, Json, HelloRequest => HelloReply;
    /// Asks to become a node.
    Enrol: Post "/v1/enrol", Anyone, Json, EnrolRequest => EnrolReply;
    /// Asks where the enrolment stands, and waits for news.
    PollEnrolment: Get "/v1/enrol/{session}", Anyone, Json, Wait => EnrolReply;
    /// Proves the machine's TPM.
    ProveTpm: Post "/v1/enrol/{session}/tpm", Anyone, Json, TpmProof => EnrolReply;
    /// Fetches a file of a deployed image.
    Artefact: Get "/v1/artefacts/{sha256}", Anyone, File, Nothing => Nothing;
    /// Delivers events, log lines and heartbeats of a run.
    DeliverTelemetry: Post "/v1/telemetry", Machine, Json, Telemetry => TelemetryAck;

    /// Fetches the signed instructions for this node, this key and this request.
    Manifest: Post "/v1/node/manifest", Node, Json, ManifestRequest => SignedManifest;
    /// Fetches the node's own secrets, while the generation is under way.
    Secrets: Get "/v1/node/secrets", Node, Json, OfGeneration => SecretBundle;
    /// Asks whether a plan may be carried out.
    Plan: Post "/v1/node/plan", Node, Json, PlanReport => PlanReply;
    /// Reports that the system is installed: the generation is used up.
    Installed: Post "/v1/node/installed", Node, Json, InstalledReport => InstalledReply;
    /// Reports that the disks of a node to be retired are wiped.
    Wiped: Post "/v1/node/wiped", FormerNode, Json, WipedReport => Nothing;
    /// Reports that the node is a healthy member.
    Ready: Post "/v1/node/ready", Node, Json, ReadyReport => Nothing;
    /// Renews the node's certificate, and its key where it asks with another one.
    Renew: Post "/v1/node/renew", Node, Json, RenewRequest => Renewed;
    /// Tells what the node believes, and asks what it is to believe from now on.
    Trust: Post "/v1/node/trust", Node, Json, Believed => Believe;
    /// Tells that the node has stored the certificate that it shows: a new key is the node's from then on.
    KeyInUse: Post "/v1/node/key-in-use", Node, Json, Nothing => Nothing;
    /// Asks whether the server wants to hear what was measured when the node's system started.
    AskQuote: Post "/v1/node/quote/wanted", Node, Json, QuoteRequest => QuoteWanted;
    /// Tells it, as the node's TPM has signed it.
    QuoteStart: Post "/v1/node/quote", Node, Json, StartQuote => Nothing;
    /// Reports how the services of the node are.
    Health: Post "/v1/node/health", Node, Json, HealthReport => Nothing;
    /// Asks whether the node founds its cluster, joins now, or waits.
    AskTurn: Post "/v1/node/turn", Node, Json, TurnRequest => Turn;
    /// Asks whether the node may restart a service now.
    AskRestart: Post "/v1/node/restart", Node, Json, TurnRequest => RestartTurn;
    /// Gives the turn to restart back.
    Restarted: Post "/v1/node/restarted", Node, Json, TurnRequest => Nothing;
    /// Fetches what a founder begins with, where the cluster is restored.
    Snapshot: Get "/v1/node/snapshot", Node, File, TurnRequest => Nothing;

    /// Lists nodes and machines that wait.
    Nodes: Get "/v1/nodes", Viewer, Json, Nothing => Vec<NodeSummary>;
    /// Stores what the operator wants of some nodes.
    Apply: Post "/v1/nodes", Operator, Json, ApplyRequest => Vec<Applied>;
    /// Shows one node with its history.
    Node: Get "/v1/nodes/{name}", Viewer, Json, Nothing => NodeDetail;
    /// Reads a page of a node's journal.
    Logs: Get "/v1/nodes/{name}/logs", Viewer, Json, LogPage => Vec<JournalEntry>;
    /// Follows a node's journal.
    FollowLogs: Get "/v1/nodes/{name}/stream", Viewer, Events, After => JournalEntry;
    /// Has a plan that is held carried out.
    ApproveHeldPlan: Post "/v1/nodes/{name}/plan/approve", Approver, Json, ApprovePlan => Approved;
    /// Lists the secrets of a node: their paths, and where they come from.
    ListSecrets: Get "/v1/nodes/{name}/secrets", Viewer, Json, Nothing => Vec<SecretSummary>;
    /// Sets a secret of a node, apart from its spec.
    SetSecret: Post "/v1/nodes/{name}/secrets", Operator, Json, SecretRequest => SecretKept;
    /// Deletes a secret of a node that is none of its spec.
    DeleteSecret: Delete "/v1/nodes/{name}/secrets/{path}", Operator, Json, Nothing => Nothing;
    /// Seals every secret with a new key.
    SealAnew: Post "/v1/secrets/rekey", Admin, Json, Nothing => SealedAnew;
    /// Opens the node's next generation.
    Reinstall: Post "/v1/nodes/{name}/reinstall", Operator, Json, ReinstallRequest => Reinstalling;
    /// Revokes the key of a node.
    RevokeKey: Post "/v1/nodes/{name}/revoke", Operator, Json, Nothing => KeyRevoked;
    /// Revokes a certificate of a member that is no node, by its serial number.
    RevokeCertificate: Post "/v1/certificates/{serial}/revoke", Admin, Json, Nothing => Nothing;
    /// Powers a machine by the operator's hook.
    Power: Post "/v1/nodes/{name}/power", Operator, Lines, PowerRequest => ();
    /// Takes a node out of the services of its cluster.
    RemoveMember: Post "/v1/nodes/{name}/remove", Operator, Lines, OperateRequest => ();
    /// Lets another machine take the node's place.
    Replace: Post "/v1/nodes/{name}/replace", Operator, Lines, OperateRequest => ();
    /// Has a node go for good.
    Decommission: Post "/v1/nodes/{name}/decommission", Operator, Lines, OperateRequest => ();
    /// Admits a machine by its code.
    Approve: Post "/v1/approve", Approver, Json, ApproveRequest => Approved;
    /// Refuses a machine that waits, by its name, its code or the name of the node that it would become.
    Reject: Post "/v1/machines/{name}/reject", Approver, Json, RejectRequest => Rejection;
    /// Lists the machines that were refused.
    Rejections: Get "/v1/rejections", Viewer, Json, Nothing => Vec<Rejection>;
    /// Takes a refusal back: the machine waits again.
    Unreject: Delete "/v1/rejections/{name}", Approver, Json, Nothing => Unrejected;
    /// Lists what the binary cache holds.
    Closures: Get "/v1/closures", Viewer, Json, Nothing => ClosureList;
    /// Reads the binary cache whole and compares.
    VerifyClosures: Post "/v1/closures/verify", Operator, Lines, VerifyRequest => VerifyReport;
    /// Removes from the binary cache what no node needs.
    CollectGarbage: Post "/v1/closures/gc", Operator, Lines, GcRequest => GcReport;
    /// Lists clusters.
    Clusters: Get "/v1/clusters", Viewer, Json, Nothing => Vec<ClusterSummary>;
    /// Asks the members of a cluster's services how they are.
    Members: Get "/v1/clusters/{cluster}/members", Viewer, Json, Nothing => ClusterMembers;
    /// Checks a cluster; a key is written and read.
    VerifyCluster: Post "/v1/clusters/{cluster}/verify", Operator, Json, Nothing => Verification;
    /// Has the founding set of a cluster fixed anew.
    ForgetCluster: Post "/v1/clusters/{cluster}/forget", Operator, Json, ForgetRequest => Forgotten;
    /// Removes a member that is no node of this server.
    RemoveForeign: Post "/v1/clusters/{cluster}/remove", Operator, Lines, ForeignRequest => ();
    /// Reads the server's metrics, in the text format of Prometheus.
    Metrics: Get "/metrics", Viewer, File, Nothing => Nothing;
    /// Lists what the server noticed on the boot network.
    Events: Get "/v1/events", Viewer, Json, Nothing => Vec<AuditEntry>;
    /// Reads the audit: lines of JSON, each with its hash.
    Audit: Get "/v1/audit", Admin, File, AuditQuery => Nothing;
    /// Checks that nothing of the audit was changed, left out or put in between.
    VerifyAudit: Get "/v1/audit/verify", Viewer, Json, FromAnchor => AuditVerdict;
    /// Lists the tokens of admins.
    Tokens: Get "/v1/tokens", Admin, Json, Nothing => Vec<TokenSummary>;
    /// Makes a token.
    MakeToken: Post "/v1/tokens", Admin, Json, TokenRequest => TokenMade;
    /// Takes a certificate as an admin's.
    TakeCertificate: Post "/v1/certificates", Admin, Json, CertificateRequest => TokenSummary;
    /// Revokes a token or a certificate: it, and sessions of the page that were begun with it, are good for nothing any more.
    RevokeToken: Delete "/v1/tokens/{name}", Admin, Json, Nothing => Nothing;
    /// Lists the one-time tokens that admit machines.
    EnrolTokens: Get "/v1/enrol-tokens", Viewer, Json, Nothing => Vec<EnrolTokenSummary>;
    /// Makes a one-time token that admits a machine.
    MakeEnrolToken: Post "/v1/enrol-tokens", Approver, Json, EnrolTokenRequest => EnrolTokenMade;
    /// Revokes a one-time token that nobody has used.
    RevokeEnrolToken: Delete "/v1/enrol-tokens/{id}", Approver, Json, Nothing => Nothing;
    /// Begins a session of the page.
    LogIn: Post "/v1/login", Anyone, Json, Login => Nothing;
    /// Leads a browser to the OIDC provider, where an admin logs in.
    LogInElsewhere: Get "/v1/login/oidc", Anyone, Page, Elsewhere => Nothing;
    /// Takes what the provider has sent the browser back with, and begins a session of the page.
    LogInReturned: Get "/v1/login/oidc/callback", Anyone, Page, Returned => Nothing;
    /// Ends it.
    LogOut: Delete "/v1/login", Viewer, Json, Nothing => Nothing;
}

/// `{}`: nothing is asked or told. What a newer peer adds is passed over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nothing {}

/// How long an answer may take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// Seconds to wait for news; the server bounds them.
    #[serde(default)]
    pub wait: u64,
}

/// Of which generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfGeneration {
    /// The generation that is under way.
    pub generation: u64,
}

/// From where on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct After {
    /// The id of the last entry that the reader has.
    #[serde(default)]
    pub after: i64,
}

/// Which entries of a journal, in their order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPage {
    /// Those behind this id, the oldest first.
    #[serde(default)]
    pub after: i64,
    /// So many of the newest, in place of `after`; the server bounds them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<u32>,
    /// Of those before this id, with `tail`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<i64>,
}

/// What the page logs in with. No `Debug`: it is secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// An admin's token.
    pub token: String,
}

/// How a browser came to log in at the OIDC provider.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elsewhere {
    /// It was led here from another name of this server, and is led to no other one.
    #[serde(default)]
    pub moved: bool,
}

/// What an OIDC provider sends a browser back with (OpenID Connect Core 1.0, section 3.1.2.5; RFC 9207). No `Debug`: the code is
/// secret. What a provider adds is passed over.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returned {
    /// What the login began with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// What is given for the ID token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Who says it, where he says that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// Why there is no code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The same for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_description: Option<String>,
}

/// The pattern with its braces replaced, in order; a missing argument leaves nothing in its place.
fn filled(pattern: &str, arguments: &[&str]) -> String {
    let (mut path, mut rest, mut arguments) = (String::new(), pattern, arguments.iter());
    while let Some((before, behind)) = rest.split_once('{') {
        path.push_str(before);
        path.push_str(&arguments.next().map(|argument| encoded(argument)).unwrap_or_default());
        rest = behind.split_once('}').map_or("", |(_, rest)| rest);
    }
    path + rest
}

/// Percent-encoded but for what RFC 3986, section 2.3 leaves unreserved.
pub fn encoded(argument: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    argument
        .bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_calls_are_the_same() {
        let addresses: HashSet<_> = ALL.iter().map(|call| (call.method, call.path)).collect();
        let names: HashSet<_> = ALL.iter().map(|call| call.name).collect();
        assert_eq!((addresses.len(), names.len()), (ALL.len(), ALL.len()));
    }

    #[test]
    fn arguments_are_put_into_the_path_and_cannot_leave_their_place() {
        assert_eq!(Reinstall::path(&["node-01"]), "/v1/nodes/node-01/reinstall");
        assert_eq!(Members::path(&["prod.eu"]), "/v1/clusters/prod.eu/members");
        assert_eq!(Members::path(&["a/../b?c d"]), "/v1/clusters/a%2F..%2Fb%3Fc%20d/members");
        assert_eq!(Nodes::path(&[]), "/v1/nodes");
    }

    #[test]
    fn only_who_may_do_everything_makes_tokens() {
        let of = |who| ALL.iter().filter(move |call| call.who == who).map(|call| call.name).collect::<Vec<_>>();
        assert_eq!(
            of(Who::Admin),
            ["SealAnew", "RevokeCertificate", "Audit", "Tokens", "MakeToken", "TakeCertificate", "RevokeToken"]
        );
        assert_eq!(
            of(Who::Approver),
            ["ApproveHeldPlan", "Approve", "Reject", "Unreject", "MakeEnrolToken", "RevokeEnrolToken"]
        );
        assert!(ALL.iter().filter(|call| call.who == Who::Viewer).all(|call| call.method != Method::Post));
    }

    #[test]
    fn what_a_stranger_may_call_is_known() {
        let open: Vec<_> = ALL.iter().filter(|call| call.who == Who::Anyone).map(|call| call.name).collect();
        assert_eq!(
            open,
            ["Hello", "Enrol", "PollEnrolment", "ProveTpm", "Artefact", "LogIn", "LogInElsewhere", "LogInReturned",]
        );
    }
}

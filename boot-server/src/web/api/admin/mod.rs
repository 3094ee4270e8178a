//! What admins may, each as far as the scope of the token goes: a bearer token, or the page's cookie.

mod apply;
mod approve;
mod audit;
mod closures;
mod clusters;
mod enrol_tokens;
mod events;
mod login;
mod logs;
mod metrics;
mod nodes;
mod oidc;
mod operate;
mod rejections;
mod revoke;
mod secrets;
mod tokens;

use super::routes::Routes;
#[cfg(any(test, fuzzing))]
pub use oidc::{cookie_of_login, read_callback};
use protocol::calls;

/// The admin's calls.
pub fn add(routes: Routes) -> Routes {
    routes
        .call::<calls::Nodes, _>(nodes::list)
        .call::<calls::Apply, _>(apply::apply)
        .call::<calls::Node, _>(nodes::detail)
        .call::<calls::Logs, _>(logs::page)
        .call::<calls::FollowLogs, _>(logs::stream)
        .call::<calls::ApproveHeldPlan, _>(approve::plan)
        .call::<calls::ListSecrets, _>(secrets::list)
        .call::<calls::SetSecret, _>(secrets::set)
        .call::<calls::DeleteSecret, _>(secrets::delete)
        .call::<calls::SealAnew, _>(secrets::rekey)
        .call::<calls::Reinstall, _>(apply::reinstall)
        .call::<calls::RevokeKey, _>(revoke::key)
        .call::<calls::RevokeCertificate, _>(revoke::certificate)
        .call::<calls::Power, _>(operate::power)
        .call::<calls::RemoveMember, _>(operate::remove)
        .call::<calls::Replace, _>(operate::replace)
        .call::<calls::Decommission, _>(operate::decommission)
        .call::<calls::Approve, _>(approve::code)
        .call::<calls::Reject, _>(rejections::reject)
        .call::<calls::Rejections, _>(rejections::list)
        .call::<calls::Unreject, _>(rejections::undo)
        .call::<calls::Closures, _>(closures::list)
        .call::<calls::VerifyClosures, _>(closures::verify)
        .call::<calls::CollectGarbage, _>(closures::gc)
        .call::<calls::Clusters, _>(clusters::list)
        .call::<calls::Members, _>(clusters::members)
        .call::<calls::VerifyCluster, _>(clusters::verify)
        .call::<calls::RemoveForeign, _>(operate::remove_foreign)
        .call::<calls::ForgetCluster, _>(clusters::forget)
        .call::<calls::Metrics, _>(metrics::read)
        .call::<calls::Events, _>(events::list)
        .call::<calls::Audit, _>(audit::export)
        .call::<calls::VerifyAudit, _>(audit::verify)
        .call::<calls::Tokens, _>(tokens::list)
        .call::<calls::MakeToken, _>(tokens::make)
        .call::<calls::TakeCertificate, _>(tokens::take)
        .call::<calls::RevokeToken, _>(tokens::revoke)
        .call::<calls::EnrolTokens, _>(enrol_tokens::list)
        .call::<calls::MakeEnrolToken, _>(enrol_tokens::make)
        .call::<calls::RevokeEnrolToken, _>(enrol_tokens::revoke)
        .call::<calls::LogIn, _>(login::begin)
        .call::<calls::LogInElsewhere, _>(oidc::begin)
        .call::<calls::LogInReturned, _>(oidc::finish)
        .call::<calls::LogOut, _>(login::end)
}

//! Owns how those who take part are shown to people.

use althing_contracts::quantity::TimeMs;

use super::{short, values};
use crate::{
    api::view::registry::{MemberView, OrganisationView, TargetView},
    cli::output::{Render, table},
};

impl Render for Vec<OrganisationView> {
    fn table(&self, _: TimeMs) -> String {
        let rows = self.iter().map(|org| {
            let observers = org.observers.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            [org.id.clone(), org.weight.to_string(), short(&org.node), short(&org.consensus), observers]
        });
        table(["organisation", "weight", "node", "validator", "observers"], rows)
    }

    fn names(&self) -> Vec<String> {
        self.iter().map(|org| org.id.clone()).collect()
    }

    fn entries(&self) -> Option<Vec<serde_json::Value>> {
        Some(values(self))
    }
}

impl Render for Vec<MemberView> {
    fn table(&self, _: TimeMs) -> String {
        let rows = self.iter().map(|member| {
            let points = member.points.as_ref();
            [
                member.id.clone(),
                member.weight.to_string(),
                member.roles.join(", "),
                member.vetoes.to_string(),
                points.map_or_else(|| "-".to_owned(), |it| format!("{} of {}", it.free, it.account)),
            ]
        });
        table(["member", "weight", "roles", "vetoes used", "free points"], rows)
    }

    fn names(&self) -> Vec<String> {
        self.iter().map(|member| member.id.clone()).collect()
    }

    fn entries(&self) -> Option<Vec<serde_json::Value>> {
        Some(values(self))
    }
}

impl Render for Vec<TargetView> {
    fn table(&self, _: TimeMs) -> String {
        let rows = self.iter().map(|target| {
            [
                target.id.clone(),
                target.owner.clone(),
                target.tier.clone(),
                target.jurisdiction.clone(),
                target.provider.clone(),
                target.executors.join(", "),
            ]
        });
        table(["target", "owner", "tier", "jurisdiction", "provider", "executors"], rows)
    }

    fn names(&self) -> Vec<String> {
        self.iter().map(|target| target.id.clone()).collect()
    }

    fn entries(&self) -> Option<Vec<serde_json::Value>> {
        Some(values(self))
    }
}

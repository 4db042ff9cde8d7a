//! Explains a leak: which fact of the catalog causes it, and its class.

use crate::probe::context::ProbeContext;
use crate::probed_schema::{CatalogPolicy, Relation};
use crate::runner::Identity;

/// Names the class and the reason of a leak on a table or view.
pub(super) fn blame(
    context: &ProbeContext<'_>,
    relation: &Relation,
    identity: &Identity,
    command: &str,
) -> (&'static str, String) {
    let role = identity.role.as_str();
    let title = relation.title();
    if let Some(found) = beyond_policies(context, relation, role) {
        return found;
    }
    match relation.kind.as_str() {
        "m" => {
            return (
                "C04",
                format!(
                    "{title} is a materialized view: policies of its tables do not apply to the stored copy, and {role} can read it"
                ),
            );
        }
        "v" => return view(relation, command),
        _ => {}
    }
    if !relation.protected {
        return unprotected(context, relation, role);
    }
    policies(context, relation, identity, command)
}

fn beyond_policies(
    context: &ProbeContext<'_>,
    relation: &Relation,
    role: &str,
) -> Option<(&'static str, String)> {
    let found = context.facts.roles.get(role)?;
    if found.superuser {
        return Some((
            "A05",
            format!("{role} is a superuser, and superusers bypass every policy"),
        ));
    }
    if found.bypass {
        return Some((
            "A06",
            format!("{role} has BYPASSRLS, which bypasses every policy, forced or not"),
        ));
    }
    if relation.is_table() && relation.protected && !relation.forced {
        if relation.owner == role {
            return Some((
                "A03",
                format!(
                    "{role} owns {}, and policies apply to the owner only with FORCE ROW LEVEL SECURITY",
                    relation.title()
                ),
            ));
        }
        if found.has.contains(&relation.owner) {
            return Some((
                "A04",
                format!(
                    "{role} has the privileges of {}, the owner of {}, and row-level security is not forced",
                    relation.owner,
                    relation.title()
                ),
            ));
        }
    }
    None
}

fn view(relation: &Relation, command: &str) -> (&'static str, String) {
    let title = relation.title();
    let invoker = relation.options.iter().any(|option| {
        option
            .strip_prefix("security_invoker=")
            .is_some_and(|value| matches!(value, "true" | "on" | "1" | "yes"))
    });
    if invoker {
        return (
            "C02",
            format!(
                "{title} runs as the caller, but a view, function or table below {title} bypasses policies"
            ),
        );
    }
    let owner = &relation.owner;
    if command == "select" {
        return (
            "C01",
            format!(
                "{title} reads its tables as its owner {owner}, so the caller's policies do not apply"
            ),
        );
    }
    (
        "C06",
        format!(
            "{title} writes as its owner {owner}, and nothing checks the tenant of the written rows"
        ),
    )
}

fn unprotected(
    context: &ProbeContext<'_>,
    relation: &Relation,
    role: &str,
) -> (&'static str, String) {
    let title = relation.title();
    if context.facts.policies_of(relation.oid).next().is_some() {
        return (
            "A02",
            format!(
                "{title} has policies, but row-level security is disabled, so no policy is applied"
            ),
        );
    }
    let protected_parent = relation
        .parents
        .iter()
        .filter_map(|parent| context.facts.relations.get(parent))
        .find(|parent| parent.protected);
    if let Some(parent) = protected_parent {
        return (
            "A16",
            format!(
                "{title} is accessed directly: the policies of {} apply only to queries that name that table",
                parent.title()
            ),
        );
    }
    let protected_child = context
        .facts
        .relations
        .values()
        .find(|other| other.parents.contains(&relation.oid) && other.protected);
    if let Some(child) = protected_child {
        return (
            "A18",
            format!(
                "{title} is unprotected, and a query on {title} also reads its child {}, whose policies are not applied then",
                child.title()
            ),
        );
    }
    let copies = context.facts.triggers.iter().find(|trigger| {
        trigger.table != relation.oid
            && context.tenancy_map.is_tenant_table(trigger.table)
            && (context
                .facts
                .functions
                .get(&trigger.function)
                .is_some_and(|function| {
                    crate::expression_text::mentions(function.body(), &relation.name)
                })
                || trigger.function == 0
                    && crate::expression_text::mentions(&trigger.definition, &relation.name))
    });
    if let Some(trigger) = copies {
        let class = if trigger.function == 0 { "E02" } else { "E01" };
        return (
            class,
            format!(
                "`{}` copies rows of a protected table into {title}, which has no row-level security",
                trigger.name
            ),
        );
    }
    let class = if context.tenancy_map.is_declared(relation) {
        "A01"
    } else {
        "E05"
    };
    (
        class,
        format!(
            "{title} has tenant rows and {role} has privileges on {title}, but row-level security is disabled"
        ),
    )
}

fn policies(
    context: &ProbeContext<'_>,
    relation: &Relation,
    identity: &Identity,
    command: &str,
) -> (&'static str, String) {
    let letter = match command {
        "select" => "r",
        "insert" => "a",
        "delete" => "d",
        _ => "w",
    };
    let role = context.facts.roles.get(&identity.role);
    let concerns = |policy: &&CatalogPolicy| {
        (policy.command == "*" || policy.command == letter)
            && policy.permissive
            && policy.roles.iter().any(|name| {
                name == "public"
                    || *name == identity.role
                    || role.is_some_and(|role| role.has.contains(name))
            })
    };
    let admitting: Vec<&CatalogPolicy> = context
        .facts
        .policies_of(relation.oid)
        .filter(concerns)
        .collect();
    let names: Vec<String> = admitting
        .iter()
        .map(|policy| describe(policy, command))
        .collect();
    let why = match names.as_slice() {
        [] => format!(
            "no policy of {} explains the leak: check triggers and rules",
            relation.title()
        ),
        [one] => format!("{one} admits the row"),
        many => format!(
            "permissive policies are combined with OR: {}",
            many.join("; ")
        ),
    };
    (
        classify(context, relation, identity, (command, &admitting)),
        why,
    )
}

fn describe(policy: &CatalogPolicy, command: &str) -> String {
    let writes = matches!(command, "insert" | "move");
    let text = if writes {
        policy.check.as_ref().or(policy.using.as_ref())
    } else {
        policy.using.as_ref()
    };
    let clause = if writes && policy.check.is_some() {
        "WITH CHECK"
    } else {
        "USING"
    };
    format!(
        "policy `{}` {clause} ({})",
        policy.name,
        text.map_or("true", String::as_str)
    )
}

fn classify(
    context: &ProbeContext<'_>,
    relation: &Relation,
    identity: &Identity,
    (command, admitting): (&str, &[&CatalogPolicy]),
) -> &'static str {
    let is_true = |policy: &&CatalogPolicy| {
        let text = if matches!(command, "insert" | "move") {
            policy.check.as_ref().or(policy.using.as_ref())
        } else {
            policy.using.as_ref()
        };
        text.is_some_and(|text| text == "true")
    };
    let title = identity.title.as_str();
    match () {
        () if title.contains("user_metadata") => "B15",
        () if title.starts_with("request.") => "B14",
        () if title.contains("setting is empty") => "B11",
        () if title.contains("nothing was ever set") => "B10",
        () if title.contains("member of tenant") => "B40",
        () if title.contains("member of b") => "B20",
        () if title.contains("address") || title.contains("policy names") => "B45",
        () if title.contains("member of a whose") => "B22",
        () if title.contains("no tenant") => "B39",
        () if admitting.iter().any(is_true) && command == "select" => "B01",
        () if admitting.iter().any(is_true) && matches!(command, "insert" | "move") => "B04",
        () if identity.role == "anon" => "B06",
        () if matches!(command, "delete" | "update") => "B29",
        () if matches!(command, "insert" | "move") => "B05",
        () if context
            .tenancy_map
            .tenant_column(relation.oid)
            .is_some_and(|column| {
                !admitting
                    .iter()
                    .any(|policy| policy.columns.iter().any(|name| name == column))
            }) =>
        {
            "B07"
        }
        () => "B02",
    }
}

//! The condition that a row belongs to the request's tenant, for each way to identify the tenant.

use crate::declared::document::{Hierarchy, Membership, Tenancy};
use crate::sql::name::{Ident, Literal, ObjectName};

/// Returns the condition over the column, and the expression that names the tenant; none where nothing says who asks.
///
/// Who asks is asked in a sub-select, so that it is asked once a statement.
pub(crate) fn condition(tenancy: &Tenancy, column: &str) -> Option<String> {
    let column = Ident::new(column);
    if let Some(membership) = &tenancy.membership {
        let user = user(tenancy)?;
        return Some(format!(
            "{column} = any (array({}))",
            members(membership, &user)
        ));
    }
    let who = who(tenancy)?;
    Some(match &tenancy.hierarchy {
        Some(hierarchy) => format!("{column} = any (array({}))", below(hierarchy, &who)),
        None => format!("{column} = (select {who})"),
    })
}

/// Returns the condition for the table of memberships itself, whose rows are those of their user.
pub(crate) fn of_membership(tenancy: &Tenancy) -> Option<String> {
    let membership = tenancy.membership.as_ref()?;
    let user = user(tenancy)?;
    Some(format!(
        "{} = (select {user})",
        Ident::new(membership.user.value.as_str())
    ))
}

/// Returns the expression that names the tenant of the request.
pub(crate) fn who(tenancy: &Tenancy) -> Option<String> {
    if let Some(tenant) = &tenancy.tenant {
        return Some(tenant.value.clone());
    }
    let of_type = tenancy
        .r#type
        .as_ref()
        .map_or("uuid", |of_type| of_type.value.as_str());
    if let Some(setting) = &tenancy.setting {
        let name = Literal::new(setting.value.as_str());
        // A setting that was never made is NULL, one left behind in a pooled session is empty: neither is a tenant.
        return Some(format!(
            "nullif(current_setting({name}, true), '')::{of_type}"
        ));
    }
    if let Some(claim) = &tenancy.claim {
        return Some(format!(
            "nullif({}, '')::{of_type}",
            read_claim(tenancy, &claim.value)
        ));
    }
    user(tenancy)
}

/// Returns the expression that names the user of the request.
pub(crate) fn user(tenancy: &Tenancy) -> Option<String> {
    if let Some(user) = &tenancy.user {
        return Some(user.value.clone());
    }
    (tenancy.membership.is_some() && tenancy.claim.is_none()).then(|| "auth.uid()".to_owned())
}

fn read_claim(tenancy: &Tenancy, claim: &str) -> String {
    let source = tenancy
        .claims
        .as_ref()
        .map_or("request.jwt.claims", |claims| claims.value.as_str());
    let claims = if source.ends_with(')') {
        source.to_owned()
    } else {
        let name = Literal::new(source);
        format!("nullif(current_setting({name}, true), '')::jsonb")
    };
    let parts: Vec<&str> = claim.split('.').collect();
    match parts.as_slice() {
        [one] => format!("{claims} ->> {}", Literal::new(*one)),
        many => {
            let path: Vec<String> = many
                .iter()
                .map(|part| format!("\"{}\"", part.replace(['"', '\\'], "")))
                .collect();
            let path = Literal::new(format!("{{{}}}", path.join(",")));
            format!("{claims} #>> {path}")
        }
    }
}

fn members(membership: &Membership, user: &str) -> String {
    let table = table(&membership.table.value);
    let tenant = Ident::new(membership.tenant.value.as_str());
    let column = Ident::new(membership.user.value.as_str());
    let also = membership
        .r#where
        .as_ref()
        .map_or_else(String::new, |also| format!(" and ({})", also.value));
    format!("select m.{tenant} from {table} as m where m.{column} = (select {user}){also}")
}

fn below(hierarchy: &Hierarchy, who: &str) -> String {
    let table = table(&hierarchy.table.value);
    let key = Ident::new(hierarchy.key.value.as_str());
    let parent = Ident::new(hierarchy.parent.value.as_str());
    format!(
        "with recursive below (id) as (select {who} union select h.{key} from {table} as h \
         join below as b on h.{parent} = b.id) select b.id from below as b"
    )
}

/// Returns the quoted name of a table written as `name` or `schema.name`.
pub(crate) fn table(name: &str) -> ObjectName {
    match name.split_once('.') {
        Some((schema, table)) => ObjectName::new(schema, table),
        None => ObjectName::new("public", name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(text: &str) -> String {
        let tenancy: Tenancy = crate::yaml::read("x.yaml", text).unwrap();
        condition(&tenancy, "tenant_id").unwrap_or_default()
    }

    #[test]
    fn every_way_to_say_who_asks() {
        insta::assert_snapshot!(own("tenant: app.tenant_id()"), @"tenant_id = (select app.tenant_id())");
        insta::assert_snapshot!(own("setting: app.tenant\ntype: bigint"), @"tenant_id = (select nullif(current_setting('app.tenant', true), '')::bigint)");
        insta::assert_snapshot!(own("claim: tenant_id"), @"tenant_id = (select nullif(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'tenant_id', '')::uuid)");
        insta::assert_snapshot!(own("claim: app_metadata.org\nclaims: auth.jwt()"), @r#"tenant_id = (select nullif(auth.jwt() #>> '{"app_metadata","org"}', '')::uuid)"#);
        insta::assert_snapshot!(own("user: auth.uid()"), @"tenant_id = (select auth.uid())");
        insta::assert_snapshot!(own("membership: {table: members, tenant: org_id, user: user_id, where: active}"), @"tenant_id = any (array(select m.org_id from public.members as m where m.user_id = (select auth.uid()) and (active)))");
        insta::assert_snapshot!(own("tenant: app.org()\nhierarchy: {table: orgs, key: id, parent: parent_id}"), @"tenant_id = any (array(with recursive below (id) as (select app.org() union select h.id from public.orgs as h join below as b on h.parent_id = b.id) select b.id from below as b))");
    }
}

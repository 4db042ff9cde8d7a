//! The table of rules; one file per rule.
//!
//! Families: R rewrites, S scans under a lock, I indexes, T transactions and time, D data loss, C running code,
//! X security, O operation.

use crate::lint::rule::Rule;

mod add_check;
mod add_column_check;
mod add_column_identity;
mod add_column_references_default;
mod add_column_serial;
mod add_column_stored;
mod add_column_unique;
mod add_column_volatile_default;
mod add_enum_value;
mod add_exclusion;
mod add_foreign_key;
mod add_required_column;
mod add_unique;
mod analyze_after_change;
mod attach_partition;
mod backfill_under_lock;
mod change_column_collation;
mod change_column_type;
mod change_extension;
mod change_owner;
mod cluster;
mod column_default_changed;
mod concurrently_if_not_exists;
mod concurrently_in_transaction;
mod concurrently_under_lock_timeout;
mod create_index;
mod create_partition_of;
mod ddl_in_do_block;
mod default_privileges_to_everyone;
mod definer_without_search_path;
mod delete_without_where;
mod detach_partition;
mod disable_autovacuum;
mod disable_event_trigger;
mod disable_row_security;
mod disable_triggers;
mod domain_constraint;
mod drop_cascade;
mod drop_column;
mod drop_column_default;
mod drop_database;
mod drop_index;
mod drop_policy;
mod drop_schema;
mod drop_table;
mod drop_trigger;
mod drop_view_or_function;
mod dynamic_sql;
mod enum_value_used_at_once;
mod fill_from_query;
mod foreign_key_not_valid_partitioned;
mod foreign_key_without_index;
mod generated_always;
mod grant_to_everyone;
mod json_column;
mod lock_table;
mod lock_timeout_off;
mod merge_alter_tables;
mod move_schema;
mod narrow_type;
mod new_write_restriction;
mod not_in_transaction;
mod policy_always_true;
mod primary_key_on_nullable_column;
mod primary_key_using_nullable_index;
mod privileged_role;
mod psql_command;
mod reaches_outside_transaction;
mod recreate_view;
mod refresh_materialized_view;
mod reindex;
mod rename_column;
mod rename_enum_value;
mod rename_table;
mod replication_changed;
mod restart_sequence;
mod row_security_without_policy;
mod rule_swallows_writes;
mod secret_in_text;
mod server_setting;
mod session_setting_leaks;
mod set_access_method;
mod set_expression;
mod set_logged;
mod set_not_null;
mod set_tablespace;
mod several_statements_without_transaction;
mod several_tables_locked;
mod small_integer_key;
mod table_without_primary_key;
mod table_without_row_security;
mod terminate_sessions;
mod timestamp_time_zone;
mod transaction_in_migration;
mod trigger_on_existing_table;
mod truncate;
mod unclosed_quote;
mod update_without_where;
mod vacuum_full;
mod validate_constraint;
mod validate_in_same_transaction;
mod view_bypasses_row_security;

/// Every rule, in the order of its code.
pub const RULES: &[&Rule] = &[
    &add_column_volatile_default::RULE,
    &add_column_serial::RULE,
    &add_column_identity::RULE,
    &add_column_stored::RULE,
    &change_column_type::RULE,
    &timestamp_time_zone::RULE,
    &change_column_collation::RULE,
    &set_logged::RULE,
    &set_tablespace::RULE,
    &set_access_method::RULE,
    &cluster::RULE,
    &vacuum_full::RULE,
    &set_expression::RULE,
    &merge_alter_tables::RULE,
    &set_not_null::RULE,
    &add_check::RULE,
    &add_foreign_key::RULE,
    &add_column_references_default::RULE,
    &add_column_check::RULE,
    &add_unique::RULE,
    &add_column_unique::RULE,
    &primary_key_on_nullable_column::RULE,
    &primary_key_using_nullable_index::RULE,
    &add_exclusion::RULE,
    &validate_in_same_transaction::RULE,
    &validate_constraint::RULE,
    &domain_constraint::RULE,
    &attach_partition::RULE,
    &create_partition_of::RULE,
    &detach_partition::RULE,
    &foreign_key_not_valid_partitioned::RULE,
    &create_index::RULE,
    &drop_index::RULE,
    &reindex::RULE,
    &concurrently_in_transaction::RULE,
    &concurrently_if_not_exists::RULE,
    &concurrently_under_lock_timeout::RULE,
    &foreign_key_without_index::RULE,
    &refresh_materialized_view::RULE,
    &fill_from_query::RULE,
    &several_tables_locked::RULE,
    &backfill_under_lock::RULE,
    &update_without_where::RULE,
    &lock_table::RULE,
    &transaction_in_migration::RULE,
    &not_in_transaction::RULE,
    &enum_value_used_at_once::RULE,
    &several_statements_without_transaction::RULE,
    &ddl_in_do_block::RULE,
    &session_setting_leaks::RULE,
    &psql_command::RULE,
    &unclosed_quote::RULE,
    &lock_timeout_off::RULE,
    &terminate_sessions::RULE,
    &drop_table::RULE,
    &drop_column::RULE,
    &drop_schema::RULE,
    &drop_cascade::RULE,
    &truncate::RULE,
    &drop_database::RULE,
    &narrow_type::RULE,
    &delete_without_where::RULE,
    &restart_sequence::RULE,
    &drop_column_default::RULE,
    &drop_trigger::RULE,
    &recreate_view::RULE,
    &rule_swallows_writes::RULE,
    &rename_column::RULE,
    &rename_table::RULE,
    &move_schema::RULE,
    &rename_enum_value::RULE,
    &add_required_column::RULE,
    &new_write_restriction::RULE,
    &column_default_changed::RULE,
    &json_column::RULE,
    &generated_always::RULE,
    &add_enum_value::RULE,
    &trigger_on_existing_table::RULE,
    &table_without_primary_key::RULE,
    &change_extension::RULE,
    &drop_view_or_function::RULE,
    &replication_changed::RULE,
    &disable_row_security::RULE,
    &drop_policy::RULE,
    &row_security_without_policy::RULE,
    &table_without_row_security::RULE,
    &policy_always_true::RULE,
    &grant_to_everyone::RULE,
    &default_privileges_to_everyone::RULE,
    &definer_without_search_path::RULE,
    &view_bypasses_row_security::RULE,
    &privileged_role::RULE,
    &change_owner::RULE,
    &disable_triggers::RULE,
    &disable_event_trigger::RULE,
    &dynamic_sql::RULE,
    &secret_in_text::RULE,
    &reaches_outside_transaction::RULE,
    &analyze_after_change::RULE,
    &disable_autovacuum::RULE,
    &small_integer_key::RULE,
    &server_setting::RULE,
];

/// Finds a rule by its code or its name, in any case.
pub fn find(rule: &str) -> Option<&'static Rule> {
    RULES.iter().copied().find(|known| {
        known.code.eq_ignore_ascii_case(rule) || known.name.eq_ignore_ascii_case(rule)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_are_unique() {
        for (index, rule) in RULES.iter().enumerate() {
            for other in &RULES[index + 1..] {
                assert!(rule.code != other.code && rule.name != other.name);
            }
            assert!(
                rule.code.is_ascii()
                    && rule
                        .name
                        .bytes()
                        .all(|b| b.is_ascii_lowercase() || b == b'-')
            );
        }
    }

    #[test]
    fn rules_are_found_by_code_or_name() {
        assert_eq!(find("r02").map(|rule| rule.code), Some("R02"));
        assert_eq!(
            find("add-column-volatile-default").map(|rule| rule.code),
            Some("R02")
        );
        assert!(find("R99").is_none());
    }
}

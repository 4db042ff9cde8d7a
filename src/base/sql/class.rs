//! Owns the words for what a statement is; [`classify`](crate::sql::classify) finds them.

/// What a statement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// `BEGIN`, `START TRANSACTION`.
    Begin,
    /// `COMMIT`, `END`, also `… AND CHAIN`.
    Commit,
    /// `ROLLBACK`, `ABORT`.
    Rollback,
    /// `SAVEPOINT`, `RELEASE`, `ROLLBACK TO`.
    Savepoint,
    /// `PREPARE TRANSACTION`, `COMMIT PREPARED`, `ROLLBACK PREPARED`.
    TwoPhase,
    /// `SET`.
    Set {
        /// `SET LOCAL`, `SET CONSTRAINTS`, `SET TRANSACTION`: gone with the transaction.
        local: bool,
    },
    /// `RESET`, `DISCARD`.
    Reset,
    /// `DO`.
    Do,
    /// `CALL`.
    Call,
    /// `SELECT`, `VALUES`, `TABLE`, also after `WITH`.
    Select,
    /// `SELECT … INTO`.
    SelectInto,
    /// `INSERT`, also after `WITH`.
    Insert,
    /// `UPDATE`, also after `WITH`.
    Update,
    /// `DELETE`, also after `WITH`.
    Delete,
    /// `MERGE`, also after `WITH`.
    Merge,
    /// `COPY`.
    Copy {
        /// Whether its rows follow in the text.
        from_stdin: bool,
    },
    /// `TRUNCATE`.
    Truncate,
    /// `LOCK`.
    Lock,
    /// `CREATE INDEX`.
    CreateIndex {
        /// Whether `CONCURRENTLY`.
        concurrently: bool,
    },
    /// `DROP INDEX`.
    DropIndex {
        /// Whether `CONCURRENTLY`.
        concurrently: bool,
    },
    /// `CREATE TABLE … AS`.
    CreateTableAs,
    /// Any other `CREATE`.
    Create(Object),
    /// `ALTER TYPE … ADD VALUE`.
    AlterTypeAddValue,
    /// `ALTER DEFAULT PRIVILEGES`.
    AlterDefaultPrivileges,
    /// `ALTER SYSTEM`.
    AlterSystem,
    /// Any other `ALTER`.
    Alter(Object),
    /// Any other `DROP`.
    Drop(Object),
    /// `DROP OWNED`.
    DropOwned,
    /// `REASSIGN OWNED`.
    ReassignOwned,
    /// `REFRESH MATERIALIZED VIEW`.
    Refresh {
        /// Whether `CONCURRENTLY`.
        concurrently: bool,
    },
    /// `REINDEX`.
    Reindex {
        /// Whether `CONCURRENTLY`.
        concurrently: bool,
    },
    /// `CLUSTER`, `REPACK`.
    Cluster,
    /// `VACUUM`.
    Vacuum,
    /// `ANALYZE`.
    Analyze,
    /// `COMMENT`.
    Comment,
    /// `SECURITY LABEL`.
    SecurityLabel,
    /// `GRANT`.
    Grant,
    /// `REVOKE`.
    Revoke,
    /// `EXPLAIN`.
    Explain,
    /// `IMPORT FOREIGN SCHEMA`.
    ImportForeignSchema,
    /// A backslash command of psql, which no server knows.
    MetaCommand,
    /// Anything else.
    Other,
}

/// What a `CREATE`, `ALTER` or `DROP` speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Object {
    /// `ACCESS METHOD`
    AccessMethod,
    /// `AGGREGATE`
    Aggregate,
    /// `CAST`
    Cast,
    /// `COLLATION`
    Collation,
    /// `CONVERSION`
    Conversion,
    /// `DATABASE`
    Database,
    /// `DOMAIN`
    Domain,
    /// `EVENT TRIGGER`
    EventTrigger,
    /// `EXTENSION`
    Extension,
    /// `FOREIGN DATA WRAPPER`
    ForeignDataWrapper,
    /// `FOREIGN TABLE`
    ForeignTable,
    /// `FUNCTION`
    Function,
    /// `INDEX`
    Index,
    /// `LANGUAGE`
    Language,
    /// `LARGE OBJECT`
    LargeObject,
    /// `MATERIALIZED VIEW`
    MaterializedView,
    /// `OPERATOR`, `OPERATOR CLASS`, `OPERATOR FAMILY`
    Operator,
    /// `POLICY`
    Policy,
    /// `PROCEDURE`
    Procedure,
    /// `PUBLICATION`
    Publication,
    /// `ROLE`, `USER`, `GROUP`
    Role,
    /// `ROUTINE`
    Routine,
    /// `RULE`
    Rule,
    /// `SCHEMA`
    Schema,
    /// `SEQUENCE`
    Sequence,
    /// `SERVER`
    Server,
    /// `STATISTICS`
    Statistics,
    /// `SUBSCRIPTION`
    Subscription,
    /// `TABLE`
    Table,
    /// `TABLESPACE`
    Tablespace,
    /// `TEXT SEARCH …`
    TextSearch,
    /// `TRANSFORM`
    Transform,
    /// `TRIGGER`
    Trigger,
    /// `TYPE`
    Type,
    /// `USER MAPPING`
    UserMapping,
    /// `VIEW`
    View,
    /// Anything else.
    Other,
}

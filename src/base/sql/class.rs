//! The kinds of statements; [`classify`](crate::sql::classify) determines them.

/// The kind of a statement.
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
    Set {
        /// `SET LOCAL`, `SET CONSTRAINTS`, `SET TRANSACTION`: reset at the end of the transaction.
        local: bool,
    },
    /// `RESET`, `DISCARD`.
    Reset,
    Do,
    Call,
    /// `SELECT`, `VALUES`, `TABLE`, also after `WITH`.
    Select,
    SelectInto,
    /// `INSERT`, also after `WITH`.
    Insert,
    /// `UPDATE`, also after `WITH`.
    Update,
    /// `DELETE`, also after `WITH`.
    Delete,
    /// `MERGE`, also after `WITH`.
    Merge,
    Copy {
        /// Whether its rows follow in the text.
        from_stdin: bool,
    },
    Truncate,
    Lock,
    CreateIndex {
        concurrently: bool,
    },
    DropIndex {
        concurrently: bool,
    },
    CreateTableAs,
    /// Any other `CREATE`.
    Create(Object),
    AlterTypeAddValue,
    AlterDefaultPrivileges,
    AlterSystem,
    /// Any other `ALTER`.
    Alter(Object),
    /// Any other `DROP`.
    Drop(Object),
    DropOwned,
    ReassignOwned,
    /// `REFRESH MATERIALIZED VIEW`.
    Refresh {
        concurrently: bool,
    },
    Reindex {
        concurrently: bool,
    },
    /// `CLUSTER`, `REPACK`.
    Cluster,
    Vacuum,
    Analyze,
    Comment,
    SecurityLabel,
    Grant,
    Revoke,
    Explain,
    ImportForeignSchema,
    /// A backslash command of psql, which no server understands.
    MetaCommand,
    /// Anything else.
    Other,
}

/// The kind of object that a `CREATE`, `ALTER` or `DROP` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Object {
    AccessMethod,
    Aggregate,
    Cast,
    Collation,
    Conversion,
    Database,
    Domain,
    EventTrigger,
    Extension,
    ForeignDataWrapper,
    ForeignTable,
    Function,
    Index,
    Language,
    LargeObject,
    MaterializedView,
    /// `OPERATOR`, `OPERATOR CLASS`, `OPERATOR FAMILY`
    Operator,
    Policy,
    Procedure,
    Publication,
    /// `ROLE`, `USER`, `GROUP`
    Role,
    Routine,
    Rule,
    Schema,
    Sequence,
    Server,
    Statistics,
    Subscription,
    Table,
    Tablespace,
    TextSearch,
    Transform,
    Trigger,
    Type,
    UserMapping,
    View,
    /// Anything else.
    Other,
}

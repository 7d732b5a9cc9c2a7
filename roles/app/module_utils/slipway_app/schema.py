"""Reading the SQL of a migration: which steps only add, and which take away or lock a table that is in use.

PostgreSQL's own parser reads (pglast). A statement is harmless because it is known to be: what is not known here, and
what cannot be read, is named. What locks and for how long follows
https://www.postgresql.org/docs/current/sql-altertable.html, section Notes, and
https://www.postgresql.org/docs/current/explicit-locking.html, table of lock modes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

try:
    from pglast import ast, parse_sql
    from pglast.parser import ParseError
except ImportError:  # the gate says so, and what to do
    ast = None


def _words(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


# Functions of PostgreSQL that only compute; with those of _VOLATILE, whose value differs from row to row.
_COMPUTES = _words(
    """
    now transaction_timestamp statement_timestamp timezone date_trunc date_part extract age make_interval
    make_date make_timestamp make_timestamptz to_timestamp to_date to_char to_number justify_interval date_bin
    lower upper initcap trim btrim ltrim rtrim substr substring left right length char_length octet_length replace
    translate concat concat_ws format split_part regexp_replace regexp_match regexp_matches regexp_split_to_array
    regexp_split_to_table string_to_array array_to_string string_agg overlay position strpos lpad rpad repeat
    reverse md5 sha256 encode decode ascii chr quote_literal quote_ident abs ceil ceiling floor round trunc mod
    power sqrt sign greatest least width_bucket count sum avg min max bool_and bool_or every array_agg json_agg
    jsonb_agg json_object_agg jsonb_object_agg row_number rank dense_rank lag lead first_value last_value ntile
    array_length array_append array_prepend array_cat array_remove array_replace array_position cardinality unnest
    json_build_object jsonb_build_object json_build_array jsonb_build_array to_json to_jsonb row_to_json jsonb_set
    jsonb_insert jsonb_strip_nulls jsonb_array_elements jsonb_array_elements_text jsonb_each jsonb_each_text
    jsonb_object_keys jsonb_typeof jsonb_array_length jsonb_extract_path jsonb_extract_path_text
    json_array_elements json_array_elements_text json_each json_extract_path_text json_typeof generate_series
    to_tsvector to_tsquery plainto_tsquery setweight int4range int8range tstzrange tsrange daterange numrange
    current_schema current_database current_setting version pg_typeof coalesce nullif
    """
)
_VOLATILE = _words(
    """
    random gen_random_uuid uuid_generate_v4 uuidv4 uuidv7 nextval clock_timestamp timeofday
    """
)
# What a session may set for itself.
_SETTABLE = _words(
    """
    statement_timeout lock_timeout idle_in_transaction_session_timeout work_mem maintenance_work_mem
    client_min_messages client_encoding timezone datestyle check_function_bodies synchronous_commit
    application_name default_table_access_method xmloption TRANSACTION SESSION CHARACTERISTICS
    """
)
# Changes of a table that take nothing away and hold its lock for no longer than they are written.
_QUICK = _words(
    """
    AT_DropNotNull AT_SetStatistics AT_SetOptions AT_ResetOptions AT_SetStorage AT_SetCompression
    AT_ValidateConstraint AT_SetRelOptions AT_ResetRelOptions AT_ReplicaIdentity AT_ClusterOn AT_DropCluster
    """
)
# What is said of other changes of a table.
_CHANGES = {
    "AT_DropColumn": "drops the column {table}.{name}",
    "AT_AlterColumnType": "changes the type of {table}.{name}, which may rewrite the table under a lock",
    "AT_SetNotNull": "forbids NULL in {table}.{name}, which the old release may still write, and reads the table under"
    " a lock",
    "AT_DropConstraint": "drops the constraint {name} of {table}, on which the old release may rely (ON CONFLICT, a"
    " cascade)",
    "AT_DropExpression": "makes {table}.{name} a column that nobody computes any more",
    "AT_AddIdentity": "makes {table}.{name} an identity, which the old release may not write",
    "AT_SetIdentity": "changes the identity of {table}.{name}",
    "AT_DropIdentity": "takes the identity of {table}.{name} away",
    "AT_SetExpression": "computes {table}.{name} anew, which rewrites the table under a lock",
    "AT_AlterConstraint": "changes the constraint {name} of {table}",
    "AT_ChangeOwner": "gives {table} another owner",
    "AT_SetTableSpace": "moves {table} to another tablespace, which rewrites it under a lock",
    "AT_SetLogged": "rewrites {table} under a lock (SET LOGGED)",
    "AT_SetUnLogged": "rewrites {table} under a lock (SET UNLOGGED), and a crash would empty it",
    "AT_SetAccessMethod": "rewrites {table} under a lock (SET ACCESS METHOD)",
    "AT_EnableRowSecurity": "hides rows of {table} from the old release (ROW LEVEL SECURITY)",
    "AT_DisableRowSecurity": "shows rows of {table} that were hidden (ROW LEVEL SECURITY)",
    "AT_ForceRowSecurity": "hides rows of {table} from the old release (ROW LEVEL SECURITY)",
    "AT_NoForceRowSecurity": "shows rows of {table} that were hidden (ROW LEVEL SECURITY)",
    "AT_AttachPartition": "attaches a partition to {table}, which reads it under a lock",
    "AT_DetachPartition": "detaches a partition of {table}, whose rows are gone from it",
    "AT_AddInherit": "puts {table} below another table, in which its rows appear",
    "AT_DropInherit": "takes {table} from another table, in which its rows are no more",
}
_SAFE_KINDS = _words(
    """
    CommentStmt CreateSeqStmt CreateEnumStmt CreateRangeStmt CompositeTypeStmt CreateDomainStmt CreateSchemaStmt
    CreateStatsStmt CreateExtensionStmt ConstraintsSetStmt NotifyStmt ListenStmt UnlistenStmt DefineStmt
    CheckPointStmt
    """
)
# What calls a function later on, if at all; of a column's default column() has its own words.
_DEFINES = _words(
    """
    CreateStmt ViewStmt IndexStmt AlterTableStmt CreateTrigStmt RuleStmt CreateDomainStmt CreateFunctionStmt
    CreatePolicyStmt AlterPolicyStmt AlterDomainStmt CreateSchemaStmt CreateForeignTableStmt CreateStatsStmt
    """
)
_KINDS = {
    "CONSTR_PRIMARY": "PRIMARY KEY",
    "CONSTR_UNIQUE": "UNIQUE",
    "CONSTR_CHECK": "CHECK",
    "CONSTR_FOREIGN": "FOREIGN KEY",
    "CONSTR_EXCLUSION": "EXCLUDE",
    "CONSTR_NOTNULL": "NOT NULL",
}
_SERIAL = _words(
    """
    serial bigserial smallserial serial2 serial4 serial8
    """
)


def judge(databases: list[dict]) -> list[str]:
    """Return in words what is unsafe in the SQL of several databases, as check_app tells of them."""
    found: list[str] = []
    for database in databases:
        where = f" (database {database['name']})" if database.get("name") else ""
        found += [f"{step}{where}" for step in unsafe_steps(database.get("sql", ""), database)]
    return list(dict.fromkeys(found))


def unsafe_steps(sql: str, database: dict | None = None) -> list[str]:
    """Return in words the steps that take something away from the old release, lock what is in use, or cannot be read.

    ``database`` says what there is, as check_app tells it: ``relations`` ([schema, name, kind]), ``path`` (schemas),
    ``user`` and ``version_table``. Tables that the same script makes are nobody's yet: what is done to them counts for
    nothing, unless there was one of that name before.
    """
    if ast is None:
        return [
            "cannot be read: pglast, which reads SQL, is not there for the Python that runs ansible-playbook"
            " (make setup installs it)"
        ]
    try:
        statements = parse_sql(sql)
    except ParseError as error:
        return [f"cannot be read: {str(error).splitlines()[0]}: {_near(sql, error)}"]
    script = _Script(database)
    for statement in statements:
        script.statement(statement.stmt)
    return list(dict.fromkeys(script.found))


def _near(sql: str, error: object) -> str:
    """Return the line of a script that cannot be read, in at most 120 characters."""
    place = next((each for each in error.args if isinstance(each, int)), None)
    before = sql[: place or 0]
    return sql[before.rfind("\n") + 1 :].partition("\n")[0].strip()[:120]


class _Script:
    """A script that is read from its beginning to its end: what is new in it, and what was found."""

    def __init__(self, database: dict | None) -> None:
        known = database or {}
        self.knows = database is not None and bool(known.get("path"))
        self.path: list[str] = known.get("path") or ["public"]
        self.user: str = known.get("user") or ""
        self.there = {(schema, name, kind) for schema, name, kind in known.get("relations") or ()}
        self.version_tables = {"alembic_version", known.get("version_table") or "alembic_version"}
        self.new: dict[tuple[str, str], str] = {}  # made by this script, and how long it lasts
        self.found: list[str] = []

    def say(self, words: str) -> None:
        """Note an unsafe step."""
        self.found.append(words)

    # Names
    def key(self, schema: str | None, name: str) -> tuple[str, str]:
        """Return which relation a name means: of a temporary one, of the script's own, or of the search path."""
        if schema:
            return schema, name
        if ("pg_temp", name) in self.new:
            return "pg_temp", name
        for each in self.path:
            if (each, name) in self.new or self.exists((each, name)):
                return each, name
        return self.path[0], name

    def exists(self, key: tuple[str, str], *kinds: str) -> bool:
        """Say whether there was a relation (or what ``kinds`` say) of that name before the script."""
        return any((*key, kind) in self.there for kind in kinds or ("table", "relation"))

    def is_new(self, relation: object) -> bool:
        """Say whether a table is nobody's yet."""
        return relation is not None and self.key(relation.schemaname, relation.relname) in self.new

    def is_version_table(self, relation: object) -> bool:
        """Say whether it is the table in which Alembic keeps where the schema is."""
        return relation is not None and relation.relname in self.version_tables

    def is_key(self, relation: object, column: str) -> bool:
        """Say whether a column is of a unique index, as far as that is known."""
        schema, name = self.key(relation.schemaname, relation.relname)
        return not self.knows or (schema, f"{name}.{column}", "key") in self.there

    def make(self, relation: object, if_not_exists: bool = False, lasts: str = "") -> None:
        """Note that the script makes a relation, and say so where it hides one that is in use."""
        temporary = relation.relpersistence == "t" or relation.schemaname in ("pg_temp",)
        schema = "pg_temp" if temporary else relation.schemaname or self.path[0]
        key = schema, relation.relname
        if self.exists(key) or (if_not_exists and not self.knows):
            return
        if not temporary and schema in self.path:
            after = self.path[self.path.index(schema) + 1 :]
            if any(self.exists((each, relation.relname)) for each in after):
                self.say(f"makes {_of(relation)} in the schema {schema}, which hides the one that is in use")
        self.new[key] = lasts or ("session" if temporary else "")

    # Statements
    def statement(self, node: object) -> None:
        """Read a statement."""
        kind = type(node).__name__
        reader = getattr(self, f"_{kind}", None)
        if reader is not None:
            reader(node)
        elif kind not in _SAFE_KINDS:
            self.say(f"runs a statement that this gate does not know ({kind.removesuffix('Stmt')})")
        self.inside(node)

    def inside(self, node: object) -> None:
        """Read what may stand anywhere in a statement: data-modifying WITH, functions, locks on rows."""
        runs_now = type(node).__name__ not in _DEFINES
        for part in _walk(node):
            if part is not node and isinstance(part, (ast.UpdateStmt, ast.DeleteStmt, ast.MergeStmt, ast.InsertStmt)):
                getattr(self, f"_{type(part).__name__}")(part)
            elif runs_now and isinstance(part, ast.FuncCall) and not _is_known(part):
                self.say(f"calls the function {_dotted(part.funcname)}(), which may do anything")
            elif isinstance(part, ast.LockingClause):
                self.say("locks rows (FOR UPDATE or FOR SHARE) until the migration ends")
            elif isinstance(part, ast.IntoClause) and part is not getattr(node, "into", None):
                self.make(part.rel)

    def _SelectStmt(self, node: object) -> None:
        pass

    def _ExplainStmt(self, node: object) -> None:
        if any(option.defname == "analyze" for option in node.options or ()):
            self.say("runs a statement by EXPLAIN ANALYZE")

    def _TransactionStmt(self, node: object) -> None:
        kind = node.kind.name
        if "ROLLBACK" in kind or "PREPARE" in kind:
            self.new.clear()
        if kind == "TRANS_STMT_COMMIT":
            self.new = {key: lasts for key, lasts in self.new.items() if lasts != "transaction"}

    def _VariableSetStmt(self, node: object) -> None:
        name = node.name or ""
        if node.kind.name in ("VAR_RESET_ALL",):
            self.say("takes all settings of the session back (RESET ALL), lock_timeout among them")
        elif name not in _SETTABLE and name.upper() not in _SETTABLE:
            self.say(f"sets {name}, after which names or rights may mean something else")
        elif name in ("lock_timeout", "statement_timeout") and not _limits(node):
            self.say(f"lifts {name}, so that a lock may hold up the app for as long as it takes")

    def _CreateStmt(self, node: object) -> None:
        parents = [each for each in node.inhRelations or () if not self.is_new(each)]
        for parent in parents:
            self.say(f"makes a part of the table {_of(parent)}, which locks it")
        oncommit = node.oncommit.name if node.oncommit is not None else ""
        self.make(node.relation, bool(node.if_not_exists), "transaction" if oncommit == "ONCOMMIT_DROP" else "")

    def _CreateForeignTableStmt(self, node: object) -> None:
        self._CreateStmt(node.base if hasattr(node, "base") and node.base is not None else node)

    def _CreateTableAsStmt(self, node: object) -> None:
        self.make(node.into.rel, bool(node.if_not_exists))
        if isinstance(node.query, ast.ExecuteStmt):
            self.say("runs a prepared statement, which cannot be read here")

    def _CreateSchemaStmt(self, node: object) -> None:
        name = node.schemaname or ""
        if not name or name == self.user or name in self.path:
            self.say(f"makes the schema {name or 'of the user'}, in which names are looked up before others")
        for part in node.schemaElts or ():
            if getattr(part, "relation", None) is not None and not part.relation.schemaname:
                part.relation.schemaname = name
            self.statement(part)

    def _ViewStmt(self, node: object) -> None:
        key = self.key(node.view.schemaname, node.view.relname)
        if node.replace and key not in self.new and (not self.knows or self.exists(key)):
            self.say(f"replaces the view {_of(node.view)}")
        else:
            self.make(node.view)

    def _CreateFunctionStmt(self, node: object) -> None:
        names = [each.sval for each in node.funcname]
        key = (names[0] if len(names) > 1 else self.path[0], names[-1])
        if node.replace and (not self.knows or self.exists(key, "function")):
            self.say(f"replaces the function {_dotted(node.funcname)}, which may be in use")

    def _IndexStmt(self, node: object) -> None:
        if not node.concurrent and not self.is_new(node.relation):
            self.say(
                f"makes an index on {_of(node.relation)} without CONCURRENTLY: nobody can write to the table meanwhile"
            )

    def _ReindexStmt(self, node: object) -> None:
        if not any(option.defname == "concurrently" for option in node.params or ()):
            what = _of(node.relation) if node.relation is not None else node.name
            self.say(f"rebuilds an index of {what} under a lock")

    def _RefreshMatViewStmt(self, node: object) -> None:
        if not node.concurrent and not self.is_new(node.relation):
            self.say(f"fills {_of(node.relation)} anew under a lock (REFRESH without CONCURRENTLY)")

    def _ClusterStmt(self, node: object) -> None:
        if not self.is_new(node.relation):
            self.say(f"rewrites the table {_of(node.relation) if node.relation else 'of each cluster'} under a lock")

    def _VacuumStmt(self, node: object) -> None:
        if any(option.defname == "full" for option in node.options or ()):
            tables = [each.relation for each in node.rels or () if each.relation is not None]
            for table in [each for each in tables if not self.is_new(each)]:
                self.say(f"rewrites the table {_of(table)} under a lock")
            if not tables:
                self.say("rewrites all tables under a lock")

    def _LockStmt(self, node: object) -> None:
        for table in node.relations:
            if not self.is_new(table):
                self.say(f"locks the table {_of(table)}")

    def _TruncateStmt(self, node: object) -> None:
        for table in node.relations:
            if not self.is_new(table):
                self.say(f"empties the table {_of(table)}")
        if node.behavior.name == "DROP_CASCADE":
            self.say("empties all tables that refer to these (TRUNCATE CASCADE)")

    def _DeleteStmt(self, node: object) -> None:
        if not self.is_new(node.relation) and not self.is_version_table(node.relation):
            self.say(f"deletes rows of {_of(node.relation)}")

    def _UpdateStmt(self, node: object) -> None:
        if self.is_new(node.relation) or self.is_version_table(node.relation):
            return
        if _bounded(node.whereClause, lambda column: self.is_key(node.relation, column)):
            return
        self.say(
            f"changes rows of {_of(node.relation)} without a bound (no WHERE with a key's values): each is locked until"
            " the migration ends"
        )

    def _MergeStmt(self, node: object) -> None:
        if not self.is_new(node.relation):
            self.say(f"changes or deletes rows of {_of(node.relation)} (MERGE)")

    def _InsertStmt(self, node: object) -> None:
        conflict = node.onConflictClause
        if conflict is None or conflict.action.name != "ONCONFLICT_UPDATE" or self.is_new(node.relation):
            return
        if not getattr(node.selectStmt, "valuesLists", None):
            self.say(f"changes rows of {_of(node.relation)} without a bound (ON CONFLICT DO UPDATE)")

    def _DropStmt(self, node: object) -> None:
        kind = node.removeType.name.removeprefix("OBJECT_")
        for target in node.objects:
            names = _names(target)
            if kind in ("TABLE", "VIEW", "MATVIEW", "SEQUENCE", "FOREIGN_TABLE"):
                key = self.key(names[-2] if len(names) > 1 else None, names[-1])
                if self.new.pop(key, None) is not None:
                    continue
            shown = names[-1].lower() if kind == "TABLE" else ".".join(names[-2:] if kind != "INDEX" else names[-1:])
            on = {"TRIGGER", "RULE", "POLICY"}
            if kind == "TABLE":
                self.say(f"drops the table {shown}")
            elif kind == "INDEX":
                lock = "" if node.concurrent else ", under a lock of its table"
                self.say(f"drops the index {shown}, on which the old release may rely{lock}")
            elif kind in on:
                self.say(f"drops the {kind.lower()} {names[-1]} of {names[-2] if len(names) > 1 else '?'}")
            elif kind != "STATISTIC_EXT":
                self.say(f"drops {shown.lower() if kind == 'TYPE' else names[-1]}")
        if node.behavior.name == "DROP_CASCADE":
            self.say("drops whatever depends on it too (CASCADE)")

    def _RenameStmt(self, node: object) -> None:
        kind, table = node.renameType.name.removeprefix("OBJECT_"), node.relation
        if table is not None and self.is_new(table):
            if kind in ("TABLE", "VIEW", "MATVIEW", "SEQUENCE"):
                key = self.key(table.schemaname, table.relname)
                self.new[(key[0], node.newname)] = self.new.pop(key)
            return
        if table is None:
            what = ".".join(_names(node.object)) if node.object is not None else node.subname
            self.say(f"renames {what}{f'.{node.subname}' if node.object is not None and node.subname else ''}")
        elif node.subname:
            self.say(f"renames {_of(table)}.{node.subname}")
        else:
            what = kind.lower() if kind in ("TABLE", "VIEW", "INDEX", "SEQUENCE") else "relation"
            self.say(f"renames the {what} {_of(table)}")

    def _AlterObjectSchemaStmt(self, node: object) -> None:
        if not self.is_new(node.relation):
            what = _of(node.relation) if node.relation is not None else ".".join(_names(node.object))
            self.say(f"moves {what} to the schema {node.newschema}, where the old release does not find it")

    def _AlterOwnerStmt(self, node: object) -> None:
        self.say(f"gives {_of(node.relation) if node.relation else '.'.join(_names(node.object))} another owner")

    def _AlterEnumStmt(self, node: object) -> None:
        if node.oldVal:
            self.say(f"renames the value {node.oldVal} of {_dotted(node.typeName)}")

    def _AlterSeqStmt(self, node: object) -> None:
        if not self.is_new(node.sequence) and any(each.defname != "owned_by" for each in node.options or ()):
            self.say(f"changes the sequence {_of(node.sequence)}, from which the old release takes its keys")

    def _AlterDomainStmt(self, node: object) -> None:
        self.say(f"changes the domain {_dotted(node.typeName)}")

    def _CreateTrigStmt(self, node: object) -> None:
        if not self.is_new(node.relation):
            self.say(f"makes a trigger on {_of(node.relation)}, which the old release's writes run")

    def _RuleStmt(self, node: object) -> None:
        if not self.is_new(node.relation):
            self.say(f"makes a rule on {_of(node.relation)}, which the old release's statements run")

    def _CreatePolicyStmt(self, node: object) -> None:
        if not self.is_new(node.table):
            self.say(f"makes a policy on {_of(node.table)}, which may hide its rows from the old release")

    _AlterPolicyStmt = _CreatePolicyStmt

    def _GrantStmt(self, node: object) -> None:
        if not node.is_grant:
            self.say("takes rights away (REVOKE)")

    def _AlterDefaultPrivilegesStmt(self, node: object) -> None:
        self._GrantStmt(node.action)

    def _DoStmt(self, node: object) -> None:
        self.say("runs a block of code (DO), which cannot be read here")

    def _AlterTableStmt(self, node: object) -> None:
        table, kind = node.relation, node.objtype.name.removeprefix("OBJECT_")
        if self.is_new(table):
            return
        for command in node.cmds:
            if kind == "TYPE":
                self.say(f"changes the type {_of(table)}, under a lock of the tables that use it")
            else:
                self.change(table, command)

    # Changes of a table
    def change(self, table: object, command: object) -> None:
        """Read one of the changes of an ALTER TABLE."""
        kind = command.subtype.name
        if kind == "AT_AddColumn":
            self.column(table, command.def_)
        elif kind == "AT_AddConstraint":
            self.constraint(table, command.def_)
        elif kind == "AT_ColumnDefault":
            if command.def_ is None:
                self.say(f"drops the default of {_of(table)}.{command.name}, which the old release may leave out")
        elif kind not in _QUICK:
            words = _CHANGES.get(kind, f"changes {{table}} in a way that this gate does not know ({kind[3:]})")
            self.say(words.format(table=_of(table), name=command.name))

    def constraint(self, table: object, made: object) -> None:
        """Read a constraint that is added to a table."""
        kind = _KINDS.get(made.contype.name, made.contype.name)
        if kind == "NOT NULL" or any(_forbids_null(part) for part in _walk(made.raw_expr)):
            self.say(f"adds a constraint (NOT NULL) to {_of(table)}, whose NULL the old release may still write")
        if made.skip_validation or (made.indexname and kind == "UNIQUE"):
            return
        self.say(f"adds a constraint ({kind}) to {_of(table)}, which reads the table under a lock")

    def column(self, table: object, made: object) -> None:
        """Read a column that is added to a table."""
        where, name = f"{_of(table)}.{made.colname}", _type(made.typeName)
        kinds = {each.contype.name: each for each in made.constraints or ()}
        default = kinds.get("CONSTR_DEFAULT")
        computed = name in _SERIAL or "CONSTR_GENERATED" in kinds or "CONSTR_IDENTITY" in kinds
        if "CONSTR_NOTNULL" in kinds and default is None and not computed:
            self.say(f"adds {where} as NOT NULL without a default, which the old release cannot write")
        if default is not None and _is_null(default.raw_expr) and "CONSTR_NOTNULL" in kinds:
            self.say(f"adds {where} as NOT NULL without a default, which the old release cannot write")
        differs = default is not None and any(
            isinstance(part, ast.FuncCall) and (not _is_known(part) or part.funcname[-1].sval in _VOLATILE)
            for part in _walk(default.raw_expr)
        )
        is_domain = any(self.exists((schema, name), "domain") for schema in self.path)
        if computed or differs or is_domain:
            self.say(f"adds {where} with a computed value, which rewrites the table under a lock")
        for kind in ("CONSTR_PRIMARY", "CONSTR_UNIQUE", "CONSTR_CHECK", "CONSTR_EXCLUSION"):
            if kind in kinds:
                self.constraint(table, kinds[kind])
        if "CONSTR_FOREIGN" in kinds and default is not None and not _is_null(default.raw_expr):
            self.constraint(table, kinds["CONSTR_FOREIGN"])


def _walk(node: object) -> Iterator[object]:
    """Return a node and all that stands in it."""
    if isinstance(node, (tuple, list)):
        for each in node:
            yield from _walk(each)
    elif ast is not None and isinstance(node, ast.Node):
        yield node
        for member in node:
            yield from _walk(getattr(node, member))


def _is_known(call: object) -> bool:
    """Say whether a function only computes, and is PostgreSQL's own."""
    names = [each.sval for each in call.funcname]
    return names[-1] in _COMPUTES | _VOLATILE and names[:-1] in ([], ["pg_catalog"])


def _limits(node: object) -> bool:
    """Say whether a time-out is set to some time, and not to none."""
    if node.kind.name != "VAR_SET_VALUE" or not node.args:
        return False
    value = node.args[0].val
    text = str(value.ival) if isinstance(value, ast.Integer) else str(getattr(value, "sval", ""))
    return any(digit in text for digit in "123456789") and not text.lstrip().startswith("-")


def _bounded(where: object, is_key: Callable[[str], bool]) -> bool:
    """Say whether a condition has a key's values in it, so that it can mean only so many rows.

    Equality with constants, IN of constants, BETWEEN constants, or a subquery with a LIMIT, at the top or in an AND.
    """
    if isinstance(where, ast.BoolExpr) and where.boolop.name != "NOT_EXPR":
        which = any if where.boolop.name == "AND_EXPR" else all
        return which(_bounded(each, is_key) for each in where.args)
    if isinstance(where, ast.SubLink):
        return where.testexpr is not None and getattr(where.subselect, "limitCount", None) is not None
    if not isinstance(where, ast.A_Expr) or not isinstance(where.lexpr, ast.ColumnRef):
        return False
    equals = where.kind.name in ("AEXPR_OP", "AEXPR_IN") and where.name[-1].sval == "="
    if not equals and where.kind.name != "AEXPR_BETWEEN":
        return False
    column = where.lexpr.fields[-1]
    return isinstance(column, ast.String) and is_key(column.sval) and all(map(_is_constant, _walk(where.rexpr)))


def _is_constant(part: object) -> bool:
    """Say whether a part of an expression is, or belongs to, a constant that can be a key's value."""
    return isinstance(part, (ast.A_Const, ast.TypeCast, ast.TypeName, ast.Integer, ast.Float, ast.String))


def _forbids_null(part: object) -> bool:
    """Say whether a part of a condition is IS NOT NULL."""
    return isinstance(part, ast.NullTest) and part.nulltesttype.name == "IS_NOT_NULL"


def _is_null(expression: object) -> bool:
    """Say whether an expression is NULL."""
    while isinstance(expression, ast.TypeCast):
        expression = expression.arg
    return isinstance(expression, ast.A_Const) and bool(expression.isnull)


def _type(name: object) -> str:
    """Return a type's name without its schema."""
    return name.names[-1].sval.lower() if name is not None and name.names else ""


def _of(relation: object) -> str:
    """Return a table's name without its schema."""
    return relation.relname.lower() if relation is not None else "?"


def _names(target: object) -> list[str]:
    """Return the names that make up the name of an object."""
    if isinstance(target, (tuple, list)):
        return [each.sval for each in target if hasattr(each, "sval")] or ["?"]
    for member in ("names", "objname"):
        if getattr(target, member, None):
            return [each.sval for each in getattr(target, member)]
    return [getattr(target, "sval", "?")]


def _dotted(names: object) -> str:
    """Return a name of several parts."""
    return ".".join(each.sval for each in names)

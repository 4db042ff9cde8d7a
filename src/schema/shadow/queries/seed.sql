-- puts three rows into every empty table of the user's, as far as constraints allow; no result
DO $body$
DECLARE
  t record;
  attempt integer;
  names text;
  expressions text;
  filled boolean;
BEGIN
  -- Keys and triggers of the user's are not asked: the rows are there to be kept, not to make sense.
  PERFORM pg_catalog.set_config('session_replication_role', 'replica', true);
  -- What is planned for one table serves for every other.
  PERFORM pg_catalog.set_config('plan_cache_mode', 'force_generic_plan', true);
  FOR t IN
    SELECT c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname) AS name
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p')
      AND NOT c.relispartition
      AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'af_db', 'auth', 'storage')
      AND n.nspname NOT LIKE 'pg\_%'
      AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend AS d
        WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e'
      )
    ORDER BY c.oid
  LOOP
    EXECUTE pg_catalog.format('SELECT EXISTS (SELECT FROM %s)', t.name) INTO filled;
    CONTINUE WHEN filled;
    FOR attempt IN 1..2 LOOP
      SELECT
        pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY a.attnum),
        pg_catalog.string_agg(v.expression, ', ' ORDER BY a.attnum)
      INTO names, expressions
      FROM pg_catalog.pg_attribute AS a
      JOIN pg_catalog.pg_type AS own ON own.oid = a.atttypid
      JOIN pg_catalog.pg_type AS y ON y.oid = CASE WHEN own.typtype = 'd' THEN own.typbasetype ELSE own.oid END
      CROSS JOIN LATERAL (
        -- A foreign key's column gets what the column at the far end of its chain of keys gets.
        WITH RECURSIVE chain (relation, attribute, depth) AS (
          SELECT t.oid, a.attnum, 0
          UNION ALL
          SELECT k.confrelid, u.far, chain.depth + 1
          FROM chain
          JOIN pg_catalog.pg_constraint AS k
            ON k.conrelid = chain.relation AND k.contype = 'f' AND k.confrelid <> k.conrelid
          CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(k.conkey), pg_catalog.unnest(k.confkey)) AS u (near, far)
          WHERE u.near = chain.attribute AND chain.depth < 10
        )
        SELECT pg_catalog.format('seed-%s-%s-', chain.relation, chain.attribute) AS word
        FROM chain
        ORDER BY chain.depth DESC, chain.relation
        LIMIT 1
      ) AS root
      CROSS JOIN LATERAL (
        SELECT CASE
          WHEN y.typtype = 'e' THEN pg_catalog.format(
            '(pg_catalog.enum_range(NULL::%1$s))[1 + g %% pg_catalog.array_length(pg_catalog.enum_range(NULL::%1$s), 1)]',
            pg_catalog.format_type(y.oid, NULL))
          WHEN y.typcategory = 'A' THEN pg_catalog.format('%L::%s', '{}', pg_catalog.format_type(y.oid, NULL))
          WHEN y.typname = 'uuid' THEN pg_catalog.format('pg_catalog.md5(%L || g)::uuid', root.word)
          WHEN y.typname IN ('int2', 'int4', 'int8', 'float4', 'float8', 'numeric', 'oid', 'money') THEN 'g'
          WHEN y.typname = 'bool' THEN 'g % 2 = 0'
          WHEN y.typname IN ('text', 'varchar', 'citext') AND a.attname ILIKE '%email%' THEN
            pg_catalog.format('%L || g || %L', root.word, '@example.com')
          WHEN y.typname IN ('text', 'varchar', 'bpchar', 'name', 'citext') THEN pg_catalog.format(
            'pg_catalog.left(%L || g, %s)', root.word,
            CASE WHEN a.atttypmod > 4 THEN a.atttypmod - 4 ELSE 1000 END)
          WHEN y.typname IN ('timestamptz', 'timestamp', 'date') THEN
            'timestamp ''2026-01-01'' + g * interval ''1 day'''
          WHEN y.typname IN ('time', 'timetz') THEN 'time ''12:00''' 
          WHEN y.typname = 'interval' THEN 'g * interval ''1 hour'''
          WHEN y.typname IN ('json', 'jsonb') THEN pg_catalog.format('pg_catalog.json_build_object(''seed'', g)::%s', y.typname)
          WHEN y.typname = 'bytea' THEN 'pg_catalog.decode(''00ff'', ''hex'')'
          WHEN y.typname IN ('inet', 'cidr') THEN '''10.0.0.1'''
          WHEN a.attnotnull THEN 'DEFAULT'
          ELSE 'NULL'
        END AS expression
      ) AS v
      WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
        AND a.attgenerated = '' AND a.attidentity <> 'a'
        -- First everything; where a constraint minds, only what cannot be left out.
        AND (
          attempt = 1
          OR (a.attnotnull AND NOT a.atthasdef)
          OR EXISTS (
            SELECT FROM pg_catalog.pg_constraint AS k
            WHERE k.conrelid = t.oid AND k.contype IN ('p', 'u', 'f') AND a.attnum = ANY (k.conkey)
          )
        );
      BEGIN
        IF names IS NULL THEN
          EXECUTE pg_catalog.format(
            'INSERT INTO %s SELECT FROM pg_catalog.generate_series(1, 3) AS g', t.name);
        ELSE
          EXECUTE pg_catalog.format(
            'INSERT INTO %s (%s) SELECT %s FROM pg_catalog.generate_series(1, 3) AS g',
            t.name, names, pg_catalog.replace(expressions, 'DEFAULT', 'NULL'));
        END IF;
        EXIT;
      EXCEPTION WHEN OTHERS THEN
        NULL;
      END;
    END LOOP;
  END LOOP;
  PERFORM pg_catalog.set_config('session_replication_role', 'origin', true);
END
$body$
